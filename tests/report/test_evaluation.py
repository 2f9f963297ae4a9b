"""Scores against scikit-learn's, their intervals against the bootstrap, and what a target may look like."""

import math

import numpy as np
import pytest
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

from chainrule.errors import InputError
from chainrule.estimators.predictive import concordance
from chainrule.report.evaluation import class_numbers
from chainrule.report.scores import (
    Score,
    classification_scores,
    concordance_score,
    mean_score,
    number,
    regression_scores,
    share_score,
)


def as_dict(scores):
    return {score.name: score.value for score in scores}


@pytest.mark.parametrize("n_rows", [2, 3, 500])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e8])
def test_scores_of_numbers_are_scikit_learns(n_rows, size):
    rng = np.random.default_rng(n_rows)
    actual, predicted = size * rng.normal(3, 2, (2, n_rows))
    found = as_dict(regression_scores(actual, predicted))
    assert found["R²"] == pytest.approx(metrics.r2_score(actual, predicted), rel=1e-12)
    assert found["RMSE"] == pytest.approx(metrics.root_mean_squared_error(actual, predicted), rel=1e-12)
    assert found["MAE"] == pytest.approx(metrics.mean_absolute_error(actual, predicted), rel=1e-12)


def test_r2_of_a_constant_target_is_not_defined():
    scores = regression_scores(np.ones(4), np.arange(4.0))
    assert math.isnan(scores[0].value)
    assert str(scores[0]) == "–"
    assert as_dict(scores)["MAE"] == 1.0


@pytest.mark.parametrize("n_rows", [20, 500])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_scores_of_classes_are_scikit_learns(n_classes, n_rows):
    rng = np.random.default_rng(n_classes)
    actual = rng.integers(0, n_classes, n_rows)
    probabilities = rng.dirichlet(np.ones(n_classes), n_rows)
    found = as_dict(classification_scores(actual, probabilities, np.log(probabilities)))
    predicted = probabilities.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(actual, predicted), rel=1e-12)
    balanced = metrics.recall_score(actual, predicted, average="macro", labels=np.unique(actual))
    assert found["balanced accuracy"] == pytest.approx(balanced, rel=1e-12)
    log_loss = metrics.log_loss(actual, probabilities, labels=range(n_classes))
    assert found["log loss"] == pytest.approx(log_loss, rel=1e-12)
    assert ("ROC AUC" in found) == (n_classes == 2)
    if n_classes == 2:
        assert found["ROC AUC"] == pytest.approx(
            metrics.roc_auc_score(actual, probabilities[:, 1]), rel=1e-12
        )


def test_rows_of_one_class_have_no_auc():
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]])
    found = as_dict(classification_scores(np.array([1, 1]), probabilities, np.log(probabilities)))
    assert math.isnan(found["ROC AUC"])
    assert found["balanced accuracy"] == found["accuracy"] == 0.5


def test_a_wrong_answer_given_with_certainty_costs_what_its_logarithm_says():
    probabilities = np.array([[0.0, 1.0]])
    found = as_dict(classification_scores(np.array([0]), probabilities, np.array([[-1000.0, 0.0]])))
    assert found["log loss"] == 1000


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (["b", "a", "b"], ["a", "b"]),
        ([2, 1, 2], [1, 2]),
        ([2.0, 1.0, 2.0], [1, 2]),
        ([2, 1, 2], ["1", "2"]),
        (["2", "1", "2"], [1, 2]),
        ([True, False, True], [False, True]),
        ([1, 0, 1], [False, True]),
        (["True", "False", "True"], [False, True]),
    ],
)
def test_classes_are_found_by_value_and_then_by_text(target, classes):
    assert class_numbers(np.array(target), np.array(classes)).tolist() == [1, 0, 1]


def test_a_new_class_is_named_with_those_that_are_known():
    with pytest.raises(InputError, match=r"not there at the fit: c, d\. The model knows a, b\."):
        class_numbers(np.array(["a", "d", "c", "d"]), np.array(["a", "b"]))


def test_changes_say_which_way_they_go():
    assert (
        Score("R²", 0.9, higher_is_better=True).change_from(Score("R²", 0.4, higher_is_better=True))
        == "+0.5000"
    )
    assert (
        Score("MAE", 3.0, higher_is_better=False).change_from(Score("MAE", 4.0, higher_is_better=False))
        == "−25.0 %"
    )
    assert (
        Score("MAE", 3.0, higher_is_better=False).change_from(Score("MAE", 0.0, higher_is_better=False))
        == "+3"
    )
    nothing = Score("R²", math.nan, higher_is_better=True)
    assert nothing.change_from(nothing) == "–"


# ── Intervals ──


def numbers_drawn(rng, n=400):
    actual = rng.gamma(2.0, size=n)
    return actual, actual + rng.normal(scale=0.3 + 0.3 * actual, size=n)


