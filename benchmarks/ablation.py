"""What each ingredient of the recipe gives: ``python benchmarks/ablation.py``.

A variant is a preset of the Tabular estimators with one ingredient taken out. All are fitted and scored on
rows of the training part (as by ``accuracy.py --inner``), with the same seeds on the same rows as the preset,
and are compared with it pair by pair. Results are appended to a CSV file, as there.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from scipy import stats

from accuracy import RESULTS, Results, parsed_runs, run_missing
from accuracy_report import SMALL, Row, figures_of, log_ratios, seconds_per_thousand
from accuracy_runs import Estimator, Job, Task, chainrule_of, read_peers
from chainrule.estimators import ensemble, members, recipe
from chainrule.estimators.recipe import Portfolio, Preset
from chainrule.optimization import Constant
from speed_report import markdown


@dataclass(frozen=True)
class Variant:
    """A preset with one ingredient taken out; called with task and seed it returns an unfitted estimator.

    Parameters
    ----------
    ingredient : str
        What was taken out, and what stands in its place.
    preset : {"fast", "default", "best"}
        Which preset it is otherwise.
    change : callable
        From the portfolio to that of the variant.
    prepare : callable, default nothing
        Changes what the recipe does not say; each fit has a process of its own.
    """

    ingredient: str
    preset: Preset
    change: Callable[[Portfolio], Portfolio] = lambda portfolio: portfolio
    prepare: Callable[[], object] = lambda: None

    def __call__(self, task: Task, seed: int) -> Estimator:
        """Return the estimator, and make this process fit it so."""
        few, many = recipe.PORTFOLIOS[self.preset]
        recipe.PORTFOLIOS[self.preset] = (self.change(few), self.change(many))
        self.prepare()
        return chainrule_of(task, seed, self.preset)


def each(**settings: Any) -> Callable[[Portfolio], Portfolio]:
    """Return the change that gives these settings to all kinds of a portfolio."""
    return lambda portfolio: tuple(replace(kind, **settings) for kind in portfolio)


def only(number: int) -> Callable[[Portfolio], Portfolio]:
    """Return the change that makes all members of one kind, but for those that see codes."""

    def change(portfolio: Portfolio) -> Portfolio:
        n_members = sum(kind.n_members for kind in portfolio if not kind.codes)
        chosen = replace(portfolio[number], n_members=n_members)
        seeing = [replace(kind, n_ramps=chosen.n_ramps) for kind in portfolio if kind.codes]
        return (chosen, *seeing)

    return change


def without_codes(portfolio: Portfolio) -> Portfolio:
    """Leave out the members that see codes."""
    return tuple(kind for kind in portfolio if not kind.codes)


def one_member(portfolio: Portfolio) -> Portfolio:
    """Return the first kind alone, with one member."""
    return (replace(portfolio[0], n_members=1),)


def weigh_alike() -> None:
    """Give all members the same weight."""
    patch.object(members.Plan, "weighted", lambda _, trained: list(trained)).start()


def keep_the_rate() -> None:
    """Let the learning rate be the same from the first step to the last."""
    patch.object(ensemble, "OneCycle", Constant).start()


# The names in the results file → the variants. What a single network has is asked of "fast" and of "default",
# which trains longer and averages more of them; what is about the ensemble mostly of "default".
VARIANTS: Mapping[str, Variant] = {
    "fast_no_ramps": Variant("ramps: none in any member", "fast", only(1)),
    "fast_all_ramps": Variant("members without ramps: ramps in all", "fast", only(0)),
    "fast_no_codes": Variant("codes: no members for them", "fast", without_codes),
    "fast_no_scale": Variant("scale of the inputs (N27): none", "fast", each(input_scale=0.0)),
    "fast_no_smoothing": Variant("label smoothing: none", "fast", each(label_smoothing=0.0)),
    "fast_no_dropout": Variant("dropout: none", "fast", each(dropout=0.0)),
    "fast_beta_2": Variant("β₂ = 0.95: 0.999", "fast", each(beta_2=0.999)),
    "fast_relu": Variant("SiLU: ReLU", "fast", each(activation="relu")),
    "fast_constant_rate": Variant("one-cycle schedule: a constant rate", "fast", prepare=keep_the_rate),
    "fast_alike": Variant("greedy weights: all alike", "fast", prepare=weigh_alike),
    "default_one_member": Variant("ensemble: one network with ramps", "default", one_member),
    "default_no_ramps": Variant("ramps: none in any member", "default", only(1)),
    "default_all_ramps": Variant("members without ramps: ramps in all", "default", only(0)),
    "default_no_codes": Variant("codes: no members for them", "default", without_codes),
    "default_no_scale": Variant("scale of the inputs (N27): none", "default", each(input_scale=0.0)),
    "default_no_smoothing": Variant("label smoothing: none", "default", each(label_smoothing=0.0)),
    "default_no_dropout": Variant("dropout: none", "default", each(dropout=0.0)),
    "default_beta_2": Variant("β₂ = 0.95: 0.999", "default", each(beta_2=0.999)),
    "default_alike": Variant("greedy weights: all alike", "default", prepare=weigh_alike),
}


def __getattr__(name: str) -> Variant:
    """Return a variant: so is it named as MODULE:FUNCTION."""
    if name in VARIANTS:
        return VARIANTS[name]
    raise AttributeError(f"no variant {name!r}: there are {', '.join(VARIANTS)}")


def main() -> int:
    """Run what is missing, print the table, and return the exit code: 1 where a fit failed."""
    arguments = parsed_arguments()
    variants = {f"{Path(__file__).stem}:{name}": VARIANTS[name] for name in arguments.variants}
    sets = arguments.sets or sorted({row["dataset"] for row in read_peers(arguments.shared)})
    models = [*dict.fromkeys(variant.preset for variant in variants.values()), *variants]
    jobs = [
        Job(dataset, model, seed, "inner", arguments.max_rows)
        for seed in arguments.seeds
        for model in models
        for dataset in sets
    ]
    results = Results(arguments.results)
    failed = 0 if arguments.table else run_missing(results, jobs, arguments.shared, arguments.jobs)
    rows = results.of(jobs)
    print(table(rows, variants))
    return 1 if failed else 0


def table(rows: Sequence[Row], variants: Mapping[str, Variant]) -> str:
    """Return the table: what becomes of error, log-loss and CPU seconds without each ingredient."""
    body = []
    for name, variant in variants.items():
        error = compared(rows, name, variant.preset, "error", SMALL)
        log_loss = compared(rows, name, variant.preset, "log_loss", 0.0)
        seconds = seconds_per_thousand(rows, name) / seconds_per_thousand(rows, variant.preset)
        if error.n_sets:
            body.append(
                [
                    variant.preset,
                    variant.ingredient,
                    f"{error.mean:.3f} ({error.low:.3f} to {error.high:.3f})",
                    f"{error.n_worse} of {error.n_sets}",
                    f"{log_loss.mean:.3f}",
                    f"{seconds:.2f}",
                ]
            )
    head = ["preset", "ingredient: in its place", "error ×", "sets worse", "log-loss ×", "CPU ×"]
    return markdown(head, body)


class Ratio(NamedTuple):
    """A geometric mean over sets of ratios, its 95% interval, on how many of the sets it is above 1."""

    mean: float
    low: float
    high: float
    n_worse: int
    n_sets: int


def compared(rows: Sequence[Row], model: str, other: str, quantity: str, add: float) -> Ratio:
    """Return the ratio of a quantity of two models.

    Of each set the mean over the seeds counts once: another choice would be one of other sets.
    """
    of_set: dict[str, list[float]] = {}
    ours, theirs = figures_of(rows, model, quantity), figures_of(rows, other, quantity)
    for (dataset, _), log in log_ratios(ours, theirs, add).items():
        of_set.setdefault(dataset, []).append(log)
    if not of_set:
        return Ratio(np.nan, np.nan, np.nan, 0, 0)
    logs = np.array([np.mean(values) for values in of_set.values()])
    mean = logs.mean()
    half = stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs) if len(logs) > 1 else np.nan
    low, middle, high = np.exp([mean - half, mean, mean + half]).tolist()
    return Ratio(middle, low, high, int((logs > 0).sum()), len(logs))


def parsed_arguments() -> argparse.Namespace:
    """Return the arguments, checked."""
    parser = argparse.ArgumentParser(description="What each ingredient of the recipe gives.")
    parser.add_argument(
        "--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME"
    )
    return parsed_runs(parser, RESULTS / "ablation.csv", seeds=[0, 1, 2])


if __name__ == "__main__":
    sys.exit(main())
