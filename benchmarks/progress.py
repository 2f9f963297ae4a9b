"""What it costs to watch a training: progress as lines in a file and live in a terminal, and the gradients.

The same training is done silent and watched, in turns, on one thread; what counts is the difference of the
two in each turn. Its epochs are some milliseconds, or less than one: the shorter they are, the more watching
costs. A look at the gradients takes less than the turns can tell apart: it is timed where it is called.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.training import Callback, EpochReport, GradientNorms, Training, train
from measuring import ROOT, Effort, conditions

# rows and epochs: with validation rows, three layers of 64
TRAININGS = {"6,000 rows": (6000, 160), "300 rows": (300, 2500)}
WAYS = ("silent", "lines in a file", "live in a terminal", "gradients")


@contextmanager
def shown_in(way: str) -> Iterator[None]:
    """Let the standard error be a file, or a terminal whose other end is read and forgotten."""
    before = sys.stderr
    if way != "live in a terminal":
        with Path(os.devnull).open("w", encoding="utf-8") as sys.stderr:
            yield
        sys.stderr = before
        return
    reader, writer = os.openpty()

    def forget() -> None:
        try:
            while os.read(reader, 65536):
                pass
        except OSError:  # the other end is closed
            pass

    thread = threading.Thread(target=forget)
    thread.start()
    with open(writer, "w", encoding="utf-8") as sys.stderr:
        yield
    sys.stderr = before
    thread.join()
    os.close(reader)


class Clocked:
    """A callback and the seconds that its calls take."""

    def __init__(self, callback: Callback) -> None:
        self.callback, self.seconds = callback, 0.0

    def __call__(self, report: EpochReport) -> bool | None:
        """Call it."""
        begin = time.perf_counter()
        answer = self.callback(report)
        self.seconds += time.perf_counter() - begin
        return answer


def training(n_rows: int, epochs: int) -> Callable[[str], tuple[float, float]]:
    """Return the function from a way to watch to the seconds of the training, and those of its callback."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 32)).astype(np.float32)
    y = np.tanh(X[:, :1]) + 0.1 * rng.normal(size=(n_rows, 1)).astype(np.float32)
    network = cr.Network(32, [cr.Dense(64)] * 3, likelihood=cr.likelihoods.Normal())
    theta, held_out = network.initial_parameters(seed=0), n_rows // 8

    def seconds(way: str) -> tuple[float, float]:
        settings = Training(epochs=epochs, batch_size=64, n_threads=1, verbose=int("in a" in way))
        watch = (
            [Clocked(GradientNorms(X[held_out:], y[held_out:], epochs=epochs))] if way == "gradients" else []
        )
        with shown_in(way):
            begin = time.perf_counter()
            train(
                network,
                theta,
                X[held_out:],
                y[held_out:],
                validation=(X[:held_out], y[:held_out]),
                settings=settings,
                callbacks=watch,
            )
            return time.perf_counter() - begin, sum(clocked.seconds for clocked in watch)

    return seconds


def measured(effort: Effort, share: float) -> dict[str, Any]:
    """Return for each training its seconds in silence, and what each way to watch adds, as a share."""
    found: dict[str, Any] = {}
    for name, (n_rows, epochs) in TRAININGS.items():
        seconds = training(n_rows, max(1, round(share * epochs)))
        turns = []
        for turn in range(effort.repeats + effort.thrown_away):
            ways = WAYS if turn % 2 else WAYS[::-1]
            turns.append({way: seconds(way) for way in ways})
        kept = turns[effort.thrown_away :]
        silent = np.array([turn["silent"][0] for turn in kept])
        found[name] = {"silent, seconds": float(np.median(silent))}
        for way in WAYS[1:]:
            whole, watching = np.array([turn[way] for turn in kept]).T
            added = watching / (whole - watching) if way == "gradients" else whole / silent - 1
            found[name][way] = [float(q) for q in np.quantile(added, [0.5, 0.25, 0.75])]
    return found


def main() -> None:
    """Measure, write the results and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15, help="turns of each (default: 15)")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "progress.json")
    parser.add_argument("--share", type=float, default=1.0, help="of the epochs: less is a test that it runs")
    asked = parser.parse_args()
    effort = Effort(repeats=asked.repeats, seconds=0.0, pause=0.0)
    found = measured(effort, asked.share)
    results = {"added": found, **conditions(effort)}
    asked.results.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"| training | silent | {' | '.join(WAYS[1:])} |\n|{' --- |' * 5}")
    for name, row in found.items():
        cells = [
            f"{100 * m:+.2f}% ({100 * low:+.2f} to {100 * high:+.2f})"
            for m, low, high in map(row.get, WAYS[1:])
        ]
        print(f"| {name} | {row['silent, seconds']:.2f} s | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
