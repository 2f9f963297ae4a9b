"""N8 with A = e^s, and N21: counts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import equations
from chainrule.likelihoods.base import Array, IndependentOutputs, positive, squeezed
from chainrule.likelihoods.gamma_function import log_rising
from chainrule.likelihoods.scaled import ScaledOutputs, softplus

if TYPE_CHECKING:
    from chainrule.likelihoods.distributions import Distribution

LEAST_OVERDISPERSION = np.log(1e-6)  # of a distribution: log(α μ)


@final
@dataclass(frozen=True, repr=False)
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

    def mean(self, logits: Array, scales: Array | None = None) -> Array:
        del scales
        with np.errstate(over="ignore"):  # as above
            return np.exp(logits)

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        del scales
        from scipy import stats  # noqa: PLC0415 (heavy, and wanted for predictions only)

        from chainrule.likelihoods.distributions import Discrete  # noqa: PLC0415 (as SciPy)

        return Discrete(stats.poisson(positive(squeezed(logits))))


@final
@dataclass(frozen=True, repr=False)
class NegativeBinomial(ScaledOutputs):
    """Counts with mean μ = e^s and variance μ + α μ²: more spread out than Poisson's (N21).

    Domain: finite numbers ≥ 0. Link: log. Loss of a row, with r = 1/α: Σ (y + r) log(1 + α μ) − y s, and with
    a learned α also − log Γ(y + r) + log Γ(r) + y log r. Dropped: log y!, and where α is given all that
    depends on α and y alone. As α goes to 0 it becomes Poisson. Hilbe (2011), "Negative Binomial Regression"
    (NB2).

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns.
    scale : float, "learned" or "network", default "learned"
        The dispersion α, or where log α comes from.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.likelihoods.NegativeBinomial(scale=0.5).variance(np.array([[np.log(4.0)]]))
    array([[12.]])
    """

    name: ClassVar[str] = "negative_binomial"
    domain: ClassVar[str] = "counts: finite numbers ≥ 0"
    link: ClassVar[str] = "log"
    dropped: ClassVar[str] = "log y! for each output; where α is given, the terms in α and y alone"

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        return ~((y >= 0) & np.isfinite(y))

    def terms(self, s: Array, t: Array, y: Array) -> tuple[Array, Array, Array]:
        """N21, with u = s + t, the log of α μ: r times what vanishes like e^u is μ times the rest."""
        u = s + t
        less = u <= 0
        e = np.exp(np.minimum(u, 0))  # α μ, where it is small
        mu, r = np.exp(s), np.exp(-t)
        plus = softplus(u)
        ratio = np.where(e > 0, np.log1p(e) / np.where(e > 0, e, 1), 1.0)  # log(1 + e)/e
        p, q = np.where(less, e, 1) / (1 + np.exp(-np.abs(u))), np.where(less, 1, np.exp(-np.abs(u)))
        q = q / (1 + np.exp(-np.abs(u)))  # p = sigmoid(u), q = sigmoid(−u)
        r_plus = np.where(less, mu * ratio, r * plus)
        by_s = np.where(less, mu * q, r * p) - y * q
        difference = np.where(  # r (p − log(1 + α μ))
            less, np.where(u < -36, -0.5 * np.exp(s + u), mu * (q - ratio)), r * (p - plus)
        )
        value, slope = (0.0, 0.0) if self.fixed else log_rising(y, t)
        loss = r_plus + y * (np.where(less, plus - s, (plus - u) + t)) - value
        return loss, by_s, difference + y * p + slope

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        from scipy import stats  # noqa: PLC0415 (heavy, and wanted for predictions only)

        from chainrule.likelihoods.distributions import Discrete  # noqa: PLC0415 (as SciPy)

        s, t = map(squeezed, self.parts(logits, scales))
        # SciPy takes 1/(1 + α μ), in which a small α μ is rounded away and the mean with it: below that it is
        # Poisson to six digits
        u = np.maximum(s + t, LEAST_OVERDISPERSION)
        return Discrete(stats.nbinom(positive(s - u), 1 / (1 + positive(u))))
