"""scikit-learn's own tests of its MLP, from the installed package, run against chainrule's classes."""

import importlib.util
from unittest import mock

import pytest
from sklearn import neural_network

from chainrule import MLPClassifier, MLPRegressor

PRIVATE = "It looks at {}, a private part of scikit-learn's class that has no counterpart here."
EXCEPTIONS = {
    "test_gradient": PRIVATE.format("_loss_grad_lbfgs")
    + " tests/engine/test_gradients.py compares all gradients with differences.",
    "test_learning_rate_warmstart": PRIVATE.format("_optimizer.learning_rate")
    + " test_mlp_trajectory.py compares the courses that the rates take.",
    "test_adaptive_learning_rate": PRIVATE.format("_optimizer.learning_rate") + " The same.",
    "test_predict_proba_multilabel": "It takes the largest of probabilities that have been rounded to 1. "
    "predict_log_proba is computed from the logits and still tells them apart, so another is the largest.",
}


def their_tests():
    """Return the names in their module, which is executed anew with our classes in their package."""
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    module = importlib.util.module_from_spec(spec)
    with mock.patch.multiple(neural_network, MLPClassifier=MLPClassifier, MLPRegressor=MLPRegressor):
        spec.loader.exec_module(module)
    assert module.MLPClassifier is MLPClassifier
    return {name: test for name, test in vars(module).items() if name.startswith("test_")}


THEIRS = their_tests()
globals().update(
    {
        name: pytest.mark.xfail(reason=EXCEPTIONS[name], strict=True)(test) if name in EXCEPTIONS else test
        for name, test in THEIRS.items()
    }
)


@pytest.fixture(params=[0, 42])
def global_random_seed(request):
    """Their fixture of this name."""
    return request.param


def test_the_exceptions_are_few_and_the_tests_are_many():
    assert len(EXCEPTIONS) <= 6
    assert set(EXCEPTIONS) < set(THEIRS)
    assert len(THEIRS) > 40
