"""How the gradient flows through a network: its size in each layer, dead and saturated units."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.architecture import ACTIVATIONS, equations
from chainrule.errors import InputError
from chainrule.inspection.batch import encoded_rows
from chainrule.inspection.rows import require_member
from chainrule.optimization import Penalty

Array = NDArray[np.floating[Any]]

MOST_ROWS = 1000  # more say the same
# Activations that level off on both sides, and the largest slope of each.
SATURATING = {"sigmoid": 0.25, "tanh": 1.0}
# Below this share of its largest slope a unit hardly passes anything.
FLAT = 0.01


@dataclass(frozen=True)
class LayerHealth:
    """The signal in one layer.

    Parameters
    ----------
    number : int
        l, from 1.
    activation : str
        The name of r_l; "identity" at the top.
    units : int
        d_l.
    delta : float
        The root mean square of δ_l over rows and units (N9), each row's own loss.
    gradient : float
        ‖∂loss/∂w_l‖ of the mean loss (N11).
    weight : float
        ‖w_l‖.
    dead : int
        Units whose slope r'_l is 0 in all rows: nothing passes them, and they learn nothing.
    saturated : float
        The share of unit and row in which a sigmoid or tanh has less than a hundredth of its largest slope;
        0 for other activations.
    is_top : bool
        Whether it is the top layer, whose units are the logits.
    """

    number: int
    activation: str
    units: int
    delta: float
    gradient: float
    weight: float
    dead: int
    saturated: float
    is_top: bool = False


def health(
    model: Any,
    X: Any,
    y: ArrayLike,
    *,
    member: int = 0,
    offset: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
) -> tuple[LayerHealth, ...]:
    """Return how the gradient of the loss flows through a fitted model's network.

    At most 1000 rows are looked at, evenly spaced; without dropout and penalty.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
        Fitted.
    X : table or array_like, (n_rows, n_columns)
        The rows, as `predict` takes them.
    y : array_like, (n_rows,) or (n_rows, n_outputs)
        Their targets.
    member : int, default 0
        Which member is looked at, of a model that has several.
    offset, exposure : array_like, optional
        As in the fit.

    Returns
    -------
    tuple of LayerHealth
        Layer 1 up to L.

    Raises
    ------
    InputError
        When the rows or targets are unusable, or the loss is not finite.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.inspection import health
    >>> X = np.linspace(-1, 1, 60)[:, None]
    >>> model = cr.TabularRegressor(hidden=(8,), epochs=5, random_state=0).fit(X, X[:, 0])
    >>> [(layer.number, layer.units, layer.dead) for layer in health(model, X, X[:, 0])]
    [(1, 8, 0), (2, 1, 0)]
    """
    rows = encoded_rows(model, X, y, offset, exposure)
    require_member(member, len(rows.members))
    some = np.linspace(0, len(rows.X) - 1, min(len(rows.X), MOST_ROWS)).round().astype(int)
    network, its_theta, _ = rows.members[member]
    x, target = rows.X[some].astype(np.float64), rows.y[some]
    engine = network.engine("reference")
    theta = its_theta.astype(np.float64)
    moved = None if rows.offset is None else rows.offset[some]
    parameters = network.unpack(theta)
    gradients = network.unpack(
        engine.loss_and_gradient(theta, x, target, None, Penalty(), None, offset=moved)[1]
    )
    functions = [ACTIVATIONS[layer.activation] for layer in network.architecture.dense]
    states = equations.forward(x, parameters, functions)
    logits = states[-1].H if moved is None else states[-1].H + moved
    top = network.likelihood.extended(logits, network.scales(theta))  # N14
    minus_e = network.likelihood.loss_and_gradient(top, target)[1][:, : network.n_logits]
    if not np.isfinite(minus_e).all():
        raise InputError("The loss of some rows is not finite: there is no gradient to look at.")
    layers: list[LayerHealth] = []
    G = minus_e
    for level in reversed(range(len(states))):
        state, (weight, _), name = states[level], parameters[level], functions[level].name
        slope = functions[level].derivative(state.S, state.H)
        delta = slope * G  # N9
        flat = np.abs(slope) < FLAT * SATURATING.get(name, 0.0)
        layers.append(
            LayerHealth(
                number=level + 1,
                activation=name,
                units=len(weight),
                delta=float(np.sqrt(np.mean(delta**2))),
                gradient=float(np.linalg.norm(gradients[level][0])),
                weight=float(np.linalg.norm(weight)),
                dead=int((slope == 0).all(axis=0).sum()),
                saturated=float(flat.mean()),
                is_top=level == len(states) - 1,
            )
        )
        G = equations.gradient_of_inputs(delta, weight)  # N10
    return tuple(reversed(layers))
