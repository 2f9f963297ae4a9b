"""What every likelihood states."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import InputError, rows_with

if TYPE_CHECKING:  # SciPy's distributions are heavy, and wanted for predictions only
    from chainrule.likelihoods.distributions import Distribution

Array = NDArray[np.floating[Any]]


def require_count(likelihood: "Likelihood", field: str, least: int) -> None:
    """Raise unless the field holds a whole number of at least ``least``."""
    value = getattr(likelihood, field)
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InputError(f"{likelihood!r}: {field} must be a whole number of at least {least}.")


def require_smoothing(likelihood: "Likelihood", value: object) -> None:
    """Raise unless the label smoothing is a number of at least 0 and below 1."""
    if not is_number(value) or not 0 <= value < 1:  # type: ignore[operator]  # it is a number then
        raise InputError(f"{likelihood!r}: label_smoothing must be at least 0 and below 1.")


def is_number(value: object) -> bool:
    """Whether the value is a finite number, and not a truth value."""
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )


def require_positive(likelihood: "Likelihood", field: str, *, also: tuple[str, ...] = ()) -> None:
    """Raise unless the field holds a finite number above 0, or one of the words in ``also``."""
    value = getattr(likelihood, field)
    if isinstance(value, str) and value in also:
        return
    if not is_number(value) or value <= 0:
        words = "".join(f" or {word!r}" for word in also)
        raise InputError(f"{likelihood!r}: {field} must be a finite number above 0{words}.")


class Likelihood(ABC):
    """The distribution of y given the logits s: the top layer of a network.

    A likelihood has no state but its settings, so one object serves any number of networks. A likelihood of
    your own is a subclass with `loss_and_gradient`, and with whatever of the rest is not as it stands here:
    one logit, one target column of finite numbers, the identity as its link. It trains on both engines.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> class Logistic(cr.likelihoods.Likelihood):
    ...     name = "logistic"
    ...
    ...     def loss_and_gradient(self, logits, y):
    ...         e = y - logits
    ...         return (np.logaddexp(0, e) + np.logaddexp(0, -e)).sum(axis=1), -np.tanh(e / 2)
    >>> net = cr.Network(2, likelihood=Logistic())
    >>> bool(cr.gradient_check(net, np.array([0.3, -0.2, 0.1]), [[1.0, 2.0], [0.5, -1.0]], [1.0, 0.0]))
    True
    """

    name: ClassVar[str] = "custom"
    domain: ClassVar[str] = "finite numbers"
    link: ClassVar[str] = "identity"
    dropped: ClassVar[str] = "what its author has left out"
    # Whether the top layer has a bias; not where learned numbers of the likelihood do its work.
    top_bias: ClassVar[bool] = True

    @property
    def n_logits(self) -> int:
        """d_L: how many logits a row needs."""
        return 1

    @property
    def n_columns(self) -> int:
        """How many columns the prepared target has."""
        return self.n_logits

    @property
    def n_locations(self) -> int:
        """How many logits, the first ones, an offset moves; those behind them are scales or increments."""
        return self.n_logits

    @property
    def n_scales(self) -> int:
        """How many learned numbers the likelihood has at the end of θ (N14)."""
        return 0

    def initial_scales(self) -> NDArray[np.float64]:
        """Return the learned numbers before training, (n_scales,)."""
        return np.zeros(self.n_scales)

    def settings(self) -> dict[str, Any]:
        """Return the keyword arguments that make this likelihood again."""
        return {field.name: getattr(self, field.name) for field in fields(self)} if is_dataclass(self) else {}

    def __repr__(self) -> str:
        """How it is made: its size, and what is not as it is by default."""
        default: dict[str, Any] = {name: getattr(type(self), name, None) for name in self.settings()}
        said = (
            f"{name}={value!r}"
            for name, value in self.settings().items()
            if name in {"n_outputs", "n_classes"} or value != default[name]
        )
        return f"{type(self).__name__}({', '.join(said)})"

    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        """Return, elementwise, where y lies outside the domain."""
        return ~np.isfinite(y)

    @abstractmethod
    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        """Return the loss of each row (n,) and its derivative ∂loss/∂s (n, n_logits + n_scales).

        Weights and the mean over the rows come afterwards and are the same for all (N9).

        Parameters
        ----------
        logits : (n, n_logits + n_scales)
            The logits of each row, and behind them the learned scales, the same in each row (N14).
        y : (n, n_columns)
            The target as `prepare` returned it, or the same in the dtype of the logits.

        Returns
        -------
        losses : (n,)
            In the dtype of the logits, as is the derivative.
        minus_e : (n, n_logits + n_scales)
            ∂loss/∂s, which is −e in the canonical case; behind it the derivatives by the scales.
        """

    def mean(self, logits: Array, scales: Array | None = None) -> Array:
        """Return ŷ = E[y given s], (n, n_columns), for classes their probabilities (n, n_classes).

        ``scales`` (n_scales,) are the learned numbers at the end of θ, where there are any.
        """
        del scales
        return logits[:, : self.n_columns]

    def distribution(self, logits: Array, scales: Array | None = None) -> "Distribution":
        """Return the distribution of y given the logits (n, n_logits) and the learned scales (n_scales,).

        With one target column its arrays are (n,), else (n, n_columns).
        """
        del logits, scales
        raise InputError(f"{self!r} does not say what its distribution is: define distribution().")

    def variance(self, logits: Array, scales: Array | None = None) -> Array:
        """Return Var[y given s], (n, n_columns)."""
        return self.distribution(logits, scales).variance.reshape(len(logits), -1)

    def quantile(self, q: ArrayLike, logits: Array, scales: Array | None = None) -> Array:
        """Return the quantiles of y given s at the levels q: (n,) or (n, n_columns), then the shape of q."""
        return self.distribution(logits, scales).quantile(q)

    def sample(
        self, logits: Array, scales: Array | None = None, *, n: int = 1, seed: int | None = None
    ) -> NDArray[Any]:
        """Return n draws of y given s: (n, n_rows) or (n, n_rows, n_columns)."""
        return self.distribution(logits, scales).sample(n, seed)

    def extended(self, logits: Array, scales: Array | None) -> Array:
        """Return the logits with the learned scales behind each row (N14): (n, n_logits + n_scales)."""
        if self.n_scales == 0 or logits.shape[1] == self.n_logits + self.n_scales:
            return logits
        if scales is None or scales.shape != (self.n_scales,):
            given = "none" if scales is None else scales.shape
            raise InputError(
                f"{self!r} needs its learned numbers, the end of θ: scales of the shape ({self.n_scales},), "
                f"not {given}; Network.scales gives them."
            )
        return np.column_stack([logits, np.broadcast_to(scales, (len(logits), self.n_scales))])

    def prepare(self, y: ArrayLike, n_rows: int | None = None) -> NDArray[Any]:
        """Return y as (n_rows, n_columns), or say which rows are outside the domain.

        Parameters
        ----------
        y : array_like, (n_rows,) or (n_rows, n_columns)
            The target; one-dimensional when there is one column.
        n_rows : int, optional
            How many rows X has, to be compared with.

        Raises
        ------
        InputError
            When the shape is another one, or a value is missing or outside the domain. Of several
            independent outputs some may be missing (NaN), but not all of a row.
        """
        target = np.asarray(y)
        if target.dtype.kind not in "fiub":
            raise InputError(f"The target of {self!r} must be numbers, but its dtype is {target.dtype}.")
        if target.ndim == 1:
            target = target[:, None]
        if target.ndim != 2 or target.shape[1] != self.n_columns:
            shape = "(n_rows,)" if self.n_columns == 1 else f"(n_rows, {self.n_columns})"
            raise InputError(f"The target of {self!r} must have the shape {shape}, not {np.shape(y)}.")
        if n_rows is not None and len(target) != n_rows:
            raise InputError(f"X has {n_rows} rows and y has {len(target)}: they must be as many.")
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero(self._unusable(target))
        if len(bad):
            value = target[bad[0]].tolist()
            what = f"something else, such as {value[0] if len(value) == 1 else value}"
            raise InputError(f"{self!r} needs {self.domain}; {rows_with(what, bad)}.")
        return target

    def _unusable(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which rows of y cannot be learned from."""
        return np.asarray(self.invalid(y).any(axis=1))


