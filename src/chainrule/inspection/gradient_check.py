"""Whether the gradient is right: every entry of ∂loss/∂θ and ∂loss/∂x against differences of the loss."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.architecture import ACTIVATIONS, Architecture
from chainrule.architecture.equations import LayerState
from chainrule.engine.protocol import EngineName
from chainrule.engine.reference import ReferenceEngine
from chainrule.errors import InputError
from chainrule.likelihoods import is_built_in
from chainrule.network import Network
from chainrule.optimization import Penalty

Array = NDArray[np.floating[Any]]

Part = Literal["logit", "weight", "bias", "scale", "a", "x"]
# For each part of a layer: the gradient, the differences, and what rounding hides from these.
Parts = dict[Part, tuple[Array, Array, Array]]
LOGITS = "∂loss/∂s"  # the name of the check of a likelihood by itself
EQUATIONS: dict[Part, str] = {"weight": "N11", "bias": "N12", "scale": "N14", "a": "N27", "x": "N10"}
# A loss carries an error of a few units in its last place; this many of them are taken for granted.
ROUNDING = 4 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class LayerCheck:
    """The gradient of one layer's parameters, of x or of s, and where it is furthest from the differences.

    Parameters
    ----------
    name : str
        "∂loss/∂s", "scales", "layer l", "input scale", or "x".
    n_entries : int
        How many entries were compared.
    largest : float
        The largest entry, in size.
    error : float
        The largest difference between the two, as a share of ``largest`` (see `gradient_check`).
    part : {"logit", "weight", "bias", "scale", "a", "x"}
        Where the worst entry is: in s, in w_l (N11), in b_l (N12), in the likelihood's learned numbers
        (N14), in a of a `Scale` (N27) or in x (N10).
    index : tuple of int
        Its place there: (unit, input) of a weight, (unit,) of a bias or scale, (input,) of a, (row, column)
        of x and of ∂loss/∂s.
    gradient, difference : float
        The worst entry, as the chain rule and as the central difference have it.
    """

    name: str
    n_entries: int
    largest: float
    error: float
    part: Part
    index: tuple[int, ...]
    gradient: float
    difference: float

    @property
    def place(self) -> str:
        """The worst entry in words: "weight[1, 0]", "bias[2]", "row 4, column 0" or "row 4, logit 0"."""
        if self.name in (LOGITS, "x"):
            return f"row {self.index[0]}, {'column' if self.part == 'x' else self.part} {self.index[1]}"
        return f"{self.part}[{', '.join(map(str, self.index))}]"


@dataclass(frozen=True)
class GradientCheck:
    """What `gradient_check` found. It is true when the gradient is right, and prints as a table.

    Parameters
    ----------
    loss : float
        The loss at θ, penalty included.
    layers : tuple of LayerCheck
        ∂loss/∂s where the likelihood is one of your own, its learned scales where it has some, then from the
        top layer down to layer 1, the scale of the inputs where there is one, then x: the order in which the
        chain rule computes them.
    tolerance : float
        The largest error that is right.
    engine : {"native", "reference"}
        Whose gradient it is.
    n_rows, n_left_out : int
        How many rows there were, and how many of them were left out for a kink.
    """

    loss: float
    layers: tuple[LayerCheck, ...]
    tolerance: float
    engine: EngineName
    n_rows: int
    n_left_out: int

    @property
    def error(self) -> float:
        """The worst error of all."""
        return float(np.max([layer.error for layer in self.layers]))  # NumPy's max: NaN is the worst

    @property
    def ok(self) -> bool:
        """Whether every layer's error is at most the tolerance."""
        return self.error <= self.tolerance

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        head = ("", "entries", "largest", "error", "worst entry", "gradient", "difference")
        rows = [
            (
                layer.name,
                str(layer.n_entries),
                f"{layer.largest:.2e}",
                f"{layer.error:.1e}",
                layer.place,
                f"{layer.gradient:.9g}",
                f"{layer.difference:.9g}",
            )
            for layer in self.layers
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if column in (0, 4) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (head, *rows)
        ]
        if self.n_left_out:
            lines.append(
                f"{self.n_left_out} of {self.n_rows} rows are left out: a pre-activation is at a kink."
            )
        return "\n".join([*lines, self._verdict()])

    def _verdict(self) -> str:
        if self.ok:
            return (
                f"Right ({self.engine} engine): N10, N11 and N12 agree with central differences "
                f"to {self.tolerance:.0e} of each layer's largest entry."
            )
        # What is wrong in one layer goes down to all below it, so the highest one is named.
        layer = next(layer for layer in self.layers if not layer.error <= self.tolerance)
        source = "loss_and_gradient of the likelihood" if layer.name == LOGITS else EQUATIONS[layer.part]
        return (
            f"Wrong ({self.engine} engine): in {layer.name}, {source} gives "
            f"{layer.gradient:.9g} for {layer.place} and the central difference {layer.difference:.9g}; "
            f"the error is {layer.error:.1e} of the layer's largest entry, above {self.tolerance:.0e}."
        )


