"""How accurate is it: ``python benchmarks/accuracy.py``.

Runs estimators under the shared protocol on every data set that its table of peers names, in parallel
processes of one thread each. Every result is a row that is appended to a CSV file, and what stands there is
not run again. The tables put errors and CPU seconds beside the peers'. ``--inner`` scores on rows of the
training part, never on the protocol's test rows: all choices of a recipe are made there.
"""

import argparse
import csv
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from multiprocessing import get_context
from pathlib import Path

import accuracy_report
from accuracy_runs import MODELS, Job, read_peers, run
from measuring import ROOT

RESULTS = ROOT / "benchmarks" / "results"
# Libraries read these when they are loaded, and the processes inherit them.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Results:
    """A CSV file of results, one row a job; rows are only ever added.

    Parameters
    ----------
    path : Path
        The file; it is made with the first row.
    """

    path: Path

    def rows(self) -> list[dict[str, str]]:
        """Return all rows."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def of(self, jobs: Sequence[Job]) -> list[dict[str, str]]:
        """Return the rows of these jobs."""
        wanted = {_key(asdict(job)) for job in jobs}
        return [row for row in self.rows() if _key(row) in wanted]

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that have no row yet."""
        done = {_key(row) for row in self.rows()}
        return [job for job in jobs if _key(asdict(job)) not in done]

    def add(self, row: dict[str, object]) -> None:
        """Append a row."""
        new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, accuracy_report.COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)


def _key(job: Mapping[str, object]) -> tuple[str, ...]:
    """Return what tells a job, or the job of a row, from others."""
    return tuple(str(job[field.name]) for field in fields(Job))


def main() -> int:
    """Run what is missing, print the tables, and return the exit code: 1 where a job failed."""
    arguments = parsed_arguments()
    peers = read_peers(arguments.shared)
    sets = arguments.sets or sorted({row["dataset"] for row in peers})
    rows_name = "inner" if arguments.inner else "test"
    jobs = [
        Job(dataset, model, seed, rows_name, arguments.max_rows)
        for seed in arguments.seeds
        for dataset in sets
        for model in arguments.models
    ]
    results = Results(arguments.results or RESULTS / f"accuracy-{rows_name}.csv")
    failed = 0 if arguments.table else run_missing(results, jobs, arguments.shared, arguments.jobs)
    rows = results.of(jobs)
    # peers have seen the test rows of seed 0 alone
    print(accuracy_report.tables(rows, peers if rows_name == "test" else [], arguments.models))
    if arguments.figure:
        accuracy_report.draw(rows, peers, arguments.figure)
    return 1 if failed else 0


def run_missing(results: Results, jobs: Sequence[Job], shared: Path, n_processes: int) -> int:
    """Run the jobs that have no result, and append theirs; return how many failed."""
    failed = 0
    for row in finished(results.missing(jobs), shared, n_processes):
        failed += "failure" in row
        if "failure" in row:
            print(f"{row['model']} on {row['dataset']}: {row['failure']}", file=sys.stderr, flush=True)
        else:
            results.add(row)
            print(accuracy_report.line(row), file=sys.stderr, flush=True)
    return failed


def finished(jobs: Sequence[Job], shared: Path, n_processes: int) -> Iterator[dict[str, object]]:
    """Yield the row of each job as it is done; a new process for each, so that none sees another's state."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    with ProcessPoolExecutor(n_processes, get_context("spawn"), max_tasks_per_child=1) as pool:
        futures = {pool.submit(run, job, shared): job for job in jobs}
        for future in as_completed(futures):
            try:
                yield future.result()
            except Exception as error:  # whatever an estimator raises is its result
                yield {**asdict(futures[future]), "failure": f"{type(error).__name__}: {error}"}


def parsed_arguments() -> argparse.Namespace:
    """Return the arguments, checked."""
    parser = argparse.ArgumentParser(description="Errors and CPU seconds beside the peers'.")
    parser.add_argument(
        "--models",
        nargs="+",
        default=["fast", "default", "best"],
        help=f"of {', '.join(MODELS)}, or MODULE:FUNCTION, which is called with task and seed "
        "(default: the three presets)",
    )
    parser.add_argument("--inner", action="store_true", help="train and score on training rows alone")
    parser.add_argument("--figure", type=Path, help="draw error against CPU seconds into this SVG or PNG")
    return parsed_runs(parser, None, seeds=[0])


def parsed_runs(
    parser: argparse.ArgumentParser, results: Path | None, seeds: list[int]
) -> argparse.Namespace:
    """Return the arguments, checked, with those that say what is run, and where its results go."""
    parser.add_argument("--sets", nargs="+", help="names of data sets (default: those of the peers)")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=seeds, help="of split and model (default: %(default)s)"
    )
    parser.add_argument("--max-rows", type=int, default=10_000, help="training rows at most")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (default: 1)")
    parser.add_argument(
        "--results", type=Path, default=results, help="the CSV file that rows are appended to"
    )
    parser.add_argument("--table", action="store_true", help="run nothing, print the tables")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="data and protocol")
    arguments = parser.parse_args()
    if not (arguments.shared / "accuracy" / "protocol.py").is_file():
        parser.error(f"--shared {arguments.shared}: it has no accuracy/protocol.py")
    if arguments.jobs < 1 or arguments.max_rows < 1:
        parser.error("--jobs and --max-rows must be at least 1")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
