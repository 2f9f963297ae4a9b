"""What a time limit let the members of an ensemble do: written down, and read back to repeat it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import InputError

Entry = int | tuple[int | None, ...] | None  # of ``steps_done_``


class Steps(NamedTuple):
    """What a time limit changed about a member; None for what it left as it was.

    Parameters
    ----------
    done : int or None
        After how many steps it was ended, 0 for one that was not begun.
    planned : int or None
        How many steps its schedule went over, where these were not those of all epochs.
    n_rows : int or None
        How many rows were drawn for the fit, where these were not all.

    Examples
    --------
    >>> from chainrule.estimators.steps import Steps
    >>> [Steps(*given).entry for given in [(), (7,), (7, 9), (None, None, 500)]]
    [None, 7, (7, 9), (None, None, 500)]
    """

    done: int | None = None
    planned: int | None = None
    n_rows: int | None = None

    @property
    def entry(self) -> Entry:
        """What stands in ``steps_done_``: without None at the end, and a number alone as it is."""
        given = tuple(self)
        while given and given[-1] is None:
            given = given[:-1]
        return given[0] if len(given) == 1 else given or None

    @classmethod
    def of(cls, entry: Any) -> "Steps | None":
        """Return what an entry stands for; None where it is none."""
        given = list(entry) if isinstance(entry, tuple | list) else [entry]
        if not 1 <= len(given) <= 3 or not all(n is None or isinstance(n, int | np.integer) for n in given):
            return None
        steps = cls(*(None if n is None else int(n) for n in given))
        done, planned, n_rows = (n if n is not None else 1 for n in steps)
        return steps if done >= 0 and planned >= max(done if steps.planned else 1, 1) and n_rows > 0 else None


def read_steps(given: Any, n_members: int) -> Sequence[Steps]:
    """Return what a person gave as ``steps_done_`` of a fit; raise InputError where it is none."""
    steps = [Steps.of(entry) for entry in given]
    found = [one for one in steps if one is not None]
    if len(steps) != n_members or len(found) != n_members:
        raise InputError(
            f"time_limit={given!r} must be a number of seconds above 0, or the steps_done_ of a fit: an "
            f"entry for each of the {n_members} members that are planned, a whole number ≥ 0, several (done, "
            "planned, n_rows) or None."
        )
    return found
