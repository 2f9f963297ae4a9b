"""The layer specs that a person writes, and the layout of θ that follows from them (N3)."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture.activations import ACTIVATIONS
from chainrule.architecture.equations import scaled_weights
from chainrule.errors import InputError

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Dense:
    """A layer of ``units`` units, each connected with every unit below: N1 and N2.

    Parameters
    ----------
    units : int
        The number of units d_l, at least 1.
    activation : str, default "relu"
        A name of the table `chainrule.architecture.ACTIVATIONS`.
    bias : bool, default True
        Whether the layer has b_l.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Dense(64, "tanh")
    Dense(units=64, activation='tanh', bias=True)
    """

    units: int
    activation: str = "relu"
    bias: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.units, int | np.integer) or isinstance(self.units, bool) or self.units < 1:
            raise InputError(f"Dense(units={self.units!r}): units must be a whole number of at least 1.")
        if self.activation not in ACTIVATIONS:
            allowed = ", ".join(sorted(ACTIVATIONS))
            raise InputError(f"Dense(activation={self.activation!r}) is unknown; choose one of {allowed}.")


@dataclass(frozen=True)
class Dropout:
    """Sets each activation below to 0 with probability ``rate`` while training, and scales up the rest.

    The kept ones are divided by 1 − rate, so that nothing changes at prediction time
    (Srivastava et al., 2014, "Dropout", the inverted form).

    Parameters
    ----------
    rate : float
        The probability of dropping, at least 0 and below 1.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Dropout(0.1)
    Dropout(rate=0.1)
    """

    rate: float

    def __post_init__(self) -> None:
        if not isinstance(self.rate, int | float | np.number) or not 0 <= self.rate < 1:
            raise InputError(f"Dropout(rate={self.rate!r}): the rate must be at least 0 and below 1.")


@dataclass(frozen=True)
class Scale:
    """Multiplies each input by a learned number, h_0 = s ⊙ x: the first layer, if there is one (N27).

    What is learned is a, 0 at the start, in s = 1 + ρ a: an optimizer whose steps have the same size whatever
    the scale of the gradient, as Adam's have, moves s ρ times as fast as the weights. No penalty or decay
    acts on a. A layer of dense weights above absorbs s: `Network.folded` is the same function without it.

    Parameters
    ----------
    rate : float, default 6.0
        ρ, above 0.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Network(3, [cr.Scale(), cr.Dense(8, "tanh")], likelihood=cr.likelihoods.Normal())
    >>> net.n_parameters, net.input_scale(net.initial_parameters())
    (44, array([1., 1., 1.], dtype=float32))
    """

    rate: float = 6.0

    def __post_init__(self) -> None:
        if not isinstance(self.rate, int | float | np.number) or not 0 < self.rate < math.inf:
            raise InputError(f"Scale(rate={self.rate!r}): the rate must be a finite number above 0.")


Layer = Dense | Dropout | Scale


@dataclass(frozen=True)
class DenseLayer:
    """A dense layer with its place in θ: what `Dense` becomes once the layer below is known.

    ``w_l`` is ``θ[weight_start:weight_stop]`` as (units, n_inputs), row by row; ``b_l`` follows it.
    """

    n_inputs: int
    units: int
    activation: str
    bias: bool
    dropout: float  # the rate by which h_{l-1}, the input of this layer, is dropped while training
    weight_start: int

    @property
    def weight_stop(self) -> int:
        """Where w_l ends in θ and b_l begins."""
        return self.weight_start + self.units * self.n_inputs

    @property
    def stop(self) -> int:
        """Where the layer's parameters end in θ."""
        return self.weight_stop + (self.units if self.bias else 0)


