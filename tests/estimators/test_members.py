"""The members of an ensemble: which rows they have, what they are averaged to, and how they end."""

import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import make_friedman1

import chainrule as cr
from chainrule import InputError, TabularClassifier, TabularRegressor
from chainrule.estimators import members as members_module
from chainrule.estimators import recipe as recipes
from chainrule.estimators.interrupts import ctrl_c_sets
from chainrule.estimators.members import Job, Kind, Member, Plan, Trained, steps_done, stopped_by, that_count
from chainrule.estimators.recipe import MANY_ROWS, batch_size_for, portfolio_for
from chainrule.estimators.rows import Part
from chainrule.training import History, Training, split_validation
from chainrule.training.batches import Data

TARGETS = ("number", "numbers", "counts", "boolean", "three", "labels")


@pytest.fixture(autouse=True)
def one_kind(monkeypatch):
    """Of one kind all members count alike; what several are worth is in test_portfolio.py."""
    for preset, portfolios in recipes.PORTFOLIOS.items():
        one = tuple(portfolio[:1] for portfolio in portfolios)
        monkeypatch.setitem(recipes.PORTFOLIOS, preset, one)


def fitted(homes, target, **settings):
    kind = TabularRegressor if target in ("number", "numbers", "counts") else TabularClassifier
    model = kind(**{"hidden": (8,), "epochs": 3, "random_state": 0, "n_members": 3, **settings})
    return model.fit(homes.table, homes.targets[target])


def thetas(model):
    return [member.theta for member in model.members_]


@pytest.mark.parametrize("target", TARGETS)
def test_predictions_come_from_the_mean_of_the_members(homes, target):
    """Of classes from the mean of their logits, of numbers the mean of their means."""
    model = fitted(homes, target)
    assert model.n_members_ == 3
    assert len({theta.tobytes() for theta in thetas(model)}) == 3
    X, mean_of = model.encoder_.transform(homes.table), model.network_.likelihood.mean
    logits = [model.network_.forward(theta, X).astype(float) for theta in thetas(model)]
    if hasattr(model, "predict_proba"):
        mean = mean_of(np.mean(logits, axis=0) / model.temperature_)
        np.testing.assert_allclose(model.predict_proba(homes.table)[:, -1], mean[:, -1], rtol=1e-6)
    else:
        expected = model.target_.decode(np.mean([mean_of(each) for each in logits], axis=0))
        np.testing.assert_allclose(model.predict(homes.table), expected, rtol=1e-6)


@pytest.mark.parametrize("target", ["number", "three"])
def test_the_first_member_is_the_only_one_of_a_fit_with_one(homes, target):
    one, three = fitted(homes, target, n_members=1), fitted(homes, target)
    np.testing.assert_array_equal(one.theta_, three.theta_)
    assert one.n_members_ == 1
    three.set_params(n_members=1).fit(homes.table, homes.targets[target])
    assert three.n_members_ == 1  # the others are gone


@pytest.mark.parametrize("target", ["number", "three"])
def test_all_members_survive_a_file(homes, target, tmp_path):
    model = fitted(homes, target)
    model.save(tmp_path / "model.safetensors")
    again = cr.load(tmp_path / "model.safetensors")
    assert again.n_members_ == 3
    assert [m.history for m in again.members_] == [m.history for m in model.members_]
    for name in ("predict", "predict_proba")[: 1 + (target == "three")]:
        np.testing.assert_array_equal(getattr(again, name)(homes.table), getattr(model, name)(homes.table))
    other = replace(again.members_[1], theta=again.members_[1].theta[1:])
    again.members_ = (again.members_[0], other)
    with pytest.raises(InputError, match=r"but the network has \d+ parameters"):
        again._check_restored()


def test_as_many_members_as_the_preset_says(homes):
    for preset, (few, _) in recipes.PORTFOLIOS.items():
        model = fitted(homes, "number", preset=preset, n_members=None, epochs=1)
        assert len(model.steps_done_) == sum(recipe.n_members for recipe in few)
        assert 1 <= model.n_members_ <= len(model.steps_done_)
    linear = fitted(homes, "number", hidden=(), n_members=None, epochs=None)
    assert linear.n_members_ == 1
    assert linear.encoder_.n_inputs < model.encoder_.n_inputs  # it has no ramps: it is linear


