"""What a fit of a whole table costs: ``python benchmarks/tables.py``.

Three questions to `TabularRegressor` on one made table: which share of a fit's CPU time the encoder takes,
how the time grows with the rows, and how far a time limit is overrun. The tables are printed in Markdown, and
written to ``benchmarks/results/tables.json`` with the machine and the versions.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chainrule import TabularRegressor
from chainrule.tables import TableEncoder, signals
from measuring import ROOT, Effort, conditions

N_ROWS = 100_000
N_COLUMNS = 50
N_ROWS_IN_TIME = 20_000
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
LIMITS = (1.0, 3.0, 10.0)

Result = dict[str, Any]


def made_table(n_rows: int, n_columns: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table and its target: of 50 columns 36 are numbers, 10 text, and 4 booleans, dates and codes.

    A tenth of the numbers have heavy tails, and every other column misses a cell in twenty.
    """
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for k in range(n_columns):
        kind = k % 25
        if kind < 18:
            cells = rng.standard_cauchy(n_rows) if kind < 2 else rng.normal(size=n_rows)
            columns[f"number {k}"] = np.where(rng.random(n_rows) < 0.05 * (k % 2), np.nan, cells)
        elif kind < 23:
            words = np.array([f"word {i}" for i in range(4 ** (kind - 17))], dtype=object)
            columns[f"text {k}"] = rng.choice(words, n_rows)
        elif kind == 23:
            columns[f"flag {k}"] = rng.random(n_rows) < 0.3
        else:
            seconds = rng.integers(0, 3000 * 86_400, n_rows).astype("timedelta64[s]")
            columns[f"day {k}"] = np.datetime64("2015-01-01", "s") + seconds
    table = pd.DataFrame(columns)
    y = table["number 2"].fillna(0) * table["number 4"] + np.tanh(table["number 6"])
    y = y + (table["text 18"] == "word 0") + 0.3 * rng.normal(size=n_rows)
    return table, y.to_numpy()


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of all threads that the work takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def share_of_encoder(preset: str, n_rows: int) -> Result:
    """Return the CPU seconds of a fit, and of its encoder: the median of one turn before it and two after."""
    table, y = made_table(n_rows, N_COLUMNS)
    model = TabularRegressor(preset=preset, random_state=0)  # type: ignore[arg-type]  # a preset's name
    encoder = TableEncoder(n_ramps=max(recipe.n_ramps for recipe in model._portfolio(n_rows)))

    def encode() -> None:  # as a fit does: with the search for codes
        encoder.fit(table, signals(y[:, None])).transform(table)

    turns = [cpu_seconds(encode)]
    fit = cpu_seconds(partial(model.fit, table, y))
    turns += [cpu_seconds(encode), cpu_seconds(encode)]
    median = float(np.median(turns))
    return {"preset": preset, "rows": n_rows, "encoder": median, "fit": fit, "share": median / fit}


def growth(sizes: tuple[int, ...]) -> list[Result]:
    """Return the CPU seconds of the default fit for more and more rows of the same table."""
    table, y = made_table(max(sizes), N_COLUMNS // 2)
    found = []
    for n_rows in sizes:
        part, target = table[:n_rows], y[:n_rows]
        found.append(
            {"rows": n_rows, "cpu": cpu_seconds(partial(TabularRegressor(random_state=0).fit, part, target))}
        )
    return found


def overruns(n_rows: int, limits: tuple[float, ...]) -> list[Result]:
    """Return how long fits with a time limit take, by the clock on the wall."""
    table, y = made_table(n_rows, N_COLUMNS)
    found = []
    for limit in limits:
        model = TabularRegressor(random_state=0, time_limit=limit)
        begin = time.perf_counter()
        model.fit(table, y)
        took = time.perf_counter() - begin
        found.append({"limit": limit, "took": took, "members": model.n_members_, "by": model.stopped_by_})
    return found


def measured(short: bool) -> Result:
    """Return all figures; ``short``: of little work, to see that everything runs."""
    n_rows = 500 if short else N_ROWS
    return {
        "conditions": conditions(Effort(repeats=1)),
        "encoder": [share_of_encoder(preset, n_rows) for preset in ("fast", "default")],
        "growth": growth((100, 300) if short else SIZES),
        "limits": overruns(n_rows if short else N_ROWS_IN_TIME, (0.1,) if short else LIMITS),
    }


def tables(results: Result) -> str:
    """Return the figures as tables in Markdown."""
    lines = ["| preset | rows | encoder, CPU s | fit, CPU s | share |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {one['preset']} | {one['rows']:,} | {one['encoder']:.2f} | {one['fit']:.1f} "
        f"| {one['share']:.1%} |"
        for one in results["encoder"]
    ]
    lines += ["", "| rows | fit, CPU s | CPU s per 1,000 rows |", "| --- | --- | --- |"]
    lines += [
        f"| {one['rows']:,} | {one['cpu']:.2f} | {1000 * one['cpu'] / one['rows']:.2f} |"
        for one in results["growth"]
    ]
    lines += ["", "| time limit, s | took, s | members that count |", "| --- | --- | --- |"]
    lines += [f"| {one['limit']:g} | {one['took']:.2f} | {one['members']} |" for one in results["limits"]]
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for, write it down, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "tables.json")
    parser.add_argument("--short", action="store_true", help="little work; nothing is written")
    parser.add_argument("--table", action="store_true", help="print the tables, measure nothing")
    asked = parser.parse_args()
    if asked.table:
        results = json.loads(asked.results.read_text(encoding="utf-8"))
    else:
        results = measured(asked.short)
        if not asked.short:
            asked.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(tables(results))


if __name__ == "__main__":
    main()
