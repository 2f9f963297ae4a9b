"""What MLPClassifier and MLPRegressor predict: classes, numbers, distributions, intervals, scores."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import InputError
from chainrule.estimators.base import NetworkEstimator
from chainrule.estimators.calibration import mean_of_known
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
from chainrule.estimators.targets import Classes
from chainrule.likelihoods import Bernoulli, Categorical
from chainrule.likelihoods.distributions import ClassDistribution, Distribution
from chainrule.network import checked_weight
from chainrule.training.batches import Data

Array = NDArray[np.floating[Any]]


class Predictive(NetworkEstimator):
    """What both share; the regressor has intervals too."""

    # what the estimator has itself
    _checked_logits: Callable[[ArrayLike, ArrayLike | None, ArrayLike | None], Array]
    _encode: Callable[[NDArray[Any]], NDArray[Any]]
    _mean: Callable[[Array], Array]

    def predict_distribution(
        self, X: ArrayLike, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Distribution:
        """Return the distribution of y in each row.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_rows, n_features)
            As in `fit`.
        offset, exposure : array_like, (n_rows,), optional
            As in `fit`.

        Returns
        -------
        Distribution
            With ``mean``, ``variance``, ``quantile(q)``, ``interval(coverage)``, ``cdf(y)``,
            ``sample(n, seed)``, and ``pdf(y)`` and ``logpdf(y)`` or, for counts and classes, ``pmf(y)`` and
            ``logpmf(y)``. Arrays are (n_rows,) or (n_rows, n_outputs). Classes are numbers there: their
            places in ``classes_``, and for several labels 0 and 1.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule import MLPRegressor
        >>> X = np.linspace(-1, 1, 60)[:, None]
        >>> y = np.random.default_rng(0).poisson(np.exp(1 + X[:, 0]))
        >>> model = MLPRegressor("poisson", hidden_layer_sizes=[], solver="lbfgs").fit(X, y)
        >>> bool(model.predict_distribution([[0.9]]).pmf(0)[0] < 0.02)
        True
        """
        return self._distribution(self._checked_logits(X, offset, exposure).astype(np.float64))

    def _distribution(self, logits: Array) -> Distribution:
        """Return the distribution of y by logits in float64."""
        return self.network_.likelihood.distribution(logits, self.network_.scales(self.theta_))

    def nll(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> float:
        """Return the mean of −log p(y) over rows: what proper scoring compares models by, less is better.

        Nothing is left out of it, and outputs are added up. Of a censored time it is −log P(T > time).

        Parameters
        ----------
        X, y, offset, exposure
            As in `fit`; rows that the fit has not seen.
        sample_weight : array_like, (n_rows,), optional
            Weights ≥ 0 of the mean.
        """
        distribution = self.predict_distribution(X, offset=offset, exposure=exposure)
        likelihood = self.network_.likelihood
        target = likelihood.prepare(self._encode(np.asarray(y))).astype(np.float64)
        return mean_nll(likelihood, distribution, target, sample_weight)


class PredictiveClasses(Predictive):
    """The classifier's."""

    target_: Classes

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, sorted."""
        if "target_" not in vars(self):  # hasattr() relies on this error
            raise AttributeError("MLPClassifier has no classes_ before fit.")
        return self.target_.labels

    def _distribution(self, logits: Array) -> Distribution:
        if len(self.target_.labels) == 1 and not self.target_.multilabel:
            return ClassDistribution(np.ones((len(logits), 1)))  # the only class there is
        return super()._distribution(logits)

    def predict(
        self, X: ArrayLike, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Return the likeliest class of each row, or its labels.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_rows, n_features)
            As in `fit`.
        offset, exposure : array_like, (n_rows,), optional
            As in `fit`.

        Returns
        -------
        (n_rows,), or (n_rows, n_labels) of 0 and 1
            In the dtype of ``classes_``.
        """
        probabilities = self.predict_proba(X, offset=offset, exposure=exposure)
        return self.target_.decode(probabilities)

    def predict_proba(
        self, X: ArrayLike, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_rows, n_features)
            As in `fit`.
        offset, exposure : array_like, (n_rows,), optional
            As in `fit`.

        Returns
        -------
        (n_rows, n_classes) or (n_rows, n_labels)
            In the order of ``classes_``, and in the dtype of ``theta_``.
        """
        logits = self._checked_logits(X, offset, exposure)
        if len(self.classes_) == 1 and not self.target_.multilabel:
            return np.ones_like(logits)  # the only class there is
        return self.target_.probabilities(self._mean(logits))

    def predict_log_proba(
        self, X: ArrayLike, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Array:
        """Return the logarithms of the probabilities, from the logits: exact where these have run to 0.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_rows, n_features)
            As in `fit`.
        offset, exposure : array_like, (n_rows,), optional
            As in `fit`.

        Returns
        -------
        (n_rows, n_classes) or (n_rows, n_labels)
            In the order of ``classes_``.
        """
        likelihood = self.network_.likelihood if "network_" in vars(self) else None
        if not isinstance(likelihood, Bernoulli | Categorical) or len(self.classes_) == 1:
            with np.errstate(divide="ignore"):  # log 0 = −inf
                return np.log(self.predict_proba(X, offset=offset, exposure=exposure))
        return self.target_.log_probabilities(likelihood, self._checked_logits(X, offset, exposure))

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> float:
        """Return the accuracy, of several labels the share of rows in which all are right.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            As in `fit`.
        """
        from sklearn.metrics import accuracy_score  # noqa: PLC0415 (not light, and many a model is not scored)

        predicted = self.predict(X, offset=offset, exposure=exposure)
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))


class PredictiveNumbers(Predictive):
    """The regressor's."""

    dispersion_: NDArray[np.float64] | None
    kept_aside_: KeptAside | None

    def _fitted(self, data: Data | None, held_out: Data | None) -> None:
        """Keep what the rows that were held out, else those that were learned from, say about the errors."""
        likelihood = self.network_.likelihood
        self.dispersion_ = self.kept_aside_ = None
        measured = has_measured_dispersion(likelihood)
        rows = data if held_out is None else held_out
        if rows is None or (held_out is None and not measured):
            return
        logits = self._logits(rows.X).astype(np.float64)
        logits += 0 if rows.offset is None else rows.offset
        y = rows.y.astype(np.float64)
        if measured:
            mean = likelihood.mean(logits)
            square = mean_of_known(np.square(y - mean) / unit_variance(likelihood, mean), rows.weight)
            self.dispersion_ = np.maximum(square, np.finfo(np.float64).tiny)
        if held_out is not None:
            self.kept_aside_ = KeptAside(logits, y, rows.weight)

    def _distribution(self, logits: Array) -> Distribution:
        if self.dispersion_ is None:
            if has_measured_dispersion(self.network_.likelihood):
                raise InputError(
                    f"partial_fit does not measure the spread that {self.network_.likelihood!r} leaves open: "
                    "call fit, or learn it too, as loss=Normal(scale='learned') does."
                )
            return super()._distribution(logits)
        likelihood = self.network_.likelihood
        return dispersed(likelihood, likelihood.mean(logits), self.dispersion_)

    def predict_interval(
        self,
        X: ArrayLike,
        coverage: float = 0.9,
        *,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Return an interval for y in each row that holds it with at least the probability ``coverage``.

        The central interval of the predictive distribution, stretched or shrunk by what it takes on the rows
        that the fit kept aside, by ``early_stopping`` or as ``eval_set`` (split-conformal prediction).

        Parameters
        ----------
        X : array_like or sparse matrix, (n_rows, n_features)
            As in `fit`.
        coverage : float, default 0.9
            c, above 0 and below 1. It takes c / (1 − c) rows kept aside: 9 for 0.9, 19 for 0.95.
        offset, exposure : array_like, (n_rows,), optional
            As in `fit`.

        Returns
        -------
        (n_rows, 2) or (n_rows, n_outputs, 2), float64
            Lower and upper end; each output has its own coverage.

        Raises
        ------
        InputError
            When the fit kept no rows aside, or too few for that coverage, or when times are censored.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule import MLPRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-1, 1, (3000, 1))
        >>> y = X[:, 0] + rng.normal(0, 0.1, 3000)
        >>> model = MLPRegressor(hidden_layer_sizes=[], solver="lbfgs")
        >>> model = model.fit(X[:1000], y[:1000], eval_set=(X[1000:2000], y[1000:2000]))
        >>> lower, upper = model.predict_interval(X[2000:], coverage=0.8).T
        >>> bool(0.75 < np.mean((lower <= y[2000:]) & (y[2000:] <= upper)) < 0.85)
        True
        """
        logits = self._checked_logits(X, offset, exposure).astype(np.float64)
        return kept_interval(self.network_.likelihood, self._distribution, logits, self.kept_aside_, coverage)

    def predict(
        self, X: ArrayLike, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Array:
        """Return ŷ = E[y given x] of each row; without an exposure for an exposure of 1.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_rows, n_features)
            As in `fit`.
        offset, exposure : array_like, (n_rows,), optional
            As in `fit`.

        Returns
        -------
        (n_rows,), or (n_rows, n_outputs) for several outputs
            In the dtype of ``theta_``.
        """
        logits = self._checked_logits(X, offset, exposure)
        mean = self._mean(logits)
        return mean[:, 0] if mean.shape[1] == 1 else mean

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> float:
        """Return R² of the mean, for several outputs their average; for censored times Harrell's C.

        C is the share of pairs, among those of which it is known whose event came first, that the predicted
        times put in the right order.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            As in `fit`.
        """
        predicted = self.predict(X, offset=offset, exposure=exposure)
        if not is_censored(self.network_.likelihood):
            from sklearn.metrics import r2_score  # noqa: PLC0415 (as above)

            return float(r2_score(y, predicted, sample_weight=sample_weight))
        target = self.network_.likelihood.prepare(y, len(predicted)).astype(np.float64)
        weight = checked_weight(sample_weight, len(target), np.dtype(np.float64))
        return concordance(target[:, 0], target[:, 1], predicted.astype(np.float64), weight)

    def _check_restored(self) -> None:
        super()._check_restored()
        likelihood = self.network_.likelihood
        self._require_restored("kept_aside_", KeptAside | None, lambda it: it is None or it.suits(likelihood))
        self._require_restored("dispersion_", np.ndarray | None, lambda it: it is None or (it > 0).all())
