"""Predictive distributions: against the loss, each other's functions, and SciPy's integrals."""

import numpy as np
import pytest
from scipy import integrate, stats

from chainrule import InputError
from chainrule.estimators.predictive import LocationScale
from chainrule.likelihoods import NegativeBinomial, Normal, Poisson
from chainrule.likelihoods.compound import TweedieDistribution
from chainrule.likelihoods.distributions import Mixture

LEVELS = np.array([0.01, 0.1, 0.3, 0.5, 0.8, 0.99])


@pytest.fixture
def predicted(case, make_problem):
    """Return a likelihood, z, y and the distribution."""
    problem = make_problem(case, [4], outputs=3, n_rows=6)
    network = problem.network
    z = network.likelihood.extended(network.forward(problem.theta, problem.X), network.scales(problem.theta))
    return network.likelihood, z, problem.y, network.likelihood.distribution(z)


def by_column(likelihood, y):
    return y[:, 0] if likelihood.n_columns == 1 or likelihood.name == "weibull" else y


def test_the_loss_is_the_log_density_less_what_is_dropped(predicted):
    """Two logits, one y: what is dropped does not depend on the logits, so it goes out of the difference."""
    likelihood, z, y, distribution = predicted
    if likelihood.name == "quantile" and len(likelihood.levels) > 1:
        return  # its loss is no log density
    if getattr(likelihood, "label_smoothing", 0):
        return  # nor is a smoothed one
    if likelihood.name == "weibull":
        y = np.column_stack([y[:, 0], np.ones(len(y))])
    moved = z + np.linspace(-0.3, 0.4, z.shape[1])
    losses = likelihood.loss_and_gradient(moved, y)[0] - likelihood.loss_and_gradient(z, y)[0]
    target = by_column(likelihood, y)
    logs = distribution.log_density(target) - likelihood.distribution(moved).log_density(target)
    np.testing.assert_allclose(logs.reshape(len(y), -1).sum(axis=1), losses, rtol=1e-9, atol=1e-9)


def test_the_censored_loss_is_the_log_of_what_is_beyond(make_likelihood):
    likelihood = make_likelihood("weibull/network")
    z, times = np.array([[0.3, -0.5], [1.0, 0.2]]), np.array([2.0, 1.5])
    losses, _ = likelihood.loss_and_gradient(z, np.column_stack([times, [0, 0]]))
    np.testing.assert_allclose(losses, -np.log(1 - likelihood.distribution(z).cdf(times)), rtol=1e-10)


def test_quantiles_are_where_the_distribution_function_passes_the_level(predicted):
    likelihood, _, _, distribution = predicted
    quantiles = distribution.quantile(LEVELS)
    assert quantiles.shape == (*distribution.shape, len(LEVELS))
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    for k, level in enumerate(LEVELS):
        q = quantiles[..., k]
        step = np.ones_like(q) if distribution.discrete else 1e-6 * (1 + np.abs(q))
        assert (distribution.cdf(q + (0 if distribution.discrete else step)) >= level).all()
        assert ((distribution.cdf(q - step) < level) | (q == 0)).all()
        np.testing.assert_array_equal(distribution.quantile(level), q)
    interval = distribution.interval(0.8)
    np.testing.assert_allclose(interval, distribution.quantile([0.1, 0.9]), rtol=1e-9)
    assert likelihood.quantile(0.5, predicted[1]).shape == distribution.shape


def test_samples_have_the_mean_and_the_distribution(predicted):
    distribution = predicted[3]
    draws = distribution.sample(1000, seed=1)
    assert draws.shape == (1000, *distribution.shape)
    assert np.array_equal(draws, distribution.sample(1000, seed=1))
    flat, levels = draws.reshape(1000, -1), distribution.quantile([0.25, 0.5, 0.9]).reshape(-1, 3)
    for k in range(flat.shape[1]):
        for j in range(3):
            probability = distribution.cdf(levels[:, j].reshape(distribution.shape)).ravel()[k]
            found = (flat[:, k] <= levels[k, j] + 1e-9).mean()
            assert abs(found - probability) < 5 * np.sqrt(0.25 / 1000)