def gradient_check(
    network: Network,
    theta: Array,
    X: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    penalty: Penalty = Penalty(),
    dropout_seed: int | None = None,
    engine: EngineName = "native",
    tolerance: float = 1e-7,
    step: float = 1e-5,
    kink_margin: float = 1e-3,
) -> GradientCheck:
    """Compare every entry of ∂loss/∂θ and of ∂loss/∂x with a central difference of the loss.

    The difference of an entry v is (loss(v + h) − loss(v − h)) / 2h with h = ``step`` · max(1, abs(v)), in a
    layer whose inputs go up to m > 1 divided by m, where the loss is the one that the same call returned
    with the gradient. A layer's error is the largest deviation divided by the layer's largest entry. The
    loss itself is rounded, so a difference sees nothing below 4 ε · loss / h, ε = 2.2e-16; where this is
    more than ``tolerance`` of the layer's largest entry, only as much is asked for.

    A likelihood of your own is checked by itself first: its ∂loss/∂s at the logits of each row, without
    dropout. So it is told from the layers below, which a wrong ∂loss/∂s makes wrong too.

    It takes two passes forward and backward for each entry, so a small network and a few rows are best.

    Parameters
    ----------
    network : Network
        Whose gradient is checked.
    theta : (n_parameters,), float64
        θ, where it is checked.
    X : array_like, (n_rows, n_inputs)
        The rows, in float64.
    y : array_like, (n_rows,) or (n_rows, n_outputs)
        The target, in the likelihood's domain.
    sample_weight : array_like, (n_rows,), optional
        Weights of the rows.
    offset : array_like, optional
        What is added to the logits (see `Network.forward`).
    penalty : Penalty, default Penalty()
        What is added to the loss.
    dropout_seed : int, optional
        The seed of the dropout masks; None for no dropout.
    engine : {"native", "reference"}, default "native"
        Whose gradient is checked.
    tolerance : float, default 1e-7
        The largest error of a layer that is right.
    step : float, default 1e-5
        The step of the differences.
    kink_margin : float, default 1e-3
        At a kink, such as that of relu at 0, a difference means nothing. Rows with a pre-activation this
        near to one get the weight 0; 0 keeps every row.

    Returns
    -------
    GradientCheck
        True when the gradient is right; ``print`` shows the table and the verdict.

    Raises
    ------
    InputError
        When θ is not in float64, the loss is not finite, every row is at a kink, or an input is unusable.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> net = cr.Network(2, [cr.Dense(3, "tanh")], likelihood=cr.likelihoods.Bernoulli())
    >>> theta = net.initial_parameters(seed=0, dtype="float64")
    >>> X, y = np.array([[0.5, -1.0], [2.0, 0.3], [-0.4, 1.1]]), np.array([0, 1, 1])
    >>> check = cr.gradient_check(net, theta, X, y, engine="reference")
    >>> bool(check), [layer.name for layer in check.layers]
    (True, ['layer 2', 'layer 1', 'x'])
    >>> print(check)  # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE
             entries   largest    error  worst entry ...
    layer 2        4  4.22e-01 ...
    Right (reference engine): N10, N11 and N12 agree with central differences to 1e-07 of each ...
    """
    for name, value in (("tolerance", tolerance), ("step", step)):
        if not 0 < value < math.inf:
            raise InputError(f"{name}={value!r}: it must be a finite number above 0.")
    if getattr(theta, "dtype", None) == np.float32:
        raise InputError(
            "theta is float32, whose losses are too coarse for differences; "
            "check in float64: theta.astype('float64') and X.astype('float64')."
        )
    loss, _ = network.loss_and_gradient(
        theta, X, y, sample_weight, dropout_seed, engine, penalty, offset=offset
    )
    if not math.isfinite(loss):
        raise InputError(
            f"The loss at this theta is {loss}: check where it is finite, with smaller weights or inputs."
        )
    theta, X = theta.copy(), np.array(X, dtype=np.float64)
    states = ReferenceEngine(network.architecture, network.likelihood).states(theta, X, dropout_seed)
    weight, n_left_out = _weight_without_kinks(network.architecture, states, sample_weight, kink_margin)

    def of_theta() -> tuple[float, Array]:
        return network.loss_and_gradient(theta, X, y, weight, dropout_seed, engine, penalty, offset=offset)

    def of_inputs() -> tuple[float, Array]:
        return network.loss_and_input_gradient(
            theta, X, y, weight, dropout_seed, engine, penalty, offset=offset
        )

    h_theta, h_inputs = step * np.maximum(1, np.abs(theta)), step * np.maximum(1, np.abs(X))
    for layer, state in zip(network.architecture.dense, states, strict=True):
        h_theta[layer.weight_start : layer.stop] /= max(1.0, float(np.abs(state.inputs).max()))
    of_scale, rate = network.architecture.of_scale, network.architecture.scale_rate
    of_scale(h_theta)[...] /= max(1.0, rate * float(np.abs(states[0].inputs).max()))

    loss, gradient = of_theta()
    of_layers = (gradient, _differences(of_theta, theta, h_theta), ROUNDING * abs(loss) / h_theta)
    layers = []
    if rate:
        of_a, differences, hidden = map(of_scale, of_layers)
        layers.append(_compare("input scale", {"a": (of_a, differences, hidden)}, tolerance))
    for number, pairs in enumerate(zip(*map(network.unpack, of_layers), strict=True), start=1):
        weights, biases = zip(*pairs, strict=True)
        parts: Parts = {"weight": weights} if biases[0] is None else {"weight": weights, "bias": biases}
        layers.append(_compare(f"layer {number}", parts, tolerance))
    if network.architecture.n_scales:
        of_scales, differences, hidden = map(network.scales, of_layers)
        layers.append(_compare("scales", {"scale": (of_scales, differences, hidden)}, tolerance))
    if not is_built_in(network.likelihood):
        z = network.forward(theta, X, "reference", offset=offset)
        z = network.likelihood.extended(z, network.scales(theta))
        layers.append(_compare(LOGITS, _parts_of_likelihood(network, z, y, weight, step), tolerance))
    of_x = (of_inputs()[1], _differences(of_inputs, X, h_inputs), ROUNDING * abs(loss) / h_inputs)
    x = _compare("x", {"x": of_x}, tolerance)
    return GradientCheck(loss, (*reversed(layers), x), tolerance, engine, len(X), n_left_out)


