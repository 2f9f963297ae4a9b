"""A schedule goes over the steps that there is time for."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule.optimization import Adam, Constant, Cosine, OneCycle
from chainrule.training import Training, planning, run

SETTINGS = Training(optimizer=Adam(0.01), schedule=OneCycle(), epochs=12, batch_size=8)


def n_steps_of(task):
    return math.ceil(len(task.X) / SETTINGS.batch_size)


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("epochs", [1, 3, 12])
def test_planned_steps_that_make_whole_epochs_are_so_many_epochs(engine, make_task, epochs, validated):
    task = make_task()
    validation = task.validation if validated else None
    settings = replace(SETTINGS, engine=engine)
    planned = task.train(
        settings=replace(settings, planned_steps=epochs * n_steps_of(task)), validation=validation
    )
    plain = task.train(settings=replace(settings, epochs=epochs), validation=validation)
    np.testing.assert_array_equal(planned.theta, plain.theta)
    assert planned.best_epoch == plain.best_epoch
    assert planned.stopped_by == ("epochs" if epochs == 12 else "steps")
    assert planned.history.planned_steps == (None if epochs == 12 else planned.history.n_steps)


@pytest.mark.parametrize("n_steps", [1, 4, 17])
def test_a_schedule_may_end_inside_an_epoch(make_task, n_steps):
    task = make_task()
    result = task.train(settings=replace(SETTINGS, planned_steps=n_steps), validation=task.validation)
    history = result.history
    assert history.n_steps == history.planned_steps == n_steps
    assert len(history.epochs) == math.ceil(n_steps / n_steps_of(task))
    last = 0.01 * OneCycle().factor((n_steps - 1) / n_steps)
    assert history.epochs[-1].learning_rate == pytest.approx(last)
    assert 1 <= result.best_epoch <= len(history.epochs)


@pytest.fixture
def clock(monkeypatch, interrupted):
    """Return a function by which each step of a task takes a second, whatever the machine does."""

    def arrange(task):
        clock = SimpleNamespace(now=50.0)
        for module in (run, planning):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))

        def tick(call):
            clock.now += 1.0

        return interrupted(task.network, before_call=tick)

    return arrange


@pytest.mark.parametrize(
    ("limit", "planned"),
    [
        (0.5, 1),  # one step is measured, and then no time is left; one is done all the same
        (20, 17),  # 0.9 of what is left; measuring takes 2% of it
        (40, 35),
        (1000, None),
    ],
)
def test_it_goes_over_nine_tenths_of_the_steps_that_there_is_time_for(make_task, clock, limit, planned):
    task = make_task()
    engines = clock(task)
    result = task.train(settings=replace(SETTINGS, time_limit=limit))
    whole = SETTINGS.epochs * n_steps_of(task)
    n_steps = whole if planned is None else planned
    assert (result.history.planned_steps, result.history.n_steps) == (planned, n_steps)
    assert result.stopped_by == ("epochs" if planned is None else "time")
    assert engines[0].n_calls - n_steps <= max(1, 0.02 * limit + 4)  # what was measured


@pytest.mark.parametrize("schedule", [OneCycle(), Cosine()])
@pytest.mark.parametrize("patience", [None, 2])
def test_what_time_decided_is_repeated_by_its_steps(make_task, clock, schedule, patience):
    task = make_task()
    clock(task)
    settings = replace(SETTINGS, schedule=schedule, patience=patience)
    ended = task.train(settings=replace(settings, time_limit=25.0), validation=task.validation)
    history = ended.history
    again = task.train(
        settings=replace(settings, planned_steps=history.planned_steps, max_steps=history.n_steps),
        validation=task.validation,
    )
    np.testing.assert_array_equal(again.theta, ended.theta)
    assert again.history.n_steps == history.n_steps


def test_a_constant_rate_needs_no_plan(make_task, clock):
    task = make_task()
    engines = clock(task)
    result = task.train(settings=replace(SETTINGS, schedule=Constant(), time_limit=10.0))
    assert result.history.planned_steps is None
    assert engines[0].n_calls == result.history.n_steps == 10


def test_measuring_leaves_no_trace(make_task):
    task = make_task()
    plain = task.train(settings=SETTINGS)
    limited = task.train(settings=replace(SETTINGS, time_limit=3600.0))
    np.testing.assert_array_equal(limited.theta, plain.theta)
    assert limited.stopped_by == "epochs"