def test_the_moments_are_the_integrals_of_the_quantiles(predicted):
    """E[Y] and E[Y²] are the integrals of the quantile function and of its square over the levels."""
    likelihood, z, _, distribution = predicted
    levels = (np.arange(400) + 0.5) / 400
    quantiles = np.moveaxis(distribution.quantile(levels), -1, 0)
    mean, variance = quantiles.mean(axis=0), quantiles.var(axis=0)
    scale = np.sqrt(distribution.variance)
    ordinary = scale < 4  # of heavy tails, few levels miss much
    assert ordinary.any()
    assert (np.abs(mean - distribution.mean) < 0.05 * (1 + scale))[ordinary].all()
    apart = np.abs(variance - distribution.variance)
    assert (apart < 0.3 * (0.1 + distribution.variance))[ordinary].all()
    if likelihood.name not in {
        "categorical",
        "ordinal",
    } and likelihood.n_columns == distribution.mean.size / len(z):
        np.testing.assert_allclose(likelihood.mean(z).ravel(), distribution.mean.ravel(), rtol=1e-9)


def test_densities_integrate_to_the_distribution_function(predicted):
    likelihood, _, _, distribution = predicted
    if distribution.discrete or len(distribution.shape) > 1:
        return
    ends = distribution.quantile([0.2, 0.7])
    for i in range(2):

        def density(y, i=i):
            return distribution.pdf(np.full(distribution.shape, y))[i]

        points = likelihood.quantiles(predicted[1])[i, 0] if likelihood.name == "quantile" else None
        low = max(ends[i, 0], 1e-9)
        if ends[i, 1] <= low:
            continue
        area, _ = integrate.quad(density, low, ends[i, 1], points=points, limit=200)
        at = [distribution.cdf(np.full(distribution.shape, end))[i] for end in (low, ends[i, 1])]
        assert area == pytest.approx(at[1] - at[0], abs=1e-6)


def test_a_mixture_is_the_average_of_its_components():
    first, second = (
        Normal().distribution(np.array([[-1.0], [0.0]])),
        Normal().distribution(np.array([[3.0], [0.0]])),
    )
    mixture = Mixture([first, second], [3, 1])
    y = np.array([0.5, -2.0])
    np.testing.assert_allclose(mixture.cdf(y), 0.75 * first.cdf(y) + 0.25 * second.cdf(y), rtol=1e-14)
    np.testing.assert_allclose(mixture.pdf(y), 0.75 * first.pdf(y) + 0.25 * second.pdf(y), rtol=1e-13)
    np.testing.assert_allclose(mixture.mean, [0, 0], atol=1e-15)
    np.testing.assert_allclose(mixture.variance, [4, 1])
    np.testing.assert_allclose(mixture.cdf(mixture.quantile(0.3)), 0.3, rtol=1e-13)
    np.testing.assert_allclose(mixture.quantile(0.3)[1], stats.norm.ppf(0.3), rtol=1e-13)
    assert mixture.quantile([0.0, 1.0])[0].tolist() == [-np.inf, np.inf]
    draws = mixture.sample(4000, seed=0)
    assert abs(draws[:, 0].mean()) < 5 * 2 / np.sqrt(4000)


def test_a_mixture_of_counts_has_whole_quantiles():
    mixture = Mixture([Poisson().distribution(np.array([[0.0]])), Poisson().distribution(np.array([[3.0]]))])
    for q in LEVELS:
        found = mixture.quantile(q)
        assert found == np.floor(found)
        assert mixture.cdf(found) >= q > mixture.cdf(found - 1)
    assert mixture.pmf([2.0]) == pytest.approx(
        (stats.poisson.pmf(2, 1) + stats.poisson.pmf(2, np.exp(3))) / 2
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.quantile(1.5), "levels of quantiles must be at least 0 and at most 1"),
        (lambda d: d.interval(1.0), "it must be a number above 0 and below 1"),
        (lambda d: d.pmf(0.0), "ask for pdf or logpdf"),
        (lambda _: Mixture([]), "at least one component"),
        (lambda _: Mixture([1.0]), "must be Distributions"),
        (lambda d: Mixture([d], [-1.0]), "a finite number ≥ 0 for each component"),
        (lambda d: Mixture([d], ["much"]), "weights=.* must be a number, or an array of numbers"),
        (lambda d: Mixture([d, Poisson().distribution(np.zeros((1, 1)))]), "all discrete or none"),
        (lambda _: Poisson().distribution(np.zeros((1, 1))).pdf(1.0), "ask for pmf or logpmf"),
    ],
)
def test_what_cannot_be_asked_is_an_error(call, message):
    with pytest.raises(InputError, match=message):
        call(Normal().distribution(np.zeros((1, 1))))


