"""Predictive distributions: what a prediction says about y, row by row."""

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from chainrule.errors import InputError
from chainrule.likelihoods.base import is_number

Array = NDArray[np.float64]


def as_numbers(what: str, given: ArrayLike) -> Array:
    """Return what was given as float64; raise InputError where it does not hold numbers."""
    try:
        values = np.asarray(given)
        if values.dtype.kind in "fiub" or (values.dtype.kind == "O" and values.ndim):
            return values.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        pass
    raise InputError(f"{what}={reprlib.repr(given)}: it must be a number, or an array of numbers.")


class Distribution(ABC):
    """The distribution of y in each row: all arrays have its ``shape``, (n,) or (n, n_outputs).

    A continuous one has ``pdf`` and ``logpdf``, a discrete one ``pmf`` and ``logpmf``; `log_density` is the
    one of the two that it has. All of them, `cdf` and `log_survival` take y that has the shape, or is
    broadcast to it; where y is missing (NaN) they are NaN, as in scipy.stats.
    """

    discrete: bool

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """(n,), or (n, n_outputs)."""

    @property
    @abstractmethod
    def mean(self) -> Array:
        """E[y]."""

    @property
    @abstractmethod
    def variance(self) -> Array:
        """Var[y]."""

    def cdf(self, y: ArrayLike) -> Array:
        """Return P(Y ≤ y)."""
        return self._cdf(self._given(y))

    def log_survival(self, y: ArrayLike) -> Array:
        """Return log P(Y > y): how likely it is that a time goes on beyond y."""
        return self._log_survival(self._given(y))

    def log_density(self, y: ArrayLike) -> Array:
        """Return the log of the density at y, or of the probability of y."""
        given = self._given(y)
        endless = np.isinf(given)  # nowhere any density, and most formulas would say ∞ − ∞
        return np.where(endless, -np.inf, self._log_density(np.where(endless, 0, given)))

    # What a distribution knows itself, for arrays y and q that have the shape.

    @abstractmethod
    def _cdf(self, y: Array) -> Array:
        """Return P(Y ≤ y)."""

    @abstractmethod
    def _log_density(self, y: Array) -> Array:
        """Return the log of the density at y, or of the probability of y."""

    def _log_survival(self, y: Array) -> Array:
        with np.errstate(divide="ignore"):  # log 0 = −inf
            return np.log1p(-self._cdf(y))

    @abstractmethod
    def _quantile(self, q: Array) -> Array:
        """Return the quantiles at these levels."""

    def quantile(self, q: ArrayLike) -> Array:
        """Return the quantiles at the levels q, at least 0 and at most 1: the shape, then that of q."""
        levels = as_numbers("q", q)
        if not ((levels >= 0) & (levels <= 1)).all():
            raise InputError(
                f"q={reprlib.repr(q)}: levels of quantiles must be at least 0 and at most 1, such as 0.9."
            )
        found = [self._quantile(np.full(self.shape, level)) for level in levels.ravel()]
        return (
            np.stack(found, axis=-1).reshape(*self.shape, *levels.shape)
            if found
            else np.empty((*self.shape, *levels.shape))
        )

    def interval(self, coverage: float) -> Array:
        """Return the lower and the upper end of the central interval: the shape, then 2."""
        if not is_number(coverage) or not 0 < coverage < 1:
            raise InputError(f"coverage={coverage!r}: it must be a number above 0 and below 1, such as 0.9.")
        return self.quantile([(1 - coverage) / 2, (1 + coverage) / 2])

    def sample(self, n: int = 1, seed: int | None = None) -> NDArray[Any]:
        """Return n draws of each: ``(n, *shape)``. The same seed gives the same draws."""
        if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 0:
            raise InputError(f"n={n!r}: the number of draws must be a whole number of at least 0.")
        try:
            rng = np.random.default_rng(seed)
        except (TypeError, ValueError):
            raise InputError(
                f"seed={seed!r}: it must be a whole number of at least 0, or None for other draws each time."
            ) from None
        return self._sample(int(n), rng)

    def _sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        levels = rng.uniform(size=(n, *self.shape))
        return np.stack([self._quantile(level) for level in levels]) if n else levels

    def _given(self, y: ArrayLike) -> Array:
        values = as_numbers("y", y)
        try:
            return np.broadcast_to(values, self.shape)
        except ValueError:
            raise InputError(
                f"y has the shape {values.shape}: it must be one number, or have the distribution's shape, "
                f"{self.shape}."
            ) from None

    def pdf(self, y: ArrayLike) -> Array:
        """Return the density at y; a discrete distribution has `pmf`."""
        return np.exp(self.logpdf(y))

    def logpdf(self, y: ArrayLike) -> Array:
        """Return the log of the density at y; a discrete distribution has `logpmf`."""
        if self.discrete:
            raise InputError("A discrete distribution has no density: ask for pmf or logpmf.")
        return self.log_density(y)

    def pmf(self, y: ArrayLike) -> Array:
        """Return the probability of y; a continuous distribution has `pdf`."""
        return np.exp(self.logpmf(y))

    def logpmf(self, y: ArrayLike) -> Array:
        """Return the log of the probability of y; a continuous distribution has `logpdf`."""
        if not self.discrete:
            raise InputError("A continuous distribution has no probabilities: ask for pdf or logpdf.")
        return self.log_density(y)


