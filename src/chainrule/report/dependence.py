"""How the predictions go along with one column, all others as they are: partial dependence."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chainrule.report.evaluation import KnownRows

MOST_ROWS = 300  # the mean of more says the same
MOST_VALUES = 25  # of a number or a date, along its quantiles
MOST_CATEGORIES = 8


@dataclass(frozen=True)
class Dependence:
    """The mean prediction of some rows at each of several values of one column.

    Parameters
    ----------
    column : str
        Its name.
    values : list
        Numbers, dates, or categories as text.
    means : (n_values, n_lines)
        The mean prediction, or the mean probability of each class that is shown.
    spread : (2, n_values, n_lines)
        Between which predictions four fifths of the rows lie.
    """

    column: str
    values: list[Any]
    means: NDArray[np.float64]
    spread: NDArray[np.float64]

    @property
    def is_ordered(self) -> bool:
        """Whether the values are numbers or dates, and so a line can be drawn through them."""
        return not isinstance(self.values[0], str)


def partial_dependence(model: Any, rows: KnownRows, column: str, classes: list[int]) -> Dependence | None:
    """Return the mean predictions at the values that a column has in these rows; None where it has but one.

    Friedman (2001), "Greedy function approximation: a gradient boosting machine", section 8.2.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        The fitted model.
    rows : KnownRows
        Rows; at most 300 of them are taken, evenly spaced.
    column : str
        The column.
    classes : list of int
        Of a classifier the places of the classes whose probabilities are wanted.
    """
    some = np.unique(np.linspace(0, len(rows.inputs) - 1, min(len(rows.inputs), MOST_ROWS)).astype(int))
    table, given = rows.inputs.take(some), {what: part.take(some) for what, part in rows.given.items()}
    values = _values(rows.inputs[column])
    if len(values) < 2:
        return None
    place = table.column_names.index(column)
    n = len(table)
    many = pa.concat_tables(
        table.set_column(place, column, pa.chunked_array([pa.repeat(value, n)])) for value in values
    )
    beside = {what: pa.concat_tables([part] * len(values)) for what, part in given.items()}
    if classes:
        predicted = model.predict_proba(many, **beside)[:, classes]
    else:
        predicted = np.asarray(model.predict(many, **beside), dtype=np.float64)[:, None]
    by_value = predicted.reshape(len(values), n, -1)
    shown = [_shown(value) for value in values]
    return Dependence(column, shown, by_value.mean(axis=1), np.quantile(by_value, [0.1, 0.9], axis=1))


def _values(column: pa.ChunkedArray) -> list[pa.Scalar]:
    """Return the values to predict at: along the quantiles of what is ordered, else the most common ones."""
    column = column.drop_null()
    kind = column.type
    ordered = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind)
    if pa.types.is_floating(kind):
        column = column.filter(pc.is_finite(column))
    distinct = pc.unique(column)
    if ordered:
        if len(distinct) > MOST_VALUES:  # but for the outermost fiftieths, where hardly a row is
            places = np.linspace(0.02 * (len(column) - 1), 0.98 * (len(column) - 1), MOST_VALUES).round()
            distinct = pc.unique(column.take(pc.sort_indices(column)).take(places.astype(int)))
        return list(distinct.take(pc.sort_indices(distinct)))
    counts = column.value_counts()
    order = np.argsort(-np.array(counts.field("counts")), kind="stable")[:MOST_CATEGORIES]
    return [counts.field("values")[int(k)] for k in order]


def _shown(value: pa.Scalar) -> Any:
    cell = value.as_py()
    if isinstance(cell, bool) or not isinstance(cell, int | float | date | datetime):
        return str(cell)
    return cell
