"""What cannot be used ends in one clear line on stderr and exit code 1; wrong usage in exit code 2."""

import shutil

import numpy as np
import pyarrow as pa
import pytest

import chainrule
from chainrule.cli import console, fitting, main
from chainrule.cli.files import write_table


def the_error(result):
    """Return the only line on stderr."""
    assert result.exit_code == 1, (result.stdout, result.stderr)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


def numbers(n_rows=40, **columns):
    rng = np.random.default_rng(0)
    return pa.table({"x": rng.normal(size=n_rows), "y": rng.normal(size=n_rows)} | columns)


def with_one(values, value, row=3):
    values = list(values)
    values[row] = value
    return values


Y = np.linspace(0, 1, 40)
UNUSABLE = {
    "a column that is not there": (
        numbers(),
        "ys",
        ["has no column 'ys'; did you mean 'y'?", "It has 'x', 'y'."],
    ),
    "nothing but the target": (pa.table({"y": Y}), "y", ["has no column but 'y'"]),
    "one row": (numbers(1), "y", ["has 1 row: too few", "--test-fraction 0"]),
    "a target with missing values": (numbers(y=with_one(Y, None)), "y", ["1 row", "missing", "leave"]),
    "a target that is not a number": (numbers(y=with_one(Y, np.nan)), "y", ["1 row", "missing", "leave"]),
    "an infinite target": (numbers(y=with_one(Y, np.inf)), "y", ["1 row", "inf", "leave"]),
    "a target of nothing": (numbers(y=pa.nulls(40)), "y", ["missing"]),
    "one class": (numbers(y=["a"] * 40), "y", ["only one class, 'a'"]),
    "a constant column alone": (numbers(x=[1.0] * 40), "y", ["'x' (constant)"]),
    "a missing column alone": (numbers(x=pa.nulls(40)), "y", ["'x' (all values are missing)"]),
}


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_fit_says_what_cannot_be_used(run, tmp_path, name, ending):
    table, target, parts = UNUSABLE[name]
    write_table(table, tmp_path / f"data{ending}")
    model = tmp_path / "m.safetensors"
    error = the_error(run("fit", tmp_path / f"data{ending}", "--target", target, "--model", model, "--quiet"))
    assert all(part in error for part in parts), error
    assert not model.exists()


def test_a_text_target_is_no_number(run, homes, tmp_path):
    error = the_error(
        run(
            "fit", homes / "homes.csv", "--target", "sold", "--task", "regression", "--quiet",
            "--model", tmp_path / "m.safetensors",
        )
    )  # fmt: skip
    assert (
        "y holds text (the first value is 'yes')" in error
        or "y holds text (the first value is 'no')" in error
    )


# The options of fit on homes.csv, and what the error must say.
UNSUITABLE = {
    "a metric of classes": (
        ["price", "--metric", "auc"],
        ["metric='auc' does not fit a regression", "choose 'rmse', 'mae', 'r2', None for the loss"],
    ),
    "a metric of numbers": (
        ["sold", "--metric", "mae"],
        ["does not fit a classification", "'accuracy', 'error', 'log_loss', 'auc'"],
    ),
    "a metric of censored times": (
        ["price", "--event-column", "old", "--metric", "mae"],
        ["nobody knows of a censored time"],
    ),
    "weights of classes": (
        ["price", "--class-weight", "balanced"],
        ["'price' is taken for a number", "--task classification"],
    ),
    "no such group": (["price", "--group-column", "streets"], ["did you mean 'street'?"]),
    "no such category": (["price", "--categorical", "colours"], ["did you mean 'colour'?"]),
    "a category that is no input": (["grade", "--categorical", "grade"], ["grade is no input"]),
    "one column twice": (
        ["price", "--group-column", "code", "--weight-column", "code"],
        ["'code' is named as two things", "weight, group"],
    ),
    "weights that are text": (["price", "--weight-column", "colour"], ["the weight must hold numbers"]),
    "weights below 0": (["sold", "--weight-column", "below"], ["finite numbers ≥ 0"]),
    "missing weights": (["sold", "--weight-column", "size, m²"], ["finite numbers ≥ 0"]),
    "one group": (["price", "--group-column", "one"], ["groups has one group"]),
    "rows without a group": (["price", "--group-column", "size, m²"], ["rows have no group"]),
    "groups and the last rows": (
        ["price", "--group-column", "colour", "--validation", "last"],
        ["choose one of them"],
    ),
}


