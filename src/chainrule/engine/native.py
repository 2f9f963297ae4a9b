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
from chainrule.engine.protocol import (
    CALL_SECONDS,
    Array,
    Descent,
    EngineName,
    Pace,
    RowPredictor,
    Table,
)
from chainrule.errors import InputError
from chainrule.likelihoods import (
    Bernoulli,
    Categorical,
    Likelihood,
    NormalWithVariance,
    Ordinal,
    Quantile,
    Tweedie,
    Weibull,
    is_built_in,
)
from chainrule.likelihoods.poisson_gamma import log_weights
from chainrule.likelihoods.scaled import ScaledOutputs
from chainrule.optimization import SGD, Adam, Optimizer, Penalty

# A thread more is started for each so many multiplications and additions of a call, and of each of its steps:
# below it, starting threads (some 50 µs), or waiting for one another, takes longer than the work.
FLOP_OF_A_CALL, FLOP_OF_A_STEP = 10_000_000, 300_000
# Whether several threads pay for the steps of a fit is measured: this long with all, this long with one. The
# first has the start of the threads in it, which must not decide, and is no loss where they pay.
PROBE_SECONDS, PROBE_SECONDS_OF_ONE = 0.01, 0.002
# The steps before, which do not count: in them the workspace is made and the caches are filled.
WARM_UP_SECONDS = 0.0005
# More threads than this win nothing on any machine, and 10⁶ of them end the process.
MOST_THREADS = 512
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

    No more than 512 are begun. Without ``n_threads``: OMP_NUM_THREADS where it is set (joblib sets it in its
    workers), else the cores left by affinity and cgroup quota.
    """
    if n_threads is not None:
        if not isinstance(n_threads, int | np.integer) or isinstance(n_threads, bool) or n_threads < 1:
            raise InputError(
                f"n_threads={n_threads!r}: it must be a whole number of at least 1, or None for all cores."
            )
        return min(int(n_threads), MOST_THREADS)
    setting = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    limit = int(setting) if setting.isdigit() and int(setting) > 0 else None
    affinity = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cores = _cores(affinity, os.environ.get("LOKY_MAX_CPU_COUNT"))
    return cores if limit is None else min(cores, limit)


@cache
def _cores(affinity: frozenset[int] | None, joblib_limit: str | None) -> int:  # noqa: ARG001 (what the number depends on)
    """Return how many cores joblib counts: once, for to read the quota takes long beside a small fit."""
    from joblib import cpu_count  # noqa: PLC0415 (joblib comes with scikit-learn and is not light)

    return int(cpu_count())


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
    if isinstance(likelihood, Bernoulli):
        return name, False, [0.0, float(likelihood.label_smoothing)]
    if isinstance(likelihood, Quantile):
        return name, False, list(likelihood.levels)
    if not isinstance(likelihood, ScaledOutputs | Weibull):
        return name, False, []
    scale = likelihood.scale
    given = 0.0 if isinstance(scale, str) else likelihood.log_scale_of(scale)
    more = (getattr(likelihood, key, None) for key in ("degrees_of_freedom", "delta", "power"))
    numbers = [given, *(float(number) for number in more if number is not None)]
    if isinstance(likelihood, Tweedie) and isinstance(scale, str):
        numbers += log_weights(float(likelihood.power)).tolist()
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
        self._module = native_module(instruction_set)
        top, n_scales = native_likelihood(likelihood), architecture.n_scales
        # of a likelihood in Python the engine gets the slopes and the losses in the place of y
        n_columns = likelihood.n_columns if top[0] != "given" else self._n_logits + n_scales + 1
        layers = [
            (layer.n_inputs, layer.units, layer.activation, layer.bias, layer.dropout, layer.weight_start)
            for layer in architecture.dense
        ]
        self._n_columns, self._chunk_rows = n_columns, int(self._module.chunk_rows)
        self._engines = {
            dtype: self._kind("Engine", dtype)(layers, top, n_scales, n_columns, architecture.scale_rate)
            for dtype in (np.dtype(np.float32), np.dtype(np.float64))
        }

    def _kind(self, name: str, dtype: np.dtype[Any]) -> Any:
        """Return the native class of that name for a dtype."""
        return getattr(self._module, name + dtype.name.capitalize())

    def forward(self, theta: Array, X: Table) -> Array:
        logits = np.empty((X.shape[0], self._n_logits), dtype=theta.dtype)
        engine, n_threads = self._engines[theta.dtype], self._threads(2 * X.shape[0])
        engine.forward(theta, arrays_of(X), logits, n_threads)
        return logits

    def loss(
        self,
        theta: Array,
        X: Table,
        y: NDArray[Any],
        sample_weight: Array | None,
        offset: Array | None = None,
        logits: Array | None = None,
    ) -> float:
        engine, n_threads = self._engines[theta.dtype], self._threads(2 * X.shape[0])
        data = (arrays_of(X), like(theta, y), sample_weight, offset)
        return float(engine.loss(theta, *data, logits, n_threads))

    def predictor(self, theta: Array) -> RowPredictor:
        compute = self._kind("RowPredictor", theta.dtype)(self._engines[theta.dtype], theta)
        logits = np.empty(self._n_logits, dtype=theta.dtype)
        mean_of, scales = self._likelihood.mean, self._architecture.scales(theta).copy()
        mean = logits[: self._likelihood.n_locations]

        def predict(row: Array) -> Array:
            compute(row, logits)
            return mean

        def predict_by_python(row: Array) -> Array:
            compute(row, logits)
            return mean_of(logits[None], scales)[0]

        is_native = is_built_in(self._likelihood) and not isinstance(
            self._likelihood, Ordinal | Quantile | Weibull
        )
        return predict if is_native else predict_by_python

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
            arrays_of(X),
            like(theta, y),
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
        first_batch: int = 0,
    ) -> NDArray[np.float64]:
        n_threads, n_steps = self._pace(descent, 6 * min(batch_size, order.shape[-1]), len(learning_rates))
        losses = np.empty(n_steps)
        begin = time.perf_counter()
        n_done = self._engines[descent.theta.dtype].run_steps(
            descent=self._native_descent(descent),
            X=arrays_of(X),
            y=like(descent.theta, y),
            weight=sample_weight,
            offset=offset,
            order=order,
            batch_size=batch_size,
            first_batch=first_batch,
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

    def _native_descent(self, descent: Descent) -> Any:
        """Return a descent as C++ knows it; its arrays are those of the descent."""
        (first, *second), (rule, numbers) = descent.state, _rule(descent.optimizer)
        return self._kind("Descent", descent.theta.dtype)(
            theta=descent.theta,
            first=first,
            second=second[0] if second else None,
            rule=rule,
            numbers=numbers,
            penalty=(descent.penalty.l2, descent.penalty.biases, descent.penalty.of_sum),
            clip_norm=np.inf if descent.clip_norm is None else descent.clip_norm,
            decay_biases=descent.decay_biases,
            dropout_seed=descent.dropout_seed,
            steps_done=descent.step,
        )

    def _pace(self, descent: Descent, flop_per_parameter: int, n_steps: int) -> tuple[int, int]:
        """Return how many threads take the next steps, and how many steps these are.

        Where several threads may pay, both ways are tried for a moment, and then the quicker one goes on
        until it is no longer that: with other work on the machine, one thread is. The bits are the same.
        """
        most = min(
            self._threads(flop_per_parameter * n_steps), self._threads(flop_per_parameter, FLOP_OF_A_STEP)
        )
        if most == 1:
            return most, n_steps
        now = time.perf_counter()
        for n in (most, 1):
            pace = descent.pace.get(n)
            if pace is None or now - pace.at > max(REMEMBERED_SECONDS, REMEMBERED_STEPS * pace.seconds):
                guess = flop_per_parameter * self._n_parameters / 5e10  # seconds a step; the order will do
                probe = PROBE_SECONDS_OF_ONE if n == 1 else PROBE_SECONDS
                seconds = probe if descent.step > 0 else WARM_UP_SECONDS
                return n, min(n_steps, 1 + int(seconds / guess))
        return min((most, 1), key=lambda n: descent.pace[n].seconds), n_steps

    def _threads(self, flop_per_parameter: int, flop_of_a_thread: int = FLOP_OF_A_CALL) -> int:
        """Return as many threads as the work may pay for; where a number was given, that one."""
        worth = 1 + flop_per_parameter * self._n_parameters // flop_of_a_thread
        return self.n_threads if self._forced_threads else min(self.n_threads, worth)


def arrays_of(X: Table) -> Any:
    """Return dense rows as they are, and of CSR the starts of the rows, the columns and the values."""
    if isinstance(X, np.ndarray):
        return X
    return X.indptr.astype(np.int64), X.indices.astype(np.int32, copy=False), X.data


def like(theta: Array, y: NDArray[Any]) -> Array:
    """Return y C-contiguous in the dtype of θ; class numbers are exact in it up to 2^24."""
    return np.ascontiguousarray(y, dtype=theta.dtype)
