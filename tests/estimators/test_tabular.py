import pickle
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import chainrule as cr
from chainrule import Dense, DivergenceError, Dropout, InputError, TabularClassifier, TabularRegressor
from chainrule.likelihoods import Bernoulli, Categorical, Normal, Poisson

REGRESSION = ("number", "numbers", "counts")
CLASSES = ("boolean", "integer", "text", "three", "labels")


def model_for(target, **settings):
    kind = TabularRegressor if target in REGRESSION else TabularClassifier
    return kind(**{"hidden": (16,), "epochs": 4, "random_state": 0, **settings})


def predictions(model, table):
    return model.predict_proba(table) if hasattr(model, "predict_proba") else model.predict(table)


# ── Tables ──


LIBRARIES = {
    "pandas": lambda frame: frame,
    "pandas, other dtypes": lambda frame: frame.convert_dtypes(),
    "polars": pl.from_pandas,
    "pyarrow": pa.Table.from_pandas,
    "array": lambda frame: frame.to_numpy(dtype=object),
    "list of rows": lambda frame: frame.to_numpy(dtype=object).tolist(),
}


@pytest.mark.parametrize("target", ["number", "three"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_gives_the_same_bits(homes, library, target):
    table = LIBRARIES[library](homes.table)
    expected = model_for(target).fit(homes.table, homes.targets[target])
    model = model_for(target).fit(table, homes.targets[target])
    np.testing.assert_array_equal(model.theta_, expected.theta_)
    np.testing.assert_array_equal(predictions(model, table), predictions(expected, homes.table))
    assert model.n_features_in_ == 5
    if library in ("array", "list of rows"):
        assert not hasattr(model, "feature_names_in_")
    else:
        assert model.feature_names_in_.tolist() == homes.table.columns.tolist()
        with_other = predictions(model, homes.table)
        np.testing.assert_array_equal(with_other, predictions(expected, homes.table))


SERIES = {
    "list": lambda y: y.tolist(),
    "pandas": lambda y: pd.Series(y, name="price"),
    "pandas, nullable": lambda y: pd.Series(y, name="price").convert_dtypes(),
    "pandas, object": lambda y: pd.Series(y, name="price", dtype=object),
    "pandas frame": lambda y: pd.DataFrame({"price": y}),
    "polars": lambda y: pl.Series("price", y),
    "polars frame": lambda y: pl.DataFrame({"price": y}),
    "pyarrow": pa.array,
    "pyarrow, chunks": lambda y: pa.chunked_array([pa.array(y[:50]), pa.array(y[50:])]),
    "pyarrow frame": lambda y: pa.table({"price": y}),
    "column": lambda y: y[:, None],
}


@pytest.mark.parametrize("target", ["number", "boolean", "integer", "text", "three"])
@pytest.mark.parametrize("library", SERIES)
def test_every_kind_of_series_is_the_same_target(homes, library, target):
    y = homes.targets[target]
    model = model_for(target, epochs=1).fit(homes.table, SERIES[library](y))
    np.testing.assert_array_equal(
        predictions(model, homes.table),
        predictions(model_for(target, epochs=1).fit(homes.table, y), homes.table),
    )
    named = library.startswith(("pandas", "polars")) or library == "pyarrow frame"
    assert model.target_name_ == ("price" if named else None)


def test_a_categorical_series_is_a_target_of_classes(homes):
    y = pd.Series(homes.targets["three"], dtype="category")
    model = model_for("three").fit(homes.table, y)
    assert model.classes_.tolist() == ["cheap", "dear", "fair"]


def test_categorical_features_make_a_number_a_category(homes):
    for features in (["rooms"], [3], [False, False, False, True, False], np.array(["rooms"])):
        model = model_for("number", categorical_features=features)
        model.fit(homes.table, homes.targets["number"])
        names = model.encoder_.input_names
        assert {f"rooms = {number}" for number in range(1, 9)} < set(names)
    plain = model_for("number").fit(homes.table, homes.targets["number"])
    assert "rooms" in plain.encoder_.input_names


def test_categories_that_the_fit_had_not_are_predicted(homes):
    model = model_for("number", epochs=10).fit(homes.table, homes.targets["number"])
    violet = homes.table.assign(colour="violet")
    assert np.isfinite(model.predict(violet)).all()
    no_colour = model._logits(
        np.where(
            [name.startswith("colour") for name in model.encoder_.input_names],
            0,
            model.encoder_.transform(homes.table),
        ).astype("float32")
    )
    expected = model.target_.decode(model.network_.likelihood.mean(no_colour))
    np.testing.assert_allclose(model.predict(violet), expected, rtol=1e-5)


# ── Targets ──


@pytest.mark.parametrize("target", CLASSES)
def test_classes_come_back_as_they_were(homes, target):
    y = homes.targets[target]
    model = model_for(target, epochs=30).fit(homes.table, y)
    probabilities, predicted = model.predict_proba(homes.table), model.predict(homes.table)
    if target == "labels":
        assert model.network_.likelihood == Bernoulli(3)
        assert model.classes_.tolist() == [0, 1, 2]
        np.testing.assert_array_equal(predicted, probabilities > 0.5)
    else:
        assert model.classes_.tolist() == np.unique(y).tolist()
        assert model.classes_.dtype == y.dtype
        np.testing.assert_array_equal(predicted, np.unique(y)[probabilities.argmax(axis=1)])
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert predicted.dtype.kind == y.dtype.kind
    assert predicted.shape == y.shape
    assert model.score(homes.table, y) == accuracy_score(y, predicted) > (0.3 if target == "labels" else 0.6)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(homes.table)), probabilities, rtol=1e-9)


