"""The parts of the report that look into the model: what it rests on, and the health of its network."""

from typing import Any

import numpy as np

from chainrule.inspection import LayerHealth, column_importances, health
from chainrule.report import figures
from chainrule.report.evaluation import number
from chainrule.report.page import Drawing, Section, Table

MOST_ROWS = 2000  # more say the same, and take longer
MOST_BARS = 15
MANY_DEAD = 0.3  # the share of a layer's units from which on they are missed
MANY_SATURATED = 0.5


def what_it_rests_on(model: Any, table: Any, target: Any) -> Section:
    """Show by how much the loss grows when a column is permuted, and how it answers to small changes."""
    rows, y = some_rows(table, target)
    found = column_importances(model, rows, y)
    slopes = column_importances(model, rows, y, method="gradient").mean
    order = found.order
    shown = order[:MOST_BARS]
    lines = tuple(
        (found.names[c], f"{number(found.mean[c])} ± {number(found.std[c])}", number(slopes[c]))
        for c in order
    )
    first = ", ".join(found.names[c] for c in order[:3])
    text = (
        f"Most on {first}. When the cells of a column change places among the rows, the loss of a row, "
        f"{number(found.loss)}, grows by so much. Columns that say the same share their worth."
    )
    return Section(
        "What it rests on",
        (text,),
        (
            Drawing(
                "Importance of the columns",
                figures.importances([found.names[c] for c in shown], found.mean[shown], found.std[shown]),
                "Bars. " + "; ".join(f"{found.names[c]}: {number(found.mean[c])}" for c in shown) + ".",
                "Growth of the loss when the column is permuted, mean and standard deviation of five times.",
            ),
            Table(
                ("column", "growth of the loss when permuted", "mean ‖∂loss/∂x‖"),
                lines,
                folded=len(lines) > MOST_BARS,
                title=f"All {len(lines)} columns that the network sees",
            ),
        ),
    )


def health_of_the_network(model: Any, table: Any, target: Any) -> Section:
    """Show the gradient in each layer and its dead and saturated units, and say what to do."""
    layers = health(model, *some_rows(table, target))
    rows = tuple(
        (
            f"{layer.number}, {layer.activation}"
            if layer.number < len(layers)
            else f"{layer.number}, the logits",
            f"{layer.units:,}",
            number(layer.delta),
            number(layer.gradient),
            f"{layer.dead:,}",
            f"{100 * layer.saturated:.1f} %",
        )
        for layer in layers
    )
    head = ("layer", "units", "δ, root mean square", "‖∂loss/∂w‖", "dead units", "saturated")
    return Section(
        "Health of the network",
        (advice(layers),),
        (Table(head, rows),),
    )


def advice(layers: tuple[LayerHealth, ...]) -> str:
    """Return what the numbers mean and what to do."""
    hidden = layers[:-1]
    said = []
    dead = [layer for layer in hidden if layer.dead > MANY_DEAD * layer.units]
    if dead:
        said.append(
            f"In {_numbered(dead)} many units are dead: their slope is 0 in every row, so nothing "
            "passes them and they learn nothing. Take a lower learning rate, or an activation such as mish."
        )
    saturated = [layer for layer in hidden if layer.saturated > MANY_SATURATED]
    if saturated:
        said.append(
            f"In {_numbered(saturated)} most sigmoid or tanh units stand where they are flat. Scale the "
            "inputs, or take an activation that does not level off."
        )
    if hidden and hidden[0].delta < 0.01 * hidden[-1].delta:
        said.append(
            "The error signal of the first layer is less than a hundredth of the last hidden one's: the "
            "lower layers hardly learn. Take fewer layers, or another activation."
        )
    if not said:
        said.append(
            "Nothing stands out: the error signal reaches every layer, and no layer has many units that are "
            "off in all rows."
        )
    return " ".join(said)


def some_rows(table: Any, target: Any) -> tuple[Any, Any]:
    """Return at most so many rows of pyarrow tables, evenly spaced."""
    if len(table) <= MOST_ROWS:
        return table, target
    places = np.linspace(0, len(table) - 1, MOST_ROWS).round().astype(int)
    return table.take(places), target.take(places)


def _numbered(layers: list[LayerHealth]) -> str:
    return f"layer{'' if len(layers) == 1 else 's'} {', '.join(str(layer.number) for layer in layers)}"