@pytest.mark.parametrize("n_classes", [1, 2, 5])
@pytest.mark.parametrize("n_rows", [20, 57, 200])
def test_every_row_that_may_be_held_out_is_before_one_comes_again(n_rows, n_classes):
    classes = np.random.default_rng(1).integers(0, n_classes, n_rows)
    parts = [split_validation(n_rows, 0.1, 3, classes, part) for part in range(10)]
    assert {len(held_out) for _, held_out in parts} == {round(0.1 * n_rows)}
    for learned, held_out in parts:
        np.testing.assert_array_equal(np.sort(np.concatenate([learned, held_out])), np.arange(n_rows))
        assert set(classes[learned]) == set(classes)
    times = np.bincount(np.concatenate([held_out for _, held_out in parts]), minlength=n_rows)
    never = times == 0
    assert never.sum() <= n_classes  # of each class one row is always learned from
    assert np.ptp(times[~never]) <= 1


def plan_for(n_rows=60, n_members=3, eval_set=None, **settings):
    X, y = make_friedman1(n_rows, random_state=0)
    data = Data(X.astype(np.float32), y[:, None].astype(np.float32) / 10, None)
    network = cr.Network(10, [cr.Dense(4)], likelihood=cr.likelihoods.Normal())
    parts = [Part(None, None)] * n_members
    if eval_set is None:
        parts = [Part(*split_validation(n_rows, 0.2, 0, None, k)) for k in range(n_members)]
    kind = Kind(network, Training(epochs=2, seed=5, **settings))
    return Plan([kind], [Job(0, part) for part in parts], network.likelihood, data, eval_set)


def members_of(plan):
    return that_count(plan.fit())


def test_held_out_rows_come_with_the_logits_of_members_that_have_not_seen_them():
    plan = plan_for(n_members=8)  # 8 · 12 rows: most of the 60 are held out twice
    trained = members_of(plan)
    found = plan.held_out(trained)
    seen = dict(zip(map(bytes, found.data.y), found.logits, strict=True))
    assert len(seen) == len(found.data.y) > 50
    for row, (x, y) in enumerate(zip(plan.data.X, plan.data.y, strict=True)):
        by = [member for job, member in trained if row in job.part.held_out]
        if by:
            expected = np.mean([one.network.forward(one.theta, x[None])[0] for one in by], axis=0)
            np.testing.assert_allclose(seen[bytes(y)], expected, rtol=1e-5)
        else:
            assert bytes(y) not in seen


def test_without_held_out_rows_there_are_none():
    plan = plan_for()
    nothing = replace(plan, jobs=[Job(0, Part(None, None))])
    assert nothing.held_out(members_of(nothing)) is None


def test_an_eval_set_is_held_out_from_all_members():
    X, y = make_friedman1(9, random_state=1)
    rows = Data(X.astype(np.float32), y[:, None].astype(np.float32) / 10, None)
    plan = plan_for(eval_set=rows)
    trained = members_of(plan)
    found = plan.held_out(trained)
    expected = np.mean([one.network.forward(one.theta, rows.X) for _, one in trained], axis=0)
    np.testing.assert_allclose(found.logits, expected, rtol=1e-5)


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_members_do_not_depend_on_who_is_trained_beside_them(n_threads):
    alone = members_of(plan_for(n_members=4, n_threads=1))
    together = members_of(plan_for(n_members=4, n_threads=n_threads))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.member.theta, other.member.theta)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_members_without_time_are_left_out(n_threads):
    found = plan_for(n_members=5, n_threads=n_threads, time_limit=1e-9).fit()
    (one,) = that_count(found)  # somebody has to predict
    assert one.member.history.stopped_by == stopped_by(found) == "time"


