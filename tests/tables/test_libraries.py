"""The same data give the same inputs, bit for bit, whichever library holds them."""

import datetime
import itertools
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from chainrule.tables import TableEncoder

N_ROWS = 60
RNG = np.random.default_rng(0)
WORDS = ["red", "green", "blue", "ÿ", "", "Ω 𝛀"]
DATES = [datetime.date(1931, 5, 17) + datetime.timedelta(days=int(d)) for d in RNG.integers(0, 40000, N_ROWS)]
TIMES = [
    datetime.datetime(1969, 12, 1) + datetime.timedelta(microseconds=int(us))
    for us in RNG.integers(0, 10**16, N_ROWS)
]
# up to 2037, where the tables of daylight saving time end: beyond it libraries disagree about the clock
ZONED = [
    datetime.datetime(1972, 1, 1) + datetime.timedelta(microseconds=int(us))
    for us in RNG.integers(0, 2 * 10**15, N_ROWS)
]
WHOLE = RNG.integers(-5, 6, N_ROWS).tolist()
PICKED = [WORDS[i] for i in RNG.integers(0, len(WORDS), N_ROWS)]

# name → (cells, Arrow type, whether they are named in categorical_features)
COLUMNS = {
    "int64": (WHOLE, pa.int64(), False),
    "int8": (WHOLE, pa.int8(), False),
    "uint64": ([abs(cell) + 2**63 for cell in WHOLE], pa.uint64(), False),
    "float64": (RNG.normal(size=N_ROWS).tolist(), pa.float64(), False),
    "float32": (RNG.normal(size=N_ROWS).astype(np.float32).tolist(), pa.float32(), False),
    "infinite": (RNG.choice([np.inf, -np.inf, 1.0, 2.0, 7.5], N_ROWS).tolist(), pa.float64(), False),
    "nan": (RNG.choice([np.nan, 1.0, 2.0, 7.5], N_ROWS).tolist(), pa.float64(), False),
    "decimal": ([Decimal(f"{cell}.{cell**2:02}") for cell in WHOLE], pa.decimal128(12, 2), False),
    "duration": ([cell * 1500 for cell in WHOLE], pa.duration("ms"), False),
    "boolean": (RNG.choice([True, False], N_ROWS).tolist(), pa.bool_(), False),
    "string": (PICKED, pa.string(), False),
    "large_string": (PICKED, pa.large_string(), False),
    "identifier": ([f"id {i}" for i in range(N_ROWS)], pa.string(), False),
    "categorical": (PICKED, pa.dictionary(pa.int32(), pa.string()), False),
    "date": (DATES, pa.date32(), False),
    "datetime_s": ([time.replace(microsecond=0) for time in TIMES], pa.timestamp("s"), False),
    "datetime_us": (TIMES, pa.timestamp("us"), False),
    "datetime_ns": ([int(i) for i in RNG.integers(-(10**18), 10**18, N_ROWS)], pa.timestamp("ns"), False),
    "zoned": (ZONED, pa.timestamp("us", "America/New_York"), False),
    "utc": ([time.replace(microsecond=0) for time in TIMES], pa.timestamp("ms", "UTC"), False),
    "constant": ([3.0] * N_ROWS, pa.float64(), False),
    "nothing": ([None] * N_ROWS, pa.null(), False),
    "number_category": (WHOLE, pa.int64(), True),
    "number_dictionary": (WHOLE, pa.dictionary(pa.int32(), pa.int64()), True),
    "fraction_category": (RNG.choice([0.1, 2.0, 1e300], N_ROWS).tolist(), pa.float64(), True),
    "boolean_category": (RNG.choice([True, False], N_ROWS).tolist(), pa.bool_(), True),
    "date_category": (RNG.choice(np.array(DATES[:5], dtype=object), N_ROWS).tolist(), pa.date32(), True),
}
# single cells of these kinds say less than the column: no time zone, no nanoseconds
NOT_IN_ROWS = ("duration", "zoned", "utc", "datetime_ns")
LIBRARIES = {
    "pyarrow": lambda table: table,
    "pandas": lambda table: table.to_pandas(),
    "pandas_arrow": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.from_arrow,
}


