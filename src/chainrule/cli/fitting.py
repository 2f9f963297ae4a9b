"""The commands that fit: hold rows out, train the linear model and the network, score both, keep all."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chainrule.cli import console
from chainrule.cli.files import read_table, require_columns, require_writable, write_table
from chainrule.errors import InputError
from chainrule.estimators import TabularClassifier, TabularRegressor
from chainrule.estimators.choice import (
    FOR_CLASSES,
    likelihood_of_classes,
    likelihood_of_numbers,
    metric_of,
)
from chainrule.estimators.recipe import Preset
from chainrule.estimators.rows import read_groups
from chainrule.estimators.targets import order_of, read_numbers, read_target
from chainrule.likelihoods import Poisson, exposure_offset
from chainrule.network import checked_weight
from chainrule.report import Evaluation, Fit, KnownRows, evaluate, write_report
from chainrule.tables import task_of_target
from chainrule.training import split_validation

FEWEST_ROWS = 10  # below, rows that are held out are missed too much and say too little
DEMO_SEED = 0
BESIDE = ("offset", "exposure", "weight", "group")  # what a column that is no input may be


@dataclass(frozen=True)
class Job:
    """What ``chainrule fit`` was asked for; None stands for "as the recipe has it"."""

    data: Path
    target: str
    model: Path
    html: Path
    task: Literal["auto", "regression", "classification"] = "auto"
    likelihood: str = "auto"
    offset_column: str | None = None
    exposure_column: str | None = None
    event_column: str | None = None
    weight_column: str | None = None
    group_column: str | None = None
    categorical: tuple[str, ...] = ()
    preset: Preset = "default"
    metric: str | None = None
    validation: Literal["random", "last"] = "random"
    class_weight: Literal["balanced"] | None = None
    hidden: tuple[int, ...] | None = None
    epochs: int | None = None
    time_limit: float | None = None
    test_fraction: float = 0.2
    seed: int = 0
    n_threads: int | None = None
    quiet: bool = False

    @property
    def targets(self) -> list[str]:
        """The columns of the target: one, or a time and whether the event came then."""
        return [self.target] if self.event_column is None else [self.target, self.event_column]

    @property
    def moved_by(self) -> dict[str, str]:
        """The columns beside the inputs that a prediction needs too, by what they are."""
        return _named({"offset": self.offset_column, "exposure": self.exposure_column})

    @property
    def beside(self) -> dict[str, str]:
        """The columns that are neither target nor input, by what they are."""
        return self.moved_by | _named({"weight": self.weight_column, "group": self.group_column})

    @property
    def likelihood_of_y(self) -> str:
        """The name of the likelihood: of censored times Weibull's."""
        censored = self.event_column is not None and self.likelihood == "auto"
        return "weibull" if censored else self.likelihood

    def inputs(self, table: pa.Table) -> pa.Table:
        """Return the columns to predict from."""
        return table.drop_columns([*self.targets, *self.beside.values()])

    def given(self, table: pa.Table) -> dict[str, pa.Table]:
        """Return the offset and the exposure, as keywords of a fit and a prediction."""
        return {what: table.select([name]) for what, name in self.moved_by.items()}

    def weight(self, table: pa.Table) -> NDArray[np.float64] | None:
        """Return how much each row counts in the training, None where all count the same."""
        if self.weight_column is None:
            return None
        weight, _ = read_numbers("the weight", table.select([self.weight_column]))
        checked_weight(weight, table.num_rows, weight.dtype)
        return weight

    def groups(self, table: pa.Table) -> NDArray[np.int64] | None:
        """Return the number of each row's group, None where each row stands for itself."""
        return None if self.group_column is None else read_groups(table[self.group_column], table.num_rows)


def _named(names: dict[str, str | None]) -> dict[str, str]:
    return {what: name for what, name in names.items() if name is not None}


@dataclass(frozen=True)
class Split:
    """A table cut into the rows to learn from and the rows to be scored on (None without any)."""

    task: str
    train: pa.Table
    test: pa.Table | None
    how: str


def fit(job: Job) -> None:
    """Do ``chainrule fit``."""
    require_writable(job.model, (".safetensors",))
    require_writable(job.html, (".html", ".htm"))
    table = read_table(job.data)
    require_columns(table, [*job.targets, *job.beside.values(), *job.categorical], str(job.data))
    require_apart(job)
    if job.inputs(table).num_columns == 0:
        raise InputError(f"{job.data} has no column but {job.target!r}: there is nothing to predict it from.")
    split = held_out(table, job)
    fitted = train_both(split, job)
    model = shlex.quote(str(job.model))
    data = shlex.quote(str(job.data))
    next_steps = (
        (
            f"chainrule predict {model} {data} --out predictions.csv",
            "predict for any table with these columns",
        ),
        (f"chainrule evaluate {model} {data}", "score the model on any table that has the target too"),
    )
    finish(job, split, fitted, next_steps, data=job.data.name)


