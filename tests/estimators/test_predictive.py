"""Distributions, intervals, offsets and every likelihood in the estimators for tables."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats
from scipy.stats import binom
from sklearn.metrics import accuracy_score, r2_score

import chainrule as cr
from chainrule import InputError, TabularClassifier, TabularRegressor
from chainrule.estimators.calibration import Error
from chainrule.estimators.members import HeldOut
from chainrule.estimators.predictive import (
    LocationScale,
    comparable_pairs,
    concordance,
    conformal_interval,
    row_nll,
)
from chainrule.estimators.targets import Scaling
from chainrule.estimators.together import Member, View, average, disagreement
from chainrule.likelihoods import (
    LIKELIHOODS,
    Bernoulli,
    Categorical,
    Gamma,
    Huber,
    Laplace,
    NegativeBinomial,
    Normal,
    NormalWithVariance,
    Ordinal,
    Poisson,
    Quantile,
    StudentT,
    Tweedie,
    Weibull,
)
from chainrule.likelihoods.distributions import Mixture
from chainrule.training.batches import Data

N_ROWS = 240


def make_rows(seed=0, n_rows=N_ROWS):
    """Return a table, a mean that follows it, and an exposure."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"x": rng.normal(size=n_rows), "z": rng.normal(size=n_rows)})
    return table, np.exp(0.4 * table["x"].to_numpy()), rng.uniform(0.5, 3, n_rows)


# A target of each likelihood, given the mean of each row. One without a line here fails the tests.
DRAW = {
    "normal": lambda rng, mean: 100 + 20 * mean + 3 * rng.normal(size=len(mean)),
    "normal_with_variance": lambda rng, mean: 100 + 20 * mean + 5 * mean * rng.normal(size=len(mean)),
    "student_t": lambda rng, mean: 100 + 20 * mean + rng.standard_t(3, len(mean)),
    "laplace": lambda rng, mean: 100 + 20 * mean + rng.laplace(size=len(mean)),
    "huber": lambda rng, mean: 100 + 20 * mean + rng.laplace(size=len(mean)),
    "quantile": lambda rng, mean: 100 + 20 * mean + rng.exponential(3, len(mean)),
    "bernoulli": lambda rng, mean: rng.random(len(mean)) < mean / (1 + mean),
    "categorical": lambda rng, mean: np.digitize(mean * rng.random(len(mean)), [0.3, 0.7]),
    "ordinal": lambda rng, mean: np.digitize(mean * rng.random(len(mean)), [0.3, 0.7]),
    "poisson": lambda rng, mean: rng.poisson(3 * mean),
    "negative_binomial": lambda rng, mean: rng.poisson(3 * mean * rng.gamma(2, 0.5, len(mean))),
    "gamma": lambda rng, mean: rng.gamma(2, 500 * mean),
    "tweedie": lambda rng, mean: np.array([rng.gamma(2, 3, n).sum() for n in rng.poisson(mean)]),
    "weibull": lambda rng, mean: np.column_stack(
        [rng.weibull(1.5, len(mean)) * 30 * mean, rng.random(len(mean)) < 0.7]
    ),
}
CLASSES = ("bernoulli", "categorical", "ordinal")
NUMBERS = tuple(name for name in LIKELIHOODS if name not in CLASSES)
LOG_LINK = tuple(name for name in NUMBERS if LIKELIHOODS[name].link == "log")
SEVERAL = tuple(name for name in NUMBERS if name != "weibull")


def draw(name, seed=0, n_rows=N_ROWS):
    table, mean, exposure = make_rows(seed, n_rows)
    return table, DRAW[name](np.random.default_rng(seed + 1), mean), exposure


def model_for(name, **settings):
    kind = TabularClassifier if name in CLASSES else TabularRegressor
    return kind(**{"likelihood": name, "hidden": (8,), "epochs": 8, "random_state": 0, **settings})


def given(kind, exposure):
    """Return the keywords of a fit and of predictions."""
    return {"nothing": {}, "offset": {"offset": 0.3 * exposure}, "exposure": {"exposure": exposure}}[kind]


def test_every_likelihood_has_a_target_here():
    assert set(DRAW) == set(LIKELIHOODS)


