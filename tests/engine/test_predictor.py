"""One row at a time: the same ŷ as for all rows together."""

import numpy as np
import pytest

import chainrule as cr


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [(), (5,), (70, 33)])
@pytest.mark.parametrize("n_outputs", [2, 3, 40])
def test_a_row_gets_the_mean_that_it_gets_among_others(
    engine, case, n_outputs, hidden, dtype, make_likelihood
):
    network = cr.Network(7, hidden, likelihood=make_likelihood(case, n_outputs))
    theta = network.initial_parameters(seed=1, dtype=dtype)
    X = np.random.default_rng(0).normal(size=(9, 7)).astype(dtype)
    predict = network.predictor(theta, engine=engine)
    expected = network.predict(theta, X, engine="reference")
    theta[:] = 0  # the predictor keeps its own
    for row, mean in zip(X, expected, strict=True):
        allowed = (1e-5 if dtype == "float32" else 1e-12) * np.abs(expected).max()
        np.testing.assert_allclose(predict(row), mean, rtol=0, atol=allowed)


@pytest.mark.parametrize("hidden", [(), (5,), (33, 4)])
def test_a_row_is_scaled(engine, hidden, make_problem):
    problem = make_problem("normal", [cr.Scale(2.0), *hidden], outputs=3, n_inputs=7, margin=0)
    predict = problem.network.predictor(problem.theta, engine=engine)
    plain, folded = problem.network.folded(problem.theta)
    for row, mean in zip(problem.X, plain.predict(folded, problem.X, "reference"), strict=True):
        np.testing.assert_allclose(predict(row), mean, rtol=1e-12, atol=1e-13)


def test_a_row_of_another_length_is_an_error():
    network = cr.Network(3, likelihood=cr.likelihoods.Normal())
    predict = network.predictor(network.initial_parameters())
    with pytest.raises(ValueError, match="another length"):
        predict(np.zeros(4, dtype=np.float32))
