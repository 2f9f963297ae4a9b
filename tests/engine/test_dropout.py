"""Dropout masks: the right rate, independent in every direction, and the same in both engines."""

import numpy as np
import pytest
from scipy import stats

from chainrule import Dense, Dropout, Network
from chainrule.engine.dropout import keep_mask
from chainrule.likelihoods import Normal

FLOAT64 = np.dtype("float64")
RATES = [0.05, 0.25, 0.5, 0.9]
LEAST_P = 1e-4  # with fixed seeds, so that a test passes always or never


def kept(seed=0, step=0, layer=0, *, n_rows=400, n_units=500, rate=0.5):
    return keep_mask(seed, step, layer, n_rows, n_units, rate, FLOAT64) != 0


def assert_independent(a, b):
    """Chi-square of the four cells in which two masks can agree or differ."""
    cells = np.array([[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]])
    assert stats.chi2_contingency(cells, correction=False).pvalue > LEAST_P


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", RATES)
def test_kept_units_are_scaled_up_and_the_others_are_zero(rate, dtype):
    mask = keep_mask(1, 2, 3, 50, 60, rate, np.dtype(dtype))
    assert mask.shape == (50, 60)
    assert mask.dtype == dtype
    assert np.unique(mask).tolist() == [0, np.dtype(dtype).type(1 / (1 - rate))]


@pytest.mark.parametrize("rate", RATES)
def test_the_share_of_dropped_units_is_the_rate(rate):
    for seed in range(5):
        mask = kept(seed, rate=rate)
        assert stats.binomtest(int((~mask).sum()), mask.size, rate).pvalue > LEAST_P


@pytest.mark.parametrize("axis", [0, 1], ids=["units", "rows"])
@pytest.mark.parametrize("rate", RATES)
def test_no_row_and_no_unit_is_dropped_more_often(rate, axis):
    """The counts along each row and each column spread as binomial ones do."""
    mask = kept(3, rate=rate, n_rows=600, n_units=600)
    z2 = (mask.sum(axis=axis) - 600 * (1 - rate)) ** 2 / (600 * rate * (1 - rate))
    p = stats.chi2(len(z2)).cdf(z2.sum())
    assert LEAST_P < p < 1 - LEAST_P


@pytest.mark.parametrize("rate", [0.25, 0.5])
@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "units"])
@pytest.mark.parametrize("distance", [1, 2, 3, 8, 64, 128, 256])
def test_rows_and_units_are_independent(axis, distance, rate):
    mask = kept(4, rate=rate)
    assert_independent(np.delete(mask, range(distance), axis), np.delete(mask, range(-distance, 0), axis))


@pytest.mark.parametrize("what", ["seed", "step", "layer"])
@pytest.mark.parametrize(("one", "other"), [(0, 1), (1, 2), (7, 8), (0, 2**31), (2**32 - 1, 2**32)])
def test_seeds_steps_and_layers_are_independent(what, one, other):
    assert_independent(kept(**{what: one}), kept(**{what: other}))


@pytest.mark.parametrize("what", ["seed", "step", "layer"])
def test_one_unit_over_many_seeds_steps_or_layers(what):
    """The patterns of four units, from one key to the next, are uniform: 16 cells."""
    patterns = [kept(**{what: number}, n_rows=1, n_units=4)[0] @ [1, 2, 4, 8] for number in range(4000)]
    counts = np.bincount(patterns, minlength=16)
    assert stats.chisquare(counts).pvalue > LEAST_P
    pairs = np.bincount(np.array(patterns[1::2]) * 16 + patterns[::2], minlength=256)
    assert stats.chisquare(pairs).pvalue > LEAST_P


def test_keys_are_not_mixed_up():
    """(seed, step, layer) are three numbers: one more in one is not one more in another."""
    masks = [
        kept(*key) for key in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0), (1, 1, 0), (0, 1, 1), (1, 0, 1)]
    ]
    for i, one in enumerate(masks):
        for other in masks[:i]:
            assert_independent(one, other)


def test_a_mask_does_not_depend_on_how_many_rows_and_units_there_are():
    whole = kept(5, n_rows=70, n_units=90)
    assert np.array_equal(kept(5, n_rows=7, n_units=9), whole[:7, :9])
    assert np.array_equal(kept(5, n_rows=70, n_units=33), whole[:, :33])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", RATES)
def test_an_engine_uses_these_masks(rate, dtype, engine):
    """Of a linear model, ∂loss/∂x is (−e / n) w times the mask: its zeros are the mask's."""
    network = Network(37, [Dropout(rate)], likelihood=Normal())
    theta = np.ones(network.n_parameters, dtype)
    X = np.ones((53, 37), dtype)
    for seed in (0, 1, 2**40 + 3, 2**63 - 1):
        _, G = network.loss_and_input_gradient(theta, X, np.full(53, -1.0), dropout_seed=seed, engine=engine)
        mask = keep_mask(seed, 0, 0, 53, 37, rate, np.dtype(dtype))
        assert np.array_equal(G != 0, mask != 0)
        minus_e = mask.astype(float).sum(axis=1) + 2  # s = Σ mask + 1, y = −1
        np.testing.assert_allclose(
            G, minus_e[:, None] / 53 * mask, rtol=1e-5 if dtype == "float32" else 1e-13
        )


def test_without_a_seed_nothing_is_dropped(engine, make_problem):
    with_dropout = make_problem("normal", [Dropout(0.5), Dense(4, "tanh"), Dropout(0.9)])
    without = make_problem("normal", [Dense(4, "tanh")])
    data = (with_dropout.theta, with_dropout.X, with_dropout.y)
    loss, gradient = with_dropout.network.loss_and_gradient(*data, engine=engine)
    expected = without.network.loss_and_gradient(*data, engine=engine)
    assert loss == expected[0]
    assert np.array_equal(gradient, expected[1])
    assert with_dropout.network.loss(*data, engine=engine) == loss


def test_a_rate_of_0_drops_nothing(engine, make_problem):
    problem = make_problem("normal", [Dropout(0.0), Dense(4, "tanh")])
    data = (problem.theta, problem.X, problem.y)
    with_seed = problem.network.loss_and_gradient(*data, dropout_seed=1, engine=engine)
    assert with_seed[0] == problem.network.loss_and_gradient(*data, engine=engine)[0]


def test_the_mean_over_the_masks_is_the_layer_without_dropout(engine):
    """Inverted dropout: E[h · mask] = h, so nothing changes at prediction time."""
    network = Network(40, [Dropout(0.3)], likelihood=Normal())
    theta = np.random.default_rng(0).normal(size=network.n_parameters)
    X = np.tile(np.random.default_rng(1).normal(size=40), (20_000, 1))
    y = network.forward(theta, X, engine)  # ∂loss/∂b is the mean of s − y: 0 in expectation
    _, gradient = network.loss_and_gradient(theta, X, y, dropout_seed=2, engine=engine)
    spread = np.sqrt(0.3 / 0.7 * ((theta[:-1] * X[0]) ** 2).sum() / len(X))
    assert abs(gradient[-1]) < 4 * spread
