"""Numbers and dates that are written as text, as files of text have them."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# How a number is written, and how files of text write that there is none. A code such as "0042" is no number.
NUMBER = re.compile(
    r"\s*[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\s*|\s*[-+]?(inf|infinity)\s*",
    re.IGNORECASE,
)
# How people write numbers that are not read: with marks for money, percent, thousands or a decimal comma.
MARKED_NUMBER = re.compile(r"\s*[-+(]?\s*[$€£¥]?\s*\d+([,.' ]\d{3})*([,.]\d+)?\s*[%$€£¥]?\s*\)?\s*")
MARK = re.compile(r"[,'%$€£¥()]")
MOSTLY = 0.9  # from this share of numbers on, text was probably meant as numbers
MISSING_WORDS = frozenset({"", "?", "-", "na", "n/a", "nan", "nat", "null", "none"})
# ISO 8601: a day, or a day and a time; Z is for UTC, +02:00 for a clock that is two hours ahead of it.
DATE = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[-+][01]\d:?[0-5]\d)?)?\s*"
)


def is_missing(cell: str | None) -> bool:
    """Return whether a cell of text says that there is nothing."""
    return cell is None or cell.strip().lower() in MISSING_WORDS


def numbers_in(cells: Sequence[str | None]) -> NDArray[np.float64] | None:
    """Return the numbers, NaN for what is missing; None where a cell is no number.

    Examples
    --------
    >>> from chainrule.tables.text import numbers_in
    >>> numbers_in(["1.5", "NA", "-2e3"])
    array([ 1.5e+00,      nan, -2.0e+03])
    """
    numbers = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        if cell is None or is_missing(cell):
            continue
        if not NUMBER.fullmatch(cell):
            return None
        numbers[row] = float(cell)
    return numbers


def no_number_among(cells: Sequence[str]) -> str | None:
    """Return the first cell that keeps text from being read as numbers where most are numbers; else None.

    Numbers with marks, such as "1,5", "5%" or "$3", are not read: what a mark means is not certain.

    Examples
    --------
    >>> from chainrule.tables.text import no_number_among
    >>> no_number_among(["1,5", "2", "0,25"]), no_number_among(["red", "2"]), no_number_among(["1", "2"])
    ('1,5', None, None)
    """
    words = [cell for cell in cells if not NUMBER.fullmatch(cell)]
    marked = sum(bool(MARK.search(cell) and MARKED_NUMBER.fullmatch(cell)) for cell in words)
    mostly = len(cells) - len(words) + marked >= MOSTLY * len(cells)
    return words[0] if words and mostly else None


def dates_in(cells: Sequence[str | None]) -> tuple[NDArray[np.datetime64], str | None] | None:
    """Return the dates, NaT for what is missing, and their time zone; None where a cell is no date.

    Times that say how far their clock is from UTC are given as times of UTC: in summer and in winter it is
    another distance, and a column has one time zone.

    Examples
    --------
    >>> from chainrule.tables.text import dates_in
    >>> dates_in(["2024-02-29", "", "2024-03-01 12:30"])[0].astype("datetime64[m]").tolist()[0]
    datetime.datetime(2024, 2, 29, 0, 0)
    >>> dates_in(["2024-02-30"]) is None
    True
    """
    written, ahead, in_zone = ["NaT"] * len(cells), np.zeros(len(cells), dtype="timedelta64[m]"), set()
    for row, cell in enumerate(cells):
        if cell is None or is_missing(cell):
            continue
        found = DATE.fullmatch(cell)
        if found is None:
            return None
        day, clock, zone = found.groups()
        written[row] = day if clock is None else f"{day}T{clock}"
        in_zone.add(zone is not None)
        if zone is not None and zone != "Z":
            minutes = 60 * int(zone[1:3]) + int(zone[-2:])
            ahead[row] = -minutes if zone[0] == "-" else minutes
    if len(in_zone) > 1:  # times of which some say nothing about their clock
        return None
    try:
        dates = np.array(written, dtype="datetime64[us]") - ahead
    except ValueError:  # the 30th of February
        return None
    return dates, "UTC" if in_zone == {True} else None
