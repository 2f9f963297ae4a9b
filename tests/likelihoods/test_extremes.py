"""Loss and slopes of the likelihoods N15 to N24 against mpmath, for logits and log-scales up to ±1e4."""

import math
from functools import cache

import mpmath
import numpy as np
import pytest

from chainrule import Network
from chainrule.likelihoods import LIKELIHOODS

DIGITS = 60
LOGITS = [0, 1e-10, -1e-5, 0.1, -1, 1, -5, 17, -37, 104, -88.5, 700, -709.5, 1000, -1e4, 1e4]
LOG_SCALES = [0, -0.5, 2, -10, 10, -300, 300, -1e4, 1e4]
NUMBERS = [0, 1, -2.5, 1e-5, 1e4, -1e4, 1e30, -1e30]
AMOUNTS = [1, 1e-5, 0.5, 3, 1000, 1e30, 1e-30]
SCALE = {"fixed": 1.5, "learned": None, "network": None}


def softplus(v):
    return mpmath.log1p(mpmath.exp(v))


def sigmoid(v):
    return 1 / (1 + mpmath.exp(-v))


# For each likelihood the definition: terms of the loss, of ∂loss/∂s and of ∂loss/∂t, each a list to be
# added up. Where terms cancel, no float can be nearer to the sum than ε of the largest term. `free`: t is in
# the loss.
def normal(s, t, y, free):
    square = (y - s) ** 2 * mpmath.exp(-t)
    return [square / 2, t / 2 if free else 0], [(s - y) * mpmath.exp(-t)], [mpmath.mpf(1) / 2, -square / 2]


def student_t(s, t, y, free):
    nu, d = 4, s - y
    x = d**2 * mpmath.exp(-2 * t) / nu
    by_s = (nu + 1) * d * mpmath.exp(-2 * t) / nu / (1 + x)
    return [mpmath.mpf(nu + 1) / 2 * mpmath.log1p(x), t if free else 0], [by_s], [1, -(nu + 1) * x / (1 + x)]


def laplace(s, t, y, free):
    size = abs(y - s) * mpmath.exp(-t)
    return [size, t if free else 0], [mpmath.sign(s - y) * mpmath.exp(-t)], [1, -size]


def huber(s, t, y, free):
    delta, z = mpmath.mpf(1.345), (s - y) * mpmath.exp(-t)
    c = min(max(z, -delta), delta)
    return [c * (z - c / 2), t if free else 0], [c * mpmath.exp(-t)], [1, -c * z]


def negative_binomial(s, t, y, free):
    r, u = mpmath.exp(-t), s + t
    mu, p = mpmath.exp(s), sigmoid(s + t)
    loss = [r * softplus(u), y * softplus(u), -y * s]
    by_t = [r * (p - softplus(u)), y * p, mu, -mu]
    if free:  # e^D = Π (1 + j α), j = 0 … y − 1
        alpha = mpmath.exp(t)
        D = mpmath.fsum(mpmath.log1p(j * alpha) for j in range(int(y)))
        slope = -mpmath.fsum(j * alpha / (1 + j * alpha) for j in range(int(y)))
        loss += [-D, y * abs(t), -y * abs(t), mpmath.loggamma(y + 2), -mpmath.loggamma(y + 2), 1, -1]
        by_t += [slope, y, -y, 1, -1]
    return loss, [(mu - y) / (1 + mu * mpmath.exp(t)), y * sigmoid(-u), -y * sigmoid(-u)], by_t


def gamma(s, t, y, free):
    k, ratio = mpmath.exp(-t), y * mpmath.exp(-s)
    if not free:
        return [k * ratio, k * s], [k, -k * ratio], [0]
    log_ratio = mpmath.log(y) - s
    if k > 1e30:  # Stirling; the next term is below 1e-31
        G, slope = mpmath.log(2 * mpmath.pi / k) / 2, mpmath.mpf(-1) / 2
    else:
        with mpmath.workdps(120):
            G = mpmath.loggamma(k) - k * mpmath.log(k) + k
            slope = k * (mpmath.digamma(k) - mpmath.log(k))
    # log y − s is rounded, and k times that counts
    loss = [k * ratio, -k, -k * log_ratio, G, k * s, -k * s]
    return loss, [k, -k * ratio], [-k * ratio, k, k * log_ratio, -slope, k * s, -k * s]


