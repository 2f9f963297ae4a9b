"""What the Tabular estimators share: everything but the target."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from chainrule.architecture import Layer
from chainrule.errors import require_as_many
from chainrule.estimators.choice import metric_of
from chainrule.estimators.members import HeldOut
from chainrule.estimators.moved import Moved
from chainrule.estimators.predictive import is_censored
from chainrule.estimators.recipe import PORTFOLIOS, Portfolio, Preset
from chainrule.estimators.rows import (
    Split,
    Wanted,
    drawn_rows,
    read_eval_set,
    read_groups,
    rows_in_time,
    weight_of,
    weighted_by_class,
)
from chainrule.estimators.steps import Entry
from chainrule.estimators.targets import (
    names_of_two,
    order_of,
    read_target,
    require_kind,
)
from chainrule.estimators.uncertainty import Predictive
from chainrule.likelihoods import LIKELIHOODS, Likelihood
from chainrule.network import Network, checked_weight
from chainrule.tables import Cells, TableEncoder, signals
from chainrule.training import METRICS, Metric
from chainrule.training.batches import Data, Rows

Array = NDArray[np.floating[Any]]


NAMES = ("target_name_", "event_name_", "offset_name_", "exposure_name_")  # of columns, None without


class TabularEstimator(Predictive, ABC):
    """What the classifier and the regressor for tables share: everything but the target."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "preset": [StrOptions(set(PORTFOLIOS))],
        "likelihood": [StrOptions({"auto", *LIKELIHOODS}), Likelihood],
        "hidden": ["array-like", None],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "n_members": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), None],
        "categorical_features": ["array-like", None],
        "metric": [StrOptions(set(METRICS)), Metric, None],
        "validation": [StrOptions({"random", "last"})],
        "time_limit": [Interval(Real, 0, None, closed="neither"), list, tuple, None],
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
        validation: Literal["random", "last"] = "random",
        metric: str | Metric | None = None,
        categorical_features: Sequence[str] | Sequence[int] | Sequence[bool] | None = None,
        time_limit: float | Sequence[Entry] | None = None,
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
        self.validation = validation
        self.metric = metric
        self.categorical_features = categorical_features
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    @property
    def n_features_in_(self) -> int:
        """How many columns the table had."""
        self._first("n_features_in_")
        return self.encoder_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """The names of the table's columns; an AttributeError where it had none, as in scikit-learn."""
        self._first("feature_names_in_")
        return self.encoder_.feature_names_in_

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        eval_set: tuple[Any, ...] | None = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        groups: Any = None,
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
        groups : array_like, (n_rows,), optional
            Which rows belong together, such as those of a person: numbers, text or dates. The rows of a
            group are all learned from or all set aside, so that what says when to stop is as new to a member
            as the rows of a new group will be.

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
        begin = time.monotonic()
        self._validate_params()
        values, name = read_target(y, may_miss=True)
        require_kind(values, is_classifier(self))
        n_rows, seed = len(values), self._draw_seed()
        weight = checked_weight(sample_weight, n_rows, np.dtype(np.float32))
        moved = Moved.read(offset, exposure)
        portfolio = self._portfolio(n_rows)
        wanted = self._wanted(values, order_of(y), weight, moved, portfolio)
        metric = metric_of(self.metric, wanted.likelihood)
        in_groups = None if groups is None else read_groups(groups, n_rows)
        n_ramps = max(recipe.n_ramps for recipe in portfolio)
        told = signals(wanted.data.y) if any(recipe.codes for recipe in portfolio) else None
        encoder = TableEncoder(self.categorical_features, n_ramps).fit(X, told)
        portfolio = tuple(recipe for recipe in portfolio if not recipe.codes or encoder.is_code.any())
        cells = encoder.read(X)
        require_as_many(cells.n_rows, values)
        drawn = self._drawn(cells, weight, seed, portfolio, begin)
        if drawn is not None:  # the others count as rows of weight 0
            weight = weight_of(drawn, weight, n_rows)
            wanted = self._wanted(values, order_of(y), weight, moved, portfolio)
            wanted = wanted._replace(data=wanted.data.take(drawn))
            in_groups = None if in_groups is None else in_groups[drawn]
        data = wanted.data._replace(X=cells.write(rows=drawn))
        chosen = None if eval_set is None else read_eval_set(eval_set, encoder, wanted, moved)
        split = Split(
            data=weighted_by_class(data, wanted.factors),
            eval_set=None if chosen is None else weighted_by_class(chosen, wanted.factors),
            seed=seed,
            fraction=self._validation_fraction(portfolio),
            stratify=is_classifier(self) and data.y.ndim == 1,
            groups=in_groups,
            in_time=self.validation == "last",
        ).that_count()
        plan = self._plan(portfolio, wanted.likelihood, encoder, split, metric)
        held_out = self._train(plan, begin, None if drawn is None else len(drawn))
        self.encoder_, self.target_ = encoder, wanted.target
        self.seed_, self.n_rows_ = seed, len(data.X)
        self.offset_name_, self.exposure_name_ = moved.offset_name, moved.exposure_name
        two = is_censored(wanted.likelihood)
        self.target_name_, self.event_name_ = names_of_two(y) if two else (name, None)
        self._calibrate(held_out, split.data)
        return self

    def _wanted(
        self,
        y: NDArray[Any],
        order: list[Any] | None,
        weight: Array | None,
        moved: Moved,
        portfolio: Portfolio,
    ) -> Wanted:
        """Return what is to be learned; raise InputError where anything but the table cannot be used."""
        likelihood, target = self._learn_target(y, weight, order, moved)
        # how many inputs there will be is not known yet; whether layers and offset fit does not depend on it
        network = Network(1, self._layers(portfolio[0]), likelihood=likelihood)
        of_all = moved.logits(network, target, len(y))
        data = Data(np.empty((len(y), 0), np.float32), target.encode(y), weight, of_all)
        return Wanted(network, target, data, self._class_factors(y, weight, target))

    def _draw_seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))

    def _drawn(
        self, cells: Cells, weight: Array | None, seed: int, portfolio: Portfolio, begin: float
    ) -> Rows | None:
        """Return the rows that the fit works on, where a time limit leaves no time for all."""
        steps = self._steps(portfolio)
        if steps is not None:
            n_drawn = next((one.n_rows for one in steps if one.n_rows is not None), None)
        elif self._seconds is not None:
            n_drawn = rows_in_time(cells, weight, seed, self._seconds - (time.monotonic() - begin))
        else:
            return None
        return None if n_drawn is None else drawn_rows(n_drawn, cells.n_rows, weight, seed)

    @abstractmethod
    def _learn_target(
        self, y: NDArray[Any], weight: Array | None, order: list[Any] | None, moved: Moved
    ) -> tuple[Likelihood, Any]:
        """Return the likelihood for y, and what turns y into its numbers and back."""

    def _class_factors(
        self,
        y: NDArray[Any],  # noqa: ARG002 (for the classifier)
        weight: Array | None,  # noqa: ARG002 (for the classifier)
        target: Any,  # noqa: ARG002 (for the classifier)
    ) -> NDArray[np.float64] | None:
        """Return what the weights of each class's rows are multiplied by, (n_classes,), or None."""
        return None

    @abstractmethod
    def _calibrate(self, held_out: HeldOut | None, data: Data) -> None:
        """Keep what the rows that were not learned from say about the errors."""

    def _table_rows(self, X: Any, offset: Any = None, exposure: Any = None) -> tuple[Array, Array | None]:
        """Return the rows of a table as the network takes them, and what is added to their logits."""
        check_is_fitted(self)
        rows = self.encoder_.transform(X)
        return rows, Moved.read(offset, exposure).logits(self.network_, self.target_, len(rows))

    def _table_logits(self, X: Any, offset: Any = None, exposure: Any = None) -> Array:
        """Return the logits (n_rows, n_logits) of all members together.

        They are float64: so do a row's probabilities sum to 1.
        """
        return self._moved_logits(*self._table_rows(X, offset, exposure))

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
