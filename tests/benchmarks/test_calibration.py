"""The figures of calibration.py against their definitions, on cases that are known."""

import math

import numpy as np

from calibration import calibration_error, intervals, table_of_intervals, tolerance
from chainrule import TabularRegressor


def test_the_calibration_error_is_the_gap_of_each_bin_by_its_rows():
    stated = np.array([0.9, 0.9, 0.9, 0.9, 0.6, 0.6])
    right = np.array([1, 1, 1, 0, 0, 0])
    p = np.column_stack([stated, 1 - stated])
    expected = (4 * abs(0.9 - 0.75) + 2 * abs(0.6 - 0)) / 6
    assert math.isclose(calibration_error(p, 1 - right), expected)


def test_the_tolerance_is_three_deviations():
    assert math.isclose(tolerance(0.9, 1000, 250), 3 * math.sqrt(0.09 / 1000 + 0.09 / 250))


def test_coverages_are_shares_of_rows_and_stand_in_the_table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = X[:, 0] + rng.normal(size=400)
    model = TabularRegressor(hidden=(), random_state=0).fit(X[:200], y[:200])
    found = intervals(model, X[200:], y[200:])
    lower, upper = model.predict_interval(X[200:], 0.8).T
    assert found["held"]["0.8"] == np.mean((lower <= y[200:]) & (y[200:] <= upper))
    assert found["width"]["0.5"] < found["width"]["0.9"]
    table = table_of_intervals([{"dataset": "made", "n_test": 200, **found}])
    assert f"| made | {found['n_aside']} | {found['held']['0.5']:.1%} |" in table