class _OfSciPy(Distribution):
    """One of scipy.stats, with an array for each of its parameters.

    Parameters
    ----------
    frozen : frozen distribution of scipy.stats
        With parameters of the shape.
    """

    # Beyond the largest float is inf, in all that SciPy computes.

    def __init__(self, frozen: Any) -> None:
        self.frozen = frozen
        self._shape = np.shape(self.mean)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def mean(self) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(self.frozen.mean(), dtype=np.float64)

    @property
    def variance(self) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(self.frozen.var(), dtype=np.float64)

    @np.errstate(over="ignore")
    def _cdf(self, y: Array) -> Array:
        return np.asarray(self.frozen.cdf(y))

    @np.errstate(over="ignore")
    def _log_survival(self, y: Array) -> Array:
        return np.asarray(self.frozen.logsf(y))

    @np.errstate(over="ignore")
    def _quantile(self, q: Array) -> Array:
        return np.asarray(self.frozen.ppf(q), dtype=np.float64)

    @np.errstate(over="ignore")
    def _sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        return np.asarray(self.frozen.rvs(size=(n, *self.shape), random_state=rng))


class Continuous(_OfSciPy):
    """A continuous distribution of scipy.stats."""

    discrete = False

    @np.errstate(over="ignore", divide="ignore")  # log 0 = −inf
    def _log_density(self, y: Array) -> Array:
        return np.asarray(self.frozen.logpdf(y))


# SciPy finds the quantiles of Poisson's distribution up to this mean; from 1e7 on some are wrong, then NaN.
LARGEST_MEAN = 1e6


class Discrete(_OfSciPy):
    """A distribution of counts of scipy.stats, from 0 on."""

    discrete = True

    @np.errstate(over="ignore", divide="ignore")  # log 0 = −inf
    def _log_density(self, y: Array) -> Array:
        return np.asarray(self.frozen.logpmf(y))

    def _quantile(self, q: Array) -> Array:
        large = (self.mean > LARGEST_MEAN) & (q > 0) & (q < 1)
        found = super()._quantile(np.where(large, 0, q))
        if large.any():
            upper = np.where(large, self.mean, 0.0)
            with np.errstate(over="ignore"):
                while (short := large & np.isfinite(upper) & (self._cdf(upper) < q)).any():
                    upper = np.where(short, 2 * upper, upper)
            found = np.where(large, whole_between(self, q, np.full(self.shape, -1.0), upper), found)
        return np.maximum(found, 0)  # SciPy says −1 where q is 0

    def _sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        if (self.mean > LARGEST_MEAN).any():  # NumPy has no draws of means beyond its integers
            return Distribution._sample(self, n, rng)
        return super()._sample(n, rng)


