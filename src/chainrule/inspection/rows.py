"""One row as a network sees it: its columns by name, the inputs that they become, and its target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.errors import InputError
from chainrule.estimators.base import NetworkEstimator
from chainrule.estimators.moved import Moved
from chainrule.estimators.targets import Classes, Scaling, read_target
from chainrule.likelihoods import Categorical
from chainrule.network import Network

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ColumnOfRow:
    """A column of the traced row, and the inputs that it became.

    Parameters
    ----------
    name : str
        Its name; "x0", "x1", … where the row has no names.
    kind : str
        What the encoder takes it for ("number", "boolean", "category", "datetime", "dropped"), or
        "input" where no encoder stands before the network.
    value : object
        The cell as it came, None where it is missing.
    input_names : tuple of str
        The inputs that the column becomes; () for a dropped one.
    inputs : (n,), float64
        Their values in this row, a part of x.
    settings : mapping
        How the encoder makes inputs of it, in JSON's types; empty for "input".
    """

    name: str
    kind: str
    value: Any
    input_names: tuple[str, ...]
    inputs: Array
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetOfRow:
    """The target of the traced row.

    Parameters
    ----------
    name : str
        Its name, "y" where it has none.
    value : object
        The target as it came.
    y : (n_columns,)
        What the likelihood takes: numbers on the network's scale, or a class number.
    classes : tuple of str
        The names of the classes, or of the labels; empty for numbers.
    location, scale : (n_columns,), float64
        A number of the network's scale, z, stands for location + scale · z.
    multilabel : bool
        Whether each class is a question of its own: several labels a row.
    temperature : float
        What a model divides the logits by for its probabilities; 1 where it leaves them as they are.
    """

    name: str
    value: Any
    y: NDArray[Any]
    classes: tuple[str, ...]
    location: Array
    scale: Array
    multilabel: bool = False
    temperature: float = 1.0


@dataclass(frozen=True)
class Row:
    """What there is to trace: a network with its θ, and one row with its target.

    Parameters
    ----------
    network : Network
        Architecture and likelihood.
    theta : (n_parameters,), float32 or float64
        θ as the model holds it.
    columns : tuple of ColumnOfRow
        The row.
    target : TargetOfRow
        Its target.
    offset : (n_logits,), float64, or None
        What is added to the logits; None where nothing is.
    beside : tuple of (str, object) or None
        What the offset came from: its name and what was given, such as ("exposure", 2.0).
    member, n_members : int
        Of a model with several members, which one it is, from 0, and how many there are.
    """

    network: Network
    theta: Array
    columns: tuple[ColumnOfRow, ...]
    target: TargetOfRow
    offset: Array | None = None
    beside: tuple[str, Any] | None = None
    member: int = 0
    n_members: int = 1

    @property
    def x(self) -> Array:
        """The inputs (d_0,), in float64."""
        return np.concatenate([column.inputs for column in self.columns])

    @property
    def input_names(self) -> tuple[str, ...]:
        """The name of each input."""
        return tuple(name for column in self.columns for name in column.input_names)


def read_row(
    model: Any, row: Any, y: Any, theta: Array | None, member: int, offset: Any = None, exposure: Any = None
) -> Row:
    """Return the row as the model's network sees it; raise InputError where it cannot be read."""
    if isinstance(model, Network):
        require_member(member, 1)
        if theta is None:
            raise InputError(
                "theta is missing: a Network holds no parameters; call trace(net, row, y, theta=theta)."
            )
        if model.architecture.scale_rate:
            raise InputError(
                "The network has a Scale, which is not drawn: trace the same function without it, "
                "plain, folded = net.folded(theta); trace(plain, row, y, theta=folded)."
            )
        read = _row_of_network(model, model._checked_theta(theta), row, y)
        return replace(read, **_offset_of(model, None, offset, exposure))
    if not isinstance(model, NetworkEstimator):
        raise InputError(
            f"model is a {type(model).__name__}; trace takes a chainrule.Network, or a fitted MLPClassifier, "
            "MLPRegressor, TabularClassifier or TabularRegressor."
        )
    if theta is not None:
        raise InputError("theta is for a Network: a fitted model has its own.")
    check_is_fitted(model, "theta_")
    members = members_of(model)
    require_member(member, len(members))
    target = _target_of_model(model, y)
    columns = _encoded(model.encoder_, row) if hasattr(model, "encoder_") else _plain(model, row)
    network, its_theta, _ = members[member]
    read = Row(network, its_theta, columns, target, member=int(member), n_members=len(members))
    return replace(read, **_offset_of(model.network_, model, offset, exposure))


