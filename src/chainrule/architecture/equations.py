"""The notes in NumPy: N1 to N12 and N27, each under its number, as short as on paper.

This is the text to read, and the oracle that the fast engine must match. A row of a matrix is a row of
the table: H_l is (n, d_l), Δ_l = ∂loss/∂S_l is (n, d_l). docs/notes.md derives every line.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Parameters = Sequence[tuple[Array, Array | None]]  # (w_l, b_l), l = 1 … L: θ taken apart (N3)


class ActivationFunction(Protocol):
    """r and r' of one layer: a row of the table of activations."""

    @property
    def r(self) -> Callable[[Array], Array]:
        """Return h = r(s), elementwise (N2)."""

    @property
    def derivative(self) -> Callable[[Array, Array], Array]:
        """r'(s, h), elementwise."""


class LayerState(NamedTuple):
    """What the forward pass leaves in layer l for the backward pass."""

    inputs: Array  # H_{l-1}, as the layer saw it (after dropout)
    S: Array  # pre-activations
    H: Array  # activations, before the dropout of the layer above


# ── Forward: how y is predicted from x ────────────────────────────────────────────────────────────────


def pre_activations(H: Array, weight: Array, bias: Array | None) -> Array:
    """N1: S_l = H_{l-1} w_lᵀ + 1 b_lᵀ."""
    S = H @ weight.T
    return S if bias is None else S + bias


def activations(S: Array, activation: ActivationFunction) -> Array:
    """N2: H_l = r_l(S_l)."""
    return activation.r(S)


def forward(
    X: Array,
    parameters: Parameters,
    functions: Sequence[ActivationFunction],
    masks: Sequence[Array | None] | None = None,
) -> list[LayerState]:
    """N4: x → h_1 → … → h_{L-1} → s. The logits are the last layer's H.

    ``masks[l - 1]`` multiplies the input of layer l (dropout while training), None leaves it as it is.
    """
    states: list[LayerState] = []
    H = X
    for level, ((weight, bias), activation) in enumerate(zip(parameters, functions, strict=True)):
        mask = None if masks is None else masks[level]
        inputs = H if mask is None else H * mask
        S = pre_activations(inputs, weight, bias)  # N1
        H = activations(S, activation)  # N2
        states.append(LayerState(inputs, S, H))
    return states


# ── The top layer: what is between s and y. Each gives the loss a row, and −e = ∂loss/∂s a row ─────────


def over_outputs(losses: Array, minus_e: Array, y: Array) -> tuple[Array, Array]:
    """Return the loss a row, the sum over its outputs, and −e: a missing y (NaN) counts for nothing."""
    missing = np.isnan(y)
    if missing.any():
        losses, minus_e = np.where(missing, 0, losses), np.where(missing, 0, minus_e)
    return losses.sum(axis=1), minus_e


def normal(s: Array, y: Array) -> tuple[Array, Array]:
    """N5: y ~ Normal(s, 1): loss = ½|y − s|², ∂loss/∂s = −(y − s) = −e."""
    minus_e = s - y
    return over_outputs(0.5 * (minus_e * minus_e), minus_e, y)


def bernoulli(s: Array, y: Array) -> tuple[Array, Array]:
    """N6: y ~ Bernoulli(p = sigmoid(s)): loss = −(y s − log(1 + e^s)), ∂loss/∂s = −(y − p) = −e.

    Both are written as sums of terms of one sign, so that what is small keeps its digits:
    loss = y log(1 + e^−s) + (1 − y) log(1 + e^s), −e = (1 − y) p − y (1 − p).
    """
    t = np.exp(-np.abs(s))
    log1p_t, less, more = np.log1p(t), t / (1 + t), 1 / (1 + t)
    loss = y * (np.maximum(-s, 0) + log1p_t) + (1 - y) * (np.maximum(s, 0) + log1p_t)
    minus_e = (1 - y) * np.where(s >= 0, more, less) - y * np.where(s >= 0, less, more)
    return over_outputs(loss, minus_e, y)


def categorical(s: Array, y: NDArray[np.integer[Any]]) -> tuple[Array, Array]:
    """N7: P(y = c) = e^{s_c} / Σ e^{s_c'}: loss = −s_y + log Σ e^{s_c}, ∂loss/∂s = −(y − p) = −e.

    The largest logit m is taken out first. With t = e^{s − m} and "rest" the sum of t without class y,
    the sum is rest + t_y and −e_y = −rest / sum: neither is a difference of nearly equal numbers.
    """
    rows = np.arange(len(s))
    m = s.max(axis=1)
    t = np.exp(s - m[:, None])
    t_y = t[rows, y]
    t[rows, y] = 0
    rest = t.sum(axis=1)
    loss = (m - s[rows, y]) + np.log1p(rest + (t_y - 1))
    minus_e = t / (rest + t_y)[:, None]
    minus_e[rows, y] = -rest / (rest + t_y)
    return loss, minus_e


