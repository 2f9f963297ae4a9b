"""The rows of a fit beside X and y: offsets and exposures, the person's own validation rows, the start."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError
from chainrule.estimators.targets import read_numbers, read_target, weighted_mean
from chainrule.likelihoods import exposure_offset
from chainrule.network import Network
from chainrule.tables import TableEncoder
from chainrule.training.batches import Data

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Moved:
    """An offset or an exposure as it was given, and the name of its column."""

    offset: NDArray[np.float64] | None = None
    exposure: NDArray[np.float64] | None = None
    offset_name: str | None = None
    exposure_name: str | None = None

    @classmethod
    def read(cls, offset: Any, exposure: Any) -> "Moved":
        """Return what was given as numbers; raise InputError where it is none, or where both are given."""
        if offset is not None and exposure is not None:
            raise InputError(
                "offset and exposure are both given: offset + numpy.log(exposure) as offset is the same."
            )
        if offset is not None:
            numbers, name = read_numbers("offset", offset)
            return cls(offset=numbers, offset_name=name)
        if exposure is not None:
            numbers, name = read_numbers("exposure", exposure)
            return cls(exposure=numbers, exposure_name=name)
        return cls()

    def taken_from(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return y less the offset: what a location has to say beside it."""
        if self.offset is None or y.dtype.kind not in "biuf" or len(self.offset) != len(y):
            return y  # what does not fit is an error in `logits`
        offset = self.offset if self.offset.ndim == y.ndim else self.offset.reshape(len(y), -1)[:, :1]
        return y - (offset[:, 0] if y.ndim == 1 and offset.ndim == 2 else offset)

    def logits(self, network: Network, target: Any, n_rows: int) -> Array | None:
        """Return what is added to the logits, (n_rows, n_logits), or None; raise InputError for bad rows."""
        offset = self.offset
        if self.exposure is not None:
            offset = exposure_offset(network.likelihood, self.exposure, n_rows)
        elif offset is not None:
            offset = target.offset(offset)
        return network._checked_offset(offset, n_rows, np.dtype(np.float32))


def require_as_many(rows: Array, y: NDArray[Any]) -> None:
    """Raise unless each row has its target."""
    if len(rows) != len(y):
        raise InputError(
            f"X has {len(rows)} rows and y has {len(y)}: Found input variables with inconsistent "
            "numbers of samples. Each row needs its target."
        )


def read_eval_set(eval_set: Any, encoder: TableEncoder, target: Any, network: Network, moved: Moved) -> Data:
    """Return the person's own validation rows, encoded as the training rows are."""
    what = next((name for name in ("offset", "exposure") if getattr(moved, name) is not None), None)
    wanted = "(X, y)" if what is None else f"(X, y, {what})"
    if not isinstance(eval_set, tuple | list) or len(eval_set) != (2 if what is None else 3):
        raise InputError(f"eval_set must be a tuple {wanted}.")
    try:
        rows, values = encoder.transform(eval_set[0]), read_target(eval_set[1], may_miss=True)[0]
        require_as_many(rows, values)
        its = Moved() if what is None else Moved.read(**{"offset": None, "exposure": None, what: eval_set[2]})
        return Data(rows, target.encode(values), None, its.logits(network, target, len(rows)))
    except InputError as error:
        raise InputError(f"eval_set: {error}") from error


def initial_parameters(network: Network, data: Data, seed: int) -> Array:
    """Return θ to start from; where the link is the log, the mean of y is where the top layer begins.

    A bias has a long way to go to log 10⁶ by small steps; nothing else about θ depends on the data.
    """
    theta = network.initial_parameters(seed, dtype="float32")
    bias = network.unpack(theta)[-1][1]
    n_locations = network.likelihood.n_locations
    if network.likelihood.link == "log" and bias is not None:
        mean = weighted_mean(data.y[:, :n_locations].astype(np.float64), data.weight)
        if data.offset is not None:
            exposure = np.exp(data.offset[:, :n_locations].astype(np.float64))
            mean = mean / weighted_mean(exposure, data.weight)
        bias[:n_locations] = np.log(np.where(mean > 0, mean, 1.0))
    return theta
