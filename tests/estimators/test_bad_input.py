"""What people bring: each of these gives a sensible fit or a clear error, and the test says which."""

import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import chainrule as cr
from chainrule import InputError, TabularClassifier, TabularRegressor
from chainrule.estimators.choice import FOR_CLASSES
from chainrule.tables import TableEncoder

RNG = np.random.default_rng(0)
N = 240
X = RNG.normal(size=(N, 3))
Y = X[:, 0] + X[:, 1] ** 2 + 0.1 * RNG.normal(size=N)
TABLE = pd.DataFrame(X, columns=["a", "b", "c"]).assign(colour=np.where(X[:, 2] > 0, "red", "blue"))
NEW = RNG.normal(size=(N, 3))
EXPECTED = NEW[:, 0] + NEW[:, 1] ** 2


def regressor(**settings):
    return TabularRegressor(**{"random_state": 0, "epochs": 15, "n_members": 2, **settings})


def classifier(**settings):
    return TabularClassifier(**{"random_state": 0, "epochs": 15, "n_members": 2, **settings})


# ── Columns at predict time: scikit-learn's errors ──

OTHER_COLUMNS = {
    "extra": (lambda table: table.assign(d=1.0), "Feature names unseen at fit time:\n- d"),
    "missing": (lambda table: table.drop(columns="b"), "seen at fit time, yet now missing:\n- b"),
    "reordered": (
        lambda table: table[["c", "b", "a", "colour"]],
        "must be in the same order as they were in fit",
    ),
    "renamed": (lambda table: table.rename(columns={"a": "A"}), "unseen at fit time:\n- A"),
    "extra, without names": (
        lambda table: np.hstack([table[["a", "b", "c"]].to_numpy()] * 2),
        "X has 6 features",
    ),
    "twice": (lambda table: pd.concat([table, table[["a"]]], axis=1), "Two columns have the same name"),
}


@pytest.mark.parametrize("name", OTHER_COLUMNS)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_distribution"])
def test_other_columns_at_predict_time_are_an_error(name, method):
    change, text = OTHER_COLUMNS[name]
    model = classifier(epochs=1).fit(TABLE, Y > 0)
    with pytest.raises(InputError, match=re.escape(text)):
        getattr(model, method)(change(TABLE))


# ── A column of another content ──


@pytest.mark.parametrize("make", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas])
def test_a_number_column_that_arrives_as_text_is_read(make):
    as_text = TABLE.assign(a=[repr(float(a)) for a in TABLE["a"]])
    model = regressor().fit(TABLE, Y)
    by_text = regressor().fit(make(as_text), Y)
    np.testing.assert_array_equal(by_text.predict(make(as_text)), model.predict(TABLE))
    np.testing.assert_array_equal(model.predict(make(as_text)), model.predict(TABLE))
    np.testing.assert_array_equal(by_text.predict(make(TABLE)), model.predict(TABLE))
    with pytest.raises(InputError, match=re.escape("Column 'a' holds text ('much' in row 0)")):
        model.predict(make(TABLE.assign(a="much")))


def test_a_category_column_that_arrives_as_numbers_is_an_error_unless_it_was_numbers():
    codes = (TABLE["colour"] == "red").astype(int)
    model = regressor(epochs=1).fit(TABLE, Y)
    with pytest.raises(InputError, match=r"Column 'colour' holds numbers .* but at fit it held text"):
        model.predict(TABLE.assign(colour=codes))
    by_codes = regressor(epochs=1, categorical_features=["colour"]).fit(TABLE.assign(colour=codes), Y)
    for dtype in ("int8", "float64", "bool"):
        np.testing.assert_array_equal(
            by_codes.predict(TABLE.assign(colour=codes.astype(dtype))),
            by_codes.predict(TABLE.assign(colour=codes)),
        )


# ── Rows ──


def test_rows_where_all_is_missing_are_predicted():
    table = TABLE.copy()
    table.loc[:19, :] = np.nan
    model = regressor().fit(table, Y)
    predicted = model.predict(table)
    assert np.isfinite(predicted).all()
    assert np.ptp(predicted[:20]) == 0
    assert Y.min() < predicted[0] < Y.max()
    seen_none = regressor().fit(TABLE, Y)  # nothing was missing at the fit
    assert np.isfinite(seen_none.predict(table)).all()


