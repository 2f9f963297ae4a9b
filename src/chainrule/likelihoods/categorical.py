"""N7: one of C classes."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import equations
from chainrule.likelihoods.base import Array, Likelihood, require_count


@final
@dataclass(frozen=True)
class Categorical(Likelihood):
    """P(y = c given s) = softmax(s)_c: softmax regression (N7).

    Domain: class numbers 0 … C − 1. Link: log, up to a constant. Loss of a row: −s_y + log Σ e^{s_c}.
    Dropped: nothing.

    Parameters
    ----------
    n_classes : int
        C, at least 2: the number of logits. The target is one column of class numbers.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.likelihoods.Categorical(n_classes=4).mean(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    n_classes: int

    name: ClassVar[str] = "categorical"
    domain: ClassVar[str] = "class numbers from 0 to n_classes − 1"
    link: ClassVar[str] = "log, up to a constant"
    dropped: ClassVar[str] = "nothing"

    def __post_init__(self) -> None:
        require_count(self, "n_classes", 2)

    @property
    def n_logits(self) -> int:
        return self.n_classes

    @property
    def n_columns(self) -> int:
        return 1

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        return ~((y >= 0) & (y < self.n_classes) & (y == np.floor(y)))

    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        return equations.categorical(logits, y[:, 0].astype(np.intp))

    def mean(self, logits: Array) -> Array:
        t = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(t / t.sum(axis=1, keepdims=True))
