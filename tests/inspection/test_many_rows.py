"""Importances and health: against closed forms, loops over rows with other functions, and built networks."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance

import chainrule as cr
from chainrule.inspection import column_importances, health
from chainrule.inspection.batch import encoded_rows


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": rng.normal(size=200),
            "colour": rng.choice(["red", "green", "blue"], 200),
            "constant": 1,
            "b": np.where(rng.random(200) < 0.2, np.nan, rng.normal(size=200)),
        }
    )


@pytest.fixture(scope="module")
def price(frame):
    return 3 * frame["a"] + 2 * (frame["colour"] == "red")


@pytest.fixture(scope="module")
def tabular(frame, price):
    return cr.TabularRegressor(hidden=(8,), epochs=15, random_state=0, n_members=1).fit(frame, price)


@pytest.fixture(scope="module")
def linear():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 3))
    y = X @ [2.0, 0.0, -1.0]
    return (
        cr.MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0.0, tol=1e-10, random_state=0).fit(
            X, y
        ),
        X,
        y,
    )


def test_permuting_a_column_of_a_linear_model_costs_what_the_closed_form_says(linear):
    model, X, y = linear
    found = column_importances(model, X, y, n_repeats=200)
    # E ½ (β (x − x'))² = β² Var x for two independent draws
    np.testing.assert_allclose(found.mean, np.square([2.0, 0.0, -1.0]) * X.var(axis=0), rtol=0.02, atol=1e-9)
    assert found.order.tolist() == [0, 2, 1]
    assert found.values.shape == (3, 200)
    assert found.loss == pytest.approx(0, abs=1e-12)


def test_permutation_agrees_with_scikit_learns_on_the_same_loss(linear):
    model, X, y = linear
    y = y + np.random.default_rng(5).normal(size=len(y))
    theirs = permutation_importance(
        model, X, y, scoring="neg_mean_squared_error", n_repeats=100, random_state=0
    )
    ours = column_importances(model, X, y, n_repeats=100)
    np.testing.assert_allclose(2 * ours.mean, theirs.importances_mean, rtol=0.05, atol=0.02)


def test_columns_of_a_table_move_as_a_whole_and_dropped_ones_have_no_place(tabular, frame, price):
    found = column_importances(tabular, frame, price, n_repeats=3, random_state=7)
    assert found.names == ("a", "colour", "b")
    assert found.names[found.order[0]] == "a"
    rng = np.random.default_rng(7)
    target = tabular.target_.encode(price.to_numpy())
    for k in range(3):
        order = rng.permutation(len(frame))
        for c, name in enumerate(found.names):
            changed = frame.assign(**{name: frame[name].to_numpy()[order]})
            z = (tabular.predict(changed) - tabular.target_.location) / tabular.target_.scale
            loss = 0.5 * np.mean((z - target[:, 0]) ** 2)
            assert found.values[c, k] == pytest.approx(loss - found.loss, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_gradients_are_the_mean_norm_of_each_rows_trace(tabular, frame, price, kind):
    model, y = tabular, price
    if kind == "classifier":
        y = np.digitize(price, [-2, 2])
        model = cr.TabularClassifier(hidden=(6,), epochs=3, random_state=0, n_members=1).fit(frame, y)
    frame, y = frame[:30], np.asarray(y)[:30]
    found = column_importances(model, frame, y, method="gradient")
    norms = np.zeros(3)
    for k in range(30):
        traced = cr.trace(model, frame.iloc[k], y[k])
        parts = np.split(traced.gradient_x, np.cumsum([len(column.inputs) for column in traced.columns])[:-1])
        norms += [np.linalg.norm(part) for part in parts if len(part)]
    np.testing.assert_allclose(found.mean, norms / 30, rtol=1e-4)


@pytest.mark.parametrize("likelihood", ["normal", "poisson", "gamma", "tweedie", "weibull"])
def test_gradients_of_an_ensemble_are_slopes_of_the_loss_of_all_members_together(frame, price, likelihood):
    amounts = np.ceil(np.exp(0.5 * price))
    y = price if likelihood == "normal" else amounts
    if likelihood == "weibull":
        y = np.column_stack([amounts, np.arange(len(price)) % 3 > 0])
    model = cr.TabularRegressor(
        hidden=(5,), epochs=3, random_state=0, n_members=3, likelihood=likelihood, learning_rate=0.05
    )
    rows = encoded_rows(model.fit(frame, y), frame[:20], y[:20])
    slopes = rows.input_gradients()
    for i, j in ((0, 0), (7, 2), (19, rows.X.shape[1] - 1)):
        ends = []
        for step in (-1, 1):
            X = rows.X.copy()
            X[i, j] += np.float32(0.02 * step)
            ends.append((X[i, j].astype(float), 20 * rows.loss(X)))
        (low, below), (high, above) = ends
        assert slopes[i, j] == pytest.approx((above - below) / (high - low), rel=2e-2, abs=2e-4)


def test_an_offset_is_part_of_the_loss_and_of_the_health(frame):
    rng = np.random.default_rng(0)
    years = rng.uniform(0.2, 4, len(frame))
    calls = rng.poisson(years)
    model = cr.TabularRegressor(likelihood="poisson", hidden=(4,), epochs=3, random_state=0, n_members=1)
    model.fit(frame, calls, exposure=years)
    traces = [cr.trace(model, frame.iloc[[k]], calls[k], exposure=years[k]) for k in range(len(frame))]
    found = column_importances(model, frame, calls, exposure=years)
    assert found.loss == pytest.approx(np.mean([traced.loss for traced in traces]), rel=1e-5)
    (_, top) = health(model, frame, calls, exposure=years)
    assert top.delta == pytest.approx(np.sqrt(np.mean([traced.minus_e**2 for traced in traces])), rel=1e-5)


def test_some_columns_alone_have_the_importances_that_they_have_among_all(tabular, frame, price):
    whole = column_importances(tabular, frame, price)
    some = column_importances(tabular, frame, price, columns=["b", "a"])
    assert some.names == ("a", "b")
    assert (some.values == whole.values[[whole.names.index(name) for name in some.names]]).all()
    for names, message in (([], "there is none"), (["a", "constant"], "the network sees no 'constant'")):
        with pytest.raises(cr.InputError, match=message):
            column_importances(tabular, frame, price, columns=names)


def test_the_same_seed_gives_the_same_importances(tabular, frame, price):
    first, again, other = (
        column_importances(tabular, frame, price, random_state=seed).values for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_the_health_of_each_layer_is_that_of_the_traces(tabular, frame, price):
    model = cr.TabularRegressor(
        hidden=(cr.Dense(9, "relu"), cr.Dense(5, "tanh")), epochs=3, random_state=0, n_members=1
    )
    model.fit(frame, price)
    traces = [cr.trace(model, frame.iloc[k], price[k]) for k in range(len(frame))]
    found = health(model, frame, price)
    assert [(layer.number, layer.activation, layer.units) for layer in found] == [
        (1, "relu", 9),
        (2, "tanh", 5),
        (3, "identity", 1),
    ]
    for level, layer in enumerate(found):
        deltas = np.array([traced.layers[level].delta for traced in traces])
        gradient = np.mean([traced.layers[level].gradient_weight for traced in traces], axis=0)
        slopes = np.array([traced.layers[level].slope for traced in traces])
        assert layer.delta == pytest.approx(np.sqrt(np.mean(deltas**2)), rel=1e-6)
        assert layer.gradient == pytest.approx(np.linalg.norm(gradient), rel=1e-6)
        assert layer.weight == pytest.approx(np.linalg.norm(traces[0].layers[level].weight))
        assert layer.dead == (slopes == 0).all(axis=0).sum()
        assert layer.saturated == (pytest.approx((slopes < 0.01).mean()) if layer.activation == "tanh" else 0)


def test_the_health_of_each_member_is_its_own(frame, price):
    model = cr.TabularRegressor(hidden=(5,), epochs=3, random_state=0, n_members=3).fit(frame, price)
    for k, member in enumerate(model.members_):
        first = health(model, frame, price, member=k)[0]
        assert first.weight == pytest.approx(np.linalg.norm(member.network.unpack(member.theta)[0][0]))
    n = model.n_members_  # a kind of members may have weight 0
    assert n > 1
    with pytest.raises(cr.InputError, match=f"there are {n}; give a whole number from 0 to {n - 1}"):
        health(model, frame, price, member=n)


def test_dead_and_saturated_units_are_found():
    X = np.random.default_rng(0).normal(size=(50, 2))
    model = cr.TabularRegressor(
        hidden=(cr.Dense(4, "relu"), cr.Dense(3, "sigmoid")), epochs=1, random_state=0
    )
    model.fit(X, X[:, 0])
    (_, below), (_, above), _ = model.network_.unpack(model.theta_)
    below[:2] = -1000
    above[:] = [0.0, 1000.0, -1000.0]
    first, second, _ = health(model, X, X[:, 0])
    assert first.dead == 2
    assert second.saturated == pytest.approx(2 / 3)


BAD = [
    ({"method": "magic"}, "choose 'permutation' or 'gradient'"),
    ({"n_repeats": 0}, "whole number of at least 1"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_settings_that_cannot_be_used_are_errors(linear, settings, message):
    model, X, y = linear
    with pytest.raises(cr.InputError, match=message):
        column_importances(model, X, y, **settings)


@pytest.mark.parametrize("function", [column_importances, health])
def test_what_is_no_fitted_model_of_these_rows_is_an_error(linear, function):
    model, X, y = linear
    with pytest.raises(cr.InputError, match="model is a str"):
        function("model", X, y)
    with pytest.raises(NotFittedError):
        function(cr.MLPRegressor(), X, y)
    with pytest.raises(cr.InputError, match="500 rows and y has 499"):
        function(model, X, y[:-1])
