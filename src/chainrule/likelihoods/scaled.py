"""N14: likelihoods of a location and a scale, where the scale is fixed, learned, or from the network."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import equations
from chainrule.likelihoods.base import Array, IndependentOutputs, require_positive


@dataclass(frozen=True, repr=False)
class ScaledOutputs(IndependentOutputs):
    """A likelihood of several outputs, each with a logit s and a log-scale t (N14).

    Where t stands is the only difference between the ways to have a scale: it is a constant, a learned
    number at the end of θ, the same in each row, or a logit of the network behind those of the locations.

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns.
    scale : float, "learned" or "network", default "learned"
        The scale itself, if it is known; one learned number for each output; or one more logit for each.
    """

    scale: float | str = "learned"

    scale_words: ClassVar[tuple[str, ...]] = ("learned", "network")

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "scale", also=self.scale_words)

    @property
    def n_logits(self) -> int:
        return self.n_outputs * (2 if self.scale == "network" else 1)

    @property
    def n_scales(self) -> int:
        return self.n_outputs if self.scale == "learned" else 0

    @property
    def fixed(self) -> bool:
        """Whether the scale is a number that is given, so that its normaliser is left out of the loss."""
        return not isinstance(self.scale, str)

    def log_scale_of(self, scale: float) -> float:
        """Return t for a scale that is given."""
        return float(np.log(scale))

    @abstractmethod
    def terms(self, s: Array, t: Array, y: Array) -> tuple[Array, Array, Array]:
        """Return, elementwise, the loss, ∂loss/∂s and ∂loss/∂t. All is in float64."""

    def parts(self, logits: Array, scales: Array | None = None) -> tuple[Array, Array]:
        """Return s and t, both (n, n_outputs)."""
        z = self.extended(logits, scales)
        s = z[:, : self.n_outputs]
        if isinstance(self.scale, str):
            return s, z[:, self.n_outputs :]
        return s, np.full_like(s, self.log_scale_of(self.scale))

    @np.errstate(all="ignore")  # beyond the largest float is inf, and so returned
    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        s, t = self.parts(logits.astype(np.float64))
        target = y.astype(np.float64)
        losses, by_s, by_t = self.terms(s, t, target)
        if not self.fixed:
            by_s, target = np.column_stack([by_s, by_t]), np.column_stack([target, target])
            losses = np.column_stack([losses, np.zeros_like(losses)])
        loss, minus_e = equations.over_outputs(losses, by_s, target)
        return loss.astype(logits.dtype), minus_e.astype(logits.dtype)

    def mean(self, logits: Array, scales: Array | None = None) -> Array:
        del scales
        locations = logits[:, : self.n_outputs]
        with np.errstate(over="ignore"):  # beyond the largest float is inf
            return np.exp(locations) if self.link == "log" else locations


def times(number: Array, factor: Array) -> Array:
    """Return the product, where 0 times infinity is 0: the number is a residual that is exactly 0."""
    return np.where(number == 0, 0, number * factor)


def times_exp(number: Array, exponent: Array) -> Array:
    """Return number · e^exponent, also where only the exponential is too large or too small for a float."""
    half = np.exp(exponent / 2)
    return times(times(number, half), half)


def softplus(s: Array) -> Array:
    """Return log(1 + e^s)."""
    return np.maximum(s, 0) + np.log1p(np.exp(-np.abs(s)))
