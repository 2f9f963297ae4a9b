"""What a training is asked to do: one frozen spec, checked when it is made."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import InputError
from chainrule.optimization import LBFGS, AdamW, Constant, Optimizer, Penalty, Schedule


@dataclass(frozen=True)
class Training:
    """How θ is fitted.

    Parameters
    ----------
    optimizer : Optimizer or LBFGS, default AdamW()
        How a gradient moves θ. `LBFGS` works on the whole data: an epoch is then one of its iterations,
        ``optimizer.max_iterations`` limits them, and ``epochs``, ``batch_size`` and ``shuffle`` have no
        effect; ``schedule`` and ``clip_norm`` must be left as they are.
    schedule : Schedule, default Constant()
        A factor of the learning rate, over all steps of all epochs.
    epochs : int, default 100
        How many times the rows are gone through at most.
    batch_size : int, default 256
        Rows a step. The last batch of an epoch has the rows that are left.
    penalty : Penalty, default Penalty()
        What is added to the loss of each batch, and so to the train loss; never to the validation loss.
    clip_norm : float, optional
        The largest norm of a gradient; None for no limit.
    decay_biases : bool, default False
        Whether decoupled weight decay acts on the biases too.
    shuffle : bool, default True
        Whether each epoch has an order of rows of its own; else they come as they stand.
    patience : int, optional
        Stop after so many epochs in a row without an improvement; None to go through all epochs.
    tolerance : float, default 0.0
        By how much the monitored quantity must be better than the best one before, to be an improvement
        that patience counts.
    monitor : str, default "loss"
        What patience and the choice of the best θ look at: "loss" or the name of a metric. It is the
        validation rows' where there are any, else the training rows'.
    seed : int, default 0
        Decides the orders of the rows and the dropout masks; from 0 to 2⁶³ − 1.
    time_limit : float, optional
        Seconds after which the training stops, also inside an epoch; None for no limit. Where they will not
        do for all epochs, by the time that the first steps take, a schedule other than `Constant` is drawn
        over the steps that there is time for.
    planned_steps : int, optional
        Steps that the schedule goes over, and after which the training stops; None for those of all epochs,
        or for those that there is time for.
    max_steps : int, optional
        Steps (iterations of `LBFGS`) after which the training stops, also inside an epoch; None for no limit.
        The schedule goes on as if there were none. With ``planned_steps`` and ``n_steps`` of the history of a
        training that a time limit ended, it is repeated to the bit.
    train_metrics : bool, default True
        Whether metrics are computed for the training rows beside validation rows, which costs a pass over
        them after each epoch.
    engine : {"native", "reference"}, default "native"
        Which text of the mathematics computes.
    n_threads : int, optional
        How many threads the native engine may use; None for the cores that the process may use. The
        result does not depend on it.
    verbose : int, default 0
        0 is silent; 1 shows progress on stderr.

    Raises
    ------
    InputError
        When a setting is not allowed, or does not go with the optimizer.

    Examples
    --------
    >>> from chainrule.optimization import Adam, Cosine
    >>> from chainrule.training import Training
    >>> Training(optimizer=Adam(learning_rate=0.01), schedule=Cosine(), epochs=20).batch_size
    256
    """

    optimizer: Optimizer | LBFGS = AdamW()  # noqa: RUF009 (frozen)
    schedule: Schedule = Constant()  # noqa: RUF009 (frozen)
    epochs: int = 100
    batch_size: int = 256
    penalty: Penalty = Penalty()
    clip_norm: float | None = None
    decay_biases: bool = False
    shuffle: bool = True
    patience: int | None = None
    tolerance: float = 0.0
    monitor: str = "loss"
    seed: int = 0
    time_limit: float | None = None
    planned_steps: int | None = None
    max_steps: int | None = None
    train_metrics: bool = True
    engine: str = "native"
    n_threads: int | None = None
    verbose: int = 0

    def __post_init__(self) -> None:
        for name, kind in (("optimizer", Optimizer | LBFGS), ("schedule", Schedule), ("penalty", Penalty)):
            self._require(name, isinstance(getattr(self, name), kind), "one of chainrule.optimization")
        for name in ("epochs", "batch_size"):
            self._require(name, _is_count(getattr(self, name)), "a whole number of at least 1")
        for name in ("patience", "planned_steps", "max_steps", "n_threads"):
            value = getattr(self, name)
            self._require(name, value is None or _is_count(value), "a whole number of at least 1, or None")
        for name in ("clip_norm", "time_limit"):
            value = getattr(self, name)
            self._require(
                name, value is None or (_is_number(value) and value > 0), "a number above 0, or None"
            )
        for name in ("decay_biases", "shuffle", "train_metrics"):
            self._require(name, isinstance(getattr(self, name), bool | np.bool_), "True or False")
        tolerable = _is_number(self.tolerance) and 0 <= self.tolerance < math.inf
        self._require("tolerance", tolerable, "a finite number ≥ 0")
        self._require("monitor", isinstance(self.monitor, str), "'loss' or the name of a metric")
        self._require(
            "seed", _is_whole(self.seed) and 0 <= self.seed < 2**63, "a whole number from 0 to 2⁶³ − 1"
        )
        self._require("engine", self.engine in ("native", "reference"), "'native' or 'reference'")
        self._require("verbose", self.verbose in (0, 1), "0 (silent) or 1 (progress)")
        if isinstance(self.optimizer, LBFGS):
            self._require(
                "schedule",
                isinstance(self.schedule, Constant),
                "Constant() with LBFGS: it has no learning rate",
            )
            self._require(
                "clip_norm", self.clip_norm is None, "None with LBFGS: it chooses its own lengths of step"
            )

    def _require(self, name: str, ok: bool, allowed: str) -> None:
        if not ok:
            raise InputError(f"Training({name}={getattr(self, name)!r}): it must be {allowed}.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value >= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
