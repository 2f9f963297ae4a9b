"""The Tweedie distribution with a power between 1 and 2: a Poisson number of Gamma amounts (N23)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from chainrule.likelihoods.distributions import Array, Distribution, root_between
from chainrule.likelihoods.poisson_gamma import half_deviance, normaliser

MOST_DRAWN = 1e15  # NumPy draws whole numbers of 64 bits


class TweedieDistribution(Distribution):
    """0 with a probability of its own, and a density above it: N amounts, N ~ Poisson(λ).

    With the mean μ and the variance φ μ^p, λ = μ^(2−p)/(φ (2 − p)); each amount is Gamma with the shape
    (2 − p)/(p − 1) and the scale φ (p − 1) μ^(p−1). Sums over N leave out what is below 1e-16.
    ``logpdf`` at 0 is the log of the probability of 0.

    Parameters
    ----------
    mu, phi : (n,) or (n, n_outputs)
        μ and φ.
    power : float
        p.
    """

    discrete = False

    def __init__(self, mu: Array, phi: Array, power: float) -> None:
        self.mu, self.phi, self.power = mu, np.broadcast_to(phi, mu.shape), power
        self.rate = mu ** (2 - power) / (self.phi * (2 - power))
        self.shape_of_one = (2 - power) / (power - 1)
        self.scale_of_one = self.phi * (power - 1) * mu ** (power - 1)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.mu.shape

    @property
    def mean(self) -> Array:
        return self.mu

    @property
    def variance(self) -> Array:
        with np.errstate(over="ignore"):  # beyond the largest float is inf
            return np.asarray(self.phi * self.mu**self.power)

    def _numbers(self) -> tuple[Array, Array]:
        """Return N, (m, *shape), and the log of the probability of each, for all N > 0 that count.

        Where these are many, they are every h-th N, and each stands for h of them: a sum in equal steps is
        exact to the last digits where what is summed is smooth enough. The probabilities change over √λ
        numbers, the distribution function of N amounts over √λ or √(λ / shape), whichever is less.
        """
        many = self.rate > 100  # else the sum has an end at 0, where it is not smooth
        breadth = np.sqrt(self.rate)
        smooth = breadth / np.sqrt(max(1.0, self.shape_of_one))
        step = np.where(many, np.maximum(np.floor(smooth / 2), 1), 1)
        first = np.where(many, np.floor(np.maximum(self.rate - 10 * breadth, 1)), 1)
        most = np.where(many, 22 * breadth / step, 20 + self.rate + 10 * breadth).max(initial=0)
        k = np.arange(int(most) + 1, dtype=np.float64).reshape(-1, *[1] * len(self.shape))
        n = first + k * step
        exact = special.xlogy(n, self.rate) - self.rate - special.gammaln(n + 1)
        d = self.rate - n
        with np.errstate(all="ignore"):  # by Stirling's series, without differences of large numbers
            series = n * np.log1p(d / n) - d - 0.5 * np.log(2 * np.pi * n) - 1 / (12 * n) + 1 / (360 * n**3)
        return n, np.log(step) + np.where(many, series, exact)

    def _log_density(self, y: Array) -> Array:
        p, some = self.power, np.where(y > 0, y, 1.0)
        s, t = np.log(self.mu), np.log(self.phi)
        R, _ = normaliser((2 - p) * np.log(some) - t - np.log(2 - p), p)
        above = R - half_deviance(some, s, t, p) - np.log(some)
        at_zero = np.where(y == 0, -self.rate, np.where(np.isnan(y), np.nan, -np.inf))
        return np.where(y > 0, above, at_zero)

    @np.errstate(over="ignore")  # beyond the largest float is inf
    def _cdf(self, y: Array) -> Array:
        n, log_probability = self._numbers()
        parts = special.gammainc(n * self.shape_of_one, np.maximum(y, 0) / self.scale_of_one)
        inside = np.exp(-self.rate) + (np.exp(log_probability) * parts).sum(axis=0)
        return np.where(y < 0, 0.0, np.minimum(inside, 1.0))

    def _quantile(self, q: Array) -> Array:
        """Look between 0 and a point beyond the quantile."""
        at_zero = q <= np.exp(-self.rate)
        inside = ~at_zero & (q < 1) & np.isfinite(self.mu)
        upper = np.where(inside, self.mu, 0.0)
        with np.errstate(over="ignore"):
            while (short := inside & np.isfinite(upper) & (self._cdf(upper) < q)).any():
                upper = np.where(short, 2 * upper, upper)
        lower = np.zeros(self.shape)
        found = root_between(self, np.where(inside, q, self._cdf(lower)), lower, upper)
        return np.where(at_zero, 0.0, np.where(inside, found, np.inf))

    def _sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        if (self.rate > MOST_DRAWN).any():
            return super()._sample(n, rng)
        numbers = rng.poisson(self.rate, size=(n, *self.shape))
        amounts = rng.gamma(np.maximum(numbers, 1) * self.shape_of_one) * self.scale_of_one
        return np.where(numbers > 0, amounts, 0.0)
