"""What every likelihood states."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import InputError

Array = NDArray[np.floating[Any]]


def require_count(likelihood: "Likelihood", field: str, least: int) -> None:
    """Raise unless the field holds a whole number of at least ``least``."""
    value = getattr(likelihood, field)
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InputError(f"{likelihood!r}: {field} must be a whole number of at least {least}.")


class Likelihood(ABC):
    """The distribution of y given the logits s: the top layer of a network.

    A likelihood has no state but its shape, so one object serves any number of networks.
    """

    name: ClassVar[str]
    domain: ClassVar[str]
    link: ClassVar[str]
    dropped: ClassVar[str]

    @property
    @abstractmethod
    def n_logits(self) -> int:
        """d_L: how many logits a row needs."""

    @property
    def n_columns(self) -> int:
        """How many columns the prepared target has."""
        return self.n_logits

    def settings(self) -> dict[str, Any]:
        """Return the keyword arguments that make this likelihood again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]  # final classes are dataclasses

    @abstractmethod
    def invalid(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        """Return, elementwise, where y lies outside the domain."""

    @abstractmethod
    def loss_and_gradient(self, logits: Array, y: NDArray[Any]) -> tuple[Array, Array]:
        """Return the loss of each row (n,) and −e = ∂loss/∂s of each row (n, n_logits).

        Weights and the mean over the rows come afterwards and are the same for all (N9).
        ``y`` is as `prepare` returned it, ``logits`` (n, n_logits); both results have the
        dtype of the logits.
        """

    @abstractmethod
    def mean(self, logits: Array) -> Array:
        """Return ŷ = E[y given s], (n, n_columns), for classes their probabilities (n, n_classes)."""

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
            When the shape is another one, or a value is missing or outside the domain.
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
            bad = np.flatnonzero(self.invalid(target).any(axis=1))
        if len(bad):
            rows = ", ".join(str(row) for row in bad[:5]) + (", …" if len(bad) > 5 else "")
            value = target[bad[0]].tolist()
            raise InputError(
                f"{self!r} needs {self.domain}; {len(bad)} rows have something else "
                f"(rows {rows}; row {bad[0]} has {value[0] if len(value) == 1 else value})."
            )
        return target


@dataclass(frozen=True)
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
