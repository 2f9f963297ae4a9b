"""The parts of the page about one fit, each a function from what is known to a Section."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

import chainrule
from chainrule.architecture import Dense
from chainrule.errors import InputError
from chainrule.inspection.text import together
from chainrule.report import figures
from chainrule.report.evaluation import Evaluation, KnownRows
from chainrule.report.looking import health_of_the_network, what_it_rests_on
from chainrule.report.page import Commands, Drawing, Section, Table
from chainrule.report.scores import LEVEL, Score, number, share_score

MOST_CLASSES = 30  # more do not fit into a drawing that can be read
COVERAGES = (0.5, 0.8, 0.9, 0.95)
MOST_OPEN_ROWS = 30  # longer tables are folded
WHY_IT_STOPPED = {
    "epochs": "all epochs were done",
    "patience": "the validation loss no longer improved",
    "time": "the time limit was reached",
    "steps": "the limit of steps was reached",
    "interrupt": "it was interrupted (Ctrl-C)",
    "callback": "a callback ended it",
    "converged": "it converged",
}


@dataclass(frozen=True)
class Fit:
    """A fitted model and what is known about how it came to be.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        The fitted model.
    target : str
        The name of what it predicts.
    data : str
        Where the rows came from, such as the name of a file.
    n_train, n_test : int
        How many rows were there for the fit, and how many were held out.
    split : str
        How the rows were held out, as a sentence.
    evaluation : Evaluation or None
        The network on the held-out rows; None without any.
    linear : Evaluation or None
        The linear model on the same rows.
    held_out : bool
        Whether the scored rows are known to be none of those that the model learned from.
    rows : KnownRows or None
        Rows to look into the model with; None to leave these parts out.
    command : str or None
        The command line that did it.
    next_steps : tuple of (command, meaning)
        What the reader can do now.
    """

    model: Any
    target: str
    data: str
    n_train: int
    n_test: int
    split: str
    evaluation: Evaluation | None = None
    linear: Evaluation | None = None
    held_out: bool = True
    rows: KnownRows | None = None
    command: str | None = None
    next_steps: tuple[tuple[str, str], ...] = ()


def sections_of(fit: Fit) -> list[Section]:
    """Return all parts of the page, in the order in which a reader wants them."""
    parts = [at_a_glance(fit)]
    if fit.evaluation is not None:
        parts += [scores(fit.evaluation, fit.linear, fit.held_out), errors(fit)]
    if fit.rows is not None:
        parts.append(what_it_rests_on(fit.model, fit.rows))
    parts.append(learning(fit))
    if fit.rows is not None:
        parts.append(health_of_the_network(fit.model, fit.rows))
    parts.append(columns(fit))
    if fit.next_steps:
        parts.append(Section("What to do next", blocks=(Commands(fit.next_steps),)))
    return [*parts, repeat(fit)]


def at_a_glance(fit: Fit) -> Section:
    """Say what was predicted, from which data, by which network."""
    classes = [str(label) for label in getattr(fit.model, "classes_", ())]
    task = f"one of {len(classes)} classes: {_listed(classes, 8)}" if classes else "a number"
    rows = (
        ("predicted", f"{fit.target}, {task}"),
        ("data", fit.data),
        ("rows", f"{fit.n_train:,} for the fit, {fit.n_test:,} {'held out' if fit.held_out else 'scored'}"),
        ("columns", f"{n_used_columns(fit.model):,} used, which make {fit.model.network_.n_inputs:,} inputs"),
        ("network", layers_in_words(fit.model)),
        *_members_in_words(fit.model),
        ("likelihood", type(fit.model.network_.likelihood).__name__),
    )
    return Section("At a glance", (fit.split,), (Table(("what", "value"), rows, n_text=2),))


def layers_in_words(model: Any) -> str:
    """Return the widths from the inputs to the logits, and how many parameters that makes."""
    network = model.network_
    hidden = [
        f"{layer.units} {layer.activation}" if isinstance(layer, Dense) else f"dropout {layer.rate:g}"
        for layer in network.hidden
    ]
    path = " → ".join([f"{network.n_inputs} inputs", *hidden, f"{network.n_logits} out"])
    return f"{path}; {network.n_parameters:,} parameters"


def _members_in_words(model: Any) -> list[tuple[str, str]]:
    """Return the line about the members, of a model that has several."""
    if model.n_members_ == 1:
        return []
    predicts = together(hasattr(model, "classes_"))
    return [("members", f"{model.n_members_}, of which that is the first; the model {predicts}")]


def scores(evaluation: Evaluation, linear: Evaluation | None, held_out: bool) -> Section:
    """Set the scores of the network beside those of the linear model."""
    rows = len(evaluation.actual)
    which = f"held-out rows, which {'the' if linear is None else 'neither'} model has "
    which += "not seen" if linear is None else "seen"
    text = [f"On {rows:,} {which if held_out else 'rows'}."]
    if evaluation.classes:
        shares = np.bincount(evaluation.actual) / rows
        common = evaluation.classes[int(shares.argmax())]
        text.append(f"Whoever always answers {common} is right in {100 * shares.max():.1f} % of them.")
    if linear is None:
        table = Table(
            ("score", "network"), tuple((score.name, score.with_interval()) for score in evaluation.scores)
        )
    else:
        pairs = zip(linear.scores, evaluation.scores, strict=True)
        table = Table(
            ("score", "linear model", "network", "change"),
            tuple(
                (new.name, old.with_interval(), new.with_interval(), new.change_with_interval(old))
                for old, new in pairs
            ),
        )
    high = ", ".join(score.name for score in evaluation.scores if score.higher_is_better)
    low = ", ".join(score.name for score in evaluation.scores if not score.higher_is_better)
    text.append(f"Better means: higher for {high}; lower for {low}.")
    interval = (
        f"In brackets: where the score of all rows there could be lies, {100 * LEVEL:.0f} times out of 100, "
        "if these rows are drawn from them at random."
    )
    if linear is not None:
        interval += (
            " The change is of both models on the same rows: where its interval holds 0, they may be equal."
        )
    text.append(interval)
    return Section("Scores", tuple(text), (table,))


def errors(fit: Fit) -> Section:
    """Show where the predictions are right and wrong."""
    evaluation = fit.evaluation
    assert evaluation is not None  # the caller asked
    if evaluation.probabilities is not None:
        return _errors_of_classes(evaluation, evaluation.probabilities)
    known = slice(None) if evaluation.censored is None else ~evaluation.censored
    shown = _errors_of_numbers(evaluation.actual[known], evaluation.predicted[known], fit.target)
    if fit.rows is None or evaluation.censored is not None:
        return shown
    return replace(shown, blocks=(*shown.blocks, *coverage_of_intervals(fit.model, fit.rows, evaluation)))


def coverage_of_intervals(model: Any, rows: KnownRows, evaluation: Evaluation) -> list[Drawing | Table]:
    """Show how many of the targets lie in the model's intervals, beside how many should."""
    lines: list[tuple[str, ...]] = []
    shares: list[tuple[float, float]] = []
    for stated in COVERAGES:
        try:
            low, high = model.predict_interval(rows.inputs, stated, **rows.given).T
        except InputError:  # too few rows were kept aside to state so much
            continue
        inside = share_score("inside", (low <= evaluation.actual) & (evaluation.actual <= high))
        lines.append((f"{100 * stated:.0f} %", _percent(inside), number(float(np.median(high - low)))))
        shares.append((stated, inside.value))
    if not lines:
        return []
    return [
        Drawing(
            "Coverage of the intervals",
            figures.coverage(shares),
            "; ".join(f"of {100 * stated:.0f} % there are {100 * found:.1f} %" for stated, found in shares)
            + ".",
            "How many of the targets lie in their interval, over how many should. Below the dashed line the "
            "intervals are too narrow, above it too wide.",
        ),
        Table(("stated", "found", "width, median"), tuple(lines), title="Intervals"),
    ]