def test_members_that_came_close_to_the_end_of_their_schedule_count_with_those_that_came_there():
    def trained(stopped_by, n_steps, planned=None, best_epoch=1):
        history = History("native", 1, "loss", [], best_epoch, stopped_by, n_steps, planned)
        return Trained(Job(0, Part(None, None)), Member(None, None, history))

    whole, early = trained("epochs", 50), trained("patience", 12, 30)
    planned, nearly = trained("time", 20, 20), trained("time", 18, 20)
    not_nearly, cut, hardly = trained("time", 17, 20), trained("interrupt", 49), trained("time", 1, 20, 0)
    every = [whole, early, planned, not_nearly, None, cut, nearly, hardly]
    assert that_count(every) == [whole, early]
    assert that_count([planned, not_nearly, nearly, early]) == [planned, nearly, early]
    assert that_count([planned, trained("time", 9, 9), trained("time", 10, 10)])[1:] == [
        trained("time", 10, 10)
    ]
    assert that_count([not_nearly, cut, None, hardly]) == [not_nearly, cut]
    assert that_count([hardly, None]) == [hardly]
    assert steps_done(every) == (None, (12, 30), (20, 20), (17, 20), 0, 49, (18, 20), (1, 20))


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("when", ["while they are handed out", "while they are waited for"])
def test_ctrl_c_ends_all_members_and_keeps_what_they_have(n_threads, when, monkeypatch):
    begun = threading.Event()
    train = members_module.train

    def interrupted(*args, callbacks, **kwargs):
        def callback(report):
            if n_threads == 1 and report.record.epoch == 2:
                raise KeyboardInterrupt
            begun.set()

        return train(*args, callbacks=[callback, *callbacks], **kwargs)

    class Future:
        def __init__(self, future):
            self.future = future

        def result(self):
            if when == "while they are waited for":
                assert begun.wait(60)
                raise KeyboardInterrupt
            return self.future.result()

    class Pool(members_module.ThreadPoolExecutor):
        def submit(self, *args):
            if when == "while they are handed out" and begun.is_set():
                raise KeyboardInterrupt
            future = super().submit(*args)
            assert when == "while they are waited for" or begun.wait(60)
            return Future(future)

    monkeypatch.setattr(members_module, "train", interrupted)
    monkeypatch.setattr(members_module, "ThreadPoolExecutor", Pool)
    plan = plan_for(n_members=4, n_threads=n_threads)
    kind = Kind(plan.kinds[0].network, Training(epochs=10**6, n_threads=n_threads))
    found = replace(plan, kinds=[kind]).fit()
    assert stopped_by(found) == "interrupt"
    members = [one.member for one in that_count(found)]
    assert {member.history.stopped_by for member in members} == {"interrupt"}
    assert 1 <= len(members) <= n_threads
    assert all(member.history.best_epoch >= 1 for member in members)


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_ctrl_c_while_a_thread_is_started_keeps_what_it_finds(monkeypatch):
    """The thread that is being started trains already, but no pool knows of it yet."""
    begun, start, started = threading.Event(), threading.Thread.start, []

    class Noted(members_module.GradientNorms):
        def __call__(self, report):
            begun.set()
            return super().__call__(report)

    def slow_start(thread):
        start(thread)
        started.append(thread)
        if len(started) == 1:
            assert begun.wait(60)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(members_module, "GradientNorms", Noted)
    monkeypatch.setattr(threading.Thread, "start", slow_start)
    plan = plan_for(n_members=4, n_threads=2)
    kind = Kind(plan.kinds[0].network, Training(epochs=10**6, n_threads=2))
    found = replace(plan, kinds=[kind]).fit()
    assert stopped_by(found) == found[0].member.history.stopped_by == "interrupt"
    assert found[0].member.history.best_epoch >= 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_a_second_ctrl_c_raises():
    stop = threading.Event()
    with ctrl_c_sets(stop):
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_that_means_something_else_is_left_alone():
    came = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(1))
    try:
        with ctrl_c_sets(threading.Event()):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [1]


@pytest.mark.parametrize("preset", recipes.PORTFOLIOS)
def test_a_table_of_many_rows_has_its_own_recipe(preset):
    few, many = recipes.PORTFOLIOS[preset]
    assert portfolio_for(preset, MANY_ROWS - 1) is few
    assert portfolio_for(preset, MANY_ROWS) is many


@pytest.mark.parametrize("preset", recipes.PORTFOLIOS)
def test_the_time_grows_at_most_with_the_rows(preset):
    sizes = [100, 1000, 10_000, 100_000, 1_000_000, 10_000_000]
    epochs = [max(recipe.epochs_for(n) for recipe in portfolio_for(preset, n)) for n in sizes]
    assert (np.diff(epochs) <= 0).all()
    assert epochs[-1] == 10
    assert [batch_size_for(n) for n in sizes] == [32, 32, 128, 512, 512, 512]
