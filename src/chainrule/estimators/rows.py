"""The rows of a fit: which are set aside, the person's own validation rows, groups, the start."""

import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError, require_as_many, rows_with
from chainrule.estimators.moved import Moved
from chainrule.estimators.targets import read_target, weighted_mean
from chainrule.likelihoods import Likelihood
from chainrule.network import Network, checked_weight
from chainrule.tables import Cells, TableEncoder, read_column
from chainrule.training import split_validation
from chainrule.training.batches import Data, Rows

Array = NDArray[np.floating[Any]]

FEWEST_VALIDATION_ROWS = 5  # fewer say nothing about when to stop
# Under a time limit about this share of the time that is left goes into encoding rows; about as much, or
# more, goes into copies of them, and the rest is for the steps. Some rows are always encoded.
SHARE_TO_ENCODE = 0.15
FEWEST_ENCODED_ROWS = 1024


class Wanted(NamedTuple):
    """What is to be learned, known before the table is.

    Parameters
    ----------
    network : Network
        The likelihood under hidden layers, of one input.
    target : Classes or Scaling
        What turns y into the likelihood's numbers and back.
    data : Data
        The rows, without their inputs.
    factors : (n_classes,) or None
        What the weights of each class's rows are multiplied by.
    """

    network: Network
    target: Any
    data: Data
    factors: NDArray[np.float64] | None

    @property
    def likelihood(self) -> Likelihood:
        """What is between the logits and y."""
        return self.network.likelihood


class Part(NamedTuple):
    """The rows of one member.

    Parameters
    ----------
    learned : (n_learned,) or None
        The numbers of the rows to learn from; None for all.
    held_out : (n_held_out,) or None
        The numbers of the rows that say when to stop; None for none, or where there is an eval_set.
    """

    learned: Rows | None
    held_out: Rows | None


@dataclass(frozen=True)
class Split:
    """The rows of a fit, and which of them each member sets aside.

    Parameters
    ----------
    data : Data
        The rows.
    eval_set : Data or None
        The person's own validation rows; then none are set aside.
    seed : int
        Decides which rows are drawn.
    fraction : float
        The share that is set aside; none are where that would be fewer than 5 rows.
    stratify : bool, default False
        Whether each class gives about the same share of its rows.
    groups : (n_rows,) or None
        The number of each row's group: the rows of a group are learned from together, or set aside together.
    in_time : bool, default False
        Whether the last rows are set aside, the same for all members, and none at random.
    """

    data: Data
    eval_set: Data | None
    seed: int
    fraction: float
    stratify: bool = False
    groups: Rows | None = None
    in_time: bool = False

    def that_count(self) -> "Split":
        """Return the split of the rows with a weight above 0."""
        weight = self.data.weight
        if weight is None or weight.all():
            return self
        groups = None if self.groups is None else self.groups[weight > 0]
        return replace(self, data=self.data.that_count(), groups=groups)

    def part(self, turn: int) -> Part:
        """Return the rows of a member: members of turn 0, 1, … set other rows aside."""
        n_rows = len(self.data.X)
        if self.eval_set is not None or self.fraction * n_rows < FEWEST_VALIDATION_ROWS:
            return Part(None, None)
        if self.in_time:
            first = n_rows - round(self.fraction * n_rows)
            return Part(np.arange(first), np.arange(first, n_rows))
        classes = self.data.y if self.stratify else None
        return Part(*split_validation(n_rows, self.fraction, self.seed, classes, turn, self.groups))


def weighted_by_class(data: Data, factors: NDArray[np.float64] | None) -> Data:
    """Return the rows with their weights multiplied by the factor (n_classes,) of their class."""
    if factors is None:
        return data
    its = factors[data.y] if data.weight is None else factors[data.y] * data.weight
    return data._replace(weight=checked_weight(its, len(data.y), data.X.dtype))


def weight_of(drawn: Rows, weight: Array | None, n_rows: int) -> Array:
    """Return the weights (n_rows,), 0 for rows that were not drawn."""
    its = np.zeros(n_rows, dtype=np.float32)
    its[drawn] = 1 if weight is None else weight[drawn]
    return its


