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
        The best epoch; 0 before the first. Of equal ones the earliest.
    value : float
        The monitored quantity there.
    theta : (n_parameters,)
        θ after it.
    """

    def __init__(self, theta: Array, greater_is_better: bool, patience: int | None, tolerance: float) -> None:
        self.theta = np.empty_like(theta)
        self.epoch = 0
        self.value = math.nan
        self._cost = math.inf  # the value with the sign by which less is better
        self._sign = -1.0 if greater_is_better else 1.0
        self._patience, self._tolerance, self._waited = patience, tolerance, 0

    def see(self, epoch: int, value: float, theta: Array) -> None:
        """Take in one epoch; NaN and the infinity on the bad side are never an improvement."""
        cost = self._sign * value
        self._waited = 0 if cost < self._cost - self._tolerance else self._waited + 1
        if cost < self._cost:
            np.copyto(self.theta, theta)
            self.epoch, self.value, self._cost = epoch, value, cost

    @property
    def patience_is_over(self) -> bool:
        """Whether the last ``patience`` epochs brought no improvement."""
        return self._patience is not None and self._waited >= self._patience