def _percent(share: Score) -> str:
    low, high = share.interval() or (share.value, share.value)
    return f"{100 * share.value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _errors_of_numbers(actual: NDArray[Any], predicted: NDArray[Any], target: str) -> Section:
    if not len(actual):
        return Section("Predictions", ("Every one of these times is censored.",))
    residual = actual - predicted
    shown = min(len(actual), figures.MOST_POINTS)
    some = f"{shown:,} of the rows, drawn at random" if shown < len(actual) else "every row"
    within = np.quantile(np.abs(residual), [0.5, 0.9])
    spread = f"Half of the predictions are at most {number(within[0])} off, nine in ten {number(within[1])}."
    return Section(
        "Predictions",
        (spread,),
        (
            Drawing(
                "Predicted against actual",
                figures.predicted_against_actual(actual, predicted, target),
                f"Scatter plot. Actual values go {figures.described(actual)}; "
                f"predictions {figures.described(predicted)}.",
                f"Each point is a row ({some}). On the dashed line the prediction is right.",
            ),
            Drawing(
                "Residuals",
                figures.residual_histogram(residual, target),
                f"Histogram. Residuals go {figures.described(residual)}. {spread}",
                "How often each error occurs. The end bars hold everything beyond them.",
            ),
        ),
    )


def _errors_of_classes(evaluation: Evaluation, probabilities: NDArray[np.float64]) -> Section:
    n_classes = len(evaluation.classes)
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(counts, (evaluation.actual, evaluation.predicted), 1)
    bins, stated, observed = calibration(evaluation, probabilities)
    blocks: list[Drawing | Table] = [
        Drawing(
            "Reliability",
            figures.reliability(bins, stated, observed),
            "Line of observed shares over stated probabilities: "
            + "; ".join(f"stated {p:.2f}, observed {share:.2f} of {rows} rows" for p, share, rows in bins)
            + ".",
            "On the dashed line, what is said with probability p comes true in a share p of the rows. "
            "Large points stand for many rows.",
        )
    ]
    right = [
        f"{evaluation.classes[k]}: {counts[k, k]:,} of {counts[k].sum():,}"
        for k in range(min(n_classes, MOST_CLASSES))
    ]
    if n_classes <= MOST_CLASSES:
        drawing = Drawing(
            "Confusion matrix",
            figures.confusion_matrix(counts, evaluation.classes),
            f"Matrix of actual and predicted classes. Rightly classified: {'; '.join(right)}.",
            "One line for each actual class; the stronger a square's colour, the more of its rows.",
        )
        blocks.insert(0, drawing)
    if n_classes == 2 and 0 < evaluation.actual.sum() < len(evaluation.actual):
        blocks += _curves_of_two_classes(evaluation, probabilities)
    confusions = _most_frequent_confusions(counts, evaluation.classes)
    if confusions:
        blocks.append(
            Table(
                ("actual", "predicted", "rows", "share of the class"),
                confusions,
                2,
                title="Most frequent confusions",
            )
        )
    return Section("Predictions", blocks=tuple(blocks))


