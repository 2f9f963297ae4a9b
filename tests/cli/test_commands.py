"""fit, predict and evaluate: against the estimators in Python, scikit-learn's scores and the csv module."""

import csv
import io
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from sklearn import metrics

import chainrule
from chainrule.cli.files import read_table, write_table
from chainrule.training import split_validation

TARGETS = ["price", "sold", "grade"]


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def scores_in(text):
    """Return the last number of each line of a printed table, by the line's name."""
    lines = re.findall(r"^│ (.+?) +│.* ([-−+.,\d]+) │$", text, flags=re.MULTILINE)
    return {name: float(value.replace(",", "").replace("−", "-")) for name, value in lines}


def expected_scores(model, inputs, actual):
    if hasattr(model, "classes_"):
        probabilities = model.predict_proba(inputs)
        predicted = model.classes_[probabilities.argmax(axis=1)]
        scores = {
            "accuracy": metrics.accuracy_score(actual, predicted),
            "balanced accuracy": metrics.balanced_accuracy_score(actual, predicted),
            "log loss": metrics.log_loss(actual, probabilities.astype(float), labels=model.classes_),
        }
        if len(model.classes_) == 2:
            scores["ROC AUC"] = metrics.roc_auc_score(actual == model.classes_[1], probabilities[:, 1])
        return scores
    predicted = model.predict(inputs)
    return {
        "R²": metrics.r2_score(actual, predicted),
        "RMSE": metrics.root_mean_squared_error(actual, predicted),
        "MAE": metrics.mean_absolute_error(actual, predicted),
    }


@pytest.mark.parametrize("target", TARGETS)
def test_fit_prints_the_scores_of_rows_that_were_held_out(homes, target):
    table = read_table(homes / "homes.csv")
    actual = np.asarray(table[target])
    stratify = None if target == "price" else np.unique(actual, return_inverse=True)[1]
    train, test = split_validation(table.num_rows, 0.2, seed=0, stratify=stratify)
    kind = chainrule.TabularRegressor if target == "price" else chainrule.TabularClassifier
    inputs = table.drop_columns([target])
    expected = {}
    for name, hidden, epochs in (("linear", (), None), ("network", (8,), 4)):
        model = kind(hidden=hidden, epochs=epochs, random_state=0)
        model.fit(inputs.take(train), actual[train])
        expected[name] = expected_scores(model, inputs.take(test), actual[test])
    printed = (homes / f"{target}.txt").read_text()
    assert "Scores on 48 held-out rows" in printed
    for score, value in expected["network"].items():
        line = next(line for line in printed.splitlines() if line.startswith(f"│ {score} "))
        linear, network, _ = (cell.strip() for cell in line.strip("│ ").split("│")[1:])
        assert float(linear.replace(",", "").replace("−", "-")) == pytest.approx(
            expected["linear"][score], rel=1e-3, abs=1e-4
        )
        assert float(network.replace(",", "").replace("−", "-")) == pytest.approx(value, rel=1e-3, abs=1e-4)
    assert f"Model: {homes / target}.safetensors" in printed
    assert (homes / f"{target}.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("target", TARGETS)
def test_predict_gives_what_the_model_gives_in_python(run, homes, target):
    table = read_table(homes / "homes.csv")
    model = chainrule.load(homes / f"{target}.safetensors")
    inputs = table.drop_columns([target])
    result = run("predict", homes / f"{target}.safetensors", homes / "homes.csv")
    assert result.exit_code == 0
    assert result.stderr == ""
    rows = rows_of(result.stdout)
    assert [row["prediction"] for row in rows] == [str(value) for value in model.predict(inputs).tolist()]
    if target == "price":
        assert list(rows[0]) == ["prediction"]
    else:
        assert list(rows[0]) == ["prediction", *(f"probability_{label}" for label in model.classes_)]
        found = np.array([list(row.values())[1:] for row in rows], dtype=np.float32)
        assert np.array_equal(found, model.predict_proba(inputs).astype(np.float32))


@pytest.mark.parametrize("target", TARGETS)
def test_evaluate_prints_scikit_learns_scores(run, homes, target):
    table = read_table(homes / "homes.csv")
    model = chainrule.load(homes / f"{target}.safetensors")
    expected = expected_scores(model, table.drop_columns([target]), np.asarray(table[target]))
    result = run("evaluate", homes / f"{target}.safetensors", homes / "homes.csv")
    assert result.exit_code == 0
    assert scores_in(result.stdout) == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert f"{target}: scores on 240 rows of homes.csv" in result.stdout


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".feather"])
def test_predictions_go_to_a_file_of_each_format(run, homes, tmp_path, ending):
    result = run(
        "predict", homes / "grade.safetensors", homes / "homes.csv", "--out", tmp_path / f"p{ending}"
    )
    assert result.exit_code == 0
    assert result.stdout == ""
    assert f"240 predictions are in {tmp_path / 'p'}{ending}." in result.stderr
    on_stdout = rows_of(run("predict", homes / "grade.safetensors", homes / "homes.csv").stdout)
    in_file = read_table(tmp_path / f"p{ending}").to_pylist()
    assert [float(row["probability_2"]) for row in on_stdout] == pytest.approx(
        [row["probability_2"] for row in in_file]
    )
    assert [row["prediction"] for row in on_stdout] == [str(row["prediction"]) for row in in_file]


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".feather"])
def test_columns_are_found_by_name_in_any_order_of_any_format(run, homes, tmp_path, table, ending):
    shuffled = table.select(["old", "day", "code", "size, m²", "colour", "sold", "grade", "calls"])
    shuffled = shuffled.append_column("something else", pa.array(["x"] * table.num_rows))
    write_table(shuffled, tmp_path / f"new{ending}")
    # "street" is different in every row: the model does not look at it, so it need not be there
    result = run("predict", homes / "price.safetensors", tmp_path / f"new{ending}")
    assert result.exit_code == 0, result.stderr
    whole = run("predict", homes / "price.safetensors", homes / "homes.csv")
    assert result.stdout == whole.stdout