def test_log_probabilities_go_on_where_probabilities_have_run_to_0():
    X = np.linspace(-1, 1, 60)[:, None]
    for y in (X[:, 0] > 0, np.digitize(X[:, 0], [-0.3, 0.3])):
        model = TabularClassifier(hidden=(), random_state=0).fit(X, y)
        model.members_ = tuple(replace(one, theta=1000 * one.theta) for one in model.members_)
        logs = model.predict_log_proba(X)
        assert model.predict_proba(X).min() == 0
        assert np.isfinite(logs).all()
        assert logs.min() < -1000


@pytest.mark.parametrize("target", REGRESSION)
def test_numbers_come_back_in_their_units(homes, target):
    y = homes.targets[target]
    model = model_for(target, epochs=30).fit(homes.table, y)
    assert isinstance(model.network_.likelihood, Poisson if target == "counts" else Normal)
    predicted = model.predict(homes.table)
    assert predicted.shape == y.shape
    assert predicted.dtype == np.float64
    assert model.score(homes.table, y) == r2_score(y, predicted) > (0 if target == "counts" else 0.4)
    if target == "counts":
        assert (predicted > 0).all()


@pytest.mark.parametrize("target", ["number", "numbers"])
@pytest.mark.parametrize(
    ("shift", "factor"), [(1e6, 1.0), (0.0, 1e6), (-1e6, 1e-6), (0.0, 1e300), (0.0, 1e-300)]
)
def test_the_units_of_the_target_do_not_matter(homes, target, shift, factor):
    y = homes.targets[target]
    plain = model_for(target, epochs=10).fit(homes.table, y).predict(homes.table)
    moved = model_for(target, epochs=10).fit(homes.table, shift + factor * y).predict(homes.table)
    scale = max(abs(shift), 1e-300) * 1e-15 / factor  # what float64 keeps of y beside the shift
    np.testing.assert_allclose((moved - shift) / factor, plain, rtol=1e-3, atol=1e-3 + 1e3 * scale)


@pytest.mark.parametrize("value", [0.0, 5.0, 1e6, -1e-3])
@pytest.mark.parametrize("hidden", [(), (16,)])
def test_a_constant_target_is_predicted(homes, value, hidden):
    model = model_for("number", hidden=hidden).fit(homes.table, np.full(160, value))
    np.testing.assert_allclose(model.predict(homes.table), value, rtol=1e-10, atol=1e-10)


