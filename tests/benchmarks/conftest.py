"""The benchmarks are scripts beside one another, and import each other as such."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

PROTOCOL = """
import numpy as np, pandas as pd
def load(path):
    frame = pd.read_parquet(path)
    y = frame.pop("target").to_numpy()
    return frame, y, "regression" if y.dtype.kind == "f" else "binary"
def split(n_rows, seed=0):
    order = np.random.default_rng(seed).permutation(n_rows)
    return order[n_rows // 4:], order[: n_rows // 4]
def score(task, y_true, prediction, classes=None):
    if task == "regression":
        rmse = float(np.sqrt(np.mean((y_true - prediction) ** 2)))
        return {"error": rmse / float(np.std(y_true)), "rmse": rmse}
    right = np.asarray(classes)[prediction.argmax(1)] == y_true
    return {"error": float(1 - right.mean()), "log_loss": 0.5}
"""


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A small folder like the one with the data and the protocol."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "accuracy").mkdir()
    (folder / "data").mkdir()
    (folder / "accuracy" / "protocol.py").write_text(PROTOCOL)
    (folder / "accuracy" / "peers.csv").write_text(
        "dataset,model,seed,task,n_train,n_test,fit_cpu_s,fit_wall_s,predict_s,error,rmse,log_loss,auc\n"
        "line,rival,0,regression,90,30,9.0,1,1,0.5,1,,\n"
        "sign,rival,0,binary,90,30,1.8,1,1,0.25,,0.4,0.9\n"
    )
    x = np.random.default_rng(0).normal(size=(120, 2))
    frame = pd.DataFrame(x, columns=["a", "b"])
    frame.assign(target=3 * x[:, 0] + 1).to_parquet(folder / "data" / "line.parquet")
    frame.assign(target=(x[:, 0] > 0).astype(int)).to_parquet(folder / "data" / "sign.parquet")
    return folder
