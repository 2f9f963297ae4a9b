"""train() by mini-batches: what comes out, whatever the engine does in between."""

import math
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule import Dense, Dropout, Network, Scale
from chainrule.engine import Descent
from chainrule.errors import InputError
from chainrule.likelihoods import Categorical, Normal
from chainrule.optimization import LBFGS, SGD, Adam, AdamW, Cosine, OneCycle, Penalty
from chainrule.training import EpochReport, Metric, Training, run, train
from chainrule.training.batches import epoch_order

both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def some_settings(engine, **given):
    return Training(**{"optimizer": Adam(0.01), "epochs": 6, "batch_size": 8, "engine": engine, **given})


@both_dtypes
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_it_takes_the_steps_of_each_epoch_in_turn(engine, make_task, dtype, shuffle, weighted):
    task = make_task(dtype, hidden=[Dense(6, "tanh"), Dropout(0.2)])
    n_rows, batch_size, epochs, seed = len(task.X), 8, 4, 3
    weight = np.linspace(0.5, 2, n_rows, dtype=dtype) if weighted else None
    optimizer, schedule, penalty = AdamW(0.02, weight_decay=0.1), OneCycle(), Penalty(1e-3)
    result = task.train(
        sample_weight=weight,
        settings=Training(
            optimizer, schedule, epochs, batch_size, penalty, 0.7, True, shuffle, seed=seed, engine=engine
        ),
    )
    # The same, one step at a time.
    text = task.network.engine(engine)
    descent = Descent(task.theta.copy(), optimizer, penalty, 0.7, True, dropout_seed=seed)
    n_steps = -(-n_rows // batch_size)
    counts = np.ones(n_rows) if weight is None else weight
    for epoch, record in enumerate(result.history.epochs):
        order = epoch_order(n_rows, seed, epoch) if shuffle else np.arange(n_rows)
        losses, totals = [], []
        for k in range(n_steps):
            rows = order[k * batch_size : (k + 1) * batch_size]
            rate = optimizer.learning_rate * schedule.factor((epoch * n_steps + k) / (epochs * n_steps))
            y = task.y[:, None]
            losses += text.run_steps(descent, task.X, y, weight, rows, batch_size, np.array([rate])).tolist()
            totals.append(counts[rows].sum())
        assert record.train_loss == pytest.approx(np.average(losses, weights=totals), rel=1e-6)
        assert record.learning_rate == rate
    assert np.array_equal(result.theta, descent.theta)
    assert result.theta.dtype == np.dtype(dtype)
    assert [record.epoch for record in result.history.epochs] == [1, 2, 3, 4]
    assert result.stopped_by == "epochs"
    assert result.best_epoch == epochs
    assert (result.engine, result.n_threads) == (engine, text.n_threads)
    assert (result.history.engine, result.history.n_threads) == (engine, text.n_threads)


@both_dtypes
@pytest.mark.parametrize("cut", ["after each step", "anywhere"])
def test_calls_that_end_early_change_nothing(engine, make_task, interrupted, dtype, cut):
    task = make_task(dtype, hidden=[Dense(6), Dropout(0.3), Dense(4, "tanh"), Dropout(0.1)])
    settings = some_settings(engine, schedule=Cosine(), clip_norm=0.5)
    whole = task.train(settings=settings, validation=task.validation)
    rng = np.random.default_rng(0)
    engines = interrupted(task.network, (lambda _: rng.integers(1, 5)) if cut == "anywhere" else None)
    pieces = task.train(settings=settings, validation=task.validation)
    assert engines[0].n_calls > settings.epochs
    assert np.array_equal(whole.theta, pieces.theta)
    for name, column in whole.history.columns().items():
        assert name == "seconds" or np.array_equal(column, pieces.history.columns()[name])


def test_the_engines_own_early_end_changes_nothing(make_task, monkeypatch, engine):
    task = make_task()
    settings = some_settings(engine)
    whole = task.train(settings=settings)
    monkeypatch.setattr(f"chainrule.engine.{engine}.CALL_SECONDS", -1.0)
    steps = []
    text = task.network.engine(engine, None)
    take = type(text).run_steps

    def run_steps(self, *given, **more):
        losses = take(self, *given, **more)
        steps.append(len(losses))
        return losses

    monkeypatch.setattr(type(text), "run_steps", run_steps)
    pieces = task.train(settings=settings)
    assert len(steps) > settings.epochs
    assert sum(steps) == settings.epochs * 6
    assert np.array_equal(whole.theta, pieces.theta)


@both_dtypes
def test_the_seed_decides_the_bits(engine, make_task, dtype):
    task = make_task(dtype, hidden=[Dense(6), Dropout(0.5)])
    thetas = [task.train(settings=some_settings(engine, seed=seed)).theta for seed in (4, 4, 5)]
    assert np.array_equal(thetas[0], thetas[1])
    assert not np.array_equal(thetas[0], thetas[2])


@both_dtypes
def test_the_number_of_threads_does_not_change_the_bits(make_task, dtype):
    task = make_task(dtype, hidden=[Dense(16), Dropout(0.5), Dense(8)])
    results = [task.train(settings=some_settings("native", n_threads=n)) for n in (1, 2, 4)]
    assert [result.n_threads for result in results] == [1, 2, 4]
    for result in results[1:]:
        assert np.array_equal(result.theta, results[0].theta)


def test_what_the_caller_gave_is_not_changed(engine, make_task):
    task = make_task()
    weight = np.linspace(0, 1, len(task.X), dtype="float32")
    given = [task.theta, task.X, task.y, weight, *task.validation]
    before = [array.copy() for array in given]
    task.train(sample_weight=weight, validation=task.validation, settings=some_settings(engine))
    for array, copy in zip(given, before, strict=True):
        assert np.array_equal(array, copy)


@both_dtypes
@pytest.mark.parametrize("batch_size", [8, 1000])
def test_rows_of_weight_zero_are_as_if_they_were_not_there(engine, make_task, dtype, batch_size):
    task = make_task(dtype)
    rng = np.random.default_rng(0)
    weight = np.where(rng.uniform(size=len(task.X)) < 0.5, 0, rng.uniform(1, 2, len(task.X))).astype(dtype)
    y = np.where(weight > 0, task.y, np.finfo(dtype).max)  # whose loss would be infinite
    settings = some_settings(engine, batch_size=batch_size)
    counted = weight > 0
    X_v, y_v = task.validation
    weight_v = np.where(np.arange(len(y_v)) % 2, 0, 1).astype(dtype)
    with_them = train(
        task.network, task.theta, task.X, y, weight, settings=settings, validation=(X_v, y_v, weight_v)
    )
    without = train(
        task.network,
        task.theta,
        task.X[counted],
        y[counted],
        weight[counted],
        settings=settings,
        validation=(X_v[::2], y_v[::2]),
    )
    assert np.array_equal(with_them.theta, without.theta)
    losses = [result.history.columns()["validation_loss"] for result in (with_them, without)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


@both_dtypes
@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.01)])
def test_a_row_of_weight_k_is_k_rows(engine, make_task, dtype, optimizer):
    task = make_task(dtype)
    times = np.arange(len(task.X)) % 4
    settings = some_settings(engine, optimizer=optimizer, batch_size=10_000)
    weighted = task.train(sample_weight=times, settings=settings)
    rows = np.repeat(np.arange(len(task.X)), times)
    repeated = train(task.network, task.theta, task.X[rows], task.y[rows], settings=settings)
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(weighted.theta, repeated.theta, rtol=0, atol=tolerance)
    losses = [result.history.columns()["train_loss"] for result in (weighted, repeated)]
    np.testing.assert_allclose(*losses, rtol=tolerance)


