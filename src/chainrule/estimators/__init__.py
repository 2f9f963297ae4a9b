"""Estimators as scikit-learn knows them: the multi-layer perceptron on arrays, and the one for tables."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.estimators.mlp import MLPClassifier, MLPRegressor
    from chainrule.estimators.tabular import TabularClassifier, TabularRegressor

# Each is imported when it is first asked for: who works on arrays does not wait for what reads tables.
_HOME = {
    "MLPClassifier": "chainrule.estimators.mlp",
    "MLPRegressor": "chainrule.estimators.mlp",
    "TabularClassifier": "chainrule.estimators.tabular",
    "TabularRegressor": "chainrule.estimators.tabular",
}

__all__ = ["MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'chainrule.estimators' has no attribute {name!r}")
    # On the way to our own modules its import was measured to have a third more page faults, and to take a
    # tenth longer: the allocator gives memory back and takes it again.
    import_module("sklearn.base")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
