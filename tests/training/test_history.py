import json
import math

import numpy as np
import pytest

from chainrule.training import EpochRecord, GradientRecord, History


def records(n_epochs, **given):
    return [
        EpochRecord(epoch, 1 / epoch, learning_rate=0.1, seconds=0.5 * epoch, **given)
        for epoch in range(1, n_epochs + 1)
    ]


HISTORIES = {
    "validation and metrics": History(
        "native",
        1,
        "mae",
        [
            EpochRecord(1, 0.9, 0.8, 0.1, 0.25, {"rmse": 0.5, "mae": 2.0}, {"rmse": 0.25, "mae": 3.0}),
            EpochRecord(
                2, 1 / 3, 0.1 + 0.2, 0.05, 0.5, {"rmse": 0.75, "mae": 1.0}, {"rmse": 0.5, "mae": 2.0}
            ),
        ],
        best_epoch=2,
        stopped_by="patience",
    ),
    "train rows alone": History("reference", 2, "loss", records(3, validation_loss=None), 3, "time"),
    "L-BFGS": History("native", 1, "loss", [EpochRecord(1, 0.5, 0.25, None, 0.1)], 1, "converged"),
    "not finite": History(
        "native", 4, "loss", [EpochRecord(1, 0.5, math.inf, 0.1, 0.1, {"r2": 1.0}, {"r2": 0.5})], 0, "time"
    ),
    "gradients": History(
        "native",
        1,
        "loss",
        records(3, validation_loss=None),
        3,
        gradients=[GradientRecord(1, (0.5, 0.25)), GradientRecord(3, (0.1 + 0.2, math.inf))],
    ),
    "no epoch": History("native", 1, "loss", [], 0, "interrupt"),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_it_comes_back_from_json(name):
    history = HISTORIES[name]
    text = json.dumps(history.to_dict(), allow_nan=False)
    again = History.from_dict(json.loads(text))
    assert again == history
    assert [type(record.epoch) for record in again.epochs] == [int] * len(history.epochs)


def test_nan_comes_back_from_json():
    history = History("native", 1, "r2", [EpochRecord(1, 0.5, None, 0.1, 0.1, {"r2": math.nan})])
    text = json.dumps(history.to_dict(), allow_nan=False)
    assert math.isnan(History.from_dict(json.loads(text)).epochs[0].train_metrics["r2"])


def test_columns_are_arrays_by_name():
    columns = HISTORIES["validation and metrics"].columns()
    assert list(columns) == [
        "epoch", "train_loss", "validation_loss", "learning_rate", "seconds",
        "train_rmse", "train_mae", "validation_rmse", "validation_mae",
    ]  # fmt: skip
    assert np.array_equal(columns["epoch"], [1, 2])
    assert np.array_equal(columns["validation_rmse"], [0.25, 0.5])
    assert "validation_loss" not in HISTORIES["train rows alone"].columns()
    assert "learning_rate" not in HISTORIES["L-BFGS"].columns()
    assert HISTORIES["no epoch"].columns() == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "validation and metrics",
            "History(2 epochs, best 2 with validation mae 2, stopped by patience, native engine, 1 thread)",
        ),
        (
            "train rows alone",
            "History(3 epochs, last with train loss 0.333333, stopped by time, reference engine, 2 threads)",
        ),
        ("no epoch", "History(0 epochs, stopped by interrupt, native engine, 1 thread)"),
    ],
)
def test_it_says_in_a_line_what_happened(name, text):
    assert repr(HISTORIES[name]) == text


def test_a_record_gives_the_monitored_quantity():
    record = HISTORIES["validation and metrics"].epochs[0]
    assert (record.value("loss"), record.value("mae")) == (0.8, 3.0)
    alone = EpochRecord(1, 0.9, None, 0.1, 0.1, {"mae": 2.0})
    assert (alone.value("loss"), alone.value("mae")) == (0.9, 2.0)
