"""Network: what it accepts, what it returns, and what every error says."""

import copy
import pickle

import numpy as np
import pytest

from chainrule import Dense, Dropout, InputError, Network, Scale
from chainrule.likelihoods import Bernoulli, Categorical, Normal

NET = Network(3, [Dense(4, "tanh")], likelihood=Normal())
THETA = NET.initial_parameters(seed=0, dtype="float64")
X = np.random.default_rng(0).normal(size=(5, 3))
Y = np.arange(5.0)


def message(call):
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


CALLS = [
    lambda theta=THETA, X=X, y=Y, weight=None: NET.loss(theta, X, y, weight, engine="reference"),
    lambda theta=THETA, X=X, y=Y, weight=None: NET.loss_and_gradient(theta, X, y, weight, engine="reference"),
    lambda theta=THETA, X=X, y=Y, weight=None: NET.loss_and_input_gradient(
        theta, X, y, weight, engine="reference"
    ),
]
FORWARD = [
    lambda theta=THETA, X=X: NET.forward(theta, X, "reference"),
    lambda theta=THETA, X=X: NET.predict(theta, X, "reference"),
]


def test_a_number_is_a_relu_layer():
    network = Network(3, [4, np.int64(5), Dropout(0.1)], likelihood=Normal(2))
    assert network.hidden == (Dense(4, "relu"), Dense(5, "relu"), Dropout(0.1))
    assert (network.n_inputs, network.n_logits, network.n_parameters) == (3, 2, 16 + 25 + 12)
    assert repr(network) == (
        "Network(n_inputs=3, hidden=[Dense(units=4, activation='relu', bias=True), "
        "Dense(units=5, activation='relu', bias=True), Dropout(rate=0.1)], likelihood=Normal(n_outputs=2))"
    )


def test_without_hidden_layers_it_is_the_linear_model(engine):
    network = Network(3, likelihood=Normal(2))
    theta = network.initial_parameters(seed=1, dtype="float64")
    ((weight, bias),) = network.unpack(theta)
    np.testing.assert_allclose(network.forward(theta, X, engine), X @ weight.T + bias, rtol=1e-14)


def test_unpack_gives_views():
    theta = THETA.copy()
    (w1, b1), (w2, b2) = NET.unpack(theta)
    assert [part.shape for part in (w1, b1, w2, b2)] == [(4, 3), (4,), (1, 4), (1,)]
    w2[0, 3] = 7
    assert theta[-2] == 7


# N27
@pytest.mark.parametrize("hidden", [(), (Dense(4, "tanh"),), (Dropout(0.5), Dense(4, "tanh", bias=False))])
def test_a_scale_can_be_folded_into_the_weights(hidden, engine, case, make_likelihood):
    rng = np.random.default_rng(0)
    network = Network(3, [Scale(2.5), *hidden], likelihood=make_likelihood(case, 2))
    theta = rng.normal(size=network.n_parameters)
    before = theta.copy()
    plain, folded = network.folded(theta)
    assert plain.hidden == hidden
    assert plain.n_parameters == network.n_parameters - 3
    np.testing.assert_allclose(
        plain.forward(folded, X, engine), network.forward(theta, X, engine), rtol=1e-12
    )
    np.testing.assert_array_equal(plain.scales(folded), network.scales(theta))
    np.testing.assert_array_equal(network.input_scale(theta), 1 + 2.5 * theta[:3])
    scaled = plain.forward(theta[3:].copy(), X * network.input_scale(theta), engine)
    np.testing.assert_allclose(scaled, network.forward(theta, X, engine), rtol=1e-12)
    np.testing.assert_array_equal(theta, before)


def test_without_a_scale_there_is_nothing_to_fold():
    network, theta = NET.folded(THETA)
    assert network is NET
    np.testing.assert_array_equal(theta, THETA)
    np.testing.assert_array_equal(NET.input_scale(THETA), np.ones(3))
    assert message(lambda: NET.folded(THETA[:-1])).startswith("theta must be")
    assert repr(Network(2, [Scale()], likelihood=Normal())) == (
        "Network(n_inputs=2, hidden=[Scale(rate=6.0)], likelihood=Normal(n_outputs=1))"
    )


