"""L-BFGS: each step looks at all the rows."""

import math
import sys
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from chainrule.optimization import LBFGS
from chainrule.training.history import StoppedBy
from chainrule.training.run import Run

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Point = NDArray[np.float64]


@cache
def blas() -> ThreadpoolController:
    """Return what holds SciPy's BLAS to one thread; to look for the library takes longer than a small fit."""
    return ThreadpoolController()


def descend_by_lbfgs(run: Run, optimizer: LBFGS) -> StoppedBy:
    """Go down by SciPy's L-BFGS from ``run.theta``, which is changed, and return why it ended.

    SciPy works in float64; the engine in the dtype of θ. SciPy's BLAS is held to one thread: with more,
    the sums have another order on another machine, and so other last bits.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 (heavy; before blas(), which looks at what is loaded)

    descent = _Descent(run)
    with blas().limit(limits=1, user_api="blas"):
        found = minimize(
            descent.loss_and_gradient,
            run.theta.astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            callback=descent.iteration_done,
            options={
                "maxiter": optimizer.max_iterations,
                "maxcor": optimizer.memory,
                "gtol": optimizer.tolerance,
                "ftol": float(np.finfo(run.theta.dtype).eps),  # a smaller gain is rounding
                "maxfun": sys.maxsize,
            },
        )
    if descent.stopped_by is not None:
        return descent.stopped_by
    return "epochs" if found.nit >= optimizer.max_iterations and not found.success else "converged"


class _Descent:
    """What SciPy calls: the loss and its gradient at a point, and the end of an iteration."""

    def __init__(self, run: Run) -> None:
        self.stopped_by: StoppedBy | None = None
        self._run = run
        self._here: tuple[Point, float, Point] | None = None  # the last iterate, its loss and gradient
        self._tried: tuple[Point, float, Point]  # the last point that was looked at

    def loss_and_gradient(self, point: Point) -> tuple[float, Point]:
        run = self._run
        theta = point.astype(run.theta.dtype)
        X, y, weight, offset = run.data
        penalty = run.settings.penalty
        loss, slope = run.engine.loss_and_gradient(theta, X, y, weight, penalty, None, offset=offset)
        gradient = slope.astype(np.float64)
        if not (math.isfinite(loss) and np.isfinite(gradient).all()):
            if self._here is None:
                raise run.diverged(loss, "at the start", None)
            # The step overflows. The line search cannot do with infinity: it gets the parabola along the
            # step that has the true slope here and its minimum a tenth of the way out.
            here, loss_here, gradient_here = self._here
            loss, gradient = loss_here - 4 * float(gradient_here @ (point - here)), -9 * gradient_here
        self._tried = point.copy(), loss, gradient
        if self._here is None:
            self._here = self._tried
        return loss, gradient

    def iteration_done(self, intermediate_result: "OptimizeResult") -> None:  # noqa: ARG002 (SciPy goes by the name)
        self._here = self._tried  # the line search ends at the point that it has looked at last
        run = self._run
        run.theta[...] = self._here[0]
        run.history.n_steps += 1
        self.stopped_by = run.end_of_epoch(self._here[1], None)
        run.progress.moved(len(run.history.epochs))
        if self.stopped_by is not None:
            raise StopIteration
