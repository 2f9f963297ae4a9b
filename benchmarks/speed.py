"""How quick chainrule is, against the machine's limit and against other libraries, measured in one run.

``python benchmarks/speed.py`` measures everything, prints tables in Markdown, and writes the results and the
figure. ``--table FILE`` prints the tables of results that were measured before.
"""

import argparse
import compileall
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import chainrule
from chainrule.engine import instruction_set
from chainrule.engine.native import native_module, usable_threads
from measuring import ROOT, Effort, Sampler, conditions, interleaved, timed
from rivals import NETS, RIVALS, Epoch, Net, chainrule_epochs, chainrule_predict
from speed_report import ALL_THREADS, ONE_THREAD, draw, tables

Results = dict[str, Any]
PEAK_STRETCHES = 5  # the peak is the best of so many stretches of some milliseconds

# A cold start: what a person waits for who runs a script on a small table.
FIRST_FIT = """
import numpy as np

from {package} import MLPClassifier
rng = np.random.default_rng(0)
y = np.repeat([0, 1, 2], 50)
X = rng.normal(size=(150, 4)) + y[:, None]
MLPClassifier(hidden_layer_sizes=(100,), max_iter=200, random_state=0).fit(X, y)
"""
FIRST_FITS = {"chainrule": "chainrule", "scikit-learn": "sklearn.neural_network"}
IMPORTS = {
    "nothing (Python's own start)": "pass",
    "chainrule": "import chainrule",
    "chainrule's MLPClassifier": "from chainrule import MLPClassifier",
    "scikit-learn's MLPClassifier": "from sklearn.neural_network import MLPClassifier",
    "PyTorch": "import torch",
    "JAX": "import jax.numpy",
}
# It ends with the benchmark, even when that is killed.
OTHER_WORK = """
import os
parent = os.getppid()
while os.getppid() == parent:
    sum(range(100_000))
"""
PREDICTED = NETS[1]
SCALING_BASE = Net((32, 128, 128, 1), 256, "normal", 8_192)


def main() -> None:
    """Measure or read results, print their tables, write them, draw the figure."""
    parser = argparse.ArgumentParser(description="Measure the speed of chainrule and of other libraries.")
    parser.add_argument(
        "--short", action="store_true", help="run every part on little work; times mean nothing"
    )
    parser.add_argument("--repeats", type=int, help="turns of each contender (default: 7, with --short 1)")
    parser.add_argument("--table", type=Path, metavar="RESULTS", help="measure nothing, print these results")
    parser.add_argument("--results", type=Path, help="where to write the results (JSON)")
    parser.add_argument("--figure", type=Path, help="where to draw the figure (SVG or PNG)")
    arguments = parser.parse_args()
    if arguments.repeats is not None and arguments.repeats < 1:
        parser.error(f"--repeats {arguments.repeats}: it must be at least 1")
    if arguments.table:
        results = json.loads(arguments.table.read_text(encoding="utf-8"))
    else:
        if not arguments.short:
            arguments.results = (
                arguments.results or ROOT / f"benchmarks/results/speed-{instruction_set()}.json"
            )
            arguments.figure = arguments.figure or ROOT / "docs/images/speed.svg"
        effort = Effort(repeats=1, thrown_away=0, seconds=0.0, pause=0.0) if arguments.short else Effort()
        results = measure(replace(effort, repeats=arguments.repeats or effort.repeats), arguments.short)
        if arguments.results:
            arguments.results.parent.mkdir(parents=True, exist_ok=True)
            arguments.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(tables(results))
    if arguments.figure:
        arguments.figure.parent.mkdir(parents=True, exist_ok=True)
        draw(results, arguments.figure)


def measure(effort: Effort, short: bool) -> Results:
    """Return all results as they go into the file; what is under way is told on stderr."""
    nets = tuple(shortened(net) for net in NETS) if short else NETS
    parts: dict[str, Callable[[], Results]] = {
        "epochs": lambda: {net.name: epochs(net, effort) for net in nets},
        "first result": lambda: first_results(effort),
        "imports": lambda: imports(effort),
        "prediction": lambda: prediction(1_000 if short else 100_000, effort),
        "scaling": lambda: scaling(short, effort),
        "other work": lambda: {net.name: beside_other_work(net, effort) for net in nets[1:3]},
    }
    results: Results = {
        **conditions(effort),
        "short": short,
        "left out": [rival.name for rival in RIVALS if not rival.is_installed],
    }
    for name, part in parts.items():
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        results[name] = part()
    return results


def shortened(net: Net) -> Net:
    """Return the net with few rows: three steps an epoch."""
    return replace(net, n_rows=3 * net.batch)


def peak(n_threads: int) -> Sampler:
    """Return a sampler of the multiply-add peak of so many threads, in FLOP/s."""
    return lambda: float(native_module().peak_flop_rate(n_threads, PEAK_STRETCHES))


