"""Turns are taken in order, work is counted right, and only what is beyond the noise is called slower."""

import itertools
import math

import numpy as np
import pytest

import measuring
from compare import is_slower
from measuring import Effort, interleaved
from rivals import Net


def test_contenders_take_turns_and_the_first_round_is_thrown_away():
    turns = []

    def sampler(name, values):
        return lambda: (turns.append(name), next(values))[1]

    samplers = {"a": sampler("a", iter([1e9, 1.0, 2.0, 4.0])), "b": sampler("b", iter([-1e9, 7.0, 7.0, 7.0]))}
    measured = interleaved(samplers, Effort(repeats=3, seconds=0, pause=0))
    assert turns == ["a", "b"] * 4
    assert measured == {
        "a": {"median": 2.0, "lower": 1.5, "upper": 3.0},
        "b": {"median": 7.0, "lower": 7.0, "upper": 7.0},
    }


@pytest.mark.parametrize(
    ("cost", "at_least", "calls"), [(1.0, 0.0, 1), (0.25, 1.0, 5), (2.0, 1.0, 1), (1e-3, 1.0, 1100)]
)
def test_a_turn_holds_as_many_calls_as_it_must(monkeypatch, cost, at_least, calls):
    clock = [0.0]  # a clock that the work alone moves
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: clock[0])
    n_calls = itertools.count()

    def work():
        next(n_calls)
        clock[0] += cost

    sample = measuring.timed(work, at_least)
    assert math.isclose(sample(), cost)
    before = next(n_calls)
    assert math.isclose(sample(), cost)
    assert calls - 1 <= next(n_calls) - before - 1 <= calls  # rounding


@pytest.mark.parametrize("sizes", [(3, 2), (4, 5, 1), (10, 100, 3), (16, 64, 64, 1)])
def test_the_flop_of_an_epoch_are_those_of_its_products(sizes):
    n_rows = 6
    H = [np.ones((n_rows, size)) for size in sizes]

    def product_flop(A, B):
        return 2 * A.shape[0] * A.shape[1] * B.shape[1]

    flop = 0
    for layer, (below, above) in enumerate(itertools.pairwise(H)):
        weight = np.ones((above.shape[1], below.shape[1]))
        flop += product_flop(below, weight.T)  # N1
        flop += product_flop(above.T, below)  # N11
        flop += product_flop(above, weight) if layer else 0  # N10, down to the first hidden layer
    assert Net(sizes, 2, "normal", n_rows).flop == flop


@pytest.mark.parametrize(
    ("old", "new", "slower"),
    [
        ((0.9, 1.0, 1.1), (1.2, 1.3, 1.4), True),
        ((0.9, 1.0, 1.25), (1.2, 1.3, 1.4), False),  # the quartiles meet
        ((0.99, 1.0, 1.01), (1.02, 1.03, 1.04), False),  # apart, but by little
        ((1.2, 1.3, 1.4), (0.9, 1.0, 1.1), False),
    ],
)
def test_slower_is_beyond_the_noise(old, new, slower):
    names = ("lower", "median", "upper")
    assert is_slower(dict(zip(names, old, strict=True)), dict(zip(names, new, strict=True))) is slower
