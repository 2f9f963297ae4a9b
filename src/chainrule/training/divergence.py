"""What to say when the loss stops being finite: the likely cause, and what to change."""

import numpy as np

from chainrule.errors import DivergenceError
from chainrule.likelihoods import Likelihood
from chainrule.training.batches import Array, Data

# Scaled columns have a standard deviation near 1; beyond these, scaling is the first thing to try.
_LARGE_INPUT = 100.0
_LARGE_TARGET = 1000.0


def divergence(
    loss: float, when: str, data: Data, likelihood: Likelihood, learning_rate: float | None
) -> DivergenceError:
    """Return the error for a loss that is not finite.

    Parameters
    ----------
    loss : float
        The loss as it was found.
    when : str
        Where in the training that was.
    data : Data
        The training rows.
    likelihood : Likelihood
        What is between the logits and y.
    learning_rate : float or None
        η there; None with L-BFGS, which has none.
    """
    x_largest, x_column = _largest(data.X)
    y_largest, y_column = _largest(data.y)
    dtype = data.X.dtype  # and so of θ
    causes = []
    if x_largest > _LARGE_INPUT:
        causes.append("the inputs are not scaled: bring each column of X to mean 0 and standard deviation 1")
    if y_largest > _LARGE_TARGET and likelihood.link == "identity":
        causes.append("the target is not scaled: divide it by its standard deviation")
    if learning_rate is not None:
        causes.append(
            f"the learning rate {learning_rate:.3g} is too high: try {learning_rate / 10:.3g}, "
            "a WarmUp schedule or clip_norm=1.0"
        )
    if likelihood.link == "log":
        limit = np.log(np.finfo(dtype).max)
        causes.append(
            f"e^s overflows above a logit of {limit:.0f} in {dtype}: scale the inputs, add a penalty"
        )
    if dtype == np.float32:
        causes.append(
            "numbers above 3.4e38 overflow in float32: use float64 for theta and X if they are needed"
        )
    return DivergenceError(
        f"The loss is {loss} {when}; no parameters are returned. "
        f"The largest |X| is {x_largest:.4g} (column {x_column}), "
        f"the largest |y| {y_largest:.4g} (column {y_column}). "
        f"The likely cause: {'; or '.join(causes) or 'the starting parameters are too large'}."
    )


def _largest(values: Array) -> tuple[float, int]:
    """Return the largest absolute entry of (n_rows, n_columns) and its column; the rows may be sparse."""
    most, least = (
        np.asarray(end if isinstance(end, np.ndarray) else end.toarray().ravel(), dtype=np.float64)
        for end in (values.max(axis=0), values.min(axis=0))
    )
    largest = np.maximum(most, -least)
    column = int(largest.argmax())
    return float(largest[column]), column
