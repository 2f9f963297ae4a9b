"""What an engine does: the protocol that the reference and the native engine both keep."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.architecture import Architecture
from chainrule.errors import InputError
from chainrule.likelihoods import Likelihood, is_built_in
from chainrule.optimization import Optimizer, Penalty

Array = NDArray[np.floating[Any]]
Table = Any  # (n_rows, n_inputs): an array, or a CSR matrix; SciPy is not imported for its name
EngineName = Literal["native", "reference"]
# How long one call of run_steps may take: Ctrl-C, progress and time limits are looked at in between.
CALL_SECONDS = 0.2


class Pace(NamedTuple):
    """How long a step took, and when that was measured (`time.perf_counter`)."""

    seconds: float
    at: float


@dataclass
class Descent:
    """A descent under way: θ, the optimizer and its state, all explicit and changed in place.

    Parameters
    ----------
    theta : (n_parameters,)
        θ, in float32 or float64; the data must have the same dtype.
    optimizer : Optimizer
        How a gradient moves θ.
    penalty : Penalty
        What is added to each batch's loss.
    clip_norm : float or None
        The largest norm of a gradient, None for no limit.
    decay_biases : bool
        Whether decoupled weight decay acts on the biases too.
    dropout_seed : int
        The key of the dropout masks, together with step, layer and row.
    """

    theta: Array
    optimizer: Optimizer
    penalty: Penalty = Penalty()
    clip_norm: float | None = None
    decay_biases: bool = False
    dropout_seed: int = 0

    def __post_init__(self) -> None:
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise InputError(f"clip_norm={self.clip_norm!r}: it must be above 0, or None for no limit.")
        self.state = self.optimizer.init(self.theta)
        self.step = 0  # steps done
        self.pace: dict[int, Pace] = {}  # by number of threads, where an engine measures it


RowPredictor = Callable[[Array], Array]


class Engine(Protocol):
    """One text of the mathematics, bound to one architecture and likelihood.

    Arrays come checked: X (n, n_inputs), C-contiguous, in the dtype of θ, or a CSR matrix of SciPy's in that
    dtype with ascending columns (without gradient of the input, or dropout of it); y as the likelihood
    prepared it; weights (n,) and offsets to the logits (n, n_logits) in the dtype of θ, or None. `Network`
    does the checks.
    """

    @property
    def name(self) -> EngineName:
        """Which text this is."""

    @property
    def n_threads(self) -> int:
        """How many threads it may use."""

    def forward(self, theta: Array, X: Table) -> Array:
        """Return the logits (n, n_logits): N1 to N4, no dropout."""

    def loss(
        self,
        theta: Array,
        X: Table,
        y: NDArray[Any],
        sample_weight: Array | None,
        offset: Array | None = None,
        logits: Array | None = None,
    ) -> float:
        """Return the weighted mean of the rows' losses, without dropout or penalty.

        The logits, without offset, are written where an array (n, n_logits) for them is given.
        """

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
        """Return the loss, penalty included, and ∂loss/∂θ; write ∂loss/∂X where an array is given."""

    def predictor(self, theta: Array) -> RowPredictor:
        """Return a function from one row (n_inputs,) to ŷ; see `Network.predictor`."""

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
        """Take steps of descent and return the loss of each one taken, penalty included.

        Parameters
        ----------
        order : (n_ordered,) or (n_epochs, n_ordered)
            Row numbers of X; batch k is ``order[k * batch_size : (k + 1) * batch_size]``. Several epochs
            stand in rows, and the batches of each begin with its row (`batches`).
        learning_rates : (n_steps,)
            η of each step, one a batch.
        penalties : (n_steps,), optional
            Where the penalty's part of each loss is written.
        first_batch : int, default 0
            The batch to begin with: how a call goes on with what one before has left.

        Returns
        -------
        (n_done,)
            Fewer than n_steps when the engine wants to be called again (after about 0.2 s at most) or a
            loss was not finite (it is the last one, and θ is as before that step). The caller goes on with
            the rest.
        """


def batches(order: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each batch of an order (n_ordered,) or of several epochs (n_epochs, n_ordered)."""
    for rows in order.reshape(-1, order.shape[-1]):
        for begin in range(0, len(rows), batch_size):
            yield rows[begin : begin + batch_size]


def make_engine(
    name: str, architecture: Architecture, likelihood: Likelihood, n_threads: int | None = None
) -> Engine:
    """Return the engine of that name; an unknown or missing one is an error, never replaced."""
    if name == "reference":
        from chainrule.engine.reference import ReferenceEngine  # noqa: PLC0415 (only what is asked for)

        return ReferenceEngine(architecture, likelihood)
    if name == "native":
        if not is_built_in(likelihood):
            from chainrule.engine.split import SplitEngine  # noqa: PLC0415 (only what is asked for)

            return SplitEngine(architecture, likelihood, n_threads)
        from chainrule.engine.native import NativeEngine  # noqa: PLC0415 (only what is asked for)

        return NativeEngine(architecture, likelihood, n_threads)
    raise InputError(f"engine={name!r} is unknown; choose 'native' or 'reference'.")
