"""Distributions, their likelihood and intervals of MLPClassifier and MLPRegressor."""

import numpy as np
import pytest
from scipy import sparse, stats
from scipy.stats import binom

import chainrule as cr
from chainrule import InputError, MLPClassifier, MLPRegressor
from chainrule.estimators.predictive import concordance, row_nll
from chainrule.likelihoods import Normal, Tweedie

# a fit need not have come to its end for what it says to belong together
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_ROWS = 200
OF_CLASSES = ("bernoulli", "categorical", "ordinal")


def drawn(likelihood, draw_target, n_rows=N_ROWS):
    """Return rows and a target of the likelihood, (n_rows,) where it has one column."""
    rng = np.random.default_rng(0)
    y = draw_target(likelihood, n_rows, rng).astype(float)
    return rng.normal(size=(n_rows, 3)), y[:, 0] if y.shape[1] == 1 else y


@pytest.mark.parametrize("outputs", [1, 3])
def test_everything_that_is_predicted_belongs_together(case, outputs, make_likelihood, draw_target, tmp_path):
    likelihood = make_likelihood(case, outputs)
    X, y = drawn(likelihood, draw_target)
    kind = MLPClassifier if likelihood.name in OF_CLASSES else MLPRegressor
    model = kind(loss=likelihood, hidden_layer_sizes=[5], solver="lbfgs", max_iter=60, tol=1e-2)
    model.set_params(random_state=0)
    model.fit(X, y.astype(int) if kind is MLPClassifier else y)
    distribution = model.predict_distribution(X)
    if kind is MLPClassifier:
        p = model.predict_proba(X)
        if likelihood.name == "bernoulli" and outputs > 1:
            np.testing.assert_allclose(distribution.mean, p, rtol=1e-9)
            expected = -(y * np.log(p) + (1 - y) * np.log1p(-p)).sum(axis=1)
        else:
            np.testing.assert_allclose(distribution.mean, p @ np.arange(p.shape[1]), rtol=1e-9, atol=1e-12)
            expected = -np.log(p[np.arange(N_ROWS), y.astype(int)])
    else:
        np.testing.assert_allclose(distribution.mean, model.predict(X), rtol=1e-9)
        columns = y.reshape(N_ROWS, -1)
        expected = row_nll(distribution, columns, censored=likelihood.name == "weibull")
    weight = np.arange(N_ROWS) % 3
    nll = model.nll(X, y, weight)
    assert nll == pytest.approx(np.average(expected, weights=weight), rel=1e-6)
    model.save(tmp_path / "model.safetensors")
    again = cr.load(tmp_path / "model.safetensors")
    assert again.nll(X, y, weight) == nll


@pytest.mark.parametrize("way", ["training rows", "early stopping", "eval_set"])
def test_the_spread_is_measured_on_rows_held_out_or_else_on_those_learned_from(way):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(900, 2))
    y = np.column_stack([X[:, 0] + 0.3 * rng.normal(size=900), 5 * rng.normal(size=900)])
    rows, aside = slice(0, 600), slice(600, 900)
    model = MLPRegressor(
        hidden_layer_sizes=[8], max_iter=400, early_stopping=way == "early stopping", random_state=0
    )
    model.fit(X[rows], y[rows], eval_set=(X[aside], y[aside]) if way == "eval_set" else None)
    if way == "early stopping":
        assert len(model.kept_aside_.y) == 60
        residual = model.kept_aside_.y - model.kept_aside_.logits
    else:
        seen = aside if way == "eval_set" else rows
        residual = y[seen] - model.predict(X[seen])
        assert (model.kept_aside_ is None) == (way == "training rows")
    sigma = np.sqrt(np.mean(residual**2, axis=0))
    expected = stats.norm(model.predict(X), sigma)
    distribution = model.predict_distribution(X)
    np.testing.assert_allclose(distribution.variance, np.tile(sigma**2, (900, 1)), rtol=1e-9)
    np.testing.assert_allclose(distribution.logpdf(y), expected.logpdf(y), rtol=1e-9)


