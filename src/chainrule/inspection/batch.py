"""Many rows as a fitted model's network sees them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.architecture import ACTIVATIONS, equations
from chainrule.errors import InputError
from chainrule.estimators.base import NetworkEstimator
from chainrule.estimators.moved import Moved
from chainrule.estimators.targets import read_target
from chainrule.inspection.rows import MemberOf, members_of
from chainrule.network import Network

Array = NDArray[np.floating[Any]]

CHUNK = 4096  # rows that go down at once


@dataclass(frozen=True)
class EncodedRows:
    """Rows and targets in the network's own numbers.

    Parameters
    ----------
    network : Network
        The first member's; what is said of its likelihood and its inputs holds of all.
    members : list of MemberOf
        What the model learnt.
    X : (n_rows, n_inputs), in the dtype of θ
        The rows, encoded.
    y : (n_rows, n_columns)
        The targets, as the likelihood prepared them.
    columns : tuple of (str, slice)
        Each column that has inputs, and which columns of X they are.
    model : NetworkEstimator
        The model.
    offset : (n_rows, n_logits) or None
        What is added to the logits.
    """

    network: Network
    members: list[MemberOf]
    X: Array
    y: NDArray[Any]
    columns: tuple[tuple[str, slice], ...]
    model: NetworkEstimator
    offset: Array | None = None

    def loss(self, X: Array) -> float:
        """Return the mean loss of the targets with other rows, of a model's members together."""
        return float(self._top(X)[0].mean())

    def _top(self, X: Array) -> tuple[Array, Array]:
        """Return the loss of each row and its derivative by the logits of all members, in float64."""
        model, network = self.model, self.network
        scales = model._scales() if hasattr(model, "_scales") else network.scales(self.members[0].theta)
        logits = model._logits(X).astype(np.float64)
        if self.offset is not None:
            logits += self.offset
        losses, by_top = network.likelihood.loss_and_gradient(
            network.likelihood.extended(logits, scales), self.y
        )
        return losses, by_top[:, : network.n_logits]

    def input_gradients(self) -> Array:
        """Return ∂loss/∂x of each row's own loss, (n_rows, n_inputs), down through every member (N9, N10)."""
        minus_e = self._top(self.X)[1].astype(self.X.dtype)
        together = self.model._logits(self.X)
        # where the link is the log: of e^s the mean is taken, so ∂ log Σ w_m e^(s_m) / ∂s_m comes in
        n_means = self.network.likelihood.n_locations if self.network.likelihood.link == "log" else 0
        whole = sum(weight for _, _, weight in self.members)
        total = np.zeros_like(self.X)
        for network, theta, weight in self.members:
            functions = [ACTIVATIONS[layer.activation] for layer in network.architecture.dense]
            parameters, share = network.unpack(theta), self.X.dtype.type(weight / whole)
            for start in range(0, len(self.X), CHUNK):
                some = slice(start, start + CHUNK)
                states = equations.forward(self.X[some], parameters, functions)
                G: Array = share * minus_e[some]
                G[:, :n_means] *= np.exp(states[-1].S[:, :n_means] - together[some, :n_means])
                for state, (w, _), function in reversed(
                    list(zip(states, parameters, functions, strict=True))
                ):
                    G = equations.gradient_of_inputs(equations.error_signal(G, state, function), w)
                total[some] += G
        return total


def encoded_rows(
    model: Any, X: Any, y: Any, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
) -> EncodedRows:
    """Return rows and targets as the model's network sees them; raise InputError where they are unusable."""
    if not isinstance(model, NetworkEstimator):
        raise InputError(
            f"model is a {type(model).__name__}; it must be a fitted MLPClassifier, MLPRegressor, "
            "TabularClassifier or TabularRegressor."
        )
    check_is_fitted(model, "theta_")
    values, _ = read_target(y)
    target = getattr(model, "target_", None)
    network, members = model.network_, members_of(model)
    dtype = members[0].theta.dtype
    encoder = getattr(model, "encoder_", None)
    if encoder is not None:
        rows = encoder.transform(X, dtype=str(dtype))
        names = [column.name for column in encoder.columns]
        counts = [len(inputs) for inputs in encoder.inputs_by_column]
    else:
        rows = validate_data(model, X, dtype=dtype, order="C", reset=False)
        names = [str(name) for name in getattr(model, "feature_names_in_", ())] or [
            f"x{k}" for k in range(rows.shape[1])
        ]
        counts = [1] * rows.shape[1]
    prepared = network.likelihood.prepare(values if target is None else target.encode(values), len(rows))
    ends = np.cumsum(counts).tolist()
    columns = tuple(
        (name, slice(end - count, end)) for name, count, end in zip(names, counts, ends, strict=True) if count
    )
    moved = Moved.read(offset, exposure).logits(network, target, len(rows), dtype)
    return EncodedRows(network, members, np.ascontiguousarray(rows), prepared, columns, model, moved)
