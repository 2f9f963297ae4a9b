"""How MLPClassifier and MLPRegressor descend: SGD and Adam epoch by epoch, L-BFGS on all rows.

The orders of the rows, the penalty of a batch and the rules for slowing down and stopping are those of
scikit-learn 1.9, so that the same seed takes the same course there and here.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from chainrule.engine import Descent
from chainrule.errors import DivergenceError, InputError
from chainrule.estimators.base import NetworkEstimator
from chainrule.estimators.mlp_theta import writeable
from chainrule.estimators.mlp_watch import LossReport, Validation, Watch
from chainrule.optimization import SGD, AdamW, Optimizer, Penalty, Schedule
from chainrule.training import History
from chainrule.training.batches import Data, batch_totals
from chainrule.training.divergence import divergence
from chainrule.training.progress import make_progress
from chainrule.training.whole_data import blas

Array = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]

SMALLEST_RATE = 1e-6  # below it learning_rate="adaptive" stops instead of slowing down
STOCHASTIC = ("sgd", "adam")
ROWS_A_CALL = 100_000  # orders that are drawn ahead take memory


@dataclass(frozen=True)
class Pace:
    """How η changes; like the optimizer it is what it was where the descent began.

    Parameters
    ----------
    rule : {"constant", "invscaling", "adaptive"}
        The rule; "constant" for Adam.
    first : float
        η at the start.
    power : float
        The exponent of "invscaling".
    """

    rule: str
    first: float
    power: float

    def after(self, n_rows_seen: int) -> float:
        """Return η of "invscaling" after so many rows."""
        return self.first / (n_rows_seen + 1) ** self.power


class Solvers(NetworkEstimator):
    """The descent, and the record of its epochs."""

    # What a fit leaves behind beside θ.
    _record: ClassVar[tuple[str, ...]] = (
        "loss_",
        "best_loss_",
        "loss_curve_",
        "validation_loss_curve_",
        "validation_scores_",
        "best_validation_score_",
    )
    _metric: ClassVar[str]  # the score of early stopping

    loss: Any
    solver: str
    alpha: float
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    tol: float
    verbose: bool | int
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    weight_decay: float
    schedule: Schedule | None
    clip_norm: float | None
    callbacks: Any
    progress: bool

    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None
    _no_improvement_count = 0  # epochs in a row; a model file does not keep them

    # ── The record ──

    def _watch(self, data: Data, validation: Validation | None, n_rows: int, n_epochs: int) -> Watch:
        """Begin the parts of the record that are not there yet: a fit that goes on goes on with them."""
        if "loss_curve_" not in vars(self):
            self.loss_curve_, self._no_improvement_count = [], 0
            self.validation_scores_ = self.validation_loss_curve_ = self.best_validation_score_ = None
            self.best_loss_ = np.inf
        by_score = self.early_stopping and self.solver in STOCHASTIC
        if by_score != (self.best_loss_ is None):
            self.best_loss_, self._no_improvement_count = None if by_score else np.inf, 0
        engine = self.network_.engine(self._engine, self.n_threads)
        report = LossReport.of(self.loss, self.network_.n_logits)
        look = None
        if validation is not None:
            if self.validation_scores_ is None:
                self.validation_scores_, self.validation_loss_curve_ = [], []
                self.best_validation_score_ = -np.inf
            look = validation.watch(self, engine, report)
        progress = make_progress(int(self.progress), n_epochs, n_rows)
        return Watch(data, engine, report, look, progress, History(engine.name, engine.n_threads, "loss"))

    def _record_epoch(self, watch: Watch, learning_rate: float | None) -> bool:
        """Record an epoch, whose loss is ``loss_``; return whether a callback ends the training."""
        self.loss_curve_.append(self.loss_)
        loss, score = (None, None) if watch.look is None else watch.look()
        if loss is not None and score is not None:
            self.validation_loss_curve_.append(loss)  # type: ignore[union-attr]  # _watch made it
            self.validation_scores_.append(score)  # type: ignore[union-attr]  # the same
            if self.verbose:
                print(f"Validation score: {score:f}")
        return bool(self.callbacks or self.progress) and watch.record(self, learning_rate, loss, score)

    # ── L-BFGS ──

    def _minimize(self, data: Data, validation: Validation | None) -> None:
        """L-BFGS on all rows."""
        from scipy.optimize import OptimizeResult, minimize  # noqa: PLC0415 (not light; "adam" needs none of it)

        watch = self._watch(data, validation, len(data.y), self.max_iter)
        dtype, penalty = self.theta_.dtype, Penalty(self.alpha, of_sum=True)
        total = len(data.y) if data.weight is None else float(data.weight.sum(dtype=np.float64))
        self.n_iter_ = 0

        def loss_and_gradient(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            point = theta.astype(dtype, copy=False)
            loss, gradient = watch.engine.loss_and_gradient(
                point, data.X, data.y, data.weight, penalty, None, offset=data.offset
            )
            return loss, gradient.astype(np.float64, copy=False)

        def keep(result: OptimizeResult) -> None:
            self.theta_[...] = result.x
            added = 0.0
            if watch.report.share != 1:  # else the penalty is reported as it is in the loss
                added, _ = penalty.value_and_gradient(self.network_.architecture, self.theta_, total)
            self.loss_ = watch.report.whole(float(result.fun), added, data)

        def iteration_done(intermediate_result: OptimizeResult) -> None:  # SciPy goes by the name
            keep(intermediate_result)
            self.n_iter_ += 1
            stops = self._record_epoch(watch, None)
            self._compare()
            if stops:
                raise StopIteration

        # SciPy's sums in one order, whatever the machine
        with blas().limit(limits=1, user_api="blas"), watch.progress:
            result = minimize(
                loss_and_gradient,
                self.theta_.astype(np.float64),
                jac=True,
                method="L-BFGS-B",
                callback=iteration_done,
                options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
            )
            watch.progress.ended(watch.history)
        if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
            raise divergence(result.fun, "in L-BFGS", data, self.network_.likelihood, None)
        keep(result)
        self.n_iter_ = min(int(result.nit), self.max_iter)
        if self.verbose:
            print(f"L-BFGS: {self.n_iter_} iterations, loss = {self.loss_:.8f}")
        if result.status not in {0, STOPPED_BY_CALLBACK}:
            warnings.warn(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s) (status={result.status}):\n"
                f"{result.message}\n"
                "Raise max_iter or max_fun, scale the columns of X, or give a larger tol.",
                ConvergenceWarning,
                stacklevel=4,
            )

    # ── SGD and Adam ──

    def _descend(
        self,
        data: Data,
        rows: Rows,
        validation: Validation | None,
        rng: np.random.RandomState,
        incremental: bool,
    ) -> None:
        """SGD or Adam, epoch by epoch, with scikit-learn's rules for slowing down and stopping."""
        batch_size = self._rows_per_batch(len(rows))
        n_epochs = 1 if incremental else self.max_iter
        watch = self._watch(data, validation, len(rows), n_epochs)
        self._start_descent(rng, goes_on=incremental)
        best = self.theta_.copy() if self.early_stopping else None
        try:
            with watch.progress, np.errstate(over="ignore", invalid="ignore"):  # it shows in the loss
                over = False
                while not over and self.n_iter_ < n_epochs:
                    orders = np.tile(rows, (self._epochs_ahead(watch, len(rows), n_epochs), 1))
                    for order in orders if self.shuffle else ():
                        order[:] = rows
                        rng.shuffle(order)  # as sklearn.utils.shuffle does, without its checks each time
                        rows = order
                    over = self._epochs(watch, orders, batch_size, best)
                if not over and not incremental:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                        "optimization hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
                watch.progress.ended(watch.history)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        if best is not None:
            self.theta_[...] = best

    def _rows_per_batch(self, n_rows: int) -> int:
        if isinstance(self.batch_size, str):  # "auto"
            return min(200, n_rows)
        if self.batch_size > n_rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
                f"{self.batch_size} to the {n_rows} rows that there are.",
                stacklevel=5,
            )
        return int(min(self.batch_size, n_rows))

    def _start_descent(self, rng: np.random.RandomState, *, goes_on: bool) -> None:
        self.n_iter_ = 0
        if not (goes_on and "_descent" in vars(self)):
            has_dropout = any(layer.dropout for layer in self.network_.architecture.dense)
            seed = rng.randint(2**31 - 1) if has_dropout else 0  # else no number is drawn, as in scikit-learn
            rule = self.learning_rate if self.solver == "sgd" else "constant"
            self._pace = Pace(rule, float(self.learning_rate_init), float(self.power_t))
            self._rate = self._pace.first
            self._descent = Descent(self.theta_, self._optimizer(), dropout_seed=int(seed))
        self._descent.theta, self._descent.clip_norm = self.theta_, self.clip_norm
        self._descent.state = tuple(map(writeable, self._descent.state))
        self._descent.penalty = Penalty(self.alpha, of_sum=True)

    def _optimizer(self) -> Optimizer:
        if self.solver == "sgd":
            return SGD(self.learning_rate_init, self.momentum, self.nesterovs_momentum, self.weight_decay)
        return AdamW(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon, self.weight_decay)

    def _epochs_ahead(self, watch: Watch, n_rows: int, n_epochs: int) -> int:
        """Return how many epochs may go by before anything here looks at the model or changes the course.

        The training loss ends a fit, or makes it slower, when it has not improved often enough in a row. So
        many epochs come for certain, and the engine takes them in one call.
        """
        if watch.look is not None or self.callbacks or self.progress:
            return 1
        if watch.data.weight is not None and not watch.data.weight.all():
            return 1  # batches in which no row counts are left out, so epochs differ in their steps
        certain = self.n_iter_no_change + 1 - self._no_improvement_count
        return int(max(1, min(certain, n_epochs - self.n_iter_, ROWS_A_CALL // n_rows)))

    def _epochs(self, watch: Watch, orders: Rows, batch_size: int, best: Array | None) -> bool:
        """Go through the rows in these orders, taking stock of each epoch; return whether it was the last."""
        over = False
        try:
            for loss, rate in self._steps(watch, orders, batch_size):
                self.loss_ = loss
                over = self._take_stock(watch, rate, orders.shape[1], best)
        except DivergenceError as error:
            if best is None or self.best_validation_score_ == -np.inf:
                raise
            self._give_up(error)
            return True
        return over

    def _take_stock(self, watch: Watch, rate: float, n_rows: int, best: Array | None) -> bool:
        """Record an epoch, whose loss is ``loss_``; return whether it was the last."""
        self.n_iter_ += 1
        self.t_ += n_rows
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
        ended = self._record_epoch(watch, rate)
        if self._compare() and best is not None:
            np.copyto(best, self.theta_)
        return self._is_over() or ended

    def _give_up(self, error: DivergenceError) -> None:
        """Record an epoch that diverged where there is a θ from before it to go back to."""
        self.n_iter_ += 1
        self.loss_ = np.nan
        for curve in (self.loss_curve_, self.validation_loss_curve_, self.validation_scores_):
            curve.append(np.nan)  # type: ignore[union-attr]  # with early stopping there are all three
        warnings.warn(
            f"{error} The parameters kept are those of the best epoch before, whose score was "
            f"{self.best_validation_score_:.6g}.",
            ConvergenceWarning,
            stacklevel=6,
        )

    def _steps(self, watch: Watch, orders: Rows, batch_size: int) -> Iterator[tuple[float, float]]:
        """Take the steps of these epochs, in as many calls as the engine wants.

        Yields the loss of each epoch, and η at its end.
        """
        data, n_rows = watch.data, orders.shape[1]
        if data.weight is not None and len(orders) == 1:
            totals = batch_totals(data.weight, orders[0], batch_size)
            if not totals.all():  # a batch in which no row counts is no step
                orders = orders[:, np.repeat(totals > 0, batch_size)[:n_rows]]
        n_epochs, n_steps = len(orders), -(-orders.shape[1] // batch_size)
        rates = self._rates(n_epochs, n_rows, n_steps)
        losses, penalties = np.empty_like(rates), np.empty_like(rates)
        done = told = 0
        while done < len(rates):
            taken = watch.engine.run_steps(
                self._descent,
                data.X,
                data.y,
                data.weight,
                orders,
                batch_size,
                rates[done:],
                penalties=penalties[done:],
                offset=data.offset,
                first_batch=done,
            )
            losses[done : done + len(taken)] = taken
            done += len(taken)
            diverged = not np.isfinite(taken[-1])
            whole = slice(told, (done - diverged) // n_steps)
            of_steps, of_penalties = (part.reshape(n_epochs, n_steps)[whole] for part in (losses, penalties))
            reported = watch.report.epochs(of_steps, of_penalties, data, orders[whole], batch_size) / n_rows
            yield from zip(reported.tolist(), rates[n_steps - 1 :: n_steps][whole].tolist(), strict=True)
            told = whole.stop
            if diverged:
                when = f"in epoch {self.n_iter_ + 1}"
                raise divergence(taken[-1], when, data, self.network_.likelihood, rates[done - 1])

    def _rates(self, n_epochs: int, n_rows: int, n_steps: int) -> NDArray[np.float64]:
        """Return η of each step of the next epochs."""
        rates = np.full(n_epochs * n_steps, self._rate)
        if self._pace.rule == "invscaling":
            later = [self._pace.after(self.t_ + n_rows * k) for k in range(1, n_epochs)]
            rates = np.repeat([self._rate, *later], n_steps)
        if self.schedule is not None:
            first, last = self.n_iter_ * n_steps, (self.n_iter_ + n_epochs) * n_steps
            rates *= self.schedule.factors(first, last, self.max_iter * n_steps)
        return rates

    def _compare(self) -> bool:
        """Count the epochs in a row without an improvement by tol; return whether the score is the best."""
        improved = is_best = False
        if self.validation_scores_ and self.best_validation_score_ is not None:
            score, before = self.validation_scores_[-1], self.best_validation_score_
            improved, is_best = not score < before + self.tol, score > before
            self.best_validation_score_ = score if is_best else before
        if self.best_loss_ is not None:  # it is the training loss that decides
            improved = not self.loss_ > self.best_loss_ - self.tol
            self.best_loss_ = min(self.best_loss_, self.loss_)
        self._no_improvement_count = 0 if improved else self._no_improvement_count + 1
        return is_best

    def _is_over(self) -> bool:
        """Set the next epoch's learning rate; return whether there is none."""
        if self._pace.rule == "invscaling":
            self._rate = self._pace.after(self.t_)
        if self._no_improvement_count <= self.n_iter_no_change:
            return False
        what = "Validation score" if self.early_stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
            "consecutive epochs."
        )
        over, then = True, "Stopping."
        if self._pace.rule == "adaptive":
            over = self._rate <= SMALLEST_RATE
            if over:
                then = "Learning rate too small. Stopping."
            else:
                self._rate /= 5.0
                self._no_improvement_count = 0
                then = f"Setting learning rate to {self._rate:f}"
        if self.verbose:
            print(f"{message} {then}")
        return over

    def _check_settings(self, incremental: bool) -> None:
        """Raise InputError for settings that contradict each other, or that the descent would stumble on."""
        if not all(map(callable, self.callbacks or ())):
            raise InputError(f"callbacks={self.callbacks!r}: each must be callable, with an EpochReport.")
        if isinstance(self.scoring, str) and self.scoring != "loss":
            from sklearn.metrics import get_scorer_names  # noqa: PLC0415 (not light, and rarely asked for)

            if self.scoring not in get_scorer_names():
                raise InputError(
                    f"scoring={self.scoring!r} is unknown: give None, 'loss', a name of "
                    "sklearn.metrics.get_scorer_names(), or a scorer of your own."
                )
        if incremental and self.early_stopping:
            raise InputError(
                "partial_fit does not support early_stopping=True: one pass has no validation rows."
            )
        if incremental and self.schedule is not None:
            raise InputError(
                f"schedule={self.schedule!r} is for fit, which knows how many steps there are: "
                "with partial_fit set learning_rate_init, or schedule=None."
            )
        if self.solver == "lbfgs":
            for name, off in (("weight_decay", 0), ("schedule", None), ("clip_norm", None)):
                if getattr(self, name) != off:
                    raise InputError(
                        f"{name}={getattr(self, name)!r} is for solver='sgd' and 'adam': L-BFGS chooses "
                        f"its own steps. Set {name}={off}."
                    )
        elif self.schedule is not None and self.solver == "sgd" and self.learning_rate != "constant":
            raise InputError(
                f"schedule={self.schedule!r} and learning_rate={self.learning_rate!r} both move the "
                "learning rate: set one of them."
            )


STOPPED_BY_CALLBACK = 99  # SciPy's status after StopIteration
