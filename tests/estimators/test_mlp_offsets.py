"""Offsets and exposures in MLPClassifier and MLPRegressor."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import sparse
from sklearn import config_context
from sklearn.metrics import mean_poisson_deviance
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule import InputError, MLPClassifier, MLPRegressor
from chainrule.estimators.mlp import FOR_CLASSES
from chainrule.inspection.batch import encoded_rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_ROWS = 60
SLOPE = np.array([0.5, -0.25, 0.0])  # the offset is X @ SLOPE
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_ROWS, 3)) * (RNG.random((N_ROWS, 3)) < 0.6)
EXPOSURE = RNG.uniform(0.2, 5, N_ROWS)
COUNTS = RNG.poisson(EXPOSURE * np.exp(0.5 * X[:, 0]))
WEIGHT = RNG.uniform(0.2, 3, N_ROWS)
TABLES = {"dense": np.asarray, "sparse": sparse.csr_matrix}
WATCHED = ("nothing", "early stopping", "eval_set")


def started(kind, settings, network, slope):
    """Return a linear model that begins where the weights of the locations are larger by ``slope``."""
    model = kind(hidden_layer_sizes=[], warm_start=True, alpha=0, random_state=0, **settings)
    rng = np.random.default_rng(1)
    (weight, bias), *_ = network.unpack(rng.normal(0, 0.1, network.n_parameters))
    weight[: network.likelihood.n_locations] += slope
    model.coefs_, model.intercepts_ = [weight.T.copy()], [] if bias is None else [bias.copy()]
    return model


def assert_same_fit(moved, plain, tolerance):
    """θ differs by SLOPE, and nothing that is reported of the fit does."""
    n_locations = plain.network_.likelihood.n_locations
    expected = plain.theta_.copy()
    plain.network_.unpack(expected)[0][0][:n_locations] -= SLOPE
    np.testing.assert_allclose(moved.theta_, expected, rtol=tolerance, atol=tolerance)
    for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
        its, others = getattr(moved, name), getattr(plain, name)
        assert (its is None) == (others is None)
        if its is not None:
            np.testing.assert_allclose(its, others, rtol=tolerance, atol=tolerance)


def assert_same_predictions(moved, plain, rows, offset, y, tolerance):
    """What is predicted with the offset is what the other model predicts without."""
    names = ["predict", "predict_proba", "predict_log_proba"]
    for name in names[: 3 if isinstance(plain, MLPClassifier) else 1]:
        its, others = getattr(moved, name)(rows, offset=offset), getattr(plain, name)(rows)
        np.testing.assert_allclose(its, others, rtol=tolerance, atol=tolerance)
    its, others = moved.predict_distribution(rows, offset=offset), plain.predict_distribution(rows)
    np.testing.assert_allclose(its.mean, others.mean, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(its.variance, others.variance, rtol=tolerance, atol=tolerance)
    for name in ("nll", "score"):
        value = getattr(moved, name)(rows, y, WEIGHT, offset=offset)
        assert value == pytest.approx(getattr(plain, name)(rows, y, WEIGHT), rel=tolerance, abs=tolerance)
    if getattr(plain, "kept_aside_", None) is not None and plain.network_.likelihood.name != "weibull":
        its = moved.predict_interval(rows, 0.7, offset=offset)
        np.testing.assert_allclose(its, plain.predict_interval(rows, 0.7), rtol=tolerance, atol=tolerance)


def assert_one_fit(case, solver, table, watched, weighted, make_problem, draw_target):
    """Of a linear model: with the offset X @ SLOPE, or begun with weights larger by SLOPE, it is one fit."""
    outputs = 3 if case.partition("/")[0] in FOR_CLASSES else 2
    network = make_problem(case, n_rows=N_ROWS, outputs=outputs).network
    likelihood = network.likelihood
    y = draw_target(likelihood, N_ROWS, np.random.default_rng(2))
    y = y[:, 0] if y.shape[1] == 1 else y
    kind = MLPClassifier if likelihood.name in FOR_CLASSES else MLPRegressor
    settings = {
        "loss": likelihood,
        "solver": solver,
        "max_iter": 4,
        "batch_size": 20,
        "early_stopping": watched == "early stopping",
        "validation_fraction": 0.2,
        "learning_rate_init": 0.01,
    }
    moved, plain = started(kind, settings, network, 0), started(kind, settings, network, SLOPE)
    offset, some = X @ SLOPE, np.arange(N_ROWS) < (45 if watched == "eval_set" else N_ROWS)
    rows, weight = TABLES[table](X[some]), WEIGHT[some] if weighted else None
    moved_set = plain_set = None
    if watched == "eval_set":
        plain_set = (TABLES[table](X[~some]), y[~some], WEIGHT[~some])[: 3 if weighted else 2]
        moved_set = (*plain_set, offset[~some])
    moved.fit(rows, y[some], weight, eval_set=moved_set, offset=offset[some])
    plain.fit(rows, y[some], weight, eval_set=plain_set)
    tolerance = 1e-4 if solver == "lbfgs" else 1e-7  # a line search makes more of the last bits
    assert_same_fit(moved, plain, tolerance)
    assert_same_predictions(moved, plain, TABLES[table](X), offset, y, tolerance)


SOLVERS = pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])


@SOLVERS
def test_an_offset_in_the_inputs_is_a_shift_of_the_weights(case, solver, make_problem, draw_target):
    assert_one_fit(case, solver, "dense", "eval_set", True, make_problem, draw_target)


@SOLVERS
@pytest.mark.parametrize("case", ["normal", "poisson", "categorical", "gamma/network"])
def test_and_so_it_is_on_every_way_through_a_fit(case, solver, make_problem, draw_target):
    for way in itertools.product(TABLES, WATCHED, (False, True)):
        assert_one_fit(case, solver, *way, make_problem, draw_target)


# ── Against others ──


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("what", ["offset", "exposure"])
def test_a_linear_fit_is_statsmodels_glm(table, weight, what):
    given = {what: EXPOSURE if what == "exposure" else np.sin(EXPOSURE)}
    settings = {"solver": "lbfgs", "alpha": 0, "tol": 1e-9, "random_state": 0}
    model = MLPRegressor("poisson", [], warm_start=True, **settings)
    for _ in range(3):  # SciPy ends where the loss hardly falls any more, so it begins again
        model.fit(TABLES[table](X), COUNTS, weight, **given)
    glm = sm.GLM(COUNTS, sm.add_constant(X), sm.families.Poisson(), freq_weights=weight, **given)
    fitted = glm.fit(tol=1e-14)
    found = np.r_[model.intercepts_[0], model.coefs_[0][:, 0]]
    np.testing.assert_allclose(found, fitted.params, rtol=0, atol=1e-6)
    expected = glm.predict(fitted.params, sm.add_constant(X), **given)
    np.testing.assert_allclose(model.predict(TABLES[table](X), **given), expected, rtol=1e-5)
    mean_llf = -fitted.llf / (N_ROWS if weight is None else weight.sum())
    assert model.nll(TABLES[table](X), COUNTS, weight, **given) == pytest.approx(mean_llf, rel=1e-8)


@pytest.mark.parametrize(
    ("solver", "watched"),
    [
        way
        for way in itertools.product(("adam", "sgd", "lbfgs"), WATCHED)
        if way != ("lbfgs", "early stopping")
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_offset_of_a_location_is_taken_from_y(solver, watched, dtype):
    """With hidden layers: a fit with the offset o is the fit to y − o, whatever the network."""
    rng = np.random.default_rng(3)
    rows, offset = X.astype(dtype), rng.integers(-8, 9, (N_ROWS, 2)) / 4
    y = np.round(X[:, :2] + rng.normal(0, 0.3, (N_ROWS, 2)), 2)
    settings = {
        "hidden_layer_sizes": [6, 4],
        "activation": "tanh",
        "solver": solver,
        "max_iter": 8,
        "early_stopping": watched == "early stopping",
        "scoring": "loss",
        "random_state": 0,
    }
    held_out = {"eval_set": (rows[:20], (y + offset)[:20], offset[:20])} if watched == "eval_set" else {}
    model = MLPRegressor(**settings).fit(rows, y + offset, offset=offset, **held_out)
    if held_out:
        held_out = {"eval_set": (rows[:20], y[:20])}
    plain = MLPRegressor(**settings).fit(rows, y, **held_out)
    tolerance = 1e-4 if dtype == "float32" else 1e-9
    if solver == "lbfgs":  # a line search makes more of the last bits
        tolerance *= 100
    np.testing.assert_allclose(model.theta_, plain.theta_, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        model.predict(rows, offset=offset), plain.predict(rows) + offset, rtol=tolerance, atol=tolerance
    )
    if watched != "nothing":
        np.testing.assert_allclose(model.validation_scores_, plain.validation_scores_, rtol=tolerance)
        np.testing.assert_allclose(
            model.predict_interval(rows, 0.5, offset=offset),
            plain.predict_interval(rows, 0.5) + offset[:, :, None],
            rtol=tolerance,
            atol=tolerance,
        )


# ── What belongs together ──


def test_an_exposure_is_the_factor_of_the_mean_and_its_log_an_offset(tmp_path):
    settings = {"hidden_layer_sizes": [5], "max_iter": 20, "random_state": 0}
    model = MLPRegressor("poisson", **settings).fit(X, COUNTS, exposure=EXPOSURE)
    by_offset = MLPRegressor("poisson", **settings).fit(X, COUNTS, offset=np.log(EXPOSURE))
    np.testing.assert_array_equal(model.theta_, by_offset.theta_)
    rate, its = model.predict(X), model.predict(X, exposure=EXPOSURE)
    np.testing.assert_allclose(its, rate * EXPOSURE, rtol=1e-12)
    np.testing.assert_array_equal(its, model.predict(X, exposure=pd.Series(EXPOSURE, name="years")))
    model.save(tmp_path / "model.safetensors")
    again = cr.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(X, exposure=EXPOSURE), its)
    assert again.nll(X, COUNTS, exposure=EXPOSURE) == model.nll(X, COUNTS, exposure=EXPOSURE)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_is_an_epoch_of_a_fit(solver):
    settings = {"hidden_layer_sizes": [4], "solver": solver, "shuffle": False, "random_state": 0}
    whole = MLPRegressor("poisson", **settings, max_iter=3).fit(X, COUNTS, exposure=EXPOSURE)
    parts = MLPRegressor("poisson", **settings)
    for _ in range(3):
        parts.partial_fit(X, COUNTS, exposure=EXPOSURE)
    np.testing.assert_array_equal(parts.theta_, whole.theta_)
    classes = (COUNTS > 1).astype(int)
    whole = MLPClassifier(**settings, max_iter=2).fit(X, classes, offset=EXPOSURE)
    parts = MLPClassifier(**settings).partial_fit(X, classes, classes=[0, 1], offset=EXPOSURE)
    np.testing.assert_array_equal(parts.partial_fit(X, classes, offset=EXPOSURE).theta_, whole.theta_)


def test_a_warm_start_goes_on_with_other_offsets():
    settings = {"hidden_layer_sizes": [4], "solver": "lbfgs", "alpha": 0, "random_state": 0}
    model = MLPRegressor("poisson", **settings, max_iter=5, warm_start=True)
    begun = model.fit(X, COUNTS, exposure=EXPOSURE).theta_.copy()
    model.set_params(max_iter=1).fit(X, COUNTS, exposure=2 * EXPOSURE)
    before = model.network_.loss(begun, X, COUNTS, offset=np.log(2 * EXPOSURE))
    after = model.network_.loss(model.theta_, X, COUNTS, offset=np.log(2 * EXPOSURE))
    assert after < before


def deviance(model, rows, y):
    return -mean_poisson_deviance(y, model.predict(rows))


@pytest.mark.parametrize("scoring", [None, "neg_mean_poisson_deviance", deviance])
@pytest.mark.parametrize("table", TABLES)
def test_the_rows_that_are_scored_while_training_have_their_offset(scoring, table):
    rows, some, rest = TABLES[table](X), slice(0, 40), slice(40, None)
    model = MLPRegressor("poisson", [4], max_iter=6, early_stopping=True, scoring=scoring, random_state=0)
    model.fit(
        rows[some],
        COUNTS[some],
        exposure=EXPOSURE[some],
        eval_set=(rows[rest], COUNTS[rest], EXPOSURE[rest]),
    )
    predicted = model.predict(rows[rest], exposure=EXPOSURE[rest])
    expected = (
        model.score(rows[rest], COUNTS[rest], exposure=EXPOSURE[rest])
        if scoring is None
        else -mean_poisson_deviance(COUNTS[rest], predicted)
    )
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-10)


def test_scikit_learn_routes_offsets_and_exposures():
    with config_context(enable_metadata_routing=True):
        model = MLPRegressor("poisson", [4], max_iter=15, random_state=0)
        model.set_fit_request(exposure=True).set_score_request(exposure=True)
        result = cross_validate(
            make_pipeline(StandardScaler(), model),
            X,
            COUNTS,
            params={"exposure": EXPOSURE},
            return_estimator=True,
            return_indices=True,
        )
        for name in ("fit", "partial_fit", "predict", "score"):
            assert {"offset", "exposure"} <= set(getattr(model.get_metadata_routing(), name).requests)
    found = zip(
        result["estimator"],
        result["indices"]["train"],
        result["indices"]["test"],
        result["test_score"],
        strict=True,
    )
    for pipeline, train, test, score in found:
        rows = StandardScaler().fit(X[train]).transform(X)
        alone = MLPRegressor("poisson", [4], max_iter=15, random_state=0)
        alone.fit(rows[train], COUNTS[train], exposure=EXPOSURE[train])
        np.testing.assert_allclose(pipeline[-1].theta_, alone.theta_, rtol=1e-10)
        assert score == pytest.approx(
            alone.score(rows[test], COUNTS[test], exposure=EXPOSURE[test]), rel=1e-10
        )


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_what_looks_at_a_model_knows_the_offset(kind):
    y = (COUNTS > 1).astype(float)
    offset = np.sin(EXPOSURE)
    model = kind(hidden_layer_sizes=[4], max_iter=5, random_state=0).fit(X, y, offset=offset)
    logits = model.network_.forward(model.theta_, X, offset=offset)
    traced = cr.trace(model, X[3], y[3], offset=offset[3])
    np.testing.assert_allclose(traced.logits, logits[3], rtol=1e-12)
    rows, mean_loss = encoded_rows(model, X, y, offset=offset), model.network_.loss
    assert rows.loss(X) == pytest.approx(mean_loss(model.theta_, X, y, offset=offset), rel=1e-13)
    slopes = [mean_loss(model.theta_, X + h, y, offset=offset) for h in (1e-6, -1e-6)]
    assert rows.input_gradients().sum() / N_ROWS == pytest.approx((slopes[0] - slopes[1]) / 2e-6, rel=1e-6)
    _, gradient = model.network_.loss_and_gradient(model.theta_, X, y, offset=offset)
    norms = [np.linalg.norm(weight) for weight, _ in model.network_.unpack(gradient)]
    found = [layer.gradient for layer in cr.inspection.health(model, X, y, offset=offset)]
    np.testing.assert_allclose(found, norms, rtol=1e-10)


# ── What is wrong is told ──

ONES = np.ones(N_ROWS)
WRONG = {
    "both": ({"offset": ONES, "exposure": ONES}, "offset and exposure are both given"),
    "a negative exposure": (
        {"exposure": np.r_[-1.0, ONES[1:]]},
        "1 row has something else, such as -1.0 (row 0)",
    ),
    "a missing offset": ({"offset": np.r_[ONES[1:], np.nan]}, "(row 59)"),
    "text": ({"offset": ["a"] * N_ROWS}, "offset must hold numbers"),
    "another length": ({"exposure": ONES[:3]}, "exposure must have the shape (60,), not (3,)"),
    "other columns": ({"offset": np.ones((N_ROWS, 3))}, "offset must have the shape (60,) or (60, 1)"),
    "no entry of eval_set": (
        {"exposure": ONES, "eval_set": (X, COUNTS)},
        "eval_set must be a tuple (X, y, exposure) or (X, y, sample_weight, exposure), or a list of one.",
    ),
    "an empty entry of eval_set": (
        {"exposure": ONES, "eval_set": (X, COUNTS, None)},
        "exposure is None: the fit has one, and so must these rows.",
    ),
    "a wrong entry of eval_set": (
        {"exposure": ONES, "eval_set": (X, COUNTS, 0 * ONES)},
        "exposure must hold finite numbers above 0; 60 rows",
    ),
    "too many entries of eval_set": (
        {"eval_set": (X, COUNTS, ONES, ONES)},
        "eval_set must be a tuple (X, y) or (X, y, sample_weight), or a list of one.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_offset(name):
    given, message = WRONG[name]
    model = MLPRegressor("poisson", [3], max_iter=2, random_state=0)
    with pytest.raises(InputError, match=re.escape(message)):
        model.fit(X, COUNTS, **given)
    if "eval_set" not in given:
        assert not hasattr(model, "theta_")  # nothing was computed
        model.fit(X, COUNTS)
        for method in (model.predict, model.predict_distribution):
            with pytest.raises(InputError, match=re.escape(message)):
                method(X, **given)


def test_what_has_no_exposure():
    with pytest.raises(InputError, match=r"Normal\(n_outputs=1\) has no exposure, its link is identity"):
        MLPRegressor().fit(X, COUNTS, exposure=EXPOSURE)
    with pytest.raises(InputError, match="has no exposure"):
        MLPClassifier().fit(X, COUNTS > 1, exposure=EXPOSURE)
