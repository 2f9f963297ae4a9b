"""What MLPClassifier and MLPRegressor have beyond scikit-learn's."""

import pickle
import signal

import numpy as np
import pytest
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, roc_auc_score
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from chainrule import DivergenceError, InputError, MLPClassifier, MLPRegressor, Network, load
from chainrule.architecture import ACTIVATIONS, Dense, Dropout
from chainrule.engine import Descent
from chainrule.estimators.mlp import FOR_CLASSES
from chainrule.likelihoods import Bernoulli, Categorical, Normal, Ordinal, Poisson
from chainrule.optimization import SGD, AdamW, Cosine, OneCycle, Penalty

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NUMBER = make_regression(120, 5, noise=5, random_state=0)
X, Y = NUMBER[0], NUMBER[1] / NUMBER[1].std()
CLASSES = np.array(["a", "b", "c"])[
    make_classification(120, 5, n_informative=4, n_redundant=0, n_classes=3, random_state=0)[1]
]
CLASS_X = make_classification(120, 5, n_informative=4, n_redundant=0, n_classes=3, random_state=0)[0]
LABELS = make_multilabel_classification(120, 5, n_classes=3, random_state=0)[1]


# ── Layers ──


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_all_activations_of_the_project_are_to_be_had(activation, solver):
    model = MLPRegressor(hidden_layer_sizes=[6, 4], activation=activation, solver=solver, max_iter=8)
    model.set_params(random_state=0).fit(X, Y)
    assert [layer.activation for layer in model.network_.hidden] == [activation] * 2
    np.testing.assert_array_equal(model.network_.predict(model.theta_, X)[:, 0], model.predict(X))
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_logistic_is_sigmoid():
    models = [
        MLPRegressor(activation=name, max_iter=3, random_state=0).fit(X, Y)
        for name in ("logistic", "sigmoid")
    ]
    np.testing.assert_array_equal(models[0].theta_, models[1].theta_)


def test_a_list_has_one_for_each_layer():
    settings = {"hidden_layer_sizes": [6, 5, 4], "max_iter": 3, "random_state": 0}
    model = MLPRegressor(activation=["tanh", "logistic", "gelu"], dropout=[0.1, 0, 0.5], **settings).fit(X, Y)
    layers = Dense(6, "tanh"), Dropout(0.1), Dense(5, "sigmoid"), Dense(4, "gelu"), Dropout(0.5)
    assert model.network_.hidden == layers
    same = MLPRegressor(activation=["tanh"] * 3, dropout=[0.2] * 3, **settings).fit(X, Y)
    np.testing.assert_array_equal(
        same.theta_, MLPRegressor(activation="tanh", dropout=0.2, **settings).fit(X, Y).theta_
    )
    for name, value in (("activation", ["tanh"]), ("dropout", [0.1, 0.1]), ("activation", ["relu"] * 4)):
        with pytest.raises(
            InputError, match=rf"{name}=.*: give one, or a list of one for each of the 3 layers"
        ):
            MLPRegressor(**{**settings, name: value}).fit(X, Y)
    with pytest.raises(InputError, match=r"'step'.* is unknown"):
        MLPRegressor(**settings, activation=["tanh", "step", "tanh"]).fit(X, Y)


def test_dropout_acts_in_the_fit_and_not_in_predictions():
    settings = {"hidden_layer_sizes": [50], "max_iter": 5}
    thinned = MLPRegressor(dropout=0.5, random_state=0, **settings).fit(X, Y)
    whole = MLPRegressor(random_state=0, **settings).fit(X, Y)
    other = MLPRegressor(dropout=0.5, random_state=1, **settings).fit(X, Y)
    assert not np.array_equal(thinned.theta_, whole.theta_)
    assert not np.array_equal(thinned.theta_, other.theta_)
    np.testing.assert_array_equal(thinned.predict(X), thinned.predict(X))
    again = MLPRegressor(dropout=0.5, random_state=0, **settings).fit(X, Y)
    np.testing.assert_array_equal(thinned.theta_, again.theta_)


