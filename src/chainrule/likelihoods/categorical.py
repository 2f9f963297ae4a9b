"""N7: one of C classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import equations
from chainrule.errors import InputError
from chainrule.likelihoods.base import Array, Likelihood, is_number, require_count, require_smoothing

if TYPE_CHECKING:
    from chainrule.likelihoods.distributions import Distribution


@final
@dataclass(frozen=True, repr=False)
class Categorical(Likelihood):
    """P(y = c given s) = softmax(s)_c: softmax regression (N7).

    Domain: class numbers 0 … C − 1. Link: log, up to a constant. Loss of a row: −s_y + log Σ e^{s_c}.
    Dropped: nothing.

    Parameters
    ----------
    n_classes : int
        C, at least 2: the number of logits. The target is one column of class numbers.
    label_smoothing : float, default 0.0
        ε, at least 0 and below 1: the target is 1 − ε + ε/C for the class and ε/C for every other one.
        Szegedy et al. (2016), "Rethinking the Inception architecture".
    class_weight : sequence of float, optional
        A factor > 0 for the loss of the rows of each class, (n_classes,). The mean over rows still divides by
        the number of rows; give ``sample_weight`` for weights that it divides by too.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.likelihoods.Categorical(n_classes=4).mean(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    n_classes: int
    label_smoothing: float = 0.0
    class_weight: tuple[float, ...] | None = None

    name: ClassVar[str] = "categorical"
    domain: ClassVar[str] = "class numbers from 0 to n_classes − 1"
    link: ClassVar[str] = "log, up to a constant"
    dropped: ClassVar[str] = "nothing"

    def __post_init__(self) -> None:
        require_count(self, "n_classes", 2)
        require_smoothing(self, self.label_smoothing)
        if self.class_weight is None:
            return
        given = self.class_weight
        weights = list(given) if isinstance(given, Sequence | np.ndarray) else []
        if len(weights) != self.n_classes or not all(is_number(w) and w > 0 for w in weights):
            raise InputError(f"{self!r}: class_weight must hold a finite number above 0 for each class.")
        object.__setattr__(self, "class_weight", tuple(float(w) for w in weights))

    @property
    def n_logits(self) -> int:
        return self.n_classes

    @property
    def n_columns(self) -> int:
        return 1

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        return invalid_classes(y, self.n_classes)

    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        label = y[:, 0].astype(np.intp)
        losses, minus_e = equations.categorical(logits, label)
        if self.label_smoothing:
            losses, minus_e = equations.smoothed(logits, losses, minus_e, label, self.label_smoothing)
        if self.class_weight is not None:
            weight = np.asarray(self.class_weight, dtype=logits.dtype)[label]
            losses, minus_e = losses * weight, minus_e * weight[:, None]
        return losses, minus_e

    def mean(self, logits: Array, scales: Array | None = None) -> Array:
        del scales
        t = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(t / t.sum(axis=1, keepdims=True))

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        """Return the distribution of the class number, (n,)."""
        del scales
        from chainrule.likelihoods.distributions import ClassDistribution  # noqa: PLC0415 (with SciPy)

        return ClassDistribution(self.mean(logits.astype(np.float64)))


def invalid_classes(y: NDArray[Any], n_classes: int) -> NDArray[np.bool_]:
    """Return where y is no class number."""
    return np.asarray(~((y >= 0) & (y < n_classes) & (y == np.floor(y))))
