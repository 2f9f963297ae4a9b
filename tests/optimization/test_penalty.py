"""The L2 penalty against sums that are written out."""

import math

import numpy as np
import pytest

from chainrule import Dense, Scale
from chainrule.architecture import Architecture
from chainrule.errors import InputError
from chainrule.optimization import Penalty

ARCHITECTURE = Architecture(2, (Dense(3, "tanh"), Dense(2, bias=False)), 1)
# w_1 (3, 2), b_1 (3), w_2 (2, 3), w_3 (1, 2), b_3 (1)
IS_BIAS = [False] * 6 + [True] * 3 + [False] * 6 + [False] * 2 + [True]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("l2", [0.0, 1e-3, 2.5])
def test_it_is_half_the_sum_of_squares_and_its_slope(l2, biases, dtype):
    theta = np.random.default_rng(0).normal(size=len(IS_BIAS)).astype(dtype)
    value, slope = Penalty(l2, biases).value_and_gradient(ARCHITECTURE, theta)
    counted = [float(t) for t, is_bias in zip(theta, IS_BIAS, strict=True) if biases or not is_bias]
    assert value == pytest.approx(l2 / 2 * math.fsum(t * t for t in counted), rel=1e-14)
    expected = [
        l2 * float(t) if biases or not is_bias else 0 for t, is_bias in zip(theta, IS_BIAS, strict=True)
    ]
    assert slope.dtype == np.dtype(dtype)
    np.testing.assert_allclose(slope, expected, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("biases", [False, True])
def test_it_leaves_the_scale_of_the_inputs_alone(biases):
    scaled = Architecture(2, (Scale(), *ARCHITECTURE.hidden), 1)
    theta = np.random.default_rng(0).normal(size=2 + len(IS_BIAS))
    value, slope = Penalty(0.5, biases).value_and_gradient(scaled, theta)
    expected, its_slope = Penalty(0.5, biases).value_and_gradient(ARCHITECTURE, theta[2:])
    assert value == expected
    np.testing.assert_array_equal(slope, [0, 0, *its_slope])


@pytest.mark.parametrize("total_weight", [1.0, 7.5])
def test_that_of_the_sum_is_shared_by_the_weight_of_the_rows(total_weight):
    theta = np.random.default_rng(0).normal(size=len(IS_BIAS))
    value, slope = Penalty(2.0, of_sum=True).value_and_gradient(ARCHITECTURE, theta, total_weight)
    of_mean, its_slope = Penalty(2.0 / total_weight).value_and_gradient(ARCHITECTURE, theta, total_weight)
    assert value == pytest.approx(of_mean, rel=1e-15)
    np.testing.assert_allclose(slope, its_slope, rtol=1e-15)


@pytest.mark.parametrize("l2", [-1e-9, math.inf, math.nan])
def test_a_setting_that_is_not_allowed_is_named(l2):
    with pytest.raises(InputError, match=r"l2=.*finite number ≥ 0"):
        Penalty(l2=l2)
