"""How good predictions are on rows whose target is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError
from chainrule.estimators.predictive import concordance, row_nll
from chainrule.estimators.targets import read_target
from chainrule.report.scores import (
    Score,
    classification_scores,
    concordance_score,
    mean_score,
    regression_scores,
)


class KnownRows(NamedTuple):
    """Rows whose target is known, as pyarrow tables.

    Parameters
    ----------
    inputs : pyarrow.Table
        The columns to predict from.
    target : pyarrow.Table
        The target; of censored times a second column says whether the event came.
    given : dict of str to pyarrow.Table
        The offset or the exposure, by that name, where the model has one.
    """

    inputs: Any
    target: Any
    given: dict[str, Any] = {}  # noqa: RUF012 (a NamedTuple: it is never written to)


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
        When a target is missing, outside the domain of the likelihood, text where a number is predicted, or a
        class that is new.

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
    model.network_.likelihood.prepare(numbers)  # the domain
    predicted = np.asarray(model.predict(table, offset, exposure), dtype=np.float64)
    if numbers.ndim == 2:  # a time, and whether the event came then
        time, event = numbers.T
        losses = row_nll(model.predict_distribution(table, offset, exposure), numbers, censored=True)
        scores = (
            concordance_score(time, event, predicted, concordance(time, event, predicted)),
            mean_score("−log likelihood", losses),
        )
        return Evaluation(time, predicted, None, (), scores, event == 0)
    return Evaluation(numbers, predicted, None, (), regression_scores(numbers, predicted))


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