def test_the_calls_belong_together(engine, make_problem):
    """One loss, whichever call returns it; predictions are the means of the logits."""
    problem = make_problem("bernoulli", [Dense(4, "gelu")], outputs=3, weighted=True)
    network, data = problem.network, (problem.theta, problem.X, problem.y, problem.weight)
    loss = network.loss(*data, engine=engine)
    assert isinstance(loss, float)
    assert network.loss_and_gradient(*data, engine=engine)[0] == loss
    assert network.loss_and_input_gradient(*data, engine=engine)[0] == loss
    logits = network.forward(problem.theta, problem.X, engine)
    assert np.array_equal(network.predict(problem.theta, problem.X, engine), network.likelihood.mean(logits))
    losses, _ = network.likelihood.loss_and_gradient(logits, problem.y)
    assert loss == pytest.approx(np.average(losses, weights=problem.weight), rel=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_have_the_dtype_of_theta_and_nothing_is_changed(dtype, engine):
    theta, rows, weight = THETA.astype(dtype), X.astype(dtype), np.arange(5)
    before = theta.tobytes(), rows.tobytes()
    loss, gradient = NET.loss_and_gradient(theta, rows, Y, weight, engine=engine)
    _, G = NET.loss_and_input_gradient(theta, rows, Y, weight, engine=engine)
    assert isinstance(loss, float)
    assert gradient.dtype == G.dtype == NET.forward(theta, rows, engine).dtype == dtype
    assert (gradient.shape, G.shape) == (theta.shape, rows.shape)
    assert (theta.tobytes(), rows.tobytes()) == before


def test_other_layouts_of_memory_give_the_same(engine):
    expected = NET.loss_and_gradient(THETA, X, Y, engine=engine)
    wide = np.repeat(X, 2, axis=1)
    for rows in (np.asfortranarray(X), wide[:, ::2], X.tolist(), X[::-1][::-1]):
        loss, gradient = NET.loss_and_gradient(THETA, rows, Y.tolist(), engine=engine)
        assert loss == expected[0]
        assert gradient.tobytes() == expected[1].tobytes()
    spread = np.repeat(THETA, 2)[::2]
    assert NET.loss_and_gradient(spread, X, Y, engine=engine)[0] == expected[0]
    read_only = X.copy()
    read_only.flags.writeable = False
    assert NET.loss_and_gradient(THETA, read_only, Y, engine=engine)[0] == expected[0]


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
def test_whole_numbers_are_numbers(dtype, engine):
    rows = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    for theta_dtype in ("float32", "float64"):
        theta = THETA.astype(theta_dtype)
        expected = NET.forward(theta, rows.astype(theta_dtype), engine)
        assert np.array_equal(NET.forward(theta, rows, engine), expected)


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_network_can_be_copied_and_pickled_after_use(clone, engine):
    network = Network(3, [Dense(4, "tanh"), Dropout(0.5)], likelihood=Categorical(3))
    theta = network.initial_parameters(dtype="float64")
    logits = network.forward(theta, X, engine)
    again = clone(network)
    assert repr(again) == repr(network)
    assert again.architecture == network.architecture
    assert np.array_equal(again.forward(theta, X, engine), logits)


@pytest.mark.parametrize("call", CALLS + FORWARD)
@pytest.mark.parametrize(
    ("theta", "given"),
    [
        (THETA[:-1], "float64 (20,)"),
        (THETA[None], "float64 (1, 21)"),
        (THETA.astype("float16"), "float16 (21,)"),
        (np.arange(21), "int64 (21,)"),
        (THETA.tolist(), "list"),
        (None, "NoneType"),
    ],
)
def test_another_theta_is_an_error(call, theta, given):
    assert message(lambda: call(theta=theta)) == (
        f"theta must be a float32 or float64 array of shape (21,), not {given}; "
        "initial_parameters() makes one."
    )


@pytest.mark.parametrize("call", CALLS + FORWARD)
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (X[:, :2], "X must have the shape (n_rows, 3), not (5, 2)."),
        (X[0], "X must have the shape (n_rows, 3), not (3,)."),
        (X[None], "X must have the shape (n_rows, 3), not (1, 5, 3)."),
        (X[:0], "X has no rows."),
        (
            X.astype("float32"),
            "X has dtype float32 and theta float64: convert one of them, X.astype(theta.dtype).",
        ),
    ],
)
def test_other_rows_are_an_error(call, rows, expected):
    assert message(lambda: call(X=rows)) == expected


