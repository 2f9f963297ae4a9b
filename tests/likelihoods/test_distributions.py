"""Predictive distributions: against the loss, each other's functions, and SciPy's integrals."""

import numpy as np
import pytest
from scipy import integrate, stats

from chainrule import InputError
from chainrule.likelihoods import Normal, Poisson, compound
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
        (lambda d: d.interval(1.0), "it must be above 0 and below 1"),
        (lambda d: d.pmf(0.0), "ask for pdf or logpdf"),
        (lambda _: Mixture([]), "at least one component"),
        (lambda d: Mixture([d], [-1.0]), "a finite number ≥ 0 for each component"),
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


@pytest.mark.parametrize("power", [1.2, 1.5, 1.9])
@pytest.mark.parametrize("rate", [2e4, 9e4])
def test_a_tweedie_of_a_large_rate_is_close_to_the_gamma_that_stands_in_for_it(power, rate, monkeypatch):
    """As far as the sum over N can be taken; the further, the closer."""
    mu = np.full(5, 3.0)
    phi = mu ** (2 - power) / (rate * (2 - power))
    exact = TweedieDistribution(mu, phi, power)
    y = mu + np.sqrt(exact.variance) * np.array([-2.5, -1.0, 0.0, 0.5, 3.0])
    whole = exact.cdf(y)
    monkeypatch.setattr(compound, "LARGE_RATE", 1e4)
    assert np.abs(TweedieDistribution(mu, phi, power).cdf(y) - whole).max() < 1e-3
    assert np.abs(TweedieDistribution(mu, phi, power).cdf(y) - whole).max() > 0  # it is another one


def test_a_tweedie_of_any_rate_has_quantiles():
    mu = np.array([1.0, 1e6, 1e6, 1e30])
    found = TweedieDistribution(mu, np.array([1.0, 1.0, 2.5e-8, 1e-3]), 1.5)
    for q in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(found.cdf(found.quantile(q))[1:], q, rtol=1e-3)
    assert (found.quantile(0.1) < found.quantile(0.9)).all()


@pytest.mark.parametrize("mean", [1e9, 1e12, 1e14])
def test_counts_of_any_size_have_quantiles(mean):
    found = Poisson().distribution(np.log([[mean]]))
    for q in (0.05, 0.1, 0.5, 0.9):
        expected = mean + np.sqrt(mean) * stats.norm.ppf(q)
        np.testing.assert_allclose(found.quantile(q), expected, atol=3 + 1e-4 * np.sqrt(mean), rtol=0)
