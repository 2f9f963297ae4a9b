"""What is looked at beside the loss."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Metric:
    """A number that says how good predictions are.

    Parameters
    ----------
    name : str
        Its name in the history, and for ``Training(monitor=…)``. "loss" is taken.
    function : callable
        ``function(y, mean, weight)`` returns a float. ``y`` is the target (n_rows, n_columns); ``mean``
        is ŷ = E[y given s], of the same shape, for classes their probabilities (n_rows, n_classes);
        ``weight`` is (n_rows,) or None.
    greater_is_better : bool, default False
        Its direction.
    task : {"classification", "regression"} or None, default None
        What it is for; None for both.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.training import Metric
    >>> bias = Metric("bias", lambda y, mean, weight: float(abs(np.average(mean - y, weights=weight))))
    >>> bias.greater_is_better
    False
    """

    name: str
    function: Callable[[NDArray[Any], Array, Array | None], float]
    greater_is_better: bool = False
    task: Literal["classification", "regression"] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or self.name in ("", "loss"):
            raise InputError(f"Metric(name={self.name!r}): it must be a name other than 'loss'.")
        if not callable(self.function):
            raise InputError(
                f"Metric(function={self.function!r}): it must be callable as function(y, mean, weight)."
            )


def _sklearn() -> ModuleType:
    from sklearn import metrics  # noqa: PLC0415 (not light, and many a fit computes none)

    return metrics


def _accuracy(y: NDArray[Any], mean: Array, weight: Array | None) -> float:
    """Several labels: the share of rows whose labels are all right, as in scikit-learn."""
    of_classes = mean.shape[1] != y.shape[1]
    predicted = mean.argmax(axis=1)[:, None] if of_classes else mean > 0.5
    return float(np.average(((predicted == y) | np.isnan(y)).all(axis=1), weights=weight))


def _error(y: NDArray[Any], mean: Array, weight: Array | None) -> float:
    return 1.0 - _accuracy(y, mean, weight)


def _log_loss(y: NDArray[Any], mean: Array, weight: Array | None) -> float:
    """Return the mean of −log p; of several labels the sum over them, as the loss has it."""
    p = mean.astype(np.float64)
    if mean.shape[1] != y.shape[1]:
        p = np.take_along_axis(p, y.astype(np.intp), axis=1)
    else:
        p = np.where(np.isnan(y), 1.0, np.where(y == 1, p, 1.0 - p))
    with np.errstate(divide="ignore"):  # what was held for impossible costs infinity
        return float(np.average(-np.log(p).sum(axis=1), weights=weight))


def _auc(y: NDArray[Any], mean: Array, weight: Array | None) -> float:
    """Return the mean over classes against the rest, or over labels; NaN where all rows are on one side."""
    of_classes = mean.shape[1] != y.shape[1]
    truth = y == np.arange(mean.shape[1]) if of_classes else y
    areas = []
    for column, score in zip(truth.T, mean.T, strict=True):
        there = np.isfinite(column)
        if there.any() and np.ptp(column[there].astype(float)) > 0:
            its_weight = None if weight is None else weight[there]
            areas.append(_sklearn().roc_auc_score(column[there], score[there], sample_weight=its_weight))
    return float(np.mean(areas)) if areas else float("nan")


def _over_outputs(function: str) -> Callable[[NDArray[Any], Array, Array | None], float]:
    """Return scikit-learn's metric, the mean over the outputs of the rows that have an entry there."""

    def metric(y: NDArray[Any], mean: Array, weight: Array | None) -> float:
        of_one, there = getattr(_sklearn(), function), np.isfinite(y)
        if there.all():
            return float(of_one(y, mean, sample_weight=weight))
        values = [
            of_one(column[rows], guess[rows], sample_weight=None if weight is None else weight[rows])
            for column, guess, rows in zip(y.T, mean.T, there.T, strict=True)
            if rows.any()
        ]
        return float(np.mean(values))

    return metric


# Several outputs: the mean over them, as scikit-learn has it.
METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _accuracy, greater_is_better=True, task="classification"),
        Metric("error", _error, task="classification"),
        Metric("log_loss", _log_loss, task="classification"),
        Metric("auc", _auc, greater_is_better=True, task="classification"),
        Metric("rmse", _over_outputs("root_mean_squared_error"), task="regression"),
        Metric("mae", _over_outputs("mean_absolute_error"), task="regression"),
        Metric("r2", _over_outputs("r2_score"), greater_is_better=True, task="regression"),
    )
}


def checked_metrics(metrics: Iterable[Metric | str]) -> tuple[Metric, ...]:
    """Return the metrics, names looked up in `METRICS`; raise if one is unknown or comes twice."""
    found: dict[str, Metric] = {}
    for given in metrics:
        metric = METRICS.get(given) if isinstance(given, str) else given
        if not isinstance(metric, Metric):
            raise InputError(f"metrics has {given!r}: each must be a Metric or one of {', '.join(METRICS)}.")
        if metric.name in found:
            raise InputError(f"metrics has two of the name {metric.name!r}: give each a name of its own.")
        found[metric.name] = metric
    return tuple(found.values())
