"""How a column becomes inputs: one encoding for each kind of column.

Each has `fit`, which finds out what the column says, `input_names`, and `write`, which writes a column's
inputs into X.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from itertools import pairwise, repeat
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError
from chainrule.tables.schema import PLURAL, Content, Kind, Values
from chainrule.tables.text import no_number_among

Array = NDArray[np.floating[Any]]

# How many categories of a column get an input of their own: this many where many columns have more, up to the
# second number where there is room. Each costs a weight for every unit of the first layer.
FEW_CATEGORIES, MOST_CATEGORIES = 64, 256
# Rarer ones are told apart by the digits of their rank in this base: 32³ of them at most.
BASE = 32
MOST_CODED = BASE**3
# A code is shared in parts with others, so it takes more rows than an input of its own to say something.
ROWS_PER_CODE = 8
# In how many rows a category must be seen for an input of its own: what a single row says about its
# category cannot be told from what it says about itself.
ROWS_PER_CATEGORY = 2
# Where the smooth clipping levels off, in scaled units.
CLIP = 3.0
# Ramps run from −½ to ½: beside the number itself, they must not be all that the first layer sees.
HALF_RAMP = 0.5
_LARGEST = float(np.finfo(np.float64).max)
_SMALLEST = float(np.finfo(np.float64).tiny)


@final
@dataclass(frozen=True)
class Dropped:
    """A column that says nothing: it gives no input, and its cells are not looked at.

    Parameters
    ----------
    note : str
        Why it says nothing.
    """

    note: str
    kind: ClassVar[Kind] = "dropped"

    def input_names(self, name: str) -> tuple[str, ...]:  # noqa: ARG002 (as in the other encodings)
        """Return no names."""
        return ()


@final
@dataclass(frozen=True)
class Number:
    """Robust scaling, z = (x − centre) / scale, and smooth clipping, z / √(1 + (z/3)²).

    The centre is the median; the scale is the distance of the quartiles or, where they agree, half the full
    range (Holzmüller, Grinsztajn & Steinwart, "Better by default", NeurIPS 2024). What is missing is filled
    with the median, so it is 0; ±inf are ±3, where the clipping ends.

    Between knots κ_0 < κ_1 < … the number has ramps beside it (N25): ramp t rises from −½ at κ_{t−1} to ½ at
    κ_t and is flat elsewhere; missing is 0. With them a first layer can bend at every knot (Gorishniy,
    Rubachev & Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS 2022).

    Parameters
    ----------
    centre, scale : float
        As above, in the column's units; scale 0 when all its numbers agree: then they have no input.
    missing : bool
        Whether there is an input that is 1 where the number is missing, else 0.
    knots : tuple of float, default ()
        The knots, ascending, in the column's units: quantiles, or all its values where they are few. One
        ramp fewer than knots; () for none.
    codes : tuple of float, default ()
        The values, ascending, that have an input of their own, 1 where the number is that value (`codes_of`).
    """

    centre: float
    scale: float
    missing: bool
    knots: tuple[float, ...] = ()
    codes: tuple[float, ...] = ()
    kind: ClassVar[Kind] = "number"
    content: ClassVar[Content] = "number"

    @classmethod
    def fit(
        cls, numbers: NDArray[np.float64], n_ramps: int = 0, codes: tuple[float, ...] = ()
    ) -> "Number | Dropped":
        """Return what the numbers, NaN where they are missing, say; with at most so many ramps."""
        # Halves all the way: the distance of two numbers can be twice the largest number.
        halves = 0.5 * numbers
        present = halves[~np.isnan(halves)]
        missing = len(present) < len(halves)
        if present.min() == present.max():
            return cls(0.0, 0.0, missing) if missing else Dropped("constant")
        finite = present[np.isfinite(present)]
        if len(finite) == 0:
            return cls(0.0, 1.0, missing)
        low, median, high = np.quantile(finite, [0.25, 0.5, 0.75]).tolist()
        half_range = 0.5 * float(finite.max() - finite.min())
        scale = 2.0 * (high - low or half_range) or 1.0  # 1: one finite number beside ±inf
        knots = _knots(finite, n_ramps) if n_ramps else ()
        return cls(2.0 * median, min(max(scale, _SMALLEST), _LARGEST), missing, knots, codes)

    @property
    def ramps(self) -> range:
        """Which of the inputs are ramps."""
        first = int(self.scale > 0)
        return range(first, first + max(len(self.knots) - 1, 0))

    @property
    def indicators(self) -> range:
        """Which of the inputs say that the number is one of the codes."""
        return range(self.ramps.stop, self.ramps.stop + len(self.codes))

    @property
    def note(self) -> str:
        """What else there is to know about the column."""
        if self.codes:
            return f"{len(self.codes)} of its values say other things than those next to them"
        return "constant where it is not missing" if self.scale == 0 else ""

    def input_names(self, name: str) -> tuple[str, ...]:
        """Return the names of the inputs that a column of that name becomes."""
        ramps = tuple(f"{name} from {low:.6g} to {high:.6g}" for low, high in pairwise(self.knots))
        codes = tuple(f"{name} = {code:.17g}" for code in self.codes)
        return (name,) * (self.scale > 0) + ramps + codes + (f"{name} is missing",) * self.missing

    def write(self, values: Values, out: Array) -> None:
        """Write the inputs to out (n_rows, n_inputs), which comes filled with 0."""
        self.write_numbers(np.asarray(values.cells, dtype=np.float64), out)

    def write_numbers(self, numbers: NDArray[np.float64], out: Array) -> None:
        """Write the inputs of numbers, NaN where they are missing, as `write` does."""
        missing = np.isnan(numbers)
        if self.missing:
            out[:, -1] = missing
        if self.scale > 0:
            with np.errstate(over="ignore"):
                z = (0.5 * numbers - 0.5 * self.centre) / (0.5 * self.scale)
            np.clip(z, -1e100, 1e100, out=z)  # so that the square stays finite
            z /= np.sqrt(1.0 + (z / CLIP) ** 2)
            z[missing] = 0.0
            out[:, 0] = z
        if self.knots:
            self._write_ramps(numbers, missing, out[:, self.ramps.start : self.ramps.stop])
        if self.codes:
            codes = np.array(self.codes)
            at = np.searchsorted(codes, numbers).clip(max=len(codes) - 1)
            rows = np.flatnonzero(codes[at] == numbers)
            out[rows, self.indicators.start + at[rows]] = 1.0

    def _write_ramps(
        self, numbers: NDArray[np.float64], missing: NDArray[np.bool_], out: NDArray[np.floating[Any]]
    ) -> None:
        """Write the ramps (N25): a number is within one of them, and all the others are at one of their ends.

        So most of it is a copy of a row of ends, which is many times faster than to compute each ramp.
        """
        knots, n_ramps = np.array(self.knots), len(self.knots) - 1
        at = np.searchsorted(knots, numbers, side="right") - 1  # −1 below all knots, n_ramps above them
        ends = np.where(np.arange(n_ramps) < np.arange(-1, n_ramps + 1)[:, None], HALF_RAMP, -HALF_RAMP)
        out[...] = ends.astype(out.dtype)[at + 1]
        rows = np.flatnonzero((at >= 0) & (at < n_ramps) & ~missing)
        its = at[rows]
        low, high = 0.5 * knots[its], 0.5 * knots[its + 1]  # halves: nothing overflows between two knots
        out[rows, its] = (0.5 * numbers[rows] - low) / (high - low) - HALF_RAMP  # N25
        out[missing] = 0.0


def _knots(halves: NDArray[np.float64], n_ramps: int) -> tuple[float, ...]:
    """Return the knots of numbers that are given as halves: all different, at least 3 of them, or none."""
    distinct = np.unique(halves)
    if len(distinct) > n_ramps + 1:
        distinct = np.unique(np.quantile(halves, np.linspace(0, 1, n_ramps + 1)))
    knots = np.unique(2.0 * distinct + 0.0)  # no −0.0, whatever the order of the rows
    apart = np.diff(0.5 * knots) > _SMALLEST
    return tuple(knots.tolist()) if len(knots) > 2 and apart.all() else ()


@final
@dataclass(frozen=True)
class Category:
    """One input for each frequent category, one for all rare ones, one for missing values.

    Rare ones that come back are told apart by the digits of their rank, in base 32: each digit has 32 inputs,
    of which the one that it names is 1 (Shi, Mudigere, Naumov & Yang, "Compositional Embeddings Using
    Complementary Partitions", KDD 2020). So tens of thousands of categories have a code of their own in 96
    inputs.

    Two categories and nothing else are one input, −1 and 1 (1 is the later one in sorted order, so it is
    True for booleans). A category that was not seen at fit counts as rare where there are rare ones; else
    all inputs are 0, as they are for a missing value where none was missing at fit.

    Parameters
    ----------
    content : {"text", "number", "boolean", "datetime"}
        What the categories are; dates are kept as ISO strings.
    categories : tuple of str, bool, int or float
        Those with an input of their own: the most frequent first, equally frequent ones sorted.
    n_rare : int
        How many other categories share an input.
    missing : bool
        Whether missing values have an input.
    coded : tuple, default ()
        The rare ones that have a code, by their rank.
    no_number : str or None, default None
        Of text that is mostly numbers, the first cell that is none: so people learn what kept it text.
    """

    content: Content
    categories: tuple[str | bool | int | float, ...]
    n_rare: int
    missing: bool
    coded: tuple[str | bool | int | float, ...] = ()
    no_number: str | None = None

    @classmethod
    def fit(cls, values: Values, most: int = MOST_CATEGORIES) -> "Category | Dropped":
        """Return what the column's categories say; at most so many get an input of their own."""
        counts = Counter(values.cells)
        missing = counts.pop(None, 0) > 0
        is_text = values.content == "text" and not values.categorical
        no_number = no_number_among(list(counts)) if is_text else None
        if len(counts) == 1 and not missing:
            return Dropped("constant")
        if values.content != "boolean" and len(counts) == counts.total():
            # identifiers or free text: at most whether there is one says something
            it = cls(values.content, (), 0, missing, no_number=no_number)
            return it if missing else Dropped(f"every value is different{it._hint}")
        ranked = sorted(counts, key=lambda category: (-counts[category], category))
        if len(ranked) > 2:  # of two none needs to share
            ranked = [category for category in ranked if counts[category] >= ROWS_PER_CATEGORY]
        plain = tuple(_plain(category, values.content) for category in ranked)
        own = plain[:most]
        coded = plain[most : sum(count >= ROWS_PER_CODE for count in counts.values())][:MOST_CODED]
        # one alone is told from the others by its input for rare ones
        coded = coded if len(coded) > 1 else ()
        return cls(values.content, own, len(counts) - len(own), missing, coded, no_number)

    @property
    def kind(self) -> Kind:
        """Whether it is "boolean" or another "category"."""
        return "boolean" if self.content == "boolean" else "category"

    @property
    def note(self) -> str:
        """What else there is to know about the column."""
        if not self.categories:
            return f"every value is different, but it says something whether one is missing{self._hint}"
        if self.n_rare < 2:
            return self._hint.removeprefix("; ")
        coded = f", and {len(self.coded)} of them have codes" if self.coded else ""
        return f"{self.n_rare} rare categories share an input{coded}{self._hint}"

    @property
    def _hint(self) -> str:
        """What kept text from being numbers where it was probably meant so, for the end of a note."""
        return f"; not read as numbers because of {self.no_number!r}" if self.no_number is not None else ""

    @property
    def _n_digits(self) -> int:
        return 0 if not self.coded else 1 + (len(self.coded) > BASE) + (len(self.coded) > BASE**2)

    @property
    def _is_single(self) -> bool:
        return len(self.categories) == 2 and not self.n_rare and not self.missing

    @property
    def _positive(self) -> Any:
        return max(self.categories)

    def input_names(self, name: str) -> tuple[str, ...]:
        """Return the names of the inputs that a column of that name becomes."""
        own = (self._positive,) if self._is_single else self.categories
        names = [f"{name} = {category}" for category in own]
        names += [f"{name} is rare"] * (self.n_rare > 0)
        names += [f"{name}: digit {k} is {d}" for k in range(self._n_digits) for d in range(BASE)]
        return (*names, *[f"{name} is missing"] * self.missing)

    def write(self, values: Values, out: Array) -> None:
        """Write the inputs to out (n_rows, n_inputs), which comes filled with 0."""
        place: dict[Any, int] = {category: number for number, category in enumerate(self.categories)}
        unseen = len(place) if self.n_rare else -1
        first_code = len(place) + out.shape[1]  # beyond all inputs
        place.update(zip(self.coded, range(first_code, first_code + len(self.coded)), strict=True))
        place[None] = out.shape[1] - 1 if self.missing else -1
        n_rows = len(values.cells)
        codes = np.fromiter(map(place.get, values.cells, repeat(unseen)), dtype=np.intp, count=n_rows)
        rows = np.flatnonzero(codes >= first_code)
        for k in range(self._n_digits):
            digit = (codes[rows] - first_code) // BASE**k % BASE
            out[rows, unseen + 1 + k * BASE + digit] = 1.0
        codes[rows] = unseen
        rows = np.flatnonzero(codes >= 0)
        if self._is_single:
            out[rows, 0] = np.where(codes[rows] == place[self._positive], 1.0, -1.0)
        else:
            out[rows, codes[rows]] = 1.0


@final
@dataclass(frozen=True)
class Datetime:
    """The trend, scaled as any number, and sine and cosine of where in the year, week and day a date is.

    Parameters
    ----------
    centre, scale, missing
        The trend, a `Number`: in years since 1970, so it is centred at the median date.
    cycles : tuple of str
        Those of "time of year", "day of week" and "time of day" that vary; each has two inputs.
    time_zone : str or None
        The time zone whose clock counts, None for dates without one.
    """

    centre: float
    scale: float
    missing: bool
    cycles: tuple[str, ...]
    time_zone: str | None
    kind: ClassVar[Kind] = "datetime"
    content: ClassVar[Content] = "datetime"

    @classmethod
    def fit(cls, values: Values) -> "Datetime | Dropped":
        """Return what the column's dates say."""
        dates = _dates(values)
        trend = Number.fit(_years(dates))
        if isinstance(trend, Dropped):
            return trend
        present = dates[~np.isnat(dates)]
        cycles = tuple(cycle for cycle, phase in _PHASES.items() if np.ptp(phase(present)) > 0)
        return cls(trend.centre, trend.scale, trend.missing, cycles, values.time_zone)

    @property
    def _trend(self) -> Number:
        return Number(self.centre, self.scale, self.missing)

    @property
    def note(self) -> str:
        """What else there is to know about the column."""
        return self._trend.note

    def input_names(self, name: str) -> tuple[str, ...]:
        """Return the names of the inputs that a column of that name becomes."""
        cycles = [f"{name}: {part} of {cycle}" for cycle in self.cycles for part in ("sine", "cosine")]
        return (*self._trend.input_names(name), *cycles)

    def write(self, values: Values, out: Array) -> None:
        """Write the inputs to out (n_rows, n_inputs), which comes filled with 0."""
        if values.content != "nothing" and values.time_zone != self.time_zone:
            raise InputError(
                f"Column {values.name!r} has dates {_zone(values.time_zone)}, but at fit they were "
                f"{_zone(self.time_zone)}: convert them, or fit again."
            )
        dates = _dates(values)
        n_trend = out.shape[1] - 2 * len(self.cycles)
        self._trend.write_numbers(_years(dates), out[:, :n_trend])
        rows = np.flatnonzero(~np.isnat(dates))
        for number, cycle in enumerate(self.cycles):
            angle = 2 * np.pi * _PHASES[cycle](dates[rows])
            out[rows, n_trend + 2 * number] = np.sin(angle)
            out[rows, n_trend + 2 * number + 1] = np.cos(angle)


Encoding = Number | Category | Datetime | Dropped
_ENCODINGS: dict[Kind, type[Encoding]] = {
    "number": Number,
    "boolean": Category,
    "category": Category,
    "datetime": Datetime,
    "dropped": Dropped,
}


def as_meant(values: Values) -> Values:
    """Return text that holds numbers or dates as these, unless numbers come back like codes of categories."""
    numbers = values.numbers_in_text()
    if values.content != "text" or numbers.content != "number":
        return values.dates_in_text()
    n_present = np.count_nonzero(~np.isnan(numbers.cells))
    few = len(np.unique(numbers.cells)) <= min(FEW_CATEGORIES, n_present / ROWS_PER_CATEGORY)
    return values if few else numbers


def fit_encoding(
    values: Values,
    n_ramps: int = 0,
    most_categories: int = MOST_CATEGORIES,
    codes: tuple[float, ...] = (),
) -> Encoding:
    """Return the encoding of a column: what it is, and whether it says something.

    Numbers get ramps, and an input for each code.
    """
    if values.content == "nothing":
        return Dropped("all values are missing")
    if isinstance(values.cells, list):
        return Category.fit(values, most_categories)
    return Datetime.fit(values) if values.content == "datetime" else Number.fit(values.cells, n_ramps, codes)


def check_content(encoding: Number | Category | Datetime, values: Values) -> None:
    """Raise when a column's cells are of another content than at fit; missing ones are of any."""
    alike = {"number", "boolean"}  # False is 0, True is 1
    given, at_fit = values.content, encoding.content
    if given not in ("nothing", at_fit) and not {given, at_fit} <= alike:
        raise InputError(
            f"Column {values.name!r} holds {PLURAL[given]} ({values.example()}), but at fit it held "
            f"{PLURAL[at_fit]}: pass {PLURAL[at_fit]} there, or fit again."
        )


def describe_encoding(encoding: Encoding) -> tuple[dict[str, Any], tuple[float, float]]:
    """Return an encoding's settings, for JSON, and its centre and scale, (0, 1) where it has none."""
    settings = {"kind": encoding.kind, **asdict(encoding)}
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
    return settings, (settings.pop("centre", 0.0), settings.pop("scale", 1.0))


def restore_encoding(settings: Mapping[str, Any], centre: float, scale: float) -> Encoding:
    """Return the encoding that `describe_encoding` described; InputError where it names what is unknown."""
    encoding = _ENCODINGS[settings["kind"]]
    given = {**settings, "centre": centre, "scale": scale}
    arguments: dict[str, Any] = {
        field.name: given[field.name]
        for field in fields(encoding)
        if field.default is MISSING or field.name in given
    }
    for name, value in arguments.items():
        arguments[name] = tuple(value) if isinstance(value, list) else value
    for name, known in (("content", PLURAL), ("cycles", _PHASES)):
        unknown = {value for value in np.atleast_1d(arguments.get(name, ())).tolist() if value not in known}
        if unknown:
            raise InputError(f"A column's {name} must be of {', '.join(known)}, not {', '.join(unknown)}.")
    return encoding(**arguments)


def _plain(category: Any, content: Content) -> str | bool | int | float:
    """Return a category as JSON keeps it: whole numbers as int, whatever the library calls them."""
    if content == "number":
        return int(category) if category == int(category) else category
    return bool(category) if content == "boolean" else str(category)


def _zone(time_zone: str | None) -> str:
    return f"in the time zone {time_zone}" if time_zone else "without a time zone"


def _dates(values: Values) -> NDArray[np.datetime64]:
    return np.asarray(values.cells, dtype="datetime64[us]")


def _years(dates: NDArray[np.datetime64]) -> NDArray[np.float64]:
    return (dates - np.datetime64(0, "us")) / np.timedelta64(31_556_952, "s")  # 365.2425 days


def _time_of_year(dates: NDArray[np.datetime64]) -> NDArray[np.float64]:
    year = dates.astype("datetime64[Y]")
    start, end = year.astype(dates.dtype), (year + 1).astype(dates.dtype)
    return np.asarray((dates - start) / (end - start))


def _day_of_week(dates: NDArray[np.datetime64]) -> NDArray[np.float64]:
    days = (dates.astype("datetime64[D]") - np.datetime64("1970-01-05")).astype(np.int64)  # a Monday
    return np.asarray(days % 7 / 7)


def _time_of_day(dates: NDArray[np.datetime64]) -> NDArray[np.float64]:
    return np.asarray((dates - dates.astype("datetime64[D]")) / np.timedelta64(1, "D"))


# The cycle → where in it a date is, from 0 up to 1
_PHASES: dict[str, Callable[[NDArray[np.datetime64]], NDArray[np.float64]]] = {
    "time of year": _time_of_year,
    "day of week": _day_of_week,
    "time of day": _time_of_day,
}