# ── The whole product: likelihood × offset × weights ──


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("beside", ["nothing", "offset", "exposure"])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_everything_that_is_predicted_belongs_together(name, beside, weighted, tmp_path):
    table, y, exposure = draw(name)
    weight = np.random.default_rng(5).uniform(0, 2, N_ROWS) if weighted else None
    its = given(beside, exposure)
    model = model_for(name)
    if beside == "exposure" and LIKELIHOODS[name].link != "log":
        with pytest.raises(InputError, match="has no exposure"):
            model.fit(table, y, sample_weight=weight, **its)
        return
    model.fit(table, y, sample_weight=weight, **its)
    assert model.network_.likelihood.name == name
    distribution = model.predict_distribution(table, **its)
    predicted = model.predict(table, **its)
    assert distribution.shape == (N_ROWS,)
    assert predicted.shape == (N_ROWS,)
    if name in CLASSES:
        p = model.predict_proba(table, **its)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-9)
        np.testing.assert_allclose(np.exp(model.predict_log_proba(table, **its)), p, rtol=1e-9)
        numbers = np.arange(p.shape[1])
        np.testing.assert_allclose(distribution.mean, p @ numbers, rtol=1e-9, atol=1e-12)
        for c in numbers:
            np.testing.assert_allclose(distribution.pmf(c), p[:, c], rtol=1e-9)
        expected_score = accuracy_score(y, predicted, sample_weight=weight)
    else:
        np.testing.assert_allclose(distribution.mean, predicted, rtol=1e-5)
        time = y[:, 0] if name == "weibull" else y
        ends = distribution.interval(0.8)
        assert (ends[:, 0] <= ends[:, 1]).all()
        share = np.mean((ends[:, 0] <= time) & (time <= ends[:, 1]))
        assert share > 0.5
        expected_score = (
            concordance(time, y[:, 1], predicted, weight)
            if name == "weibull"
            else r2_score(y, predicted, sample_weight=weight)
        )
    score = model.score(table, y, sample_weight=weight, **its)
    assert score == pytest.approx(expected_score, rel=1e-9)
    nll = model.nll(table, y, sample_weight=weight, **its)
    assert np.isfinite(nll)
    model.save(tmp_path / "model.safetensors")
    again = cr.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(table, **its), predicted)
    assert again.nll(table, y, sample_weight=weight, **its) == nll
    if name in NUMBERS and name != "weibull":
        interval = model.predict_interval(table, 0.8, **its)
        np.testing.assert_array_equal(again.predict_interval(table, 0.8, **its), interval)
    if beside != "nothing":
        assert not np.array_equal(model.predict_distribution(table).mean, distribution.mean)


@pytest.mark.parametrize("name", NUMBERS)
def test_samples_have_the_mean_and_the_quantiles_of_the_distribution(name):
    table, y, _ = draw(name)
    distribution = model_for(name).fit(table, y).predict_distribution(table.head(3))
    samples = distribution.sample(4000, seed=1)
    assert samples.shape == (4000, 3)
    np.testing.assert_array_equal(samples, distribution.sample(4000, seed=1))
    below = (samples <= distribution.quantile(0.7)).sum(axis=0)
    exact = distribution.cdf(distribution.quantile(0.7))
    assert (binom.cdf(below, 4000, exact) > 1e-5).all()
    assert (binom.sf(below - 1, 4000, exact) > 1e-5).all()
    error = np.sqrt(distribution.variance / 4000)
    if name != "student_t":  # whose fourth moment is infinite; the quantile above says enough
        assert (np.abs(samples.mean(axis=0) - distribution.mean) < 6 * error).all()


def scipy_distribution(model, member, table, name):
    """Return a member's distribution by scipy.stats in the units of y, from its θ alone."""
    target, likelihood = model.target_, model.network_.likelihood
    logits = member.network.forward(member.theta, model.encoder_.transform(table)).astype(float)
    ends = member.network.scales(member.theta).astype(float)
    s, t = logits[:, 0], ends[0] if len(ends) else logits[:, -1]
    middle, spread, mean = target.location[0] + target.scale[0] * s, target.scale[0], np.exp(s)
    return {
        "normal": lambda: stats.norm(middle, spread * np.sqrt(model.dispersion_[0])),
        "normal_with_variance": lambda: stats.norm(middle, spread * np.exp(t / 2)),
        "student_t": lambda: stats.t(likelihood.degrees_of_freedom, middle, spread * np.exp(t)),
        "laplace": lambda: stats.laplace(middle, spread * np.exp(t)),
        "poisson": lambda: stats.poisson(mean),
        "negative_binomial": lambda: stats.nbinom(np.exp(-t), 1 / (1 + np.exp(t) * mean)),
        "gamma": lambda: stats.gamma(np.exp(-t), scale=mean * np.exp(t)),
        "weibull": lambda: stats.weibull_min(np.exp(-t), scale=mean),
    }[name]()


# SciPy has no distribution of these three; their own are tested with the likelihoods.
OF_SCIPY = [name for name in NUMBERS if name not in ("huber", "quantile", "tweedie")]


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("name", OF_SCIPY)
def test_distributions_are_mixtures_of_those_of_scipy_in_the_units_of_y(name, n_members):
    table, y, _ = draw(name)
    model = model_for(name, n_members=n_members).fit(table, y)
    found = model.predict_distribution(table)
    members = [scipy_distribution(model, member, table, name) for member in model.members_]
    time = y[:, 0] if name == "weibull" else y

    def average(of):
        weights = [member.weight for member in model.members_]
        return np.average([of(member) for member in members], axis=0, weights=weights)

    mean = average(lambda it: it.mean())
    np.testing.assert_allclose(found.mean, mean, rtol=1e-7)
    np.testing.assert_allclose(model.predict(table), mean, rtol=1e-7)
    variance = average(lambda it: it.var() + (it.mean() - mean) ** 2)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-6)
    np.testing.assert_allclose(found.cdf(time), average(lambda it: it.cdf(time)), rtol=1e-5, atol=1e-9)
    quantile = found.quantile(0.3)
    at = average(lambda it: it.cdf(quantile))
    if found.discrete:
        assert (at >= 0.3 - 1e-12).all()
        assert ((average(lambda it: it.cdf(quantile - 1)) < 0.3) | (quantile == 0)).all()
        np.testing.assert_allclose(found.pmf(time), average(lambda it: it.pmf(time)), rtol=1e-5)
        nll = -np.log(average(lambda it: it.pmf(time)))
    else:
        np.testing.assert_allclose(at, 0.3, rtol=1e-5)
        np.testing.assert_allclose(found.pdf(time), average(lambda it: it.pdf(time)), rtol=1e-5, atol=1e-12)
        nll = -np.log(average(lambda it: it.pdf(time)))
    if name == "weibull":
        nll = np.where(y[:, 1] == 1, nll, -np.log(average(lambda it: it.sf(time))))
    assert model.nll(table, y) == pytest.approx(nll.mean(), rel=1e-6)
    weight = np.arange(N_ROWS) % 3
    assert model.nll(table, y, weight) == pytest.approx(np.average(nll, weights=weight), rel=1e-6)


