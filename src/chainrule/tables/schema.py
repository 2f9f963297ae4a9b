"""What a table holds: one way to read every kind of table, column by column."""

import datetime
import numbers
from dataclasses import dataclass, replace
from decimal import Decimal
from types import NoneType
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.exceptions import DuplicateError
from numpy.typing import NDArray
from scipy.sparse import issparse

from chainrule.errors import InputError
from chainrule.tables.text import dates_in, numbers_in

Content = Literal["number", "boolean", "text", "datetime", "nothing"]
Kind = Literal["number", "boolean", "category", "datetime", "dropped"]

PLURAL: dict[Content, str] = {
    "number": "numbers",
    "boolean": "booleans",
    "text": "text",
    "datetime": "dates",
    "nothing": "nothing",
}
_CONTENT_OF_DTYPE: dict[str, Content] = {
    "b": "boolean",
    "i": "number",
    "u": "number",
    "f": "number",
    "M": "datetime",
    "U": "text",
    "T": "text",
}
# Above this many distinct whole numbers a target is a quantity: few classifications have more classes,
# and those that do mostly name them in words.
MOST_CLASSES = 20
# A whole number stands for a class when a value comes back in this many rows on average: a quantity's
# values repeat less often.
ROWS_PER_CLASS = 5


_CLOCK = datetime.time | datetime.timedelta | np.timedelta64


class CellError(InputError, TypeError):
    """A cell holds something that is neither text, number, boolean nor date.

    It is a TypeError too, because scikit-learn's estimator checks ask for one.
    """


@dataclass(frozen=True)
class Column:
    """What was found about a column of the table.

    Parameters
    ----------
    name : str
        Its name; "x0", "x1", … where the table has no names.
    kind : {"number", "boolean", "category", "datetime", "dropped"}
        What it is taken for.
    note : str
        What else there is to know, such as why it was dropped; "" when there is nothing.
    """

    name: str
    kind: Kind
    note: str = ""


@dataclass(frozen=True)
class Values:
    """The cells of one column in a plain form, the same for every library.

    Parameters
    ----------
    name : str
        The column.
    content : {"number", "boolean", "text", "datetime", "nothing"}
        What the cells hold; "nothing" when all are missing.
    cells : ndarray or list, (n_rows,)
        Numbers as float64 with NaN, dates as datetime64[us] with NaT. Everything else, and whatever is
        meant as a category, as a list of Python values with None (dates as ISO strings; ±inf is no
        category, so None).
    time_zone : str or None
        The time zone whose clock the dates show, None when they have none.
    categorical : bool, default False
        Whether the cells are categories by their dtype, or because somebody said so.
    """

    name: str
    content: Content
    cells: NDArray[Any] | list[Any]
    time_zone: str | None = None
    categorical: bool = False

    def at(self, rows: slice | NDArray[np.intp]) -> "Values":
        """Return the cells of these rows."""
        cells = self.cells
        if isinstance(cells, list) and not isinstance(rows, slice):
            return replace(self, cells=[cells[row] for row in rows])
        return replace(self, cells=cells[rows])

    def numbers_in_text(self) -> "Values":
        """Return text as the numbers that are written there, or as it is where a cell is none."""
        if self.content != "text" or self.categorical:
            return self
        numbers = numbers_in(self.cells)  # type: ignore[arg-type]  # text, by its content
        if numbers is None:
            return self
        return replace(self, content="nothing" if np.isnan(numbers).all() else "number", cells=numbers)

    def dates_in_text(self) -> "Values":
        """Return text as the dates that are written there, or as it is where a cell is none."""
        if self.content != "text" or self.categorical:
            return self
        found = dates_in(self.cells)  # type: ignore[arg-type]  # text, by its content
        if found is None:
            return self
        dates, zone = found
        content: Content = "nothing" if np.isnat(dates).all() else "datetime"
        return replace(self, content=content, cells=dates, time_zone=zone)

    def example(self) -> str:
        """Return a cell that is there and its row, of text one that is neither number nor "" or "NA"."""
        cells = self.cells if isinstance(self.cells, list) else self.cells.astype(object).tolist()
        present = [(row, cell) for row, cell in enumerate(cells) if not _is_missing(cell)]
        words = ((row, cell) for row, cell in present if numbers_in([str(cell)]) is None)
        row, cell = next(words, present[0]) if self.content == "text" else present[0]
        return f"{repr(cell) if self.content == 'text' else cell} in row {row}"


