"""The parameters that training starts from: reproducible, of the right size, and the signal keeps its own."""

import numpy as np
import pytest

from chainrule import Dense, InputError, Network, Scale
from chainrule.architecture import ACTIVATIONS, equations
from chainrule.likelihoods import Normal

# The variances of the papers, for fan-in 300 and fan-out 200.
VARIANCE = {"glorot": 2 / (300 + 200), "he": 2 / 300, "lecun": 1 / 300}
RULE = dict.fromkeys(ACTIVATIONS, "he") | {
    "identity": "glorot",
    "sigmoid": "glorot",
    "tanh": "glorot",
    "softplus": "glorot",
    "selu": "lecun",
}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_weights_have_the_variance_of_their_rule_and_biases_are_zero(name):
    network = Network(300, [Dense(200, name)], likelihood=Normal())
    (weight, bias), _ = network.unpack(network.initial_parameters(seed=1, dtype="float64"))
    variance = VARIANCE[RULE[name]]
    assert weight.var() == pytest.approx(variance, rel=0.02)
    assert abs(weight.mean()) < 5 * np.sqrt(variance / weight.size)
    assert np.abs(weight).max() <= np.sqrt(3 * variance)  # uniform, not normal
    assert not bias.any()


def pre_activations(name, depth, width):
    network = Network(width, [Dense(width, name)] * depth, likelihood=Normal())
    theta = network.initial_parameters(seed=2, dtype="float64")
    X = np.random.default_rng(3).normal(size=(100, width))
    functions = [ACTIVATIONS[layer.activation] for layer in network.architecture.dense]
    return equations.forward(X, network.unpack(theta), functions)[:depth]


# He et al. (2015): with relu the variance of the pre-activations is the same in every layer.
def test_relu_keeps_the_variance_of_the_signal():
    states = pre_activations("relu", 12, 400)
    first = states[0].S.var()
    assert [state.S.var() for state in states] == pytest.approx([first] * 12, rel=0.35)


# Klambauer et al. (2017): mean 0 and variance 1 are the fixed point of selu.
def test_selu_keeps_mean_0_and_variance_1():
    for state in pre_activations("selu", 12, 400):
        assert state.H.mean() == pytest.approx(0, abs=0.1)
        assert state.H.var() == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_no_activation_loses_or_blows_up_the_signal(name):
    """Over eight layers the spread of a unit from row to row stays within a factor of 30, sigmoid's apart."""
    states = pre_activations(name, 8, 300)
    spread = [np.mean(state.S.var(axis=0)) for state in states]
    if name in {"sigmoid", "softplus"}:  # slopes of ¼ and ½ at 0, which Glorot's rule does not make up for
        assert max(spread) == spread[0]
    else:
        assert 1 / 30 < spread[-1] / spread[0] < 30


def test_the_seed_decides_and_both_dtypes_start_from_the_same_point():
    network = Network(5, [7, 4], likelihood=Normal(2))
    double = network.initial_parameters(seed=4, dtype="float64")
    single = network.initial_parameters(seed=4)
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    assert np.array_equal(single, double.astype("float32"))
    assert np.array_equal(double, network.initial_parameters(np.random.default_rng(4), "float64"))
    assert not np.array_equal(double, network.initial_parameters(seed=5, dtype="float64"))


# N27
def test_a_scale_starts_at_1_and_leaves_the_weights_as_they_are_without_it():
    scaled = Network(5, [Scale(), 7], likelihood=Normal())
    theta = scaled.initial_parameters(seed=4)
    assert (scaled.input_scale(theta) == 1).all()
    assert np.array_equal(theta[5:], Network(5, [7], likelihood=Normal()).initial_parameters(seed=4))


def test_another_dtype_is_an_error():
    with pytest.raises(InputError) as error:
        Network(5, likelihood=Normal()).initial_parameters(dtype="float16")
    assert str(error.value) == "dtype='float16': choose 'float32' or 'float64'."
