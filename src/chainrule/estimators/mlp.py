"""MLPClassifier and MLPRegressor: scikit-learn's interface and meaning, computed by chainrule's engines."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from chainrule.errors import InputError
from chainrule.estimators.choice import FOR_CLASSES, factors_of_classes, likelihood_named
from chainrule.estimators.mlp_base import MultilayerPerceptron, is_stochastic
from chainrule.estimators.mlp_predictive import PredictiveClasses, PredictiveNumbers
from chainrule.estimators.moved import Moved
from chainrule.estimators.targets import Classes
from chainrule.likelihoods import LIKELIHOODS, Bernoulli, Likelihood, Normal, Ordinal
from chainrule.optimization import Schedule

Array = NDArray[np.floating[Any]]


def suits(likelihood: Likelihood, target: Classes) -> bool:
    """Return whether the likelihood is one of these classes; one class alone may stand for two."""
    n = len(target.labels)
    if isinstance(likelihood, Bernoulli):
        return likelihood.n_outputs == n if target.multilabel else likelihood.n_outputs == 1 and n in {1, 2}
    return not target.multilabel and getattr(likelihood, "n_classes", None) == n


class MLPClassifier(PredictiveClasses, ClassifierMixin, MultilayerPerceptron):  # type: ignore[misc]  # scikit-learn ships no types
    """A multi-layer perceptron for classes, with the interface of scikit-learn's MLPClassifier.

    The parameters up to ``max_fun`` are scikit-learn's, and with one ``random_state`` the training takes the
    same course. Those after it are this project's own, and off by default.

    Parameters
    ----------
    hidden_layer_sizes : int or array_like of int, default (100,)
        Units of each hidden layer; () for none, which is logistic or softmax regression.
    activation : str or list of str, default "relu"
        The hidden layers' activation: "identity", "logistic", "tanh", "relu" or any other of
        `chainrule.architecture.ACTIVATIONS`; or a list, one for each hidden layer.
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
        μ of N13, from 0 to 1, for solver="sgd".
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
    loss : str or Likelihood, default "log_loss"
        "log_loss" is N6 for two classes and for labels, N7 for more; else a likelihood of classes, by its
        name, such as "categorical", or as an object.
    class_weight : dict, "balanced" or None, default None
        Factors of the rows' weights by class: a dict from classes to factors, or "balanced" for
        n_rows / (n_classes · rows of the class). For labels, a list of dicts, one a label.
    dropout : float or list of float, default 0.0
        The probability of dropping a hidden unit while training; or a list, one for each hidden layer.
    weight_decay : float, default 0.0
        Decoupled weight decay: each step multiplies the weights by 1 − η · weight_decay first.
    schedule : Schedule or None, default None
        One of `chainrule.optimization`, such as ``Cosine()``: a factor of the learning rate over all the
        steps of max_iter epochs.
    clip_norm : float or None, default None
        The largest norm of a gradient.
    scoring : str, callable or None, default None
        What validation rows are scored by: None for the accuracy, "loss" for minus the loss, or a scorer of
        scikit-learn such as "roc_auc".
    callbacks : list of callable or None, default None
        Each is called with a `chainrule.training.EpochReport` after each epoch; one that returns True ends
        the training.
    progress : bool, default False
        Whether a bar, or a line now and then, shows on stderr how far the training is.
    n_threads : int, optional
        How many threads the native engine may use; None for the cores that the process may use. The
        result does not depend on it.

    Attributes
    ----------
    classes_ : (n_classes,)
        The classes, sorted.
    coefs_, intercepts_ : list of arrays
        The weights (d_{l-1}, d_l) and biases (d_l,) of each layer: views of ``theta_``. They can be set.
    network_, theta_ : Network and (n_parameters,)
        The network and its θ, for `chainrule.Network`'s methods.
    loss_, best_loss_, loss_curve_ : float, float or None, list of float
        The last, the least and every epoch's loss, penalty included.
    validation_scores_, best_validation_score_ : list of float, float; or None
        The score of the validation rows after each epoch, and the best; None without such rows.
    validation_loss_curve_ : list of float, or None
        Their loss, without penalty.
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

    _parameter_constraints = {  # noqa: RUF012 (scikit-learn's own form)
        **MultilayerPerceptron._parameter_constraints,
        "loss": [StrOptions({"log_loss", *FOR_CLASSES}), Likelihood],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }
    _saved = ("target_", *MultilayerPerceptron._saved)
    _metric = "accuracy"

    target_: Classes

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str | list[str] = "relu",
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
        loss: str | Likelihood = "log_loss",
        class_weight: Any = None,
        dropout: float | list[float] = 0.0,
        weight_decay: float = 0.0,
        schedule: Schedule | None = None,
        clip_norm: float | None = None,
        scoring: Any = None,
        callbacks: Any = None,
        progress: bool = False,
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

    def _check_restored(self) -> None:
        super()._check_restored()
        self._require_restored("target_", Classes, self._is_of)

    def _is_of(self, target: Classes) -> bool:
        """Return whether the classes may stand above the network, and so whether a model file is whole."""
        labels = target.labels
        return isinstance(labels, np.ndarray) and labels.ndim == 1 and suits(self.network_.likelihood, target)

    def _learn_target(
        self, y: NDArray[Any], goes_on: bool, incremental: bool, classes: ArrayLike | None
    ) -> Likelihood:
        if goes_on and "target_" in vars(self):
            self._check_same_classes(y, incremental, classes)
        else:
            in_y = classes is None or type_of_target(y).startswith("multilabel")
            self.target_ = Classes.of(y) if in_y else Classes(unique_labels(classes))
        return self._likelihood_of(self.target_)

    def _likelihood_of(self, target: Classes) -> Likelihood:
        n = len(target.labels)
        if (self.loss == "ordinal" or isinstance(self.loss, Ordinal)) and target.labels.dtype.kind == "U":
            raise InputError(
                f"loss={self.loss!r} needs the order of the classes {target.labels.tolist()[:10]}, which "
                "their names do not tell: give them as numbers."
            )
        if isinstance(self.loss, Likelihood):
            likelihood = self.loss
        elif self.loss == "log_loss":
            # one class is learnt too: by scikit-learn's convention a fit to it is no error
            likelihood = Bernoulli() if n == 1 and not target.multilabel else target.likelihood()
        else:
            kind: Any = LIKELIHOODS[self.loss]
            likelihood = Bernoulli(n if target.multilabel else 1) if kind is Bernoulli else kind(n_classes=n)
        if not suits(likelihood, target):
            what = f"{n} labels a row" if target.multilabel else f"{n} classes"
            raise InputError(
                f"loss={self.loss!r} is not for {what}, which y has: loss='log_loss' finds what is."
            )
        return likelihood

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        return self.target_.encode(y)

    def _learn_class_weights(
        self, y: NDArray[Any], sample_weight: Array | None, incremental: bool
    ) -> list[NDArray[np.float64]]:
        if self.class_weight is None:
            return []
        if incremental and isinstance(self.class_weight, str):
            raise InputError(
                "class_weight='balanced' needs all rows at once, and partial_fit sees some of them: give a "
                "dict, such as the one of sklearn.utils.class_weight.compute_class_weight on a large sample."
            )
        n_questions = len(self.classes_) if self.target_.multilabel else 1
        given = (
            self.class_weight if isinstance(self.class_weight, list) else [self.class_weight] * n_questions
        )
        if len(given) != n_questions or (self.target_.multilabel and isinstance(self.class_weight, dict)):
            raise InputError(
                f"class_weight={self.class_weight!r}: give a dict or 'balanced' for one class a row, and "
                "for labels 'balanced' or a list of dicts, one for each label."
            )
        if not self.target_.multilabel:
            return [factors_of_classes(given[0], self.classes_, y, sample_weight)]
        return [
            factors_of_classes(one, np.array([0, 1]), column, sample_weight)
            for one, column in zip(given, y.T, strict=True)
        ]

    def _check_same_classes(self, y: NDArray[Any], incremental: bool, classes: ArrayLike | None) -> None:
        if self.target_.multilabel:
            return  # its columns are looked at when it is encoded
        if classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise InputError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{self.classes_!r}"
            )
        found = unique_labels(y)
        if not incremental and not np.array_equal(found, self.classes_):
            raise InputError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {found}"
            )

    @available_if(is_stochastic)  # type: ignore[untyped-decorator]  # scikit-learn ships no types
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> Self:
        """Go through the rows once more, from the θ and the moments that are there.

        The solver, its learning rate, momentum and decay are those that the descent began with; ``alpha``,
        ``batch_size``, ``shuffle`` and ``clip_norm`` are as they are now.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            As for `fit`.
        classes : array_like, (n_classes,), optional
            All the classes that will ever come; needed in the first call.

        Returns
        -------
        self
        """
        if "target_" not in vars(self) and classes is None:
            raise InputError("classes must be passed on the first call to partial_fit.")
        moved = Moved.read(offset, exposure)
        return self._fit(X, y, sample_weight, moved, incremental=True, classes=classes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(PredictiveNumbers, RegressorMixin, MultilayerPerceptron):  # type: ignore[misc]  # scikit-learn ships no types
    """A multi-layer perceptron for numbers, with the interface of scikit-learn's MLPRegressor.

    The target is learnt as it stands: scale it when its standard deviation is far from 1.
    `chainrule.TabularRegressor` does that by itself.

    Parameters
    ----------
    loss : str or Likelihood, default "squared_error"
        "squared_error" for N5, "poisson" for N8 with predictions ŷ = e^s and y ≥ 0; else a likelihood of
        numbers, by its name or as an object: see `chainrule.likelihoods`. What is descended is the sum over
        the outputs; what is reported of the squared error is their mean, and of "poisson" the deviance
        (y log y − y is added), as in scikit-learn.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, \
    max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, \
    validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun, dropout, weight_decay, \
    schedule, clip_norm, scoring, callbacks, progress, n_threads
        As in `MLPClassifier`; ``scoring=None`` is R².

    Attributes
    ----------
    coefs_, intercepts_, network_, theta_, loss_, best_loss_, loss_curve_, validation_scores_, \
    best_validation_score_, validation_loss_curve_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, \
    n_features_in_, feature_names_in_
        As in `MLPClassifier`.
    dispersion_, kept_aside_
        What the rows that were held out say, else those that were learned from: σ² of "squared_error" and φ
        of "tweedie", and what `predict_interval` needs. None after `partial_fit`.

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
        "loss": [StrOptions({"squared_error", *(set(LIKELIHOODS) - FOR_CLASSES)}), Likelihood],
        **MultilayerPerceptron._parameter_constraints,
    }
    _saved = (*MultilayerPerceptron._saved, "dispersion_", "kept_aside_")
    _metric = "r2"

    def __init__(
        self,
        loss: str | Likelihood = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str | list[str] = "relu",
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
        dropout: float | list[float] = 0.0,
        weight_decay: float = 0.0,
        schedule: Schedule | None = None,
        clip_norm: float | None = None,
        scoring: Any = None,
        callbacks: Any = None,
        progress: bool = False,
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

    def _learn_target(
        self,
        y: NDArray[Any],
        goes_on: bool,  # noqa: ARG002 (for the classifier)
        incremental: bool,  # noqa: ARG002 (for the classifier)
        classes: ArrayLike | None,  # noqa: ARG002 (for the classifier)
    ) -> Likelihood:
        if isinstance(self.loss, Likelihood):
            if hasattr(self.loss, "n_classes"):
                raise InputError(f"loss={self.loss!r} is for classes: use MLPClassifier.")
            return self.loss
        n_columns = 1 if y.ndim == 1 else y.shape[1]
        name = Normal.name if self.loss == "squared_error" else self.loss
        return likelihood_named(name, n_columns)

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        return y

    @available_if(is_stochastic)  # type: ignore[untyped-decorator]  # scikit-learn ships no types
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> Self:
        """Go through the rows once more, from the θ and the moments that are there.

        The solver, its learning rate, momentum and decay are those that the descent began with; ``alpha``,
        ``batch_size``, ``shuffle`` and ``clip_norm`` are as they are now.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            As for `fit`.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, Moved.read(offset, exposure), incremental=True)
