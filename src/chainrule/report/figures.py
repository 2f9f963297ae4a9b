"""The drawings of a page: SVG whose colours come from the page, so that they follow light and dark."""

import io
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import dates as mpl_dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from chainrule.report.dependence import Dependence
from chainrule.report.scores import number

# A colour that Matplotlib writes → the CSS variable that the page puts in its place.
INK, MUTED, LINE, FIRST, SECOND = "#010101", "#020202", "#030303", "#040404", "#050505"
CSS_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
}
STYLE: Any = {  # a dict; Matplotlib's own type for it changes with its version
    "font.size": 9,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "svg.hashsalt": "chainrule",  # the same data give the same file
    "text.parse_math": False,  # a "$" in a name is a "$"
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}
MOST_POINTS = 1500
MOST_NAMED = 8  # lines in a legend


def draw(paint: Callable[[Axes], None], width: float = 5.2, height: float = 3.5) -> str:
    """Return what ``paint`` draws on one pair of axes, as an SVG element to stand in a page."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # names in scripts that Matplotlib's own font lacks: the browser has the glyphs
        warnings.filterwarnings("ignore", message=r".*Glyph .* missing from")
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(buffer.getvalue())


def _for_page(svg: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # names of groups that nothing refers to
    mark = f"d{zlib.crc32(svg.encode()):08x}-"  # several drawings stand in one page: each keeps its own names
    svg = svg.replace(' id="', f' id="{mark}').replace('xlink:href="#', f'href="#{mark}')
    svg = svg.replace("url(#", f"url(#{mark}")
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", svg)
    for colour, variable in CSS_COLOURS.items():
        svg = svg.replace(colour, variable)
    return svg


def learning_curves(train: NDArray[Any], validation: NDArray[Any] | None, kept_epoch: int | None) -> str:
    """Draw the loss of each epoch, and a mark at the epoch whose parameters were kept."""

    def paint(axes: Axes) -> None:
        epochs = np.arange(1, len(train) + 1)
        axes.plot(epochs, train, color=FIRST, label="training rows", marker="o" if len(train) == 1 else None)
        curves = [train]
        if validation is not None:
            axes.plot(epochs, validation, color=SECOND, label="validation rows")
            curves.append(validation)
        if kept_epoch is not None:
            axes.axvline(
                kept_epoch, color=INK, linewidth=1, linestyle=(0, (4, 3)), label=f"kept: epoch {kept_epoch}"
            )
        values = np.concatenate(curves)
        values = values[np.isfinite(values)]
        if len(values) and values.min() > 0 and values.max() > 20 * values.min():
            _logarithmic(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel="loss")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)  # above, where no curve runs

    return draw(paint)


def predicted_against_actual(actual: NDArray[Any], predicted: NDArray[Any], name: str) -> str:
    """Draw predictions over what was true; a good model lies along the diagonal."""
    shown = _sample(len(actual))

    def paint(axes: Axes) -> None:
        x, y = actual[shown], predicted[shown]
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(
            x, y, linestyle="none", marker="o", markersize=2.6, markeredgewidth=0, color=FIRST, alpha=0.45
        )
        axes.plot(ends, ends, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlabel=f"{shortened(name, 40)}, actual", ylabel="predicted")

    return draw(paint)


def residual_histogram(residual: NDArray[Any], name: str) -> str:
    """Draw how often each residual e = y − ŷ occurs."""

    def paint(axes: Axes) -> None:
        # the outermost hundredths would squeeze the rest together: they go into the end bars
        low, high = np.quantile(residual, [0.005, 0.995])
        axes.hist(np.clip(residual, low, high), bins=40, color=FIRST, alpha=0.8)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set(xlabel=f"residual of {shortened(name, 30)}: actual − predicted", ylabel="rows")

    return draw(paint)


def confusion_matrix(counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Draw how the rows of each class (one line each) were classified; shades are shares of the line."""
    names = [shortened(label, 18) for label in classes]
    size = len(names)

    def paint(axes: Axes) -> None:
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        for (row, column), share in np.ndenumerate(shares):
            square = mpl.patches.Rectangle(
                (column - 0.5, row - 0.5), 1, 1, facecolor=FIRST, alpha=0.6 * share
            )
            axes.add_patch(square)
            if size <= 12:
                text = f"{counts[row, column]:,}"
                axes.text(column, row, text, ha="center", va="center", fontsize=9 if size <= 6 else 7)
        axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xlabel="predicted", ylabel="actual")
        axes.set_xticks(range(size), names, rotation=0 if max(map(len, names)) * size <= 40 else 90)
        axes.set_yticks(range(size), names)
        axes.grid(visible=False)

    return draw(paint, height=3.5 if size <= 8 else 5.2)


