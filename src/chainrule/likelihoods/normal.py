"""N5: regression."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import equations
from chainrule.likelihoods.base import Array, IndependentOutputs


@final
@dataclass(frozen=True)
class Normal(IndependentOutputs):
    """y ~ Normal(s, 1), independently for each output: least squares (N5).

    Domain: finite numbers. Link: identity, ŷ = s. Loss of a row: ½|y − s|². Dropped: ½ log 2π for each
    output.

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns, and of logits.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> loss, minus_e = cr.likelihoods.Normal().loss_and_gradient(np.array([[3.0]]), np.array([[1.0]]))
    >>> float(loss[0]), float(minus_e[0, 0])
    (2.0, 2.0)
    """

    name: ClassVar[str] = "normal"
    domain: ClassVar[str] = "finite numbers"
    link: ClassVar[str] = "identity"
    dropped: ClassVar[str] = "½ log 2π for each output"

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        return ~np.isfinite(y)

    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        return equations.normal(logits, y.astype(logits.dtype, copy=False))

    def mean(self, logits: Array) -> Array:
        return logits