def test_one_row_is_too_few():
    with pytest.raises(InputError, match=r"No column says anything about the rows \(n_samples=1\)"):
        regressor().fit(X[:1], [1])
    with pytest.raises(InputError, match="y has only one class, 1: a classifier needs at least two"):
        classifier().fit(X[:1], [1])


@pytest.mark.parametrize("n_rows", [2, 3, 5, 9])
@pytest.mark.parametrize("preset", ["fast", "default", "best"])
def test_a_handful_of_rows_is_enough(n_rows, preset):
    model = regressor(preset=preset, n_members=None, epochs=3).fit(X[:n_rows], Y[:n_rows])
    assert np.isfinite(model.predict(NEW)).all()
    y = ["a", "b", "c"] * 3
    probabilities = (
        classifier(preset=preset, n_members=None, epochs=3).fit(X[:n_rows], y[:n_rows]).predict_proba(NEW)
    )
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("n_rare", [1, 3])
@pytest.mark.parametrize(
    "settings", [{}, {"metric": "auc"}, {"class_weight": "balanced"}, {"metric": "error"}]
)
def test_a_class_of_so_few_rows_is_learned_with_the_others(n_rare, settings):
    y = np.where(X[:, 0] > 0, "much", "little").astype(object)
    y[:n_rare] = "rare"
    model = classifier(**settings).fit(X, y)
    assert model.classes_.tolist() == ["little", "much", "rare"]
    probabilities = model.predict_proba(X)
    assert np.isfinite(model.predict_log_proba(X)).all()
    assert (probabilities[:, 2] > 0).all()
    assert np.mean(model.predict(X) == y) > 0.85


# ── The target ──


def test_a_target_with_missing_values_is_an_error_that_names_them():
    y = Y.copy()
    y[[3, 7]] = np.nan
    for missing in (y, pd.Series(y), pl.Series(y.tolist()), [None if v != v else v for v in y.tolist()]):  # noqa: PLR0124 (NaN)
        with pytest.raises(
            InputError, match=r"y has 2 rows that are missing .*\(rows 3, 7, counted from 0\)"
        ):
            regressor().fit(X, missing)


UNITS = {
    "times 1e6": (lambda y: y * 1e6, lambda z: z * 1e-6),
    "plus 1e6": (lambda y: y + 1e6, lambda z: z - 1e6),
    "times 1e30, float32": (lambda y: (y * 1e30).astype(np.float32), lambda z: z * 1e-30),
    "times 1e-30, float32": (lambda y: (y * 1e-30).astype(np.float32), lambda z: z * 1e30),
    "times 1e100": (lambda y: y * 1e100, lambda z: z * 1e-100),
}
LOCATION_LIKELIHOODS = ("normal", "normal_with_variance", "student_t", "laplace", "huber", "quantile")