def _curves_of_two_classes(evaluation: Evaluation, probabilities: NDArray[np.float64]) -> list[Drawing]:
    name, actual, p = evaluation.classes[1], evaluation.actual, probabilities[:, 1]
    false, true, _ = roc_curve(actual, p)
    precision, recall, _ = precision_recall_curve(actual, p)
    share = float(actual.mean())
    return [
        Drawing(
            "ROC curve",
            figures.curve_of_shares(false, true, "false positive rate", "true positive rate", (0, 1)),
            f"Curve from (0, 0) to (1, 1); the area below it is {number(roc_auc_score(actual, p))}.",
            f"For each threshold: of the rows that are {name} the share that is found, over the share of the "
            "others that is taken for it. On the dashed line it would be chance.",
        ),
        Drawing(
            "Precision and recall",
            figures.curve_of_shares(recall, precision, "recall", "precision", (share, share)),
            f"Curve; the average precision is {number(average_precision_score(actual, p))}.",
            f"For each threshold: how much of what is called {name} is right, over how much of it is found. "
            "The dashed line is its share of all rows.",
        ),
    ]


def _most_frequent_confusions(
    counts: NDArray[np.int64], classes: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argsort(-wrong, axis=None, kind="stable")[:8]
    pairs = [divmod(int(place), len(classes)) for place in places]
    return tuple(
        (classes[i], classes[k], f"{counts[i, k]:,}", f"{100 * counts[i, k] / counts[i].sum():.1f} %")
        for i, k in pairs
        if wrong[i, k]
    )


def calibration(
    evaluation: Evaluation, probabilities: NDArray[np.float64]
) -> tuple[list[tuple[float, float, int]], str, str]:
    """Return (mean stated probability, observed share, rows) for tenths of probability, and both names.

    For two classes it is about the second one; for more about whichever class was predicted.
    """
    if len(evaluation.classes) == 2:
        name = figures.shortened(evaluation.classes[1], 20)
        stated, came_true = probabilities[:, 1], evaluation.actual == 1
        names = f"stated probability of {name}", f"share of {name}"
    else:
        stated, came_true = probabilities.max(axis=1), evaluation.actual == evaluation.predicted
        names = "stated probability of the predicted class", "share that is right"
    tenth = np.minimum((stated * 10).astype(int), 9)
    bins = [
        (float(stated[tenth == k].mean()), float(came_true[tenth == k].mean()), int(np.sum(tenth == k)))
        for k in range(10)
        if (tenth == k).any()
    ]
    return bins, *names


def learning(fit: Fit) -> Section:
    """Show the loss over the epochs, which epoch was kept and why the training ended."""
    history = fit.model.history_
    curves = history.columns()
    if not history.epochs:
        return Section("Learning", ("The training ended before its first epoch was done.",))
    validation = curves.get("validation_loss")
    kept = history.best_epoch if validation is not None else None
    reason = WHY_IT_STOPPED[history.stopped_by]
    seconds = curves["seconds"][-1]
    text = f"The training ended after {len(history.epochs)} epochs and {seconds:.1f} s, because {reason}."
    caption = "The mean loss of a row, in the units in which the network sees the target. "
    if validation is not None:
        caption += "Validation rows are a part of the rows for the fit on which nothing is learnt."
        text += f" The parameters of epoch {kept} were kept: the validation {history.monitor} was best there."
    curve = Drawing(
        "Learning curves",
        figures.learning_curves(curves["train_loss"], validation, kept),
        f"The training loss goes from {number(curves['train_loss'][0])} to {number(curves['train_loss'][-1])}"
        + (
            f", the validation loss from {number(validation[0])} to {number(validation[-1])}, "
            if kept
            else ""
        )
        + (
            f"with {number(validation[kept - 1])} at epoch {kept}."
            if validation is not None and kept
            else "."
        ),
        caption,
    )
    return Section("Learning", (text,), (curve,))


def columns(fit: Fit) -> Section:
    """List the columns and what was done with each."""
    encoder = fit.model.encoder_
    description, arrays = encoder.describe()
    rows = tuple(
        (column.name, column.kind, treatment(column, settings, scaling))
        for column, settings, scaling in zip(
            encoder.columns, description["columns"], arrays["scaling"].tolist(), strict=True
        )
    )
    folded = len(rows) > MOST_OPEN_ROWS
    title = f"All {len(rows)} columns" if folded else ""
    table = Table(("column", "kind", "what was done with it"), rows, n_text=3, folded=folded, title=title)
    n_dropped = len(rows) - n_used_columns(fit.model)
    dropped = f"; {n_dropped} of them say nothing and were left out" if n_dropped else ""
    text = (
        f"{len(rows)} columns beside {fit.target}{dropped}. "
        "Numbers are shifted, scaled and smoothly clipped to ±3. Categories have an input each. "
        "Where values were missing in the rows for the fit, an input says so."
    )
    return Section("Columns", (text,), (table,))


def treatment(column: Any, settings: Mapping[str, Any], scaling: tuple[float, float]) -> str:
    """Return in words how a column became inputs."""
    if column.kind == "dropped":
        return f"left out: {column.note}"
    if column.kind == "number":
        words = f"(x − {scaling[0]:.6g}) / {scaling[1]:.6g}".replace("− -", "+ ")
    elif column.kind == "datetime":
        cycles = settings["cycles"]
        words = f"trend; {', '.join(cycles)} as sine and cosine" if cycles else "trend"
    else:
        words = _listed([str(category) for category in settings["categories"]], 6)
    return (
        words
        + (f"; {column.note}" if column.note else "")
        + ("; an input says where it is missing" if settings["missing"] else "")
    )


def n_used_columns(model: Any) -> int:
    """Return how many columns the network sees."""
    return sum(column.kind != "dropped" for column in model.encoder_.columns)


def repeat(fit: Fit) -> Section:
    """Give everything that is needed to do the fit again."""
    model = fit.model
    parameters = tuple((name, repr(value)) for name, value in sorted(model.get_params().items()))
    versions = (
        ("chainrule", chainrule.__version__),
        (
            "engine",
            f"{model.engine_}; threads: {model.n_threads_}, on whose number the result does not depend",
        ),
        ("Python", platform.python_version()),
        ("NumPy", np.__version__),
        ("SciPy", scipy.__version__),
        ("scikit-learn", sklearn.__version__),
        ("machine", f"{platform.system()} {platform.machine()}"),
    )
    blocks: list[Table | Commands] = []
    if fit.command is not None:
        blocks.append(Commands(((fit.command, "The command"),)))
    blocks.append(Table(("parameter", "value"), parameters, 2, title=f"{type(model).__name__}"))
    blocks.append(Table(("part", "version"), versions, 2, title="Versions"))
    text = "Same data, parameters, versions and kind of machine: the same bits."
    meaning = "None stands for what the recipe of this version has."
    return Section("To repeat it", (f"{text} {meaning}",), tuple(blocks))


def _listed(names: list[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