def _parts_of_likelihood(
    network: Network, z: Array, y: ArrayLike, weight: ArrayLike | None, step: float
) -> Parts:
    """Return ∂loss/∂s of each row, the scales' columns behind it, as `_compare` takes them.

    A row is a function of its own logits alone, so one difference serves all rows. Rows of weight 0 are 0.
    """
    target = network.likelihood.prepare(y, len(z))
    counted = np.ones(len(z), dtype=bool) if weight is None else np.asarray(weight) > 0
    losses, gradient = network.likelihood.loss_and_gradient(z.copy(), target)
    h = step * np.maximum(1, np.abs(z))
    differences = np.empty_like(z)
    for column in range(z.shape[1]):
        above, below = z.copy(), z.copy()
        above[:, column] += h[:, column]
        below[:, column] -= h[:, column]
        loss_above, _ = network.likelihood.loss_and_gradient(above, target)
        loss_below, _ = network.likelihood.loss_and_gradient(below, target)
        # not 2h, as in _differences
        differences[:, column] = (loss_above - loss_below) / (above[:, column] - below[:, column])
    everything = (gradient, differences, ROUNDING * np.abs(losses)[:, None] / h)
    logits, scales = zip(
        *(np.hsplit(np.where(counted[:, None], array, 0.0), [network.n_logits]) for array in everything),
        strict=True,
    )
    return {"logit": logits, "scale": scales} if network.architecture.n_scales else {"logit": logits}


