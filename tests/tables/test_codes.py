"""Numbers that are codes: found where the target says so, and nowhere else."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import InputError, TabularClassifier, TabularRegressor
from chainrule.estimators import recipe as recipes
from chainrule.estimators.recipe import Recipe
from chainrule.tables import TableEncoder, signals
from chainrule.tables.codes import codes_of


def coded(seed, n_values=40, n_rows=2000, effect=1.0):
    """Return a column of codes, and a target to which each adds an effect of its own."""
    rng = np.random.default_rng(seed)
    values = rng.choice(10_000, n_values, replace=False).astype(float)
    its = rng.integers(n_values, size=n_rows)
    return values[its], effect * rng.normal(size=n_values)[its] + rng.normal(size=n_rows)


def mean_of_z_squared(numbers, columns):
    """Return what the docstring of codes_of says, value by value."""
    z_squared = []
    for value in np.unique(numbers):
        at = np.flatnonzero(numbers == value)
        if len(at) < 4:
            continue
        reach = min(max(len(at), 16), 256)
        order = np.argsort(numbers, kind="stable")
        below = order[numbers[order] < value][-reach:]
        above = order[numbers[order] > value][:reach]
        near = np.concatenate([below, above])
        difference = columns[at].mean(axis=0) - columns[near].mean(axis=0)
        z_squared.append(min((difference**2).mean() / (1 / len(at) + 1 / len(near)), 9.0))
    return np.mean(z_squared) if len(z_squared) >= 10 else 0.0


# N28
@given(st.integers(0, 2**32 - 1), st.integers(12, 60), st.integers(100, 600), st.floats(0, 3), st.booleans())
def test_codes_are_found_by_the_rule(seed, n_values, n_rows, effect, of_classes):
    numbers, y = coded(seed, n_values, n_rows, effect)
    columns = signals(np.digitize(y, [-1.0, 0.5]) if of_classes else y[:, None])
    found = codes_of(numbers, columns, 10)
    mean = mean_of_z_squared(numbers, columns)
    if abs(mean - 2.4) > 1e-9:  # else the sums' last bits decide
        assert (len(found) > 0) == (mean > 2.4)
    values, counts = np.unique(numbers, return_counts=True)
    if len(found):
        assert set(found) == set(values[counts >= 4])
        its = counts[np.searchsorted(values, found)]
        assert (np.diff(its) <= 0).all()


@pytest.mark.parametrize("kind", ["number", "class", "label"])
@pytest.mark.parametrize("seed", range(10))
def test_noise_and_smooth_curves_have_no_codes(kind, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(60, size=3000).astype(float)
    for curve in (np.zeros(3000), numbers / 15, np.sin(numbers / 10), numbers > 30):
        y = curve + rng.normal(size=3000)
        target = {"number": y[:, None], "class": (y > 0.5).astype(int), "label": (y > [[0], [1]]).T * 1.0}
        assert not len(codes_of(numbers, signals(target[kind]), 33))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([1e-300, 1e-9, 1.0, 1e9, 1e300]))
def test_signals_are_standardised_where_they_are_there(seed, n_columns, scale):
    rng = np.random.default_rng(seed)
    y = scale * rng.normal(3.0, 2.0, (50, n_columns))
    y[rng.random(y.shape) < 0.2] = np.nan
    columns = signals(y)
    there = ~np.isnan(y)
    assert (columns[~there] == 0).all()
    for k in range(n_columns):
        its = columns[there[:, k], k]
        np.testing.assert_allclose([its.mean(), its.std()], [0, 1], atol=1e-9)


def test_signals_of_classes_are_those_of_their_indicators():
    y = np.array([1, 0, 2, 0, 1, 0])
    expected = (y[:, None] == [0, 1, 2]).astype(float)
    expected = (expected - expected.mean(axis=0)) / expected.std(axis=0)
    np.testing.assert_allclose(signals(y), expected, rtol=1e-12)
    assert signals(np.arange(100) % 40).shape == (100, 16)
    np.testing.assert_array_equal(signals(np.ones((5, 1))), 0)


def test_each_code_has_an_input_that_comes_back_from_a_description():
    numbers, y = coded(0)
    numbers[:3] = np.nan, np.inf, 123_456.0
    table = pd.DataFrame({"place": numbers, "z": np.random.default_rng(1).normal(size=len(y))})
    encoder = TableEncoder(n_ramps=8).fit(table, signals(y[:, None]))
    codes = [float(name.split(" = ")[1]) for name in np.array(encoder.input_names)[encoder.is_code]]
    assert codes == sorted(set(numbers[3:]))
    X = encoder.transform(table, "float64")
    np.testing.assert_array_equal(X[:, encoder.is_code], numbers[:, None] == codes)
    assert "say other things than those next to them" in encoder.columns[0].note
    assert not encoder.columns[1].note
    again = TableEncoder.from_description(*encoder.describe())
    np.testing.assert_array_equal(again.transform(table, "float64"), X)
    order = np.random.default_rng(2).permutation(len(y))
    shuffled = TableEncoder(n_ramps=8).fit(table.iloc[order], signals(y[order, None]))
    assert shuffled.input_names == encoder.input_names
    assert not TableEncoder(n_ramps=8).fit(table).is_code.any()


def test_a_wide_table_has_room_for_the_most_frequent_codes():
    numbers, y = coded(0, n_values=100, n_rows=4000, effect=3.0)
    table = np.column_stack([numbers + k for k in range(20)])
    encoder = TableEncoder(n_ramps=0).fit(table, signals(y[:, None]))
    assert encoder.is_code.sum() == 20 * (1024 // 20)
    values, counts = np.unique(numbers, return_counts=True)
    kept = [float(name.split(" = ")[1]) for name in np.array(encoder.inputs_by_column[0])[1:]]
    assert min(counts[np.isin(values, kept)]) >= max(counts[~np.isin(values, kept)])


def test_the_rows_of_a_target_are_those_of_the_table():
    with pytest.raises(InputError, match="X has 3 rows and y has 4"):
        TableEncoder().fit([[1.0], [2.0], [3.0]], np.zeros((4, 1)))


@pytest.mark.parametrize("estimator", [TabularRegressor, TabularClassifier])
def test_a_network_that_sees_codes_knows_them(estimator, monkeypatch):
    kind = Recipe(n_members=1, epochs=40, width=32, n_ramps=8)
    seeing = Recipe(n_members=1, epochs=40, width=32, n_ramps=8, codes=True)
    numbers, y = coded(3, n_values=60, n_rows=3000, effect=3.0)
    y = y if estimator is TabularRegressor else np.where(y > 0, "high", "low")
    X = np.column_stack([numbers, np.random.default_rng(0).normal(size=len(y))])
    scores = []
    for portfolio in ((kind,), (kind, seeing)):
        monkeypatch.setitem(recipes.PORTFOLIOS, "fast", (portfolio, portfolio))
        model = estimator(preset="fast", random_state=0).fit(X[:2000], y[:2000])
        scores.append(model.score(X[2000:], y[2000:]))
        assert model.encoder_.is_code.any() == (len(portfolio) == 2)
    best = {TabularRegressor: 0.85, TabularClassifier: 0.88}[estimator]  # of what the noise leaves
    assert scores[1] > best > scores[0] + 0.1
    assert any(
        (member.network.unpack(member.theta)[0][0][:, model.encoder_.is_code] != 0).any()
        for member in model.members_
    )


def test_a_table_without_codes_has_no_members_for_them(monkeypatch):
    portfolio = (
        Recipe(n_members=2, epochs=3, width=8),
        Recipe(n_members=1, epochs=3, width=9, codes=True),
    )
    monkeypatch.setitem(recipes.PORTFOLIOS, "fast", (portfolio, portfolio))
    rng = np.random.default_rng(0)
    X = rng.integers(50, size=(500, 2)).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = TabularRegressor(preset="fast", random_state=0).fit(X, X[:, 0] + rng.normal(size=500))
    assert [member.network.hidden[0].units for member in model.members_] == [8, 8]
