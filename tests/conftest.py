"""What the tests share: problems to compute, drawn from seeds, for every likelihood there is."""

import signal
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from chainrule import Dense, Network
from chainrule.architecture import ACTIVATIONS
from chainrule.engine import Descent, Engine
from chainrule.engine.reference import ReferenceEngine
from chainrule.likelihoods import LIKELIHOODS, Likelihood

# The same examples in every run, and no limit on their time: a test is not a coin toss or a stop-watch.
settings.register_profile("chainrule", deadline=None, derandomize=True, database=None, max_examples=150)
# .ci/nightly asks for it by --hypothesis-profile: other examples each time, and many more
settings.register_profile("nightly", deadline=None, database=None, max_examples=2000, print_blob=True)
settings.load_profile("chainrule")


# For each likelihood: how to make it with so many outputs, and how to draw a target for n rows of it.
# A new likelihood without a line here fails every test that goes over LIKELIHOODS.
# A name behind a stroke is another way to set it up.
def outputs_and(**settings: Any) -> Any:
    return lambda outputs: {"n_outputs": outputs, **settings}


SCALES = {"fixed": 1.5, "learned": "learned", "network": "network"}
MAKE = {
    "normal": outputs_and(),
    "normal/fixed": outputs_and(scale=1.5),
    "normal/learned": outputs_and(scale="learned"),
    "normal_with_variance": outputs_and(),
    **{
        f"{name}/{way}": outputs_and(scale=scale)
        for name in ("student_t", "laplace", "huber", "negative_binomial", "gamma")
        for way, scale in SCALES.items()
    },
    "quantile": outputs_and(),
    "quantile/one": outputs_and(levels=(0.3,)),
    "bernoulli": outputs_and(),
    "bernoulli/smoothed": outputs_and(label_smoothing=0.25),
    "categorical": lambda outputs: {"n_classes": max(outputs, 2)},
    "categorical/smoothed": lambda outputs: {
        "n_classes": max(outputs, 2),
        "label_smoothing": 0.25,
        "class_weight": tuple(1.0 + c / 2 for c in range(max(outputs, 2))),
    },
    "ordinal": lambda outputs: {"n_classes": max(outputs, 2)},
    "poisson": outputs_and(),
    **{f"tweedie/{way}": outputs_and(scale=scale, power=1.3) for way, scale in SCALES.items()},
    **{f"weibull/{way}": lambda _, scale=scale: {"scale": scale} for way, scale in SCALES.items()},
}
CASES = sorted(MAKE)


def of_outputs(draw: Any) -> Any:
    return lambda rng, n, likelihood: draw(rng, (n, likelihood.n_columns))


def times_and_events(rng: Any, n: int, likelihood: Any) -> Any:
    return np.column_stack([rng.gamma(2.0, size=n), rng.integers(0, 2, n)])


