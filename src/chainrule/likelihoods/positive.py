"""N22 to N24: amounts and times."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError
from chainrule.likelihoods.base import Array, Likelihood, is_number, positive, require_positive, squeezed
from chainrule.likelihoods.gamma_function import gamma_normaliser
from chainrule.likelihoods.poisson_gamma import half_deviance, normaliser
from chainrule.likelihoods.scaled import ScaledOutputs, times, times_exp

if TYPE_CHECKING:
    from chainrule.likelihoods.distributions import Distribution


@final
@dataclass(frozen=True, repr=False)
class Gamma(ScaledOutputs):
    """y ~ Gamma with mean μ = e^s and variance φ μ²: amounts whose spread grows with their mean (N22).

    Domain: finite numbers > 0. Link: log. Loss of a row, with the shape k = 1/φ: Σ k (y e^−s + s), and with a
    learned φ also − k log(k y) + log Γ(k). Dropped: log y, and where φ is given all that depends on φ and y
    alone.

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns.
    scale : float, "learned" or "network", default "learned"
        The dispersion φ, or where log φ comes from.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.likelihoods.Gamma(scale=0.5).variance(np.array([[np.log(4.0)]]))
    array([[8.]])
    """

    name: ClassVar[str] = "gamma"
    domain: ClassVar[str] = "finite numbers > 0"
    link: ClassVar[str] = "log"
    dropped: ClassVar[str] = "log y for each output; where φ is given, the terms in φ and y alone"

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        return ~((y > 0) & np.isfinite(y))

    def terms(self, s: Array, t: Array, y: Array) -> tuple[Array, Array, Array]:
        """N22: ∂loss/∂s = k (1 − y/μ); with ℓ = log(y/μ), loss = k (e^ℓ − 1 − ℓ) + G(k)."""
        k, k_ratio = np.exp(-t), times_exp(y, -s - t)  # k, and k y/μ
        log_ratio = np.log(y) - s
        by_s = np.where(np.isinf(k_ratio), times(-np.sign(log_ratio), k_ratio), k - k_ratio)
        if self.fixed:
            return k_ratio + k * s, by_s, np.zeros_like(s)
        near = np.abs(log_ratio) < 1
        excess = np.where(
            near,
            times(np.expm1(log_ratio) - log_ratio, k),
            np.where(np.isinf(k_ratio), k_ratio, k_ratio - k * (1 + log_ratio)),
        )
        value, slope = gamma_normaliser(t)
        return excess + value, by_s, slope - excess

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        from scipy import stats  # noqa: PLC0415 (heavy, and wanted for predictions only)

        from chainrule.likelihoods.distributions import Continuous  # noqa: PLC0415 (as SciPy)

        s, t = map(squeezed, self.parts(logits, scales))
        return Continuous(stats.gamma(positive(-t), scale=positive(s + t)))


@final
@dataclass(frozen=True, repr=False)
class Tweedie(ScaledOutputs):
    """Zero, or an amount: a Poisson number of Gamma amounts, of mean μ = e^s and variance φ μ^p (N23).

    Domain: finite numbers ≥ 0. Link: log. Loss of a row: Σ (μ^(2−p)/(2 − p) − y μ^(1−p)/(1 − p))/φ, and with
    a learned φ also − log of a sum over the number of amounts. Dropped: log y, and where φ is given all that
    depends on φ and y alone. Jørgensen (1987), "Exponential dispersion models"; Dunn & Smyth (2005), "Series
    evaluation of Tweedie exponential dispersion model densities".

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns.
    scale : float, "learned" or "network", default 1.0
        The dispersion φ, or where log φ comes from. A φ that is the same for all rows has no bearing on the
        mean, so it need not be learned: `TabularRegressor` measures it where it is given.
    power : float, default 1.5
        p, above 1 and below 2.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.likelihoods.Tweedie(power=1.5).variance(np.array([[np.log(4.0)]]))
    array([[8.]])
    """

    scale: float | str = 1.0
    power: float = 1.5

    name: ClassVar[str] = "tweedie"
    domain: ClassVar[str] = "finite numbers ≥ 0"
    link: ClassVar[str] = "log"
    dropped: ClassVar[str] = "log y for each output above 0; where φ is given, the terms in φ and y alone"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_number(self.power) or not 1 < self.power < 2:
            raise InputError(
                f"{self!r}: power must be above 1 and below 2; at 1 it is Poisson and at 2 it is Gamma."
            )

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        return ~((y >= 0) & np.isfinite(y))

    def terms(self, s: Array, t: Array, y: Array) -> tuple[Array, Array, Array]:
        """N23: ∂loss/∂s = (μ^(2−p) − y μ^(1−p))/φ; what the loss is more than at μ = y, and R."""
        p = float(self.power)
        up, down = np.exp((2 - p) * s - t), times_exp(y, (1 - p) * s - t)
        loss = up / (2 - p) + down / (p - 1)
        beyond = np.isinf(up) & np.isinf(down)
        by_s = np.where(beyond, times(-np.sign(np.log(y) - s), up), up - down)
        if self.fixed:
            return loss, by_s, np.zeros_like(s)
        some = np.where(y > 0, y, 1.0)
        value, slope = normaliser((2 - p) * np.log(some) - t - np.log(2 - p), p)
        excess = np.where(y > 0, half_deviance(some, s, t, p), loss)
        return excess - np.where(y > 0, value, 0), by_s, np.where(y > 0, slope, 0) - excess

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        from chainrule.likelihoods.compound import TweedieDistribution  # noqa: PLC0415 (with SciPy)

        s, t = map(squeezed, self.parts(logits, scales))
        return TweedieDistribution(positive(s), positive(t), float(self.power))


@final
@dataclass(frozen=True, repr=False)
class Weibull(Likelihood):
    """Times until an event, of which some are only known to be longer: survival (N24).

    log T = s + σ W, where W is the log of an Exponential(1) number: an accelerated failure time model.
    Domain: two columns, a time > 0, and 1 where the event came or 0 where the time is right-censored. Link:
    log: e^s is the time at which 1 − 1/e of the events have come, and ŷ = e^s Γ(1 + σ). Loss of a row, with
    w = (log y − s)/σ: e^w − event · (w − log σ). Dropped: log y for an event; log σ where σ is given.
    Kalbfleisch & Prentice (2002), "The Statistical Analysis of Failure Time Data".

    Parameters
    ----------
    scale : float, "learned" or "network", default "learned"
        σ, the inverse of the shape, or where log σ comes from.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> times_and_events = np.array([[2.0, 1], [5.0, 0]])
    >>> losses, _ = cr.likelihoods.Weibull(scale=1.0).loss_and_gradient(np.zeros((2, 1)), times_and_events)
    >>> losses.round(3)
    array([1.307, 5.   ])
    """

    scale: float | str = "learned"

    name: ClassVar[str] = "weibull"
    domain: ClassVar[str] = "two columns: a time > 0, and 1 for an event or 0 for a censored time"
    link: ClassVar[str] = "log"
    dropped: ClassVar[str] = "log y for an event; log σ where σ is given"

    def __post_init__(self) -> None:
        require_positive(self, "scale", also=("learned", "network"))

    @property
    def n_logits(self) -> int:
        return 2 if self.scale == "network" else 1

    @property
    def n_columns(self) -> int:
        return 2

    @property
    def n_locations(self) -> int:
        return 1

    @property
    def n_scales(self) -> int:
        return 1 if self.scale == "learned" else 0

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        time, event = y[:, 0], y[:, 1]
        return np.column_stack([~((time > 0) & np.isfinite(time)), ~((event == 0) | (event == 1))])

    def log_scale_of(self, scale: float) -> float:
        """Return log σ for a σ that is given."""
        return float(np.log(scale))

    def parts(self, logits: Array, scales: Array | None = None) -> tuple[Array, Array]:
        """Return s and log σ, both (n,), in float64."""
        z = self.extended(logits, scales).astype(np.float64)
        if isinstance(self.scale, str):
            return z[:, 0], z[:, 1]
        return z[:, 0], np.full(len(z), self.log_scale_of(self.scale))

    @np.errstate(all="ignore")  # beyond the largest float is inf, and so returned
    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        """N24: ∂loss/∂s = −(e^w − event)/σ, ∂loss/∂log σ = event − w (e^w − event)."""
        s, t = self.parts(logits)
        time, event = y[:, 0].astype(np.float64), y[:, 1].astype(np.float64)
        inverse = np.exp(-t)
        w = times(np.log(time) - s, inverse)
        e = np.exp(w)
        of_event = np.where(event > 0, w, 0)
        loss = np.where(np.isinf(e), e, e - of_event)
        if self.fixed:
            gradient = (-times(e - event, inverse))[:, None]
        else:
            loss = loss + event * t
            by_t = event + np.where(e > 0, of_event - times(e, w), of_event)
            by_t = np.where(np.isinf(e), -np.inf, by_t)
            gradient = np.column_stack([-times(e - event, inverse), by_t])
        return loss.astype(logits.dtype), gradient.astype(logits.dtype)

    @property
    def fixed(self) -> bool:
        """Whether σ is a number that is given, so that log σ is left out of the loss."""
        return not isinstance(self.scale, str)

    def mean(self, logits: Array, scales: Array | None = None) -> Array:
        """Return E[T given s] = e^s Γ(1 + σ), (n, 1)."""
        from scipy.special import gammaln  # noqa: PLC0415 (a network needs NumPy alone)

        s, t = self.parts(logits, scales)
        with np.errstate(over="ignore"):  # beyond the largest float is inf
            return np.exp(s + gammaln(1 + np.exp(t)))[:, None].astype(logits.dtype)

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        """Return the distribution of the time until the event, (n,)."""
        from scipy import stats  # noqa: PLC0415 (heavy, and wanted for predictions only)

        from chainrule.likelihoods.distributions import Continuous  # noqa: PLC0415 (as SciPy)

        s, t = self.parts(logits, scales)
        return Continuous(stats.weibull_min(positive(-t), scale=positive(s)))
