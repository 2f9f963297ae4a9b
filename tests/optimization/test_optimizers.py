"""N13 against trajectories that are written out here, number by number, with 40 digits."""

import math

import numpy as np
import pytest
from mpmath import mp, mpf

from chainrule.errors import InputError
from chainrule.optimization import LBFGS, SGD, Adam, AdamW, clip_by_norm

TOLERANCE = {"float32": 2e-6, "float64": 1e-14}
N_STEPS = 12


def sgd(theta, gradients, rates, *, momentum=0.0, nesterov=False, decay=0.0):
    """Plain: θ ← θ − η g. Momentum: v ← μ v − η g, θ ← θ + v. Nesterov: θ ← θ + μ v − η g, the new v."""
    theta, v, path = mpf(theta), mpf(0), []
    for g, eta in zip(map(mpf, gradients), map(mpf, rates), strict=True):
        theta = theta - eta * mpf(decay) * theta
        v = mpf(momentum) * v - eta * g
        theta = theta + mpf(momentum) * v - eta * g if nesterov else theta + v
        path.append(theta)
    return path


def adam(theta, gradients, rates, *, beta_1=0.9, beta_2=0.999, epsilon=1e-8, decay=0.0):
    """m ← β₁ m + (1 − β₁) g, u ← β₂ u + (1 − β₂) g², θ ← θ − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√u + ε)."""
    theta, m, u, path = mpf(theta), mpf(0), mpf(0), []
    b1, b2 = mpf(beta_1), mpf(beta_2)
    for t, (g, eta) in enumerate(zip(map(mpf, gradients), map(mpf, rates), strict=True), start=1):
        theta = theta - eta * mpf(decay) * theta
        m = b1 * m + (1 - b1) * g
        u = b2 * u + (1 - b2) * g * g
        theta = theta - eta * mp.sqrt(1 - b2**t) / (1 - b1**t) * m / (mp.sqrt(u) + mpf(epsilon))
        path.append(theta)
    return path


# name → the optimizer for a learning rate and a weight decay, and the same written out
CASES = {
    "plain": (lambda eta, decay: SGD(eta, weight_decay=decay), lambda *a: sgd(*a[:3], decay=a[3])),
    "momentum": (
        lambda eta, decay: SGD(eta, momentum=0.9, weight_decay=decay),
        lambda *a: sgd(*a[:3], momentum=0.9, decay=a[3]),
    ),
    "nesterov": (
        lambda eta, decay: SGD(eta, momentum=0.8, nesterov=True, weight_decay=decay),
        lambda *a: sgd(*a[:3], momentum=0.8, nesterov=True, decay=a[3]),
    ),
    "adamw": (lambda eta, decay: AdamW(eta, weight_decay=decay), lambda *a: adam(*a[:3], decay=a[3])),
    "adamw, other constants": (
        lambda eta, decay: AdamW(eta, 0.5, 0.75, 1e-3, weight_decay=decay),
        lambda *a: adam(*a[:3], beta_1=0.5, beta_2=0.75, epsilon=1e-3, decay=a[3]),
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("learning_rate", [1e-3, 0.3, 1e3])
@pytest.mark.parametrize("name", CASES)
def test_a_trajectory_is_the_one_written_out(name, learning_rate, decay, dtype):
    make, written_out = CASES[name]
    rng = np.random.default_rng(1)
    scales = np.array([1e-4, 1e-2, 1, 30])  # of the gradients of four parameters
    start = rng.normal(size=4).astype(dtype)
    gradients = (rng.normal(size=(N_STEPS, 4)) * scales).astype(dtype)
    decayed = np.array([1, 0, 1, 0], dtype=dtype)
    rates = learning_rate * np.linspace(1, 0.5, N_STEPS)  # as a schedule would have it
    with mp.workdps(40):
        paths = [
            written_out(float(start[k]), gradients[:, k].tolist(), rates, decay if decayed[k] else 0.0)
            for k in range(4)
        ]
    optimizer = make(learning_rate, decay)
    theta = start.copy()
    state = optimizer.init(theta)
    for t in range(N_STEPS):
        gradient = gradients[t].copy()
        optimizer.update(theta, gradient, state, t + 1, float(rates[t]), decayed)
        assert np.array_equal(gradient, gradients[t])
        for k, path in enumerate(paths):
            # rounding is of the size of the largest number that θ has gone through
            largest = max(abs(float(start[k])), *(abs(float(value)) for value in path[: t + 1]))
            assert abs(float(theta[k]) - float(path[t])) <= N_STEPS * TOLERANCE[dtype] * largest, (t, k)
    assert theta.dtype == np.dtype(dtype)
    assert all(array.dtype == np.dtype(dtype) for array in state)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_is_adamw_without_decay(dtype):
    rng = np.random.default_rng(2)
    start = rng.normal(size=5).astype(dtype)
    gradients = rng.normal(size=(6, 5)).astype(dtype)
    ends = []
    for optimizer in (Adam(0.1), AdamW(0.1, weight_decay=0.0)):
        theta = start.copy()
        state = optimizer.init(theta)
        for t, gradient in enumerate(gradients, start=1):
            optimizer.update(theta, gradient, state, t, 0.1, np.ones_like(theta))
        ends.append(theta)
    assert np.array_equal(*ends)


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.5), Adam(), AdamW()])
def test_a_state_begins_with_zeros_like_theta(optimizer):
    theta = np.ones(3, dtype=np.float32)
    state = optimizer.init(theta)
    assert len(state) == optimizer.n_moments
    for array in state:
        assert array.dtype == theta.dtype
        assert np.array_equal(array, np.zeros(3))
        assert not np.shares_memory(array, theta)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("max_norm", [1e-2, 1.0, 1e6])
def test_clipping_keeps_the_direction_and_bounds_the_norm(scale, max_norm, dtype):
    gradient = (np.array([3, -4, 12]) * scale).astype(dtype)  # norm 13 · scale
    before = gradient.copy()
    clip_by_norm(gradient, max_norm)
    if 13 * scale <= max_norm:
        assert np.array_equal(gradient, before)
    else:
        expected = np.array([3, -4, 12]) / 13 * max_norm
        np.testing.assert_allclose(gradient, expected, rtol=8 * np.finfo(dtype).eps)


def test_clipping_a_large_float32_gradient_does_not_overflow():
    gradient = np.full(4, 1e30, dtype=np.float32)  # its squares are beyond float32
    clip_by_norm(gradient, 1.0)
    np.testing.assert_allclose(gradient, 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: SGD(0), "learning_rate"),
        (lambda: SGD(-1.0), "learning_rate"),
        (lambda: Adam(math.inf), "learning_rate"),
        (lambda: Adam(math.nan), "learning_rate"),
        (lambda: SGD(momentum=1.1), "momentum"),
        (lambda: SGD(momentum=-0.1), "momentum"),
        (lambda: SGD(weight_decay=-1e-3), "weight_decay"),
        (lambda: Adam(beta_1=1.0), "beta_1"),
        (lambda: Adam(beta_2=-0.1), "beta_2"),
        (lambda: Adam(epsilon=0.0), "epsilon"),
        (lambda: AdamW(weight_decay=math.inf), "weight_decay"),
        (lambda: LBFGS(max_iterations=0), "max_iterations"),
        (lambda: LBFGS(tolerance=-1.0), "tolerance"),
        (lambda: LBFGS(memory=0), "memory"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named(make, field):
    with pytest.raises(InputError, match=rf"{field}=.*: it must be"):
        make()