@cache
def amounts_sum(a):
    """Return log Σ e^{j v} w_j − A e^a and its derivative: over the number j of amounts, or their density."""
    p = mpmath.mpf(1.3)
    A, k, m = 1 / (p - 1), (2 - p) / (p - 1), mpmath.exp(a)
    if m > 3000:  # Laplace's method; the next term is below 1e-15
        q = (k + 2) * (2 * k + 1) / (24 * k * A)
        return mpmath.log(k * m / (2 * mpmath.pi * A)) / 2 - q / m, mpmath.mpf(1) / 2 + q / m
    width = 12 * math.sqrt(m / A) + 40
    numbers = range(max(1, int(m - width)), int(m + width))
    v = A * a + k * mpmath.log(k)
    terms = [mpmath.exp(j * v - mpmath.loggamma(j + 1) - mpmath.loggamma(k * j) - A * m) for j in numbers]
    total = mpmath.fsum(terms)
    mean = mpmath.fsum(j * term for j, term in zip(numbers, terms, strict=True)) / total
    return mpmath.log(total), A * (mean - m)


def tweedie(s, t, y, free):
    q = 2 - mpmath.mpf(1.3)
    up, down = mpmath.exp(q * s - t), y * mpmath.exp((q - 1) * s - t)
    slopes = [up, -down]
    if not free:
        return [up / q, down / (1 - q)], slopes, [0]
    if y == 0:
        return [up / q], slopes, [-up / q]
    ratio = mpmath.log(y) - s
    bend = (1 - q + q * mpmath.exp(ratio) - mpmath.exp(q * ratio)) / (q * (1 - q))
    R, slope = amounts_sum(q * mpmath.log(y) - t - mpmath.log(q))
    # log y − s is rounded, and up and down times that count
    return (
        [bend * up, -R, up / q, -up / q, down / (1 - q), -down / (1 - q)],
        slopes,
        [-bend * up, slope, up / q, -up / q, down / (1 - q), -down / (1 - q)],
    )


DEFINITIONS = {
    "normal": (normal, NUMBERS),
    "normal_with_variance": (normal, NUMBERS),
    "student_t": (student_t, NUMBERS),
    "laplace": (laplace, NUMBERS),
    "huber": (huber, NUMBERS),
    "negative_binomial": (negative_binomial, [0, 1, 2, 7, 40]),
    "gamma": (gamma, AMOUNTS),
    "tweedie": (tweedie, [0, *AMOUNTS]),
}
# These have no scale, or another form: their definitions stand below, and in test_likelihoods.py.
ELSEWHERE = {"bernoulli", "categorical", "poisson", "quantile", "ordinal", "weibull"}


def test_every_likelihood_is_covered():
    assert set(DEFINITIONS) | ELSEWHERE == set(LIKELIHOODS)


@cache
def rows(name):
    """Return s, t and y: each logit with each y at ordinary scales, and each log-scale at a few of them."""
    targets = DEFINITIONS[name][1]
    ordinary = [(s, t, y) for s in LOGITS for y in targets for t in (0, -0.5, 2)]
    extreme = [(s, t, y) for s in (0, -1, 17, -1e4, 1e4) for y in targets[:4] for t in LOG_SCALES]
    return np.array(ordinary + extreme, dtype=float)


@cache
def truths(name, dtype, scale):
    """Return what mpmath says to each row, the numbers as they are in the dtype."""
    found = []
    t_given = None if scale is None else (2 if name == "normal" else 1) * mpmath.log(mpmath.mpf(scale))
    with mpmath.workdps(DIGITS):
        for s, t, y in rows(name).astype(dtype):
            numbers = [mpmath.mpf(float(v)) for v in (s, t, y)]
            numbers[1] = numbers[1] if t_given is None else t_given
            found.append(DEFINITIONS[name][0](*numbers, scale is None))
    return found


