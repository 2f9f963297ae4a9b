"""The errors of chainrule: each says what was given, what is allowed and what to do."""

from collections.abc import Collection, Sized
from typing import Any


def rows_with(what: str, rows: Collection[Any]) -> str:
    """Return a part of a message, such as "2 rows have something else (rows 0, 3)"; five are named."""
    named = [str(row) for row in rows]
    if len(named) == 1:
        return f"1 row has {what} (row {named[0]})"
    more = ", …" if len(named) > 5 else ""
    return f"{len(named)} rows have {what} (rows {', '.join(named[:5])}{more})"


class ChainruleError(Exception):
    """The base of every error that chainrule raises on purpose."""


class InputError(ChainruleError, ValueError):
    """Something that was given cannot be used; nothing has been changed."""


class DivergenceError(ChainruleError, ArithmeticError, ValueError):
    """The loss stopped being finite during training (a ValueError too, as scikit-learn has it)."""


class ModelFileError(ChainruleError, ValueError):
    """A model file cannot be read: damaged, of another kind, or of a newer format."""


def require_as_many(n_rows: int, y: Sized) -> None:
    """Raise unless each row has its target."""
    if n_rows != len(y):
        raise InputError(
            f"X has {n_rows} rows and y has {len(y)}: Found input variables with inconsistent "
            "numbers of samples. Each row needs its target."
        )
