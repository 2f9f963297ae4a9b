"""The commands that use a model: predict and evaluate."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import chainrule
from chainrule.cli import console
from chainrule.cli.files import ENDINGS, as_csv, read_table, require_columns, require_writable, write_table
from chainrule.errors import InputError
from chainrule.estimators import TabularClassifier, TabularRegressor
from chainrule.report import KnownRows
from chainrule.report import evaluate as score


def predict(model_path: Path, data: Path, out: Path | None, coverage: float | None = None) -> None:
    """Do ``chainrule predict``."""
    if out is not None:
        require_writable(out, ENDINGS)
    model = load_model(model_path)
    table = read_table(data, text_columns(model))
    if coverage is not None and not hasattr(model, "predict_interval"):
        raise InputError("--coverage is for numbers: of classes the probability of each comes by itself.")
    given = given_beside(model, table, str(data))
    predictions = predictions_of(model, inputs_of(model, table, str(data)), given, coverage)
    if out is None:
        print(as_csv(predictions), end="")
    else:
        write_table(predictions, out)
        console.note(f"{predictions.num_rows:,} predictions are in {out}.")


def evaluate(model_path: Path, data: Path) -> None:
    """Do ``chainrule evaluate``."""
    model = load_model(model_path)
    rows = rows_with_target(model, model_path, data)
    evaluation = score(model, rows.inputs, rows.target, **rows.given)
    console.say_table(
        f"{rows.target.column_names[0]}: scores on {len(evaluation.actual):,} rows of {data.name}",
        ("", model_path.name),
        [(each.name, str(each)) for each in evaluation.scores],
    )


def rows_with_target(model: Any, model_path: Path, data: Path) -> KnownRows:
    """Read a table and find in it what the model was fitted on, by the names of the columns."""
    target = target_of(model, model_path)
    table = read_table(data, text_columns(model))
    targets = [name for name in (target, model.event_name_) if name is not None]
    require_columns(table, targets, str(data))
    given = given_beside(model, table, str(data))
    return KnownRows(inputs_of(model, table, str(data)), table.select(targets), given)


def target_of(model: Any, path: Path) -> str:
    """Return the name that the target had at the fit; raise InputError where it had none."""
    if model.target_name_ is None:
        raise InputError(
            f"{path} does not know the name of its target: fit with a named column (a Series) as y, "
            "or use the model in Python, such as score(table, y)."
        )
    return str(model.target_name_)


def load_model(path: Path) -> Any:
    """Return the model in a file; raise InputError where this command line has no use for it."""
    if not path.exists():
        raise InputError(f"{path} does not exist: chainrule fit writes model files.")
    model = chainrule.load(path)
    if not isinstance(model, TabularClassifier | TabularRegressor):
        raise InputError(
            f"{path} holds a {type(model).__name__}, which works on arrays: use chainrule.load in Python."
        )
    if not hasattr(model, "feature_names_in_"):
        raise InputError(f"{path} was fitted on an array without column names: use chainrule.load in Python.")
    return model


def text_columns(model: Any) -> list[str]:
    """Return the columns that held text at the fit: in a CSV file their cells may all look like numbers."""
    columns = model.encoder_.describe()[0]["columns"]
    return [column["name"] for column in columns if column.get("content") == "text"]


def inputs_of(model: Any, table: pa.Table, where: str) -> pa.Table:
    """Return the columns of the fit, in its order; those that the model does not look at may be missing."""
    unused = {column.name for column in model.encoder_.columns if column.kind == "dropped"}
    names = list(model.feature_names_in_)
    require_columns(table, [name for name in names if name not in unused], where)
    for name in unused - set(table.column_names):
        table = table.append_column(name, pa.nulls(table.num_rows))
    return table.select(names)


def given_beside(model: Any, table: pa.Table, where: str) -> dict[str, pa.Table]:
    """Return the offset and the exposure, as keywords of a prediction, where the fit had them."""
    names = {"offset": model.offset_name_, "exposure": model.exposure_name_}
    needed = {what: name for what, name in names.items() if name is not None}
    require_columns(table, needed.values(), where)
    return {what: table.select([name]) for what, name in needed.items()}


def predictions_of(
    model: Any, table: pa.Table, given: dict[str, pa.Table], coverage: float | None = None
) -> pa.Table:
    """Return ``prediction``, with a coverage ``lower`` and ``upper`` too, for classes ``probability_…``."""
    if not hasattr(model, "classes_"):
        columns = {"prediction": model.predict(table, **given)}
        if coverage is not None:
            lower, upper = model.predict_interval(table, coverage, **given).T.copy()
            columns |= {"lower": lower, "upper": upper}
        return pa.table(columns)
    probabilities = model.predict_proba(table, **given)
    labels = [str(label) for label in model.classes_]
    names = ["prediction", *(f"probability_{label}" for label in labels)]
    chosen = pa.array(np.asarray(model.classes_)[probabilities.argmax(axis=1)].tolist())
    return pa.Table.from_arrays(
        [chosen, *(pa.array(column) for column in probabilities.T.copy())], names=names
    )
