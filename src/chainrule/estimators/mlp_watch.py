"""What MLPClassifier and MLPRegressor report of a fit: the loss as scikit-learn defines it, and the score."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from chainrule.errors import InputError
from chainrule.estimators.predictive import concordance, is_censored
from chainrule.training import METRICS, EpochRecord, EpochReport, History
from chainrule.training.batches import Data
from chainrule.training.progress import Progress

Array = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]
Look = Callable[[], tuple[float, float]]  # at the validation rows: their loss and score


@dataclass(frozen=True)
class LossReport:
    """From the loss that is descended to the one that is reported: another mean, another constant.

    The squared error is reported as a mean over the outputs, Poisson's loss with y log y − y. Both leave
    the gradient of the descent alone.

    Parameters
    ----------
    share : float, default 1.0
        What the loss without penalty is multiplied by.
    constant : callable, optional
        From the target (n_rows, n_outputs) to what is added to the loss of each row (n_rows,).
    """

    share: float = 1.0
    constant: Callable[[NDArray[Any]], NDArray[np.float64]] | None = None

    @classmethod
    def of(cls, loss: Any, n_outputs: int) -> "LossReport":
        """Return the report for a ``loss`` of the estimators, which may be a name or a likelihood."""
        if isinstance(loss, str) and loss == "squared_error":
            return cls(share=1 / n_outputs)
        if isinstance(loss, str) and loss == "poisson":
            return cls(constant=lambda y: np.asarray((xlogy(y, y) - y).sum(axis=1, dtype=np.float64)))
        return cls()

    def whole(self, loss: float, penalty: float, data: Data) -> float:
        """Return what to report of the loss of all these rows, of which so much is the penalty."""
        reported = (loss - penalty) * self.share + penalty
        if self.constant is not None:
            reported += float(np.average(self.constant(data.y), weights=data.weight))
        return reported

    def epochs(
        self,
        losses: NDArray[np.float64],
        penalties: NDArray[np.float64],
        data: Data,
        orders: Rows,
        size: int,
    ) -> NDArray[np.float64]:
        """Return what to report of each epoch: the sum over its batches, each counting by its rows.

        ``losses`` and ``penalties`` are (n_epochs, n_steps), ``orders`` are the rows (n_epochs, n_ordered).
        """
        reported = (losses - penalties) * self.share + penalties
        if self.constant is not None and len(orders):
            constants = self.constant(data.y)[orders]
            weight = np.ones(orders.shape) if data.weight is None else data.weight[orders].astype(np.float64)
            starts = np.arange(0, orders.shape[1], size)
            total = np.add.reduceat(weight, starts, axis=1)
            reported += np.add.reduceat(constants * weight, starts, axis=1) / total
        too_many = size * losses.shape[1] - orders.shape[1]  # the rows that the last batch is short of
        return np.asarray(size * reported.sum(axis=1) - too_many * reported[:, -1])


def set_aside(
    target: NDArray[Any], fraction: float, rng: np.random.RandomState, *, stratify: bool
) -> tuple[Rows, Rows]:
    """Return the rows to learn from and those to set aside; ``stratify`` keeps both classes in them."""
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 (not light; few fits need it)

    too_small = InputError(
        "The validation set is too small. Increase 'validation_fraction' or the size of your dataset: "
        f"validation_fraction={fraction} of {len(target)} rows is fewer than 2."
    )
    if fraction == 0:
        raise too_small
    # The names that scikit-learn's messages show; of an array with two axes it would join each row's.
    names = np.where(target[:, 0] > 0, "True", "False") if stratify else None
    kept, held_out = train_test_split(
        np.arange(len(target)), random_state=rng, test_size=fraction, stratify=names
    )
    if len(held_out) < 2:
        raise too_small
    return kept, held_out


@dataclass(frozen=True)
class Validation:
    """Rows that are looked at after each epoch: their loss, and their score.

    Parameters
    ----------
    data : Data
        The rows as the engine takes them; the weights, those of the classes included, count in the loss.
    labels : (n_rows,) or (n_rows, n_outputs)
        y as it was given, for a scorer.
    sample_weight : (n_rows,), optional
        The weights as they were given, for the score.
    scoring : str, callable or None
        None for the accuracy or R², "loss" for minus the loss, else a scorer of scikit-learn.
    """

    data: Data
    labels: NDArray[Any]
    sample_weight: Array | None
    scoring: Any

    def watch(self, model: Any, engine: Any, report: LossReport) -> Look:
        """Return a function that gives the loss and the score of the model as it is when it is called."""
        score = self._scorer(model)
        logits = np.empty((self.data.X.shape[0], model.network_.n_logits), dtype=model.theta_.dtype)

        def look() -> tuple[float, float]:
            loss = report.whole(engine.loss(model.theta_, *self.data, logits=logits), 0.0, self.data)
            return loss, score(loss, logits)

        return look

    def _scorer(self, model: Any) -> Callable[[float, Array], float]:
        """Return what gives the score, from the loss and the logits."""
        if self.scoring == "loss":
            return lambda loss, logits: -loss  # noqa: ARG005 (one signature)
        if self.scoring is None:
            return lambda loss, logits: self._usual_score(model, logits)  # noqa: ARG005 (one signature)
        from sklearn.metrics import check_scoring  # noqa: PLC0415 (not light, and rarely asked for)

        scorer = check_scoring(model, self.scoring)
        # θ is shared, so the copy predicts as the model does. The rows are an array: without the names of
        # the columns nothing warns about that.
        nameless = copy.copy(model)
        vars(nameless).pop("feature_names_in_", None)
        if (offset := self.data.offset) is not None:  # which a scorer knows nothing of
            nameless._logits = lambda X: model._logits(X) + offset
        weight = {} if self.sample_weight is None else {"sample_weight": self.sample_weight}
        return lambda loss, logits: float(scorer(nameless, self.data.X, self.labels, **weight))  # noqa: ARG005 (as above)

    def _usual_score(self, model: Any, logits: Array) -> float:
        mean = model._mean(logits if self.data.offset is None else logits + self.data.offset)
        if not np.isfinite(mean).all():
            return np.nan
        y = self.data.y
        if is_censored(model.network_.likelihood):
            return concordance(y[:, 0], y[:, 1], mean[:, 0], self.sample_weight)
        return METRICS[model._metric].function(y, mean, self.sample_weight)


@dataclass(frozen=True)
class Watch:
    """What a fit has beside the model: its rows, their engine, and who is told about each epoch.

    Parameters
    ----------
    data : Data
        The rows, of which some may be set aside.
    engine : Engine
        What computes with these rows.
    report : LossReport
        Which loss is reported.
    look : callable or None
        Gives the loss and the score of the validation rows, where there are any.
    progress, history
        What is shown, and the epochs that it shows.
    """

    data: Data
    engine: Any
    report: LossReport
    look: Look | None
    progress: Progress
    history: History
    began: float = field(default_factory=time.monotonic)

    def record(
        self, model: Any, learning_rate: float | None, loss: float | None, score: float | None
    ) -> bool:
        """Tell of an epoch, whose loss and number the model has; return whether a callback ends the fit."""
        record = EpochRecord(
            epoch=model.n_iter_,
            train_loss=model.loss_,
            validation_loss=loss,
            learning_rate=learning_rate,
            seconds=time.monotonic() - self.began,
            validation_metrics={} if score is None else {"score": score},
        )
        self.history.epochs.append(record)
        self.progress.epoch_done(record, "")
        theta = model.theta_.view()
        theta.flags.writeable = False
        report = EpochReport(record, theta, model.network_)
        return any([callback(report) for callback in model.callbacks or ()])  # noqa: C419 (each is called)
