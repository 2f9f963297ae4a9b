"""What MLPClassifier and MLPRegressor share: scikit-learn's parameters, attributes and way of fitting.

The initial θ and the validation rows come from the same random numbers as in scikit-learn 1.9; how the
descent goes on from there stands in `chainrule.estimators.mlp_solvers`.
"""

from abc import ABC, abstractmethod
from functools import cache
from inspect import signature
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import (
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from chainrule.architecture import ACTIVATIONS, Dense, Dropout, Layer
from chainrule.engine import RowPredictor
from chainrule.errors import DivergenceError, InputError
from chainrule.estimators.mlp_predictive import Predictive
from chainrule.estimators.mlp_solvers import STOCHASTIC, Solvers
from chainrule.estimators.mlp_theta import drawn, given, layer_arrays, writeable
from chainrule.estimators.mlp_watch import Validation, set_aside
from chainrule.estimators.moved import Moved
from chainrule.likelihoods import Likelihood
from chainrule.network import Network
from chainrule.optimization import Schedule
from chainrule.training.batches import Data

Array = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]

# scikit-learn's names where they are not this project's
ACTIVATION_NAMES = {"logistic": "sigmoid"}
OUT_ACTIVATION_NAMES = {
    "normal": "identity",
    "poisson": "exp",
    "bernoulli": "logistic",
    "categorical": "softmax",
}


def is_stochastic(estimator: Any) -> bool:
    """Return True; raise AttributeError for the solver that has no `partial_fit`."""
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(
            "partial_fit is there for solver='sgd' and 'adam': 'lbfgs' takes no single passes."
        )
    return True


@cache
def default_arguments(kind: type) -> dict[str, Any]:
    """Return the constructor's arguments with defaults; to look them up takes longer than many a fit."""
    parameters = list(signature(kind.__init__).parameters.values())[1:]  # type: ignore[misc]  # without self
    return {it.name: it.default for it in parameters if it.kind is not it.VAR_KEYWORD}


def by_rows(X: Any) -> Any:
    """Return a sparse matrix as CSR with ascending columns, as the engines take it, and an array as it is."""
    if not hasattr(X, "tocsr"):
        return X
    rows = X.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy()  # what was given stays as it is
        rows.sum_duplicates()
    return rows