@pytest.mark.parametrize("name", UNSUITABLE)
def test_options_that_do_not_fit_the_table_are_an_error_before_any_work(run, tmp_path, table, name):
    arguments, parts = UNSUITABLE[name]
    more = table.append_column("below", pa.array([-1.0, *[1.0] * 239]))
    write_table(more.append_column("one", pa.array([1] * 240)), tmp_path / "homes.csv")
    model = tmp_path / "m.safetensors"
    error = the_error(run("fit", tmp_path / "homes.csv", "--model", model, "--target", *arguments))
    assert all(part in error for part in parts), error
    assert not model.exists()


@pytest.mark.parametrize(
    ("table", "dropped"),
    [(numbers(z=[1.0] * 40), "constant"), (numbers(z=pa.nulls(40)), "all values are missing")],
)
def test_a_column_that_says_nothing_is_left_out(run, tmp_path, table, dropped):
    write_table(table, tmp_path / "data.csv")
    model = tmp_path / "m.safetensors"
    result = run("fit", tmp_path / "data.csv", "--target", "y", "--model", model, "--quiet", "--epochs", "1")
    assert result.exit_code == 0, result.stderr
    assert f"left out: {dropped}" in model.with_suffix(".html").read_text()
    write_table(table.drop_columns(["z"]), tmp_path / "new.csv")
    assert run("predict", model, tmp_path / "new.csv").exit_code == 0


def test_infinite_inputs_are_very_large_inputs(run, homes, tmp_path, table):
    size = with_one(table["size, m²"].to_pylist(), float("inf"))
    write_table(table.set_column(0, "size, m²", pa.array(size)), tmp_path / "new.csv")
    result = run("predict", homes / "price.safetensors", tmp_path / "new.csv")
    assert result.exit_code == 0, result.stderr
    assert np.isfinite([float(line) for line in result.stdout.splitlines()[1:]]).all()


# What happens to homes.csv, the command, and what the error must say.
WRONG_DATA = {
    "another table": (
        lambda t: pa.table({"price": t["price"], "petals": t["price"]}),
        [" lacks ", " columns", "It has 'price', 'petals'"],
    ),
    "columns are gone": (
        lambda t: t.drop_columns(["colour", "old"]),
        ["lacks 2 columns: ", "'colour'", "'old'"],
    ),
    "a column has another name": (
        lambda t: t.rename_columns([name.replace("colour", "Color") for name in t.column_names]),
        ["has no column 'colour'; did you mean 'Color'?"],
    ),
    "text where numbers were": (
        lambda t: t.set_column(0, "size, m²", pa.array(["large"] * t.num_rows)),
        ["Column 'size, m²' holds text ('large' in row 0)", "numbers"],
    ),
    "dates where text was": (
        lambda t: t.set_column(4, "day", pa.array(["soon"] * t.num_rows)),
        ["Column 'day' holds text ('soon' in row 0)", "dates"],
    ),
    "no rows": (lambda t: t.slice(0, 0), ["has no rows"]),
}


@pytest.mark.parametrize("name", WRONG_DATA)
def test_other_data_than_at_the_fit(run, homes, tmp_path, table, name):
    change, parts = WRONG_DATA[name]
    write_table(change(table), tmp_path / "new.csv")
    for command in ("predict", "evaluate", "report", "trace"):
        error = the_error(run(command, homes / "price.safetensors", tmp_path / "new.csv"))
        assert all(part in error for part in parts), error


WRONG_TARGETS = {
    "no target": (lambda t: t.drop_columns(["sold"]), ["has no column 'sold'"]),
    "a missing target": (
        lambda t: t.set_column(7, "sold", pa.array(with_one(t["sold"].to_pylist(), None))),
        ["1 row", "missing"],
    ),
    "a new class": (
        lambda t: t.set_column(7, "sold", pa.array(with_one(t["sold"].to_pylist(), "maybe"))),
        ["not there at the fit: maybe. The model knows no, yes."],
    ),
}


@pytest.mark.parametrize("name", WRONG_TARGETS)
def test_evaluate_says_what_is_wrong_with_the_target(run, homes, tmp_path, table, name):
    change, parts = WRONG_TARGETS[name]
    write_table(change(table), tmp_path / "new.csv")
    error = the_error(run("evaluate", homes / "sold.safetensors", tmp_path / "new.csv"))
    assert all(part in error for part in parts), error


