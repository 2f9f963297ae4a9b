"""The members of an ensemble: each is trained on its own rows, in a thread of its own."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.native import usable_threads
from chainrule.errors import InputError
from chainrule.estimators.greedy import greedy_counts
from chainrule.estimators.interrupts import ctrl_c_sets
from chainrule.estimators.rows import Part, initial_parameters
from chainrule.estimators.steps import Entry, Steps
from chainrule.estimators.together import Member, Together, View
from chainrule.likelihoods import Likelihood
from chainrule.network import Network
from chainrule.optimization import LBFGS
from chainrule.training import Callback, EpochReport, GradientNorms, History, Metric, Training, train
from chainrule.training.batches import Data, Rows
from chainrule.training.metrics import METRICS

Array = NDArray[np.floating[Any]]

CUT_SHORT = ("interrupt", "time", "steps")  # a member that ended so might have become better
NEARLY = 0.9  # of the planned steps are about as good as all of them


@dataclass(frozen=True)
class Kind:
    """What some members of a plan have in common.

    Parameters
    ----------
    network : Network
        What each of them is trained as.
    settings : Training
        How the first member of the plan would be trained; member k takes the seed k further on.
    inputs : (n_seen,) or None
        The numbers of the inputs that they see; None for all.
    """

    network: Network
    settings: Training
    inputs: Rows | None = None

    def rows(self, data: Data) -> Data:
        """Return rows as these members see them."""
        return data if self.inputs is None else data._replace(X=data.X[:, self.inputs])

    def kept(self, theta: Array, n_inputs: int, likelihood: Likelihood) -> tuple[Network, Array]:
        """Return the network that takes all inputs, and its θ: inputs that were not seen have weight 0.

        A `Scale` is folded into the weights. So whatever looks at a member, for a prediction, a trace or a
        page, need not know what it saw.
        """
        narrow, theta = self.network.folded(theta)
        network = Network(n_inputs, narrow.hidden, likelihood=likelihood)
        if self.inputs is None:
            return network, theta
        wide = np.zeros(network.n_parameters, dtype=theta.dtype)
        first, seen = network.unpack(wide)[0][0], narrow.unpack(theta)[0][0]
        first[:, self.inputs] = seen
        wide[first.size :] = theta[seen.size :]  # the weights of the first layer are the first of θ
        return network, wide


class Job(NamedTuple):
    """A member to be trained: the number of its kind in the plan, and its rows."""

    kind: int
    part: Part


class Trained(NamedTuple):
    """A job that was done."""

    job: Job
    member: Member


@dataclass(frozen=True)
class HeldOut:
    """Rows that were not learned from, and what the members that did not learn from them say about them.

    Parameters
    ----------
    numbers : (n_rows,)
        The numbers of the rows among those of the fit, or of the eval_set.
    data : Data
        The rows, without their inputs.
    views : sequence of View
        One for each member that held rows out.
    """

    numbers: Rows
    data: Data
    views: Sequence[View]

    @property
    def logits(self) -> Array:
        """Of each row what those members say together that have not seen it, (n_rows, n_logits)."""
        likelihood = self.views[0].member.network.likelihood
        return Together.logits(likelihood, self.views, len(self.numbers))


@dataclass(frozen=True)
class Plan:
    """How all members are trained.

    Parameters
    ----------
    kinds : sequence of Kind
        What there is to be trained.
    jobs : sequence of Job
        Which kind each member is, and which rows it learns from.
    likelihood : Likelihood
        What the members predict by. While they are trained, labels may be smoothed.
    data : Data
        The rows for the fit.
    eval_set : Data or None
        Rows that say when to stop, the same for all members.
    metric : Metric or None
        What says which epoch is the best; None for the loss.
    steps : sequence of Steps or None
        How many steps each job does; None where each does all of its own.
    """

    kinds: Sequence[Kind]
    jobs: Sequence[Job]
    likelihood: Likelihood
    data: Data
    eval_set: Data | None = None
    metric: Metric | None = None
    steps: Sequence[Steps] | None = None

    @property
    def settings(self) -> Training:
        """What holds for all: the first seed, the engine, its threads, the seconds there are."""
        return self.kinds[0].settings

    def fit(self, begin: float | None = None) -> list[Trained | None]:
        """Train the members and return them in the order of the jobs, None where there was no time for one.

        As many are trained at once as there are threads, with no barrier between them; a member's bits
        depend on its seed and rows alone. Each may take all the time that is left: a few members that
        came to their end are worth more than many that did not.

        Parameters
        ----------
        begin : float, optional
            From when on the time limit counts, as ``time.monotonic()`` has it; None for from now.

        Raises
        ------
        InputError
            Where the metric has no value on the rows that a member holds out.
        """
        begin = time.monotonic() if begin is None else begin
        self._check_metric()
        n_threads = usable_threads(self.settings.n_threads)
        n_workers = min(len(self.jobs), n_threads)
        if n_workers == 1:
            return self._one_by_one(begin, n_threads)
        return self._side_by_side(begin, n_workers, n_threads // n_workers)

    def _check_metric(self) -> None:
        """Raise where the metric has no value on rows held out; of a person's own one nothing is known."""
        metric, network = self.metric, self.kinds[0].network
        if metric is None or metric not in METRICS.values():
            return
        scales = network.scales(np.zeros(network.n_parameters))
        # the kinds hold the same rows out, and an eval_set is that of all members
        jobs = [job for job in self.jobs if job.kind == self.jobs[0].kind]
        for job in jobs if self.eval_set is None else jobs[:1]:
            rows = self._rows_held_out(job)
            cost = self._cost(self._targets(rows), scales)
            if len(rows) and math.isnan(cost(np.zeros((len(rows), network.n_logits)))):
                raise InputError(
                    f"The metric {metric.name!r} has no value on the {len(rows)} rows that say which epoch "
                    "is the best, such as an area under the curve where all are of one class: give more "
                    "rows, another eval_set or another metric."
                )

    def _rows_held_out(self, job: Job) -> Rows:
        """Return the numbers of the rows that say when a job's training stops, of the fit or the eval_set."""
        if self.eval_set is not None:
            return np.arange(len(self.eval_set.X))
        return np.arange(0) if job.part.held_out is None else job.part.held_out

    def _one_by_one(self, begin: float, n_threads: int) -> list[Trained | None]:
        found: list[Trained | None] = [None] * len(self.jobs)
        for k in range(len(self.jobs)):
            if self._is_wanted(k, begin):
                found[k] = trained = self._train(k, n_threads, begin)
                if trained.member.history.stopped_by == "interrupt":
                    break
        return found

    def _side_by_side(self, begin: float, n_workers: int, n_threads: int) -> list[Trained | None]:
        stop = threading.Event()
        found: list[Trained | None] = [None] * len(self.jobs)

        def work(k: int) -> None:
            if self._is_wanted(k, begin) and (k == 0 or not stop.is_set()):
                found[k] = self._train(k, n_threads, begin, stop)

        with ctrl_c_sets(stop), ThreadPoolExecutor(n_workers) as pool:
            try:
                for future in [pool.submit(work, k) for k in range(len(self.jobs))]:
                    future.result()
            except KeyboardInterrupt:  # the members end with their epochs, and what they have is kept
                stop.set()
            except BaseException:
                stop.set()
                raise
        if not any(found):
            raise KeyboardInterrupt
        return found

    def _seconds(self, begin: float) -> float | None:
        """Return the seconds that are left."""
        limit = self.settings.time_limit
        return None if limit is None else max(limit - (time.monotonic() - begin), 1e-9)

    def _is_wanted(self, k: int, begin: float) -> bool:
        """Return whether a job shall be begun: not in the last quarter of the time, it would not come far.

        The first one always is: somebody has to predict.
        """
        if self.steps is not None and self.steps[k].done == 0:
            return False
        limit = self.settings.time_limit
        return k == 0 or limit is None or time.monotonic() - begin < 0.75 * limit

    def _train(self, k: int, n_threads: int, begin: float, stop: threading.Event | None = None) -> Trained:
        job = self.jobs[k]
        kind, part = self.kinds[job.kind], job.part
        data = kind.rows(self.data if part.learned is None else self.data.take(part.learned))
        held_out = self.eval_set if part.held_out is None else self.data.take(part.held_out)
        done, planned, _ = Steps() if self.steps is None else self.steps[k]
        settings = replace(
            kind.settings,
            seed=(kind.settings.seed + k) % 2**63,
            n_threads=n_threads,
            time_limit=self._seconds(begin),  # the rows have been copied
            planned_steps=planned,
            max_steps=None if done == planned else done,
            verbose=kind.settings.verbose if k == 0 else 0,
        )
        # its own network: engines keep memory for their caller
        network = Network(kind.network.n_inputs, kind.network.hidden, likelihood=kind.network.likelihood)
        watch = GradientNorms(*data, epochs=_epochs(settings))
        is_first_of_its_kind = all(before.kind != job.kind for before in self.jobs[:k])
        callbacks: list[Callback] = [watch] if is_first_of_its_kind else []
        if stop is not None:
            callbacks.append(partial(_interrupt, stop))
        result = train(
            network,
            initial_parameters(network, data, settings.seed),
            *data,
            validation=None if held_out is None else kind.rows(held_out),
            settings=settings,
            metrics=() if self.metric is None else (self.metric,),
            callbacks=callbacks,
        )
        result.history.gradients = watch.records
        network, theta = kind.kept(result.theta, self.data.X.shape[1], self.likelihood)
        return Trained(job, Member(network, theta, result.history))

    def held_out(self, trained: Sequence[Trained]) -> HeldOut | None:
        """Return the rows that members held out, with what these say; None where there are none."""
        source = self.data if self.eval_set is None else self.eval_set
        parts = [np.sort(self._rows_held_out(job)) for job, _ in trained]
        given = [(part, one) for part, one in zip(parts, trained, strict=True) if len(part)]
        if not given:
            return None
        numbers = reduce(np.union1d, [part for part, _ in given])
        data = self._targets(numbers)
        views = []
        for part, (job, member) in given:
            rows = np.searchsorted(numbers, part)
            logits = member.logits(source.X[part], self.settings.engine, self.settings.n_threads)
            moved = logits if data.offset is None else logits + data.offset[rows]
            views.append(View(rows, moved, member, job.kind))
        return HeldOut(numbers, data, views)

    def _targets(self, rows: Rows) -> Data:
        """Return rows that may be held out, without their inputs: these are many, and not asked for."""
        data = self.data if self.eval_set is None else self.eval_set
        return data._replace(X=data.X[:, :0]).take(rows)

    def weighted(self, trained: Sequence[Trained]) -> list[Trained]:
        """Return the members with the weights under which what they say together does best.

        The weights are of kinds, whose logits on the rows that their members held out can be compared; the
        members of a kind share its weight. Kinds of weight 0 are left out.
        """
        numbers = sorted({job.kind for job, _ in trained})
        if len(numbers) == 1:
            return list(trained)
        of_kind = [[one for one in trained if one.job.kind == number] for number in numbers]
        found = [held_out for members in of_kind if (held_out := self.held_out(members)) is not None]
        rows = reduce(np.intersect1d, [held_out.numbers for held_out in found]) if found else np.array([])
        if not len(rows):
            return list(trained)
        data = self._targets(rows)
        logits = [held_out.logits[np.isin(held_out.numbers, rows)] for held_out in found]
        scales = np.mean([member.network.scales(member.theta) for _, member in trained], axis=0)
        it, cost = Together(self.likelihood, np.mean(logits, axis=0)), self._cost(data, scales)
        counts = greedy_counts(lambda mean: cost(it.back(mean)), [it.averaged(one) for one in logits])
        weight = {
            number: count / len(members)
            for number, count, members in zip(numbers, counts, of_kind, strict=True)
        }
        return [
            one._replace(member=replace(one.member, weight=weight[one.job.kind]))
            for one in trained
            if weight[one.job.kind]
        ]

    def _cost(self, data: Data, scales: Array) -> Callable[[Array], float]:
        """Return the function from logits, offsets included, to the metric or the loss: less is better."""
        likelihood = self.likelihood
        y = likelihood.prepare(data.y, len(data.y))

        def cost(logits: Array) -> float:
            if self.metric is not None:
                value = self.metric.function(y, likelihood.mean(logits, scales), data.weight)
                return -value if self.metric.greater_is_better else value
            losses, _ = likelihood.loss_and_gradient(likelihood.extended(logits, scales), y)
            return float(np.average(losses, weights=data.weight))

        return cost


