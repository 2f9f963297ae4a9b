"""One row on its way through a network and back: every quantity of the notes, under its number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.architecture import ACTIVATIONS, equations
from chainrule.errors import InputError
from chainrule.inspection.rows import ColumnOfRow, Row, TargetOfRow, read_row
from chainrule.inspection.text import aligned, named, number, shown, together, values_in_short
from chainrule.likelihoods import Likelihood
from chainrule.network import Network

Array = NDArray[np.floating[Any]]

# The equation of each likelihood's loss; what has none of its own is of the general form.
EQUATION_OF_LOSS = {
    "normal": "N5",
    "bernoulli": "N6",
    "categorical": "N7",
    "normal_with_variance": "N15",
    "student_t": "N16",
    "laplace": "N17",
    "huber": "N18",
    "quantile": "N19",
    "ordinal": "N20",
    "negative_binomial": "N21",
    "gamma": "N22",
    "tweedie": "N23",
    "weibull": "N24",
}
GENERAL_FORM = "N8"
# A step is short enough when the loss falls by at least this share of what the slope promises
# (Armijo, 1966): a half is the bottom of a parabola, a quarter leaves room for other curves.
SHARE_OF_SLOPE = 0.25


@dataclass(frozen=True, repr=False)
class LayerTrace:
    """What happens in layer l, forward and backward.

    Parameters
    ----------
    number : int
        l, from 1.
    activation : str
        The name of r_l; "identity" at the top.
    weight : (d_l, d_{l-1})
        w_l.
    bias : (d_l,) or None
        b_l.
    inputs : (d_{l-1},)
        h_{l-1}, what comes from below.
    s, h : (d_l,)
        Pre-activations (N1) and activations (N2).
    slope : (d_l,)
        r'_l at s_l.
    gradient_h : (d_l,)
        ∂loss/∂h_l, what comes from above (N10); at the top −e.
    delta : (d_l,)
        The error signal δ_l = ∂loss/∂s_l (N9).
    gradient_weight : (d_l, d_{l-1})
        ∂loss/∂w_l (N11).
    gradient_bias : (d_l,) or None
        ∂loss/∂b_l (N12).
    gradient_inputs : (d_{l-1},)
        ∂loss/∂h_{l-1}, what goes to the layer below (N10).
    """

    number: int
    activation: str
    weight: Array
    bias: Array | None
    inputs: Array
    s: Array
    h: Array
    slope: Array
    gradient_h: Array
    delta: Array
    gradient_weight: Array
    gradient_bias: Array | None
    gradient_inputs: Array

    def __repr__(self) -> str:
        return f"LayerTrace(number={self.number}, {len(self.h)} units, {self.activation})"


@dataclass(frozen=True)
class Quantity:
    """A line of the trace: one quantity of the notes.

    Parameters
    ----------
    equation : str
        The number of its equation, "" for what is given.
    symbol : str
        Its symbol, such as "δ_2".
    formula : str
        How it comes from the quantities above it.
    values : ndarray
        Its values in this row.
    """

    equation: str
    symbol: str
    formula: str
    values: NDArray[Any]


@dataclass(frozen=True, repr=False)
class Trace:
    """Every quantity of the notes for one row. It prints as a table.

    All is computed in float64 by the equations as they stand in `chainrule.architecture.equations`,
    without dropout or penalty.

    Parameters
    ----------
    row : Row
        The network, its θ, the columns and the target.
    layers : tuple of LayerTrace
        Layer 1 up to L.
    prediction : (n_columns,)
        ŷ = E[y given s]; for classes their probabilities.
    loss : float
        The loss of the row.
    minus_e : (d_L,)
        −e = ∂loss/∂s.
    scales : (n_scales,)
        The likelihood's learned numbers, the end of θ (N14); empty where it has none.
    gradient_scales : (n_scales,)
        ∂loss by them.
    learning_rate : float
        η of the step.
    theta_after : (n_parameters,)
        θ − η g (N13).
    loss_after : float
        The loss of the same row with it.
    """

    row: Row
    layers: tuple[LayerTrace, ...]
    prediction: Array
    loss: float
    minus_e: Array
    scales: Array
    gradient_scales: Array
    learning_rate: float
    theta_after: Array
    loss_after: float

    @property
    def network(self) -> Network:
        """The network."""
        return self.row.network

    @property
    def likelihood(self) -> Likelihood:
        """What is between the logits and y."""
        return self.network.likelihood

    @property
    def columns(self) -> tuple[ColumnOfRow, ...]:
        """The columns of the row, and the inputs that they became."""
        return self.row.columns

    @property
    def target(self) -> TargetOfRow:
        """The target of the row."""
        return self.row.target

    @property
    def input_names(self) -> tuple[str, ...]:
        """The name of each input."""
        return self.row.input_names

    @property
    def x(self) -> Array:
        """The inputs (d_0,)."""
        return self.layers[0].inputs

    @property
    def logits(self) -> Array:
        """The output of the top layer, s (d_L,)."""
        return self.layers[-1].h

    @property
    def predicted(self) -> Any:
        """The prediction as the model gives it: a number in the target's unit, a class, or a tuple."""
        target, mean = self.target, self.prediction
        if target.multilabel:
            return tuple(int(p > 0.5) for p in mean)
        if target.classes:
            return target.classes[int(mean.argmax()) if len(mean) > 1 else int(mean[0] > 0.5)]
        n = len(mean)
        values = (target.location[:n] + target.scale[:n] * mean).tolist()
        return values[0] if len(values) == 1 else tuple(values)

    @property
    def calibrated(self) -> Array:
        """ŷ from the logits divided by the model's temperature: what `predict_proba` is made of."""
        return self.likelihood.mean(self.logits[None] / self.target.temperature, self.scales)[0]

    @property
    def about_member(self) -> str:
        """Which member this is and what the model makes of all of them, in a sentence; "" of one alone."""
        row = self.row
        if row.n_members == 1:
            return ""
        predicts = together(bool(self.target.classes))
        return f"This is member {row.member} of {row.n_members}, from 0; the model {predicts}."

    @property
    def gradient_x(self) -> Array:
        """∂loss/∂x (d_0,)."""
        return self.layers[0].gradient_inputs

    @property
    def gradient(self) -> Array:
        """The gradient ∂loss/∂θ (n_parameters,)."""
        return gradient_of_theta(self.layers, self.gradient_scales)

    @property
    def equation_of_loss(self) -> str:
        """The number of the equation of this likelihood's loss."""
        if getattr(self.likelihood, "scale", 1) != 1 and self.likelihood.name == "normal":
            return EQUATION_OF_LOSS["normal_with_variance"]
        return EQUATION_OF_LOSS.get(self.likelihood.name, GENERAL_FORM)

    def quantities(self) -> Iterator[Quantity]:
        """Yield every quantity in the order in which it is computed: forward, the top, backward, the step."""
        yield Quantity("", "x", "the row, encoded", self.x)
        if self.row.beside is not None and self.row.offset is not None:
            name, value = self.row.beside
            yield Quantity("", "o", f"the offset, from {name} = {shown(value)}", self.row.offset)
        for layer in self.layers:
            yield from _forward_lines(layer, self.layers[-1].number, moved=self.row.offset is not None)
        yield from self._top_lines()
        for layer in reversed(self.layers):
            yield from _backward_lines(layer, self.layers[-1].number)
        g = self.gradient
        yield Quantity("N13", "‖g‖", "the length of the gradient", np.array([np.linalg.norm(g)]))
        yield Quantity("N13", "η", "the length of the step over ‖g‖", np.array([self.learning_rate]))
        yield Quantity("N13", "θ − η g", "one step of gradient descent", self.theta_after)
        yield Quantity("N13", "loss after", "of this row, with it", np.array([self.loss_after]))

    def _top_lines(self) -> Iterator[Quantity]:
        number = self.equation_of_loss
        if len(self.scales):
            yield Quantity("N14", "t", "the learned numbers of the likelihood", self.scales)
        target = self.target
        scaled = (target.scale != 1).any() or (target.location != 0).any()
        how = (
            f"({target.name} − {values_in_short(target.location)}) / {values_in_short(target.scale)}"
            if scaled
            else "the target"
        )
        yield Quantity("", "y", how, target.y)
        yield Quantity(number, "ŷ", f"E[y given s], {self.likelihood.name}", self.prediction)
        if target.temperature != 1:
            how = f"E[y given s / {target.temperature:.4g}], the model's calibrated probability"
            yield Quantity("", "ŷ_T", how, self.calibrated)
        yield Quantity(number, "loss", "−log p(y given s), less what is dropped", np.array([self.loss]))
        yield Quantity(number, "−e", "∂loss/∂s", self.minus_e)
        if len(self.scales):
            yield Quantity("N14", "∂loss/∂t", "by the learned numbers", self.gradient_scales)

    def __repr__(self) -> str:
        return (
            f"Trace({len(self.columns)} columns, {len(self.layers)} layers, {self.likelihood!r}, "
            f"predicted {shown(self.predicted)}, target {shown(self.target.value)}, loss {number(self.loss)})"
        )

    def __str__(self) -> str:
        columns = [
            (column.name, shown(column.value), column.kind, named(column.input_names, column.inputs))
            for column in self.columns
        ]
        lines = [
            (
                quantity.equation,
                quantity.symbol,
                quantity.formula,
                "×".join(map(str, quantity.values.shape)),
                values_in_short(quantity.values),
            )
            for quantity in self.quantities()
        ]
        last = (
            f"predicted {shown(self.predicted)}, {self.target.name} is {shown(self.target.value)}. "
            f"A step of η = {number(self.learning_rate)} takes the loss of this row "
            f"from {number(self.loss)} to {number(self.loss_after)}."
        )
        return "\n".join(
            [
                *aligned(("column", "value", "kind", "inputs"), columns),
                "",
                *aligned(("", "quantity", "", "shape", "values"), lines),
                "",
                f"{last} {self.about_member}".rstrip(),
            ]
        )


