"""The commands that look into a model: trace, report and inspect."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import chainrule
from chainrule import model_file
from chainrule.cli import console
from chainrule.cli.applying import load_model, rows_with_target
from chainrule.cli.files import require_writable
from chainrule.errors import InputError
from chainrule.inspection import layer_rows
from chainrule.report import Fit, evaluate, write_report, write_trace
from chainrule.report.evaluation import class_numbers

PAGE_ENDINGS = (".html", ".htm")
MOST_NAMED = 8  # classes, in a line


def trace(
    model_path: Path, data: Path, row: int, html: Path | None, member: int, learning_rate: float | None
) -> None:
    """Do ``chainrule trace``."""
    if html is not None:
        require_writable(html, PAGE_ENDINGS)
    model = load_model(model_path)
    rows = rows_with_target(model, model_path, data)
    n_rows = rows.inputs.num_rows
    if not 0 <= row < n_rows:
        raise InputError(
            f"--row {row} does not exist: {data} has {n_rows:,} rows, so give 0 to {n_rows - 1}."
        )
    (named,) = rows.target.slice(row, 1).to_pylist()
    gone = next((name for name, value in named.items() if value is None), None)
    if gone is not None:
        raise InputError(f"row {row} of {data} has no {gone}: a trace needs the target, so take another row.")
    values = list(named.values())
    if hasattr(model, "classes_"):  # a class may be text in one file and a number in another
        values = [model.classes_[class_numbers(np.array(values), model.classes_)[0]]]
    traced = chainrule.trace(
        model,
        rows.inputs.slice(row, 1),
        values[0] if len(values) == 1 else values,
        member=member,
        learning_rate=learning_rate,
        **{what: table.slice(row, 1) for what, table in rows.given.items()},
    )
    console.say(str(traced))
    if html is not None:
        write_trace(html, traced)
        console.note(f"The page is {html}: open it in a browser.")


def report(model_path: Path, data: Path, html: Path | None) -> None:
    """Do ``chainrule report``."""
    html = html or Path(f"{model_path.stem}-report.html")
    require_writable(html, PAGE_ENDINGS)
    model = load_model(model_path)
    rows = rows_with_target(model, model_path, data)
    n_rows = rows.inputs.num_rows
    page = Fit(
        model,
        target=rows.target.column_names[0],
        data=data.name,
        n_train=model.n_rows_,
        n_test=n_rows,
        split=f"The scores are those of all {n_rows:,} rows of {data.name}. Whether the model has "
        "learned from some of them, its file does not say.",
        evaluation=evaluate(model, rows.inputs, rows.target, **rows.given),
        held_out=False,
        rows=rows,
        command=shlex.join(["chainrule", *sys.argv[1:]]),
    )
    write_report(html, page)
    console.note(f"The page is {html}: open it in a browser.")


def inspect(path: Path) -> None:
    """Do ``chainrule inspect``."""
    if not path.exists():
        raise InputError(f"{path} does not exist: chainrule fit writes model files.")
    model, description = chainrule.load(path), model_file.describe(path)
    network = model.network_
    say_pairs(
        f"{path.name}: a {description['estimator']}, written by chainrule {description['chainrule_version']}",
        [
            ("format", str(description["format_version"])),
            ("size", f"{path.stat().st_size:,} bytes"),
            *_about_target(model),
            ("likelihood", repr(network.likelihood)),
            *_about_members(model),
            ("parameters", f"{network.n_parameters:,} in {model.theta_.dtype}"),
            *_about_training(model),
        ],
    )
    console.say_table("Layers", ("layer", "shape of w", "parameters"), layer_rows(network))
    if hasattr(model, "encoder_"):
        rows = [
            (column.name, column.kind, str(len(names)), column.note)
            for column, names in zip(model.encoder_.columns, model.encoder_.inputs_by_column, strict=True)
        ]
        console.say_table("Columns", ("column", "kind", "inputs", "remark"), rows, n_text=2)
    say_pairs(
        "Parameters of the estimator", [(name, repr(value)) for name, value in model.get_params().items()]
    )


def say_pairs(title: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns of text."""
    console.say_table(title, ("", ""), pairs, n_text=2)


def _about_target(model: Any) -> list[tuple[str, str]]:
    name = getattr(model, "target_name_", None) or "a target without a name"
    if not hasattr(model, "classes_"):
        return [("predicts", name)]
    classes = [str(label) for label in model.classes_]
    more = f" and {len(classes) - MOST_NAMED} more" if len(classes) > MOST_NAMED else ""
    return [("predicts", name), ("classes", f"{len(classes)}: {', '.join(classes[:MOST_NAMED])}{more}")]


def _about_members(model: Any) -> list[tuple[str, str]]:
    n_members = getattr(model, "n_members_", 1)
    return [("members", f"{n_members}; what follows is the first")] if n_members > 1 else []


def _about_training(model: Any) -> list[tuple[str, str]]:
    if hasattr(model, "history_"):
        rows = f"{model.n_rows_:,} rows, seed {model.seed_}"
        return [("fitted on", rows), ("training", repr(model.history_))]
    return [("training", f"{model.n_iter_} epochs or iterations")] if hasattr(model, "n_iter_") else []
