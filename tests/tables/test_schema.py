import datetime
import itertools
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from chainrule.errors import InputError
from chainrule.tables import TableEncoder, task_of_target


def message_of(table):
    with pytest.raises(InputError) as error:
        TableEncoder().fit(table)
    # at predict time a table is read in the same way
    encoder = TableEncoder().fit([[1.0], [2.0]])
    with pytest.raises(InputError) as at_predict:
        encoder.transform(table)
    assert str(at_predict.value) == str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "make", [np.array, list, tuple, pd.Series, pl.Series, lambda cells: pa.chunked_array([cells])]
)
def test_one_dimensional_input(make):
    assert message_of(make([1.0, 2.0, 3.0])).startswith("Expected 2D array, got 1D array instead:\narray=[1")
    assert (
        "Reshape your data either using array.reshape(-1, 1) if your data has a single feature or "
        "array.reshape(1, -1) if it contains a single sample. A table is a pandas, polars or pyarrow table, "
        "a two-dimensional array or a list of rows."
    ) in message_of(make([1.0, 2.0]))


@pytest.mark.parametrize(
    ("table", "form", "name"),
    [
        (5.0, "scalar", "float"),
        ("data.csv", "scalar", "str"),
        ({"a": [1, 2]}, "scalar", "dict"),
        (None, "scalar", "NoneType"),
        (np.ones((2, 2, 2)), "3D", "ndarray"),
    ],
)
def test_other_dimensions(table, form, name):
    message = message_of(table)
    assert message.startswith(f"Expected 2D array, got {form} array instead. A table is a pandas, polars")
    assert message.endswith(f"this is a {name}.")


def test_rows_of_different_lengths():
    assert (
        message_of([[1, 2], [3]])
        == "The rows of the table differ in length; all rows must have as many cells."
    )


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array])
def test_sparse_input(container):
    assert message_of(container(np.eye(3))) == "Sparse input is not read here: pass X.toarray()."


def test_lazy_input():
    lazy = pl.DataFrame({"a": [1, 2]}).lazy()
    assert message_of(lazy) == "A LazyFrame has no values yet: collect it first (table.collect())."


@pytest.mark.parametrize(
    "make",
    [lambda array: array, pd.DataFrame, lambda array: pd.DataFrame(array, columns=list("abc"))],
)
def test_no_rows(make):
    assert message_of(make(np.empty((0, 3)))) == (
        "Found array with 0 sample(s) (shape=(0, 3)) while a minimum of 1 is required."
    )


@pytest.mark.parametrize("table", [np.empty((12, 0)), pd.DataFrame(index=range(12)), [[]] * 12])
def test_no_columns(table):
    assert (
        message_of(table) == "Found array with 0 feature(s) (shape=(12, 0)) while a minimum of 1 is required."
    )


@pytest.mark.parametrize("table", [pl.DataFrame(), pa.table({}), pd.DataFrame()])
def test_nothing_at_all(table):
    assert (
        message_of(table) == "Found array with 0 sample(s) (shape=(0, 0)) while a minimum of 1 is required."
    )


@pytest.mark.parametrize(
    "table",
    [pd.DataFrame(np.eye(3), columns=["a", "b", "a"]), pa.table([[1, 2], [3, 4]], names=["a", "a"])],
)
def test_a_name_twice(table):
    message = message_of(table)
    assert message.startswith("Two columns have the same name; give each its own. (")
    assert "'a' 2 times" in message


def test_names_of_mixed_types():
    assert message_of(pd.DataFrame(np.eye(3), columns=["a", 1, 2.5])) == (
        "Feature names are only supported if all input features have string names, but your input has "
        "['float', 'int', 'str'] as feature name / column name types. Make them all strings, with "
        "X.columns = X.columns.astype(str) for example."
    )


@pytest.mark.parametrize("make", [lambda array: array, lambda array: array.astype(object), pd.DataFrame])
def test_complex_numbers(make):
    assert message_of(make(np.array([[1 + 2j], [3.0]]))) == (
        "Complex data not supported: column 'x0' has a complex number in row 0. Pass its real and imaginary "
        "parts as two columns."
    )


CELLS = {
    "booleans": (True, "bool"),
    "dates": (datetime.date(2020, 1, 2), "date"),
    "numbers": (1.5, "float"),
    "text": ("word", "str"),
}


@pytest.mark.parametrize("make", [list, lambda rows: np.array(rows, dtype=object), pd.DataFrame])
@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(CELLS, 2)))
def test_mixed_columns(one, other, make):
    (first, first_type), (second, second_type) = CELLS[one], CELLS[other]
    table = make([[None], [first], [first], [second]])
    if {one, other} == {"booleans", "numbers"}:
        assert TableEncoder().fit(table).columns[0].kind == "number"
        return
    assert message_of(table) == (
        f"Column 'x0' mixes {' and '.join(sorted([one, other]))}: {first!r} ({first_type}) in row 1, "
        f"{second!r} ({second_type}) in row 3. Make its cells all of one type, text for example."
    )


