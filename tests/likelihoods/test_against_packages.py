"""Without a hidden layer: coefficients and log-likelihoods of statsmodels and scikit-learn, to 1e-5."""

from itertools import combinations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import linprog, minimize_scalar
from sklearn.linear_model import GammaRegressor, TweedieRegressor
from statsmodels.miscmodels.ordinal_model import OrderedModel

from chainrule import Network
from chainrule.likelihoods import (
    Bernoulli,
    Gamma,
    NegativeBinomial,
    Normal,
    Ordinal,
    Poisson,
    Quantile,
    Tweedie,
)
from chainrule.optimization import LBFGS, Adam, Step
from chainrule.training import Training, train

RNG = np.random.default_rng(3)
X = RNG.normal(size=(500, 3))
DESIGN = sm.add_constant(X)
SCORE = 0.4 + X @ [0.5, -0.3, 0.2]
EXPOSURE = RNG.uniform(0.2, 3, 500)
y_gamma = RNG.gamma(2.0, np.exp(SCORE) / 2)
y_counts = RNG.poisson(RNG.gamma(2.0, EXPOSURE * np.exp(SCORE) / 2))
y_tweedie = y_gamma * RNG.integers(0, 2, 500)
y_ordinal = np.digitize(SCORE + RNG.logistic(size=500), [-1.0, 0.3, 1.5])


def fit(likelihood, y, engine="native", offset=None):
    """Return the network and the θ of the least loss."""
    network = Network(3, likelihood=likelihood)
    settings = Training(optimizer=LBFGS(tolerance=1e-9, max_iterations=2000), engine=engine)
    start = network.initial_parameters(dtype="float64")
    return network, train(network, start, X, y, None, offset, settings=settings).theta


def coefficients(network, theta):
    weight, bias = network.unpack(theta)[0]
    return np.append(bias[0], weight[0])


# N21
def test_negative_binomial_with_an_exposure(engine):
    network, theta = fit(NegativeBinomial(), y_counts, engine, np.log(EXPOSURE))
    model = sm.NegativeBinomial(y_counts, DESIGN, exposure=EXPOSURE)
    expected = model.fit(disp=0, method="bfgs", maxiter=2000, gtol=1e-9)
    found = np.append(coefficients(network, theta), np.exp(network.scales(theta)))
    np.testing.assert_allclose(found, expected.params, rtol=0, atol=1e-5)
    logits = network.forward(theta, X, engine, offset=np.log(EXPOSURE))
    ours = network.likelihood.distribution(logits, network.scales(theta)).logpmf(y_counts).sum()
    assert ours == pytest.approx(expected.llf, rel=1e-9)


# N8 with an offset
def test_poisson_with_an_exposure(engine):
    network, theta = fit(Poisson(), y_counts, engine, np.log(EXPOSURE))
    expected = sm.GLM(y_counts, DESIGN, family=sm.families.Poisson(), exposure=EXPOSURE).fit(tol=1e-13)
    np.testing.assert_allclose(coefficients(network, theta), expected.params, rtol=0, atol=1e-5)


# The whole log-likelihood, with what the loss leaves out, is that of statsmodels where it has the family.
FAMILIES = {
    "normal": (Normal(scale="learned"), sm.OLS, y_gamma, {}),
    "bernoulli": (Bernoulli(), sm.Logit, (y_gamma > 1).astype(float), {"disp": 0, "tol": 1e-14}),
    "poisson": (Poisson(), sm.Poisson, y_counts, {"disp": 0, "tol": 1e-14}),
}


# N5 N6 N8 N15
@pytest.mark.parametrize("name", FAMILIES)
def test_the_log_likelihood(name, engine):
    likelihood, model, y, how = FAMILIES[name]
    network, theta = fit(likelihood, y, engine)
    distribution = likelihood.distribution(network.forward(theta, X, engine), network.scales(theta))
    log_p = distribution.logpdf if name == "normal" else distribution.logpmf
    assert log_p(y).sum() == pytest.approx(model(y, DESIGN).fit(**how).llf, rel=1e-8)


# N22
@pytest.mark.parametrize("scale", [1.0, "learned"])
def test_gamma(scale, engine):
    network, theta = fit(Gamma(scale=scale), y_gamma, engine)
    expected = GammaRegressor(alpha=0, tol=1e-10, max_iter=5000).fit(X, y_gamma)
    found = coefficients(network, theta)
    np.testing.assert_allclose(found, np.append(expected.intercept_, expected.coef_), rtol=0, atol=1e-5)
    if scale == "learned":  # the likelihood's own equation for the shape k: log k − ψ(k) = mean deviance / 2
        from scipy.special import digamma  # noqa: PLC0415 (for this line alone)

        k = np.exp(-network.scales(theta)[0])
        ratio = y_gamma / expected.predict(X)
        assert np.log(k) - digamma(k) == pytest.approx(np.mean(ratio - 1 - np.log(ratio)), rel=1e-6)


