"""Many rows as a fitted model's network sees them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.errors import InputError
from chainrule.estimators.base import NetworkEstimator
from chainrule.estimators.targets import read_target
from chainrule.network import Network

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class EncodedRows:
    """Rows and targets in the network's own numbers.

    Parameters
    ----------
    network, theta : Network and (n_parameters,)
        What the model learnt.
    X : (n_rows, n_inputs), in the dtype of θ
        The rows, encoded.
    y : (n_rows, n_columns)
        The targets, as the likelihood prepared them.
    columns : tuple of (str, slice)
        Each column that has inputs, and which columns of X they are.
    model : NetworkEstimator
        The model.
    """

    network: Network
    theta: Array
    X: Array
    y: NDArray[Any]
    columns: tuple[tuple[str, slice], ...]
    model: NetworkEstimator

    def loss(self, X: Array) -> float:
        """Return the mean loss of the targets with other rows, of a model's members together."""
        scales = self.model._scales() if hasattr(self.model, "_scales") else self.network.scales(self.theta)
        likelihood = self.network.likelihood
        top = likelihood.extended(self.model._logits(X).astype(np.float64), scales)
        return float(likelihood.loss_and_gradient(top, self.y)[0].mean())


def encoded_rows(model: Any, X: Any, y: Any) -> EncodedRows:
    """Return rows and targets as the model's network sees them; raise InputError where they are unusable."""
    if not isinstance(model, NetworkEstimator):
        raise InputError(
            f"model is a {type(model).__name__}; it must be a fitted MLPClassifier, MLPRegressor, "
            "TabularClassifier or TabularRegressor."
        )
    check_is_fitted(model, "theta_")
    values, _ = read_target(y)
    target = getattr(model, "target_", None)
    network, theta = model.network_, model.theta_
    encoder = getattr(model, "encoder_", None)
    if encoder is not None:
        rows = encoder.transform(X, dtype=str(theta.dtype))
        names = [column.name for column in encoder.columns]
        counts = [len(inputs) for inputs in encoder.inputs_by_column]
    else:
        rows = validate_data(model, X, dtype=theta.dtype, order="C", reset=False)
        names = [str(name) for name in getattr(model, "feature_names_in_", ())] or [
            f"x{k}" for k in range(rows.shape[1])
        ]
        counts = [1] * rows.shape[1]
    prepared = network.likelihood.prepare(values if target is None else target.encode(values), len(rows))
    ends = np.cumsum(counts).tolist()
    columns = tuple(
        (name, slice(end - count, end)) for name, count, end in zip(names, counts, ends, strict=True) if count
    )
    return EncodedRows(network, theta, np.ascontiguousarray(rows), prepared, columns, model)