def trace(
    model: Any,
    row: Any,
    y: Any,
    *,
    theta: Array | None = None,
    member: int = 0,
    learning_rate: float | None = None,
    offset: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
) -> Trace:
    """Return every quantity of the notes for one row: N1 to N13, with this row's numbers.

    Parameters
    ----------
    model : Network, MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
        A network, or a fitted model.
    row : table of one row, mapping of column names to cells, or array_like (n_columns,)
        The row: ``table.iloc[[17]]`` or ``table.iloc[17]`` of a table, or its numbers (n_inputs,).
    y : number, class, or array_like (n_outputs,)
        The row's target, as the model or the network's likelihood takes it.
    theta : (n_parameters,), float32 or float64, optional
        θ of a network; a fitted model has its own.
    member : int, default 0
        Which member is traced, of a model that has several.
    learning_rate : float, optional
        η of the step of descent, above 0. None: the largest of 1, 0.5, 0.2, 0.1, … that keeps at least a
        quarter of what the slope promises.
    offset : number or array_like (n_outputs,), optional
        What is added to the logits of the row, as in the fit.
    exposure : number, optional
        How long, or for how many, the row was counted, above 0: its log is an offset. For likelihoods whose
        link is the log.

    Returns
    -------
    Trace
        Its arrays by name, ``quantities()`` in their order, and a table by ``print``.

    Raises
    ------
    InputError
        When the model, the row or the target is unusable, or the loss is not finite.
    sklearn.exceptions.NotFittedError
        Before `fit`.

    Notes
    -----
    It is computed in float64 whatever the dtype of θ, so a model in float32 predicts the same to about six
    digits. ``chainrule.report.write_trace`` makes a page of it.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> net = cr.Network(2, [cr.Dense(2, "relu")], likelihood=cr.likelihoods.Normal())
    >>> theta = np.array([1.0, 0.5, -1.0, 2.0, 0.0, 0.5, 2.0, -1.0, 0.1])
    >>> traced = cr.trace(net, [1.0, 2.0], 1.0, theta=theta)
    >>> traced.layers[0].h, traced.prediction
    (array([2. , 3.5]), array([0.6]))
    >>> traced.loss, traced.minus_e
    (0.08000000000000002, array([-0.4]))
    >>> traced.gradient_x
    array([-1.2,  0.4])
    """
    if learning_rate is not None and not 0 < learning_rate < np.inf:
        raise InputError(f"learning_rate={learning_rate!r}: it must be a finite number above 0, or None.")
    read = read_row(model, row, y, theta, member, offset, exposure)
    network, start = read.network, read.theta.astype(np.float64)
    layers, loss, by_scales = _pass(network, start, read)
    if not np.isfinite(loss):
        raise InputError(
            f"The loss of this row is {loss}: its logits are {values_in_short(layers[-1].h)}, "
            f"too far from y = {values_in_short(read.target.y)} for a finite loss."
        )
    g = gradient_of_theta(layers, by_scales)
    scales = network.architecture.scales(start)
    eta = _step_length(network, start, g, read, loss) if learning_rate is None else float(learning_rate)
    theta_after = start - eta * g  # N13
    return Trace(
        row=read,
        layers=layers,
        prediction=network.likelihood.mean(layers[-1].h[None], scales)[0],
        loss=loss,
        minus_e=layers[-1].gradient_h,
        scales=scales,
        gradient_scales=by_scales,
        learning_rate=eta,
        theta_after=theta_after,
        loss_after=_loss(network, theta_after, read),
    )


