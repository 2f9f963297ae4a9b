"""The page of a trace: one HTML file in which a row goes through the network and back, step by step."""

import base64
from collections.abc import Mapping
from datetime import date, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

import chainrule
from chainrule.errors import InputError
from chainrule.inspection import ColumnOfRow, Row, Trace
from chainrule.inspection.text import number, shown
from chainrule.likelihoods import Likelihood, is_built_in
from chainrule.report.page import environment

REACH = 3.0  # a slider goes so many scales to both sides of a column's centre


def write_trace(path: str | PathLike[str], trace: Trace) -> None:
    """Write the page of a trace: one HTML file that needs nothing else and computes its numbers itself.

    The page draws the network and steps x → h_1 → … → s → ŷ → loss → −e → δ_L → … → ∂loss/∂x with the
    equation of each step and this row's numbers in it. Inputs can be changed and steps of descent be taken.
    It holds all weights, in base64: four thirds of their bytes. The rest of the page is some 110 kB, and for
    each column less than one or two. Of a likelihood of your own, which the page has no formula of, it shows
    what Python computed, and says so.

    Parameters
    ----------
    path : str or path
        The HTML file; one that is there is replaced.
    trace : Trace
        From `chainrule.trace`.

    Raises
    ------
    InputError
        When it is no Trace.

    Examples
    --------
    >>> import tempfile, numpy as np, chainrule as cr
    >>> from chainrule.report import write_trace
    >>> net = cr.Network(2, [cr.Dense(3, "tanh")], likelihood=cr.likelihoods.Bernoulli())
    >>> traced = cr.trace(net, [0.5, -1.0], 1, theta=net.initial_parameters(seed=0))
    >>> with tempfile.NamedTemporaryFile(suffix=".html") as file:
    ...     write_trace(file.name, traced)
    """
    if not isinstance(trace, Trace):
        raise InputError(f"trace is a {type(trace).__name__}; chainrule.trace(model, row, y) makes one.")
    html = (
        environment()
        .get_template("trace.html.jinja")
        .render(
            title=f"One row through the network: {trace.target.name}",
            lead=lead_of(trace),
            target=trace.target.name,
            version=chainrule.__version__,
            data=page_data(trace),
        )
    )
    Path(path).write_text(html, encoding="utf-8")


def lead_of(trace: Trace) -> str:
    """Return what the page is about, in a sentence."""
    layers = [f"{layer.n_inputs}" for layer in trace.network.architecture.dense]
    widths = " → ".join([*layers, str(trace.network.n_logits)])
    return (
        f"{len(trace.columns)} columns, a network of {widths} units with "
        f"{trace.network.n_parameters:,} parameters, {trace.likelihood!r}. "
        f"Follow one row up to its prediction, and its error back down to every input. {trace.about_member}"
    ).rstrip()


def page_data(trace: Trace) -> dict[str, Any]:
    """Return all that the page computes with, in JSON's types."""
    row = trace.row
    theta = np.ascontiguousarray(row.theta, dtype=row.theta.dtype.newbyteorder("<"))
    return {
        "likelihood": trace.likelihood.name,
        "settings": _json(trace.likelihood.settings()) if is_built_in(trace.likelihood) else None,
        "equation": trace.equation_of_loss,
        "n_scales": len(trace.scales),
        "layers": [
            {
                "units": layer.units,
                "inputs": layer.n_inputs,
                "activation": layer.activation,
                "bias": layer.bias,
            }
            for layer in trace.network.architecture.dense
        ],
        "theta": base64.b64encode(theta.tobytes()).decode("ascii"),
        "dtype": str(row.theta.dtype),
        "columns": [_column(column) for column in trace.columns],
        "offset": None if row.offset is None else row.offset.tolist(),
        "beside": _beside(row),
        "target": _target(trace),
        "outputs": _outputs(trace),
        "predictions": _predictions(trace),
        "learning_rate": trace.learning_rate,
        "python": {
            "logits": trace.logits.tolist(),
            "prediction": trace.prediction.tolist(),
            "loss": trace.loss,
            "minusE": trace.minus_e.tolist(),
            "gradientScales": trace.gradient_scales.tolist(),
            "gradientX": trace.gradient_x.tolist(),
        },
    }


def _target(trace: Trace) -> dict[str, Any]:
    """Return how the target is shown and changed; ``kind`` is as in `Trace.predicted`."""
    target, y = trace.target, trace.target.y
    kind = "numbers" if not target.classes else "labels" if target.multilabel else "classes"
    scaled = bool((target.scale != 1).any() or (target.location != 0).any())
    return {
        "name": target.name,
        "kind": kind,
        "classes": list(target.classes),
        # of several outputs some may be missing
        "y": [None if np.isnan(value) else int(value) if kind == "classes" else float(value) for value in y],
        "location": target.location.tolist(),
        "scale": target.scale.tolist(),
        "temperature": target.temperature,
        "bounds": _bounds(trace.likelihood, len(y)),
        "columns": _target_columns(trace),
        "note": f"on the network's scale: y = {', '.join(map(number, y))}" if scaled else "",
    }


