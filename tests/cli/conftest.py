"""Tables in files, models fitted on them, and a way to run the command line."""

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from chainrule.cli.app import app
from chainrule.cli.files import write_table


def run(*args):
    """Run ``chainrule …``; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(name="run", scope="session")
def run_fixture():
    return run


def make_table(n_rows=240, seed=0):
    """Return inputs of every kind and a target of every kind."""
    rng = np.random.default_rng(seed)
    size = rng.normal(100, 30, n_rows)
    colour = rng.choice(["red", "green", "blue"], n_rows)
    old = rng.random(n_rows) < 0.4
    price = 3 * size + 50 * (colour == "red") + 0.02 * (size - 100) ** 2 + rng.normal(0, 5, n_rows)
    day = np.datetime64("2020-01-01") + rng.integers(0, 700, n_rows)
    return pa.table(
        {
            "size, m²": pa.array(np.where(rng.random(n_rows) < 0.1, np.nan, size), from_pandas=True),
            "colour": colour,
            "code": rng.choice(["A1", "02", "7"], n_rows),
            "old": old,
            "day": day.astype("datetime64[D]"),
            "street": [f"street {row}" for row in range(n_rows)],
            "price": price,
            "sold": np.where(price > np.median(price), "yes", "no"),
            "grade": np.digitize(price, np.quantile(price, [0.3, 0.6])) + 1,
            "calls": rng.poisson(np.exp(0.5 - 1.5 * old)),
        }
    )


@pytest.fixture(scope="session")
def table():
    return make_table()


@pytest.fixture(scope="session")
def homes(tmp_path_factory, table):
    """A folder with homes.csv and with a model for each target, fitted by the command line."""
    folder = tmp_path_factory.mktemp("homes")
    write_table(table, folder / "homes.csv")
    for target in ("price", "sold", "grade"):
        model = folder / f"{target}.safetensors"
        result = run(
            "fit",
            folder / "homes.csv",
            "--target",
            target,
            "--model",
            model,
            "--hidden",
            "8",
            "--epochs",
            "4",
        )
        assert result.exit_code == 0, result.stderr
        (folder / f"{target}.txt").write_text(result.stdout)
    return folder
