"""What a person chooses beside the recipe: metric, weights of classes, groups, validation, time limit."""

from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.utils.class_weight import compute_sample_weight

import chainrule as cr
from chainrule import InputError, TabularClassifier, TabularRegressor
from chainrule.estimators import rows as rows_module
from chainrule.estimators.rows import read_groups
from chainrule.likelihoods import Bernoulli
from chainrule.training import METRICS, Metric, split_validation

CLASSES, NUMBERS = ("boolean", "three", "labels"), ("number", "numbers", "counts")
SMALL = {"hidden": (8,), "epochs": 6, "random_state": 0, "n_members": 2}


def model_for(target, **settings):
    kind = TabularRegressor if target in NUMBERS else TabularClassifier
    return kind(**SMALL | settings)


# ── The metric ──


@pytest.mark.parametrize("target", CLASSES + NUMBERS)
@pytest.mark.parametrize("name", METRICS)
def test_the_metric_says_which_epoch_is_kept(homes, target, name):
    model = model_for(target, metric=name)
    if METRICS[name].task != ("regression" if target in NUMBERS else "classification"):
        with pytest.raises(InputError, match=f"metric='{name}' does not fit .*: choose"):
            model.fit(homes.table, homes.targets[target])
        return
    model.fit(homes.table, homes.targets[target])
    for member in model.members_:
        records = member.history.epochs
        assert member.history.monitor == name
        sign = -1 if METRICS[name].greater_is_better else 1
        ranks = [(sign * r.validation_metrics[name], r.validation_loss) for r in records]
        assert member.history.best_epoch == ranks.index(min(ranks)) + 1
        assert not any(r.train_metrics for r in records)  # a pass over the rows that nobody asked for


def test_a_metric_of_ones_own_and_its_rows(homes):
    rows = set()

    def bias(y, mean, weight):
        rows.add((y.shape, mean.shape, weight is None))
        return float(abs((mean - y).mean()))

    model = model_for("number", metric=Metric("bias", bias)).fit(homes.table, homes.targets["number"])
    assert model.history_.monitor == "bias"
    assert rows == {((20, 1), (20, 1), True)}


@pytest.mark.parametrize(
    ("metric", "truth"),
    [
        ("auc", lambda y, p: -roc_auc_score(y, p, multi_class="ovr")),
        ("error", lambda y, p: 1 - accuracy_score(y, p.argmax(axis=1))),
        (None, log_loss),
    ],
)
def test_the_metric_says_what_the_kinds_are_worth(homes, monkeypatch, metric, truth):
    seen = []

    def uniform(cost, outputs):
        seen.extend((cost(logits), logits) for logits in outputs)
        return [1] * len(outputs)

    monkeypatch.setattr("chainrule.estimators.members.greedy_counts", uniform)
    X, y = homes.table, homes.targets["three"]
    model = model_for("three", metric=metric, n_members=4)
    model.fit(X[:100], y[:100], eval_set=(X[100:], y[100:]))
    assert len(seen) == 2
    for cost, logits in seen:
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        classes = np.searchsorted(model.classes_, y[100:])
        assert cost == pytest.approx(truth(classes, p / p.sum(axis=1, keepdims=True)), rel=1e-6)


def test_of_censored_times_the_loss_alone_can_be_asked(homes):
    y = np.column_stack([np.exp(homes.targets["number"]), np.arange(160) % 3 > 0])
    with pytest.raises(InputError, match=r"metric='rmse' compares .* nobody knows of a censored time"):
        TabularRegressor(likelihood="weibull", metric="rmse").fit(homes.table, y)


def test_a_metric_without_a_number_is_an_error(homes):
    y = np.zeros(160, dtype=int)
    y[:2] = 1  # held out by no member
    told = "'auc' has no value on the 20 rows .* where all are of one class"
    with patch("chainrule.estimators.members.train") as train, pytest.raises(InputError, match=told):
        model_for("boolean", metric="auc", n_members=3).fit(homes.table, y)
    assert not train.called  # no work is lost


# ── Weights of classes ──


@pytest.mark.parametrize("target", ["boolean", "three"])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_are_weights_of_rows(homes, target, weighted):
    y = homes.targets[target]
    labels = np.unique(y).tolist()
    given = np.linspace(0.5, 2, len(y)) if weighted else None
    dictionary = dict(zip(labels, (1.0, 3.0, 0.5), strict=False))
    base = np.ones(len(y)) if given is None else given
    for class_weight in [dictionary, "balanced"]:
        model = model_for(target, class_weight=class_weight).fit(homes.table, y, given)
        if class_weight == "balanced":
            totals = np.array([base[y == label].sum() for label in labels])
            factors = base.sum() / (len(labels) * totals)
            rows = base * factors[np.searchsorted(labels, y)]
            if given is None:
                np.testing.assert_allclose(rows, compute_sample_weight("balanced", y))
        else:
            rows = base * np.array([dictionary[label] for label in y.tolist()])
        by_rows = model_for(target).fit(homes.table, y, rows)
        np.testing.assert_allclose(
            model.predict_proba(homes.table), by_rows.predict_proba(homes.table), rtol=1e-4
        )