class MultilayerPerceptron(Predictive, Solvers, ABC):
    """What the classifier and the regressor share: everything but the target."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({*ACTIVATIONS, *ACTIVATION_NAMES}), "array-like"],
        "solver": [StrOptions({"lbfgs", *STOCHASTIC})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "schedule": [Schedule, None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "scoring": [str, callable, None],
        "callbacks": [list, tuple, None],
        "progress": ["boolean"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }
    _saved: ClassVar[tuple[str, ...]] = (
        *Solvers._saved,
        "n_features_in_",
        "feature_names_in_",
        "n_iter_",
        "t_",
        *Solvers._record,
    )

    hidden_layer_sizes: Any
    activation: Any
    random_state: Any
    warm_start: bool
    validation_fraction: float
    dropout: Any
    scoring: Any

    n_layers_: int
    n_outputs_: int
    out_activation_: str

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Keep the constructor's arguments under their names, unchanged and unchecked: clone() needs that."""
        for name in self._parameter_constraints:
            setattr(self, name, arguments[name])

    def _validate_params(self) -> None:
        """Check the parameters that are not the defaults, which are right: a small fit feels each check."""
        defaults = default_arguments(type(self))
        given = {name: value for name in defaults if (value := getattr(self, name)) is not defaults[name]}
        validate_parameter_constraints(self._parameter_constraints, given, type(self).__name__)

    # ── What scikit-learn's estimators show of a fitted network ──

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer, (d_{l-1}, d_l): views of θ, w_l transposed.

        An array that is put into the list, or a list in its place, is written into θ. Before the first fit
        a list is kept as it is: `partial_fit`, or `fit` with ``warm_start``, begins with it.
        """
        return self._layer_arrays("coefs_")

    @coefs_.setter
    def coefs_(self, arrays: list[Array]) -> None:
        self._set_layer_arrays("coefs_", arrays)

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer, (d_l,): views of θ, to be set as ``coefs_`` is."""
        return self._layer_arrays("intercepts_")

    @intercepts_.setter
    def intercepts_(self, arrays: list[Array]) -> None:
        self._set_layer_arrays("intercepts_", arrays)

    def _layer_arrays(self, name: str) -> list[Array]:
        if "theta_" not in vars(self):
            if name in vars(self):  # set before the first fit
                before: list[Array] = vars(self)[name]
                return before
            raise AttributeError(f"{type(self).__name__} has no {name} before fit.")
        return layer_arrays(self.network_, self.theta_)[name]

    def _set_layer_arrays(self, name: str, arrays: list[Array]) -> None:
        if "theta_" not in vars(self):
            self.__dict__[name] = arrays
            return
        layers = self._layer_arrays(name)
        if len(arrays) != len(layers):
            raise InputError(f"{name} must have an array for each of the {len(layers)} layers.")
        layers[:] = arrays

    # ── Fitting ──

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: Any = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> Self:
        """Fit the network to rows and their targets.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_rows, n_features)
            Finite numbers; float32 stays float32, all else becomes float64. CSR matrices are never made
            dense; CSC ones become CSR.
        y : array_like, (n_rows,) or (n_rows, n_outputs)
            Classes, or 0 and 1 for several labels a row (classifier); numbers (regressor).
        sample_weight : array_like, (n_rows,), optional
            Weights ≥ 0.
        eval_set : tuple (X, y) or (X, y, sample_weight), optional
            Rows that are looked at after each epoch and not learned from: their loss goes to
            ``validation_loss_curve_``, their score to ``validation_scores_``. With ``early_stopping`` they
            take the place of the rows that are otherwise set aside. Where the fit has an offset or an
            exposure, that of these rows is one more entry at the end. A list of one such tuple will do too.
        offset : array_like, (n_rows,) or (n_rows, n_outputs), optional
            What is added to the logits: to the location, or to the log of the mean. Predictions take it too.
        exposure : array_like, (n_rows,), optional
            How much each row had to count in: times, people, kilometres; above 0. The mean of y is the
            exposure times a rate, and its log is an offset. For losses whose link is the log.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            When a parameter or the data cannot be used; the model is then what it was.
        DivergenceError
            When the loss stops being finite. There is then no θ, as before the first fit.
        """
        moved = Moved.read(offset, exposure)
        return self._fit(X, y, sample_weight, moved, incremental=False, eval_set=eval_set)

    def _read(self, X: Any, y: Any, known: bool) -> tuple[Any, NDArray[Any]]:
        """Return X and y checked as scikit-learn checks them; X is dense or CSR."""
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=isinstance(self, RegressorMixin),
            dtype=(np.float64, np.float32),
            order="C",
            reset=not known,
        )
        if hasattr(y, "toarray"):  # labels may be sparse too
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        X = by_rows(X)
        return (X.astype(self.theta_.dtype, copy=False) if "theta_" in vars(self) and known else X), y

    @abstractmethod
    def _learn_target(
        self, y: NDArray[Any], goes_on: bool, incremental: bool, classes: ArrayLike | None
    ) -> Likelihood:
        """Return the likelihood for y, and keep what turns predictions back."""

    @abstractmethod
    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return y as numbers for the likelihood."""

    def _learn_class_weights(
        self,
        y: NDArray[Any],  # noqa: ARG002 (for the classifier)
        sample_weight: Array | None,  # noqa: ARG002 (for the classifier)
        incremental: bool,  # noqa: ARG002 (for the classifier)
    ) -> list[NDArray[np.float64]]:
        """Return the factors of the classes, an array for each question that y answers; none if all are 1."""
        return []

    def _prepare(
        self,
        network: Network,
        X: Any,
        y: NDArray[Any],
        sample_weight: Array | None,
        factors: list[NDArray[np.float64]],
        moved: Moved,
    ) -> Data:
        """Return the rows as the engine takes them; a row's weight has the factors of its classes in it."""
        encoded, weight = self._encode(y), sample_weight
        if factors:
            weight = np.ones(len(encoded), X.dtype) if sample_weight is None else sample_weight.copy()
            for factor, column in zip(factors, encoded.reshape(len(encoded), -1).T, strict=True):
                weight *= factor[column].astype(X.dtype)
            if not weight.any():
                raise InputError("class_weight leaves no row with a weight above 0: at least one must count.")
        target = network.likelihood.prepare(encoded, X.shape[0])
        offset = moved.logits(network, None, X.shape[0], X.dtype)
        return Data(X, np.ascontiguousarray(target, dtype=X.dtype), weight, offset)

    def _checked_weight(self, sample_weight: Any, X: Any) -> Array | None:
        if sample_weight is None:
            return None
        weight: Array = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if not weight.any():
            raise InputError("sample_weight is 0 for every row: at least one row must count.")
        return weight

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        moved: Moved,
        *,
        incremental: bool,
        classes: ArrayLike | None = None,
        eval_set: Any = None,
    ) -> Self:
        before = dict(vars(self))
        try:
            data, rows, validation, rng = self._begin(
                X, y, sample_weight, moved, incremental=incremental, classes=classes, eval_set=eval_set
            )
        except Exception:
            self.__dict__ = before  # what cannot be used changes nothing
            raise
        try:
            if self.solver == "lbfgs":
                self._minimize(data, validation)
            else:
                self._descend(data, rows, validation, rng, incremental)
            if not np.isfinite(self.theta_).all():
                raise DivergenceError("The last step was too large for the numbers of this dtype.")
        except DivergenceError as error:
            del self.theta_, self.network_  # what diverged is no model
            raise DivergenceError(
                "Solver produced non-finite parameter weights. The input data may contain large values and "
                f"need to be preprocessed. {error}"
            ) from None
        self._fitted(None if incremental else data, None if validation is None else validation.data)
        return self

    def _begin(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        moved: Moved,
        *,
        incremental: bool,
        classes: ArrayLike | None,
        eval_set: Any,
    ) -> tuple[Data, Rows, Validation | None, np.random.RandomState]:
        """Check all that was given and set the θ to begin with; return the rows, and the random numbers."""
        self._validate_params()
        self._check_settings(incremental)
        goes_on = hasattr(self, "coefs_") and (incremental or self.warm_start)
        X, y = self._read(X, y, goes_on)
        sample_weight = self._checked_weight(sample_weight, X)
        likelihood = self._learn_target(y, goes_on, incremental, classes)
        factors = self._learn_class_weights(y, sample_weight, incremental)
        network = Network(X.shape[1], self._hidden_layers(), likelihood=likelihood)
        data = self._prepare(network, X, y, sample_weight, factors, moved)
        rng = check_random_state(self.random_state)
        if not goes_on:
            layer_names = self._for_each_layer("activation", len(network.architecture.dense) - 1)
            names = [*layer_names, layer_names[-1] if layer_names else self.activation]
            self._start(network, drawn(network, names, rng, X.dtype))
        elif "theta_" not in vars(self):
            self._start(network, given(network, vars(self), X.dtype))
        elif (network.architecture, likelihood) != (self.network_.architecture, self.network_.likelihood):
            raise InputError(
                f"The fit cannot go on: the parameters ask for {network}, but there is {self.network_}. "
                "Set warm_start=False and call fit to start again."
            )
        self.theta_ = writeable(self.theta_)
        rows, validation = np.arange(len(y)), None
        if eval_set is not None:
            validation = self._read_eval_set(eval_set, factors, moved)
        elif self.early_stopping and self.solver in STOCHASTIC:
            one_column = isinstance(self, ClassifierMixin) and self.n_outputs_ == 1
            rows, held_out = set_aside(data.y, self.validation_fraction, rng, stratify=one_column)
            kept = None if sample_weight is None else sample_weight[held_out]
            validation = Validation(data.take(held_out), y[held_out], kept, self.scoring)
        return data, rows, validation, rng

    def _fitted(self, data: Data | None, held_out: Data | None) -> None:
        """Look at what came of it; data is None after a single pass."""

    def _hidden_layers(self) -> list[Layer]:
        sizes = np.atleast_1d(self.hidden_layer_sizes).tolist()
        if any(isinstance(size, list) for size in sizes):
            raise InputError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r}: give one number for each hidden layer."
            )
        if any(size <= 0 for size in sizes):
            raise InputError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        layers: list[Layer] = []
        for units, name, rate in zip(
            sizes,
            self._for_each_layer("activation", len(sizes)),
            self._for_each_layer("dropout", len(sizes)),
            strict=True,
        ):
            layers.append(Dense(units, ACTIVATION_NAMES.get(name, name)))
            layers += [Dropout(rate)] if rate != 0 else []
        if self.solver == "lbfgs" and any(isinstance(layer, Dropout) for layer in layers):
            raise InputError(
                f"dropout={self.dropout!r} is for solver='sgd' and 'adam': L-BFGS needs a loss without "
                "randomness. Set dropout=0."
            )
        return layers

    def _for_each_layer(self, name: str, n_layers: int) -> list[Any]:
        value = getattr(self, name)
        if isinstance(value, str | Real):
            return [value] * n_layers
        values = np.asarray(value).tolist()
        if not isinstance(values, list) or len(values) != n_layers:
            raise InputError(
                f"{name}={value!r}: give one, or a list of one for each of the {n_layers} layers."
            )
        return values

    def _start(self, network: Network, theta: Array) -> None:
        for name in ("_descent", "coefs_", "intercepts_", *self._record):
            self.__dict__.pop(name, None)
        self.network_, self.theta_ = network, theta
        self.n_features_in_ = network.n_inputs
        self.n_iter_ = self.t_ = 0
        self._show()

    def _show(self) -> None:
        """Set the attributes that say what the network is."""
        likelihood = self.network_.likelihood
        self.n_layers_ = len(self.network_.architecture.dense) + 1
        self.n_outputs_ = self.network_.n_logits
        self.out_activation_ = OUT_ACTIVATION_NAMES.get(likelihood.name, likelihood.link)

    def _read_eval_set(self, eval_set: Any, factors: list[NDArray[np.float64]], moved: Moved) -> Validation:
        given = eval_set[0] if isinstance(eval_set, list) and len(eval_set) == 1 else eval_set
        beside = 0 if moved.what is None else 1
        if not isinstance(given, tuple) or len(given) - beside not in {2, 3}:
            last = f", {moved.what}" * beside
            raise InputError(
                f"eval_set must be a tuple (X, y{last}) or (X, y, sample_weight{last}), or a list of one."
            )
        X, y = self._read(given[0], given[1], known=True)
        sample_weight = self._checked_weight(given[2] if len(given) - beside == 3 else None, X)
        its = moved.alike(given[-1])
        data = self._prepare(self.network_, X, y, sample_weight, factors, its)
        return Validation(data, y, sample_weight, self.scoring)

    # ── Predicting ──

    def _check_restored(self) -> None:
        super()._check_restored()
        self._require_restored("n_features_in_", int, lambda it: it == self.network_.n_inputs)
        self._show()

    def predictor(self) -> RowPredictor:
        """Return a function that predicts one row at a time, in about a microsecond; it checks nothing.

        Returns
        -------
        callable
            From a row (n_features,), contiguous and in the dtype of ``theta_``, to ŷ (n_outputs,): the
            predicted numbers, or probabilities (for two classes that of the second one). The array is the
            same one in each call, so copy what you keep; see `chainrule.Network.predictor`.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule import MLPRegressor
        >>> X = np.linspace(-1, 1, 50)[:, None]
        >>> model = MLPRegressor(hidden_layer_sizes=[8], solver="lbfgs", random_state=0).fit(X, X[:, 0])
        >>> predict = model.predictor()
        >>> bool(abs(predict(np.array([0.5]))[0] - model.predict([[0.5]])[0]) < 1e-12)
        True
        """
        check_is_fitted(self, "theta_")
        return self.network_.predictor(self.theta_, self._engine)

    def _mean(self, logits: Array) -> Array:
        """Return ŷ of each row of logits."""
        return self.network_.likelihood.mean(logits, self.network_.scales(self.theta_))

    def _checked_logits(self, X: ArrayLike, offset: ArrayLike | None, exposure: ArrayLike | None) -> Array:
        """Return the logits of rows, with what is added to them."""
        check_is_fitted(self, "theta_")
        dtype = self.theta_.dtype
        rows = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=dtype, order="C", reset=False)
        added = Moved.read(offset, exposure).logits(self.network_, None, rows.shape[0], dtype)
        logits = self._logits(by_rows(rows))
        return logits if added is None else logits + added

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
