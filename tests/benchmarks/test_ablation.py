"""The ablation: that a variant is what its name says, and that its means are right."""

import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from scipy import stats

import ablation
from accuracy_runs import make_estimator
from chainrule.estimators import ensemble, recipe
from chainrule.estimators.members import Plan

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# The end of a variant's name → what it changes about the kinds of its preset for many rows.
CHANGED = {
    "no_scale": ("input_scale", 0.0),
    "no_smoothing": ("label_smoothing", 0.0),
    "no_dropout": ("dropout", 0.0),
    "beta_2": ("beta_2", 0.999),
    "relu": ("activation", "relu"),
}


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(recipe, "PORTFOLIOS", dict(recipe.PORTFOLIOS))
    yield
    patch.stopall()


@pytest.mark.parametrize("name", ablation.VARIANTS)
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_each_variant_takes_out_one_ingredient(name, task):
    preset = ablation.VARIANTS[name].preset
    before = recipe.PORTFOLIOS[preset][1]
    plain = vars(ensemble)["OneCycle"], Plan.weighted
    model = make_estimator(f"ablation:{name}", task, 3)
    assert (model.preset, model.random_state, model.n_threads) == (preset, 3, 1)
    after = recipe.PORTFOLIOS[preset][1]
    members = {True: sum(kind.n_members for kind in after), False: sum(kind.n_members for kind in before)}
    if (ingredient := name.partition("_")[2]) in CHANGED:
        setting, value = CHANGED[ingredient]
        assert [getattr(kind, setting) for kind in after] == [value] * len(before)
        assert all(getattr(kind, setting) != value for kind in before)
    elif name.endswith("ramps"):
        assert {kind.n_ramps > 0 for kind in after} == {name.endswith("all_ramps")}
        assert members[True] == members[False]
    elif name.endswith("no_codes"):
        assert after == before[:2]
    elif name == "default_one_member":
        assert members[True] == 1
    else:
        assert after == before
        assert (vars(ensemble)["OneCycle"], Plan.weighted) != plain


def test_an_unknown_variant_is_named():
    with pytest.raises(AttributeError, match="no variant 'nothing'"):
        make_estimator("ablation:nothing", "binary", 0)


def test_the_ratio_counts_each_set_once():
    rng = np.random.default_rng(0)
    errors = {model: rng.uniform(0.1, 0.5, (4, 3)) for model in ("a", "b")}
    rows = [
        {"dataset": str(dataset), "seed": str(seed), "model": model, "error": str(of_model[dataset, seed])}
        for model, of_model in errors.items()
        for dataset in range(4)
        for seed in range(3)
    ]
    logs = np.log((errors["a"] + 0.001) / (errors["b"] + 0.001)).mean(axis=1)
    found = ablation.compared(rows, "a", "b", "error", 0.001)
    low, high = stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
    np.testing.assert_allclose(found[:3], np.exp([logs.mean(), low, high]), rtol=1e-12)
    assert (found.n_worse, found.n_sets) == ((logs > 0).sum(), 4)
    assert ablation.compared(rows, "a", "c", "error", 0.001).n_sets == 0


@pytest.mark.slow  # it starts Python for each fit
def test_it_resumes_and_prints_its_table(shared, tmp_path):
    command = [sys.executable, str(BENCHMARKS / "ablation.py"), "--shared", str(shared), "--seeds", "0"]
    command += ["--variants", "fast_relu", "fast_alike", "--results", str(tmp_path / "ablation.csv")]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(first.stderr.splitlines()) == 6  # the preset and two variants on two sets
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (second.stdout, second.stderr) == (first.stdout, "")
    lines = first.stdout.splitlines()
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["SiLU: ReLU", "greedy weights: all alike"]
