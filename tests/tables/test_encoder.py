import datetime
import json
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.preprocessing import OneHotEncoder, RobustScaler

from chainrule.errors import InputError
from chainrule.tables import Column, TableEncoder
from chainrule.tables.encodings import MOST_CATEGORIES, ROWS_PER_CATEGORY, ROWS_PER_CODE


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def fit_transform(table, categorical_features=None):
    return TableEncoder(categorical_features).fit(table).transform(table, "float64")


# Numbers


@pytest.mark.parametrize("with_missing", [False, True])
@pytest.mark.parametrize("distribution", ["normal", "cauchy", "integers"])
def test_numbers_are_scaled_as_by_robust_scaler_then_clipped(rng, distribution, with_missing):
    draw = {
        "normal": lambda: rng.normal(5, 100, (401, 3)),
        "cauchy": lambda: rng.standard_cauchy((401, 3)) * 1e5,
        "integers": lambda: rng.integers(-50, 1000, (401, 3)).astype(float),
    }[distribution]()
    if with_missing:
        draw[rng.random(draw.shape) < 0.2] = np.nan
    z = RobustScaler().fit_transform(draw)
    expected = np.nan_to_num(z / np.sqrt(1 + (z / 3) ** 2))
    X = fit_transform(draw)
    if with_missing:
        np.testing.assert_array_equal(X[:, 1::2], np.isnan(draw))
        X = X[:, 0::2]
    np.testing.assert_allclose(X, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("centre", "step"),
    [(0, 1e300), (0, 4e-307), (1e9, 2.0**-20), (-3e15, 0.5), (1e300, 1e290), (1e-300, 1e-305), (0, 8e304)],
)
def test_numbers_of_any_size_against_exact_arithmetic(rng, centre, step):
    # 401 numbers: median and quartiles are numbers of the column, nothing is interpolated
    numbers = centre + step * rng.permutation(np.arange(-200, 201) ** 3 / 4000.0)
    exact = [Fraction(number) for number in numbers.tolist()]
    ranked = sorted(exact)
    median, distance = ranked[200], ranked[300] - ranked[100]
    z = np.array([float((number - median) / distance) for number in exact])
    np.testing.assert_allclose(
        fit_transform(numbers[:, None])[:, 0], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-12
    )


def test_the_largest_and_smallest_numbers_stay_finite_and_in_order():
    info = np.finfo(np.float64)
    column = np.array([-info.max, -1.0, -info.tiny, 0.0, info.smallest_subnormal, 1.0, info.max])
    for repeats in (1, 100):
        table = np.concatenate([column, np.zeros(repeats)])[:, None]
        X = fit_transform(table)[:7, 0]
        assert np.isfinite(X).all()
        assert (np.diff(X) >= 0).all()
        assert X[0] < X[3] < X[6]
    for fitted in ([0.0, info.smallest_subnormal * 4], [0.0, info.tiny], [-info.max, info.max]):
        X = TableEncoder().fit([[number] for number in fitted]).transform(column[:, None], "float64")
        assert np.isfinite(X).all()
        assert (np.abs(X) <= 3 * (1 + 1e-15)).all()


def test_scale_falls_back_to_half_the_range_when_the_quartiles_agree():
    numbers = np.array([0.0] * 20 + [4.0, -6.0])
    z = numbers / 5
    np.testing.assert_allclose(
        fit_transform(numbers[:, None])[:, 0], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-15
    )


