"""What is run for ``accuracy.py``: who takes part, and one fit under the protocol."""

import csv
import importlib
import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from chainrule.estimators.recipe import Preset  # chainrule is imported by the process that runs it

Task = Literal["regression", "binary", "multiclass"]
Estimator = Any  # fit(X, y), predict(X), and predict_proba(X) and classes_ for classes


@dataclass(frozen=True)
class Job:
    """One fit and its score.

    Parameters
    ----------
    dataset : str
        A file of shared/data, without its ending.
    model : str
        Who fits (see `make_estimator`).
    seed : int
        Of the split and of the model.
    rows : {"test", "inner"}
        Which rows are scored: the protocol's test rows, or some of its training rows.
    max_rows : int
        Training rows at most; the protocol's own limit holds as well.
    """

    dataset: str
    model: str
    seed: int
    rows: str
    max_rows: int


def read_peers(shared: Path) -> list[dict[str, str]]:
    """Return the rows of peers.csv."""
    with (shared / "accuracy" / "peers.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def protocol_of(shared: Path) -> ModuleType:
    """Return the module protocol.py."""
    spec = importlib.util.spec_from_file_location("protocol", shared / "accuracy" / "protocol.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{shared} has no accuracy/protocol.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row_numbers(n_rows: int, job: Job, protocol: ModuleType) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the numbers of the rows to fit and of those to score.

    The inner ones are a quarter of the training rows of the protocol's seed 0, drawn by the job's seed: no
    test row of that seed is ever among them.
    """
    if job.rows == "test":
        train, test = protocol.split(n_rows, job.seed)
        return train[: job.max_rows], test
    train, _ = protocol.split(n_rows, 0)
    shuffled = np.random.default_rng(job.seed).permutation(train)
    n_scored = len(shuffled) // 4
    return shuffled[n_scored : n_scored + job.max_rows], shuffled[:n_scored]


def run(job: Job, shared: Path) -> dict[str, object]:
    """Fit and score one estimator; return the row for the results."""
    protocol = protocol_of(shared)
    X, y, task = protocol.load(shared / "data" / f"{job.dataset}.parquet")
    train, scored = row_numbers(len(X), job, protocol)
    inputs = X.iloc[train].reset_index(drop=True)
    estimator = make_estimator(job.model, task, job.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other libraries; chainrule's own are looked at by its tests
        wall, cpu = time.perf_counter(), time.process_time()
        estimator.fit(inputs, y[train])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        begin = time.perf_counter()
        classes = None if task == "regression" else estimator.classes_
        predict = estimator.predict if task == "regression" else estimator.predict_proba
        prediction = predict(X.iloc[scored].reset_index(drop=True))
        predict_s = time.perf_counter() - begin
    figures = protocol.score(task, y[scored], np.asarray(prediction, dtype=np.float64), classes)
    return {
        **asdict(job),
        "task": task,
        "n_train": len(train),
        "n_test": len(scored),
        "fit_cpu_s": round(cpu, 3),
        "fit_wall_s": round(wall, 3),
        "predict_s": round(predict_s, 3),
        **{name: round(value, 6) for name, value in figures.items()},
    }


def make_estimator(name: str, task: Task, seed: int) -> Estimator:
    """Return an unfitted estimator: one of `MODELS`, or what the FUNCTION of "MODULE:FUNCTION" returns."""
    if name in MODELS:
        return MODELS[name](task, seed)
    module, colon, function = name.partition(":")
    if not colon:
        raise ValueError(f"model {name!r} is neither one of {', '.join(MODELS)} nor MODULE:FUNCTION")
    return getattr(importlib.import_module(module), function)(task, seed)


def chainrule_of(task: Task, seed: int, preset: "Preset" = "default") -> Estimator:
    """Return TabularRegressor or TabularClassifier with the defaults of a preset."""
    import chainrule  # noqa: PLC0415 (each process imports what it runs)

    kind = chainrule.TabularRegressor if task == "regression" else chainrule.TabularClassifier
    return kind(preset=preset, random_state=seed, n_threads=1)


def lightgbm_of(task: Task, seed: int) -> Estimator:
    """Return LightGBM with its defaults; it takes pandas' categories as such."""
    import lightgbm  # noqa: PLC0415 (as above)

    kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    return kind(random_state=seed, n_jobs=1, verbose=-1)


def linear_of(task: Task, seed: int) -> Estimator:  # noqa: ARG001 (as the others)
    """Return a ridge or logistic regression on standardised numbers and one-hot categories."""
    from sklearn.compose import make_column_selector, make_column_transformer  # noqa: PLC0415 (as above)
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression, RidgeCV  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include=np.number)),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include=pd.CategoricalDtype)),
    )
    top = RidgeCV(np.logspace(-3, 3, 13)) if task == "regression" else LogisticRegression(max_iter=1000)
    return make_pipeline(columns, top)


MODELS: dict[str, Callable[[Task, int], Estimator]] = {
    "fast": partial(chainrule_of, preset="fast"),
    "default": chainrule_of,
    "best": partial(chainrule_of, preset="best"),
    "lightgbm": lightgbm_of,
    "linear": linear_of,
}
