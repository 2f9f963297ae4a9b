"""Offsets, exposures, missing entries of y, and likelihoods that a person writes."""

import numpy as np
import pytest

from chainrule import InputError, Network, gradient_check
from chainrule.engine import Descent
from chainrule.likelihoods import Gamma, Likelihood, Normal, Poisson, exposure_offset
from chainrule.optimization import Adam


def test_an_offset_is_added_to_the_logits(case, engine, make_problem):
    problem = make_problem(case, [4], outputs=3, weighted=True)
    network, likelihood = problem.network, problem.network.likelihood
    offset = np.linspace(-0.5, 0.5, len(problem.X))
    full = np.zeros((len(problem.X), network.n_logits))
    full[:, : likelihood.n_locations] = offset[:, None]
    logits = network.forward(problem.theta, problem.X, engine)
    assert np.array_equal(network.forward(problem.theta, problem.X, engine, offset=offset), logits + full)
    loss, gradient = network.loss_and_gradient(
        problem.theta, problem.X, problem.y, problem.weight, engine=engine, offset=offset
    )
    z = likelihood.extended(logits + full, network.scales(problem.theta))
    losses, slopes = likelihood.loss_and_gradient(z, problem.y)
    assert loss == pytest.approx(np.average(losses, weights=problem.weight), rel=1e-11)
    weights = problem.weight / problem.weight.sum()
    expected = weights @ slopes[:, network.n_logits :]
    np.testing.assert_allclose(network.scales(gradient), expected, rtol=1e-9, atol=1e-12)
    assert gradient_check(
        network, problem.theta, problem.X, problem.y, engine=engine, offset=offset, kink_margin=1e-4
    )


def test_an_exposure_multiplies_the_mean(engine):
    network, rows = Network(2, likelihood=Poisson()), np.array([[1.0, 2.0], [0.5, -1.0]])
    theta, exposure = np.array([0.3, -0.2, 0.1]), np.array([2.0, 0.5])
    offset = exposure_offset(network.likelihood, exposure, 2)
    rate = network.predict(theta, rows, engine)
    np.testing.assert_allclose(
        network.predict(theta, rows, engine, offset=offset), exposure[:, None] * rate, rtol=1e-14
    )


@pytest.mark.parametrize("exposure", [[1, 0, 2], [1, -3, 2], [1, np.nan, 2], [1, np.inf, 2]])
def test_an_unusable_exposure_is_an_error_that_names_the_rows(exposure):
    with pytest.raises(
        InputError,
        match=r"^exposure must hold finite numbers above 0; 1 row has something else, such as .* \(row 1\)",
    ):
        exposure_offset(Poisson(), exposure, 3)


def test_an_exposure_needs_the_log_link():
    with pytest.raises(InputError, match="its link is identity"):
        exposure_offset(Normal(), [1.0], 1)


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (np.zeros(3), r"^offset must have the shape \(2,\) or \(2, 1\) or \(2, 2\), not \(3,\)"),
        ([0.0, np.inf], r"^offset must hold finite numbers; 1 row has something else \(row 1\)"),
    ],
)
def test_an_unusable_offset_is_an_error(offset, message):
    network = Network(2, likelihood=Gamma(scale="network"))
    with pytest.raises(InputError, match=message):
        network.forward(network.initial_parameters(), np.zeros((2, 2), "float32"), offset=offset)


def test_missing_entries_of_y_count_for_nothing(case, engine, make_problem):
    problem = make_problem(case, [4], outputs=3, n_rows=6)
    likelihood = problem.network.likelihood
    if likelihood.n_columns != 3:
        return  # one target: nothing can be missing, which `prepare` says
    y = problem.y.astype(float)
    y[1, 0] = y[4, 1] = y[4, 2] = np.nan
    loss, gradient = problem.network.loss_and_gradient(problem.theta, problem.X, y, engine=engine)
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()
    # each entry by itself, in a batch in which it is the only one
    alone = [np.full_like(y, np.nan) for _ in range(3)]
    for k, target in enumerate(alone):
        target[:, k] = y[:, k]
    kept = [~np.isnan(target).all(axis=1) for target in alone]
    parts = [
        problem.network.loss_and_gradient(problem.theta, problem.X[rows], target[rows], engine=engine)
        for rows, target in zip(kept, alone, strict=True)
    ]
    shares = [rows.mean() for rows in kept]
    assert loss == pytest.approx(
        sum(share * part[0] for share, part in zip(shares, parts, strict=True)), rel=1e-11
    )
    expected = sum(share * part[1] for share, part in zip(shares, parts, strict=True))
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-12)


def test_a_row_without_any_entry_of_y_is_an_error():
    with pytest.raises(InputError, match=r"1 row has something else, such as \[nan, nan\] \(row 1\)"):
        Normal(2).prepare([[1, np.nan], [np.nan, np.nan]])


class Logistic(Likelihood):
    """y − s is logistic."""

    name = "logistic"

    def __init__(self, fault=0.0):
        self.fault = fault

    def loss_and_gradient(self, logits, y):
        e = y - logits
        losses = (np.logaddexp(0, e) + np.logaddexp(0, -e)).sum(axis=1)
        return losses, -np.tanh(e / 2) + self.fault


def test_a_likelihood_of_ones_own_trains_on_both_engines(make_problem):
    problem = make_problem("normal", [8], n_rows=50, weighted=True)
    problem.weight[:] = np.maximum(problem.weight, 0.25)
    network = Network(3, problem.network.hidden, likelihood=Logistic())
    found = []
    for engine in ("reference", "native"):
        assert gradient_check(network, problem.theta, problem.X, problem.y, engine=engine)
        descent = Descent(problem.theta.copy(), Adam(0.01, epsilon=1e-3))
        losses = []
        while len(losses) < 4:
            left = (np.arange(50)[len(losses) * 13 :], 13, np.full(4 - len(losses), 0.01))
            losses += (
                network.engine(engine)
                .run_steps(descent, problem.X, problem.y, problem.weight, *left)
                .tolist()
            )
        found.append((losses, descent.theta))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        network.predictor(problem.theta)(problem.X[0]),
        network.predict(problem.theta, problem.X[:1])[0],
        rtol=1e-13,
    )


def test_a_wrong_derivative_of_ones_own_is_found(engine):
    network = Network(2, likelihood=Logistic(fault=1e-3))
    X, y = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([1.0, 0.0])
    check = gradient_check(network, np.array([0.3, -0.2, 0.1]), X, y, engine=engine)
    assert not check
    assert f"Wrong ({engine} engine): in ∂loss/∂s" in str(check)


@pytest.mark.parametrize(
    "bent",
    [
        lambda losses, slopes: (losses, np.repeat(slopes, 2, axis=1)),
        lambda losses, slopes: (losses, slopes[:, 0]),
        lambda losses, slopes: (losses[:, None], slopes),
    ],
)
def test_a_result_of_another_shape_is_an_error(engine, bent):
    class Bent(Logistic):
        def loss_and_gradient(self, logits, y):
            return bent(*super().loss_and_gradient(logits, y))

    network = Network(2, likelihood=Bent())
    for call in (network.loss, network.loss_and_gradient):
        with pytest.raises(InputError, match="must return the losses"):
            call(np.zeros(3), np.zeros((4, 2)), np.zeros(4), engine=engine)


def test_what_has_no_distribution_says_so():
    with pytest.raises(InputError, match="does not say what its distribution is"):
        Logistic().variance(np.zeros((1, 1)))
