"""MLPClassifier and MLPRegressor: scikit-learn's interface and meaning, computed by chainrule's engines."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from chainrule.errors import InputError
from chainrule.estimators.mlp_base import MultilayerPerceptron, is_stochastic
from chainrule.estimators.targets import Classes
from chainrule.likelihoods import Likelihood, Normal, Poisson

Array = NDArray[np.floating[Any]]


class MLPClassifier(ClassifierMixin, MultilayerPerceptron):  # type: ignore[misc]  # scikit-learn ships no types
    """A multi-layer perceptron for classes, with the interface of scikit-learn's MLPClassifier.

    Parameters
    ----------
    hidden_layer_sizes : int or array_like of int, default (100,)
        Units of each hidden layer; () for none, which is logistic or softmax regression.
    activation : {"identity", "logistic", "tanh", "relu"}, default "relu"
        The hidden layers' activation.
    solver : {"lbfgs", "sgd", "adam"}, default "adam"
        L-BFGS on all rows, or descent on mini-batches (N13).
    alpha : float, default 0.0001
        Strength of the penalty; a batch's loss has alpha / (2 n_batch) ‖w‖² added, weights only.
    batch_size : int or "auto", default "auto"
        Rows a step; "auto" is 200, or all rows where there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        For solver="sgd". "invscaling": ``learning_rate_init / (t_ + 1)^power_t`` after each epoch;
        "adaptive": divided by 5 when n_iter_no_change epochs brought no improvement.
    learning_rate_init : float, default 0.001
        η at the start.
    power_t : float, default 0.5
        The exponent of "invscaling".
    max_iter : int, default 200
        Epochs at most; iterations for "lbfgs".
    shuffle : bool, default True
        Whether each epoch has an order of rows of its own.
    random_state : int, RandomState or None, default None
        Where θ, the orders and the validation rows come from. None: other ones each time.
    tol : float, default 1e-4
        What counts as an improvement; for "lbfgs" the largest entry of the gradient at which it stops.
    verbose : bool or int, default False
        Whether each epoch is printed.
    warm_start : bool, default False
        Whether `fit` goes on from the θ that is there.
    momentum : float, default 0.9
        μ of N13, at least 0 and below 1, for solver="sgd".
    nesterovs_momentum : bool, default True
        Whether "sgd" looks ahead.
    early_stopping : bool, default False
        Whether rows are set aside and the score on them decides about stopping and the best θ.
    validation_fraction : float, default 0.1
        The share that is set aside.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
        β₁, β₂ and ε of Adam.
    n_iter_no_change : int or inf, default 10
        How many epochs in a row may bring no improvement.
    max_fun : int, default 15000
        Calls of the loss at most, for "lbfgs".
    n_threads : int, optional
        How many threads the native engine may use; None for the cores that the process may use. The
        result does not depend on it.

    Attributes
    ----------
    classes_ : (n_classes,)
        The classes, sorted.
    coefs_, intercepts_ : list of arrays
        The weights (d_{l-1}, d_l) and biases (d_l,) of each layer: views of ``theta_``.
    network_, theta_ : Network and (n_parameters,)
        The network and its θ, for `chainrule.Network`'s methods.
    loss_, best_loss_, loss_curve_ : float, float or None, list of float
        The last, the least and every epoch's loss, penalty included.
    validation_scores_, best_validation_score_ : list of float, float; or None
        Accuracy on the rows set aside, with ``early_stopping``.
    n_iter_, t_ : int
        Epochs of the last fit; rows seen since the start.
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from chainrule import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier([16], solver="lbfgs", alpha=0.01, max_iter=500, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    _saved = ("target_", *MultilayerPerceptron._saved)
    _metric = "accuracy"

    target_: Classes

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, sorted."""
        if "target_" not in vars(self):  # hasattr() relies on this error
            raise AttributeError("MLPClassifier has no classes_ before fit.")
        return self.target_.labels

    def _check_restored(self) -> None:
        super()._check_restored()
        self._require_restored("target_", Classes, lambda it: it.suits(self.network_.likelihood))

    def _learn_target(
        self, y: NDArray[Any], goes_on: bool, classes: ArrayLike | None
    ) -> tuple[Likelihood, NDArray[Any]]:
        if goes_on:
            target = self.target_
            self._check_same_classes(y, classes)
        else:
            in_y = classes is None or type_of_target(y).startswith("multilabel")
            target = Classes.of(y) if in_y else Classes(unique_labels(classes))
        likelihood, encoded = target.likelihood(), target.encode(y)
        self.target_ = target
        return likelihood, encoded

    def _check_same_classes(self, y: NDArray[Any], classes: ArrayLike | None) -> None:
        if classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise InputError(
                f"classes={classes!r} are not those of the first call, {self.classes_.tolist()}."
            )
        if self.warm_start and not np.array_equal(Classes.of(y).labels, self.classes_):
            raise InputError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit: "
                f"they were {self.classes_.tolist()}, y has {Classes.of(y).labels.tolist()}."
            )

    @available_if(is_stochastic)  # type: ignore[untyped-decorator]  # scikit-learn ships no types
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Go through the rows once more, from the θ and the moments that are there.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array_like, (n_classes,), optional
            All the classes that will ever come; needed in the first call.

        Returns
        -------
        self
        """
        if "theta_" not in vars(self) and classes is None:
            raise InputError("classes must be passed on the first call to partial_fit.")
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the likeliest class of each row (n_rows,), or the labels (n_rows, n_labels) of 0 and 1."""
        probabilities = self.predict_proba(X)
        return self.target_.decode(probabilities)

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return the probability of each class, in the order of ``classes_``: (n_rows, n_classes)."""
        logits = self._checked_logits(X)
        return self.target_.probabilities(self.network_.likelihood.mean(logits))

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Return the logarithms of the probabilities, from the logits: exact where these have run to 0."""
        logits = self._checked_logits(X)
        return self.target_.log_probabilities(self.network_.likelihood, logits)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, MultilayerPerceptron):  # type: ignore[misc]  # scikit-learn ships no types
    """A multi-layer perceptron for numbers, with the interface of scikit-learn's MLPRegressor.

    The target is learnt as it stands: scale it when its standard deviation is far from 1.
    `chainrule.TabularRegressor` does that by itself.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}, default "squared_error"
        The loss of a row: ½|y − ŷ|², summed over the outputs (N5), or e^s − y s (N8, less what depends on y
        alone), with predictions ŷ = e^s; y must then be ≥ 0.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, \
    max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, \
    validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun, n_threads
        As in `MLPClassifier`.

    Attributes
    ----------
    validation_scores_, best_validation_score_ : list of float, float; or None
        R² on the rows set aside, with ``early_stopping``.
    coefs_, intercepts_, network_, theta_, loss_, best_loss_, loss_curve_, n_iter_, t_, n_layers_, \
    n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in `MLPClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import MLPRegressor
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> model = MLPRegressor(hidden_layer_sizes=[20], activation="tanh", solver="lbfgs", random_state=0)
    >>> model.fit(X, np.sin(3 * X[:, 0])).score(X, np.sin(3 * X[:, 0])) > 0.99
    True
    """

    _parameter_constraints = {  # noqa: RUF012 (scikit-learn's own form)
        "loss": [StrOptions({"squared_error", "poisson"})],
        **MultilayerPerceptron._parameter_constraints,
    }
    _metric = "r2"

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

    def _learn_target(
        self,
        y: NDArray[Any],
        goes_on: bool,  # noqa: ARG002 (for the classifier)
        classes: ArrayLike | None,  # noqa: ARG002 (for the classifier)
    ) -> tuple[Likelihood, NDArray[Any]]:
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        return (Poisson(n_outputs) if self.loss == "poisson" else Normal(n_outputs)), y

    @available_if(is_stochastic)  # type: ignore[untyped-decorator]  # scikit-learn ships no types
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Go through the rows once more, from the θ and the moments that are there.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: ArrayLike) -> Array:
        """Return ŷ = E[y given x] of each row: (n_rows,), or (n_rows, n_outputs) for several outputs."""
        logits = self._checked_logits(X)
        mean = self.network_.likelihood.mean(logits)
        return mean[:, 0] if mean.shape[1] == 1 else mean
