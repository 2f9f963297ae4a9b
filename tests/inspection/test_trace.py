"""trace: against the engines' own passes, finite differences of the loss, and the notes' network by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.exceptions import NotFittedError

import chainrule as cr
from chainrule.architecture import ACTIVATIONS
from chainrule.inspection.text import named

SHARE_OF_SLOPE = 0.25
ONE_MEMBER = {"n_members": 1} if "n_members" in cr.TabularRegressor().get_params() else {}
HIDDEN = [
    (),
    (cr.Dense(4, "tanh"),),
    (cr.Dense(5, "mish"), cr.Dropout(0.3), cr.Dense(3, "sigmoid", bias=False)),
]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 120
    return pd.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, rng.normal(100, 30, n)),
            "rooms": rng.integers(1, 9, n),
            "colour": rng.choice(["red", "green", "blue"], n),
            "old": rng.random(n) < 0.4,
            "day": pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 500 * 24, n), "h"),
            "constant": 1,
        }
    )


@pytest.fixture(scope="module")
def target(table):
    return (table["size"].fillna(90) + 40 * (table["colour"] == "red")).rename("price")


@pytest.fixture(scope="module")
def regressor(table, target):
    return cr.TabularRegressor(hidden=(8, 4), epochs=3, random_state=0, n_members=1).fit(table, target)


def traced_and_problem(make_problem, likelihood, hidden, outputs=1):
    problem = make_problem(likelihood, hidden, outputs=outputs, n_rows=1)
    y = problem.y[0] if problem.y.shape[1] > 1 else problem.y[0, 0]
    return cr.trace(problem.network, problem.X[0], y, theta=problem.theta), problem


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("hidden", HIDDEN, ids=["linear", "one", "two"])
def test_every_number_is_that_of_the_engines(make_problem, engine, case, hidden, outputs):
    traced, problem = traced_and_problem(make_problem, case, hidden, outputs)
    network, theta, X, y = problem.network, problem.theta, problem.X, problem.y
    loss, gradient = network.loss_and_gradient(theta, X, y, engine=engine)
    _, gradient_x = network.loss_and_input_gradient(theta, X, y, engine=engine)
    assert traced.loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(traced.gradient, gradient, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(traced.gradient_x, gradient_x[0], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(traced.logits, network.forward(theta, X, engine=engine)[0], rtol=1e-11)
    np.testing.assert_allclose(traced.prediction, network.predict(theta, X, engine=engine)[0], rtol=1e-11)
    np.testing.assert_allclose(
        traced.theta_after, theta - traced.learning_rate * gradient, rtol=1e-10, atol=1e-13
    )
    assert traced.loss_after == pytest.approx(
        network.loss(traced.theta_after, X, y, engine=engine), rel=1e-11
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_error_signal_and_gradient_is_a_difference_of_the_loss(make_problem, case, activation):
    """The upper part of the network, from s_l or h_l on, as a function that NumPy computes here."""
    traced, _ = traced_and_problem(make_problem, case, (cr.Dense(4, activation), cr.Dense(3, activation)), 3)
    r = ACTIVATIONS[activation].r

    def loss_from(level, s=None, h=None):
        h = r(s) if h is None else h
        for layer in traced.layers[level:]:
            s = layer.weight @ h + (0 if layer.bias is None else layer.bias)
            h = s if layer.number == len(traced.layers) else r(s)
        z = traced.likelihood.extended(h[None], traced.scales)
        return float(traced.likelihood.loss_and_gradient(z, traced.target.y[None])[0][0])

    for layer in traced.layers[:-1]:
        step = 1e-5 * np.eye(len(layer.s))
        for given, found in (("s", layer.delta), ("h", layer.gradient_h)):
            at = getattr(layer, given)
            differences = [
                (loss_from(layer.number, **{given: at + h}) - loss_from(layer.number, **{given: at - h}))
                / 2e-5
                for h in step
            ]
            np.testing.assert_allclose(found, differences, rtol=1e-6, atol=1e-8)


def test_the_lines_are_numbered_and_follow_from_those_before(make_problem, case):
    traced, _ = traced_and_problem(make_problem, case, (cr.Dense(4, "tanh"), cr.Dense(3, "relu")))
    lines = {line.symbol: line for line in traced.quantities()}
    values = {symbol: line.values for symbol, line in lines.items()}
    numbers = {line.equation for line in lines.values()} - {""}
    assert {"N1", "N2", "N9", "N10", "N11", "N12", "N13"} < numbers
    assert numbers & {f"N{k}" for k in (5, 6, 7, 8, *range(15, 25))}
    assert ("N14" in numbers) == (len(traced.scales) > 0)
    w_3 = traced.layers[2].weight
    np.testing.assert_allclose(
        values["s_1"], traced.layers[0].weight @ values["x"] + traced.layers[0].bias
    )  # N1
    np.testing.assert_allclose(values["h_1"], np.tanh(values["s_1"]))  # N2
    np.testing.assert_allclose(values["∂loss/∂h_2"], w_3.T @ values["−e"])  # N10
    np.testing.assert_allclose(values["δ_2"], (values["s_2"] > 0) * values["∂loss/∂h_2"])  # N9
    np.testing.assert_allclose(values["∂loss/∂w_2"], np.outer(values["δ_2"], values["h_1"]))  # N11
    np.testing.assert_allclose(values["∂loss/∂b_2"], values["δ_2"])  # N12
    printed = str(traced)
    for line in lines.values():
        assert f" {line.symbol} " in printed


def test_the_step_makes_the_loss_fall_and_a_longer_one_would_not_keep_its_promise(make_problem, case):
    traced, problem = traced_and_problem(make_problem, case, (cr.Dense(5, "tanh"),))
    promise = traced.gradient @ traced.gradient
    assert traced.loss - traced.loss_after >= SHARE_OF_SLOPE * traced.learning_rate * promise > 0
    if traced.learning_rate < 1:
        mantissa = float(f"{traced.learning_rate:e}"[0])
        longer = traced.learning_rate * {1: 2, 2: 2.5, 5: 2}[mantissa]
        loss = problem.network.loss(problem.theta - longer * traced.gradient, problem.X, problem.y)
        assert not traced.loss - loss >= SHARE_OF_SLOPE * longer * promise
    given = cr.trace(problem.network, problem.X[0], problem.y[0], theta=problem.theta, learning_rate=0.125)
    assert given.learning_rate == 0.125
    np.testing.assert_allclose(given.theta_after, problem.theta - 0.125 * traced.gradient)


def rows_of(table, k):
    """One row in every form that a person may have."""
    one = table.iloc[[k]]
    return {
        "pandas": one,
        "series": table.iloc[k],
        "mapping": one.to_dict("records")[0],
        "polars": pl.from_pandas(one),
        "pyarrow": pa.Table.from_pandas(one, preserve_index=False),
        "list": list(table.iloc[k]),
    }


@pytest.mark.parametrize("k", [0, 5])
@pytest.mark.parametrize("form", ["pandas", "series", "mapping", "polars", "pyarrow", "list"])
def test_a_tabular_model_takes_a_row_in_any_form(regressor, table, target, form, k):
    traced = cr.trace(regressor, rows_of(table, k)[form], target[k])
    np.testing.assert_array_equal(traced.x, regressor.encoder_.transform(table.iloc[[k]], dtype="float64")[0])
    assert traced.predicted == pytest.approx(regressor.predict(table.iloc[[k]])[0], rel=1e-5)
    assert traced.input_names == regressor.encoder_.input_names
    assert [column.name for column in traced.columns] == list(table.columns)
    assert traced.columns[-1].kind == "dropped"
    assert len(traced.columns[-1].inputs) == 0
    assert traced.target.name == "price"
    assert traced.columns[2].value == table["colour"][k]
    assert f"price is {target[k]:.6g}" in str(traced)


def test_a_missing_cell_is_none_and_is_called_missing(regressor, table, target):
    k = int(np.flatnonzero(table["size"].isna())[0])
    traced = cr.trace(regressor, table.iloc[k], target[k])
    assert traced.columns[0].value is None
    assert "missing" in str(traced).splitlines()[1]


def own_probability(model, row, label):
    """What the network itself says, without the model's temperature."""
    temperature = getattr(model, "temperature_", None)
    if temperature is not None:
        assert temperature != 1
        model.temperature_ = 1.0
    p = model.predict_proba(row)[0, list(model.classes_).index(label)]
    if temperature is not None:
        model.temperature_ = temperature
    return p


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 4])
def test_classifiers_are_traced_to_the_class_that_they_predict(table, target, classes):
    labels = np.array(["a", "b", "c", "d"])[
        np.digitize(target, np.quantile(target, [0.4, 0.6, 0.8])) % classes
    ]
    for model, X in (
        (cr.TabularClassifier(hidden=(6,), epochs=3, random_state=0, n_members=1), table),
        (
            cr.MLPClassifier([6], solver="lbfgs", max_iter=20, random_state=0),
            table[["rooms", "old"]].astype(float),
        ),
    ):
        model.fit(X, labels)
        for k in range(5):
            traced = cr.trace(model, X.iloc[[k]], labels[k])
            assert traced.predicted == model.predict(X.iloc[[k]])[0]
            assert traced.target.classes == tuple(model.classes_)
            p = model.predict_proba(X.iloc[[k]])[0]
            np.testing.assert_allclose(traced.calibrated, p[-len(traced.calibrated) :], rtol=1e-4, atol=1e-7)
            assert traced.loss == pytest.approx(
                -np.log(own_probability(model, X.iloc[[k]], labels[k])), rel=1e-4
            )


