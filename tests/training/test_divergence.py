"""A loss that is not finite is an error that says why, and never a result."""

import numpy as np
import pytest

from chainrule import Dense, Network
from chainrule.errors import DivergenceError, InputError
from chainrule.likelihoods import Normal, Poisson
from chainrule.optimization import SGD, Adam
from chainrule.training import Metric, Training, train

RNG = np.random.default_rng(13)
X = RNG.normal(size=(64, 3))
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def fit(engine, dtype, X, y, *, likelihood=Normal(), hidden=(Dense(8),), optimizer=Adam(0.01), **given):  # noqa: B008 (frozen)
    network = Network(X.shape[1], hidden, likelihood=likelihood)
    settings = Training(
        optimizer=optimizer, engine=engine, batch_size=16, **{"epochs": 30, **given.pop("settings", {})}
    )
    theta = network.initial_parameters(dtype=dtype)
    return train(network, theta, X.astype(dtype), y.astype(dtype), settings=settings, **given)


@both_dtypes
@pytest.mark.parametrize("validated", [True, False])
def test_a_learning_rate_that_is_too_high(engine, dtype, validated):
    validation = (X.astype(dtype), X[:, 0]) if validated else None
    with pytest.raises(DivergenceError) as caught:
        fit(engine, dtype, X, X[:, 0], optimizer=SGD(50.0), validation=validation)
    text = str(caught.value)
    for part in (
        "The loss is inf in epoch ",
        ", at step ",
        " of 4; no parameters are returned",
        "The largest |X| is ",
        "the largest |y| ",
        "The likely cause: the learning rate 50 is too high: try 5, a WarmUp schedule or clip_norm=1.0",
    ):
        assert part in text
    assert "not scaled" not in text
    assert ("use float64" in text) == (dtype == "float32")


@both_dtypes
def test_inputs_that_are_not_scaled(engine, dtype):
    rows = X * np.array([1, 1e6, 1])
    with pytest.raises(DivergenceError) as caught:
        fit(engine, dtype, rows, X[:, 0], optimizer=SGD(0.1))
    text = str(caught.value)
    assert f"The largest |X| is {np.abs(rows[:, 1]).max():.4g} (column 1)" in text
    assert "The likely cause: the inputs are not scaled" in text
    assert "the target is not scaled" not in text


@both_dtypes
def test_a_target_that_is_not_scaled(engine, dtype):
    y = np.column_stack([X[:, 0], -1e12 * np.abs(X[:, 1])])
    with pytest.raises(DivergenceError) as caught:
        fit(
            engine,
            dtype,
            X,
            y,
            likelihood=Normal(2),
            hidden=[Dense(8), Dense(8), Dense(8)],
            optimizer=SGD(0.1),
        )
    text = str(caught.value)
    assert f"the largest |y| {np.abs(y).max():.4g} (column 1)" in text
    assert "The likely cause: the target is not scaled" in text
    assert "the inputs are not scaled" not in text


@pytest.mark.parametrize(("dtype", "limit"), [("float32", 89), ("float64", 710)])
def test_counts_from_raw_inputs(engine, dtype, limit):
    rows = np.abs(X) * 1e5
    with pytest.raises(DivergenceError, match="inputs are not scaled") as caught:
        fit(engine, dtype, rows, RNG.poisson(3, 64), likelihood=Poisson(), hidden=())
    assert f"e^s overflows above a logit of {limit} in {dtype}" in str(caught.value)


def test_counts_are_not_to_be_scaled(engine):
    with pytest.raises(DivergenceError, match="learning rate") as caught:
        fit(engine, "float32", X, np.full(64, 1e7), likelihood=Poisson(), optimizer=SGD(10.0))
    assert "the largest |y| 1e+07" in str(caught.value)
    assert "not scaled" not in str(caught.value)