DRAW = {
    "bernoulli": of_outputs(lambda rng, shape: rng.integers(0, 2, shape)),
    "categorical": lambda rng, n, likelihood: rng.integers(0, likelihood.n_classes, n),
    "ordinal": lambda rng, n, likelihood: rng.integers(0, likelihood.n_classes, n),
    "poisson": of_outputs(lambda rng, shape: rng.poisson(1.5, shape)),
    "negative_binomial": of_outputs(lambda rng, shape: rng.poisson(rng.gamma(1.0, 2.0, shape))),
    "gamma": of_outputs(lambda rng, shape: rng.gamma(2.0, size=shape)),
    "tweedie": of_outputs(lambda rng, shape: rng.gamma(2.0, size=shape) * rng.integers(0, 2, shape)),
    "weibull": times_and_events,
    **dict.fromkeys(
        ("normal", "normal_with_variance", "student_t", "laplace", "huber", "quantile"),
        of_outputs(lambda rng, shape: rng.normal(size=shape)),
    ),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test with the argument ``case`` every likelihood there is, in every way to set it up."""
    own = (mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "case" in metafunc.fixturenames and "case" not in own:
        metafunc.parametrize("case", CASES)


@dataclass
class Problem:
    """A network with a θ and data; ``y`` is as `Likelihood.prepare` returned it."""

    network: Network
    theta: np.ndarray
    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None

    def astype(self, dtype: str) -> "Problem":
        weight = None if self.weight is None else self.weight.astype(dtype)
        return Problem(self.network, self.theta.astype(dtype), self.X.astype(dtype), self.y, weight)


def make_likelihood(name: str, outputs: int = 1) -> Likelihood:
    return LIKELIHOODS[name.partition("/")[0]](**MAKE[name](outputs))


def rows_near_a_kink(problem: Problem, dropout_seed: int | None, margin: float) -> np.ndarray:
    """Return the rows in which a pre-activation lies so near to a kink."""
    network = problem.network
    states = ReferenceEngine(network.architecture, network.likelihood).states(
        problem.theta, problem.X, dropout_seed
    )
    near = np.zeros(len(problem.X), dtype=bool)
    for layer, state in zip(network.architecture.dense, states, strict=True):
        for kink in ACTIVATIONS[layer.activation].kinks:
            near |= (np.abs(state.S - kink) < margin).any(axis=1)
    return np.flatnonzero(near)


def make_problem(
    likelihood: str | Likelihood,
    hidden: Any = (),
    *,
    outputs: int = 1,
    n_inputs: int = 3,
    n_rows: int = 5,
    weighted: bool = False,
    dropout_seed: int | None = None,
    margin: float = 1e-3,
    dtype: str = "float64",
    seed: int = 0,
) -> Problem:
    """Draw θ (biases too), X, y and weights; rows near a kink are drawn again.

    Every number is a float32, so that a problem is the same one in both dtypes. One weight is 0.
    """
    rng = np.random.default_rng(seed)
    if isinstance(likelihood, str):
        likelihood = make_likelihood(likelihood, outputs)
    network = Network(n_inputs, hidden, likelihood=likelihood)
    theta = network.initial_parameters(rng, dtype="float64")
    theta += np.where(network.architecture.weight_mask, 0, rng.uniform(-0.5, 0.5, len(theta)))
    y = likelihood.prepare(DRAW[likelihood.name](rng, n_rows, likelihood))
    if y.dtype.kind == "f":
        y = y.astype("float32").astype("float64")
    weight = np.round(rng.uniform(0.25, 3, n_rows), 2).astype("float32") if weighted else None
    if weight is not None and n_rows > 1:
        weight[n_rows // 2] = 0
    X = rng.normal(size=(n_rows, n_inputs))
    problem = Problem(network, theta.astype("float32"), X.astype("float32"), y, weight).astype("float64")
    for _ in range(1000):
        near = rows_near_a_kink(problem, dropout_seed, margin)
        if not len(near):
            return problem.astype(dtype)
        problem.X[near] = rng.normal(size=(len(near), n_inputs)).astype("float32")
    raise AssertionError("rows near a kink were drawn a thousand times over")


@pytest.fixture(params=["reference", "native"])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(name="make_problem", scope="session")
def make_problem_fixture() -> Any:
    return make_problem


@pytest.fixture(name="make_likelihood", scope="session")
def make_likelihood_fixture() -> Any:
    return make_likelihood


@pytest.fixture(scope="session")
def draw_target() -> Any:
    """Return a function that draws a target for n rows of a likelihood, as `prepare` returns it."""
    return lambda likelihood, n, rng: likelihood.prepare(DRAW[likelihood.name](rng, n, likelihood))


@pytest.fixture(scope="session")
def cases() -> list[str]:
    return CASES


@pytest.fixture(scope="session")
def layers() -> Any:
    """Return so many hidden layers of an activation: sizes that no vector length divides."""

    def make(activation: str, depth: int, sizes: tuple[int, ...] = (4, 3, 4)) -> list[Dense]:
        return [Dense(units, activation) for units in sizes[:depth]]

    return make


@pytest.fixture(scope="session")
def descend() -> Any:
    """Take steps over a fixed order of the rows, the last batch ragged; return all that they leave."""

    def take(
        engine: Engine,
        problem: Problem,
        descent: Descent,
        *,
        batch_size: int = 16,
        calls: tuple[int, ...] = (9,),
    ) -> dict[str, np.ndarray]:
        """``calls`` are the steps that each call is asked for."""
        n_steps = sum(calls)
        rows = np.resize(np.arange(len(problem.X)), n_steps * batch_size - batch_size // 3)
        order = np.random.default_rng(1).permutation(rows)
        rates = descent.optimizer.learning_rate * np.linspace(1, 0.5, n_steps)
        losses: list[float] = []
        for stop in np.cumsum(calls):
            while len(losses) < stop:  # a call may end before its time is over, on a busy machine
                done = len(losses)
                part = order[done * batch_size : stop * batch_size]
                data = (problem.X, problem.y, problem.weight)
                losses.extend(engine.run_steps(descent, *data, part, batch_size, rates[done:stop]))
        assert descent.step == len(losses) == n_steps
        moments = {f"moment {i}": moment for i, moment in enumerate(descent.state)}
        assert all(part.dtype == problem.theta.dtype for part in (descent.theta, *descent.state))
        return {"θ": descent.theta, "losses": np.array(losses), **moments}

    return take


@pytest.fixture
def ctrl_c_interrupts():
    """Python's own handler, for children too: what a shell starts in the background is deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