def test_several_labels_and_several_numbers():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 3))
    labels, numbers = (X[:, :2] > 0).astype(int), X[:, :2] @ rng.normal(size=(2, 2))
    classifier = cr.TabularClassifier(hidden=(4,), epochs=3, random_state=0, n_members=1).fit(X, labels)
    assert cr.trace(classifier, X[0], labels[0]).predicted == tuple(classifier.predict(X[:1])[0].tolist())
    regressor = cr.TabularRegressor(hidden=(4,), epochs=3, random_state=0, n_members=1).fit(X, numbers)
    assert cr.trace(regressor, X[0], numbers[0]).predicted == pytest.approx(
        tuple(regressor.predict(X[:1])[0]), rel=1e-4
    )


def test_each_member_is_traced_with_its_own_parameters(table, target):
    model = cr.TabularRegressor(hidden=(4,), epochs=2, random_state=0, **ONE_MEMBER).fit(table, target)
    (first,) = model.members_
    model.members_ = (first, replace(first, theta=2 * first.theta), replace(first, theta=-first.theta))
    for member, theta in enumerate(one.theta for one in model.members_):
        traced = cr.trace(model, table.iloc[0], target[0], member=member)
        alone = cr.trace(model.network_, traced.x, traced.target.y[0], theta=theta)
        np.testing.assert_array_equal(traced.gradient, alone.gradient)
        assert f"This is member {member} of 3" in str(traced)
    with pytest.raises(cr.InputError, match="there are 3; give a whole number from 0 to 2"):
        cr.trace(model, table.iloc[0], target[0], member=3)
    model.members_ = (first,)
    with pytest.raises(cr.InputError, match="there is one member, 0"):
        cr.trace(model, table.iloc[0], target[0], member=1)


