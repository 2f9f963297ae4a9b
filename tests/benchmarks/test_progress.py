"""The cost of watching: a short run measures each way in each training, and leaves stderr as it was."""

import json
import sys

import progress


def test_a_short_run_measures_each_way(tmp_path, monkeypatch, capsys):
    results, before = tmp_path / "progress.json", sys.stderr
    options = ["--repeats", "1", "--share", "0.05", "--results", str(results)]
    monkeypatch.setattr(sys, "argv", ["progress.py", *options])
    progress.main()
    assert sys.stderr is before
    added = json.loads(results.read_text(encoding="utf-8"))["added"]
    assert set(added) == set(progress.TRAININGS)
    for row in added.values():
        assert set(row) == {"seconds", *progress.WAYS}
        assert row["seconds"] > 0
        assert all(0 < low <= median <= high for median, low, high in map(row.get, progress.WAYS))
    assert capsys.readouterr().out.count("%") == 2 * 3


def test_each_way_shows_where_it_says(capsys):
    seconds = progress.training(64, 2)
    for way in progress.WAYS:
        whole, watching = seconds(way)
        assert 0 < watching < whole
    assert capsys.readouterr().err == ""