def _differences(function: Callable[[], tuple[float, Array]], point: Array, h: Array) -> Array:
    """Return the central difference of the function's loss for every entry of the point it looks at."""
    slopes = np.empty_like(point)
    for index in np.ndindex(point.shape):
        value = float(point[index])
        above, below = value + h[index], value - h[index]
        point[index] = above
        loss_above, _ = function()
        point[index] = below
        loss_below, _ = function()
        point[index] = value
        slopes[index] = (loss_above - loss_below) / (above - below)  # not 2h: both ends are rounded
    return slopes


def _compare(name: str, parts: Parts, tolerance: float) -> LayerCheck:
    """Find the worst entry of a layer."""
    largest = max(float(np.nanmax(np.abs(gradient), initial=0.0)) for gradient, _, _ in parts.values())
    errors = {}
    for part, (gradient, difference, hidden) in parts.items():
        scale = np.maximum(largest, hidden / tolerance)
        error = np.abs(gradient - difference) / np.where(scale > 0, scale, 1)  # a loss of 0 all around
        errors[part] = np.nan_to_num(error, nan=np.inf, posinf=np.inf)  # NaN is never right
    part = max(errors, key=lambda part: float(errors[part].max()))
    place = np.unravel_index(int(errors[part].argmax()), errors[part].shape)
    gradient, difference, _ = parts[part]
    return LayerCheck(
        name=name,
        n_entries=sum(gradient.size for gradient, _, _ in parts.values()),
        largest=largest,
        error=float(errors[part][place]),
        part=part,
        index=tuple(int(i) for i in place),
        gradient=float(gradient[place]),
        difference=float(difference[place]),
    )


def _weight_without_kinks(
    architecture: Architecture, states: Sequence[LayerState], sample_weight: ArrayLike | None, margin: float
) -> tuple[ArrayLike | None, int]:
    """Return the weights with 0 for rows near a kink (the rows stay: dropout goes by row), and how many."""
    near = np.zeros(len(states[0].S), dtype=bool)
    for layer, state in zip(architecture.dense, states, strict=True):
        for kink in ACTIVATIONS[layer.activation].kinks:
            near |= (np.abs(state.S - kink) < margin).any(axis=1)
    if not near.any():
        return sample_weight, 0
    weight = np.where(near, 0.0, 1.0 if sample_weight is None else sample_weight)
    if not weight.any():
        raise InputError(
            f"Each row has a pre-activation within {margin:g} of a kink, where a difference means nothing; "
            "give more rows, another theta, or a smaller kink_margin."
        )
    return weight, int(near.sum())