def of_three_members(model):
    """A fitted model of one member, with two more that say something else."""
    (first,) = model.members_
    model.members_ = (first, replace(first, theta=2 * first.theta), replace(first, theta=-first.theta))
    return model


def test_the_trace_says_what_the_model_makes_of_its_members(table, target):
    """The log link tells the mean of the means from the mean of the logits."""
    row, n = table.iloc[[0]], 3
    counts = cr.TabularRegressor(hidden=(4,), epochs=2, random_state=0, n_members=1, likelihood="poisson")
    counts = of_three_members(counts.fit(table, target.round()))
    traces = [cr.trace(counts, row, target.round()[0], member=k) for k in range(n)]
    assert "the model predicts the mean of what they predict." in str(traces[0])
    together = np.mean([traced.predicted for traced in traces])
    assert counts.predict(row)[0] == pytest.approx(together, rel=1e-5)
    large = np.where(target > target.median(), "large", "small")
    classes = cr.TabularClassifier(hidden=(4,), epochs=2, random_state=0, n_members=1)
    classes = of_three_members(classes.fit(table, large))
    traces = [cr.trace(classes, row, large[0], member=k) for k in range(n)]
    assert "the model predicts from the mean of their logits." in str(traces[0])
    logit = np.mean([traced.logits for traced in traces]) / traces[0].target.temperature
    assert classes.predict_proba(row)[0, 1] == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-5)
    assert cr.trace(classes.network_, traces[0].x, 1, theta=classes.theta_).about_member == ""


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ([], "left out"),
        ([0, 0.5], "x0: 0  x1: 0.5"),
        ([0, 1, 0, 0], "x1: 1  (3 more are 0)"),
        ([0, 0, 0], "(3 are 0)"),
        ([1, 0.5, 0, -0.5, -0.5, 0], "x0: 1  x1: 0.5  x3: −0.5  (3 more)"),
    ],
)
def test_a_column_of_many_inputs_stays_a_short_line(inputs, text):
    assert named([f"x{k}" for k in range(len(inputs))], np.array(inputs)) == text