LIKELIHOODS = [
    ("number", "auto", Normal()),
    ("number", "normal", Normal()),
    ("number", Normal(), Normal()),
    ("numbers", Normal(2), Normal(2)),
    ("counts", "auto", Poisson()),
    ("counts", "normal", Normal()),
    ("counts", "poisson", Poisson()),
    ("counts", Poisson(), Poisson()),
    ("text", "auto", Bernoulli()),
    ("text", "bernoulli", Bernoulli()),
    ("text", "categorical", Categorical(2)),
    ("text", Categorical(2), Categorical(2)),
    ("three", "categorical", Categorical(3)),
    ("three", Categorical(3), Categorical(3)),
    ("labels", "bernoulli", Bernoulli(3)),
    ("labels", Bernoulli(3), Bernoulli(3)),
]


@pytest.mark.parametrize(("target", "likelihood", "expected"), LIKELIHOODS)
def test_likelihoods_by_name_and_as_objects(homes, target, likelihood, expected):
    y = homes.targets[target]
    model = model_for(target, likelihood=likelihood, epochs=2).fit(homes.table, y)
    assert model.network_.likelihood == expected
    assert model.predict(homes.table).shape == y.shape
    if isinstance(expected, Categorical):
        logits = model._table_logits(homes.table)
        np.testing.assert_allclose(model.predict_proba(homes.table), softmax(logits, axis=1), rtol=1e-12)


WRONG_LIKELIHOODS = [
    ("number", "bernoulli", "likelihood='bernoulli' is for classes: use TabularClassifier"),
    ("number", Categorical(3), "is for classes"),
    ("numbers", Normal(3), "does not fit y, which has 2 columns: it takes 3; make it with n_outputs=2."),
    ("number", "poisson", "Poisson(n_outputs=1) needs counts"),
    ("number", "gauss", "'gauss'"),
    ("text", "normal", "likelihood='normal' does not fit a target with the classes ['no', 'yes']"),
    ("three", "bernoulli", "that is Categorical(n_classes=3). Use likelihood='auto'."),
    ("three", Categorical(4), "Categorical(n_classes=4) does not fit"),
    ("labels", "categorical", "that is Bernoulli(n_outputs=3)"),
]


@pytest.mark.parametrize(("target", "likelihood", "text"), WRONG_LIKELIHOODS)
def test_a_likelihood_that_does_not_fit_is_named(homes, target, likelihood, text):
    y = homes.targets[target] - 5 * (target == "number") if target in REGRESSION else homes.targets[target]
    with pytest.raises(ValueError, match=re.escape(text)):
        model_for(target, likelihood=likelihood).fit(homes.table, y)


# ── Training ──


def test_without_hidden_layers_it_is_the_linear_model():
    rng = np.random.default_rng(0)
    X = rng.choice(["a", "b"], (200, 4))  # two categories are one input, −1 and 1
    inputs = np.where(X == "b", 1.0, -1.0)
    y = 10 + inputs @ [1.0, -2.0, 3.0, 0.5] + rng.normal(size=200)
    model = TabularRegressor(hidden=(), validation_fraction=0, random_state=0).fit(X, y)
    assert model.network_.hidden == ()
    expected = LinearRegression().fit(inputs, y).predict(inputs)
    np.testing.assert_allclose(model.predict(X), expected, rtol=3e-4)  # the penalty is 1e-4
    assert model.stopped_by_ == "converged"


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_the_network_is_better_than_the_linear_model(kind):
    X, y = make_friedman1(1200, noise=0.5, random_state=0)
    y = y if kind == "regression" else np.abs(y - y.mean()) > 3.5  # in the middle or not: no line tells
    estimator = TabularRegressor if kind == "regression" else TabularClassifier
    settings = {"random_state": 0}
    linear = estimator(hidden=(), **settings).fit(X[:800], y[:800]).score(X[800:], y[800:])
    network = estimator(hidden=(64, 64), epochs=60, **settings).fit(X[:800], y[:800])
    score = network.score(X[800:], y[800:])
    assert score > linear + (0.15 if kind == "regression" else 0.08)
    assert network.best_epoch_ >= 5


