"""Any combination of settings, rows, labels and calls takes scikit-learn's course, in its words."""

import copy
import io
import pickle
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn import neural_network as theirs
from threadpoolctl import threadpool_limits

from chainrule import MLPClassifier, MLPRegressor

PAIRS = {MLPClassifier: theirs.MLPClassifier, MLPRegressor: theirs.MLPRegressor}
RNG = np.random.default_rng(0)
N_ROWS = 40
X = RNG.normal(size=(N_ROWS, 4))
X[np.abs(X) < 0.3] = 0  # something for sparse rows to leave out
SUMS = X @ RNG.normal(size=(4, 3)) + 0.3 * RNG.normal(size=(N_ROWS, 3))
PLACE = SUMS.argmax(axis=1)
COUNTS = RNG.poisson(np.exp(np.clip(SUMS / 2, -3, 2)))
TARGETS = {
    "booleans": SUMS[:, 0] > 0,
    "text": np.array(["u", "a", "k"])[PLACE],
    "pandas text": pd.Series(np.array(["no", "yes"])[(SUMS[:, 1] > 0).astype(int)], dtype="string"),
    "objects": np.array(["u", "a", "k"], dtype=object)[PLACE],
    "categories": pd.Series(np.array(["u", "a", "k"])[PLACE], dtype="category"),
    "small numbers": PLACE.astype(np.uint8),
    "nullable numbers": pd.Series(PLACE, dtype="Int64"),
    "decimals": PLACE / 2,
    "labels": (SUMS > 0).astype(int),
    "a number": SUMS[:, 0],
    "numbers": SUMS,
    "counts": COUNTS[:, 0],
    "parts of counts": COUNTS[:, 0] / 2,
    "several counts": COUNTS,
}
FOR_NUMBERS = {"a number", "numbers", "counts", "parts of counts", "several counts"}


def unsorted(rows):
    """Return CSR rows whose columns go down."""
    made = sparse.csr_array(rows)
    for start, end in zip(made.indptr[:-1], made.indptr[1:], strict=True):
        made.indices[start:end] = made.indices[start:end][::-1].copy()
        made.data[start:end] = made.data[start:end][::-1].copy()
    made.has_sorted_indices = False
    return made


def twice(rows):
    """Return CSR rows that have each entry in two halves."""
    half = sparse.coo_matrix(rows / 2)
    parts = [np.tile(part, 2) for part in (half.data, half.row, half.col)]
    return sparse.csr_matrix((parts[0], tuple(parts[1:])), shape=rows.shape)