@pytest.mark.parametrize("q", [1e-12, 0.05, 0.3, 0.5, 0.9, 0.999, 1 - 1e-12])
def test_the_quantiles_of_a_mixture_are_found_to_the_last_digits(q, case, make_likelihood):
    likelihood = make_likelihood(case)
    rng = np.random.default_rng(0)
    components = [
        likelihood.distribution(rng.normal(0, 1.5, (20, likelihood.n_logits + likelihood.n_scales)))
        for _ in range(3)
    ]
    mixture = Mixture(components, [1, 2, 3])
    found = mixture.quantile(q)
    if mixture.discrete:
        assert (mixture.cdf(found) >= q * (1 - 1e-12)).all()
        assert (mixture.cdf(found - 1) < q).all()
        return
    at_zero = (found == 0) & (mixture.cdf(0.0) >= q)  # Tweedie's jump
    np.testing.assert_allclose(mixture.cdf(found)[~at_zero], q, rtol=1e-12)


# ── The whole product: likelihood × method ──


def of_scipy(likelihood, z):
    """Return the same from scipy.stats by the formulas of the notes, or None where it has no such one."""
    name, n = likelihood.name, getattr(likelihood, "n_outputs", 1)
    z = z.astype(np.float64)
    s, t = z[:, :n], z[:, n:]
    if isinstance(getattr(likelihood, "scale", None), float):
        t = np.full_like(s, np.log(likelihood.scale) * (2 if name.startswith("normal") else 1))
    made = {
        "normal": lambda: stats.norm(s, np.exp(t / 2)),
        "normal_with_variance": lambda: stats.norm(s, np.exp(t / 2)),
        "student_t": lambda: stats.t(likelihood.degrees_of_freedom, s, np.exp(t)),
        "laplace": lambda: stats.laplace(s, np.exp(t)),
        "bernoulli": lambda: stats.bernoulli(1 / (1 + np.exp(-s))),
        "poisson": lambda: stats.poisson(np.exp(s)),
        "negative_binomial": lambda: stats.nbinom(np.exp(-t), 1 / (1 + np.exp(s + t))),
        "gamma": lambda: stats.gamma(np.exp(-t), scale=np.exp(s + t)),
        "weibull": lambda: stats.weibull_min(np.exp(-t[:, 0]), scale=np.exp(s[:, 0])),
    }.get(name)
    return None if made is None else made()


def test_it_is_that_of_scipy(predicted):
    likelihood, z, y, distribution = predicted
    theirs = of_scipy(likelihood, z)
    if theirs is None:
        return
    target = by_column(likelihood, y)
    np.testing.assert_allclose(distribution.mean, theirs.mean(), rtol=1e-12)
    np.testing.assert_allclose(distribution.variance, theirs.var(), rtol=1e-12)
    for at in (target, target + 0.5, -1.0):
        np.testing.assert_allclose(distribution.cdf(at), theirs.cdf(at), rtol=1e-11, atol=1e-300)
        np.testing.assert_allclose(distribution.log_survival(at), theirs.logsf(at), rtol=1e-9)
        logs = theirs.logpmf(at) if distribution.discrete else theirs.logpdf(at)
        np.testing.assert_allclose(distribution.log_density(at), logs, rtol=1e-10, atol=1e-13)
    for level in (0.0, 1e-3, 0.5, 0.99, 1.0):
        expected = theirs.ppf(level)
        if distribution.discrete:
            expected = np.maximum(expected, 0)  # the least count, where SciPy says −1
        np.testing.assert_allclose(distribution.quantile(level), expected, rtol=1e-11)


def test_the_ends_and_what_is_missing(predicted):
    """At −∞ nothing lies below, at ∞ all does; where y is missing nothing is known, and elsewhere all is."""
    _, _, _, distribution = predicted
    both = Mixture([distribution, distribution], [1, 2])
    for each in (distribution, both):
        assert (each.cdf(-np.inf) == 0).all()
        np.testing.assert_allclose(each.cdf(np.inf), 1, rtol=1e-14)
        assert np.isneginf(each.log_density([np.inf] * each.shape[-1])).all()
        assert np.isneginf(each.log_density(-np.inf)).all()
        y = np.where(np.arange(np.prod(each.shape)).reshape(each.shape) % 2, np.nan, 1.0)
        for method in (each.cdf, each.log_density, each.log_survival):
            found = method(y)
            np.testing.assert_array_equal(np.isnan(found), np.isnan(y))
            np.testing.assert_array_equal(found[~np.isnan(y)], method(1.0)[~np.isnan(y)])
        lowest, highest = np.moveaxis(each.quantile([0.0, 1.0]), -1, 0)
        assert ((each.cdf(lowest - 1) == 0) | np.isneginf(lowest)).all()
        np.testing.assert_allclose(each.cdf(highest), 1, rtol=1e-14)
        assert (lowest >= 0).all() or not distribution.discrete


