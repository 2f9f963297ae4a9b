"""The L2 penalty: added once, outside the likelihood."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import Architecture
from chainrule.errors import InputError

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Penalty:
    """½ λ ‖w‖², summed over the weights; over the biases too when asked.

    Parameters
    ----------
    l2 : float, default 0.0
        λ, at least 0. It is added to a loss that is a mean over rows, so it does not grow with the rows.
    biases : bool, default False
        Whether the biases are penalised as well.
    of_sum : bool, default False
        Whether the penalty belongs to the sum of the rows' losses, as scikit-learn's ``alpha`` does: λ is
        then divided by the total weight of the rows whose mean the loss is.

    Examples
    --------
    >>> from chainrule.optimization import Penalty
    >>> Penalty(l2=1e-3)
    Penalty(l2=0.001, biases=False, of_sum=False)
    """

    l2: float = 0.0
    biases: bool = False
    of_sum: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.l2) and self.l2 >= 0):
            raise InputError(f"Penalty(l2={self.l2!r}): it must be a finite number ≥ 0.")

    def value_and_gradient(
        self, architecture: Architecture, theta: Array, total_weight: float = 1.0
    ) -> tuple[float, Array]:
        """Return ½ λ ‖θ‖² over what is penalised, and its gradient λ θ, zero elsewhere."""
        penalised = np.where(architecture.shrinkable(self.biases), theta, 0)
        l2 = self.l2 / total_weight if self.of_sum else self.l2
        value = 0.5 * l2 * float(np.dot(penalised.astype(np.float64), penalised))
        return value, penalised * theta.dtype.type(l2)
