"""Estimators as scikit-learn knows them: the multi-layer perceptron on arrays, and the one for tables."""

from chainrule.estimators.mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
