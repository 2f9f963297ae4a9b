"""The course of a training is scikit-learn's: each epoch's loss, each score, and the predictions at the end.

All in float64, over the product of solvers, activations, learning rates, tasks, early stopping, sparse rows
and weights.
"""

import warnings
from itertools import product

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network as theirs
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression
from threadpoolctl import threadpool_limits

from chainrule import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
PAIRS = {MLPClassifier: theirs.MLPClassifier, MLPRegressor: theirs.MLPRegressor}
N_ROWS, N_FEATURES = 70, 6


def make_tasks():
    """Return the class, X, y and settings for each kind of target."""
    two = make_classification(N_ROWS, N_FEATURES, n_informative=4, random_state=0)
    three = make_classification(N_ROWS, N_FEATURES, n_informative=4, n_classes=3, random_state=1)
    labels = make_multilabel_classification(N_ROWS, N_FEATURES, n_classes=3, random_state=0)
    number = make_regression(N_ROWS, N_FEATURES, noise=5, random_state=0)
    numbers = make_regression(N_ROWS, N_FEATURES, n_targets=3, noise=5, random_state=1)
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.exp(0.5 * number[0][:, 0]))
    many = rng.poisson(np.exp(0.5 * number[0][:, :2]))
    return {
        "two classes": (MLPClassifier, two[0], np.array(["no", "yes"])[two[1]], {}),
        "three classes": (MLPClassifier, three[0], three[1] * 2 + 1, {}),
        "labels": (MLPClassifier, labels[0] / 10, labels[1], {}),
        "number": (MLPRegressor, number[0], number[1] / number[1].std(), {}),
        "numbers": (MLPRegressor, numbers[0], numbers[1] / numbers[1].std(axis=0), {}),
        "counts": (MLPRegressor, number[0], counts, {"loss": "poisson"}),
        "several counts": (MLPRegressor, number[0], many, {"loss": "poisson"}),
    }


TASKS = make_tasks()
RATES = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "constant": {"solver": "sgd", "learning_rate_init": 0.02, "nesterovs_momentum": False},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.05},
    # the tolerance is such that the rate falls several times
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.05, "tol": 0.01},
}
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
FORMS = {"dense": np.asarray, "csr": sparse.csr_array, "csc": sparse.csc_matrix}


@pytest.fixture(autouse=True, scope="module")
def _one_thread_for_blas():
    with threadpool_limits(limits=1, user_api="blas"):  # more make small products slow
        yield


def weights_of(X, weighted):
    if not weighted:
        return None
    weight = np.random.default_rng(0).uniform(0.1, 3, len(X))
    weight[::7] = 0
    return weight


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def compare(task, activation, form="dense", weighted=False, **settings):
    """Fit both alike and compare their courses."""
    kind, X, y, own = TASKS[task]
    settings = {
        "hidden_layer_sizes": (7, 5),
        "activation": activation,
        "batch_size": 25,  # the last batch has fewer rows
        "max_iter": 50,
        "n_iter_no_change": 3,
        "random_state": 3,
        **own,
        **settings,
    }
    X = FORMS[form](X)
    weight = weights_of(y, weighted)
    ours, of_theirs = kind(**settings).fit(X, y, weight), PAIRS[kind](**settings).fit(X, y, weight)
    assert ours.n_iter_ == of_theirs.n_iter_
    assert ours.t_ == of_theirs.t_
    np.testing.assert_allclose(ours.loss_curve_, of_theirs.loss_curve_, rtol=1e-8, atol=1e-14)
    assert ours.loss_ == ours.loss_curve_[-1]
    if settings.get("early_stopping"):
        assert ours.best_loss_ is of_theirs.best_loss_ is None
        np.testing.assert_allclose(ours.validation_scores_, of_theirs.validation_scores_, rtol=1e-8)
        assert ours.best_validation_score_ == pytest.approx(of_theirs.best_validation_score_, rel=1e-8)
    else:
        assert ours.best_loss_ == pytest.approx(of_theirs.best_loss_, rel=1e-8)
        assert ours.validation_scores_ is ours.best_validation_score_ is None
    assert ours._no_improvement_count == of_theirs._no_improvement_count
    np.testing.assert_allclose(outputs(ours, X), outputs(of_theirs, X), rtol=1e-7, atol=1e-10)
    for own_part, part in zip(ours.coefs_, of_theirs.coefs_, strict=True):
        np.testing.assert_allclose(own_part, part, rtol=1e-6, atol=1e-9)


PRODUCT = list(product(TASKS, RATES, ACTIVATIONS, [False, True], ["dense", "csr"], [False, True]))
# The quick part: every pair of values of two of the factors is in it.
COVER = [case for k, case in enumerate(PRODUCT) if k % 9 == 0]


def run(case):
    task, rate, activation, early_stopping, form, weighted = case
    compare(task, activation, form, weighted, early_stopping=early_stopping, **RATES[rate])


