"""The native engine: checks here, then C++ (native/), without the GIL, on as many threads as pay.

The engine is compiled once for each instruction set; the module for the best one that the processor has
is loaded. The environment variable CHAINRULE_INSTRUCTION_SET forces another.
"""

import math
import os
import time
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import Architecture
from chainrule.engine.protocol import CALL_SECONDS, Array, Descent, EngineName, Pace, RowPredictor, Table
from chainrule.errors import InputError
from chainrule.likelihoods import (
    Categorical,
    Likelihood,
    NormalWithVariance,
    Ordinal,
    Quantile,
    Weibull,
    is_built_in,
)
from chainrule.likelihoods.scaled import ScaledOutputs
from chainrule.optimization import SGD, Adam, Optimizer, Penalty

# A thread more is started for each so many multiplications and additions of a step or call: below it, waiting
# for one another takes longer than the work.
FLOP_PER_THREAD = 1_000_000
# Whether several threads pay for the steps of a fit is measured: this long with all, this long with one.
PROBE_SECONDS = 0.003
# The way that was slower is tried again after so many seconds, and after so many steps at its pace at least:
# other work on the machine comes and goes.
REMEMBERED_SECONDS, REMEMBERED_STEPS = 0.25, 40


@cache
def supported_instruction_sets() -> tuple[str, ...]:
    """Return the instruction sets that this processor has and the package was built for, the best last."""
    return tuple(import_module("chainrule.engine._native_baseline").supported_instruction_sets())


def native_module(name: str | None = None) -> ModuleType:
    """Return the extension module for an instruction set; None for the one that `instruction_set` tells."""
    return import_module(f"chainrule.engine._native_{name or instruction_set()}")


def instruction_set() -> str:
    """Return the instruction set that the native engine uses: "baseline", "avx2" or "avx512".

    It is the best that the processor has, or the one that CHAINRULE_INSTRUCTION_SET names.

    Examples
    --------
    >>> from chainrule.engine import instruction_set
    >>> instruction_set() in ("baseline", "avx2", "avx512")
    True
    """
    supported = supported_instruction_sets()
    wanted = os.environ.get("CHAINRULE_INSTRUCTION_SET") or supported[-1]
    if wanted not in supported:
        raise InputError(
            f"CHAINRULE_INSTRUCTION_SET={wanted!r} is not to be had on this processor; "
            f"choose one of {', '.join(supported)}."
        )
    return wanted


def usable_threads(n_threads: int | None = None) -> int:
    """Return how many threads may compute: ``n_threads``, or as many as the process may use cores.

    Without ``n_threads``: OMP_NUM_THREADS where it is set (joblib sets it in its workers), else the cores
    left by affinity and cgroup quota.
    """
    if n_threads is not None:
        if not isinstance(n_threads, int | np.integer) or isinstance(n_threads, bool) or n_threads < 1:
            raise InputError(
                f"n_threads={n_threads!r}: it must be a whole number of at least 1, or None for all cores."
            )
        return int(n_threads)
    from joblib import cpu_count  # noqa: PLC0415 (joblib comes with scikit-learn and is not light)

    setting = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    limit = int(setting) if setting.isdigit() and int(setting) > 0 else None
    cores = int(cpu_count())
    return cores if limit is None else min(cores, limit)


def _rule(optimizer: Optimizer) -> tuple[str, tuple[float, float, float, float, float]]:
    """Return the native name and numbers of an optimizer: momentum, β₁, β₂, ε, decay."""
    if isinstance(optimizer, SGD):
        name = "nesterov" if optimizer.nesterov else "sgd"
        return name, (optimizer.momentum, 0.0, 0.0, 0.0, optimizer.weight_decay)
    if isinstance(optimizer, Adam):
        return "adam", (0.0, optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, optimizer.decay)
    raise InputError(f"The native engine has no {type(optimizer).__name__}; use engine='reference'.")


def native_likelihood(likelihood: Likelihood) -> tuple[str, bool, list[float]]:
    """Return the native name of a likelihood, whether its scale is free, and its numbers.

    "given" is the name for one that is written in Python.
    """
    if not is_built_in(likelihood):
        return "given", False, []
    name = "normal" if isinstance(likelihood, NormalWithVariance) else likelihood.name
    if isinstance(likelihood, Categorical):
        return name, False, [float(likelihood.label_smoothing), *(likelihood.class_weight or ())]
    if isinstance(likelihood, Quantile):
        return name, False, list(likelihood.levels)
    if not isinstance(likelihood, ScaledOutputs | Weibull):
        return name, False, []
    scale = likelihood.scale
    given = 0.0 if isinstance(scale, str) else likelihood.log_scale_of(scale)
    more = (getattr(likelihood, key, None) for key in ("degrees_of_freedom", "delta", "power"))
    numbers = [given, *(float(number) for number in more if number is not None)]
    return name, isinstance(scale, str), numbers