# ── The descent ──


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_decay_clipping_and_schedule_are_the_engines(solver):
    settings = {"hidden_layer_sizes": [6], "solver": solver, "learning_rate_init": 0.02, "batch_size": 50}
    settings |= {"shuffle": False, "random_state": 0, "weight_decay": 0.3, "clip_norm": 0.5, "alpha": 0.1}
    model = MLPRegressor(**settings, schedule=OneCycle(), max_iter=4).fit(X, Y)
    start = MLPRegressor(**{**settings, "learning_rate_init": 1e-300}, max_iter=1).fit(X, Y)
    spec = SGD(0.02, 0.9, True, 0.3) if solver == "sgd" else AdamW(0.02, weight_decay=0.3)
    descent = Descent(start.theta_.copy(), spec, Penalty(0.1, of_sum=True), clip_norm=0.5)
    rates = 0.02 * OneCycle().factors(0, 12, 12)
    engine = model.network_.engine("reference")
    for epoch in range(4):
        engine.run_steps(descent, X, Y[:, None], None, np.arange(120), 50, rates[3 * epoch : 3 * epoch + 3])
    np.testing.assert_allclose(model.theta_, descent.theta, rtol=1e-9, atol=1e-13)


def test_settings_that_contradict_each_other_are_told():
    for settings, text in (
        ({"solver": "lbfgs", "dropout": 0.1}, "dropout=0.1 is for solver='sgd' and 'adam'"),
        ({"solver": "lbfgs", "weight_decay": 0.1}, "weight_decay=0.1 is for solver='sgd' and 'adam'"),
        ({"solver": "lbfgs", "schedule": Cosine()}, "schedule=.* is for solver='sgd' and 'adam'"),
        ({"solver": "lbfgs", "clip_norm": 1.0}, "clip_norm=1.0 is for solver='sgd' and 'adam'"),
        ({"solver": "sgd", "learning_rate": "adaptive", "schedule": Cosine()}, "both move the learning rate"),
    ):
        with pytest.raises(InputError, match=text):
            MLPRegressor(**settings).fit(X, Y)
    with pytest.raises(InputError, match="is for fit, which knows how many steps there are"):
        MLPRegressor(schedule=Cosine()).partial_fit(X, Y)


# ── Likelihoods ──


def test_a_likelihood_by_name_and_as_an_object():
    settings = {"hidden_layer_sizes": [5], "max_iter": 6, "random_state": 0}
    plain = MLPRegressor(**settings).fit(X, Y)
    for loss in ("normal", Normal()):
        model = MLPRegressor(loss=loss, **settings).fit(X, Y)
        np.testing.assert_array_equal(model.theta_, plain.theta_)
        assert model.loss_curve_ == plain.loss_curve_
        assert model.out_activation_ == "identity"
    several = np.column_stack([Y, -Y, Y**2])
    mean, whole = (
        MLPRegressor(loss=loss, alpha=0, **settings).fit(X, several) for loss in ("squared_error", "normal")
    )
    np.testing.assert_array_equal(mean.theta_, whole.theta_)
    np.testing.assert_allclose(np.array(mean.loss_curve_) * 3, whole.loss_curve_, rtol=1e-12)
    counts = np.round(np.abs(Y) * 2)
    named, made = (MLPRegressor(loss=loss, **settings).fit(X, counts) for loss in ("poisson", Poisson()))
    np.testing.assert_array_equal(named.theta_, made.theta_)
    np.testing.assert_array_equal(np.log(named.predict(X)), np.log(made.predict(X)))
    with pytest.raises(InputError, match="must have the shape"):
        MLPRegressor(loss=Normal(3)).fit(X, Y)


