"""Without a hidden layer and a penalty: the coefficients of a statistics package, to 1e-6."""

import numpy as np
import pytest
import statsmodels.api as sm

from chainrule import Network
from chainrule.likelihoods import Bernoulli, Categorical, Normal, Poisson
from chainrule.optimization import LBFGS
from chainrule.training import Training, train

N_ROWS, N_INPUTS = 400, 3
RNG = np.random.default_rng(17)
X = RNG.normal(size=(N_ROWS, N_INPUTS)) * [1.0, 0.5, 2.0] + [0.0, 1.0, -0.5]
DESIGN = sm.add_constant(X)
SLOPES = np.array([[0.5, -0.3, 0.2], [-0.8, 0.4, 0.0], [0.1, 0.2, -0.4]])
SCORES = X @ SLOPES
WEIGHTS = {"none": None, "weighted": RNG.uniform(0.2, 3, N_ROWS)}

y_normal = SCORES + RNG.normal(size=SCORES.shape)
y_bernoulli = RNG.uniform(size=SCORES.shape) < 1 / (1 + np.exp(-SCORES))
y_categorical = (SCORES * 2 + RNG.gumbel(size=SCORES.shape)).argmax(axis=1)
y_poisson = RNG.poisson(np.exp(SCORES))


def fit(likelihood, y, engine, weight=None):
    """Return (n_logits, 1 + n_inputs): intercept and slopes."""
    network = Network(N_INPUTS, likelihood=likelihood)
    settings = Training(optimizer=LBFGS(tolerance=1e-9), engine=engine)
    theta = network.initial_parameters(dtype="float64")
    result = train(network, theta, X, y, weight, settings=settings)
    assert result.stopped_by == "converged"
    weights, bias = network.unpack(result.theta)[0]
    return np.column_stack([bias, weights])


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
def test_linear_regression(engine, n_outputs, weight):
    y = y_normal[:, :n_outputs]
    found = fit(Normal(n_outputs), y, engine, weight)
    for k in range(n_outputs):
        model = sm.OLS(y[:, k], DESIGN) if weight is None else sm.WLS(y[:, k], DESIGN, weight)
        np.testing.assert_allclose(found[k], model.fit().params, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize(
    ("likelihood", "family", "y"),
    [(Bernoulli, sm.families.Binomial, y_bernoulli), (Poisson, sm.families.Poisson, y_poisson)],
    ids=["logistic", "poisson"],
)
def test_generalized_linear_models(*, engine, likelihood, family, y, weight, n_outputs):
    found = fit(likelihood(n_outputs), y[:, :n_outputs], engine, weight)
    for k in range(n_outputs):
        model = sm.GLM(y[:, k].astype(float), DESIGN, family=family(), freq_weights=weight)
        np.testing.assert_allclose(found[k], model.fit(tol=1e-14).params, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("likelihood", "model", "y"),
    [(Bernoulli(), sm.Logit, y_bernoulli[:, 0]), (Poisson(), sm.Poisson, y_poisson[:, 0])],
    ids=["logistic", "poisson"],
)
def test_discrete_models(engine, likelihood, model, y):
    expected = model(y.astype(float), DESIGN).fit(disp=0, tol=1e-14).params
    np.testing.assert_allclose(fit(likelihood, y, engine)[0], expected, rtol=0, atol=1e-6)


def test_softmax_regression(engine):
    found = fit(Categorical(3), y_categorical, engine)
    expected = sm.MNLogit(y_categorical, DESIGN).fit(disp=0, tol=1e-14).params  # against class 0
    np.testing.assert_allclose((found[1:] - found[0]).T, expected, rtol=0, atol=1e-6)
