"""The parts of the report that look into the model: what it rests on, and the health of its network."""

from typing import Any

import numpy as np

from chainrule.inspection import LayerHealth, column_importances, health
from chainrule.report import figures
from chainrule.report.dependence import Dependence, partial_dependence
from chainrule.report.evaluation import KnownRows
from chainrule.report.page import Drawing, Section, Table
from chainrule.report.scores import number
from chainrule.training import History

MOST_ROWS = 2000  # more say the same, and take longer
FEWEST_ROWS = 200
MOST_WORK = 1e11  # multiplications for the importances: some seconds
N_REPEATS = 5
MOST_PERMUTED = 60  # columns
MOST_BARS = 15
MOST_CURVES = 3  # columns whose partial dependence is drawn
MOST_CLASSES = 4  # of which a line is drawn
MANY_DEAD = 0.3  # the share of a layer's units from which on they are missed
MANY_SATURATED = 0.5


def what_it_rests_on(model: Any, rows: KnownRows) -> Section:
    """Show by how much the loss grows when a column is permuted, and how the predictions go along with it."""
    some = some_rows(rows, rows_for_importances(model))
    slopes = column_importances(model, some.inputs, some.target, method="gradient", **some.given)
    by_name = dict(zip(slopes.names, slopes.mean, strict=True))
    permuted = [slopes.names[c] for c in slopes.order[:MOST_PERMUTED]]
    found = column_importances(
        model, some.inputs, some.target, n_repeats=N_REPEATS, columns=permuted, **some.given
    )
    order = found.order
    shown = order[:MOST_BARS]
    lines = tuple(
        (found.names[c], f"{number(found.mean[c])} ± {number(found.std[c])}", number(by_name[found.names[c]]))
        for c in order
    )
    first = ", ".join(found.names[c] for c in order[:3])
    text = (
        f"Most on {first}. When the cells of a column change places among the rows, the loss of a row, "
        f"{number(found.loss)}, grows by so much. Columns that say the same share their worth. "
        f"{len(some.inputs):,} rows were taken."
    )
    which = "The"
    if len(by_name) > len(permuted):
        which = f"{len(permuted)} of the"
        text += f" Only the {len(permuted)} columns were permuted to which the loss answers most."
    along = (
        "The curves along a column are partial dependence: the same rows, all with one value of it and else "
        "their own. Where the band is wide, other columns decide; along values that no row could have, it is "
        "a guess."
    )
    important = [found.names[c] for c in order[:MOST_CURVES] if found.mean[c] > 0]
    return Section(
        "What it rests on",
        (text, along) if important else (text,),
        (
            Drawing(
                "Importance of the columns",
                figures.importances([found.names[c] for c in shown], found.mean[shown], found.std[shown]),
                "Bars. " + "; ".join(f"{found.names[c]}: {number(found.mean[c])}" for c in shown) + ".",
                "Growth of the loss when the column is permuted, mean and standard deviation of five times.",
            ),
            *_dependences(model, rows, important),
            Table(
                ("column", "growth of the loss when permuted", "mean ‖∂loss/∂x‖"),
                lines,
                folded=len(lines) > MOST_BARS,
                title=f"{which} {len(by_name)} columns that the network sees",
            ),
        ),
    )


def _dependences(model: Any, rows: KnownRows, names: list[str]) -> list[Drawing]:
    """Draw how the predictions go along with each of these columns."""
    target = rows.target.column_names[0]
    labels = [str(label) for label in getattr(model, "classes_", ())]
    classes = list(range(min(len(labels), MOST_CLASSES))) if len(labels) > 2 else [1][: len(labels) - 1]
    lines = [f"probability of {labels[k]}" for k in classes] or [f"predicted {target}"]
    found = [partial_dependence(model, rows, name, classes) for name in names]
    caption = "The mean prediction, had all rows this value"
    caption += "; four fifths of them lie in the band." if len(lines) == 1 else "."
    return [
        Drawing(
            f"Along {dependence.column}",
            figures.partial_dependence(dependence, lines),
            _in_words(dependence, lines),
            caption,
        )
        for dependence in found
        if dependence is not None
    ]


def _in_words(dependence: Dependence, lines: list[str]) -> str:
    shown = [
        figures.shortened(
            value if isinstance(value, str) else f"{value:.4g}" if isinstance(value, float) else str(value),
            20,
        )
        for value in dependence.values
    ]
    return "; ".join(
        f"{line}: "
        + ", ".join(f"{number(mean)} at {value}" for mean, value in zip(means, shown, strict=True))
        for line, means in zip(lines, dependence.means.T, strict=True)
    )