def test_layers_are_numbers_or_specs(homes):
    hidden = [Dropout(0.05), 8, Dropout(0.3), 6, Dense(4, "tanh"), Dropout(0.2)]
    model = model_for("number", hidden=hidden, dropout=0.25).fit(homes.table, homes.targets["number"])
    layers = model.network_.hidden
    assert [layer.rate for layer in layers if isinstance(layer, Dropout)] == [0.05, 0.3, 0.25, 0.2]
    assert [layer.units for layer in layers if isinstance(layer, Dense)] == [8, 6, 4]
    none = model_for("number", hidden=(8, 4), dropout=0).fit(homes.table, homes.targets["number"])
    assert [type(layer) for layer in none.network_.hidden] == [Dense, Dense]


@pytest.mark.parametrize("target", [*REGRESSION, *CLASSES])
def test_same_seed_same_bits_on_any_number_of_threads(homes, target):
    y = homes.targets[target]
    first = model_for(target, hidden=(48, 16), n_threads=1).fit(homes.table, y)
    for n_threads in (1, 2, 3, None):
        again = model_for(target, hidden=(48, 16), n_threads=n_threads).fit(homes.table, y)
        np.testing.assert_array_equal(again.theta_, first.theta_)
        np.testing.assert_array_equal(predictions(again, homes.table), predictions(first, homes.table))
    other = model_for(target, hidden=(48, 16), random_state=1).fit(homes.table, y)
    assert not np.array_equal(other.theta_, first.theta_)
    in_pieces = [predictions(first, homes.table[k : k + 7]) for k in range(0, 160, 7)]
    np.testing.assert_array_equal(np.concatenate(in_pieces), predictions(first, homes.table))


def test_where_the_seed_comes_from(homes):
    y = homes.targets["number"]
    free = [TabularRegressor(hidden=(4,), epochs=1).fit(homes.table, y) for _ in range(2)]
    assert free[0].seed_ != free[1].seed_
    again = TabularRegressor(hidden=(4,), epochs=1, random_state=free[0].seed_).fit(homes.table, y)
    np.testing.assert_array_equal(again.theta_, free[0].theta_)
    states = [
        model_for("number", random_state=np.random.RandomState(3)).fit(homes.table, y) for _ in range(2)
    ]
    np.testing.assert_array_equal(states[0].theta_, states[1].theta_)


