"""Every likelihood through the Tabular estimators: outputs × kinds of members × weights × what is asked."""

import numpy as np
import pytest

from chainrule import TabularClassifier, TabularRegressor
from chainrule.estimators import recipe as recipes
from chainrule.estimators.choice import FOR_CLASSES
from chainrule.estimators.recipe import Recipe
from chainrule.likelihoods import LIKELIHOODS

N = 160
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
SIGNAL = np.column_stack([X[:, 0] + X[:, 1] ** 2, X[:, 2] - X[:, 0], X[:, 1]])
LOG_MEANS = np.clip(SIGNAL, -2, 2)
COUNTS = RNG.poisson(np.exp(LOG_MEANS)).astype(float)
AMOUNTS = np.exp(LOG_MEANS) * RNG.gamma(4, 0.25, SIGNAL.shape)
NUMBERS = SIGNAL + 0.1 * RNG.normal(size=SIGNAL.shape)
ONE_OUTPUT = ("categorical", "ordinal", "weibull")
KINDS = (
    Recipe(n_members=2, epochs=8, width=16, n_ramps=8),
    Recipe(n_members=2, epochs=8, width=12, n_ramps=0),
)
CASES = [(name, n) for name in LIKELIHOODS for n in (1, 2, 3) if n == 1 or name not in ONE_OUTPUT]


def target_of(name, n_outputs):
    if name == "weibull":
        return np.column_stack([AMOUNTS[:, 0], np.arange(N) % 4 > 0])
    if name == "categorical":
        return np.array(["a", "b", "c"])[np.digitize(NUMBERS[:, 0], [-0.5, 1])]
    if name == "ordinal":
        return np.digitize(NUMBERS[:, 0], [-0.5, 0.5, 1])
    columns = {
        "bernoulli": (NUMBERS > 0.3).astype(int),
        "poisson": COUNTS,
        "negative_binomial": COUNTS,
        "gamma": AMOUNTS,
        "tweedie": np.where(COUNTS > 0, AMOUNTS, 0),
    }.get(name, NUMBERS)
    return columns[:, 0] if n_outputs == 1 else columns[:, :n_outputs]


@pytest.mark.parametrize("asked", ["loss", "metric"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "n_outputs"), CASES)
def test_every_likelihood_learns_and_knows_its_new_rows(name, n_outputs, weighted, asked, monkeypatch):
    monkeypatch.setitem(recipes.PORTFOLIOS, "best", (KINDS, KINDS))
    of_classes = name in FOR_CLASSES
    metric = None
    if asked == "metric" and name != "weibull":
        metric = "log_loss" if of_classes else "mae"
    kind = TabularClassifier if of_classes else TabularRegressor
    model = kind(preset="best", likelihood=name, metric=metric, random_state=0, learning_rate=0.02)
    y = target_of(name, n_outputs)
    weight = RNG.uniform(0.2, 2, 120) if weighted else None
    model.fit(X[:120], y[:120], weight)
    assert len(model.steps_done_) == 4
    predicted = model.predict(X[120:])
    assert predicted.shape == (40,) if n_outputs == 1 else predicted.shape == (40, n_outputs)
    assert np.isfinite(model.nll(X[120:], y[120:]))
    if of_classes:
        probabilities = model.predict_proba(X[120:])
        assert np.isfinite(probabilities).all()
        if n_outputs == 1:
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
            most = np.unique(y[120:], return_counts=True)[1].max() / 40
            assert model.score(X[120:], y[120:]) > most  # better than the class that is seen most
    else:
        assert np.isfinite(predicted).all()
        assert model.score(X[120:], y[120:]) > (0.6 if name == "weibull" else 0.0)
    distribution = model.predict_distribution(X[120:])
    assert distribution.shape[0] == 40
