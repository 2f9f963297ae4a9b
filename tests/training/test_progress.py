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


def on_screen(shown):
    """What stands on a terminal after this text: carriage returns write over, backspaces go back."""
    lines, line, place = [], [], 0
    for character in shown:
        if character == "\n":
            lines.append("".join(line).rstrip())
            line, place = [], 0
        elif character in "\r\b":
            place = 0 if character == "\r" else place - 1
        else:
            line[place : place + 1] = [character]
            place += 1
    return [*lines, "".join(line).rstrip()]


@pytest.mark.parametrize("columns", ["40", "200"])
@pytest.mark.parametrize("optimizer", [Training().optimizer, LBFGS(max_iterations=5)], ids=repr)
def test_a_terminal_gets_a_bar_that_leaves_the_summary(engine, make_task, monkeypatch, optimizer, columns):
    monkeypatch.setenv("COLUMNS", columns)
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    task = make_task()
    settings = Training(optimizer=optimizer, epochs=5, engine=engine, verbose=1)
    result = task.train(settings=settings, validation=task.validation)
    shown = stream.getvalue()
    bars = [line for line in re.split(r"\r", shown) if line.startswith(("#", "."))]
    assert bars
    assert all(len(bar.rstrip(" \b")) < int(columns) for bar in bars)
    assert on_screen(shown) == [repr(result.history), ""]


def test_the_bar_shows_how_far_it_is(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    bar = TerminalProgress(10, 100)
    for epochs, marks in ((0, 0), (2.5, 5), (5, 10), (10, 20)):
        bar.show(epochs, f"epoch {epochs}")
        assert on_screen(stream.getvalue())[-1] == "#" * marks + "." * (20 - marks) + f" epoch {epochs}"
    bar.show(10, None)
    assert on_screen(stream.getvalue())[-1].endswith(" epoch 10")


def test_the_bar_is_taken_away_when_the_training_fails(engine, make_task, monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)

    def fail(report):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        make_task().train(settings=Training(epochs=2, engine=engine, verbose=1), callbacks=[fail])
    assert "#" in stream.getvalue() or "." in stream.getvalue()
    assert on_screen(stream.getvalue()) == [""]


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
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
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
    last = on_screen(stream.getvalue())[-2] if kind is TerminalProgress else shown[-1]
    assert last == repr(History("native", 1, "loss"))
