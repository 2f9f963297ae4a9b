"""Sparse rows: the same bits as of dense ones, which are never made."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from chainrule import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = sparse.random_array((90, 40), density=0.1, rng=RNG, format="csr")
DENSE = X.toarray()
TARGETS = {
    "classes": (MLPClassifier, RNG.integers(0, 3, 90)),
    "number": (MLPRegressor, RNG.normal(size=90)),
    "numbers": (MLPRegressor, RNG.normal(size=(90, 2))),
}
CONTAINERS = [sparse.csr_array, sparse.csc_array, sparse.csr_matrix, sparse.csc_matrix]


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_descent_leaves_the_same_bits(task, container):
    kind, y = TARGETS[task]
    weight = RNG.uniform(0.1, 2, 90)
    for settings in ({"dropout": 0.3}, {"early_stopping": True}, {"solver": "sgd", "clip_norm": 0.1}):
        model = kind(hidden_layer_sizes=[6], batch_size=16, max_iter=4, random_state=0, **settings)
        eval_set = (container(X[:20]), y[:20])
        rows = container(X)
        ours = model.fit(rows, y, weight, eval_set=None if "early_stopping" in settings else eval_set)
        theta, curve, validation = ours.theta_, ours.loss_curve_, ours.validation_loss_curve_
        predictions = ours.predict(rows)
        model.fit(DENSE, y, weight, eval_set=None if "early_stopping" in settings else (DENSE[:20], y[:20]))
        np.testing.assert_array_equal(theta, model.theta_)
        assert curve == model.loss_curve_
        assert validation == model.validation_loss_curve_
        np.testing.assert_array_equal(predictions, model.predict(DENSE))


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_goes_the_same_way(task, dtype):
    kind, y = TARGETS[task]
    weight = RNG.uniform(0.1, 2, 90)
    weight[40:70] = 0
    model = kind(hidden_layer_sizes=[4], solver="lbfgs", alpha=0.5, max_iter=15, random_state=0)
    dense = model.fit(DENSE.astype(dtype), y, weight).loss_curve_
    rows = model.fit(X.astype(dtype), y, weight).loss_curve_
    assert model.theta_.dtype == dtype
    assert rows == dense


MEMORY = """
import resource
import numpy as np
from scipy import sparse
from chainrule import MLPRegressor

rng = np.random.default_rng(0)
X = sparse.{container}(sparse.random_array((20_000, 50_000), density=1e-4, rng=rng, format="coo"))
y = rng.normal(size=20_000)
model = MLPRegressor(hidden_layer_sizes=[2], solver="{solver}", max_iter=2, batch_size=512)
model.fit(X[:200], y[:200]).predict(X[:200])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model.fit(X, y).predict(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("container", ["csr_array", "csc_array"])
def test_nothing_is_made_dense(solver, container):
    """All rows would take 8 GB, and a batch of them 205 MB."""
    program = MEMORY.format(solver=solver, container=container)
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 100e6


def test_columns_may_come_in_any_order_and_twice():
    mixed = sparse.csr_array(([1.0, 2.0, 3.0, 0.5], [7, 2, 7, 0], [0, 3, 4]), shape=(2, 40))
    before = mixed.indices.copy()
    model = MLPRegressor(max_iter=2, random_state=0)
    np.testing.assert_array_equal(
        model.fit(mixed, [0.0, 1.0]).predict(mixed),
        model.fit(mixed.toarray(), [0.0, 1.0]).predict(mixed.toarray()),
    )
    np.testing.assert_array_equal(mixed.indices, before)


def test_what_is_wrong_with_sparse_rows_is_told():
    bad = X.copy()
    bad.data[3] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        MLPRegressor().fit(bad, DENSE[:, 0])
    huge = sparse.csr_array(([1e200], ([0], [7])), shape=(90, 40))
    with pytest.raises(ValueError, match=r"The loss is .* The largest \|X\| is 1e\+200 \(column 7\)"):
        MLPRegressor(solver="sgd", random_state=0).fit(huge, RNG.normal(size=90))


def test_a_sparse_target_of_labels_is_taken():
    labels = (DENSE[:, :3] > 0).astype(int)
    model = MLPClassifier([4], max_iter=3, random_state=0).fit(X, labels)
    theta = model.theta_
    assert np.array_equal(model.fit(X, sparse.csr_array(labels)).theta_, theta)