def demo(folder: Path) -> None:
    """Do ``chainrule demo``."""
    model, html, rows = (folder / f"chainrule-demo.{ending}" for ending in ("safetensors", "html", "csv"))
    require_writable(model, (".safetensors",))
    with as_file(files("chainrule") / "data" / "bike_sharing_hour.parquet") as path:
        job = Job(path, "rentals", model, html, "regression", test_fraction=0.25, seed=DEMO_SEED)
        split = held_out(read_table(path), job)
    console.say(
        "Bicycles rented in each hour of 2011 and 2012 in Washington, D.C. (Bike Sharing, UCI, CC BY 4.0).\n"
        f"{split.how}"
    )
    fitted = train_both(split, job)
    write_table(split.test, rows)
    names = [shlex.quote(str(path)) for path in (model, rows)]
    next_steps = (
        (f"chainrule predict {' '.join(names)}", "predict the rentals of the held-out hours"),
        (f"chainrule evaluate {' '.join(names)}", "score the model on them again"),
        ("chainrule fit YOUR.csv --target COLUMN", "learn a table of your own"),
    )
    finish(
        job,
        split,
        fitted,
        next_steps,
        data="bike_sharing_hour (Bike Sharing, UCI, doi 10.24432/C5W894, CC BY 4.0)",
    )


