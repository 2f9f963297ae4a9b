"""What holds for every table."""

import datetime
import json
import re

import numpy as np
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from chainrule.errors import InputError
from chainrule.tables import TableEncoder
from chainrule.tables.text import numbers_in

CELLS = {
    "float": st.floats(),
    "small": st.sampled_from([0.0, 1.0, -2.5, float("inf"), float("-inf"), 1e308, -1e308, 5e-324]),
    "whole": st.integers(-(2**70), 2**70),
    "mixed numbers": st.one_of(st.integers(-3, 3), st.floats(width=32), st.booleans()),
    "boolean": st.booleans(),
    "word": st.sampled_from(["a", "b", "c", "", "ß", "\udcff"]),
    "text": st.text(max_size=3),
    "date": st.dates(),
    "time": st.datetimes(),
    "nothing": st.none(),
}


@st.composite
def tables(draw):
    """Return a table, another one with the same kinds of columns, and the categorical_features."""
    kinds = draw(st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=4))
    n_rows, n_others = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    columns = [
        draw(
            st.lists(
                st.one_of(CELLS[kind], st.none()), min_size=n_rows + n_others, max_size=n_rows + n_others
            )
        )
        for kind in kinds
    ]
    rows = [list(row) for row in zip(*columns, strict=True)]
    features = [number for number in range(len(kinds)) if draw(st.booleans())]
    return rows[:n_rows], rows[n_rows:], features


def fitted(rows, features, n_ramps=0):
    try:
        return TableEncoder(features, n_ramps).fit(rows)
    except InputError as error:
        assume("No column says anything" not in str(error))
        raise


@given(tables(), st.randoms(use_true_random=False), st.sampled_from([0, 4, 16]))
def test_every_table(drawn, random, n_ramps):
    rows, others, features = drawn
    encoder = fitted(rows, features, n_ramps)
    X = encoder.transform(rows, "float64")

    assert X.shape == (len(rows), encoder.n_inputs)
    assert len(encoder.columns) == len(rows[0])
    assert X.flags.c_contiguous
    # of text that was numbers by chance, other rows may have words: an error, which names one of them
    try:
        encoder.transform(others)
    except InputError as error:
        named = re.search(r"Column 'x(\d)' holds text \((.*) in row (\d)\), but at fit it held", str(error))
        cell = others[int(named[3])][int(named[1])]
        assert repr(cell) == named[2]
        assert numbers_in([cell]) is None
        reject()
    # finite and bounded, also where categories were never seen
    for table in (rows, others):
        for dtype in ("float32", "float64"):
            assert (np.abs(encoder.transform(table, dtype)) <= 3 * (1 + 1e-15)).all()

    # a row's inputs do not depend on the rows beside it
    single = np.concatenate([encoder.transform([row], "float64") for row in rows])
    np.testing.assert_array_equal(single, X)

    # the same bits after a file
    description, arrays = encoder.describe()
    again = TableEncoder.from_description(json.loads(json.dumps(description, allow_nan=False)), arrays)
    assert again.input_names == encoder.input_names
    assert again.columns == encoder.columns
    np.testing.assert_array_equal(again.transform(rows, "float64"), X)
    np.testing.assert_array_equal(again.transform(others), encoder.transform(others))

    # the order of the rows changes nothing but the order
    order = random.sample(range(len(rows)), len(rows))
    permuted = [rows[place] for place in order]
    other = TableEncoder(features, n_ramps).fit(permuted)
    assert other.input_names == encoder.input_names
    assert other.columns == encoder.columns
    np.testing.assert_array_equal(other.transform(permuted, "float64"), X[order])


@given(st.lists(st.floats(allow_nan=False), min_size=3, max_size=30))
def test_numbers_keep_their_order(numbers):
    column = np.sort(numbers)[:, None]
    assume(column[0] != column[-1])
    X = TableEncoder().fit(column).transform(column, "float64")[:, 0]
    assert (np.diff(X) >= -1e-15).all()
    assert X[0] <= X[-1]


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=60),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=9),
    st.integers(4, 20),
)
def test_ramps_add_up_to_the_interpolation_between_the_knots(numbers, others, n_ramps):  # N25
    column = np.array(numbers)[:, None]
    assume(len(np.unique(column)) > 2)
    encoder = TableEncoder(n_ramps=n_ramps).fit(column)
    knots = np.array(encoder.describe()[0]["columns"][0]["knots"])
    assume(len(knots) > 0)  # none where quantiles lie closer than float64 can tell
    few = len(np.unique(column)) <= n_ramps + 1
    assert len(knots) <= n_ramps + 1
    assert not few or (knots == np.unique(column)).all()
    x = np.concatenate([column[:, 0], others])
    ramps = encoder.transform(x[:, None], "float64")[:, 1:]
    assert ramps.shape == (len(x), len(knots) - 1)
    np.testing.assert_allclose(
        (ramps + 0.5).sum(axis=1), np.interp(x, knots, np.arange(len(knots))), rtol=1e-12, atol=1e-12
    )


@given(st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=3, max_size=40))
def test_each_row_has_one_category(cells):
    rows = [[cell] for cell in cells]
    encoder = fitted(rows, None)
    X = encoder.transform(rows)
    if encoder.n_inputs > 1:
        assert (X.sum(axis=1) == 1).all()
        assert X.any(axis=0).all()
    else:
        assert set(np.unique(X)) in ({-1.0, 1.0}, {0.0, 1.0})


@given(
    st.lists(
        st.dates(datetime.date(1, 1, 1), datetime.date(9999, 12, 31)), min_size=2, max_size=20, unique=True
    )
)
def test_cyclic_inputs_lie_on_the_circle(dates):
    rows = [[date] for date in dates]
    encoder = fitted(rows, None)
    X = encoder.transform(rows, "float64")
    for first in range(1, encoder.n_inputs, 2):
        np.testing.assert_allclose((X[:, first : first + 2] ** 2).sum(axis=1), 1, rtol=1e-14)