def keep_thetas():
    """Return a list, and a callback that puts a copy of θ into it after each epoch."""
    thetas = []
    return thetas, lambda report: thetas.append(report.theta.copy())


@both_dtypes
@pytest.mark.parametrize("monitor", ["loss", "mae", "r2"])
def test_the_best_theta_comes_back(engine, make_task, dtype, monitor):
    task = make_task(dtype)
    thetas, keep = keep_thetas()
    result = task.train(
        # a rate so high that the last epoch is not the best one
        settings=some_settings(engine, optimizer=SGD(0.2, momentum=0.8), epochs=12, monitor=monitor),
        validation=task.validation,
        metrics=["mae", "r2"],
        callbacks=[keep],
    )
    values = result.history.columns()[f"validation_{monitor}"]
    best = int(values.argmax() if monitor == "r2" else values.argmin())
    assert best != len(values) - 1
    assert result.best_epoch == best + 1
    assert np.array_equal(result.theta, thetas[best])
    assert not np.array_equal(result.theta, thetas[-1])


def test_validation_is_the_loss_without_penalty_and_the_metrics_of_those_rows(engine, make_task):
    task = make_task("float64", hidden=[Dense(6), Dropout(0.5)])
    X, y = task.validation
    weight = np.linspace(0.5, 1, len(X))
    thetas, keep = keep_thetas()
    settings = some_settings(engine, penalty=Penalty(0.5))
    result = task.train(settings=settings, validation=(X, y, weight), metrics=["mae"], callbacks=[keep])
    for record, theta in zip(result.history.epochs, thetas, strict=True):
        expected = task.network.loss(theta, X, y, weight, engine=engine)
        assert record.validation_loss == pytest.approx(expected, rel=1e-14)
        for rows, target, w, measured in (
            (X, y, weight, record.validation_metrics),
            (task.X, task.y, None, record.train_metrics),
        ):
            error = np.abs(task.network.predict(theta, rows, engine=engine)[:, 0] - target)
            assert measured == {"mae": pytest.approx(np.average(error, weights=w), rel=1e-13)}