FORMS = {
    "dense": np.asarray,
    "Fortran": np.asfortranarray,
    "table": lambda rows: pd.DataFrame(rows, columns=list("abcd")),
    "nullable table": lambda rows: pd.DataFrame(rows, columns=list("abcd")).convert_dtypes(),
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_array,
    "coo": sparse.coo_array,
    "unsorted": unsorted,
    "twice": twice,
}
SETTINGS = {
    "hidden_layer_sizes": st.sampled_from([(5,), 7, [4, 3], np.array([3, 3]), ()]),
    "activation": st.sampled_from(["identity", "logistic", "tanh", "relu"]),
    "solver": st.sampled_from(["adam", "sgd"]),
    "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
    "learning_rate_init": st.sampled_from([0.001, 0.01]),
    "batch_size": st.sampled_from(["auto", 7, 20, 500]),
    "max_iter": st.sampled_from([1, 3, 12]),
    "shuffle": st.booleans(),
    "tol": st.sampled_from([0, 1e-4, 0.1, np.inf]),
    "alpha": st.sampled_from([0, 1e-4, 1.0]),
    "momentum": st.sampled_from([0, 0.5, 0.9, 1.0]),
    "nesterovs_momentum": st.booleans(),
    "power_t": st.sampled_from([0, 0.3]),
    "early_stopping": st.booleans(),
    "validation_fraction": st.sampled_from([0.1, 0.3]),
    "beta_1": st.sampled_from([0.5, 0.9]),
    "n_iter_no_change": st.sampled_from([1, 2, 10, np.inf]),
    "verbose": st.booleans(),
    "random_state": st.integers(0, 5),
}
LATER = {"alpha": 0.5, "learning_rate_init": 0.004, "momentum": 0.2, "power_t": 0.4}
CALLS = st.sampled_from(
    [
        ["fit"],
        ["fit", "fit"],
        ["fit", "later", "partial_fit", "pickle", "partial_fit", "deepcopy", "partial_fit"],
        ["partial_fit"] * 4,
        ["warm", "fit", "fit", "deepcopy", "fit"],
    ]
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread_for_blas():
    with threadpool_limits(limits=1, user_api="blas"):  # more make small products slow
        yield


@dataclass
class Told:
    """What a call warns of, what it prints, and what it raises."""

    warnings: list[tuple[type[Warning], str]]
    printed: list[str]
    error: Exception | None = None


def told(call, *arguments, **keywords):
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(io.StringIO()) as out:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", RuntimeWarning)  # numbers that overflow in scikit-learn
        error = None
        try:
            call(*arguments, **keywords)
        except Exception as raised:
            error = raised
    # the last digit of a loss may differ
    lines = [line.split("=")[0] for line in out.getvalue().splitlines()]
    return Told([(it.category, str(it.message)) for it in caught], lines, error)


def agree(ours, of_theirs, rows):
    for name in ("n_iter_", "t_", "n_outputs_", "n_layers_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(of_theirs, name), name
    for name in ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_"):
        own, other = getattr(ours, name), getattr(of_theirs, name)
        assert (own is None) == (other is None), name
        if own is not None:
            np.testing.assert_allclose(own, other, rtol=1e-8, atol=1e-12, err_msg=name)
    for name in ("coefs_", "intercepts_"):
        for own, other in zip(getattr(ours, name), getattr(of_theirs, name), strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-9)
    if hasattr(of_theirs, "classes_"):
        assert ours.classes_.dtype == of_theirs.classes_.dtype
        np.testing.assert_array_equal(ours.classes_, of_theirs.classes_)
        np.testing.assert_allclose(ours.predict_proba(rows), of_theirs.predict_proba(rows), rtol=1e-6)
    own, other = ours.predict(rows), of_theirs.predict(rows)
    assert (own.dtype, own.shape) == (other.dtype, other.shape)


def words_agree(ours, of_theirs):
    """A warning of ours begins as theirs; an error is of the same kind."""
    assert [category for category, _ in ours.warnings] == [category for category, _ in of_theirs.warnings]
    for (_, text), (_, their_text) in zip(ours.warnings, of_theirs.warnings, strict=True):
        assert text.startswith(their_text)
    assert ours.printed == of_theirs.printed
    assert (ours.error is None) == (of_theirs.error is None), (ours.error, of_theirs.error)
    assert ours.error is None or isinstance(ours.error, type(of_theirs.error))


@given(
    drawn=st.fixed_dictionaries(SETTINGS),
    what=st.sampled_from(sorted(TARGETS)),
    form=st.sampled_from(sorted(FORMS)),
    weighted=st.booleans(),
    calls=CALLS,
)
def test_any_combination_takes_the_same_course(drawn, what, form, weighted, calls):
    kind = MLPRegressor if what in FOR_NUMBERS else MLPClassifier
    own = {"loss": "poisson"} if "counts" in what else {}
    models = [kind(**drawn, **own), PAIRS[kind](**drawn, **own)]
    rows, y = FORMS[form](X), TARGETS[what]
    weight = np.linspace(0.2, 2, N_ROWS) if weighted else None
    classes = np.arange(3) if what == "labels" else np.unique(np.asarray(y))
    first = {} if kind is MLPRegressor else {"classes": classes}
    for call in calls:
        if call in {"pickle", "deepcopy"}:
            copied = copy.deepcopy if call == "deepcopy" else lambda model: pickle.loads(pickle.dumps(model))
            models = [copied(model) for model in models]
        elif call in {"later", "warm"}:
            # a warm start with early stopping is better here: another test has it
            changed = LATER if call == "later" else {"warm_start": True, "early_stopping": False}
            models = [model.set_params(**changed) for model in models]
        else:
            more = first if call == "partial_fit" else {}
            found = [told(getattr(model, call), rows, y, sample_weight=weight, **more) for model in models]
            words_agree(*found)
            if found[0].error is not None:
                return
            agree(*models, rows)


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("state", ["instance", "global"])
def test_a_state_of_random_numbers_is_gone_on_with(kind, state):
    y = TARGETS["text" if kind is MLPClassifier else "a number"]
    models = []
    for one in (kind, PAIRS[kind]):
        np.random.seed(3)  # noqa: NPY002 (random_state=None draws from it)
        model = one((4,), max_iter=3) if kind is MLPClassifier else one(hidden_layer_sizes=(4,), max_iter=3)
        model.set_params(random_state=np.random.RandomState(3) if state == "instance" else None)
        told(model.fit, X, y)
        told(model.fit, X, y)
        models.append(model)
    agree(*models, X)


def test_a_column_as_target_is_warned_of_and_taken():
    for kind, y in ((MLPClassifier, TARGETS["text"]), (MLPRegressor, TARGETS["a number"])):
        models = [one(hidden_layer_sizes=(4,), max_iter=3, random_state=0) for one in (kind, PAIRS[kind])]
        found = [told(model.fit, X, y[:, None]) for model in models]
        words_agree(*found)
        assert "column-vector" in found[0].warnings[0][1]
        agree(*models, X)


BINARY = TARGETS["booleans"]
ERRORS = {
    "tol below 0": lambda kind: kind(tol=-1).fit(X, BINARY),
    "no row a batch": lambda kind: kind(batch_size=0).fit(X, BINARY),
    "half a row a batch": lambda kind: kind(batch_size=10.5).fit(X, BINARY),
    "units below 1": lambda kind: kind(hidden_layer_sizes=(3, -1)).fit(X, BINARY),
    "a Generator": lambda kind: kind(random_state=np.random.default_rng(0)).fit(X, BINARY),
    "few rows to set aside": lambda kind: kind(early_stopping=True).fit(X[:5], BINARY[:5]),
    "none to set aside": lambda kind: kind(early_stopping=True, validation_fraction=0.0).fit(X, BINARY),
    "no y": lambda kind: kind().fit(X, None),
    "three axes": lambda kind: kind().fit(X, np.zeros((N_ROWS, 2, 2))),
    "names of two types": lambda kind: kind().fit(pd.DataFrame(X, columns=["a", 1, "b", 2]), BINARY),
    "complex rows": lambda kind: kind().fit(X + 1j, BINARY),
    "few weights": lambda kind: kind().fit(X, BINARY, np.ones(5)),
    "NaN weights": lambda kind: kind().fit(X, BINARY, np.full(N_ROWS, np.nan)),
    "not fitted": lambda kind: kind().predict(X),
    "other columns": lambda kind: kind(max_iter=1).fit(X, BINARY).predict(X[:, :2]),
    "one row alone": lambda kind: kind(max_iter=1).fit(X, BINARY).predict(X[0]),
    "no rows to predict": lambda kind: kind(max_iter=1).fit(X, BINARY).predict(X[:0]),
    "NaN to predict": lambda kind: kind(max_iter=1).fit(X, BINARY).predict(X * np.nan),
    "early stopping of a single pass": lambda kind: kind(early_stopping=True).partial_fit(X, BINARY),
}
OF_CLASSES = {
    "rows of one class": lambda kind: kind(early_stopping=True).fit(X, np.arange(N_ROWS) == 3),
    "several classes a row": lambda kind: kind().fit(X, np.column_stack([PLACE, PLACE])),
    "objects that are numbers": lambda kind: kind().fit(X, PLACE.astype(object)),
    "no classes": lambda kind: kind().partial_fit(X, PLACE),
    "a new class": lambda kind: kind().partial_fit(X, BINARY, classes=[0, 1]).partial_fit(X, PLACE),
    "other classes": lambda kind: (
        kind().partial_fit(X, BINARY, classes=[0, 1]).partial_fit(X, BINARY, classes=[0, 1, 2])
    ),
    "a warm start with others": lambda kind: kind(warm_start=True, max_iter=1).fit(X, BINARY).fit(X, PLACE),
    "L-BFGS in passes": lambda kind: kind(solver="lbfgs").partial_fit(X, BINARY, classes=[0, 1]),
}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [*product(PAIRS, ERRORS), *product([MLPClassifier], OF_CLASSES)],
    ids=lambda it: getattr(it, "__name__", it),
)
def test_an_error_is_of_scikit_learns_kind(kind, wrong):
    call = {**ERRORS, **OF_CLASSES}[wrong]
    ours, of_theirs = told(call, kind), told(call, PAIRS[kind])
    assert of_theirs.error is not None
    assert isinstance(ours.error, type(of_theirs.error))


def test_a_search_that_is_cut_short_is_told_in_the_same_words():
    for limits in ({"max_iter": 2}, {"max_fun": 3}):
        found = []
        for kind in (MLPRegressor, theirs.MLPRegressor):
            model = kind(solver="lbfgs", random_state=0, **limits)
            [(category, text)] = told(model.fit, X, SUMS[:, 0]).warnings
            found.append((category, text.splitlines()[:2], model.n_iter_))
        assert found[0] == found[1]
