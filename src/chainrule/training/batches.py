"""Which rows come when: the rows that count, the order of an epoch, the validation rows."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import InputError

Array = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]


class Data(NamedTuple):
    """Checked rows, as an engine takes them."""

    X: Array  # (n_rows, n_inputs)
    y: NDArray[Any]  # (n_rows, n_columns)
    weight: Array | None  # (n_rows,)
    offset: Array | None = None  # (n_rows, n_logits)

    def that_count(self) -> "Data":
        """Return the rows with a weight above 0; the others change no sum, but might fill a batch."""
        if self.weight is None or self.weight.all():
            return self
        kept = self.weight > 0
        return self.take(np.flatnonzero(kept))

    def take(self, rows: Rows) -> "Data":
        """Return these rows."""
        weight, offset = (None if part is None else part[rows] for part in (self.weight, self.offset))
        return Data(self.X[rows], self.y[rows], weight, offset)


def epoch_order(n_rows: int, seed: int, epoch: int) -> Rows:
    """Return the order of the rows in one epoch: it depends on (seed, epoch) and on nothing else."""
    return np.random.default_rng([seed, epoch]).permutation(n_rows)


def batch_totals(weight: Array | None, order: Rows, batch_size: int) -> NDArray[np.float64]:
    """Return the sum of the weights of each batch of the order, a row without weights counting 1."""
    counted = np.ones(len(order)) if weight is None else weight[order].astype(np.float64)
    return np.add.reduceat(counted, np.arange(0, len(order), batch_size))


def split_validation(
    n_rows: int,
    fraction: float,
    seed: int,
    stratify: ArrayLike | None = None,
    part: int = 0,
    groups: ArrayLike | None = None,
) -> tuple[Rows, Rows]:
    """Split the numbers of rows at random into training and validation rows.

    Parameters
    ----------
    n_rows : int
        How many rows there are, at least 2.
    fraction : float
        The share of validation rows, above 0 and below 1; each side gets at least one row.
    seed : int
        Decides which rows.
    stratify : array_like, (n_rows,), optional
        Classes. Each then gives about the same share of its rows, and each that has two rows or more
        keeps at least one in the training rows. When hardly any class has two rows, fewer validation
        rows are taken.
    part : int, default 0
        Parts 0, 1, … have validation rows of their own, until every row that may be one has been it; then
        they come again.
    groups : array_like, (n_rows,), optional
        Groups of rows that stay together on one side. Then the share of validation rows is about the
        fraction, as the groups' sizes allow, and ``stratify`` has no say.

    Returns
    -------
    train_rows, validation_rows : (n_train,) and (n_validation,)
        Row numbers from 0, ascending.

    Raises
    ------
    InputError
        When there are fewer than 2 rows or groups, the fraction is not between 0 and 1, or ``stratify`` or
        ``groups`` has another length.

    Examples
    --------
    >>> from chainrule.training import split_validation
    >>> train_rows, validation_rows = split_validation(10, 0.2, seed=0)
    >>> len(train_rows), len(validation_rows)
    (8, 2)
    """
    if n_rows < 2:
        raise InputError(
            f"n_rows={n_rows!r}: a row for training and one for validation are needed, so at least 2."
        )
    if not 0 < fraction < 1:
        raise InputError(f"fraction={fraction!r}: the share of validation rows must be above 0 and below 1.")
    if groups is not None:
        return _split_groups(np.asarray(groups), n_rows, fraction, seed, part)
    classes = np.zeros(n_rows) if stratify is None else np.asarray(stratify)
    if classes.shape != (n_rows,):
        raise InputError(f"stratify must have the shape ({n_rows},), not {classes.shape}.")
    shuffled = np.random.default_rng(seed).permutation(n_rows)
    _, number, sizes = np.unique(classes[shuffled], return_inverse=True, return_counts=True)
    grouped = np.argsort(number, kind="stable")
    # Each row's rank in its class, as a share of the class: that share of every class is below the fraction.
    rank = np.empty(n_rows)
    rank[grouped] = np.arange(n_rows) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    share = (rank + 0.5) / sizes[number]
    last = rank == sizes[number] - 1  # what stays in training
    candidates = np.lexsort((share, last))[: max(1, n_rows - int(last.sum()))]
    n_validation = max(1, min(round(fraction * n_rows), len(candidates)))
    chosen = np.take(candidates, np.arange(part * n_validation, (part + 1) * n_validation), mode="wrap")
    in_validation = np.zeros(n_rows, dtype=bool)
    in_validation[shuffled[chosen]] = True
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)


def _split_groups(
    groups: NDArray[Any], n_rows: int, fraction: float, seed: int, part: int
) -> tuple[Rows, Rows]:
    """Deal the groups out to 1 / fraction folds, the largest first, each to the fold with the fewest rows."""
    if groups.shape != (n_rows,):
        raise InputError(f"groups must have the shape ({n_rows},), not {groups.shape}.")
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise InputError("groups has one group: to be split without splitting a group it takes two.")
    folds = np.zeros(min(max(round(1 / fraction), 2), len(sizes)), dtype=np.int64)  # rows in each
    fold_of = np.empty(len(sizes), dtype=np.int64)
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of[group] = folds.argmin()
        folds[fold_of[group]] += sizes[group]
    in_validation = fold_of[number] == part % len(folds)
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)