WRONG = {
    "a level above 1": (lambda d: d.quantile(1.5), "levels of quantiles must be at least 0 and at most 1"),
    "a level of NaN": (lambda d: d.quantile(np.nan), "levels of quantiles must be"),
    "a level of text": (lambda d: d.quantile("0.5"), "^q='0.5': it must be a number, or an array of numbers"),
    "no level": (lambda d: d.quantile(None), "^q=None: it must be a number"),
    "a coverage of text": (lambda d: d.interval("0.9"), "^coverage='0.9': it must be a number above 0"),
    "two coverages": (lambda d: d.interval([0.5, 0.9]), "it must be a number above 0 and below 1"),
    "no coverage": (lambda d: d.interval(None), "^coverage=None"),
    "a coverage of 1": (lambda d: d.interval(1), "^coverage=1"),
    "draws below 0": (lambda d: d.sample(-1), "^n=-1: the number of draws must be a whole number"),
    "half a draw": (lambda d: d.sample(1.5), "^n=1.5: the number of draws"),
    "draws of text": (lambda d: d.sample("3"), "^n='3': the number of draws"),
    "a seed below 0": (lambda d: d.sample(1, seed=-1), "^seed=-1: it must be a whole number"),
    "a seed of text": (lambda d: d.sample(1, seed="x"), "^seed='x': it must be a whole number"),
    **{
        f"{method} of {what}": (lambda d, m=method, y=y: getattr(d, m)(y), message)
        for method in ("cdf", "log_density", "log_survival", "density", "logdensity")
        for what, y, message in (
            ("text", "a", "^y='a': it must be a number, or an array of numbers"),
            ("nothing", None, "^y=None: it must be a number"),
            ("complex numbers", np.array([1j]), "it must be a number, or an array of numbers"),
            ("another shape", np.zeros((5, 7)), r"^y has the shape \(5, 7\): it must be one number"),
            ("rows of other lengths", [[1.0], [1.0, 2.0]], "it must be a number, or an array of numbers"),
        )
    },
}


class ByAnyName:
    """A distribution whose ``density`` is its pdf or its pmf."""

    def __init__(self, of):
        self.of = of

    def __getattr__(self, name):
        kind = "pmf" if self.of.discrete else "pdf"
        return getattr(self.of, {"density": kind, "logdensity": f"log{kind}"}.get(name, name))


def test_a_wrong_argument_is_told_by_each(predicted):
    distribution = predicted[3]
    for each in (distribution, Mixture([distribution]), LocationScale(distribution, 1.0, 2.0)):
        for call, message in WRONG.values():
            with pytest.raises(InputError, match=message):
                call(ByAnyName(each))


@pytest.mark.parametrize("size", [40, 300])
def test_large_logits_are_no_trouble(size, case, make_likelihood):
    """Nothing is NaN or warns; a variance that is too large for a float is inf."""
    likelihood, rng = make_likelihood(case, 2), np.random.default_rng(0)
    z = rng.normal(0, size, (3, likelihood.n_logits + likelihood.n_scales)).clip(-size, size)
    if likelihood.name != "ordinal":
        z[:, likelihood.n_locations :] = rng.normal(0, 1, z[:, likelihood.n_locations :].shape)
    distribution = likelihood.distribution(z)
    for each in (distribution, Mixture([distribution, likelihood.distribution(z[::-1] / 2)])):
        levels = np.array([0.0, 1e-9, 0.1, 0.9, 1.0])
        quantiles = each.quantile(levels)
        found = [each.mean, each.variance, quantiles, each.sample(1, 0)]
        found += [method(1.0) for method in (each.cdf, each.log_density, each.log_survival)]
        assert not any(np.isnan(values).any() for values in found)
        assert (quantiles[..., 1:] >= quantiles[..., :-1]).all()
        if each.discrete:
            for k in range(1, 4):
                assert (each.cdf(quantiles[..., k]) >= levels[k] * (1 - 1e-12)).all()