@both_dtypes
@pytest.mark.parametrize("n_steps", [1, 2])
def test_what_the_last_step_did_is_looked_at_too(engine, dtype, n_steps):
    # Each loss is of before its step: with one step, none of them shows what came of it.
    rate = {"float32": 1e25, "float64": 1e200}[dtype]
    settings = {"epochs": 1}
    rows = X[: 16 * n_steps]
    with pytest.raises(DivergenceError, match=r"is inf (in epoch 1, at step 2 of 2|after the last step);"):
        fit(engine, dtype, rows, rows[:, 0], hidden=(), optimizer=SGD(rate), settings=settings)


@both_dtypes
def test_a_theta_that_overflows_is_not_returned(engine, dtype):
    with pytest.raises(DivergenceError, match="after the last step"):
        fit(engine, dtype, X[:16], X[:16, 0], optimizer=SGD(1e308), settings={"epochs": 1})


def test_an_infinite_theta_that_a_finite_loss_hides_is_not_returned(engine):
    # s = w_2 relu(w_1 x) + b with w_1 = 1e-160, w_2 = 1e160: the slope in w_1 is 1e160, the one in b is 1.
    # A step of 1e149 takes w_1 to −inf, where the unit is off, and b to −1e149, whose square is finite.
    network = Network(1, [Dense(1, bias=False)], likelihood=Normal())
    theta = np.array([1e-160, 1e160, 0.0])
    settings = Training(optimizer=SGD(1e149), epochs=1, engine=engine)
    with pytest.raises(DivergenceError, match="after the last step"):
        train(network, theta, np.ones((1, 1)), np.zeros(1), settings=settings)


def test_predictions_that_overflow_have_metrics_that_are_no_number(engine):
    # the same rows e^s: 1 in training, beyond float32 in validation
    network = Network(1, likelihood=Poisson())
    records = []
    with pytest.raises(DivergenceError, match="validation rows"):
        train(
            network,
            np.array([1, 0], dtype="float32"),
            np.zeros((4, 1), dtype="float32"),
            np.ones(4),
            settings=Training(epochs=2, engine=engine),
            validation=(np.full((4, 1), 100, dtype="float32"), np.ones(4)),
            metrics=["rmse"],
            callbacks=[lambda report: records.append(report.record)],
        )
    assert [record.train_metrics["rmse"] for record in records] == pytest.approx([0, 0], abs=0.01)
    assert all(np.isnan(record.validation_metrics["rmse"]) for record in records)


@both_dtypes
def test_a_validation_loss_that_is_never_finite(engine, dtype):
    far = X.astype(dtype) * {"float32": 1e30, "float64": 1e200}[dtype]
    with pytest.raises(DivergenceError, match="The loss is inf on the validation rows after each epoch;"):
        fit(engine, dtype, X, X[:, 0], validation=(far, X[:, 0]), settings={"epochs": 2})


def test_an_infinite_validation_loss_is_not_the_best_by_any_metric(engine):
    # At first the squares of the validation rows overflow; the metric would have the first epoch.
    losses = []
    metric = Metric("epochs left", lambda *_: -float(len(losses)), greater_is_better=True)
    network = Network(3, likelihood=Normal())
    near, y = X.astype("float32"), np.zeros(64)
    result = train(
        network,
        np.array([50, 50, 50, 0], dtype="float32"),
        near,
        y,
        settings=Training(optimizer=SGD(0.1), batch_size=64, engine=engine, epochs=40, monitor="epochs left"),
        validation=(near * np.float32(1e18), y),
        metrics=[metric],
        callbacks=[lambda report: losses.append(report.record.validation_loss)],
    )
    finite = np.isfinite(losses)
    assert not finite[0]
    assert finite[-1]
    assert result.best_epoch == finite.argmax() + 1


def test_a_metric_that_is_never_a_number(engine):
    nothing = Metric("nothing", lambda *_: float("nan"))
    with pytest.raises(InputError, match="metric 'nothing' of the validation rows was nan after each epoch"):
        fit(
            engine,
            "float32",
            X,
            X[:, 0],
            validation=(X.astype("float32"), X[:, 0]),
            metrics=[nothing],
            settings={"monitor": "nothing", "epochs": 2},
        )
