"""Scores of predictions, and how far each may be off because there are only so many rows.

Beside its value a score has the influence of each row: n times its derivative by the weight of the row. Their
mean is 0, and √(Σ influence²)/n is the standard error (the infinitesimal jackknife: Efron, 1982, "The
Jackknife, the Bootstrap and Other Resampling Plans", chapter 6). Two models on the same rows are compared by
the difference of their influences, so that what is hard for both does not count.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from chainrule.estimators.predictive import comparable_pairs

Array = NDArray[np.float64]

LEVEL = 0.95  # of the intervals


@dataclass(frozen=True)
class Score:
    """One number that says how good predictions are.

    Parameters
    ----------
    name : str
        What it is called.
    value : float
        NaN where it is not defined, such as R² of a constant target.
    higher_is_better : bool
        Which direction is good.
    influence : (n_rows,) or None
        n ∂value/∂w_i by the weight of each row; None where it is not known.
    limits : (float, float)
        The least and the largest value that there can be.
    is_share : bool
        Whether it is the share of the rows of which something holds.
    """

    name: str
    value: float
    higher_is_better: bool
    influence: Array | None = field(default=None, compare=False, repr=False)
    limits: tuple[float, float] = (-np.inf, np.inf)
    is_share: bool = False

    def __str__(self) -> str:
        return number(self.value)

    @property
    def standard_error(self) -> float:
        """How far the value is off, for rows drawn from many; NaN where it is not known."""
        if self.influence is None or not np.isfinite(self.value):
            return np.nan
        return float(np.linalg.norm(self.influence)) / len(self.influence)

    def interval(self) -> tuple[float, float] | None:
        """Return the interval that holds the score on all rows there could be, 95 times out of 100.

        It is the value ± 1.96 standard errors, of a share of rows Wilson's (1927); None where that is
        unknown.
        """
        error, z = self.standard_error, _z()
        if not np.isfinite(error):
            return None
        assert self.influence is not None  # else there is no error
        low, high = self.value - z * error, self.value + z * error
        if self.is_share:
            n, p = len(self.influence), self.value
            centre, width = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
            low, high = (centre - width) / (1 + z**2 / n), (centre + width) / (1 + z**2 / n)
        least, most = self.limits
        return float(max(low, least)), float(min(high, most))

    def with_interval(self) -> str:
        """Return the value for a person, with its interval where it is known."""
        ends = self.interval()
        return str(self) if ends is None else f"{self} {_in_brackets(*map(number, ends))}"

    def change_from(self, other: "Score") -> str:
        """Return in words for a table how this score differs from another model's."""
        return self._changed(self.value - other.value, other)

    def change_with_interval(self, other: "Score") -> str:
        """Return the change with its interval, for two models on the same rows."""
        words = self.change_from(other)
        if self.influence is None or other.influence is None or words == "–":
            return words
        width = _z() * float(np.linalg.norm(self.influence - other.influence)) / len(self.influence)
        change = self.value - other.value
        low, high = (self._changed(end, other) for end in (change - width, change + width))
        return f"{words} {_in_brackets(low, high)}"

    def _changed(self, difference: float, other: "Score") -> str:
        if not np.isfinite(difference):
            return "–"
        sign = "+" if difference > 0 else ""
        if self.higher_is_better or other.value == 0:
            return sign + number(difference)
        return f"{sign}{100 * difference / abs(other.value):.1f} %".replace("-", "−")


def _in_brackets(low: str, high: str) -> str:
    """Return an interval that stays on its line."""
    return f"({low} to {high})".replace(" ", "\N{NO-BREAK SPACE}")


def _z() -> float:
    return float(ndtri(0.5 + LEVEL / 2))


def mean_score(name: str, rows: Array, least: float = -np.inf) -> Score:
    """Return the score that is a mean over the rows, the less the better: by its value a row moves it."""
    mean = float(rows.mean())
    influence = rows - mean if np.isfinite(mean) else None
    return Score(name, mean, higher_is_better=False, influence=influence, limits=(least, np.inf))


