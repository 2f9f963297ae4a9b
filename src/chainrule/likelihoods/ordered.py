"""N19 and N20: quantiles that never cross, and classes in an order. Both add up positive steps."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture.activations import sigmoid
from chainrule.errors import InputError
from chainrule.likelihoods.base import Array, IndependentOutputs, Likelihood, is_number, require_count
from chainrule.likelihoods.categorical import invalid_classes
from chainrule.likelihoods.scaled import softplus

if TYPE_CHECKING:
    from chainrule.likelihoods.distributions import Distribution


def rising(values: Array) -> Array:
    """Return v_1, v_1 + softplus(v_2), v_1 + softplus(v_2) + softplus(v_3), … along the last axis."""
    return np.cumsum(np.concatenate([values[..., :1], softplus(values[..., 1:])], axis=-1), axis=-1)


def through_rising(values: Array, slopes: Array) -> Array:
    """Return ∂loss/∂v from ∂loss/∂rising(v): each step moves all that stand above it."""
    above = np.cumsum(slopes[..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([above[..., :1], above[..., 1:] * sigmoid(values[..., 1:])], axis=-1)


@final
@dataclass(frozen=True, repr=False)
class Quantile(IndependentOutputs):
    """Quantiles of y at several levels, which never cross: quantile regression (N19).

    The first logit of an output is its lowest quantile; softplus of each further logit is the step up to the
    next. Domain: finite numbers. Link: identity. Loss of a row: Σ (τ − [y < q]) (y − q) over the levels τ and
    the outputs. Dropped: −log τ(1 − τ) of the asymmetric Laplace density. Koenker & Bassett (1978),
    "Regression quantiles".

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns. There are so many logits for each level: first the lowest quantile of
        every output, then the steps of the first output, of the second, and so on.
    levels : sequence of float, default (0.1, 0.5, 0.9)
        τ, above 0 and below 1, rising.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> likelihood = cr.likelihoods.Quantile(levels=(0.25, 0.75))
    >>> likelihood.quantiles(np.array([[2.0, 0.0]])).round(3)
    array([[[2.   , 2.693]]])
    """

    levels: tuple[float, ...] = (0.1, 0.5, 0.9)

    name: ClassVar[str] = "quantile"
    domain: ClassVar[str] = "finite numbers"
    link: ClassVar[str] = "identity"
    dropped: ClassVar[str] = "−log τ(1 − τ) for each level"

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = list(np.atleast_1d(self.levels))
        rises = all(is_number(level) and 0 < level < 1 for level in levels) and levels == sorted(set(levels))
        if not levels or not rises:
            raise InputError(f"{self!r}: levels must be above 0, below 1, and rising.")
        object.__setattr__(self, "levels", tuple(float(level) for level in levels))

    @property
    def n_logits(self) -> int:
        return self.n_outputs * len(self.levels)

    def _values(self, logits: Array) -> Array:
        """Return the logits as (n, n_outputs, n_levels): the lowest quantile and the steps."""
        k, steps = self.n_outputs, len(self.levels) - 1
        return np.concatenate([logits[:, :k, None], logits[:, k:].reshape(len(logits), k, steps)], axis=2)

    def quantiles(self, logits: Array) -> Array:
        """Return the quantiles at the levels, (n, n_outputs, n_levels)."""
        return rising(self._values(logits))

    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        """N19: ∂loss/∂q = [y < q] − τ; at y = q, a kink, it is −τ."""
        values, target = self._values(logits), y.astype(logits.dtype, copy=False)
        tau = np.asarray(self.levels, dtype=logits.dtype)
        above = target[:, :, None] - rising(values)
        losses = np.where(above < 0, (tau - 1) * above, tau * above).sum(axis=2)
        slopes = through_rising(values, np.where(above < 0, 1 - tau, -tau).astype(logits.dtype))
        missing = np.isnan(target)
        losses, slopes = np.where(missing, 0, losses), np.where(missing[:, :, None], 0, slopes)
        return losses.sum(axis=1), np.concatenate(
            [slopes[:, :, 0], slopes[:, :, 1:].reshape(len(logits), -1)], axis=1
        )

    def mean(self, logits: Array, scales: Array | None = None) -> Array:
        """Return the mean of the distribution that goes through the quantiles, (n, n_outputs)."""
        mean = self.distribution(logits, scales).mean
        return mean.reshape(len(logits), -1).astype(logits.dtype)

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        """Return a distribution with these quantiles: even between two of them, exponential in the tails."""
        del scales
        from chainrule.likelihoods.piecewise import QuantileDistribution  # noqa: PLC0415 (with SciPy)

        quantiles = self.quantiles(logits.astype(np.float64))
        return QuantileDistribution(
            np.asarray(quantiles[:, 0] if self.n_outputs == 1 else quantiles, dtype=np.float64), self.levels
        )


@final
@dataclass(frozen=True, repr=False)
class Ordinal(Likelihood):
    """Classes in an order: P(y ≤ j given s) = sigmoid(c_j − s) with learned thresholds c_1 < c_2 < … (N20).

    Domain: class numbers 0 … C − 1. Link: cumulative logit. Loss of a row: −log P(y). Dropped: nothing. The
    C − 1 thresholds are learned numbers at the end of θ: the first one, and softplus of each other is the
    step up to the next, so they are in order whatever is learned. They do the work of a bias, so the top
    layer has none. McCullagh (1980), "Regression models for ordinal data".

    Parameters
    ----------
    n_classes : int
        C, at least 2.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> likelihood = cr.likelihoods.Ordinal(n_classes=4)
    >>> likelihood.mean(np.zeros((1, 1)), likelihood.initial_scales()).round(3)
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    n_classes: int

    name: ClassVar[str] = "ordinal"
    domain: ClassVar[str] = "class numbers from 0 to n_classes − 1"
    link: ClassVar[str] = "cumulative logit"
    dropped: ClassVar[str] = "nothing"
    top_bias: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_count(self, "n_classes", 2)

    @property
    def n_logits(self) -> int:
        return 1

    @property
    def n_scales(self) -> int:
        return self.n_classes - 1

    def initial_scales(self) -> NDArray[np.float64]:
        """Return the numbers with which every class is as likely at s = 0."""
        share = np.arange(1, self.n_classes) / self.n_classes
        thresholds = np.log(share / (1 - share))
        return np.concatenate([thresholds[:1], np.log(np.expm1(np.diff(thresholds)))])

    def thresholds(self, scales: Array) -> Array:
        """Return c_1 < c_2 < … from the learned numbers (n_scales,)."""
        return rising(scales)

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        return invalid_classes(y, self.n_classes)

    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        """N20: a and b are the thresholds below and above y, less s, and g the number between them."""
        s, numbers, label = logits[:, :1], logits[:, 1:], y[:, 0].astype(np.intp)
        rows = np.arange(len(label))
        distance = rising(numbers) - s
        lower, upper = label > 0, label < self.n_classes - 1
        at_a, at_b = np.maximum(label - 1, 0), np.minimum(label, self.n_classes - 2)
        a, b, g = distance[rows, at_a], distance[rows, at_b], numbers[rows, at_b]
        losses = (
            np.where(upper, softplus(-b), 0)
            + np.where(lower, softplus(a), 0)
            + np.where(lower & upper, softplus(-g), 0)
        )
        by_b, by_a = np.where(upper, -sigmoid(-b), 0), np.where(lower, sigmoid(a), 0)
        slopes = np.zeros_like(numbers)
        slopes[rows, at_b] += by_b
        slopes[rows, at_a] += by_a
        by_numbers = through_rising(numbers, slopes)
        by_numbers[rows, at_b] -= np.where(lower & upper, sigmoid(-g), 0)
        return losses, np.column_stack([-(by_a + by_b), by_numbers])

    def mean(self, logits: Array, scales: Array | None = None) -> Array:
        """Return P(y = c given s), (n, n_classes)."""
        z = self.extended(logits, scales)
        ends = rising(z[:, 1:]) - z[:, :1]
        # P = sigmoid(b) sigmoid(−a) sigmoid(g): a product, where a difference would lose small ones
        p = np.ones((len(z), self.n_classes), dtype=z.dtype)
        p[:, :-1] *= sigmoid(ends)
        p[:, 1:] *= sigmoid(-ends)
        p[:, 1:-1] *= sigmoid(z[:, 2:])
        return p

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        """Return the distribution of the class number, (n,)."""
        from chainrule.likelihoods.distributions import ClassDistribution  # noqa: PLC0415 (with SciPy)

        return ClassDistribution(self.mean(self.extended(logits, scales).astype(np.float64)))
