"""How far a training is, for the person who waits: a live bar on a terminal, else a line now and then."""

import importlib.util
import math
import sys
import time
from types import TracebackType
from typing import Self

from chainrule.training.history import EpochRecord, History

_LINES = 20  # where there is no terminal, a training of any length has about so many lines


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
        self._n_epochs, self._n_rows = n_epochs, n_rows
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
        parts = [f"epoch {record.epoch}/{self._n_epochs}", f"train loss {record.train_loss:.5g}"]
        if record.validation_loss is not None:
            parts.append(f"validation loss {record.validation_loss:.5g}")
        if best:
            parts.append(f"best {best}")
        parts.append(f"{self._n_rows * record.epoch / seconds:,.0f} rows/s")
        parts.append(f"at most {seconds * (self._n_epochs / record.epoch - 1):.0f} s left")
        return ", ".join(parts)


class PlainProgress(Progress):
    """Whole lines on stderr, for files and pipes."""

    def epoch_done(self, record: EpochRecord, best: str) -> None:
        """Print the line of the first epoch, and of every so many."""
        if record.epoch == 1 or record.epoch % math.ceil(self._n_epochs / _LINES) == 0:
            print(self.line(record, best), file=sys.stderr)

    def ended(self, history: History) -> None:
        """Print the history's summary."""
        print(history, file=sys.stderr)


class LiveProgress(Progress):
    """A bar on the terminal, by rich."""

    def __init__(self, n_epochs: int, n_rows: int) -> None:
        super().__init__(n_epochs, n_rows)
        from rich import progress  # noqa: PLC0415 (an extra: `make_progress` has looked whether it is there)
        from rich.console import Console  # noqa: PLC0415 (the same)

        columns = progress.BarColumn(bar_width=20), progress.TextColumn("{task.description}", markup=False)
        self._bar = progress.Progress(*columns, console=Console(stderr=True))
        self._task = self._bar.add_task("epoch 1", total=n_epochs)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def moved(self, epochs_done: float) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=epochs_done)

    def epoch_done(self, record: EpochRecord, best: str) -> None:
        """Write the line beside the bar."""
        self._bar.update(self._task, completed=record.epoch, description=self.line(record, best))

    def ended(self, history: History) -> None:
        """Write the history's summary beside the bar."""
        self._bar.update(self._task, description=str(history))


def make_progress(verbose: int, n_epochs: int, n_rows: int) -> Progress:
    """Return the display for ``verbose`` 0 or 1 that fits stderr."""
    if not verbose:
        return Progress(n_epochs, n_rows)
    live = sys.stderr.isatty() and importlib.util.find_spec("rich") is not None
    return (LiveProgress if live else PlainProgress)(n_epochs, n_rows)
