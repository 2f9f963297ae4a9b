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
    assert better == {"accuracy": True, "error": False, "rmse": False, "mae": False, "r2": True}


def test_names_are_looked_up():
    own = Metric("own", lambda *rows: float(len(rows)))
    assert checked_metrics(["rmse", own]) == (METRICS["rmse"], own)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: checked_metrics(["rsme"]), "metrics has 'rsme': .* one of accuracy, error, rmse, mae, r2"),
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
