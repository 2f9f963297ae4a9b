"""Threads: how many there may be; calls side by side, forks and worker processes give the same bits."""

import inspect
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import joblib
import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Descent
from chainrule.engine.native import usable_threads
from chainrule.engine.protocol import Pace
from chainrule.optimization import Adam

NETWORK = cr.Network(20, [64, 64], likelihood=cr.likelihoods.Categorical(3))


def descended(seed, n_threads=2):
    """θ after an epoch on its own data; a module-level function, so that other processes can run it."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(500, 20)).astype(np.float32)
    y = rng.integers(0, 3, (500, 1)).astype(np.float32)
    descent = Descent(NETWORK.initial_parameters(seed), Adam(0.01))
    engine = NETWORK.engine("native", n_threads)
    order, done = rng.permutation(500), 0
    while done < 8:
        done += len(engine.run_steps(descent, X, y, None, order[done * 64 :], 64, np.full(8 - done, 0.01)))
    return descent.theta


@pytest.fixture(scope="module")
def alone():
    return [descended(seed) for seed in range(8)]


def test_calls_in_many_python_threads_at_once(alone):
    with ThreadPoolExecutor(8) as pool:
        for theta, expected in zip(pool.map(descended, range(8)), alone, strict=True):
            np.testing.assert_array_equal(theta, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings(
    "ignore:.*fork.*:DeprecationWarning"
)  # Python's warning about forking with threads
def test_after_a_fork(alone):
    # the parent has computed with threads; nothing of them may be needed by the child
    with get_context("fork").Pool(2) as pool:
        for theta, expected in zip(pool.map(descended, range(4)), alone, strict=False):
            np.testing.assert_array_equal(theta, expected)


IN_WORKERS = """
import joblib
import numpy as np
import chainrule as cr
from chainrule.engine import Descent
from chainrule.optimization import Adam

NETWORK = cr.Network(20, [64, 64], likelihood=cr.likelihoods.Categorical(3))
{function}
results = joblib.Parallel(n_jobs=2)(joblib.delayed(descended)(seed, None) for seed in range(4))
print(all((theta == descended(seed)).all() for seed, theta in enumerate(results)))
"""


def test_in_joblib_workers():
    # a program of its own: joblib's workers import the function's module, and tests are no package
    program = IN_WORKERS.format(function=inspect.getsource(descended))
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "True", run.stderr


def test_more_threads_than_cores_and_rows(alone):
    np.testing.assert_array_equal(descended(0, n_threads=16), alone[0])
    np.testing.assert_array_equal(descended(0, n_threads=None), alone[0])


@pytest.mark.parametrize("n_threads", [2, None])
def test_both_ways_are_tried_and_the_quicker_one_goes_on(monkeypatch, n_threads):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    engine = cr.Network(20, [512], likelihood=cr.likelihoods.Normal()).engine("native", n_threads)
    descent = Descent(np.zeros(1, dtype=np.float32), Adam(0.01))
    assert engine._pace(descent, 6 * 256, 1_000)[0] == 2  # the first steps only warm up
    descent.step = 1

    def threads(paces, age=0.0):
        at = time.perf_counter() - age
        descent.pace = {n: Pace(seconds, at) for n, seconds in paces.items()}
        return engine._pace(descent, 6 * 256, 1_000)

    tried, n_steps = threads({})
    assert tried == 2
    assert n_steps < 1_000  # for a moment
    assert threads({2: 1e-4})[0] == 1
    assert threads({2: 1e-4, 1: 2e-4}) == (2, 1_000)
    assert threads({2: 2e-4, 1: 1e-4}) == (1, 1_000)
    assert threads({2: 2e-4, 1: 1e-4}, age=10.0) == (2, n_steps)  # other work may have gone since
    assert threads({2: 20.0, 1: 10.0}, age=10.0) == (1, 1_000)  # ten seconds are one step here


def limit_in(environment, code="None"):
    program = f"from chainrule.engine.native import usable_threads; print(usable_threads({code}))"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(run.stdout)


def test_the_limits_of_the_environment():
    assert limit_in({"OMP_NUM_THREADS": "1"}) == 1
    assert limit_in({"OMP_NUM_THREADS": "1,2"}) == 1
    assert limit_in({"OMP_NUM_THREADS": ""}) == joblib.cpu_count()
    assert limit_in({"OMP_NUM_THREADS": "nonsense"}) == joblib.cpu_count()
    assert limit_in({"OMP_NUM_THREADS": "1"}, "3") == 3  # what is asked for by name is meant


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_the_affinity_of_the_process():
    core = min(os.sched_getaffinity(0))
    program = (
        f"import os; os.sched_setaffinity(0, [{core}]); "
        "from chainrule.engine.native import usable_threads; print(usable_threads())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    assert run.stdout.strip() == "1"


def test_threads_beyond_all_use_are_not_begun():
    assert usable_threads(10**6) == 512
    X = np.random.default_rng(0).normal(size=(50, 2))
    models = [cr.TabularRegressor(epochs=2, random_state=0, n_threads=k) for k in (1, 10**6)]
    first, second = (model.fit(X, X[:, 0]).predict(X) for model in models)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, True, "2"])
def test_a_number_of_threads_that_is_none(n_threads):
    with pytest.raises(cr.InputError, match="whole number of at least 1, or None for all cores"):
        usable_threads(n_threads)
