"""The benchmark runs, who is installed takes part, and the tables say what the results say.

Times are looked at only for being there.
"""

import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # it starts Python a dozen times

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NETS = ("10-100-3", "16-64-64-1", "54-256-256-256-7", "784-1024-1024-10")
# library → (the modules that it needs, whether it trains, whether it predicts)
RIVALS = {
    "JAX": (("jax",), True, False),
    "PyTorch": (("torch",), True, True),
    "scikit-learn": (("sklearn",), True, True),
    "ONNX Runtime": (("onnx", "onnxruntime"), False, True),
}
INSTALLED = {name for name, (modules, *_) in RIVALS.items() if all(map(find_spec, modules))}


def speed(*arguments):
    command = [sys.executable, str(BENCHMARKS / "speed.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speed") / "made when it is needed"
    printed = speed("--short", "--results", folder / "speed.json", "--figure", folder / "speed.svg")
    return folder, printed, json.loads((folder / "speed.json").read_text())


def summaries(part):
    """Every {"median", "lower", "upper"} somewhere in the results."""
    if isinstance(part, dict):
        if "median" in part:
            yield part
        else:
            for value in part.values():
                yield from summaries(value)


def test_everyone_who_is_installed_takes_part_and_the_others_are_named(run):
    _, printed, results = run
    assert set(results["left out"]) == set(RIVALS) - INSTALLED
    trained = {"chainrule", "chainrule, 1 thread"} | {name for name in INSTALLED if RIVALS[name][1]}
    predicted = {"chainrule"} | {name for name in INSTALLED if RIVALS[name][2]}
    assert tuple(results["epochs"]) == NETS
    for net in results["epochs"].values():
        assert set(net["seconds"]) == trained
    assert set(results["prediction"]["many rows"]) == predicted
    assert set(results["prediction"]["one row"]) == predicted | {"chainrule, predictor"}
    for name in results["left out"]:
        assert name in printed


def test_every_part_has_its_times(run):
    *_, results = run
    for part in ("epochs", "first result", "imports", "prediction", "scaling", "other work"):
        found = list(summaries(results[part]))
        assert found
        for times in found:
            assert 0 < times["lower"] <= times["median"] <= times["upper"] < math.inf


def test_the_tables_are_made_from_the_results_alone(run):
    folder, printed, results = run
    assert speed("--table", folder / "speed.json") == printed
    lines = printed.splitlines()
    for name, net in results["epochs"].items():
        rate = net["flop"] / net["seconds"]["chainrule"]["median"] / 1e9
        assert any(line.startswith(f"| {name}, {net['batch']} | {rate:.3g} (") for line in lines)


def test_the_figure_is_drawn(run):
    folder, *_ = run
    assert "<svg" in (folder / "speed.svg").read_text()


def test_a_wrong_option_is_an_error_that_says_what_is_right():
    command = [sys.executable, str(BENCHMARKS / "speed.py"), "--short", "--repeats", "0"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--repeats 0: it must be at least 1" in refused.stderr
