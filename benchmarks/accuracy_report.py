"""The tables and the figure of ``accuracy.py``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

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


class Goal(NamedTuple):
    """What a preset must reach: ratios of errors, the share of sets won, of log-loss, CPU seconds."""

    realmlp: float
    catboost: float
    lightgbm: float
    won: float
    log_loss: float
    seconds: float


# the share of sets and the log-loss against CatBoost; seconds for 1,000 rows
GOALS = {
    "fast": Goal(1.00, 0.95, 0.90, 0.50, 1.02, 0.4),
    "default": Goal(0.96, 0.91, 0.865, 0.60, 0.96, 1.5),
    "best": Goal(0.94, 0.89, 0.845, 0.67, 0.94, 10.0),
}


def figures_of(rows: Sequence[Row], model: str, quantity: str) -> Figures:
    """Return a model's figures where it has them."""
    return {
        (row["dataset"], row["seed"]): float(row[quantity])
        for row in rows
        if row["model"] == model and row[quantity]
    }


def log_ratios(ours: Figures, theirs: Figures, add: float) -> Figures:
    """Return log (ours / theirs) where both have a figure."""
    both = sorted(ours.keys() & theirs.keys())
    return {key: float(np.log((ours[key] + add) / (theirs[key] + add))) for key in both}


def ratio(ours: Figures, theirs: Figures, add: float) -> tuple[float, int, int]:
    """Return the geometric mean of ours / theirs, how many are below 1, and how many there are."""
    logs = np.array(list(log_ratios(ours, theirs, add).values()))
    return float(np.exp(logs.mean())) if len(logs) else float("nan"), int((logs < 0).sum()), len(logs)


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
    """Return all tables in Markdown: each set's error, the goals, then each model against each other one.

    Peers have a row for seed 0; they stand beside the results of that seed.
    """
    known = {row["dataset"] for row in rows}
    everything = [*rows, *(row for row in peers if row["dataset"] in known)]
    others = list(dict.fromkeys(row["model"] for row in everything if row["model"] not in models))
    present = [model for model in models if any(row["model"] == model for row in rows)]
    parts = [errors(everything, [*present, *others])]
    if "catboost" in others and any(model in GOALS for model in present):
        parts.append(goals(everything, [model for model in present if model in GOALS]))
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


def goals(rows: Sequence[Row], presets: Sequence[str]) -> str:
    """Return what was reached of each preset's goals, ✗ where it is not."""
    columns = []
    for preset in presets:
        goal, ours = GOALS[preset], figures_of(rows, preset, "error")
        ratios = [
            (ratio(ours, figures_of(rows, peer, "error"), SMALL)[0], getattr(goal, peer))
            for peer in ("realmlp", "catboost", "lightgbm")
        ]
        _, won, n = ratio(ours, figures_of(rows, "catboost", "error"), SMALL)
        theirs = figures_of(rows, "catboost", "log_loss")
        log_loss, *_ = ratio(figures_of(rows, preset, "log_loss"), theirs, 0.0)
        seconds = seconds_per_thousand(rows, preset)
        columns.append(
            [
                *(_reached(value, most) for value, most in ratios),
                f"{won} of {n} / {goal.won:.0%}{_mark(won / max(n, 1) >= goal.won)}",
                _reached(log_loss, goal.log_loss),
                _reached(seconds, goal.seconds),
            ]
        )
    names = [
        *(f"error, ratio to {peer}" for peer in ("realmlp", "catboost", "lightgbm")),
        *("sets won against catboost", "log-loss, ratio to catboost", "CPU s per 1,000 rows"),
    ]
    return markdown(["reached / to reach", *presets], zip(names, *columns, strict=True))


def _reached(value: float, most: float) -> str:
    return f"{value:.3f} / {most:g}{_mark(value <= most)}"


def _mark(is_reached: bool) -> str:
    return "" if is_reached else " ✗"


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
    """Draw every model: error against CPU seconds; the presets are joined.

    Errors are ratios to those of "default", or to the first model's where it is not there.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 (where there is something to draw)
    from matplotlib.ticker import ScalarFormatter  # noqa: PLC0415

    known = {row["dataset"] for row in rows}
    everything = [*rows, *(row for row in peers if row["dataset"] in known)]
    models = list(dict.fromkeys(row["model"] for row in everything))
    first = "default" if "default" in models else models[0]
    reference = figures_of(everything, first, "error")
    points = {
        model: (
            seconds_per_thousand(everything, model),
            ratio(figures_of(everything, model, "error"), reference, SMALL)[0],
        )
        for model in models
    }
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    presets = sorted(points[model] for model in models if model in GOALS)
    axes.plot(*np.transpose(presets), "-", color="tab:blue", linewidth=1) if presets else None
    for model, point in points.items():
        ours = model in GOALS
        axes.plot(*point, "o", color="tab:blue" if ours else "0.45")
        axes.annotate(
            f"“{model}”" if ours else model,
            point,
            xytext=(0, -15 if ours else 8),
            textcoords="offset points",
            ha="center",
            color="tab:blue" if ours else "0.25",
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="CPU seconds of a fit for 1,000 rows, median over the tables",
        ylabel=f"error over that of {first}, geometric mean",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
    axes.set_yticks([0.9, 1, 1.1, 1.2, 1.5, 2])
    axes.set_yticks([], minor=True)
    axes.margins(x=0.12, y=0.15)
    axes.grid(alpha=0.3)
    if presets:
        axes.set_title("Presets of chainrule (blue) and the defaults of others", fontsize="medium")
    metadata = {"Date": None} if path.suffix == ".svg" else None  # the same results give the same file
    figure.savefig(path, metadata=metadata, facecolor="white", dpi=100)
