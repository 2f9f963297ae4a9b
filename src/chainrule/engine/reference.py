"""The reference engine: the equations as they stand, in NumPy. Slow, correct, to be read."""

import time
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import ACTIVATIONS, Architecture, equations
from chainrule.engine.dropout import keep_mask
from chainrule.engine.protocol import (
    CALL_SECONDS,
    Array,
    Descent,
    EngineName,
    RowPredictor,
    Table,
    batches,
)
from chainrule.errors import InputError
from chainrule.likelihoods import Likelihood
from chainrule.optimization import Penalty, clip_by_norm


@dataclass(frozen=True)
class ReferenceEngine:
    """The equations N1 to N13 as they stand (the protocol is `chainrule.engine.Engine`)."""

    architecture: Architecture
    likelihood: Likelihood

    name: ClassVar[EngineName] = "reference"
    n_threads: ClassVar[int] = 1

    def forward(self, theta: Array, X: Table) -> Array:
        return self.states(theta, X)[-1].H

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
        row_losses, _ = self._top(theta, computed, y, offset)
        return mean_of_rows(row_losses, sample_weight)

    def predictor(self, theta: Array) -> RowPredictor:
        kept = theta.copy()
        scales = self.architecture.scales(kept)
        return lambda row: self.likelihood.mean(self.forward(kept, row[None]), scales)[0]

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
        masks = None if dropout_seed is None else self._masks(dropout_seed, 0, X.shape[0], theta.dtype)
        data = (X, y, sample_weight, offset)
        loss, _, gradient = self._step(theta, *data, penalty, masks, input_gradient)
        return loss, gradient

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is returned; the caller reports it
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
        theta = descent.theta
        decayed = self.architecture.shrinkable(descent.decay_biases).astype(theta.dtype)
        losses: list[float] = []
        end = time.monotonic() + CALL_SECONDS
        left = islice(batches(order, batch_size), first_batch, None)
        for k, (rows, eta) in enumerate(zip(left, learning_rates, strict=False)):
            masks = self._masks(descent.dropout_seed, descent.step, len(rows), theta.dtype)
            weight = None if sample_weight is None else sample_weight[rows]
            moved = None if offset is None else offset[rows]
            data = (X[rows], y[rows], weight, moved)
            loss, added, gradient = self._step(theta, *data, descent.penalty, masks, None)
            losses.append(loss)
            if penalties is not None:
                penalties[k] = added
            if not np.isfinite(loss):
                break
            if descent.clip_norm is not None:
                clip_by_norm(gradient, descent.clip_norm)
            descent.step += 1
            descent.optimizer.update(theta, gradient, descent.state, descent.step, float(eta), decayed)  # N13
            if time.monotonic() > end:
                break
        return np.array(losses)

    @np.errstate(over="ignore", invalid="ignore")  # as above
    def states(self, theta: Array, X: Table, dropout_seed: int | None = None) -> list[equations.LayerState]:
        """Return what the forward pass leaves in each layer (N1, N2); without a seed there is no dropout."""
        functions = [ACTIVATIONS[layer.activation] for layer in self.architecture.dense]
        masks = None if dropout_seed is None else self._masks(dropout_seed, 0, X.shape[0], theta.dtype)
        return equations.forward(_dense(X), self.architecture.folded(theta), functions, masks)

    def _masks(self, seed: int, step: int, n_rows: int, dtype: np.dtype[Any]) -> list[Array | None]:
        return [
            keep_mask(seed, step, level, n_rows, layer.n_inputs, layer.dropout, dtype)
            if layer.dropout
            else None
            for level, layer in enumerate(self.architecture.dense)
        ]

    def _top(self, theta: Array, logits: Array, y: NDArray[Any], offset: Array | None) -> tuple[Array, Array]:
        """Return the rows' losses and their derivatives by the logits and, behind them, by the scales."""
        moved = logits if offset is None else logits + offset
        z = self.likelihood.extended(moved, self.architecture.scales(theta))
        return losses_and_slopes(self.likelihood, z, y)

    @np.errstate(over="ignore", invalid="ignore")  # as above
    def _step(
        self,
        theta: Array,
        X: Table,
        y: NDArray[Any],
        sample_weight: Array | None,
        offset: Array | None,
        penalty: Penalty,
        masks: list[Array | None] | None,
        input_gradient: Array | None,
    ) -> tuple[float, float, Array]:
        """Forward, loss, backward: the loss and ∂loss/∂θ, penalty included, and between them its part."""
        parameters = self.architecture.folded(theta)
        functions = [ACTIVATIONS[layer.activation] for layer in self.architecture.dense]
        states = equations.forward(_dense(X), parameters, functions, masks)
        row_losses, minus_e = self._top(theta, states[-1].H, y, offset)
        loss = mean_of_rows(row_losses, sample_weight)
        signal = equations.top_error_signal(minus_e, sample_weight)
        delta, of_scales = np.hsplit(signal, [self.architecture.n_logits])
        gradients, G = equations.backward(delta, states, parameters, functions, masks)
        if input_gradient is not None:
            input_gradient[...] = G
        of_scale: list[Array] = []
        if rate := self.architecture.scale_rate:
            (weight, _), (of_w, of_b) = self.architecture.unpack(theta)[0], gradients[0]
            of_w, of_a = equations.gradients_through_scale(
                of_w, weight, self.architecture.of_scale(theta), rate
            )  # N27
            gradients[0], of_scale = (of_w, of_b), [of_a]
        parts = [part.ravel() for pair in gradients for part in pair if part is not None]
        of_scales = equations.gradient_of_bias(of_scales)  # N14: a scale is a bias
        gradient = np.concatenate([*of_scale, *parts, of_scales])
        added = 0.0
        if penalty.l2:
            total_weight = X.shape[0] if sample_weight is None else float(sample_weight.sum(dtype=np.float64))
            added, slope = penalty.value_and_gradient(self.architecture, theta, total_weight)
            loss, gradient = loss + added, gradient + slope
        return loss, added, gradient


def _dense(X: Table) -> Array:
    return X if isinstance(X, np.ndarray) else X.toarray()


def losses_and_slopes(likelihood: Likelihood, z: Array, y: NDArray[Any]) -> tuple[Array, Array]:
    """Return the rows' losses and their derivatives by z; those of one's own may err in shape."""
    losses, slopes = likelihood.loss_and_gradient(z, y)
    if np.shape(losses) != (len(z),) or np.shape(slopes) != z.shape:
        raise InputError(
            f"loss_and_gradient of {likelihood!r} must return the losses ({len(z)},) and the derivatives "
            f"{z.shape}, not {np.shape(losses)} and {np.shape(slopes)}."
        )
    return losses, slopes


def mean_of_rows(row_losses: Array, sample_weight: Array | None) -> float:
    """Return the weighted mean; a row of weight 0 does not count, even if its loss is infinite."""
    if sample_weight is None:
        return float(row_losses.mean(dtype=np.float64))
    counted = sample_weight > 0
    if not counted.any():  # N9
        raise InputError("The weights of a batch must not all be 0.")
    return float(np.average(row_losses[counted].astype(np.float64), weights=sample_weight[counted]))
