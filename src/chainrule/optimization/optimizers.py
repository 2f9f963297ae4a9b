"""N13: the step of descent. An optimizer is a frozen spec; its state is explicit: init and update.

The state is a tuple of arrays like θ (the velocity v of SGD; the moments m and u of Adam), changed in
place, and the number t of the step, which the caller counts from 1.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError

Array = NDArray[np.floating[Any]]


def _require(spec: object, field: str, ok: bool, allowed: str) -> None:
    if not ok:
        raise InputError(f"{type(spec).__name__}({field}={getattr(spec, field)!r}): it must be {allowed}.")


@dataclass(frozen=True)
class Optimizer(ABC):
    """How a gradient moves θ.

    Parameters
    ----------
    learning_rate : float
        η of N13. A schedule multiplies it.
    """

    learning_rate: float

    n_moments: ClassVar[int]

    def __post_init__(self) -> None:
        _require(self, "learning_rate", 0 < self.learning_rate < math.inf, "a finite number above 0")

    def init(self, theta: Array) -> tuple[Array, ...]:
        """Return the state before the first step: zeros."""
        return tuple(np.zeros_like(theta) for _ in range(self.n_moments))

    @abstractmethod
    def update(
        self,
        theta: Array,
        gradient: Array,
        state: tuple[Array, ...],
        t: int,
        learning_rate: float,
        decayed: Array,
    ) -> None:
        """Take step t (from 1): change θ and the state in place.

        Parameters
        ----------
        theta, gradient : (n_parameters,)
            θ and g = ∂loss/∂θ.
        state : tuple of arrays
            As `init` returned it, after t − 1 steps.
        t : int
            The number of this step.
        learning_rate : float
            η of this step.
        decayed : (n_parameters,), of 0 and 1
            Where decoupled weight decay acts.
        """


@final
@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent, with momentum and Nesterov's form of it (N13).

    Plain: θ ← θ − η g. Momentum: v ← μ v − η g, θ ← θ + v. Nesterov: θ ← θ + μ v − η g with the new v
    (Sutskever et al., 2013, "On the importance of initialization and momentum in deep learning").

    Parameters
    ----------
    learning_rate : float, default 0.1
        η.
    momentum : float, default 0.0
        μ, from 0 to 1; with 1 nothing is forgotten.
    nesterov : bool, default False
        Whether to look ahead.
    weight_decay : float, default 0.0
        Decoupled: each step multiplies the weights by 1 − η · weight_decay first.
    """

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    n_moments: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "momentum", 0 <= self.momentum <= 1, "from 0 to 1")
        _require(self, "weight_decay", 0 <= self.weight_decay < math.inf, "a finite number ≥ 0")

    def update(
        self,
        theta: Array,
        gradient: Array,
        state: tuple[Array, ...],
        t: int,
        learning_rate: float,
        decayed: Array,
    ) -> None:
        scalar = theta.dtype.type
        eta, mu = scalar(learning_rate), scalar(self.momentum)
        (v,) = state
        if self.weight_decay:
            theta *= 1 - scalar(learning_rate * self.weight_decay) * decayed
        v[...] = mu * v - eta * gradient  # N13
        theta += mu * v - eta * gradient if self.nesterov else v


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015), with ε where scikit-learn has it (N13).

    m ← β₁ m + (1 − β₁) g, u ← β₂ u + (1 − β₂) g², θ ← θ − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√u + ε).

    Parameters
    ----------
    learning_rate : float, default 0.001
        η.
    beta_1, beta_2 : float, default 0.9 and 0.999
        How slowly the moments forget: at least 0 and below 1.
    epsilon : float, default 1e-8
        ε, above 0.
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    n_moments: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "beta_1", 0 <= self.beta_1 < 1, "at least 0 and below 1")
        _require(self, "beta_2", 0 <= self.beta_2 < 1, "at least 0 and below 1")
        _require(self, "epsilon", 0 < self.epsilon < math.inf, "a finite number above 0")

    @property
    def decay(self) -> float:
        """The decoupled weight decay: none in Adam."""
        return 0.0

    def update(
        self,
        theta: Array,
        gradient: Array,
        state: tuple[Array, ...],
        t: int,
        learning_rate: float,
        decayed: Array,
    ) -> None:
        scalar = theta.dtype.type
        m, u = state
        if self.decay:
            theta *= 1 - scalar(learning_rate * self.decay) * decayed
        m[...] = scalar(self.beta_1) * m + scalar(1 - self.beta_1) * gradient  # N13
        u[...] = scalar(self.beta_2) * u + scalar(1 - self.beta_2) * (gradient * gradient)
        eta_t = learning_rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        theta -= scalar(eta_t) * m / (np.sqrt(u) + scalar(self.epsilon))


@final
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019).

    Each step first multiplies the weights, not the biases, by 1 − η · weight_decay.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon
        As in `Adam`.
    weight_decay : float, default 0.01
        At least 0.
    """

    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "weight_decay", 0 <= self.weight_decay < math.inf, "a finite number ≥ 0")

    @property
    def decay(self) -> float:
        return self.weight_decay


@final
@dataclass(frozen=True)
class LBFGS:
    """L-BFGS on the whole data, by SciPy (Liu & Nocedal, 1989).

    Parameters
    ----------
    max_iterations : int, default 1000
        Iterations at most.
    tolerance : float, default 1e-6
        It stops when no entry of the gradient is larger.
    memory : int, default 10
        How many past steps shape the next one.
    """

    max_iterations: int = 1000
    tolerance: float = 1e-6
    memory: int = 10

    def __post_init__(self) -> None:
        _require(self, "max_iterations", self.max_iterations >= 1, "at least 1")
        _require(self, "tolerance", self.tolerance >= 0, "at least 0")
        _require(self, "memory", self.memory >= 1, "at least 1")


def clip_by_norm(gradient: Array, max_norm: float) -> None:
    """Scale the gradient in place so that its norm is at most ``max_norm`` (Pascanu et al., 2013)."""
    norm = math.sqrt(float(np.dot(gradient.astype(np.float64), gradient)))
    if norm > max_norm:
        gradient *= gradient.dtype.type(max_norm / norm)
