"""Where the gradient is summed in parts, and where several epochs are one call: the numbers are the same.

A batch of 96 rows and more is cut into parts if the network is small enough (native/plan.hpp). The reference
engine knows of no parts.
"""

import numpy as np
import pytest

from chainrule import Dense
from chainrule.engine import Descent
from chainrule.optimization import SGD, Adam, Penalty

HIDDEN = {"none": [], "deep": [Dense(17, "tanh"), Dense(9, "gelu", bias=False)]}
# one part, two of one and of several blocks, eight
SIZES = [40, 97, 200, 800]


@pytest.mark.parametrize("n_rows", SIZES)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradient_are_those_of_the_reference_for_any_threads(
    *, make_problem, n_rows, hidden, dtype, weighted
):
    problem = make_problem(
        "categorical", HIDDEN[hidden], dtype=dtype, outputs=3, n_rows=n_rows, weighted=weighted
    )
    data, penalty = (problem.X, problem.y, problem.weight), Penalty(0.1, of_sum=True)
    expected = problem.network.engine("reference").loss_and_gradient(problem.theta, *data, penalty, None)
    tolerance = {"float32": 3e-5, "float64": 1e-12}[dtype]
    found = []
    for n_threads in (1, 2, 3):
        engine = problem.network.engine("native", n_threads)
        logits = np.empty((n_rows, problem.network.n_logits), dtype=dtype)
        loss, gradient = engine.loss_and_gradient(problem.theta, *data, penalty, None)
        np.testing.assert_allclose(loss, expected[0], rtol=tolerance)
        np.testing.assert_allclose(gradient, expected[1], rtol=0, atol=tolerance * np.abs(expected[1]).max())
        without = engine.loss(problem.theta, *data, logits=logits)
        np.testing.assert_array_equal(logits, engine.forward(problem.theta, problem.X))
        found.append((loss, gradient.tobytes(), without))
    assert found[1:] == found[:-1]


@pytest.mark.parametrize("n_rows", [97, 200, 450])
@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_steps_are_those_of_the_reference_for_any_threads(*, make_problem, n_rows, clip_norm, hidden):
    problem = make_problem("student_t/learned", HIDDEN[hidden], dtype="float64", n_rows=n_rows, weighted=True)
    problem.weight[:] = np.maximum(problem.weight, 0.25)
    order = np.array([np.random.default_rng(k).permutation(n_rows) for k in range(4)])
    ends = []
    for engine in ("reference", *(problem.network.engine("native", n) for n in (1, 2, 3))):
        text = problem.network.engine(engine) if isinstance(engine, str) else engine
        descent = Descent(
            problem.theta.copy(), SGD(0.02, 0.9, True), Penalty(0.1, of_sum=True), clip_norm, dropout_seed=3
        )
        losses = steps(text, descent, problem, order, 200, np.full(4 * -(-n_rows // 200), 0.02))
        ends.append((descent.theta, losses))
    for theta, losses in ends[1:]:
        np.testing.assert_allclose(theta, ends[0][0], rtol=0, atol=1e-12 * np.abs(theta).max())
        np.testing.assert_allclose(losses, ends[0][1], rtol=1e-12)
        np.testing.assert_array_equal(theta, ends[1][0])
        assert losses == ends[1][1]


def steps(engine, descent, problem, order, batch_size, rates, most=10**6):
    """Take all the steps, ``most`` a call at most, and return their losses."""
    losses = []
    while (done := len(losses)) < len(rates):
        losses += engine.run_steps(
            descent,
            problem.X,
            problem.y,
            problem.weight,
            order,
            batch_size,
            rates[done : done + most],
            first_batch=done,
        ).tolist()
    return losses


@pytest.mark.parametrize("batch_size", [30, 64, 100])
@pytest.mark.parametrize("most", [1, 3, 10**6])
def test_several_epochs_in_one_call_are_those_of_single_calls(engine, make_problem, batch_size, most):
    problem = make_problem("normal", [Dense(5, "tanh")], n_rows=64, weighted=True)
    problem.weight[:] = np.maximum(problem.weight, 0.25)
    text = problem.network.engine(engine)
    order = np.array([np.random.default_rng(k).permutation(64) for k in range(5)])
    rates = np.linspace(0.02, 0.01, 5 * -(-64 // batch_size))
    together = Descent(problem.theta.copy(), Adam(0.01), Penalty(0.01))
    losses = steps(text, together, problem, order, batch_size, rates, most)
    apart, expected = Descent(problem.theta.copy(), Adam(0.01), Penalty(0.01)), []
    for rows, these in zip(order, rates.reshape(5, -1), strict=True):
        expected += steps(text, apart, problem, rows, batch_size, these)
    np.testing.assert_array_equal(together.theta, apart.theta)
    assert losses == expected
    assert together.step == apart.step == len(rates)


@pytest.mark.parametrize(("first_batch", "n_rates"), [(-1, 1), (6, 1), (5, 2), (0, 7)])
def test_batches_beyond_the_order_are_an_error(make_problem, first_batch, n_rates):
    problem = make_problem("normal", [], n_rows=20)
    descent = Descent(problem.theta.copy(), SGD(0.1))
    order = np.arange(20).reshape(2, 10)  # three batches an epoch
    with pytest.raises(ValueError, match="each learning rate needs a batch"):
        problem.network.engine("native").run_steps(
            descent,
            problem.X,
            problem.y,
            None,
            order,
            4,
            np.full(n_rates, 0.1),
            first_batch=first_batch,
        )
