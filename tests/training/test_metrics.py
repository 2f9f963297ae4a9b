import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from chainrule.errors import InputError
from chainrule.training import METRICS, Metric
from chainrule.training.metrics import checked_metrics

RNG = np.random.default_rng(7)
N = 30
PROBABILITIES = RNG.dirichlet(np.ones(4), size=N)
CLASSES = RNG.integers(0, 4, (N, 1))
LABELS = {1: RNG.integers(0, 2, (N, 1)), 3: RNG.integers(0, 2, (N, 3))}
LABEL_MEANS = {
    k: np.clip(0.6 * labels + RNG.uniform(0, 0.6, labels.shape), 0, 1) for k, labels in LABELS.items()
}
WEIGHTS = {"none": None, "weighted": RNG.uniform(0.1, 3, N)}


@pytest.fixture(params=WEIGHTS)
def weight(request):
    return WEIGHTS[request.param]


def test_accuracy_of_classes(weight):
    expected = sklearn_metrics.accuracy_score(
        CLASSES[:, 0], PROBABILITIES.argmax(axis=1), sample_weight=weight
    )
    assert 0 < expected < 1
    assert METRICS["accuracy"].function(CLASSES, PROBABILITIES, weight) == pytest.approx(expected, rel=1e-14)
    assert METRICS["error"].function(CLASSES, PROBABILITIES, weight) == pytest.approx(1 - expected, rel=1e-14)


@pytest.mark.parametrize("n_labels", [1, 3])
def test_accuracy_of_labels(n_labels, weight):
    y, mean = LABELS[n_labels], LABEL_MEANS[n_labels]
    expected = sklearn_metrics.accuracy_score(y, (mean > 0.5).astype(int), sample_weight=weight)
    assert 0 < expected < 1
    assert METRICS["accuracy"].function(y, mean, weight) == pytest.approx(expected, rel=1e-14)
    assert METRICS["error"].function(y, mean, weight) == pytest.approx(1 - expected, rel=1e-14)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_metrics_of_regression_are_what_they_say(n_outputs, weight):
    y = RNG.normal(size=(N, n_outputs))
    mean = y + RNG.normal(size=y.shape)
    w = np.ones(N) if weight is None else weight
    squared = np.average((y - mean) ** 2, axis=0, weights=w)
    variance = np.average((y - np.average(y, axis=0, weights=w)) ** 2, axis=0, weights=w)
    expected = {
        "rmse": np.sqrt(squared).mean(),
        "mae": np.average(np.abs(y - mean), axis=0, weights=w).mean(),
        "r2": (1 - squared / variance).mean(),
    }
    for name, value in expected.items():
        assert METRICS[name].function(y, mean, weight) == pytest.approx(value, rel=1e-12)


def test_each_knows_its_direction():
    better = {name: metric.greater_is_better for name, metric in METRICS.items()}
    assert {name for name in better if better[name]} == {"accuracy", "auc", "r2"}


def test_names_are_looked_up():
    own = Metric("own", lambda *rows: float(len(rows)))
    assert checked_metrics(["rmse", own]) == (METRICS["rmse"], own)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: checked_metrics(["rsme"]),
            "metrics has 'rsme': .* one of accuracy, error, log_loss, auc, rmse, mae, r2",
        ),
        (lambda: checked_metrics([np.mean]), "metrics has <function mean"),
        (lambda: checked_metrics(["mae", METRICS["mae"]]), "two of the name 'mae'"),
        (lambda: Metric("loss", np.mean), "name='loss'"),
        (lambda: Metric("", np.mean), "name=''"),
        (lambda: Metric(3, np.mean), "name=3"),
        (lambda: Metric("mean", 3), "function=3.*callable"),
    ],
)
def test_what_is_no_metric_is_refused(make, text):
    with pytest.raises(InputError, match=text):
        make()


def test_log_loss_of_classes(weight):
    expected = sklearn_metrics.log_loss(CLASSES[:, 0], PROBABILITIES, sample_weight=weight, labels=range(4))
    assert METRICS["log_loss"].function(CLASSES, PROBABILITIES, weight) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n_labels", [1, 3])
def test_log_loss_of_labels_is_a_sum_over_them(n_labels, weight):
    y, mean = LABELS[n_labels], np.clip(LABEL_MEANS[n_labels], 0.01, 0.99)
    pairs = zip(y.T, mean.T, strict=True)
    expected = sum(sklearn_metrics.log_loss(label, p, sample_weight=weight) for label, p in pairs)
    assert METRICS["log_loss"].function(y, mean, weight) == pytest.approx(expected, rel=1e-12)


def test_log_loss_of_what_was_held_for_impossible():
    y, p = np.array([[1], [0]]), np.array([[0.0], [0.0]])
    assert METRICS["log_loss"].function(y, p, None) == np.inf


def test_auc_of_classes_is_the_mean_against_the_rest(weight):
    expected = sklearn_metrics.roc_auc_score(
        np.eye(4)[CLASSES[:, 0]], PROBABILITIES, average="macro", sample_weight=weight
    )
    assert METRICS["auc"].function(CLASSES, PROBABILITIES, weight) == pytest.approx(expected, rel=1e-12)
    absent = np.where(CLASSES == 2, 1, CLASSES)  # nothing is known of a class that is not there
    assert 0 < METRICS["auc"].function(absent, PROBABILITIES, weight) < 1
    assert np.isnan(METRICS["auc"].function(np.zeros((N, 1), int), LABEL_MEANS[1], weight))


@pytest.mark.parametrize("n_labels", [1, 3])
def test_auc_of_labels(n_labels, weight):
    y, mean = LABELS[n_labels], LABEL_MEANS[n_labels]
    expected = sklearn_metrics.roc_auc_score(y, mean, average="macro", sample_weight=weight)
    assert METRICS["auc"].function(y, mean, weight) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_missing_entries_count_for_nothing(name, weight):
    classes = METRICS[name].task == "classification"
    y = LABELS[3].astype(float) if classes else RNG.normal(size=(N, 3))
    mean = np.clip(LABEL_MEANS[3], 0.01, 0.99)
    function = METRICS[name].function
    missing = y.copy()
    missing[::2, 1] = np.nan
    if name in ("accuracy", "error"):  # as if that label were right
        filled = np.where(np.isnan(missing), mean > 0.5, missing)
        expected = function(filled, mean, weight)
    else:
        parts = []
        for k in range(3):
            rows = slice(1, None, 2) if k == 1 else slice(None)
            its_weight = None if weight is None else weight[rows]
            parts.append(function(y[rows, k : k + 1], mean[rows, k : k + 1], its_weight))
        expected = np.mean(parts)
    if name == "log_loss":  # an average over all rows, of the sum over what is there
        losses = -np.log(np.where(y == 1, mean, 1 - mean))
        expected = np.average(np.where(np.isnan(missing), 0, losses).sum(axis=1), weights=weight)
    assert function(missing, mean, weight) == pytest.approx(expected, rel=1e-12)