@pytest.mark.parametrize("call", CALLS + FORWARD)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_entries_that_are_not_finite_are_an_error_that_says_where(call, value):
    rows = X.copy()
    rows[2, 1] = rows[4, 0] = value
    assert message(lambda: call(X=rows)) == (
        "X has 2 entries that are NaN or infinite (the first at (2, 1)); a Network takes finite numbers. "
        "TabularClassifier and TabularRegressor fill in missing ones."
    )


def test_large_finite_entries_are_fine(engine):
    """Their sum overflows, but each of them is a number."""
    rows = np.full((2, 3), 1e308)
    with np.errstate(over="ignore"):
        assert NET.forward(np.zeros(21), rows, engine).tolist() == [[0], [0]]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ([1, 2, 3], "sample_weight must have the shape (5,), not (3,)."),
        (np.ones((5, 1)), "sample_weight must have the shape (5,), not (5, 1)."),
        ([1, 1, -1, 1, 1], "sample_weight must hold finite numbers ≥ 0."),
        ([1, 1, np.nan, 1, 1], "sample_weight must hold finite numbers ≥ 0."),
        ([1, 1, np.inf, 1, 1], "sample_weight must hold finite numbers ≥ 0."),
        ([0, 0, 0, 0, 0], "sample_weight is zero for every row (it sums to 0): at least one row must count."),
    ],
)
def test_other_weights_are_an_error(call, weight, expected):
    assert message(lambda: call(weight=weight)) == expected


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (Y[:3], "X has 5 rows and y has 3: they must be as many."),
        (np.ones((5, 2)), "The target of Normal(n_outputs=1) must have the shape (n_rows,), not (5, 2)."),
        (
            [0, 1, np.nan, 3, 4],
            "Normal(n_outputs=1) needs finite numbers; 1 row has something else, such as nan (row 2).",
        ),
    ],
)
def test_another_target_is_an_error(call, y, expected):
    assert message(lambda: call(y=y)) == expected


def test_a_network_of_nothing_is_an_error():
    assert message(lambda: Network(3, likelihood="normal")) == (
        "likelihood='normal' must be one of chainrule.likelihoods, such as Normal()."
    )
    assert message(lambda: Network(3, likelihood=Normal)) == (
        "likelihood=<class 'chainrule.likelihoods.normal.Normal'> must be one of chainrule.likelihoods, "
        "such as Normal()."
    )
    assert (
        message(lambda: Network(0, likelihood=Normal()))
        == "n_inputs=0: it must be a whole number of at least 1."
    )
    assert message(lambda: Network(3, [0], likelihood=Normal())) == (
        "Dense(units=0): units must be a whole number of at least 1."
    )
    assert message(lambda: Network(3, ["relu"], likelihood=Normal())) == (
        "hidden has 'relu': each layer must be a Dense, a Dropout or a Scale."
    )


def test_one_row_and_one_unit_are_enough(engine):
    network = Network(1, [Dense(1, "tanh")], likelihood=Bernoulli())
    theta = np.array([0.5, 0.1, -2.0, 0.3])
    loss, gradient = network.loss_and_gradient(theta, [[1.0]], [1], engine=engine)
    h = np.tanh(0.6)
    s = -2 * h + 0.3
    p = 1 / (1 + np.exp(-s))
    assert loss == pytest.approx(-np.log(p), rel=1e-14)
    signal = (p - 1) * -2 * (1 - h * h)
    np.testing.assert_allclose(gradient, [signal, signal, (p - 1) * h, p - 1], rtol=1e-13)
