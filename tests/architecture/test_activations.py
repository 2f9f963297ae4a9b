"""r and r' of every activation against mpmath, in both dtypes and both engines (N2, N9)."""

import dataclasses
from functools import cache

import mpmath
import numpy as np
import pytest

from chainrule import Dense, InputError, Network
from chainrule.architecture import ACTIVATIONS
from chainrule.likelihoods import Normal

# The definitions, as the papers have them.
DEFINITIONS = {
    "identity": lambda s: s,
    "sigmoid": lambda s: 1 / (1 + mpmath.exp(-s)),
    "tanh": mpmath.tanh,
    "relu": lambda s: max(s, mpmath.mpf(0)),
    "leaky_relu": lambda s: s if s > 0 else s / 100,
    "elu": lambda s: s if s > 0 else mpmath.expm1(s),
    "selu": lambda s: SELU_SCALE * (s if s > 0 else SELU_ALPHA * mpmath.expm1(s)),
    "gelu": lambda s: s * mpmath.ncdf(s),
    "silu": lambda s: s / (1 + mpmath.exp(-s)),
    "mish": lambda s: s * mpmath.tanh(mpmath.log1p(mpmath.exp(s))),
    "softplus": lambda s: mpmath.log1p(mpmath.exp(s)),
}
DIGITS = 60
with mpmath.workdps(DIGITS):
    SELU_ALPHA = mpmath.mpf("1.6732632423543772848170429916717")
    SELU_SCALE = mpmath.mpf("1.0507009873554804934193349852946")
NAMES = sorted(ACTIVATIONS)
WIDTH = 17  # points go through a layer of so many units: full vectors and a tail


def points(dtype):
    """Return (32, WIDTH) points of both signs: all sizes, ordinary ones, and where exp and Φ run out."""
    ends = [
        15,
        16.7,
        18,
        20,
        36,
        37.5,
        38.5,
        40,
        80,
        87.4,
        88.5,
        89,
        100,
        103,
        104,
        500,
        707,
        708,
        709,
        745,
        746,
    ]
    sizes = np.concatenate(
        [np.geomspace(1e-30, 1e4, 120), np.linspace(0.05, 12, 16 * WIDTH - 120 - len(ends)), ends]
    )
    return np.concatenate([-sizes, sizes]).astype(dtype).reshape(32, WIDTH)


@cache
def truths(name, dtype):
    """Return r, r' and r'' at each point, from the definition."""
    function = DEFINITIONS[name]

    def at(s, order):
        with mpmath.workdps(DIGITS + int(0.45 * min(abs(s), 800))):  # enough to tell 1 + e^−s from 1
            return mpmath.diff(function, mpmath.mpf(s), order) if order else function(mpmath.mpf(s))

    return [[at(float(s), order) for s in points(dtype).ravel()] for order in range(3)]


def assert_near(values, truth, slope, s, absolute):
    """Compare to a few ε, and as exactly as the rounding of s itself allows: the condition number counts.

    ``absolute`` is the size below which only that absolute exactness is asked for.
    """
    eps = float(np.finfo(values.dtype).eps)
    for value, true, rise, place in zip(values.ravel(), truth, slope, s.ravel(), strict=True):
        assert np.isfinite(value), f"{value} at {place}"
        allowed = eps * (16 * abs(true) + 2 * abs(float(place) * rise)) + absolute
        error = abs(mpmath.mpf(float(value)) - true)
        assert error <= allowed, (
            f"{value} at {place}, not {mpmath.nstr(true, 17)}: {float(error / allowed):.1f}"
        )


def one_layer(name, dtype):
    """Return a network whose logits are r(x), entry by entry, and its θ."""
    network = Network(WIDTH, [Dense(WIDTH, name)], likelihood=Normal(WIDTH))
    theta = np.zeros(network.n_parameters, dtype)
    for weight, _ in network.unpack(theta):
        weight[...] = np.eye(WIDTH)
    return network, theta


def test_the_table_is_complete():
    assert set(ACTIVATIONS) == set(DEFINITIONS)
    for name, activation in ACTIVATIONS.items():
        assert activation.name == name
        with pytest.raises(dataclasses.FrozenInstanceError):
            activation.name = "other"


# N2
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_r_is_its_definition(name, dtype, engine):
    network, theta = one_layer(name, dtype)
    s = points(dtype)
    h = network.forward(theta, s, engine)
    assert h.dtype == dtype
    r, slope, _ = truths(name, dtype)
    assert_near(h, r, slope, s, absolute=float(np.finfo(dtype).tiny))


# N9
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_the_derivative_is_that_of_the_definition(name, dtype, engine):
    network, theta = one_layer(name, dtype)
    s = points(dtype)
    h = network.forward(theta, s, engine)
    y = h - h.dtype.type(1)  # so that −e is 1, or near it
    _, G = network.loss_and_input_gradient(theta, s, y, engine=engine)
    derivative = G * len(s) / (h - y)  # undo N9's mean over a power of two of rows
    _, slope, bend = truths(name, dtype)
    info = np.finfo(dtype)
    # Some derivatives are taken from h, which is rounded: 1 − h², or h + α, exact to the last digit of 1.
    absolute = float(4 * info.eps) if name in {"tanh", "elu", "selu"} else float(len(s) * info.tiny)
    assert_near(derivative, slope, bend, s, absolute)


@pytest.mark.parametrize(("name", "derivative"), [("relu", 0.0), ("leaky_relu", 0.01), ("elu", 1.0)])
def test_the_derivative_at_the_kink_is_the_left_one(name, derivative, engine):
    network = Network(1, [Dense(1, name, bias=False)], likelihood=Normal())
    theta = np.array([1.0, 1.0, 0.0])
    _, G = network.loss_and_input_gradient(theta, np.zeros((1, 1)), np.array([-1.0]), engine=engine)
    assert derivative == G


@pytest.mark.parametrize("name", NAMES)
def test_kinks_are_where_the_derivative_or_its_slope_jumps(name):
    """Differences of r' from both sides agree everywhere but at the kinks that the table names."""
    activation = ACTIVATIONS[name]

    def derivative(*s):
        return activation.derivative(np.array(s), activation.r(np.array(s)))

    for place in np.linspace(-3, 3, 25):
        below, just_below, just_above, above = derivative(
            place - 1e-4, place - 1e-8, place + 1e-8, place + 1e-4
        )
        jump = abs(just_above - just_below) > 1e-3
        bend = abs((above - just_above) - (just_below - below)) > 0.1 * 1e-4
        assert (jump or bend) == (place in activation.kinks), place


def test_an_unknown_activation_is_an_error_that_lists_them():
    with pytest.raises(InputError) as error:
        Dense(3, "swish")
    assert str(error.value) == (
        "Dense(activation='swish') is unknown; choose one of elu, gelu, identity, leaky_relu, mish, relu, "
        "selu, sigmoid, silu, softplus, tanh."
    )
