"""What the estimators for tables say beside one number: distributions, intervals, scores."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, r2_score

from chainrule.errors import InputError
from chainrule.estimators.calibration import checked_coverage, fitted_temperature
from chainrule.estimators.ensemble import EnsembleEstimator
from chainrule.estimators.predictive import (
    KeptAside,
    concordance,
    conformal_interval,
    dispersed,
    has_measured_dispersion,
    measured_dispersion,
    row_nll,
)
from chainrule.estimators.targets import is_censored, read_target
from chainrule.likelihoods import Bernoulli, Categorical
from chainrule.network import checked_weight

if TYPE_CHECKING:
    from chainrule.estimators.members import HeldOut
    from chainrule.estimators.targets import Classes, Scaling
    from chainrule.likelihoods.distributions import Distribution
    from chainrule.training.batches import Data

Array = NDArray[np.floating[Any]]


class Predictive(EnsembleEstimator):
    """What the classifier and the regressor share; they say how logits make a distribution."""

    target_: Any

    # what the estimator has itself
    _table_logits: Callable[..., Array]
    predict: Callable[..., NDArray[Any]]

    def _scales(self) -> NDArray[np.float64]:
        """Return the likelihood's learned numbers (n_scales,), the weighted mean over the members."""
        scales = [member.network.scales(member.theta).astype(np.float64) for member in self.members_]
        return np.average(scales, axis=0, weights=[member.weight for member in self.members_])

    def _moved_logits(self, X: Array, offset: Array | None) -> Array:
        """Return the logits (n_rows, n_logits) of checked rows, and of checked offsets to them."""
        logits = self._logits(X)
        return logits if offset is None else logits + offset

    def _mean(self, X: Any, offset: Any = None, exposure: Any = None) -> Array:
        logits = self._table_logits(X, offset, exposure)
        return self.network_.likelihood.mean(logits, self._scales())

    def _distribution(self, logits: Array) -> "Distribution":
        return self.network_.likelihood.distribution(logits, self._scales())

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
        return self._distribution(self._table_logits(X, offset, exposure))

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
        target = self._numbers(y)
        if len(target) != distribution.shape[0]:
            raise InputError(f"X has {distribution.shape[0]} rows and y has {len(target)}.")
        losses = row_nll(distribution, target, censored=is_censored(self.network_.likelihood))
        weight = checked_weight(sample_weight, len(target), np.dtype(np.float64))
        return float(np.average(losses, weights=weight))

    def _numbers(self, y: Any) -> NDArray[np.float64]:
        """Return y as (n_rows, n_columns) numbers: class numbers, or the target in its units."""
        values, _ = read_target(y, may_miss=True)
        numbers: NDArray[np.float64] = self.network_.likelihood.prepare(self.target_.numbers(values))
        return numbers.astype(np.float64)


class PredictiveClasses(Predictive):
    """The classifier's: probabilities at the temperature at which they come true."""

    target_: "Classes"
    temperature_: float

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
        return float(accuracy_score(y, self.predict(X, offset, exposure), sample_weight=sample_weight))


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
        rows = data if held_out is None else held_out.data
        logits = self._moved_logits(rows.X, rows.offset) if held_out is None else held_out.logits
        y = self.target_.columns(rows.y)
        self.dispersion_ = None
        if has_measured_dispersion(self.network_.likelihood):
            mean = self._wide_mean(logits)
            self.dispersion_ = measured_dispersion(self.network_.likelihood, mean, y, rows.weight)
        self.kept_aside_ = None if held_out is None else KeptAside(logits, y, rows.weight)

    def _wide_mean(self, logits: Array) -> NDArray[np.float64]:
        mean = self.network_.likelihood.mean(logits.astype(np.float64), self._scales())
        return self.target_.decode(mean).reshape(len(logits), -1)

    def _distribution(self, logits: Array) -> "Distribution":
        if self.dispersion_ is not None:
            return dispersed(self.network_.likelihood, self._wide_mean(logits), self.dispersion_)
        return self.target_.distribution(super()._distribution(logits.astype(np.float64)))

    def predict_interval(
        self,
        X: Any,
        coverage: float = 0.9,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Return an interval for y in each row that holds it with at least the probability ``coverage``.

        The central interval of the predictive distribution, stretched or shrunk by what it takes on the
        rows that the fit kept aside (split-conformal prediction). Whatever the model is worth, it holds new
        rows of the same kind in a share ``coverage`` of the cases: of all rows, not of each kind of row.
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
        likelihood = self.network_.likelihood
        if is_censored(likelihood):
            raise InputError(
                "Nobody knows whether a censored time lies in an interval, so no coverage can be stated: "
                "predict_distribution(X).interval(coverage) is what the model says."
            )
        kept = self.kept_aside_
        checked_coverage(coverage, 0 if kept is None else len(kept.y))
        assert kept is not None  # 0 rows are too few for any coverage
        new, old = self._distribution(logits), self._distribution(kept.logits)
        ends = conformal_interval(new, old, kept.y.reshape(old.shape), kept.weight, coverage)
        return np.maximum(ends, 0.0) if likelihood.link == "log" else ends  # y is never below 0 there

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
