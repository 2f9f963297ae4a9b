"""Which columns a model's predictions rest on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import InputError
from chainrule.inspection.batch import EncodedRows, encoded_rows
from chainrule.network import require_finite

Array = NDArray[np.floating[Any]]
Method = Literal["permutation", "gradient"]


@dataclass(frozen=True, eq=False)
class Importances:
    """What each column adds.

    Parameters
    ----------
    method : {"permutation", "gradient"}
        How it was found (see `column_importances`).
    names : tuple of str
        The columns that the network sees.
    values : (n_columns, n_repeats)
        The importance in each repetition; one for "gradient".
    loss : float
        The mean loss of the rows as they are.
    """

    method: Method
    names: tuple[str, ...]
    values: NDArray[np.float64]
    loss: float

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean over the repetitions, (n_columns,)."""
        return self.values.mean(axis=1)

    @property
    def std(self) -> NDArray[np.float64]:
        """The standard deviation over the repetitions, (n_columns,)."""
        return self.values.std(axis=1)

    @property
    def order(self) -> NDArray[np.intp]:
        """The columns, the most important first."""
        return np.argsort(-self.mean, kind="stable")


def column_importances(
    model: Any,
    X: Any,
    y: ArrayLike,
    *,
    method: Method = "permutation",
    n_repeats: int = 5,
    random_state: int = 0,
    columns: Sequence[str] | None = None,
    offset: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
) -> Importances:
    """Return how much the loss of these rows rests on each column.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
        Fitted.
    X : table or array_like, (n_rows, n_columns)
        Rows that it has not learnt from are best.
    y : array_like, (n_rows,) or (n_rows, n_outputs)
        Their targets.
    method : {"permutation", "gradient"}, default "permutation"
        "permutation": by how much the mean loss grows when the column's cells change places among the rows
        (Breiman, 2001, "Random Forests"). "gradient": the mean over the rows of ‖∂loss/∂x_c‖, x_c being the
        inputs that the column became (N10); it says how the loss answers to a small change.
    n_repeats : int, default 5
        How often each column is permuted.
    random_state : int, default 0
        The seed of the permutations.
    columns : sequence of str, optional
        The columns to look at; None for all that the network sees.
    offset, exposure : array_like, optional
        As in the fit.

    Returns
    -------
    Importances
        In the units of the loss; columns that were dropped have no place in it.

    Raises
    ------
    InputError
        When something given is unusable.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.inspection import column_importances
    >>> X = np.random.default_rng(0).normal(size=(80, 3))
    >>> model = cr.MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", random_state=0).fit(X, 2 * X[:, 1])
    >>> found = column_importances(model, X, 2 * X[:, 1])
    >>> found.names[found.order[0]]
    'x1'
    """
    if method not in ("permutation", "gradient"):
        raise InputError(f"method={method!r}: choose 'permutation' or 'gradient'.")
    if not isinstance(n_repeats, int | np.integer) or n_repeats < 1:
        raise InputError(f"n_repeats={n_repeats!r}: it must be a whole number of at least 1.")
    rows = encoded_rows(model, X, y, offset, exposure)
    if columns is not None:
        rows = replace(rows, columns=_these(rows.columns, list(columns)))
    loss = rows.loss(rows.X)
    names = tuple(name for name, _ in rows.columns)
    values = (
        _by_gradient(rows) if method == "gradient" else _by_permutation(rows, loss, n_repeats, random_state)
    )
    require_finite("The importances", values)
    return Importances(method, names, values, loss)


def _these(columns: tuple[tuple[str, slice], ...], names: Sequence[str]) -> tuple[tuple[str, slice], ...]:
    """Return the columns of these names; raise InputError where there is none or an unknown one."""
    known = [name for name, _ in columns]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        given = f"the network sees no {unknown[0]!r}" if unknown else "there is none"
        raise InputError(f"columns={list(names)!r}: {given}; choose from {', '.join(map(repr, known[:20]))}.")
    return tuple(column for column in columns if column[0] in names)


def _by_permutation(rows: EncodedRows, loss: float, n_repeats: int, random_state: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(random_state)
    orders = [rng.permutation(len(rows.X)) for _ in range(n_repeats)]
    values = np.empty((len(rows.columns), n_repeats))
    changed = rows.X.copy()
    for c, (_, inputs) in enumerate(rows.columns):
        for k, order in enumerate(orders):
            changed[:, inputs] = rows.X[order, inputs]
            values[c, k] = rows.loss(changed) - loss
        changed[:, inputs] = rows.X[:, inputs]
    return values


def _by_gradient(rows: EncodedRows) -> NDArray[np.float64]:
    G = rows.input_gradients().astype(np.float64)
    return np.array([[np.linalg.norm(G[:, inputs], axis=1).mean()] for _, inputs in rows.columns])
