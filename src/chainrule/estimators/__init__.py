"""Estimators as scikit-learn knows them: the multi-layer perceptron on arrays, and the one for tables."""

from chainrule.estimators.mlp import MLPClassifier, MLPRegressor
from chainrule.estimators.tabular import TabularClassifier, TabularRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor"]