class MemberOf(NamedTuple):
    """A network of a fitted model, its θ, and how much it counts for in the mean over the members."""

    network: Network
    theta: Array
    weight: float = 1.0


def members_of(model: Any) -> list[MemberOf]:
    """Return the members of a fitted model, one or several."""
    if hasattr(model, "members_"):
        return [MemberOf(member.network, member.theta, member.weight) for member in model.members_]
    return [MemberOf(model.network_, model.theta_)]


def require_member(member: Any, n_members: int) -> None:
    """Raise unless there is such a member."""
    if not isinstance(member, int | np.integer) or not 0 <= member < n_members:
        raise InputError(
            f"member={member!r}: there {'is one member, 0' if n_members == 1 else f'are {n_members}'}; "
            f"give a whole number from 0 to {n_members - 1}."
        )


def _offset_of(network: Network, model: Any, offset: Any, exposure: Any) -> dict[str, Any]:
    """Return the fields of a Row that say what is added to its logits, and where it came from."""
    given = {
        what: _one_target(value, what)
        for what, value in (("offset", offset), ("exposure", exposure))
        if value is not None
    }
    if not given:
        return {}
    moved = Moved.read(given.get("offset"), given.get("exposure"))
    logits = moved.logits(network, getattr(model, "target_", None), 1, "float64")
    ((what, value),) = given.items()
    name = getattr(model, f"{what}_name_", None) or what
    return {"offset": None if logits is None else logits[0], "beside": (name, _shown_target(value))}


def _row_of_network(network: Network, theta: Array, row: Any, y: Any) -> Row:
    try:
        x: Array = np.asarray(row, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"row must hold numbers, one for each input of the network: {error}.") from None
    x = network._checked_rows(np.empty(0), x[None] if x.ndim == 1 else x)
    _require_one(len(x))
    names = [f"x{k}" for k in range(network.n_inputs)]
    prepared = network.likelihood.prepare(_one_target(y), 1)[0]
    likelihood = network.likelihood
    n_classes = likelihood.n_logits if isinstance(likelihood, Categorical) else 0
    target = TargetOfRow(
        name="y",
        value=_shown_target(y),
        y=prepared,
        classes=tuple(map(str, range(n_classes))),
        location=np.zeros(likelihood.n_columns),
        scale=np.ones(likelihood.n_columns),
    )
    return Row(network, theta, _as_inputs(names, x[0]), target)


def _plain(model: Any, row: Any) -> tuple[ColumnOfRow, ...]:
    """Return the columns of a row for a model that works on arrays."""
    row = row.toarray() if hasattr(row, "toarray") else row  # sparse
    array = row if hasattr(row, "columns") else np.atleast_2d(np.asarray(row))
    checked = validate_data(model, array, dtype=np.float64, reset=False)
    _require_one(len(checked))
    names = getattr(model, "feature_names_in_", [f"x{k}" for k in range(checked.shape[1])])
    return _as_inputs(list(names), checked[0])


def _as_inputs(names: Sequence[str], x: Array) -> tuple[ColumnOfRow, ...]:
    return tuple(
        ColumnOfRow(str(name), "input", float(value), (str(name),), x[k : k + 1])
        for k, (name, value) in enumerate(zip(names, x, strict=True))
    )