@pytest.mark.parametrize("likelihood", LOCATION_LIKELIHOODS)
@pytest.mark.parametrize("name", UNITS)
def test_the_units_of_y_do_not_matter(name, likelihood):
    to, back = UNITS[name]
    model = regressor(likelihood=likelihood).fit(X, to(Y))
    plain = regressor(likelihood=likelihood).fit(X, Y)
    np.testing.assert_allclose(back(model.predict(NEW)), plain.predict(NEW), rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(
        back(model.predict_interval(NEW)), plain.predict_interval(NEW), rtol=1e-2, atol=1e-2
    )


# Of each likelihood with a log link, what is an error; all else is learned.
AMOUNTS = np.ceil(5 * np.exp(0.5 * Y))
SIZES = {
    "times 1e3": lambda y: y * 1e3,
    "times 1e6": lambda y: y * 1e6,
    "plus 1e6": lambda y: y + 1e6,
    "times 1e30, float32": lambda y: (y * 1e30).astype(np.float32),
    "times 1e-5": lambda y: y * 1e-5,
    "times 1e-30, float32": lambda y: (y * 1e-30).astype(np.float32),
    "times 1e100": lambda y: y * 1e100,
    "times 1e-100": lambda y: y * 1e-100,
}
TOO_LARGE = {
    "poisson": ("times 1e30, float32", "times 1e100"),
    "negative_binomial": ("times 1e6", "times 1e30, float32", "times 1e100"),
    "gamma": ("times 1e100",),
    "tweedie": ("times 1e100",),
    "weibull": ("times 1e100",),
}
TOO_SMALL = {
    "poisson": ("times 1e-30, float32", "times 1e-100"),
    "negative_binomial": ("times 1e-30, float32", "times 1e-100"),
    "gamma": ("times 1e-100",),
    "tweedie": ("times 1e-30, float32", "times 1e-100"),
    "weibull": ("times 1e-100",),
}


def test_every_likelihood_has_its_sizes():
    assert {*LOCATION_LIKELIHOODS, *TOO_LARGE, *FOR_CLASSES} == set(cr.likelihoods.LIKELIHOODS)


@pytest.mark.parametrize("likelihood", TOO_LARGE)
@pytest.mark.parametrize("name", SIZES)
def test_amounts_of_any_size_are_learned_or_a_clear_error(likelihood, name):
    amounts = np.where(AMOUNTS > 1e3, 1e3, AMOUNTS)
    y = SIZES[name](amounts)
    target = np.column_stack([y, np.ones(N)]) if likelihood == "weibull" else y
    model = regressor(likelihood=likelihood, epochs=40)
    for sizes, text in ((TOO_LARGE, "larger units, such as thousands"), (TOO_SMALL, "can be computed for y")):
        if name in sizes[likelihood]:
            with pytest.raises(InputError, match=text) as error:
                model.fit(X, target)
            assert ("'gamma' or 'tweedie'" in str(error.value)) == (
                likelihood in ("poisson", "negative_binomial")
            )
            return
    predicted = model.fit(X, target).predict(X)
    assert np.median(np.abs(np.log(predicted / y))) < 0.3
    if likelihood == "weibull":
        return
    if name == "times 1e-5" and likelihood in ("poisson", "negative_binomial"):
        with pytest.raises(InputError, match="y had numbers that are not whole"):
            model.predict_interval(X, 0.8)
        return
    lower, upper = model.predict_interval(X, 0.8).T
    assert np.mean((lower <= y) & (y <= upper)) > 0.6


@pytest.mark.parametrize("factor", [1e30, 1e100])
def test_counts_that_are_too_large_are_no_counts(factor):
    model = regressor(epochs=1).fit(X, factor * np.floor(np.abs(3 * X[:, 0])))
    assert model.network_.likelihood.name == "normal"


# ── The table ──


def test_one_column_at_1e9_hides_nothing():
    model = regressor().fit(X, Y)
    for spoiled, new in (
        (X * [1, 1, 1e9], NEW * [1, 1, 1e9]),
        (X + np.array([0, 0, 1e9]), NEW + np.array([0, 0, 1e9])),
        (np.vstack([[0.0, 0.0, 1e9], X[1:]]), NEW),
    ):
        other = regressor().fit(spoiled, Y)
        errors = [
            np.sqrt(np.mean((m.predict(rows) - EXPECTED) ** 2)) for m, rows in ((model, NEW), (other, new))
        ]
        assert errors[1] < 1.25 * errors[0]


@pytest.mark.parametrize("far", [1e3, 1e9, 1e300, np.inf])
def test_far_outside_predictions_do_not_run_away(far):
    model = regressor(n_members=4).fit(X, Y)
    for sign in (-1, 1):
        predicted = model.predict(np.full((1, 3), sign * far))
        assert Y.min() - 2 * np.ptp(Y) < predicted[0] < Y.max() + 2 * np.ptp(Y)


def test_10_000_columns():
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(60, 10_000))
    wide[:, 17] *= 1e4
    model = regressor(preset="fast", epochs=2, hidden=(8,)).fit(wide, wide[:, 0])
    assert model.encoder_.n_inputs == 10_000  # so many columns get no ramps
    assert np.isfinite(model.predict(wide)).all()