def reliability(bins: Sequence[tuple[float, float, int]], xlabel: str, ylabel: str) -> str:
    """Draw observed shares over stated probabilities, one point (stated, observed, rows) a bin."""
    stated, observed, rows = (np.array(values) for values in zip(*bins, strict=True))

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(stated, observed, color=FIRST)
        axes.scatter(stated, observed, s=12 + 120 * rows / rows.max(), color=FIRST, linewidth=0)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel=xlabel, ylabel=ylabel)

    return draw(paint)


def coverage(shares: Sequence[tuple[float, float]]) -> str:
    """Draw the found share of targets in their intervals over the stated one."""
    stated, found = (np.array(values) for values in zip(*shares, strict=True))

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(stated, found, color=FIRST, marker="o", markersize=4)
        axes.set(
            xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="stated coverage", ylabel="share of targets inside"
        )

    return draw(paint)


def importances(names: Sequence[str], mean: NDArray[Any], spread: NDArray[Any]) -> str:
    """Draw a bar for each column, the first one on top."""

    def paint(axes: Axes) -> None:
        places = np.arange(len(names))[::-1]
        axes.barh(places, mean, xerr=spread, color=FIRST, ecolor=MUTED, height=0.7)
        axes.set_yticks(places, [shortened(name, 24) for name in names])
        axes.set(xlabel="growth of the loss")
        axes.grid(visible=False, axis="y")

    return draw(paint, height=1 + 0.25 * len(names))


def partial_dependence(dependence: Dependence, lines: Sequence[str]) -> str:
    """Draw the mean prediction along a column: lines with a band, or points where it is a category."""
    values, means, spread = dependence.values, dependence.means, dependence.spread

    def paint(axes: Axes) -> None:
        places = values if dependence.is_ordered else np.arange(len(values))
        for k, name in enumerate(lines):
            colour, style = _nth_style(k)
            style = style if dependence.is_ordered else "none"
            axes.plot(
                places, means[:, k], color=colour, linestyle=style, marker="o", markersize=3, label=name
            )
        low, high = spread[:, :, 0]
        if len(lines) == 1 and dependence.is_ordered:
            axes.fill_between(places, low, high, color=FIRST, alpha=0.15, linewidth=0)
        elif len(lines) == 1:
            axes.vlines(places, low, high, color=FIRST, alpha=0.4)
        if not dependence.is_ordered:
            names = [shortened(value, 14) for value in values]
            long = max(map(len, names)) * len(names) > 45
            axes.set_xticks(places, names, rotation=90 if long else 0)
            axes.set_xlim(-0.5, len(values) - 0.5)
        elif isinstance(values[0], int):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        elif not isinstance(values[0], float):
            formatter = mpl_dates.ConciseDateFormatter(axes.xaxis.get_major_locator())  # type: ignore[no-untyped-call]  # Matplotlib's
            axes.xaxis.set_major_formatter(formatter)
        axes.set(
            xlabel=shortened(dependence.column, 40),
            ylabel=shortened(lines[0], 40) if len(lines) == 1 else "probability",
        )
        if len(lines) > 1:
            axes.legend(
                [shortened(name, 26) for name in lines], loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2
            )

    return draw(paint)


def gradient_norms(epochs: NDArray[Any], norms: NDArray[np.float64], names: Sequence[str]) -> str:
    """Draw the size of the gradient of each layer, one column of ``norms`` each, over the epochs."""

    def paint(axes: Axes) -> None:
        for k, name in enumerate(names):
            colour, style = _nth_style(k)
            axes.plot(epochs, norms[:, k], color=colour, linestyle=style, label=name)
        if (norms > 0).any():
            _logarithmic(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel="‖∂loss/∂w‖")
        if len(names) <= MOST_NAMED:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)

    return draw(paint)


def _logarithmic(axes: Axes) -> None:
    """Make the axis of y logarithmic, with numbers as text: Matplotlib's own are formulas."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=9))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _nth_style(k: int) -> tuple[str, Any]:
    """Return a colour and a style of line: eight that can be told apart, also without colours."""
    return (FIRST, SECOND)[k % 2], ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))[k // 2 % 4]


def curve_of_shares(
    x: NDArray[Any], y: NDArray[Any], xlabel: str, ylabel: str, ends: tuple[float, float]
) -> str:
    """Draw a curve of shares, and the dashed line of chance between these ends."""
    few = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).round().astype(int))

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], ends, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(x[few], y[few], color=FIRST)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel=xlabel, ylabel=ylabel)

    return draw(paint)


def _sample(n_rows: int) -> NDArray[np.int64]:
    if n_rows <= MOST_POINTS:
        return np.arange(n_rows)
    return np.random.default_rng(0).choice(n_rows, MOST_POINTS, replace=False)


def shortened(name: str, most: int) -> str:
    """Return a name of at most so many characters; the end of a longer one becomes "…"."""
    return name if len(name) <= most else name[: most - 1] + "…"


def described(values: NDArray[Any]) -> str:
    """Return the least, middle and greatest value in words."""
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return f"from {number(low)} to {number(high)}, half of them below {number(middle)}"
