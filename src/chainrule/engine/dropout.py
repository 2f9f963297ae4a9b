"""Which activations are kept: a counter-based generator, the same numbers in both engines.

The bits for a unit depend on (seed, step, layer, row, unit) and on nothing else, so they are the same on
any number of threads and in any order. native/random.hpp is the same text in C++.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mix(z: int) -> int:
    """Return the finalizer of SplitMix64 (Steele, Lea & Flood, 2014)."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def stream_key(seed: int, step: int, layer: int) -> int:
    """Return the 64-bit key of one layer at one step."""
    key = _mix((seed + _GOLDEN) & _MASK)
    key = _mix(((key ^ step) + _GOLDEN) & _MASK)
    return _mix(((key ^ layer) + _GOLDEN) & _MASK)


def keep_mask(
    seed: int, step: int, layer: int, n_rows: int, n_units: int, rate: float, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return (n_rows, n_units): 0 where dropped (with probability ``rate``), else 1 / (1 − rate)."""
    with np.errstate(over="ignore"):  # the hash is arithmetic modulo 2^64
        z = (np.uint64(stream_key(seed, step, layer)) ^ np.arange(n_rows, dtype=np.uint64)) + np.uint64(
            _GOLDEN
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        low, high = z.astype(np.uint32)[:, None], (z >> np.uint64(32)).astype(np.uint32)[:, None]
        x = low + np.arange(n_units, dtype=np.uint32) * np.uint32(0x9E3779B9)
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D) + high
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        x = x ^ (x >> np.uint32(16))
    kept = x >= np.uint32(int(rate * 2**32))
    return np.where(kept, dtype.type(1 / (1 - rate)), dtype.type(0))