def require_apart(job: Job) -> None:
    """Raise where one column is asked to be two things, or where two options contradict each other."""
    names = [*job.targets, *job.beside.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{twice[0]!r} is named as two things: target, event, {', '.join(BESIDE)}.")
    no_inputs = [name for name in job.categorical if name in names]
    if no_inputs:
        raise InputError(f"--categorical {no_inputs[0]} is no input: it is the target or stands beside them.")
    if job.likelihood == "weibull" and job.event_column is None:
        raise InputError(
            "--likelihood weibull needs --event-column: 1 where the event came at the time of the target, 0 "
            "where it had not come yet."
        )
    if job.group_column is not None and job.validation == "last":
        raise InputError(
            "--group-column holds whole groups out and --validation last the last rows: choose one of them."
        )


def held_out(table: pa.Table, job: Job) -> Split:
    """Find out what there is to do and hold rows out: like the rows that say when to stop."""
    # before the split, so that an error names the rows of the file, and comes before any work
    values, _ = read_target(table.select(job.targets))
    if job.exposure_column is not None:
        exposure, _ = read_numbers("exposure", table.select([job.exposure_column]))
        exposure_offset(Poisson(), exposure, table.num_rows)
    job.weight(table)
    groups = job.groups(table)
    target = table[job.target]
    numbers = job.event_column is not None or job.likelihood not in {"auto", *FOR_CLASSES}
    task = job.task
    if task == "auto":
        task = "regression" if numbers else task_of_target(target)
        task = "classification" if job.likelihood in FOR_CLASSES else task
    if job.class_weight is not None and task == "regression":
        raise InputError(
            f"--class-weight is for classes, and {job.target!r} is taken for a number: leave it out, or say "
            "--task classification."
        )
    if task == "regression":
        likelihood = likelihood_of_numbers(job.likelihood_of_y, values)
        likelihood.prepare(values)
    else:
        likelihood, _ = likelihood_of_classes(job.likelihood_of_y, values, order_of(target))
    metric_of(job.metric, likelihood)
    n_rows = table.num_rows
    if job.test_fraction == 0:
        return Split(task, table, None, "No rows were held out, so there are no scores.")
    if n_rows < FEWEST_ROWS:
        raise InputError(
            f"{job.data} has {n_rows} {'row' if n_rows == 1 else 'rows'}: too few to hold some out for the "
            "scores. Give more rows, or --test-fraction 0 to fit on all and score none."
        )
    if job.validation == "last":
        first = n_rows - max(round(job.test_fraction * n_rows), 1)
        how = f"Held out for the scores: the last {n_rows - first:,} rows."
        return Split(task, table.slice(0, first), table.slice(first), how)
    stratify = None
    if task == "classification":
        _, stratify = np.unique(np.array([str(label) for label in target.to_pylist()]), return_inverse=True)
    train, test = split_validation(n_rows, job.test_fraction, job.seed, stratify=stratify, groups=groups)
    how = f"Held out for the scores: {len(test):,} rows, "
    if groups is not None:
        how += f"those of {len(np.unique(groups[test])):,} of the {len(np.unique(groups)):,} groups."
        return Split(task, table.take(train), table.take(test), how)
    how += "drawn at random" + ", the same share of each class" * (stratify is not None)
    how += ". Where rows follow each other in time, later ones can be harder to predict."
    return Split(task, table.take(train), table.take(test), how)


@dataclass(frozen=True)
class Fitted:
    """The network, and on the held-out rows its scores beside those of the linear model."""

    model: Any
    evaluation: Evaluation | None
    linear: Evaluation | None


def train_both(split: Split, job: Job) -> Fitted:
    """Train the linear model, which shows what the network adds, and the network; save that one."""
    linear = None
    if split.test is not None:
        say_step(job, f"The linear model, {split.train.num_rows:,} rows:")
        linear_model = fitted_model(split, job, hidden=(), epochs=None)
        if linear_model.stopped_by_ == "interrupt":
            raise KeyboardInterrupt("nothing was saved")
        if linear_model.stopped_by_ == "time":
            say_step(job, "The time limit ended the linear model early: with more time it may be better.")
        linear = evaluate_on(split.test, linear_model, job)
    say_step(job, f"The network, {split.train.num_rows:,} rows:")
    model = fitted_model(split, job, hidden=job.hidden, epochs=job.epochs)
    model.save(job.model)  # at once: whatever stops the scoring, what was learnt is there
    return Fitted(model, None if split.test is None else evaluate_on(split.test, model, job), linear)


def fitted_model(split: Split, job: Job, hidden: tuple[int, ...] | None, epochs: int | None) -> Any:
    """Return a model that has learnt the training rows; Ctrl-C before it learnt anything ends the command."""
    kind = TabularClassifier if split.task == "classification" else TabularRegressor
    for_classes: dict[str, Any] = {"class_weight": job.class_weight} if kind is TabularClassifier else {}
    model = kind(
        preset=job.preset,
        likelihood=job.likelihood_of_y,
        hidden=hidden,
        epochs=epochs,
        metric=job.metric,
        validation=job.validation,
        categorical_features=list(job.categorical) or None,
        time_limit=job.time_limit,
        random_state=job.seed,
        n_threads=job.n_threads,
        verbose=0 if job.quiet else 1,
        **for_classes,
    )
    model.fit(
        job.inputs(split.train),
        split.train.select(job.targets),
        job.weight(split.train),
        groups=job.groups(split.train),
        **job.given(split.train),
    )
    if model.stopped_by_ == "interrupt" and model.best_epoch_ == 0:
        raise KeyboardInterrupt("nothing was saved")
    return model


def evaluate_on(table: pa.Table, model: Any, job: Job) -> Evaluation:
    """Return the scores of a model on a table that has the target too."""
    rows = known_rows(table, job)
    return evaluate(model, rows.inputs, rows.target, **rows.given)


def known_rows(table: pa.Table, job: Job) -> KnownRows:
    """Return the rows of a table with their target, as the model takes them."""
    return KnownRows(job.inputs(table), table.select(job.targets), job.given(table))


def finish(job: Job, split: Split, fitted: Fitted, next_steps: Sequence[tuple[str, str]], data: str) -> None:
    """Write the page, print the scores and what can be done next."""
    model = fitted.model
    page = Fit(
        model,
        target=job.target,
        data=data,
        n_train=split.train.num_rows,
        n_test=0 if split.test is None else split.test.num_rows,
        split=split.how,
        evaluation=fitted.evaluation,
        linear=fitted.linear,
        rows=None if split.test is None else known_rows(split.test, job),
        command=shlex.join(["chainrule", *sys.argv[1:]]),
        next_steps=tuple(next_steps),
    )
    write_report(job.html, page)
    if fitted.evaluation is not None and fitted.linear is not None:
        show_scores(fitted.evaluation, fitted.linear, job.target)
    if not job.quiet:
        console.say(f"Model: {job.model}\nPage:  {job.html}")
        console.say_next(next_steps)
    if model.stopped_by_ == "interrupt":
        console.note("interrupted: the best parameters so far are in the model file.")
        raise console.InterruptedFitError


def show_scores(network: Evaluation, linear: Evaluation, target: str) -> None:
    """Print the scores of both models side by side."""
    pairs = zip(linear.scores, network.scores, strict=True)
    console.say_table(
        f"Scores on {len(network.actual):,} held-out rows",
        ("", "linear model", "network", "change"),
        [(new.name, str(old), str(new), new.change_from(old)) for old, new in pairs],
    )
    if network.scores[-1].name == "MAE":
        console.say(f"RMSE and MAE are in the unit of {target}.")


def say_step(job: Job, line: str) -> None:
    """Say on stderr what comes now."""
    if not job.quiet:
        console.note(line)