def test_a_likelihood_of_classes_by_name_and_as_an_object():
    settings = {"hidden_layer_sizes": [5], "max_iter": 6, "random_state": 0}
    plain = MLPClassifier(**settings).fit(CLASS_X, CLASSES)
    for loss in ("categorical", Categorical(3)):
        model = MLPClassifier(loss=loss, **settings).fit(CLASS_X, CLASSES)
        np.testing.assert_array_equal(model.theta_, plain.theta_)
    two = CLASSES == "a"
    model = MLPClassifier(loss="categorical", **settings).fit(CLASS_X, two)
    assert model.n_outputs_ == 2
    assert model.predict_proba(CLASS_X).sum(axis=1) == pytest.approx(1)
    assert model.out_activation_ == "softmax"
    labels = MLPClassifier(loss="bernoulli", **settings).fit(CLASS_X, LABELS)
    assert labels.network_.likelihood == Bernoulli(3)
    for loss, y in (
        ("bernoulli", CLASSES),
        (Categorical(4), CLASSES),
        (Normal(), two),
        ("categorical", LABELS),
    ):
        with pytest.raises(InputError, match=r"is not for [23] (classes|labels a row), which y has"):
            MLPClassifier(loss=loss).fit(CLASS_X, y)


# ── Weights of classes ──


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("class_weight", ["balanced", {"a": 3.0, "b": 0.5}, {"c": 0}], ids=str)
def test_the_weight_of_a_class_is_one_of_its_rows(class_weight, solver):
    settings = {"hidden_layer_sizes": [5], "max_iter": 6, "random_state": 0, "solver": solver}
    given = np.random.default_rng(0).uniform(0.5, 2, 120)
    for weight in (None, given):
        model = MLPClassifier(class_weight=class_weight, **settings).fit(CLASS_X, CLASSES, weight)
        factors = compute_class_weight(class_weight, classes=model.classes_, y=CLASSES, sample_weight=weight)
        of_rows = factors[np.searchsorted(model.classes_, CLASSES)] * (1 if weight is None else weight)
        np.testing.assert_allclose(
            model.theta_, MLPClassifier(**settings).fit(CLASS_X, CLASSES, of_rows).theta_, rtol=1e-10
        )


def test_the_weights_of_labels():
    factors = [{0: 1, 1: 2}, {0: 3, 1: 1}, {0: 1, 1: 1}]
    settings = {"hidden_layer_sizes": [5], "max_iter": 4, "random_state": 0}
    model = MLPClassifier(class_weight=factors, **settings).fit(CLASS_X, LABELS)
    weight = compute_sample_weight(factors, LABELS)
    np.testing.assert_array_equal(model.theta_, MLPClassifier(**settings).fit(CLASS_X, LABELS, weight).theta_)


def test_the_rows_of_an_eval_set_have_the_weights_of_the_training():
    """Also where a class is absent from them, and in float32."""
    some = np.flatnonzero(CLASSES != "c")[:30]
    for dtype in ("float32", "float64"):
        rows = CLASS_X.astype(dtype)
        model = MLPClassifier([5], class_weight="balanced", max_iter=4, alpha=0, random_state=0)
        model.fit(rows, CLASSES, eval_set=(rows[some], CLASSES[some]))
        factors = compute_class_weight("balanced", classes=model.classes_, y=CLASSES)
        number = np.searchsorted(model.classes_, CLASSES[some])
        p = model.predict_proba(rows[some])[np.arange(30), number]
        expected = -np.average(np.log(p.astype(float)), weights=factors[number])
        assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-5)
        assert model.validation_scores_[-1] == model.score(rows[some], CLASSES[some])


def test_balanced_labels_and_wrong_weights_of_classes():
    labels = LABELS.copy()
    labels[:, 2] = 0  # a label that no row has
    balanced, listed = (
        MLPClassifier([5], class_weight=weight, max_iter=3, random_state=0).fit(CLASS_X, labels)
        for weight in ("balanced", [{0: 1, 1: 1}] * 3)
    )
    weight = compute_sample_weight("balanced", labels)
    same = MLPClassifier([5], max_iter=3, random_state=0).fit(CLASS_X, labels, weight)
    np.testing.assert_allclose(balanced.theta_, same.theta_, rtol=1e-12)
    assert not np.array_equal(balanced.theta_, listed.theta_)
    for y, wrong in ((CLASSES, [{"a": 1}, {"b": 1}]), (labels, {0: 2}), (labels, [{0: 2}])):
        with pytest.raises(InputError, match="for labels 'balanced' or a list of dicts"):
            MLPClassifier(class_weight=wrong).fit(CLASS_X, y)


