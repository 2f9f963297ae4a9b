"""What became slower between two revisions: ``python benchmarks/compare.py OLD NEW``.

Both are built into temporary folders and measured in turns, each turn in a new process. The exit code is 1
when something became slower by more than the noise.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import chainrule
from measuring import ROOT, Effort, Summary, summary, timed
from rivals import NETS, chainrule_epochs
from speed_report import interval, markdown

# What counts as slower: a median that is so many times the old one, with quartiles that do not meet.
FACTOR = 1.05
Sample = dict[str, float]  # seconds of an epoch, by net and threads


def main() -> int:
    """Build, measure, print the ratios, and return the exit code."""
    parser = argparse.ArgumentParser(description="Name what became slower between two revisions.")
    parser.add_argument("old", help="a git revision, such as main~1")
    parser.add_argument("new", help="another one, such as main")
    parser.add_argument("--repeats", type=int, default=Effort.repeats, help="turns of each (default: 7)")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats {arguments.repeats}: it must be at least 1")
    with tempfile.TemporaryDirectory() as folder:
        packages = [Path(folder, name) for name in ("old", "new")]
        for package, revision in zip(packages, (arguments.old, arguments.new), strict=True):
            print(f"building {revision}", file=sys.stderr, flush=True)
            build(revision, package)
        samples: tuple[list[Sample], list[Sample]] = ([], [])
        for turn in range(arguments.repeats):
            print(f"turn {turn + 1} of {arguments.repeats}", file=sys.stderr, flush=True)
            for taken, package in zip(samples, packages, strict=True):
                taken.append(sample_of(package))
    old, new = ({work: summary([sample[work] for sample in taken]) for work in taken[0]} for taken in samples)
    print(table(old, new))
    worse = [work for work in old if is_slower(old[work], new[work])]
    print(f"\nSlower in {arguments.new} than in {arguments.old}: {'; '.join(worse) or 'nothing'}.")
    return 1 if worse else 0


def build(revision: str, package: Path) -> None:
    """Install a revision, without what it depends on, into a folder of its own."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", revision], stdout=subprocess.PIPE, check=True
    )
    with tempfile.TemporaryDirectory() as source:
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
            files.extractall(source, filter="data")
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*install, "--target", str(package), source], check=True)


def sample_of(package: Path) -> Sample:
    """Return one sample of every work, by the chainrule in that folder, from a new process."""
    # -S: without the hooks of site-packages, of which an editable installation's would come before the folder
    command = [sys.executable, "-S", "-c", "import compare; compare.take_sample()"]
    paths = os.pathsep.join([str(package), str(Path(__file__).parent), *filter(None, sys.path)])
    process = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True, check=True
    )
    home, sample = json.loads(process.stdout)
    if not Path(home).is_relative_to(package):
        raise RuntimeError(f"{home} was measured instead of the chainrule in {package}.")
    return {work: float(seconds) for work, seconds in sample.items()}


def take_sample() -> None:
    """Print where chainrule is, and the seconds of an epoch of each net on one thread and on all."""
    sample = {}
    for net in NETS:
        data = net.data()
        for threads, n_threads in (("1 thread", 1), ("all threads", None)):
            sampler = timed(chainrule_epochs(net, data, n_threads), Effort.seconds)
            sampler()  # how often an epoch fits in a turn, and the choice of threads
            sample[f"{net.name}, {threads}"] = sampler()
    print(json.dumps([chainrule.__file__, sample]))


def is_slower(old: Summary, new: Summary) -> bool:
    """Return whether the new times are longer by more than the noise."""
    return new["median"] > FACTOR * old["median"] and new["lower"] > old["upper"]


def table(old: Mapping[str, Summary], new: Mapping[str, Summary]) -> str:
    """Return the times of both, and their ratios, in Markdown."""
    rows = []
    for work, before in old.items():
        ratio = new[work]["median"] / before["median"]
        mark = (
            " slower" if is_slower(before, new[work]) else " faster" if is_slower(new[work], before) else ""
        )
        rows.append([work, interval(before, 1e3), interval(new[work], 1e3), f"{ratio:.2f}{mark}"])
    return markdown(["net", "old: ms an epoch (quartiles)", "new: ms (quartiles)", "new / old"], rows)


if __name__ == "__main__":
    sys.exit(main())