def arrow_table(name: str, missing: bool) -> pa.Table:
    cells, arrow_type, _ = COLUMNS[name]
    gone = np.arange(N_ROWS) % 7 == 3 if missing else np.zeros(N_ROWS, dtype=bool)
    column = pa.array([None if out else cell for cell, out in zip(cells, gone, strict=True)], arrow_type)
    # in two chunks, as files are read
    column = pa.chunked_array([column[:20], column[20:]])
    return pa.table({name: column, "anchor": np.arange(N_ROWS)})


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", COLUMNS)
def test_the_same_inputs_from_every_library(name, missing):
    table = arrow_table(name, missing)
    features = [name] if COLUMNS[name][2] else None
    tables = {library: convert(table) for library, convert in LIBRARIES.items()}
    encoders = {library: TableEncoder(features).fit(given) for library, given in tables.items()}
    first = encoders["pyarrow"]
    for fitted, given in itertools.product(encoders, tables):
        encoder = encoders[fitted]
        assert encoder.columns == first.columns
        assert encoder.input_names == first.input_names
        assert encoder.describe()[0] == first.describe()[0]
        np.testing.assert_array_equal(
            encoder.transform(tables[given], "float64"), first.transform(table, "float64"), strict=True
        )


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", [name for name in COLUMNS if name not in NOT_IN_ROWS])
def test_the_same_inputs_from_rows(name, missing):
    table = arrow_table(name, missing)
    rows = [list(row.values()) for row in table.to_pylist()]
    is_category = COLUMNS[name][2] or name == "categorical"
    by_name = TableEncoder([name] if is_category else None).fit(table)
    for given in (rows, [tuple(row) for row in rows], np.array(rows, dtype=object)):
        by_place = TableEncoder([0] if is_category else None).fit(given)
        assert [c.kind for c in by_place.columns] == [c.kind for c in by_name.columns]
        np.testing.assert_array_equal(by_place.transform(given), by_name.transform(table), strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8", "bool", "<U3", "object"])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_arrays_are_tables_without_names(dtype, order):
    numbers = np.random.default_rng(0).integers(0, 3, (50, 4))
    array = np.array(numbers.astype(dtype), order=order if order != "strided" else "C")
    if order == "strided":
        array = np.repeat(np.repeat(array, 2, axis=0), 2, axis=1)[::2, ::2]
    array.flags.writeable = False
    frame = pd.DataFrame({f"x{j}": array[:, j] for j in range(4)})
    encoder, named = TableEncoder().fit(array), TableEncoder().fit(frame)
    assert encoder.columns == named.columns
    assert not hasattr(encoder, "feature_names_in_")
    np.testing.assert_array_equal(encoder.transform(array), named.transform(frame), strict=True)


def test_ordered_enums_of_polars_and_pandas_are_categories():
    enum = pl.DataFrame({"size": pl.Series(PICKED, dtype=pl.Enum(WORDS))})
    ordered = pd.DataFrame({"size": pd.Categorical(PICKED, categories=WORDS, ordered=True)})
    encoder = TableEncoder().fit(enum)
    assert encoder.columns[0].kind == "category"
    np.testing.assert_array_equal(encoder.transform(ordered), TableEncoder().fit(ordered).transform(enum))


def test_missing_values_of_every_make_are_missing():
    # pandas keeps several: each is a missing value in a column of objects
    for nothing in (None, np.nan, pd.NA, pd.NaT, np.float32("nan"), Decimal("nan"), np.datetime64("NaT")):
        cells = pd.Series(["a", "b", nothing, "a", "b"], dtype=object)
        for table in (pd.DataFrame({"c": cells}), [[cell] for cell in cells]):
            encoder = TableEncoder().fit(table)
            assert [name.split(" ", 1)[1] for name in encoder.input_names] == ["= a", "= b", "is missing"]
            assert encoder.transform(table)[2].tolist() == [0, 0, 1]


def test_whole_numbers_beyond_float64_stay_different_categories():
    # float64 cannot tell them apart
    ids = [2**60, 2**60 + 1] * 5
    expected = [[-1.0], [1.0]] * 5
    for table in (pd.DataFrame({"id": ids}), pl.DataFrame({"id": ids}), pa.table({"id": ids})):
        assert TableEncoder(["id"]).fit(table).transform(table).tolist() == expected


def test_sparse_columns_of_pandas_are_read():
    dense = pd.DataFrame({"a": [0.0, 0.0, 1.0, 0.0, 2.0, np.nan]})
    X = TableEncoder().fit(dense).transform(dense)
    sparse = dense.astype(pd.SparseDtype(float, 0.0))
    np.testing.assert_array_equal(TableEncoder().fit(sparse).transform(sparse), X)
