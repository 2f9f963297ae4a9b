"""N16 to N18: regression whose error has heavy tails."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from chainrule.likelihoods.base import Array, positive, require_positive, squeezed
from chainrule.likelihoods.scaled import ScaledOutputs, times

if TYPE_CHECKING:
    from chainrule.likelihoods.distributions import Distribution


@final
@dataclass(frozen=True, repr=False)
class StudentT(ScaledOutputs):
    """(y − s)/σ ~ t with ν degrees of freedom: outliers pull the less, the further out they are (N16).

    Domain: finite numbers. Link: identity, ŷ = s (for ν ≤ 1 the median, as there is no mean). Loss of a row:
    Σ ½ (ν + 1) log(1 + (y − s)²/(ν σ²)) + log σ. Dropped: log σ where σ is given, and the constant in ν.
    Lange, Little & Taylor (1989), "Robust statistical modeling using the t distribution".

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns.
    scale : float, "learned" or "network", default "learned"
        σ, or where log σ comes from.
    degrees_of_freedom : float, default 4.0
        ν, above 0.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> likelihood = cr.likelihoods.StudentT(scale=1.0)
    >>> _, pull = likelihood.loss_and_gradient(np.zeros((3, 1)), np.array([[-1.0], [-2.0], [-100.0]]))
    >>> pull.ravel().round(2)
    array([1.  , 1.25, 0.05])
    """

    degrees_of_freedom: float = 4.0

    name: ClassVar[str] = "student_t"
    domain: ClassVar[str] = "finite numbers"
    link: ClassVar[str] = "identity"
    dropped: ClassVar[str] = "½ log πν + log Γ(½ν) − log Γ(½(ν + 1)) for each output; log σ where σ is given"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "degrees_of_freedom")

    def terms(self, s: Array, t: Array, y: Array) -> tuple[Array, Array, Array]:
        """N16, with x = (y − s)²/(ν σ²) and q = x/(1 + x); where x is too large for a float, by its log."""
        nu = float(self.degrees_of_freedom)
        d = s - y
        z = times(d, np.exp(-t))
        x = z * z / nu
        log_x = 2 * (np.log(np.abs(d)) - t) - np.log(nu)
        log1p_x = np.where(x < 1e100, np.log1p(x), log_x)
        q = np.where(x < 1, x / (1 + x), 1 / (1 + 1 / x))
        by_s = (nu + 1) * np.where(x < 1, times(z, np.exp(-t)) / nu / (1 + x), q / d)
        loss = 0.5 * (nu + 1) * log1p_x + (0 if self.fixed else t)
        return loss, by_s, 1 - (nu + 1) * q

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        from scipy import stats  # noqa: PLC0415 (heavy, and wanted for predictions only)

        from chainrule.likelihoods.distributions import Continuous  # noqa: PLC0415 (as SciPy)

        s, t = map(squeezed, self.parts(logits, scales))
        return Continuous(stats.t(float(self.degrees_of_freedom), s, positive(t)))


@final
@dataclass(frozen=True, repr=False)
class Laplace(ScaledOutputs):
    """y ~ Laplace(s, b): least absolute deviations, and s is the median (N17).

    Domain: finite numbers. Link: identity, ŷ = s. Loss of a row: ``Σ |y − s|/b + log b``. Dropped: log 2
    for each output; log b where b is given.

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns.
    scale : float, "learned" or "network", default "learned"
        b, or where log b comes from.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> loss, _ = cr.likelihoods.Laplace(scale=1.0).loss_and_gradient(np.array([[3.0]]), np.array([[1.0]]))
    >>> float(loss[0])
    2.0
    """

    name: ClassVar[str] = "laplace"
    domain: ClassVar[str] = "finite numbers"
    link: ClassVar[str] = "identity"
    dropped: ClassVar[str] = "log 2 for each output; log b where b is given"

    def terms(self, s: Array, t: Array, y: Array) -> tuple[Array, Array, Array]:
        """N17: ``loss = |y − s| e^−t + t``; ∂loss/∂s = ± e^−t, which at y = s is 0."""
        d, inverse = s - y, np.exp(-t)
        size = np.abs(times(d, inverse))
        return size + (0 if self.fixed else t), times(np.sign(d), inverse), 1 - size

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        from scipy import stats  # noqa: PLC0415 (heavy, and wanted for predictions only)

        from chainrule.likelihoods.distributions import Continuous  # noqa: PLC0415 (as SciPy)

        s, t = map(squeezed, self.parts(logits, scales))
        return Continuous(stats.laplace(s, positive(t)))


@final
@dataclass(frozen=True, repr=False)
class Huber(ScaledOutputs):
    """Huber's density: normal in the middle, exponential in the tails (N18).

    With z = (y − s)/σ the loss of an output is ½ z² for ``|z| ≤ δ`` and ``δ (|z| − ½ δ)`` beyond, plus log σ.
    Domain: finite numbers. Link: identity, ŷ = s. Dropped: the constant in δ; log σ where σ is given.
    Huber (1964), "Robust estimation of a location parameter".

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns.
    scale : float, "learned" or "network", default "learned"
        σ, or where log σ comes from.
    delta : float, default 1.345
        δ: where the tails begin, in σ. At 1.345 a fit to normal errors is 95% as efficient as least squares.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> likelihood = cr.likelihoods.Huber(scale=1.0, delta=1.0)
    >>> losses, _ = likelihood.loss_and_gradient(np.array([[0.0], [0.0]]), np.array([[1.0], [10.0]]))
    >>> losses
    array([0.5, 9.5])
    """

    delta: float = 1.345

    name: ClassVar[str] = "huber"
    domain: ClassVar[str] = "finite numbers"
    link: ClassVar[str] = "identity"
    dropped: ClassVar[str] = "a constant in δ for each output; log σ where σ is given"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "delta")

    def terms(self, s: Array, t: Array, y: Array) -> tuple[Array, Array, Array]:
        """N18: with c = z cut off at ±δ, loss = c (z − ½ c) + t, ∂loss/∂s = c e^−t, ∂loss/∂t = 1 − c z."""
        inverse = np.exp(-t)
        z = times(s - y, inverse)
        c = np.clip(z, -self.delta, self.delta)
        return times(c, z - 0.5 * c) + (0 if self.fixed else t), times(c, inverse), 1 - times(c, z)

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        from chainrule.likelihoods.piecewise import HuberDistribution  # noqa: PLC0415 (with SciPy)

        s, t = map(squeezed, self.parts(logits, scales))
        return HuberDistribution(s, positive(t), float(self.delta))
