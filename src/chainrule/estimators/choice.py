"""Which likelihood stands above a target: the one that was asked for, or the one that fits it."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from chainrule.errors import InputError
from chainrule.estimators.predictive import is_censored
from chainrule.estimators.targets import Classes, columns_of
from chainrule.likelihoods import LIKELIHOODS, Bernoulli, Categorical, Likelihood, Normal, Ordinal, Poisson
from chainrule.training import METRICS, Metric

Array = NDArray[np.floating[Any]]

# From this share of zeros on, whole numbers ≥ 0 are taken for counts: squares of errors fit them badly.
ZERO_SHARE_OF_COUNTS = 0.25
# The likelihoods of classes are those that are made with a number of classes, and that of 0 and 1.
FOR_CLASSES = {
    name
    for name, kind in LIKELIHOODS.items()
    if kind is Bernoulli or "n_classes" in kind.__dataclass_fields__  # type: ignore[attr-defined]  # they are dataclasses
}
# Under a log link y is learned in its own units, in float32. Counts are whole numbers that can be told apart,
# by a prediction in float64, and by the loss of the negative binomial, a difference of large numbers.
# Where the slopes of a loss are as small as the mean, the steps are lost.
LARGEST = {"poisson": 2.0**53, "negative_binomial": 2.0**24}
SMALLEST_MEAN = {"poisson": 1e-6, "negative_binomial": 1e-6, "tweedie": 1e-10}
LARGEST_AMOUNT, SMALLEST_AMOUNT = 1e37, 1e-37


def likelihood_of_classes(
    asked: str | Likelihood, y: NDArray[Any], order: Sequence[Any] | None
) -> tuple[Likelihood, Classes]:
    """Return the likelihood for a target of classes, and the classes.

    Parameters
    ----------
    asked : str or Likelihood
        "auto", a name or an object.
    y : (n_rows,) or (n_rows, n_labels)
        The target as `read_target` returned it.
    order : sequence or None
        The classes from the least to the greatest, where y says so.

    Raises
    ------
    InputError
        When the likelihood does not fit the target.
    """
    ordinal = asked == "ordinal" or isinstance(asked, Ordinal)
    target = Classes.of(y, order if ordinal else None)
    natural = target.likelihood()
    if ordinal and order is None and target.labels.dtype.kind not in "biuf":
        raise InputError(
            f"likelihood={asked!r} needs the order of the classes {target.labels.tolist()[:10]}: give them "
            "as numbers, or as pandas' ordered categorical or polars' Enum."
        )
    if isinstance(asked, str):
        if asked in {"auto", natural.name}:
            return natural, target
        kind = {"categorical": Categorical, "ordinal": Ordinal}.get(asked)
        if kind is not None and not target.multilabel:
            return kind(len(target.labels)), target
    elif target.suits(asked):
        return asked, target
    raise InputError(
        f"likelihood={asked!r} does not fit a target with the classes "
        f"{target.labels.tolist()[:10]}: that is {natural!r}. Use likelihood='auto'."
    )


def likelihood_of_numbers(asked: str | Likelihood, y: NDArray[Any]) -> Likelihood:
    """Return the likelihood for a numeric target.

    "auto" is Poisson for counts with many zeros, else Normal. Counts are whole numbers ≥ 0 with more than two
    values of which at least a quarter are 0.

    Parameters
    ----------
    asked : str or Likelihood
        "auto", a name or an object.
    y : (n_rows,) or (n_rows, n_columns)
        The target as `read_target` returned it; missing entries are NaN.

    Raises
    ------
    InputError
        When the likelihood does not fit the target.
    """
    columns = columns_of(y)
    n_columns = columns.shape[1]
    if asked == "auto":
        there = columns[~np.isnan(columns)]
        whole = bool((there >= 0).all() and (there == np.floor(there)).all())
        counts = whole and len(np.unique(there)) > 2 and np.mean(there == 0) >= ZERO_SHARE_OF_COUNTS
        counts = counts and there.max() <= LARGEST["poisson"]
        return Poisson(n_columns) if counts else Normal(n_columns)
    if asked in FOR_CLASSES or isinstance(asked, Bernoulli | Categorical | Ordinal):
        raise InputError(
            f"likelihood={asked!r} is for classes: use TabularClassifier, or a likelihood of numbers such as "
            "'normal' or 'poisson'."
        )
    likelihood = likelihood_named(asked, n_columns) if isinstance(asked, str) else asked
    if likelihood.n_columns != n_columns:
        raise InputError(
            f"{likelihood!r} does not fit y, which has {n_columns} column{'s' * (n_columns != 1)}: it takes "
            + (
                "two, a time and whether the event came then (1) or the time is censored (0)."
                if is_censored(likelihood)
                else f"{likelihood.n_columns}; make it with n_outputs={n_columns}."
            )
        )
    if is_censored(likelihood) and not (columns[:, 1] > 0).any():
        raise InputError(
            "y has no event: every time is censored, so the longer the predicted time, the better it fits. "
            "Give rows whose second column is 1."
        )
    if likelihood.link == "log":
        _require_size(likelihood, columns[:, : likelihood.n_locations])
    return likelihood


def likelihood_named(name: str, n_columns: int) -> Likelihood:
    """Return the likelihood of numbers of that name whose target has so many columns; some have a number."""
    kind: Any = LIKELIHOODS[name]
    made: Likelihood = kind(n_outputs=n_columns) if "n_outputs" in kind.__dataclass_fields__ else kind()
    return made


def _require_size(likelihood: Likelihood, y: NDArray[np.float64]) -> None:
    """Raise where a likelihood with a log link cannot be learned from numbers of this size."""
    name, positive = likelihood.name, y[y > 0]
    if not len(positive) or (y < 0).any():  # what is below 0 is told by the likelihood
        return
    mean, low, high = float(np.nanmean(y)), float(positive.min()), float(positive.max())
    most, least = LARGEST.get(name, LARGEST_AMOUNT), SMALLEST_MEAN.get(name, SMALLEST_AMOUNT)
    amounts = ", or take 'gamma' or 'tweedie', which are for amounts" if name in LARGEST else ""
    if high > most:
        raise InputError(
            f"likelihood={name!r} can be computed for y up to {most:.3g}, and y goes up to {high:.3g}: give "
            f"it in larger units, such as thousands{amounts}."
        )
    if mean < least or low < SMALLEST_AMOUNT:
        what = f"the mean of y is {mean:.3g}" if mean < least else f"y has {low:.3g}"
        units = (
            "the counts themselves, with what they are counted in as exposure" if amounts else "smaller units"
        )
        raise InputError(
            f"likelihood={name!r} can be computed for y with a mean from {least:.3g} on, and of 0 or from "
            f"{SMALLEST_AMOUNT:.3g} on, and {what}: give {units}{amounts}."
        )


def factors_of_classes(
    class_weight: Any, classes: NDArray[Any], y: NDArray[Any], sample_weight: Array | None
) -> NDArray[np.float64]:
    """Return a factor for each class (n_classes,): as the dict has them, or balanced; 1 for one not in y.

    Raises
    ------
    InputError
        When a factor is below 0 or not finite, all are 0, or one is for a class that there is not.
    """
    if isinstance(class_weight, dict):
        wrong = {
            label: factor
            for label, factor in class_weight.items()
            if not (isinstance(factor, Real) and 0 <= float(factor) < np.inf)
        }
        if wrong:
            raise InputError(f"class_weight has {wrong!r}: factors are finite numbers ≥ 0.")
    factors = np.ones(len(classes))
    present = np.isin(classes, y) if isinstance(class_weight, str) else np.full(len(classes), True)
    try:
        factors[present] = compute_class_weight(
            class_weight, classes=classes[present], y=y, sample_weight=sample_weight
        )
    except ValueError as error:
        raise InputError(
            f"class_weight={class_weight!r} does not fit the classes {classes.tolist()[:20]}: {error}. Give "
            "'balanced', or a dict from classes to numbers; a class that it leaves out has 1."
        ) from None
    if not factors.any():
        raise InputError(f"class_weight={class_weight!r} is 0 for every class: at least one must count.")
    return factors


def metric_of(asked: str | Metric | None, likelihood: Likelihood) -> Metric | None:
    """Return the metric that the training looks at, None for the loss.

    Raises
    ------
    InputError
        When there is no such metric, or it does not fit the target.
    """
    if asked is None:
        return None
    task = "classification" if isinstance(likelihood, Bernoulli | Categorical | Ordinal) else "regression"
    fitting = [metric for metric in METRICS.values() if metric.task == task]
    metric = asked if isinstance(asked, Metric) else METRICS.get(asked)
    if is_censored(likelihood) and metric is not asked:
        raise InputError(
            f"metric={asked!r} compares a prediction with what came, which nobody knows of a censored time: "
            "leave it None for the loss, or give a Metric of your own."
        )
    if metric is None or metric.task not in {task, None}:
        names = ", ".join(repr(metric.name) for metric in fitting)
        raise InputError(
            f"metric={asked!r} does not fit a {task}, which y is taken for ({likelihood!r}): choose {names}, "
            "None for the loss, or a Metric."
        )
    return metric
