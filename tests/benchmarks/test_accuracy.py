"""The benchmark of accuracy: which rows it uses, that it resumes, and that its means are right.

It is run on the small copy of the shared folder of conftest.py.
"""

import csv
import math
import subprocess
import sys
from pathlib import Path

import pytest

import accuracy_report
from accuracy_runs import Job, make_estimator, protocol_of, row_numbers, run

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def accuracy(shared, *arguments):
    command = [sys.executable, str(BENCHMARKS / "accuracy.py"), "--shared", str(shared), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_inner_rows_are_training_rows_of_seed_0(shared):
    protocol = protocol_of(shared)
    train, _ = protocol.split(120, 0)
    for seed in range(5):
        fitted, scored = row_numbers(120, Job("line", "linear", seed, "inner", 50), protocol)
        assert len(fitted) == 50
        assert set(fitted) | set(scored) <= set(train)
        assert not set(fitted) & set(scored)


def test_test_rows_are_the_protocols(shared):
    protocol = protocol_of(shared)
    train, test = protocol.split(120, 3)
    fitted, scored = row_numbers(120, Job("line", "linear", 3, "test", 10_000), protocol)
    assert (fitted == train).all()
    assert (scored == test).all()


def test_a_model_is_scored(shared):
    row = run(Job("line", "linear", 0, "test", 10_000), shared)
    assert row["error"] < 0.01  # the line is straight
    assert row["n_train"] == 90
    assert row["n_test"] == 30


def test_an_unknown_model_is_named():
    with pytest.raises(ValueError, match="'nobody' is neither one of"):
        make_estimator("nobody", "regression", 0)


def test_ratio_is_the_geometric_mean_of_the_shifted_errors():
    ours, theirs = {("a", "0"): 0.1, ("b", "0"): 0.2, ("c", "0"): 9.0}, {("a", "0"): 0.4, ("b", "0"): 0.1}
    mean, won, n = accuracy_report.ratio(ours, theirs, 0.001)
    assert mean == pytest.approx(math.sqrt((0.101 / 0.401) * (0.201 / 0.101)))
    assert (won, n) == (1, 2)


def test_goals_are_marked_where_they_are_not_reached():
    rows = [
        {
            "dataset": dataset,
            "seed": "0",
            "model": model,
            "error": error,
            "log_loss": loss,
            "n_train": "1000",
            "fit_cpu_s": seconds,
        }
        for model, seconds, figures in (
            ("default", "1.6", (("0.1", "0.3"), ("0.3", ""))),
            ("catboost", "1", (("0.2", "0.4"), ("0.2", ""))),
            ("realmlp", "9", (("0.1", ""), ("0.3", ""))),
            ("lightgbm", "0.1", (("0.2", ""), ("0.4", ""))),
        )
        for dataset, (error, loss) in zip("ab", figures, strict=True)
    ]
    catboost = math.sqrt(0.101 / 0.201 * 0.301 / 0.201)
    lightgbm = math.sqrt(0.101 / 0.201 * 0.301 / 0.401)
    assert accuracy_report.goals(rows, ["default"]).splitlines()[2:] == [
        "| error, ratio to realmlp | 1.000 / 0.96 ✗ |",
        f"| error, ratio to catboost | {catboost:.3f} / 0.91 |",
        f"| error, ratio to lightgbm | {lightgbm:.3f} / 0.865 |",
        "| sets won against catboost | 1 of 2 / 60% ✗ |",
        "| log-loss, ratio to catboost | 0.750 / 0.96 |",
        "| CPU s per 1,000 rows | 1.600 / 1.5 ✗ |",
    ]


@pytest.mark.slow  # it starts Python for each fit
def test_it_resumes_and_compares(shared, tmp_path):
    results, figure = tmp_path / "new" / "results.csv", tmp_path / "figure.svg"
    options = ("--models", "linear", "--results", results)
    first = accuracy(shared, *options, "--sets", "line")
    assert first.returncode == 0, first.stderr
    before = results.read_text()
    second = accuracy(shared, *options, "--figure", figure)
    assert second.returncode == 0, second.stderr
    assert results.read_text().startswith(before)
    rows = list(csv.DictReader(results.read_text().splitlines()))
    assert [row["dataset"] for row in rows] == ["line", "sign"]
    assert "| rival |" in second.stdout
    assert "of 2" in second.stdout
    assert figure.stat().st_size > 0
    table = accuracy(shared, *options, "--table")
    assert table.stdout == second.stdout


@pytest.mark.slow  # it starts Python for each fit
def test_a_failure_is_told_and_is_no_row(shared, tmp_path):
    result = accuracy(shared, "--models", "nobody", "--sets", "line", "--results", tmp_path / "results.csv")
    assert result.returncode == 1
    assert "nobody on line: ValueError" in result.stderr
    assert not (tmp_path / "results.csv").exists()
