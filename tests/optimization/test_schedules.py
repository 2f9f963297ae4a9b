"""Schedules against their closed forms: values at the start, the end and the edges, and sums."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import InputError
from chainrule.optimization import Constant, Cosine, OneCycle, Step, WarmUp

SCHEDULES = [
    Constant(),
    Step(),
    Step(every=0.1, by=0.7),
    Step(every=2.0),
    Cosine(),
    Cosine(final=0.2),
    OneCycle(),
    OneCycle(peak=0.0),
    OneCycle(peak=1.0, start=0.5),
    OneCycle(peak=0.4, start=0.0, final=0.1),
]
every_schedule = pytest.mark.parametrize(
    "schedule", [*SCHEDULES, *(WarmUp(0.25, schedule) for schedule in SCHEDULES)], ids=repr
)
shares = st.floats(0, 1)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Constant(), {0.0: 1, 0.5: 1, 1.0: 1}),
        (Step(), {0.0: 1, 0.33: 1, 1 / 3: 0.1, 0.66: 0.1, 2 / 3: 0.01, 0.99: 0.01}),
        (Step(every=0.5, by=0.3), {0.0: 1, 0.4999: 1, 0.5: 0.3, 0.9999: 0.3}),
        (Step(every=0.25, by=0.0), {0.0: 1, 0.2: 1, 0.25: 0, 1.0: 0}),
        (Step(every=2.0), {0.0: 1, 1.0: 1}),
        (Cosine(), {0.0: 1, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1.0: 0}),
        (Cosine(final=0.2), {0.0: 1, 1 / 3: 0.8, 0.5: 0.6, 1.0: 0.2}),
        (Cosine(final=1.0), {0.0: 1, 0.3: 1, 1.0: 1}),
        (OneCycle(), {0.0: 0.04, 0.125: 0.52, 0.25: 1, 0.5: 0.75, 0.625: 0.5, 1.0: 0}),
        (OneCycle(peak=0.5, start=0.2, final=0.1), {0.0: 0.2, 0.25: 0.6, 0.5: 1, 0.75: 0.55, 1.0: 0.1}),
        (OneCycle(peak=0.0), {0.0: 1, 0.5: 0.5, 1.0: 0}),
        (OneCycle(peak=1.0, start=0.0), {0.0: 0, 0.5: 0.5, 1.0: 1}),
        (WarmUp(0.5), {0.0: 0, 0.1: 0.2, 0.25: 0.5, 0.5: 1, 1.0: 1}),
        (WarmUp(1.0), {0.0: 0, 0.3: 0.3, 0.9: 0.9, 1.0: 1}),
        (WarmUp(0.5, Cosine()), {0.0: 0, 0.25: 0.5, 0.5: 1, 0.75: 0.5, 1.0: 0}),
        (WarmUp(0.2, Step(every=0.5)), {0.1: 0.5, 0.2: 1, 0.59: 1, 0.61: 0.1}),
        (WarmUp(0.5, OneCycle(peak=0.5, start=0.2)), {0.0: 0, 0.25: 0.1, 0.5: 0.2, 0.75: 1, 1.0: 0}),
    ],
    ids=repr,
)
def test_the_values_at_the_start_the_end_and_the_edges(schedule, values):
    for done, expected in values.items():
        assert schedule.factor(done) == pytest.approx(expected, rel=1e-12, abs=1e-15), done


@every_schedule
@given(n_steps=st.integers(1, 200), data=st.data())
def test_factors_do_not_depend_on_where_the_calls_are_cut(schedule, n_steps, data):
    start = data.draw(st.integers(0, n_steps))
    stop = data.draw(st.integers(start, n_steps))
    whole = schedule.factors(0, n_steps, n_steps)
    part = schedule.factors(start, stop, n_steps)
    assert part.dtype == np.float64
    assert part.shape == (stop - start,)
    assert np.array_equal(part, whole[start:stop])
    assert ((whole >= 0) & (whole <= 1 + 1e-15)).all()


@given(n_steps=st.integers(1, 300), final=shares)
def test_the_sum_of_a_cosine(n_steps, final):
    # Σ ½ (1 + cos(π k / n)) over k = 0 … n − 1 is (n + 1) / 2
    total = Cosine(final).factors(0, n_steps, n_steps).sum()
    assert total == pytest.approx(n_steps * final + (1 - final) * (n_steps + 1) / 2, rel=1e-12)


@given(stairs=st.integers(1, 40), length=st.integers(1, 40), by=st.floats(0, 0.99))
def test_the_sum_of_stairs_is_a_geometric_series(stairs, length, by):
    total = Step(1 / stairs, by).factors(0, stairs * length, stairs * length).sum()
    assert total == pytest.approx(length * (1 - by**stairs) / (1 - by), rel=1e-12)


@given(rising=st.integers(0, 100), falling=st.integers(0, 100), start=shares, final=shares)
def test_the_sum_of_one_cycle(rising, falling, start, final):
    n_steps = max(rising + falling, 1)
    falling = n_steps - rising
    total = OneCycle(rising / n_steps, start, final).factors(0, n_steps, n_steps).sum()
    up = rising * start + (1 - start) * (rising - 1) / 2 if rising else 0
    down = falling * final + (1 - final) * (falling + 1) / 2 if falling else 0
    assert total == pytest.approx(up + down, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@given(rising=st.integers(1, 100), rest=st.integers(1, 100))
def test_a_warm_up_is_a_straight_line_and_then_the_whole_schedule(schedule, rising, rest):
    n_steps = rising + rest
    factors = WarmUp(rising / n_steps, schedule).factors(0, n_steps, n_steps)
    line = schedule.factor(0.0) * np.arange(rising) / rising
    np.testing.assert_allclose(factors[:rising], line, rtol=1e-12)
    for step in range(rest):
        assert factors[rising + step] == pytest.approx(schedule.factor(step / rest), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_a_warm_up_of_no_length_changes_nothing(schedule):
    assert np.array_equal(WarmUp(0.0, schedule).factors(0, 50, 50), schedule.factors(0, 50, 50))


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Step(every=0.0), "every"),
        (lambda: Step(every=math.nan), "every"),
        (lambda: Step(by=1.5), "by"),
        (lambda: Cosine(final=-0.1), "final"),
        (lambda: Cosine(final=math.nan), "final"),
        (lambda: OneCycle(peak=2.0), "peak"),
        (lambda: OneCycle(start=-1.0), "start"),
        (lambda: OneCycle(final=1.1), "final"),
        (lambda: WarmUp(share=1.5), "share"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named(make, field):
    with pytest.raises(InputError, match=rf"{field}=.*: it must be"):
        make()