def health_of_the_network(model: Any, rows: KnownRows) -> Section:
    """Show the gradient in each layer and its dead and saturated units, and say what to do."""
    some = some_rows(rows, MOST_ROWS)
    members = [
        health(model, some.inputs, some.target, member=member, **some.given)
        for member in range(model.n_members_)
    ]
    kinds = kinds_of(model)
    blocks: list[Drawing | Table] = []
    for kind in kinds:
        which = f", of member {kind[0]}" if len(members) > 1 else ""
        blocks += gradient_norms(model.members_[kind[0]].history, which)
    head = ("layer", "units", "δ, root mean square", "‖∂loss/∂w‖", "dead units", "saturated")
    for nth, kind in enumerate(kinds, start=1):
        title = "The layers at the end"
        if len(members) > 1:
            title += f", over {len(kind)} members" + (f" of kind {nth}" if len(kinds) > 1 else "")
            title += ": from least to most"
        layers = tuple(_line(same) for same in zip(*(members[k] for k in kind), strict=True))
        blocks.append(Table(head, layers, title=title))
    if len(members) > 1:
        lines = tuple((str(k), *_line((layer,))) for k, layers in enumerate(members) for layer in layers)
        blocks.append(Table(("member", *head), lines, 2, folded=True, title="Each member by itself"))
    return Section("Health of the network", advice(members), tuple(blocks))


def kinds_of(model: Any) -> list[list[int]]:
    """Return the numbers of the members, those with the same layers together."""
    kinds: dict[tuple[Any, ...], list[int]] = {}
    for k, member in enumerate(model.members_):
        layers = tuple((layer.units, layer.activation) for layer in member.network.architecture.dense)
        kinds.setdefault(layers, []).append(k)
    return list(kinds.values())


def _line(layers: tuple[LayerHealth, ...]) -> tuple[str, ...]:
    """Return one layer of several members: what goes from least to most."""
    first = layers[0]

    def spread(values: list[float], show: Any) -> str:
        least, most = show(min(values)), show(max(values))
        return str(least) if least == most else f"{least} to {most}"

    return (
        f"{first.number}, {first.activation if not first.is_top else 'the logits'}",
        f"{first.units:,}",
        spread([layer.delta for layer in layers], number),
        spread([layer.gradient for layer in layers], number),
        spread([layer.dead for layer in layers], lambda count: f"{count:,}"),
        spread([layer.saturated for layer in layers], lambda share: f"{100 * share:.1f} %"),
    )


def gradient_norms(history: History, which: str = "") -> list[Drawing]:
    """Draw the size of the gradient in each layer over the epochs, where it was looked at."""
    if len(history.gradients) < 2:
        return []
    norms = np.array([record.norms for record in history.gradients])
    names = [f"layer {level + 1}" for level in range(norms.shape[1] - 1)] + ["the logits"]
    ends = "; ".join(
        f"{name}: {number(first)} at first, {number(last)} at last"
        for name, first, last in zip(names, norms[0], norms[-1], strict=True)
    )
    drawing = Drawing(
        "The gradient in each layer",
        figures.gradient_norms(np.array([record.epoch for record in history.gradients]), norms, names),
        f"Lines over the epochs. {ends}.",
        f"‖∂loss/∂w‖ of a sample of the training rows, after some of the epochs{which}. Lines that stay "
        "within a factor of a hundred of each other are well. One that falls far below the others belongs to "
        "a layer that hardly learns; one that grows without end asks for a lower learning rate.",
    )
    return [drawing]


def advice(members: list[tuple[LayerHealth, ...]]) -> tuple[str, ...]:
    """Return what the numbers mean and what to do, a paragraph each."""
    said = []

    def layers_where(holds: Any) -> str:
        """Return the layers in which this holds, in any member."""
        found = sorted({layer.number for layers in members for layer in layers[:-1] if holds(layer)})
        return f"layer{'' if len(found) == 1 else 's'} {', '.join(map(str, found))}" if found else ""

    if dead := layers_where(lambda layer: layer.dead > MANY_DEAD * layer.units):
        said.append(
            f"In {dead} many units are dead: their slope is 0 in every row, so nothing passes them and they "
            "learn nothing. Take a lower learning rate, or an activation that is not flat on one side, such "
            "as mish or silu."
        )
    if saturated := layers_where(lambda layer: layer.saturated > MANY_SATURATED):
        said.append(
            f"In {saturated} most sigmoid or tanh units stand where they are flat: they pass less than a "
            "hundredth of the signal. Scale the inputs, take a stronger penalty, or an activation that does "
            "not level off."
        )
    if any(len(layers) > 1 and layers[0].delta < 0.01 * layers[-2].delta for layers in members):
        said.append(
            "The error signal of the first layer is less than a hundredth of the last hidden one's: the "
            "lower layers hardly learn. Take fewer layers, or another activation."
        )
    if not said:
        said.append(
            "Nothing stands out: the error signal reaches every layer, and no layer has many units that are "
            "off in all rows."
        )
    if len(members) > 1 and "Nothing" not in said[0]:
        said.append("It holds of at least one member; the table of the members says of which.")
    return tuple(said)


def rows_for_importances(model: Any) -> int:
    """Return how many rows can be gone through for each column, without much waiting."""
    passes = N_REPEATS * min(len(model.encoder_.columns), MOST_PERMUTED) * model.n_members_
    return int(np.clip(MOST_WORK / (passes * model.network_.n_parameters), FEWEST_ROWS, MOST_ROWS))


def some_rows(rows: KnownRows, most: int) -> KnownRows:
    """Return at most so many rows, evenly spaced."""
    if len(rows.inputs) <= most:
        return rows
    places = np.linspace(0, len(rows.inputs) - 1, most).round().astype(int)
    given = {what: table.take(places) for what, table in rows.given.items()}
    return KnownRows(rows.inputs.take(places), rows.target.take(places), given)