@pytest.mark.parametrize(
    ("cell", "type_name"),
    [
        ({"foo": "bar"}, "dict"),
        (b"bytes", "bytes"),
        ((1, 2), "tuple"),
        ({1, 2}, "set"),
        (object(), "object"),
    ],
)
def test_foreign_cells(cell, type_name):
    table = np.full((3, 1), None)
    table[:, 0] = [1.5, cell, None]
    assert message_of(table) == (
        f"Column 'x0' holds a {type_name} in row 1; a cell of the argument must be a string, a boolean, a "
        "date or a number. Turn the column into one of these, or leave it out."
    )
    with pytest.raises(TypeError, match=r"argument must be .* string.* number"):  # as scikit-learn asks
        TableEncoder().fit(table)


@pytest.mark.parametrize(
    "table",
    [
        pl.DataFrame({"x0": [[1, 2], [3]]}),
        pl.DataFrame({"x0": [{"a": 1}, {"a": 2}]}),
        pl.DataFrame({"x0": [b"a", b"b"]}),
        pa.table({"x0": [[1, 2], [3]]}),
        pa.table({"x0": [{"a": 1}, {"a": 2}]}),
        pa.table({"x0": [b"a", b"b"]}),
        np.array([[b"a"], [b"b"]]),
        np.zeros((2, 1), dtype=[("a", float)]),
    ],
)
def test_foreign_columns(table):
    assert message_of(table).startswith("Column 'x0' holds a ")


def test_numbers_beyond_float64():
    assert message_of([[10**400], [1]]).startswith("Column 'x0' has a number that float64 cannot hold (")


def test_single_dates_with_time_zones():
    aware = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    assert message_of([[aware], [aware]]) == (
        "Column 'x0' holds single dates with time zones: make it a column of dates with one time zone "
        "(pandas.to_datetime, for example), or take the time zones away."
    )


def test_whatever_converts_to_an_array_is_a_table():
    class Converts:
        def __array__(self, dtype=None, copy=None):
            return np.arange(6.0).reshape(3, 2)

    assert TableEncoder().fit(Converts()).transform(Converts()).shape == (3, 2)


# The task

LIBRARIES = [
    list,
    lambda cells: np.array(cells, dtype=object),
    pd.Series,
    lambda cells: pl.Series(cells, strict=False),
    pa.array,
    lambda cells: pa.chunked_array([cells]),
    lambda cells: np.array(cells, dtype=object)[:, None],
]


@pytest.mark.parametrize("make", LIBRARIES)
@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["yes", "no", "yes"], "classification"),
        (["1", "2", "3"], "classification"),
        ([True, False, None], "classification"),
        ([0, 1, 1, 0], "classification"),
        ([-1, 1], "classification"),
        ([0.0, 100.0, None], "classification"),
        (list(range(3)) * 5, "classification"),
        (list(range(20)) * 5, "classification"),
        ([1, 2, 3, 4, 5, 7] * 5, "classification"),
        ([float(k) for k in range(5)] * 5, "classification"),
        (list(range(21)) * 5, "regression"),  # too many
        (list(range(5)) * 4, "regression"),  # too seldom
        ([1, 2, 10] * 50, "regression"),  # too far from each other
        ([0, 0.5, 1], "regression"),
        ([0.5, 0.25], "regression"),
        ([1, float("inf"), 1], "regression"),
        ([3, 3, 3], "regression"),
        ([Decimal("1.25"), Decimal("3.50")], "regression"),
        ([Decimal("1.00"), Decimal("0.00")], "classification"),
    ],
)
def test_task_of_target(make, cells, task):
    assert task_of_target(make(cells)) == task


def test_categoricals_are_classes_whatever_they_hold():
    numbers = [0.5, 1.5, 2.5]
    assert task_of_target(pd.Series(numbers)) == "regression"
    assert task_of_target(pd.Series(numbers).astype("category")) == "classification"
    assert task_of_target(pa.chunked_array([numbers]).dictionary_encode()) == "classification"
    assert task_of_target(pl.Series(["a"], dtype=pl.Categorical)) == "classification"


@pytest.mark.parametrize("y", [[], [None, None], np.array([np.nan])])
def test_a_target_without_values(y):
    with pytest.raises(InputError) as error:
        task_of_target(y)
    assert str(error.value) == "The target has no value that is not missing: there is nothing to learn."


def test_a_target_of_dates():
    with pytest.raises(
        InputError, match=r"^The target holds dates: turn it into numbers, such as the days since"
    ):
        task_of_target(pd.Series(pd.date_range("2020", periods=3)))


@pytest.mark.parametrize("y", [np.ones((3, 2)), 5, "yes"])
def test_a_target_that_is_not_one_column(y):
    with pytest.raises(InputError) as error:
        task_of_target(y)
    assert str(error.value) == f"y must be one column, (n_rows,), but its shape is {np.shape(y)}."


def test_a_target_of_foreign_cells():
    with pytest.raises(InputError, match=r"^Column 'y' mixes numbers and text"):
        task_of_target(["a", 1])