def test_text_that_looks_like_numbers_in_a_few_rows_stays_text(run, homes, tmp_path, table):
    # alone, these rows of the CSV file have nothing in "code" that is not a number
    rows = np.flatnonzero(np.asarray(table["code"]) != "A1")
    write_table(table.take(rows), tmp_path / "few.csv")
    few = rows_of(run("predict", homes / "price.safetensors", tmp_path / "few.csv").stdout)
    every = rows_of(run("predict", homes / "price.safetensors", homes / "homes.csv").stdout)
    assert few == [every[row] for row in rows]


def test_the_same_seed_writes_the_same_model_and_another_seed_another(run, homes, tmp_path):
    small = ("--hidden", "4", "--epochs", "2", "--test-fraction", "0", "--quiet")

    def fitted(name, *options):
        files = (homes / "homes.csv", "--target", "price", "--model", tmp_path / name)
        result = run("fit", *files, *options, *small)
        assert result.exit_code == 0, result.stderr
        return chainrule.load(tmp_path / name).theta_

    first = fitted("a.safetensors", "--seed", "3")
    assert np.array_equal(first, fitted("b.safetensors", "--seed", "3", "--threads", "1"))
    assert not np.array_equal(first, fitted("c.safetensors", "--seed", "4"))


def test_options_reach_the_model(run, homes, tmp_path):
    options = ("--hidden", "6,5", "--epochs", "2", "--likelihood", "poisson", "--seed", "9", "--threads", "1")
    result = run(
        "fit", homes / "homes.csv", "--target", "calls", "--model", tmp_path / "m.safetensors", *options,
        "--task", "regression", "--time-limit", "100", "--html", tmp_path / "page.html",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    model = chainrule.load(tmp_path / "m.safetensors")
    assert [layer.units for layer in model.network_.hidden if hasattr(layer, "units")] == [6, 5]
    assert model.network_.likelihood.name == "poisson"
    assert len(model.history_.epochs) == 2
    assert (model.random_state, model.n_threads, model.time_limit) == (9, 1, 100)
    assert model.target_name_ == "calls"
    assert (tmp_path / "page.html").exists()
    assert not (tmp_path / "m.html").exists()


def test_the_recipe_s_options_reach_the_model(run, homes, tmp_path):
    options = ("--hidden", "4", "--epochs", "2", "--preset", "fast", "--metric", "auc")
    options += ("--class-weight", "balanced", "--categorical", "size, m²", "--categorical", "grade")
    path = tmp_path / "m.safetensors"
    result = run("fit", homes / "homes.csv", "--target", "sold", "--model", path, *options)
    assert result.exit_code == 0, result.stderr
    model = chainrule.load(path)
    given = model.get_params()
    assert [given[name] for name in ("preset", "metric", "class_weight")] == ["fast", "auc", "balanced"]
    assert model.n_members_ <= 4  # those of "fast" that count
    assert model.history_.monitor == "auc"
    kinds = {column.name: column.kind for column in model.encoder_.columns}
    assert (kinds["size, m²"], kinds["grade"], kinds["price"]) == ("category", "category", "number")


def test_the_last_rows_are_held_out(run, homes, tmp_path):
    path = tmp_path / "m.safetensors"
    small = ("--hidden", "4", "--epochs", "2", "--validation", "last")
    result = run("fit", homes / "homes.csv", "--target", "price", "--model", path, *small)
    assert result.exit_code == 0, result.stderr
    table = read_table(homes / "homes.csv")
    inputs = table.drop_columns(["price"])
    expected = chainrule.TabularRegressor(hidden=(4,), epochs=2, validation="last", random_state=0)
    expected.fit(inputs.slice(0, 192), np.asarray(table["price"])[:192])
    np.testing.assert_array_equal(chainrule.load(path).theta_, expected.theta_)
    assert "the last 48 rows" in path.with_suffix(".html").read_text()
    rmse = metrics.root_mean_squared_error(
        np.asarray(table["price"])[192:], expected.predict(inputs.slice(192))
    )
    line = next(line for line in result.stdout.splitlines() if line.startswith("│ RMSE "))
    assert float(line.strip("│ ").split("│")[2]) == pytest.approx(rmse, rel=1e-3)


def test_groups_stay_together_and_are_no_input(run, tmp_path):
    """The target is the group's alone: whoever has seen rows of a group knows the others."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 30, 240)
    columns = {"person": [f"person {k}" for k in group], "y": rng.normal(size=30)[group]}
    columns |= {f"x{k}": rng.normal(size=30)[group] for k in range(6)}
    write_table(pa.table(columns), tmp_path / "data.csv")
    path, small = tmp_path / "m.safetensors", ("--hidden", "16", "--epochs", "20")
    scores = []
    for options in (("--group-column", "person"), ()):
        result = run("fit", tmp_path / "data.csv", "--target", "y", "--model", path, *small, *options)
        assert result.exit_code == 0, result.stderr
        line = next(line for line in result.stdout.splitlines() if line.startswith("│ R² "))
        scores.append(float(line.strip("│ ").split("│")[2].replace("−", "-")))
        assert ("person" in chainrule.load(path).feature_names_in_) == (not options)
        page = path.with_suffix(".html").read_text()
        assert ("those of 6 of the 30 groups" in page) == bool(options)
    assert scores[0] < 0.5 < scores[1]


def test_weights_count_in_the_training_and_are_no_input(run, tmp_path):
    rng = np.random.default_rng(1)
    x, heavy = rng.normal(size=400), np.arange(400) % 2
    columns = {"x": x, "y": np.where(heavy, x, -x), "heavy": heavy.astype(float)}
    write_table(pa.table(columns), tmp_path / "data.csv")
    path = tmp_path / "m.safetensors"
    options = ("--hidden", "none", "--weight-column", "heavy")
    result = run("fit", tmp_path / "data.csv", "--target", "y", "--model", path, *options)
    assert result.exit_code == 0, result.stderr
    model = chainrule.load(path)
    assert model.feature_names_in_.tolist() == ["x"]
    np.testing.assert_allclose(model.predict(pa.table({"x": [-1.0, 1.0]})), [-1, 1], atol=0.1)
    assert run("predict", path, tmp_path / "data.csv").exit_code == 0


def test_task_says_what_a_number_is(run, homes, tmp_path):
    for task, kind in (
        ("regression", chainrule.TabularRegressor),
        ("classification", chainrule.TabularClassifier),
    ):
        path = tmp_path / f"{task}.safetensors"
        result = run(
            "fit", homes / "homes.csv", "--target", "grade", "--model", path, "--task", task, "--hidden", "4",
            "--epochs", "1",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        assert isinstance(chainrule.load(path), kind)


def test_hidden_none_is_the_linear_model(run, homes, tmp_path):
    path = tmp_path / "linear.safetensors"
    result = run("fit", homes / "homes.csv", "--target", "price", "--model", path, "--hidden", "none")
    assert result.exit_code == 0, result.stderr
    assert chainrule.load(path).network_.hidden == ()
    # both columns are the same model
    cells = re.findall(r"│ R² +│ +(\S+) │ +(\S+) │", result.stdout)
    assert len(cells) == 1
    assert cells[0][0] == cells[0][1]


def test_files_go_to_the_current_folder_under_the_name_of_the_data(run, homes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("fit", homes / "homes.csv", "--target", "sold", "--hidden", "4", "--epochs", "1")
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["homes.html", "homes.safetensors"]


def test_quiet_prints_the_scores_only(run, homes, tmp_path):
    path = tmp_path / "m.safetensors"
    result = run("fit", homes / "homes.csv", "--target", "sold", "--model", path, "--epochs", "1", "-q")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.startswith("Scores on 48 held-out rows")
    assert "Model:" not in result.stdout


def test_without_held_out_rows_all_rows_are_for_the_fit(run, homes, tmp_path):
    path = tmp_path / "m.safetensors"
    result = run(
        "fit",
        homes / "homes.csv",
        "--target",
        "sold",
        "--model",
        path,
        "--epochs",
        "1",
        "--test-fraction",
        "0",
    )
    assert result.exit_code == 0
    assert "Scores" not in result.stdout
    assert chainrule.load(path).n_rows_ == 240
    assert "No rows were held out" in path.with_suffix(".html").read_text()


def test_a_model_with_parquet_categories_predicts_from_csv(run, tmp_path, table):
    categorical = table.set_column(1, "colour", table["colour"].dictionary_encode())
    categorical = categorical.set_column(7, "sold", table["sold"].dictionary_encode())
    pa.parquet.write_table(categorical, tmp_path / "homes.parquet")
    write_table(table, tmp_path / "homes.csv")
    model = tmp_path / "m.safetensors"
    result = run(
        "fit", tmp_path / "homes.parquet", "--target", "sold", "--model", model, "--epochs", "1", "-q"
    )
    assert result.exit_code == 0, result.stderr
    outputs = [run("predict", model, tmp_path / f"homes{ending}").stdout for ending in (".csv", ".parquet")]
    assert outputs[0] == outputs[1]
    assert len(rows_of(outputs[0])) == table.num_rows
    result = run("evaluate", model, tmp_path / "homes.csv")
    assert result.exit_code == 0, result.stderr


def test_a_time_limit_ends_both_trainings_and_says_so(run, homes, tmp_path):
    path = tmp_path / "m.safetensors"
    result = run("fit", homes / "homes.csv", "--target", "price", "--model", path, "--time-limit", "0.001")
    assert result.exit_code == 0, result.stderr
    assert chainrule.load(path).stopped_by_ == "time"
    assert "The time limit ended the linear model early" in result.stderr


@pytest.fixture
def interrupt(monkeypatch):
    """Return a function that lets the fit of each model with so many epochs end as Ctrl-C ends it."""
    whole = chainrule.TabularRegressor.fit

    def arrange(epochs, best_epoch=None):
        def fit(model, *data, **given):
            whole(model, *data, **given)
            if model.epochs == epochs:
                model.stopped_by_ = model.history_.stopped_by = "interrupt"
                if best_epoch is not None:
                    model.history_.best_epoch = best_epoch
            return model

        monkeypatch.setattr(chainrule.TabularRegressor, "fit", fit)

    return arrange


def test_ctrl_c_ends_a_network_without_hidden_layers_like_any_other(run, homes, tmp_path, interrupt):
    interrupt(epochs=3)  # the one that is asked for, not the linear model to compare with
    path = tmp_path / "m.safetensors"
    options = ("--hidden", "none", "--epochs", "3", "--quiet")
    result = run("fit", homes / "homes.csv", "--target", "price", "--model", path, *options)
    assert result.exit_code == 130
    assert "the best parameters so far are in the model file" in result.stderr
    assert chainrule.load(path).stopped_by_ == "interrupt"


@pytest.mark.parametrize("when", [{"epochs": None}, {"epochs": 3, "best_epoch": 0}])
def test_ctrl_c_before_the_network_has_learnt_writes_nothing(run, homes, tmp_path, interrupt, when):
    interrupt(**when)  # in the linear model, and in the network's first epoch
    path = tmp_path / "m.safetensors"
    result = run("fit", homes / "homes.csv", "--target", "price", "--model", path, "--epochs", "3", "--quiet")
    assert result.exit_code == 130
    assert result.stderr == "error: interrupted; nothing was saved.\n"
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", TARGETS)
def test_trace_prints_the_trace_of_the_row_and_writes_its_page(run, homes, tmp_path, target):
    table = read_table(homes / "homes.csv")
    model = chainrule.load(homes / f"{target}.safetensors")
    page = tmp_path / "trace.html"
    result = run("trace", homes / f"{target}.safetensors", homes / "homes.csv", "--row", 17, "--html", page)
    assert result.exit_code == 0, result.stderr
    row = table.slice(17, 1)
    traced = chainrule.trace(model, row.select(list(model.feature_names_in_)), row[target][0].as_py())
    assert result.stdout == f"{traced}\n"
    assert "The page is" in result.stderr
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    given = run("trace", homes / f"{target}.safetensors", homes / "homes.csv", "--learning-rate", 0.25)
    assert "A step of η = 0.25" in given.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_inspect_says_what_is_in_a_model_file(run, homes, target):
    model = chainrule.load(homes / f"{target}.safetensors")
    result = run("inspect", homes / f"{target}.safetensors")
    assert result.exit_code == 0, result.stderr
    shown = result.stdout
    assert (
        f"{target}.safetensors: a {type(model).__name__}, written by chainrule {chainrule.__version__}"
        in shown
    )
    assert f"{model.network_.n_parameters:,} in float32" in shown
    assert re.search(rf"members +│ {model.n_members_}; ", shown)
    for column in model.encoder_.columns:
        assert re.search(rf"{re.escape(column.name)} +│ {column.kind} ", shown)
    assert "1: silu" in shown
    for label in getattr(model, "classes_", []):
        assert str(label) in shown


def test_inspect_takes_a_model_of_arrays_too(run, tmp_path):
    rng = np.random.default_rng(0)
    model = chainrule.MLPRegressor(hidden_layer_sizes=[4], solver="lbfgs", alpha=1.0, random_state=0)
    model.fit(rng.normal(size=(30, 2)), rng.normal(size=30))
    model.save(tmp_path / "mlp.safetensors")
    result = run("inspect", tmp_path / "mlp.safetensors")
    assert result.exit_code == 0, result.stderr
    assert "a MLPRegressor" in result.stdout
    assert "4 × 2" in result.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_report_writes_a_page_with_the_scores_of_the_rows(run, homes, tmp_path, target):
    page = tmp_path / "report.html"
    result = run("report", homes / f"{target}.safetensors", homes / "homes.csv", "--html", page)
    assert result.exit_code == 0, result.stderr
    text = page.read_text(encoding="utf-8")
    scores = scores_in(run("evaluate", homes / f"{target}.safetensors", homes / "homes.csv").stdout)
    for value in scores.values():
        assert re.search(rf">−?{abs(value):,g}0* \(", text)
    assert "Health of the network" in text
    assert "What it rests on" in text
    assert f"{chainrule.load(homes / f'{target}.safetensors').n_members_}, of which that is the first" in text
