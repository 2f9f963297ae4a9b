"""The parameters that training starts from: random weights of the right size, biases of zero."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture.activations import ACTIVATIONS
from chainrule.architecture.layers import Architecture

# Each row: the variance of a weight from the fan-in d_{l-1} and the fan-out d_l.
#   glorot: Glorot & Bengio (2010), for activations that are near the identity at 0
#   he:     He et al. (2015), for those that halve the signal
#   lecun:  LeCun et al. (1998), for selu and its fixed point
VARIANCES = {
    "glorot": lambda fan_in, fan_out: 2.0 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2.0 / fan_in,
    "lecun": lambda fan_in, fan_out: 1.0 / fan_in,
}


def initial_parameters(
    architecture: Architecture,
    seed: int | np.random.Generator = 0,
    dtype: str | type[np.floating[Any]] = "float32",
) -> NDArray[Any]:
    """Return a new θ: uniform weights with the variance that each layer's activation asks for.

    The numbers are drawn in float64 whatever the dtype, so both dtypes start from the same point.
    The range ± √(3 · variance) is scikit-learn's and PyTorch's; sigmoid's slope of ¼ is not made up for.
    """
    rng = np.random.default_rng(seed)
    theta = np.zeros(architecture.n_parameters)
    for layer, (weight, _) in zip(architecture.dense, architecture.unpack(theta), strict=True):
        rule = ACTIVATIONS[layer.activation].initialization
        bound = np.sqrt(3.0 * VARIANCES[rule](layer.n_inputs, layer.units))
        weight[...] = rng.uniform(-bound, bound, weight.shape)
    return theta.astype(dtype)
