"""Over how many steps a schedule is drawn where the time is limited."""

import math
import time

import numpy as np

from chainrule.engine import Descent
from chainrule.optimization import Constant, Optimizer
from chainrule.training.batches import epoch_order
from chainrule.training.run import Run

SHARE_OF_TIME = 0.9  # of the time that is left is planned for: on a busy machine steps get slower
SHARE_TO_MEASURE = 0.02  # of it is about what measuring takes


def planned_steps(run: Run, optimizer: Optimizer, n_steps: int) -> int:
    """Return how many steps the schedule goes over: those of all epochs, or fewer where time is short.

    A training that the clock ends in the middle of its schedule ends at a high learning rate; one whose
    schedule was drawn over the steps that there is time for is better (`Training.planned_steps`).

    Parameters
    ----------
    run : Run
        The training, at its start.
    optimizer : Optimizer
        Its optimizer.
    n_steps : int
        The steps of one epoch.
    """
    settings, whole = run.settings, run.settings.epochs * n_steps
    if settings.planned_steps is not None:
        return min(settings.planned_steps, whole)
    limit = run.seconds_left
    if limit is None or isinstance(settings.schedule, Constant):
        return whole
    begin = time.monotonic()
    run.look()
    look = time.monotonic() - begin
    step = _seconds_of_a_step(run, optimizer, n_steps, SHARE_TO_MEASURE * limit)
    left = limit - (time.monotonic() - begin)
    fitting = (SHARE_OF_TIME * left - look) / (step + look / n_steps)
    return min(max(math.floor(fitting), 1), whole)


def _seconds_of_a_step(run: Run, optimizer: Optimizer, n_steps: int, seconds: float) -> float:
    """Take steps of length 0 for so many seconds, each time twice as many, and return what one took."""
    settings, (X, y, weight, offset) = run.settings, run.data
    descent = Descent(
        run.theta.copy(), optimizer, settings.penalty, settings.clip_norm, dropout_seed=settings.seed
    )
    order = epoch_order(len(X), settings.seed, 0)
    begin, n = time.monotonic(), 1
    while True:
        start, rows = time.monotonic(), order[: n * settings.batch_size]
        taken = run.engine.run_steps(
            descent, X, y, weight, rows, settings.batch_size, np.zeros(n), offset=offset
        )
        now = time.monotonic()
        if now - begin >= seconds or n >= n_steps:
            return max(now - start, 1e-9) / len(taken)
        n = min(2 * n, n_steps)