@dataclass(frozen=True)
class Table:
    """A table that was checked and is ready to be read.

    Parameters
    ----------
    names : tuple of str
        The columns' names; "x0", "x1", … where it has none.
    named : bool
        Whether the names are the table's own.
    n_rows : int
        How many rows it has, at least 1.
    columns : list of narwhals Series, or ndarray (n_rows, n_columns)
        The data.
    """

    names: tuple[str, ...]
    named: bool
    n_rows: int
    columns: list[nw.Series[Any]] | NDArray[Any]

    def read(self, number: int, *, categorical: bool = False) -> Values:
        """Return the cells of a column; ``categorical``: as categories, whatever they hold."""
        if isinstance(self.columns, np.ndarray):
            return _values_of_array(self.names[number], self.columns[:, number], categorical)
        return _values_of_series(self.names[number], self.columns[number], categorical)


def open_table(table: Any) -> Table:
    """Check a table's form and return it ready to be read.

    Parameters
    ----------
    table : pandas, polars or pyarrow table, ndarray (n_rows, n_columns), or list of rows
        Whatever narwhals takes for a data frame has names; the others have none.

    Raises
    ------
    InputError
        When it is not two-dimensional, sparse or lazy, has no rows or no columns, or a name twice.
    """
    if issparse(table):
        raise InputError("Sparse input is not read here: pass X.toarray().")
    try:
        frame = nw.from_native(table, pass_through=True)
        if isinstance(frame, nw.DataFrame):
            return _open_frame(frame)
    except DuplicateError as error:
        raise InputError(f"Two columns have the same name; give each its own. ({error})") from error
    if isinstance(frame, nw.LazyFrame):
        raise InputError(f"A {type(table).__name__} has no values yet: collect it first (table.collect()).")
    array = _two_dimensional(table)
    _require_cells(array.shape)
    return Table(tuple(f"x{number}" for number in range(array.shape[1])), False, len(array), array)


def read_column(name: str, column: Any, *, categorical: bool = False) -> Values:
    """Return the cells of a column that stands alone.

    Parameters
    ----------
    name : str
        What it is called in errors.
    column : array_like, (n_rows,) or (n_rows, 1)
        A pandas, polars or pyarrow column, an array or a list.
    categorical : bool, default False
        Whether its cells are read as categories, whatever they hold.

    Raises
    ------
    InputError
        When it is not one column, or a cell is of a kind that has no place in a table.
    """
    if nw.dependencies.is_into_series(column):
        return _values_of_series(name, nw.from_native(column, series_only=True), categorical)
    array = np.asarray(column) if hasattr(column, "__array__") else _array_of_rows(column)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{name} must be one column, (n_rows,), but its shape is {array.shape}.")
    return _values_of_array(name, array, categorical)


def task_of_target(y: Any) -> Literal["regression", "classification"]:
    """Return what there is to do for a target: put rows into classes or predict a quantity.

    Text, booleans and categoricals are classes. Numbers with fractions are a quantity. Whole numbers are
    classes when there are two of them, or when there are 3 to 20, they lie close together (in a range less
    than twice as long as their number) and each is seen in 5 rows or more on average; else a quantity.
    Missing values do not count. Counts of few events look like classes: name the task where you know it.

    Parameters
    ----------
    y : array_like, (n_rows,)
        The target: a pandas, polars or pyarrow column, an array or a list.

    Returns
    -------
    {"regression", "classification"}

    Raises
    ------
    InputError
        When it is not one column, has no value that is not missing, or holds dates.

    Examples
    --------
    >>> from chainrule.tables import task_of_target
    >>> task_of_target(["yes", "no", "no"]), task_of_target([0.5, 1.5, 2.0])
    ('classification', 'regression')
    >>> task_of_target([0, 1, 1, 0]), task_of_target([1, 7, 30, 12])
    ('classification', 'regression')
    """
    values = read_column("y", y)
    if values.content == "nothing":
        raise InputError("The target has no value that is not missing: there is nothing to learn.")
    if values.content == "datetime":
        raise InputError(
            "The target holds dates: turn it into numbers, such as the days since a fixed date, "
            "or into the classes that are meant."
        )
    if isinstance(values.cells, list):
        return "classification"
    numbers_seen = values.cells[~np.isnan(values.cells)]
    distinct = np.unique(numbers_seen)
    if not np.all(np.isfinite(distinct)) or np.any(distinct != np.floor(distinct)):
        return "regression"
    few = 3 <= len(distinct) <= MOST_CLASSES and len(numbers_seen) >= ROWS_PER_CLASS * len(distinct)
    close = float(distinct[-1]) - float(distinct[0]) < 2 * len(distinct)
    return "classification" if len(distinct) == 2 or (few and close) else "regression"


