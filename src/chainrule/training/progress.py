"""How far a training is: live on a terminal and in a notebook, else a line now and then."""

import math
import shutil
import sys
import time
from html import escape
from types import TracebackType
from typing import Any, Self

from chainrule.training.history import EpochRecord, History

_LINES = 20  # where there is no terminal, a training of any length has about so many lines
_BAR = 20  # characters
_PAUSE = 0.25  # seconds between two looks at what is live: epochs can be far shorter, and showing costs time


class Progress:
    """Shows nothing: the ground of those that show something.

    Parameters
    ----------
    n_epochs : int
        How many epochs there are at most.
    n_rows : int
        The training rows, which each epoch goes through.
    """

    def __init__(self, n_epochs: int, n_rows: int) -> None:
        self.n_epochs, self._n_rows = n_epochs, n_rows
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the display away."""

    def moved(self, epochs_done: float) -> None:
        """Take in that so many epochs, and parts of one, are done."""

    def epoch_done(self, record: EpochRecord, best: str) -> None:
        """Take in an epoch; ``best`` says which was the best one so far, "" if none is looked for."""

    def ended(self, history: History) -> None:
        """Take in how the training ended."""

    def line(self, record: EpochRecord, best: str) -> str:
        """Return what is shown after an epoch."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        parts = [f"epoch {record.epoch}/{self.n_epochs}", f"train loss {record.train_loss:.5g}"]
        if record.validation_loss is not None:
            parts.append(f"validation loss {record.validation_loss:.5g}")
        if best:
            parts.append(f"best {best}")
        parts.append(f"{self._n_rows * record.epoch / seconds:,.0f} rows/s")
        parts.append(f"at most {seconds * (self.n_epochs / record.epoch - 1):.0f} s left")
        return ", ".join(parts)


class PlainProgress(Progress):
    """Whole lines on stderr, for files and pipes."""

    def epoch_done(self, record: EpochRecord, best: str) -> None:
        """Print the line of the first epoch, and of every so many."""
        if record.epoch == 1 or record.epoch % math.ceil(self.n_epochs / _LINES) == 0:
            print(self.line(record, best), file=sys.stderr)

    def ended(self, history: History) -> None:
        """Print the history's summary."""
        print(history, file=sys.stderr)


class LiveProgress(Progress):
    """What is shown in place, and at most a few times a second; how it is shown, the subclasses say."""

    def __init__(self, n_epochs: int, n_rows: int) -> None:
        super().__init__(n_epochs, n_rows)
        self._next_look = 0.0

    def show(self, epochs_done: float, text: str | None) -> None:
        """Show that so many epochs are done, and the text in the place of the last one (None: it stays)."""
        raise NotImplementedError

    def moved(self, epochs_done: float) -> None:
        """Move the bar."""
        if self._is_time():
            self.show(epochs_done, None)

    def epoch_done(self, record: EpochRecord, best: str) -> None:
        """Show the epoch's line beside the bar."""
        if self._is_time():
            self.show(record.epoch, self.line(record, best))

    def ended(self, history: History) -> None:
        """Show the history's summary beside the bar."""
        self.show(len(history.epochs), str(history))

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _PAUSE
        return True


class TerminalProgress(LiveProgress):
    """A bar on the last line of the terminal: a few characters that are written over, which cost nothing."""

    _width = 0  # of what stands there now

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write("\r")

    def show(self, epochs_done: float, text: str | None) -> None:
        """Draw the bar, as wide as the terminal at most."""
        self._text = text or getattr(self, "_text", "epoch 1")
        done = min(round(_BAR * epochs_done / self.n_epochs), _BAR)
        line = f"{'#' * done}{'.' * (_BAR - done)} {self._text}"
        self._write("\r" + line[: shutil.get_terminal_size().columns - 1])

    def ended(self, history: History) -> None:
        """Leave the history's summary in the place of the bar."""
        self._write(f"\r{history}")
        self._width = 0
        print(file=sys.stderr)

    def _write(self, line: str) -> None:
        """Write a line, which begins with a carriage return, over what stands there."""
        rest = " " * (self._width - len(line) + 1)
        self._width = len(line) - 1
        sys.stderr.write(line + rest + "\b" * len(rest))
        sys.stderr.flush()


class NotebookProgress(LiveProgress):
    """A bar and a line below the cell of a notebook, by IPython."""

    def __enter__(self) -> Self:
        self._text = "epoch 1"
        self._output = sys.modules["IPython.display"].display(self._html(0), display_id=True)
        return self

    def show(self, epochs_done: float, text: str | None) -> None:
        """Put the bar in the place of the last one."""
        self._text = text or self._text
        self._output.update(self._html(epochs_done))

    def _html(self, epochs_done: float) -> Any:
        bar = f'<progress value="{epochs_done:.3f}" max="{self.n_epochs}" style="width: 12em"></progress>'
        return sys.modules["IPython.display"].HTML(f"{bar} {escape(self._text)}")


def is_notebook() -> bool:
    """Return whether the program runs in the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None and "IPython.display" in sys.modules


def make_progress(verbose: int, n_epochs: int, n_rows: int) -> Progress:
    """Return the display for ``verbose`` 0 or 1 that fits where it is looked at."""
    if not verbose:
        return Progress(n_epochs, n_rows)
    if is_notebook():
        return NotebookProgress(n_epochs, n_rows)
    return (TerminalProgress if sys.stderr.isatty() else PlainProgress)(n_epochs, n_rows)
