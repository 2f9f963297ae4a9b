"""∂loss/∂θ and ∂loss/∂x of both engines against central differences, over the whole product."""

from itertools import product

import numpy as np
import pytest

from chainrule import Dense, Dropout, Scale
from chainrule.architecture import ACTIVATIONS
from chainrule.optimization import Penalty

STEP = 1e-5
TOLERANCE = 1e-7  # of each layer's largest entry
# the canonical four, and two with learned numbers at the end of θ
SOME_CASES = ["normal", "bernoulli", "categorical", "poisson", "gamma/learned", "ordinal"]


def central_differences(loss, point):
    slopes = np.empty_like(point)
    flat, out = point.reshape(-1), slopes.reshape(-1)
    for i in range(flat.size):
        value = flat[i]
        flat[i] = value + STEP
        above = loss()
        flat[i] = value - STEP
        out[i] = (above - loss()) / (2 * STEP)
        flat[i] = value
    return slopes


def check(problem, engine, penalty=Penalty(), dropout_seed=None):
    """Compare each layer's part of the gradient, and ∂loss/∂x, with differences of the loss beside them."""
    compute = problem.network.engine(engine).loss_and_gradient
    theta, X = problem.theta.copy(), problem.X.copy()
    rest = (problem.y, problem.weight, penalty, dropout_seed)

    def loss():
        return compute(theta, X, *rest)[0]

    G = np.empty_like(X)
    _, gradient = compute(theta, X, *rest, G)
    differences = central_differences(loss, theta)
    hidden = 4 * np.finfo(np.float64).eps * abs(loss()) / STEP  # by the rounding of the loss
    pairs = [
        (gradient[layer.weight_start : layer.stop], differences[layer.weight_start : layer.stop])
        for layer in problem.network.architecture.dense
    ]
    if rate := problem.network.architecture.scale_rate:  # N27
        assert rate > 1
        pairs.append(tuple(map(problem.network.architecture.of_scale, (gradient, differences))))
    start = len(theta) - problem.network.architecture.n_scales
    if start < len(theta):  # N14
        pairs.append((gradient[start:], differences[start:]))
    pairs.append((G, central_differences(loss, X)))
    for level, (ours, theirs) in enumerate(pairs, start=1):
        error = np.abs(ours - theirs).max() / max(np.abs(ours).max(), hidden / TOLERANCE)
        place = f"part {level}" if level < len(pairs) else "x"
        assert error < TOLERANCE, f"{place}: {error:.1e} in {problem.network}, {penalty}"


# N5 N6 N7 N8 N9 N10 N11 N12
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("likelihood", ["normal", "bernoulli", "categorical", "poisson"])
def test_gradients_are_those_of_the_loss(likelihood, activation, engine, make_problem, layers):
    cases = product((0, 1, 3), (1, 3), (False, True), (Penalty(), Penalty(0.1)))
    for seed, (depth, outputs, weighted, penalty) in enumerate(cases):
        problem = make_problem(
            likelihood, layers(activation, depth), outputs=outputs, weighted=weighted, seed=seed
        )
        check(problem, engine, penalty)


# N5 N6 N7 N8 N14 N15 N16 N17 N18 N19 N20 N21 N22 N23 N24
@pytest.mark.parametrize("outputs", [1, 3])
def test_gradients_of_every_likelihood(case, outputs, engine, make_problem):
    ways = [((), False, Penalty()), ([Dense(4, "tanh")], True, Penalty(0.1, biases=True))]
    for seed, (hidden, weighted, penalty) in enumerate(ways):
        check(make_problem(case, hidden, outputs=outputs, weighted=weighted, seed=seed), engine, penalty)


# N10 N11 N12 N14, for each likelihood in each way to set it up, with each activation
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_gradients_of_every_likelihood_with_every_activation(case, activation, make_problem):
    """On the reference, with one hidden layer; that both engines agree is tested in test_agreement.py."""
    problem = make_problem(case, [Dense(3, activation)], n_inputs=2, n_rows=4, weighted=True)
    check(problem, "reference", Penalty(0.1))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("case", SOME_CASES)
def test_gradients_with_dropout(case, activation, engine, make_problem):
    hidden = [Dropout(0.2), Dense(5, activation), Dropout(0.5), Dense(4, activation), Dropout(0.25)]
    for dropout_seed, weighted in product((1, 2), (False, True)):
        problem = make_problem(
            case, hidden, outputs=3, n_rows=9, weighted=weighted, dropout_seed=dropout_seed
        )
        check(problem, engine, Penalty(0.1), dropout_seed)


@pytest.mark.parametrize("bias", list(product((False, True), repeat=2)))
@pytest.mark.parametrize("case", SOME_CASES)
def test_gradients_of_layers_without_biases(case, bias, engine, make_problem):
    hidden = [Dense(4, "tanh", bias=bias[0]), Dense(3, "gelu", bias=bias[1])]
    for penalty in (Penalty(), Penalty(0.1), Penalty(0.1, biases=True)):
        check(make_problem(case, hidden, weighted=True), engine, penalty)


# N27
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("case", SOME_CASES)
def test_gradients_of_a_scale(case, activation, engine, make_problem, layers):
    ways = product((0, 1, 3), (None, 3), (Penalty(), Penalty(0.1, biases=True)))
    for seed, (depth, dropout_seed, penalty) in enumerate(ways):
        hidden = [Scale(2.5), *[Dropout(0.3)] * (seed % 3 == 1), *layers(activation, depth)]
        problem = make_problem(
            case, hidden, outputs=1 + 2 * (seed % 2), weighted=True, dropout_seed=dropout_seed, seed=seed
        )
        check(problem, engine, penalty, dropout_seed)


def test_gradients_of_mixed_activations(engine, make_problem):
    names = sorted(ACTIVATIONS)
    for seed, name in enumerate(names):
        hidden = [Dense(4, name), Dense(5, names[seed - 1]), Dense(3, names[seed - 2])]
        check(make_problem("normal", hidden, outputs=3, seed=seed), engine)