# Counts have no unit, and φ of Tweedie has one of its own.
WITH_A_UNIT = [name for name in NUMBERS if name not in ("poisson", "negative_binomial", "tweedie")]


@pytest.mark.parametrize("name", WITH_A_UNIT)
@pytest.mark.parametrize("factor", [1e-3, 1e4])
def test_the_density_has_the_units_of_y(name, factor):
    table, y, _ = draw(name)
    scaled = y * np.array([factor, 1.0]) if name == "weibull" else y * factor
    model, other = model_for(name, epochs=20), model_for(name, epochs=20)
    first, second = model.fit(table, y), other.fit(table, scaled)
    events = np.mean(y[:, 1]) if name == "weibull" else 1.0
    expected = first.nll(table, y) + events * np.log(factor)
    assert second.nll(table, scaled) == pytest.approx(expected, rel=2e-3, abs=5e-3)


# ── Several outputs, missing entries ──


@pytest.mark.parametrize("name", [*SEVERAL, "bernoulli"])
def test_several_outputs(name):
    table, y, _ = draw(name)
    both = np.column_stack([y, y[::-1]]).astype(float)
    model = model_for(name).fit(table, both)
    distribution = model.predict_distribution(table)
    assert distribution.shape == (N_ROWS, 2)
    one = distribution.log_density(both).sum(axis=1)
    assert model.nll(table, both) == pytest.approx(-one.mean(), rel=1e-9)
    if name == "bernoulli":
        np.testing.assert_allclose(distribution.mean, model.predict_proba(table), rtol=1e-9)
        return
    np.testing.assert_allclose(distribution.mean, model.predict(table), rtol=1e-5)
    ends = model.predict_interval(table, 0.8)
    assert ends.shape == (N_ROWS, 2, 2)
    assert (ends[..., 0] <= ends[..., 1]).all()
    share = np.mean((ends[..., 0] <= both) & (both <= ends[..., 1]), axis=0)
    assert (share > 0.65).all()


@pytest.mark.parametrize("name", [*SEVERAL, "bernoulli"])
@pytest.mark.parametrize("library", ["array", "pandas", "polars", "pyarrow"])
def test_missing_entries_count_for_nothing(name, library):
    table, y, _ = draw(name)
    y = y.astype(float)
    alone = np.column_stack([y, np.where(np.arange(N_ROWS) < 8, y, np.nan)])
    rows = np.full(N_ROWS, True)
    rows[::7] = False
    both = np.column_stack([np.where(rows, y, np.nan), y])
    frames = {
        "array": lambda values: values,
        "pandas": lambda values: pd.DataFrame(values, columns=["a", "b"]),
        "polars": lambda values: pl.DataFrame(values, schema=["a", "b"]),
        "pyarrow": lambda values: pa.table(
            {"a": pa.array(values[:, 0], from_pandas=True), "b": pa.array(values[:, 1], from_pandas=True)}
        ),
    }
    model = model_for(name).fit(table, frames[library](both))
    distribution = model.predict_distribution(table)
    logs = distribution.log_density(np.nan_to_num(both, nan=1.0))
    expected = -np.where(np.isnan(both), 0, logs).sum(axis=1).mean()
    assert model.nll(table, frames[library](both)) == pytest.approx(expected, rel=1e-9)
    if name != "bernoulli":
        predicted = model.predict(table)
        by_column = [
            r2_score(both[rows, 0], predicted[rows, 0]),
            r2_score(both[:, 1], predicted[:, 1]),
        ]
        assert model.score(table, frames[library](both)) == pytest.approx(np.mean(by_column), rel=1e-9)
        few = model_for(name).fit(table, frames[library](alone))
        with pytest.raises(InputError, match="there are"):  # 8 entries of one output are too few
            few.predict_interval(table, 0.9)
    neither = both.copy()
    neither[[3, 9]] = np.nan
    with (
        pytest.raises(InputError, match=re.escape("2 rows that are missing (NaN) (rows 3, 9"))
        if (library == "array")
        else pytest.raises(InputError, match="missing")
    ):
        model_for(name).fit(table, frames[library](neither))


# ── Offsets and exposures ──


@pytest.mark.parametrize("name", LOG_LINK)
def test_an_exposure_is_the_factor_of_the_mean_and_its_log_an_offset(name):
    table, y, exposure = draw(name)
    by_exposure = model_for(name).fit(table, y, exposure=exposure)
    by_offset = model_for(name).fit(table, y, offset=np.log(exposure))
    np.testing.assert_array_equal(by_exposure.theta_, by_offset.theta_)
    rate = by_exposure.predict(table)
    np.testing.assert_allclose(by_exposure.predict(table, exposure=exposure), rate * exposure, rtol=1e-5)
    np.testing.assert_allclose(
        by_exposure.predict(table, offset=np.log(exposure)), rate * exposure, rtol=1e-5
    )
    one = by_exposure.predict(table, exposure=np.ones(N_ROWS))
    np.testing.assert_array_equal(one, rate)