def test_balanced_classes_are_predicted_more_evenly():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 2))
    y = X[:, 0] + rng.normal(size=600) > 2
    shares = [
        TabularClassifier(hidden=(), random_state=0, class_weight=given).fit(X, y).predict(X).mean()
        for given in (None, "balanced")
    ]
    assert shares[0] < 0.5 * y.mean()
    assert shares[1] > 1.5 * y.mean()


def test_the_eval_set_is_weighted_as_the_training_rows_are(homes):
    y = homes.targets["boolean"]
    weights = {False: 1.0, True: 9.0}
    model = model_for("boolean", class_weight=weights, n_members=1)
    model.fit(homes.table[:100], y[:100], eval_set=(homes.table[100:], y[100:]))
    p = model.network_.predict(model.theta_, model.encoder_.transform(homes.table[100:]))[:, 0]
    losses = -np.log(np.where(y[100:], p, 1 - p))
    expected = np.average(losses, weights=[weights[label] for label in y[100:].tolist()])
    best = model.history_.epochs[model.best_epoch_ - 1]
    assert best.validation_metrics["log_loss"] == pytest.approx(expected, rel=1e-5)
    smoothed = Bernoulli(label_smoothing=0.05).loss_and_gradient(np.log(p / (1 - p))[:, None], y[100:, None])
    expected = np.average(smoothed[0], weights=[weights[label] for label in y[100:].tolist()])
    assert best.validation_loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("target", "class_weight", "text"),
    [
        ("labels", "balanced", "y has several labels: leave it None"),
        ("three", {"cheap": 1.0, "free": 2.0}, "'dear', 'fair'.* not in class_weight"),
        ("three", {"cheap": -1.0}, "≥ 0"),
        ("boolean", "equal", "class_weight"),
    ],
)
def test_weights_that_are_none(homes, target, class_weight, text):
    with pytest.raises(ValueError, match=text):
        model_for(target, class_weight=class_weight).fit(homes.table, homes.targets[target])


# ── Groups ──

GROUPS = np.random.default_rng(3).integers(0, 23, 160)


@pytest.mark.parametrize("fraction", [0.05, 0.125, 0.3, 0.6])
@pytest.mark.parametrize("n_groups", [2, 3, 23, 160])
def test_groups_are_never_split(n_groups, fraction):
    groups = np.random.default_rng(1).integers(0, n_groups, 160)
    n_folds = min(max(round(1 / fraction), 2), len(np.unique(groups)))
    seen = []
    for part in range(n_folds):
        train, held = split_validation(160, fraction, seed=2, part=part, groups=groups)
        np.testing.assert_array_equal(np.sort(np.concatenate([train, held])), np.arange(160))
        assert not set(groups[train]) & set(groups[held])
        assert len(held)
        assert len(held) <= 160 / n_folds + np.bincount(groups).max()
        seen.append(held)
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(160))  # each is held out once


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", ["number", "three"])
def test_members_hold_whole_groups_out(homes, target, weighted, monkeypatch):
    parts = []
    plan_of = TabularRegressor._plan

    def plan(self, *args):
        made = plan_of(self, *args)
        parts.extend(job.part for job in made.jobs)
        return made

    monkeypatch.setattr(cr.estimators.ensemble.EnsembleEstimator, "_plan", plan)
    weight = np.where(np.arange(160) % 7 == 0, 0.0, 1.0) if weighted else None
    counts = np.ones(160, bool) if weight is None else weight > 0
    model_for(target).fit(homes.table, homes.targets[target], weight, groups=GROUPS)
    assert len(parts) == 2
    for learned, held_out in parts:
        assert not set(GROUPS[counts][learned]) & set(GROUPS[counts][held_out])


NAMED = np.array([f"person {k}" for k in GROUPS])
KINDS_OF_GROUPS = {
    "numbers": GROUPS,
    "list": NAMED.tolist(),
    "objects": NAMED.astype(object),
    "one column": NAMED[:, None],
    "pandas": pd.Series(NAMED),
    "categorical": pd.Series(NAMED, dtype="category"),
    "polars": pl.Series(NAMED.tolist()),
    "pyarrow": pa.chunked_array([NAMED.tolist()]),
    "dates": np.datetime64("2020-01-01") + GROUPS,
}


