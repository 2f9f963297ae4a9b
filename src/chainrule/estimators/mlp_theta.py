"""The θ that MLPClassifier and MLPRegressor start from, and its layers as scikit-learn shows them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError
from chainrule.network import Network

Array = NDArray[np.floating[Any]]


class LayerArrays(list[Array]):
    """Views of θ, one a layer: an array that is put in a place is written into θ."""

    def __setitem__(self, layer: Any, value: Any) -> None:
        places = self[layer] if isinstance(layer, slice) else [self[layer]]
        values = [np.asarray(v) for v in (value if isinstance(layer, slice) else [value])]
        for place, array in zip(places, values, strict=True):
            if place.shape != array.shape:
                raise InputError(f"The layer's array must have the shape {place.shape}, not {array.shape}.")
        for place, array in zip(places, values, strict=True):
            place[...] = array


def layer_arrays(network: Network, theta: Array) -> dict[str, LayerArrays]:
    """Return ``coefs_``, the weights (d_{l-1}, d_l) of each layer, and ``intercepts_``: views of θ."""
    layers = network.unpack(theta)
    return {
        "coefs_": LayerArrays(weight.T for weight, _ in layers),
        "intercepts_": LayerArrays(bias for _, bias in layers if bias is not None),
    }


def drawn(
    network: Network, activations: list[str], rng: np.random.RandomState, dtype: np.dtype[Any]
) -> Array:
    """Draw θ as scikit-learn does: uniform within ±√(6 / (d_{l−1} + d_l)), ±√(2 / …) for logistic.

    ``activations`` has the name that counts for each layer, the top one included.
    """
    theta = _without_weights(network)
    for (weight, bias), name in zip(network.unpack(theta), activations, strict=True):
        bound = np.sqrt((2.0 if name in ("logistic", "sigmoid") else 6.0) / sum(weight.shape))
        weight.T[...] = rng.uniform(-bound, bound, weight.T.shape)
        if bias is not None:
            bias[...] = rng.uniform(-bound, bound, bias.shape)
    return theta.astype(dtype, copy=False)


def given(network: Network, arrays: Mapping[str, Any], dtype: np.dtype[Any]) -> Array:
    """Return θ from ``coefs_`` and ``intercepts_`` that were set before the first fit."""
    theta = _without_weights(network)
    for name, places in layer_arrays(network, theta).items():
        values = arrays.get(name, [])
        if len(values) != len(places):
            raise InputError(f"{name} must have an array for each of the {len(places)} layers.")
        places[:] = values
    return theta.astype(dtype, copy=False)


def writeable(array: Array) -> Array:
    """Return the array, or a copy of one that cannot be changed, as joblib maps it from a file."""
    return np.require(array, requirements="W")


def _without_weights(network: Network) -> Array:
    """Return θ in float64 that is 0 but for learned numbers of the likelihood, which begin where it says."""
    theta = np.zeros(network.n_parameters)
    network.architecture.scales(theta)[...] = network.likelihood.initial_scales()
    return theta