def test_text_where_a_number_was_the_target(run, homes, tmp_path, table):
    write_table(table.set_column(6, "price", pa.array(["dear"] * table.num_rows)), tmp_path / "new.csv")
    error = the_error(run("evaluate", homes / "price.safetensors", tmp_path / "new.csv"))
    assert "the target holds text, such as 'dear'" in error


@pytest.mark.parametrize("command", ["predict", "evaluate", "trace", "report"])
def test_a_model_file_that_cannot_be_read(run, homes, tmp_path, command):
    data = homes / "homes.csv"
    assert "does not exist" in the_error(run(command, tmp_path / "none.safetensors", data))
    whole = (homes / "price.safetensors").read_bytes()
    for size in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:size])
        assert str(tmp_path / "cut.safetensors") in the_error(
            run(command, tmp_path / "cut.safetensors", data)
        )
    shutil.copy(data, tmp_path / "data.safetensors")
    assert str(tmp_path / "data.safetensors") in the_error(run(command, tmp_path / "data.safetensors", data))
    assert "folder" in the_error(run(command, tmp_path, data))


@pytest.mark.parametrize("command", ["predict", "evaluate", "trace"])
def test_a_model_fitted_on_arrays_is_for_python(run, homes, tmp_path, command):
    X = np.random.default_rng(0).normal(size=(30, 2))
    chainrule.TabularRegressor(epochs=1, hidden=(2,)).fit(X, X[:, 0]).save(tmp_path / "a.safetensors")
    error = the_error(run(command, tmp_path / "a.safetensors", homes / "homes.csv"))
    assert "without column names: use chainrule.load in Python" in error
    chainrule.MLPRegressor(solver="lbfgs", alpha=1.0).fit(X, X[:, 0]).save(tmp_path / "b.safetensors")
    error = the_error(run(command, tmp_path / "b.safetensors", homes / "homes.csv"))
    assert "holds a MLPRegressor" in error


def test_a_target_without_a_name_cannot_be_found(run, homes, tmp_path, table):
    model = chainrule.TabularRegressor(epochs=1, hidden=(2,))
    model.fit(table.select(["size, m²", "colour"]), np.asarray(table["price"])).save(
        tmp_path / "m.safetensors"
    )
    error = the_error(run("evaluate", tmp_path / "m.safetensors", homes / "homes.csv"))
    assert "does not know the name of its target" in error
    assert run("predict", tmp_path / "m.safetensors", homes / "homes.csv").exit_code == 0


BAD_PATHS = {
    "missing data": (
        ["fit", "{0}/home.csv", "--target", "y"],
        ["home.csv does not exist; did you mean 'homes.csv'?"],
    ),
    "unknown ending": (["fit", "{0}/homes.xlsx", "--target", "y"], ["ends in '.xlsx'", ".parquet"]),
    "model without the ending": (
        ["fit", "{0}/homes.csv", "--target", "price", "--model", "{0}/m.pkl"],
        ["m.pkl must end in .safetensors"],
    ),
    "model in no folder": (
        ["fit", "{0}/homes.csv", "--target", "price", "--model", "{0}/no/m.safetensors"],
        ["the folder", "does not exist; make it first"],
    ),
    "page without the ending": (
        ["fit", "{0}/homes.csv", "--target", "price", "--html", "{0}/page.txt"],
        ["page.txt must end in .html"],
    ),
    "predictions with an unknown ending": (
        ["predict", "{0}/price.safetensors", "{0}/homes.csv", "--out", "{0}/p.json"],
        ["p.json must end in .csv"],
    ),
    "demo in no folder": (["demo", "--out", "{0}/no"], ["the folder", "does not exist; make it first"]),
}