def two_classes_drawn(rng, n=400):
    logits = rng.normal(size=n)
    actual = (rng.random(n) < 1 / (1 + np.exp(-logits))).astype(int)
    p = np.clip(1 / (1 + np.exp(-logits + rng.normal(scale=0.7, size=n))), 0.01, 0.99).round(2)
    return actual, np.column_stack([1 - p, p])


def of_classes(actual, probabilities):
    return classification_scores(actual, probabilities, np.log(probabilities))


def times_drawn(rng, n=300):
    time = rng.weibull(1.5, n)
    return time, (rng.random(n) < 0.7).astype(float), time * rng.lognormal(0, 0.7, n)


def of_times(time, event, predicted):
    return (concordance_score(time, event, predicted, concordance(time, event, predicted)),)


@pytest.mark.parametrize(
    ("draw", "scores"),
    [(numbers_drawn, regression_scores), (two_classes_drawn, of_classes), (times_drawn, of_times)],
)
def test_the_standard_error_of_every_score_is_the_bootstraps(draw, scores):
    rng = np.random.default_rng(0)
    rows = draw(rng)
    found = scores(*rows)
    draws = [rng.integers(0, len(rows[0]), len(rows[0])) for _ in range(600)]
    again = np.array([[score.value for score in scores(*(part[d] for part in rows))] for d in draws])
    # 600 draws know a standard deviation to about 3 %, and with 400 rows the two are not quite the same
    np.testing.assert_allclose([score.standard_error for score in found], again.std(axis=0), rtol=0.12)
    for score in found:
        assert score.influence.mean() == pytest.approx(0, abs=1e-9 * max(1, np.abs(score.influence).max()))


@pytest.mark.parametrize("draw", [numbers_drawn, two_classes_drawn])
def test_the_influence_of_a_row_is_the_slope_by_its_weight(draw):
    """With a row taken k times over, k from 1: the slope at 1, against the difference of two weights."""
    rows = draw(np.random.default_rng(3), n=4000)
    scores = regression_scores if draw is numbers_drawn else of_classes
    many = [np.concatenate([part, part[:1]]) for part in rows]
    for once, twice in zip(scores(*rows), scores(*many), strict=True):
        slope = (twice.value - once.value) * len(rows[0])
        assert once.influence[0] == pytest.approx(slope, rel=2e-2, abs=1e-3), once.name


def test_the_interval_of_a_share_is_wilsons():
    for right, n in ((0, 10), (3, 10), (10, 10), (480, 500)):
        ends = proportion_confint(right, n, method="wilson")
        score = share_score("accuracy", np.arange(n) < right)
        assert score.interval() == pytest.approx(ends, abs=1e-9)


@pytest.mark.slow
def test_an_interval_holds_the_score_of_all_rows_95_times_out_of_100():
    rng = np.random.default_rng(1)
    truths = {
        **{score.name: score.value for score in regression_scores(*numbers_drawn(rng, 10**6))},
        **{score.name: score.value for score in of_classes(*two_classes_drawn(rng, 10**6))},
    }
    held = dict.fromkeys(truths, 0)
    n = 1000
    for _ in range(n):
        rows = numbers_drawn(rng, 1000), two_classes_drawn(rng, 1000)
        for score in (*regression_scores(*rows[0]), *of_classes(*rows[1])):
            low, high = score.interval()
            held[score.name] += low <= truths[score.name] <= high
    for name, count in held.items():
        assert 0.92 < count / n < 0.98, name


def test_the_change_of_two_models_is_of_their_differences_row_by_row():
    rng = np.random.default_rng(2)
    actual, predicted = numbers_drawn(rng)
    other = predicted + rng.normal(scale=0.05, size=len(actual))  # the same errors, but for a little
    new, old = regression_scores(actual, predicted)[2], regression_scores(actual, other)[2]
    difference = np.abs(actual - predicted) - np.abs(actual - other)
    width = 1.959964 * difference.std() / np.sqrt(len(actual))
    low, high = ((difference.mean() + side * width) / old.value * 100 for side in (-1, 1))
    expected = f"{low:+.1f} % to {high:+.1f} %".replace("-", "−")
    assert new.change_with_interval(old).replace("\N{NO-BREAK SPACE}", " ").endswith(f"({expected})")
    assert width < 0.1 * 1.96 * new.standard_error  # much narrower than from two models on rows of their own


def test_what_is_not_known_has_no_interval():
    nothing = Score("R²", math.nan, higher_is_better=True, influence=np.zeros(3))
    assert nothing.interval() is None
    assert nothing.with_interval() == "–"
    assert Score("R²", 0.5, higher_is_better=True).with_interval() == "0.5000"
    assert nothing.change_with_interval(nothing) == "–"
    infinite = mean_score("log loss", np.array([1.0, np.inf]))
    assert infinite.with_interval() == "∞"


def test_numbers_for_people():
    given = [0.0, 1.0, 0.5, 12.3456, 123456.7, 0.00012345, -0.25, math.nan, math.inf]
    wanted = ["0", "1", "0.5000", "12.35", "123,457", "0.0001234", "−0.2500", "–", "∞"]
    assert [number(value) for value in given] == wanted