def scripted(values, n_rows):
    """Return a metric that gives these values, one an epoch, for the rows that are so many."""
    left = iter(values)
    return Metric("scripted", lambda y, *_: next(left) if len(y) == n_rows else 0.0)


def stopping_epoch(values, patience, tolerance, losses=None):
    """Return the epoch after which patience is over, and the best one: the rule, written out.

    Equal values are told apart by the loss.
    """
    losses = values if losses is None else losses
    best, improved = 0, 0  # epochs
    for epoch, (value, loss) in enumerate(zip(values, losses, strict=True), start=1):
        if not math.isnan(value):
            before = (values[best - 1], losses[best - 1]) if best else (math.inf, math.inf)
            margin = (before[0] - value, before[1] - loss)
            if margin[0] > tolerance or (margin[0] == 0 and margin[1] > tolerance):
                improved = epoch
            if margin > (0, 0):
                best = epoch
        if epoch - improved >= patience:
            return epoch, best
    return None, best


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("tolerance", [0.0, 0.5])
@pytest.mark.parametrize("patience", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "values",
    [
        [5, 4, 3, 2, 1, 0, -1, -2, -3, -4],
        [5, 4, 4, 4, 3, 3, 3, 3, 3, 3],
        [5, 6, 7, 8, 9, 1, 1, 1, 1, 1],
        [5, 4.75, 4.5, 4.25, 4, 3.75, 3.5, 3.25, 3, 2.75],
        [5, math.nan, math.nan, 4, math.nan, 3, 6, 7, 3, 3],
    ],
)
def test_patience_counts_epochs_without_an_improvement(make_task, values, patience, tolerance, validated):
    task = make_task()

    def train(patience):
        return task.train(
            settings=some_settings(
                "reference", epochs=10, monitor="scripted", patience=patience, tolerance=tolerance
            ),
            validation=task.validation if validated else None,
            metrics=[scripted(values, len(task.validation[0] if validated else task.X))],
        )

    losses = [record.value("loss") for record in train(None).history.epochs]
    stop, best = stopping_epoch(values, patience, tolerance, losses)
    result = train(patience)
    n_epochs = len(result.history.epochs)
    assert (result.stopped_by, n_epochs) == (("patience", stop) if stop else ("epochs", 10))
    assert result.best_epoch == (best if validated else n_epochs)


def test_patience_looks_at_the_train_loss_where_nothing_is_validated(engine, make_task):
    task = make_task()
    result = task.train(settings=some_settings(engine, epochs=200, optimizer=Adam(0.1), patience=2))
    losses = result.history.columns()["train_loss"].tolist()
    assert result.stopped_by == "patience"
    assert stopping_epoch(losses, 2, 0.0)[0] == len(losses)


# N27
def test_a_scaled_linear_model_goes_to_the_same_minimum(engine):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    net = Network(3, [Scale()], likelihood=Normal())
    settings = Training(optimizer=LBFGS(tolerance=1e-11, max_iterations=500), engine=engine)
    result = train(net, net.initial_parameters(0, "float64"), X, y, settings=settings)
    _, folded = net.folded(result.theta)
    design = np.column_stack([X, np.ones(50)])
    np.testing.assert_allclose(folded, np.linalg.lstsq(design, y, rcond=None)[0], atol=1e-7)