@pytest.mark.parametrize("name", BAD_PATHS)
def test_files_are_checked_before_the_work(run, homes, name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments, parts = BAD_PATHS[name]
    error = the_error(run(*[argument.format(homes) for argument in arguments]))
    assert all(part in error for part in parts), error


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit"],
        ["fit", "homes.csv"],
        ["fit", "homes.csv", "--target"],
        ["fit", "homes.csv", "--target", "y", "--hidden", "8,x"],
        ["fit", "homes.csv", "--target", "y", "--hidden", "0"],
        ["fit", "homes.csv", "--target", "y", "--epochs", "0"],
        ["fit", "homes.csv", "--target", "y", "--test-fraction", "1"],
        ["fit", "homes.csv", "--target", "y", "--task", "guess"],
        ["fit", "homes.csv", "--target", "y", "--likelihood", "guess"],
        ["fit", "homes.csv", "--target", "y", "--metric", "guess"],
        ["fit", "homes.csv", "--target", "y", "--preset", "slow"],
        ["fit", "homes.csv", "--target", "y", "--class-weight", "1"],
        ["fit", "homes.csv", "--target", "y", "--validation", "first"],
        ["fit", "homes.csv", "--target", "y", "--seed", "4294967296"],
        ["fit", "homes.csv", "--target", "y", "--nonsense"],
        ["predict", "m.safetensors"],
        ["learn"],
        ["--nonsense"],
    ],
)
def test_wrong_usage_is_exit_code_2(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr or "Error" in result.stderr


def test_what_nobody_expected_is_one_line_too_and_a_traceback_for_who_asks(run, monkeypatch):
    def broken(folder):
        raise ZeroDivisionError("a\nbug")

    monkeypatch.setattr(fitting, "demo", broken)
    error = the_error(run("demo"))
    assert error == "ZeroDivisionError: a bug (not expected; chainrule --debug … shows where it came from)"
    assert isinstance(run("--debug", "demo").exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (PermissionError(13, "Permission denied", "m.safetensors"), "m.safetensors: Permission denied"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (MemoryError(), "there is not enough memory for this."),
        (chainrule.InputError("that cannot be"), "that cannot be"),
    ],
)
def test_errors_of_the_machine_are_one_line(run, monkeypatch, raised, message):
    def broken(folder):
        raise raised

    monkeypatch.setattr(fitting, "demo", broken)
    assert the_error(run("demo")) == message


@pytest.mark.parametrize("stop", [KeyboardInterrupt, console.InterruptedFitError])
def test_an_interrupt_is_exit_code_130(run, monkeypatch, stop):
    def interrupted(folder):
        raise stop

    monkeypatch.setattr(fitting, "demo", interrupted)
    result = run("demo")
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_without_the_extra_the_command_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name in {"rich", "pyarrow"} else object()
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert "rich, pyarrow" in str(stop.value)
    assert "pip install 'chainrule[cli]'" in str(stop.value)


def test_the_row_of_a_missing_target_is_that_of_the_file(run, tmp_path):
    rows = [f"{i},{'' if i == 150 else i % 7}" for i in range(200)]
    (tmp_path / "d.csv").write_text("\n".join(["x,y", *rows]))
    assert "rows 150, counted from 0" in the_error(run("fit", tmp_path / "d.csv", "--target", "y"))


def test_a_row_to_trace_must_be_there_with_its_target(run, homes, tmp_path, table):
    model = homes / "price.safetensors"
    for row in (240, -1):
        error = the_error(run("trace", model, homes / "homes.csv", "--row", row))
        assert f"--row {row} does not exist" in error
        assert "240 rows, so give 0 to 239" in error
    write_table(table.drop_columns(["price"]), tmp_path / "new.csv")
    assert "has no column 'price'" in the_error(run("trace", model, tmp_path / "new.csv"))
    gap = with_one(table["price"].to_pylist(), None, row=5)
    write_table(table.set_column(6, "price", pa.array(gap)), tmp_path / "gap.csv")
    assert "row 5 of" in the_error(run("trace", model, tmp_path / "gap.csv", "--row", 5))
    error = the_error(run("trace", model, homes / "homes.csv", "--html", tmp_path / "trace.txt"))
    assert "must end in .html or .htm" in error
    error = the_error(run("trace", model, homes / "homes.csv", "--learning-rate", 0))
    assert "learning_rate=0.0: it must be a finite number above 0" in error


def test_inspect_says_what_is_no_model_file(run, homes, tmp_path):
    assert "does not exist" in the_error(run("inspect", tmp_path / "none.safetensors"))
    assert "no model file" in the_error(run("inspect", homes / "homes.csv"))
    damaged = bytearray((homes / "price.safetensors").read_bytes())
    damaged[-3] ^= 255
    (tmp_path / "damaged.safetensors").write_bytes(damaged)
    assert "damaged" in the_error(run("inspect", tmp_path / "damaged.safetensors"))
