"""Every likelihood by name, offsets, exposures, censored times and intervals at the command line."""

import csv
import io

import numpy as np
import pyarrow as pa
import pytest

import chainrule
from chainrule.cli.files import read_table, write_table
from chainrule.likelihoods import LIKELIHOODS

TARGET_OF = {
    "bernoulli": "sold",
    "categorical": "grade",
    "ordinal": "grade",
    "poisson": "calls",
    "negative_binomial": "calls",
    "tweedie": "calls",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("likelihoods")
    rng = np.random.default_rng(0)
    more = table.append_column("years", pa.array(rng.uniform(0.5, 2, table.num_rows)))
    more = more.append_column("died", pa.array(rng.integers(0, 2, table.num_rows)))
    write_table(more, folder / "homes.csv")
    return folder


def fit(run, folder, name, *options):
    model = folder / f"{name}.safetensors"
    result = run("fit", folder / "homes.csv", "--model", model, "--hidden", "6", "--epochs", "3", *options)
    assert result.exit_code == 0, result.stderr
    return model, result


def predicted(run, model, data, *options):
    result = run("predict", model, data, *options)
    assert result.exit_code == 0, result.stderr
    return list(csv.DictReader(io.StringIO(result.stdout)))


@pytest.mark.parametrize("name", [name for name in LIKELIHOODS if name != "weibull"])
def test_every_likelihood_by_its_name(run, folder, name):
    target = TARGET_OF.get(name, "price")
    model, result = fit(run, folder, name, "--target", target, "--likelihood", name)
    loaded = chainrule.load(model)
    assert loaded.network_.likelihood.name == name
    assert "Scores on 48 held-out rows" in result.stdout
    rows = predicted(run, model, folder / "homes.csv")
    inputs = read_table(folder / "homes.csv").drop_columns([target])
    assert [row["prediction"] for row in rows] == [str(value) for value in loaded.predict(inputs).tolist()]


@pytest.mark.parametrize("what", ["offset", "exposure"])
def test_a_column_beside_the_inputs(run, folder, what):
    options = ("--target", "calls", "--likelihood", "poisson", f"--{what}-column", "years")
    model, _ = fit(run, folder, what, *options)
    loaded = chainrule.load(model)
    assert getattr(loaded, f"{what}_name_") == "years"
    assert "years" not in loaded.feature_names_in_
    table = read_table(folder / "homes.csv")
    inputs = table.select(list(loaded.feature_names_in_))
    rows = predicted(run, model, folder / "homes.csv")
    expected = loaded.predict(inputs, **{what: np.asarray(table["years"])})
    np.testing.assert_allclose([float(row["prediction"]) for row in rows], expected, rtol=1e-12)
    assert run("evaluate", model, folder / "homes.csv").exit_code == 0
    result = run("trace", model, folder / "homes.csv", "--row", 3)
    assert f"the offset, from years = {table['years'][3].as_py():.6g}" in result.stdout
    calls, years = (table[name][3].as_py() for name in ("calls", "years"))
    traced = chainrule.trace(loaded, inputs.slice(3, 1), calls, **{what: years})
    assert result.stdout.strip() == str(traced).strip()
    result = run("report", model, folder / "homes.csv", "--html", folder / "report.html")
    assert result.exit_code == 0, result.stderr
    write_table(table.drop_columns(["years"]), folder / "without.csv")
    for command in ("predict", "evaluate", "report", "trace"):
        result = run(command, model, folder / "without.csv")
        assert result.exit_code == 1
        assert "has no column 'years'" in result.stderr


def test_censored_times_are_two_columns(run, folder):
    model, result = fit(run, folder, "survival", "--target", "price", "--event-column", "died")
    loaded = chainrule.load(model)
    assert loaded.network_.likelihood.name == "weibull"
    assert (loaded.target_name_, loaded.event_name_) == ("price", "died")
    assert "concordance" in result.stdout
    assert "RMSE" not in result.stdout
    table = read_table(folder / "homes.csv")
    inputs, target = table.drop_columns(["price", "died"]), table.select(["price", "died"])
    shown = run("evaluate", model, folder / "homes.csv").stdout
    assert f"{loaded.score(inputs, target):.4f}"[:5] in shown
    assert "log likelihood" in shown
    rows = predicted(run, model, folder / "homes.csv")
    np.testing.assert_allclose([float(row["prediction"]) for row in rows], loaded.predict(inputs))
    assert "Predictions</h2>" in (folder / "survival.html").read_text()
    result = run("trace", model, folder / "homes.csv", "--row", 3, "--html", folder / "trace.html")
    assert result.exit_code == 0, result.stderr
    row = target.slice(3, 1).to_pylist()[0]
    traced = chainrule.trace(loaded, inputs.slice(3, 1), list(row.values()))
    assert result.stdout.strip() == str(traced).strip()
    result = run("report", model, folder / "homes.csv", "--html", folder / "report.html")
    assert result.exit_code == 0, result.stderr
    assert "concordance" in (folder / "report.html").read_text()


def test_intervals_stand_beside_the_predictions(run, folder):
    model, _ = fit(run, folder, "interval", "--target", "price")
    rows = predicted(run, model, folder / "homes.csv", "--coverage", "0.8")
    assert list(rows[0]) == ["prediction", "lower", "upper"]
    inputs = read_table(folder / "homes.csv").drop_columns(["price"])
    ends = chainrule.load(model).predict_interval(inputs, 0.8)
    np.testing.assert_allclose([[float(row["lower"]), float(row["upper"])] for row in rows], ends)
    result = run("predict", model, folder / "homes.csv", "--coverage", "1.5")
    assert result.exit_code == 1
    assert "coverage=1.5 must be above 0 and below 1" in result.stderr
    classes, _ = fit(run, folder, "classes", "--target", "sold")
    result = run("predict", classes, folder / "homes.csv", "--coverage", "0.8")
    assert result.exit_code == 1
    assert "--coverage is for numbers" in result.stderr


WRONG = {
    "no such column": (["--target", "calls", "--exposure-column", "year"], "did you mean 'years'?"),
    "one column twice": (["--target", "calls", "--offset-column", "calls"], "'calls' is named as two things"),
    "an exposure of 0": (
        ["--target", "price", "--exposure-column", "calls", "--likelihood", "gamma"],
        "exposure must hold finite numbers above 0",
    ),
    "no exposure of a location": (["--target", "price", "--exposure-column", "years"], "has no exposure"),
    "both": (
        ["--target", "calls", "--offset-column", "years", "--exposure-column", "died"],
        "exposure must hold finite numbers above 0",
    ),
    "no event": (["--target", "price", "--likelihood", "weibull"], "needs --event-column"),
    "an event of 2": (["--target", "price", "--event-column", "grade"], "1 for an event or 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_one_line(run, folder, name):
    options, text = WRONG[name]
    result = run("fit", folder / "homes.csv", "--model", folder / "wrong.safetensors", *options)
    assert result.exit_code == 1
    assert text in result.stderr
    assert not (folder / "wrong.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "column", "value"),
    [
        (["--target", "calls", "--likelihood", "poisson"], "calls", -1),
        (["--target", "price", "--likelihood", "gamma"], "price", 0),
        (["--target", "price", "--event-column", "died"], "died", 2),
        (["--target", "price", "--event-column", "died"], "price", -5),
    ],
)
def test_a_target_outside_the_domain_is_named_by_the_rows_of_the_file_before_any_work(
    arguments, column, value, run, folder
):
    table = read_table(folder / "homes.csv")
    cells = table[column].to_pylist()
    cells[3] = cells[17] = value
    wrong = table.set_column(table.column_names.index(column), column, [cells])
    write_table(wrong, folder / "wrong.csv")
    result = run("fit", folder / "wrong.csv", *arguments, "--model", folder / "wrong.safetensors")
    assert result.exit_code == 1
    assert "2 rows have something else, such as" in result.stderr
    assert "(rows 3, 17)" in result.stderr
    assert "epoch" not in result.stdout + result.stderr
    assert not (folder / "wrong.safetensors").exists()
    model, _ = fit(run, folder, "right", *arguments)
    result = run("evaluate", model, folder / "wrong.csv")
    assert result.exit_code == 1
    assert "something else, such as" in result.stderr
    assert "(rows 3, 17)" in result.stderr
