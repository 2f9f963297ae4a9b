"""What it costs to watch a training: progress as lines in a file and live in a terminal, and the gradients.

The calls that watch are timed where they are made, and set beside the rest of the training, on one thread:
they are less than two trainings differ by. Its epochs are some milliseconds, or less than one: the shorter
they are, the more watching costs.
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
from unittest.mock import patch

import numpy as np

import chainrule as cr
from chainrule.training import GradientNorms, Training, train
from chainrule.training.progress import Progress, make_progress
from measuring import ROOT, Effort, conditions

# rows and epochs: with validation rows, three layers of 64
TRAININGS = {"6,000 rows": (6000, 160), "300 rows": (300, 2500)}
WAYS = ("lines in a file", "live in a terminal", "gradients")


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


class Clock:
    """Adds up the seconds that calls take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its calls timed."""

        def timed(*arguments: Any) -> Any:
            begin = time.perf_counter()
            answer = function(*arguments)
            self.seconds += time.perf_counter() - begin
            return answer

        return timed

    def of_progress(self, *arguments: int) -> Progress:
        """Return the display that a training makes, with its calls timed."""
        display = make_progress(*arguments)
        for name in ("moved", "epoch_done", "ended"):
            setattr(display, name, self.of(getattr(display, name)))
        return display


def training(n_rows: int, epochs: int) -> Callable[[str], tuple[float, float]]:
    """Return the function from a way to watch to the seconds of the training, and of these the watching's."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 32)).astype(np.float32)
    y = np.tanh(X[:, :1]) + 0.1 * rng.normal(size=(n_rows, 1)).astype(np.float32)
    network = cr.Network(32, [cr.Dense(64)] * 3, likelihood=cr.likelihoods.Normal())
    theta, held_out = network.initial_parameters(seed=0), n_rows // 8

    def seconds(way: str) -> tuple[float, float]:
        clock = Clock()
        settings = Training(epochs=epochs, batch_size=64, n_threads=1, verbose=int("in a" in way))
        gradients = GradientNorms(X[held_out:], y[held_out:], epochs=epochs)
        display = make_progress if way == "gradients" else clock.of_progress
        with shown_in(way), patch("chainrule.training.run.make_progress", display):
            begin = time.perf_counter()
            train(
                network,
                theta,
                X[held_out:],
                y[held_out:],
                validation=(X[:held_out], y[:held_out]),
                settings=settings,
                callbacks=[clock.of(gradients)] if way == "gradients" else [],
            )
            return time.perf_counter() - begin, clock.seconds

    return seconds


def measured(effort: Effort, share: float) -> dict[str, Any]:
    """Return for each training its seconds without watching, and what each way to watch adds, as a share."""
    found: dict[str, Any] = {}
    for name, (n_rows, epochs) in TRAININGS.items():
        seconds = training(n_rows, max(1, round(share * epochs)))
        n_turns = effort.repeats + effort.thrown_away
        turns = np.array([[seconds(way) for way in WAYS] for _ in range(n_turns)])[effort.thrown_away :]
        watching = turns[..., 1]
        unwatched = turns[..., 0] - watching
        shares = np.quantile(watching / unwatched, [0.5, 0.25, 0.75], axis=0).T
        found[name] = {
            "seconds": float(np.median(unwatched)),
            **dict(zip(WAYS, shares.tolist(), strict=True)),
        }
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
    print(f"| training | without | {' | '.join(WAYS)} |\n|{' --- |' * 5}")
    for name, row in found.items():
        cells = [
            f"{100 * m:+.2f}% ({100 * low:+.2f} to {100 * high:+.2f})" for m, low, high in map(row.get, WAYS)
        ]
        print(f"| {name} | {row['seconds']:.2f} s | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
