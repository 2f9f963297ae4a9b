"""N6: two classes, or several labels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import equations
from chainrule.architecture.activations import sigmoid
from chainrule.likelihoods.base import Array, IndependentOutputs, require_smoothing, squeezed

if TYPE_CHECKING:
    from chainrule.likelihoods.distributions import Distribution


@final
@dataclass(frozen=True, repr=False)
class Bernoulli(IndependentOutputs):
    """y ~ Bernoulli(sigmoid(s)), independently for each label: logistic regression (N6).

    Domain: 0 or 1 (or a probability between, whose loss is the cross-entropy). Link: logit. Loss of a
    row: Σ −(y s − log(1 + e^s)) over the labels. Dropped: nothing.

    Parameters
    ----------
    n_outputs : int, default 1
        The number of labels: columns of the target, and logits.
    label_smoothing : float, default 0.0
        ε, at least 0 and below 1: the target is 1 − ε/2 for 1 and ε/2 for 0, as `Categorical` has it for two
        classes.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.likelihoods.Bernoulli().mean(np.array([[0.0]]))
    array([[0.5]])
    """

    label_smoothing: float = 0.0

    name: ClassVar[str] = "bernoulli"
    domain: ClassVar[str] = "0 or 1 (or a probability between them)"
    link: ClassVar[str] = "logit"
    dropped: ClassVar[str] = "nothing"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_smoothing(self, self.label_smoothing)

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        return ~((y >= 0) & (y <= 1))

    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        y = y.astype(logits.dtype, copy=False)
        return equations.bernoulli(logits, y + logits.dtype.type(self.label_smoothing) * (0.5 - y))

    def mean(self, logits: Array, scales: Array | None = None) -> Array:
        del scales
        return sigmoid(logits)

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        del scales
        from scipy import stats  # noqa: PLC0415 (heavy, and wanted for predictions only)

        from chainrule.likelihoods.distributions import Discrete  # noqa: PLC0415 (as SciPy)

        return Discrete(stats.bernoulli(squeezed(sigmoid(logits.astype(np.float64)))))
