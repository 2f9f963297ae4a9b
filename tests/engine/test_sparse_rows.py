"""Sparse rows in both engines: what dense rows give, in the native engine to the last bit."""

from itertools import product

import numpy as np
import pytest
from scipy import sparse

from chainrule import Dense, Dropout, Scale
from chainrule.engine import Descent
from chainrule.optimization import SGD, Adam, Penalty

THREADS = (1, 3)
HIDDEN = {
    "relu": [Dense(17), Dense(5, "tanh")],
    "tanh": [Dense(40, "tanh", bias=False), Dropout(0.3)],
    "gelu": [Dense(33, "gelu"), Dropout(0.2), Dense(4)],
    "scale": [Scale(2.0), Dense(17, "silu"), Dropout(0.2)],
    "linear": [],
}


def thinned(problem, seed=0):
    """Set most entries of X to 0; one row and one column have none left."""
    rng = np.random.default_rng(seed)
    problem.X[rng.random(problem.X.shape) < 0.8] = 0
    problem.X[1], problem.X[:, 2] = 0, 0
    return problem, sparse.csr_array(problem.X)


def results(engine, problem, X, dropout_seed):
    theta, y, weight = problem.theta, problem.y, problem.weight
    loss, gradient = engine.loss_and_gradient(theta, X, y, weight, Penalty(0.1), dropout_seed)
    return {
        "logits": engine.forward(theta, X),
        "loss": np.array([engine.loss(theta, X, y, weight)]),
        "loss with dropout": np.array([loss]),
        "gradient": gradient,
    }


@pytest.mark.parametrize("outputs", [1, 3, 30])  # narrow tops take another way when the rows are dense
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_engines_agree_and_the_native_bits_are_those_of_dense_rows(hidden, outputs, dtype, make_problem):
    for n_rows, weighted in product((9, 1201), (False, True)):
        problem = make_problem(
            "normal", HIDDEN[hidden], outputs=outputs, n_inputs=23, n_rows=n_rows, weighted=weighted
        )
        problem, X = thinned(problem.astype(dtype))
        reference = results(problem.network.engine("reference"), problem, problem.X, 7)
        tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
        for engine in (problem.network.engine("reference"), *map_threads(problem)):
            sparse_results = results(engine, problem, X, 7)
            for what, values in sparse_results.items():
                scale = np.abs(reference[what]).max()
                np.testing.assert_allclose(
                    values, reference[what], rtol=0, atol=tolerance * scale, err_msg=what
                )
            if engine.name == "native" and (hidden != "linear" or outputs > 4):
                for what, values in results(engine, problem, problem.X, 7).items():
                    np.testing.assert_array_equal(sparse_results[what], values, err_msg=what)


def map_threads(problem):
    return [problem.network.engine("native", n) for n in THREADS]


@pytest.mark.parametrize("clip_norm", [None, 0.05])
@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9, True), Adam(0.01, epsilon=1e-3)], ids=["sgd", "adam"])
@pytest.mark.parametrize("batch_size", [16, 600])
def test_a_descent_takes_the_same_steps(engine, optimizer, batch_size, clip_norm, make_problem):
    problem = make_problem("categorical", HIDDEN["gelu"], outputs=3, n_inputs=23, n_rows=700, weighted=True)
    problem.weight[:] = np.maximum(problem.weight, 0.25)
    problem, X = thinned(problem)
    found = []
    for rows in (problem.X, X):
        descent = Descent(
            problem.theta.copy(), optimizer, Penalty(0.1, of_sum=True), clip_norm, dropout_seed=5
        )
        text = problem.network.engine(engine, 2 if engine == "native" else None)
        order = np.random.default_rng(1).permutation(700)
        losses, n_steps = [], -(-700 // batch_size)
        while len(losses) < n_steps:
            rest, rates = order[len(losses) * batch_size :], np.full(n_steps - len(losses), 0.05)
            losses += text.run_steps(
                descent, rows, problem.y, problem.weight, rest, batch_size, rates
            ).tolist()
        found.append((descent.theta, losses))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_dense_and_sparse_rows_may_come_in_turns(make_problem):
    problem, X = thinned(make_problem("normal", [Dense(20, "tanh")], n_inputs=40, n_rows=300))
    engine = problem.network.engine("native", 1)
    expected = engine.forward(problem.theta, problem.X)
    for rows in (X, problem.X, X[:5], problem.X[:5], X):
        np.testing.assert_array_equal(engine.forward(problem.theta, rows), expected[: rows.shape[0]])


@pytest.mark.parametrize(
    ("starts", "columns", "text"),
    [
        ([0, 1, 1], [0, 1], "starts of sparse rows"),
        ([0, 2, 1, 2], [0, 1], "starts of sparse rows"),
        ([1, 2], [0, 1], "starts of sparse rows"),
        ([0, 2], [0, 3], "a column below n_inputs"),
        ([0, 2], [-1, 0], "a column below n_inputs"),
        ([0, 2], [0], "a column below n_inputs"),
    ],
)
def test_arrays_that_do_not_fit_together_are_an_error(starts, columns, text, make_problem):
    problem = make_problem("normal", [], n_inputs=3, n_rows=5)
    native = problem.network.engine("native", 1)._engines[np.dtype("float64")]
    arrays = np.array(starts, dtype=np.int64), np.array(columns, dtype=np.int32), np.ones(2)
    with pytest.raises(ValueError, match=text):
        native.forward(problem.theta, arrays, np.empty((len(starts) - 1, 1)), 1)


def test_what_sparse_rows_have_not_is_an_error(make_problem):
    problem, X = thinned(make_problem("normal", [Dense(4, "tanh")], n_inputs=5, n_rows=6))
    native = problem.network.engine("native", 1)
    with pytest.raises(ValueError, match="X dense"):
        native.loss_and_gradient(problem.theta, X, problem.y, None, Penalty(), None, np.empty((6, 5)))
    dropped = make_problem("normal", [Dropout(0.5), Dense(4, "tanh")], n_inputs=5, n_rows=6)
    with pytest.raises(ValueError, match="cannot be dropped from"):
        dropped.network.engine("native", 1).forward(dropped.theta, X)
