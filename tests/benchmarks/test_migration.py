"""The benchmark runs, every fit ends with the same loss, and the table finds its place in the guide."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # it starts Python some times

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("migration")
    guide = folder / "guide.md"
    guide.write_text(
        "before\n<!-- the table of benchmarks/migration.py -->\nformer table\n<!-- its end -->\nafter\n"
    )
    command = [sys.executable, str(BENCHMARKS / "migration.py"), "--short"]
    command += ["--results", str(folder / "migration.json"), "--guide", str(guide)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return printed, json.loads((folder / "migration.json").read_text()), guide.read_text()


def test_there_are_twenty_fits_and_all_times(run):
    _, results, _ = run
    assert len(results["configurations"]) == 20
    for row in (*results["configurations"].values(), {"same work": results["cold start"]}):
        for what in {"same work", "same loss"} & set(row):
            assert all(row[what][who]["median"] > 0 for who in ("scikit-learn", "chainrule"))
    assert results["conditions"]["versions"]["scikit-learn"]


def test_the_table_is_printed_and_put_into_the_guide(run):
    printed, results, guide = run
    for name in results["configurations"]:
        assert f"| {name} |" in printed
    assert guide.startswith("before\n")
    assert guide.endswith("after\n")
    assert "former table" not in guide
    assert printed.strip() in guide


def test_the_guide_has_a_place_for_the_table():
    guide = (BENCHMARKS.parent / "docs" / "guides" / "coming_from_scikit_learn.md").read_text(
        encoding="utf-8"
    )
    assert guide.count("<!-- the table of benchmarks/migration.py -->") == 1
    assert guide.count("<!-- its end -->") == 1
