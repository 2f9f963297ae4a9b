"""The tables and the figure of ``accuracy.py``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from speed_report import markdown

Row = Mapping[str, str]
COLUMNS = (
    *("dataset", "model", "seed", "rows", "max_rows", "task", "n_train", "n_test"),
    *("fit_cpu_s", "fit_wall_s", "predict_s", "error", "rmse", "log_loss", "auc"),
)
# Added to every error before a ratio is taken (the protocol's): no set with hardly any errors decides.
SMALL = 0.001
Figures = dict[tuple[str, str], float]  # by data set and seed


def figures_of(rows: Sequence[Row], model: str, quantity: str) -> Figures:
    """Return a model's figures where it has them."""
    return {
        (row["dataset"], row["seed"]): float(row[quantity])
        for row in rows
        if row["model"] == model and row[quantity]
    }


def ratio(ours: Figures, theirs: Figures, add: float) -> tuple[float, int, int]:
    """Return the geometric mean of ours / theirs, how many are below 1, and how many there are."""
    both = sorted(ours.keys() & theirs.keys())
    logs = np.array([np.log((ours[key] + add) / (theirs[key] + add)) for key in both])
    return float(np.exp(logs.mean())) if both else float("nan"), int((logs < 0).sum()), len(both)


def seconds_per_thousand(rows: Sequence[Row], model: str) -> float:
    """Return the median over the sets of the CPU seconds of a fit for 1,000 rows."""
    seconds = [
        1000 * float(row["fit_cpu_s"]) / float(row["n_train"]) for row in rows if row["model"] == model
    ]
    return float(np.median(seconds)) if seconds else float("nan")


def line(row: Mapping[str, object]) -> str:
    """Return a result in a line."""
    return "{dataset:20} {model:20} seed {seed}: error {error}, {fit_cpu_s} s".format(**row)


def tables(rows: Sequence[Row], peers: Sequence[Row], models: Sequence[str]) -> str:
    """Return all tables in Markdown: each set's error, then each model against each other one.

    Peers have a row for seed 0; they stand beside the results of that seed.
    """
    known = {row["dataset"] for row in rows}
    everything = [*rows, *(row for row in peers if row["dataset"] in known)]
    others = list(dict.fromkeys(row["model"] for row in everything if row["model"] not in models))
    present = [model for model in models if any(row["model"] == model for row in rows)]
    parts = [errors(everything, [*present, *others])]
    parts += [
        against(everything, model, [other for other in [*present, *others] if other != model])
        for model in present
    ]
    return "\n\n".join(parts)


def errors(rows: Sequence[Row], models: Sequence[str]) -> str:
    """Return each set's error for each model, the mean over the seeds."""
    by_model = {model: figures_of(rows, model, "error") for model in models}
    body = []
    for dataset in sorted({row["dataset"] for row in rows}):
        cells = []
        for model in models:
            values = [value for (name, _), value in by_model[model].items() if name == dataset]
            cells.append(f"{np.mean(values):.4f}" if values else "")
        body.append([dataset, *cells])
    return markdown(["error", *models], body)


def against(rows: Sequence[Row], model: str, others: Sequence[str]) -> str:
    """Return how a model stands against others: ratios of error and log-loss, sets won, seconds."""
    body = []
    for other in others:
        error, won, n = ratio(figures_of(rows, model, "error"), figures_of(rows, other, "error"), SMALL)
        log_loss, *_ = ratio(figures_of(rows, model, "log_loss"), figures_of(rows, other, "log_loss"), 0.0)
        body.append(
            [other, f"{error:.3f}", f"{won} of {n}", f"{log_loss:.3f}"]
            + [f"{seconds_per_thousand(rows, one):.2f}" for one in (model, other)]
        )
    head = [f"**{model}** against", "error", "won", "log-loss", "its CPU s per 1,000 rows", "theirs"]
    return markdown(head, body)


def draw(rows: Sequence[Row], peers: Sequence[Row], path: Path) -> None:
    """Draw every model: error against CPU seconds, as ratios to the first model's error."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (where there is something to draw)

    known = {row["dataset"] for row in rows}
    everything = [*rows, *(row for row in peers if row["dataset"] in known)]
    models = list(dict.fromkeys(row["model"] for row in everything))
    reference = figures_of(everything, models[0], "error")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for model in models:
        error, *_ = ratio(figures_of(everything, model, "error"), reference, SMALL)
        x = seconds_per_thousand(everything, model)
        axes.plot(x, error, "o")
        axes.annotate(model, (x, error), xytext=(5, 4), textcoords="offset points")
    axes.set(
        xscale="log",
        xlabel="CPU seconds of a fit for 1,000 rows, median over the sets",
        ylabel=f"error over that of {models[0]}, geometric mean",
    )
    axes.grid(alpha=0.3)
    figure.savefig(path)
