"""Tables in files: CSV, Parquet and Feather, told apart by the ending of the name."""

import codecs
import difflib
import io
import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from chainrule.errors import InputError

ENDINGS = (".csv", ".tsv", ".parquet", ".feather")
# Row numbers that other programs write beside the data: pandas leaves the name empty in CSV.
ROW_NUMBER = re.compile(r"|Unnamed: 0|__index_level_0__")


def read_table(path: Path, text_columns: Iterable[str] = ()) -> pa.Table:
    """Return the table in a file; row numbers that were saved with it are left out.

    Times of day become seconds since midnight.

    Parameters
    ----------
    path : Path
        A file whose name ends in .csv, .tsv, .parquet or .feather.
    text_columns : iterable of str, default ()
        Columns of a CSV file that are text even where all their cells look like something else.

    Raises
    ------
    InputError
        When the file is missing, of another kind, damaged or empty, or a column name stands twice.
    """
    ending = _checked_ending(path)
    if not path.exists():
        raise InputError(f"{path} does not exist{_did_you_mean(path.name, _names_beside(path))}")
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a file with a table.")
    try:
        if ending == ".parquet":
            table = pa.parquet.read_table(path)
        elif ending == ".feather":
            table = pa.feather.read_table(path)
        else:
            table = _read_csv(path, text_columns)
        names = table.column_names
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise InputError(f"{path} cannot be read as {ending[1:]}: {_first_line(error)}") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path} has more than one column named {_quoted(twice)}: give each its own name.")
    table = _seconds(table.select([name for name in names if not ROW_NUMBER.fullmatch(name)]))
    if table.num_rows == 0 or table.num_columns == 0:
        raise InputError(f"{path} has no rows below its column names." if names else f"{path} is empty.")
    return table


def _read_csv(path: Path, text_columns: Iterable[str]) -> pa.Table:
    """Read text with a header; delimiter, encoding and decimal sign are found from the text itself."""
    encoding = _encoding(path)
    with path.open("rb") as file:
        head = file.read(1 << 16)
    first_line = re.sub(rb'"[^"]*"', b"", head.replace(b"\0", b"").partition(b"\n")[0])
    delimiter = max(b",;\t|", key=lambda sign: first_line.count(bytes([sign])))  # "," where there is none

    def read(decimal_point: str = ".") -> pa.Table:
        return pa.csv.read_csv(
            path,
            # one block: the kind of a column is found from all of its values
            pa.csv.ReadOptions(block_size=min(max(path.stat().st_size, 1), 1 << 30), encoding=encoding),
            pa.csv.ParseOptions(delimiter=chr(delimiter), newlines_in_values=True),
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys(text_columns, pa.string()),
                strings_can_be_null=True,
                decimal_point=decimal_point,
            ),
        )

    table = read()
    if delimiter == ord(";"):  # where ";" separates, numbers may have a decimal comma
        table = max(table, read(","), key=_count_floats)
    return table


def _encoding(path: Path) -> str:
    """Return UTF-16 where its mark stands first, UTF-8 where all bytes are that, else Latin-1."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        try:
            while block := file.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"


def _count_floats(table: pa.Table) -> int:
    return sum(pa.types.is_floating(field.type) for field in table.schema)


def _seconds(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_time(field.type):
            microseconds = table.column(place).cast(pa.time64("us")).cast(pa.int64())
            table = table.set_column(
                place, field.name, pa.compute.divide(microseconds.cast(pa.float64()), 1e6)
            )
    return table


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table in the format that the name asks for."""
    ending = _checked_ending(path)
    if ending == ".parquet":
        pa.parquet.write_table(table, path)
    elif ending == ".feather":
        pa.feather.write_feather(table, path)
    else:
        pa.csv.write_csv(table, path, pa.csv.WriteOptions(delimiter="\t" if ending == ".tsv" else ","))


def as_csv(table: pa.Table) -> str:
    """Return a table as the text of a CSV file."""
    buffer = io.BytesIO()
    pa.csv.write_csv(table, buffer)
    return buffer.getvalue().decode()


def require_writable(path: Path, endings: Iterable[str]) -> None:
    """Raise unless a file of that name can be written, before the work that ends in it."""
    if path.suffix.lower() not in endings:
        raise InputError(f"{path} must end in {' or '.join(endings)}.")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: the folder {path.parent} does not exist; make it first.")
    if path.is_dir():
        raise InputError(f"{path} cannot be written: it is a folder.")


def require_columns(table: pa.Table, names: Iterable[str], where: str) -> None:
    """Raise unless the table has all of these columns; the nearest names are suggested.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    names : iterable of str
        The columns that are needed.
    where : str
        What the table is called, for the error.
    """
    missing = [name for name in names if name not in table.column_names]
    if len(missing) == 1:
        near = _did_you_mean(missing[0], table.column_names)
        raise InputError(f"{where} has no column {missing[0]!r}{near} It has {_quoted(table.column_names)}.")
    if missing:
        raise InputError(
            f"{where} lacks {len(missing)} columns: {_quoted(missing)}. It has {_quoted(table.column_names)}."
        )


def _checked_ending(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        given = f"ends in {ending!r}" if ending else "has no ending"
        raise InputError(f"{path} {given}; tables are read and written as {', '.join(ENDINGS)}.")
    return ending


def _names_beside(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    folded = {other.casefold(): other for other in names}
    near = [folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else "."


def _quoted(names: Iterable[str], most: int = 20) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") + "."