@pytest.mark.parametrize("optimizer", [Adam(0.01), LBFGS(max_iterations=6)])
@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("n_steps", [1, 2, 3, 4, 7, 8])
def test_a_training_of_so_many_steps_is_the_beginning_of_the_whole(
    engine, make_task, n_steps, validated, optimizer
):
    task = make_task()
    settings = some_settings(engine, epochs=6, batch_size=30, optimizer=optimizer)
    if not isinstance(optimizer, LBFGS):
        settings = replace(settings, schedule=Cosine())
    validation = task.validation if validated else None
    seen = []
    whole = task.train(settings=settings, callbacks=[lambda report: seen.append(report.theta.copy())])
    result = task.train(settings=replace(settings, max_steps=n_steps), validation=validation)
    a_epoch = 1 if isinstance(optimizer, LBFGS) else math.ceil(len(task.X) / 30)
    assert whole.history.n_steps >= 6
    assert result.history.n_steps == min(n_steps, whole.history.n_steps)
    assert len(result.history.epochs) == result.history.n_steps // a_epoch
    if n_steps < whole.history.n_steps:
        assert result.stopped_by == "steps"
    if result.history.n_steps % a_epoch == 0 and not validated:
        np.testing.assert_array_equal(result.theta, seen[result.history.n_steps // a_epoch - 1])


@pytest.mark.parametrize("validated", [True, False])
def test_a_training_that_time_ended_is_repeated_to_the_bit(make_task, validated):
    task = make_task(n_rows=400)
    settings = some_settings("native", epochs=10**6, batch_size=8, time_limit=0.05, schedule=Cosine())
    validation = task.validation if validated else None
    ended = task.train(settings=settings, validation=validation)
    assert ended.stopped_by == "time"
    n_steps, planned = ended.history.n_steps, ended.history.planned_steps
    repeated = replace(settings, time_limit=None, planned_steps=planned, max_steps=n_steps)
    again = task.train(settings=repeated, validation=validation)
    np.testing.assert_array_equal(again.theta, ended.theta)
    assert (again.stopped_by, again.history.n_steps) == ("steps", n_steps)
    assert again.best_epoch == ended.best_epoch


def test_callbacks_see_each_epoch_and_can_end_the_training(engine, make_task):
    task = make_task()
    reports = []

    def first(report):
        reports.append(report)
        return report.record.epoch == 3

    seen = []
    result = task.train(
        settings=some_settings(engine), callbacks=[first, lambda report: seen.append(report.record.epoch)]
    )
    assert result.stopped_by == "callback"
    assert seen == [1, 2, 3]
    assert [report.record for report in reports] == result.history.epochs
    for report in reports:
        assert isinstance(report, EpochReport)
        assert report.network is task.network
        with pytest.raises(ValueError, match="read-only"):
            report.theta[0] = 0
    assert np.array_equal(reports[-1].theta, result.theta)


def test_an_error_in_a_callback_comes_out(engine, make_task):
    def fail(report):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        make_task().train(settings=some_settings(engine), callbacks=[fail])


@pytest.mark.usefixtures("ctrl_c_interrupts")
@pytest.mark.parametrize("validated", [True, False])
def test_ctrl_c_after_an_epoch_keeps_the_best_theta(engine, make_task, validated):
    task = make_task()
    thetas, keep = keep_thetas()

    def interrupt(report):
        if report.record.epoch == 9:
            signal.raise_signal(signal.SIGINT)

    result = task.train(
        settings=some_settings(engine, optimizer=SGD(0.2, momentum=0.8), epochs=15),
        validation=task.validation if validated else None,
        callbacks=[keep, interrupt],
    )
    assert result.stopped_by == "interrupt"
    assert len(result.history.epochs) == 9
    best = int(result.history.columns()["validation_loss"].argmin()) if validated else 8
    assert best != 8 or not validated
    assert result.best_epoch == best + 1
    assert np.array_equal(result.theta, thetas[best])


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("call", [1, 4, 15])
def test_ctrl_c_inside_an_epoch_keeps_what_there_is(engine, make_task, interrupted, validated, call):
    task = make_task()  # 6 steps an epoch
    thetas, keep = keep_thetas()
    descents = []

    def interrupt(this_call):
        if this_call == call:
            raise KeyboardInterrupt

    engines = interrupted(task.network, before_call=interrupt)
    result = task.train(
        settings=some_settings(engine),
        validation=task.validation if validated else None,
        callbacks=[keep, lambda report: descents.append(report.theta)],
    )
    assert result.stopped_by == "interrupt"
    assert engines[0].n_calls == call
    done = (call - 1) // 6
    assert len(result.history.epochs) == len(thetas) == done
    if validated and done:
        losses = result.history.columns()["validation_loss"]
        assert result.best_epoch == losses.argmin() + 1
        assert np.array_equal(result.theta, thetas[losses.argmin()])
    else:
        assert result.best_epoch == done
        expected = theta_after(task, engine, n_steps=call - 1)
        assert np.array_equal(result.theta, expected)


def theta_after(task, engine, n_steps):
    """Return θ after so many steps of ``some_settings``."""
    descent = Descent(task.theta.copy(), Adam(0.01))
    for step in range(n_steps):
        epoch, k = divmod(step, 6)
        rows = epoch_order(len(task.X), 0, epoch)[8 * k : 8 * k + 8]
        text = task.network.engine(engine, None)
        text = getattr(text, "_engine", text)
        text.run_steps(descent, task.X, task.y[:, None], None, rows, 8, np.array([0.01]))
    return descent.theta


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("limit", [4, 6, 14, 1000])
def test_a_time_limit_ends_it_also_inside_an_epoch(
    *, engine, make_task, interrupted, monkeypatch, validated, limit
):
    task = make_task()
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def tick(call):
        clock.now += 1.0

    engines = interrupted(task.network, before_call=tick)
    thetas, keep = keep_thetas()
    result = task.train(
        settings=some_settings(engine, time_limit=limit),
        validation=task.validation if validated else None,
        callbacks=[keep],
    )
    n_steps = min(limit, 36)
    assert engines[0].n_calls == n_steps
    assert result.stopped_by == ("time" if limit < 36 else "epochs")
    done = n_steps // 6
    assert result.history.columns().get("seconds", np.array([])).tolist() == [
        6.0 * k for k in range(1, done + 1)
    ]
    if validated and done:
        assert np.array_equal(result.theta, thetas[result.best_epoch - 1])
    else:
        assert np.array_equal(result.theta, theta_after(task, engine, n_steps))


def test_class_numbers_and_their_metrics(engine):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)).astype("float32")
    y = (X @ np.array([[1, -1, 0], [0, 1, -1]]) * 3).argmax(axis=1)
    network = Network(2, likelihood=Categorical(n_classes=3))
    result = train(
        network,
        network.initial_parameters(),
        X,
        y,
        settings=some_settings(engine, optimizer=Adam(0.1), epochs=20, monitor="accuracy"),
        validation=(X[:50], y[:50]),
        metrics=["accuracy", "error"],
    )
    last = result.history.epochs[-1].validation_metrics
    assert last["accuracy"] > 0.9
    assert last["accuracy"] + last["error"] == pytest.approx(1)
    predicted = network.predict(result.theta, X[:50], engine=engine).argmax(axis=1)
    best = result.history.epochs[result.best_epoch - 1].validation_metrics["accuracy"]
    assert best == pytest.approx((predicted == y[:50]).mean())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"settings": "fast"}, "settings='fast' must be a Training"),
        ({"settings": Training(monitor="rmse")}, "monitor='rmse'.*monitor one of loss, mae"),
        ({"metrics": ["rsme"]}, "metrics has 'rsme'"),
        ({"theta": np.zeros(5, "float32")}, r"theta must be .* of shape \(4,\), not float32 \(5,\)"),
        ({"theta": np.zeros(4, "float16")}, "theta must be a float32 or float64 array"),
        ({"theta": np.full(4, np.nan, "float32")}, "theta has 4 entries that are NaN"),
        ({"X": np.zeros((5, 3))}, "X has dtype float64 and theta float32"),
        ({"X": np.zeros((5, 2), "float32")}, r"X must have the shape \(n_rows, 3\)"),
        ({"X": np.full((5, 3), np.inf, "float32")}, "X has 15 entries that are NaN or infinite"),
        ({"y": np.zeros(4)}, "X has 5 rows and y has 4"),
        ({"y": np.full(5, np.nan)}, "5 rows have something else"),
        ({"sample_weight": np.zeros(5)}, "sums to 0"),
        ({"sample_weight": -np.ones(5)}, "≥ 0"),
        ({"validation": (np.zeros((5, 3), "float32"),)}, r"validation must be a tuple \(X, y\)"),
        ({"validation": np.zeros((2, 3))}, r"validation must be a tuple \(X, y\)"),
        (
            {"validation": (np.zeros((5, 2), "float32"), np.zeros(5))},
            "The validation rows: X must have the shape",
        ),
        (
            {"validation": (np.zeros((5, 3), "float32"), np.zeros(5), np.zeros(5))},
            "The validation rows: .*sums to 0",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_work(change, text):
    network = Network(3, likelihood=Normal())
    given = {
        "theta": np.zeros(4, "float32"),
        "X": np.zeros((5, 3), "float32"),
        "y": np.zeros(5),
        "metrics": ["mae"],
        "callbacks": [pytest.fail],  # no epoch may be gone through
        "settings": Training(engine="reference"),
        **change,
    }
    with pytest.raises(InputError, match=text):
        train(network, **given)
