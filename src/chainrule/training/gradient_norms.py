"""The size of the gradient in each layer, epoch by epoch."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.optimization import Penalty
from chainrule.training.batches import Data
from chainrule.training.history import GradientRecord
from chainrule.training.run import EpochReport

MOST_RECORDS, FEWEST_RECORDS = 12, 5
# One look for so many rows that are gone through: where a training takes a blink, a look is not for nothing.
ROWS_PER_RECORD = 10_000


class GradientNorms:
    """A callback of `train` that looks at the gradient in five to twelve of the epochs.

    It takes a sample of the training rows, a two-hundredth of them, at least 32 and at most 256, evenly
    spaced, and their gradient without dropout or penalty: what the step of a batch would be made of. That is
    little beside an epoch, and it changes nothing of the training. Short trainings are looked at less often.

    Parameters
    ----------
    X : (n_rows, n_inputs)
        The training rows, as `train` takes them.
    y : (n_rows, n_columns)
        Their targets.
    sample_weight : (n_rows,), optional
        Their weights.
    offset : (n_rows, n_logits), optional
        What is added to their logits.
    epochs : int, default 12
        How many epochs there are at most.

    Attributes
    ----------
    records : list of GradientRecord
        What was seen.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.training import GradientNorms, Training, train
    >>> X = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> net = cr.Network(1, [cr.Dense(8, "tanh")], likelihood=cr.likelihoods.Normal())
    >>> watch = GradientNorms(X, X, epochs=3)
    >>> result = train(
    ...     net, net.initial_parameters(seed=0), X, X, settings=Training(epochs=3), callbacks=[watch]
    ... )
    >>> [(record.epoch, len(record.norms)) for record in watch.records]
    [(1, 2), (2, 2), (3, 2)]
    """

    def __init__(
        self,
        X: Any,
        y: NDArray[Any],
        sample_weight: NDArray[Any] | None = None,
        offset: NDArray[Any] | None = None,
        *,
        epochs: int = MOST_RECORDS,
    ) -> None:
        data = Data(X, y, sample_weight, offset).that_count()
        n_rows = len(data.y)
        some = np.linspace(0, n_rows - 1, min(n_rows, max(32, min(256, n_rows // 200))))
        self._data = data.take(np.unique(some.astype(int)))
        looks = min(max(epochs * n_rows // ROWS_PER_RECORD, FEWEST_RECORDS), MOST_RECORDS)
        self._every = math.ceil(epochs / looks)
        self.records: list[GradientRecord] = []

    def __call__(self, report: EpochReport) -> None:
        """Look at the gradient after an epoch, if its turn has come."""
        epoch = report.record.epoch
        if (epoch - 1) % self._every:
            return
        network = report.network
        X, y, weight, offset = self._data
        _, gradient = network.engine("native", 1).loss_and_gradient(
            report.theta, X, y, weight, Penalty(), None, offset=offset
        )
        norms = tuple(float(np.linalg.norm(weight)) for weight, _ in network.unpack(gradient))
        self.records.append(GradientRecord(epoch, norms))
