"""A trained network of an ensemble, and what several of them say about a row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.likelihoods import Likelihood
from chainrule.network import Network
from chainrule.training import History
from chainrule.training.batches import Rows

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Member:
    """A trained network of an ensemble.

    Parameters
    ----------
    network : Network
        What it is. The members of an ensemble may differ in their hidden layers, not in the likelihood.
    theta : (n_parameters,)
        Its best θ.
    history : History
        Its training.
    weight : float, default 1.0
        How much its logits count for in the mean of the members'.
    """

    network: Network
    theta: Array
    history: History
    weight: float = 1.0

    def logits(self, X: Array, engine: str, n_threads: int | None) -> Array:
        """Return its logits for rows (n_rows, n_logits), in float64."""
        return self.network.engine(engine, n_threads).forward(self.theta, X).astype(np.float64)

    def scales(self) -> NDArray[np.float64]:
        """Return the likelihood's learned numbers (n_scales,)."""
        return self.network.scales(self.theta).astype(np.float64)


class View(NamedTuple):
    """What a member says about some rows.

    Parameters
    ----------
    rows : (n_seen,)
        Their places among the rows that are looked at.
    logits : (n_seen, n_logits), float64
        Its logits, offsets included.
    member : Member
        Who says it.
    kind : int, default 0
        The number of its kind.
    """

    rows: Rows
    logits: Array
    member: Member
    kind: int = 0

    def mean(self, likelihood: Likelihood) -> Array:
        """Return its ŷ for these rows, (n_seen, n_columns)."""
        return likelihood.mean(self.logits, self.member.scales())


def average(views: Sequence[View], n_rows: int, of: Callable[[View], Array]) -> NDArray[np.float64]:
    """Return the weighted mean over the members of what ``of`` gives for the rows of a view: (n_rows, …)."""
    total = np.zeros(n_rows)
    for view in views:
        total[view.rows] += view.member.weight
    mean: Any = 0.0
    for view in views:
        share = (view.member.weight / total[view.rows])[:, None] * of(view)
        if len(share) == n_rows:
            mean = mean + share
        else:
            mean = np.zeros((n_rows, share.shape[1])) if isinstance(mean, float) else mean
            mean[view.rows] += share
    return np.asarray(mean)


@dataclass(frozen=True)
class Together:
    """What several members say together: one logit for theirs, for losses, intervals and importances.

    It is the weighted mean of their logits s_m. Where the link is the log, the mean that is predicted is
    that of their means, so what stands for it is o + log (Σ w_m e^{s_m − o} / Σ w_m), whatever the origin o.

    Parameters
    ----------
    likelihood : Likelihood
        What is between the logits and y.
    origin : (n_rows, n_logits)
        o, near the logits, so that nothing overflows.
    """

    likelihood: Likelihood
    origin: Array

    @classmethod
    def logits(cls, likelihood: Likelihood, views: Sequence[View], n_rows: int) -> NDArray[np.float64]:
        """Return the logits (n_rows, n_logits) of all views of these rows together."""
        mean = average(views, n_rows, lambda view: view.logits)
        if likelihood.link != "log":
            return mean
        it = cls(likelihood, mean)
        back = it.back(average(views, n_rows, lambda view: it.averaged(view.logits, view.rows)))
        return back.astype(np.float64)

    def averaged(self, logits: Array, rows: Rows | slice = slice(None)) -> Array:
        """Return what is averaged of a member's logits for these rows."""
        if self.likelihood.link != "log":
            return logits
        found, k = logits.copy(), self.likelihood.n_locations
        found[:, :k] = np.exp(logits[:, :k] - self.origin[rows, :k])
        return found

    def back(self, averages: Array) -> Array:
        """Return the logits of averages."""
        if self.likelihood.link != "log":
            return averages
        found, k = averages.copy(), self.likelihood.n_locations
        found[:, :k] = self.origin[:, :k] + np.log(averages[:, :k])
        return found


class Disagreement(NamedTuple):
    """How far the members that say something about a row are apart.

    Parameters
    ----------
    variance : (n_rows, n_columns)
        The variance of one among those of its kind, without bias; NaN where no kind has two.
    n_effective : (n_rows,)
        How many they are: (Σw)² / Σw², their number where their weights are equal.
    """

    variance: Array
    n_effective: NDArray[np.float64]


def disagreement(views: Sequence[View], n_rows: int, of: Callable[[View], Array]) -> Disagreement:
    """Return how far what ``of`` gives is from its `average` over the members of a kind.

    Members of several kinds are apart for another reason too, which does not go away as more are averaged.
    """
    total, squares, free = np.zeros(n_rows), np.zeros(n_rows), np.zeros(n_rows)
    variance: Any = 0.0
    for kind in sorted({view.kind for view in views}):
        alike = [view for view in views if view.kind == kind]
        its_total, its_squares = np.zeros(n_rows), np.zeros(n_rows)
        for view in alike:
            its_total[view.rows] += view.member.weight
            its_squares[view.rows] += view.member.weight**2
        total, squares = total + its_total, squares + its_squares
        seen = its_total > 0
        free[seen] += its_total[seen] - its_squares[seen] / its_total[seen]
        mean = average(alike, n_rows, of)
        for view in alike:
            apart = np.zeros(mean.shape)
            apart[view.rows] = view.member.weight * np.square(of(view) - mean[view.rows])
            variance = variance + apart
    several = free > 1e-9 * total
    rest = np.where(several, free, 1.0)
    return Disagreement(np.where(several[:, None], variance / rest[:, None], np.nan), total**2 / squares)
