"""What all four estimators share: a network, its θ, and how they are saved."""

from collections.abc import Callable
from os import PathLike
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from chainrule.engine.protocol import EngineName
from chainrule.errors import InputError
from chainrule.network import DTYPES, Network

Array = NDArray[np.floating[Any]]


class NetworkEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """An estimator that holds a network and the θ that was learnt.

    Attributes
    ----------
    network_ : Network
        Architecture and likelihood.
    theta_ : (n_parameters,), float32 or float64
        θ.
    """

    # Which engine computes. Tests run everything on both.
    _engine: ClassVar[EngineName] = "native"
    # The fitted attributes that a model file keeps, where they are there.
    _saved: ClassVar[tuple[str, ...]] = ("network_", "theta_")

    n_threads: int | None
    network_: Network
    theta_: Array

    def _logits(self, X: Array) -> Array:
        """Return the logits (n_rows, n_logits) of checked rows in the dtype of θ."""
        return self.network_.engine(self._engine, self.n_threads).forward(self.theta_, X)

    def _html_repr(self) -> str:
        """Return scikit-learn's diagram and below it the network, for a notebook."""
        # It looks up: drawing belongs to inspection, and is there when it is asked for.
        from chainrule.inspection.representation import model_html  # noqa: PLC0415

        return model_html(self, super()._html_repr())

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted model into one file (`chainrule.load` reads it).

        Parameters
        ----------
        path : str or path
            Where to; the usual ending is ``.safetensors``. A file that is there is replaced, in one step.

        Raises
        ------
        InputError, ValueError, OSError, sklearn.exceptions.NotFittedError
            As in `chainrule.model_file.save`.
        """
        # The one import that looks up: the file knows the estimators, and save() belongs with fit().
        from chainrule import model_file  # noqa: PLC0415

        model_file.save(self, path)

    def _check_restored(self) -> None:
        """Raise InputError unless what was read from a file fits together."""
        self._require_theta(self.network_, self.theta_)

    @staticmethod
    def _require_theta(network: Network, theta: Array) -> None:
        n_parameters = network.n_parameters
        if theta.shape != (n_parameters,) or theta.dtype not in DTYPES:
            raise InputError(
                f"θ is {theta.dtype} {theta.shape}, but the network has {n_parameters} parameters."
            )
        if not np.isfinite(theta).all():
            raise InputError("θ has entries that are not finite.")

    def _require_restored(self, name: str, kind: Any, fits: Callable[[Any], bool]) -> None:
        value = getattr(self, name, None)
        if not (isinstance(value, kind) and fits(value)):
            raise InputError(f"{name} does not fit the network, or it is not there.")
