"""Results of speed.py as tables in Markdown and as a figure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Results = Mapping[str, Any]
ONE_THREAD, ALL_THREADS = "chainrule, 1 thread", "chainrule"
ABSENT = "–"


@dataclass(frozen=True)
class Goal:
    """What a net must reach: shares of the multiply-add peak, and how many times as fast as each rival."""

    share: float
    cores: str = "all cores"  # whose peak it is a share of
    one_thread: float | None = None  # of the peak of one core
    against: Mapping[str, float] = field(default_factory=dict)


GOALS = {
    "10-100-3": Goal(0.30, "one core", None, {"JAX": 1.8, "PyTorch": 15, "scikit-learn": 15}),
    "16-64-64-1": Goal(0.50, "all cores", None, {"JAX": 2.5, "PyTorch": 16, "scikit-learn": 14}),
    "54-256-256-256-7": Goal(0.80, "all cores", 0.85, {"JAX": 1.7, "PyTorch": 1.9, "scikit-learn": 3.5}),
    "784-1024-1024-10": Goal(0.80, "all cores", 0.85, {"JAX": 1.3, "PyTorch": 1.5, "scikit-learn": 2.2}),
}
MOST_SECONDS_A_ROW = 5e-6
MOST_BESIDE_OTHER_WORK = 1.2  # all threads, in times of one thread


def tables(results: Results) -> str:
    """Return everything as Markdown."""
    parts = (
        about(results),
        "## Training: GFLOP/s\n\n" + training_table(results),
        "## What must be reached\n\nReached / to reach; ✗ where it is not.\n\n" + goal_table(results),
        "## From a cold start of Python\n\n" + start_table(results),
        f"## Prediction with {results['prediction']['net']}\n\n" + prediction_table(results),
        "## Scaling of chainrule\n\n" + scaling_table(results),
        "## Beside other work: a process on each core\n\n" + other_work_table(results),
    )
    return "\n\n".join(parts)


def about(results: Results) -> str:
    """Return on what, with what and when it was measured."""
    machine = results["machine"]
    versions = (f"{name} {number}" for name, number in results["versions"].items())
    lines = [
        f"Measured on {results['date']}: {machine['processor']}, {machine['cores']} cores.",
        f"{machine['system']}; chainrule's instruction set: {machine['instruction set']}.",
        f"Versions: {', '.join(versions)}.",
        f"Medians of {results['repeats']} turns of at least {results['seconds a turn']} s; all take turns.",
    ]
    if results["settings"]:
        lines.append(
            "Set: " + ", ".join(f"{name}={value}" for name, value in results["settings"].items()) + "."
        )
    if results["left out"]:
        lines.append(f"Not installed, so left out: {', '.join(results['left out'])}.")
    if results["short"]:
        lines.append("**A short run: its times mean nothing.**")
    return "\n".join(lines)


def training_table(results: Results) -> str:
    """Return GFLOP/s (and milliseconds an epoch) of each net and library, with the peak."""
    contenders = contenders_of(results)
    header = ["net, rows a batch", *contenders, "peak of one core", "of all cores"]
    rows = []
    for name, net in results["epochs"].items():
        cells = [f"{name}, {net['batch']}"]
        for contender in contenders:
            seconds = net["seconds"][contender]
            cells.append(f"{net['flop'] / seconds['median'] / 1e9:.3g} ({1e3 * seconds['median']:.3g} ms)")
        rows.append([*cells, *(f"{net['peak'][cores]['median'] / 1e9:.3g}" for cores in net["peak"])])
    return markdown(header, rows)


def goal_table(results: Results) -> str:
    """Return what was reached of each goal."""
    rivals = ("JAX", "PyTorch", "scikit-learn")
    header = [
        "net",
        "share of the peak",
        "one thread's share of one core",
        *(f"against {name}" for name in rivals),
    ]
    rows = []
    for name, goal in GOALS.items():
        net = results["epochs"][name]
        seconds = {contender: times["median"] for contender, times in net["seconds"].items()}
        share = net["flop"] / seconds[ALL_THREADS] / net["peak"][goal.cores]["median"]
        one_thread = net["flop"] / seconds[ONE_THREAD] / net["peak"]["one core"]["median"]
        cells = [name, f"{reached(share, goal.share, percent)} of {goal.cores}"]
        cells.append(
            reached(one_thread, goal.one_thread, percent) if goal.one_thread else percent(one_thread)
        )
        for rival in rivals:
            ratio = seconds[rival] / seconds[ALL_THREADS] if rival in seconds else None
            cells.append(ABSENT if ratio is None else reached(ratio, goal.against[rival], times))
        rows.append(cells)
    return markdown(header, rows)


def start_table(results: Results) -> str:
    """Return the seconds of imports and of a first fit."""
    rows = [
        [f"150 rows fitted by {name}", interval(time, 1.0)] for name, time in results["first result"].items()
    ]
    rows += [[f"import: {name}", interval(time, 1.0)] for name, time in results["imports"].items()]
    first = {name: time["median"] for name, time in results["first result"].items()}
    ratio = first["scikit-learn"] / first["chainrule"]
    rows.append(["150 rows: scikit-learn's time in times of chainrule's", reached(ratio, 1.0, times)])
    return markdown(["process", "s (quartiles)"], rows)


def prediction_table(results: Results) -> str:
    """Return the microseconds of a row and the milliseconds of many."""
    one, many = results["prediction"]["one row"], results["prediction"]["many rows"]
    names = list(dict.fromkeys((*one, *many)))
    rows = [
        [name, interval(one[name], 1e6), interval(many[name], 1e3) if name in many else ABSENT]
        for name in names
    ]
    quickest = 1e6 * one["chainrule, predictor"]["median"]
    wanted = 1e6 * MOST_SECONDS_A_ROW
    verdict = f"A row: {quickest:.3g} µs / at most {wanted:g} µs{'' if quickest < wanted else ' ✗'}"
    header = ["library", "1 row: µs (quartiles)", f"{results['prediction']['rows']:,} rows: ms (quartiles)"]
    return f"{markdown(header, rows)}\n\n{verdict}"


def scaling_table(results: Results) -> str:
    """Return GFLOP/s by what was varied."""
    scaling = results["scaling"]
    rows = [
        [what, ", ".join(f"{n}: {v['flop'] / v['seconds']['median'] / 1e9:.3g}" for n, v in variants.items())]
        for what, variants in scaling["varied"].items()
    ]
    base = f"{scaling['net']}, {scaling['batch']} rows a batch, {scaling['rows']:,} rows"
    return f"From {base}, one thing varied at a time.\n\n" + markdown(["varied", "value: GFLOP/s"], rows)


def other_work_table(results: Results) -> str:
    """Return the times of an epoch, in times of what one thread takes, while other processes compute."""
    rows = []
    for name, ways in results["other work"].items():
        for way, time in ways.items():
            ratio = time["median"] / ways[ONE_THREAD]["median"]
            limit = f" / at most {MOST_BESIDE_OTHER_WORK}" if way != ONE_THREAD else ""
            missed = " ✗" if ratio > MOST_BESIDE_OTHER_WORK else ""
            rows.append([name, way, interval(time, 1e3), f"{ratio:.2f}×{limit}{missed}"])
    return markdown(["net", "threads", "ms an epoch (quartiles)", "in times of one thread"], rows)


def draw(results: Results, path: Path) -> None:
    """Draw GFLOP/s by net and library as bars, with the machine's peak as lines."""
    import matplotlib as mpl  # noqa: PLC0415 (tables are printed without it)
    from matplotlib.figure import Figure  # noqa: PLC0415 (the same)

    # Okabe and Ito's colours, told apart with any kind of colour vision
    colours = ["#0072B2", "#56B4E9", "#E69F00", "#009E73", "#999999"]
    nets, contenders = results["epochs"], contenders_of(results)
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # a number stays legible on a line
    height = 0.8 / len(contenders)
    style: Any = {
        "font.size": 10,
        "svg.hashsalt": "chainrule",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(8.3, 5.4), layout="constrained")
        axes = figure.add_subplot()
        for i, contender in enumerate(contenders):
            rates = [net["flop"] / net["seconds"][contender]["median"] / 1e9 for net in nets.values()]
            places = [n - 0.4 + height * (i + 0.5) for n in range(len(nets))]
            bars = axes.barh(places, rates, 0.92 * height, color=colours[i], label=contender)
            axes.bar_label(bars, fmt="%.3g", padding=3, fontsize=9, color="#333333", bbox=paper)
        for cores, dashes in (("one core", ":"), ("all cores", "--")):
            peaks = [net["peak"][cores]["median"] / 1e9 for net in nets.values()]
            axes.axvline(
                max(peaks), color="#333333", linestyle=dashes, linewidth=1.2, label=f"FMA peak, {cores}"
            )
        axes.set_yticks(
            range(len(nets)), [f"{name}\n{net['batch']} rows a batch" for name, net in nets.items()]
        )
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("GFLOP/s of whole epochs with Adam, float32 (longer is faster)")
        machine = results["machine"]
        axes.set_title(
            f"{machine['processor']}, {machine['cores']} cores, {machine['instruction set']}",
            fontsize=10,
            loc="left",
        )
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        metadata = {"Date": None} if path.suffix == ".svg" else None  # the same results give the same file
        figure.savefig(path, metadata=metadata, facecolor="white", dpi=100)


def contenders_of(results: Results) -> list[str]:
    """Return who trained, in the order of the results."""
    return list(next(iter(results["epochs"].values()))["seconds"])


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def reached(value: float, goal: float, text: Any) -> str:
    """Return "reached / to reach", with a mark where it is too little."""
    return f"{text(value)} / {text(goal)}{'' if value >= goal else ' ✗'}"


def percent(value: float) -> str:
    """Return a share as text."""
    return f"{100 * value:.0f}%"


def times(value: float) -> str:
    """Return a ratio as text."""
    return f"{value:.3g}×"


def interval(time: Mapping[str, float], unit: float) -> str:
    """Return the median and the quartiles of seconds in a unit of which a second has so many."""
    return f"{unit * time['median']:.3g} ({unit * time['lower']:.3g} to {unit * time['upper']:.3g})"
