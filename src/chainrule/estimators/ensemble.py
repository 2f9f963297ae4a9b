"""An estimator whose predictions are those of several members, and how its recipe becomes their plan."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import Dense, Dropout, Layer, Scale
from chainrule.errors import InputError
from chainrule.estimators.base import NetworkEstimator
from chainrule.estimators.members import (
    HeldOut,
    Job,
    Kind,
    Plan,
    steps_done,
    stopped_by,
    that_count,
)
from chainrule.estimators.recipe import (
    LINEAR_ITERATIONS,
    LINEAR_L2,
    Portfolio,
    Preset,
    Recipe,
    batch_size_for,
    portfolio_for,
)
from chainrule.estimators.rows import Split
from chainrule.estimators.steps import Entry, Steps, read_steps
from chainrule.estimators.together import Member, Together, View
from chainrule.likelihoods import Bernoulli, Categorical, Likelihood
from chainrule.network import Network
from chainrule.optimization import LBFGS, Adam, OneCycle, Penalty
from chainrule.tables import TableEncoder
from chainrule.training import METRICS, History, Metric, Training

Array = NDArray[np.floating[Any]]


class EnsembleEstimator(NetworkEstimator):
    """An estimator of several members; what they say together, `Together` has.

    Attributes
    ----------
    members_ : tuple of Member
        The networks, each with its θ, its training and its weight.
    steps_done_ : tuple of int, tuple or None
        After how many steps each planned member was ended by the time limit, None for one that came to its
        end, 0 for one that was not begun; what else the limit changed, `Steps` says. As ``time_limit`` of
        another fit it repeats this one to the bit, whatever the time.
    stopped_by_ : str
        Why the training ended: "epochs", "patience", "time", "steps", "interrupt" or "converged". Of
        several members: the limit or the interruption where one of them met it, else why the first one ended.
    """

    _saved: ClassVar[tuple[str, ...]] = ("members_", "steps_done_", "stopped_by_")

    preset: Preset
    likelihood: str | Likelihood
    hidden: Sequence[int | Layer] | None
    epochs: int | None
    learning_rate: float | None
    dropout: float | None
    n_members: int | None
    validation_fraction: float | None
    time_limit: float | Sequence[Entry] | None
    verbose: bool | int
    members_: tuple[Member, ...]
    steps_done_: tuple[Entry, ...]
    stopped_by_: str

    @property
    def network_(self) -> Network:  # type: ignore[override]  # set with the members
        """The network of the first member."""
        return self._first("network_").network

    @property
    def theta_(self) -> Array:  # type: ignore[override]  # set with the members
        """θ of the first member."""
        return self._first("theta_").theta

    @property
    def history_(self) -> History:
        """What happened in the training of the first member."""
        return self._first("history_").history

    @property
    def best_epoch_(self) -> int:
        """The epoch whose θ the first member kept, from 1; 0 for the start."""
        return self._first("best_epoch_").history.best_epoch

    @property
    def engine_(self) -> str:
        """Which engine trained."""
        return self._first("engine_").history.engine

    @property
    def n_threads_(self) -> int:
        """How many threads it could use, for each member."""
        return self._first("n_threads_").history.n_threads

    @property
    def n_members_(self) -> int:
        """How many members there are."""
        self._first("n_members_")
        return len(self.members_)

    def _first(self, attribute: str) -> Member:
        if "members_" not in vars(self):  # hasattr() relies on this error
            raise AttributeError(f"{type(self).__name__} has no {attribute} before fit.")
        return self.members_[0]

    def _portfolio(self, n_rows: int) -> Portfolio:
        """Return the recipes of the kinds; a linear model is one, alone and without ramps."""
        portfolio = portfolio_for(self.preset, n_rows)
        if self.hidden is not None and not len(self.hidden):
            return (replace(portfolio[0], n_members=1, n_ramps=0, label_smoothing=0.0),)
        return portfolio

    def _validation_fraction(self, portfolio: Portfolio) -> float:
        return float(
            portfolio[0].validation_fraction if self.validation_fraction is None else self.validation_fraction
        )

    def _layers(self, recipe: Recipe) -> list[Layer]:
        """Return the hidden layers; a number is a Dense, and dropout where no Dropout follows it.

        Of numbers alone, the recipe's `Scale` stands before them.
        """
        rate = recipe.dropout if self.dropout is None else float(self.dropout)
        specs = list((recipe.width,) * 3 if self.hidden is None else self.hidden)
        has_scale = recipe.input_scale > 0 and specs and not any(isinstance(spec, Layer) for spec in specs)
        layers: list[Layer] = [Scale(recipe.input_scale)] if has_scale else []
        for spec, above in pairwise([*specs, Dense(1)]):  # above the last stands the top layer
            if isinstance(spec, Layer):
                layers.append(spec)
                continue
            layers.append(Dense(spec, recipe.activation))
            if rate and not isinstance(above, Dropout):
                layers.append(Dropout(rate))
        return layers

    def _plan(
        self,
        portfolio: Portfolio,
        likelihood: Likelihood,
        encoder: TableEncoder,
        rows: Split,
        metric: Metric | None,
    ) -> Plan:
        """Return how the members are trained, whose kinds see more or less of what the encoder gives."""
        jobs = [Job(kind, rows.part(turn)) for kind, turn in self._turns(portfolio)]
        n_learned = len(rows.data.X) if jobs[0].part.learned is None else len(jobs[0].part.learned)
        is_ramp, is_code = encoder.is_ramp, encoder.is_code
        kinds = []
        for recipe in portfolio:
            sees = (~is_ramp | (recipe.n_ramps > 0)) & (~is_code | recipe.codes)
            inputs = None if sees.all() else np.flatnonzero(sees)
            trained = self._smoothed(likelihood, recipe)
            if metric is None and trained != likelihood:
                metric = METRICS["log_loss"]
            network = Network(int(sees.sum()), self._layers(recipe), likelihood=trained)
            settings = Training(
                **self._descent(recipe, network, n_learned),
                seed=rows.seed,
                monitor="loss" if metric is None else metric.name,
                train_metrics=False,
                time_limit=self._seconds,
                engine=self._engine,
                n_threads=self.n_threads,
                verbose=min(int(self.verbose), 1),
            )
            kinds.append(Kind(network, settings, inputs))
        return Plan(kinds, jobs, likelihood, rows.data, rows.eval_set, metric, self._steps(portfolio))

    def _smoothed(self, likelihood: Likelihood, recipe: Recipe) -> Likelihood:
        """Return the likelihood with the recipe's label smoothing; one that a person made is left alone."""
        if isinstance(self.likelihood, Likelihood) or not isinstance(likelihood, Bernoulli | Categorical):
            return likelihood
        return replace(likelihood, label_smoothing=recipe.label_smoothing)

    def _turns(self, portfolio: Portfolio) -> list[tuple[int, int]]:
        """Return kind and turn of each member: the kinds take turns, and have the same rows in a turn."""
        if self.n_members is not None:
            return [(k % len(portfolio), k // len(portfolio)) for k in range(self.n_members)]
        turns = ((turn, kind) for kind, recipe in enumerate(portfolio) for turn in range(recipe.n_members))
        return [(kind, turn) for turn, kind in sorted(turns)]

    @property
    def _seconds(self) -> float | None:
        """The time limit, where it is one in seconds."""
        return float(self.time_limit) if isinstance(self.time_limit, int | float | np.number) else None

    def _steps(self, portfolio: Portfolio) -> Sequence[Steps] | None:
        """Return the limits that the person gave in steps; raise InputError where they are none."""
        if self.time_limit is None or self._seconds is not None:
            return None
        return read_steps(self.time_limit, len(self._turns(portfolio)))

    def _descent(self, recipe: Recipe, network: Network, n_rows: int) -> dict[str, Any]:
        """Return what `Training` is told about the steps of a member that learns from so many rows."""
        if not network.hidden:
            return {
                "optimizer": LBFGS(max_iterations=self.epochs or LINEAR_ITERATIONS),
                "epochs": self.epochs or LINEAR_ITERATIONS,
                "penalty": Penalty(LINEAR_L2),
            }
        epochs = self.epochs or recipe.epochs_for(n_rows)
        return {
            "optimizer": Adam(self.learning_rate or recipe.learning_rate, beta_2=recipe.beta_2),
            "schedule": OneCycle(),
            "epochs": epochs,
            "patience": max(10, epochs // 3),
            "batch_size": batch_size_for(n_rows),
        }

    def _train(self, plan: Plan, begin: float, n_drawn: int | None) -> HeldOut | None:
        """Train the members, keep those that count, and return what they held out."""
        found = plan.fit(begin)
        trained = plan.weighted(that_count(found))
        self.members_ = tuple(one.member for one in trained)
        self.steps_done_ = steps_done(found, n_drawn)
        self.stopped_by_ = stopped_by(found)
        return plan.held_out(trained)

    def _views(self, X: Array, offset: Array | None = None) -> list[View]:
        """Return what each member says about all of these rows; an offset is added to the logits."""
        rows = np.arange(len(X))
        each = [member.logits(X, self._engine, self.n_threads) for member in self.members_]
        return [
            View(rows, logits if offset is None else logits + offset, member)
            for logits, member in zip(each, self.members_, strict=True)
        ]

    def _logits(self, X: Array) -> Array:
        """Return the logits (n_rows, n_logits) of all members together, in float64."""
        return Together.logits(self.network_.likelihood, self._views(X), len(X))

    def _check_restored(self) -> None:
        self._require_restored("members_", tuple, lambda it: len(it) > 0)
        super()._check_restored()
        first = self.network_
        for member in self.members_:
            network, history = member.network, member.history
            self._require_theta(network, member.theta)
            alike = (network.n_inputs, network.likelihood) == (first.n_inputs, first.likelihood)
            whole = isinstance(history, History) and 0 <= history.best_epoch <= len(history.epochs)
            if not (
                alike and whole and member.theta.dtype == self.theta_.dtype and 0 < member.weight < math.inf
            ):
                raise InputError("members_ has a member that does not fit the others.")
        self._require_restored("steps_done_", tuple, lambda _: True)
        self._require_restored("stopped_by_", str, lambda _: True)
