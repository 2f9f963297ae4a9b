"""What each engine promises beside its numbers: when steps stop, what an error says."""

import threading

import numpy as np
import pytest

import chainrule.engine.native
import chainrule.engine.reference
from chainrule import Dense, InputError, Network
from chainrule.engine import Descent, instruction_set, make_engine
from chainrule.engine.native import NativeEngine, supported_instruction_sets
from chainrule.likelihoods import Normal
from chainrule.optimization import SGD, Adam


def steps(problem, engine, optimizer, n_steps, batch_size=2):
    theta = problem.theta.copy()
    descent = Descent(theta, optimizer)
    order = np.resize(np.arange(len(problem.X)), n_steps * batch_size)
    rates = np.full(n_steps, optimizer.learning_rate)
    data = (problem.X, problem.y, problem.weight)
    return problem.network.engine(engine).run_steps(descent, *data, order, batch_size, rates), descent


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [lambda eta: SGD(eta, momentum=0.9), Adam], ids=["SGD", "Adam"])
def test_steps_stop_at_a_loss_that_is_not_finite_and_leave_theta_as_before(make, dtype, engine, make_problem):
    optimizer = make(1e15 if dtype == "float32" else 1e90)
    problem = make_problem("normal", [Dense(4, "identity")], n_rows=8, dtype=dtype)
    losses, descent = steps(problem, engine, optimizer, 50)
    assert 1 < len(losses) < 50
    assert np.isfinite(losses[:-1]).all()
    assert not np.isfinite(losses[-1])
    assert descent.step == len(losses) - 1
    before, expected = steps(problem, engine, optimizer, len(losses) - 1)
    assert np.array_equal(before, losses[:-1])
    for part, other in zip((descent.theta, *descent.state), (expected.theta, *expected.state), strict=True):
        assert part.tobytes() == other.tobytes()


def test_a_call_that_is_over_its_time_ends_after_a_step(engine, make_problem, monkeypatch):
    for module in (chainrule.engine.native, chainrule.engine.reference):
        monkeypatch.setattr(module, "CALL_SECONDS", 0.0)
    losses, descent = steps(make_problem("normal", [4]), engine, SGD(0.1), 50)
    assert len(losses) == descent.step == 1


def test_an_engine_says_what_it_is(engine, make_problem):
    made = make_problem("normal").network.engine(engine)
    assert made.name == engine
    assert made.n_threads >= 1


def test_the_engines_of_a_network_are_made_once():
    network = Network(2, likelihood=Normal())
    assert network.engine("native", 2) is network.engine("native", 2)
    assert network.engine("native", 2).n_threads == 2
    assert network.engine("native", 1).n_threads == 1


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, True, "all"])
def test_another_number_of_threads_is_an_error(n_threads):
    with pytest.raises(InputError) as error:
        Network(2, likelihood=Normal()).engine("native", n_threads)
    assert str(error.value) == (
        f"n_threads={n_threads!r}: it must be a whole number of at least 1, or None for all cores."
    )


@pytest.mark.parametrize(
    "call", [lambda net: net.engine("gpu"), lambda net: net.forward(np.zeros(3), [[1, 2]], "gpu")]
)
def test_an_unknown_engine_is_an_error(call):
    network = Network(2, likelihood=Normal())
    with pytest.raises(InputError) as error:
        call(network)
    assert str(error.value) == "engine='gpu' is unknown; choose 'native' or 'reference'."
    with pytest.raises(InputError, match="engine='gpu' is unknown"):
        make_engine("gpu", network.architecture, network.likelihood)


def test_the_instruction_set_is_one_that_the_processor_has(monkeypatch):
    assert supported_instruction_sets()[0] == "baseline"
    assert instruction_set() in supported_instruction_sets()
    monkeypatch.setenv("CHAINRULE_INSTRUCTION_SET", "baseline")
    assert instruction_set() == "baseline"
    monkeypatch.setenv("CHAINRULE_INSTRUCTION_SET", "sse9")
    with pytest.raises(
        InputError, match="CHAINRULE_INSTRUCTION_SET='sse9' is not to be had on this processor"
    ):
        instruction_set()


@pytest.mark.parametrize("clip_norm", [0, -1.0, np.nan])
def test_a_clip_norm_that_is_not_positive_is_an_error(clip_norm):
    with pytest.raises(InputError) as error:
        Descent(np.zeros(3), SGD(), clip_norm=clip_norm)
    assert str(error.value) == f"clip_norm={clip_norm!r}: it must be above 0, or None for no limit."


def test_calls_side_by_side_do_not_disturb_each_other(make_problem):
    """One engine, used from several Python threads at once: each call gets its own workspace."""
    problem = make_problem("poisson", [Dense(40, "tanh"), Dense(30, "gelu")], n_inputs=20, n_rows=300)
    engine = NativeEngine(problem.network.architecture, problem.network.likelihood, 2)
    parts = [slice(0, 300), slice(0, 100), slice(50, 51), slice(7, 270)]

    def compute(part):
        X, y = problem.X[part], problem.y[part]
        loss, gradient = engine.loss_and_gradient(
            problem.theta, X, y, None, chainrule.optimization.Penalty(), None
        )
        return loss, gradient.tobytes(), engine.forward(problem.theta, X).tobytes()

    alone = [compute(part) for part in parts]
    wrong = []

    def work(number):
        wrong.extend(number for _ in range(40) if compute(parts[number]) != alone[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
