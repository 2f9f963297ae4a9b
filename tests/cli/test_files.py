"""Tables in files: against what the csv module and pyarrow wrote, over delimiters, encodings and formats."""

import csv
import datetime
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from chainrule.cli.files import as_csv, read_table, require_columns, require_writable, write_table
from chainrule.errors import InputError

COLUMNS = {
    "whole": [1, None, -3],
    "Größe, cm": [1.5, -2.25, None],
    "text": ['a "quoted", word;', "two\nlines", None],
    "wahr": [True, False, True],
    "day": [datetime.date(2024, 2, 29), None, datetime.date(1999, 12, 31)],
}


def written(delimiter: str, decimal: str = ".") -> str:
    def cell(value):
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        return str(value).replace(".", decimal) if isinstance(value, float) else str(value)

    file = io.StringIO()
    rows = zip(*COLUMNS.values(), strict=True)
    csv.writer(file, delimiter=delimiter).writerows([list(COLUMNS), *[map(cell, row) for row in rows]])
    return file.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".CSV"])
@pytest.mark.parametrize(
    ("delimiter", "decimal"), [(",", "."), (";", "."), (";", ","), ("\t", "."), ("|", ".")]
)
def test_text_is_read_whatever_its_delimiter_and_encoding(tmp_path, encoding, ending, delimiter, decimal):
    path = tmp_path / f"table{ending}"
    path.write_bytes(written(delimiter, decimal).encode(encoding))
    read = {name: list(values) for name, values in read_table(path).to_pydict().items()}
    # the csv module writes line ends as \r\n; inside a cell they stay as they were
    assert read == COLUMNS


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".feather"])
def test_what_is_written_is_read_again(tmp_path, ending):
    table = pa.table(COLUMNS)
    write_table(table, tmp_path / f"table{ending}")
    assert read_table(tmp_path / f"table{ending}").to_pydict() == table.to_pydict()


def test_as_csv_is_what_the_csv_module_reads():
    rows = list(csv.reader(io.StringIO(as_csv(pa.table({"a": [1, 2], "b,": ["x", 'y"']})))))
    assert rows == [["a", "b,"], ["1", "x"], ["2", 'y"']]


def test_the_kind_of_a_column_comes_from_all_of_its_cells(tmp_path):
    path = tmp_path / "late.csv"
    path.write_text("a,b\n" + "1234567,1\n" * 300_000 + "word,1.5\n")
    table = read_table(path)
    assert table["a"].type == pa.string()
    assert table["a"][-1].as_py() == "word"
    assert table["b"][-1].as_py() == 1.5


def test_columns_of_text_stay_text_in_csv(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("code,n\n01,1\n02,2\n")
    assert read_table(path, ["code", "not there"]).to_pydict() == {"code": ["01", "02"], "n": [1, 2]}
    assert read_table(path).to_pydict()["code"] == [1, 2]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_row_numbers_beside_the_data_are_left_out(tmp_path, name):
    table = pa.table({name: [0, 1], "a": [3, 4]})
    for ending in (".csv", ".parquet"):
        write_table(table, tmp_path / f"table{ending}")
        assert read_table(tmp_path / f"table{ending}").column_names == ["a"]


def test_times_of_day_are_seconds(tmp_path):
    (tmp_path / "times.csv").write_text("time\n00:00:01\n23:59:59\n")
    assert read_table(tmp_path / "times.csv").to_pydict() == {"time": [1.0, 86399.0]}
    pa.parquet.write_table(
        pa.table({"time": [datetime.time(0, 0, 0, 500_000), None]}), tmp_path / "times.parquet"
    )
    assert read_table(tmp_path / "times.parquet").to_pydict() == {"time": [0.5, None]}


BAD_FILES = {
    "empty.csv": (b"", "cannot be read as csv: Empty CSV file"),
    "header.csv": (b"a,b\n", "has no rows below its column names"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3\n", "Expected 2 columns, got 3"),
    "twice.csv": (b"a,b,a\n1,2,3\n", "more than one column named 'a'"),
    "damaged.parquet": (b"PAR1 and nothing more", "cannot be read as parquet: "),
    "damaged.feather": (b"ARROW1", "cannot be read as feather: "),
    "table.xlsx": (b"", "ends in '.xlsx'; tables are read and written as .csv, .tsv, .parquet, .feather"),
    "table": (b"", "has no ending; tables are read and written as"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_read_is_one_line_with_its_name(tmp_path, name):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        read_table(tmp_path / name)
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named_with_the_nearest_name(tmp_path):
    (tmp_path / "houses.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"hose\.csv does not exist; did you mean 'houses\.csv'\?"):
        read_table(tmp_path / "hose.csv")
    with pytest.raises(InputError, match=r"qq\.parquet does not exist\."):
        read_table(tmp_path / "qq.parquet")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path / "folder.csv")
    with pytest.raises(InputError, match="does not exist"):
        read_table(tmp_path / "no folder" / "houses.csv")


def test_missing_columns_are_named_with_the_nearest_names():
    table = pa.table({"Price": [1], "size": [2], "rooms": [3]})
    require_columns(table, ["Price", "rooms"], "t.csv")
    with pytest.raises(
        InputError, match=r"t\.csv has no column 'price'; did you mean 'Price'\?.*'size', 'rooms'"
    ):
        require_columns(table, ["price"], "t.csv")
    with pytest.raises(
        InputError, match=r"t\.csv lacks 2 columns: 'x', 'y'\. It has 'Price', 'size', 'rooms'\."
    ):
        require_columns(table, ["x", "Price", "y"], "t.csv")
    with pytest.raises(InputError, match=r"'c19' and 30 more\."):
        require_columns(pa.table({f"c{i}": [i] for i in range(50)}), ["nothing like it"], "t.csv")


def test_where_to_write_is_checked_before_the_work(tmp_path):
    require_writable(tmp_path / "model.safetensors", (".safetensors",))
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        require_writable(tmp_path / "model.pkl", (".safetensors",))
    with pytest.raises(InputError, match=r"the folder .* does not exist; make it first"):
        require_writable(tmp_path / "no" / "model.safetensors", (".safetensors",))
    (tmp_path / "a.html").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        require_writable(tmp_path / "a.html", (".html",))


def test_a_large_table_of_text_comes_through_whole(tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table({f"x{i}": rng.normal(size=5000) for i in range(20)})
    write_table(table, tmp_path / "large.csv")
    assert read_table(tmp_path / "large.csv").equals(table)