def test_a_model_from_a_file_goes_on(tmp_path):
    model = MLPClassifier([5], max_iter=4, random_state=0).fit(CLASS_X, CLASSES)
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors").partial_fit(CLASS_X, CLASSES)
    assert len(again.loss_curve_) == 5
    assert again.coefs_[0].shape == (5, 5)


def test_weights_of_classes_in_partial_fit():
    model = MLPClassifier([4], class_weight={"a": 2.0}, random_state=0)
    only_b = CLASSES == "b"  # the class with a weight of its own is absent
    model.partial_fit(CLASS_X[only_b], CLASSES[only_b], classes=["a", "b", "c"])
    model.partial_fit(CLASS_X, CLASSES)
    with pytest.raises(InputError, match="class_weight='balanced' needs all rows at once"):
        model.set_params(class_weight="balanced").partial_fit(CLASS_X, CLASSES)
    with pytest.raises(ValueError, match="not in class_weight"):
        MLPClassifier(class_weight={"d": 1.0}).fit(CLASS_X, CLASSES)


# ── Validation rows ──


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_an_eval_set_is_looked_at_and_not_learned_from(solver):
    settings = {"hidden_layer_sizes": [5], "max_iter": 7, "random_state": 0, "solver": solver}
    plain = MLPRegressor(**settings).fit(X[:80], Y[:80])
    weight = np.linspace(0.5, 2, 40)
    for eval_set in ((X[80:], Y[80:]), [(X[80:], Y[80:])], (X[80:], Y[80:], weight)):
        model = MLPRegressor(**settings).fit(X[:80], Y[:80], eval_set=eval_set)
        np.testing.assert_array_equal(model.theta_, plain.theta_)
        assert len(model.validation_loss_curve_) == len(model.loss_curve_) == model.n_iter_
        own = weight if len(eval_set) == 3 else None
        half = mean_squared_error(Y[80:], model.predict(X[80:]), sample_weight=own) / 2
        assert model.validation_loss_curve_[-1] == pytest.approx(half, rel=1e-10)
        assert model.validation_scores_[-1] == pytest.approx(model.score(X[80:], Y[80:], own), rel=1e-10)
        assert model.best_validation_score_ == max(model.validation_scores_)
    assert plain.validation_loss_curve_ is None


def test_an_eval_set_takes_the_place_of_the_rows_set_aside():
    model = MLPClassifier([8], early_stopping=True, learning_rate_init=0.05, max_iter=25, random_state=0)
    model.fit(CLASS_X[:80], CLASSES[:80], eval_set=(CLASS_X[80:], CLASSES[80:]))
    assert model.t_ == 80 * model.n_iter_  # all rows are learned from
    assert model.best_validation_score_ == model.score(CLASS_X[80:], CLASSES[80:])
    best = int(np.argmax(model.validation_scores_))
    exact = log_loss(CLASSES[80:], model.predict_proba(CLASS_X[80:]))
    assert model.validation_loss_curve_[best] == pytest.approx(exact, rel=1e-10)


def test_the_loss_of_an_eval_set_is_reported_as_that_of_the_training():
    counts = np.column_stack([np.round(np.abs(Y)), np.round(np.abs(2 * Y))])
    for loss, y in (("squared_error", np.column_stack([Y, Y**2])), ("poisson", counts)):
        model = MLPRegressor(
            loss=loss, hidden_layer_sizes=[4], solver="lbfgs", alpha=0, max_iter=9, random_state=0
        )
        model.fit(X, y, eval_set=(X, y))
        np.testing.assert_allclose(model.validation_loss_curve_, model.loss_curve_, rtol=1e-10)


SCORERS = {
    None: accuracy_score,
    "accuracy": accuracy_score,
    "neg_log_loss": lambda y, p: -log_loss(y, p),
    "loss": lambda y, p: -log_loss(y, p),
    "roc_auc_ovr": lambda y, p: roc_auc_score(y, p, multi_class="ovr"),
}


