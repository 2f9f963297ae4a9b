"""How good predictions are on rows whose target is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from chainrule.errors import InputError
from chainrule.estimators.targets import read_target


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
    """

    name: str
    value: float
    higher_is_better: bool

    def __str__(self) -> str:
        return number(self.value)

    def change_from(self, other: "Score") -> str:
        """Return in words for a table how this score differs from another model's."""
        difference = self.value - other.value
        if not np.isfinite(difference):
            return "–"
        sign = "+" if difference > 0 else ""
        if self.higher_is_better or other.value == 0:
            return sign + number(difference)
        return f"{sign}{100 * difference / abs(other.value):.1f} %".replace("-", "−")


@dataclass(frozen=True)
class Evaluation:
    """Predictions beside what was true, and the scores that follow.

    Parameters
    ----------
    actual : (n_rows,)
        The target: float64, or class numbers.
    predicted : (n_rows,)
        The prediction, of the same kind.
    probabilities : (n_rows, n_classes) or None
        The probability of each class; None for numbers.
    classes : tuple of str
        The names of the classes, in the order of the columns; empty for numbers.
    scores : tuple of Score
        R², RMSE and MAE for numbers; accuracy, balanced accuracy, log loss and, for two classes, ROC
        AUC; for times that may be censored the concordance and −log likelihood.
    censored : (n_rows,) or None
        Where ``actual`` is a time at which the event had not come yet; None where none can be.
    """

    actual: NDArray[Any]
    predicted: NDArray[Any]
    probabilities: NDArray[np.float64] | None
    classes: tuple[str, ...]
    scores: tuple[Score, ...]
    censored: NDArray[np.bool_] | None = None


def evaluate(model: Any, table: Any, target: Any, offset: Any = None, exposure: Any = None) -> Evaluation:
    """Return how a fitted model does on rows whose target is known.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        A fitted model.
    table : DataFrame or pyarrow Table
        The rows.
    target : array_like, (n_rows,), or a series or table of one column
        What was true; numbers, or the classes. Of censored times two columns.
    offset, exposure : array_like, (n_rows,), or a series or table of one column, optional
        As in the fit.

    Raises
    ------
    InputError
        When a target is missing, is text where a number is predicted, or a class that is new.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.report import evaluate
    >>> x = np.linspace(0, 1, 40).reshape(-1, 1)
    >>> model = cr.TabularRegressor(hidden=(), epochs=5, random_state=0).fit(x, 2 * x[:, 0])
    >>> [score.name for score in evaluate(model, x, 2 * x[:, 0]).scores]
    ['R²', 'RMSE', 'MAE']
    """
    values, _ = read_target(target)
    if hasattr(model, "classes_"):
        actual = class_numbers(values, model.classes_)
        log_probabilities = np.asarray(model.predict_log_proba(table, offset, exposure), dtype=np.float64)
        probabilities = np.exp(log_probabilities)
        return Evaluation(
            actual=actual,
            predicted=probabilities.argmax(axis=1),
            probabilities=probabilities,
            classes=tuple(map(str, model.classes_)),
            scores=classification_scores(actual, probabilities, log_probabilities),
        )
    if values.dtype.kind not in "biuf":
        raise InputError(f"the target holds text, such as {values[0]!r}: this model predicts a number.")
    numbers = values.astype(np.float64)
    predicted = np.asarray(model.predict(table, offset, exposure), dtype=np.float64)
    if numbers.ndim == 2:  # a time, and whether the event came then
        scores = (
            Score("concordance", model.score(table, values, None, offset, exposure), higher_is_better=True),
            Score(
                "−log likelihood", model.nll(table, values, None, offset, exposure), higher_is_better=False
            ),
        )
        return Evaluation(numbers[:, 0], predicted, None, (), scores, numbers[:, 1] == 0)
    return Evaluation(numbers, predicted, None, (), regression_scores(numbers, predicted))


def regression_scores(actual: NDArray[np.float64], predicted: NDArray[np.float64]) -> tuple[Score, ...]:
    """Return R² = 1 − Σe² / Σ(y − ȳ)², RMSE = √(mean e²) and MAE = mean |e|."""
    error = actual - predicted
    spread = float(np.square(actual - actual.mean()).sum())
    r2 = 1 - float(np.square(error).sum()) / spread if spread > 0 else np.nan
    return (
        Score("R²", r2, higher_is_better=True),
        Score("RMSE", float(np.sqrt(np.square(error).mean())), higher_is_better=False),
        Score("MAE", float(np.abs(error).mean()), higher_is_better=False),
    )


def classification_scores(
    actual: NDArray[Any], probabilities: NDArray[np.float64], log_probabilities: NDArray[np.float64]
) -> tuple[Score, ...]:
    """Return accuracy, its mean over the classes, −mean log p of the true class; for two classes ROC AUC."""
    right = probabilities.argmax(axis=1) == actual
    present = np.unique(actual)
    log_loss = -float(log_probabilities[np.arange(len(actual)), actual].mean())
    scores = [
        Score("accuracy", float(right.mean()), higher_is_better=True),
        Score(
            "balanced accuracy",
            float(np.mean([right[actual == label].mean() for label in present])),
            higher_is_better=True,
        ),
        Score("log loss", log_loss, higher_is_better=False),
    ]
    if probabilities.shape[1] == 2:
        auc = float(roc_auc_score(actual, probabilities[:, 1])) if len(present) == 2 else np.nan
        scores.append(Score("ROC AUC", auc, higher_is_better=True))
    return tuple(scores)


def class_numbers(target: NDArray[Any], classes: Sequence[Any]) -> NDArray[np.int64]:
    """Return the place of each target in ``classes``.

    A class may come as text in one file and as a number in another: then its text decides.
    """
    exact = {label: place for place, label in enumerate(np.asarray(classes).tolist())}
    by_text = {str(label): place for label, place in exact.items()}
    labels = np.asarray(target).tolist()
    places = [exact.get(label, by_text.get(str(label), -1)) for label in labels]
    unknown = sorted({str(label) for label, place in zip(labels, places, strict=True) if place < 0})
    if unknown:
        raise InputError(
            f"the target has classes that were not there at the fit: {', '.join(unknown[:10])}. "
            f"The model knows {', '.join(list(by_text)[:20])}."
        )
    return np.array(places, dtype=np.int64)


def number(value: float) -> str:
    """Return a number for a person: about four digits, thousands set apart, "–" where it is not defined."""
    if not np.isfinite(value):
        text = "–" if np.isnan(value) else "∞" if value > 0 else "-∞"
    elif abs(value) >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.4f}" if 0.001 <= abs(value) < 1 else f"{value:.4g}"
    return text.replace("-", "−")