def gradient_of_theta(layers: Sequence[LayerTrace], by_scales: Array) -> Array:
    """Return g = ∂loss/∂θ (n_parameters,): the gradients of (w_l, b_l) in the order of θ, and the scales'."""
    parts = [part for layer in layers for part in (layer.gradient_weight, layer.gradient_bias)]
    return np.concatenate([part.ravel() for part in (*parts, by_scales) if part is not None])


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is reported by the caller
def _pass(network: Network, theta: Array, row: Row) -> tuple[tuple[LayerTrace, ...], float, Array]:
    """Go forward and back with one row; return its layers, its loss, and ∂loss by the learned scales."""
    parameters = network.architecture.unpack(theta)
    functions = [ACTIVATIONS[layer.activation] for layer in network.architecture.dense]
    states = list(equations.forward(row.x[None], parameters, functions))  # N1, N2
    if row.offset is not None:  # the top layer's activation is the identity: its s and h are one
        states[-1] = states[-1]._replace(S=states[-1].S + row.offset, H=states[-1].H + row.offset)
    likelihood = network.likelihood
    top = likelihood.extended(states[-1].H, network.architecture.scales(theta))  # N14
    losses, by_top = likelihood.loss_and_gradient(top, row.target.y[None])  # N5 to N8, N15 to N24
    layers: list[LayerTrace] = []
    delta_top = equations.top_error_signal(by_top, None)  # N9: the only row counts whole
    G, by_scales = np.split(delta_top, [network.n_logits], axis=1)
    for level in reversed(range(len(states))):
        state, (weight, bias) = states[level], parameters[level]
        delta = equations.error_signal(G, state, functions[level])  # N9
        below = equations.gradient_of_inputs(delta, weight)  # N10
        layers.append(
            LayerTrace(
                number=level + 1,
                activation=functions[level].name,
                weight=weight,
                bias=bias,
                inputs=state.inputs[0],
                s=state.S[0],
                h=state.H[0],
                slope=functions[level].derivative(state.S, state.H)[0],
                gradient_h=G[0],
                delta=delta[0],
                gradient_weight=equations.gradient_of_weights(delta, state.inputs),  # N11
                gradient_bias=None if bias is None else equations.gradient_of_bias(delta),  # N12
                gradient_inputs=below[0],
            )
        )
        G = below
    return tuple(reversed(layers)), float(losses[0]), by_scales[0]