def _open_frame(frame: nw.DataFrame[Any]) -> Table:
    columns = [frame.get_column(name) for name in frame.columns]
    _require_cells(frame.shape)
    names: list[Any] = list(frame.columns)
    types = sorted({type(name).__qualname__ for name in names})
    if "str" in types and len(types) > 1:
        raise InputError(
            "Feature names are only supported if all input features have string names, but your input "
            f"has {types} as feature name / column name types. Make them all strings, with "
            "X.columns = X.columns.astype(str) for example."
        )
    named = types == ["str"]
    if not named:
        names = [f"x{number}" for number in range(len(names))]
    return Table(tuple(names), named, frame.shape[0], columns)


def _two_dimensional(table: Any) -> NDArray[Any]:
    array = np.asarray(table) if hasattr(table, "__array__") else _array_of_rows(table)
    if array.ndim == 2:
        return array
    if array.ndim == 1 and array.dtype == object and any(isinstance(row, list | tuple) for row in array):
        raise InputError("The rows of the table differ in length; all rows must have as many cells.")
    what = "A table is a pandas, polars or pyarrow table, a two-dimensional array or a list of rows"
    if array.ndim == 1:
        raise InputError(
            f"Expected 2D array, got 1D array instead:\narray={array}.\nReshape your data either using "
            "array.reshape(-1, 1) if your data has a single feature or array.reshape(1, -1) if it contains "
            f"a single sample. {what}."
        )
    form = "scalar" if array.ndim == 0 else f"{array.ndim}D"
    raise InputError(
        f"Expected 2D array, got {form} array instead. {what}; this is a {type(table).__name__}."
    )


def _array_of_rows(table: Any) -> NDArray[Any]:
    # as objects: NumPy would make text of the numbers beside text
    return np.array(table, dtype=object)


def _require_cells(shape: tuple[int, ...]) -> None:
    for size, what in zip(shape, ("sample", "feature"), strict=True):
        if size == 0:
            raise InputError(
                f"Found array with 0 {what}(s) (shape={shape}) while a minimum of 1 is required."
            )


def _values_of_series(name: str, series: nw.Series[Any], categorical: bool) -> Values:
    dtype = series.dtype
    if dtype.is_nested():
        raise _foreign(name, str(dtype), 0)
    if dtype == nw.String and series.implementation.is_pyarrow():
        series = series.cast(nw.String)  # views of strings, which pyarrow cannot filter
    rows = np.flatnonzero(~series.is_null().to_numpy())
    n_rows = len(series)
    if len(rows) < n_rows:
        # out before NumPy sees them: with them whole numbers turn into floats, and dictionaries into
        # other values
        series = series.drop_nulls()
    is_categorical = dtype in (nw.Categorical, nw.Enum)
    time_zone = None
    if len(rows) and not is_categorical and dtype != nw.Object:
        # from a cell: narwhals does not find every zone's name in pandas' dtypes
        zone = getattr(series.item(0), "tzinfo", None)
        if zone is not None:
            time_zone = str(zone)
            series = series.dt.replace_time_zone(None)
    if dtype in (nw.Int128, nw.UInt128):  # NumPy has none
        series = series.cast(nw.Float64)
    array = series.to_numpy()
    if is_categorical and any(_content_of_type(type(category)) is None for category in set(array)):
        array = np.array([str(category) for category in array], dtype=object)  # intervals, by pandas.cut
    categorical = categorical or is_categorical
    return _values(name, array, rows, n_rows, categorical=categorical, time_zone=time_zone)


def _values_of_array(name: str, array: NDArray[Any], categorical: bool) -> Values:
    return _values(name, array, np.arange(len(array)), len(array), categorical=categorical)


def _values(
    name: str,
    array: NDArray[Any],
    rows: NDArray[np.intp],
    n_rows: int,
    *,
    categorical: bool,
    time_zone: str | None = None,
) -> Values:
    """Bring cells, which stand in ``rows`` of n_rows, into the plain form; the other rows are missing."""
    if array.dtype.kind == "m":  # durations are read as seconds
        array = array / np.timedelta64(1, "s")
    here = _present(array)
    if not here.all():
        array, rows = array[here], rows[here]
    if array.dtype == object and any(issubclass(type_, _CLOCK) for type_ in set(map(type, array))):
        array = np.array([_seconds(cell) for cell in array], dtype=object)
    content = _content(name, array, rows) if len(rows) else "nothing"
    plain: NDArray[Any]
    missing: Any
    if content == "number" and not categorical:
        plain, missing = _floats(name, array), np.nan
    elif content == "datetime" and not categorical:
        plain, missing = _dates(name, array), np.datetime64("NaT")
    else:
        plain, missing = _categories(name, array, content), None
    if len(rows) < n_rows:
        present, plain = plain, np.full(n_rows, missing, dtype=plain.dtype)
        plain[rows] = present
    cells = plain.tolist() if plain.dtype == object else plain
    return Values(name, content, cells, time_zone, categorical)


