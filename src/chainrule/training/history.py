"""What happened in a training, epoch by epoch."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

StoppedBy = Literal["epochs", "patience", "time", "steps", "interrupt", "callback", "converged"]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Parameters
    ----------
    epoch : int
        Its number, from 1.
    train_loss : float
        The mean over its steps of each batch's loss, penalty included, before the step; batches count by
        their total weight. With `LBFGS` the loss of the whole data after the iteration.
    validation_loss : float or None
        The loss of the validation rows after the epoch, without penalty; None without such rows.
    learning_rate : float or None
        η of its last step; None with `LBFGS`.
    seconds : float
        From the start of the training to the end of this epoch.
    train_metrics, validation_metrics : dict of str to float
        The metrics that were asked for, after the epoch.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None
    learning_rate: float | None
    seconds: float
    train_metrics: dict[str, float] = field(default_factory=dict)
    validation_metrics: dict[str, float] = field(default_factory=dict)

    def value(self, quantity: str) -> float:
        """Return "loss" or a metric: the validation rows' where there are any, else the training rows'."""
        if self.validation_loss is None:
            return self.train_loss if quantity == "loss" else self.train_metrics[quantity]
        return self.validation_loss if quantity == "loss" else self.validation_metrics[quantity]

    def columns(self) -> dict[str, float]:
        """Return the numbers by name: "train_loss", "validation_accuracy", … ; without what is None."""
        named = {
            "epoch": self.epoch,
            "train_loss": self.train_loss,
            "validation_loss": self.validation_loss,
            "learning_rate": self.learning_rate,
            "seconds": self.seconds,
            **{f"train_{name}": value for name, value in self.train_metrics.items()},
            **{f"validation_{name}": value for name, value in self.validation_metrics.items()},
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class GradientRecord:
    """The gradient after one epoch.

    Parameters
    ----------
    epoch : int
        Its number, from 1.
    norms : tuple of float, (n_layers,)
        ‖∂loss/∂w_l‖ of each dense layer (N11), of the rows that were looked at.
    """

    epoch: int
    norms: tuple[float, ...]


@dataclass(repr=False)
class History:
    """The epochs of a training, and how it ended.

    Parameters
    ----------
    engine : str
        Which engine ran.
    n_threads : int
        How many threads it could use.
    monitor : str
        What patience and the choice of the best θ looked at.
    epochs : list of EpochRecord
        One for each epoch that was gone through to its end.
    best_epoch : int
        With validation rows the best epoch, whose θ is returned; without them the last one. 0 when no
        epoch came to its end.
    stopped_by : str
        "epochs": all were done. "patience", "time", "steps", "interrupt" (Ctrl-C), "callback": as the names
        say. "converged": L-BFGS came within its tolerance, or could find no lower point in this dtype.
    n_steps : int
        How many steps were done; the iterations of L-BFGS.
    planned_steps : int or None
        How many steps the schedule went over, where these were fewer than those of all epochs.
    gradients : list of GradientRecord
        The size of the gradient in each layer after some of the epochs, where a `GradientNorms` looked.

    Examples
    --------
    >>> from chainrule.training import EpochRecord, History
    >>> records = [EpochRecord(1, 0.9, 0.8, 0.1, 0.01), EpochRecord(2, 0.5, 0.6, 0.1, 0.02)]
    >>> history = History("native", 2, "loss", records, best_epoch=2, stopped_by="epochs")
    >>> history
    History(2 epochs, best 2 with validation loss 0.6, stopped by epochs, native engine, 2 threads)
    >>> history.columns()["train_loss"]
    array([0.9, 0.5])
    >>> History.from_dict(history.to_dict()) == history
    True
    """

    engine: str
    n_threads: int
    monitor: str
    epochs: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    stopped_by: StoppedBy = "epochs"
    n_steps: int = 0
    planned_steps: int | None = None
    gradients: list[GradientRecord] = field(default_factory=list)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return an array (n_epochs,) for each quantity that `EpochRecord.columns` names."""
        rows = [record.columns() for record in self.epochs]
        return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it; numbers that are not finite, which it lacks, are strings."""
        columns = {
            name: [_to_json(value) for value in column.tolist()] for name, column in self.columns().items()
        }
        return {
            "engine": self.engine,
            "n_threads": self.n_threads,
            "monitor": self.monitor,
            "best_epoch": self.best_epoch,
            "stopped_by": self.stopped_by,
            "n_steps": self.n_steps,
            "planned_steps": self.planned_steps,
            "columns": columns,
            "gradients": [
                [record.epoch, *(_to_json(norm) for norm in record.norms)] for record in self.gradients
            ],
        }

    @classmethod
    def from_dict(cls, described: dict[str, Any]) -> "History":
        """Return the history that `to_dict` described."""
        columns = described["columns"]
        rows = [
            dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        return cls(
            engine=described["engine"],
            n_threads=described["n_threads"],
            monitor=described["monitor"],
            epochs=[_record(row) for row in rows],
            best_epoch=described["best_epoch"],
            stopped_by=described["stopped_by"],
            n_steps=described["n_steps"],
            planned_steps=described.get("planned_steps"),  # files of earlier versions have none
            gradients=[  # nor these
                GradientRecord(int(epoch), tuple(map(float, norms)))
                for epoch, *norms in described.get("gradients", ())
            ],
        )

    def __repr__(self) -> str:
        best = ""
        if self.best_epoch:
            record = self.epochs[self.best_epoch - 1]
            rows = "train" if record.validation_loss is None else "validation"
            word = "last" if record.validation_loss is None else f"best {self.best_epoch}"
            best = f"{word} with {rows} {self.monitor} {record.value(self.monitor):.6g}, "
        return (
            f"History({_count(len(self.epochs), 'epoch')}, {best}stopped by {self.stopped_by}, "
            f"{self.engine} engine, {_count(self.n_threads, 'thread')})"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _to_json(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _record(row: dict[str, float]) -> EpochRecord:
    def metrics(rows: str) -> dict[str, float]:
        return {
            name.removeprefix(rows): value
            for name, value in row.items()
            if name.startswith(rows) and name != f"{rows}loss"
        }

    return EpochRecord(
        int(row["epoch"]),
        row["train_loss"],
        row.get("validation_loss"),
        row.get("learning_rate"),
        row["seconds"],
        metrics("train_"),
        metrics("validation_"),
    )
