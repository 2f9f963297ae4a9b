"""What the estimators for tables say beside one number: distributions, intervals, scores."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, r2_score

from chainrule.errors import require_as_many
from chainrule.estimators.calibration import Error, fitted_temperature
from chainrule.estimators.ensemble import EnsembleEstimator
from chainrule.estimators.predictive import (
    KeptAside,
    concordance,
    dispersed,
    has_measured_dispersion,
    is_censored,
    kept_interval,
    mean_nll,
    unit_variance,
)
from chainrule.estimators.targets import read_target
from chainrule.estimators.together import View, average, disagreement
from chainrule.likelihoods import Bernoulli, Categorical
from chainrule.likelihoods.distributions import Mixture
from chainrule.network import checked_weight

if TYPE_CHECKING:
    from chainrule.estimators.members import HeldOut
    from chainrule.estimators.targets import Classes, Scaling
    from chainrule.likelihoods.distributions import Distribution
    from chainrule.training.batches import Data

Array = NDArray[np.floating[Any]]

# φ is at least this share of the error: of a few rows that members agree about little else may be left.
LEAST_SHARE = 0.1
TINY = float(np.finfo(np.float64).tiny)


class Predictive(EnsembleEstimator):
    """What the classifier and the regressor share; they say how logits make a distribution."""

    target_: Any

    # what the estimator has itself
    _table_rows: Callable[..., tuple[Array, Array | None]]
    _table_logits: Callable[..., Array]
    predict: Callable[..., NDArray[Any]]

    def _scales(self) -> NDArray[np.float64]:
        """Return the likelihood's learned numbers (n_scales,), the weighted mean over the members."""
        scales = [member.scales() for member in self.members_]
        return np.average(scales, axis=0, weights=[member.weight for member in self.members_])

    def _moved_logits(self, X: Array, offset: Array | None) -> Array:
        """Return the logits (n_rows, n_logits) of checked rows, and of checked offsets to them."""
        logits = self._logits(X)
        return logits if offset is None else logits + offset

    def predict_distribution(
        self, X: Any, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> "Distribution":
        """Return the distribution of y in each row.

        Parameters
        ----------
        X : pandas, polars or pyarrow table, or array_like, (n_rows, n_columns)
            As in `fit`.
        offset, exposure : array_like, (n_rows,), optional
            As in `fit`.

        Returns
        -------
        Distribution
            With ``mean``, ``variance``, ``quantile(q)``, ``interval(coverage)``, ``cdf(y)``,
            ``sample(n, seed)``, and ``pdf(y)`` and ``logpdf(y)`` or, for counts and classes, ``pmf(y)`` and
            ``logpmf(y)``. Arrays are (n_rows,) or (n_rows, n_outputs), in the units of y. Classes are numbers
            there: their places in ``classes_``, and for several labels 0 and 1.

        Examples
        --------
        >>> import numpy as np, chainrule as cr
        >>> X = np.linspace(-1, 1, 60)[:, None]
        >>> y = np.random.default_rng(0).poisson(np.exp(1 + X[:, 0]))
        >>> model = cr.TabularRegressor(likelihood="poisson", hidden=(), random_state=0).fit(X, y)
        >>> bool(model.predict_distribution([[0.9]]).pmf(0)[0] < 0.02)
        True
        """
        return self._predicted(*self._table_rows(X, offset, exposure))

    @abstractmethod
    def _predicted(self, X: Array, offset: Array | None) -> "Distribution":
        """Return the distribution of y in rows as the network takes them."""

    def nll(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> float:
        """Return the mean of −log p(y) over rows: what proper scoring compares models by, less is better.

        Nothing is left out of it: a density is that of y in its units. Outputs are added up, entries of y
        that are missing count for nothing, and of a censored time it is −log P(T > time).

        Parameters
        ----------
        X, y, offset, exposure
            As in `fit`; rows that the fit has not seen.
        sample_weight : array_like, (n_rows,), optional
            Weights ≥ 0 of the mean.
        """
        distribution = self.predict_distribution(X, offset, exposure)
        return mean_nll(self.network_.likelihood, distribution, self._numbers(y), sample_weight)

    def _numbers(self, y: Any) -> NDArray[np.float64]:
        """Return y as (n_rows, n_columns) numbers: class numbers, or the target in its units."""
        values, _ = read_target(y, may_miss=True)
        numbers: NDArray[np.float64] = self.network_.likelihood.prepare(self.target_.numbers(values))
        return numbers.astype(np.float64)


class PredictiveClasses(Predictive):
    """The classifier's: probabilities at the temperature at which they come true."""

    target_: "Classes"
    temperature_: float

    def _moved_logits(self, X: Array, offset: Array | None) -> Array:
        return super()._moved_logits(X, offset) / self.temperature_

    def _probabilities(self, X: Array, offset: Array | None) -> Array:
        """Return the likelihood's mean: probabilities by the mean of the members' logits."""
        return self.network_.likelihood.mean(self._moved_logits(X, offset), self._scales())

    def _predicted(self, X: Array, offset: Array | None) -> "Distribution":
        return self.network_.likelihood.distribution(self._moved_logits(X, offset), self._scales())

    def _check_restored(self) -> None:
        super()._check_restored()
        self._require_restored("temperature_", float, lambda it: 0 < it < math.inf)

    def _calibrate(self, held_out: "HeldOut | None", data: "Data") -> None:  # noqa: ARG002 (for the regressor)
        """Find the temperature on the rows that members held out; an order of classes has none."""
        self.temperature_ = 1.0
        likelihood = self.network_.likelihood
        if held_out is None or not isinstance(likelihood, Bernoulli | Categorical):
            return
        # smoothing is a means of training; what is asked for here is what comes true
        likelihood = replace(likelihood, label_smoothing=0.0)
        target = likelihood.prepare(held_out.data.y)
        self.temperature_ = fitted_temperature(likelihood, held_out.logits, target, held_out.data.weight)

    def score(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> float:
        """Return the accuracy, of several labels the share of rows in which all are right.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            As in `fit`.
        """
        predicted, (values, _) = self.predict(X, offset, exposure), read_target(y)
        require_as_many(len(predicted), values)
        return float(accuracy_score(values, predicted, sample_weight=sample_weight))


class PredictiveNumbers(Predictive):
    """The regressor's: intervals with a stated coverage."""

    target_: "Scaling"
    dispersion_: NDArray[np.float64] | None
    kept_aside_: KeptAside | None

    def _check_restored(self) -> None:
        super()._check_restored()
        likelihood = self.network_.likelihood
        self._require_restored("kept_aside_", KeptAside | None, lambda it: it is None or it.suits(likelihood))
        self._require_restored("dispersion_", np.ndarray | None, lambda it: it is None or (it > 0).all())

    def _calibrate(self, held_out: "HeldOut | None", data: "Data") -> None:
        """Keep what the rows that members held out (else those that were learned) say about the errors."""
        likelihood = self.network_.likelihood
        rows = data if held_out is None else held_out.data
        views = self._views(rows.X, rows.offset) if held_out is None else held_out.views
        z = rows.y.astype(np.float64)
        mean = average(views, len(z), self._view_mean)
        apart = disagreement(views, len(z), self._view_mean)
        weights = np.array([member.weight for member in self.members_])
        n_members = float(weights.sum() ** 2 / np.square(weights).sum())

        def error(unit: Array) -> Error:
            """Return the parts of the error, where the variance of a row is so many units."""
            return Error.measured(
                (z - mean) / np.sqrt(unit), apart.variance / unit, apart.n_effective, rows.weight
            )

        self.dispersion_ = self.kept_aside_ = None
        if has_measured_dispersion(likelihood):
            parts = error(unit_variance(likelihood, mean))
            # the variance of the mixture is φ and that of its means: together the error of all members
            whole = parts.of(n_members)
            rest = whole - parts.own * (1 - 1 / n_members)
            self.dispersion_ = np.maximum(rest, LEAST_SHARE * whole + TINY)
        if held_out is None:
            return
        if likelihood.link == "identity":  # each row's error as if all members had predicted it
            parts = error(np.ones_like(mean))
            square = (parts.of(n_members) + TINY) / (parts.of(apart.n_effective[:, None]) + TINY)
            z = mean + np.sqrt(square) * (z - mean)
        self.kept_aside_ = KeptAside(held_out.logits, self.target_.columns(z), rows.weight)

    def _view_mean(self, view: View) -> Array:
        """Return a member's mean of z for the rows of a view, (n_seen, n_outputs)."""
        return view.mean(self.network_.likelihood)

    def _mean(self, X: Array, offset: Array | None) -> NDArray[np.float64]:
        """Return the mean of what the members predict for z, (n_rows, n_outputs)."""
        return average(self._views(X, offset), len(X), self._view_mean)

    def _predicted(self, X: Array, offset: Array | None) -> "Distribution":
        views = self._views(X, offset)
        each = [self._of_z(view.logits, view.member.scales()) for view in views]
        mixture = Mixture(each, [view.member.weight for view in views])
        return self.target_.distribution(each[0] if len(each) == 1 else mixture)

    def _of_z(self, logits: Array, scales: NDArray[np.float64]) -> "Distribution":
        """Return the distribution of z, by logits in float64."""
        likelihood = self.network_.likelihood
        if self.dispersion_ is not None:
            return dispersed(likelihood, likelihood.mean(logits, scales), self.dispersion_)
        return likelihood.distribution(logits, scales)

    def predict_interval(
        self,
        X: Any,
        coverage: float = 0.9,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Return an interval for y in each row that holds it with at least the probability ``coverage``.

        The central interval of the distribution at the logits of all members together, stretched or shrunk by
        what it takes on the rows that the fit kept aside (split-conformal prediction), which a few of the
        members have not seen (N26 goes from these to all). Whatever the model is worth, it holds new rows of
        the same kind in a share ``coverage`` of the cases: of all rows, not of each kind of row.
        With "normal" it is as wide everywhere; with "normal_with_variance" or "quantile" its width follows
        the table.

        Parameters
        ----------
        X : pandas, polars or pyarrow table, or array_like, (n_rows, n_columns)
            As in `fit`.
        coverage : float, default 0.9
            c, above 0 and below 1. It takes c / (1 − c) rows kept aside: 9 for 0.9, 19 for 0.95.
        offset, exposure : array_like, (n_rows,), optional
            As in `fit`.

        Returns
        -------
        (n_rows, 2) or (n_rows, n_outputs, 2), float64
            Lower and upper end, in the units of y; each output has its own coverage.

        Raises
        ------
        InputError
            When the fit kept no rows aside, or too few for that coverage, or when times are censored.

        References
        ----------
        Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), Distribution-free predictive inference for
        regression; Romano, Patterson and Candès (2019), Conformalized quantile regression.

        Examples
        --------
        >>> import numpy as np, chainrule as cr
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-1, 1, (2000, 1))
        >>> y = X[:, 0] + rng.normal(0, 0.1, 2000)
        >>> model = cr.TabularRegressor(hidden=(), random_state=0).fit(X[:1000], y[:1000])
        >>> lower, upper = model.predict_interval(X[1000:], coverage=0.8).T
        >>> bool(0.75 < np.mean((lower <= y[1000:]) & (y[1000:] <= upper)) < 0.85)
        True
        """
        logits = self._table_logits(X, offset, exposure)
        return kept_interval(
            self.network_.likelihood,
            lambda rows: self.target_.distribution(self._of_z(rows, self._scales())),
            logits,
            self.kept_aside_,
            coverage,
        )

    def score(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> float:
        """Return R² of the mean, for several outputs their average; for censored times Harrell's C.

        C is the share of pairs, among those of which it is known whose event came first, that the predicted
        times put in the right order. Missing entries of y count for nothing.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            As in `fit`.
        """
        predicted = self.predict(X, offset, exposure)
        target = self._numbers(y)
        require_as_many(len(predicted), target)
        weight = checked_weight(sample_weight, len(target), np.dtype(np.float64))
        if is_censored(self.network_.likelihood):
            return concordance(target[:, 0], target[:, 1], predicted, weight)
        there = np.isfinite(target)
        if there.all():
            return float(r2_score(target, predicted.reshape(target.shape), sample_weight=weight))
        scores = [
            r2_score(column[rows], guess[rows], sample_weight=None if weight is None else weight[rows])
            for column, guess, rows in zip(target.T, predicted.T, there.T, strict=True)
        ]
        return float(np.mean(scores))
