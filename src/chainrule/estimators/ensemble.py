"""An estimator whose predictions are those of several members, and how its recipe becomes their plan."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from chainrule.architecture import Dense, Dropout, Layer
from chainrule.estimators.base import NetworkEstimator
from chainrule.estimators.members import Member, Part, Plan
from chainrule.estimators.recipe import LINEAR_ITERATIONS, LINEAR_L2, Recipe, batch_size_for
from chainrule.network import Network
from chainrule.optimization import LBFGS, AdamW, OneCycle, Penalty
from chainrule.training import History, Training, split_validation
from chainrule.training.batches import Data

Array = NDArray[np.floating[Any]]

FEWEST_VALIDATION_ROWS = 5  # fewer say nothing about when to stop


class EnsembleEstimator(NetworkEstimator):
    """An estimator with one network and several θ; its logits are the mean of theirs.

    Attributes
    ----------
    theta_, history_
        θ and the training of the first member.
    other_thetas_, other_histories_
        Those of the others, (n_members − 1, n_parameters); not there when there are no others.
    """

    _saved: ClassVar[tuple[str, ...]] = ("history_", "other_thetas_", "other_histories_")

    hidden: Sequence[int | Layer] | None
    epochs: int | None
    learning_rate: float | None
    dropout: float | None
    n_members: int | None
    validation_fraction: float | None
    time_limit: float | None
    verbose: bool | int
    history_: History
    other_thetas_: Array
    other_histories_: tuple[History, ...]

    @property
    def best_epoch_(self) -> int:
        """The epoch whose θ the first member kept, from 1; 0 for the start."""
        return self._recorded("best_epoch_").best_epoch

    @property
    def stopped_by_(self) -> str:
        """Why the training ended: "epochs", "patience", "time", "interrupt", "callback" or "converged".

        Of several members: "interrupt" or "time" where one of them ended so, else why the first one did.
        """
        first = self._recorded("stopped_by_").stopped_by
        found = {history.stopped_by for history in getattr(self, "other_histories_", ())}
        return next((reason for reason in ("interrupt", "time") if reason in found), first)

    @property
    def engine_(self) -> str:
        """Which engine trained."""
        return self._recorded("engine_").engine

    @property
    def n_threads_(self) -> int:
        """How many threads it could use, for each member."""
        return self._recorded("n_threads_").n_threads

    @property
    def n_members_(self) -> int:
        """How many members were trained and are averaged."""
        self._recorded("n_members_")
        return 1 + len(getattr(self, "other_thetas_", ()))

    def _recorded(self, attribute: str) -> History:
        if "history_" not in vars(self):  # hasattr() relies on this error
            raise AttributeError(f"{type(self).__name__} has no {attribute} before fit.")
        return self.history_

    def _layers(self, recipe: Recipe) -> list[Layer]:
        """Return the hidden layers; a number is a Dense, and dropout where no Dropout follows it."""
        rate = recipe.dropout if self.dropout is None else float(self.dropout)
        specs = list((recipe.width,) * 3 if self.hidden is None else self.hidden)
        layers: list[Layer] = []
        for spec, above in pairwise([*specs, Dense(1)]):  # above the last stands the top layer
            if isinstance(spec, Dense | Dropout):
                layers.append(spec)
                continue
            layers.append(Dense(spec, recipe.activation))
            if rate and not isinstance(above, Dropout):
                layers.append(Dropout(rate))
        return layers

    def _plan(self, recipe: Recipe, network: Network, data: Data, eval_set: Data | None, seed: int) -> Plan:
        n_rows = len(data.X)
        n_members = self.n_members or (recipe.n_members if network.hidden else 1)
        fraction = recipe.validation_fraction
        if self.validation_fraction is not None:
            fraction = float(self.validation_fraction)
        parts = [Part(None, None)] * n_members
        if eval_set is None and fraction * n_rows >= FEWEST_VALIDATION_ROWS:
            stratify = data.y if is_classifier(self) and data.y.ndim == 1 else None
            parts = [Part(*split_validation(n_rows, fraction, seed, stratify, k)) for k in range(n_members)]
        n_learned = n_rows if parts[0].learned is None else len(parts[0].learned)
        settings = Training(
            **self._descent(recipe, network, n_learned),
            seed=seed,
            time_limit=self.time_limit,
            engine=self._engine,
            n_threads=self.n_threads,
            verbose=min(int(self.verbose), 1),
        )
        return Plan(network, settings, data, parts, eval_set)

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
            "optimizer": AdamW(
                self.learning_rate or recipe.learning_rate,
                beta_2=recipe.beta_2,
                weight_decay=recipe.weight_decay,
            ),
            "schedule": OneCycle(),
            "clip_norm": recipe.clip_norm,
            "epochs": epochs,
            "patience": max(10, epochs // 3),
            "batch_size": batch_size_for(n_rows),
        }

    def _keep(self, members: Sequence[Member]) -> None:
        """Keep the members: the first in ``theta_`` and ``history_``, the others beside it."""
        (_, self.theta_, self.history_), *others = members
        for name in ("other_thetas_", "other_histories_"):
            self.__dict__.pop(name, None)
        if others:
            self.other_thetas_ = np.stack([member.theta for member in others])
            self.other_histories_ = tuple(member.history for member in others)

    def _thetas(self) -> list[Array]:
        return [self.theta_, *getattr(self, "other_thetas_", ())]

    def _logits(self, X: Array) -> Array:
        """Return the mean of the members' logits (n_rows, n_logits), in float64."""
        engine = self.network_.engine(self._engine, self.n_threads)
        first, *others = self._thetas()
        logits = engine.forward(first, X).astype(np.float64)
        for theta in others:
            logits += engine.forward(theta, X)
        return logits / (1 + len(others))

    def _check_restored(self) -> None:
        super()._check_restored()
        self._require_restored("history_", History, lambda it: 0 <= it.best_epoch <= len(it.epochs))
        if self.n_members_ > 1:
            shape = (self.n_members_ - 1, self.network_.n_parameters)
            self._require_restored(
                "other_thetas_",
                np.ndarray,
                lambda it: it.shape == shape and it.dtype == self.theta_.dtype and np.isfinite(it).all(),
            )
            self._require_restored("other_histories_", tuple, lambda it: len(it) == shape[0])
