"""The best epoch so far, its θ, and when patience is at its end."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


class Best:
    """Looks at the monitored quantity after each epoch.

    Parameters
    ----------
    theta : (n_parameters,)
        θ as it will be; a copy of the best one is kept in memory that is set aside once.
    greater_is_better : bool
        The direction of the monitored quantity.
    patience : int or None
        Epochs in a row without an improvement; None for any number.
    tolerance : float
        What a value must be better by, than the best before it, to count as an improvement.

    Attributes
    ----------
    epoch : int
        The best epoch; 0 before the first. Of equal ones the one with the least loss, of these the
        earliest: a share of errors takes few values, and the loss still tells epochs apart.
    value : float
        The monitored quantity there.
    theta : (n_parameters,)
        θ after it.
    """

    def __init__(self, theta: Array, greater_is_better: bool, patience: int | None, tolerance: float) -> None:
        self.theta = np.empty_like(theta)
        self.epoch = 0
        self.value = math.nan
        # the value with the sign by which less is better, and the loss
        self._cost = (math.inf, math.inf)
        self._sign = -1.0 if greater_is_better else 1.0
        self._patience, self._tolerance, self._waited = patience, tolerance, 0

    def see(self, epoch: int, value: float, loss: float, theta: Array) -> None:
        """Take in one epoch; NaN and the infinity on the bad side are never an improvement."""
        cost = self._sign * value
        best, loss_there = self._cost
        tied = cost == best < math.inf
        better = cost < best - self._tolerance or (tied and loss < loss_there - self._tolerance)
        self._waited = 0 if better else self._waited + 1
        if cost < best or (tied and loss < loss_there):
            np.copyto(self.theta, theta)
            self.epoch, self.value, self._cost = epoch, value, (cost, loss)

    @property
    def patience_is_over(self) -> bool:
        """Whether the last ``patience`` epochs brought no improvement."""
        return self._patience is not None and self._waited >= self._patience
