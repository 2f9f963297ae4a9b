"""TabularClassifier and TabularRegressor: from a table as it comes to a network and back."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.architecture import Dense, Dropout, Layer
from chainrule.errors import InputError
from chainrule.estimators.base import NetworkEstimator
from chainrule.estimators.targets import Classes, Scaling, likelihood_of_numbers, read_target
from chainrule.likelihoods import LIKELIHOODS, Bernoulli, Categorical, Likelihood
from chainrule.network import Network, checked_weight
from chainrule.optimization import LBFGS, AdamW, OneCycle, Penalty
from chainrule.tables import TableEncoder
from chainrule.training import History, Training, TrainingResult, split_validation, train

Array = NDArray[np.floating[Any]]

# ── The recipe: found on validation rows of a dozen data sets from 1,000 to 435,000 rows ──
HIDDEN = (256, 128)
ACTIVATION = "silu"
DROPOUT = 0.1
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.02
VALIDATION_FRACTION = 0.15
FEWEST_VALIDATION_ROWS = 5  # fewer say nothing about when to stop
LINEAR_L2 = 1e-4  # the linear model is fitted by L-BFGS, under a light penalty
LINEAR_ITERATIONS = 200


def batch_size_for(n_rows: int) -> int:
    """Return a power of two that grows with the rows: 32 for a thousand of them, 512 from 30,000 on."""
    return int(2 ** np.clip(round(math.log2(max(n_rows, 1) / 40)), 5, 9))


def epochs_for(n_rows: int) -> int:
    """Return how often the rows are gone through: 100 times up to 10,000, then ever less, at least 20."""
    return int(np.clip(100 * math.sqrt(10_000 / max(n_rows, 1)), 20, 100))


class TabularEstimator(NetworkEstimator, ABC):
    """What the classifier and the regressor for tables share: everything but the target."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "likelihood": [StrOptions({"auto", *LIKELIHOODS}), Likelihood],
        "hidden": ["array-like", None],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), None],
        "categorical_features": ["array-like", None],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }
    _saved = (
        "target_",
        "encoder_",
        "history_",
        "seed_",
        "target_name_",
        "n_rows_",
        "n_features_in_",
        "feature_names_in_",
    )
    target_: Any  # Classes or Scaling
    encoder_: TableEncoder
    history_: History

    def __init__(
        self,
        *,
        likelihood: str | Likelihood = "auto",
        hidden: Sequence[int | Layer] | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        dropout: float | None = None,
        validation_fraction: float | None = None,
        categorical_features: Sequence[str] | Sequence[int] | Sequence[bool] | None = None,
        time_limit: float | None = None,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool | int = 0,
    ) -> None:
        self.likelihood = likelihood
        self.hidden = hidden
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.validation_fraction = validation_fraction
        self.categorical_features = categorical_features
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    @property
    def best_epoch_(self) -> int:
        """The epoch whose θ was kept, from 1; 0 for the start."""
        return self._recorded("best_epoch_").best_epoch

    @property
    def stopped_by_(self) -> str:
        """Why the training ended: "epochs", "patience", "time", "interrupt", "callback" or "converged"."""
        return self._recorded("stopped_by_").stopped_by

    @property
    def engine_(self) -> str:
        """Which engine trained."""
        return self._recorded("engine_").engine

    @property
    def n_threads_(self) -> int:
        """How many threads it could use."""
        return self._recorded("n_threads_").n_threads

    def _recorded(self, attribute: str) -> History:
        if "history_" not in vars(self):  # hasattr() relies on this error
            raise AttributeError(f"{type(self).__name__} has no {attribute} before fit.")
        return self.history_

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        eval_set: tuple[Any, Any] | None = None,
    ) -> Self:
        """Find out what the columns are, encode them, and train a network on them.

        Parameters
        ----------
        X : pandas, polars or pyarrow table, or array_like, (n_rows, n_columns)
            Numbers, booleans, text, categories, dates; missing values are welcome.
        y : array_like, or a series or table of one column, (n_rows,) or (n_rows, n_outputs)
            The target, nothing missing.
        sample_weight : array_like, (n_rows,), optional
            Weights ≥ 0 with a sum above 0.
        eval_set : tuple (X, y), optional
            Rows that say when to stop; without it a share of the rows is set aside for that.

        Returns
        -------
        self

        Raises
        ------
        InputError
            When a parameter or the data cannot be used; nothing has been computed then.
        DivergenceError
            When the loss stops being finite.
        """
        self._validate_params()
        values, self.target_name_ = read_target(y)
        self._check_table(X, reset=True)
        encoder = TableEncoder(self.categorical_features).fit(X)
        rows = encoder.transform(X)
        if len(rows) != len(values):
            raise InputError(
                f"X has {len(rows)} rows and y has {len(values)}: Found input variables with inconsistent "
                "numbers of samples. Each row needs its target."
            )
        weight = checked_weight(sample_weight, len(rows), rows.dtype)
        likelihood, target = self._learn_target(values, weight)
        self.seed_ = self._draw_seed()
        self.encoder_, self.target_, self.n_rows_ = encoder, target, len(rows)
        self.network_ = Network(encoder.n_inputs, self._layers(), likelihood=likelihood)
        self._train(rows, self._encode(values), weight, eval_set)
        self.n_features_in_ = encoder.n_features_in_
        return self

    def _check_table(self, X: Any, *, reset: bool) -> None:
        """Check the names and the number of columns as scikit-learn does, where it knows the table's kind."""
        if hasattr(X, "iloc") or isinstance(X, np.ndarray):
            try:
                validate_data(self, X, reset=reset, skip_check_array=True)
            except ValueError as error:
                raise InputError(str(error)) from None
        elif reset:
            self.__dict__.pop("feature_names_in_", None)
            names = getattr(X, "columns", None) if hasattr(X, "schema") else None
            names = getattr(X, "column_names", names)
            if names is not None:
                self.feature_names_in_ = np.asarray(names, dtype=object)

    def _draw_seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        from sklearn.utils import check_random_state  # noqa: PLC0415

        return int(check_random_state(self.random_state).randint(2**31))

    @abstractmethod
    def _learn_target(self, y: NDArray[Any], weight: Array | None) -> tuple[Likelihood, Any]:
        """Return the likelihood for y, and what turns y into numbers and back."""

    @abstractmethod
    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return y as the likelihood takes it."""

    def _layers(self) -> list[Layer]:
        """Return the hidden layers, a Dropout after each Dense that was given as a number."""
        rate = DROPOUT if self.dropout is None else float(self.dropout)
        layers: list[Layer] = []
        for spec in HIDDEN if self.hidden is None else self.hidden:
            if isinstance(spec, Dense | Dropout):
                layers.append(spec)
                continue
            layers.append(Dense(spec, ACTIVATION))
            if rate:
                layers.append(Dropout(rate))
        return layers

    def _train(
        self, rows: Array, target: NDArray[Any], weight: Array | None, eval_set: tuple[Any, Any] | None
    ) -> None:
        validation: tuple[Any, ...] | None = None
        if eval_set is not None:
            if not isinstance(eval_set, tuple | list) or len(eval_set) != 2:
                raise InputError("eval_set must be a tuple (X, y).")
            self._check_table(eval_set[0], reset=False)
            validation = (self.encoder_.transform(eval_set[0]), self._encode(read_target(eval_set[1])[0]))
        else:
            kept, held_out = self._split(target)
            if len(held_out):
                validation = (
                    rows[held_out],
                    target[held_out],
                    None if weight is None else weight[held_out],
                )
                if weight is not None and not weight[held_out].sum() > 0:
                    validation = None  # no row of the validation counts, so it cannot say when to stop
                rows, target = rows[kept], target[kept]
                weight = None if weight is None else weight[kept]
        result = self._descend(rows, target, weight, validation)
        self.theta_, self.history_ = result.theta, result.history

    def _split(self, target: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows to learn from and those that say when to stop (none where there are too few)."""
        fraction = VALIDATION_FRACTION if self.validation_fraction is None else self.validation_fraction
        everything = np.arange(len(target))
        if fraction * len(target) < FEWEST_VALIDATION_ROWS:
            return everything, everything[:0]
        by_class = isinstance(self, ClassifierMixin) and target.ndim == 1
        return split_validation(
            len(target), float(fraction), self.seed_, stratify=target if by_class else None
        )

    def _descend(
        self, rows: Array, target: NDArray[Any], weight: Array | None, validation: tuple[Any, ...] | None
    ) -> TrainingResult:
        n_rows = len(rows)
        if self.network_.hidden:
            epochs = self.epochs or epochs_for(n_rows)
            how: dict[str, Any] = {
                "optimizer": AdamW(self.learning_rate or LEARNING_RATE, weight_decay=WEIGHT_DECAY),
                "schedule": OneCycle(),
                "epochs": epochs,
                "patience": max(10, epochs // 3),
                "batch_size": batch_size_for(n_rows),
            }
        else:
            how = {
                "optimizer": LBFGS(max_iterations=self.epochs or LINEAR_ITERATIONS),
                "epochs": self.epochs or LINEAR_ITERATIONS,
                "penalty": Penalty(LINEAR_L2),
            }
        settings = Training(
            **how,
            seed=self.seed_,
            time_limit=self.time_limit,
            engine=self._engine,
            n_threads=self.n_threads,
            verbose=int(self.verbose),
        )
        theta = self.network_.initial_parameters(self.seed_, dtype="float32")
        return train(self.network_, theta, rows, target, weight, validation=validation, settings=settings)

    def _table_logits(self, X: Any) -> Array:
        check_is_fitted(self, "theta_")
        self._check_table(X, reset=False)
        return self._logits(self.encoder_.transform(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = False
        tags.target_tags.multi_output = True
        return tags


class TabularClassifier(ClassifierMixin, TabularEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A network for classes that takes a table as it comes.

    Columns are read, numbers scaled, categories and dates encoded, missing values marked; the likelihood
    follows from the target: Bernoulli (N6) for two classes or several labels, Categorical (N7) for more.

    Parameters
    ----------
    likelihood : {"auto", "bernoulli", "categorical"} or Likelihood, default "auto"
        What is between the logits and the classes.
    hidden : sequence of int, Dense or Dropout, optional
        The hidden layers; a number is a Dense of so many units with dropout behind it. ``()`` is the linear
        model. None: (256, 128).
    epochs : int, optional
        How often the rows are gone through, at most. None: 100, fewer from 10,000 rows on.
    learning_rate : float, optional
        The highest rate of the schedule. None: 0.003.
    dropout : float, optional
        The rate of dropout, from 0 to below 1. None: 0.1.
    validation_fraction : float, optional
        The share of the rows that is set aside to say when to stop; 0 for none. None: 0.15.
    categorical_features : array_like, optional
        Names, indices or a mask of the columns to be taken as categories. None: found from the data.
    time_limit : float, optional
        Seconds of training; then the best parameters so far are kept.
    random_state : int, RandomState or None, default None
        Where the start, the order of rows, dropout and the validation rows come from. None: other ones each
        time; ``seed_`` tells which.
    n_threads : int, optional
        Threads that may compute; None for the cores that the process may use. The result does not depend
        on it.
    verbose : bool or int, default 0
        1 shows the training on stderr.

    Attributes
    ----------
    classes_ : (n_classes,)
        The classes, sorted.
    network_, theta_, encoder_, history_
        The network, its parameters θ, how the table becomes numbers, and what happened in the training.
    best_epoch_, stopped_by_, engine_, n_threads_, seed_, n_rows_, target_name_
        The epoch that was kept, why the training ended, what computed, and from what.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from chainrule import TabularClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = TabularClassifier(epochs=30, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    target_: Classes

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, sorted."""
        if "target_" not in vars(self):  # hasattr() relies on this error
            raise AttributeError("TabularClassifier has no classes_ before fit.")
        return self.target_.labels

    def _learn_target(
        self,
        y: NDArray[Any],
        weight: Array | None,  # noqa: ARG002 (for the regressor)
    ) -> tuple[Likelihood, Any]:
        target = Classes.of(y)
        natural = target.likelihood()
        if isinstance(self.likelihood, str) and self.likelihood in {"auto", natural.name}:
            return natural, target
        if self.likelihood == "categorical" and not target.multilabel:
            return Categorical(len(target.labels)), target
        if isinstance(self.likelihood, Bernoulli | Categorical) and (
            self.likelihood == natural or self.likelihood == Categorical(len(target.labels))
        ):
            return self.likelihood, target
        raise InputError(
            f"likelihood={self.likelihood!r} does not fit a target with the classes "
            f"{target.labels.tolist()[:10]}: that is {natural!r}. Use likelihood='auto'."
        )

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        return self.target_.encode(y)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest class of each row (n_rows,), or the labels (n_rows, n_labels) of 0 and 1."""
        return self.target_.decode(self.predict_proba(X))

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, in the order of ``classes_``: (n_rows, n_classes)."""
        # in float64, so that the probabilities of a row sum to 1 as others check it
        logits = self._table_logits(X).astype(np.float64)
        return self.target_.probabilities(self.network_.likelihood.mean(logits))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of the probabilities, from the logits: exact where these have run to 0."""
        return self.target_.log_probabilities(self.network_.likelihood, self._table_logits(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class TabularRegressor(RegressorMixin, TabularEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A network for numbers that takes a table as it comes.

    Columns are read, numbers scaled, categories and dates encoded, missing values marked. The target is
    standardised for the training, and predictions come in its own units.

    Parameters
    ----------
    likelihood : {"auto", "normal", "poisson"} or Likelihood, default "auto"
        What is between the logits and y. "auto": Poisson (N8) for counts, that is whole numbers ≥ 0 of more
        than two values, at least a quarter of them 0; else Normal (N5).
    hidden, epochs, learning_rate, dropout, validation_fraction, categorical_features, time_limit, \
    random_state, n_threads, verbose
        As in `TabularClassifier`.

    Attributes
    ----------
    network_, theta_, encoder_, history_, best_epoch_, stopped_by_, engine_, n_threads_, seed_, n_rows_, \
    target_name_, n_features_in_, feature_names_in_
        As in `TabularClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from chainrule import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TabularRegressor(epochs=20, random_state=0).fit(X, y)
    >>> model.predict(X).shape
    (442,)
    """

    target_: Scaling

    def _learn_target(self, y: NDArray[Any], weight: Array | None) -> tuple[Likelihood, Any]:
        likelihood = self._likelihood_for(y)
        return likelihood, Scaling.of(y, likelihood, weight)

    def _likelihood_for(self, y: NDArray[Any]) -> Likelihood:
        natural = likelihood_of_numbers(y)
        n_outputs = natural.n_columns
        if self.likelihood == "auto":
            return natural
        if isinstance(self.likelihood, str) and self.likelihood in {"normal", "poisson"}:
            return LIKELIHOODS[self.likelihood](n_outputs)  # type: ignore[call-arg]  # both take n_outputs
        if isinstance(self.likelihood, Bernoulli | Categorical | str):
            raise InputError(
                f"likelihood={self.likelihood!r} is for classes: use TabularClassifier, "
                "or 'normal' or 'poisson'."
            )
        if self.likelihood.n_columns != n_outputs:
            raise InputError(f"{self.likelihood!r} does not fit y, which has {n_outputs} columns.")
        return self.likelihood

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        return self.network_.likelihood.prepare(self.target_.to_network(y))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return ŷ = E[y given x] of each row in the units of y: (n_rows,) or (n_rows, n_outputs)."""
        mean = self.network_.likelihood.mean(self._table_logits(X))
        return self.target_.from_network(mean)