@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in LOG_LINK])
def test_an_offset_of_a_location_has_the_units_of_y(name):
    table, y, exposure = draw(name)
    offset = 50 * exposure
    model = model_for(name).fit(table, y + offset, offset=offset)
    expected = model.predict(table) + offset
    np.testing.assert_allclose(model.predict(table, offset=offset), expected, rtol=1e-6)
    assert model.score(table, y + offset, offset=offset) > 0


def test_a_fit_with_an_offset_is_statsmodels_glm():
    import statsmodels.api as sm  # noqa: PLC0415 (heavy)

    rng = np.random.default_rng(3)
    X = rng.choice(["a", "b"], (600, 3))
    inputs = np.where(X == "b", 1.0, -1.0)
    exposure = rng.uniform(0.2, 5, 600)
    y = rng.poisson(exposure * np.exp(inputs @ [0.5, -0.3, 0.2] + 0.4))
    model = TabularRegressor(likelihood="poisson", hidden=(), validation_fraction=0, random_state=0)
    model.fit(X, y, exposure=exposure)
    glm = sm.GLM(y, sm.add_constant(inputs), sm.families.Poisson(), exposure=exposure).fit()
    expected = glm.predict(sm.add_constant(inputs), exposure=exposure)
    np.testing.assert_allclose(
        model.predict(X, exposure=exposure), expected, rtol=2e-3
    )  # its penalty is 1e-4
    assert model.nll(X, y, exposure=exposure) == pytest.approx(-glm.llf / 600, rel=1e-5)


SERIES = {
    "list": lambda values: values.tolist(),
    "pandas": lambda values: pd.Series(values, name="years"),
    "pandas frame": lambda values: pd.DataFrame({"years": values}),
    "polars": lambda values: pl.Series("years", values),
    "pyarrow": pa.array,
    "pyarrow frame": lambda values: pa.table({"years": values}),
}


@pytest.mark.parametrize("library", SERIES)
@pytest.mark.parametrize("what", ["offset", "exposure"])
def test_offsets_come_as_any_series_and_keep_its_name(library, what):
    table, y, exposure = draw("poisson")
    expected = model_for("poisson").fit(table, y, **{what: exposure})
    model = model_for("poisson").fit(table, y, **{what: SERIES[library](exposure)})
    np.testing.assert_array_equal(model.theta_, expected.theta_)
    name = None if library in ("list", "pyarrow") else "years"
    assert getattr(model, f"{what}_name_") == name
    np.testing.assert_array_equal(
        model.predict(table, **{what: SERIES[library](exposure)}), expected.predict(table, **{what: exposure})
    )


