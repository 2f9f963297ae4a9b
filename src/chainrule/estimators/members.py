"""The members of an ensemble: each is trained on its own rows, in a thread of its own."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.native import usable_threads
from chainrule.estimators.rows import initial_parameters
from chainrule.network import Network
from chainrule.training import History, Training, train
from chainrule.training.batches import Data, Rows

Array = NDArray[np.floating[Any]]


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


class Member(NamedTuple):
    """A trained member: the rows it had, its best θ, and its training."""

    part: Part
    theta: Array
    history: History


class HeldOut(NamedTuple):
    """Rows that were not learned from, and the logits of the members that did not learn from them.

    Parameters
    ----------
    data : Data
        The rows.
    logits : (n_rows, n_logits), float64
        Of each row the mean over those members that have not seen it, offsets included.
    """

    data: Data
    logits: Array


@dataclass(frozen=True)
class Plan:
    """How all members are trained.

    Parameters
    ----------
    network : Network
        What each of them is.
    settings : Training
        How the first one is trained; the others take the seeds that follow.
    data : Data
        The rows for the fit.
    parts : sequence of Part
        Which of them each member learns from.
    eval_set : Data or None
        Rows that say when to stop, the same for all members.
    """

    network: Network
    settings: Training
    data: Data
    parts: Sequence[Part]
    eval_set: Data | None

    def fit(self) -> list[Member]:
        """Train the members and return them; those that had no time for an epoch are left out.

        As many are trained at once as there are threads, with no barrier between them; a member's bits
        depend on its seed and rows alone.
        """
        n_threads = usable_threads(self.settings.n_threads)
        n_members = len(self.parts)
        n_workers = min(n_members, n_threads)
        if n_workers == 1:
            found = self._one_by_one(n_threads)
        else:
            found = self._side_by_side(n_workers, n_threads // n_workers)
        began = [member for member in found if member.history.best_epoch > 0]
        return began or found[:1]

    def _one_by_one(self, n_threads: int) -> list[Member]:
        begin, found = time.monotonic(), list[Member]()
        for k in range(len(self.parts)):
            found.append(self._member(k, n_threads, self._seconds(begin, len(self.parts) - k)))
            if found[-1].history.stopped_by == "interrupt" or self._is_over(begin):
                break
        return found

    def _side_by_side(self, n_workers: int, n_threads: int) -> list[Member]:
        begin, stop = time.monotonic(), threading.Event()
        n_members = len(self.parts)
        found: dict[int, Member] = {}

        def work(k: int) -> None:
            if k == 0 or not (stop.is_set() or self._is_over(begin)):  # somebody has to predict
                seconds = self._seconds(begin, -(-(n_members - k) // n_workers))
                found[k] = self._member(k, n_threads, seconds, stop)

        with ThreadPoolExecutor(n_workers) as pool:
            # Ctrl-C may come while they are handed out: their results are not waited for in vain
            try:
                for future in [pool.submit(work, k) for k in range(n_members)]:
                    future.result()
            except KeyboardInterrupt:  # the members end with their epochs, and what they have is kept
                stop.set()
            except BaseException:
                stop.set()
                raise
        if not found:
            raise KeyboardInterrupt
        return [found[k] for k in sorted(found)]

    def _seconds(self, begin: float, n_rounds: int) -> float | None:
        """Return the seconds for the next member, when so many rounds of members are left."""
        limit = self.settings.time_limit
        return None if limit is None else max(limit - (time.monotonic() - begin), 1e-9) / n_rounds

    def _is_over(self, begin: float) -> bool:
        limit = self.settings.time_limit
        return limit is not None and time.monotonic() - begin >= limit

    def _member(
        self, k: int, n_threads: int, seconds: float | None, stop: threading.Event | None = None
    ) -> Member:
        part, seed = self.parts[k], (self.settings.seed + k) % 2**63
        data = self.data if part.learned is None else self.data.take(part.learned)
        held_out = self.eval_set if part.held_out is None else self.data.take(part.held_out)
        settings = replace(
            self.settings,
            seed=seed,
            n_threads=n_threads,
            time_limit=seconds,
            verbose=self.settings.verbose if k == 0 else 0,
        )
        # its own network: engines keep memory for their caller
        network = Network(self.network.n_inputs, self.network.hidden, likelihood=self.network.likelihood)
        callbacks = [] if stop is None else [lambda _: stop.is_set()]
        result = train(
            network,
            initial_parameters(network, data, seed),
            *data,
            validation=held_out,
            settings=settings,
            callbacks=callbacks,
        )
        if result.stopped_by == "callback":
            result.history.stopped_by = "interrupt"
        return Member(part, result.theta, result.history)

    def held_out(self, members: Sequence[Member]) -> HeldOut | None:
        """Return the rows that members held out, with their logits; None where there are none."""
        data = self.data if self.eval_set is None else self.eval_set
        engine = self.network.engine(self.settings.engine, self.settings.n_threads)
        logits, counts = np.zeros((len(data.X), self.network.n_logits)), np.zeros(len(data.X), dtype=np.intp)
        for part, theta, _ in members:
            rows = part.held_out if self.eval_set is None else np.arange(len(data.X))
            if rows is not None:
                logits[rows] += engine.forward(theta, data.X[rows])
                counts[rows] += 1
        rows = np.flatnonzero(counts)
        if not len(rows):
            return None
        logits = logits[rows] / counts[rows, None]
        data = data.take(rows)
        return HeldOut(data, logits if data.offset is None else logits + data.offset)
