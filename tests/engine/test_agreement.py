"""The native engine against the reference in float64: over the product, and over sizes (N1 to N13)."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import Dense, Dropout, Scale
from chainrule.architecture import ACTIVATIONS
from chainrule.engine import Descent
from chainrule.engine.native import NativeEngine, supported_instruction_sets
from chainrule.optimization import SGD, Adam, AdamW, Penalty

DTYPES = ("float64", "float32")
THREADS = (1, 2, 4)
NEAR = {"float64": 1e-12, "float32": 1e-5}  # of the largest entry
# The same multiple of ε for both: among thousands of drawn cases there are residuals of single rows, and
# sums over outputs, that nearly cancel.
NEAR_OF_ANY = {"float64": 1e-12, "float32": 5e-4}

# the canonical four, and two with learned numbers at the end of θ
SOME_CASES = ["normal", "bernoulli", "categorical", "poisson", "gamma/learned", "ordinal"]


def assert_near(ours, reference, dtype, what, near=NEAR):
    ours, reference = np.asarray(ours), np.asarray(reference)
    assert ours.shape == reference.shape
    error = np.abs(ours - reference).max() / np.abs(reference).max()
    assert error <= near[dtype], f"{what}: {error:.1e} in {dtype}"


def everything(engine, problem, penalty=Penalty(), dropout_seed=None):
    """Return forward, loss, loss with penalty, ∂loss/∂θ and ∂loss/∂x."""
    logits = engine.forward(problem.theta, problem.X)
    loss = engine.loss(problem.theta, problem.X, problem.y, problem.weight)
    G = np.empty_like(problem.X)
    with_penalty, gradient = engine.loss_and_gradient(
        problem.theta, problem.X, problem.y, problem.weight, penalty, dropout_seed, G
    )
    assert logits.dtype == gradient.dtype == problem.theta.dtype
    return {
        "logits": logits,
        "loss": loss,
        "penalised loss": with_penalty,
        "∂loss/∂θ": gradient,
        "∂loss/∂x": G,
    }


def compare(problem, dtypes=DTYPES, threads=THREADS, penalty=Penalty(), dropout_seed=None):
    """Compare all that an engine gives, in each dtype and on each number of threads, with the reference."""
    network = problem.network
    reference = everything(network.engine("reference"), problem, penalty, dropout_seed)
    for dtype, n_threads in product(dtypes, threads):
        native = everything(network.engine("native", n_threads), problem.astype(dtype), penalty, dropout_seed)
        for what, values in native.items():
            assert_near(values, reference[what], dtype, f"{what} of {network} on {n_threads} threads")


# N1 N2 N4 N5 N6 N7 N8 N9 N10 N11 N12
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("case", ["normal", "bernoulli", "categorical", "poisson"])
def test_the_engines_agree(case, activation, make_problem, layers):
    cases = product((0, 1, 3), (1, 3), (False, True))
    for seed, (depth, outputs, weighted) in enumerate(cases):
        problem = make_problem(
            case,
            layers(activation, depth, (19, 9, 34)),
            outputs=outputs,
            n_inputs=5,
            n_rows=37,
            weighted=weighted,
            margin=1e-4,
            seed=seed,
        )
        compare(problem, penalty=Penalty(0.1, biases=bool(seed % 2)))


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_engines_agree_on_every_likelihood(case, outputs, make_problem):
    for seed, hidden in enumerate([[], [Dense(19, "tanh")]]):
        problem = make_problem(
            case, hidden, outputs=outputs, n_inputs=5, n_rows=37, weighted=bool(hidden), seed=seed
        )
        compare(problem, threads=(1, 3), penalty=Penalty(0.1, biases=True))


@pytest.mark.parametrize("case", SOME_CASES)
def test_the_engines_agree_with_dropout(case, make_problem):
    """The masks are the same ones: they follow from seed, step, layer, row and unit alone."""
    hidden = [Dropout(0.1), Dense(33, "tanh"), Dropout(0.5), Dense(18, "relu"), Dropout(0.9)]
    for dropout_seed in (0, 1, 2**31, 2**62):
        problem = make_problem(
            case, hidden, outputs=3, n_inputs=20, n_rows=50, dropout_seed=dropout_seed, margin=1e-4
        )
        compare(problem, dropout_seed=dropout_seed)


EDGES = [1, 2, 3, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 18, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 70]
SIZE = st.one_of(st.sampled_from(EDGES), st.integers(1, 70))


@given(
    n_inputs=SIZE,
    scaled=st.booleans(),
    sizes=st.lists(st.tuples(SIZE, st.booleans(), st.sampled_from([0.0, 0.3])), max_size=3),
    outputs=SIZE,
    n_rows=SIZE,
    weighted=st.booleans(),
    likelihood=st.sampled_from(
        ["normal", "bernoulli", "categorical", "poisson", "gamma/learned", "quantile"]
    ),
    n_threads=st.sampled_from([1, 2, 3, 4, 7]),
    instruction_set=st.sampled_from(supported_instruction_sets()),
    dtype=st.sampled_from(DTYPES),
)
def test_the_engines_agree_at_any_size(
    make_problem,
    *,
    n_inputs,
    scaled,
    sizes,
    outputs,
    n_rows,
    weighted,
    likelihood,
    n_threads,
    instruction_set,
    dtype,
):
    hidden = [Scale(0.5)] * scaled
    for units, bias, rate in sizes:
        hidden += [Dropout(rate)] * (rate > 0) + [Dense(units, "tanh", bias)]
    problem = make_problem(
        likelihood,
        hidden,
        outputs=outputs,
        n_inputs=n_inputs,
        n_rows=n_rows,
        weighted=weighted,
        dropout_seed=5,
    )
    network = problem.network
    engine = NativeEngine(network.architecture, network.likelihood, n_threads, instruction_set)
    reference = everything(network.engine("reference"), problem, dropout_seed=5)
    for what, values in everything(engine, problem.astype(dtype), dropout_seed=5).items():
        assert_near(values, reference[what], dtype, what, NEAR_OF_ANY)


# Around the lengths at which the native engine cuts sums (256 inputs, 512 rows, 48 rows of a thread).
@pytest.mark.parametrize(
    ("n_inputs", "units", "n_rows"),
    [(255, 513, 47), (256, 17, 513), (257, 600, 49), (5, 300, 1030), (3, 9, 1537)],
)
def test_the_engines_agree_across_the_blocks_of_a_sum(n_inputs, units, n_rows, make_problem):
    hidden = [Dense(units, "tanh"), Dropout(0.3), Dense(7, "softplus")]
    problem = make_problem(
        "categorical", hidden, outputs=3, n_inputs=n_inputs, n_rows=n_rows, weighted=True, dropout_seed=1
    )
    compare(problem, penalty=Penalty(0.01), dropout_seed=1)


# N27: around the lengths at which the native engine cuts the sums over the units and the inputs
@pytest.mark.parametrize("units", [(), (1,), (130,), (33, 5)])
@pytest.mark.parametrize("n_inputs", [1, 63, 64, 65, 257])
def test_the_engines_agree_on_a_scale(n_inputs, units, make_problem):
    hidden = [Scale(0.5), Dropout(0.2), *[Dense(n, "silu") for n in units]]
    for n_rows, outputs in ((40, 3), (600, 1)):
        problem = make_problem(
            "normal", hidden, outputs=outputs, n_inputs=n_inputs, n_rows=n_rows, weighted=True, dropout_seed=1
        )
        compare(problem, penalty=Penalty(0.01, biases=True), dropout_seed=1)


def test_the_engines_agree_on_an_error_signal_of_many_classes(make_problem):
    """Softmax over more classes than a panel, a vector or a block holds."""
    for outputs in (2, 17, 64, 300):
        compare(make_problem("categorical", [9], outputs=outputs, n_rows=70, weighted=True, margin=1e-4))


OPTIMIZERS = {
    "sgd": SGD(0.05),
    "momentum": SGD(0.05, momentum=0.9),
    "nesterov": SGD(0.05, momentum=0.9, nesterov=True),
    "sgd decay": SGD(0.05, momentum=0.5, weight_decay=0.1),
    "adam": Adam(0.01, epsilon=1e-3),
    "adam betas": Adam(0.01, beta_1=0.0, beta_2=0.5, epsilon=1e-3),
    "adamw": AdamW(0.01, epsilon=1e-3, weight_decay=0.5),
}


# N13
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("case", SOME_CASES)
def test_the_engines_take_the_same_steps(case, optimizer, make_problem, descend):
    hidden = [Dense(17, "tanh"), Dropout(0.25), Dense(6, "silu", bias=False), Dense(9, "gelu")]
    ways = [
        {},
        {"penalty": Penalty(0.1)},
        {"penalty": Penalty(3.0, of_sum=True)},
        {"penalty": Penalty(0.1, biases=True), "decay_biases": True},
        {"clip_norm": 0.05},
        {"clip_norm": 0.05, "penalty": Penalty(0.1), "decay_biases": True, "dropout_seed": 2**40 + 1},
    ]
    for seed, (more, outputs, weighted) in enumerate(product(ways, (1, 3), (False, True))):
        problem = make_problem(
            case, hidden, outputs=outputs, n_inputs=5, n_rows=50, weighted=weighted, seed=seed
        )
        if weighted:
            problem.weight[:] = np.maximum(problem.weight, 0.25)  # no batch of weight 0
        spec = OPTIMIZERS[optimizer]
        reference = descend(
            problem.network.engine("reference"), problem, Descent(problem.theta.copy(), spec, **more)
        )
        for dtype, n_threads in product(DTYPES, THREADS):
            same = problem.astype(dtype)
            engine = problem.network.engine("native", n_threads)
            native = descend(engine, same, Descent(same.theta, spec, **more))
            for what, values in native.items():
                assert_near(values, reference[what], dtype, f"{what}, {more}, {n_threads} threads")


# N13 N27
@pytest.mark.parametrize("clip_norm", [None, 0.05])
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_the_engines_take_the_same_steps_on_a_scale(optimizer, clip_norm, make_problem, descend):
    hidden = [Scale(2.5), Dense(17, "tanh"), Dropout(0.25)]
    more = {"clip_norm": clip_norm, "penalty": Penalty(0.1, biases=True), "decay_biases": True}
    spec = OPTIMIZERS[optimizer]
    for batch_size in (16, 700):
        problem = make_problem("gamma/learned", hidden, outputs=3, n_inputs=70, n_rows=900)
        engine, start = problem.network.engine("reference"), Descent(problem.theta.copy(), spec, **more)
        reference = descend(engine, problem, start, batch_size=batch_size, calls=(4, 3))
        for dtype, n_threads in product(DTYPES, THREADS):
            same = problem.astype(dtype)
            engine, start = problem.network.engine("native", n_threads), Descent(same.theta, spec, **more)
            native = descend(engine, same, start, batch_size=batch_size, calls=(4, 3))
            for what, values in native.items():
                assert_near(values, reference[what], dtype, f"{what}, {more}, {n_threads} threads")


# N27
@pytest.mark.parametrize("engine", ["reference", "native"])
def test_a_scale_moves_at_its_rate(engine, make_problem):
    """The first step of Adam without ε is η long in each entry, whatever the gradient: ρ η long in s."""
    problem = make_problem("normal", [Scale(6), Dense(5, "tanh")], n_inputs=7, n_rows=30)
    network, theta = problem.network, problem.theta.copy()
    before, first = network.input_scale(theta), theta.copy()
    descent = Descent(theta, AdamW(0.01, epsilon=1e-30, weight_decay=0.0))
    data = (problem.X, problem.y, None, np.arange(30), 30, np.array([0.01]))
    network.engine(engine).run_steps(descent, *data)
    np.testing.assert_allclose(np.abs(network.input_scale(theta) - before), 0.06, rtol=1e-6)
    np.testing.assert_allclose(np.abs(theta - first), 0.01, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 47, 512, 600, 1100])
def test_the_engines_take_the_same_steps_with_any_batch(batch_size, make_problem, descend):
    hidden = [Dense(20, "tanh"), Dropout(0.3), Dense(10, "tanh")]
    problem = make_problem("normal", hidden, n_inputs=9, n_rows=1201, weighted=True)
    problem.weight[:] = np.maximum(problem.weight, 0.25)
    spec, more = Adam(0.01, epsilon=1e-3), {"penalty": Penalty(0.1), "dropout_seed": 3}
    engine, start = problem.network.engine("reference"), Descent(problem.theta.copy(), spec, **more)
    reference = descend(engine, problem, start, batch_size=batch_size, calls=(4,))
    for dtype, n_threads in product(DTYPES, THREADS):
        same = problem.astype(dtype)
        engine = problem.network.engine("native", n_threads)
        native = descend(engine, same, Descent(same.theta, spec, **more), batch_size=batch_size, calls=(4,))
        for what, values in native.items():
            assert_near(values, reference[what], dtype, f"{what}, {n_threads} threads")


# N13: the reference's step, from its parts
@pytest.mark.parametrize("engine", ["reference", "native"])
def test_a_step_is_gradient_clipping_and_update(engine, make_problem):
    problem = make_problem("poisson", [Dense(5, "tanh")], n_rows=8, weighted=True)
    network, theta, optimizer = problem.network, problem.theta.copy(), AdamW(0.1, weight_decay=0.2)
    penalty = Penalty(0.3)
    loss, gradient = network.loss_and_gradient(
        theta, problem.X, problem.y, problem.weight, None, "reference", penalty
    )
    gradient *= 0.01 / np.linalg.norm(gradient)
    expected = theta * np.where(network.architecture.weight_mask, 1 - 0.05 * 0.2, 1)
    m, u = 0.1 * gradient, 0.001 * gradient**2
    expected -= 0.05 * np.sqrt(1 - 0.999) / (1 - 0.9) * m / (np.sqrt(u) + 1e-8)
    descent = Descent(theta, optimizer, penalty, clip_norm=0.01)
    losses = network.engine(engine).run_steps(
        descent, problem.X, problem.y, problem.weight, np.arange(8), 8, np.array([0.05])
    )
    assert losses == pytest.approx([loss], rel=1e-14)
    np.testing.assert_allclose(theta, expected, rtol=1e-11)
    np.testing.assert_allclose(descent.state[0], m, rtol=1e-11, atol=1e-18)
    np.testing.assert_allclose(descent.state[1], u, rtol=1e-11, atol=1e-22)
