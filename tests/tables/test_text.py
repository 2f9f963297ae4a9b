"""Numbers and dates in text, and kinds of cells that libraries have beside the plain ones."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import InputError
from chainrule.tables import TableEncoder
from chainrule.tables.text import dates_in, numbers_in

N = 60
DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(days=5 * k) for k in range(N)]
TIMES = [datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=7 * k) for k in range(N)]
OTHER = np.random.default_rng(0).normal(size=N)


def encoded(column, **settings):
    table = pd.DataFrame({"x": OTHER, "c": column}) if not isinstance(column, pl.Series | pa.Array) else None
    if table is None:
        make = pl.DataFrame if isinstance(column, pl.Series) else pa.table
        table = make({"x": OTHER, "c": column})
    encoder = TableEncoder(**settings).fit(table)
    return encoder, encoder.transform(table, "float64")


# ── Dates in text ──


@pytest.mark.parametrize(
    ("dates", "written"),
    [
        (DAYS, [day.isoformat() for day in DAYS]),
        (DAYS, [f" {day.isoformat()} " for day in DAYS]),
        (TIMES, [time.isoformat() for time in TIMES]),
        (TIMES, [time.isoformat(" ", "minutes") for time in TIMES]),
        (TIMES, [time.isoformat(" ", "microseconds") for time in TIMES]),
        (TIMES, [time.isoformat() + ".000000000" for time in TIMES]),
    ],
)
def test_dates_in_text_are_dates(dates, written):
    whole, X = encoded(pd.to_datetime(dates))
    encoder, its = encoded(written)
    assert encoder.columns[1].kind == "datetime"
    np.testing.assert_array_equal(its, X)
    text, values = (
        pd.DataFrame({"x": OTHER, "c": written}),
        pd.DataFrame({"x": OTHER, "c": pd.to_datetime(dates)}),
    )
    np.testing.assert_array_equal(encoder.transform(values), encoder.transform(text))
    np.testing.assert_array_equal(whole.transform(text), whole.transform(values))
    with pytest.raises(InputError, match=r"'c' holds text \('soon' in row 0\), but at fit it held dates"):
        encoder.transform(text.assign(c="soon"))


def test_dates_of_utc_in_text_are_dates_of_utc():
    written = [time.isoformat() + "Z" for time in TIMES]
    encoder, X = encoded(written)
    np.testing.assert_array_equal(X, encoded(pd.to_datetime(TIMES).tz_localize("UTC"))[1])
    with pytest.raises(InputError, match="without a time zone, but at fit they were in the time zone UTC"):
        encoder.transform(pd.DataFrame({"x": OTHER, "c": [time.isoformat() for time in TIMES]}))


def test_missing_dates_in_text_are_missing():
    written = ["" if k % 4 == 0 else "NaT" if k % 4 == 1 else day.isoformat() for k, day in enumerate(DAYS)]
    dates = pd.Series([pd.NaT if k % 4 < 2 else day for k, day in enumerate(DAYS)])
    np.testing.assert_array_equal(encoded(written)[1], encoded(pd.to_datetime(dates))[1])


@pytest.mark.parametrize(
    "written",
    [
        "2020-02-30", "2020-13-01", "2020-1-1", "01.02.2020", "2020/01/01", "20200101", "2020-01", "today",
        "2020-01-01T25:00", "2020-01-01T00:00+25:00", "2020-01-01T00:00+2", "2020-01-01 12", "１-01-01",
    ],
)  # fmt: skip
def test_what_is_no_date_stays_text(written):
    assert dates_in(["2020-01-01", written]) is None
    assert encoded([written, "2020-01-01"] * (N // 2))[0].columns[1].kind == "category"


@pytest.mark.parametrize("zone", ["Z", "+02:00", "-0330"])
def test_dates_with_and_without_a_clock_stay_text(zone):
    assert dates_in(["2020-01-01T00:00", f"2020-01-01T00:00{zone}"]) is None


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m)))


@given(
    st.lists(
        st.datetimes(datetime.datetime(2, 1, 1), datetime.datetime(9998, 1, 1), timezones=ZONES), min_size=1
    ),
    st.booleans(),
)
def test_every_time_of_a_clock_is_a_time_of_utc(times, with_colon):
    written = [time.isoformat() for time in times]
    if not with_colon:
        written = [text[:-3] + text[-2:] for text in written]
    found, zone = dates_in(written)
    assert zone == "UTC"
    utc = [time.astimezone(datetime.UTC).replace(tzinfo=None) for time in times]
    np.testing.assert_array_equal(found, np.array(utc, dtype="datetime64[us]"))


def test_times_of_summer_and_winter_are_those_of_one_column():
    times = pd.to_datetime(TIMES).tz_localize("Europe/Berlin", ambiguous=True, nonexistent="shift_forward")
    written = [time.isoformat() for time in times]
    assert {text[-6:] for text in written} <= {"+01:00", "+02:00"}
    np.testing.assert_array_equal(encoded(written)[1], encoded(times.tz_convert("UTC"))[1])


def test_dates_that_are_meant_as_categories_are_categories():
    written = [day.isoformat() for day in DAYS[:5]] * (N // 5)
    assert encoded(written, categorical_features=["c"])[0].columns[1].kind == "category"
    assert encoded(pd.Categorical(written))[0].columns[1].kind == "category"


@given(st.lists(st.datetimes(datetime.datetime(1, 1, 1)) | st.none(), min_size=1))
def test_every_date_is_read_as_it_was_written(dates):
    written = [None if date is None else date.isoformat() for date in dates]
    found, zone = dates_in(written)
    assert zone is None
    np.testing.assert_array_equal(found, np.array(dates, dtype="datetime64[us]"))


# ── Numbers in text ──


@given(st.lists(st.floats(), min_size=1))
def test_every_number_is_read_as_it_was_written(numbers):
    np.testing.assert_array_equal(numbers_in([repr(number) for number in numbers]), numbers)
    np.testing.assert_array_equal(numbers_in([f" {number}" for number in numbers]), numbers)


@pytest.mark.parametrize("written", ["Inf", "-INFINITY", "+inf"])
def test_infinite_numbers_in_text_are_infinite(written):
    assert np.isinf(numbers_in(["1", written])[1])
    numbers = np.arange(N) + 0.5
    numbers[3] = float(written)
    np.testing.assert_array_equal(
        encoded([written if np.isinf(x) else str(x) for x in numbers])[1], encoded(numbers)[1]
    )


@pytest.mark.parametrize("written", ["007", "1,5", "1_000", "0x1f", "infinite", "٣", "1e", "--1", "1.2.3"])
def test_what_is_no_number_is_none(written):
    assert numbers_in(["1", written]) is None


MARKED = {
    "a comma": lambda x: f"{x:.2f}".replace(".", ","),
    "percent": lambda x: f"{x:.2f} %",
    "money": lambda x: f"${x:.2f}",
    "thousands": lambda x: f"{1e4 * x:,.0f}",
}


@pytest.mark.parametrize("name", MARKED)
@pytest.mark.parametrize("repeats", [1, 5])
@pytest.mark.parametrize("missing", [False, True])
def test_a_note_says_what_kept_numbers_from_being_read(name, repeats, missing):
    cells = [MARKED[name](k + 0.25) for k in range(N)] * repeats + [None] * missing
    table = pd.DataFrame({"x": cells, "z": np.arange(len(cells))})
    encoder = TableEncoder().fit(table)
    assert encoder.columns[0].note.endswith(f"not read as numbers because of {cells[0]!r}")
    again = TableEncoder.from_description(*encoder.describe())
    assert again.columns == encoder.columns
    meant = TableEncoder(["x"]).fit(table) if repeats > 1 else None
    assert meant is None or "numbers" not in meant.columns[0].note


def test_one_word_among_numbers_is_named():
    cells = [str(k + 0.5) for k in range(N)]
    cells[7] = "about 8"
    note = TableEncoder().fit(pd.DataFrame({"x": cells, "z": range(N)})).columns[0].note
    assert note == "every value is different; not read as numbers because of 'about 8'"


@pytest.mark.parametrize("write", ["word {}", "{:04}", "{0}.{0}.{0}", "1{:02}-555", "2020/01/{:02}"])
def test_what_was_not_meant_as_numbers_has_no_such_note(write):
    cells = [write.format(k) for k in range(N)] * 2
    note = TableEncoder().fit(pd.DataFrame({"x": cells, "z": range(2 * N)})).columns[0].note
    assert "numbers" not in note


# ── Times, durations and others ──

CLOCK = [datetime.time(k % 24, k, 30) for k in range(N)]
SECONDS = [3600.0 * (k % 24) + 60 * k + 30 for k in range(N)]


@pytest.mark.parametrize(
    "column",
    [
        CLOCK,
        pl.Series(CLOCK),
        pa.array(CLOCK, pa.time32("s")),
        pa.array(CLOCK, pa.time64("us")),
        [datetime.timedelta(seconds=s) for s in SECONDS],
        pd.Series([datetime.timedelta(seconds=s) for s in SECONDS], dtype=object),
        pd.Series([np.timedelta64(int(s), "s") for s in SECONDS], dtype=object),
        pl.Series([datetime.timedelta(seconds=s) for s in SECONDS]),
        pa.array([datetime.timedelta(seconds=s) for s in SECONDS]),
        [Decimal(s) for s in SECONDS],
    ],
)
def test_times_of_day_and_durations_are_seconds(column):
    encoder, X = encoded(column)
    assert encoder.columns[1].kind == "number"
    np.testing.assert_array_equal(X, encoded(SECONDS)[1])


def test_missing_times_are_missing():
    column = pd.Series([None if k % 3 else cell for k, cell in enumerate(CLOCK)], dtype=object)
    seconds = [np.nan if k % 3 else s for k, s in enumerate(SECONDS)]
    np.testing.assert_array_equal(encoded(column)[1], encoded(seconds)[1])


def test_intervals_are_categories():
    cut = pd.cut(OTHER, [-9, -1, 0, 1, 9])
    encoder, X = encoded(cut)
    assert {name.removeprefix("c = ") for name in encoder.input_names[1:]} == set(map(str, cut))
    np.testing.assert_array_equal(X, encoded(list(map(str, cut)))[1])


def test_whole_numbers_of_128_bits_are_numbers():
    numbers = [10**25 + k * 10**23 for k in range(N)]
    _, X = encoded(pl.Series(numbers, dtype=pl.Int128))
    np.testing.assert_allclose(X, encoded([float(number) for number in numbers])[1])


def test_views_of_strings_are_text():
    cells = ["a", None, "b"] * (N // 3)
    np.testing.assert_array_equal(encoded(pa.array(cells, pa.string_view()))[1], encoded(pa.array(cells))[1])


def test_a_number_that_is_too_large_says_what_to_do():
    with pytest.raises(InputError, match=r"float64 cannot hold .*: give the column in larger units"):
        encoded([10**400 + k for k in range(N)])