class NativeEngine:
    """The equations in C++ (the protocol is `chainrule.engine.Engine`).

    Parameters
    ----------
    architecture, likelihood
        What is computed.
    n_threads : int, optional
        Threads at most; None for the cores that the process may use. The bits are the same for any number.
    instruction_set : str, optional
        One of `supported_instruction_sets`; None for the one that `instruction_set` tells.
    """

    name: ClassVar[EngineName] = "native"

    def __init__(
        self,
        architecture: Architecture,
        likelihood: Likelihood,
        n_threads: int | None = None,
        instruction_set: str | None = None,
    ) -> None:
        self.n_threads = usable_threads(n_threads)
        self._forced_threads = n_threads is not None
        self._n_logits, self._n_parameters = architecture.n_logits, architecture.n_parameters
        self._architecture, self._likelihood = architecture, likelihood
        top = native_likelihood(likelihood)
        # A likelihood in Python splits a step: its losses and slopes come to the engine in the place of y.
        self._split = top[0] == "given"
        n_scales = architecture.n_scales
        n_columns = self._n_logits + n_scales + 1 if self._split else likelihood.n_columns
        module = native_module(instruction_set)
        layers = [
            (layer.n_inputs, layer.units, layer.activation, layer.bias, layer.dropout, layer.weight_start)
            for layer in architecture.dense
        ]
        self._engines = {
            np.dtype(np.float32): module.EngineFloat32(layers, top, n_scales, n_columns),
            np.dtype(np.float64): module.EngineFloat64(layers, top, n_scales, n_columns),
        }
        self._predictors = {
            np.dtype(np.float32): module.RowPredictorFloat32,
            np.dtype(np.float64): module.RowPredictorFloat64,
        }

    def forward(self, theta: Array, X: Table) -> Array:
        return self._forward(theta, X, None, 0)

    def _forward(self, theta: Array, X: Table, dropout_seed: int | None, step: int) -> Array:
        logits = np.empty((X.shape[0], self._n_logits), dtype=theta.dtype)
        engine, n_threads = self._engines[theta.dtype], self._threads(2 * X.shape[0])
        engine.forward(theta, _arrays(X), logits, dropout_seed, step, n_threads)
        return logits

    def _target(
        self,
        theta: Array,
        X: Table,
        y: NDArray[Any],
        offset: Array | None,
        dropout_seed: int | None = None,
        step: int = 0,
    ) -> Array:
        """Return y as the engine takes it: where the likelihood is in Python, its slopes and its losses."""
        if not self._split:
            return _like(theta, y)
        logits = self._forward(theta, X, dropout_seed, step)
        moved = logits if offset is None else logits + offset
        z = self._likelihood.extended(moved, self._architecture.scales(theta))
        losses, slopes = self._likelihood.loss_and_gradient(z, y)
        given = np.column_stack([slopes, losses])
        if given.shape != (X.shape[0], self._n_logits + self._architecture.n_scales + 1):
            raise InputError(
                f"loss_and_gradient of {self._likelihood!r} must return the losses ({X.shape[0]},) and the "
                f"derivatives {z.shape}, not {np.shape(losses)} and {np.shape(slopes)}."
            )
        return _like(theta, given)

    def loss(
        self,
        theta: Array,
        X: Table,
        y: NDArray[Any],
        sample_weight: Array | None,
        offset: Array | None = None,
    ) -> float:
        engine, target = self._engines[theta.dtype], self._target(theta, X, y, offset)
        n_threads = self._threads(2 * X.shape[0])
        return float(engine.loss(theta, _arrays(X), target, sample_weight, offset, n_threads))

    def predictor(self, theta: Array) -> RowPredictor:
        compute = self._predictors[theta.dtype](self._engines[theta.dtype], theta)
        logits = np.empty(self._n_logits, dtype=theta.dtype)
        mean_of, scales = self._likelihood.mean, self._architecture.scales(theta).copy()
        mean = logits[: self._likelihood.n_locations]

        def predict(row: Array) -> Array:
            compute(row, logits)
            return mean

        def predict_by_python(row: Array) -> Array:
            compute(row, logits)
            return mean_of(logits[None], scales)[0]

        in_python = self._split or isinstance(self._likelihood, Ordinal | Quantile | Weibull)
        return predict_by_python if in_python else predict

    def loss_and_gradient(
        self,
        theta: Array,
        X: Table,
        y: NDArray[Any],
        sample_weight: Array | None,
        penalty: Penalty,
        dropout_seed: int | None,
        input_gradient: Array | None = None,
        offset: Array | None = None,
    ) -> tuple[float, Array]:
        gradient = np.empty_like(theta)
        loss = self._engines[theta.dtype].loss_and_gradient(
            theta,
            _arrays(X),
            self._target(theta, X, y, offset, dropout_seed),
            sample_weight,
            offset,
            gradient,
            input_gradient,
            penalty.l2,
            penalty.biases,
            penalty.of_sum,
            dropout_seed,
            self._threads(6 * X.shape[0]),
        )
        return float(loss), gradient

    def run_steps(
        self,
        descent: Descent,
        X: Table,
        y: NDArray[Any],
        sample_weight: Array | None,
        order: NDArray[np.int64],
        batch_size: int,
        learning_rates: NDArray[np.float64],
        penalties: NDArray[np.float64] | None = None,
        offset: Array | None = None,
    ) -> NDArray[np.float64]:
        if self._split:
            end, losses = time.monotonic() + CALL_SECONDS, []
            for k, rate in enumerate(learning_rates):
                rows = order[k * batch_size : (k + 1) * batch_size]
                weight, moved = (None if part is None else part[rows] for part in (sample_weight, offset))
                batch = X[rows]
                key = (descent.dropout_seed, descent.step)
                target = self._target(descent.theta, batch, y[rows], moved, *key)
                place = None if penalties is None else penalties[k : k + 1]
                whole = np.arange(len(rows))
                losses += self._run_steps(
                    descent, batch, target, weight, whole, len(rows), np.array([rate]), place, moved
                ).tolist()
                if not np.isfinite(losses[-1]) or time.monotonic() > end:
                    break
            return np.array(losses)
        return self._run_steps(
            descent,
            X,
            _like(descent.theta, y),
            sample_weight,
            order,
            batch_size,
            learning_rates,
            penalties,
            offset,
        )

    def _run_steps(
        self,
        descent: Descent,
        X: Table,
        y: Array,
        sample_weight: Array | None,
        order: NDArray[np.int64],
        batch_size: int,
        learning_rates: NDArray[np.float64],
        penalties: NDArray[np.float64] | None,
        offset: Array | None,
    ) -> NDArray[np.float64]:
        theta, (first, *second) = descent.theta, descent.state
        rule, numbers = _rule(descent.optimizer)
        n_threads, n_steps = self._pace(descent, 6 * min(batch_size, len(order)), len(learning_rates))
        losses = np.empty(n_steps)
        begin = time.perf_counter()
        n_done = self._engines[theta.dtype].run_steps(
            theta=theta,
            first=first,
            second=second[0] if second else None,
            rule=rule,
            numbers=numbers,
            l2=descent.penalty.l2,
            l2_biases=descent.penalty.biases,
            l2_of_sum=descent.penalty.of_sum,
            clip_norm=np.inf if descent.clip_norm is None else descent.clip_norm,
            decay_biases=descent.decay_biases,
            dropout_seed=descent.dropout_seed,
            steps_done=descent.step,
            X=_arrays(X),
            y=y,
            weight=sample_weight,
            offset=offset,
            order=order[: n_steps * batch_size],
            batch_size=batch_size,
            learning_rates=learning_rates[:n_steps],
            losses=losses,
            penalties=penalties,
            seconds=CALL_SECONDS,
            n_threads=n_threads,
        )
        if descent.step > 0:  # the first call finds cold caches and makes the workspace
            end = time.perf_counter()
            taken = (end - begin) / n_done
            before = descent.pace.get(n_threads, Pace(taken, end)).seconds
            # a single slow call says little, so it counts by half; a quick one shows what can be had
            descent.pace[n_threads] = Pace(min(taken, math.sqrt(before * taken)), end)
        losses = losses[:n_done]
        descent.step += n_done - (not np.isfinite(losses[-1]))
        return losses

    def _pace(self, descent: Descent, flop_per_parameter: int, n_steps: int) -> tuple[int, int]:
        """Return how many threads take the next steps, and how many steps these are.

        Where several threads may pay, both ways are tried for a moment, and then the quicker one goes on
        until it is no longer that: with other work on the machine, one thread is. The bits are the same.
        """
        most = self._threads(flop_per_parameter)
        if most == 1:
            return most, n_steps
        now = time.perf_counter()
        for n in (most, 1):
            pace = descent.pace.get(n)
            if pace is None or now - pace.at > max(REMEMBERED_SECONDS, REMEMBERED_STEPS * pace.seconds):
                guess = flop_per_parameter * self._n_parameters / 5e10  # seconds a step; the order will do
                return n, min(n_steps, 1 + int(PROBE_SECONDS / guess))
        return min((most, 1), key=lambda n: descent.pace[n].seconds), n_steps

    def _threads(self, flop_per_parameter: int) -> int:
        """Return as many threads as the work may pay for; where a number was given, that one."""
        worth = 1 + flop_per_parameter * self._n_parameters // FLOP_PER_THREAD
        return self.n_threads if self._forced_threads else min(self.n_threads, worth)


def _arrays(X: Table) -> Any:
    """Return dense rows as they are, and of CSR the starts of the rows, the columns and the values."""
    if isinstance(X, np.ndarray):
        return X
    return X.indptr.astype(np.int64), X.indices.astype(np.int32, copy=False), X.data


def _like(theta: Array, y: NDArray[Any]) -> Array:
    """Return y C-contiguous in the dtype of θ; class numbers are exact in it up to 2^24."""
    return np.ascontiguousarray(y, dtype=theta.dtype)
