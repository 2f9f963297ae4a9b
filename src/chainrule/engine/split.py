"""The native engine under a likelihood that is written in Python.

A step goes forward natively, through the loss in Python, and back natively. The activations wait in between,
so nothing is computed twice.
"""

import time
from itertools import islice
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.native import NativeEngine, arrays_of
from chainrule.engine.protocol import CALL_SECONDS, Array, Descent, Table, batches
from chainrule.engine.reference import losses_and_slopes, mean_of_rows
from chainrule.optimization import Penalty


class _Rows(NamedTuple):
    """The rows of a pass; of dropout the seed, None for none, and the step."""

    X: Table
    y: NDArray[Any]
    weight: Array | None
    offset: Array | None
    seed: int | None
    step: int = 0

    def total_weight(self) -> float:
        return self.X.shape[0] if self.weight is None else float(self.weight.sum(dtype=np.float64))


@final
class SplitEngine(NativeEngine):
    """`NativeEngine` for a likelihood of one's own: all is native but its `loss_and_gradient`."""

    def loss(
        self,
        theta: Array,
        X: Table,
        y: NDArray[Any],
        sample_weight: Array | None,
        offset: Array | None = None,
        logits: Array | None = None,
    ) -> float:
        computed = self.forward(theta, X)
        if logits is not None:
            logits[...] = computed
        losses, _ = self._top(theta, computed, y, offset)
        return mean_of_rows(losses, sample_weight)

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
        rows = _Rows(X, y, sample_weight, offset, dropout_seed)
        loss, gradient = self._pass(
            self._halves(theta, X, X.shape[0], input_gradient), theta, rows, input_gradient
        )
        if penalty.l2:
            added, slope = penalty.value_and_gradient(self._architecture, theta, rows.total_weight())
            loss, gradient = loss + added, gradient + slope
        return loss, gradient

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
        halves = self._halves(descent.theta, X, min(batch_size, order.shape[-1]))
        native = self._native_descent(descent)
        losses: list[float] = []
        end = time.monotonic() + CALL_SECONDS
        left = islice(batches(order, batch_size), first_batch, None)
        for k, (rows, rate) in enumerate(zip(left, learning_rates, strict=False)):
            weight, moved = (None if part is None else part[rows] for part in (sample_weight, offset))
            batch = _Rows(X[rows], y[rows], weight, moved, descent.dropout_seed, descent.step)
            loss, gradient = self._pass(halves, descent.theta, batch)
            loss, added = halves.descend(native, gradient, loss, batch.total_weight(), float(rate))
            losses.append(loss)
            if penalties is not None:
                penalties[k] = added
            if not np.isfinite(loss):
                break
            descent.step += 1
            if time.monotonic() > end:
                break
        return np.array(losses)

    def _halves(self, theta: Array, X: Table, n_rows: int, input_gradient: Array | None = None) -> Any:
        """Return where a pass over so many rows is done: no other call comes between its halves."""
        return self._kind("Halves", theta.dtype)(
            self._engines[theta.dtype],
            n_rows,
            self._threads(6 * n_rows),
            input_gradient is not None,
            not isinstance(X, np.ndarray),
        )

    def _pass(
        self, halves: Any, theta: Array, rows: _Rows, input_gradient: Array | None = None
    ) -> tuple[float, Array]:
        """Forward, loss, backward, chunk after chunk: the loss and ∂loss/∂θ, without penalty."""
        n_rows, X, key = rows.X.shape[0], arrays_of(rows.X), (rows.seed, rows.step)
        gradient = np.empty_like(theta)
        given = np.empty((n_rows, self._n_columns), theta.dtype)
        loss = 0.0
        for chunk in range(0, n_rows, self._chunk_rows):
            at = slice(chunk, chunk + self._chunk_rows)
            logits = np.empty((len(given[at]), self._n_logits), theta.dtype)
            halves.forward(theta, X, chunk, logits, *key)
            losses, slopes = self._top(
                theta, logits, rows.y[at], None if rows.offset is None else rows.offset[at]
            )
            given[at, :-1], given[at, -1] = slopes, losses
            loss += halves.backward(theta, X, chunk, given, rows.weight, gradient, input_gradient, *key)
        return loss, gradient

    def _top(self, theta: Array, logits: Array, y: NDArray[Any], offset: Array | None) -> tuple[Array, Array]:
        """Return the losses of rows and their slopes, by the logits and the learned scales."""
        moved = logits if offset is None else logits + offset
        z = self._likelihood.extended(moved, self._architecture.scales(theta))
        return losses_and_slopes(self._likelihood, z, y)
