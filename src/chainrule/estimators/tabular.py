"""TabularClassifier and TabularRegressor: from a table as it comes to a network and back."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils._param_validation import StrOptions

from chainrule.architecture import Layer
from chainrule.errors import InputError
from chainrule.estimators.choice import factors_of_classes, likelihood_of_classes, likelihood_of_numbers
from chainrule.estimators.moved import Moved
from chainrule.estimators.recipe import Preset
from chainrule.estimators.steps import Entry
from chainrule.estimators.tabular_base import TabularEstimator
from chainrule.estimators.targets import LOCATIONS, Classes, Scaling
from chainrule.estimators.uncertainty import PredictiveClasses, PredictiveNumbers
from chainrule.likelihoods import Likelihood
from chainrule.training import Metric

Array = NDArray[np.floating[Any]]


class TabularClassifier(PredictiveClasses, ClassifierMixin, TabularEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A network for classes that takes a table as it comes.

    Columns are read, numbers scaled, categories and dates encoded, missing values marked; the likelihood
    follows from the target: Bernoulli (N6) for two classes or several labels, Categorical (N7) for more.

    Parameters
    ----------
    preset : {"fast", "default", "best"}, default "default"
        Which recipe stands behind what is None below: 4, 16 or 32 members, from 4,000 rows on 2, 4 or 16.
        Half of them see each number as ramps between quantiles too (N25), where numbers are codes half as
        many more see these (N28), and the rows that were set aside say what each kind is worth. The time is
        about a quarter of the default's for "fast", four times as long for "best" on many rows.
    likelihood : {"auto", "bernoulli", "categorical", "ordinal"} or Likelihood, default "auto"
        What is between the logits and the classes. "ordinal" (N20) is for classes with an order: numbers, or
        pandas' ordered categorical or polars' Enum. Labels are smoothed by 0.05 while training, unless it is
        a Likelihood, which is taken as it is.
    hidden : sequence of int, Dense, Dropout or Scale, optional
        The hidden layers; a number is a Dense of so many units, with dropout behind it unless a Dropout
        follows. ``()`` is the linear model. None: three layers of 128 units, of 256
        from 4,000 rows on.
    epochs : int, optional
        How often a member goes through its rows, at most. None: 60, of "fast" 30; from 4,000 rows on
        36, of "fast" 20, of "best" 40; fewer from 10,000 on.
    learning_rate : float, optional
        The highest rate of the schedule. None: 0.0045.
    dropout : float, optional
        The rate of dropout, from 0 to below 1. None: 0.15.
    n_members : int, optional
        How many networks are trained, each with other validation rows and another start; predictions come
        from their weighted mean (classes: of their logits). None: as the preset has it, 1 for the linear one.
    validation_fraction : float, optional
        The share of the rows that each member sets aside to say when to stop; 0 for none, and none is set
        aside where that would be fewer than 5 rows. None: 0.125.
    validation : {"random", "last"}, default "random"
        Which rows are set aside: other ones for each member, drawn at random, or the last ones of the table
        for all. "last" is for rows that follow each other in time, where those to come are to be predicted;
        they must stand in that order.
    metric : str or Metric, optional
        What the rows that were set aside are asked: it says which epoch is kept, when to stop, and what
        kinds of members are worth. "error", "accuracy", "log_loss" or "auc"; the descent is that of the
        loss in any case. None: the loss.
    class_weight : dict, "balanced" or None, default None
        What the weights of the rows of each class are multiplied by, in training and validation; "balanced"
        gives all classes the same total. The probabilities are then those of rows that are weighted so.
    categorical_features : array_like, optional
        Names, indices or a mask of the columns to be taken as categories. None: found from the data.
    time_limit : float, or the ``steps_done_`` of a fit, optional
        Seconds for the fit; then the best parameters so far are kept. To find out what the columns are, all
        rows are read, whatever that takes; where there is no time to encode them all, some are drawn, and
        the others count as rows of weight 0.
        Members are trained one after the other on each core. One that has no time for all its epochs has a
        schedule over fewer steps, and where one has come to its end those that have not are left out.
        ``steps_done_`` of such a fit, given here, repeats it to the bit.
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
    members_ : tuple of Member
        The networks, each with its parameters θ, the history of its training and its weight.
    network_, theta_, history_, n_members_
        Those of the first member, and how many there are.
    encoder_
        How the table becomes numbers.
    steps_done_ : tuple of int, (done, planned, n_rows) or None
        After how many steps the time limit ended each member, over how many its schedule went where these
        were not all, and how many rows were drawn where there was no time for all. None for one that came to
        its end, 0 for one that was not begun.
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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **TabularEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _saved = (*TabularEstimator._saved, "temperature_")
    _target_kind = Classes
    target_: Classes

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
        validation: Literal["random", "last"] = "random",
        metric: str | Metric | None = None,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        categorical_features: Sequence[str] | Sequence[int] | Sequence[bool] | None = None,
        time_limit: float | Sequence[Entry] | None = None,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool | int = 0,
    ) -> None:
        super().__init__(
            preset=preset,
            likelihood=likelihood,
            hidden=hidden,
            epochs=epochs,
            learning_rate=learning_rate,
            dropout=dropout,
            n_members=n_members,
            validation_fraction=validation_fraction,
            validation=validation,
            metric=metric,
            categorical_features=categorical_features,
            time_limit=time_limit,
            random_state=random_state,
            n_threads=n_threads,
            verbose=verbose,
        )
        self.class_weight = class_weight

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

    def _class_factors(
        self, y: NDArray[Any], weight: Array | None, target: Classes
    ) -> NDArray[np.float64] | None:
        if self.class_weight is None:
            return None
        if target.multilabel:
            raise InputError(
                f"class_weight={self.class_weight!r} is for one class a row, and y has several labels: "
                "leave it None, or weigh the rows by sample_weight."
            )
        return factors_of_classes(self.class_weight, target.labels, y, weight)

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
        mean = self._probabilities(*self._table_rows(X, offset, exposure))
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
    metric : str or Metric, optional
        As in `TabularClassifier`: "rmse", "mae" or "r2".
    preset, hidden, epochs, learning_rate, dropout, n_members, validation_fraction, validation, \
    categorical_features, time_limit, random_state, n_threads, verbose
        As in `TabularClassifier`.

    Attributes
    ----------
    members_, network_, theta_, history_, n_members_, encoder_, steps_done_, best_epoch_, stopped_by_, \
    engine_, n_threads_, seed_, n_rows_, target_name_, n_features_in_, feature_names_in_
        As in `TabularClassifier`.
    dispersion_, kept_aside_
        What the rows set aside say: σ² of "normal" (of y scaled to the variance 1) and φ of "tweedie", and
        what `predict_interval` needs.

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
        mean = self._mean(*self._table_rows(X, offset, exposure))
        return self.target_.decode(mean)
