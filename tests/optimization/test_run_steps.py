"""Whole descents of both engines against loops over numbers, written from N1, N5, N9 to N13.

The network is the linear model with one output, so that a person can follow each line.
"""

import math

import numpy as np
import pytest

from chainrule import Network
from chainrule.engine import Descent
from chainrule.likelihoods import Normal
from chainrule.optimization import SGD, Adam, AdamW, Penalty

N_ROWS, N_INPUTS, BATCH_SIZE = 11, 3, 4  # the last batch has 3 rows
OPTIMIZERS = {
    "plain": lambda eta, decay: SGD(eta, weight_decay=decay),
    "momentum": lambda eta, decay: SGD(eta, momentum=0.9, weight_decay=decay),
    "nesterov": lambda eta, decay: SGD(eta, momentum=0.9, nesterov=True, weight_decay=decay),
    "adam": lambda eta, decay: AdamW(eta, weight_decay=decay) if decay else Adam(eta),
}
PENALTIES = [Penalty(), Penalty(0.1), Penalty(0.1, biases=True), Penalty(0.4, of_sum=True)]


def batch_loss_and_gradient(w, b, rows, penalty):
    """Rows are (x, y, weight): the mean of ½ (s − y)², the penalty, and the slopes in w and b."""
    total = math.fsum(weight for _, _, weight in rows)
    loss, g_w, g_b = 0.0, [0.0] * len(w), 0.0
    for x, y, weight in rows:
        s = math.fsum(w_j * x_j for w_j, x_j in zip(w, x, strict=True)) + b
        loss += weight / total * (s - y) ** 2 / 2
        for j, x_j in enumerate(x):
            g_w[j] += weight / total * (s - y) * x_j
        g_b += weight / total * (s - y)
    l2 = penalty.l2 / total if penalty.of_sum else penalty.l2
    added = l2 / 2 * math.fsum(w_j * w_j for w_j in w)
    g_w = [g + l2 * w_j for g, w_j in zip(g_w, w, strict=True)]
    if penalty.biases:
        added += l2 / 2 * b * b
        g_b += l2 * b
    return loss + added, added, [*g_w, g_b]


def descend(theta, batches, rates, *, name, decay, decay_biases, penalty, clip_norm):
    """Return the loss of each step, the penalty's part of it, and θ after each."""
    theta = [float(t) for t in theta]
    v, m, u = ([0.0] * len(theta) for _ in range(3))
    losses, penalties, path = [], [], []
    for t, (rows, eta) in enumerate(zip(batches, rates, strict=True), start=1):
        loss, added, g = batch_loss_and_gradient(theta[:-1], theta[-1], rows, penalty)
        losses.append(loss)
        penalties.append(added)
        norm = math.hypot(*g)
        if clip_norm is not None and norm > clip_norm:
            g = [g_k * clip_norm / norm for g_k in g]
        for k in range(len(theta)):
            if k < len(theta) - 1 or decay_biases:
                theta[k] *= 1 - eta * decay
            if name == "adam":
                m[k] = 0.9 * m[k] + 0.1 * g[k]
                u[k] = 0.999 * u[k] + 0.001 * g[k] ** 2
                theta[k] -= eta * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m[k] / (math.sqrt(u[k]) + 1e-8)
            else:
                mu = 0.0 if name == "plain" else 0.9
                v[k] = mu * v[k] - eta * g[k]
                theta[k] += mu * v[k] - eta * g[k] if name == "nesterov" else v[k]
        path.append(list(theta))
    return losses, penalties, path


@pytest.mark.parametrize("learning_rate", [0.05, 1e3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@pytest.mark.parametrize(("decay", "decay_biases"), [(0.0, False), (0.02, False), (0.02, True)])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_descent_is_the_one_written_out(
    *, engine, dtype, name, decay, decay_biases, penalty, clip_norm, weighted, learning_rate
):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N_ROWS, N_INPUTS)).astype(dtype)
    y = rng.normal(size=(N_ROWS, 1)).astype(dtype)
    weight = rng.uniform(0.5, 2, N_ROWS).astype(dtype) if weighted else None
    start = rng.normal(size=N_INPUTS + 1).astype(dtype)
    order = np.concatenate([rng.permutation(N_ROWS)[: 2 * BATCH_SIZE], rng.permutation(N_ROWS)])
    rows = [(X[i].tolist(), float(y[i, 0]), 1.0 if weight is None else float(weight[i])) for i in order]
    batches = [rows[k : k + BATCH_SIZE] for k in range(0, len(rows), BATCH_SIZE)]
    rates = learning_rate * np.linspace(1, 0.5, len(batches))
    losses, penalties, path = descend(
        start,
        batches,
        rates,
        name=name,
        decay=decay,
        decay_biases=decay_biases,
        penalty=penalty,
        clip_norm=clip_norm,
    )
    descent = Descent(start.copy(), OPTIMIZERS[name](learning_rate, decay), penalty, clip_norm, decay_biases)
    text = Network(N_INPUTS, likelihood=Normal()).engine(engine)
    done, added = [], np.empty(len(batches))
    while len(done) < len(batches):
        left = order[len(done) * BATCH_SIZE :], BATCH_SIZE, rates[len(done) :]
        done += text.run_steps(descent, X, y, weight, *left, penalties=added[len(done) :]).tolist()
    assert descent.step == len(batches)
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    largest = np.abs([start, *path]).max()
    np.testing.assert_allclose(descent.theta, path[-1], rtol=0, atol=tolerance * largest)
    # A loss is a square: it has the rounding of the largest residual that θ could give there, squared.
    sizes = [1 + np.abs(theta).max() ** 2 for theta in [start, *path[:-1]]]
    assert np.all(np.abs(np.subtract(done, losses)) <= 4 * tolerance * np.array(sizes))
    assert np.all(np.abs(added - penalties) <= 4 * tolerance * np.array(sizes))