# N23
@pytest.mark.parametrize("scale", [1.0, "learned"])
def test_tweedie(scale, engine):
    network, theta = fit(Tweedie(power=1.4, scale=scale), y_tweedie, engine)
    expected = TweedieRegressor(power=1.4, alpha=0, link="log", tol=1e-10, max_iter=5000).fit(X, y_tweedie)
    found = coefficients(network, theta)
    np.testing.assert_allclose(found, np.append(expected.intercept_, expected.coef_), rtol=0, atol=1e-5)


# N22 N23: with the φ that is likeliest by statsmodels, whose log-likelihood is then ours
@pytest.mark.parametrize("name", ["gamma", "tweedie"])
def test_the_log_likelihood_with_a_learned_dispersion(name, engine):
    log = sm.families.links.Log()
    likelihood, family, y = {
        "gamma": (Gamma(), sm.families.Gamma(log), y_gamma),
        "tweedie": (
            Tweedie(power=1.4, scale="learned"),
            sm.families.Tweedie(log, var_power=1.4, eql=False),
            y_tweedie,
        ),
    }[name]
    network, theta = fit(likelihood, y, engine)
    glm = sm.GLM(y, DESIGN, family=family).fit(tol=1e-14, maxiter=1000)
    np.testing.assert_allclose(coefficients(network, theta), glm.params, rtol=0, atol=1e-5)
    best = minimize_scalar(
        lambda t: -family.loglike(y, glm.mu, scale=np.exp(t)), bounds=(-3, 3), options={"xatol": 1e-10}
    )
    assert network.scales(theta)[0] == pytest.approx(best.x, abs=1e-5)
    distribution = likelihood.distribution(network.forward(theta, X, engine), network.scales(theta))
    llf = family.loglike(y, glm.mu, scale=np.exp(network.scales(theta)[0]))
    assert distribution.logpdf(y).sum() == pytest.approx(llf, rel=1e-8)
    assert llf == pytest.approx(-best.fun, rel=1e-9)


# N20
def test_ordinal(engine):
    network, theta = fit(Ordinal(4), y_ordinal, engine)
    expected = OrderedModel(y_ordinal, X, distr="logit").fit(method="bfgs", disp=0, gtol=1e-9, maxiter=2000)
    np.testing.assert_allclose(network.unpack(theta)[0][0][0], expected.params[:3], rtol=0, atol=1e-5)
    thresholds = network.likelihood.thresholds(network.scales(theta))
    ends = expected.model.transform_threshold_params(expected.params)[1:-1]
    np.testing.assert_allclose(thresholds, ends, rtol=0, atol=1e-5)
    assert -len(X) * network.loss(theta, X, y_ordinal, engine=engine) == pytest.approx(expected.llf, rel=1e-9)


# N15: the learned variance is the mean square of what least squares leaves
def test_normal_with_a_learned_variance(engine):
    network, theta = fit(Normal(scale="learned"), SCORE + np.sin(9 * SCORE), engine)
    expected = sm.OLS(SCORE + np.sin(9 * SCORE), DESIGN).fit()
    np.testing.assert_allclose(coefficients(network, theta), expected.params, rtol=0, atol=1e-5)
    assert np.exp(network.scales(theta)[0]) == pytest.approx(np.mean(expected.resid**2), rel=1e-5)


def least_quantile_loss(level):
    """Return the least loss and where it is, by linear programming, exactly."""
    n, p = DESIGN.shape
    costs = np.concatenate([np.zeros(p), np.full(n, level), np.full(n, 1 - level)])
    parts = np.hstack([DESIGN, np.eye(n), -np.eye(n)])  # Xβ + above − below = y
    bounds = [(None, None)] * p + [(0, None)] * (2 * n)
    found = linprog(costs, A_eq=parts, b_eq=y_gamma, bounds=bounds, method="highs-ds")
    return found.fun / n, found.x[:p]


# N19: training ends near the corner of the least loss, where four residuals are 0; of the corners
# around, the one of the network's least loss is taken
@pytest.mark.parametrize("level", [0.2, 0.5, 0.8])
def test_quantile(level, engine):
    network = Network(3, likelihood=Quantile(levels=(level,)))
    schedule = Step(every=1 / 100, by=0.82)
    settings = Training(
        optimizer=Adam(0.05), schedule=schedule, epochs=6000, batch_size=len(X), engine=engine
    )
    start = network.initial_parameters(dtype="float64")
    theta = train(network, start, X, y_gamma, settings=settings).theta
    least, expected = least_quantile_loss(level)
    assert network.loss(theta, X, y_gamma, engine=engine) == pytest.approx(least, rel=1e-6)
    near = np.argsort(np.abs(y_gamma - network.forward(theta, X, engine)[:, 0]))[:7]
    corners = [np.linalg.solve(DESIGN[[*c]], y_gamma[[*c]]) for c in combinations(near, 4)]
    found = min(corners, key=lambda b: network.loss(np.append(b[1:], b[0]), X, y_gamma, engine=engine))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    theirs = sm.QuantReg(y_gamma, DESIGN).fit(q=level, p_tol=1e-10, max_iter=5000).params
    np.testing.assert_allclose(found, theirs, rtol=0, atol=1e-5)