@pytest.mark.parametrize("name", KINDS_OF_GROUPS)
def test_groups_of_every_kind_are_the_same(name):
    np.testing.assert_array_equal(read_groups(KINDS_OF_GROUPS[name], 160), read_groups(GROUPS, 160))


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        (GROUPS[:-1], "groups has 159 entries and y has 160 rows"),
        (np.ones(160), "groups has one group"),
        (np.where(GROUPS == 3, np.nan, GROUPS), "rows have no group"),
        ([None, *NAMED[1:].tolist()], r"groups lacks entries: 1 row has no group \(row 0\)"),
        (np.ones((160, 2)), "groups must be one column"),
        (5, "groups must be one column"),
    ],
)
def test_groups_that_are_none(homes, groups, text):
    with pytest.raises(InputError, match=text):
        model_for("number").fit(homes.table, homes.targets["number"], groups=groups)


# ── Time ──


@pytest.mark.parametrize("target", ["number", "three"])
def test_the_last_rows_are_set_aside(homes, target):
    model = model_for(target, validation="last", validation_fraction=0.25, metric=None)
    model.fit(homes.table, homes.targets[target])
    by_hand = model_for(target).fit(
        homes.table[:120],
        homes.targets[target][:120],
        eval_set=(homes.table[120:], homes.targets[target][120:]),
    )
    # the encoder saw all rows in one case, so the losses are alike and not the same
    for one, other in zip(model.members_, by_hand.members_, strict=True):
        assert len(one.history.epochs) == len(other.history.epochs)
    if target == "number":
        assert len(model.kept_aside_.y) == 40
        np.testing.assert_allclose(model.kept_aside_.y[:, 0], homes.targets[target][120:], rtol=1e-5)


def test_a_wrong_order_is_named(homes):
    with pytest.raises(ValueError, match="'validation' parameter of TabularRegressor must be"):
        model_for("number", validation="first").fit(homes.table, homes.targets["number"])


# ── The time limit ──


@pytest.mark.parametrize("preset", ["fast", "default"])
@pytest.mark.parametrize("target", ["number", "three"])
@pytest.mark.parametrize("validation_fraction", [None, 0])
@pytest.mark.parametrize("hidden", [(8,), ()])
def test_a_fit_that_time_ended_is_repeated_to_the_bit(
    homes, target, validation_fraction, preset, hidden, tmp_path
):
    settings = {
        "preset": preset,
        "hidden": hidden,
        "epochs": 10**6,
        "n_members": None,
        "validation_fraction": validation_fraction,
    }
    model = model_for(target, time_limit=0.02, **settings).fit(homes.table, homes.targets[target])
    if hidden:
        assert model.stopped_by_ == "time"
    model.save(tmp_path / "model.safetensors")
    steps = cr.load(tmp_path / "model.safetensors").steps_done_
    assert steps == model.steps_done_
    again = model_for(target, time_limit=steps, **settings).fit(homes.table, homes.targets[target])
    assert again.steps_done_ == steps
    assert again.stopped_by_ == ("steps" if model.stopped_by_ == "time" else model.stopped_by_)
    assert again.n_members_ == model.n_members_
    for one, other in zip(model.members_, again.members_, strict=True):
        np.testing.assert_array_equal(one.theta, other.theta)
        assert one.weight == other.weight
    np.testing.assert_array_equal(again.predict(homes.table), model.predict(homes.table))


def test_members_that_came_to_their_end_are_kept_alone(homes):
    X, y = homes.table, homes.targets["number"]
    model = model_for("number", n_members=3, time_limit=[None, 0, 5]).fit(X, y)
    assert model.steps_done_ == (None, 0, 5)
    assert model.stopped_by_ == "steps"
    assert model.n_members_ == 1
    np.testing.assert_array_equal(model.theta_, model_for("number", n_members=1).fit(X, y).theta_)
    model.set_params(time_limit=[5, 7, 0]).fit(X, y)  # none did
    assert model.n_members_ == 2
    limits = ((9, 9), (9, 10), (8, 10))
    model.set_params(time_limit=limits, epochs=10).fit(X, y)
    assert model.steps_done_ == limits


WHOLE = [0, -1.0, [1, 2, 3], [1], [1, -1], [1, 0.5], ["1", "2"], "5"]
LIMITS = [*WHOLE, [(), 2], [1, (1, 2, 3, 4)], [1, (3, 2)], [None, (2, 0)], [1, (1, 2, 0)]]


