"""Same seed, same bits: on any number of threads, in any cutting of rows and of steps (native engine)."""

import numpy as np
import pytest

from chainrule import Dense, Dropout, Scale, training
from chainrule.engine import Descent
from chainrule.optimization import SGD, Adam, AdamW, Penalty

DTYPES = ("float64", "float32")
THREADS = (1, 2, 4)
# Rows and widths that neither vectors, nor panels, nor threads, nor blocks along a sum divide.
SIZES = [
    ([], 3, 45),
    ([Dense(19, "tanh")], 5, 37),
    ([Dense(70, "gelu"), Dropout(0.3), Dense(33, "relu")], 41, 301),
    ([Scale(2.0), Dense(70, "silu"), Dropout(0.3)], 131, 301),
    ([Dense(9, "silu"), Dense(300, "elu", bias=False), Dense(5, "mish")], 259, 517),
]
OPTIMIZERS = [SGD(0.05, momentum=0.9, nesterov=True), Adam(0.01), AdamW(0.01)]


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


@pytest.fixture(params=range(len(SIZES)))
def problem(request, make_problem):
    hidden, n_inputs, n_rows = SIZES[request.param]
    names = ["bernoulli", "categorical", "gamma/learned", "normal", "ordinal", "poisson"]
    likelihood = names[request.param % len(names)]
    return make_problem(
        likelihood,
        hidden,
        outputs=3,
        n_inputs=n_inputs,
        n_rows=n_rows,
        weighted=request.param % 2 == 0,
        margin=0,
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_the_same_bits_on_any_number_of_threads(problem, dtype):
    problem = problem.astype(dtype)

    def everything(n_threads):
        engine, G = problem.network.engine("native", n_threads), np.empty_like(problem.X)
        data = (problem.theta, problem.X, problem.y, problem.weight)
        loss, gradient = engine.loss_and_gradient(*data, Penalty(0.1), 3, G)
        return [engine.forward(problem.theta, problem.X), engine.loss(*data), loss, gradient, G]

    on_one = everything(1)
    for n_threads in (*THREADS, 3, 16):
        assert all(map(same_bits, everything(n_threads), on_one)), f"{n_threads} threads"


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_are_the_same_bits_on_any_threads_and_in_any_cutting(problem, dtype, optimizer, descend):
    problem = problem.astype(dtype)

    def fit(batch_size, n_threads, calls):
        descent = Descent(problem.theta.copy(), optimizer, Penalty(0.01), clip_norm=0.5, dropout_seed=7)
        engine = problem.network.engine("native", n_threads)
        return list(descend(engine, problem, descent, calls=calls, batch_size=batch_size).values())

    for batch_size in (40, 600):
        once = fit(batch_size, 1, (7,))
        assert not same_bits(once[0], problem.theta)
        for n_threads, calls in [(1, (7,)), (2, (7,)), (4, (7,)), (1, (1,) * 7), (2, (3, 1, 3)), (4, (2, 5))]:
            assert all(map(same_bits, fit(batch_size, n_threads, calls), once)), (
                f"{n_threads} threads, {calls}"
            )


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_predictions_are_the_same_bits_however_many_rows_at_a_time(problem, dtype, n_threads):
    problem = problem.astype(dtype)
    engine, X = problem.network.engine("native", n_threads), problem.X
    at_once = engine.forward(problem.theta, X)
    for size in (1, 7, 64, len(X) - 1):
        parts = [engine.forward(problem.theta, X[i : i + size]) for i in range(0, len(X), size)]
        assert same_bits(np.concatenate(parts), at_once), f"{size} rows at a time"
    assert same_bits(engine.forward(problem.theta, np.ascontiguousarray(X[::-1])), at_once[::-1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_fits_with_one_seed_are_the_same_bits(case, dtype, make_problem):
    hidden = [Dense(33, "relu"), Dropout(0.2), Dense(17, "tanh")]
    problem = make_problem(case, hidden, outputs=3, n_inputs=9, n_rows=203, margin=0, dtype=dtype)

    def fit(n_threads, seed=5):
        settings = training.Training(epochs=4, batch_size=32, seed=seed, n_threads=n_threads)
        return training.train(
            problem.network, problem.theta.copy(), problem.X, problem.y, settings=settings
        ).theta

    once = fit(1)
    assert all(same_bits(fit(n_threads), once) for n_threads in (1, 2, 4, None))
    assert not same_bits(fit(1, seed=6), once)