def that_count(found: Sequence[Trained | None]) -> list[Trained]:
    """Return the members to predict from: those that came to the end of their schedule, or close to it.

    One whose schedule was less than half as long as that of another, for lack of time, is left out. Where
    none came so far, those that have a best epoch; where none has, the first one, as far as it got.
    """
    trained = [one for one in found if one is not None]
    ended = [one for one in trained if _ended(one.member.history)]
    most = max((one.member.history.n_steps for one in ended), default=0)
    ended = [one for one in ended if 2 * (one.member.history.planned_steps or most) >= most]
    began = [one for one in trained if one.member.history.best_epoch > 0]
    return ended or began or trained[:1]


def steps_done(found: Sequence[Trained | None], n_drawn: int | None = None) -> tuple[Entry, ...]:
    """Return what the limit let each job do, as `EnsembleEstimator` has it; ``n_drawn`` rows were drawn."""
    return tuple(0 if one is None else _steps(one.member.history, n_drawn).entry for one in found)


def _steps(history: History, n_drawn: int | None) -> Steps:
    was_cut = history.stopped_by in CUT_SHORT or history.planned_steps is not None
    return Steps(history.n_steps if was_cut else None, history.planned_steps, n_drawn)


def _ended(history: History) -> bool:
    """Return whether a training came to its end, or nearly so: its learning rate was low then."""
    planned = history.planned_steps
    return history.stopped_by not in CUT_SHORT or (
        planned is not None and history.n_steps >= NEARLY * planned
    )


def stopped_by(found: Sequence[Trained | None]) -> str:
    """Return why a plan ended: a limit or an interruption that a member met, else why the first one ended."""
    reasons = [one.member.history.stopped_by for one in found if one is not None]
    met = next((reason for reason in CUT_SHORT if reason in reasons), None)
    if met is not None:
        return met
    return reasons[0] if None not in found else "time"


def _interrupt(stop: threading.Event, report: EpochReport) -> None:  # noqa: ARG001 (a callback)
    """End a training after its epoch where Ctrl-C came to another thread."""
    if stop.is_set():
        raise KeyboardInterrupt


def _epochs(settings: Training) -> int:
    """Return how many epochs there are at most; with `LBFGS` they are its iterations."""
    optimizer = settings.optimizer
    return optimizer.max_iterations if isinstance(optimizer, LBFGS) else settings.epochs