@pytest.mark.parametrize("finite", [[1.0, 2.0, 5.0], [1.0], []])
def test_infinite_numbers_are_the_ends_and_do_not_move_the_scale(finite):
    table = np.array([*finite, np.inf, -np.inf, np.inf])[:, None]
    X = fit_transform(table)[:, 0]
    np.testing.assert_allclose(X[len(finite) :], [3, -3, 3], rtol=1e-15)
    if len(finite) > 1:
        np.testing.assert_array_equal(X[:3], fit_transform(table[:3])[:, 0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_missing_only_at_predict_is_the_median(dtype):
    encoder = TableEncoder().fit(np.arange(11.0)[:, None])
    assert encoder.input_names == ("x0",)
    X = encoder.transform([[None], [np.nan], [5]], dtype)
    assert X.dtype == dtype
    assert X.tolist() == [[0.0], [0.0], [0.0]]


def test_a_column_that_only_says_whether_it_is_missing():
    encoder = TableEncoder().fit([[7.0], [None], [7.0]])
    assert encoder.columns == (Column("x0", "number", "constant where it is not missing"),)
    assert encoder.input_names == ("x0 is missing",)
    assert encoder.transform([[8.0], [None]]).tolist() == [[0.0], [1.0]]


def test_results_are_cast_last(rng):
    numbers = 1e9 + rng.random((100, 1)) * 1e-3  # float32 holds none of these differences
    encoder = TableEncoder().fit(numbers)
    X = encoder.transform(numbers)
    assert X.dtype == np.float32
    assert X.flags.c_contiguous
    np.testing.assert_array_equal(X, encoder.transform(numbers, "float64").astype(np.float32))
    assert len(np.unique(X)) > 95


# Categories


def draw_words(rng, n_categories, n_rows):
    """Return words of which some are frequent and some rare."""
    p = 1 / np.arange(1, n_categories + 1)
    return [*(f"word {k}" for k in rng.choice(n_categories, n_rows, p=p / p.sum())), "once"]


@pytest.mark.parametrize(("n_categories", "n_rows"), [(3, 20), (10, 40), (60, 400), (300, 3000)])
def test_categories_are_encoded_as_by_one_hot_encoder(rng, n_categories, n_rows):
    words = np.array(draw_words(rng, n_categories, n_rows), dtype=object)[:, None]
    other = OneHotEncoder(
        min_frequency=ROWS_PER_CATEGORY,
        max_categories=MOST_CATEGORIES + 1,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
    ).fit(words)
    encoder = TableEncoder().fit(words)
    names, counts = np.unique(words.astype(str), return_counts=True)
    if len(names) > MOST_CATEGORIES:  # at the cut, the order of equal counts is each library's own
        clear = names[counts != np.sort(counts)[-MOST_CATEGORIES]]
        words = words[np.isin(words[:, 0].astype(str), clear)]
    table = np.concatenate([words, [["never seen"]]])
    theirs = dict(zip(other.get_feature_names_out(), other.transform(table).T, strict=True))
    ours = dict(zip(encoder.input_names, encoder.transform(table, "float64").T, strict=True))
    np.testing.assert_array_equal(ours.pop("x0 is rare"), theirs.pop("x0_infrequent_sklearn"))
    for name, column in ours.items():
        word = name.removeprefix("x0 = ")
        if word in table:
            np.testing.assert_array_equal(column, theirs[f"x0_{word}"])
    assert len(ours) == len(theirs)


def test_categories_come_by_frequency_then_by_name():
    cells = ["b"] * 3 + ["a"] * 3 + ["z"] * 5 + ["c"] * 2 + ["solo"]
    encoder = TableEncoder().fit([[cell] for cell in cells])
    assert encoder.input_names == ("x0 = z", "x0 = a", "x0 = b", "x0 = c", "x0 is rare")
    X = encoder.transform([["a"], ["solo"], ["new"], [None]])
    assert X.tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("n_wide", [1, 4, 8, 16, 20])
def test_only_the_most_frequent_categories_have_inputs(n_wide):
    """Up to 256 of a column, and 1024 of all columns together, but 64 at least."""
    most = {1: 256, 4: 256, 8: 128, 16: 64, 20: 64}[n_wide]
    cells = [f"{k:03}" for k in range(266) for _ in range(2 + (266 - k) // 45)]
    encoder = TableEncoder().fit([[cell] * n_wide + [cell > "200"] for cell in cells])
    counts = Counter(cells)
    own = sorted(counts, key=lambda cell: (-counts[cell], cell))[:most]
    names = encoder.inputs_by_column[0]
    assert names[:most] == tuple(f"x0 = {cell}" for cell in own)
    assert names[most:] == ("x0 is rare",)  # none comes back often enough for a code
    assert encoder.columns[0].note == f"{266 - most} rare categories share an input"
    assert encoder.transform([["265"] * n_wide + [True]])[0, most] == 1


@pytest.mark.parametrize("n_coded", [1, 2, 32, 33, 1024, 1025, 3000])
@pytest.mark.parametrize("missing", [False, True])
def test_rare_categories_that_come_back_have_codes(n_coded, missing):
    words = [f"word {k:04}" for k in range(256 + n_coded)]
    cells = [word for word in words for _ in range(ROWS_PER_CODE)] + ["once", "twice", "twice"]
    encoder = TableEncoder().fit([[cell] for cell in cells + [None] * missing])
    n_digits = 0 if n_coded == 1 else 1 if n_coded <= 32 else 2 if n_coded <= 1024 else 3
    assert encoder.n_inputs == 256 + 1 + 32 * n_digits + missing
    rest = [["once"], ["twice"], ["new"]]
    X = encoder.transform([[word] for word in words] + rest + [[None]] * missing)
    np.testing.assert_array_equal(X[:256, :256], np.eye(256))
    assert not X[:256, 256:].any()
    rare = X[256 : 256 + n_coded + 3]
    assert not rare[:, :256].any()
    assert (rare[:, 256] == 1).all()
    codes = rare[:n_coded, 257 : 257 + 32 * n_digits].reshape(n_coded, n_digits, 32)
    assert (codes.sum(axis=2) == 1).all()
    ranks = (codes.argmax(axis=2) * 32 ** np.arange(n_digits)).sum(axis=1)
    if n_digits:
        np.testing.assert_array_equal(ranks, np.arange(n_coded))
    assert not rare[n_coded:, 257:].any()  # they share the one input
    if missing:
        np.testing.assert_array_equal(X[-1], np.eye(encoder.n_inputs)[-1])
    description, arrays = json.loads(json.dumps(encoder.describe()[0])), encoder.describe()[1]
    again = TableEncoder.from_description(description, arrays)
    np.testing.assert_array_equal(again.transform(rest), encoder.transform(rest))
    np.testing.assert_array_equal(again.transform([[w] for w in words]), X[: len(words)])


@pytest.mark.parametrize(
    ("cells", "low", "high"), [(["no", "yes", "no"], "no", "yes"), ([True, False], False, True)]
)
def test_two_categories_are_one_input(cells, low, high):
    encoder = TableEncoder().fit([[cell] for cell in cells])
    assert encoder.input_names == (f"x0 = {high}",)
    assert encoder.transform([[low], [high], [None]]).tolist() == [[-1], [1], [0]]


def test_two_categories_unseen_and_missing():
    encoder = TableEncoder().fit([["a"], ["b"], ["a"]])
    assert encoder.transform([["c"], [None], ["b"]]).tolist() == [[0], [0], [1]]
    encoder = TableEncoder().fit([["a"], ["b"], ["a"], [None], ["b"]])
    assert encoder.input_names == ("x0 = a", "x0 = b", "x0 is missing")
    assert encoder.transform([["c"], [None], ["b"]]).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_unseen_categories_without_rare_ones_are_all_zero():
    encoder = TableEncoder().fit([[cell] for cell in "aabbcc"])
    assert encoder.transform([["d"]]).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    "features", [["code"], [0], [True, False], np.array([True, False]), ("code",), [np.int64(0)]]
)
def test_categorical_features_are_named_placed_or_masked(features):
    frame = pd.DataFrame({"code": [10, 20, 30] * 4, "size": np.arange(12.0)})
    encoder = TableEncoder(features).fit(frame)
    assert [column.kind for column in encoder.columns] == ["category", "number"]
    assert encoder.input_names == ("code = 10", "code = 20", "code = 30", "size")


def test_numbers_and_words_are_different_categories():
    words = TableEncoder([0]).fit(pd.DataFrame({"c": ["1", "2"] * 3}))
    numbers = TableEncoder([0]).fit(pd.DataFrame({"c": [1, 2] * 3}))
    assert words.describe()[0]["columns"][0]["categories"] == ["1", "2"]
    assert numbers.describe()[0]["columns"][0]["categories"] == [1, 2]
    # floats because of a missing value beside them, and booleans, are the same numbers
    floats = pd.DataFrame({"c": [1.0, 2.0, np.nan]})
    np.testing.assert_array_equal(numbers.transform(floats), [[-1], [1], [0]])
    with pytest.raises(InputError, match="holds numbers"):
        words.transform(floats)


def test_dates_as_categories_are_iso_strings():
    days = [datetime.date(2024, 5, 1), datetime.date(2024, 5, 2)] * 3
    encoder = TableEncoder([0]).fit(pl.DataFrame({"day": days}))
    assert encoder.describe()[0]["columns"][0]["categories"] == ["2024-05-01", "2024-05-02"]


# Dates


def test_dates_give_a_trend_and_cycles():
    times = pd.date_range("2019-01-01", "2023-01-01", freq="7h")
    frame = pd.DataFrame({"when": times})
    encoder = TableEncoder().fit(frame)
    X = dict(zip(encoder.input_names, encoder.transform(frame, "float64").T, strict=True))
    seconds = times.to_numpy().astype("datetime64[s]").astype(np.int64)
    z = RobustScaler().fit_transform(seconds[:, None])[:, 0]
    np.testing.assert_allclose(X.pop("when"), z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-9, atol=1e-12)
    clock = (times.hour + times.minute / 60) / 24
    year = (times.day_of_year - 1 + clock) / np.where(times.is_leap_year, 366, 365)
    cycles = {"time of year": year, "day of week": times.day_of_week / 7, "time of day": clock}
    for cycle, phase in cycles.items():
        angle = 2 * np.pi * np.asarray(phase)
        np.testing.assert_allclose(X.pop(f"when: sine of {cycle}"), np.sin(angle), atol=1e-12)
        np.testing.assert_allclose(X.pop(f"when: cosine of {cycle}"), np.cos(angle), atol=1e-12)
    assert not X


@pytest.mark.parametrize(
    ("freq", "cycles"),
    [
        ("D", ["time of year", "day of week"]),
        ("7D", ["time of year"]),
        ("YS", ["day of week"]),
        ("h", ["time of year", "day of week", "time of day"]),
    ],
)
def test_only_cycles_that_vary_are_inputs(freq, cycles):
    encoder = TableEncoder().fit(pd.DataFrame({"d": pd.date_range("2001-01-01", periods=30, freq=freq)}))
    expected = [f"d: {part} of {cycle}" for cycle in cycles for part in ("sine", "cosine")]
    assert list(encoder.input_names) == ["d", *expected]


def test_missing_dates():
    days = [datetime.date(2024, 5, 1), None, datetime.date(2024, 8, 2), datetime.date(2025, 1, 7)]
    encoder = TableEncoder().fit([[day] for day in days])
    X = encoder.transform([[day] for day in days])
    assert encoder.input_names[:2] == ("x0", "x0 is missing")
    assert X[:, 1].tolist() == [0, 1, 0, 0]
    assert not X[1, [0, 2, 3, 4, 5]].any()
    without = TableEncoder().fit([[day] for day in days if day])
    assert not without.transform([[None]]).any()


def test_the_clock_of_the_time_zone_counts():
    times = pd.date_range("2024-05-01", periods=50, freq="5h")
    plain = fit_transform(pd.DataFrame({"t": times}))
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        frame = pd.DataFrame({"t": times.tz_localize(zone)})
        encoder = TableEncoder().fit(frame)
        np.testing.assert_array_equal(encoder.transform(frame, "float64"), plain)
        with pytest.raises(InputError) as error:
            encoder.transform(pd.DataFrame({"t": times.tz_localize("Europe/Paris")}))
        assert str(error.value) == (
            "Column 't' has dates in the time zone Europe/Paris, but at fit they were in the time zone "
            f"{zone}: convert them, or fit again."
        )
        with pytest.raises(InputError, match="has dates without a time zone, but at fit they were in"):
            encoder.transform(pd.DataFrame({"t": times}))


# Columns


def test_columns_that_say_nothing_are_dropped():
    frame = pd.DataFrame(
        {
            "constant": [1.0] * 4,
            "word": ["a"] * 4,
            "flag": [True] * 4,
            "day": [datetime.date(2020, 1, 1)] * 4,
            "gone": [None] * 4,
            "nan": [np.nan] * 4,
            "id": ["p", "q", "r", "s"],
            "kept": [1, 2, 3, 4],
        }
    )
    encoder = TableEncoder().fit(frame)
    notes = {column.name: (column.kind, column.note) for column in encoder.columns}
    assert notes == {
        "constant": ("dropped", "constant"),
        "word": ("dropped", "constant"),
        "flag": ("dropped", "constant"),
        "day": ("dropped", "constant"),
        "gone": ("dropped", "all values are missing"),
        "nan": ("dropped", "all values are missing"),
        "id": ("dropped", "every value is different"),
        "kept": ("number", ""),
    }
    assert encoder.input_names == ("kept",)
    # dropped columns are not looked at
    frame["gone"] = "text"
    frame["constant"] = [["a list"]] * 4
    assert encoder.transform(frame).shape == (4, 1)


def test_identifiers_with_missing_ones_say_whether_they_are_missing():
    encoder = TableEncoder().fit([["p", 1], [None, 2], ["q", 3]])
    assert encoder.columns[0].note == "every value is different, but it says something whether one is missing"
    assert encoder.input_names == ("x0 is missing", "x1")
    assert encoder.transform([["p", 2], [None, 2], ["new", 2]]).tolist() == [[0, 0], [1, 0], [0, 0]]


def test_one_row_is_transformed():
    frame = pd.DataFrame({"n": [1.0, 2.0, 3.0], "c": ["a", "b", "a"], "b": [True, False, None]})
    encoder = TableEncoder().fit(frame)
    X = encoder.transform(frame)
    for row in range(3):
        np.testing.assert_array_equal(encoder.transform(frame.iloc[[row]]), X[[row]])
    only_missing = pd.DataFrame({"n": [None], "c": [None], "b": [None]})
    assert encoder.transform(only_missing).tolist() == [[0, 0, 0, 0, 1]]


def test_booleans_and_numbers_are_taken_for_each_other():
    booleans = TableEncoder().fit(np.array([[True], [False], [True]]))
    assert booleans.transform([[1], [0], [0.0], [2]]).tolist() == [[1], [-1], [-1], [0]]
    numbers = TableEncoder().fit(np.array([[1.0], [0.0], [0.5]]))
    np.testing.assert_array_equal(numbers.transform([[True], [False]]), numbers.transform([[1], [0]]))


def test_names_are_kept_when_they_are_strings():
    frame = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "b"])
    encoder = TableEncoder().fit(frame)
    assert encoder.feature_names_in_.tolist() == ["a", "b"]
    assert encoder.feature_names_in_.dtype == object
    assert encoder.n_features_in_ == 2
    encoder.fit(frame.to_numpy())
    assert not hasattr(encoder, "feature_names_in_")
    encoder.fit(pd.DataFrame(frame.to_numpy()))  # pandas numbers the columns
    assert not hasattr(encoder, "feature_names_in_")
    assert encoder.columns[0].name == "x0"
    # without names on one side the places count
    np.testing.assert_array_equal(
        encoder.transform(frame), TableEncoder().fit(frame).transform(frame.to_numpy())
    )


def test_a_description_survives_json_and_makes_the_same_bits(rng):
    frame = pd.DataFrame(
        {
            "n": rng.normal(size=90) * 1e-200,
            "m": rng.choice([1.5, np.nan, np.inf, 1 / 3], 90),
            "c": rng.choice(["ä", "b", "𝛀", None], 90),
            "k": rng.choice([1, 2**60 + 1, 3], 90),
            "b": rng.choice([True, False, None], 90),
            "t": pd.date_range("2020", periods=90, freq="31h", tz="Asia/Tokyo"),
            "x": [None] * 90,
        }
    )
    encoder = TableEncoder(["k"]).fit(frame)
    description, arrays = encoder.describe()
    text = json.dumps(description, allow_nan=False)
    assert arrays["scaling"].dtype == np.float64
    assert arrays["scaling"].shape == (7, 2)
    again = TableEncoder.from_description(json.loads(text), arrays)
    for dtype in ("float32", "float64"):
        np.testing.assert_array_equal(
            again.transform(frame, dtype), encoder.transform(frame, dtype), strict=True
        )
    assert again.columns == encoder.columns
    assert again.input_names == encoder.input_names
    assert again.feature_names_in_.tolist() == encoder.feature_names_in_.tolist()
    assert json.dumps(again.describe()[0]) == text
    unnamed = TableEncoder().fit(frame[["n"]].to_numpy())
    assert not hasattr(TableEncoder.from_description(*unnamed.describe()), "feature_names_in_")


def test_no_table_library_is_imported():
    code = (
        "import sys; from chainrule.tables import TableEncoder; "
        "TableEncoder().fit([[1, 'a'], [2, 'b'], [3, 'a']]);"
        "print([name for name in ('pandas', 'polars', 'pyarrow') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# Errors


def test_a_table_that_says_nothing():
    with pytest.raises(InputError) as error:
        TableEncoder().fit([["only", 1.5]])
    assert str(error.value) == (
        "No column says anything about the rows (n_samples=1): 'x0' (constant), 'x1' (constant). A table "
        "needs a column whose values differ, and text must repeat."
    )
    with pytest.raises(InputError, match=r"'x4' \(constant\), …\. A table needs"):
        TableEncoder().fit(np.ones((5, 6)))


def test_not_fitted_yet():
    with pytest.raises(
        InputError, match=r"^This TableEncoder has seen no table yet: call fit\(table\) first\.$"
    ):
        TableEncoder().transform([[1.0]])


@pytest.mark.parametrize("dtype", ["int32", "float16", "real", object])
def test_other_dtypes(dtype):
    encoder = TableEncoder().fit([[1.0], [2.0]])
    with pytest.raises(InputError, match=r"^dtype=.* is not possible; choose 'float32' or 'float64'\.$"):
        encoder.transform([[1.0]], dtype)


CELLS = {
    "numbers": ([1.5, 2.5, 3.5], "1.5"),
    "booleans": ([True, False, True], "True"),
    "text": (["a", "b", "a"], "'a'"),
    "dates": ([datetime.datetime(2020, 1, day) for day in (1, 2, 3)], "2020-01-01 00:00:00"),
}
ALIKE = ("numbers", "booleans")


@pytest.mark.parametrize("given", CELLS)
@pytest.mark.parametrize("at_fit", CELLS)
@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_other_contents_than_at_fit(at_fit, given, library):
    encoder = TableEncoder().fit(library({"c": CELLS[at_fit][0]}))
    cells, example = CELLS[given]
    if at_fit in ("text", "booleans"):  # as categories, dates are ISO strings
        example = example.removesuffix(" 00:00:00")
    table = library({"c": [None, *cells]})
    if at_fit == given or {at_fit, given} == set(ALIKE):
        assert encoder.transform(table).shape == (4, encoder.n_inputs)
        return
    with pytest.raises(InputError) as error:
        encoder.transform(table)
    assert str(error.value) == (
        f"Column 'c' holds {given} ({example} in row 1), but at fit it held {at_fit}: pass {at_fit} there, "
        "or fit again."
    )


def test_another_number_of_columns():
    encoder = TableEncoder().fit(np.arange(12.0).reshape(4, 3))
    with pytest.raises(InputError) as error:
        encoder.transform([[1.0, 2.0]])
    assert str(error.value) == "X has 2 features, but TableEncoder is expecting 3 features as input."


def test_other_names():
    frame = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=["a", "b", "c"])
    encoder = TableEncoder().fit(frame)
    start = "The feature names should match those that were passed during fit.\n"
    with pytest.raises(InputError) as error:
        encoder.transform(frame.rename(columns={"b": "z"}))
    assert str(error.value) == (
        f"{start}Feature names unseen at fit time:\n- z\n"
        "Feature names seen at fit time, yet now missing:\n- b\n"
    )
    with pytest.raises(InputError) as error:
        encoder.transform(frame[["b", "a", "c"]])
    assert str(error.value) == f"{start}Feature names must be in the same order as they were in fit.\n"
    with pytest.raises(InputError) as error:
        encoder.transform(frame.assign(**{f"n{k}": 1.0 for k in range(7)}))
    listed = "- n0\n- n1\n- n2\n- n3\n- n4\n- ...\n"
    assert str(error.value) == f"{start}Feature names unseen at fit time:\n{listed}"


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            "a",
            "categorical_features='a' must be None or a list of columns: their names, their places from 0, ",
        ),
        ([1.5], "categorical_features=[1.5] must be None or a list of columns"),
        (["z"], "categorical_features has 'z', but the table's columns are a, b (places 0 to 1)."),
        ([0, 2, -1], "categorical_features has 2, -1, but the table's columns are a, b (places 0 to 1)."),
        (
            [True],
            "categorical_features is a mask of 1 entries, but the table has 2 columns: give one entry for",
        ),
    ],
)
def test_impossible_categorical_features(features, message):
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    with pytest.raises(InputError) as error:
        TableEncoder(features).fit(frame)
    assert str(error.value).startswith(message)