@pytest.mark.parametrize("scoring", SCORERS)
def test_scoring(scoring):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(CLASS_X, columns=list("abcde"))  # names must bring no warnings
    model = MLPClassifier([8], early_stopping=True, scoring=scoring, learning_rate_init=0.03, max_iter=12)
    model.set_params(random_state=0).fit(table[:80], CLASSES[:80], eval_set=(table[80:], CLASSES[80:]))
    p = model.predict_proba(table[80:])
    given = p if scoring not in (None, "accuracy") else model.classes_[p.argmax(axis=1)]
    assert model.best_validation_score_ == pytest.approx(SCORERS[scoring](CLASSES[80:], given), rel=1e-10)
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_a_scorer_of_ones_own_gets_what_was_given():
    seen = []

    def scorer(model, rows, y, sample_weight=None):
        seen.append((model.predict(rows).shape, set(y), sample_weight is None))
        return float(len(seen))

    model = MLPClassifier([4], early_stopping=True, scoring=scorer, max_iter=3, random_state=0)
    model.fit(CLASS_X, CLASSES).fit(CLASS_X, CLASSES, np.ones(120))
    assert model.validation_scores_ == [4.0, 5.0, 6.0]
    assert seen == [((12,), {"a", "b", "c"}, True)] * 3 + [((12,), {"a", "b", "c"}, False)] * 3
    with pytest.raises(ValueError, match="median"):
        MLPClassifier(early_stopping=True, scoring="median").fit(CLASS_X, CLASSES)


@pytest.mark.parametrize(
    "eval_set",
    [(X,), X, [(X, Y), (X, Y)], (X[:, :2], Y), (X, Y[:3]), (X, Y, -np.ones(120))],
    ids=["no y", "an array", "two", "few columns", "few rows", "weights below 0"],
)
def test_what_is_wrong_with_an_eval_set_is_told(eval_set):
    with pytest.raises(ValueError, match=r"eval_set must|features|inconsistent|Negative"):
        MLPRegressor().fit(X, Y, eval_set=eval_set)
    with pytest.raises(InputError, match=r"y has classes that the fit had not: \['d'\]"):
        MLPClassifier().fit(CLASS_X, CLASSES, eval_set=(CLASS_X[:2], ["a", "d"]))


# ── Who is told ──


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_are_told_and_may_end_the_training(solver):
    told = []

    def tell(report):
        told.append((report.record.epoch, report.record.train_loss, report.record.validation_loss))
        assert report.network.forward(report.theta, X).shape == (120, 1)
        with pytest.raises(ValueError, match="read-only"):
            report.theta[0] = 0

    model = MLPRegressor(callbacks=[tell, lambda report: report.record.epoch == 3], solver=solver)
    model.set_params(loss="squared_error", hidden_layer_sizes=[5], random_state=0).fit(X, Y, eval_set=(X, Y))
    assert model.n_iter_ == 3
    assert told == list(zip([1, 2, 3], model.loss_curve_, model.validation_loss_curve_, strict=True))


def test_the_rate_that_callbacks_see_is_that_of_the_schedule():
    rates = []
    callbacks = [lambda report: rates.append(report.record.learning_rate)]
    MLPRegressor(schedule=Cosine(), callbacks=callbacks, max_iter=4, batch_size=60, random_state=0).fit(X, Y)
    np.testing.assert_allclose(rates, 0.001 * Cosine().factors(0, 8, 8)[1::2])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_progress_goes_to_stderr(solver, capsys):
    MLPRegressor(progress=True, max_iter=20, solver=solver, random_state=0).fit(X, Y)
    shown = capsys.readouterr()
    assert "epoch 1/20, train loss" in shown.err
    assert "History(20 epochs" in shown.err
    assert shown.out == ""


# ── The attributes that can be set ──


