"""Which mixture of models does best on rows that none of them has seen."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

MOST_PICKS = 25  # a weight is then a multiple of 4% at the finest: more would fit the noise of the rows


def greedy_counts(
    cost: Callable[[Array], float], outputs: Sequence[Array], n_picks: int = MOST_PICKS
) -> list[int]:
    """Return how often each model is picked, so that the mean of what was picked has a low cost.

    From nothing on, each pick is the model that makes the mean cheapest; a model may be picked again. Of
    all these means the cheapest counts, of equal ones the earliest.

    Parameters
    ----------
    cost : callable
        From the mean of outputs to a number, less is better; NaN is worse than any.
    outputs : sequence of (n_rows, n_outputs)
        Of each model, for the same rows.
    n_picks : int, default 25
        How many picks there are at most.

    References
    ----------
    Caruana, Niculescu-Mizil, Crew and Ksikes (2004), Ensemble Selection from Libraries of Models.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.estimators.greedy import greedy_counts
    >>> models = [np.array([[0.0]]), np.array([[3.0]]), np.array([[9.0]])]
    >>> greedy_counts(lambda mean: abs(mean[0, 0] - 1), models)  # (0 + 0 + 3) / 3
    [2, 1, 0]
    """
    counts = best = [0] * len(outputs)
    total, lowest = np.zeros_like(outputs[0], dtype=np.float64), math.inf
    for n in range(1, n_picks + 1):
        costs = [cost((total + output) / n) for output in outputs]
        pick = int(np.argmin([math.inf if math.isnan(c) else c for c in costs]))
        total += outputs[pick]
        counts = [count + (k == pick) for k, count in enumerate(counts)]
        if costs[pick] < lowest:
            best, lowest = counts, costs[pick]
    return best if any(best) else [1] * len(outputs)