def test_the_dispersion_of_tweedie_is_pearsons():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(500, 2))
    y = np.array([rng.gamma(2, 3, n).sum() for n in rng.poisson(np.exp(X[:, 0]))])
    model = MLPRegressor(Tweedie(power=1.4), [4], solver="lbfgs", max_iter=100, tol=1e-2).fit(X, y)
    mean = model.predict(X)
    assert model.dispersion_[0] == pytest.approx(np.mean((y - mean) ** 2 / mean**1.4), rel=1e-9)
    np.testing.assert_allclose(
        model.predict_distribution(X).variance, model.dispersion_ * mean**1.4, rtol=1e-9
    )


@pytest.mark.parametrize("coverage", [0.5, 0.9])
@pytest.mark.parametrize("loss", ["squared_error", "laplace", "quantile", "normal_with_variance"])
def test_intervals_hold_what_they_promise(loss, coverage):
    rng = np.random.default_rng(3)
    X = rng.uniform(-1, 1, (3000, 1))
    y = np.sin(3 * X[:, 0]) + (0.2 + 0.5 * np.abs(X[:, 0])) * rng.normal(size=3000)
    model = MLPRegressor(loss, [16], solver="lbfgs", max_iter=50, tol=1e-2, random_state=0)
    model.fit(X[:600], y[:600], eval_set=(X[600:1000], y[600:1000]))
    lower, upper = model.predict_interval(X[1000:], coverage).T
    rank = np.ceil(401 * coverage)
    low, high = stats.beta.ppf([3e-5, 1 - 3e-5], rank, 401 - rank)
    held = int(np.sum((lower <= y[1000:]) & (y[1000:] <= upper)))
    assert binom.ppf(1e-5, 2000, low) <= held <= binom.ppf(1 - 1e-5, 2000, high)


def test_no_interval_without_rows_kept_aside_and_no_spread_after_a_single_pass():
    X, y = np.arange(30.0)[:, None], np.arange(30.0)
    model = MLPRegressor(hidden_layer_sizes=[], max_iter=3, solver="sgd", learning_rate_init=1e-6)
    for _ in range(2):
        model.partial_fit(X, y)
    with pytest.raises(InputError, match="partial_fit does not measure the spread"):
        model.nll(X, y)
    with pytest.raises(InputError, match="at least 9 rows that the fit kept aside; there are 0"):
        model.predict_interval(X)
    learned = MLPRegressor(Normal(scale="learned"), [], solver="sgd", learning_rate_init=1e-6)
    assert np.isfinite(learned.partial_fit(X, y).nll(X, y))


def test_sparse_rows_and_a_single_class():
    rng = np.random.default_rng(4)
    X = sparse.random(100, 6, 0.3, "csr", random_state=0)
    y = rng.poisson(2.0, 100)
    model = MLPRegressor("poisson", [4], solver="lbfgs", max_iter=50, tol=1e-2).fit(X, y)
    assert model.nll(X, y) == pytest.approx(model.nll(X.toarray(), y), rel=1e-12)
    only = MLPClassifier([4], solver="lbfgs", max_iter=5).fit(X, np.zeros(100))
    assert only.predict_distribution(X).pmf(0).tolist() == [1.0] * 100
    assert only.nll(X, np.zeros(100)) == 0


def test_the_score_of_censored_times_is_the_concordance():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(120, 2))
    times, limit = rng.weibull(1.5, 120) * np.exp(X[:, 0]), rng.uniform(0.2, 3, 120)
    y, weight = np.column_stack([np.minimum(times, limit), times <= limit]), rng.uniform(0.5, 2, 120)
    model = MLPRegressor("weibull", [4], max_iter=5, random_state=0)
    model.fit(X[:80], y[:80], eval_set=(X[80:], y[80:], weight[80:]))
    expected = concordance(*y[80:].T, model.predict(X[80:]), weight[80:])
    assert model.score(X[80:], y[80:], weight[80:]) == pytest.approx(expected, rel=1e-12)
    assert model.validation_scores_[-1] == pytest.approx(expected, rel=1e-12)
