"""scikit-learn's own checks of what an estimator is, on all four."""

import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from chainrule import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor

ESTIMATORS = [
    MLPClassifier(max_iter=100),
    MLPRegressor(max_iter=100),
    TabularClassifier(epochs=20),
    TabularRegressor(epochs=20),
]

BATCHES = (
    "Mini-batches and dropout masks are made of rows, and the quartiles that scale the columns count rows: "
    "a row of weight 2 is met once an epoch, its two copies twice. The losses that are minimised are the "
    "same; test_tabular.py compares weights with copies where the whole data is one step."
)


def expected_failures(estimator):
    if isinstance(estimator, TabularClassifier | TabularRegressor):
        return {"check_sample_weight_equivalence_on_dense_data": BATCHES}
    return {}


# The checks ask for so few epochs that the MLP estimators rightly say that they have not converged.
@pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__name__}")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_what_scikit_learn_asks_of_an_estimator(estimator, check):
    check(estimator)