@pytest.mark.parametrize("case", COVER, ids=str)
def test_the_course_is_scikit_learns(case):
    run(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in PRODUCT if case not in COVER], ids=str)
def test_the_course_is_scikit_learns_over_the_whole_product(case):
    run(case)


def test_the_quick_part_has_every_pair():
    for i in range(6):
        for j in range(i):
            pairs = {(case[i], case[j]) for case in PRODUCT}
            assert pairs == {(case[i], case[j]) for case in COVER}


MORE = {
    "ragged batches": {"batch_size": 32},
    "all rows a batch": {"batch_size": N_ROWS},
    "auto": {"batch_size": "auto"},
    "own moments": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    "no momentum": {"solver": "sgd", "momentum": 0.0},
    "all momentum": {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4},
    "Nesterov's": {"solver": "sgd", "learning_rate_init": 0.02},
    "power": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.3, "power_t": 0.3},
    "in order": {"shuffle": False},
    "no penalty": {"alpha": 0.0},
    "a large penalty": {"alpha": 3.0},
    "larger validation": {"early_stopping": True, "validation_fraction": 0.4},
    "stops": {"tol": 0.1},
    "linear": {"hidden_layer_sizes": ()},
    "deep": {"hidden_layer_sizes": (6, 5, 4, 3)},
}


@pytest.mark.parametrize("name", MORE)
@pytest.mark.parametrize("task", TASKS)
def test_the_course_is_scikit_learns_with_other_settings(task, name):
    for k, weighted in enumerate([False, True]):
        settings = {"learning_rate_init": 0.01, **MORE[name]}
        compare(task, "tanh", ["dense", "csc"][k], weighted, **settings)


def sum_over_outputs(model, X, y, weight):
    """The loss with the penalty of alpha = 1: the mean over the rows of the sum over the outputs."""
    loss = np.average(np.square(model.predict(X) - y).sum(axis=1) / 2, weights=weight)
    total = len(y) if weight is None else weight.sum()
    return loss + sum(np.square(part).sum() for part in model.coefs_) / 2 / total


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("task", TASKS)
def test_the_end_of_lbfgs_is_scikit_learns(task, activation):
    kind, X, y, own = TASKS[task]
    for form, weighted in product(["dense", "csr"], [False, True]):
        settings = {"hidden_layer_sizes": (7,), "activation": activation, "random_state": 3, **own}
        settings |= {"solver": "lbfgs", "max_iter": 50, "alpha": 1.0}
        rows, weight = FORMS[form](X), weights_of(y, weighted)
        ours = kind(**settings).fit(rows, y, weight)
        of_theirs = PAIRS[kind](**settings).fit(rows, y, weight)
        if task == "numbers":
            # their gradient is that of the sum over the outputs, their loss is not: it leads a search astray
            assert sum_over_outputs(ours, rows, y, weight) < 1.01 * sum_over_outputs(
                of_theirs, rows, y, weight
            )
            continue
        assert ours.loss_ == pytest.approx(of_theirs.loss_, rel=1e-4)
        np.testing.assert_allclose(outputs(ours, rows), outputs(of_theirs, rows), rtol=0.03, atol=0.01)


