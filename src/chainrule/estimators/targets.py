"""The target: from what a person has (text, booleans, numbers) to what a likelihood takes, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from chainrule.architecture.activations import softplus
from chainrule.errors import InputError
from chainrule.estimators.predictive import LocationScale, is_censored
from chainrule.likelihoods import Bernoulli, Categorical, Likelihood, Ordinal
from chainrule.likelihoods.distributions import Distribution

Array = NDArray[np.floating[Any]]

# The likelihoods of a location that may lie anywhere: they mean the same whatever y is shifted and scaled by.
LOCATIONS = ("normal", "normal_with_variance", "student_t", "laplace", "huber", "quantile")
# A smaller standard deviation, as a share of the mean, is rounding.
SMALLEST_SPREAD = 1e-12


def read_target(y: Any, may_miss: bool = False) -> tuple[NDArray[Any], str | None]:
    """Return the target as an array, and its name where it has one.

    Parameters
    ----------
    y : array_like, or a pandas, polars or pyarrow series or table
        (n_rows,), (n_rows, 1) or (n_rows, n_outputs): numbers, booleans or text, nothing missing.
    may_miss : bool, default False
        Whether entries of several columns of numbers may be missing, as long as no row is without any; they
        are NaN then.

    Returns
    -------
    values : (n_rows,) or (n_rows, n_outputs)
        Numbers, booleans, or text (NumPy's str or object).
    name : str or None
        The name of the series, or of the only column.

    Raises
    ------
    InputError
        When a value is missing or infinite, or is neither a number nor a boolean nor text.

    Examples
    --------
    >>> import pandas as pd
    >>> from chainrule.estimators.targets import read_target
    >>> read_target(pd.Series([True, False], name="sold"))
    (array([ True, False]), 'sold')
    """
    names: list[Any] = []
    if y is None:
        raise InputError(
            "y is None: fit needs the target (requires y to be passed, but the target y is None)."
        )
    if nw.dependencies.is_into_series(y) or nw.dependencies.is_into_dataframe(y):
        try:
            native = nw.from_native(y, eager_only=True, allow_series=True)
        except nw.exceptions.DuplicateError as error:
            raise InputError(f"Two columns of y have the same name; give each its own. ({error})") from None
        if len(native) == 0:
            raise InputError("y has no rows: a fit needs some, and the target of each.")
        columns = [native] if isinstance(native, nw.Series) else [native[name] for name in native.columns]
        names = [column.name for column in columns]
        parts = [_from_series(column, may_miss and len(columns) > 1) for column in columns]
        values = (
            parts[0] if len(parts) == 1 else np.column_stack(parts) if parts else np.empty((len(native), 0))
        )
    else:
        values = _plain(_as_array(y))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in {1, 2} or 0 in values.shape:
        raise InputError(
            f"y has the shape {np.shape(values)}; it must be (n_rows,) or (n_rows, n_outputs), and not empty."
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        _refuse("infinite (inf)", np.isinf(values))
        missing = np.isnan(values)
        if may_miss and values.ndim == 2:
            missing = np.asarray(missing.all(axis=1))
        _refuse("missing (NaN)", missing)
    # narwhals calls a series without a name ""
    name = names[0] if len(names) == 1 and isinstance(names[0], str) and names[0] else None
    return values, name


def _as_array(y: Any) -> NDArray[Any]:
    try:
        array = np.asarray(y)
        if array.dtype.kind == "U" and not hasattr(y, "dtype"):
            cells = np.array(y, dtype=object)  # NumPy makes text of the numbers beside text
            return array if all(isinstance(cell, str) for cell in cells.ravel()) else cells
        return array
    except ValueError:
        raise InputError("The rows of y differ in length; all rows must have as many entries.") from None


def _refuse(what: str, bad: NDArray[np.bool_]) -> None:
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
    if len(rows):
        listed = ", ".join(str(row) for row in rows[:5]) + (", …" if len(rows) > 5 else "")
        raise InputError(
            f"y has {len(rows)} {'row that is' if len(rows) == 1 else 'rows that are'} {what} "
            f"(rows {listed}, counted from 0): the target of every row is needed, so leave these out."
        )


def _from_series(column: Any, may_miss: bool = False) -> NDArray[Any]:
    if column.dtype in (nw.Int128, nw.UInt128):  # NumPy has none
        column = column.cast(nw.Float64)
    if may_miss and column.dtype.is_numeric():
        return np.asarray(column.cast(nw.Float64).to_numpy(), dtype=np.float64)
    _refuse("missing (null)", np.asarray(column.is_null().to_numpy(), dtype=bool))
    return _plain(np.asarray(column.to_numpy()))


def order_of(y: Any) -> list[Any] | None:
    """Return the classes of y from the least to the greatest, where its dtype says so; else None.

    That is pandas' ordered categorical and polars' Enum.

    Examples
    --------
    >>> import pandas as pd
    >>> from chainrule.estimators.targets import order_of
    >>> order_of(pd.Series(pd.Categorical(["low"], categories=["low", "high"], ordered=True)))
    ['low', 'high']
    """
    if not (nw.dependencies.is_into_series(y) or nw.dependencies.is_into_dataframe(y)):
        return None
    native = nw.from_native(y, eager_only=True, allow_series=True)
    if not isinstance(native, nw.Series):
        if len(native.columns) != 1:
            return None
        native = native[native.columns[0]]
    return list(native.dtype.categories) if isinstance(native.dtype, nw.Enum) else None


def names_of_two(y: Any) -> tuple[str | None, str | None]:
    """Return the names of the columns of a table of two; None for each where it is no table."""
    if not nw.dependencies.is_into_dataframe(y):
        return None, None
    first, second = nw.from_native(y, eager_only=True).columns
    return str(first), str(second)


def read_numbers(what: str, values: Any) -> tuple[NDArray[np.float64], str | None]:
    """Return numbers beside the target, an offset or an exposure, as an array, and the name of the column.

    Parameters
    ----------
    what : str
        What they are, for the error.
    values : array_like, or a pandas, polars or pyarrow series or table
        (n_rows,) or (n_rows, n_outputs); missing ones become NaN.

    Raises
    ------
    InputError
        When they are no numbers.
    """
    names: list[Any] = []
    try:
        if nw.dependencies.is_into_series(values) or nw.dependencies.is_into_dataframe(values):
            native = nw.from_native(values, eager_only=True, allow_series=True)
            columns = [native] if isinstance(native, nw.Series) else [native[c] for c in native.columns]
            names = [column.name for column in columns]
            parts = [np.asarray(column.cast(nw.Float64).to_numpy(), dtype=np.float64) for column in columns]
            numbers = parts[0] if len(parts) == 1 else np.column_stack(parts)
        else:
            numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, nw.exceptions.NarwhalsError) as error:
        raise InputError(f"{what} must hold numbers: {str(error).partition(chr(10))[0]}") from None
    return numbers, names[0] if len(names) == 1 and isinstance(names[0], str) and names[0] else None


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers, booleans or text as they are, objects of one such kind as that kind."""
    kind = values.dtype.kind
    if kind in "biufU":
        return values
    if kind == "T":
        return values.astype(object)
    if kind == "O":
        missing = np.frompyfunc(_is_missing, 1, 1)(values).astype(bool)
        _refuse("missing (None or NaN)", missing)
        flat = values.ravel().tolist()
        if all(isinstance(value, str) for value in flat):
            return values
        if flat and all(isinstance(value, Real | Decimal) for value in flat):
            return _numbers(flat).reshape(values.shape)
        if not any(isinstance(value, str | bytes) for value in flat):
            if not any(isinstance(value, list | tuple | dict | np.ndarray) for value in flat):
                numbers = np.array(flat).reshape(values.shape) if flat else values.astype(float)
                if numbers.dtype.kind in "biuf":
                    return numbers
        else:
            kinds = ", ".join(sorted({type(value).__name__ for value in flat}))
            raise InputError(
                f"y mixes values of different types ({kinds}): make them all text or all numbers."
            )
    if kind == "c":
        raise InputError("Complex data not supported: y must be real numbers, booleans or text.")
    raise InputError(
        f"y has the dtype {values.dtype}, an unknown label type: it must hold numbers, booleans or text."
    )


def _numbers(values: list[Any]) -> NDArray[Any]:
    """Return Python's numbers as an array: of decimals, fractions and whole numbers of any size as floats."""
    numbers = np.array(values)
    if numbers.dtype.kind in "biuf":
        return numbers
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise InputError(
            f"y has a number that float64 cannot hold ({error}): give it in larger units."
        ) from None


def require_kind(y: NDArray[Any], classes: bool) -> None:
    """Raise where the target is text and cannot be: that is told before anything is computed with it."""
    if y.dtype.kind in "biuf":
        return
    if not classes:
        columns_of(y)
    elif y.ndim == 2:
        Classes.of(y)


def _is_missing(value: Any) -> bool:
    # pandas.NA is neither equal nor unequal to itself, so it is known by the name of its type
    return (
        value is None
        or type(value).__name__ in {"NAType", "NaTType"}
        or (isinstance(value, float) and np.isnan(value))
    )


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of a target, and how they become the numbers 0 … C − 1.

    Parameters
    ----------
    labels : (n_classes,)
        The classes as they stood in y, sorted; for several labels a row, the numbers of the columns.
    multilabel : bool, default False
        Whether y is (n_rows, n_labels) of 0 and 1, each column a question of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.estimators.targets import Classes
    >>> classes = Classes.of(np.array(["no", "yes", "no"]))
    >>> classes.encode(np.array(["yes", "no"]))
    array([1, 0])
    """

    labels: NDArray[Any]
    multilabel: bool = False

    @classmethod
    def of(cls, y: NDArray[Any], order: Sequence[Any] | None = None) -> "Classes":
        """Return the classes of a target; raise InputError where it cannot be one of a classifier.

        They are sorted, or stand in the order that is given, less those that do not occur.
        """
        if y.dtype.kind == "f" and y.ndim == 2 and np.isnan(y).any():
            there = ~np.isnan(y)
            if not np.isin(y[there], (0, 1)).all():
                raise InputError("Where several labels have missing entries, the others must be 0 or 1.")
            return cls(np.arange(y.shape[1]), multilabel=True)
        try:
            check_classification_targets(y)
        except ValueError as error:
            raise InputError(str(error)) from None
        if y.ndim == 1:
            labels = np.unique(y)
            if labels.dtype.kind == "O":  # text, as NumPy holds it: so scikit-learn's classifiers have it
                labels = np.array(labels.tolist())
            if order is not None:
                place = {label: i for i, label in enumerate(order)}
                labels = labels[np.argsort([place[label] for label in labels.tolist()])]
            return cls(labels)
        if type_of_target(y) != "multilabel-indicator" or not np.isin(y, (0, 1)).all():
            raise InputError(
                f"y has the shape {y.shape}, and not only 0 and 1 in it: several labels a row are 0 or 1. "
                "For one class a row give y the shape (n_rows,)."
            )
        return cls(np.arange(y.shape[1]), multilabel=True)

    def likelihood(self) -> Likelihood:
        """Return the likelihood that fits: Bernoulli for two classes or several labels, else Categorical."""
        if self.multilabel:
            return Bernoulli(len(self.labels))
        if len(self.labels) == 1:
            raise InputError(
                f"y has only one class, {self.labels.tolist()[0]!r}: a classifier needs at least two."
            )
        return Bernoulli() if len(self.labels) == 2 else Categorical(len(self.labels))

    def suits(self, likelihood: Likelihood) -> bool:
        """Return whether this may stand above that likelihood; what a model file says is checked with it."""
        if not isinstance(self.labels, np.ndarray) or self.labels.ndim != 1:
            return False
        if self.multilabel or isinstance(likelihood, Bernoulli):
            return isinstance(likelihood, Bernoulli) and likelihood.n_outputs == self.likelihood().n_logits
        return isinstance(likelihood, Categorical | Ordinal) and likelihood.n_classes == len(self.labels)

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return class numbers (n_rows,), or 0 and 1 (n_rows, n_labels); raise for a class that is new."""
        if self.multilabel:
            right = y.ndim == 2 and y.shape[1] == len(self.labels) and y.dtype.kind in "biuf"
            if not right or not np.isin(y[y == y], (0, 1)).all():  # noqa: PLR0124 (NaN is not itself)
                raise InputError(f"y must be (n_rows, {len(self.labels)}) of 0 and 1, as it was at the fit.")
            return y.astype(np.float64 if np.isnan(y).any() else np.intp)
        if y.ndim != 1:
            raise InputError(f"y must have the shape (n_rows,), as it had at the fit, not {y.shape}.")
        number = {label: i for i, label in enumerate(self.labels.tolist())}
        found, position = np.unique(y, return_inverse=True)
        unknown = [label for label in found.tolist() if label not in number]
        if unknown:
            raise InputError(
                f"y has classes that the fit had not: {unknown[:5]}; those were {self.labels.tolist()[:20]}."
            )
        return np.array([number[label] for label in found.tolist()], dtype=np.intp)[position]

    def numbers(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return y as a likelihood and its distribution know it: as `encode` does."""
        return self.encode(y)

    def offset(self, given: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what an offset adds to the logits: itself."""
        return given

    def probabilities(self, mean: Array) -> Array:
        """Return (n_rows, n_classes), or (n_rows, n_labels), from what the likelihood's mean is."""
        if self.multilabel or mean.shape[1] > 1:
            return mean
        return np.hstack([1 - mean, mean])

    def log_probabilities(self, likelihood: Likelihood, logits: Array, scales: Array | None = None) -> Array:
        """Return the logarithms of the probabilities from the logits: finite where these have run to 0."""
        if isinstance(likelihood, Categorical):
            return np.asarray(log_softmax(logits, axis=1), dtype=logits.dtype)
        if isinstance(likelihood, Ordinal):  # −log P(c) is the loss of a row whose class is c
            rows = likelihood.extended(logits, scales)
            classes = np.ones((len(rows), 1)) * np.arange(likelihood.n_classes)
            losses = [likelihood.loss_and_gradient(rows, column[:, None])[0] for column in classes.T]
            return -np.column_stack(losses)
        log_p = -softplus(-logits)
        return log_p if self.multilabel else np.hstack([-softplus(logits), log_p])

    def decode(self, probabilities: Array) -> NDArray[Any]:
        """Return the likeliest class of each row; for several labels 1 where the probability is above ½."""
        if self.multilabel:
            return (probabilities > 0.5).astype(int)
        return np.asarray(self.labels[probabilities.argmax(axis=1)])


@dataclass(frozen=True, eq=False)
class Scaling:
    """y = location + scale · z, column by column: a network learns z, which is of the order of 1.

    Parameters
    ----------
    location, scale : (n_outputs,), float64
        In the units of y; the scale is above 0.
    one_dimensional : bool, default True
        Whether y, and so a prediction, is (n_rows,) and not (n_rows, n_outputs).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.estimators.targets import Scaling
    >>> from chainrule.likelihoods import Normal
    >>> scaling = Scaling.of(np.array([10.0, 30.0]), Normal())
    >>> scaling.encode(np.array([10.0, 30.0]))
    array([[-1.],
           [ 1.]])
    """

    location: NDArray[np.float64]
    scale: NDArray[np.float64]
    one_dimensional: bool = True

    @classmethod
    def of(cls, y: NDArray[Any], likelihood: Likelihood, sample_weight: Array | None = None) -> "Scaling":
        """Return the scaling under which the likelihood meets y at its natural size.

        Of a location that may lie anywhere (`LOCATIONS`) the mean goes to 0 and the standard deviation to 1.
        For any other likelihood y stays as it is: counts, amounts and times have a 0 that means something.
        """
        columns = columns_of(y)
        n_outputs = columns.shape[1]
        location, scale = np.zeros(n_outputs), np.ones(n_outputs)
        if likelihood.name in LOCATIONS:
            with np.errstate(over="ignore", invalid="ignore"):
                location = weighted_mean(columns, sample_weight)
                reach = np.nanmax(np.abs(columns - location), axis=0)
            if not np.isfinite(reach).all():
                raise InputError(
                    f"y reaches from {np.nanmin(columns):.3g} to {np.nanmax(columns):.3g}, which is too far "
                    "for float64 to take a mean: give it in a larger unit."
                )
            # the largest distance is taken out first, so that no square overflows
            reach = np.maximum(reach, np.finfo(np.float64).tiny)
            squares = np.square((columns - location) / reach)
            scale = reach * np.sqrt(weighted_mean(squares, sample_weight))
            # a constant column has no spread but what rounding leaves: it is predicted to 12 digits
            scale = np.maximum(scale, SMALLEST_SPREAD * np.abs(location))
            scale = np.where(scale > 0, scale, SMALLEST_SPREAD)
        return cls(location, scale, y.ndim == 1 or is_censored(likelihood))

    def suits(self, likelihood: Likelihood) -> bool:
        """Return whether this may stand above that likelihood; what a model file says is checked with it."""
        parts, n_outputs = (self.location, self.scale), likelihood.n_columns
        if not all(isinstance(part, np.ndarray) and part.shape == (n_outputs,) for part in parts):
            return False
        numbers = bool(np.isfinite(parts).all() and (self.scale > 0).all())
        return numbers and self.one_dimensional in {False, n_outputs == 1 or is_censored(likelihood)}

    def numbers(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """Return y as (n_rows, n_columns); raise InputError when it has other columns than at the fit."""
        columns = columns_of(y)
        if columns.shape[1] != len(self.scale):
            raise InputError(f"y has {columns.shape[1]} columns; at the fit it had {len(self.scale)}.")
        return columns

    def encode(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """Return z (n_rows, n_columns) of y; raise InputError when y has other columns than at the fit."""
        return (self.numbers(y) - self.location) / self.scale

    def columns(self, z: NDArray[Any]) -> NDArray[np.float64]:
        """Return y (n_rows, n_columns) of z."""
        return np.asarray(self.location + self.scale * z.astype(np.float64))

    def offset(self, given: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what an offset in the units of y adds to the logits: (n_rows,) or (n_rows, n_outputs)."""
        if (self.scale == 1).all():  # there it is in the units of the logits
            return given
        return (given[:, None] if given.ndim == 1 else given) / self.scale

    def decode(self, z: Array) -> NDArray[np.float64]:
        """Return predictions in the units of y, computed in float64: (n_rows,) or (n_rows, n_outputs)."""
        wide = z.astype(np.float64)
        n_means = wide.shape[1]  # of a censored target the time alone is predicted
        y = self.location[:n_means] + self.scale[:n_means] * wide
        return y[:, 0] if self.one_dimensional else y

    def distribution(self, of_z: Distribution) -> Distribution:
        """Return the distribution of y from that of z."""
        if not self.location.any() and (self.scale == 1).all():
            return of_z
        if len(of_z.shape) == 1:
            return LocationScale(of_z, float(self.location[0]), float(self.scale[0]))
        return LocationScale(of_z, self.location, self.scale)


def weighted_mean(columns: NDArray[np.float64], weight: Array | None) -> NDArray[np.float64]:
    """Return the mean of each column over the rows that have an entry in it (those that are not NaN)."""
    there = ~np.isnan(columns)
    counts = np.ones(len(columns)) if weight is None else weight.astype(np.float64)
    shares = np.where(there, counts[:, None], 0)
    total = shares.sum(axis=0)
    if not (total > 0).all():
        raise InputError(
            f"y has nothing in column {int(np.argmin(total))} (counted from 0) in rows that count: leave the "
            "column out."
        )
    return (np.where(there, columns, 0) * (shares / total)).sum(axis=0)


def columns_of(y: NDArray[Any]) -> NDArray[np.float64]:
    """Return a numeric target as (n_rows, n_columns); raise InputError for text."""
    if y.dtype.kind not in "biuf":
        raise InputError(
            f"y holds text (the first value is {y.ravel()[:1].tolist()[0]!r}): regression needs numbers. "
            "For classes use a classifier; for numbers written as text convert them first."
        )
    return y.astype(np.float64).reshape(len(y), -1)