def test_ramps_are_missing_with_the_number_and_end_where_the_knots_end():  # N25
    encoder = TableEncoder(n_ramps=4).fit([[1.0], [2.0], [4.0], [None]])
    assert encoder.input_names == ("x0", "x0 from 1 to 2", "x0 from 2 to 4", "x0 is missing")
    X = encoder.transform([[-np.inf], [1.0], [1.5], [3.0], [np.inf], [None]], "float64")
    expected = [[-0.5, -0.5], [-0.5, -0.5], [0, -0.5], [0.5, 0], [0.5, 0.5], [0, 0]]
    np.testing.assert_array_equal(X[:, 1:3], expected)


@pytest.mark.parametrize(("n_columns", "n_ramps"), [(1, 16), (64, 16), (200, 5), (257, 0)])
def test_a_wide_table_gets_fewer_ramps(n_columns, n_ramps):
    X = np.random.default_rng(0).normal(size=(40, n_columns))
    encoder = TableEncoder(n_ramps=16).fit(X)
    assert encoder.n_inputs == n_columns * (1 + n_ramps)


WRITTEN = {
    "numbers": ([repr(0.5 * k) for k in range(200)], True),
    "few rows": (["1.5", "-2", "+3e5", " 4 ", ".5", "7."], True),
    "missing words": (["", "NA", "?", "nan", "None", *map(str, range(100))], True),
    "codes that come back": ([str(k % 7) for k in range(100)], False),
    "65 that come back": ([str(k % 65) for k in range(650)], True),
    "64 that come back": ([str(k % 64) for k in range(640)], False),
    "leading zeros": ([f"{k % 90:04}" for k in range(180)], False),
    "one word": ([*map(str, range(100)), "many", "many"], False),
    "underscores": ([f"1_{k % 90:03}" for k in range(180)], False),
    "digits of another script": ([f"٣{k % 80}" for k in range(160)], False),
}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table, lambda d: [[c] for c in d["c"]]])
@pytest.mark.parametrize("name", WRITTEN)
def test_numbers_that_are_written_as_text(name, make):
    cells, are_numbers = WRITTEN[name]
    encoder = TableEncoder(n_ramps=8).fit(make({"c": cells}))
    assert (encoder.columns[0].kind == "number") == are_numbers
    if are_numbers:
        plain = [float("nan") if c in ("", "NA", "?", "nan", "None") else float(c) for c in cells]
        other = TableEncoder(n_ramps=8).fit(np.array(plain)[:, None])
        np.testing.assert_array_equal(
            encoder.transform(make({"c": cells})), other.transform([[c] for c in plain])
        )
        np.testing.assert_array_equal(
            other.transform(make({"c": cells})), other.transform([[c] for c in plain])
        )
        with pytest.raises(InputError, match=r"holds text .'many' in row 1., but at fit it held numbers"):
            encoder.transform(make({"c": ["1", "many"]}))


