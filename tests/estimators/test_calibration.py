"""Ranks, coverage and temperatures: exact where probability theory is, else within exact binomial bounds."""

import re

import numpy as np
import pytest
from scipy.special import expit, log_softmax
from scipy.stats import binom

from chainrule import InputError
from chainrule.estimators.calibration import (
    checked_coverage,
    fewest_rows_for,
    fitted_temperature,
    threshold,
)
from chainrule.likelihoods import Bernoulli, Categorical

COVERAGES = (0.1, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)


@pytest.mark.parametrize("coverage", COVERAGES)
@pytest.mark.parametrize("n_rows", [1, 2, 3, 9, 10, 19, 20, 99, 100, 101])
def test_the_threshold_is_the_score_of_the_rank_that_theory_asks_for(n_rows, coverage):
    scores = np.random.default_rng(n_rows).permutation(n_rows) + 1.0
    hundredths = round(100 * coverage)
    rank = -(-(n_rows + 1) * hundredths // 100)  # ⌈(n + 1) c⌉, in whole numbers
    expected = rank if rank <= n_rows else np.inf
    assert threshold(scores, None, coverage) == expected
    assert threshold(scores, np.full(n_rows, 0.3, "float32"), coverage) == expected
    assert (n_rows >= fewest_rows_for(coverage)) == np.isfinite(expected)


def test_rows_without_a_score_or_a_weight_are_as_if_they_were_not_there():
    rng = np.random.default_rng(0)
    scores, weight = rng.normal(size=60), rng.uniform(0.5, 2, 60)
    alone = threshold(scores[:40], weight[:40], 0.8)
    missing, zero = scores.copy(), weight.copy()
    missing[40:], zero[40:] = np.nan, 0
    assert threshold(missing, weight, 0.8) == alone == threshold(scores, zero, 0.8)
    assert threshold(scores[:40], 1e-9 * weight[:40], 0.8) == alone  # only ratios count
    assert threshold(np.full(5, np.nan), None, 0.5) == np.inf


@pytest.mark.parametrize("n_infinite", range(20))
def test_a_row_that_could_not_be_worse_counts_like_any_other(n_infinite):
    scores = np.arange(1.0, 20.0)
    worst = np.where(np.arange(19) >= 19 - n_infinite, np.inf, scores)
    expected = threshold(scores, None, 0.8)  # the score of rank 16
    assert threshold(worst, None, 0.8) == (expected if n_infinite <= 19 - 16 else np.inf)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("n_rows", [20, 57])
def test_a_new_score_stays_below_the_threshold_as_often_as_is_promised(n_rows, coverage):
    rng = np.random.default_rng(1)
    n_times = 4000
    scores = rng.standard_cauchy((n_times, n_rows + 1))
    held = sum(row[-1] <= threshold(row[:-1], None, coverage) for row in scores)
    exact = np.ceil(round((n_rows + 1) * coverage, 9)) / (n_rows + 1)
    low, high = binom.ppf([1e-6, 1 - 1e-6], n_times, exact)
    assert coverage <= exact
    assert low <= held <= high


@pytest.mark.parametrize("coverage", [0, 1, -0.1, 1.5, float("nan"), True, "0.9", None])
def test_what_is_no_coverage(coverage):
    with pytest.raises(InputError, match=re.escape(f"coverage={coverage!r} must be")):
        checked_coverage(coverage, 1000)


def test_too_few_rows_for_a_coverage():
    assert checked_coverage(0.9, 9) == 0.9
    with pytest.raises(InputError, match=r"needs at least 9 rows that the fit kept aside; there are 8\."):
        checked_coverage(0.9, 8)
    with pytest.raises(InputError, match="at least 99 rows"):
        checked_coverage(0.99, 98)


def classes(kind, n_rows, stretch, seed=0):
    """Return logits that are wrong by a factor, and targets that come true by the right ones."""
    rng = np.random.default_rng(seed)
    if kind == "bernoulli":
        logits = rng.normal(0, 2, (n_rows, 1))
        return Bernoulli(), stretch * logits, (rng.random((n_rows, 1)) < expit(logits)).astype(float)
    logits = rng.normal(0, 2, (n_rows, 4))
    gumbel = rng.gumbel(size=logits.shape)
    return Categorical(4), stretch * logits, (logits + gumbel).argmax(axis=1)[:, None]


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
@pytest.mark.parametrize("stretch", [0.3, 1.0, 3.0])
def test_the_temperature_finds_the_factor(kind, stretch):
    likelihood, logits, y = classes(kind, 20_000, stretch)
    assert fitted_temperature(likelihood, logits, y, None) == pytest.approx(stretch, rel=0.05)


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
@pytest.mark.parametrize("stretch", [0.3, 3.0])
def test_no_other_temperature_is_likelier(kind, stretch):
    likelihood, logits, y = classes(kind, 400, stretch)

    def minus_log_posterior(t):
        if kind == "bernoulli":
            p = expit(np.where(y == 1, 1, -1) * logits / t)
            loss = -np.log(p).sum()
        else:
            loss = -log_softmax(logits / t, axis=1)[np.arange(400), y[:, 0]].sum()
        return loss + 2 * np.log(t) ** 2

    found = fitted_temperature(likelihood, logits, y, None)
    grid = np.exp(np.linspace(-2, 2, 801))
    assert minus_log_posterior(found) <= min(minus_log_posterior(t) for t in grid) + 1e-9


def test_a_few_rows_that_are_all_right_do_not_make_a_model_sure_of_itself():
    logits, y = np.ones((5, 1)), np.ones((5, 1))
    assert 0.5 < fitted_temperature(Bernoulli(), logits, y, None) < 1
    assert fitted_temperature(Bernoulli(), np.full((5, 1), 1e4), y, None) == 1  # nothing is gained


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_weights_count_by_their_ratios(kind):
    likelihood, logits, y = classes(kind, 300, 2.0)
    weight = np.random.default_rng(3).uniform(0, 2, 300)
    first = fitted_temperature(likelihood, logits, y, weight)
    assert fitted_temperature(likelihood, logits, y, 1e6 * weight) == pytest.approx(first, rel=1e-4)
    assert first != fitted_temperature(likelihood, logits, y, None)
    kept = weight > 1  # weights of 0 leave rows out
    expected = fitted_temperature(likelihood, logits[kept], y[kept], None)
    assert fitted_temperature(likelihood, logits, y, kept * 1.0) == pytest.approx(expected, rel=1e-4)
