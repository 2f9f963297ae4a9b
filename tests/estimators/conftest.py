"""Tables of every kind of column, and targets of every kind that follow from them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest


@dataclass
class Homes:
    """A table with numbers, text, booleans, dates and missing values, and targets made from it."""

    table: pd.DataFrame
    targets: dict[str, np.ndarray]


def make_homes(n_rows=160, seed=0):
    rng = np.random.default_rng(seed)
    size = rng.normal(100, 30, n_rows)
    colour = rng.choice(["blue", "green", "red"], n_rows)
    old = rng.random(n_rows) < 0.4
    rooms = rng.integers(1, 9, n_rows)
    day = np.datetime64("2020-01-01") + rng.integers(0, 700, n_rows).astype("timedelta64[D]")
    price = 0.03 * size + (colour == "red") * 1.5 - old + 0.001 * (size - 100) ** 2
    price += rng.normal(0, 0.2, n_rows)
    table = pd.DataFrame(
        {
            "size": np.where(rng.random(n_rows) < 0.1, np.nan, size),
            "colour": colour,
            "old": old,
            "rooms": rooms,
            "day": day.astype("datetime64[us]"),
        }
    )
    targets = {
        "number": price,
        "numbers": np.column_stack([price, -2 * price + size]),
        "counts": rng.poisson(np.exp(0.4 * (price - price.mean()))),
        "boolean": price > np.median(price),
        "integer": np.where(price > np.median(price), 7, 3),
        "text": np.where(price > np.median(price), "yes", "no"),
        "three": np.array(["cheap", "fair", "dear"])[np.digitize(price, np.quantile(price, [0.3, 0.6]))],
        "labels": np.column_stack([price > np.median(price), old, rooms > 4]).astype(int),
    }
    return Homes(table, targets)


@pytest.fixture(scope="session")
def homes():
    return make_homes()
