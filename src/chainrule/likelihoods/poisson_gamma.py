"""Tweedie's density: its normaliser is a sum over the number of amounts that y is made of (N23)."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.likelihoods.scaled import times, times_exp

Array = NDArray[np.floating[Any]]

# From so many amounts on, so large a shape of their sum and such a variance of their number, the sum is as
# good as an integral, and its first four terms in 1/m are enough: what is left out is below 1e-16 of the
# whole. A term 9 σ from the largest is below 1e-17 of it. native/math.hpp has such numbers for float32.
LARGE, WIDE, SIGMAS = 100.0, 2.0, 9.0


def least_of_series(power: float) -> float:
    """Return the m from which on the series in 1/m is used."""
    return max(LARGE, LARGE * (power - 1) / (2 - power), WIDE / (power - 1))


@lru_cache(maxsize=16)
def log_weights(power: float) -> NDArray[np.float64]:
    """Return j κ log κ − log Γ(j + 1) − log Γ(κ j) for j = 1, 2, … as far as the sum needs them.

    They depend on p alone: the shape of one amount is κ = (2 − p)/(p − 1).
    """
    from scipy.special import gammaln, xlogy  # noqa: PLC0415 (a network needs NumPy alone)

    kappa, m = (2 - power) / (power - 1), least_of_series(power)
    j = np.arange(1, 10 + math.ceil(m + SIGMAS * math.sqrt(m * (power - 1))), dtype=np.float64)
    return np.asarray(xlogy(j * kappa, kappa) - gammaln(j + 1) - gammaln(kappa * j))


def series(power: float) -> tuple[float, float, float, float]:
    """Return the coefficients of 1/m, 1/m², 1/m³ and 1/m⁴ in R: Laplace's method, with Stirling's series."""
    A, k = 1 / (power - 1), (2 - power) / (power - 1)
    q = (k + 2) * (2 * k + 1) / (24 * k * A)
    third = (2 * k**2 + 11 * k + 2) * (4 * k**2 - 15 * k + 4) / (240 * k**2 * A**2)
    fourth = (36 * k**4 + 58 * k**3 - 323 * k**2 + 58 * k + 36) / (240 * k**2 * A**3)
    return -q, -q / (2 * A), q * third, q * fourth


def normaliser(a: Array, power: float) -> tuple[Array, Array]:
    """Return R = log Σ_j e^{A j a} w_j − A e^a, A = 1/(p − 1), and its derivative by a.

    e^a = m = y^(2−p)/(φ (2 − p)) is about how many amounts y is made of, and w_j are `log_weights`.

    Parameters
    ----------
    a : (n,) or of any other shape, float64
        The log of m.
    power : float
        p.
    """
    A, kappa = 1 / (power - 1), (2 - power) / (power - 1)
    with np.errstate(over="ignore"):
        m = np.exp(a)
    large = m >= least_of_series(power)
    few = np.where(large, 0.0, a)
    j = np.arange(1, 1 + len(log_weights(power)), dtype=np.float64)
    logs = np.multiply.outer(A * few, j) + log_weights(power)
    most = logs.max(axis=-1)
    terms = np.exp(logs - most[..., None])
    total = terms.sum(axis=-1)
    value = most + np.log(total) - A * np.exp(few)
    slope = A * ((terms @ j) / total - np.exp(few))
    inverse = 1 / np.where(large, m, np.inf)
    far, by_far = 0.5 * (a + math.log(kappa / (2 * math.pi * A))), np.full_like(a, 0.5)
    for n, c in enumerate(series(power), start=1):
        far = far + c * inverse**n
        by_far = by_far - n * c * inverse**n
    return np.where(large, far, value), np.where(large, by_far, slope)


@np.errstate(all="ignore")  # beyond the largest float is inf, and so returned
def half_deviance(y: Array, s: Array, t: Array, power: float) -> Array:
    """Return how much more Tweedie's loss is than at μ = y, for y > 0: nothing near 0 is a difference."""
    q, log_ratio = 2 - power, np.log(y) - s
    x = np.where(np.abs(log_ratio) < 1, log_ratio, 0.0)
    bend = np.maximum(q * (np.expm1(x) - x) - (np.expm1(q * x) - q * x), 0) / (q * (1 - q))
    near = times(bend, np.exp(q * s - t))
    loss = np.exp(q * s - t) / q + times_exp(y, (q - 1) * s - t) / (1 - q)
    least = np.exp(q * np.log(y) - t) / (q * (1 - q))
    far = np.where(np.isinf(loss), loss, loss - least)
    return np.where(np.abs(log_ratio) < 1, near, far)