@dataclass(frozen=True, repr=False)
class IndependentOutputs(Likelihood):
    """A likelihood of several outputs, each with one logit of its own.

    Parameters
    ----------
    n_outputs : int, default 1
        The number of target columns, and of logits.
    """

    n_outputs: int = 1

    def __post_init__(self) -> None:
        require_count(self, "n_outputs", 1)

    @property
    def n_logits(self) -> int:
        return self.n_outputs

    @property
    def n_columns(self) -> int:
        return self.n_outputs

    @property
    def n_locations(self) -> int:
        return self.n_outputs

    def _unusable(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        missing = np.isnan(y)
        return np.asarray((self.invalid(y) & ~missing).any(axis=1) | missing.all(axis=1))


def squeezed(values: Array) -> NDArray[np.float64]:
    """Return (n, 1) as (n,), in float64: how distributions of one target column are shaped."""
    wide = np.asarray(values, dtype=np.float64)
    return wide[:, 0] if wide.shape[1] == 1 else wide


def positive(exponent: Array) -> NDArray[np.float64]:
    """Return e^exponent as distributions take their parameters: above 0 and finite, also where it is not."""
    limits = np.finfo(np.float64)
    with np.errstate(over="ignore"):
        return np.clip(np.exp(exponent.astype(np.float64)), limits.tiny, limits.max)


def exposure_offset(likelihood: Likelihood, exposure: ArrayLike, n_rows: int) -> NDArray[np.float64]:
    """Return log(exposure) as an offset (n_rows, 1) to the logits: counts over so long a time.

    Parameters
    ----------
    likelihood : Likelihood
        Its link must be the log, so that the mean is the exposure times the rate e^s.
    exposure : array_like, (n_rows,)
        Finite numbers above 0.
    n_rows : int
        How many rows there are.

    Raises
    ------
    InputError
        When the link is another one, or an exposure is missing, zero, negative or infinite: it names the
        rows.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.likelihoods.exposure_offset(cr.likelihoods.Poisson(), [1.0, 1.0], 2)
    array([[0.],
           [0.]])
    """
    if likelihood.link != "log":
        raise InputError(
            f"{likelihood!r} has no exposure, its link is {likelihood.link}: an exposure is for counts and "
            "rates, whose link is the log. Give offset= for what is added to the logits."
        )
    try:
        values = np.asarray(exposure, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"exposure must hold finite numbers above 0: {error}.") from None
    if values.shape not in {(n_rows,), (n_rows, 1)}:
        raise InputError(f"exposure must have the shape ({n_rows},), not {values.shape}.")
    values = values.reshape(n_rows, 1)
    bad = np.flatnonzero(~(np.isfinite(values[:, 0]) & (values[:, 0] > 0)))
    if len(bad):
        what = f"something else, such as {values[bad[0], 0]}"
        raise InputError(f"exposure must hold finite numbers above 0; {rows_with(what, bad)}.")
    return np.log(values)
