"""What a person sees on stderr."""

import io
import itertools
import re
import sys
import types

import pytest

from chainrule.optimization import LBFGS
from chainrule.training import EpochRecord, History, Training
from chainrule.training.progress import NotebookProgress, TerminalProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("epochs", [1, 7, 20, 50, 139])
def test_a_file_gets_whole_lines_and_not_too_many(engine, make_task, capsys, epochs):
    task = make_task()
    result = task.train(
        settings=Training(epochs=epochs, engine=engine, verbose=1), validation=task.validation
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert "\r" not in err
    assert "\x1b" not in err
    assert err.endswith("\n")
    *lines, last = err.splitlines()
    assert last == repr(result.history)
    assert min(epochs, 10) <= len(lines) <= 21
    for line in lines:
        found = re.fullmatch(
            rf"epoch (\d+)/{epochs}, train loss (\S+), validation loss (\S+), best (\S+) \(epoch (\d+)\), "
            r"[\d,]+ rows/s, at most \d+ s left",
            line,
        )
        assert found, line
        epoch = int(found[1])
        record = result.history.epochs[epoch - 1]
        until = result.history.columns()["validation_loss"][:epoch]
        assert float(found[2]) == pytest.approx(record.train_loss, rel=1e-4)
        assert float(found[3]) == pytest.approx(record.validation_loss, rel=1e-4)
        assert float(found[4]) == pytest.approx(until.min(), rel=1e-4)
        assert int(found[5]) == until.argmin() + 1
    assert lines[0].startswith("epoch 1/")


def test_without_validation_there_is_no_best(engine, make_task, capsys):
    make_task().train(settings=Training(epochs=2, engine=engine, verbose=1))
    first = capsys.readouterr().err.splitlines()[0]
    assert re.fullmatch(r"epoch 1/2, train loss \S+, [\d,]+ rows/s, at most \d+ s left", first)


@pytest.mark.parametrize("terminal", [True, False])
def test_it_is_silent_unless_asked(engine, make_task, capsys, monkeypatch, terminal):
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    make_task().train(settings=Training(epochs=3, engine=engine))
    assert stream.getvalue() == capsys.readouterr().out == ""


@pytest.mark.parametrize("optimizer", [Training().optimizer, LBFGS(max_iterations=5)], ids=repr)
def test_a_terminal_gets_a_live_bar(engine, make_task, monkeypatch, optimizer):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    task = make_task()
    settings = Training(optimizer=optimizer, epochs=5, engine=engine, verbose=1)
    result = task.train(settings=settings, validation=task.validation)
    shown = stream.getvalue()
    assert "\x1b[?25l" in shown  # the cursor goes away
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # and comes back
    assert repr(result.history) in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown)


def test_a_terminal_without_rich_gets_lines(engine, make_task, monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = make_task().train(settings=Training(epochs=2, engine=engine, verbose=1))
    assert stream.getvalue().splitlines()[-1] == repr(result.history)
    assert "\x1b" not in stream.getvalue()


def test_the_bar_is_taken_away_when_the_training_fails(engine, make_task, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)

    def fail(report):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        make_task().train(settings=Training(epochs=2, engine=engine, verbose=1), callbacks=[fail])
    shown = stream.getvalue()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


class Output:
    """What IPython's display() returns: it keeps what is shown."""

    def __init__(self, html):
        self.shown = [html]

    def update(self, html):
        self.shown.append(html)


@pytest.fixture
def notebook(monkeypatch):
    """IPython as a kernel has it; the list gets the outputs of the cell."""
    outputs = []

    def display(html, *, display_id):
        assert display_id is True
        outputs.append(Output(html))
        return outputs[-1]

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    shown = types.ModuleType("IPython.display")
    shown.display, shown.HTML = display, str
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    return outputs


def test_a_notebook_gets_one_output_that_ends_with_the_summary(engine, make_task, notebook, capsys):
    result = make_task().train(settings=Training(epochs=5, engine=engine, verbose=1))
    (output,) = notebook
    assert 'value="0.000" max="5"' in output.shown[0]
    assert 'value="5.000" max="5"' in output.shown[-1]
    assert output.shown[-1].endswith(repr(result.history))
    assert capsys.readouterr() == ("", "")


def test_the_shell_of_ipython_is_no_notebook(engine, make_task, notebook, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: types.SimpleNamespace(kernel=None))
    make_task().train(settings=Training(epochs=2, engine=engine, verbose=1))
    assert notebook == []
    assert capsys.readouterr().err.startswith("epoch 1/2")


@pytest.mark.parametrize("kind", [TerminalProgress, NotebookProgress])
def test_what_is_live_is_shown_a_few_times_a_second_however_short_the_epochs(kind, notebook, monkeypatch):
    """Ten thousand epochs in ten seconds of a clock that stands still while it is not asked."""
    monkeypatch.setattr("sys.stderr", Terminal())
    ticks = itertools.count()
    monkeypatch.setattr("chainrule.training.progress.time.monotonic", lambda: next(ticks) / 2000)
    shown = []

    class Counted(kind):
        def show(self, epochs_done, text):
            shown.append(text)
            super().show(epochs_done, text)

    with Counted(10_000, 100) as progress:
        for epoch in range(1, 10_001):
            progress.moved(epoch - 0.5)
            progress.epoch_done(EpochRecord(epoch, 0.5, None, 0.1, epoch / 1000), "")
        progress.ended(History("native", 1, "loss"))
    assert 20 <= len(shown) <= 50
    assert shown[-1] == repr(History("native", 1, "loss"))