@pytest.mark.parametrize("n_categories", [65, 20_000])
def test_a_column_of_many_categories(n_categories):
    rng = np.random.default_rng(2)
    worth = rng.normal(size=n_categories)
    codes = np.minimum(rng.zipf(1.3, 20_000) - 1, n_categories - 1)
    table = pd.DataFrame({"who": [f"person {k}" for k in codes], "a": rng.normal(size=20_000)})
    y = worth[codes] + 0.1 * rng.normal(size=20_000)
    model = regressor(hidden=(32,), epochs=4, preset="fast").fit(table[:15_000], y[:15_000])
    assert model.score(table[15_000:], y[15_000:]) > 0.4
    assert model.encoder_.n_inputs < 400
    unseen = model.predict(table[:5].assign(who="nobody"))
    assert np.isfinite(unseen).all()


# ── Kinds of targets ──


@pytest.mark.parametrize(
    "make",
    [
        lambda y: [Decimal(value) for value in y],
        lambda y: pd.Series([Decimal(value) for value in y]),
        lambda y: pl.Series([Decimal(value) for value in y], dtype=pl.Decimal(30, 20)),
        lambda y: pa.array([Decimal(value) for value in y], pa.decimal128(38, 20)),
        lambda y: [Fraction(value) for value in y],
        lambda y: pd.Series(y, dtype=object),
    ],
)
def test_numbers_of_any_type_are_a_target(make):
    y = np.round(8 * Y) / 8
    expected = regressor(epochs=2).fit(X, y).predict(NEW)
    np.testing.assert_array_equal(regressor(epochs=2).fit(X, make(y.tolist())).predict(NEW), expected)


@pytest.mark.parametrize(
    "make", [list, lambda y: pl.Series(y, dtype=pl.Int128), lambda y: np.array(y, object)]
)
def test_whole_numbers_of_any_size_are_a_target(make):
    y = [10**25 + int(value * 10**23) for value in Y]
    expected = regressor(epochs=2).fit(X, np.array(y, dtype=float)).predict(NEW)
    np.testing.assert_allclose(regressor(epochs=2).fit(X, make(y)).predict(NEW), expected, rtol=1e-12)


