"""Scores against scikit-learn's, and what a target may look like."""

import math

import numpy as np
import pytest
from sklearn import metrics

from chainrule.errors import InputError
from chainrule.report.evaluation import Score, class_numbers, classification_scores, number, regression_scores


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


def test_numbers_for_people():
    given = [0.0, 1.0, 0.5, 12.3456, 123456.7, 0.00012345, -0.25, math.nan, math.inf]
    wanted = ["0", "1", "0.5000", "12.35", "123,457", "0.0001234", "−0.2500", "–", "∞"]
    assert [number(value) for value in given] == wanted
