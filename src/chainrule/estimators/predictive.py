"""What a prediction says about y: its distribution, how likely what came was, and intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from chainrule.errors import InputError, require_as_many
from chainrule.estimators.calibration import checked_coverage, threshold
from chainrule.likelihoods import Likelihood, Normal, Tweedie, Weibull
from chainrule.likelihoods.compound import TweedieDistribution
from chainrule.likelihoods.distributions import Continuous, Distribution
from chainrule.network import checked_weight

Array = NDArray[np.floating[Any]]
Wide = NDArray[np.float64]


class LocationScale(Distribution):
    """The distribution of y = location + scale · z where that of z is given.

    Parameters
    ----------
    inner : Distribution
        Of z, continuous; its shape is (n,) or (n, n_outputs).
    location, scale : float or (n_outputs,)
        The scale is above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.estimators.predictive import LocationScale
    >>> from chainrule.likelihoods import Normal
    >>> LocationScale(Normal().distribution(np.zeros((1, 1))), 10.0, 3.0).variance
    array([9.])
    """

    discrete = False

    def __init__(self, inner: Distribution, location: float | Wide, scale: float | Wide) -> None:
        self.inner, self.location, self.scale = inner, location, scale

    @property
    def shape(self) -> tuple[int, ...]:
        """(n,), or (n, n_outputs)."""
        return self.inner.shape

    @property
    def mean(self) -> Wide:
        """E[y]."""
        return np.asarray(self.location + self.scale * self.inner.mean)

    @property
    def variance(self) -> Wide:
        """Var[y]."""
        return np.asarray(np.square(self.scale) * self.inner.variance)

    def _inner(self, y: Wide) -> Wide:
        return np.asarray((y - self.location) / self.scale)

    def _cdf(self, y: Wide) -> Wide:
        return self.inner._cdf(self._inner(y))

    def _log_density(self, y: Wide) -> Wide:
        return np.asarray(self.inner._log_density(self._inner(y)) - np.log(self.scale))

    def _log_survival(self, y: Wide) -> Wide:
        return self.inner._log_survival(self._inner(y))

    def _quantile(self, q: Wide) -> Wide:
        return np.asarray(self.location + self.scale * self.inner._quantile(q))

    def _sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        return np.asarray(self.location + self.scale * self.inner._sample(n, rng))


@dataclass(frozen=True, eq=False)
class KeptAside:
    """The rows that a fit kept aside, as far as intervals need them.

    Parameters
    ----------
    logits : (n_rows, n_logits)
        What the network said about them, offsets included.
    y : (n_rows, n_columns), float64
        Their targets, in the units of the person.
    weight : (n_rows,) or None
        Their weights.
    """

    logits: Array
    y: Wide
    weight: Array | None

    def suits(self, likelihood: Likelihood) -> bool:
        """Return whether these are rows of that likelihood; what a model file says is checked with it."""
        n_rows = len(self.logits)
        return (
            np.shape(self.logits) == (n_rows, likelihood.n_logits)
            and np.shape(self.y) == (n_rows, likelihood.n_columns)
            and (self.weight is None or np.shape(self.weight) == (n_rows,))
        )


# The likelihoods of a mean with a variance φ V(mean) whose φ has no bearing on the mean, and is not learned.
VARIANCES: dict[type[Likelihood], Callable[[Array, Any], Array]] = {
    Normal: lambda mean, _: np.ones_like(mean),
    Tweedie: lambda mean, it: mean**it.power,
}


def has_measured_dispersion(likelihood: Likelihood) -> bool:
    """Return whether φ is left open by the training: `Normal` with a given σ, and `Tweedie`."""
    return type(likelihood) in VARIANCES and not isinstance(getattr(likelihood, "scale"), str)  # noqa: B009 (not every likelihood has one)


def is_censored(likelihood: Likelihood) -> bool:
    """Return whether the target is a time and whether the event came then."""
    return isinstance(likelihood, Weibull)


def unit_variance(likelihood: Likelihood, mean: Array) -> Array:
    """Return V(ŷ) of the variance φ V(ŷ): 1 for `Normal`, so that φ is σ², and ŷ^p for `Tweedie`."""
    with np.errstate(over="ignore"):
        return VARIANCES[type(likelihood)](mean, likelihood)


def dispersed(likelihood: Likelihood, mean: Array, dispersion: Wide) -> Distribution:
    """Return the distribution of that mean (n_rows, n_outputs) and dispersion (n_outputs,)."""
    wide = mean.astype(np.float64)
    mu, phi = (wide[:, 0], dispersion[0]) if wide.shape[1] == 1 else (wide, dispersion)
    if isinstance(likelihood, Tweedie):
        return TweedieDistribution(mu, np.asarray(phi), float(likelihood.power))
    return Continuous(stats.norm(mu, np.sqrt(phi)))


@np.errstate(over="ignore")  # beyond the largest float is inf
def conformal_interval(
    new: Distribution, kept: Distribution, y: Wide, weight: Array | None, coverage: float
) -> Wide:
    """Return intervals around new rows that cover as often as is asked for: (n,) or (n, n_outputs), then 2.

    The central interval of each distribution is stretched, or shrunk, by one share of its width: by as much
    as it takes on the rows kept aside. Split-conformal prediction with the score
    max(lower − y, y − upper) / (upper − lower); for the normal distribution these are normalised residuals,
    for quantiles it is conformalised quantile regression. A discrete distribution has whole numbers, each as
    wide as 1, so its intervals cover somewhat more often than is asked for.

    Parameters
    ----------
    new : Distribution
        Of the rows to predict.
    kept : Distribution
        Of the rows that the fit kept aside.
    y : (n_kept,) or (n_kept, n_outputs)
        Their targets; NaN where one is missing.
    weight : (n_kept,) or None
        Their weights.
    coverage : float
        c, above 0 and below 1.

    References
    ----------
    Romano, Patterson and Candès (2019), Conformalized Quantile Regression; Sesia and Candès (2020), A
    comparison of some conformal quantile regression methods.
    """
    half = 0.5 if new.discrete else 0.0
    wide = np.asarray(y).reshape(len(y), -1)
    ends = kept.interval(coverage).reshape(*wide.shape, 2) + np.array([-half, half])
    width = np.maximum(ends[..., 1] - ends[..., 0], np.finfo(np.float64).tiny)
    scores = np.maximum(ends[..., 0] - wide, wide - ends[..., 1]) / width
    n_there = int((~np.isnan(scores)).sum(axis=0).min())
    checked_coverage(coverage, n_there)
    stretch = np.array([max(threshold(column, weight, coverage), -0.5) for column in scores.T])
    found = new.interval(coverage)
    lower, upper = found[..., 0] - half, found[..., 1] + half
    tiny = np.finfo(np.float64).tiny  # an infinite stretch of no width is infinite
    more = np.maximum(upper - lower, tiny) * (stretch[0] if lower.ndim == 1 else stretch)
    lower, upper = lower - more, upper + more
    if new.discrete:
        lower, upper = np.ceil(lower - 1e-9), np.floor(upper + 1e-9)
        upper = np.maximum(upper, lower)
    return np.stack([lower, upper], axis=-1)


def kept_interval(
    likelihood: Likelihood,
    distribution: Callable[[Array], Distribution],
    logits: Array,
    kept: KeptAside | None,
    coverage: float,
) -> Wide:
    """Return the intervals of `conformal_interval` for rows with these logits.

    Parameters
    ----------
    likelihood : Likelihood
        What is between the logits and y.
    distribution : callable
        From logits to the distribution of y.
    logits : (n_rows, n_logits)
        Of the rows to predict.
    kept : KeptAside or None
        The rows that the fit kept aside.
    coverage : float
        c.

    Raises
    ------
    InputError
        When there are too few rows kept aside, or when times are censored.
    """
    if is_censored(likelihood):
        raise InputError(
            "Nobody knows whether a censored time lies in an interval, so no coverage can be stated: "
            "predict_distribution(X).interval(coverage) is what the model says."
        )
    checked_coverage(coverage, 0 if kept is None else len(kept.y))
    assert kept is not None  # 0 rows are too few for any coverage
    new, old = distribution(logits), distribution(kept.logits)
    if new.discrete and (kept.y[np.isfinite(kept.y)] % 1 != 0).any():
        raise InputError(
            "y had numbers that are not whole, which no interval of a distribution of counts holds: fit with "
            "'gamma' or 'tweedie', which are for amounts."
        )
    ends = conformal_interval(new, old, kept.y.reshape(old.shape), kept.weight, coverage)
    return np.maximum(ends, 0.0) if likelihood.link == "log" else ends  # y is never below 0 there


def mean_nll(likelihood: Likelihood, distribution: Distribution, y: Wide, sample_weight: Any) -> float:
    """Return the weighted mean over rows of −log p(y); y is (n_rows, n_columns)."""
    require_as_many(distribution.shape[0], y)
    losses = row_nll(distribution, y, censored=is_censored(likelihood))
    weight = checked_weight(sample_weight, len(y), np.dtype(np.float64))
    return float(np.average(losses, weights=weight))


def row_nll(distribution: Distribution, y: Wide, *, censored: bool = False) -> Wide:
    """Return −log p(y) of each row (n,), summed over the outputs; a missing entry counts for nothing.

    Parameters
    ----------
    distribution : Distribution
        What was predicted.
    y : (n_rows, n_columns)
        What came, in its units.
    censored : bool, default False
        Whether the columns are a time and whether the event came then; else it is −log P(T > time).
    """
    if censored:
        time, event = y.T
        return -np.where(event > 0, distribution.log_density(time), distribution.log_survival(time))
    there = np.isfinite(y)
    parts = np.flatnonzero((there & (y != np.floor(y))).any(axis=1)) if distribution.discrete else ()
    if len(parts):
        raise InputError(
            f"y has numbers that are not whole (rows {', '.join(map(str, parts[:5]))}, from 0), which "
            "a distribution of counts gives no probability: round them, or leave these rows out."
        )
    filled = np.where(there, y, distribution.mean.reshape(y.shape))
    logs = distribution.log_density(filled.reshape(distribution.shape)).reshape(y.shape)
    return -np.where(there, logs, 0).sum(axis=1)


def weight_behind(group: NDArray[Any], key: NDArray[Any], weight: Wide) -> Wide:
    """Return for each row the weight of the rows of its group whose key is larger, (n_rows,)."""
    order = np.lexsort((key, group))
    changes = [np.diff(group[order]) != 0, np.diff(key[order]) != 0]
    total = np.cumsum(weight[order])
    last_of_group, last_of_key = (
        np.append(np.flatnonzero(change), len(order) - 1) for change in (changes[0], changes[0] | changes[1])
    )
    at = np.arange(len(order))
    behind = np.empty(len(order))
    behind[order] = (
        total[last_of_group[np.searchsorted(last_of_group, at)]]
        - total[last_of_key[np.searchsorted(last_of_key, at)]]
    )
    return behind


def pairs_behind(key: NDArray[Any], rank: NDArray[Any], weight: Wide) -> tuple[Wide, Wide]:
    """Return for each row the weight of the rows with a larger key, and of those with a larger rank too.

    Ties of the rank count one half. A rank is larger by the first bit that differs, so they are counted bit
    by bit: n log² n steps.
    """
    right = 0.5 * weight_behind(rank, key, weight)
    for bit in range(int(rank.max(initial=0)).bit_length()):
        ones = (rank >> bit) & 1
        right += np.where(ones, 0, weight_behind(rank >> (bit + 1), key, weight * ones))
    return weight_behind(np.zeros_like(key), key, weight), right


def comparable_pairs(time: Wide, event: Wide, predicted: Wide, weight: Wide) -> tuple[Wide, Wide]:
    """Return the pairs that each row is in, and those in the right order, by the weight of the other row.

    A pair counts where it is known whose event came first.
    """
    came = event > 0
    _, key = np.unique(np.column_stack([time, ~came]), axis=0, return_inverse=True)
    _, rank = np.unique(predicted, return_inverse=True)
    key = key.reshape(-1)  # NumPy 2.0 gave it another dimension
    later = pairs_behind(key, rank, weight)
    sooner = pairs_behind(-key, rank.max(initial=0) - rank, np.where(came, weight, 0))
    pairs, right = (np.where(came, a, 0) + b for a, b in zip(later, sooner, strict=True))
    return pairs, right


def concordance(time: Wide, event: Wide, predicted: Wide, weight: Array | None = None) -> float:
    """Return Harrell's C: in which share of the pairs the one with the longer predicted time lived longer.

    A pair counts where it is known whose event came first. Ties of the prediction count one half.

    Parameters
    ----------
    time, event, predicted : (n_rows,)
        The time, whether the event came then (else it was censored), and the predicted time.
    weight : (n_rows,), optional
        Weights ≥ 0; a pair counts by their product.

    Raises
    ------
    InputError
        When there is no pair of which it is known whose event came first.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.estimators.predictive import concordance
    >>> concordance(np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]), np.array([1.0, 3.0, 2.0]))
    1.0
    """
    counts = np.ones(len(time)) if weight is None else weight.astype(np.float64)
    pairs, right = comparable_pairs(time, event, predicted, counts)
    total = counts @ pairs
    if not total > 0:
        raise InputError("No pair of these rows tells whose event came first: there is nothing to score.")
    return float(counts @ right / total)
