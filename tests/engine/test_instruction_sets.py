"""Every instruction set that this processor has computes what the reference does."""

import os
import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.architecture import ACTIVATIONS
from chainrule.engine import instruction_set
from chainrule.engine.native import NativeEngine, native_module, supported_instruction_sets
from chainrule.optimization import Penalty

SETS = supported_instruction_sets()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SETS)
def test_an_instruction_set_against_the_reference(name, case, dtype, make_likelihood, draw_target):
    rng = np.random.default_rng(0)
    for activation in ACTIVATIONS if case in {"normal", "categorical"} else ["tanh"]:
        for n_outputs, n_rows in [(2, 5), (3, 70), (33, 50)]:
            kind = make_likelihood(case, n_outputs)
            net = cr.Network(
                9, [cr.Dense(37, activation), cr.Dropout(0.2), cr.Dense(18, activation)], likelihood=kind
            )
            theta = net.initial_parameters(seed=2, dtype="float64")
            X, y, weight = (
                rng.normal(size=(n_rows, 9)),
                draw_target(kind, n_rows, rng),
                rng.uniform(1, 2, n_rows),
            )
            results = []
            for engine, kept in [
                (net.engine("reference"), "float64"),
                (NativeEngine(net.architecture, kind, 2, name), dtype),
            ]:
                G = np.empty((n_rows, 9), dtype=kept)
                arrays = [array.astype(kept) for array in (theta, X, y, weight)]
                loss, gradient = engine.loss_and_gradient(*arrays, Penalty(0.01), 7, G)
                results.append((np.array(loss), gradient, G, engine.forward(*arrays[:2])))
            for expected, found in zip(*results, strict=True):
                # a loss, one number, may be a small sum of terms that are not
                size = max(np.abs(expected).max(), float(expected.ndim == 0))
                allowed = (1e-5 if dtype == "float32" else 1e-12) * size
                np.testing.assert_allclose(found, expected, rtol=0, atol=allowed)


@pytest.mark.parametrize("name", SETS)
def test_the_environment_forces_one(name, monkeypatch):
    monkeypatch.setenv("CHAINRULE_INSTRUCTION_SET", name)
    assert instruction_set() == name
    assert native_module().__name__ == f"chainrule.engine._native_{name}"


SHARED_NAMES = """
import os, sys
sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)
import numpy as np
import chainrule as cr
from chainrule.engine.native import NativeEngine, supported_instruction_sets

net = cr.Network(9, [37, 18], likelihood=cr.likelihoods.Normal(2))
theta = net.initial_parameters(seed=2, dtype="float64")
X = np.random.default_rng(0).normal(size=(600, 9))
expected = net.forward(theta, X, engine="reference")
for name in supported_instruction_sets():
    for n_threads in (1, 2):
        found = NativeEngine(net.architecture, net.likelihood, n_threads, name).forward(theta, X)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12, err_msg=f"{name}, {n_threads}")
print("as the reference")
"""


@pytest.mark.skipif(not hasattr(os, "RTLD_GLOBAL"), reason="this system's loader has no such flag")
def test_modules_that_share_their_names_with_the_process():
    run = subprocess.run([sys.executable, "-c", SHARED_NAMES], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "as the reference", run.stderr


def test_the_best_one_is_the_default(monkeypatch):
    monkeypatch.delenv("CHAINRULE_INSTRUCTION_SET", raising=False)
    assert instruction_set() == SETS[-1]


def test_one_that_is_not_to_be_had(monkeypatch):
    monkeypatch.setenv("CHAINRULE_INSTRUCTION_SET", "abacus")
    with pytest.raises(cr.InputError, match=r"CHAINRULE_INSTRUCTION_SET='abacus' .* choose one of baseline"):
        instruction_set()