def test_categories_stay_categories_whatever_is_written_there():
    cells = [str(k) for k in range(100)] * 2
    for table in (
        pd.DataFrame({"c": pd.Categorical(cells)}),
        pl.DataFrame({"c": pl.Series(cells, dtype=pl.Categorical)}),
    ):
        assert TableEncoder().fit(table).columns[0].kind == "category"
    assert TableEncoder(["c"]).fit(pd.DataFrame({"c": cells})).columns[0].kind == "category"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_some_rows_are_written_as_all_are(dtype):
    rng = np.random.default_rng(5)
    n_rows = 3000
    table = pd.DataFrame(
        {
            "number": np.where(rng.random(n_rows) < 0.1, np.nan, rng.normal(size=n_rows)),
            "text": rng.choice(["a", "b", "c", None], n_rows),
            "flag": rng.random(n_rows) < 0.5,
            "day": np.datetime64("2020-01-01", "s") + rng.integers(0, 10**8, n_rows),
        }
    )
    encoder = TableEncoder(n_ramps=8).fit(table)
    whole, cells = encoder.transform(table, dtype), encoder.read(table)
    assert (cells.n_rows, cells.n_inputs) == whole.shape
    for rows in (
        np.sort(rng.choice(n_rows, 1500)),
        rng.permutation(n_rows),
        np.array([7]),
        np.array([], int),
    ):
        np.testing.assert_array_equal(cells.write(dtype, rows), whole[rows])