@pytest.mark.parametrize("target", ["number", "counts", "text", "three", "labels"])
def test_training_leaves_rows_of_weight_0_out(homes, target):
    y, rng = homes.targets[target], np.random.default_rng(0)
    table = homes.table[["colour", "old"]]  # their encoding is the same without these rows
    weight = rng.uniform(0.5, 2, 160) * (rng.random(160) < 0.7)
    kept = weight > 0
    weighted = model_for(target).fit(table, y, sample_weight=weight)
    removed = model_for(target).fit(table[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_array_equal(weighted.theta_, removed.theta_)
    np.testing.assert_array_equal(predictions(weighted, table), predictions(removed, table))


@pytest.mark.parametrize("target", ["number", "counts", "text", "three", "labels"])
def test_a_weight_of_k_is_k_copies_where_the_whole_data_is_one_step(homes, target):
    y = homes.targets[target]
    table = homes.table[["colour", "old"]]
    times = np.random.default_rng(1).integers(0, 4, 160)
    settings = {"hidden": (), "validation_fraction": 0, "epochs": 1000}
    weighted = model_for(target, **settings).fit(table, y, sample_weight=times)
    copied = model_for(target, **settings).fit(
        table.iloc[np.repeat(np.arange(160), times)], np.repeat(y, times, axis=0)
    )
    plain = model_for(target, **settings).fit(table, y)
    np.testing.assert_allclose(predictions(weighted, table), predictions(copied, table), rtol=2e-3, atol=2e-4)
    difference = np.abs(predictions(plain, table) - predictions(copied, table)).max()
    assert difference > 0.01  # the weights do something


def test_eval_set_says_when_to_stop(homes):
    y = homes.targets["number"]
    train, held_out = slice(0, 100), slice(100, 160)
    model = model_for("number", epochs=30, n_members=1)
    model.fit(homes.table[train], y[train], eval_set=(homes.table[held_out], y[held_out]))
    assert model.n_rows_ == 100
    losses = model.history_.columns()["validation_loss"]
    assert model.best_epoch_ == losses.argmin() + 1
    residual = (y[held_out] - model.predict(homes.table[held_out])) / model.target_.scale
    np.testing.assert_allclose(0.5 * np.mean(residual**2), losses.min(), rtol=1e-5)


def test_validation_rows_are_set_aside_when_there_are_enough(homes):
    y = homes.targets["text"]
    for rows, fraction, validated in ((160, None, True), (20, None, False), (160, 0, False), (20, 0.5, True)):
        model = model_for("text", validation_fraction=fraction).fit(homes.table[:rows], y[:rows])
        assert ("validation_loss" in model.history_.columns()) == validated
        assert model.history_.epochs[model.best_epoch_ - 1] is not None


def test_a_time_limit_keeps_the_best_so_far(homes):
    y = homes.targets["number"]
    model = model_for("number", epochs=10**6, validation_fraction=0, time_limit=0.05).fit(homes.table, y)
    assert model.stopped_by_ == "time"
    assert len(model.history_.epochs) < 10**6
    assert np.isfinite(model.predict(homes.table)).all()


def test_progress_is_shown_when_it_is_asked_for(homes, capsys):
    for verbose in (0, False, 1, True, 2):
        model_for("number", verbose=verbose, epochs=1).fit(homes.table, homes.targets["number"])
        shown = capsys.readouterr()
        assert shown.out == ""
        assert ("epoch 1/1" in shown.err) == bool(verbose)


def test_what_a_fit_leaves(homes):
    model = model_for("three").fit(homes.table, homes.targets["three"])
    assert model.network_.n_inputs == model.encoder_.n_inputs
    assert model.theta_.shape == (model.network_.n_parameters,)
    assert model.theta_.dtype == np.float32
    assert model.engine_ == "native"
    assert model.n_threads_ >= 1
    assert model.n_rows_ == 160
    assert model.seed_ == 0
    assert model.stopped_by_ == "epochs"
    assert 0 <= model.best_epoch_ <= 4
    assert model.feature_names_in_.tolist() == ["size", "colour", "old", "rooms", "day"]


def test_the_reference_engine_agrees(homes, monkeypatch):
    for target in ("number", "three"):
        native = model_for(target).fit(homes.table, homes.targets[target])
        monkeypatch.setattr(cr.estimators.base.NetworkEstimator, "_engine", "reference")
        reference = model_for(target).fit(homes.table, homes.targets[target])
        assert reference.engine_ == "reference"
        np.testing.assert_allclose(
            predictions(reference, homes.table), predictions(native, homes.table), rtol=1e-3, atol=1e-3
        )
        monkeypatch.undo()


# ── Bad input ──


def table_of(**columns):
    return pd.DataFrame(columns)


X = np.random.default_rng(0).normal(size=(40, 3))
Y = X[:, 0] + X[:, 1] ** 2
HALF_MISSING = np.where(Y > 1, np.nan, Y)
WITH_NONE = np.array([None, "a"] + ["a", "b"] * 19, dtype=object)

UNUSABLE = {
    "one dimension": (X[:, 0], Y, "Expected 2D array, got 1D array instead"),
    "three dimensions": (X[None], Y, "Expected 2D array, got 3D array instead"),
    "no table": (None, Y, "this is a NoneType"),
    "rows of different length": ([[1, 2], [3]], [1, 2], "The rows of the table differ in length"),
    "fewer targets": (X, Y[:-1], "X has 40 rows and y has 39"),
    "no target": (X, None, "y is None"),
    "a target of three dimensions": (X, Y[:, None, None], "y has the shape (40, 1, 1)"),
    "a target with rows of different length": (X, [[1, 2], [3]] * 20, "The rows of y differ in length"),
    "no rows": (X[:0], Y[:0], "y has the shape (0,)"),
    "no columns": (X[:, :0], Y, "Found array with 0 feature(s) (shape=(40, 0))"),
    "one row": (X[:1], Y[:1], "No column says anything about the rows (n_samples=1)"),
    "constant columns alone": (np.ones((40, 2)), Y, "'x0' (constant), 'x1' (constant)"),
    "missing columns alone": (np.full((40, 1), np.nan), Y, "'x0' (all values are missing)"),
    "a target with NaN": (X, HALF_MISSING, f"y has {np.isnan(HALF_MISSING).sum()} rows that are missing"),
    "a target with null": (X, pl.Series("y", [None, 1.0] * 20), "y has 20 rows that are missing (null)"),
    "an infinite target": (X, np.where(Y > 1, np.inf, Y), "rows that are infinite (inf)"),
    "a target too large": (X, np.where(Y > 1, 1.7e308, -1.7e308), "give it in a larger unit"),
    "a text target": (X, ["a", "b"] * 20, "y holds text (the first value is 'a'): regression needs numbers"),
    "numbers as text": (X, ["1.5"] * 40, "for numbers written as text convert them first"),
    "complex numbers": (X, Y + 1j, "Complex data not supported"),
    "dates": (X, np.full(40, np.datetime64("2020-01-01")), "y has the dtype datetime64[D]"),
    "a mixed column": ([[1.0, "a"], ["b", 2.0]] * 20, Y, "mixes numbers and text"),
    "a name twice": (pd.DataFrame(X, columns=["a", "a", "b"]), Y, "Two columns have the same name"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_regression_says_what_cannot_be_used(name):
    table, y, text = UNUSABLE[name]
    model = TabularRegressor(epochs=1)
    with pytest.raises(InputError, match=re.escape(text)):
        model.fit(table, y)
    assert not [attribute for attribute in vars(model) if attribute.endswith("_")]


UNUSABLE_CLASSES = {
    "one class": (["a"] * 40, "y has only one class, 'a': a classifier needs at least two."),
    "missing classes": (WITH_NONE, "y has 1 row that is missing (None or NaN) (rows 0, counted from 0)"),
    "fractions": (Y, "Unknown label type: continuous"),
    "text and numbers": (np.array([1, "a"] * 20, dtype=object), "y mixes values of different types"),
    "several columns of classes": (
        np.column_stack([np.arange(40) % 3, np.arange(40) % 2]),
        "several labels a row are 0 or 1",
    ),
    "labels that are not 0 and 1": (np.column_stack([np.arange(40) % 2 * 2] * 2), "are 0 or 1"),
}


@pytest.mark.parametrize("name", UNUSABLE_CLASSES)
def test_classification_says_what_cannot_be_used(name):
    y, text = UNUSABLE_CLASSES[name]
    with pytest.raises(InputError, match=re.escape(text)):
        TabularClassifier(epochs=1).fit(X, y)


WRONG_SETTINGS = {
    "weights of another length": ({}, {"sample_weight": np.ones(39)}, "must have the shape (40,)"),
    "negative weights": ({}, {"sample_weight": -np.ones(40)}, "finite numbers ≥ 0"),
    "weights of zero": ({}, {"sample_weight": np.zeros(40)}, "sample_weight is zero for every row"),
    "a table as eval_set": ({}, {"eval_set": X}, "eval_set must be a tuple (X, y)."),
    "other columns in eval_set": ({}, {"eval_set": (X[:, :2], Y)}, "eval_set: X has 2 features"),
    "fewer targets in eval_set": ({}, {"eval_set": (X, Y[1:])}, "eval_set: X has 40 rows and y has 39"),
    "other targets in eval_set": (
        {},
        {"eval_set": (X, np.column_stack([Y, Y]))},
        "eval_set: y has 2 columns; at the fit it had 1.",
    ),
    "an unknown activation": ({"hidden": [4, "tanh"]}, {}, "Dense(units='tanh')"),
    "no units": ({"hidden": [0]}, {}, "Dense(units=0)"),
    "no list of layers": ({"hidden": 8}, {}, "'hidden' parameter of TabularRegressor must be an array-like"),
    "no epochs": ({"epochs": 0}, {}, "'epochs' parameter of TabularRegressor must be an int in the range [1"),
    "a rate of 0": ({"learning_rate": 0}, {}, "'learning_rate' parameter"),
    "dropout of 1": ({"dropout": 1}, {}, "'dropout' parameter"),
    "a whole validation_fraction": ({"validation_fraction": 1}, {}, "'validation_fraction' parameter"),
    "no time": ({"time_limit": 0}, {}, "'time_limit' parameter"),
    "no threads": ({"n_threads": 0}, {}, "'n_threads' parameter"),
    "an unknown column": (
        {"categorical_features": ["z"]},
        {},
        "categorical_features has 'z', but the table's",
    ),
}


@pytest.mark.parametrize("name", WRONG_SETTINGS)
def test_a_wrong_setting_is_named_and_changes_nothing(name):
    settings, arguments, text = WRONG_SETTINGS[name]
    model = TabularRegressor(hidden=(4,), epochs=2, random_state=0).fit(X, Y)
    before, good = model.predict(X), model.get_params()
    model.set_params(**settings)
    with pytest.raises(ValueError, match=re.escape(text)):
        model.fit(np.column_stack([X[:, 1:], X[:, 0]]), Y**2, **arguments)
    model.set_params(**good)
    np.testing.assert_array_equal(model.predict(X), before)


WRONG_TABLES = {
    "fewer columns": (lambda table: table[["size", "old"]], "yet now missing"),
    "more columns": (lambda table: table.assign(extra=1), "unseen at fit time"),
    "another order": (lambda table: table[table.columns[::-1]], "must be in the same order"),
    "fewer columns without names": (lambda table: table.to_numpy(object)[:, :4], "X has 4 features, but"),
    "text where numbers were": (
        lambda table: table.assign(size="large"),
        "Column 'size' holds text ('large' in row 0), but at fit it held numbers",
    ),
    "numbers where text was": (lambda table: table.assign(colour=1.5), "but at fit it held text"),
    "no rows": (lambda table: table[:0], "Found array with 0 sample(s)"),
    "one dimension": (lambda table: table["size"], "Expected 2D array"),
}


@pytest.mark.parametrize("name", WRONG_TABLES)
@pytest.mark.parametrize("target", ["number", "text"])
def test_another_table_than_at_the_fit(homes, target, name):
    change, text = WRONG_TABLES[name]
    model = model_for(target, epochs=1).fit(homes.table, homes.targets[target])
    with pytest.raises(InputError, match=re.escape(text)):
        model.predict(change(homes.table))


def test_what_says_nothing_is_left_out(homes):
    y = homes.targets["number"]
    more = homes.table.assign(constant=1, missing=np.nan, name=[f"home {row}" for row in range(160)])
    model = model_for("number").fit(more, y)
    np.testing.assert_array_equal(
        model.predict(more), model_for("number").fit(homes.table, y).predict(homes.table)
    )
    # and nobody looks at it again
    assert np.isfinite(model.predict(more.assign(constant="x", missing=7.0, name="home"))).all()


def test_infinite_and_missing_inputs_are_ordinary(homes):
    table = homes.table.copy()
    table.loc[3, "size"], table.loc[4, "size"] = np.inf, -np.inf
    model = model_for("number").fit(table, homes.targets["number"])
    assert np.isfinite(model.predict(table)).all()
    largest = model.predict(table.assign(size=1e300))
    np.testing.assert_allclose(model.predict(table.assign(size=np.inf)), largest, rtol=1e-6)
    nothing = table.assign(size=np.nan, colour=None, day=pd.NaT)
    assert np.isfinite(model.predict(nothing)).all()


def test_one_row_is_predicted(homes):
    model = model_for("three").fit(homes.table, homes.targets["three"])
    assert model.predict(homes.table[:1]).shape == (1,)
    assert model.predict_proba(homes.table[:1]).shape == (1, 3)


def test_two_rows_are_enough():
    assert TabularRegressor(epochs=1).fit([[0.0], [1.0]], [1.0, 2.0]).predict([[0.5]]).shape == (1,)
    assert TabularClassifier(epochs=1).fit([[0.0], [1.0]], ["a", "b"]).predict([[0.5]]).shape == (1,)


def test_divergence_is_an_error_and_leaves_the_model_as_it_was(homes):
    y = homes.targets["number"]
    model = model_for("number").fit(homes.table, y)
    before = model.predict(homes.table)
    with pytest.raises(DivergenceError, match="learning rate"):
        model.set_params(learning_rate=1e30).fit(homes.table, y)
    np.testing.assert_array_equal(model.predict(homes.table), before)


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_before_the_fit_there_is_nothing(kind, homes, tmp_path):
    model = kind()
    for attribute in ("best_epoch_", "stopped_by_", "engine_", "n_threads_", "classes_", "n_features_in_"):
        assert not hasattr(model, attribute)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(model, method):
            with pytest.raises(NotFittedError):
                getattr(model, method)(homes.table)
    with pytest.raises(NotFittedError):
        model.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


# ── In scikit-learn's company ──


@pytest.mark.parametrize("target", ["number", "three"])
def test_pickle_clone_and_pipeline(homes, target):
    y = homes.targets[target]
    model = model_for(target).fit(homes.table, y)
    expected = predictions(model, homes.table)
    np.testing.assert_array_equal(predictions(pickle.loads(pickle.dumps(model)), homes.table), expected)
    fresh = clone(model)
    assert not hasattr(fresh, "theta_")
    np.testing.assert_array_equal(predictions(fresh.fit(homes.table, y), homes.table), expected)
    pipeline = make_pipeline(FunctionTransformer(lambda table: table), model_for(target))
    np.testing.assert_array_equal(predictions(pipeline.fit(homes.table, y), homes.table), expected)


@pytest.mark.parametrize("target", ["number", "text"])
def test_a_grid_search_on_two_processes(homes, target):
    search = GridSearchCV(model_for(target), {"hidden": [(), (8,)], "epochs": [2]}, cv=2, n_jobs=2)
    search.fit(homes.table, homes.targets[target])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict(homes.table).shape == (160,)


# ── What the rows that were set aside are good for ──


@pytest.mark.parametrize("target", CLASSES)
def test_probabilities_are_tempered_on_the_rows_that_were_set_aside(homes, target, tmp_path):
    y, split = homes.targets[target], slice(100, 160)
    model = model_for(target, hidden=(32, 32), epochs=60)
    model.fit(homes.table[:100], y[:100], eval_set=(homes.table[split], y[split]))

    def cost(temperature):
        model.temperature_ = temperature
        logs = model.predict_log_proba(homes.table[split])
        if target == "labels":
            loss = -np.where(y[split], logs, np.log1p(-np.exp(logs))).sum()
        else:
            loss = -logs[np.arange(60), model.target_.encode(y[split])].sum()
        return loss + 2 * np.log(temperature) ** 2

    found = model.temperature_
    best, near = cost(found), [cost(found * factor) for factor in (0.98, 1.02)]
    assert best < min(near)
    assert best <= cost(1.0)
    plain = model.predict(homes.table)  # temperature_ is 1 now
    model.temperature_ = found
    np.testing.assert_array_equal(model.predict(homes.table), plain)
    model.save(tmp_path / "model.safetensors")
    again = cr.load(tmp_path / "model.safetensors")
    assert again.temperature_ == found
    np.testing.assert_array_equal(predictions(again, homes.table), predictions(model, homes.table))


def test_without_rows_set_aside_the_temperature_is_1(homes):
    model = model_for("text", validation_fraction=0).fit(homes.table, homes.targets["text"])
    assert model.temperature_ == 1
