"""What rows that a fit kept aside say about its errors: the width of an interval, and a temperature."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from chainrule.errors import InputError
from chainrule.likelihoods import Likelihood

Array = NDArray[np.floating[Any]]

# log T ~ Normal(0, ½²) before any row is seen: a handful of rows moves T little, hundreds as they say.
TEMPERATURE_PRIOR = 0.5


def fewest_rows_for(coverage: float) -> int:
    """Return how many rows must be kept aside for an interval of that coverage to be finite.

    Of n + 1 exchangeable scores the rank ⌈(n + 1) c⌉ must be one of the first n, so n ≥ c / (1 − c).
    """
    return math.ceil(round(coverage / (1 - coverage), 9))


def threshold(scores: Array, weight: Array | None, coverage: float) -> float:
    """Return what the score of a new row does not exceed, with at least the probability ``coverage``.

    The score of rank ⌈(n + 1) c⌉ of the n rows kept aside (split-conformal prediction). Where rows have
    weights, the new row counts as much as they do on average.

    Parameters
    ----------
    scores : (n_rows,)
        How badly the model did on each row, infinite where it could not be worse; NaN where there is nothing
        to be compared with.
    weight : (n_rows,) or None
        Weights ≥ 0.
    coverage : float
        c, above 0 and below 1.

    Returns
    -------
    float
        Infinite where there are fewer than c / (1 − c) rows.

    References
    ----------
    Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a Random World, chapter 2; Lei, G'Sell,
    Rinaldo, Tibshirani and Wasserman (2018), Journal of the American Statistical Association 113.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.estimators.calibration import threshold
    >>> threshold(np.arange(1.0, 20.0), None, coverage=0.9)
    18.0
    """
    counts = np.ones(len(scores)) if weight is None else weight.astype(np.float64)
    there = ~np.isnan(scores) & (counts > 0)
    scores, counts = scores[there], counts[there]
    if not len(scores):
        return math.inf
    order = np.argsort(scores, kind="stable")
    so_far = np.cumsum(counts[order])
    needed = coverage * (so_far[-1] + counts.mean())
    place = int(np.searchsorted(so_far, needed * (1 - 1e-12)))  # 0.7 · 10 is 7, whatever the rounding
    return float(scores[order[place]]) if place < len(scores) else math.inf


def checked_coverage(coverage: float, n_rows: int) -> float:
    """Return the coverage, or raise where it is none or where the rows kept aside are too few for it."""
    if isinstance(coverage, bool) or not isinstance(coverage, int | float | np.floating):
        raise InputError(f"coverage={coverage!r} must be a number above 0 and below 1, such as 0.9.")
    if not 0 < coverage < 1:
        raise InputError(f"coverage={coverage!r} must be above 0 and below 1, such as 0.9.")
    needed = fewest_rows_for(coverage)
    if n_rows < needed:
        raise InputError(
            f"An interval with coverage={coverage} needs at least {needed} rows that the fit kept aside; "
            f"there are {n_rows}. Fit on more rows, with a larger validation_fraction or an eval_set, or ask "
            "for a smaller coverage. predict_distribution(X).interval(coverage) needs none and promises none."
        )
    return float(coverage)


class Error(NamedTuple):
    """N26: what the mean square of an error is made of, S + V / n where n members are averaged.

    Parameters
    ----------
    shared : (n_outputs,)
        S: the noise, and what all members have wrong.
    own : (n_outputs,)
        V: the variance of what one member has wrong by itself.
    """

    shared: NDArray[np.float64]
    own: NDArray[np.float64]

    def of(self, n_members: Array | float) -> Array:
        """Return S + V / n: (…, n_outputs) for n (…, 1), or (n_outputs,) for one number."""
        return np.asarray(self.shared + self.own / n_members)

    @classmethod
    def measured(
        cls, residual: Array, variance: Array, n_members: NDArray[np.float64], weight: Array | None
    ) -> "Error":
        """Return S and V by rows that were not learned from.

        Parameters
        ----------
        residual : (n_rows, n_outputs)
            y − ŷ, where ŷ is the mean of those members that have not seen the row; NaN where y is missing.
        variance : (n_rows, n_outputs)
            Of one of these members, NaN where there is one alone: V is its mean. Where no row has several, it
            is taken for 0, and one member's error for that of all.
        n_members : (n_rows,)
            How many they are.
        weight : (n_rows,) or None
            Weights of the rows.
        """
        own = mean_of_known(variance, weight)
        shared = mean_of_known(np.square(residual) - own / n_members[:, None], weight)
        return cls(np.maximum(shared, 0), own)


def mean_of_known(values: Array, weight: Array | None) -> NDArray[np.float64]:
    """Return the weighted mean of each column over its finite entries, 0 where there are none."""
    known = np.isfinite(values)
    counts = known * (1.0 if weight is None else weight.astype(np.float64)[:, None])
    total = counts.sum(axis=0)
    return np.where(known, counts * np.where(known, values, 0), 0).sum(axis=0) / np.where(total > 0, total, 1)


def fitted_temperature(likelihood: Likelihood, logits: Array, y: NDArray[Any], weight: Array | None) -> float:
    """Return the T by which logits are divided so that probabilities come true as often as they say.

    T minimises Σ loss(s / T, y) + ½ (log T / 0.5)² over the rows kept aside: the likeliest T when
    log T ~ Normal(0, ½²) beforehand. Weights count by their ratios, 1 on average.

    Parameters
    ----------
    likelihood : Bernoulli or Categorical
        What is between the logits and the classes.
    logits : (n_rows, n_logits)
        Of rows that the fit did not learn from.
    y : (n_rows, n_columns)
        Their targets, as the likelihood takes them.
    weight : (n_rows,) or None
        Weights ≥ 0 with a sum above 0.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.estimators.calibration import fitted_temperature
    >>> from chainrule.likelihoods import Bernoulli
    >>> y = np.tile([1.0, 1.0, 1.0, 0.0], 250)[:, None]  # three in four
    >>> sure = np.full((1000, 1), 2 * np.log(3))  # but nine in ten is what is said
    >>> round(fitted_temperature(Bernoulli(), sure, y, None), 2)
    1.98
    """
    wide = logits.astype(np.float64)
    counts = np.ones(len(wide)) if weight is None else weight / weight[weight > 0].mean(dtype=np.float64)

    def cost(log_t: float) -> float:
        loss, _ = likelihood.loss_and_gradient(wide / math.exp(log_t), y)
        return float(counts @ loss) + 0.5 * (log_t / TEMPERATURE_PRIOR) ** 2

    found = minimize_scalar(cost, bounds=(-5.0, 5.0), method="bounded", options={"xatol": 1e-6})
    # never worse than what there was
    return math.exp(found.x) if found.fun < cost(0.0) else 1.0