BAD = {
    "both": ({"offset": np.ones(N_ROWS), "exposure": np.ones(N_ROWS)}, "are both given"),
    "a negative exposure": (
        {"exposure": np.r_[1.0, -2.0, np.ones(N_ROWS - 2)]},
        "exposure must hold finite numbers above 0; 1 row has something else, such as -2.0 (row 1)",
    ),
    "an exposure of 0": (
        {"exposure": np.zeros(N_ROWS)},
        "240 rows have something else, such as 0.0 (rows 0, 1, 2, 3, 4, …",
    ),
    "a missing exposure": ({"exposure": np.r_[np.ones(N_ROWS - 1), np.nan]}, "(row 239)"),
    "a missing offset": (
        {"offset": np.r_[np.nan, np.ones(N_ROWS - 1)]},
        "offset must hold finite numbers; 1 row has",
    ),
    "text": ({"offset": ["a"] * N_ROWS}, "offset must hold numbers"),
    "another length": ({"exposure": np.ones(3)}, "exposure must have the shape (240,), not (3,)"),
    "other columns": ({"offset": np.ones((N_ROWS, 3))}, "offset must have the shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_offset(name):
    arguments, text = BAD[name]
    table, y, _ = draw("poisson")
    with pytest.raises(InputError, match=re.escape(text)):
        model_for("poisson").fit(table, y, **arguments)
    model = model_for("poisson").fit(table, y)
    with pytest.raises(InputError, match=re.escape(text)):
        model.predict(table, **arguments)


def test_the_rows_of_eval_set_have_their_own_exposure():
    table, y, exposure = draw("poisson")
    train, held_out = slice(0, 150), slice(150, N_ROWS)
    model = model_for("poisson", epochs=15, n_members=1)
    model.fit(
        table[train],
        y[train],
        exposure=exposure[train],
        eval_set=(table[held_out], y[held_out], exposure[held_out]),
    )
    losses = model.history_.columns()["validation_loss"]
    mean = model.predict(table[held_out], exposure=exposure[held_out])
    assert np.mean(mean - y[held_out] * np.log(mean)) == pytest.approx(losses.min(), rel=1e-5)
    for eval_set in ((table, y), (table, y, exposure, exposure)):
        with pytest.raises(InputError, match=re.escape("eval_set must be a tuple (X, y, exposure).")):
            model_for("poisson").fit(table, y, exposure=exposure, eval_set=eval_set)
    with pytest.raises(InputError, match=re.escape("eval_set must be a tuple (X, y).")):
        model_for("poisson").fit(table, y, eval_set=(table, y, exposure))
    with pytest.raises(InputError, match="eval_set: exposure must hold"):
        model_for("poisson").fit(table, y, exposure=exposure, eval_set=(table, y, 0 * exposure))


# ── Which likelihood ──


OBJECTS = [
    ("normal_with_variance", NormalWithVariance()),
    ("student_t", StudentT(degrees_of_freedom=6.0, scale="network")),
    ("laplace", Laplace(scale=0.5)),
    ("huber", Huber(delta=2.0)),
    ("quantile", Quantile(levels=(0.05, 0.5, 0.95))),
    ("poisson", Poisson()),
    ("negative_binomial", NegativeBinomial(scale="network")),
    ("gamma", Gamma(scale=0.5)),
    ("tweedie", Tweedie(power=1.3)),
    ("weibull", Weibull(scale="network")),
    ("ordinal", Ordinal(3)),
    ("categorical", Categorical(3, label_smoothing=0.1)),
    ("categorical", Categorical(3, class_weight=(1.0, 2.0, 1.0))),
]


@pytest.mark.parametrize(("name", "likelihood"), OBJECTS)
def test_likelihoods_as_objects(name, likelihood, tmp_path):
    table, y, _ = draw(name)
    model = model_for(name, likelihood=likelihood).fit(table, y)
    assert model.network_.likelihood == likelihood
    assert np.isfinite(model.nll(table, y))
    model.save(tmp_path / "model.safetensors")
    again = cr.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(table), model.predict(table))


WRONG = [
    ("ordinal", "number", "likelihood='ordinal' is for classes: use TabularClassifier"),
    (Ordinal(3), "number", "is for classes"),
    ("gamma", "negative", "finite numbers > 0"),
    ("weibull", "number", "does not fit y, which has 1 column: it takes two"),
    ("weibull", "no event", "two columns: a time > 0, and 1 for an event"),
    ("tweedie", "negative", "needs finite numbers ≥ 0"),
    ("ordinal", "text", "needs the order of the classes ['high', 'low']"),
    (Ordinal(4), "classes", "Ordinal(n_classes=4) does not fit"),
    ("gamma", "classes", "does not fit a target with the classes"),
]


@pytest.mark.parametrize(("likelihood", "target", "text"), WRONG)
def test_a_likelihood_that_does_not_fit_says_so(likelihood, target, text):
    table, y, _ = draw("normal")
    targets = {
        "number": y,
        "negative": -y,
        "no event": np.column_stack([y, np.full(N_ROWS, 2)]),
        "text": np.where(y > y.mean(), "high", "low"),
        "classes": np.arange(N_ROWS) % 3,
    }
    kind = TabularClassifier if target in ("text", "classes") else TabularRegressor
    with pytest.raises(InputError, match=re.escape(text)):
        kind(likelihood=likelihood, hidden=(), epochs=1).fit(table, targets[target])


def test_the_classes_of_an_order_stand_in_it():
    table, y, _ = draw("ordinal")
    words = np.array(["low", "mid", "high"])[y]
    order = ["low", "mid", "high"]
    series = {
        "pandas": pd.Series(pd.Categorical(words, categories=order, ordered=True)),
        "pandas frame": pd.DataFrame({"y": pd.Categorical(words, categories=order, ordered=True)}),
        "polars": pl.Series("y", words.tolist(), dtype=pl.Enum(order)),
    }
    expected = model_for("ordinal").fit(table, y)
    for target in series.values():
        model = model_for("ordinal").fit(table, target)
        assert model.classes_.tolist() == order
        np.testing.assert_array_equal(model.predict_proba(table), expected.predict_proba(table))
        np.testing.assert_array_equal(model.predict(table), np.array(order)[expected.predict(table)])
    thresholds = expected.network_.likelihood.thresholds(expected._scales())
    s = expected._table_logits(table)
    cumulated = stats.logistic.cdf(thresholds - s)
    np.testing.assert_allclose(expected.predict_proba(table)[:, 0], cumulated[:, 0], rtol=1e-9)
    np.testing.assert_allclose(
        expected.predict_proba(table)[:, 1], cumulated[:, 1] - cumulated[:, 0], rtol=1e-6
    )


@pytest.mark.parametrize("name", ["gamma", "tweedie", "poisson", "weibull"])
def test_a_large_mean_is_where_the_training_starts(name):
    table, y, _ = draw(name)
    large = y * np.array([1e6, 1.0]) if name == "weibull" else np.round(y * 1e6)
    large = np.maximum(large, 1.0) if name == "gamma" else large
    model = model_for(name, epochs=2).fit(table, large)
    mean = large[:, 0].mean() if name == "weibull" else large.mean()
    assert 0.2 < model.predict(table).mean() / mean < 5


def test_the_spread_of_a_normal_model_is_that_of_its_errors():
    rng = np.random.default_rng(0)
    X = rng.choice(["a", "b"], (3000, 1))
    y = 1000 + 500 * (X[:, 0] == "b") + 7 * rng.normal(size=3000)
    model = TabularRegressor(hidden=(), random_state=0).fit(X, y)
    spread = np.sqrt(model.predict_distribution(X[:2]).variance)
    np.testing.assert_allclose(spread, 7, rtol=0.2)
    without = TabularRegressor(hidden=(), validation_fraction=0, random_state=0).fit(X, y)
    residual = y - without.predict(X)
    np.testing.assert_allclose(without.dispersion_ * np.var(y), np.mean(residual**2), rtol=1e-5)


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_variance_of_a_mixture_of_normals_is_the_mean_square_of_the_errors(n_members):
    table, y, _ = draw("normal")
    model = model_for("normal", validation_fraction=0, n_members=n_members).fit(table, y)
    variance = model.predict_distribution(table).variance
    assert variance.mean() == pytest.approx(np.mean((y - model.predict(table)) ** 2), rel=1e-5)
    assert (np.ptp(variance) > 0) == (n_members > 1)  # where members agree it is less


def test_the_dispersion_of_tweedie_is_pearsons():
    table, y, _ = draw("tweedie", n_rows=2000)
    model = model_for("tweedie", likelihood=Tweedie(power=1.4), validation_fraction=0, n_members=1)
    model.fit(table, y)
    mean = model.predict(table)
    assert model.dispersion_[0] == pytest.approx(np.mean((y - mean) ** 2 / mean**1.4), rel=1e-5)
    np.testing.assert_allclose(
        model.predict_distribution(table).variance, model.dispersion_ * mean**1.4, rtol=1e-6
    )


# ── Coverage ──


def heteroscedastic(n_rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n_rows, 1))
    return x, np.sin(3 * x[:, 0]) + (0.2 + 0.5 * np.abs(x[:, 0])) * rng.normal(size=n_rows)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("name", ["normal", "normal_with_variance", "quantile", "laplace"])