def _seconds(cell: Any) -> Any:
    """Return a duration, or a time of day since midnight, in seconds; another cell as it is."""
    if isinstance(cell, datetime.time):
        return 3600 * cell.hour + 60 * cell.minute + cell.second + 1e-6 * cell.microsecond
    if isinstance(cell, datetime.timedelta):
        return cell.total_seconds()
    return cell / np.timedelta64(1, "s") if isinstance(cell, np.timedelta64) else cell


def _is_missing(cell: Any) -> bool:
    # pandas' own missing values are told by name, because pandas need not be there
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    differs = isinstance(cell, float | np.floating | Decimal | np.datetime64) and cell != cell  # noqa: PLR0124 (NaN)
    return bool(differs)


def _present(array: NDArray[Any]) -> NDArray[np.bool_]:
    if array.dtype.kind in "fM":
        return np.asarray(~(np.isnan(array) if array.dtype.kind == "f" else np.isnat(array)))
    types = set(map(type, array)) if array.dtype == object else {str}
    if types == {str}:
        return np.ones(len(array), dtype=bool)
    if all(type_ is NoneType or _content_of_type(type_) for type_ in types):
        return np.asarray((array == array) & (array != None))  # noqa: E711, PLR0124 (NaN and NaT differ from themselves)
    return np.fromiter((not _is_missing(cell) for cell in array), dtype=bool, count=len(array))


def _content(name: str, array: NDArray[Any], rows: NDArray[np.intp]) -> Content:
    if array.dtype != object:
        types = {array.dtype.type}
        contents = {_CONTENT_OF_DTYPE.get(array.dtype.kind)}
    else:
        types = set(map(type, array))
        contents = {_content_of_type(type_) for type_ in types}
    if None in contents:
        _raise_foreign(name, array, rows, types)
    if contents == {"boolean", "number"}:  # a truth value is the number 0 or 1
        return "number"
    if len(contents) > 1:
        first = {type_: next(i for i, cell in enumerate(array) if type(cell) is type_) for type_ in types}
        found = ", ".join(
            f"{array[i]!r} ({type_.__name__}) in row {rows[i]}"
            for type_, i in sorted(first.items(), key=lambda item: item[1])
        )
        raise InputError(
            f"Column {name!r} mixes {' and '.join(sorted(PLURAL[c] for c in contents if c))}: {found}. "
            "Make its cells all of one type, text for example."
        )
    (content,) = contents
    return content or "nothing"


def _content_of_type(type_: type) -> Content | None:
    if issubclass(type_, bool | np.bool_):
        return "boolean"
    if issubclass(type_, numbers.Real | Decimal | _CLOCK):  # in seconds
        return "number"
    if issubclass(type_, str):
        return "text"
    if issubclass(type_, datetime.date | np.datetime64):
        return "datetime"
    return None


def _raise_foreign(name: str, array: NDArray[Any], rows: NDArray[np.intp], types: set[type]) -> None:
    foreign = {type_ for type_ in types if array.dtype != object or _content_of_type(type_) is None}
    row, type_ = next((rows[i], type(cell)) for i, cell in enumerate(array) if type(cell) in foreign)
    if issubclass(type_, numbers.Complex):
        raise InputError(
            f"Complex data not supported: column {name!r} has a complex number in row {row}. "
            "Pass its real and imaginary parts as two columns."
        )
    raise _foreign(name, type_.__name__, row)


def _foreign(name: str, what: str, row: int) -> CellError:
    return CellError(
        f"Column {name!r} holds a {what} in row {row}; a cell of the argument must be a string, a boolean, "
        "a date or a number. Turn the column into one of these, or leave it out."
    )


def _floats(name: str, array: NDArray[Any]) -> NDArray[np.float64]:
    try:
        return array.astype(np.float64)
    except (OverflowError, ValueError, TypeError) as error:
        raise InputError(
            f"Column {name!r} has a number that float64 cannot hold ({error}): give the column in larger "
            "units, or as text."
        ) from error


def _dates(name: str, array: NDArray[Any]) -> NDArray[np.datetime64]:
    if array.dtype == object and any(getattr(cell, "tzinfo", None) is not None for cell in array):
        raise InputError(
            f"Column {name!r} holds single dates with time zones: make it a column of dates with one time "
            "zone (pandas.to_datetime, for example), or take the time zones away."
        )
    return array.astype("datetime64[us]")


def _categories(name: str, array: NDArray[Any], content: Content) -> NDArray[Any]:
    if content == "datetime":
        return np.datetime_as_string(_dates(name, array), unit="auto").astype(object)
    plain = array.astype(object)
    if content == "number":
        cells = [int(cell) if isinstance(cell, numbers.Integral) else float(cell) for cell in plain]
        plain = np.array(cells, dtype=object)
        plain[np.isinf(_floats(name, array))] = None
    return plain
