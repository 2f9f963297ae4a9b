"""Sparse rows: an engine around an engine, which makes some rows dense at a time and never all of them."""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from chainrule.engine import Descent, Engine
from chainrule.network import Network
from chainrule.optimization import Penalty

Array = NDArray[np.floating[Any]]
# How large the dense rows of one call may be; a batch of steps is whole, whatever its size.
BUFFER_BYTES = 8_000_000


class SparseEngine:
    """An `Engine` whose X is a CSR matrix: the rows that a call needs go through one dense buffer.

    A step sees the same batch as it would of dense rows, so a descent leaves the same bits.

    Parameters
    ----------
    network : Network
        What is computed.
    name, n_threads
        Which engine computes, as for `Network.engine`.
    """

    def __init__(self, network: Network, name: str, n_threads: int | None) -> None:
        self._engine: Engine = network.engine(name, n_threads)
        self._architecture, self._n_logits = network.architecture, network.n_logits
        self._buffer: Array = np.empty((0, network.n_inputs))

    @property
    def name(self) -> str:
        """Which engine computes."""
        return self._engine.name

    @property
    def n_threads(self) -> int:
        """How many threads it may use."""
        return self._engine.n_threads

    def _dense(self, X: Any) -> Array:
        """Return the rows in the buffer, which the next call overwrites."""
        if len(self._buffer) < X.shape[0] or self._buffer.dtype != X.dtype:
            self._buffer = np.empty(X.shape, X.dtype)
        return cast("Array", X.toarray(out=self._buffer[: X.shape[0]]))

    def _parts(self, X: Any) -> Iterator[slice]:
        """Cut the rows into parts that fit the buffer, always in the same places."""
        size = self._rows_at_a_time(X)
        for start in range(0, X.shape[0], size):
            yield slice(start, min(start + size, X.shape[0]))

    def _rows_at_a_time(self, X: Any) -> int:
        return max(1, BUFFER_BYTES // (X.shape[1] * X.dtype.itemsize))

    def forward(self, theta: Array, X: Any) -> Array:
        """Return the logits (n_rows, n_logits)."""
        logits = np.empty((X.shape[0], self._n_logits), theta.dtype)
        for part in self._parts(X):
            logits[part] = self._engine.forward(theta, self._dense(X[part]))
        return logits

    def loss(self, theta: Array, X: Any, y: NDArray[Any], sample_weight: Array | None) -> float:
        """Return the weighted mean of the rows' losses."""
        shares, total = self._shares(X, sample_weight)
        losses = [
            share * self._engine.loss(theta, self._dense(X[part]), y[part], _of(sample_weight, part))
            for part, share in shares
        ]
        return sum(losses) / total

    def loss_and_gradient(
        self,
        theta: Array,
        X: Any,
        y: NDArray[Any],
        sample_weight: Array | None,
        penalty: Penalty,
        dropout_seed: None = None,  # noqa: ARG002 (the protocol's; masks would depend on the parts)
    ) -> tuple[float, Array]:
        """Return the loss, penalty included, and ∂loss/∂θ, without dropout."""
        shares, total = self._shares(X, sample_weight)
        loss, gradient = 0.0, np.zeros_like(theta)
        for part, share in shares:
            data = self._dense(X[part]), y[part], _of(sample_weight, part)
            its_loss, its_gradient = self._engine.loss_and_gradient(theta, *data, Penalty(), None)
            loss += share / total * its_loss
            gradient += theta.dtype.type(share / total) * its_gradient
        value, slope = penalty.value_and_gradient(self._architecture, theta, total)
        return loss + value, gradient + slope

    def _shares(self, X: Any, sample_weight: Array | None) -> tuple[list[tuple[slice, float]], float]:
        """Return the parts that count, each with its weight, and the sum of these."""
        shares = [
            (part, float(part.stop - part.start if sample_weight is None else weight.sum(dtype=np.float64)))
            for part in self._parts(X)
            for weight in [_of(sample_weight, part)]
        ]
        return [(part, share) for part, share in shares if share > 0], sum(share for _, share in shares)

    def run_steps(
        self,
        descent: Descent,
        X: Any,
        y: NDArray[Any],
        sample_weight: Array | None,
        order: NDArray[np.int64],
        batch_size: int,
        learning_rates: NDArray[np.float64],
        penalties: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Take as many steps as the buffer has room for; the caller goes on with the rest."""
        n_steps = min(len(learning_rates), max(1, self._rows_at_a_time(X) // batch_size))
        rows = order[: n_steps * batch_size]
        return self._engine.run_steps(
            descent,
            self._dense(X[rows]),
            y[rows],
            _of(sample_weight, rows),
            np.arange(len(rows)),
            batch_size,
            learning_rates[:n_steps],
            penalties,
        )


def _of(sample_weight: Array | None, rows: Any) -> Any:
    return None if sample_weight is None else sample_weight[rows]