def assert_near(value, terms, condition, dtype, place):
    """Compare with the sum of the terms: a few ε of the largest, ±inf beyond the range, never NaN."""
    info = np.finfo(dtype)
    with mpmath.workdps(DIGITS):
        true, value = mpmath.fsum(terms), float(value)
        assert not np.isnan(value), f"NaN at {place}"
        largest = max(abs(term) for term in terms)
        if largest > float(info.max) / 8:  # at the edge, or only the terms are beyond it
            assert np.isinf(value) or abs(true) <= 2 * float(info.max), f"{value} at {place}"
            assert value * float(mpmath.sign(true)) >= 0 or abs(true) < largest / 1e3, f"{value} at {place}"
            return
        allowed = (16 + condition) * float(info.eps) * largest + float(info.tiny)
        assert abs(mpmath.mpf(value) - true) <= allowed, f"{value}, not {mpmath.nstr(true, 17)}, at {place}"


def settings_of(case):
    name, _, way = case.partition("/")
    scale = 1.5 if way == "fixed" else None
    return name, scale, 1.5 if scale else None


CASES = [
    "normal/fixed",
    "normal_with_variance",
    *(
        f"{n}/{w}"
        for n in ("student_t", "laplace", "huber", "negative_binomial", "gamma", "tweedie")
        for w in ("fixed", "network")
    ),
]


# N15 N16 N17 N18 N21 N22 N23
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_loss_and_slopes(case, dtype, make_likelihood):
    name, scale, _ = settings_of(case)
    likelihood = make_likelihood(case)
    table = rows(name).astype(dtype)
    free = likelihood.n_logits == 2
    z = table[:, :2] if free else table[:, :1]
    losses, slopes = likelihood.loss_and_gradient(z, table[:, 2:])
    network, theta = top_only(likelihood, dtype)
    native_losses, native_slopes = by_engine(network, theta, z, table[:, 2:])
    assert losses.dtype == slopes.dtype == dtype
    for i, (loss, by_s, by_t) in enumerate(truths(name, dtype, scale)):
        place = f"{case}, (s, t, y) = {table[i].tolist()}"
        condition = 2 * float(np.abs(table[i, :2]).max())  # of the exponentials of s + t, t and (1 − p) s
        condition += 32 if name in {"gamma", "negative_binomial"} else 0  # log Γ and ψ, see math.hpp
        for of_losses, of_slopes in ((losses, slopes), (native_losses, native_slopes)):
            assert_near(of_losses[i], loss, condition, dtype, place)
            assert_near(of_slopes[i, 0], by_s, condition, dtype, place)
            if free:
                assert_near(of_slopes[i, 1], by_t, condition, dtype, place)


def top_only(likelihood, dtype):
    """Return a network whose logits are its inputs, and its θ."""
    network = Network(likelihood.n_logits, likelihood=likelihood)
    theta = np.zeros(network.n_parameters, dtype)
    network.unpack(theta)[0][0][...] = np.eye(likelihood.n_logits)
    return network, theta


def by_engine(network, theta, z, y):
    """Return the native engine's losses and slopes, row by row: the bias of the top layer has the slopes."""
    losses, slopes = np.empty(len(z), z.dtype), np.empty_like(z)
    for i in range(len(z)):
        offset = z[i : i + 1]
        loss, gradient = network.loss_and_gradient(theta, np.zeros_like(offset), y[i : i + 1], offset=offset)
        losses[i], slopes[i] = loss, network.unpack(gradient)[0][1]
    return losses, slopes


# N24
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weibull(dtype, make_likelihood):
    likelihood = make_likelihood("weibull/network")
    network, theta = top_only(likelihood, dtype)
    table = np.array(
        [(s, t, y, d) for s in LOGITS for t in LOG_SCALES for y in (1, 1e-5, 7.5, 1e30) for d in (0, 1)]
    ).astype(dtype)
    z, y = table[:, :2], table[:, 2:]
    both = likelihood.loss_and_gradient(z, y), by_engine(network, theta, z, y)
    for i, (s, t, time, event) in enumerate(table.tolist()):
        with mpmath.workdps(DIGITS):
            s, t, time = mpmath.mpf(s), mpmath.mpf(t), mpmath.mpf(time)  # noqa: PLW2901 (the same, exactly)
            inverse = mpmath.exp(-t)
            w = (mpmath.log(time) - s) * inverse
            e = mpmath.exp(w) if w < 1e9 else mpmath.mpf("1e400000000")
            loss, by_s = [e, -event * w, event * t], [-e * inverse, event * inverse]
            by_t = [event, -w * e, w * event]
            # the rounding of log y and of s, as it comes through e^w
            condition = 4 * (float(min((abs(mpmath.log(time)) + abs(s)) * inverse, 1e9)) + abs(float(t)))
            place = f"(s, t, y) = {table[i].tolist()}"
            for losses, slopes in both:
                assert_near(losses[i], loss, condition, dtype, place)
                assert_near(slopes[i, 0], by_s, condition, dtype, place)
                assert_near(slopes[i, 1], by_t, condition, dtype, place)