def test_coefs_and_intercepts_can_be_set():
    model = MLPRegressor(hidden_layer_sizes=[4, 3], max_iter=2, random_state=0).fit(X, Y)
    other = MLPRegressor(hidden_layer_sizes=[4, 3], max_iter=2, random_state=1).fit(X, Y)
    model.coefs_ = other.coefs_
    for layer, bias in enumerate(other.intercepts_):
        model.intercepts_[layer] = bias
    np.testing.assert_array_equal(model.theta_, other.theta_)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    model.coefs_[0][:] = 0
    assert np.unique(model.predict(X)).size == 1
    for wrong in (other.coefs_[:2], [part.T for part in other.coefs_]):
        with pytest.raises(InputError, match="must have"):
            model.coefs_ = wrong
    with pytest.raises(InputError, match=r"must have the shape \(4, 3\), not \(3,\)"):
        model.coefs_[1] = np.zeros(3)


@pytest.mark.parametrize("way", ["partial_fit", "warm start"])
def test_what_is_set_before_the_first_fit_is_where_it_begins(way):
    other = MLPRegressor(hidden_layer_sizes=[4], max_iter=5, random_state=3).fit(X, Y)
    still = {"hidden_layer_sizes": [4], "max_iter": 1, "learning_rate_init": 1e-300, "random_state": 0}
    model = MLPRegressor(warm_start=way == "warm start", **still)
    model.coefs_, model.intercepts_ = [0] * 2, [0] * 2
    for layer in range(2):
        model.coefs_[layer], model.intercepts_[layer] = other.coefs_[layer], other.intercepts_[layer]
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert not hasattr(clone(model), "coefs_")
    for each in (pickle.loads(pickle.dumps(model)), model):
        (each.fit if each.warm_start else each.partial_fit)(X, Y)
        np.testing.assert_array_equal(each.theta_, other.theta_)
    model.set_params(warm_start=False).fit(X, Y)
    assert not np.array_equal(model.theta_, other.theta_)
    wrong = MLPRegressor(hidden_layer_sizes=[4])
    wrong.coefs_, wrong.intercepts_ = [np.zeros((5, 4))], []
    with pytest.raises(InputError, match="must have an array for each of the 2 layers"):
        wrong.partial_fit(X, Y)


# ── partial_fit ──


def test_partial_fit_goes_on_after_early_stopping():
    model = MLPClassifier([6], early_stopping=True, max_iter=5, random_state=0).fit(CLASS_X, CLASSES)
    before, scores = model.theta_.copy(), list(model.validation_scores_)
    model.set_params(early_stopping=False)
    for _ in range(3):
        model.partial_fit(CLASS_X, CLASSES)
    assert len(model.loss_curve_) == 8
    assert model.best_loss_ == min(model.loss_curve_[5:])
    assert model.validation_scores_ == scores
    assert not np.array_equal(model.theta_, before)


