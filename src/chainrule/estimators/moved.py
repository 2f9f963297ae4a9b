"""What is added to the logits of rows: an offset, or the log of an exposure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError
from chainrule.estimators.targets import read_numbers
from chainrule.likelihoods import exposure_offset
from chainrule.network import Network

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Moved:
    """An offset or an exposure as it was given, and the name of its column."""

    offset: NDArray[np.float64] | None = None
    exposure: NDArray[np.float64] | None = None
    offset_name: str | None = None
    exposure_name: str | None = None

    @classmethod
    def read(cls, offset: Any = None, exposure: Any = None) -> "Moved":
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

    @property
    def what(self) -> str | None:
        """Which of the two was given: "offset", "exposure" or None."""
        return next((name for name in ("offset", "exposure") if getattr(self, name) is not None), None)

    def alike(self, given: Any = None) -> "Moved":
        """Return what was given for other rows, which is an offset or an exposure as it is here."""
        if self.what is None:
            return Moved()
        if given is None:
            raise InputError(f"{self.what} is None: the fit has one, and so must these rows.")
        return Moved.read(**{self.what: given})

    def taken_from(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return y less the offset: what a location has to say beside it."""
        if self.offset is None or y.dtype.kind not in "biuf":
            return y
        if self.offset.shape[:1] != y.shape[:1] or not np.isfinite(self.offset).all():
            return y  # what does not fit is an error in `logits`
        offset = self.offset if self.offset.ndim == y.ndim else self.offset.reshape(len(y), -1)[:, :1]
        return y - (offset[:, 0] if y.ndim == 1 and offset.ndim == 2 else offset)

    def logits(self, network: Network, target: Any, n_rows: int, dtype: Any = "float32") -> Array | None:
        """Return what is added to the logits, (n_rows, n_logits), or None; raise InputError for bad rows.

        ``target`` knows the scale of the numbers; None where they are on the network's own.
        """
        offset = self.offset
        if self.exposure is not None:
            offset = exposure_offset(network.likelihood, self.exposure, n_rows)
        elif offset is not None and target is not None:
            offset = target.offset(offset)
        return network._checked_offset(offset, n_rows, np.dtype(dtype))
