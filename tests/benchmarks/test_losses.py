"""The cost of the losses: every likelihood is measured, and a short run gives a share for each."""

import json
import sys

import losses
from chainrule.likelihoods import LIKELIHOODS


def test_a_short_run_measures_every_likelihood(tmp_path, monkeypatch, capsys):
    results = tmp_path / "losses.json"
    monkeypatch.setattr(
        sys, "argv", ["losses.py", "--repeats", "1", "--seconds", "0.0001", "--results", str(results)]
    )
    losses.main()
    assert {likelihood.name for likelihood in losses.LIKELIHOODS.values()} == set(LIKELIHOODS)
    shares = json.loads(results.read_text(encoding="utf-8"))["shares"]
    assert set(shares) == set(losses.LIKELIHOODS)
    assert all(share > 0 for share in shares.values())
    assert capsys.readouterr().out.count("%") == len(shares)