def share_score(name: str, rows: NDArray[np.bool_]) -> Score:
    """Return the score that is the share of the rows of which something holds, the more the better."""
    share = float(rows.mean())
    return Score(
        name,
        share,
        higher_is_better=True,
        influence=np.asarray(rows - share, dtype=np.float64),
        is_share=True,
    )


def regression_scores(actual: Array, predicted: Array) -> tuple[Score, ...]:
    """Return R² = 1 − Σe² / Σ(y − ȳ)², RMSE = √(mean e²) and MAE = mean |e|."""
    error, distance = actual - predicted, np.square(actual - actual.mean())
    squared, spread, n = np.square(error), float(distance.sum()), len(actual)
    r2, by_row = np.nan, np.full(n, np.nan)
    if spread > 0:
        left = float(squared.sum()) / spread
        r2, by_row = 1 - left, n * (left * distance - squared) / spread
    mse = float(squared.mean())
    rmse = float(np.sqrt(mse))
    by_row_of_rmse = (squared - mse) / (2 * rmse) if rmse > 0 else np.zeros(n)
    return (
        Score("R²", r2, higher_is_better=True, influence=by_row, limits=(-np.inf, 1.0)),
        Score("RMSE", rmse, higher_is_better=False, influence=by_row_of_rmse, limits=(0.0, np.inf)),
        mean_score("MAE", np.abs(error), least=0.0),
    )


def classification_scores(
    actual: NDArray[Any], probabilities: Array, log_probabilities: Array
) -> tuple[Score, ...]:
    """Return accuracy, its mean over the classes, −mean log p of the true class; for two classes ROC AUC."""
    right = probabilities.argmax(axis=1) == actual
    log_loss = -log_probabilities[np.arange(len(actual)), actual]
    scores = [
        share_score("accuracy", right),
        _balanced_accuracy(actual, right),
        mean_score("log loss", log_loss, least=0.0),
    ]
    if probabilities.shape[1] == 2:
        scores.append(_auc(actual, probabilities[:, 1]))
    return tuple(scores)


def _balanced_accuracy(actual: NDArray[Any], right: NDArray[np.bool_]) -> Score:
    present, place, counts = np.unique(actual, return_inverse=True, return_counts=True)
    shares = np.bincount(place, weights=right) / counts
    influence = len(actual) / (len(present) * counts[place]) * (right - shares[place])
    return Score(
        "balanced accuracy",
        float(shares.mean()),
        higher_is_better=True,
        influence=influence,
        limits=(0.0, 1.0),
    )


def _auc(actual: NDArray[Any], p: Array) -> Score:
    """Return the area below the ROC curve; its standard error is DeLong, DeLong & Clarke-Pearson's (1988)."""
    positive = actual == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return Score("ROC AUC", np.nan, higher_is_better=True)
    value = float(roc_auc_score(actual, p))
    rank = rankdata(p)
    influence = np.empty(len(p))
    below = (
        rank[positive] - rankdata(p[positive])
    ) / n_negative  # the share of the negatives below each positive
    above = 1 - (rank[~positive] - rankdata(p[~positive])) / n_positive
    influence[positive] = len(p) / n_positive * (below - value)
    influence[~positive] = len(p) / n_negative * (above - value)
    return Score("ROC AUC", value, higher_is_better=True, influence=influence, limits=(0.0, 1.0))


def concordance_score(time: Array, event: Array, predicted: Array, value: float) -> Score:
    """Return Harrell's C, which is ``value``, with the influence of each row on it.

    With r of a row's t comparable pairs in the right order and T pairs in all, ∂C/∂w = (r − C t)/T.
    """
    pairs, right = comparable_pairs(time, event, predicted, np.ones(len(time)))
    influence = len(time) * (right - value * pairs) / (pairs.sum() / 2)
    return Score("concordance", value, higher_is_better=True, influence=influence, limits=(0.0, 1.0))


def number(value: float) -> str:
    """Return a number for a person: about four digits, thousands set apart, "–" where it is not defined."""
    if not np.isfinite(value):
        text = "–" if np.isnan(value) else "∞" if value > 0 else "-∞"
    elif abs(value) >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.4f}" if 0.001 <= abs(value) < 1 else f"{value:.4g}"
    return text.replace("-", "−")
