"""N5 and N15: regression with a normal error."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import equations
from chainrule.likelihoods.base import Array, positive, squeezed
from chainrule.likelihoods.scaled import ScaledOutputs, times

if TYPE_CHECKING:
    from chainrule.likelihoods.distributions import Distribution


@dataclass(frozen=True, repr=False)
class _NormalOutputs(ScaledOutputs):
    """y ~ Normal(s, e^t): t is the log of the variance."""

    domain: ClassVar[str] = "finite numbers"
    link: ClassVar[str] = "identity"
    dropped: ClassVar[str] = "½ log 2π for each output; log σ too where σ is given"

    def log_scale_of(self, scale: float) -> float:
        return float(2 * np.log(scale))

    def terms(self, s: Array, t: Array, y: Array) -> tuple[Array, Array, Array]:
        """N15: loss = ½ (y − s)² e^−t + ½ t, ∂loss/∂s = −(y − s) e^−t, ∂loss/∂t = ½ (1 − (y − s)² e^−t)."""
        minus_e, root = s - y, np.exp(-t / 2)
        z = times(minus_e, root)
        square = z * z
        return 0.5 * square + (0 if self.fixed else 0.5 * t), times(z, root), 0.5 * (1 - square)

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        from scipy import stats  # noqa: PLC0415 (heavy, and wanted for predictions only)

        from chainrule.likelihoods.distributions import Continuous  # noqa: PLC0415 (as SciPy)

        s, t = map(squeezed, self.parts(logits, scales))
        return Continuous(stats.norm(s, positive(t / 2)))


@final
@dataclass(frozen=True, repr=False)
class Normal(_NormalOutputs):
    """y ~ Normal(s, σ²), independently for each output: least squares (N5).

    Domain: finite numbers. Link: identity, ŷ = s. Loss of a row: ½|y − s|²/σ². Dropped: ½ log 2π for each
    output, and log σ where σ is given. A learned σ keeps it, and log σ² is what is learned (N15).

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns, and of logits.
    scale : float or "learned", default 1.0
        σ, or "learned" for one number for each output. For a σ that depends on x take `NormalWithVariance`.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> loss, minus_e = cr.likelihoods.Normal().loss_and_gradient(np.array([[3.0]]), np.array([[1.0]]))
    >>> float(loss[0]), float(minus_e[0, 0])
    (2.0, 2.0)
    """

    scale: float | str = 1.0

    name: ClassVar[str] = "normal"
    scale_words: ClassVar[tuple[str, ...]] = ("learned",)

    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        if self.scale == 1:
            return equations.normal(logits, y.astype(logits.dtype, copy=False))
        return super().loss_and_gradient(logits, y)


@final
@dataclass(frozen=True, repr=False)
class NormalWithVariance(_NormalOutputs):
    """y ~ Normal(s, e^t) with s and t both from the network: an error that depends on x (N15).

    Domain: finite numbers. Link: identity, ŷ = s. Loss of a row: Σ ½ (y − s)² e^−t + ½ t. Dropped: ½ log 2π
    for each output. Nix & Weigend (1994), "Estimating the mean and variance of the target probability
    distribution".

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns. There are twice as many logits: first every s, then every t.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> likelihood = cr.likelihoods.NormalWithVariance()
    >>> likelihood.variance(np.array([[3.0, 0.0], [3.0, np.log(4.0)]]))
    array([[1.],
           [4.]])
    """

    scale: ClassVar[str] = "network"  # type: ignore[misc]  # it is no setting here

    name: ClassVar[str] = "normal_with_variance"