def read_groups(groups: Any, n_rows: int) -> Rows:
    """Return the number of each row's group, (n_rows,).

    Raises
    ------
    InputError
        When a row has none, or when all are in one.
    """
    cells = read_column("groups", groups, categorical=True).cells
    missing = [row for row, cell in enumerate(cells) if cell is None]
    if missing:
        raise InputError(f"groups lacks entries: {rows_with('no group', missing)}.")
    if len(cells) != n_rows:
        raise InputError(
            f"groups has {len(cells)} entries and y has {n_rows} rows: each row needs its group."
        )
    place: dict[Any, int] = {}
    numbers = [place.setdefault(cell, len(place)) for cell in cells]
    if len(place) < 2:
        raise InputError(
            "groups has one group, so no rows can be set aside without splitting it: leave groups out, or "
            "give an eval_set."
        )
    return np.asarray(numbers, dtype=np.int64)


def rows_in_time(cells: Cells, weight: Array | None, seed: int, seconds: float) -> int | None:
    """Return how many of the rows that count there is time to encode; None where these are all.

    Parameters
    ----------
    cells : Cells
        The table; some of its rows are encoded to see how long they take.
    weight : (n_rows,) or None
        Weights of the rows.
    seed : int
        Decides which rows are drawn.
    seconds : float
        The time that is left.
    """
    n_rows = cells.n_rows
    if n_rows <= FEWEST_ENCODED_ROWS:
        return None
    some = drawn_rows(FEWEST_ENCODED_ROWS, n_rows, weight, seed)
    begin = time.monotonic()
    cells.write(rows=some)
    a_row = max(time.monotonic() - begin, 1e-9) / len(some)
    most = max(int(SHARE_TO_ENCODE * seconds / a_row), FEWEST_ENCODED_ROWS)
    return None if most >= (n_rows if weight is None else np.count_nonzero(weight)) else most


def drawn_rows(n_drawn: int, n_rows: int, weight: Array | None, seed: int) -> Rows:
    """Return so many of the rows that count, ascending; of two numbers the smaller draws a part of the other.

    See `rows_in_time`.
    """
    order = np.random.default_rng(seed).permutation(n_rows if weight is None else np.flatnonzero(weight))
    return np.sort(order[:n_drawn])


def read_eval_set(eval_set: Any, encoder: TableEncoder, wanted: Wanted, moved: Moved) -> Data:
    """Return the person's own validation rows, encoded as the training rows are."""
    form = "(X, y)" if moved.what is None else f"(X, y, {moved.what})"
    if not isinstance(eval_set, tuple | list) or len(eval_set) != (2 if moved.what is None else 3):
        raise InputError(f"eval_set must be a tuple {form}.")
    try:
        rows, values = encoder.transform(eval_set[0]), read_target(eval_set[1], may_miss=True)[0]
        require_as_many(len(rows), values)
        its = moved.alike(*eval_set[2:]).logits(wanted.network, wanted.target, len(rows))
        return Data(rows, wanted.target.encode(values), None, its)
    except InputError as error:
        raise InputError(f"eval_set: {error}") from error


def initial_parameters(network: Network, data: Data, seed: int) -> Array:
    """Return θ to start from; where the link is the log, the mean of y is where the top layer begins.

    A bias has a long way to go to log 10⁶ by small steps; nothing else about θ depends on the data. Scales
    from the network are the same for all rows at first: drawn at random, some would be far too small.
    """
    theta = network.initial_parameters(seed, dtype="float32")
    weight, bias = network.unpack(theta)[-1]
    n_locations = network.likelihood.n_locations
    weight[n_locations:] = 0
    if network.likelihood.link == "log" and bias is not None:
        mean = weighted_mean(data.y[:, :n_locations].astype(np.float64), data.weight)
        if data.offset is not None:
            exposure = np.exp(data.offset[:, :n_locations].astype(np.float64))
            mean = mean / weighted_mean(exposure, data.weight)
        bias[:n_locations] = np.log(np.where(mean > 0, mean, 1.0))
    return theta
