"""What is won by changing one import: ``python benchmarks/migration.py``.

Twenty typical configurations of scikit-learn's MLPClassifier and MLPRegressor, tiny to wide, are fitted by
its classes and by chainrule's, in turns: so many epochs (the same work), and until the usual rule stops them
(the same loss). Both take the same course, and the losses that they end with are compared. Cold starts come
last.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning

import chainrule
from measuring import ROOT, Effort, conditions, interleaved, timed
from migration_report import replace_table, table
from speed import FIRST_FIT, FIRST_FITS, script

Rows = tuple[Any, Any]  # X, y
RESULTS = ROOT / "benchmarks" / "results" / "migration.json"
GUIDE = ROOT / "docs" / "guides" / "coming_from_scikit_learn.md"
# How far the losses at the end may be from each other: the courses are the same, but for rounding.
AGREEMENT = {"float64": 1e-6, "float32": 0.05}


@dataclass(frozen=True)
class Configuration:
    """A typical fit.

    Parameters
    ----------
    name : str
        What it is, for the table.
    kind : {"MLPClassifier", "MLPRegressor"}
        The class, in both packages.
    rows : callable
        Makes X and y.
    work : int
        Epochs (iterations of L-BFGS) of the measurement of the same work.
    settings : dict
        What differs from the defaults.
    """

    name: str
    kind: str
    rows: Callable[[], Rows]
    work: int
    settings: dict[str, Any] = field(default_factory=dict)

    def model(self, package: Any, **more: Any) -> Any:
        """Return the unfitted estimator of a package."""
        return getattr(package, self.kind)(random_state=0, **{**self.settings, **more})


def classes(n_rows: int, n_columns: int, n_classes: int = 2) -> Callable[[], Rows]:
    """Return a maker of rows of classes, in standard units."""
    informative = max(2, min(n_columns - 2, 12))
    return lambda: datasets.make_classification(
        n_rows, n_columns, n_informative=informative, n_classes=n_classes, random_state=0
    )


def numbers(n_rows: int, n_columns: int, n_outputs: int = 1) -> Callable[[], Rows]:
    """Return a maker of rows with numbers as targets, in standard units."""

    def make() -> Rows:
        rng = np.random.default_rng(0)
        X = rng.normal(size=(n_rows, n_columns))
        y = np.sin(X @ rng.normal(size=(n_columns, n_outputs)) / np.sqrt(n_columns) * 2)
        y = y + 0.1 * rng.normal(size=y.shape)
        return X, y[:, 0] if n_outputs == 1 else y

    return make


def counts(n_rows: int, n_columns: int) -> Callable[[], Rows]:
    """Return a maker of rows with counts as targets."""

    def make() -> Rows:
        X, y = numbers(n_rows, n_columns)()
        return X, np.random.default_rng(1).poisson(np.exp(y))

    return make


def labels(n_rows: int, n_columns: int, n_labels: int) -> Callable[[], Rows]:
    """Return a maker of rows with several labels each."""

    def make() -> Rows:
        X, y = datasets.make_multilabel_classification(n_rows, n_columns, n_classes=n_labels, random_state=0)
        return X / X.std(), y

    return make


def words(n_rows: int, n_columns: int) -> Callable[[], Rows]:
    """Return a maker of sparse rows like those of texts: some forty words each, the frequent ones often."""

    def make() -> Rows:
        rng = np.random.default_rng(0)
        columns = (n_columns * rng.random((n_rows, 40)) ** 3).astype(np.int32)
        starts = np.arange(0, columns.size + 1, 40)
        X = sparse.csr_array(
            (np.full(columns.size, 0.16), columns.ravel(), starts), shape=(n_rows, n_columns)
        )
        X.sum_duplicates()
        return X, (X @ rng.normal(size=n_columns) > 0).astype(int)

    return make


def in_float32(rows: Callable[[], Rows]) -> Callable[[], Rows]:
    """Return a maker of the same rows in float32."""

    def make() -> Rows:
        X, y = rows()
        return X.astype(np.float32), y

    return make


def digits() -> Rows:
    """Return the 1,797 handwritten digits that scikit-learn ships."""
    X, y = datasets.load_digits(return_X_y=True)
    return X / 16.0, y


def iris() -> Rows:
    """Return the 150 irises, in standard units."""
    X, y = datasets.load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


C, R = "MLPClassifier", "MLPRegressor"
SGD: dict[str, Any] = {"solver": "sgd", "learning_rate_init": 0.01}
CONFIGURATIONS = (
    Configuration("iris, defaults", C, iris, 200),
    Configuration("iris, 10 units, L-BFGS", C, iris, 50, {"hidden_layer_sizes": (10,), "solver": "lbfgs"}),
    Configuration("100 × 5 numbers, 2 × 20 units, tanh", R, numbers(100, 5), 200,
                  {"hidden_layer_sizes": (20, 20), "activation": "tanh"}),
    Configuration("500 × 30 classes, defaults", C, classes(500, 30), 150),
    Configuration("500 × 10 numbers, L-BFGS", R, numbers(500, 10), 100,
                  {"hidden_layer_sizes": (50,), "solver": "lbfgs"}),
    Configuration("1,000 × 10 numbers, defaults", R, numbers(1_000, 10), 100),
    Configuration("1,000 × 20 classes, SGD, adaptive", C, classes(1_000, 20), 100,
                  {**SGD, "learning_rate": "adaptive"}),
    Configuration("digits, defaults", C, digits, 50),
    Configuration("digits, early stopping, alpha 1", C, digits, 50, {"early_stopping": True, "alpha": 1.0}),
    Configuration("2,000 × 20, 5 classes, 2 × 50 units, tanh", C, classes(2_000, 20, 5), 50,
                  {"hidden_layer_sizes": (50, 50), "activation": "tanh"}),
    Configuration("2,000 × 12 counts, Poisson", R, counts(2_000, 12), 50, {"loss": "poisson"}),
    Configuration("3,000 × 50, 20 labels", C, labels(3_000, 50, 20), 30),
    Configuration("5,000 × 30 classes, 30 units, logistic, batches of 32", C, classes(5_000, 30), 10,
                  {"hidden_layer_sizes": (30,), "activation": "logistic", "batch_size": 32, "max_iter": 40}),
    Configuration("5,000 × 20, 10 numbers", R, numbers(5_000, 20, 10), 20),
    Configuration("5,000 × 20,000 words, sparse, 50 units", C, words(5_000, 20_000), 2,
                  {"hidden_layer_sizes": (50,), "max_iter": 6}),
    Configuration("10,000 × 16 numbers, 2 × 64 units, SGD", R, numbers(10_000, 16), 10,
                  {**SGD, "hidden_layer_sizes": (64, 64), "max_iter": 60}),
    Configuration("20,000 × 10 classes, early stopping", C, classes(20_000, 10), 10,
                  {"early_stopping": True}),
    Configuration("20,000 × 54, 7 classes, 2 × 256 units, batches of 256", C, classes(20_000, 54, 7), 1,
                  {"hidden_layer_sizes": (256, 256), "batch_size": 256, "max_iter": 3}),
    Configuration("5,000 × 784, 10 classes, 256 units, float32", C, in_float32(classes(5_000, 784, 10)), 3,
                  {"hidden_layer_sizes": (256,), "max_iter": 12}),
    Configuration("5,000 × 784, 10 classes, 2 × 512 units", C, classes(5_000, 784, 10), 1,
                  {"hidden_layer_sizes": (512, 512), "max_iter": 3}),
)  # fmt: skip
PACKAGES = {"scikit-learn": neural_network, "chainrule": chainrule}


def measured(configuration: Configuration, effort: Effort, short: bool) -> dict[str, Any]:
    """Return the seconds of both, for the same work and until the usual rule stops."""
    rows = configuration.rows()
    if short:
        rows = rows[0][:60], rows[1][:60]
    work = {"max_iter": 2 if short else configuration.work, "tol": 0.0, "n_iter_no_change": np.inf}
    if configuration.settings.get("solver") == "lbfgs":
        work.pop("n_iter_no_change")
    until = {"max_iter": 3} if short else {}
    losses: dict[str, float] = {}

    def fit(name: str, **more: Any) -> Callable[[], object]:
        model = configuration.model(PACKAGES[name], **more)  # which begins afresh at each fit

        def once() -> None:
            losses[name] = float(model.fit(*rows).loss_)

        return once

    turn = 0.0 if short else effort.seconds
    results = {
        kind: interleaved({name: timed(fit(name, **settings), turn) for name in PACKAGES}, effort)
        for kind, settings in (("same work", work), ("same loss", until))
    }
    theirs, ours = losses["scikit-learn"], losses["chainrule"]
    solver = configuration.settings.get("solver")
    allowed = 0.05 if solver == "lbfgs" else AGREEMENT[str(rows[0].dtype)]
    if abs(ours - theirs) > allowed * abs(theirs):
        raise RuntimeError(
            f"{configuration.name}: the losses at the end are {losses}, which is not the same."
        )
    return {"losses": losses, **results}


def main() -> None:
    """Measure, write the results, print the table; with ``--guide`` put it into the guide too."""
    parser = argparse.ArgumentParser(description="Measure what is won by changing one import.")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each (default: 5)")
    parser.add_argument("--short", action="store_true", help="little work: a test that all of it runs")
    parser.add_argument("--results", type=Path, help=f"where to (default: {RESULTS.relative_to(ROOT)})")
    parser.add_argument("--guide", type=Path, nargs="?", const=GUIDE, help="put the table into this page")
    arguments = parser.parse_args()
    effort = Effort(
        repeats=1 if arguments.short else arguments.repeats, thrown_away=0 if arguments.short else 1
    )
    warnings.simplefilter("ignore", ConvergenceWarning)
    results: dict[str, Any] = {"conditions": conditions(effort), "configurations": {}}
    for number, configuration in enumerate(CONFIGURATIONS, start=1):
        print(f"{number} of {len(CONFIGURATIONS)}: {configuration.name}", file=sys.stderr, flush=True)
        results["configurations"][configuration.name] = measured(configuration, effort, arguments.short)
    results["cold start"] = interleaved(
        {name: script(FIRST_FIT.format(package=package)) for name, package in FIRST_FITS.items()}, effort
    )
    target = arguments.results or (None if arguments.short else RESULTS)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    printed = table(results)
    print(printed)
    if arguments.guide is not None:
        arguments.guide.write_text(
            replace_table(arguments.guide.read_text(encoding="utf-8"), printed), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