# N19
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quantile(dtype, make_likelihood):
    likelihood = make_likelihood("quantile")
    network, theta = top_only(likelihood, dtype)
    rng = np.random.default_rng(0)
    z, y = (
        rng.choice(LOGITS, (300, 3)).astype(dtype),
        rng.choice([0.3, -7, 1e5, -1e5], (300, 1)).astype(dtype),
    )
    both = likelihood.loss_and_gradient(z, y), by_engine(network, theta, z, y)
    for i in range(len(z)):
        with mpmath.workdps(DIGITS):
            a, b, c = (mpmath.mpf(float(v)) for v in z[i])
            target = mpmath.mpf(float(y[i, 0]))
            q = [a, a + softplus(b), a + softplus(b) + softplus(c)]
            levels = [mpmath.mpf(float(dtype_of(level, dtype))) for level in likelihood.levels]
            g = [(1 if target < v else 0) - level for v, level in zip(q, levels, strict=True)]
            loss = [slope * part for slope, v in zip(g, q, strict=True) for part in (v, -target)]
            loss += [softplus(b), -softplus(b), softplus(c), -softplus(c)]
            slopes = [g, [sigmoid(b) * v for v in g[1:]], [sigmoid(c) * g[2]]]
            if min(abs(v - target) for v in q) < 1e-2:
                continue  # a kink
            for losses, found in both:
                assert_near(losses[i], loss, 0, dtype, f"{z[i].tolist()}, {y[i].tolist()}")
                for k in range(3):
                    assert_near(found[i, k], slopes[k], 16, dtype, f"{z[i].tolist()}, {y[i].tolist()}")


def dtype_of(value, dtype):
    return np.asarray(value, dtype=dtype)


# N20
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ordinal(dtype, make_likelihood):
    likelihood = make_likelihood("ordinal", 4)
    rng = np.random.default_rng(0)
    z, y = rng.choice(LOGITS, (120, 4)).astype(dtype), rng.integers(0, 4, (120, 1))
    losses, slopes = likelihood.loss_and_gradient(z, y)
    network = Network(1, likelihood=likelihood)
    for i in range(len(z)):
        theta = np.array([1.0, *z[i, 1:]], dtype)
        engine_loss, gradient = network.loss_and_gradient(theta, z[i : i + 1, :1], y[i : i + 1])
        assert engine_loss == pytest.approx(losses[i], rel=1e-5 if dtype == "float32" else 1e-13)
        with mpmath.workdps(300):
            s, g_1, g_2, g_3 = (mpmath.mpf(float(v)) for v in z[i])
            c = [g_1, g_1 + softplus(g_2), g_1 + softplus(g_2) + softplus(g_3)]
            label, place = int(y[i, 0]), f"{z[i].tolist()}, {y[i].tolist()}"
            below = sigmoid(c[label - 1] - s) if label else 0
            above = sigmoid(c[label] - s) if label < 3 else 1
            size = float(sum(abs(v) for v in (s, g_1, g_2, g_3)))
            if size > 250:  # the difference of sigmoids is lost, so by the identity that the notes derive
                true = (softplus(s - c[label]) if label < 3 else 0) + (
                    softplus(c[label - 1] - s) if label else 0
                )
                true += softplus(-[g_2, g_3][label - 1]) if label in (1, 2) else 0
            else:
                true = -mpmath.log(above - below)
            assert_near(losses[i], [true], size, dtype, place)
            by_s = 1 - above - below
            assert_near(slopes[i, 0], [by_s, 1, -1], size, dtype, place)
            np.testing.assert_allclose(gradient[1:], slopes[i, 1:], rtol=0, atol=16 * np.finfo(dtype).eps)