def _outputs(trace: Trace) -> list[str]:
    """Return a name for each logit."""
    classes, n_logits = trace.target.classes, trace.network.n_logits
    if len(classes) == n_logits:
        return list(classes)
    if n_logits == 1:
        return [classes[1] if len(classes) == 2 else trace.target.name]
    n_outputs = trace.likelihood.n_columns if trace.likelihood.name != "weibull" else 1
    name = trace.target.name
    names = [name] if n_outputs == 1 else [f"{name} {k}" for k in range(n_outputs)]
    levels = trace.likelihood.settings().get("levels")
    if levels is not None:
        return [
            *(f"{each}, quantile {levels[0]:g}" for each in names),
            *(f"{each}, step to {level:g}" for each in names for level in levels[1:]),
        ]
    scales = [f"log-scale of {each}" for each in names]
    named = [*names, *scales][:n_logits]
    return named if len(named) == n_logits else [f"{name} {k}" for k in range(n_logits)]


def _predictions(trace: Trace) -> list[str]:
    """Return a name for each entry of ŷ."""
    classes, n = trace.target.classes, len(trace.prediction)
    if len(classes) == n:
        return list(classes)
    return [trace.target.name] if n == 1 else [f"{trace.target.name} {k}" for k in range(n)]


def _bounds(likelihood: Likelihood, n_columns: int) -> list[dict[str, Any]]:
    """Return for each column of the target the least and the largest value that its control takes.

    ``above`` is whether the value must be above ``low``, and not equal to it.
    """
    outside = {value: likelihood.invalid(np.full((1, n_columns), value))[0] for value in (-1.0, 0.0, 2.0)}
    return [
        {
            "low": 0 if outside[-1.0][k] else None,
            "above": bool(outside[0.0][k]),
            "high": 1 if outside[2.0][k] else None,
        }
        for k in range(n_columns)
    ]


def _target_columns(trace: Trace) -> list[str]:
    """Return a name for each column of the target."""
    name, n_columns = trace.target.name, len(trace.target.y)
    if n_columns == len(trace.target.classes) or n_columns == 1:
        return list(trace.target.classes) if n_columns > 1 else [name]
    if trace.likelihood.name == "weibull":
        return [f"{name}, the time", f"{name}: 1 for an event, 0 for a censored time"]
    return [f"{name} {k}" for k in range(n_columns)]


def _beside(row: Row) -> dict[str, str] | None:
    """Return the name and the value of what moves the logits, as a person gave it."""
    if row.offset is None or row.beside is None:
        return None
    name, value = row.beside
    return {"name": name, "value": shown(value)}


def _json(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in settings.items()}


def _column(column: ColumnOfRow) -> dict[str, Any]:
    """Return a column with its cell, its control and how it becomes inputs."""
    cell, settings = _page_cell(column), dict(column.settings)
    described = {
        "name": column.name,
        "kind": column.kind,
        "cell": cell,
        "shown": shown(column.value),
        "inputs": list(column.input_names),
        "settings": settings,
        "how": _how(column),
    }
    if column.kind in {"number", "input"}:
        centre, scale = (
            (0.0, 1.0) if column.kind == "input" else (settings["centre"], settings["scale"] or 1.0)
        )
        values = [centre - REACH * scale, centre + REACH * scale, *([] if cell is None else [cell])]
        described |= {"low": min(values), "high": max(values)}
        if isinstance(column.value, int):
            described |= {"low": int(min(values)), "high": int(np.ceil(max(values))), "step": 1}
    elif column.kind in {"category", "boolean"}:
        described["options"] = _options(cell, settings)
    return described


def _page_cell(column: ColumnOfRow) -> Any:
    """Return the cell as the page's encodings take it: a finite number, text, a boolean, or None."""
    value = column.value
    if value is None or column.kind == "dropped":
        return None
    if column.kind in {"number", "input"}:
        # what is infinite is where the smooth clipping ends
        return int(value) if isinstance(value, int) else float(np.clip(float(value), -1e300, 1e300))
    if column.kind == "datetime":
        return str(np.datetime64(value, "us")) if isinstance(value, datetime | date) else str(value)
    content = column.settings["content"]
    if content == "number":
        return int(value) if float(value) == int(value) else float(value)
    if content == "datetime":
        return str(np.datetime_as_string(np.datetime64(value, "us"), unit="auto"))
    return bool(value) if content == "boolean" else str(value)


def _options(cell: Any, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a category can be changed to: each that was seen at the fit, any other, and missing."""
    options = [{"name": str(category), "value": category} for category in settings["categories"]]
    if cell is not None and cell not in settings["categories"]:
        options.append({"name": f"{cell} ({'rare' if settings['n_rare'] else 'new'})", "value": cell})
    return [*options, {"name": "(missing)", "value": None}]


def _how(column: ColumnOfRow) -> str:
    """Return in words what the encoder does with the column."""
    settings = column.settings
    if column.kind == "dropped":
        return f"left out: {settings['note']}"
    if column.kind == "number" and settings["scale"] > 0:
        centre, scale = number(settings["centre"]), number(settings["scale"])
        ramps = ", with ramps from knot to knot beside them (N25)" if settings.get("knots") else ""
        codes = f" {len(settings['codes'])} values have an input each (N28)." if settings.get("codes") else ""
        return f"Numbers become (x − {centre}) / {scale}, smoothly clipped to ±3{ramps}.{codes}"
    if column.kind == "datetime":
        return "Dates become a trend, and sine and cosine of their place in the year, the week and the day."
    if column.kind in {"category", "boolean"}:
        return "Categories have an input each, 1 for the one that it is; two alone share one, −1 and 1."
    return ""
