"""Distributions of a density in pieces: Huber's (N18), and one through given quantiles (N19)."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from chainrule.likelihoods.distributions import Array, Distribution


class HuberDistribution(Distribution):
    """Huber's density: normal within δ σ of the middle, exponential beyond (N18).

    Parameters
    ----------
    location, scale : (n,) or (n, n_outputs)
        s and σ.
    delta : float
        δ.
    """

    discrete = False

    def __init__(self, location: Array, scale: Array, delta: float) -> None:
        self.location, self.scale, self.delta = location, np.broadcast_to(scale, location.shape), delta
        self._middle = math.sqrt(2 * math.pi) * math.erf(delta / math.sqrt(2))  # ∫ e^−z²/2 over [−δ, δ]
        self._tail = math.exp(-0.5 * delta**2) / delta
        self._total = self._middle + 2 * self._tail

    @property
    def shape(self) -> tuple[int, ...]:
        return self.location.shape

    @property
    def mean(self) -> Array:
        return self.location

    @property
    def variance(self) -> Array:
        d = self.delta
        middle = self._middle - 2 * d * math.exp(-0.5 * d**2)
        tail = self._tail * (d**2 + 2 + 2 / d**2)  # ∫ z² e^(δ²/2 − δ z) from δ on
        return self.scale**2 * (middle + 2 * tail) / self._total

    def _log_density(self, y: Array) -> Array:
        z = np.abs(y - self.location) / self.scale
        c = np.minimum(z, self.delta)
        return -c * (z - 0.5 * c) - np.log(self._total * self.scale)

    def _cdf(self, y: Array) -> Array:
        z = (y - self.location) / self.scale
        below = self._tail * np.exp(-self.delta * (np.maximum(np.abs(z), self.delta) - self.delta))
        inside = math.sqrt(2 * math.pi) * (special.ndtr(np.minimum(np.abs(z), self.delta)) - 0.5)
        outer = np.where(np.abs(z) > self.delta, below, 0.5 * self._total - inside) / self._total
        return np.where(z > 0, 1 - outer, outer)

    def _quantile(self, q: Array) -> Array:
        outer = np.minimum(q, 1 - q) * self._total  # the mass beyond, on the nearer side
        with np.errstate(divide="ignore"):  # at 0 and 1 it is infinite
            far = self.delta - np.log(outer / self._tail) / self.delta
        near = -special.ndtri(np.clip(0.5 - (0.5 * self._total - outer) / math.sqrt(2 * math.pi), 0, 0.5))
        z = np.where(outer < self._tail, far, near)
        return self.location + self.scale * np.where(q < 0.5, -z, z)


class QuantileDistribution(Distribution):
    """A distribution through given quantiles: even between two, exponential beyond the outermost (N19).

    The tails begin with the density that stands beside them. With one level alone there is no spread to go
    by: it is the asymmetric Laplace distribution of scale 1, whose loss is the pinball loss.

    Parameters
    ----------
    quantiles : (n, n_levels) or (n, n_outputs, n_levels)
        Rising along the last axis.
    levels : sequence of float
        Their levels τ, rising.
    """

    discrete = False

    def __init__(self, quantiles: Array, levels: Sequence[float]) -> None:
        self.quantiles, self.levels = quantiles, np.asarray(levels, dtype=np.float64)
        tau, tiny = self.levels, np.finfo(np.float64).tiny
        if len(tau) == 1:  # e^(−(1 − τ)(q − y)) below and e^(−τ (y − q)) above
            self._low = np.full(self.shape, 1 / (1 - tau[0]))
            self._high = np.full(self.shape, 1 / tau[0])
            return
        steps = np.maximum(np.diff(quantiles, axis=-1), tiny)
        self._low = tau[0] * steps[..., 0] / (tau[1] - tau[0])  # the lengths of the tails: mass / density
        self._high = (1 - tau[-1]) * steps[..., -1] / (tau[-1] - tau[-2])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.quantiles.shape[:-1]

    def _moments(self) -> tuple[Array, Array]:
        """Return E[y − m] and E[(y − m)²], m the middle quantile."""
        q = self.quantiles - self.quantiles[..., [len(self.levels) // 2]]
        mass = np.diff(self.levels)
        left, right = q[..., :-1], q[..., 1:]
        tails = ((self.levels[0], q[..., 0], -self._low), (1 - self.levels[-1], q[..., -1], self._high))
        first = (mass * (left + right) / 2).sum(axis=-1)
        second = (mass * (left**2 + left * right + right**2) / 3).sum(axis=-1)
        for weight, end, length in tails:
            first = first + weight * (end + length)
            second = second + weight * (end**2 + 2 * end * length + 2 * length**2)
        return first, second

    @property
    def mean(self) -> Array:
        return self.quantiles[..., len(self.levels) // 2] + self._moments()[0]

    @property
    def variance(self) -> Array:
        first, second = self._moments()
        return np.maximum(second - first**2, 0)

    def _log_density(self, y: Array) -> Array:
        tau, q = self.levels, self.quantiles
        below, above = q[..., 0] - y, y - q[..., -1]
        low = np.log(tau[0] / self._low) - np.maximum(below, 0) / self._low
        high = np.log((1 - tau[-1]) / self._high) - np.maximum(above, 0) / self._high
        result = np.where(below > 0, low, high)
        for j in range(len(tau) - 1):
            inside = (q[..., j] <= y) & (y <= q[..., j + 1])
            step = np.maximum(q[..., j + 1] - q[..., j], np.finfo(np.float64).tiny)
            result = np.where(inside, np.log((tau[j + 1] - tau[j]) / step), result)
        return result

    def _cdf(self, y: Array) -> Array:
        tau, q = self.levels, self.quantiles
        result = tau[0] * np.exp(-np.maximum(q[..., 0] - y, 0) / self._low)
        for j in range(len(tau) - 1):
            step = np.maximum(q[..., j + 1] - q[..., j], np.finfo(np.float64).tiny)
            part = np.clip((y - q[..., j]) / step, 0, 1)
            result = np.where(y >= q[..., j], tau[j] + (tau[j + 1] - tau[j]) * part, result)
        high = 1 - (1 - tau[-1]) * np.exp(-np.maximum(y - q[..., -1], 0) / self._high)
        return np.where(y >= q[..., -1], high, result)

    def _quantile(self, q: Array) -> Array:
        tau, ends = self.levels, self.quantiles
        with np.errstate(divide="ignore"):  # at 0 and 1 it is infinite
            result = ends[..., 0] + self._low * np.log(np.minimum(q / tau[0], 1))
            high = ends[..., -1] - self._high * np.log(np.minimum((1 - q) / (1 - tau[-1]), 1))
        for j in range(len(tau) - 1):
            part = (q - tau[j]) / (tau[j + 1] - tau[j])
            inner = ends[..., j] * (1 - part) + ends[..., j + 1] * part
            result = np.where(q >= tau[j], inner, result)
        return np.where(q >= tau[-1], high, result)
