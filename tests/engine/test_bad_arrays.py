"""Arrays that do not fit are an error of the native engine, and never read beyond their ends."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Descent
from chainrule.optimization import SGD, Penalty

NETWORK = cr.Network(3, [4], likelihood=cr.likelihoods.Normal())
X, Y = np.ones((8, 3), dtype=np.float32), np.ones((8, 1), dtype=np.float32)


def steps(theta=None, order=None, batch_size=2, n_rates=4, X=X, y=Y):
    descent = Descent(NETWORK.initial_parameters() if theta is None else theta, SGD(0.1))
    order = np.arange(8) if order is None else order
    return NETWORK.engine().run_steps(descent, X, y, None, order, batch_size, np.full(n_rates, 0.1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"theta": np.zeros(5, dtype=np.float32)}, "theta must have n_parameters entries"),
        ({"order": np.array([0, 10**12])}, "order must hold row numbers"),
        ({"order": np.array([0, -1])}, "order must hold row numbers"),
        ({"n_rates": 400}, "each learning rate needs a batch"),
        ({"X": X[:, :2].copy()}, "X must be"),
        ({"y": Y[:3]}, "y must be"),
    ],
)
def test_sizes_that_do_not_fit(arguments, message):
    if "order" in arguments:
        arguments = {**arguments, "n_rates": 1}
    with pytest.raises(ValueError, match=message):
        steps(**arguments)


def test_a_strided_theta_is_an_error_and_not_a_copy():
    with pytest.raises(TypeError, match="incompatible"):
        steps(theta=np.zeros(2 * NETWORK.n_parameters, dtype=np.float32)[::2])


def test_forward_and_gradient_check_their_theta():
    engine = NETWORK.engine()
    short = np.zeros(2, dtype=np.float32)
    with pytest.raises(ValueError, match="n_parameters"):
        engine.forward(short, X)
    with pytest.raises(ValueError, match="n_parameters"):
        engine.loss(short, X, Y, None)
    with pytest.raises(ValueError, match="n_parameters"):
        engine.loss_and_gradient(short, X, Y, None, Penalty(), None)


@pytest.mark.parametrize(("dtype", "large"), [("float32", 1e30), ("float64", 1e300)])
@pytest.mark.parametrize("n_outputs", [1, 5])
def test_what_overflows_below_the_top_is_infinite_in_both_engines(dtype, large, n_outputs):
    net = cr.Network(1, [1, 1], likelihood=cr.likelihoods.Normal(n_outputs))
    theta = np.ones(net.n_parameters, dtype=dtype)
    theta[0] = large
    rows = np.full((1, 1), large, dtype=dtype)
    for engine in ("native", "reference"):
        with np.errstate(over="ignore"):
            logits = net.forward(theta, rows, engine=engine)
            assert np.isposinf(logits).all()
            assert net.loss(theta, rows, np.zeros((1, n_outputs)), engine=engine) == np.inf


@pytest.mark.parametrize("weight", [[1e308, 1e308], [1e-300, 1e-300], [3.0, 3.0]])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_count_by_their_ratios_however_large(engine, dtype, weight):
    theta = NETWORK.initial_parameters(seed=1, dtype=dtype)
    rows, y = X[:2].astype(dtype), np.array([1.0, 3.0])
    expected = NETWORK.loss(theta, rows, y, engine=engine)
    assert NETWORK.loss(theta, rows, y, sample_weight=weight, engine=engine) == pytest.approx(expected)


@pytest.mark.parametrize(("dtype", "s", "y"), [("float32", 100.0, 1e37), ("float64", 710.0, 5.0)])
def test_a_poisson_mean_too_large_for_a_float_is_an_infinite_loss(engine, dtype, s, y):
    net = cr.Network(1, likelihood=cr.likelihoods.Poisson())
    theta = np.array([1, 0], dtype=dtype)
    assert net.loss(theta, np.array([[s]], dtype=dtype), [y], engine=engine) == np.inf


def test_weights_that_are_all_zero_are_an_error_of_a_call_and_of_a_batch(engine):
    text, penalty = NETWORK.engine(engine), Penalty(1.0, of_sum=True)
    theta, nothing = NETWORK.initial_parameters(seed=1), np.zeros(8, dtype=np.float32)
    with pytest.raises(ValueError, match="must not all be 0"):
        text.loss(theta, X, Y, nothing)
    with pytest.raises(ValueError, match="must not all be 0"):
        text.loss_and_gradient(theta, X, Y, nothing, penalty, None)
    some = nothing.copy()
    some[:3] = 1  # the first batch counts, and the second does not
    for order in (np.arange(8), np.array([[0, 1, 2, 3], [4, 5, 6, 7]])):
        descent = Descent(theta.copy(), SGD(0.1), penalty)
        with pytest.raises(ValueError, match="must not all be 0"):
            text.run_steps(descent, X, Y, some, order, 4, np.full(2, 0.1))