def test_intervals_hold_what_they_promise(name, coverage):
    """Given the n rows aside, the coverage has the law Beta(k, n + 1 − k); ±4 of its σ, then a binomial."""
    x, y = heteroscedastic(3000, 0)
    model = model_for(name, epochs=25, hidden=(16,)).fit(x[:1000], y[:1000])
    n_aside = len(model.kept_aside_.y)
    rank = np.ceil((n_aside + 1) * coverage)
    low, high = stats.beta.ppf([3e-5, 1 - 3e-5], rank, n_aside + 1 - rank)
    lower, upper = model.predict_interval(x[1000:], coverage).T
    held = int(np.sum((lower <= y[1000:]) & (y[1000:] <= upper)))
    assert binom.ppf(1e-5, 2000, low) <= held <= binom.ppf(1 - 1e-5, 2000, high)


def test_widths_follow_the_table_where_the_likelihood_does():
    x, y = heteroscedastic(4000, 1)
    width = {}
    for name in ("normal", "normal_with_variance", "quantile"):
        model = model_for(name, epochs=25, hidden=(16,)).fit(x, y)
        lower, upper = model.predict_interval(np.array([[0.0], [0.9]]), 0.8).T
        width[name] = upper - lower
    np.testing.assert_allclose(width["normal"][0], width["normal"][1], rtol=1e-6)
    assert width["normal_with_variance"][1] > 1.5 * width["normal_with_variance"][0]
    assert width["quantile"][1] > 1.25 * width["quantile"][0]


@pytest.mark.parametrize("name", ["poisson", "negative_binomial", "gamma", "tweedie"])
def test_intervals_of_counts_and_amounts_stay_in_their_domain(name):
    table, y, exposure = draw(name, n_rows=2000)
    train, test = slice(0, 1000), slice(1000, 2000)
    model = model_for(name).fit(table[train], y[train], exposure=exposure[train])
    lower, upper = model.predict_interval(table[test], 0.8, exposure=exposure[test]).T
    assert (lower >= 0).all()
    held = int(np.sum((lower <= y[test]) & (y[test] <= upper)))
    n_aside = len(model.kept_aside_.y)
    rank = np.ceil((n_aside + 1) * 0.8)
    low = stats.beta.ppf(3e-5, rank, n_aside + 1 - rank)
    assert held >= binom.ppf(1e-5, 1000, low)
    if name in ("poisson", "negative_binomial"):
        np.testing.assert_array_equal(lower, np.round(lower))
        np.testing.assert_array_equal(upper, np.round(upper))


@pytest.mark.parametrize("name", ["normal", "poisson", "quantile"])
def test_the_score_is_the_rank_that_theory_asks_for(name):
    """On the rows kept aside themselves exactly ⌈(n + 1) c⌉ are covered, without ties; with ties as many."""
    table, y, _ = draw(name, n_rows=800)
    model = model_for(name).fit(table, y)
    kept = model.kept_aside_
    n_aside = len(kept.y)
    distribution = model.target_.distribution(model._of_z(kept.logits, model._scales()))
    for coverage in (0.3, 0.5, 0.8, 0.95):
        ends = conformal_interval(distribution, distribution, kept.y[:, 0], None, coverage)
        held = int(np.sum((ends[:, 0] <= kept.y[:, 0] + 1e-9) & (kept.y[:, 0] - 1e-9 <= ends[:, 1])))
        rank = int(np.ceil((n_aside + 1) * coverage))
        assert held >= rank
        assert name == "poisson" or held <= rank + 1


