"""How good predictions are on rows whose target is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from chainrule.errors import InputError


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
        if self.higher_is_better or other.value == 0:
            return f"{difference:+.3f}"
        return f"{100 * difference / abs(other.value):+.1f} %"


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
        AUC.
    """

    actual: NDArray[Any]
    predicted: NDArray[Any]
    probabilities: NDArray[np.float64] | None
    classes: tuple[str, ...]
    scores: tuple[Score, ...]


def evaluate(model: Any, table: Any, target: NDArray[Any]) -> Evaluation:
    """Return how a fitted model does on rows whose target is known.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        A fitted model.
    table : DataFrame or pyarrow Table
        The rows.
    target : (n_rows,)
        What was true; numbers, or the classes.

    Raises
    ------
    InputError
        When a target is missing or not a number, or a class was not there at the fit.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.report import evaluate
    >>> x = np.linspace(0, 1, 40).reshape(-1, 1)
    >>> model = cr.TabularRegressor(hidden=(), epochs=5, random_state=0).fit(x, 2 * x[:, 0])
    >>> [score.name for score in evaluate(model, x, 2 * x[:, 0]).scores]
    ['R²', 'RMSE', 'MAE']
    """
    if hasattr(model, "classes_"):
        actual = class_numbers(target, model.classes_)
        probabilities = np.asarray(model.predict_proba(table), dtype=np.float64)
        predicted = probabilities.argmax(axis=1)
        scores = classification_scores(actual, probabilities)
        return Evaluation(actual, predicted, probabilities, tuple(map(str, model.classes_)), scores)
    actual = _numbers(target)
    predicted = np.asarray(model.predict(table), dtype=np.float64)
    return Evaluation(actual, predicted, None, (), regression_scores(actual, predicted))


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


def classification_scores(actual: NDArray[Any], probabilities: NDArray[np.float64]) -> tuple[Score, ...]:
    """Return accuracy, its mean over the classes, −mean log p of the true class; for two classes ROC AUC."""
    right = probabilities.argmax(axis=1) == actual
    present = np.unique(actual)
    with np.errstate(divide="ignore"):  # a probability of 0 for what was true costs infinitely much
        log_loss = -float(np.log(probabilities[np.arange(len(actual)), actual]).mean())
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
    _require_all_there([label is None or label != label for label in labels])  # noqa: PLR0124 (NaN differs from itself)
    places = [exact.get(label, by_text.get(str(label), -1)) for label in labels]
    unknown = sorted({str(label) for label, place in zip(labels, places, strict=True) if place < 0})
    if unknown:
        raise InputError(
            f"the target has classes that were not there at the fit: {', '.join(unknown[:10])}. "
            f"The model knows {', '.join(list(by_text)[:20])}."
        )
    return np.array(places, dtype=np.int64)


def _numbers(target: NDArray[Any]) -> NDArray[np.float64]:
    try:
        values = np.asarray(target, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("the target must hold numbers: this model predicts a number.") from error
    _require_all_there(~np.isfinite(values))
    return values


def _require_all_there(missing: Any) -> None:
    n_missing = int(np.sum(missing))
    if n_missing:
        raise InputError(
            f"the target is missing in {n_missing} of {len(missing)} rows: leave those rows out; "
            "a score needs to know what was true."
        )


def number(value: float) -> str:
    """Return a number for a person: about four digits, thousands set apart, "–" where it is not defined."""
    if not np.isfinite(value):
        return "–" if np.isnan(value) else str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if 0.001 <= abs(value) < 1 else f"{value:.4g}"
