"""What the tests of training share: a small problem to train on, and engines that stop early."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from chainrule import Network
from chainrule.likelihoods import Normal
from chainrule.training import TrainingResult, train


@dataclass
class Task:
    """A network, a start and rows: a smooth curve with noise."""

    network: Network
    theta: np.ndarray
    X: np.ndarray
    y: np.ndarray
    validation: tuple[np.ndarray, np.ndarray]

    def train(self, **given: Any) -> TrainingResult:
        return train(self.network, self.theta, self.X, self.y, **given)


def make_task(dtype: str = "float32", hidden: Any = (6,), n_rows: int = 45) -> Task:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n_rows + 20, 3)).astype(dtype)
    y = (np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=len(X))).astype(dtype)
    network = Network(3, hidden, likelihood=Normal())
    theta = network.initial_parameters(seed=1, dtype=dtype)
    return Task(network, theta, X[:n_rows], y[:n_rows], (X[n_rows:], y[n_rows:]))


class InterruptedEngine:
    """An engine whose calls end after ``n_steps(call)`` steps, ``before_call(call)`` having been called."""

    def __init__(self, engine: Any, n_steps: Any, before_call: Any = None) -> None:
        self._engine, self._before_call = engine, before_call
        self._n_steps = n_steps or (lambda _: 1)
        self.n_calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run_steps(self, descent, *data_and_order, **more):
        *data, order, batch_size, learning_rates = data_and_order
        self.n_calls += 1
        if self._before_call is not None:
            self._before_call(self.n_calls)
        k = self._n_steps(self.n_calls)
        part = (order[: k * batch_size], batch_size, learning_rates[:k])
        return self._engine.run_steps(descent, *data, *part, **more)


@pytest.fixture(scope="session", name="make_task")
def make_task_fixture() -> Any:
    return make_task


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a network's engine end its calls early: after one step, or so many."""

    def interrupt(network: Network, n_steps: Any = None, before_call: Any = None) -> Any:
        make = network.engine
        engines = []

        def engine(name: str, n_threads: int | None) -> InterruptedEngine:
            engines.append(InterruptedEngine(make(name, n_threads), n_steps, before_call))
            return engines[-1]

        monkeypatch.setattr(network, "engine", engine)
        return engines

    return interrupt
