"""The recipes of the Tabular estimators: everything that a fit without arguments decides, in one place.

They were found on rows that were set aside from the training rows of some twenty data sets, never on test
rows (``benchmarks/accuracy.py --inner``).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Preset = Literal["fast", "default", "best"]
LINEAR_L2 = 1e-4  # the linear model is fitted by L-BFGS, under a light penalty
LINEAR_ITERATIONS = 200


@dataclass(frozen=True)
class Recipe:
    """How a table becomes networks of one kind.

    Parameters
    ----------
    n_members : int
        How many networks there are; predictions are the mean of theirs.
    epochs : int
        How often a member goes through its rows, up to 10,000 of them; ever less for more rows.
    width : int
        Units of each of the three hidden layers.
    activation : str, default "silu"
        Their activation.
    dropout : float, default 0.15
        The rate of dropout behind each of them.
    n_ramps : int, default 32
        How many ramps between quantiles stand beside each number (N25); 0 for none. The kinds of a
        portfolio that have any share those of the one with the most.
    codes : bool, default False
        Whether the members see which code a number is (N28). A kind that does is there for tables
        that have codes.
    input_scale : float, default 0.0
        The rate of a `Scale` before the first hidden layer (N27), 0 for none.
    learning_rate : float, default 0.0045
        The highest rate of the schedule.
    beta_2 : float, default 0.95
        How slowly Adam's second moment forgets: with few steps it must be quick.
    label_smoothing : float, default 0.05
        That of classes, while training; what says when to stop is the log-loss of the classes as they are.
    validation_fraction : float, default 0.125
        The share of the rows that a member sets aside to say when to stop; other rows for each member.
    """

    n_members: int
    epochs: int
    width: int
    activation: str = "silu"
    dropout: float = 0.15
    n_ramps: int = 32
    codes: bool = False
    input_scale: float = 0.0
    learning_rate: float = 4.5e-3
    beta_2: float = 0.95
    label_smoothing: float = 0.05
    validation_fraction: float = 0.125

    def epochs_for(self, n_rows: int) -> int:
        """Return how often the rows are gone through: from 10,000 on the time grows with their root."""
        shrink = math.sqrt(10_000 / max(n_rows, 10_000))
        return max(min(self.epochs, FEWEST_EPOCHS), round(self.epochs * shrink))


FEWEST_EPOCHS = 10
# From so many rows on a member has more to learn than narrow layers hold, and there are fewer of them.
MANY_ROWS = 4000
# Kinds of networks that make an ensemble together, each with its own number of members. Of several kinds the
# held-out rows say what each is worth (`greedy_counts`).
Portfolio = tuple[Recipe, ...]


def _few(n_members: int, epochs: int) -> Portfolio:
    return _kinds(Recipe(n_members, epochs, width=128))


def _many(n_members: int, epochs: int) -> Portfolio:
    return _kinds(Recipe(n_members, epochs, width=256, input_scale=6.0))


def _kinds(recipe: Recipe) -> Portfolio:
    """Return kinds with ramps, without, and with codes: they err on other rows, and which is best varies."""
    return recipe, replace(recipe, n_ramps=0), replace(recipe, codes=True)


# preset → the portfolio for few rows, and for many
PORTFOLIOS: dict[Preset, tuple[Portfolio, Portfolio]] = {
    "fast": (_few(2, epochs=30), _many(1, epochs=20)),
    "default": (_few(8, epochs=60), _many(2, epochs=36)),
    "best": (_few(16, epochs=60), _many(8, epochs=40)),
}


def portfolio_for(preset: Preset, n_rows: int) -> Portfolio:
    """Return the recipes of a preset for a table of so many rows."""
    return PORTFOLIOS[preset][n_rows >= MANY_ROWS]


def batch_size_for(n_rows: int) -> int:
    """Return a power of two that grows with the rows: 32 up to 3,600 of them, 512 from 30,000 on."""
    return int(2 ** np.clip(round(math.log2(max(n_rows, 1) / 80)), 5, 9))