@pytest.mark.parametrize(
    "labels", [np.array(["no", "maybe", "surely"]), np.array([2, 7, 9]), "indicator"], ids=str
)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_with_classes_absent_from_a_batch_is_that_on_numbers(solver, labels):
    """Row for row what a descent on class numbers does, whatever the classes are called."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 3, 120)
    batches = [
        np.flatnonzero(numbers < 2)[:20],
        np.flatnonzero(numbers == 2)[:20],
        np.arange(20),
        np.arange(1),
    ]
    multilabel = isinstance(labels, str)
    y = LABELS if multilabel else labels[numbers]
    classes = np.arange(3) if multilabel else np.unique(labels)
    model = MLPClassifier([5], solver=solver, shuffle=False, alpha=0, random_state=0)
    likelihood = Bernoulli(3) if multilabel else Categorical(3)
    network = Network(5, [Dense(5)], likelihood=likelihood)
    target = LABELS if multilabel else np.searchsorted(classes, y)[:, None]
    descent = None
    for rows in batches:
        model.partial_fit(CLASS_X[rows], y[rows], classes=classes)
        if descent is None:
            twin = MLPClassifier([5], learning_rate_init=1e-300, max_iter=1, random_state=0).fit(CLASS_X, y)
            spec = SGD(0.001, 0.9, True) if solver == "sgd" else AdamW(weight_decay=0.0)
            descent = Descent(twin.theta_.copy(), spec)
        engine = network.engine("reference")
        engine.run_steps(
            descent,
            CLASS_X[rows],
            target[rows].astype(float),
            None,
            np.arange(len(rows)),
            200,
            np.array([0.001]),
        )
    np.testing.assert_allclose(model.theta_, descent.theta, rtol=1e-9, atol=1e-12)
    assert model.predict(CLASS_X).shape == y.shape
    if not multilabel:
        assert set(model.predict(CLASS_X)) <= set(labels)


def test_partial_fit_of_a_warm_start_takes_a_batch_without_a_class():
    model = MLPClassifier([4], warm_start=True, max_iter=2, random_state=0).fit(CLASS_X, CLASSES)
    some = CLASSES != "c"
    assert model.partial_fit(CLASS_X[some], CLASSES[some]).classes_.tolist() == ["a", "b", "c"]


# ── One class, and divergence ──


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_single_class_is_what_is_predicted(early_stopping):
    model = MLPClassifier([3], max_iter=2, early_stopping=early_stopping, random_state=0)
    model.fit(X, np.full(120, "only"))
    assert model.classes_.tolist() == ["only"]
    assert set(model.predict(X)) == {"only"}
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((120, 1)))
    np.testing.assert_array_equal(model.predict_log_proba(X), np.zeros((120, 1)))
    assert model.score(X, np.full(120, "only")) == 1


def test_a_divergence_goes_back_to_the_best_epoch_with_early_stopping():
    model = MLPRegressor(
        activation="identity",
        solver="sgd",
        learning_rate_init=0.5,
        early_stopping=True,
        random_state=0,
        max_iter=200,
    )
    with pytest.warns(ConvergenceWarning, match="The parameters kept are those of the best epoch before"):
        model.fit(X, Y * 1e6)
    assert np.isnan(model.validation_scores_[-1])
    assert np.isnan(model.loss_)
    assert np.isfinite(model.predict(X)).all()
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_)
    with pytest.raises(DivergenceError, match="Solver produced non-finite parameter weights"):
        model.set_params(early_stopping=False).fit(X, Y * 1e6)
    assert not hasattr(model, "coefs_")


def test_every_likelihood_of_the_project_can_be_the_loss(case, make_problem):
    """By its name where it has no settings, else as an object."""
    name = case.partition("/")[0]
    problem = make_problem(case, n_inputs=4, n_rows=60, outputs=3 if name in FOR_CLASSES else 1)
    likelihood = problem.network.likelihood
    size = {key: n for key, n in likelihood.settings().items() if key in {"n_outputs", "n_classes"}}
    loss = name if type(likelihood)(**size) == likelihood else likelihood
    X_, y = problem.X, problem.y if problem.y.shape[1] > 1 else problem.y[:, 0]
    kind = MLPClassifier if name in FOR_CLASSES else MLPRegressor
    settings = {"hidden_layer_sizes": [5], "activation": "tanh", "alpha": 0, "loss": loss, "random_state": 0}
    for solver in ("adam", "lbfgs"):
        model = kind(solver=solver, max_iter=15, **settings).fit(X_, y, eval_set=(X_, y))
        assert model.loss_curve_[-1] < model.loss_curve_[0]
        assert model.network_.likelihood == problem.network.likelihood
        reported = model.network_.loss(model.theta_, X_, y) + (
            np.mean(xlogy(y, y) - y) if name == "poisson" else 0
        )
        assert model.validation_loss_curve_[-1] == pytest.approx(reported, rel=1e-9)
        mean = model.network_.predict(model.theta_, X_)
        given = model.predict_proba(X_) if kind is MLPClassifier else model.predict(X_)
        np.testing.assert_array_equal(np.reshape(given, mean.shape), mean)
        if kind is MLPClassifier:
            np.testing.assert_allclose(np.exp(model.predict_log_proba(X_)), given, rtol=1e-9)


# ── What cannot be used changes nothing ──


def state(model):
    """Return what there is of a model, and what it predicts."""
    kept = {name: value for name, value in vars(model).items() if name.endswith("_")}
    return kept, model.predict(CLASS_X)


UNUSABLE = {
    "other columns, and no target": lambda model: model.fit(CLASS_X[:, :2], CLASSES[:5]),
    "numbers as classes": lambda model: model.fit(CLASS_X[:, :2], X[:, 0]),
    "an eval_set of other columns": lambda model: model.fit(X, CLASSES, eval_set=(X[:, :2], CLASSES)),
    "an eval_set of other classes": lambda model: model.fit(X, CLASSES, eval_set=(X[:1], ["z"])),
    "an eval_set without weights": lambda model: model.fit(X, CLASSES, eval_set=(X, CLASSES, np.zeros(120))),
    "few rows to set aside": lambda model: model.set_params(early_stopping=True).fit(X[:4], [1, 2, 1, 2]),
    "no rows to set aside": lambda model: model.set_params(early_stopping=True, validation_fraction=0).fit(
        X, X[:, 0] > 0
    ),
    "a scorer that there is not": lambda model: model.set_params(scoring="exactness").fit(X, X[:, 0] > 0),
    "a callback that cannot be called": lambda model: model.set_params(callbacks=[1]).fit(X, X[:, 0] > 0),
    "a weight below 0": lambda model: model.set_params(class_weight={"a": -1.0}).fit(X, CLASSES),
    "a weight that is NaN": lambda model: model.set_params(class_weight={"a": np.nan}).fit(X, CLASSES),
    "a weight that is text": lambda model: model.set_params(class_weight={"a": "3"}).fit(X, CLASSES),
    "a label whose weight is below 0": lambda model: model.set_params(class_weight=[{0: -1}] * 3).fit(
        X, LABELS
    ),
    "classes whose order is unknown": lambda model: model.set_params(loss="ordinal").fit(X, CLASSES),
    "units in two axes": lambda model: model.set_params(hidden_layer_sizes=[[3, 3]]).fit(X, CLASSES),
    "a rate that is None": lambda model: model.set_params(dropout=[None]).fit(X, CLASSES),
    "an activation that there is not": lambda model: model.set_params(activation=["step"]).fit(X, CLASSES),
}


@pytest.mark.parametrize("wrong", UNUSABLE)
def test_what_cannot_be_used_changes_nothing(wrong):
    model = MLPClassifier([4], max_iter=2, random_state=0).fit(CLASS_X, CLASSES == "a")
    before, predicted = state(model)
    with pytest.raises(ValueError, match=r".{20}"):
        UNUSABLE[wrong](model)
    after, still = state(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    np.testing.assert_array_equal(still, predicted)
    unfitted = MLPClassifier([4], max_iter=2)
    with pytest.raises(ValueError, match=r".{20}"):
        UNUSABLE[wrong](unfitted)
    assert not [name for name in vars(unfitted) if name.endswith("_")]


def test_a_regressor_is_not_for_classes():
    for loss in (Categorical(3), Ordinal(3)):
        with pytest.raises(InputError, match=r"is for classes: use MLPClassifier"):
            MLPRegressor(loss=loss).fit(X, Y)
    shares = np.random.default_rng(0).uniform(size=120)  # a probability is a number
    assert MLPRegressor(loss=Bernoulli(), max_iter=3, random_state=0).fit(X, shares).predict(X).max() < 1


@pytest.mark.usefixtures("ctrl_c_interrupts")
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_ctrl_c_keeps_what_there_is(solver, early_stopping):
    def press(report):
        if report.record.epoch == 4:
            signal.raise_signal(signal.SIGINT)

    settings = {"hidden_layer_sizes": [5], "solver": solver, "early_stopping": early_stopping}
    settings |= {"random_state": 0, "validation_fraction": 0.3, "learning_rate_init": 0.01}
    model = MLPRegressor(callbacks=[press], **settings)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        model.fit(X, Y)
    whole = MLPRegressor(max_iter=4, **settings).fit(X, Y)
    assert model.n_iter_ == 4
    assert model.loss_curve_ == whole.loss_curve_
    assert model.t_ == whole.t_
    if early_stopping:  # the best epoch's: the fourth had not been compared yet
        at = int(np.argmax(model.validation_scores_[:3]))
        whole = MLPRegressor(**{**settings, "max_iter": at + 1}).fit(X, Y)
    np.testing.assert_array_equal(model.theta_, whole.theta_)
