"""What is looked at beside the loss."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

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
    return float(np.average((predicted == y).all(axis=1), weights=weight))


def _error(y: NDArray[Any], mean: Array, weight: Array | None) -> float:
    return 1.0 - _accuracy(y, mean, weight)


def _rmse(y: NDArray[Any], mean: Array, weight: Array | None) -> float:
    return float(_sklearn().root_mean_squared_error(y, mean, sample_weight=weight))


def _mae(y: NDArray[Any], mean: Array, weight: Array | None) -> float:
    return float(_sklearn().mean_absolute_error(y, mean, sample_weight=weight))


def _r2(y: NDArray[Any], mean: Array, weight: Array | None) -> float:
    return float(_sklearn().r2_score(y, mean, sample_weight=weight))


# Several outputs: the mean over them, as scikit-learn has it.
METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _accuracy, greater_is_better=True),
        Metric("error", _error),
        Metric("rmse", _rmse),
        Metric("mae", _mae),
        Metric("r2", _r2, greater_is_better=True),
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