TEXTS = {
    "list": list,
    "object": lambda y: np.array(y, dtype=object),
    "pandas": pd.Series,
    "categorical": pd.Categorical,
    "polars": pl.Series,
    "pyarrow": pa.array,
    "column": lambda y: np.array(y)[:, None],
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_no_number(name):
    y = TEXTS[name](["few", "many"] * (N // 2))
    with pytest.raises(
        InputError, match=r"y holds text \(the first value is 'few'\): regression needs numbers"
    ):
        regressor().fit(X, y)
    assert set(classifier(epochs=1).fit(X, y).predict(X)) <= {"few", "many"}


WRONG_TARGETS = {
    "two columns of text": (classifier, np.array([["a", "b"]] * N), "and not only 0 and 1 in it"),
    "too large": (regressor, [10**400] * N, "y has a number that float64 cannot hold"),
    "dates": (regressor, pd.date_range("2020-01-01", periods=N), "y has the dtype datetime64"),
    "durations": (regressor, pd.to_timedelta(np.arange(N), unit="h"), "y has the dtype timedelta64"),
    "bytes": (classifier, [b"a", b"b"] * (N // 2), "must hold numbers, booleans or text"),
    "lists": (regressor, pd.Series([[1, 2]] * N), "y "),
    "nothing": (regressor, None, "y is None"),
    "too few": (regressor, Y[:-1], "Each row needs its target"),
    "numbers beside text": (classifier, ["a", 1] * (N // 2), r"mixes values of different types \(int, str\)"),
    "a name twice": (regressor, pd.DataFrame(np.c_[Y, Y], columns=["y", "y"]), "y have the same name"),
}


@pytest.mark.parametrize("name", WRONG_TARGETS)
def test_what_is_no_target_is_a_clear_error(name):
    kind, y, text = WRONG_TARGETS[name]
    with pytest.raises(InputError, match=text):
        kind().fit(X, y)


# ── Parameters, and what stands beside the rows ──

WRONG_BESIDE = {
    "likelihood": (regressor, {"likelihood": "bernoulli"}, {}, "is for classes"),
    "layers": (regressor, {"hidden": [0]}, {}, "units must be a whole number of at least 1"),
    "metric": (regressor, {"metric": "auc"}, {}, "'auc' does not fit a regression.* choose 'rmse'"),
    "metric of numbers": (classifier, {"metric": "mae"}, {}, "does not fit a classification"),
    "a class that is not there": (classifier, {"class_weight": {True: 1, "z": 3}}, {}, "does not fit the cl"),
    "a weight of text": (classifier, {"class_weight": {True: "x"}}, {}, "finite numbers ≥ 0"),
    "a weight of lists": (classifier, {"class_weight": {True: [1, 2]}}, {}, "finite numbers ≥ 0"),
    "a weight below 0": (classifier, {"class_weight": {True: -1}}, {}, "finite numbers ≥ 0"),
    "a weight of NaN": (classifier, {"class_weight": {True: np.nan}}, {}, "finite numbers ≥ 0"),
    "weights of 0": (classifier, {"class_weight": {True: 0, False: 0}}, {}, "is 0 for every class"),
    "sample_weight": (regressor, {}, {"sample_weight": np.ones(N - 1)}, r"must have the shape \(240,\)"),
    "one group": (regressor, {}, {"groups": [1] * N}, "groups has one group"),
    "groups": (regressor, {}, {"groups": list(range(N + 1))}, "groups has 241 entries"),
    "a single offset": (regressor, {}, {"offset": 1.0}, "offset must have the shape"),
    "a missing offset": (regressor, {}, {"offset": [np.nan] * N}, "offset must hold finite numbers"),
    "an infinite offset": (regressor, {}, {"offset": [np.inf] * N}, "offset must hold finite numbers"),
    "an exposure of a location": (regressor, {}, {"exposure": np.ones(N)}, "has no exposure"),
}


@pytest.mark.parametrize("name", WRONG_BESIDE)
def test_what_does_not_fit_the_target_is_told_before_the_table_is_read(name, monkeypatch):
    kind, settings, beside, text = WRONG_BESIDE[name]
    monkeypatch.setattr(TableEncoder, "fit", lambda *_: pytest.fail("the table was read"))
    with pytest.raises(InputError, match=text):
        kind(**settings).fit(X, Y > 0 if kind is classifier else Y, **beside)


@pytest.mark.parametrize("make", [list, pd.Series, pl.Series, pa.array])
@pytest.mark.parametrize("kind", [regressor, classifier])
def test_a_score_takes_every_kind_of_target_and_needs_one_for_each_row(kind, make):
    y = np.where(Y > 0, "much", "little").tolist() if kind is classifier else Y.tolist()
    model = kind(epochs=1).fit(X, y)
    assert model.score(X, make(y)) == model.score(X, np.array(y))
    for ask in (model.score, model.nll):
        with pytest.raises(InputError, match=r"X has 240 rows and y has 239: .* Each row needs its target"):
            ask(X, make(y[:-1]))
        with pytest.raises(InputError, match="y has 1 row that is missing"):
            ask(X, make([None, *y[1:]]))


# ── What has no likelihood ──


def test_counts_that_are_not_whole_have_no_probability():
    model = regressor(likelihood="poisson").fit(X, np.arange(len(X)) % 4)
    y = np.zeros(len(X))
    y[[2, 5]] = 0.5
    with pytest.raises(InputError, match=r"not whole \(rows 2, 5, from 0\)"):
        model.nll(X, y)


def test_times_without_an_event_say_nothing_about_it():
    y = np.column_stack([np.arange(1.0, len(X) + 1), np.zeros(len(X))])
    with pytest.raises(InputError, match="y has no event"):
        regressor(likelihood="weibull").fit(X, y)


def test_a_likelihood_that_does_not_fit_says_what_it_takes():
    with pytest.raises(InputError, match="two, a time and whether the event came"):
        regressor(likelihood="weibull").fit(X, Y)
    with pytest.raises(InputError, match="make it with n_outputs=1"):
        regressor(likelihood=cr.likelihoods.Poisson(2)).fit(X, np.arange(len(X)) % 4)
    with pytest.raises(InputError, match="class_weight must hold"):
        cr.likelihoods.Categorical(3, class_weight=5)


def test_a_class_is_no_likelihood_of_a_model_file(tmp_path):
    model = regressor().fit(X, Y)
    model.save(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="must be an object"):
        cr.load(tmp_path / "model.safetensors", likelihood=cr.likelihoods.Normal)
