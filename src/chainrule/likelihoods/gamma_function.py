"""What log Γ leaves behind in the likelihoods with a learned dispersion, without cancellation (N21, N22).

The dispersion is α = e^a, its inverse k = e^−a. A difference of two large log Γ is never taken: where k is
large, Stirling's series gives the difference itself.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

# Stirling: log Γ(x) = (x − ½) log x − x + ½ log 2π + Σ B_2j / (2j (2j − 1) x^(2j−1)), and
# ψ(x) = log x − 1/2x − Σ B_2j / (2j x^2j).
LARGE = 10.0  # from here on the first terms are enough: the next one is below 1e-16
LOG_GAMMA_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
DIGAMMA_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
HALF_LOG_2_PI = 0.9189385332046727418


def odd_series(coefficients: tuple[float, ...], x: Array) -> Array:
    """Return c_1 x + c_2 x³ + c_3 x⁵, and so on."""
    square, total = x * x, np.zeros_like(x)
    for coefficient in reversed(coefficients):
        total = total * square + coefficient
    return total * x


def gamma_normaliser(a: Array) -> tuple[Array, Array]:
    """Return G = log Γ(k) − k log k + k for k = e^−a, and ∂G/∂a."""
    from scipy.special import digamma, gammaln  # noqa: PLC0415 (a network needs NumPy alone)

    k, alpha = np.exp(-a), np.exp(np.minimum(a, 0.0))
    large = k >= LARGE
    few = np.where(large, 1.0, k)  # k, where log Γ is taken
    value = np.where(
        large,
        0.5 * a + HALF_LOG_2_PI + odd_series(LOG_GAMMA_SERIES, alpha),
        gammaln(1 + few) + a + few * a + few,
    )
    slope = np.where(large, 0.5 + odd_series(DIGAMMA_SERIES, alpha), 1 - few * digamma(1 + few) - few * a)
    return value, slope


def log_rising(y: Array, a: Array) -> tuple[Array, Array]:
    """Return D = log Γ(y + r) − log Γ(r) − y log r for r = e^−a and y ≥ 0, and r ∂D/∂r = −∂D/∂a.

    e^D is the product of 1 + j/r for j = 0 … y − 1: it tends to 1 as r grows.
    """
    from scipy.special import digamma, gammaln  # noqa: PLC0415 (as above)

    r, alpha = np.exp(-a), np.exp(np.minimum(a, 0.0))
    large = r >= LARGE
    few = np.where(large, 1.0, r)
    v = alpha * y
    ratio = np.where(v > 0, np.log1p(v) / np.where(v > 0, v, 1), 1.0) - 1  # log(1 + v)/v − 1
    beta = alpha / (1 + v)  # 1/(r + y)
    value = np.where(
        large,
        (y - 0.5) * np.log1p(v)
        + y * ratio
        + odd_series(LOG_GAMMA_SERIES, beta)
        - odd_series(LOG_GAMMA_SERIES, alpha),
        gammaln(np.where(y > 0, y, 1) + few) - gammaln(1 + few) + (y - 1) * a,
    )
    slope = np.where(
        large,
        y * ratio
        + 0.5 * v / (1 + v)
        + odd_series(DIGAMMA_SERIES, alpha)
        - odd_series(DIGAMMA_SERIES, beta) / (1 + v),
        few * (digamma(np.where(y > 0, y, 1) + few) - digamma(1 + few)) + 1 - y,
    )
    return np.where(y > 0, value, 0), np.where(y > 0, slope, 0)
