"""Do intervals hold what they promise, and probabilities come true? Measured on real tables, by the protocol.

Each fit is appended to the results at once, so that a run that was stopped goes on where it ended.
"""

import argparse
import json
import math
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule
from accuracy import ONE_THREAD
from accuracy_runs import protocol_of
from measuring import ROOT, processor

NUMBERS = (
    "abalone",
    "ames_housing",
    "bike_sharing_hour",
    "california_housing",
    "concrete",
    "cpu_act",
    "house_16h",
    "kin8nm",
)
CLASSES = (
    "adult",
    "bank_marketing",
    "german_credit",
    "higgs_7500",
    "letter",
    "magic_telescope",
    "phoneme",
    "satimage",
)
COVERAGES = (0.5, 0.8, 0.9, 0.95)
GUIDE = ROOT / "docs" / "likelihoods" / "index.md"
BEGIN, END = "<!-- the tables of benchmarks/calibration.py -->", "<!-- their end -->"
N_BINS = 15

Result = dict[str, Any]


def main() -> None:
    """Measure what is asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="data and protocol")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "calibration.jsonl")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", nargs="*", default=[*NUMBERS, *CLASSES])
    parser.add_argument("--jobs", type=int, default=1, help="fits at a time, each on one thread")
    parser.add_argument("--table", action="store_true", help="print the tables, measure nothing")
    parser.add_argument("--guide", type=Path, nargs="?", const=GUIDE, help="put the tables into this page")
    asked = parser.parse_args()
    results = read(asked.results)
    if not asked.table:
        done = {(result["dataset"], result["seed"]) for result in results}
        fits = [(dataset, seed) for seed in range(asked.seeds) for dataset in asked.sets]
        asked.results.parent.mkdir(parents=True, exist_ok=True)
        for result in finished([fit for fit in fits if fit not in done], asked.shared, asked.jobs):
            results.append(result)
            with asked.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
    results.sort(key=lambda result: (result["dataset"], result["seed"]))
    tables = table_of_intervals(results) + "\n" + table_of_classes(results)
    print(tables)
    if asked.guide is not None:
        page = asked.guide.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        _, after = rest.split(END)
        asked.guide.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}", encoding="utf-8")


def finished(fits: list[tuple[str, int]], shared: Path, n_processes: int) -> Iterator[Result]:
    """Yield the result of each fit as it is done; BLAS has one thread too."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    with ProcessPoolExecutor(n_processes, get_context("spawn")) as pool:
        futures = [pool.submit(measure, dataset, seed, shared) for dataset, seed in fits]
        for future in as_completed(futures):
            yield future.result()