def test_lbfgs_with_several_outputs_goes_down_their_sum():
    _, X, y, _ = TASKS["numbers"]
    model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=2.0, tol=1e-10, random_state=0).fit(
        X, y
    )
    centred = X - X.mean(axis=0)
    # Σ over the outputs of ½ |y − ŷ|² and ½ α |w|²: ridge regression, in closed form
    exact = np.linalg.solve(centred.T @ centred + 2.0 * np.eye(N_FEATURES), centred.T @ (y - y.mean(axis=0)))
    np.testing.assert_allclose(model.coefs_[0], exact, rtol=1e-4)
    errors = np.square(model.predict(X) - y).mean(axis=0)
    reported = errors.mean() / 2 + 2.0 / 2 * np.square(model.coefs_[0]).sum() / N_ROWS
    assert model.loss_ == pytest.approx(reported, rel=1e-10)
    assert model.loss_curve_[-1] == pytest.approx(model.loss_, rel=1e-12)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_and_warm_starts_go_on_as_scikit_learns(task, solver):
    kind, X, y, own = TASKS[task]
    settings = {"hidden_layer_sizes": (6,), "batch_size": 20, "solver": solver, "learning_rate_init": 0.01}
    settings |= {"random_state": 1, **own}
    ours, of_theirs = kind(**settings), PAIRS[kind](**settings)
    for k in range(12):
        classes = np.arange(3) if y.ndim == 2 else np.unique(y)
        first = {"classes": classes} if kind is MLPClassifier and k == 0 else {}
        rows = np.arange(k % 3, N_ROWS, 2)
        for model in (ours, of_theirs):
            model.partial_fit(X[rows], y[rows], **first)
        assert ours.n_iter_ == of_theirs.n_iter_ == 1
    np.testing.assert_allclose(ours.loss_curve_, of_theirs.loss_curve_, rtol=1e-8)
    settings |= {"warm_start": True, "max_iter": 7}
    ours, of_theirs = kind(**settings), PAIRS[kind](**settings)
    for _ in range(3):
        for model in (ours, of_theirs):
            model.fit(X, y)
        assert ours.n_iter_ == of_theirs.n_iter_
        np.testing.assert_allclose(outputs(ours, X), outputs(of_theirs, X), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(ours.loss_curve_, of_theirs.loss_curve_, rtol=1e-8)


@pytest.mark.parametrize("task", TASKS)
def test_a_warm_start_with_early_stopping_keeps_the_best(task):
    kind, X, y, own = TASKS[task]
    settings = {
        "hidden_layer_sizes": (6,),
        "random_state": 1,
        "max_iter": 7,
        "learning_rate_init": 0.05,
        **own,
    }
    settings |= {"early_stopping": True, "validation_fraction": 0.4, "warm_start": True}
    ours, of_theirs = kind(**settings), PAIRS[kind](**settings)
    for _ in range(2):
        for model in (ours, of_theirs):
            model.fit(X, y)
    np.testing.assert_allclose(ours.loss_curve_, of_theirs.loss_curve_, rtol=1e-8)
    np.testing.assert_allclose(ours.validation_scores_, of_theirs.validation_scores_, rtol=1e-8)
    # theirs gives the last θ back where the second fit brought no better one: its best θ goes along
    best = np.argmax(ours.validation_scores_)
    before = len(ours.loss_curve_)
    ours.set_params(solver="adam", learning_rate_init=1e-300, max_iter=1).fit(X, y)
    assert ours.validation_scores_[before] == pytest.approx(ours.validation_scores_[best], rel=1e-12)


def test_the_random_numbers_are_scikit_learns_to_the_last():
    _, X, y, _ = TASKS["three classes"]
    for settings in ({}, {"early_stopping": True}, {"activation": "logistic"}, {"hidden_layer_sizes": ()}):
        states = []
        for kind in (MLPClassifier, theirs.MLPClassifier):
            rng = np.random.RandomState(5)
            kind(random_state=rng, max_iter=3, **settings).fit(X, y)
            states.append(rng.randint(2**31 - 1))
        assert states[0] == states[1]


def test_the_same_things_are_printed(capsys):
    _, X, y, _ = TASKS["number"]
    for settings in (
        {"tol": 0.1},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "learning_rate_init": 1e-5},
        {"early_stopping": True, "tol": 0.1},
    ):
        printed = []
        for kind in (MLPRegressor, theirs.MLPRegressor):
            model = kind(
                hidden_layer_sizes=(5,),
                verbose=True,
                n_iter_no_change=2,
                max_iter=40,
                random_state=0,
                **settings,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(X, y)
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]


STOPPING = {
    "never": {"n_iter_no_change": np.inf},
    "often": {"tol": 0.02, "n_iter_no_change": 2},
    "at once": {"tol": 10.0, "n_iter_no_change": 1},
}


@pytest.mark.parametrize("stopping", STOPPING)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_epochs_in_one_call_are_those_of_single_calls(*, stopping, rate, weighted, shuffle):
    """A callback asks for a look after each epoch; without one the engine takes several in a call."""
    kind, X, y, _ = TASKS["counts"]
    weight = np.random.default_rng(0).uniform(0.5, 2, N_ROWS) if weighted else None
    settings = {"loss": "poisson", "hidden_layer_sizes": [7], "batch_size": 16, "max_iter": 30}
    settings |= {**RATES[rate], **STOPPING[stopping], "shuffle": shuffle}
    fits, next_numbers = [], []
    for callbacks in (None, [lambda _: False]):
        rng = np.random.RandomState(3)
        fits.append(kind(**settings, random_state=rng, callbacks=callbacks).fit(X, y, weight))
        next_numbers.append(rng.randint(2**31, size=3).tolist())
    ahead, single = fits
    assert ahead.loss_curve_ == single.loss_curve_
    assert (ahead.n_iter_, ahead.t_, ahead.best_loss_) == (single.n_iter_, single.t_, single.best_loss_)
    np.testing.assert_array_equal(ahead.theta_, single.theta_)
    assert next_numbers[0] == next_numbers[1]  # no order was drawn that did not come


def test_where_epochs_in_one_call_diverge_the_same_epoch_is_told():
    kind, X, y, _ = TASKS["number"]
    settings = {"hidden_layer_sizes": [7], "solver": "sgd", "learning_rate_init": 3.0, "max_iter": 30}
    told = []
    for callbacks in (None, [lambda _: False]):
        with pytest.raises(ValueError, match="in epoch") as caught:
            kind(**settings, random_state=0, callbacks=callbacks).fit(X, y)
        told.append(str(caught.value))
    assert told[0] == told[1]
