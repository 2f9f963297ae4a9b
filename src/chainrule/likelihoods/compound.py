"""The Tweedie distribution with a power between 1 and 2: a Poisson number of Gamma amounts (N23)."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from chainrule.likelihoods.distributions import Array, Distribution, root_between
from chainrule.likelihoods.poisson_gamma import half_deviance, normaliser

# From this λ on the sum over N has too many terms. The Gamma distribution of the same mean and variance
# differs in the skewness, and that is small there: its cdf is right to 1e-3.
LARGE_RATE = 1e5


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
        return np.asarray(self.phi * self.mu**self.power)

    def _numbers(self) -> tuple[Array, Array]:
        """Return N, (m, 1 …), and the log of its probability, (m, *shape), for all N > 0 that count."""
        most = float(np.max(self.rate, initial=0.0, where=self.rate <= LARGE_RATE))
        n = np.arange(1, 20 + int(most + 10 * np.sqrt(most)), dtype=np.float64)
        n = n.reshape(-1, *[1] * len(self.shape))
        return n, special.xlogy(n, self.rate) - self.rate - special.gammaln(n + 1)

    def log_density(self, y: ArrayLike) -> Array:
        given, p = self._given(y), self.power
        some = np.where(given > 0, given, 1.0)
        s, t = np.log(self.mu), np.log(self.phi)
        R, _ = normaliser((2 - p) * np.log(some) - t - np.log(2 - p), p)
        above = R - half_deviance(some, s, t, p) - np.log(some)
        return np.where(given > 0, above, np.where(given == 0, -self.rate, -np.inf))

    def cdf(self, y: ArrayLike) -> Array:
        given, many = self._given(y), self.rate > LARGE_RATE
        if many.any():
            shape = self.mu ** (2 - self.power) / self.phi
            gamma = special.gammainc(shape, np.maximum(given, 0) * shape / self.mu)
            if many.all():
                return np.asarray(gamma)
        n, log_probability = self._numbers()
        parts = special.gammainc(n * self.shape_of_one, np.maximum(given, 0) / self.scale_of_one)
        inside = np.exp(-self.rate) + (np.exp(log_probability) * parts).sum(axis=0)
        found = np.where(given < 0, 0.0, np.minimum(inside, 1.0))
        return np.where(many, gamma, found) if many.any() else found

    def _quantile(self, q: Array) -> Array:
        """Look between 0 and a point beyond the quantile."""
        at_zero = q <= np.exp(-self.rate)
        inside = ~at_zero & (q < 1) & np.isfinite(self.mu)
        upper = np.where(inside, self.mu, 0.0)
        while (short := inside & (self.cdf(upper) < q)).any():
            grown = np.where(short, 2 * upper, upper)
            if (grown == upper).all() or not np.isfinite(grown).all():
                break
            upper = grown
        lower = np.zeros(self.shape)
        found = root_between(self, np.where(inside, q, self.cdf(lower)), lower, upper)
        return np.where(at_zero, 0.0, np.where(inside, found, np.inf))

    def _sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        numbers = rng.poisson(self.rate, size=(n, *self.shape))
        amounts = rng.gamma(np.maximum(numbers, 1) * self.shape_of_one) * self.scale_of_one
        return np.where(numbers > 0, amounts, 0.0)
