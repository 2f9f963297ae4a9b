"""Numbers, cells and columns of text, as the printed trace and its page show them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

MOST_SHOWN = 8  # entries of a quantity in a line of the printed table
MOST_INPUTS = 3  # of a column in its line there


def number(value: float) -> str:
    """Return a number in four digits."""
    return f"{value:.4g}".replace("-", "−")


def shown(value: Any) -> str:
    """Return a cell, a target or a prediction for a person."""
    if value is None:
        return "missing"
    if isinstance(value, tuple):
        return ", ".join(map(shown, value))
    return f"{value:.6g}".replace("-", "−") if isinstance(value, float) else str(value)


def values_in_short(values: NDArray[Any]) -> str:
    """Return the first entries; of many the largest in size and how many there are."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    if len(flat) <= MOST_SHOWN:
        return "  ".join(map(number, flat))
    largest = np.unravel_index(int(np.abs(flat).argmax()), np.shape(values))
    place = ", ".join(str(int(k)) for k in largest)
    first = "  ".join(map(number, flat[: MOST_SHOWN - 4]))
    return f"{first}  …; furthest from 0: {number(float(np.asarray(values)[largest]))} at [{place}]"


def named(names: Sequence[str], values: Array) -> str:
    """Return inputs by name, of many the first that are not 0 and how many more there are."""
    pairs = list(zip(names, values, strict=True))
    if not pairs:
        return "left out"
    there = [pair for pair in pairs if pair[1] != 0] if len(pairs) > 2 else pairs
    text = [f"{name}: {number(value)}" for name, value in there[:MOST_INPUTS]]
    left = len(pairs) - len(text)
    if left:
        more = f"{left} more" if text else f"{left}"
        text.append(f"({more})" if len(there) > MOST_INPUTS else f"({more} are 0)")
    return "  ".join(text)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines in columns, the header first."""
    widths = [min(40, max(map(len, column))) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *rows)
    ]


def together(of_classes: bool) -> str:
    """Return what a prediction of several members is, as the end of a sentence on the model."""
    return (
        "predicts from the mean of their logits" if of_classes else "predicts the mean of what they predict"
    )