class ClassDistribution(Distribution):
    """The distribution of a class number 0 … C − 1.

    Parameters
    ----------
    probabilities : (n, n_classes)
        They add up to 1.
    """

    discrete = True

    def __init__(self, probabilities: ArrayLike) -> None:
        self.probabilities = np.asarray(probabilities, dtype=np.float64)
        self._cumulated = np.minimum(np.cumsum(self.probabilities, axis=1), 1)
        self._cumulated[:, -1] = 1

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.probabilities),)

    @property
    def mean(self) -> Array:
        """The mean of the class number."""
        return np.asarray(self.probabilities @ np.arange(self.probabilities.shape[1]))

    @property
    def variance(self) -> Array:
        distance = np.arange(self.probabilities.shape[1]) - self.mean[:, None]
        return np.asarray((self.probabilities * distance**2).sum(axis=1))

    def _cdf(self, y: Array) -> Array:
        missing, last = np.isnan(y), self.probabilities.shape[1] - 1
        at = np.clip(np.floor(np.where(missing, 0, y)), 0, last).astype(np.intp)
        below = np.take_along_axis(self._cumulated, at[:, None], axis=1)[:, 0]
        return np.where(missing, np.nan, np.where(y < 0, 0.0, below))

    def _log_density(self, y: Array) -> Array:
        known = (y >= 0) & (y < self.probabilities.shape[1]) & (y == np.floor(y))
        at = np.where(known, y, 0).astype(np.intp)
        probability = np.where(known, np.take_along_axis(self.probabilities, at[:, None], axis=1)[:, 0], 0)
        with np.errstate(divide="ignore"):  # log 0 = −inf
            return np.log(np.where(np.isnan(y), np.nan, probability))

    def _quantile(self, q: Array) -> Array:
        return (self._cumulated < q[:, None]).sum(axis=1).astype(np.float64)


def root_between(distribution: Distribution, q: Array, lower: Array, upper: Array) -> Array:
    """Return where a continuous distribution function passes the levels q: P(lower) < q ≤ P(upper).

    Newton's steps by the density; halves where a step leaves the bracket, or is more than half the last one.
    It ends where the function is q but for its rounding, or where no float is left between the ends.
    """
    at, last = lower + (upper - lower) / 2, upper - lower
    while True:
        gap = distribution._cdf(at) - q
        lower, upper = np.where(gap < 0, at, lower), np.where(gap < 0, upper, at)
        middle = lower + (upper - lower) / 2
        ended = (np.abs(gap) <= 8 * np.finfo(np.float64).eps * q) | (middle <= lower) | (upper <= middle)
        if ended.all():
            return at
        with np.errstate(all="ignore"):  # no density, no step
            step = gap / np.exp(distribution._log_density(at))
            newton = at - step
        sound = (lower < newton) & (newton < upper) & (np.abs(step) <= last / 2)
        new = np.where(ended, at, np.where(sound, newton, middle))
        at, last = new, np.abs(new - at)


def whole_between(distribution: Distribution, q: Array, lower: Array, upper: Array) -> Array:
    """Return the least whole number whose probability reaches the levels q: P(lower) < q ≤ P(upper)."""
    while True:
        middle = np.floor(lower + (upper - lower) / 2)
        moving = (lower < middle) & (middle < upper)
        if not moving.any():
            return upper
        enough = distribution._cdf(middle) >= q
        upper = np.where(moving & enough, middle, upper)
        lower = np.where(moving & ~enough, middle, lower)


