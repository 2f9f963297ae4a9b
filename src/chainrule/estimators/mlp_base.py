"""What MLPClassifier and MLPRegressor share: scikit-learn's way of fitting, on chainrule's engines.

The initial θ, the orders of the rows, the penalty of a batch and the rules for stopping are those of
scikit-learn 1.9, so that a program that uses its estimators finds here what it knows.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from chainrule.architecture import Dense
from chainrule.engine import Descent, RowPredictor
from chainrule.errors import DivergenceError, InputError
from chainrule.estimators.base import NetworkEstimator
from chainrule.likelihoods import Categorical, Likelihood
from chainrule.network import Network
from chainrule.optimization import SGD, Adam, Optimizer, Penalty
from chainrule.training import METRICS
from chainrule.training.batches import Data
from chainrule.training.divergence import divergence

Array = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]

# scikit-learn's names → this project's
ACTIVATION_NAMES = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
OUT_ACTIVATION_NAMES = {
    "normal": "identity",
    "poisson": "exp",
    "bernoulli": "logistic",
    "categorical": "softmax",
}
SMALLEST_RATE = 1e-6  # below it learning_rate="adaptive" stops instead of slowing down


def is_stochastic(estimator: Any) -> bool:
    """Return True; raise AttributeError for the solver that has no `partial_fit`."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is there for solver='sgd' and 'adam': 'lbfgs' takes no single passes."
        )
    return True


