"""y outside the domain: an error that names the rows, for every likelihood, wherever y comes in."""

import re

import numpy as np
import pytest

from chainrule import InputError
from chainrule.likelihoods import LIKELIHOODS, exposure_offset
from chainrule.training import Training, train

NOT_FINITE = [np.nan, np.inf, -np.inf]
NOT_AMOUNTS = [*NOT_FINITE, -1e-300, -1.0]
NOT_CLASSES = [*NOT_FINITE, -1, 0.5, 3, 1e9]  # of three
# For each likelihood, rows that it cannot have, with one output or three classes; a row of Weibull is a time
# and an event. A new likelihood needs a line here.
OUTSIDE = {
    **dict.fromkeys(
        ("normal", "normal_with_variance", "student_t", "laplace", "huber", "quantile"), NOT_FINITE
    ),
    "bernoulli": [*NOT_FINITE, -1e-300, -1, 1 + 1e-15, 2],
    "categorical": NOT_CLASSES,
    "ordinal": NOT_CLASSES,
    "poisson": NOT_AMOUNTS,
    "negative_binomial": NOT_AMOUNTS,
    "gamma": [*NOT_AMOUNTS, 0.0, -0.0],
    "tweedie": NOT_AMOUNTS,
    "weibull": [
        *((time, 1) for time in (*NOT_AMOUNTS, 0.0)),
        *((1.0, event) for event in (*NOT_FINITE, -1, 0.5, 2)),
    ],
}


def rows_of(case, make_problem):
    """Yield a problem, and its y with each impossible row in the place of rows 2 and 5."""
    name = case.partition("/")[0]
    problem = make_problem(case, outputs=3 if name in ("categorical", "ordinal") else 1, n_rows=8)
    for row in OUTSIDE[name]:
        y = problem.y.astype("float64")
        y[[2, 5]] = row
        yield problem, y


def says_so(likelihood, y):
    """Return a pattern of the message: what is needed, how many rows, which, and what the first one has."""
    value = y[2].tolist()
    shown = re.escape(str(value[0] if len(value) == 1 else value))
    needs = re.escape(f"{likelihood!r} needs {likelihood.domain}; 2 rows have something else, such as ")
    return rf"^{needs}{shown} \(rows 2, 5\)\.$"


def test_every_likelihood_has_rows_outside_its_domain():
    assert set(OUTSIDE) == set(LIKELIHOODS)
    assert all(OUTSIDE.values())


def test_a_row_outside_the_domain_is_named(case, make_problem):
    for problem, y in rows_of(case, make_problem):
        likelihood = problem.network.likelihood
        with pytest.raises(InputError, match=says_so(likelihood, y)):
            likelihood.prepare(y)


def test_a_network_names_it_before_any_work(case, engine, make_problem):
    for problem, y in rows_of(case, make_problem):
        network, message = problem.network, says_so(problem.network.likelihood, y)
        for compute in (network.loss, network.loss_and_gradient, network.loss_and_input_gradient):
            with pytest.raises(InputError, match=message):
                compute(problem.theta, problem.X, y, engine=engine)


def test_training_names_it_too(case, engine, make_problem):
    settings = Training(epochs=1, engine=engine)
    for problem, y in rows_of(case, make_problem):
        theta = problem.theta.copy()
        with pytest.raises(InputError, match=says_so(problem.network.likelihood, y)):
            train(problem.network, theta, problem.X, y, settings=settings)
        assert np.array_equal(theta, problem.theta)


def test_one_bad_entry_of_several_outputs_is_enough(case, make_problem):
    """A missing entry beside others is none; anything else outside the domain is."""
    problem = make_problem(case, outputs=3, n_rows=8)
    likelihood = problem.network.likelihood
    if likelihood.n_columns != 3:
        return  # one target, which the other tests are about
    for value in OUTSIDE[case.partition("/")[0]]:
        y = problem.y.astype("float64")
        y[4, 1] = value
        if np.isnan(value):
            assert np.array_equal(likelihood.prepare(y), y, equal_nan=True)
            y[4] = np.nan
        with pytest.raises(InputError, match=r"1 row has something else, such as \[.* \(row 4\)"):
            likelihood.prepare(y)


def test_another_number_of_columns_is_an_error(case, make_problem):
    problem = make_problem(case, n_rows=8)
    likelihood, n = problem.network.likelihood, problem.y.shape[1]
    shape = "(n_rows,)" if n == 1 else f"(n_rows, {n})"
    for y in (np.ones((8, n + 1)), np.ones((8, 0)), np.ones((8, n, 1)), *([np.ones(8)] if n > 1 else [])):
        message = f"The target of {likelihood!r} must have the shape {shape}, not {y.shape}."
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            likelihood.prepare(y)


@pytest.mark.parametrize("exposure", [0.0, -0.0, -1e-300, -3.0, *NOT_FINITE])
def test_an_exposure_must_be_above_0(case, exposure, make_likelihood):
    likelihood = make_likelihood(case)
    exposures = np.array([1.0, exposure, 2.0, exposure])
    if likelihood.link == "log":
        message = r"^exposure must hold finite numbers above 0; 2 rows have something else, such as "
    else:
        message = f"^{re.escape(repr(likelihood))} has no exposure, its link is "
    with pytest.raises(InputError, match=message):
        exposure_offset(likelihood, exposures, 4)