@pytest.mark.parametrize("mean", [1e5, 3e7, 1e12, 1e17])
@pytest.mark.parametrize("name", ["poisson", "negative_binomial/fixed"])
def test_quantiles_of_large_counts(name, mean, make_likelihood):
    distribution = make_likelihood(name).distribution(np.log([[mean]]))
    for level in (1e-12, 1e-3, 0.5, 0.9, 1 - 1e-6):
        found = distribution.quantile(level)
        below = np.minimum(found - 1, np.nextafter(found, 0))
        assert distribution.cdf(found) >= level > distribution.cdf(below)
    draws = distribution.sample(100, seed=0)
    assert abs(draws.mean() / mean - 1) < 5 * np.sqrt(distribution.variance[0] / 100) / mean


@pytest.mark.parametrize("power", [1.001, 1.05, 1.5, 1.95])
@pytest.mark.parametrize("number", [0.3, 30, 99, 101, 170, 2000])
def test_tweedie_is_the_sum_of_a_poisson_number_of_amounts(number, power):
    """The sum over all numbers of amounts, of SciPy's distributions of these."""
    mu = np.full(7, 3.0)
    phi = mu ** (2 - power) / ((2 - power) * number)
    distribution = TweedieDistribution(mu, phi, power)
    y = np.maximum(mu + np.sqrt(distribution.variance) * np.linspace(-4, 6, 7), 0)
    n = np.arange(1, int(number + 15 * np.sqrt(number) + 30))[:, None]
    one = stats.gamma(n * (2 - power) / (power - 1), scale=phi * (power - 1) * mu ** (power - 1))
    counted = stats.poisson(number)
    expected = counted.pmf(0) + (counted.pmf(n) * one.cdf(y)).sum(axis=0)
    np.testing.assert_allclose(distribution.cdf(y), expected, rtol=0, atol=3e-12)


@pytest.mark.parametrize("power", [1.2, 1.5, 1.9])
@pytest.mark.parametrize("rate", [1e5, 1e7, 1e9])
def test_tweedie_of_a_large_rate_is_close_to_a_gamma(power, rate):
    """Of the same mean and variance: they differ in the skewness, which is small there."""
    mu = np.full(5, 3.0)
    distribution = TweedieDistribution(mu, mu ** (2 - power) / (rate * (2 - power)), power)
    variance = distribution.variance
    y = mu + np.sqrt(variance) * np.array([-2.5, -1.0, 0.0, 0.5, 3.0])
    gamma = stats.gamma(mu**2 / variance, scale=variance / mu)
    np.testing.assert_allclose(distribution.cdf(y), gamma.cdf(y), rtol=0, atol=0.3 / np.sqrt(rate))


def test_tweedie_of_any_rate_has_quantiles():
    mu = np.array([1.0, 1e6, 1e6, 1e30])
    found = TweedieDistribution(mu, np.array([1.0, 1.0, 2.5e-8, 1e-3]), 1.5)
    for q in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(found.cdf(found.quantile(q))[1:], q, rtol=1e-3)
    assert (found.quantile(0.1) < found.quantile(0.9)).all()


@pytest.mark.parametrize("log_alpha", [-12.0, -20.0, -40.0, -700.0])
def test_counts_that_are_hardly_overdispersed_are_poisson(log_alpha):
    """Also where 1 + α μ is rounded to 1."""
    mean = np.array([1e-9, 0.3, 7.0, 400.0])
    logits = np.column_stack([np.log(mean), np.full(4, log_alpha)])
    ours = NegativeBinomial(scale="network").distribution(logits)
    poisson = stats.poisson(mean)
    assert np.exp(log_alpha) * mean.max() < 0.01
    np.testing.assert_allclose(ours.mean, mean, rtol=1e-9)
    near = 1e-5 + np.exp(log_alpha) * mean.max()  # α μ is how far they are apart
    np.testing.assert_allclose(ours.variance, mean, rtol=near)
    for y in (0, 5, 390):
        np.testing.assert_allclose(ours.cdf(np.full(4, y)), poisson.cdf(y), atol=near)
        np.testing.assert_allclose(ours.pmf(np.full(4, y)), poisson.pmf(y), atol=near)
    np.testing.assert_array_equal(ours.quantile(0.6), poisson.ppf(0.6))
    draws = ours.sample(4000, seed=0)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * np.sqrt(400 / 4000))
    np.testing.assert_allclose(draws[:, 2].mean(), 7, atol=5 * np.sqrt(7 / 4000))