@pytest.mark.parametrize("limit", LIMITS)
def test_limits_that_are_none(homes, limit):
    with pytest.raises(ValueError, match="time_limit"):
        model_for("number", time_limit=limit).fit(homes.table, homes.targets["number"])


@pytest.mark.parametrize("target", CLASSES + NUMBERS)
def test_all_choices_together(homes, target):
    y = homes.targets[target]
    model = model_for(target, metric="rmse" if target in NUMBERS else "log_loss", time_limit=20)
    if target not in (*NUMBERS, "labels"):
        model.set_params(class_weight="balanced")
    given = {"offset": np.linspace(-0.1, 0.1, 100)}
    weight = np.linspace(0, 2, 100)
    rest = (homes.table[100:], y[100:], np.zeros(60))
    model.fit(homes.table[:100], y[:100], weight, eval_set=rest, groups=GROUPS[:100], **given)
    assert len(model.predict(homes.table, offset=np.zeros(160))) == 160
    model.fit(homes.table[:100], y[:100], weight, groups=GROUPS[:100], **given)
    assert np.isfinite(model.predict_distribution(homes.table, offset=np.zeros(160)).mean).all()


def some_rows_in_time(monkeypatch, n_drawn):
    """Let the rows that there is time to encode be so many, and let the fit go on without looking at it."""
    monkeypatch.setattr(rows_module, "FEWEST_ENCODED_ROWS", n_drawn)
    monkeypatch.setattr(rows_module, "SHARE_TO_ENCODE", 0.0)


@pytest.mark.parametrize("target", ["number", "counts", "boolean", "three", "labels"])
@pytest.mark.parametrize("given", ["nothing", "weights", "groups", "balanced", "offset"])
def test_rows_that_are_not_drawn_count_as_rows_of_weight_0(homes, target, given, monkeypatch, tmp_path):
    some_rows_in_time(monkeypatch, 90)
    n_rows = len(homes.table)
    weight = np.where(np.arange(n_rows) % 5, 1.5, 0.0) if given == "weights" else None
    more = {"groups": GROUPS[:n_rows]} if given == "groups" else {}
    if given == "offset" and target in ("number", "counts"):
        more = {"offset": np.linspace(0, 1, n_rows)}
    settings = {"class_weight": "balanced"} if given == "balanced" and target in ("boolean", "three") else {}
    X, y = homes.table, homes.targets[target]
    model = model_for(target, time_limit=1000.0, **settings).fit(X, y, weight, **more)
    assert model.n_rows_ == 90
    assert [steps[2] for steps in model.steps_done_] == [90, 90]
    drawn = rows_module.drawn_rows(90, n_rows, weight, model.seed_)
    assert weight is None or weight[drawn].all()
    its = np.zeros(n_rows)
    its[drawn] = 1 if weight is None else weight[drawn]
    model.save(tmp_path / "model.safetensors")
    steps = cr.load(tmp_path / "model.safetensors").steps_done_
    for limit, its_weight in ((None, its), (steps, weight)):
        again = model_for(target, time_limit=limit, **settings).fit(X, y, its_weight, **more)
        for one, other in zip(model.members_, again.members_, strict=True):
            np.testing.assert_array_equal(one.theta, other.theta)
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.steps_done_ == model.steps_done_ == steps


def test_where_there_is_time_for_all_rows_none_are_drawn(homes):
    model = model_for("number", time_limit=1000.0).fit(homes.table, homes.targets["number"])
    assert model.steps_done_ == (None, None)
    assert model.n_rows_ == len(homes.table)


def test_more_time_is_for_more_rows(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(rows_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(rows_module, "FEWEST_ENCODED_ROWS", 10)
    seen = []

    def write(rows):
        seen.append(rows)
        clock.now += len(rows) / 1024

    cells = SimpleNamespace(n_rows=1000, write=write)
    found = {seconds: rows_module.rows_in_time(cells, None, 3, seconds) for seconds in (-1.0, 0.0, 2.0, 5.0)}
    assert list(found.values()) == [10, 10, 307, 768]
    drawn = {n: rows_module.drawn_rows(n, 1000, None, 3) for n in (10, 307, 768)}
    assert [len(rows) for rows in drawn.values()] == [10, 307, 768]
    assert set(drawn[10]) < set(drawn[307]) < set(drawn[768])
    assert all((np.diff(rows) > 0).all() for rows in drawn.values())
    assert rows_module.rows_in_time(cells, None, 3, 1000.0) is None
    assert rows_module.rows_in_time(SimpleNamespace(n_rows=10), None, 3, 0.0) is None
    np.testing.assert_array_equal(seen[0], drawn[10])