def smoothed(
    s: Array, loss: Array, minus_e: Array, y: NDArray[np.integer[Any]], epsilon: float
) -> tuple[Array, Array]:
    """N7 with the target 1 − ε + ε/C for class y and ε/C for the others, from the loss and −e of N7.

    loss = (1 − ε) loss_y + ε/C Σ loss_c, where loss_c = loss_y + s_y − s_c is the loss were it class c.
    """
    share = s.dtype.type(epsilon / s.shape[1])
    s_y = s[np.arange(len(s)), y][:, None]
    p = minus_e.copy()
    p[np.arange(len(s)), y] += 1
    others = (loss[:, None] + (s_y - s)).sum(axis=1)
    return (1 - s.dtype.type(epsilon)) * loss + share * others, (1 - s.dtype.type(epsilon)) * minus_e + (
        s.dtype.type(epsilon) * p - share
    )


def poisson(s: Array, y: Array) -> tuple[Array, Array]:
    """N8 with A = e^s: y ~ Poisson(e^s): loss = A(s) − y s, ∂loss/∂s = A'(s) − y = −e."""
    mean = np.exp(s)
    # where e^s is too large for a float, so is the loss, whatever y s is
    return over_outputs(np.where(np.isinf(mean), mean, mean - y * s), mean - y, y)


# ── Backward: the chain rule, from the top down ───────────────────────────────────────────────────────


def top_error_signal(minus_e: Array, sample_weight: Array | None) -> Array:
    """N9 at the top: row i of Δ_L is (w_i / Σw) (−e_i); without weights each row counts 1/n.

    A row of weight 0 does not count, even if its −e is infinite.
    """
    if sample_weight is None:
        return minus_e / minus_e.dtype.type(len(minus_e))
    share = (sample_weight / sample_weight.sum(dtype=np.float64))[:, None].astype(minus_e.dtype)
    return np.where(share > 0, minus_e * share, 0)


def error_signal(G: Array, state: LayerState, activation: ActivationFunction) -> Array:
    """N9: δ_l = diag(r'_l) ∂loss/∂h_l; G is ∂loss/∂H_l."""
    return activation.derivative(state.S, state.H) * G


def gradient_of_inputs(delta: Array, weight: Array) -> Array:
    """N10: ∂loss/∂h_{l-1}ᵀ = δ_lᵀ w_l. Batch: G_{l-1} = Δ_l w_l. It goes to the layer below."""
    return delta @ weight


def gradient_of_weights(delta: Array, H: Array) -> Array:
    """N11: ∂loss/∂w_l = δ_l h_{l-1}ᵀ. Batch: Δ_lᵀ H_{l-1}. It goes to the descent."""
    return delta.T @ H


def gradient_of_bias(delta: Array) -> Array:
    """N12: ∂loss/∂b_l = δ_l. Batch: Δ_lᵀ 1. A learned scale is such a bias, of the loss itself (N14)."""
    return delta.sum(axis=0)


def backward(
    delta: Array,
    states: Sequence[LayerState],
    parameters: Parameters,
    functions: Sequence[ActivationFunction],
    masks: Sequence[Array | None] | None = None,
) -> tuple[list[tuple[Array, Array | None]], Array]:
    """N9 to N12 from l = L down to 1: the gradients of (w_l, b_l) in order, and ∂loss/∂X.

    ``delta`` is Δ_L (`top_error_signal`); ``masks`` are the forward pass's.
    """
    gradients: list[tuple[Array, Array | None]] = []
    G = delta
    for level in reversed(range(len(states))):
        weight, bias = parameters[level]
        if level < len(states) - 1:
            delta = error_signal(G, states[level], functions[level])  # N9
        gradients.append(
            (
                gradient_of_weights(delta, states[level].inputs),  # N11
                None if bias is None else gradient_of_bias(delta),  # N12
            )
        )
        G = gradient_of_inputs(delta, weight)  # N10
        mask = None if masks is None else masks[level]
        G = G if mask is None else G * mask
    return gradients[::-1], G


# ── A learned scale of the inputs: the layers above see s ⊙ x, s = 1 + ρ a ────────────────────────────────


def scaled_weights(weight: Array, a: Array, rate: float) -> Array:
    """N27: w_1 (s ⊙ x) = w' x with w' = w_1 diag(s): x goes through the layers as it is, with w' for w_1."""
    return weight * (1 + rate * a)


def gradients_through_scale(gradient: Array, weight: Array, a: Array, rate: float) -> tuple[Array, Array]:
    """N27: ∂loss/∂w_1 = ∂loss/∂w' diag(s), ∂loss/∂a_j = ρ Σ_k w_{1,kj} ∂loss/∂w'_kj; ∂loss/∂w' is N11's."""
    return gradient * (1 + rate * a), rate * (weight * gradient).sum(axis=0)
