"""Inside what scikit-learn's users build around an estimator, with every kind of table."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, StackingRegressor
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_validate, learning_curve
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 5))
NUMBERS = (X[:, 0] - X[:, 1] + X[:, 2] > 0).astype(int)
Y = {MLPClassifier: np.array(["no", "yes"])[NUMBERS], MLPRegressor: NUMBERS + 0.1 * X[:, 0]}
NAMES = [f"column {j}" for j in range(5)]
KINDS = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])


def model_of(kind, **settings):
    return kind(
        hidden_layer_sizes=(8,),
        max_iter=40,
        learning_rate_init=0.02,
        batch_size=30,
        random_state=0,
        **settings,
    )


@KINDS
@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_tables_and_their_names(kind, container):
    table = container(dict(zip(NAMES, X.T, strict=True)))
    y = pl.Series(Y[kind]) if container is pl.DataFrame else pd.Series(Y[kind])
    model = model_of(kind).fit(table, y)
    plain = model_of(kind).fit(X, Y[kind])
    np.testing.assert_array_equal(model.theta_, plain.theta_)
    assert model.feature_names_in_.tolist() == NAMES
    np.testing.assert_array_equal(model.predict(table), plain.predict(X))
    assert model.score(table, y) == plain.score(X, Y[kind])
    with pytest.raises(ValueError, match="same order"):
        model.predict(table[NAMES[::-1]])


@KINDS
@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_a_pipeline_with_set_output(kind, output):
    table = pd.DataFrame(X, columns=NAMES)
    pipeline = make_pipeline(StandardScaler(), model_of(kind)).set_output(transform=output)
    pipeline.fit(table, Y[kind])
    assert pipeline[-1].feature_names_in_.tolist() == NAMES
    again = clone(pipeline).fit(table, Y[kind])
    np.testing.assert_array_equal(again.predict(table), pipeline.predict(table))


@KINDS
def test_a_grid_search_and_a_cross_validation(kind):
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", model_of(kind))])
    grid = {"mlp__alpha": [1e-4, 1.0], "mlp__dropout": [0.0, 0.2]}
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X, Y[kind])
    assert search.best_score_ > 0.5
    alone = clone(pipeline).set_params(**search.best_params_).fit(X, Y[kind])
    np.testing.assert_array_equal(search.predict(X), alone.predict(X))
    assert len(cross_validate(pipeline, X, Y[kind], cv=3)["test_score"]) == 3


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_calibration(method):
    calibrated = CalibratedClassifierCV(model_of(MLPClassifier), method=method, cv=3).fit(X, Y[MLPClassifier])
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    assert calibrated.score(X, Y[MLPClassifier]) > 0.8


def test_a_stack():
    y = Y[MLPClassifier]
    members = [("mlp", model_of(MLPClassifier)), ("linear", LogisticRegression())]
    assert StackingClassifier(members, cv=3).fit(X, y).score(X, y) > 0.8
    y = Y[MLPRegressor]
    assert (
        StackingRegressor([("mlp", model_of(MLPRegressor)), ("linear", Ridge())], cv=3).fit(X, y).score(X, y)
        > 0.5
    )


@KINDS
def test_importances_learning_curves_and_partial_dependence(kind):
    model = model_of(kind).fit(X, Y[kind])
    importances = permutation_importance(model, X, Y[kind], n_repeats=3, random_state=0).importances_mean
    assert set(np.argsort(importances)[-3:]) == {0, 1, 2}  # those that the target was made of
    _, scores, _ = learning_curve(
        model, X, Y[kind], train_sizes=[0.5, 1.0], cv=3, shuffle=True, random_state=0
    )
    assert scores.shape == (2, 3)
    assert partial_dependence(model, X, [0], kind="average")["average"].shape[0] == 1


@KINDS
def test_weights_are_routed(kind):
    weight = np.random.default_rng(0).uniform(0.1, 2, 150)
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            model_of(kind).set_fit_request(sample_weight=True),
        )
        routed = pipeline.fit(X, Y[kind], sample_weight=weight)[-1]
        part = model_of(kind).set_partial_fit_request(sample_weight=True)
        assert part.get_metadata_routing().partial_fit.requests["sample_weight"] is True
    alone = model_of(kind).fit(StandardScaler().fit_transform(X), Y[kind], weight)
    np.testing.assert_array_equal(routed.theta_, alone.theta_)