class Mixture(Distribution):
    """A mixture: each component with its weight, such as the members of an ensemble.

    Parameters
    ----------
    components : sequence of Distribution
        At least one, all of one shape and of one kind.
    weights : sequence of float, optional
        Their shares ≥ 0; they are divided by their sum. Equal if not given.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.likelihoods.distributions import Mixture
    >>> normal = cr.likelihoods.Normal()
    >>> two = Mixture([normal.distribution(np.array([[-1.0]])), normal.distribution(np.array([[3.0]]))])
    >>> two.mean, two.variance, two.quantile(0.5).round(6)
    (array([1.]), array([5.]), array([1.]))
    """

    def __init__(self, components: Sequence[Distribution], weights: Sequence[float] | None = None) -> None:
        self.components = tuple(components)
        if not self.components:
            raise InputError("A Mixture needs at least one component.")
        if not all(isinstance(component, Distribution) for component in self.components):
            raise InputError("The components of a Mixture must be Distributions.")
        if len({(component.shape, component.discrete) for component in self.components}) > 1:
            raise InputError("The components of a Mixture must have one shape, and be all discrete or none.")
        given = np.ones(len(self.components)) if weights is None else as_numbers("weights", weights)
        right = given.shape == (len(self.components),) and np.isfinite(given).all() and (given >= 0).all()
        if not right or not given.sum() > 0:
            raise InputError("weights must hold a finite number ≥ 0 for each component, and not 0 for all.")
        self.weights = given / given.sum()
        self.discrete = self.components[0].discrete

    @property
    def shape(self) -> tuple[int, ...]:
        return self.components[0].shape

    def _average(self, values: Sequence[Array]) -> Array:
        return np.asarray(np.average(np.stack(values), axis=0, weights=self.weights))

    @property
    def mean(self) -> Array:
        return self._average([component.mean for component in self.components])

    @property
    def variance(self) -> Array:
        mean = self.mean
        with np.errstate(over="ignore", invalid="ignore"):  # beyond the largest float is inf
            parts = [component.variance + (component.mean - mean) ** 2 for component in self.components]
        return np.where(np.isfinite(mean), self._average(parts), np.inf)

    def _cdf(self, y: Array) -> Array:
        return self._average([component._cdf(y) for component in self.components])

    def _average_of_logs(self, logs: Sequence[Array]) -> Array:
        factors = self.weights.reshape(-1, *[1] * len(self.shape))
        with np.errstate(divide="ignore"):  # nowhere any density: log 0 = −inf
            return np.asarray(special.logsumexp(np.stack(logs), axis=0, b=factors))

    def _log_density(self, y: Array) -> Array:
        return self._average_of_logs([component._log_density(y) for component in self.components])

    def _log_survival(self, y: Array) -> Array:
        return self._average_of_logs([component._log_survival(y) for component in self.components])

    def _quantile(self, q: Array) -> Array:
        """Look between the components' quantiles: there the mixture's lies."""
        ends = np.stack(
            [c._quantile(q) for c, weight in zip(self.components, self.weights, strict=True) if weight > 0]
        )
        low, high = ends.min(axis=0), ends.max(axis=0)
        if self.discrete:
            low = low - 1  # P(Y ≤ low) < q ≤ P(Y ≤ high)
        finite = np.isfinite(low) & np.isfinite(high)
        lower, upper = np.where(finite, low, 0.0), np.where(finite, high, 0.0)
        if not self.discrete:
            enough = self._cdf(lower) >= q  # a jump at the lowest end, such as 0
            found = root_between(self, np.where(finite, q, self._cdf(lower)), lower, upper)
            return np.where(finite, np.where(enough, lower, found), np.where(q > 0.5, high, low))
        # an end at infinity is where q is 0 or 1, or where a mean is too large for a float
        return np.where(finite, whole_between(self, q, lower, upper), np.where(q > 0.5, high, low))

    def _sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        chosen = rng.choice(len(self.components), size=(n, *self.shape), p=self.weights)
        draws = np.stack([component._sample(n, rng) for component in self.components])
        return np.take_along_axis(draws, chosen[None], axis=0)[0]