def test_no_interval_where_there_is_nothing_to_go_by():
    table, y, _ = draw("normal")
    none = model_for("normal", validation_fraction=0).fit(table, y)
    with pytest.raises(InputError, match="at least 9 rows that the fit kept aside; there are 0"):
        none.predict_interval(table)
    few = model_for("normal", n_members=1).fit(table[:40], y[:40])  # 5 rows aside
    assert few.predict_interval(table, 0.8).shape == (N_ROWS, 2)
    with pytest.raises(InputError, match="there are 5"):
        few.predict_interval(table, 0.9)
    with pytest.raises(InputError, match=r"coverage=1\.5 must be above 0 and below 1"):
        few.predict_interval(table, 1.5)
    table, y, _ = draw("weibull")
    with pytest.raises(InputError, match="Nobody knows whether a censored time lies in an interval"):
        model_for("weibull").fit(table, y).predict_interval(table)


# ── The pieces ──


def test_location_and_scale():
    inner = NormalWithVariance().distribution(np.random.default_rng(0).normal(size=(5, 2)))
    outer = LocationScale(inner, 100.0, 7.0)
    expected = stats.norm(100 + 7 * inner.mean, 7 * np.sqrt(inner.variance))
    y = np.linspace(80, 120, 5)
    for found, truth in (
        (outer.mean, expected.mean()),
        (outer.variance, expected.var()),
        (outer.cdf(y), expected.cdf(y)),
        (outer.logpdf(y), expected.logpdf(y)),
        (outer.log_survival(y), expected.logsf(y)),
        (outer.quantile([0.1, 0.9]), np.column_stack([expected.ppf(0.1), expected.ppf(0.9)])),
    ):
        np.testing.assert_allclose(found, truth, rtol=1e-9)
    assert outer.sample(3, seed=0).shape == (3, 5)
    with pytest.raises(InputError, match="no probabilities"):
        outer.pmf(y)


def test_a_missing_entry_has_no_nll():
    distribution = Normal(2).distribution(np.zeros((2, 2)))
    losses = row_nll(distribution, np.array([[0.0, np.nan], [1.0, 2.0]]))
    np.testing.assert_allclose(losses, [-stats.norm.logpdf(0), -stats.norm.logpdf([1.0, 2.0]).sum()])


@pytest.mark.parametrize("n_values", [1, 2, 7, 10**6])
@pytest.mark.parametrize("n_rows", [2, 3, 9, 60])
def test_concordance_counts_the_pairs_of_which_it_is_known(n_rows, n_values):
    rng = np.random.default_rng(n_rows)
    time, event = rng.integers(1, n_values + 1, n_rows).astype(float), rng.integers(0, 2, n_rows)
    predicted, weight = rng.integers(1, n_values + 1, n_rows).astype(float), rng.uniform(0.5, 2, n_rows)
    time[0], event[0], predicted[-1] = 0, 1, np.inf
    pairs, right = np.zeros(n_rows), np.zeros(n_rows)
    for i in range(n_rows):
        for j in range(n_rows):
            if event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j])):
                order = 1.0 if predicted[i] < predicted[j] else 0.5 if predicted[i] == predicted[j] else 0.0
                for row, other in ((i, j), (j, i)):
                    pairs[row] += weight[other]
                    right[row] += weight[other] * order
    expected = weight @ right / (weight @ pairs)
    assert concordance(time, event, predicted, weight) == pytest.approx(expected, rel=1e-12)
    found = comparable_pairs(time, event, predicted, weight)
    np.testing.assert_allclose(found, (pairs, right), rtol=1e-11, atol=1e-11)
    with pytest.raises(InputError, match="No pair"):
        concordance(time, np.zeros(n_rows), predicted)


def test_smoothing_is_left_out_of_the_temperature():
    table, y, _ = draw("categorical", n_rows=2000)
    smooth = Categorical(3, label_smoothing=0.3)
    model = model_for("categorical", likelihood=smooth, epochs=20).fit(table, y)
    assert model.temperature_ < 0.9  # smoothing makes a model unsure; what comes true is surer
    plain = model_for("categorical", likelihood=replace(smooth, label_smoothing=0.0), epochs=20).fit(table, y)
    assert model.nll(table, y) == pytest.approx(plain.nll(table, y), abs=0.02)


def test_several_labels_with_missing_entries_are_a_bernoulli_each():
    table, y, _ = draw("bernoulli")
    labels = np.column_stack([y, ~y]).astype(float)
    labels[::5, 1] = np.nan
    model = TabularClassifier(hidden=(8,), epochs=8, random_state=0).fit(table, labels)
    assert model.network_.likelihood == Bernoulli(2)
    assert model.predict(table).shape == (N_ROWS, 2)
    with pytest.raises(InputError, match="the others must be 0 or 1"):
        TabularClassifier().fit(table, labels * 2)


@pytest.mark.parametrize("name", [name for name in NUMBERS if name != "tweedie"])
def test_survival_is_what_the_cdf_leaves_and_goes_on_where_that_is_1(name):
    table, y, _ = draw(name)
    distribution = model_for(name, n_members=1).fit(table, y).predict_distribution(table)
    for q in (0.1, 0.5, 0.99):
        at = distribution.quantile(q)
        left = 1 - distribution.cdf(at)
        np.testing.assert_allclose(np.exp(distribution.log_survival(at)), left, rtol=1e-6, atol=1e-12)
        twice = Mixture([distribution, distribution], [1, 3])
        np.testing.assert_allclose(twice.log_survival(at), distribution.log_survival(at), rtol=1e-9)
    if name == "weibull":
        shape, scale = np.exp(-distribution_shape(distribution)), distribution.quantile(1 - np.exp(-1))
        far = 20 * scale
        np.testing.assert_allclose(distribution.log_survival(far), -(20.0**shape), rtol=1e-6)


