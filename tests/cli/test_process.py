"""The command as a process of its own: help, pipes, Ctrl-C, the demo from beginning to end."""

import os
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

import chainrule
from chainrule.cli.files import read_table, write_table

COMMAND = [sys.executable, "-W", "error", "-m", "chainrule"]


def start(*args, **options):
    return subprocess.Popen(
        [*COMMAND, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **options,
    )


def finished(*args, **options):
    process = start(*args, **options)
    stdout, stderr = process.communicate(timeout=300)
    return process.returncode, stdout, stderr


@pytest.mark.parametrize("command", ["demo", "fit", "predict", "evaluate"])
def test_help_has_examples_that_name_the_command(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert re.search(rf"Examples:\s+chainrule {command}", result.stdout)


def test_help_lists_the_commands_and_version_the_version(run):
    for arguments in (["--help"], ["-h"]):
        result = run(*arguments)
        assert result.exit_code == 0
        assert all(command in result.stdout for command in ("demo", "fit", "predict", "evaluate"))
    assert run("--version").stdout == f"chainrule {chainrule.__version__}\n"
    code, stdout, stderr = finished("--version")
    assert (code, stdout, stderr) == (0, f"chainrule {chainrule.__version__}\n", "")


def test_what_is_piped_is_plain_text(homes, tmp_path):
    fit = [
        "fit",
        homes / "homes.csv",
        "--target",
        "sold",
        "--model",
        tmp_path / "m.safetensors",
        "--epochs",
        "2",
    ]
    code, stdout, stderr = finished(*fit, env={**os.environ, "TERM": "xterm-256color"})
    assert code == 0, stderr
    assert "\x1b" not in stdout + stderr
    assert "\r" not in stdout + stderr
    assert "Scores on 48 held-out rows" in stdout
    assert "epoch 1/" in stderr
    assert "Traceback" not in stderr


def test_a_reader_that_has_enough_is_no_error(homes, tmp_path):
    table = read_table(homes / "homes.csv")
    write_table(pa.concat_tables([table] * 100), tmp_path / "many.csv")
    process = start("predict", homes / "sold.safetensors", tmp_path / "many.csv")
    assert process.stdout.readline() == '"prediction","probability_no","probability_yes"\n'
    process.stdout.close()
    with process.stderr:
        stderr = process.stderr.read()
    process.wait(timeout=60)
    assert "error" not in stderr
    assert "Traceback" not in stderr


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """Arguments of a fit that would go on for hours."""
    folder = tmp_path_factory.mktemp("endless")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4))
    y = np.sin(X[:, 0]) + rng.normal(size=3000)
    write_table(pa.table({**{f"x{i}": X[:, i] for i in range(4)}, "y": y}), folder / "data.parquet")
    return ["fit", folder / "data.parquet", "--target", "y", "--epochs", "100000000", "--hidden", "8"]


def interrupted(process, line):
    """Send Ctrl-C when a line of stderr begins so; return the exit code and both outputs."""
    seen = []
    for text in process.stderr:
        seen.append(text)
        if text.startswith(line):
            process.send_signal(signal.SIGINT)
            break
    try:
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()  # where it did not listen
    return process.returncode, stdout, "".join(seen) + stderr


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_ctrl_c_keeps_the_best_so_far(endless, tmp_path):
    process = start(*endless, "--model", tmp_path / "m.safetensors")
    code, stdout, stderr = interrupted(process, "epoch 1/100000000")
    assert code == 130, stderr
    assert "Traceback" not in stderr
    assert "the best parameters so far are in the model file" in stderr
    assert "Scores on 600 held-out rows" in stdout
    model = chainrule.load(tmp_path / "m.safetensors")
    assert model.stopped_by_ == "interrupt"
    assert 1 <= model.best_epoch_ <= len(model.history_.epochs)
    assert "it was interrupted (Ctrl-C)" in (tmp_path / "m.html").read_text()


@pytest.mark.slow
def test_the_demo_and_the_commands_that_it_prints(tmp_path):
    code, stdout, stderr = finished("demo", cwd=tmp_path)
    assert code == 0, stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        f"chainrule-demo.{ending}" for ending in ("safetensors", "html", "csv")
    }
    assert "RMSE and MAE are in the unit of rentals." in stdout
    linear, network = map(float, re.search(r"│ R² +│ +(\S+) │ +(\S+) │", stdout).groups())
    assert 0.3 < linear < 0.5
    assert network > 0.9
    printed = [shlex.split(line) for line in re.findall(r"^  chainrule (.*)$", stdout, flags=re.MULTILINE)]
    commands = {arguments[0]: arguments for arguments in printed}
    assert set(commands) == {"predict", "evaluate", "fit"}
    code, predictions, stderr = finished(*commands["predict"], cwd=tmp_path)
    assert (code, stderr) == (0, "")
    code, scores, stderr = finished(*commands["evaluate"], cwd=tmp_path)
    assert (code, stderr) == (0, "")
    # the rows in the file are the held-out ones: the same scores, and the same from the predictions
    assert re.search(r"│ R² +│ +(\S+) │", scores).group(1) == f"{network:.4f}"
    actual = np.asarray(read_table(tmp_path / "chainrule-demo.csv")["rentals"], dtype=float)
    error = actual - np.array(predictions.splitlines()[1:], dtype=float)
    assert 1 - (error**2).sum() / ((actual - actual.mean()) ** 2).sum() == pytest.approx(network, abs=1e-4)
