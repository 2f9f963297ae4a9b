"""The table of ``migration.py``, and its place in the guide."""

import re
from collections.abc import Mapping
from statistics import median
from typing import Any

from speed_report import markdown, times

Results = Mapping[str, Any]
BEGIN, END = "<!-- the table of benchmarks/migration.py -->", "<!-- its end -->"
WAYS = {"same work": "the same work", "same loss": "to the same loss"}


def speeds(results: Results, what: str) -> list[float]:
    """Return how many times as quick chainrule was, configuration by configuration."""
    return [ratio(row[what]) for row in results["configurations"].values()]


def ratio(row: Results) -> float:
    """Return scikit-learn's median time over chainrule's."""
    return float(row["scikit-learn"]["median"] / row["chainrule"]["median"])


def table(results: Results) -> str:
    """Return the measurements in Markdown: each fit, the median over the fits and the least, a cold start."""
    header = [
        "fit",
        *(f"{way}: {who}" for way in WAYS.values() for who in ("scikit-learn", "chainrule", "×")),
    ]
    rows = [
        [name, *(cell for what in WAYS for cell in cells(row[what]))]
        for name, row in results["configurations"].items()
    ]
    start = results["cold start"]
    summaries = [
        f"{WAYS[what][0].upper()}{WAYS[what][1:]}: the median of the {len(rows)} is "
        f"{times(median(speeds(results, what)))}, the least {times(min(speeds(results, what)))}."
        for what in WAYS
    ]
    cold = (
        "A cold start, from a new Python process to a model fitted to 150 rows: "
        f"{seconds(start['scikit-learn']['median'])} with scikit-learn, "
        f"{seconds(start['chainrule']['median'])} with chainrule ({times(ratio(start))})."
    )
    return "\n\n".join([markdown(header, rows), *summaries, cold, about(results["conditions"])])


def cells(row: Results) -> list[str]:
    """Return both times and their ratio."""
    medians = (row[who]["median"] for who in ("scikit-learn", "chainrule"))
    return [*map(seconds, medians), f"{ratio(row):.1f}"]


def seconds(value: float) -> str:
    """Return a time with its unit."""
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def about(conditions: Results) -> str:
    """Return on what and with what it was measured."""
    machine, versions = conditions["machine"], conditions["versions"]
    named = ", ".join(f"{name} {versions[name]}" for name in ("chainrule", "scikit-learn", "numpy", "python"))
    return (
        f"Measured on {conditions['date']}: {machine['processor']}, {machine['cores']} cores "
        f"({machine['instruction set']}); {named}. Times are those of a fit, medians of "
        f"{conditions['repeats']} turns of at least {conditions['seconds a turn']} s."
    )


def replace_table(page: str, new: str) -> str:
    """Return the page with the new table between its marks."""
    marked = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not marked.search(page):
        raise ValueError(f"The page has no place for the table: {BEGIN} … {END}.")
    return marked.sub(lambda _: f"{BEGIN}\n\n{new}\n\n{END}", page)
