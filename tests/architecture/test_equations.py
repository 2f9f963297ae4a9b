"""The notes in NumPy against the same sums written out unit by unit, and the text itself."""

import ast
import math
import re
from pathlib import Path

import numpy as np
import pytest

from chainrule.architecture import ACTIVATIONS, equations

N, D0, D1, D2 = 4, 3, 5, 2


@pytest.fixture
def small():
    """Two layers, all numbers as plain Python lists and as arrays."""
    rng = np.random.default_rng(0)
    parameters = [
        (rng.normal(size=(D1, D0)), rng.normal(size=D1)),
        (rng.normal(size=(D2, D1)), rng.normal(size=D2)),
    ]
    X, y = rng.normal(size=(N, D0)), rng.normal(size=(N, D2))
    return X, y, parameters, [ACTIVATIONS["tanh"], ACTIVATIONS["identity"]]


# N1 N2 N3 N4
def test_forward_is_the_sum_over_the_units_below(small):
    X, _, parameters, functions = small
    (w1, b1), (w2, b2) = parameters
    states = equations.forward(X, parameters, functions)
    for i in range(N):
        h = [math.tanh(sum(w1[k, j] * X[i, j] for j in range(D0)) + b1[k]) for k in range(D1)]
        s = [sum(w2[k, j] * h[j] for j in range(D1)) + b2[k] for k in range(D2)]
        assert states[0].H[i] == pytest.approx(h, rel=1e-14)
        assert states[1].H[i] == pytest.approx(s, rel=1e-13)
    assert states[0].inputs is X
    assert states[1].inputs is states[0].H


# N5 N9 N10 N11 N12
@pytest.mark.parametrize("weight", [None, np.array([2.0, 0.0, 1.0, 0.5])])
def test_backward_is_the_chain_rule_unit_by_unit(small, weight):
    X, y, parameters, functions = small
    (_, _), (w2, _) = parameters
    states = equations.forward(X, parameters, functions)
    _, minus_e = equations.normal(states[-1].H, y)
    delta = equations.top_error_signal(minus_e, weight)
    gradients, G0 = equations.backward(delta, states, parameters, functions)
    share = np.full(N, 1 / N) if weight is None else weight / weight.sum()

    w_gradients = [np.zeros((D1, D0)), np.zeros((D2, D1))]
    b_gradients = [np.zeros(D1), np.zeros(D2)]
    for i in range(N):
        h = states[0].H[i]
        top = [share[i] * (states[1].H[i, k] - y[i, k]) for k in range(D2)]  # N5, N9
        from_above = [sum(top[k] * w2[k, j] for k in range(D2)) for j in range(D1)]  # N10
        signal = [from_above[k] * (1 - h[k] ** 2) for k in range(D1)]  # N9, r' of tanh
        for k in range(D2):
            b_gradients[1][k] += top[k]  # N12
            for j in range(D1):
                w_gradients[1][k, j] += top[k] * h[j]  # N11
        for k in range(D1):
            b_gradients[0][k] += signal[k]
            for j in range(D0):
                w_gradients[0][k, j] += signal[k] * X[i, j]
        to_x = [sum(signal[k] * parameters[0][0][k, j] for k in range(D1)) for j in range(D0)]
        assert G0[i] == pytest.approx(to_x, rel=1e-12, abs=1e-15)
    for level in range(2):
        np.testing.assert_allclose(gradients[level][0], w_gradients[level], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(gradients[level][1], b_gradients[level], rtol=1e-12, atol=1e-15)


# N27
def test_a_scale_is_in_the_sums_of_the_units_above_it(small):
    """Against the same layers on s ⊙ x, and the chain x → s ⊙ x → loss written out."""
    X, y, parameters, functions = small
    (w, b), top = parameters
    a, rate = np.random.default_rng(1).normal(size=D0), 6.0
    s = [1 + rate * a[j] for j in range(D0)]
    scaled = [[s[j] * X[i, j] for j in range(D0)] for i in range(N)]
    on_scaled = equations.forward(np.array(scaled), parameters, functions)
    states = equations.forward(X, [(equations.scaled_weights(w, a, rate), b), top], functions)
    np.testing.assert_allclose(states[-1].H, on_scaled[-1].H, rtol=1e-12)

    delta = equations.top_error_signal(equations.normal(on_scaled[-1].H, y)[1], None)
    of_scaled, G = equations.backward(delta, on_scaled, parameters, functions)  # G: by the inputs s ⊙ x
    folded = [(equations.scaled_weights(w, a, rate), b), top]
    of_folded, G_x = equations.backward(delta, states, folded, functions)
    of_w, of_a = equations.gradients_through_scale(of_folded[0][0], w, a, rate)
    np.testing.assert_allclose(of_w, of_scaled[0][0], rtol=1e-11, atol=1e-15)
    by_hand = [rate * sum(G[i, j] * X[i, j] for i in range(N)) for j in range(D0)]
    np.testing.assert_allclose(of_a, by_hand, rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(G_x, G * s, rtol=1e-11, atol=1e-15)


def test_a_mask_multiplies_the_input_of_its_layer_and_the_gradient_that_leaves_it(small):
    """A masked layer is the layer with the columns of its weights masked, row of the batch by row."""
    X, y, parameters, functions = small
    mask = np.array([2.0, 0.0, 2.0, 0.0, 2.0])
    masked = [parameters[0], (parameters[1][0] * mask, parameters[1][1])]
    with_mask = equations.forward(X, parameters, functions, [None, np.tile(mask, (N, 1))])
    without = equations.forward(X, masked, functions)
    np.testing.assert_allclose(with_mask[-1].H, without[-1].H, rtol=1e-13)
    delta = equations.top_error_signal(equations.normal(without[-1].H, y)[1], None)
    _, G = equations.backward(delta, with_mask, parameters, functions, [None, np.tile(mask, (N, 1))])
    _, G_without = equations.backward(delta, without, masked, functions)
    np.testing.assert_allclose(G, G_without, rtol=1e-12)


def test_the_text_imports_numpy_alone_and_is_short():
    source = Path(equations.__file__).read_text(encoding="utf-8")
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").partition(".")[0])
    assert modules - {"collections", "typing"} == {"numpy"}  # those two only name types
    assert len(source.splitlines()) < 250


def test_the_text_names_every_equation_up_to_the_descent():
    source = Path(equations.__file__).read_text(encoding="utf-8")
    # and N14, which is N12 for a learned scale, and N27, which is around the first layer
    assert {int(number) for number in re.findall(r"\bN(\d+)\b", source)} == {*range(1, 13), 14, 27}
