"""The activation functions r of N2 and their derivatives r': one table, a row each.

Every row also names the initialisation that keeps the variance of the signal from layer to layer, and
the kinks: the places where r or r' is not differentiable, where a finite difference means nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Initialization = Literal["glorot", "he", "lecun"]

LEAKY_SLOPE = 0.01
# Klambauer et al. (2017), "Self-Normalizing Neural Networks": the fixed point of mean 0, variance 1.
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


@dataclass(frozen=True)
class Activation:
    """One activation function: a row of the table.

    Parameters
    ----------
    name : str
        The name by which layer specs ask for it.
    r : callable
        ``h = r(s)``, elementwise, in the dtype of ``s`` (N2).
    derivative : callable
        ``r'(s, h)``, elementwise; ``h`` is given because for some it is the cheaper way (N9).
    initialization : {"glorot", "he", "lecun"}
        The initialisation of the weights below it (see `chainrule.architecture.initialization`).
    kinks : tuple of float
        Where ``r'`` or its slope jumps.
    """

    name: str
    r: Callable[[Array], Array]
    derivative: Callable[[Array, Array], Array]
    initialization: Initialization = "glorot"
    kinks: tuple[float, ...] = ()


def sigmoid(s: Array) -> Array:
    """Return e^s / (1 + e^s) without overflow: the exponential is only taken of −|s|."""
    t = np.exp(-np.abs(s))
    return np.where(s >= 0, 1, t) / (1 + t)


def softplus(s: Array) -> Array:
    """Return log(1 + e^s) without overflow, and exact where it is tiny."""
    return np.maximum(s, 0) + np.log1p(np.exp(-np.abs(s)))


def _normal_cdf(s: Array) -> Array:
    # erfc, not 1 + erf: the tail of Φ keeps its digits. SciPy is imported when gelu is first used.
    from scipy.special import erfc  # noqa: PLC0415 (keeps `import chainrule` light)

    return np.asarray(0.5 * erfc(s * s.dtype.type(-np.sqrt(0.5))), dtype=s.dtype)


def _gelu_derivative(s: Array, h: Array) -> Array:
    return _normal_cdf(s) + s * np.exp(-0.5 * s * s) * s.dtype.type(1 / np.sqrt(2 * np.pi))


def _exponential(s: Array, alpha: float, scale: float) -> Array:
    return np.where(s > 0, s, alpha * np.expm1(np.minimum(s, 0))) * s.dtype.type(scale)


def _exponential_derivative(s: Array, alpha: float, scale: float) -> Array:
    return np.where(s > 0, 1, alpha * np.exp(np.minimum(s, 0))) * s.dtype.type(scale)


def _silu_derivative(s: Array, h: Array) -> Array:
    p = sigmoid(s)
    return p * (1 + s * sigmoid(-s))


def _mish_derivative(s: Array, h: Array) -> Array:
    t = np.tanh(softplus(s))
    return t + s * (1 - t * t) * sigmoid(s)


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("identity", lambda s: s, lambda s, h: np.ones_like(s)),
        Activation("sigmoid", sigmoid, lambda s, h: h * sigmoid(-s)),  # h (1 − h), the tail kept
        Activation("tanh", np.tanh, lambda s, h: 1 - h * h),
        Activation("relu", lambda s: np.maximum(s, 0), lambda s, h: (s > 0).astype(s.dtype), "he", (0.0,)),
        Activation(
            "leaky_relu",
            lambda s: np.where(s > 0, s, s.dtype.type(LEAKY_SLOPE) * s),
            lambda s, h: np.where(s > 0, s.dtype.type(1), s.dtype.type(LEAKY_SLOPE)),
            "he",
            (0.0,),
        ),
        Activation(
            "elu",
            lambda s: _exponential(s, 1.0, 1.0),
            lambda s, h: _exponential_derivative(s, 1.0, 1.0),
            "he",
            (0.0,),
        ),
        Activation(
            "selu",
            lambda s: _exponential(s, SELU_ALPHA, SELU_SCALE),
            lambda s, h: _exponential_derivative(s, SELU_ALPHA, SELU_SCALE),
            "lecun",
            (0.0,),
        ),
        Activation("gelu", lambda s: s * _normal_cdf(s), _gelu_derivative, "he"),
        Activation("silu", lambda s: s * sigmoid(s), _silu_derivative, "he"),
        Activation("mish", lambda s: s * np.tanh(softplus(s)), _mish_derivative, "he"),
        Activation("softplus", softplus, lambda s, h: sigmoid(s)),
    )
}