def read(path: Path) -> list[Result]:
    """Return the results that there are."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def measure(dataset: str, seed: int, shared: Path) -> Result:
    """Fit one model by the protocol and return what its intervals or probabilities are worth."""
    protocol = protocol_of(shared)
    X, y, task = protocol.load(shared / "data" / f"{dataset}.parquet")
    train, test = protocol.split(len(X), seed)
    kind = chainrule.TabularRegressor if task == "regression" else chainrule.TabularClassifier
    model = kind(random_state=seed, n_threads=1).fit(X.iloc[train], y[train])
    result = {
        "dataset": dataset,
        "seed": seed,
        "n_test": len(test),
        "chainrule": f"{chainrule.__version__} ({revision()})",
        "processor": processor(),
    }
    if task == "regression":
        result |= intervals(model, X.iloc[test], y[test])
    else:
        result |= probabilities(model, X.iloc[test], y[test])
    return result


def revision() -> str:
    """Return the revision of the chainrule that is measured, "?" where it comes from no repository."""
    command = ["git", "-C", str(Path(chainrule.__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else "?"


def intervals(model: Any, X: Any, y: NDArray[np.float64]) -> Result:
    """Return the share of rows that intervals of each coverage hold, and their mean width in deviations."""
    held, width = {}, {}
    for coverage in COVERAGES:
        lower, upper = model.predict_interval(X, coverage).T
        held[str(coverage)] = float(np.mean((lower <= y) & (y <= upper)))
        width[str(coverage)] = float(np.mean(upper - lower) / np.std(y))
    return {"n_aside": len(model.kept_aside_.y), "held": held, "width": width, "nll": model.nll(X, y)}


def probabilities(model: Any, X: Any, y: NDArray[Any]) -> Result:
    """Return log loss and calibration error, with the temperature and without."""
    found = {"temperature": model.temperature_}
    classes = {label: number for number, label in enumerate(model.classes_.tolist())}
    numbers = np.array([classes.get(label, -1) for label in y])
    known = numbers >= 0
    for name in ("after", "before"):
        logs = model.predict_log_proba(X.iloc[np.flatnonzero(known)])
        found[f"log_loss_{name}"] = -float(logs[np.arange(len(logs)), numbers[known]].mean())
        found[f"calibration_error_{name}"] = calibration_error(np.exp(logs), numbers[known])
        model.temperature_ = 1.0
    return found


def calibration_error(p: NDArray[np.float64], actual: NDArray[np.int64]) -> float:
    """Return the mean gap between stated and true share, over 15 bins of the likeliest class.

    Naeini, Cooper and Hauskrecht (2015), Obtaining well calibrated probabilities by Bayesian binning.
    """
    stated, right = p.max(axis=1), p.argmax(axis=1) == actual
    place = np.minimum((stated * N_BINS).astype(int), N_BINS - 1)
    gaps = np.bincount(place, weights=stated - right, minlength=N_BINS)
    return float(np.abs(gaps).sum() / len(p))


def tolerance(coverage: float, n_test: int, n_aside: int) -> float:
    """Return 3 √(c (1 − c) (1/n_test + 1/n_aside)): how far one coverage may be off by chance."""
    return 3 * math.sqrt(coverage * (1 - coverage) * (1 / n_test + 1 / n_aside))


def table_of_intervals(results: list[Result]) -> str:
    """Return the coverages as a table in Markdown: means over the seeds, and over all."""
    lines = [
        "| table | rows aside | " + " | ".join(f"{coverage:.0%}" for coverage in COVERAGES) + " |",
        "| --- |" + " --- |" * (1 + len(COVERAGES)),
    ]
    numeric = [result for result in results if "held" in result]
    for dataset in dict.fromkeys(result["dataset"] for result in numeric):
        of_set = [result for result in numeric if result["dataset"] == dataset]
        cells = [f"{np.mean([result['held'][str(c)] for result in of_set]):.1%}" for c in COVERAGES]
        lines.append(f"| {dataset} | {of_set[0]['n_aside']:,} | " + " | ".join(cells) + " |")
    if not numeric:
        return "no intervals were measured"
    means, within = [], []
    for c in COVERAGES:
        held = [result["held"][str(c)] for result in numeric]
        near = [
            abs(result["held"][str(c)] - c) <= tolerance(c, result["n_test"], result["n_aside"])
            for result in numeric
        ]
        means.append(f"**{np.mean(held):.1%}**")
        within.append(f"{sum(near)} of {len(near)}")
    lines.append(f"| mean of {len(numeric)} fits | | " + " | ".join(means) + " |")
    lines.append("| fits within 3 σ of chance | | " + " | ".join(within) + " |")
    return "\n".join(lines) + "\n"


def table_of_classes(results: list[Result]) -> str:
    """Return what the temperature does, as a table in Markdown: means over the seeds."""
    lines = [
        "| table | temperature | log loss without | with | calibration error without | with |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    names = ("log_loss_before", "log_loss_after", "calibration_error_before", "calibration_error_after")
    classes = [result for result in results if "temperature" in result]
    for dataset in dict.fromkeys(result["dataset"] for result in classes):
        of_set = [result for result in classes if result["dataset"] == dataset]
        cells = [f"{np.mean([result[name] for result in of_set]):.4f}" for name in names]
        temperature = np.mean([result["temperature"] for result in of_set])
        lines.append(f"| {dataset} | {temperature:.3f} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n" if classes else "no probabilities were measured"


if __name__ == "__main__":
    main()
