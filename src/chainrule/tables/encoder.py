"""From a table to the matrix X of inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError, require_as_many
from chainrule.tables.codes import codes_of
from chainrule.tables.encodings import (
    FEW_CATEGORIES,
    MOST_CATEGORIES,
    Category,
    Datetime,
    Dropped,
    Encoding,
    Number,
    as_meant,
    check_content,
    describe_encoding,
    fit_encoding,
    restore_encoding,
)
from chainrule.tables.schema import Column, Table, Values, open_table

# Ramps are given up where fewer than this many fit: so few say little beside the number itself.
FEWEST_RAMPS = 4
# The most ramps of all columns together, the most categories of those that have many, and the most cells of X
# that either fill at the fit (half a GiB in float32): a wide or a long table gets fewer for each column.
MOST_INPUTS = 1024
# So many rows of X are written at a time: all columns of a row lie together in memory.
BLOCK = 1024
MOST_CELLS = 2**27


@dataclass(frozen=True)
class Cells:
    """The cells of a table that were read and checked, beside what makes inputs of them.

    Parameters
    ----------
    columns : list of (encoding, Values, slice)
        Those that have inputs, and which columns of X these are.
    n_rows, n_inputs : int
        How many rows the table has, and how many columns X.
    """

    columns: list[tuple[Number | Category | Datetime, Values, slice]]
    n_rows: int
    n_inputs: int

    def write(
        self, dtype: str = "float32", rows: NDArray[np.intp] | None = None
    ) -> NDArray[np.floating[Any]]:
        """Return the inputs (n_rows, n_inputs) of all rows, or of those with these numbers, as ordered."""
        n_rows = self.n_rows if rows is None else len(rows)
        X = np.zeros((n_rows, self.n_inputs), dtype=dtype)
        for start in range(0, n_rows, BLOCK):
            part = slice(start, start + BLOCK)
            for encoding, values, inputs in self.columns:
                encoding.write(values.at(part if rows is None else rows[part]), X[part, inputs])
        return X


class TableEncoder:
    """Finds out what each column of a table is, and turns such tables into numbers.

    Numbers are centred at the median, scaled by the distance of the quartiles and smoothly clipped to
    ±3. Text, categoricals and booleans get one input for each category, the rare ones of them together; of a
    column with more than 64 categories up to 256 have an input, and those beyond share the inputs of a code.
    Dates give a trend and their place in year, week and day. Where values were missing at fit, an input
    says so. Numbers that are written as text are numbers, unless they come back like categories; dates in
    text (ISO 8601) are dates; "1,5", "5%" and "$3" stay text, and a note says so. Durations and times of day
    are their seconds. A column that says nothing (constant, all missing, or text that is different in every
    row) is dropped. With the target at hand, numbers that are codes are told from quantities, and their
    frequent values have an input each. The result is finite whatever the table holds.

    Parameters
    ----------
    categorical_features : sequence of str, int or bool, or None, default None
        Columns that are categories although they hold numbers or dates: their names, their places from
        0, or a mask with an entry for every column.
    n_ramps : int, default 0
        How many ramps between quantiles (N25) stand beside a number at most; fewer where all columns
        together would have more than 1024, or fill more than 2²⁷ cells.

    Attributes
    ----------
    n_features_in_ : int
        How many columns the table had.
    feature_names_in_ : ndarray of str, (n_columns,)
        Their names; there only when the table had names that are all strings.

    Examples
    --------
    >>> from chainrule.tables import TableEncoder
    >>> rows = [[1.0, "red"], [2.0, "blue"], [4.0, "red"], [None, "blue"]]
    >>> encoder = TableEncoder().fit(rows)
    >>> encoder.input_names
    ('x0', 'x0 is missing', 'x1 = red')
    >>> encoder.transform([[2.0, "red"], [None, "green"]], dtype="float64")
    array([[0., 0., 1.],
           [0., 1., 0.]])
    """

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        categorical_features: Sequence[str] | Sequence[int] | Sequence[bool] | None = None,
        n_ramps: int = 0,
    ):
        self.categorical_features = categorical_features
        self.n_ramps = n_ramps
        self._names: tuple[str, ...] = ()
        self._encodings: tuple[Encoding, ...] = ()

    def fit(self, table: Any, target: NDArray[np.float64] | None = None) -> Self:
        """Find out what each column is.

        Parameters
        ----------
        table : pandas, polars or pyarrow table, ndarray (n_rows, n_columns), or list of rows
            The table; what narwhals takes for a data frame is one too.
        target : (n_rows, n_signals), optional
            What is to be predicted, in columns of mean 0 and variance 1 (`signals`). With it numbers that
            are codes are found (`codes_of`), and those of their values that come often get an input each.

        Returns
        -------
        TableEncoder
            Itself.

        Raises
        ------
        InputError
            When it is no table, has no rows or columns, has cells that are neither text, number, boolean
            nor date, mixes them in a column, or when no column says anything.
        """
        source = open_table(table)
        if target is not None:
            require_as_many(source.n_rows, target)
        forced = _places(self.categorical_features, source)
        columns = [
            as_meant(source.read(number, categorical=number in forced)) for number in range(len(source.names))
        ]
        n_ramps = self._ramps_for(sum(map(_are_numbers, columns)), source.n_rows)
        most = _most_categories(columns, source.n_rows)
        codes = _codes(columns, target, n_ramps + 1)
        encodings = tuple(
            fit_encoding(values, n_ramps, most, its) for values, its in zip(columns, codes, strict=True)
        )
        if all(encoding.kind == "dropped" for encoding in encodings):
            found = zip(source.names[:5], encodings[:5], strict=True)
            reasons = ", ".join(f"{name!r} ({encoding.note})" for name, encoding in found)
            more = ", …" if len(encodings) > 5 else ""
            raise InputError(
                f"No column says anything about the rows (n_samples={source.n_rows}): {reasons}{more}. "
                "A table needs a column whose values differ, and text must repeat."
            )
        self._set(source.names, source.named, encodings)
        return self

    def transform(self, table: Any, dtype: str = "float32") -> NDArray[np.floating[Any]]:
        """Return the inputs of a table's rows.

        Parameters
        ----------
        table : as for `fit`
            Its columns must be those of the fit: the same number, and the same names in the same order
            where both tables have names. Columns that were dropped are not looked at.
        dtype : {"float32", "float64"}, default "float32"
            The dtype of the result; all is computed in float64.

        Returns
        -------
        ndarray, (n_rows, n_inputs)
            C-contiguous, finite, all entries from −3 to 3.

        Raises
        ------
        InputError
            When it is no table, or has other columns or other contents than at fit.
        """
        if dtype not in ("float32", "float64"):
            raise InputError(f"dtype={dtype!r} is not possible; choose 'float32' or 'float64'.")
        return self.read(table).write(dtype)

    def read(self, table: Any) -> "Cells":
        """Return a table's cells ready to be written as inputs, all rows or some of them.

        Parameters
        ----------
        table : as for `transform`
            With the errors that `transform` has.
        """
        if not self._encodings:
            raise InputError("This TableEncoder has seen no table yet: call fit(table) first.")
        source = open_table(table)
        self._require_same_columns(source)
        columns: list[tuple[Number | Category | Datetime, Values, slice]] = []
        first = 0
        for number, (name, encoding) in enumerate(zip(self._names, self._encodings, strict=True)):
            if isinstance(encoding, Dropped):
                continue
            values = source.read(number, categorical=isinstance(encoding, Category))
            if isinstance(encoding, Number):
                values = values.numbers_in_text()
            elif isinstance(encoding, Datetime):
                values = values.dates_in_text()
            check_content(encoding, values)
            last = first + len(encoding.input_names(name))
            columns.append((encoding, values, slice(first, last)))
            first = last
        return Cells(columns, source.n_rows, first)

    @property
    def columns(self) -> tuple[Column, ...]:
        """What was found about each column."""
        found = zip(self._names, self._encodings, strict=True)
        return tuple(Column(name, encoding.kind, encoding.note) for name, encoding in found)

    @property
    def inputs_by_column(self) -> tuple[tuple[str, ...], ...]:
        """The names of the inputs that each column becomes; () for a column that was dropped."""
        found = zip(self._names, self._encodings, strict=True)
        return tuple(encoding.input_names(name) for name, encoding in found)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The name of each input, such as "age", "age is missing" or "colour = red"."""
        return tuple(input_name for names in self.inputs_by_column for input_name in names)

    @property
    def is_ramp(self) -> NDArray[np.bool_]:
        """Which of the inputs are ramps beside a number (N25), (n_inputs,)."""
        return self._those("ramps")

    @property
    def is_code(self) -> NDArray[np.bool_]:
        """Which of the inputs say that a number is a certain code, (n_inputs,)."""
        return self._those("indicators")

    def _those(self, inputs: str) -> NDArray[np.bool_]:
        return np.concatenate(
            [
                np.isin(np.arange(len(encoding.input_names(name))), getattr(encoding, inputs, ()))
                for name, encoding in zip(self._names, self._encodings, strict=True)
            ]
        )

    @property
    def n_inputs(self) -> int:
        """How many columns X has."""
        return len(self.input_names)

    def describe(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
        """Return all that was found, as a description for JSON and arrays.

        Returns
        -------
        description : dict
            Whether the names are the table's own, and name, kind and settings of each column.
        arrays : dict of ndarray
            "scaling", (n_columns, 2): centre and scale of each column, (0, 1) where it has none.
        """
        described = [describe_encoding(encoding) for encoding in self._encodings]
        columns = [
            {"name": name, **settings} for name, (settings, _) in zip(self._names, described, strict=True)
        ]
        scaling = np.array([scaling for _, scaling in described], dtype=np.float64)
        return {"named": hasattr(self, "feature_names_in_"), "columns": columns}, {"scaling": scaling}

    @classmethod
    def from_description(
        cls, description: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float64]]
    ) -> "TableEncoder":
        """Return the encoder that `describe` described; it transforms to the same bits."""
        columns = description["columns"]
        encodings = tuple(
            restore_encoding(column, centre, scale)
            for column, (centre, scale) in zip(columns, arrays["scaling"].tolist(), strict=True)
        )
        encoder = cls()
        encoder._set(tuple(column["name"] for column in columns), description["named"], encodings)
        return encoder

    def _ramps_for(self, n_numbers: int, n_rows: int) -> int:
        """Return how many ramps each column of numbers may have."""
        most = _room(n_numbers, n_rows)
        return min(self.n_ramps, most) if most >= FEWEST_RAMPS else 0

    def _set(self, names: tuple[str, ...], named: bool, encodings: tuple[Encoding, ...]) -> None:
        self._names, self._encodings = names, encodings
        self.n_features_in_ = len(names)
        if named:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _require_same_columns(self, source: Table) -> None:
        # in scikit-learn's words, which people know and its estimator checks ask for
        if source.named and hasattr(self, "feature_names_in_") and source.names != self._names:
            message = "The feature names should match those that were passed during fit.\n"
            unseen = sorted(set(source.names) - set(self._names))
            gone = sorted(set(self._names) - set(source.names))
            if unseen:
                message += "Feature names unseen at fit time:\n" + _listed(unseen)
            if gone:
                message += "Feature names seen at fit time, yet now missing:\n" + _listed(gone)
            if not unseen and not gone:
                message += "Feature names must be in the same order as they were in fit.\n"
            raise InputError(message)
        if len(source.names) != self.n_features_in_:
            raise InputError(
                f"X has {len(source.names)} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )


def _codes(
    columns: Sequence[Values], target: NDArray[np.float64] | None, n_told_apart: int
) -> list[tuple[float, ...]]:
    """Return the codes of each column, ascending; the most frequent ones where there is no room for all."""
    if target is None:
        return [()] * len(columns)
    found = [
        codes_of(np.asarray(values.cells), target, n_told_apart) if _are_numbers(values) else np.empty(0)
        for values in columns
    ]
    most = min(_room(sum(len(codes) > 0 for codes in found), len(target)), MOST_CATEGORIES)
    return [tuple(np.sort(codes[:most]).tolist()) for codes in found]


def _are_numbers(values: Values) -> bool:
    """Return whether a column holds quantities, and not numbers that are taken for categories."""
    return values.content == "number" and not isinstance(values.cells, list)


def _room(n_columns: int, n_rows: int) -> int:
    """Return how many inputs each of so many columns may have."""
    return min(MOST_INPUTS, MOST_CELLS // n_rows) // max(n_columns, 1)


def _most_categories(columns: Sequence[Values], n_rows: int) -> int:
    """Return how many categories of a column may have inputs of their own."""
    wide = sum(isinstance(c.cells, list) and len(set(c.cells)) > FEW_CATEGORIES for c in columns)
    return min(max(_room(wide, n_rows), FEW_CATEGORIES), MOST_CATEGORIES)


def _listed(names: list[str]) -> str:
    return "".join(f"- {name}\n" for name in names[:5]) + ("- ...\n" if len(names) > 5 else "")


def _places(features: Any, source: Table) -> frozenset[int]:
    """Return the places of the columns that categorical_features names."""
    if features is None:
        return frozenset()
    given = features if isinstance(features, str) else list(features)
    n_columns = len(source.names)
    if isinstance(given, str) or not all(
        isinstance(entry, str | int | np.integer | np.bool_) for entry in given
    ):
        raise InputError(
            f"categorical_features={features!r} must be None or a list of columns: their names, their "
            "places from 0, or a mask of True and False."
        )
    if given and all(isinstance(entry, bool | np.bool_) for entry in given):
        if len(given) != n_columns:
            raise InputError(
                f"categorical_features is a mask of {len(given)} entries, but the table has {n_columns} "
                "columns: give one entry for each."
            )
        return frozenset(number for number, entry in enumerate(given) if entry)
    unknown = [
        entry
        for entry in given
        if (entry not in source.names if isinstance(entry, str) else not 0 <= entry < n_columns)
    ]
    if unknown:
        raise InputError(
            f"categorical_features has {', '.join(map(repr, unknown))}, but the table's columns are "
            f"{', '.join(source.names)} (places 0 to {n_columns - 1})."
        )
    return frozenset(source.names.index(e) if isinstance(e, str) else int(e) for e in given)
