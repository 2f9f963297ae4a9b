"""L-BFGS against closed forms and scikit-learn, and the ends that it shares with the mini-batches."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_info

from chainrule import Dense, Dropout, Network
from chainrule.errors import DivergenceError, InputError
from chainrule.likelihoods import Bernoulli, Categorical, Normal, Poisson
from chainrule.optimization import LBFGS, Penalty
from chainrule.training import Training, train

RNG = np.random.default_rng(11)
N_ROWS, N_INPUTS = 120, 4
X = RNG.normal(size=(N_ROWS, N_INPUTS))
SLOPES = RNG.normal(size=(N_INPUTS, 3))
WEIGHTS = {"none": None, "weighted": RNG.uniform(0.2, 2, N_ROWS)}
weighted = pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)


def fit(likelihood, y, engine, *, l2=0.0, weight=None, dtype="float64", **given):
    network = Network(N_INPUTS, likelihood=likelihood)
    settings = Training(
        optimizer=LBFGS(tolerance=1e-10), penalty=Penalty(l2), engine=engine, **given.pop("settings", {})
    )
    theta = network.initial_parameters(dtype=dtype)
    result = train(network, theta, X.astype(dtype), y, weight, settings=settings, **given)
    return result, *network.unpack(result.theta)[0]


@weighted
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 50.0])
def test_ridge_regression(engine, n_outputs, alpha, weight):
    y = X @ SLOPES[:, :n_outputs] + 1 + RNG.normal(size=(N_ROWS, n_outputs))
    total = N_ROWS if weight is None else weight.sum()
    # ½ Σ w |y − s|² + ½ α |β|² over Σ w
    result, coefficients, intercept = fit(Normal(n_outputs), y, engine, l2=alpha / total, weight=weight)
    w = np.ones(N_ROWS) if weight is None else weight
    design = np.column_stack([X, np.ones(N_ROWS)])
    normal = design.T @ (w[:, None] * design) + alpha * np.diag([1.0] * N_INPUTS + [0.0])
    expected = np.linalg.solve(normal, design.T @ (w[:, None] * y))
    assert result.stopped_by == "converged"
    # near its minimum the loss is flat: what rounding leaves of it says θ to about √(1e-16)
    np.testing.assert_allclose(coefficients.T, expected[:-1], rtol=0, atol=5e-8)
    np.testing.assert_allclose(intercept, expected[-1], rtol=0, atol=5e-8)
    if alpha:
        ridge = Ridge(alpha=alpha).fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(coefficients, ridge.coef_.reshape(n_outputs, -1), rtol=0, atol=1e-8)


@weighted
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_logistic_regression(engine, n_classes, C, weight):
    scores = (X @ SLOPES)[:, :n_classes] + RNG.gumbel(size=(N_ROWS, n_classes))
    y = scores.argmax(axis=1)
    total = N_ROWS if weight is None else weight.sum()
    # C Σ w loss + ½ |β|²; two classes are scikit-learn's Bernoulli, more its softmax
    likelihood = Bernoulli() if n_classes == 2 else Categorical(n_classes)
    result, coefficients, intercept = fit(likelihood, y, engine, l2=1 / (C * total), weight=weight)
    reference = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y, sample_weight=weight)
    assert result.stopped_by == "converged"
    np.testing.assert_allclose(coefficients, reference.coef_, rtol=0, atol=1e-6)
    centred = intercept - intercept.mean() if n_classes > 2 else intercept  # softmax leaves a constant free
    expected = reference.intercept_ - reference.intercept_.mean() if n_classes > 2 else reference.intercept_
    np.testing.assert_allclose(centred, expected, rtol=0, atol=1e-6)


def test_float32_comes_as_near_as_float32_can(engine):
    y = X @ SLOPES[:, :1] + RNG.normal(size=(N_ROWS, 1))
    result, *parameters = fit(Normal(), y.astype("float32"), engine, dtype="float32")
    _, *exact = fit(Normal(), y.astype("float32").astype("float64"), engine)
    assert result.stopped_by == "converged"
    assert result.theta.dtype == np.float32
    for near, value in zip(parameters, exact, strict=True):
        np.testing.assert_allclose(near, value, rtol=0, atol=1e-3)


@pytest.fixture
def deep(make_task):
    return make_task("float64", hidden=[Dense(8, "tanh"), Dense(5, "tanh")])


def lbfgs(engine, **given):
    return Training(optimizer=LBFGS(max_iterations=given.pop("max_iterations", 40)), engine=engine, **given)


def test_each_iteration_is_a_record(engine, deep):
    thetas = []
    penalty = Penalty(0.01)
    result = deep.train(
        settings=lbfgs(engine, penalty=penalty, max_iterations=15),
        metrics=["rmse"],
        callbacks=[lambda report: thetas.append(report.theta.copy())],
    )
    assert result.stopped_by == "epochs"
    assert result.best_epoch == len(result.history.epochs) == len(thetas) == 15
    assert np.array_equal(result.theta, thetas[-1])
    for record, theta in zip(result.history.epochs, thetas, strict=True):
        loss, _ = deep.network.loss_and_gradient(theta, deep.X, deep.y, engine=engine, penalty=penalty)
        assert record.train_loss == pytest.approx(loss, rel=1e-13)
        assert record.learning_rate is None
        mean = deep.network.predict(theta, deep.X, engine=engine)[:, 0]
        assert record.train_metrics["rmse"] == pytest.approx(
            np.sqrt(np.mean((mean - deep.y) ** 2)), rel=1e-13
        )
    losses = result.history.columns()["train_loss"]
    assert (np.diff(losses) < 0).all()


def test_the_best_theta_comes_back_and_patience_ends_it(engine, deep):
    thetas = []
    result = deep.train(
        settings=lbfgs(engine, patience=3, max_iterations=500),
        validation=deep.validation,
        callbacks=[lambda report: thetas.append(report.theta.copy())],
    )
    losses = result.history.columns()["validation_loss"]
    assert result.stopped_by == "patience"
    assert result.best_epoch == losses.argmin() + 1 == len(losses) - 3
    assert np.array_equal(result.theta, thetas[result.best_epoch - 1])


def test_a_callback_a_time_limit_and_ctrl_c_end_it(engine, deep, monkeypatch):
    def at_three(report):
        return report.record.epoch == 3

    def interrupt(report):
        if report.record.epoch == 3:
            raise KeyboardInterrupt

    whole = deep.train(settings=lbfgs(engine, max_iterations=3))
    by_callback = deep.train(settings=lbfgs(engine), callbacks=[at_three])
    by_hand = deep.train(settings=lbfgs(engine), callbacks=[interrupt])
    monkeypatch.setattr(
        "chainrule.training.run.Run.seconds_left", property(lambda run: 3.0 - len(run.history.epochs))
    )
    by_time = deep.train(settings=lbfgs(engine))
    assert [r.stopped_by for r in (whole, by_callback, by_hand, by_time)] == [
        "epochs",
        "callback",
        "interrupt",
        "time",
    ]
    for result in (by_callback, by_hand, by_time):
        assert len(result.history.epochs) == 3
        assert np.array_equal(result.theta, whole.theta)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_depend_on_no_number_of_threads(make_task, dtype):
    task = make_task(dtype, hidden=[Dense(16, "tanh"), Dense(8)])
    results = [
        task.train(settings=Training(optimizer=LBFGS(max_iterations=20), n_threads=n)) for n in (1, 2, 4)
    ]
    for result in results[1:]:
        assert np.array_equal(result.theta, results[0].theta)
        assert (
            result.history.columns()["train_loss"].tolist()
            == results[0].history.columns()["train_loss"].tolist()
        )


def test_scipys_blas_has_one_thread_meanwhile(engine, deep):
    def blas_threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before, seen = blas_threads(), []
    deep.train(
        settings=lbfgs(engine, max_iterations=2),
        callbacks=[lambda report: seen.append((report, blas_threads()))],
    )
    assert [set(threads) for _, threads in seen] == [{1}, {1}]
    assert blas_threads() == before


def test_a_start_at_the_optimum_is_returned(engine):
    network = Network(N_INPUTS, likelihood=Normal())
    theta = np.zeros(network.n_parameters)
    result = train(
        network, theta, X, np.zeros(N_ROWS), settings=lbfgs(engine), validation=(X, np.zeros(N_ROWS))
    )
    assert result.stopped_by == "converged"
    assert np.array_equal(result.theta, theta)
    assert (result.best_epoch, result.history.epochs) == (0, [])


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e5])
def test_a_step_into_overflow_is_taken_back(engine, scale):
    # The first step goes along the slope by a length of 1: there e^s is beyond float64 from scale = 1e3 on.
    rows, y = X * scale, RNG.poisson(np.exp(X @ SLOPES[:, 0] * 0.5))
    network = Network(N_INPUTS, likelihood=Poisson())
    settings = Training(optimizer=LBFGS(tolerance=1e-9, max_iterations=5000), engine=engine)
    result = train(network, np.zeros(N_INPUTS + 1), rows, y, settings=settings)
    assert result.stopped_by == "converged"
    # at the maximum of the likelihood the score is 0
    mean = np.exp(rows @ result.theta[:-1] + result.theta[-1])
    score = (mean - y) @ np.column_stack([X, np.ones(N_ROWS)]) / N_ROWS
    np.testing.assert_allclose(score, 0, atol=1e-6)


def test_a_start_in_overflow_is_reported(engine):
    network = Network(N_INPUTS, likelihood=Poisson())
    theta = np.full(network.n_parameters, 1e3)
    with pytest.raises(DivergenceError, match="The loss is inf at the start") as caught:
        train(network, theta, X, np.ones(N_ROWS), settings=lbfgs(engine))
    assert "learning rate" not in str(caught.value)


def test_dropout_is_refused(engine):
    network = Network(N_INPUTS, [Dense(3), Dropout(0.1)], likelihood=Normal())
    with pytest.raises(InputError, match=r"LBFGS .* Dropout: take it out, or use Adam"):
        train(network, network.initial_parameters(dtype="float64"), X, X[:, 0], settings=lbfgs(engine))