def _encoded(encoder: Any, row: Any) -> tuple[ColumnOfRow, ...]:
    """Return the columns of a row for a model that encodes tables."""
    table, cells = _as_table(encoder, row)
    X = encoder.transform(table, dtype="float64")
    _require_one(len(X))
    description, arrays = encoder.describe()
    ends = np.cumsum([len(names) for names in encoder.inputs_by_column])
    parts = np.split(X[0], ends[:-1])
    found = zip(
        encoder.columns,
        cells,
        encoder.inputs_by_column,
        parts,
        description["columns"],
        arrays["scaling"].tolist(),
        strict=True,
    )
    return tuple(
        ColumnOfRow(
            column.name,
            column.kind,
            _cell(cell),
            names,
            part,
            {**settings, "centre": centre, "scale": scale, "note": column.note},
        )
        for column, cell, names, part, settings, (centre, scale) in found
    )


def _as_table(encoder: Any, row: Any) -> tuple[Any, list[Any]]:
    """Return a row as a table that the encoder takes, and its cells in the encoder's order."""
    if isinstance(row, Mapping) or (nw.dependencies.is_pandas_series(row) and hasattr(row, "to_dict")):
        named = dict(row.items())
        names = [column.name for column in encoder.columns]
        gone = [name for name in names if name not in named]
        if gone:
            more = ", …" if len(gone) > 5 else ""
            raise InputError(
                f"row lacks {len(gone)} of the model's columns: {', '.join(map(repr, gone[:5]))}{more}."
            )
        cells = [named[name] for name in names]
        return [cells], cells
    if nw.dependencies.is_into_dataframe(row):
        frame = nw.from_native(row, eager_only=True)
        _require_one(len(frame))
        return row, list(frame.row(0))
    cells = list(row) if np.ndim(row) == 1 else list(row[0]) if np.ndim(row) == 2 and len(row) == 1 else []
    return ([cells] if cells else row), cells


def _cell(cell: Any) -> Any:
    """Return a cell as Python has it, None where it is missing."""
    cell = cell.as_py() if hasattr(cell, "as_py") else cell.item() if isinstance(cell, np.generic) else cell
    missing = type(cell).__name__ in {"NAType", "NaTType"} or (isinstance(cell, float) and np.isnan(cell))
    return None if missing else cell


def _require_one(n_rows: int) -> None:
    if n_rows != 1:
        raise InputError(f"row has {n_rows} rows: a trace is of one row, such as table.iloc[[17]].")


def _one_target(y: Any, what: str = "y") -> NDArray[Any]:
    """Return what the row has beside its columns as an array of one row."""
    values = np.asarray(y)
    if values.ndim == 0 or (values.ndim == 1 and len(values) > 1):
        values = values[None]
    if values.ndim > 2 or len(values) != 1:
        needed = "the target" if what == "y" else f"the {what}"
        raise InputError(f"{what} has the shape {np.shape(y)}: a trace needs {needed} of one row.")
    return values


def _shown_target(y: Any) -> Any:
    values = np.asarray(y).ravel().tolist()
    return values[0] if len(values) == 1 else tuple(values)


def _target_of_model(model: NetworkEstimator, y: Any) -> TargetOfRow:
    target, likelihood = getattr(model, "target_", None), model.network_.likelihood
    values, _ = read_target(_one_target(y))
    encoded = values if target is None else target.encode(values)
    prepared = likelihood.prepare(encoded, 1)[0]
    n_columns = likelihood.n_columns
    location, scale = np.zeros(n_columns), np.ones(n_columns)
    if isinstance(target, Scaling):
        location, scale = target.location, target.scale
    return TargetOfRow(
        name=getattr(model, "target_name_", None) or "y",
        value=_shown_target(y),
        y=prepared,
        classes=tuple(map(str, target.labels.tolist())) if isinstance(target, Classes) else (),
        location=location,
        scale=scale,
        multilabel=getattr(target, "multilabel", False),
        temperature=float(getattr(model, "temperature_", 1.0)),
    )