def distribution_shape(distribution):
    """Return log σ of a Weibull distribution from two of its quantiles."""
    low, high = distribution.quantile([1 - np.exp(-1), 1 - np.exp(-np.e)]).T
    return np.log(np.log(high / low))


# ── From some of the members to all ──


def members_that_miss(rng, n_rows, n_members, noise=1.0, own=0.5):
    """Return targets and what each member says: what all have wrong, and something of its own."""
    truth = rng.normal(size=n_rows)
    y = truth + noise * rng.normal(size=n_rows)
    return y, truth + own * rng.normal(size=(n_members, n_rows))


# N26
@pytest.mark.parametrize("weights", [np.ones(8), np.r_[np.ones(4), 3 * np.ones(4)]])
def test_the_error_of_all_members_follows_from_those_of_some(weights):
    rng = np.random.default_rng(0)
    y, said = members_that_miss(rng, 40_000, 8)
    blind = rng.integers(1, 4, 40_000)  # so many have not seen the row
    member = [replace(MEMBER, weight=weight) for weight in weights]
    views = []
    for k in range(8):
        rows = np.flatnonzero((np.arange(40_000) + k) % 8 < blind)
        views.append(View(rows, said[k][rows, None], member[k]))
    mean = average(views, 40_000, lambda view: view.logits)
    apart = disagreement(views, 40_000, lambda view: view.logits)
    assert (np.isnan(apart.variance[:, 0]) == (blind == 1)).all()
    parts = Error.measured(y[:, None] - mean, apart.variance, apart.n_effective, None)
    np.testing.assert_allclose(parts, [[1.0], [0.25]], rtol=0.03)
    of_all = np.mean((y - np.average(said, axis=0, weights=weights)) ** 2)
    n_effective = weights.sum() ** 2 / (weights**2).sum()
    assert parts.of(n_effective)[0] == pytest.approx(of_all, rel=0.03)


def test_what_kinds_have_wrong_by_themselves_does_not_count_as_chance():
    rng = np.random.default_rng(3)
    _, said = members_that_miss(rng, 20_000, 6)
    kinds = np.arange(6) % 2
    said = said + np.where(kinds, 5.0, -5.0)[:, None]
    for seen, own in (((0, 1), np.nan), ((0, 1, 2, 3), 0.25), ((1, 3), 0.25)):
        views = [View(np.arange(20_000), said[k][:, None], MEMBER, kinds[k]) for k in seen]
        apart = disagreement(views, 20_000, lambda view: view.logits)
        assert (apart.n_effective == len(seen)).all()
        np.testing.assert_allclose(apart.variance.mean(), own, rtol=0.03)


MEMBER = Member(cr.Network(1, likelihood=Normal()), np.zeros(2), None)


def test_rows_that_no_member_has_seen_are_kept_as_they_are():
    table, y, _ = draw("normal")
    rows = (table[:80], y[:80])
    model = model_for("normal", n_members=3).fit(table[80:], y[80:], eval_set=rows)
    np.testing.assert_allclose(model.kept_aside_.y[:, 0], y[:80], rtol=1e-12)
    by_time = model_for("normal", n_members=3, validation="last").fit(table, y)
    np.testing.assert_allclose(by_time.kept_aside_.y[:, 0], y[-len(by_time.kept_aside_.y) :], rtol=1e-12)
    alone = model_for("normal", n_members=3).fit(table, y)  # others for each member: nothing to go by
    assert set(alone.kept_aside_.y[:, 0].round(6)) <= set(y.round(6))


def test_intervals_are_as_wide_as_the_error_of_all_members_where_pairs_held_rows_out():
    """Two members have not seen a row, and eight predict a new one: the interval is that of eight."""
    rng = np.random.default_rng(1)
    y, said = members_that_miss(rng, 20_000, 8, own=1.5)
    kept, new = slice(0, 4000), slice(4000, None)
    pair = np.arange(4000) % 4
    views = [
        View(np.flatnonzero(pair == k // 2), said[k][kept][pair == k // 2, None], MEMBER) for k in range(8)
    ]
    model = TabularRegressor(hidden=(), random_state=0).fit(np.arange(50.0)[:, None], rng.normal(size=50))
    model.target_ = Scaling(np.zeros(1), np.ones(1))
    model.members_ = (MEMBER,) * 8
    data = Data(np.zeros((4000, 1)), y[kept, None], None)
    for corrected, nearer in ((True, 0.012), (False, 1.0)):
        model._calibrate(HeldOut(np.arange(4000), data, views), data)
        aside = model.kept_aside_ if corrected else replace(model.kept_aside_, y=y[kept, None])
        of_new = Normal().distribution(said[:, new].mean(axis=0)[:, None])
        of_kept = Normal().distribution(aside.logits)
        for coverage in (0.5, 0.8, 0.95):
            lower, upper = conformal_interval(of_new, of_kept, aside.y[:, 0], None, coverage).T
            held = np.mean((lower <= y[new]) & (y[new] <= upper))
            assert abs(held - coverage) < nearer
            assert corrected or held > coverage + 0.02  # too wide
