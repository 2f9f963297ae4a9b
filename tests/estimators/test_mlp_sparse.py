"""Sparse rows: the same bits as of dense ones in a descent, and never all of them dense."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from chainrule import MLPClassifier, MLPRegressor
from chainrule.training import sparse as module

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


@pytest.fixture(params=[1, 20_000, 8_000_000])
def _buffer(request, monkeypatch):
    """So small that a batch does not fit, some batches, all rows."""
    monkeypatch.setattr(module, "BUFFER_BYTES", request.param)


@pytest.mark.usefixtures("_buffer")
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
        np.testing.assert_allclose(validation, model.validation_loss_curve_, rtol=1e-12)
        np.testing.assert_allclose(predictions, model.predict(DENSE), rtol=1e-12)


@pytest.mark.usefixtures("_buffer")
@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_goes_the_same_way(task, dtype):
    kind, y = TARGETS[task]
    weight = RNG.uniform(0.1, 2, 90)
    weight[40:70] = 0  # whole parts that do not count
    model = kind(hidden_layer_sizes=[4], solver="lbfgs", alpha=0.5, max_iter=15, random_state=0)
    dense = model.fit(DENSE.astype(dtype), y, weight).loss_curve_
    rows = model.fit(X.astype(dtype), y, weight).loss_curve_
    assert model.theta_.dtype == dtype
    np.testing.assert_allclose(rows, dense, rtol=1e-3 if dtype == "float32" else 1e-9)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
def test_the_rows_are_never_all_dense(solver, container):
    n_rows, n_columns = 4000, 10_000
    rows = container(sparse.random_array((n_rows, n_columns), density=1e-3, rng=RNG, format="coo"))
    whole = n_rows * n_columns * 8  # 320 MB
    y = RNG.normal(size=n_rows)
    model = MLPRegressor(hidden_layer_sizes=[2], solver=solver, max_iter=2, batch_size=50, random_state=0)
    tracemalloc.start()
    model.fit(rows, y)
    model.predict(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < whole / 10


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
