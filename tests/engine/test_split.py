"""A likelihood that is written in Python, on the native engine: what the same one in C++ gives."""

import numpy as np
import pytest
from scipy import sparse

from chainrule import Dense, Dropout, Network, Scale
from chainrule.engine import Descent
from chainrule.likelihoods import Likelihood, Normal
from chainrule.optimization import SGD, Adam, Penalty


class Own(Likelihood):
    """One of the project's likelihoods, of which nobody knows that it is: its loss is computed in Python."""

    name = "own"

    def __init__(self, inner):
        self.inner, self.n_calls, self.aside = inner, 0, None
        self.top_bias = inner.top_bias

    n_logits = property(lambda self: self.inner.n_logits)
    n_columns = property(lambda self: self.inner.n_columns)
    n_scales = property(lambda self: self.inner.n_scales)

    def initial_scales(self):
        return self.inner.initial_scales()

    def invalid(self, y):
        return self.inner.invalid(y)

    def loss_and_gradient(self, logits, y):
        self.n_calls += 1
        if self.aside is not None:
            self.aside()
        return self.inner.loss_and_gradient(logits, y)


HIDDEN = {
    "none": [],
    "relu": [Dense(17, "relu"), Dense(5, "relu")],
    "scale": [Scale(2.0), Dense(9, "silu"), Dropout(0.2)],
    "dropout": [Dropout(0.2), Dense(9, "silu"), Dropout(0.5), Dense(4, "tanh", bias=False)],
}
ROWS = {"one chunk": 40, "three chunks": 1100}
LEARNED = ["normal", "gamma/learned", "weibull/network", "ordinal"]


@pytest.fixture(params=["float64", "float32"])
def twice(request, make_problem):
    """Return a function that makes a problem, its network and the one whose loss is in Python."""

    def make(case, hidden, n_rows, *, weighted=True):
        problem = make_problem(case, HIDDEN[hidden], n_rows=n_rows, weighted=weighted, dtype=request.param)
        own = Own(problem.network.likelihood)
        return problem, problem.network, Network(3, problem.network.hidden, likelihood=own)

    return make


def tolerance(theta):
    return {"rtol": 2e-3, "atol": 2e-5} if theta.dtype == "float32" else {"rtol": 1e-9, "atol": 1e-12}


def offset_of(problem):
    shape = len(problem.X), problem.network.n_logits
    return np.random.default_rng(2).normal(0, 0.3, shape).astype(problem.theta.dtype)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("case", LEARNED)
