"""Numbers that are codes: what a value says about the target is not between what its neighbours say."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# A value that comes in fewer rows than this, and a column with fewer such values, cannot be told from chance.
FEWEST_ROWS, FEWEST_VALUES = 4, 10
# A value is held against as many rows of other values below it and above it as it has itself, within these.
NEAR = (16, 256)
# From this mean of z² on a column holds codes. It is 1 where neighbours say the same, and near 1 where what
# they say changes slowly; what a single value can add to it is limited.
ODD, ODDEST = 2.4, 9.0
# So many rows, spread evenly, are looked at, and so many of the most frequent classes.
MOST_ROWS, MOST_CLASSES = 50_000, 16


def signals(y: NDArray[Any]) -> NDArray[np.float64]:
    """Return a target as columns of mean 0 and variance 1: one for each class, or for each output.

    Parameters
    ----------
    y : (n_rows,) or (n_rows, n_outputs)
        As a likelihood takes it: class numbers from 0 on, (n_rows,); else numbers, of which missing ones are
        NaN, and become 0.

    Returns
    -------
    ndarray, (n_rows, n_signals)
        Of more than 16 classes the most frequent 16 have a column.
    """
    if y.ndim == 1:
        columns = (y[:, None] == np.argsort(-np.bincount(y), kind="stable")[:MOST_CLASSES]).astype(np.float64)
    else:
        columns = y.astype(np.float64)
    there = ~np.isnan(columns)
    columns[~there] = 0.0
    columns /= np.maximum(np.abs(columns).max(axis=0), np.finfo(np.float64).tiny)  # squares stay finite
    n = np.maximum(there.sum(axis=0), 1)
    columns -= columns.sum(axis=0) / n
    columns[~there] = 0.0
    spread = np.sqrt(np.square(columns).sum(axis=0) / n)
    return columns / np.where(spread > 0, spread, 1.0)


def codes_of(
    numbers: NDArray[np.float64], signals: NDArray[np.float64], n_told_apart: int
) -> NDArray[np.float64]:
    """Return the values of a column that holds codes, the most frequent first; none of another one.

    The mean of a signal over the n rows of a value is held against its mean over the m rows of the values
    next to it (N28): z² = (mean − mean')² / (1/n + 1/m) is about 1 on average where both say the same, and
    far above for codes of places, or for amounts that are typical of one kind of business.

    Parameters
    ----------
    numbers : (n_rows,)
        The column, NaN where a number is missing.
    signals : (n_rows, n_signals)
        The target, of mean 0 and variance 1.
    n_told_apart : int
        So many values are told apart without codes.
    """
    rows = np.flatnonzero(np.isfinite(numbers))
    if len(rows) > MOST_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.intp)]
    rows = rows[np.argsort(numbers[rows], kind="stable")]
    values, start, n = np.unique(numbers[rows], return_index=True, return_counts=True)
    often = np.flatnonzero(n >= FEWEST_ROWS)
    if len(values) <= n_told_apart or len(often) < FEWEST_VALUES:
        return values[:0]
    values, start, n = values[often], start[often], n[often]
    totals = np.concatenate([np.zeros((1, signals.shape[1])), np.cumsum(signals[rows], axis=0)])
    low, high = np.maximum(start - np.clip(n, *NEAR), 0), np.minimum(start + n + np.clip(n, *NEAR), len(rows))
    of_value = totals[start + n] - totals[start]
    near, m = totals[high] - totals[low] - of_value, high - low - n
    z_squared = (of_value / n[:, None] - near / m[:, None]) ** 2 / (1 / n + 1 / m)[:, None]  # N28
    if np.minimum(z_squared.mean(axis=1), ODDEST).mean() < ODD:
        return values[:0]
    return values[np.argsort(-n, kind="stable")]