@np.errstate(over="ignore", invalid="ignore")  # a step that is too long may overflow: it is not taken
def _loss(network: Network, theta: Array, row: Row) -> float:
    offset = None if row.offset is None else row.offset[None]
    return network.engine("reference").loss(theta, row.x[None], row.target.y[None], None, offset)


def _step_length(network: Network, theta: Array, g: Array, row: Row, loss: float) -> float:
    """Return the largest η of 1, 0.5, 0.2, 0.1, … that keeps its share of what the slope promises."""
    promised = SHARE_OF_SLOPE * float(g @ g)
    etas = [mantissa / 10**power for power in range(1, 12) for mantissa in (10, 5, 2)]
    for eta in etas:
        if _loss(network, theta - eta * g, row) <= loss - eta * promised:
            return eta
    return etas[-1]


def _forward_lines(layer: LayerTrace, top: int, moved: bool) -> Iterator[Quantity]:
    n = layer.number
    bias = "" if layer.bias is None else f" + b_{n}"
    if n == top:
        offset = " + o" if moved else ""
        yield Quantity("N1", "s", f"w_{n} h_{n - 1}{bias}{offset}: the logits".replace("h_0", "x"), layer.s)
        return
    yield Quantity("N1", f"s_{n}", f"w_{n} h_{n - 1}{bias}".replace("h_0", "x"), layer.s)
    yield Quantity("N2", f"h_{n}", f"{layer.activation}(s_{n})", layer.h)


def _backward_lines(layer: LayerTrace, top: int) -> Iterator[Quantity]:
    n = layer.number
    if n == top:
        yield Quantity("N9", f"δ_{n}", "−e", layer.delta)
    else:
        yield Quantity("N9", f"r'_{n}", f"the slope of {layer.activation} at s_{n}", layer.slope)
        yield Quantity("N9", f"δ_{n}", f"r'_{n} ∂loss/∂h_{n}, unit by unit", layer.delta)
    below = "x" if n == 1 else f"h_{n - 1}"
    yield Quantity("N11", f"∂loss/∂w_{n}", f"δ_{n} {below}ᵀ", layer.gradient_weight)
    if layer.gradient_bias is not None:
        yield Quantity("N12", f"∂loss/∂b_{n}", f"δ_{n}", layer.gradient_bias)
    yield Quantity("N10", f"∂loss/∂{below}", f"δ_{n}ᵀ w_{n}", layer.gradient_inputs)