class MultilayerPerceptron(NetworkEstimator, ABC):
    """What the classifier and the regressor share: everything but the target."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATION_NAMES))],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
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
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }
    # What the epochs leave behind; L-BFGS leaves the loss alone.
    _record = ("loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_")
    _saved: ClassVar[tuple[str, ...]] = ("n_features_in_", "feature_names_in_", "n_iter_", "t_", *_record)
    _metric: ClassVar[str]  # what early stopping looks at
    _stalled = 0  # epochs in a row without an improvement

    best_loss_: Any  # a float, or None with early stopping
    validation_scores_: Any  # a list of floats, or None without it
    best_validation_score_: Any  # a float, or None without it

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Keep the constructor's arguments under their names, unchanged and unchecked: clone() needs that."""
        for name in self._parameter_constraints:
            setattr(self, name, arguments[name])

    # ── What scikit-learn's estimators show of a fitted network ──

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer, (d_{l-1}, d_l): views of θ, w_l transposed."""
        return [weight.T for weight, _ in self._fitted("coefs_").unpack(self.theta_)]

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer, (d_l,): views of θ."""
        return [bias for _, bias in self._fitted("intercepts_").unpack(self.theta_) if bias is not None]

    @property
    def n_layers_(self) -> int:
        """The number of layers, the input among them."""
        return len(self._fitted("n_layers_").architecture.dense) + 1

    @property
    def n_outputs_(self) -> int:
        """The number of logits."""
        return self._fitted("n_outputs_").n_logits

    @property
    def out_activation_(self) -> str:
        """What makes predictions out of logits: "identity", "exp", "logistic" or "softmax"."""
        return OUT_ACTIVATION_NAMES[self._fitted("out_activation_").likelihood.name]

    def _fitted(self, attribute: str) -> Network:
        if "network_" not in vars(self):  # hasattr() relies on this error
            raise AttributeError(f"{type(self).__name__} has no {attribute} before fit.")
        return self.network_

    # ── Fitting ──

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the network to rows and their targets.

        Parameters
        ----------
        X : array_like, (n_rows, n_features)
            Finite numbers; float32 stays float32, all else becomes float64.
        y : array_like, (n_rows,) or (n_rows, n_outputs)
            Classes, or 0 and 1 for several labels a row (classifier); numbers (regressor).
        sample_weight : array_like, (n_rows,), optional
            Weights ≥ 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            When a parameter or the data cannot be used.
        DivergenceError
            When the loss stops being finite. There is then no θ, as before the first fit.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _read(self, X: Any, y: Any, goes_on: bool) -> tuple[Array, NDArray[Any]]:
        """Return X and y checked as scikit-learn checks them."""
        X, y = validate_data(
            self,
            X,
            y,
            multi_output=True,
            y_numeric=isinstance(self, RegressorMixin),
            dtype=(np.float64, np.float32),
            order="C",
            reset=not goes_on,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return (X.astype(self.theta_.dtype, copy=False) if goes_on else X), y

    @abstractmethod
    def _learn_target(
        self, y: NDArray[Any], goes_on: bool, classes: ArrayLike | None
    ) -> tuple[Likelihood, NDArray[Any]]:
        """Return the likelihood for y, and y as numbers; keep what turns predictions back."""

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, incremental: bool, classes: ArrayLike | None = None
    ) -> Self:
        self._validate_params()
        if incremental and self.early_stopping:
            raise InputError(
                "partial_fit does not support early_stopping=True: one pass has no validation rows."
            )
        goes_on = "theta_" in vars(self) and (incremental or self.warm_start)
        X, y = self._read(X, y, goes_on)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
            if not weight.any():
                raise InputError("sample_weight is 0 for every row: at least one row must count.")
        likelihood, encoded = self._learn_target(y, goes_on, classes)
        sizes = np.atleast_1d(self.hidden_layer_sizes).tolist()
        hidden = [Dense(units, ACTIVATION_NAMES[self.activation]) for units in sizes]
        network = Network(X.shape[1], hidden, likelihood=likelihood)
        rng = check_random_state(self.random_state)
        if not goes_on:
            self._start(network, rng, X.dtype)
        elif network.architecture != self.network_.architecture:
            raise InputError(
                f"The fit cannot go on: the parameters ask for {network}, but there is {self.network_}. "
                "Set warm_start=False and call fit to start again."
            )
        target = likelihood.prepare(encoded, len(X))
        if not isinstance(likelihood, Categorical):
            target = target.astype(X.dtype)
        data = Data(X, target, weight)
        try:
            if self.solver == "lbfgs":
                self._minimize(data)
            else:
                self._descend(data, rng, incremental)
        except DivergenceError:
            del self.theta_, self.network_  # what diverged is no model
            raise
        return self

    def _start(self, network: Network, rng: np.random.RandomState, dtype: np.dtype[Any]) -> None:
        """Draw θ as scikit-learn does: uniform within ±√(6 / (d_{l−1} + d_l)), ±√(2 / …) for logistic."""
        theta = np.empty(network.n_parameters)
        factor = 2.0 if self.activation == "logistic" else 6.0
        for weight, bias in network.unpack(theta):
            bound = np.sqrt(factor / sum(weight.shape))
            weight.T[...] = rng.uniform(-bound, bound, weight.T.shape)
            if bias is not None:
                bias[...] = rng.uniform(-bound, bound, bias.shape)
        self.network_, self.theta_ = network, theta.astype(dtype)
        self.n_iter_ = self.t_ = 0
        for name in ("_descent", *self._record):
            self.__dict__.pop(name, None)

    def _minimize(self, data: Data) -> None:
        """L-BFGS on all rows."""
        X, _, weight = data
        engine = self.network_.engine(self._engine, self.n_threads)
        penalty = Penalty(self.alpha / (len(X) if weight is None else float(weight.sum(dtype=np.float64))))

        def loss_and_gradient(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            loss, gradient = engine.loss_and_gradient(theta.astype(X.dtype), *data, penalty, None)
            return loss, gradient.astype(np.float64)

        with threadpool_limits(limits=1, user_api="blas"):  # SciPy's sums in one order, whatever the machine
            result = minimize(
                loss_and_gradient,
                self.theta_.astype(np.float64),
                jac=True,
                method="L-BFGS-B",
                options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
            )
        if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
            raise divergence(result.fun, "in L-BFGS", data, self.network_.likelihood, None)
        self.theta_ = result.x.astype(X.dtype)
        self.loss_, self.n_iter_ = float(result.fun), min(int(result.nit), self.max_iter)
        if self.verbose:
            print(f"L-BFGS: {self.n_iter_} iterations, loss = {self.loss_:.8f}")
        if result.status != 0:
            warnings.warn(
                f"lbfgs failed to converge after {self.n_iter_} iterations ({result.message}). Raise "
                "max_iter or max_fun, scale the columns of X, or give a larger tol.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _descend(self, data: Data, rng: np.random.RandomState, incremental: bool) -> None:
        """SGD or Adam, epoch by epoch, with scikit-learn's rules for slowing down and stopping."""
        rows, held_out = self._split(data.y, rng)
        batch_size = self._rows_per_batch(len(rows))
        self._start_record()
        if not (incremental and "_descent" in vars(self)):
            self._descent = Descent(self.theta_, self._optimizer())
            self._rate = float(self.learning_rate_init)
        self._descent.theta = self.theta_
        best = self.theta_.copy()
        n_epochs = 1 if incremental else self.max_iter
        try:
            for epoch in range(1, n_epochs + 1):
                if self.shuffle:
                    order = np.arange(len(rows))
                    rng.shuffle(order)  # as sklearn.utils.shuffle does, without its checks in each epoch
                    rows = rows[order]
                self.loss_ = self._epoch(data, rows, batch_size)
                self.n_iter_ = epoch
                self.t_ += len(rows)
                self.loss_curve_.append(self.loss_)
                if self.verbose:
                    print(f"Iteration {epoch}, loss = {self.loss_:.8f}")
                self._compare(None if held_out is None else data.take(held_out), best)
                if self._ends():
                    break
            else:
                if not incremental:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                        "optimization hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        if held_out is not None:
            self.theta_ = best

    def _start_record(self) -> None:
        """Begin the record of epochs, unless there is one that can go on."""
        if "loss_curve_" in vars(self) and self.early_stopping == (self.validation_scores_ is not None):
            return
        self.loss_curve_: list[float] = []
        self._stalled = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _split(self, target: NDArray[Any], rng: np.random.RandomState) -> tuple[Rows, Rows | None]:
        """Return the training rows and the validation rows, None without early stopping."""
        rows = np.arange(len(target))
        if not self.early_stopping:
            return rows, None
        two_classes = isinstance(self, ClassifierMixin) and self.n_outputs_ == 1
        kept, held_out = train_test_split(
            rows,
            random_state=rng,
            test_size=self.validation_fraction,
            stratify=target if two_classes else None,
        )
        if len(held_out) < 2:
            raise InputError(
                f"The validation set is too small: validation_fraction={self.validation_fraction} of "
                f"{len(rows)} rows is fewer than 2. Raise it, give more rows, or set early_stopping=False."
            )
        return kept, held_out

    def _rows_per_batch(self, n_rows: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_rows)
        if self.batch_size > n_rows:
            warnings.warn(
                f"Got `batch_size`={self.batch_size} larger than sample size {n_rows}. It is clipped.",
                stacklevel=5,
            )
        return int(min(self.batch_size, n_rows))

    def _optimizer(self) -> Optimizer:
        if self.solver == "sgd":
            return SGD(self.learning_rate_init, self.momentum, self.nesterovs_momentum)
        return Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)

    def _epoch(self, data: Data, rows: Rows, batch_size: int) -> float:
        """Take a step for each batch; return the mean of the batches' losses, each counting by its rows."""
        total = 0.0
        for part, l2 in self._parts(data.weight, rows, batch_size):
            self._descent.penalty = Penalty(l2)
            losses = self._steps(data, part, batch_size)
            total += sum(losses[:-1]) * batch_size + losses[-1] * (len(part) - (len(losses) - 1) * batch_size)
        return total / len(rows)

    def _parts(self, weight: Array | None, rows: Rows, batch_size: int) -> Iterator[tuple[Rows, float]]:
        """Cut the order of an epoch where the penalty changes: it is alpha / (2 Σ batch's weights) |w|²."""
        n_rows = len(rows)
        full = n_rows // batch_size * batch_size
        edges = [0, full, n_rows] if weight is None else [*range(0, n_rows, batch_size), n_rows]
        for start, stop in pairwise(edges):
            part = rows[start:stop]
            size = min(batch_size, len(part)) if weight is None else float(weight[part].sum(dtype=np.float64))
            if size > 0:  # nothing is left of the last batch, or no row of it counts
                yield part, self.alpha / size

    def _steps(self, data: Data, rows: Rows, batch_size: int) -> list[float]:
        """Take all the steps of these rows, in as many calls as the engine wants; return their losses."""
        engine = self.network_.engine(self._engine, self.n_threads)
        n_steps = -(-len(rows) // batch_size)
        losses: list[float] = []
        while len(losses) < n_steps:
            rates = np.full(n_steps - len(losses), self._rate)
            rest = rows[len(losses) * batch_size :]
            losses += engine.run_steps(self._descent, *data, rest, batch_size, rates).tolist()
            if not np.isfinite(losses[-1]):
                when = f"in epoch {self.n_iter_ + 1}"
                raise divergence(losses[-1], when, data, self.network_.likelihood, self._rate)
        return losses

    def _compare(self, held_out: Data | None, best: Array) -> None:
        """Take in an epoch: count the epochs in a row that brought no improvement by tol, keep the best θ."""
        if held_out is None:
            stalled = self.loss_ > self.best_loss_ - self.tol
            self.best_loss_ = min(self.best_loss_, self.loss_)
        else:
            mean = self.network_.likelihood.mean(self._logits(held_out.X))
            score = METRICS[self._metric].function(held_out.y, mean, held_out.weight)
            self.validation_scores_.append(score)
            if self.verbose:
                print(f"Validation score: {score:f}")
            stalled = score < self.best_validation_score_ + self.tol
            if score > self.best_validation_score_:
                self.best_validation_score_ = score
                np.copyto(best, self.theta_)
        self._stalled = self._stalled + 1 if stalled else 0

    def _ends(self) -> bool:
        """Set the next epoch's learning rate; return whether there is none."""
        sgd = self.solver == "sgd"
        if sgd and self.learning_rate == "invscaling":
            self._rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
        if self._stalled <= self.n_iter_no_change:
            return False
        if sgd and self.learning_rate == "adaptive" and self._rate > SMALLEST_RATE:
            self._rate /= 5.0
            self._stalled = 0
            if self.verbose:
                print(
                    f"No progress in {self.n_iter_no_change} epochs. Setting learning rate to {self._rate:f}"
                )
            return False
        if self.verbose:
            what = "Validation score" if self.early_stopping else "Training loss"
            print(
                f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
                "consecutive epochs. Stopping."
            )
        return True

    def _check_restored(self) -> None:
        super()._check_restored()
        self._require_restored("n_features_in_", int, lambda it: it == self.network_.n_inputs)

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
        check_is_fitted(self)
        return self.network_.predictor(self.theta_, self._engine)

    def _checked_logits(self, X: ArrayLike) -> Array:
        check_is_fitted(self, "theta_")
        rows = validate_data(self, X, dtype=self.theta_.dtype, order="C", reset=False)
        return self._logits(rows)