def test_losses_and_gradients(case, hidden, rows, twice):
    problem, native, own = twice(case, hidden, ROWS[rows])
    results = []
    for network in (native, own):
        G = np.empty_like(problem.X)
        data = (problem.theta, problem.X, problem.y, problem.weight)
        engine, offset = network.engine("native"), offset_of(problem)
        loss, gradient = engine.loss_and_gradient(*data, Penalty(0.1), 7, G, offset)
        results.append([loss, gradient, G, engine.loss(*data, offset)])
    for found, expected in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(found, expected, **tolerance(problem.theta))
    assert own.likelihood.n_calls == -(-ROWS[rows] // 512) + 1  # once for each chunk, and for the loss alone


DESCENTS = {
    "sgd": {"optimizer": SGD(0.05, momentum=0.9)},
    "adam": {"optimizer": Adam(0.01, epsilon=1e-3), "penalty": Penalty(0.1, of_sum=True)},
    "clipped": {"optimizer": SGD(0.05), "clip_norm": 0.05, "penalty": Penalty(0.3, biases=True)},
}


def descend(network, problem, batch_size, settings, X=None, n_threads=None):
    descent = Descent(problem.theta.copy(), dropout_seed=3, **settings)
    engine, X = network.engine("native", n_threads), problem.X if X is None else X
    order = np.random.default_rng(0).permutation(len(problem.y))
    n_steps = -(-len(order) // batch_size)
    penalties, losses = np.zeros(n_steps), []
    while len(losses) < n_steps:
        done = len(losses)
        losses += engine.run_steps(
            descent,
            X,
            problem.y,
            problem.weight,
            order[done * batch_size :],
            batch_size,
            np.full(n_steps - done, descent.optimizer.learning_rate),
            penalties[done:],
            offset_of(problem),
        ).tolist()
    return descent.theta, np.array(losses), penalties, *descent.state


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("how", DESCENTS)
def test_descents(how, hidden, rows, twice):
    problem, native, own = twice("gamma/learned", hidden, ROWS[rows])
    problem.weight[:] = np.maximum(problem.weight, 0.25)
    batch_size = {"one chunk": 13, "three chunks": 700}[rows]
    expected = descend(native, problem, batch_size, DESCENTS[how])
    for found, part in zip(descend(own, problem, batch_size, DESCENTS[how]), expected, strict=True):
        np.testing.assert_allclose(found, part, **tolerance(problem.theta))
    one = descend(own, problem, batch_size, DESCENTS[how], n_threads=1)
    three = descend(own, problem, batch_size, DESCENTS[how], n_threads=3)
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_loss_is_computed_once_a_step_and_may_use_the_network_itself(twice):
    problem, native, own = twice("normal", "relu", 40)
    expected = descend(native, problem, 10, DESCENTS["sgd"])
    other = np.full((600, 3), 5.0, problem.theta.dtype)
    own.likelihood.aside = lambda: own.forward(problem.theta, other)  # between the halves of a step
    found = descend(own, problem, 10, DESCENTS["sgd"])
    assert own.likelihood.n_calls == 4
    np.testing.assert_allclose(found[0], expected[0], **tolerance(problem.theta))


@pytest.mark.parametrize("n_rows", [40, 1100])
def test_sparse_rows(n_rows, twice):
    problem, native, own = twice("normal", "relu", n_rows)
    problem.X[np.random.default_rng(0).random(problem.X.shape) < 0.6] = 0
    X = sparse.csr_matrix(problem.X)
    expected = descend(native, problem, 300, DESCENTS["adam"])
    for found, part in zip(descend(own, problem, 300, DESCENTS["adam"], X), expected, strict=True):
        np.testing.assert_allclose(found, part, **tolerance(problem.theta))


def test_a_loss_that_is_not_finite_takes_no_step(twice):
    problem, _, own = twice("normal", "relu", 40)
    problem.y[7] = 1e300
    before = problem.theta.copy()
    descent = Descent(problem.theta, SGD(0.1))
    with np.errstate(over="ignore"):
        losses = own.engine("native").run_steps(
            descent, problem.X, problem.y, None, np.arange(40), 40, np.array([0.1])
        )
    assert losses.tolist() == [np.inf]
    assert descent.step == 0
    np.testing.assert_array_equal(problem.theta, before)


def test_an_error_in_the_loss_comes_out_and_leaves_theta_alone(twice):
    problem, _, own = twice("normal", "relu", 40)

    def fail():
        raise ZeroDivisionError("in the loss")

    own.likelihood.aside = fail
    before = problem.theta.copy()
    with pytest.raises(ZeroDivisionError, match="in the loss"):
        descend(own, problem, 10, DESCENTS["sgd"])
    np.testing.assert_array_equal(problem.theta, before)


def test_halves_check_their_arrays():
    network = Network(3, [4], likelihood=Own(Normal()))
    engine = network.engine("native", 1)
    theta, X = network.initial_parameters(), np.ones((8, 3), np.float32)
    halves = engine._halves(theta, X, 8)
    logits = np.empty((8, 1), np.float32)
    for arguments, text in (
        ((theta[:3].copy(), X, 0, logits), "n_parameters"),
        ((theta, X, 512, logits), "a chunk of the rows"),
        ((theta, X, 0, logits[:3].copy()), "a chunk of the rows"),
        ((theta, np.ones((9, 3), np.float32), 0, np.empty((9, 1), np.float32)), "a chunk of the rows"),
        ((theta, X[:, :2].copy(), 0, logits), "X must be"),
    ):
        with pytest.raises(ValueError, match=text):
            halves.forward(*arguments, None, 0)
    with pytest.raises(ValueError, match="y must be"):
        halves.backward(theta, X, 0, np.ones((8, 1), np.float32), None, theta.copy(), None, None, 0)
    with pytest.raises(ValueError, match="the gradient must be like theta"):
        halves.backward(theta, X, 0, np.ones((8, 2), np.float32), None, theta[:3].copy(), None, None, 0)
    with pytest.raises(ValueError, match="the gradient must be like theta"):
        halves.descend(engine._native_descent(Descent(theta, SGD(0.1))), theta[:3].copy(), 1.0, 1.0, 0.1)
