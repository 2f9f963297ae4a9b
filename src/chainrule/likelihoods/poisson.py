"""N8 with A = e^s: counts."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import equations
from chainrule.likelihoods.base import Array, IndependentOutputs


@final
@dataclass(frozen=True)
class Poisson(IndependentOutputs):
    """y ~ Poisson(e^s), independently for each output: a log-linear model (N8).

    Domain: finite numbers ≥ 0 (counts; rates are allowed, as in a quasi-likelihood). Link: log. Loss of a
    row: Σ e^s − y s. Dropped: log y! for each output.

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns, and of logits.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.likelihoods.Poisson().mean(np.array([[0.0]]))
    array([[1.]])
    """

    name: ClassVar[str] = "poisson"
    domain: ClassVar[str] = "counts: finite numbers ≥ 0"
    link: ClassVar[str] = "log"
    dropped: ClassVar[str] = "log y! for each output"

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        return ~((y >= 0) & np.isfinite(y))

    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        with np.errstate(over="ignore", invalid="ignore"):  # beyond the largest float is inf, and so returned
            return equations.poisson(logits, y.astype(logits.dtype, copy=False))

    def mean(self, logits: Array) -> Array:
        with np.errstate(over="ignore"):  # as above
            return np.exp(logits)