@pytest.mark.parametrize("outputs", [1, 3])
def test_an_offset_moves_the_logits_and_the_loss_answers(make_problem, case, outputs):
    problem = make_problem(case, (cr.Dense(4, "tanh"),), outputs=outputs, n_rows=1)
    network, theta, X, y = problem.network, problem.theta, problem.X, problem.y
    offset = np.linspace(0.5, -0.4, network.likelihood.n_locations)
    given = y[0] if y.shape[1] > 1 else y[0, 0]
    traced = cr.trace(network, X[0], given, theta=theta, offset=offset)
    loss, gradient = network.loss_and_gradient(theta, X, y, offset=offset[None])
    assert traced.loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(traced.gradient, gradient, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(traced.logits, network.forward(theta, X, offset=offset[None])[0], rtol=1e-12)
    after = network.loss(traced.theta_after, X, y, offset=offset[None])
    assert traced.loss_after == pytest.approx(after, rel=1e-12)
    assert "the offset, from offset = " in str(traced)


def test_the_exposure_of_a_model_is_that_of_its_predictions(table, target):
    rng = np.random.default_rng(0)
    years = pd.Series(rng.uniform(0.2, 4, len(table)), name="years")
    calls = rng.poisson(years * (1 + (table["colour"] == "red")))
    model = cr.TabularRegressor(likelihood="poisson", hidden=(4,), epochs=3, random_state=0, n_members=1)
    model.fit(table, calls, exposure=years)
    for k in range(5):
        traced = cr.trace(model, table.iloc[[k]], calls[k], exposure=years[k])
        assert traced.predicted == pytest.approx(
            model.predict(table[k : k + 1], exposure=years[[k]])[0], rel=1e-5
        )
        assert traced.row.beside == ("years", years[k])
    scaled = cr.TabularRegressor(hidden=(4,), epochs=3, random_state=0, n_members=1)
    scaled.fit(table, target, offset=years)
    traced = cr.trace(scaled, table.iloc[[0]], target[0], offset=years[0])
    assert traced.predicted == pytest.approx(scaled.predict(table[:1], offset=years[:1])[0], rel=1e-5)


def test_the_network_without_its_scale_is_traced():
    net = cr.Network(3, [cr.Scale(), 4], likelihood=cr.likelihoods.Normal())
    theta = np.random.default_rng(0).normal(size=net.n_parameters)
    row = np.array([1.0, -2.0, 0.5])
    with pytest.raises(cr.InputError, match=r"has a Scale, which is not drawn: .*folded\(theta\)"):
        cr.trace(net, row, 0.5, theta=theta)
    plain, folded = net.folded(theta)
    traced = cr.trace(plain, row, 0.5, theta=folded)
    assert traced.loss == pytest.approx(net.loss(theta, row[None], [0.5]), rel=1e-12)
    _, G = net.loss_and_input_gradient(theta, row[None], [0.5])
    np.testing.assert_allclose(traced.gradient_x, G[0], rtol=1e-11)


BAD = [
    (lambda net, _: cr.trace(net, [1.0, 2.0, 3.0], 0.5), "theta is missing"),
    (lambda net, t: cr.trace(net, [1.0, 2.0], 0.5, theta=t), r"shape \(n_rows, 3\)"),
    (lambda net, t: cr.trace(net, [[1.0, 2.0, 3.0]] * 2, 0.5, theta=t), "row has 2 rows"),
    (lambda net, t: cr.trace(net, [1.0, np.nan, 3.0], 0.5, theta=t), "NaN or infinite"),
    (lambda net, t: cr.trace(net, ["a", "b", "c"], 0.5, theta=t), "row must hold numbers"),
    (lambda net, t: cr.trace(net, [1.0, 2.0, 3.0], [0.5, 1.0], theta=t), "must have the shape"),
    (lambda net, t: cr.trace(net, [1.0, 2.0, 3.0], 0.5, theta=t[:-1]), "theta must be"),
    (lambda net, t: cr.trace(net, [1.0, 2.0, 3.0], 0.5, theta=t, learning_rate=0.0), "learning_rate"),
    (lambda net, t: cr.trace(net, [1e200, 2.0, 3.0], 0.5, theta=t), "loss of this row is inf"),
    (lambda *_: cr.trace("net", [1.0], 0.5), "model is a str"),
    (lambda net, t: cr.trace(net, [1.0, 2.0, 3.0], 0.5, theta=t, exposure=2.0), "has no exposure"),
    (lambda net, t: cr.trace(net, [1.0, 2.0, 3.0], 0.5, theta=t, offset=np.nan), "offset must hold finite"),
    (lambda net, t: cr.trace(net, [1.0, 2.0, 3.0], 0.5, theta=t, offset=[[1.0], [2.0]]), "offset of one row"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_what_cannot_be_traced_is_an_error_that_says_why(call, message):
    net = cr.Network(3, likelihood=cr.likelihoods.Normal())
    with pytest.raises(cr.InputError, match=message):
        call(net, np.ones(4))


def test_rows_that_do_not_fit_a_model_are_errors(regressor, table, target):
    with pytest.raises(cr.InputError, match="row lacks 1 of the model's columns: 'rooms'"):
        cr.trace(regressor, table.iloc[0].drop("rooms"), target[0])
    with pytest.raises(cr.InputError, match="row has 2 rows"):
        cr.trace(regressor, table.iloc[:2], target[0])
    with pytest.raises(cr.InputError, match="expecting 6 features"):
        cr.trace(regressor, [1, 2], target[0])
    with pytest.raises(cr.InputError, match="missing"):
        cr.trace(regressor, table.iloc[0], None)
    with pytest.raises(cr.InputError, match="has its own"):
        cr.trace(regressor, table.iloc[0], 1.0, theta=regressor.theta_)
    with pytest.raises(NotFittedError):
        cr.trace(cr.TabularRegressor(), table.iloc[0], 1.0)
