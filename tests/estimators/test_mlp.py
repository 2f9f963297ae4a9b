"""MLPClassifier and MLPRegressor beside scikit-learn's own."""

import inspect
import pickle
import re

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import neural_network as theirs
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils._param_validation import make_constraint
from threadpoolctl import threadpool_limits

import chainrule as cr
from chainrule import DivergenceError, InputError, MLPClassifier, MLPRegressor

CONVERGENCE = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
PAIRS = {MLPClassifier: theirs.MLPClassifier, MLPRegressor: theirs.MLPRegressor}


def make_tasks():
    """Return X, y, and settings for each kind of target."""
    two = make_classification(150, 6, n_informative=4, random_state=0)
    three = make_classification(150, 6, n_informative=4, n_classes=3, random_state=1)
    labels = make_multilabel_classification(150, 6, n_classes=3, random_state=0)
    number = make_regression(150, 6, noise=5, random_state=0)
    numbers = make_regression(150, 6, n_targets=2, noise=5, random_state=1)
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * number[0][:, 0]))
    scaled = labels[0] / 10
    return {
        "two classes": (MLPClassifier, two[0], np.array(["no", "yes"])[two[1]], {}),
        "three classes": (MLPClassifier, three[0], three[1] * 2 + 1, {}),
        "labels": (MLPClassifier, scaled, labels[1], {}),
        "number": (MLPRegressor, number[0], number[1] / number[1].std(), {}),
        "numbers": (MLPRegressor, numbers[0], numbers[1] / numbers[1].std(axis=0), {}),
        "counts": (MLPRegressor, number[0], counts, {"loss": "poisson"}),
    }


TASKS = make_tasks()


def both(task, **settings):
    """Return our model and scikit-learn's, fitted alike, and the rows."""
    kind, X, y, own = TASKS[task]
    settings = {"random_state": 0, "max_iter": 20, "hidden_layer_sizes": (7, 5), **own, **settings}
    return kind(**settings).fit(X, y), PAIRS[kind](**settings).fit(X, y), X, y


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@pytest.fixture(autouse=True, scope="module")
def _one_thread_for_blas():
    with threadpool_limits(limits=1, user_api="blas"):  # more make small products slow
        yield


# ── The same interface ──


NEW = {
    "dropout": 0.0,
    "weight_decay": 0.0,
    "schedule": None,
    "clip_norm": None,
    "scoring": None,
    "callbacks": None,
    "progress": False,
    "n_threads": None,
}


@pytest.mark.parametrize("kind", PAIRS)
def test_the_constructor_is_scikit_learns_and_what_is_new_after_it(kind):
    ours, of_theirs = inspect.signature(kind).parameters, inspect.signature(PAIRS[kind]).parameters
    new = {"loss": "log_loss", "class_weight": None, **NEW} if kind is MLPClassifier else NEW
    assert [*ours] == [*of_theirs, *new]
    for name, parameter in of_theirs.items():
        assert (ours[name].default, ours[name].kind) == (parameter.default, parameter.kind), name
    for name, default in new.items():
        assert (ours[name].default, ours[name].kind) == (default, inspect.Parameter.KEYWORD_ONLY), name


def allowed(constraint):
    """What a constraint of scikit-learn's allows, as text."""
    made = make_constraint(constraint)
    return str(sorted(made.options)) if hasattr(made, "options") else str(made)


@pytest.mark.parametrize("kind", PAIRS)
def test_what_scikit_learn_allows_is_allowed(kind):
    ours, of_theirs = kind._parameter_constraints, PAIRS[kind]._parameter_constraints
    for name in inspect.signature(PAIRS[kind]).parameters:
        if name in {"activation", "loss"}:  # more are allowed here
            options = [
                next(iter(c.options for c in cs[name] if hasattr(c, "options"))) for cs in (ours, of_theirs)
            ]
            assert options[0] > options[1]
        else:
            assert [*map(allowed, ours[name])] == [*map(allowed, of_theirs[name])], name


