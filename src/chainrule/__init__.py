"""chainrule: multi-layer perceptrons for tables.

Every gradient is written out by hand, checked, and open to look into. `docs/notes.md` derives them;
`chainrule.architecture.equations` is the same text in NumPy.

What is heavy is imported when it is first asked for, so that ``import chainrule`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from chainrule import likelihoods, optimization, training
    from chainrule.architecture import Dense, Dropout, Scale
    from chainrule.errors import ChainruleError, DivergenceError, InputError, ModelFileError
    from chainrule.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
    from chainrule.inspection.gradient_check import gradient_check
    from chainrule.inspection.trace import trace
    from chainrule.model_file import load
    from chainrule.network import Network

# name → the module that has it
_HOME = {
    "Network": "chainrule.network",
    "Dense": "chainrule.architecture",
    "Dropout": "chainrule.architecture",
    "Scale": "chainrule.architecture",
    "MLPClassifier": "chainrule.estimators",
    "MLPRegressor": "chainrule.estimators",
    "TabularClassifier": "chainrule.estimators",
    "TabularRegressor": "chainrule.estimators",
    "gradient_check": "chainrule.inspection",
    "trace": "chainrule.inspection",
    "load": "chainrule.model_file",
    "ChainruleError": "chainrule.errors",
    "DivergenceError": "chainrule.errors",
    "InputError": "chainrule.errors",
    "ModelFileError": "chainrule.errors",
}
_MODULES = ("likelihoods", "optimization", "training")

__all__ = [  # noqa: RUF022 (in the order in which a reader meets them)
    "Network",
    "Dense",
    "Dropout",
    "Scale",
    "likelihoods",
    "optimization",
    "training",
    "gradient_check",
    "trace",
    "MLPClassifier",
    "MLPRegressor",
    "TabularClassifier",
    "TabularRegressor",
    "load",
    "ChainruleError",
    "DivergenceError",
    "InputError",
    "ModelFileError",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"chainrule.{name}")
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