def epochs(net: Net, effort: Effort) -> Results:
    """Return the seconds of an epoch of every library, and the peak that was reached beside them."""
    data = net.data()
    contenders: dict[str, Epoch] = {
        ALL_THREADS: chainrule_epochs(net, data),
        ONE_THREAD: chainrule_epochs(net, data, n_threads=1),
        **{rival.name: rival.epochs(net, data) for rival in RIVALS if rival.epochs and rival.is_installed},
    }
    measured = interleaved(
        {
            "one core": peak(1),
            "all cores": peak(usable_threads()),
            **{name: timed(epoch, effort.seconds) for name, epoch in contenders.items()},
        },
        effort,
    )
    return {
        "batch": net.batch,
        "rows": net.n_rows,
        "flop": net.flop,
        "peak": {cores: measured.pop(cores) for cores in ("one core", "all cores")},
        "seconds": measured,
    }


def script(text: str) -> Sampler:
    """Return a sampler of the seconds that a new Python process takes for a script.

    Modules are loaded from bytecode, as an installation leaves them; a source tree may have none.
    """
    compileall.compile_dir(Path(chainrule.__file__).parent, quiet=2)
    command = [sys.executable, "-W", "ignore", "-c", text]
    return timed(partial(subprocess.run, command, check=True))


def first_results(effort: Effort) -> Results:
    """Return the seconds from a cold start of Python to a model fitted to 150 rows."""
    return interleaved(
        {name: script(FIRST_FIT.format(package=package)) for name, package in FIRST_FITS.items()}, effort
    )


def imports(effort: Effort) -> Results:
    """Return the seconds of a Python process that imports and ends."""
    absent = {rival.name for rival in RIVALS if not rival.is_installed}
    return interleaved({name: script(text) for name, text in IMPORTS.items() if name not in absent}, effort)


def prediction(n_rows: int, effort: Effort) -> Results:
    """Return the seconds of predicting one row and many, every library with the same weights."""
    net = PREDICTED
    network = net.network()
    theta = network.initial_parameters(seed=0)
    weights = [(weight, bias) for weight, bias in network.unpack(theta) if bias is not None]
    predict = {
        ALL_THREADS: chainrule_predict(net, theta),
        **{
            rival.name: rival.predict(net, weights)
            for rival in RIVALS
            if rival.predict and rival.is_installed
        },
    }
    X = np.random.default_rng(0).normal(size=(n_rows, net.sizes[0])).astype(np.float32)
    row, one = X[0], X[:1]
    for name, function in predict.items():
        np.testing.assert_allclose(
            np.reshape(function(X), (n_rows, -1)), network.forward(theta, X), 1e-3, 1e-4, err_msg=name
        )
    predictor = network.predictor(theta)
    one_row: dict[str, Callable[[], object]] = {
        "chainrule, predictor": lambda: predictor(row),
        **{name: partial(function, one) for name, function in predict.items()},
    }
    many_rows = {name: partial(function, X) for name, function in predict.items()}
    return {
        "net": net.name,
        "rows": n_rows,
        "one row": interleaved({name: timed(work, effort.seconds) for name, work in one_row.items()}, effort),
        "many rows": interleaved(
            {name: timed(work, effort.seconds) for name, work in many_rows.items()}, effort
        ),
    }


def scaling(short: bool, effort: Effort) -> Results:
    """Return the seconds of an epoch of chainrule when one thing at a time is made larger."""
    base, (inputs, *_, logits) = SCALING_BASE, SCALING_BASE.sizes
    threads = sorted({min(2**k, usable_threads()) for k in range(10)})
    variants: dict[str, dict[int, tuple[Net, int | None]]] = {
        "hidden layers of 128": {
            n: (replace(base, sizes=(inputs, *[128] * n, logits)), None) for n in (1, 2, 4, 8)
        },
        "width of 2 hidden layers": {
            n: (replace(base, sizes=(inputs, n, n, logits)), None) for n in (16, 64, 256, 1024)
        },
        "rows": {n: (replace(base, n_rows=n), None) for n in (1_024, 8_192, 65_536)},
        "rows a batch": {n: (replace(base, batch=n), None) for n in (32, 128, 512, 2_048)},
        "threads, on " + NETS[2].name: {n: (NETS[2], n) for n in threads},
    }
    results: Results = {"net": base.name, "batch": base.batch, "rows": base.n_rows, "varied": {}}
    for what, nets in variants.items():
        chosen = {n: (shortened(net) if short else net, n_threads) for n, (net, n_threads) in nets.items()}
        seconds = interleaved(
            {
                str(n): timed(chainrule_epochs(net, net.data(), n_threads), effort.seconds)
                for n, (net, n_threads) in chosen.items()
            },
            effort,
        )
        results["varied"][what] = {
            str(n): {"flop": net.flop, "seconds": seconds[str(n)]} for n, (net, _) in chosen.items()
        }
    return results


@contextmanager
def other_work() -> Iterator[None]:
    """Keep each core busy with another process."""
    command = [sys.executable, "-c", OTHER_WORK]
    processes = [subprocess.Popen(command) for _ in range(usable_threads())]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def beside_other_work(net: Net, effort: Effort) -> Results:
    """Return the seconds of an epoch of chainrule while as many processes as there are cores compute."""
    data = net.data()
    ways = {ONE_THREAD: 1, ALL_THREADS: None, "chainrule, all threads by n_threads": usable_threads()}
    with other_work():
        return interleaved(
            {name: timed(chainrule_epochs(net, data, n), effort.seconds) for name, n in ways.items()}, effort
        )


if __name__ == "__main__":
    main()
