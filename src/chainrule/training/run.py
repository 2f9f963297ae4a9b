"""A training under way: what happens at the end of an epoch, whatever kind of descent led there."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.errors import ChainruleError, DivergenceError, InputError
from chainrule.network import Network
from chainrule.optimization import LBFGS
from chainrule.training.batches import Array, Data
from chainrule.training.divergence import divergence
from chainrule.training.history import EpochRecord, History, StoppedBy
from chainrule.training.metrics import Metric
from chainrule.training.progress import make_progress
from chainrule.training.settings import Training
from chainrule.training.stopping import Best


@dataclass(frozen=True)
class EpochReport:
    """What a callback is given after each epoch.

    Parameters
    ----------
    record : EpochRecord
        The epoch.
    theta : (n_parameters,)
        θ after it: a view that cannot be written to and goes along with the training. Copy it to keep it.
    network : Network
        What θ belongs to.
    """

    record: EpochRecord
    theta: Array
    network: Network


Callback = Callable[[EpochReport], bool | None]


@dataclass(frozen=True)
class TrainingResult:
    """What `train` returns.

    Parameters
    ----------
    theta : (n_parameters,)
        With validation rows θ after the best epoch, else after the last step.
    history : History
        The epochs, and how the training ended.
    """

    theta: Array
    history: History

    @property
    def best_epoch(self) -> int:
        """The epoch after which θ was as returned (see `History`)."""
        return self.history.best_epoch

    @property
    def stopped_by(self) -> StoppedBy:
        """Why the training ended (see `History`)."""
        return self.history.stopped_by

    @property
    def engine(self) -> str:
        """Which engine ran."""
        return self.history.engine

    @property
    def n_threads(self) -> int:
        """How many threads it could use."""
        return self.history.n_threads


class Run:
    """A training under way.

    Parameters
    ----------
    network : Network
        What is trained.
    theta : (n_parameters,)
        The start; it is copied.
    data : Data
        The training rows, checked.
    validation : Data or None
        The validation rows, checked.
    settings : Training
        What is asked for.
    metrics : sequence of Metric
        What is computed after each epoch.
    callbacks : sequence of callable
        What is called after each epoch.
    """

    def __init__(
        self,
        *,
        network: Network,
        theta: Array,
        data: Data,
        validation: Data | None,
        settings: Training,
        metrics: Sequence[Metric],
        callbacks: Sequence[Callback],
    ) -> None:
        self.network, self.data, self.settings = network, data, settings
        self.theta = theta.copy()
        self.engine = network.engine(settings.engine, settings.n_threads)
        self.history = History(self.engine.name, self.engine.n_threads, settings.monitor)
        optimizer = settings.optimizer
        self.n_epochs = optimizer.max_iterations if isinstance(optimizer, LBFGS) else settings.epochs
        self.progress = make_progress(settings.verbose, self.n_epochs, len(data.X))
        self._validation, self._metrics, self._callbacks = validation, metrics, callbacks
        greater_is_better = any(
            metric.greater_is_better for metric in metrics if metric.name == settings.monitor
        )
        self._best = Best(self.theta, greater_is_better, settings.patience, settings.tolerance)
        self._start = time.monotonic()

    @property
    def seconds_left(self) -> float | None:
        """How many seconds the time limit leaves; None without one."""
        limit = self.settings.time_limit
        return None if limit is None else limit - (time.monotonic() - self._start)

    @property
    def steps_left(self) -> int:
        """How many steps may still be done."""
        limit = self.settings.max_steps
        return sys.maxsize if limit is None else limit - self.history.n_steps

    @property
    def limit_reached(self) -> StoppedBy | None:
        """Which limit has been reached, if one has."""
        if self.steps_left <= 0:
            return "steps"
        left = self.seconds_left
        return "time" if left is not None and left <= 0 else None

    def plan(self, n_steps: int | None, n_epochs: int) -> None:
        """Take in over how many steps the schedule goes (None: those of all epochs), in so many epochs."""
        self.history.planned_steps = n_steps
        self.progress.n_epochs = n_epochs

    def look(self) -> tuple[float | None, dict[str, float], dict[str, float]]:
        """Return the loss of the validation rows, the metrics of the training rows, and theirs."""
        validation = self._validation
        with_train = self.settings.train_metrics or validation is None
        return (
            None if validation is None else self.engine.loss(self.theta, *validation),
            self._measure(self.data) if with_train else {},
            {} if validation is None else self._measure(validation),
        )

    def end_of_epoch(self, train_loss: float, learning_rate: float | None) -> StoppedBy | None:
        """Record an epoch, and return why the training shall end after it, or None."""
        validation_loss, train_metrics, validation_metrics = self.look()
        record = EpochRecord(
            epoch=len(self.history.epochs) + 1,
            train_loss=train_loss,
            validation_loss=validation_loss,
            learning_rate=learning_rate,
            seconds=time.monotonic() - self._start,
            train_metrics=train_metrics,
            validation_metrics=validation_metrics,
        )
        self.history.epochs.append(record)
        # Where the validation loss is infinite, θ is not the best one by any metric.
        usable = record.validation_loss is None or math.isfinite(record.validation_loss)
        value = record.value(self.settings.monitor) if usable else math.nan
        self._best.see(record.epoch, value, record.value("loss"), self.theta)
        self.progress.epoch_done(record, self._best_so_far())
        theta = self.theta.view()
        theta.flags.writeable = False
        report = EpochReport(record, theta, self.network)
        if any([callback(report) for callback in self._callbacks]):  # noqa: C419 (a list: each of them is called)
            return "callback"
        if self._best.patience_is_over:
            return "patience"
        return self.limit_reached

    def diverged(self, loss: float, when: str, learning_rate: float | None) -> DivergenceError:
        """Return the error for a loss that is not finite."""
        return divergence(loss, when, self.data, self.network.likelihood, learning_rate)

    def result(self, stopped_by: StoppedBy) -> TrainingResult:
        """Return the best θ and the history; raise if there is no θ with a finite loss."""
        history = self.history
        history.stopped_by = stopped_by
        rate = history.epochs[-1].learning_rate if history.epochs else None
        if self._validation is not None and history.epochs:
            if self._best.epoch == 0:
                raise self._nothing_is_best()
            history.best_epoch = self._best.epoch
            return TrainingResult(self._best.theta, history)
        # The loss of a step is from before it: nobody has yet seen what the last one did.
        loss = self.engine.loss(self.theta, *(self.data if self._validation is None else self._validation))
        if not (math.isfinite(loss) and np.isfinite(self.theta).all()):
            raise self.diverged(loss, "after the last step", rate)
        history.best_epoch = len(history.epochs)
        return TrainingResult(self.theta, history)

    def _nothing_is_best(self) -> ChainruleError:
        """Return the error for a monitored quantity that no epoch has a number for."""
        monitor, last = self.history.monitor, self.history.epochs[-1]
        if not any(math.isfinite(record.value("loss")) for record in self.history.epochs):
            where = "on the validation rows after each epoch"
            return self.diverged(last.value("loss"), where, last.learning_rate)
        return InputError(
            f"The metric {monitor!r} of the validation rows was {last.value(monitor)} after each epoch, "
            "so that none is the best: give more rows, or monitor another quantity."
        )

    def _measure(self, data: Data) -> dict[str, float]:
        """Return the metrics of these rows; NaN where a prediction is beyond the largest float."""
        if not self._metrics:
            return {}
        logits = self.engine.forward(self.theta, data.X)
        if data.offset is not None:
            logits = logits + data.offset
        mean = self.network.likelihood.mean(logits, self.network.scales(self.theta))
        if not np.isfinite(mean).all():
            return {metric.name: math.nan for metric in self._metrics}
        return {metric.name: float(metric.function(data.y, mean, data.weight)) for metric in self._metrics}

    def _best_so_far(self) -> str:
        if self._validation is None or self._best.epoch == 0:
            return ""
        return f"{self._best.value:.5g} (epoch {self._best.epoch})"