@dataclass(frozen=True)
class Architecture:
    """The layers from x to the logits, and where each one's parameters stand in θ (N3).

    Parameters
    ----------
    n_inputs : int
        d_0, the length of a row of input.
    hidden : tuple of Dense, Dropout and Scale
        The hidden layers, from the input upwards. A `Dropout` acts on what stands before it; a `Scale` is
        the first.
    n_logits : int
        d_L, the length of the top layer's output.
    top_bias : bool, default True
        Whether the top layer has a bias.
    n_scales : int, default 0
        How many learned numbers of the likelihood stand at the end of θ (N14).
    """

    n_inputs: int
    hidden: tuple[Layer, ...]
    n_logits: int
    top_bias: bool = True
    n_scales: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.n_inputs, int | np.integer) or self.n_inputs < 1:
            raise InputError(f"n_inputs={self.n_inputs!r}: it must be a whole number of at least 1.")
        for below, layer in zip((None, *self.hidden), self.hidden, strict=False):
            if not isinstance(layer, Layer):
                raise InputError(f"hidden has {layer!r}: each layer must be a Dense, a Dropout or a Scale.")
            if isinstance(layer, Scale) and below is not None:
                raise InputError(f"hidden has {layer!r} above {below!r}: a Scale must be the first layer.")
            if isinstance(below, Dropout) and isinstance(layer, Dropout):
                raise InputError("hidden has two Dropout layers in a row: write one with the rate of both.")

    @cached_property
    def dense(self) -> tuple[DenseLayer, ...]:
        """The dense layers l = 1 … L in order, the top one last."""
        layers: list[DenseLayer] = []
        below, start, dropout = int(self.n_inputs), 0, 0.0
        for spec in (*self.hidden, Dense(self.n_logits, "identity", self.top_bias)):
            if isinstance(spec, Scale):
                start = below
                continue
            if isinstance(spec, Dropout):
                dropout = float(spec.rate)
                continue
            layer = DenseLayer(below, int(spec.units), spec.activation, spec.bias, dropout, start)
            layers.append(layer)
            below, start, dropout = layer.units, layer.stop, 0.0
        return tuple(layers)

    @property
    def n_parameters(self) -> int:
        """The length of θ."""
        return self.dense[-1].stop + self.n_scales

    @property
    def scale_rate(self) -> float:
        """ρ of the `Scale` (N27), 0 where there is none."""
        return float(self.hidden[0].rate) if self.hidden and isinstance(self.hidden[0], Scale) else 0.0

    def of_scale(self, theta: Array) -> Array:
        """Return a view of a, the start of θ (N27): (n_inputs,), or (0,) where there is no `Scale`."""
        return theta[: self.dense[0].weight_start]

    def scales(self, theta: Array) -> Array:
        """Return a view of the likelihood's learned numbers, the end of θ (N14)."""
        return theta[self.dense[-1].stop :]

    def unpack(self, theta: Array) -> list[tuple[Array, Array | None]]:
        """N3: return views (w_l, b_l) of θ, l = 1 … L; b_l is None where a layer has no bias."""
        return [
            (
                theta[layer.weight_start : layer.weight_stop].reshape(layer.units, layer.n_inputs),
                theta[layer.weight_stop : layer.stop] if layer.bias else None,
            )
            for layer in self.dense
        ]

    def folded(self, theta: Array) -> list[tuple[Array, Array | None]]:
        """Return (w_l, b_l) as x goes through them: those of `unpack`, above a `Scale` w' for w_1 (N27)."""
        parameters = self.unpack(theta)
        if self.scale_rate:
            weight, bias = parameters[0]
            parameters[0] = scaled_weights(weight, self.of_scale(theta), self.scale_rate), bias
        return parameters

    @cached_property
    def weight_mask(self) -> NDArray[np.bool_]:
        """(n_parameters,): True at the weights, False elsewhere."""
        mask = np.zeros(self.n_parameters, dtype=bool)
        for layer in self.dense:
            mask[layer.weight_start : layer.weight_stop] = True
        return mask

    def shrinkable(self, biases: bool) -> NDArray[np.bool_]:
        """(n_parameters,): True where a penalty or decay acts: the weights, the biases if asked, no scale."""
        mask = self.weight_mask.copy()
        if biases:
            mask[self.dense[0].weight_start : self.dense[-1].stop] = True
        return mask