@pytest.mark.parametrize("kind", PAIRS)
def test_the_methods_are_scikit_learns(kind):
    for name in ("fit", "partial_fit", "predict", "predict_proba", "predict_log_proba", "score"):
        if hasattr(PAIRS[kind], name):
            ours, of_theirs = (inspect.signature(getattr(k(), name)).parameters for k in (kind, PAIRS[kind]))
            assert [*of_theirs] == [*ours][: len(of_theirs)], name
            added = [*["eval_set"] * (name == "fit"), "offset", "exposure"]
            assert [*ours][len(of_theirs) :] == added, name
            assert {ours[more].kind for more in added} == {inspect.Parameter.KEYWORD_ONLY}, name


@CONVERGENCE
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "settings",
    [{"solver": "adam"}, {"solver": "lbfgs"}, {"early_stopping": True}, {"hidden_layer_sizes": ()}],
    ids=str,
)
def test_the_attributes_are_scikit_learns(task, settings):
    ours, of_theirs, X, _ = both(task, **settings)
    public = {name for name in vars(of_theirs) if name.endswith("_") and not name.startswith("_")}
    assert {name for name in public if not hasattr(ours, name)} == set()
    for name in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "t_"):
        assert getattr(ours, name) == getattr(of_theirs, name), name
    for name in ("coefs_", "intercepts_"):
        for own, other in zip(getattr(ours, name), getattr(of_theirs, name), strict=True):
            assert own.shape == other.shape
            assert own.dtype == other.dtype
            assert np.shares_memory(own, ours.theta_)
    for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
        if hasattr(of_theirs, name):
            assert type(getattr(ours, name)) is type(getattr(of_theirs, name)) or np.isscalar(
                getattr(ours, name)
            )
    if hasattr(ours, "classes_"):
        np.testing.assert_array_equal(ours.classes_, of_theirs.classes_)
    assert ours.predict(X).shape == of_theirs.predict(X).shape
    assert ours.predict(X).dtype.kind == of_theirs.predict(X).dtype.kind
    np.testing.assert_array_equal(outputs(ours, X).shape, outputs(of_theirs, X).shape)


