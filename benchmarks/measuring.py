"""How the benchmarks measure: contenders take turns, and of each the median and the quartiles are kept."""

import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import chainrule
from chainrule.engine import instruction_set
from chainrule.engine.native import usable_threads

ROOT = Path(__file__).parents[1]
# What changes how the libraries compute; written down with the results where it is set.
SETTINGS = (
    "CHAINRULE_INSTRUCTION_SET",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    "XLA_FLAGS",
)
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "jax", "jaxlib", "onnxruntime")

Sampler = Callable[[], float]
Summary = dict[str, float]


@dataclass(frozen=True)
class Effort:
    """How thoroughly to measure.

    Parameters
    ----------
    repeats : int, default 7
        How often each contender has its turn.
    thrown_away : int, default 1
        Rounds before those that count: in them things are compiled and caches filled.
    seconds : float, default 0.2
        How long a turn lasts at least; short work is repeated in it.
    pause : float, default 0.15
        Seconds before each turn. The threads of BLAS and OpenMP libraries spin for up to 100 ms after their
        work, and would take the cores from whoever is next.
    """

    repeats: int = 7
    thrown_away: int = 1
    seconds: float = 0.2
    pause: float = 0.15


def timed(work: Callable[[], object], at_least: float = 0.0) -> Sampler:
    """Return a sampler: the seconds that ``work`` takes, as a mean over a turn of ``at_least`` seconds.

    The first call of the sampler finds out how often the work fits in a turn.
    """
    count = 0

    def stopwatch(n: int) -> float:
        begin = time.perf_counter()
        for _ in range(n):
            work()
        return (time.perf_counter() - begin) / n

    def sample() -> float:
        nonlocal count
        if not count:
            count = 1
            while at_least and (elapsed := stopwatch(count) * count) < at_least:
                count = math.ceil(count * min(100.0, 1.1 * at_least / elapsed))
        return stopwatch(count)

    return sample


def interleaved(samplers: Mapping[str, Sampler], effort: Effort) -> dict[str, Summary]:
    """Return the summary of each sampler's values; they take turns: A B C A B C and so on."""
    values: dict[str, list[float]] = {name: [] for name in samplers}
    for turn in range(-effort.thrown_away, effort.repeats):
        for name, sample in samplers.items():
            time.sleep(effort.pause)
            value = sample()
            if turn >= 0:
                values[name].append(value)
    return {name: summary(samples) for name, samples in values.items()}


def summary(values: list[float]) -> Summary:
    """Return the median and the quartiles."""
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "lower": float(lower), "upper": float(upper)}


def conditions(effort: Effort) -> dict[str, Any]:
    """Return on what, with what and when it is measured."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": {
            "processor": processor(),
            "cores": usable_threads(),
            "instruction set": instruction_set(),
            "system": f"{platform.system()} on {platform.machine()}",
        },
        "versions": versions(),
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
        "repeats": effort.repeats,
        "seconds a turn": effort.seconds,
    }


def processor() -> str:
    """Return the processor's name as the system tells it."""
    table = Path("/proc/cpuinfo")
    if table.exists():
        for line in table.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the version of everything that takes part and is installed."""
    found = {"python": platform.python_version(), "chainrule": chainrule.__version__}
    revision = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    if revision.returncode == 0:
        found["chainrule"] += f" ({revision.stdout.strip()})"
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
