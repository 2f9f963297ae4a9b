"""TabularClassifier and TabularRegressor: from a table as it comes to a network and back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from chainrule.architecture import Layer
from chainrule.estimators.choice import likelihood_of_classes, likelihood_of_numbers
from chainrule.estimators.members import HeldOut
from chainrule.estimators.recipe import RECIPES, Preset, recipe_for
from chainrule.estimators.rows import Moved, read_eval_set, require_as_many
from chainrule.estimators.targets import (
    LOCATIONS,
    Classes,
    Scaling,
    is_censored,
    names_of_two,
    order_of,
    read_target,
)
from chainrule.estimators.uncertainty import Predictive, PredictiveClasses, PredictiveNumbers
from chainrule.likelihoods import LIKELIHOODS, Likelihood
from chainrule.network import Network, checked_weight
from chainrule.tables import TableEncoder
from chainrule.training.batches import Data

Array = NDArray[np.floating[Any]]


NAMES = ("target_name_", "event_name_", "offset_name_", "exposure_name_")  # of columns, None without


class TabularEstimator(Predictive, ABC):
    """What the classifier and the regressor for tables share: everything but the target."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "preset": [StrOptions(set(RECIPES))],
        "likelihood": [StrOptions({"auto", *LIKELIHOODS}), Likelihood],
        "hidden": ["array-like", None],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "n_members": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), None],
        "categorical_features": ["array-like", None],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }
    _saved: ClassVar[tuple[str, ...]] = (
        "target_",
        "encoder_",
        *Predictive._saved,
        "seed_",
        "n_rows_",
        *NAMES,
    )
    _target_kind: ClassVar[type[Any]]
    target_: Any  # of that kind
    encoder_: TableEncoder

    def __init__(
        self,
        *,
        preset: Preset = "default",
        likelihood: str | Likelihood = "auto",
        hidden: Sequence[int | Layer] | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        dropout: float | None = None,
        n_members: int | None = None,
        validation_fraction: float | None = None,
        categorical_features: Sequence[str] | Sequence[int] | Sequence[bool] | None = None,
        time_limit: float | None = None,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool | int = 0,
    ) -> None:
        self.preset = preset
        self.likelihood = likelihood
        self.hidden = hidden
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.n_members = n_members
        self.validation_fraction = validation_fraction
        self.categorical_features = categorical_features
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    @property
    def n_features_in_(self) -> int:
        """How many columns the table had."""
        self._recorded("n_features_in_")
        return self.encoder_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """The names of the table's columns; an AttributeError where it had none, as in scikit-learn."""
        self._recorded("feature_names_in_")
        return self.encoder_.feature_names_in_

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        eval_set: tuple[Any, ...] | None = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> Self:
        """Find out what the columns are, encode them, and train a network on them.

        Parameters
        ----------
        X : pandas, polars or pyarrow table, or array_like, (n_rows, n_columns)
            Numbers, booleans, text, categories, dates; missing values are welcome.
        y : array_like, or a series or table of one column, (n_rows,) or (n_rows, n_outputs)
            The target. Of several outputs entries may be missing (NaN), and count for nothing; else nothing
            may be missing. For "weibull" two columns, a time and whether the event came then (1) or the time
            is censored (0).
        sample_weight : array_like, (n_rows,), optional
            Weights ≥ 0 with a sum above 0. Training leaves rows of weight 0 out; they still count in what
            is found out about the columns, and in ``classes_``.
        eval_set : tuple (X, y), optional
            Rows that say when to stop; without it a share of the rows is set aside for that. Where the fit
            has an offset or an exposure, that of these rows is the third entry.
        offset : array_like, (n_rows,) or (n_rows, n_outputs), optional
            What is added to the logits: to the location in the units of y, or to the log of the mean.
        exposure : array_like, (n_rows,), optional
            How much each row had to count in: times, people, kilometres; above 0. The mean of y is the
            exposure times a rate, and its log is an offset. For likelihoods whose link is the log.

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
        values, name = read_target(y, may_miss=True)
        recipe = recipe_for(self.preset, len(values))
        layers = self._layers(recipe)
        encoder = TableEncoder(self.categorical_features, recipe.n_ramps if layers else 0).fit(X)
        rows = encoder.transform(X)
        require_as_many(rows, values)
        weight = checked_weight(sample_weight, len(rows), rows.dtype)
        moved = Moved.read(offset, exposure)
        likelihood, target = self._learn_target(values, weight, order_of(y), moved)
        network = Network(encoder.n_inputs, layers, likelihood=likelihood)
        data = Data(
            rows, target.encode(values), weight, moved.logits(network, target, len(rows))
        ).that_count()
        chosen = None if eval_set is None else read_eval_set(eval_set, encoder, target, network, moved)
        plan = self._plan(recipe, network, data, chosen, self._draw_seed())
        members = plan.fit()
        self.network_, self.encoder_, self.target_ = network, encoder, target
        self.seed_, self.n_rows_ = plan.settings.seed, len(rows)
        self._keep(members)
        self.offset_name_, self.exposure_name_ = moved.offset_name, moved.exposure_name
        self.target_name_, self.event_name_ = names_of_two(y) if is_censored(likelihood) else (name, None)
        self._calibrate(plan.held_out(members), data)
        return self

    def _draw_seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))

    @abstractmethod
    def _learn_target(
        self, y: NDArray[Any], weight: Array | None, order: list[Any] | None, moved: Moved
    ) -> tuple[Likelihood, Any]:
        """Return the likelihood for y, and what turns y into its numbers and back."""

    @abstractmethod
    def _calibrate(self, held_out: HeldOut | None, data: Data) -> None:
        """Keep what the rows that were not learned from say about the errors."""

    def _table_logits(self, X: Any, offset: Any = None, exposure: Any = None) -> Array:
        """Return the logits (n_rows, n_logits) that predictions are made from.

        They are float64: so do a row's probabilities sum to 1.
        """
        check_is_fitted(self)
        rows = self.encoder_.transform(X)
        moved = Moved.read(offset, exposure).logits(self.network_, self.target_, len(rows))
        return self._moved_logits(rows, moved)

    def _check_restored(self) -> None:
        super()._check_restored()
        likelihood = self.network_.likelihood
        self._require_restored("encoder_", TableEncoder, lambda it: it.n_inputs == self.network_.n_inputs)
        self._require_restored("target_", self._target_kind, lambda it: it.suits(likelihood))
        self._require_restored("n_rows_", int, lambda it: it > 0)
        self._require_restored("seed_", int, lambda it: it >= 0)
        for name in NAMES:
            self._require_restored(name, str | None, lambda _: True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.sparse = False
        tags.target_tags.multi_output = True
        return tags


class TabularClassifier(PredictiveClasses, ClassifierMixin, TabularEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A network for classes that takes a table as it comes.

    Columns are read, numbers scaled, categories and dates encoded, missing values marked; the likelihood
    follows from the target: Bernoulli (N6) for two classes or several labels, Categorical (N7) for more.

    Parameters
    ----------
    preset : {"fast", "default", "best"}, default "default"
        Which recipe stands behind what is None below: 2, 8 or 24 members, from 4,000 rows on 1, 3 or 8. The
        time is about a quarter of the default's for "fast", five times as long for "best".
    likelihood : {"auto", "bernoulli", "categorical", "ordinal"} or Likelihood, default "auto"
        What is between the logits and the classes. "ordinal" (N20) is for classes with an order: numbers, or
        pandas' ordered categorical or polars' Enum.
    hidden : sequence of int, Dense or Dropout, optional
        The hidden layers; a number is a Dense of so many units, with dropout behind it unless a Dropout
        follows. ``()`` is the linear model. None: three layers of 128 units, of 256
        from 4,000 rows on.
    epochs : int, optional
        How often a member goes through its rows, at most. None: 60 by default, 40 from 4,000
        rows on, and fewer from 10,000 on.
    learning_rate : float, optional
        The highest rate of the schedule. None: 0.0045.
    dropout : float, optional
        The rate of dropout, from 0 to below 1. None: 0.15.
    n_members : int, optional
        How many networks are trained, each with other validation rows and another start; predictions come
        from the mean of their logits. None: as the preset has it, 1 for the linear model.
    validation_fraction : float, optional
        The share of the rows that each member sets aside to say when to stop; 0 for none, and none is set
        aside where that would be fewer than 5 rows. None: 0.125.
    categorical_features : array_like, optional
        Names, indices or a mask of the columns to be taken as categories. None: found from the data.
    time_limit : float, optional
        Seconds of training; then the best parameters so far are kept. The members share it; those that had
        no time for an epoch are left out.
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
    temperature_ : float
        What logits are divided by, so that probabilities come true as often as they say; found on the rows
        that were set aside, 1 without any. Set it to 1 for the probabilities of the network itself.
    network_, theta_, encoder_, history_
        The network, the parameters θ of the first member, how the table becomes numbers, and what happened
        in the first member's training.
    n_members_, other_thetas_, other_histories_
        How many members there are, and θ and history of the others, (n_members − 1, n_parameters); the last
        two are there when there are others.
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

    _saved = (*TabularEstimator._saved, "temperature_")
    _target_kind = Classes
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
        order: list[Any] | None,
        moved: Moved,  # noqa: ARG002 (for the regressor)
    ) -> tuple[Likelihood, Any]:
        return likelihood_of_classes(self.likelihood, y, order)

    def _table_logits(self, X: Any, offset: Any = None, exposure: Any = None) -> Array:
        return super()._table_logits(X, offset, exposure) / self.temperature_

    def predict(
        self, X: Any, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Return the likeliest class of each row (n_rows,), or the labels (n_rows, n_labels) of 0 and 1."""
        probabilities = self.predict_proba(X, offset, exposure)
        return self.target_.decode(probabilities)

    def predict_proba(
        self, X: Any, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Array:
        """Return the probability of each class, in the order of ``classes_``: (n_rows, n_classes)."""
        mean = self._mean(X, offset, exposure)
        return self.target_.probabilities(mean)

    def predict_log_proba(
        self, X: Any, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Array:
        """Return the logarithms of the probabilities, from the logits: exact where these have run to 0."""
        logits = self._table_logits(X, offset, exposure)
        return self.target_.log_probabilities(self.network_.likelihood, logits, self._scales())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class TabularRegressor(PredictiveNumbers, RegressorMixin, TabularEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A network for numbers that takes a table as it comes.

    Columns are read, numbers scaled, categories and dates encoded, missing values marked. The target is
    standardised for the training, and predictions come in its own units.

    Parameters
    ----------
    likelihood : str or Likelihood, default "auto"
        What is between the logits and y: "normal", "normal_with_variance", "student_t", "laplace", "huber",
        "quantile", "poisson", "negative_binomial", "gamma", "tweedie" or "weibull". "auto": Poisson (N8) for
        counts, that is whole numbers ≥ 0 of more than two values, at least a quarter of them 0; else Normal
        (N5). A scale that is given is in standard deviations of y where y is standardised.
    preset, hidden, epochs, learning_rate, dropout, n_members, validation_fraction, categorical_features, \
    time_limit, random_state, n_threads, verbose
        As in `TabularClassifier`.

    Attributes
    ----------
    network_, theta_, n_members_, other_thetas_, other_histories_, encoder_, history_, best_epoch_, \
    stopped_by_, engine_, n_threads_, seed_, n_rows_, target_name_, n_features_in_, feature_names_in_
        As in `TabularClassifier`.
    dispersion_, kept_aside_
        σ² of "normal" and φ of "tweedie" by the rows set aside, and what `predict_interval` needs of these.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from chainrule import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TabularRegressor(epochs=20, random_state=0).fit(X, y)
    >>> model.predict(X).shape
    (442,)
    """

    _saved = (*TabularEstimator._saved, "kept_aside_", "dispersion_")
    _target_kind = Scaling
    target_: Scaling

    def _learn_target(
        self,
        y: NDArray[Any],
        weight: Array | None,
        order: list[Any] | None,  # noqa: ARG002 (for the classifier)
        moved: Moved,
    ) -> tuple[Likelihood, Any]:
        counts = slice(None) if weight is None else weight > 0
        likelihood = likelihood_of_numbers(self.likelihood, y[counts])
        likelihood.prepare(y)  # the domain, in the units that the person knows
        part = moved.taken_from(y)[counts] if likelihood.name in LOCATIONS else y[counts]
        return likelihood, Scaling.of(part, likelihood, None if weight is None else weight[counts])

    def predict(
        self, X: Any, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return ŷ = E[y given x] of each row in the units of y: (n_rows,) or (n_rows, n_outputs).

        ``offset`` and ``exposure`` are as in `fit`; without an exposure it is the mean for an exposure of 1.
        """
        mean = self._mean(X, offset, exposure)
        return self.target_.decode(mean)