def test_feature_names_are_kept():
    _, X, y, _ = TASKS["number"]
    frame = pd.DataFrame(X, columns=[f"column {k}" for k in range(6)])
    model = MLPRegressor(solver="lbfgs", hidden_layer_sizes=(3,), random_state=0, tol=1e-2).fit(frame, y)
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="same order"):
        model.predict(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


# ── The same results ──


@CONVERGENCE
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_scores_are_near_scikit_learns(task, solver, activation):
    rate = 0.01 if solver == "adam" or task == "counts" else 0.03
    ours, of_theirs, X, y = both(
        task, solver=solver, activation=activation, max_iter=40, batch_size=30, learning_rate_init=rate
    )
    score, their_score = ours.score(X, y), of_theirs.score(X, y)
    if task == "numbers" and solver == "lbfgs":  # their gradient is not that of their loss
        assert score > their_score - 0.02
    else:
        assert score == pytest.approx(their_score, abs=0.03)
    assert np.isfinite(ours.loss_)
    assert 1 < ours.n_iter_ <= 40


@CONVERGENCE
@pytest.mark.parametrize("task", TASKS)
def test_partial_fit_goes_on_as_fit_does(task):
    kind, X, y, own = TASKS[task]
    settings = {"random_state": 0, "hidden_layer_sizes": (6,), "shuffle": False, "batch_size": 40, **own}
    whole = kind(max_iter=6, **settings).fit(X, y)
    classes = {"classes": np.unique(y)} if kind is MLPClassifier else {}
    steps = kind(**settings).partial_fit(X, y, **classes)
    for _ in range(5):
        steps.partial_fit(X, y)
    np.testing.assert_array_equal(steps.theta_, whole.theta_)
    assert steps.loss_curve_ == whole.loss_curve_
    assert steps.t_ == whole.t_ == 6 * len(X)


def test_partial_fit_with_classes_that_come_later():
    _, X, y, _ = TASKS["three classes"]
    model = MLPClassifier((6,), random_state=0).partial_fit(X[y < 5], y[y < 5], classes=[1, 3, 5])
    assert model.classes_.tolist() == [1, 3, 5]
    model.partial_fit(X[y == 5], y[y == 5])
    assert model.predict_proba(X).shape == (150, 3)


@CONVERGENCE
@pytest.mark.parametrize("task", ["two classes", "number"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_warm_start_goes_on(task, solver):
    kind, X, y, own = TASKS[task]
    settings = {"random_state": 0, "hidden_layer_sizes": (6,), "max_iter": 5, "solver": solver, **own}
    ours, of_theirs = kind(warm_start=True, **settings), PAIRS[kind](warm_start=True, **settings)
    losses = []
    for _ in range(4):
        assert ours.fit(X, y).loss_ == pytest.approx(of_theirs.fit(X, y).loss_, rel=1e-4)
        losses.append(ours.loss_)
        assert ours.n_iter_ == of_theirs.n_iter_
    assert losses == sorted(losses, reverse=True)
    cold = kind(**settings).fit(X, y).fit(X, y)
    assert cold.loss_ == losses[0]


@CONVERGENCE
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_dtype_of_X_is_kept(task, dtype, solver):
    kind, X, y, own = TASKS[task]
    model = kind(hidden_layer_sizes=(6,), random_state=0, max_iter=5, solver=solver, **own).fit(
        X.astype(dtype), y
    )
    assert model.theta_.dtype == dtype
    assert outputs(model, X.astype(dtype)).dtype == dtype
    assert outputs(model, X).dtype == dtype  # it computes in its own
    other = kind(hidden_layer_sizes=(6,), random_state=0, max_iter=5, solver=solver, **own).fit(X, y)
    np.testing.assert_allclose(outputs(model, X.astype(dtype)), outputs(other, X), rtol=0.02, atol=0.02)
    whole = kind(hidden_layer_sizes=(6,), random_state=0, max_iter=5, solver=solver, **own).fit(
        np.round(X).astype(int), y
    )
    assert whole.theta_.dtype == "float64"


@CONVERGENCE
@pytest.mark.parametrize("task", ["two classes", "three classes", "number"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_same_seed_same_bits_on_any_number_of_threads(task, solver):
    kind, X, y, own = TASKS[task]
    settings = {"random_state": 0, "hidden_layer_sizes": (70, 30), "max_iter": 4, "solver": solver, **own}
    first = kind(n_threads=1, **settings).fit(X, y)
    for n_threads in (2, 3, None):
        again = kind(n_threads=n_threads, **settings).fit(X, y)
        np.testing.assert_array_equal(again.theta_, first.theta_)
        np.testing.assert_array_equal(outputs(again, X), outputs(first, X))
    assert not np.array_equal(kind(**{**settings, "random_state": 1}).fit(X, y).theta_, first.theta_)


@CONVERGENCE
def test_a_network_for_the_hand():
    _, X, y, _ = TASKS["number"]
    model = MLPRegressor(hidden_layer_sizes=(5,), random_state=0, max_iter=3).fit(X, y)
    forward = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0) @ model.coefs_[1]
    np.testing.assert_allclose(model.predict(X), (forward + model.intercepts_[1])[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(model.network_.forward(model.theta_, X)[:, 0], model.predict(X))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.partial_fit(X, y).theta_, model.partial_fit(X, y).theta_)


@CONVERGENCE
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_model_mapped_from_a_file_goes_on_and_leaves_the_file_alone(solver, tmp_path):
    _, X, y, _ = TASKS["number"]
    settings = {"hidden_layer_sizes": (5,), "solver": solver, "warm_start": True, "max_iter": 3}
    model, file = MLPRegressor(**settings, random_state=0).fit(X, y), tmp_path / "model.joblib"
    joblib.dump(model, file)
    before, mapped = file.read_bytes(), joblib.load(file, mmap_mode="r")
    assert not mapped.theta_.flags.writeable
    np.testing.assert_array_equal(mapped.predict(X), model.predict(X))
    for call in ["fit"] if solver == "lbfgs" else ["partial_fit", "fit", "partial_fit"]:
        getattr(mapped, call)(X, y)
        np.testing.assert_array_equal(mapped.theta_, getattr(model, call)(X, y).theta_)
    assert file.read_bytes() == before


@CONVERGENCE
def test_the_reference_engine_agrees(monkeypatch):
    for task in TASKS:
        kind, X, y, own = TASKS[task]
        native = kind(hidden_layer_sizes=(6,), random_state=0, max_iter=5, **own).fit(X, y)
        monkeypatch.setattr(cr.estimators.base.NetworkEstimator, "_engine", "reference")
        reference = kind(hidden_layer_sizes=(6,), random_state=0, max_iter=5, **own).fit(X, y)
        np.testing.assert_allclose(reference.theta_, native.theta_, rtol=1e-9, atol=1e-12)
        monkeypatch.undo()


def test_log_probabilities_go_on_where_probabilities_have_run_to_0():
    for task in ("two classes", "three classes"):
        _, X, y, _ = TASKS[task]
        model = MLPClassifier((), solver="lbfgs", random_state=0, tol=1e-2).fit(X, y)
        np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-12)
        model.theta_ *= 1e4
        assert model.predict_proba(X).min() == 0
        assert np.isfinite(model.predict_log_proba(X)).all()


def test_what_is_printed(capsys):
    _, X, y, _ = TASKS["number"]
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, verbose=True).fit(X, y)
    assert capsys.readouterr().out.splitlines()[1].startswith("Iteration 2, loss = ")
    MLPRegressor(hidden_layer_sizes=(3,), max_iter=9, tol=100.0, n_iter_no_change=2, verbose=True).fit(X, y)
    assert "did not improve more than tol=100.000000 for 2" in capsys.readouterr().out
    MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", verbose=True, tol=1e-2).fit(X, y)
    assert re.match(r"L-BFGS: \d+ iterations, loss = 0\.\d+\n", capsys.readouterr().out)


# ── Bad input ──


NUMBERS = TASKS["number"][1:3]
WRONG = {
    "rows that differ in number": (*NUMBERS[:1], NUMBERS[1][:-1], {}, "inconsistent numbers of samples"),
    "one dimension": (NUMBERS[1], NUMBERS[1], {}, "Expected 2D array, got 1D array"),
    "NaN": (np.where(NUMBERS[0] > 2, np.nan, NUMBERS[0]), NUMBERS[1], {}, "Input X contains NaN"),
    "infinities": (np.where(NUMBERS[0] > 2, np.inf, NUMBERS[0]), NUMBERS[1], {}, "contains infinity"),
    "NaN in y": (NUMBERS[0], np.where(NUMBERS[1] > 1, np.nan, NUMBERS[1]), {}, "Input y contains NaN"),
    "no rows": (NUMBERS[0][:0], NUMBERS[1][:0], {}, "Found array with 0 sample"),
    "text in X": (np.full((150, 2), "a"), NUMBERS[1], {}, "could not convert string to float"),
    "text in y": (NUMBERS[0], np.full(150, "a"), {}, "must be numbers, but its dtype is <U1"),
    "no units": (*NUMBERS, {"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be > 0, got [0]"),
    "an unknown activation": (*NUMBERS, {"activation": "step"}, "The 'activation' parameter of MLPRegressor"),
    "an unknown solver": (*NUMBERS, {"solver": "newton"}, "The 'solver' parameter of MLPRegressor"),
    "an unknown loss": (*NUMBERS, {"loss": "median"}, "The 'loss' parameter of MLPRegressor"),
    "a negative alpha": (*NUMBERS, {"alpha": -1.0}, "The 'alpha' parameter of MLPRegressor"),
    "no iterations": (*NUMBERS, {"max_iter": 0}, "The 'max_iter' parameter of MLPRegressor"),
    "momentum above 1": (*NUMBERS, {"momentum": 1.1}, "The 'momentum' parameter of MLPRegressor"),
    "no threads": (*NUMBERS, {"n_threads": 0}, "The 'n_threads' parameter of MLPRegressor"),
    "negative counts": (*NUMBERS, {"loss": "poisson"}, "Poisson(n_outputs=1) needs counts"),
    "too few validation rows": (
        *NUMBERS,
        {"early_stopping": True, "validation_fraction": 0.005},
        "The validation set is too small",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_says_what_is_wrong(name):
    X, y, settings, text = WRONG[name]
    with pytest.raises(ValueError, match=re.escape(text)):
        MLPRegressor(**settings).fit(X, y)


def test_errors_of_classes():
    _, X, y, _ = TASKS["two classes"]
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        MLPClassifier().fit(X, X[:, 0])
    with pytest.raises(InputError, match="classes must be passed on the first call to partial_fit"):
        MLPClassifier().partial_fit(X, y)
    with pytest.raises(InputError, match="y has classes that the fit had not"):
        MLPClassifier().partial_fit(X, y, classes=["no", "maybe"])
    with pytest.raises(InputError, match="is not the same as on last call to partial_fit"):
        MLPClassifier().partial_fit(X, y, classes=["no", "yes"]).partial_fit(X, y, classes=["no", "maybe"])
    with pytest.raises(InputError, match="y has classes that the fit had not: \\['maybe'\\]"):
        MLPClassifier().partial_fit(X, y, classes=["no", "yes"]).partial_fit(X[:1], ["maybe"])
    model = MLPClassifier(warm_start=True, solver="lbfgs", tol=1e-2).fit(X, y)
    with pytest.raises(InputError, match="warm_start can only be used where `y` has the same classes"):
        model.fit(X, np.where(y == "no", "a", "b"))


@CONVERGENCE
def test_errors_of_going_on():
    _, X, y, _ = TASKS["number"]
    model = MLPRegressor(hidden_layer_sizes=(4,), warm_start=True, max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but MLPRegressor is expecting 6"):
        model.fit(X[:, :3], y)
    with pytest.raises(InputError, match="The fit cannot go on: the parameters ask for"):
        model.set_params(hidden_layer_sizes=(5,)).fit(X, y)
    with pytest.raises(InputError, match="likelihood=Laplace"):
        model.set_params(hidden_layer_sizes=(4,), loss="laplace").fit(X, y)
    assert not hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")
    with pytest.raises(InputError, match="partial_fit does not support early_stopping=True"):
        MLPRegressor(early_stopping=True).partial_fit(X, y)


def test_errors_of_weights():
    _, X, y, _ = TASKS["number"]
    for weight, text in (
        (np.ones(3), "sample_weight.shape == (3,)"),
        (-np.ones(150), "Negative values in data passed to `sample_weight`"),
        (np.zeros(150), "zero"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            MLPRegressor().fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_divergence_is_an_error(solver):
    _, X, y, _ = TASKS["number"]
    model = MLPRegressor(hidden_layer_sizes=(8, 8), solver=solver, learning_rate_init=1e200)
    with pytest.raises(DivergenceError, match="learning rate"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
    for use in (model.predict, model.save):
        with pytest.raises(NotFittedError):
            use(X)


def test_warnings_of_convergence():
    _, X, y, _ = TASKS["number"]
    for solver, text in (
        ("adam", "Maximum iterations \\(2\\) reached"),
        ("lbfgs", "lbfgs failed to converge"),
    ):
        with pytest.warns(ConvergenceWarning, match=text):
            MLPRegressor(solver=solver, max_iter=2, random_state=0).fit(X, y)
    with pytest.warns(UserWarning, match="clipped: 500 to the 150 rows"):
        MLPRegressor(hidden_layer_sizes=(3,), batch_size=500, tol=100.0, n_iter_no_change=1).fit(X, y)


@pytest.mark.parametrize("kind", PAIRS)
def test_before_the_fit_there_is_nothing(kind):
    model = kind()
    for name in ("coefs_", "intercepts_", "n_layers_", "n_outputs_", "out_activation_", "classes_"):
        assert not hasattr(model, name)
    with pytest.raises(NotFittedError):
        model.predict([[1.0]])
