"""Loss, −e and mean of every likelihood against mpmath, for logits up to ±1e4 (N5 to N8)."""

from functools import cache

import mpmath
import numpy as np
import pytest

from chainrule import InputError, Network
from chainrule.likelihoods import LIKELIHOODS, Bernoulli, Categorical, Likelihood, Normal, Poisson

DIGITS = 60
SIZES = [0, 1e-30, 1e-10, 1e-5, 0.1, 1, 5, 17, 37, 88.5, 104, 700, 709.5, 746, 1000, 1e4]
LOGITS = np.array([*SIZES, *(-size for size in SIZES[1:])])
TARGETS = {
    "normal": [0, 1, -2.5, 1e-5, 1e4, -1e4],
    "bernoulli": [0, 1, 0.25],
    "categorical": [0, 1, 2],
    "poisson": [0, 1, 0.5, 3, 1000],
}


def log1pexp(s):
    return mpmath.log1p(mpmath.exp(s))


# For each likelihood the definition, for one row: the loss, −e and E[y], each a list of terms to be added
# up. Where terms cancel, no float can be nearer to the sum than ε of the largest term.
def normal(s, y):
    loss = [(a - b) ** 2 / 2 for a, b in zip(s, y, strict=True)]
    return loss, [[a, -b] for a, b in zip(s, y, strict=True)], s


def bernoulli(s, y):
    p = [1 / (1 + mpmath.exp(-a)) for a in s]
    q = [1 / (1 + mpmath.exp(a)) for a in s]
    loss = [b * log1pexp(-a) + (1 - b) * log1pexp(a) for a, b in zip(s, y, strict=True)]
    return loss, [[(1 - b) * c, -b * d] for b, c, d in zip(y, p, q, strict=True)], p


def categorical(s, y):
    m = max(s)
    t = [mpmath.exp(a - m) for a in s]
    total = mpmath.fsum(t)
    c = int(y[0])
    others = mpmath.fsum(mpmath.exp(a - s[c]) for k, a in enumerate(s) if k != c)
    minus_e = [[a / total] for a in t]
    minus_e[c] = [-others / (1 + others)]
    return [mpmath.log1p(others)], minus_e, [a / total for a in t]


def poisson(s, y):
    mean = [mpmath.exp(a) for a in s]
    loss = [term for a, b, m in zip(s, y, mean, strict=True) for term in (m, -b * a)]
    return loss, [[m, -b] for m, b in zip(mean, y, strict=True)], mean


DEFINITIONS = {"normal": normal, "bernoulli": bernoulli, "categorical": categorical, "poisson": poisson}


@cache
def rows(name, outputs, dtype):
    """Return logits (n, k) and targets: every size and sign, ties, near ties and differences of 2e4."""
    rng = np.random.default_rng(0)
    k = max(outputs, 2) if name == "categorical" else outputs
    targets = [c for c in TARGETS[name] if name != "categorical" or c < k]
    s = rng.choice(LOGITS, (256, k))
    s[:31] = LOGITS[:, None]  # ties
    s[31:62] = LOGITS[:, None] * (1 + np.arange(k) * 3e-7)  # near ties
    s[62:93, 0] = LOGITS
    s[62:93, 1:] = -1e4
    s[93:124, 0] = LOGITS
    s[93:124, 1:] = 1e4
    y = rng.choice(targets, (256, 1 if name == "categorical" else k))
    if name == "normal":
        y[200:220] = s[200:220]  # −e is 0
    return s.astype(dtype), y.astype(int if name == "categorical" else dtype)


@cache
def truths(name, outputs, dtype):
    s, y = rows(name, outputs, dtype)
    with mpmath.workdps(DIGITS):
        return [
            DEFINITIONS[name]([mpmath.mpf(float(v)) for v in a], [mpmath.mpf(float(v)) for v in b])
            for a, b in zip(s, y, strict=True)
        ]


def assert_near(value, terms, condition, dtype, place):
    """Compare with the sum of the terms: a few ε of the largest, ±inf beyond the range, never NaN."""
    info = np.finfo(dtype)
    with mpmath.workdps(DIGITS):
        true = mpmath.fsum(terms)
        value = float(value)
        if abs(true) > float(info.max):
            assert value == (np.inf if true > 0 else -np.inf), f"{value} at {place}"
            return
        largest = max(abs(term) for term in terms)
        allowed = (8 + condition) * float(info.eps) * largest + float(info.tiny)
        assert abs(mpmath.mpf(value) - true) <= allowed, f"{value}, not {mpmath.nstr(true, 17)}, at {place}"


def condition_of(name, s):
    """Return by how much a function of exp(s_c − s_c') enlarges the rounding of that difference.

    The other likelihoods take exp of a logit as it is, which is exact.
    """
    return min(float(np.ptp(s.astype(float))), 800.0) if name == "categorical" else 0.0


def top_only(likelihood, dtype):
    """Return a network whose logits are its inputs, and its θ."""
    network = Network(likelihood.n_logits, likelihood=likelihood)
    theta = np.zeros(network.n_parameters, dtype)
    network.unpack(theta)[0][0][...] = np.eye(likelihood.n_logits)
    return network, theta


def test_every_definition_has_targets():
    assert set(DEFINITIONS) == set(TARGETS)


# N5 N6 N7 N8
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_loss_and_residual(name, outputs, dtype, engine, make_likelihood):
    network, theta = top_only(make_likelihood(name, outputs), dtype)
    s, y = rows(name, outputs, dtype)
    _, together = network.loss_and_input_gradient(theta, s, y, engine=engine)
    for i, (loss_terms, minus_e, _) in enumerate(truths(name, outputs, dtype)):
        place = f"s = {s[i].tolist()}, y = {y[i].tolist()}"
        condition = condition_of(name, s[i])
        loss, alone = network.loss_and_input_gradient(theta, s[i : i + 1], y[i : i + 1], engine=engine)
        assert network.loss(theta, s[i : i + 1], y[i : i + 1], engine=engine) == loss
        assert_near(loss, loss_terms, condition, dtype, place)
        if len(minus_e) > 1 and any(abs(term) > np.finfo(dtype).max for terms in minus_e for term in terms):
            continue  # an infinite −e times the zeros of the identity is not what is tested here
        for k, terms in enumerate(minus_e):
            assert_near(alone[0, k], terms, condition, dtype, place)
            assert_near(together[i, k] * len(s), terms, condition, dtype, place)  # a power of two of rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_loss_and_residual_by_the_likelihood_itself(name, outputs, dtype, make_likelihood):
    s, y = rows(name, outputs, dtype)
    losses, residuals = make_likelihood(name, outputs).loss_and_gradient(s, y)
    assert losses.dtype == residuals.dtype == dtype
    for i, (loss_terms, minus_e, _) in enumerate(truths(name, outputs, dtype)):
        place = f"s = {s[i].tolist()}, y = {y[i].tolist()}"
        condition = condition_of(name, s[i])
        assert_near(losses[i], loss_terms, condition, dtype, place)
        for k, terms in enumerate(minus_e):
            assert_near(residuals[i, k], terms, condition, dtype, place)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_mean(name, outputs, dtype, engine, make_likelihood):
    network, theta = top_only(make_likelihood(name, outputs), dtype)
    s, _ = rows(name, outputs, dtype)
    mean = network.predict(theta, s, engine)
    assert mean.dtype == dtype
    for i, (_, _, true) in enumerate(truths(name, outputs, dtype)):
        for k, value in enumerate(true):
            assert_near(mean[i, k], [value], condition_of(name, s[i]), dtype, f"s = {s[i].tolist()}")


# N8: −e is the derivative of the loss, and A' the mean: −e = ŷ − y.
@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_the_residual_is_the_target_less_the_mean(name, make_problem):
    problem = make_problem(name, outputs=3, n_rows=20)
    logits = problem.network.forward(problem.theta, problem.X, "reference")
    likelihood = problem.network.likelihood
    _, minus_e = likelihood.loss_and_gradient(logits, problem.y)
    y = np.eye(3)[problem.y[:, 0]] if name == "categorical" else problem.y
    np.testing.assert_allclose(minus_e, likelihood.mean(logits) - y, atol=1e-14)


# N9: rows that are repeated weigh as much as a weight.
def test_k_equal_rows_are_one_row_of_weight_k(case, engine, make_problem, layers):
    problem = make_problem(case, layers("tanh", 2), outputs=3, n_rows=7)
    network, times = problem.network, np.array([1, 4, 0, 2, 3, 1, 6])
    loss, gradient = network.loss_and_gradient(problem.theta, problem.X, problem.y, times, engine=engine)
    repeated = np.repeat(problem.X, times, axis=0), np.repeat(problem.y, times, axis=0)
    loss_repeated, gradient_repeated = network.loss_and_gradient(problem.theta, *repeated, engine=engine)
    assert loss == pytest.approx(loss_repeated, rel=1e-14)
    np.testing.assert_allclose(gradient, gradient_repeated, rtol=0, atol=1e-14 * np.abs(gradient).max())


def test_only_the_ratio_of_weights_counts(case, engine, make_problem, layers):
    problem = make_problem(case, layers("tanh", 2), outputs=3, n_rows=7, weighted=True)
    arguments = (problem.theta, problem.X, problem.y)
    loss, gradient = problem.network.loss_and_gradient(*arguments, problem.weight, engine=engine)
    for factor in (2.0**-60, 2.0**60):  # exact in both dtypes
        again = problem.network.loss_and_gradient(*arguments, problem.weight * factor, engine=engine)
        assert again[0] == pytest.approx(loss, rel=1e-15)
        np.testing.assert_allclose(again[1], gradient, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_of_weight_0_does_not_count_even_if_its_loss_is_infinite(dtype, engine):
    network, theta = top_only(Poisson(), dtype)
    X, y = np.array([[1e4], [0.5]], dtype), np.array([1, 2])
    assert network.loss(theta, X, y, engine=engine) == np.inf
    weighted = network.loss_and_gradient(theta, X, y, [0, 3], engine=engine)
    alone = network.loss_and_gradient(theta, X[1:], y[1:], engine=engine)
    assert weighted[0] == pytest.approx(alone[0], rel=1e-6)
    np.testing.assert_allclose(weighted[1], alone[1], rtol=1e-6)
    assert network.loss(theta, X, y, [0, 3], engine=engine) == weighted[0]


@pytest.mark.parametrize("dtype", ["int64", "int8", "bool", "uint8", "float32", "float64"])
@pytest.mark.parametrize("theta_dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_the_dtype_of_the_target_changes_nothing(name, theta_dtype, dtype, engine, make_problem):
    problem = make_problem(name, [4], dtype=theta_dtype)
    y = np.array([0, 1, 1, 0, 1])
    expected = problem.network.loss_and_gradient(
        problem.theta, problem.X, y.astype(theta_dtype), engine=engine
    )
    loss, gradient = problem.network.loss_and_gradient(
        problem.theta, problem.X, y.astype(dtype), engine=engine
    )
    assert loss == expected[0]
    assert gradient.dtype == theta_dtype
    assert np.array_equal(gradient, expected[1])


@pytest.mark.parametrize(
    ("likelihood", "y", "message"),
    [
        (Normal(), [1, np.nan, 2, -np.inf], "finite numbers; {}, such as nan (rows 1, 3)."),
        (
            Normal(2),
            [[1, 2], [3, np.inf], [np.nan] * 2],
            "finite numbers; {}, such as [3.0, inf] (rows 1, 2).",
        ),
        (
            Bernoulli(),
            [0, 1, 0.5, -0.1, 2],
            "0 or 1 (or a probability between them); {}, such as -0.1 (rows 3, 4).",
        ),
        (
            Categorical(3),
            [0, 3, 2, -1],
            "class numbers from 0 to n_classes − 1; {}, such as 3 (rows 1, 3).",
        ),
        (
            Categorical(3),
            [0.5, 1, np.nan],
            "class numbers from 0 to n_classes − 1; {}, such as 0.5 (rows 0, 2).",
        ),
        (Poisson(), [3, -1, np.inf], "counts: finite numbers ≥ 0; {}, such as -1.0 (rows 1, 2)."),
    ],
)
def test_a_target_outside_the_domain_is_an_error_that_names_the_rows(likelihood, y, message):
    with pytest.raises(InputError) as error:
        likelihood.prepare(y)
    assert str(error.value) == f"{likelihood!r} needs " + message.format("2 rows have something else")


def test_of_many_rows_outside_the_domain_the_first_five_are_named():
    with pytest.raises(InputError) as error:
        Bernoulli().prepare([0, 1, 2, 2, 2, 2, 2, 2])
    assert str(error.value) == (
        "Bernoulli(n_outputs=1) needs 0 or 1 (or a probability between them); 6 rows have something else, "
        "such as 2 (rows 2, 3, 4, 5, 6, …)."
    )


@pytest.mark.parametrize(
    ("likelihood", "y", "message"),
    [
        (Poisson(), ["a", "b"], "must be numbers, but its dtype is <U1."),
        (Bernoulli(), [None, 1], "must be numbers, but its dtype is object."),
        (Categorical(3), np.eye(3), "must have the shape (n_rows,), not (3, 3)."),
        (Normal(3), [1, 2], "must have the shape (n_rows, 3), not (2,)."),
        (Normal(), 1.0, "must have the shape (n_rows,), not ()."),
    ],
)
def test_a_target_of_another_kind_or_shape_is_an_error(likelihood, y, message):
    with pytest.raises(InputError) as error:
        likelihood.prepare(y)
    assert str(error.value) == f"The target of {likelihood!r} {message}"


def test_a_target_of_another_length_is_an_error():
    with pytest.raises(InputError, match=r"^X has 4 rows and y has 3: they must be as many\.$"):
        Normal().prepare([1, 2, 3], n_rows=4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normal(0), "Normal(n_outputs=0): n_outputs must be a whole number of at least 1."),
        (lambda: Bernoulli(1.5), "Bernoulli(n_outputs=1.5): n_outputs must be a whole number of at least 1."),
        (lambda: Poisson(True), "Poisson(n_outputs=True): n_outputs must be a whole number of at least 1."),
        (lambda: Categorical(1), "Categorical(n_classes=1): n_classes must be a whole number of at least 2."),
    ],
)
def test_a_likelihood_of_no_size_is_an_error(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message


def test_a_likelihood_states_what_it_is_and_can_be_made_again(case, make_likelihood):
    name = case.partition("/")[0]
    likelihood = make_likelihood(case, 3)
    assert isinstance(likelihood, Likelihood)
    assert likelihood.name == name
    assert repr(likelihood).startswith(type(likelihood).__name__ + "(")
    assert all((likelihood.domain, likelihood.link, likelihood.dropped))
    assert LIKELIHOODS[name](**likelihood.settings()) == likelihood
    with pytest.raises(TypeError, match="abstract"):
        Likelihood()


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.4])
def test_two_smoothed_classes_are_one_smoothed_label(engine, smoothing):
    """The softmax of (0, s) is the sigmoid of s, and so are their smoothed losses and slopes."""
    X, y = np.random.default_rng(0).normal(size=(50, 1)) * 5, np.arange(50) % 2
    label, classes = (
        Network(1, likelihood=Bernoulli(label_smoothing=smoothing)),
        Network(1, likelihood=Categorical(2, label_smoothing=smoothing)),
    )
    loss, (slope, intercept) = label.loss_and_gradient(np.array([1.0, 0.5]), X, y[:, None], engine=engine)
    same, gradient = classes.loss_and_gradient(np.array([0, 1.0, 0, 0.5]), X, y, engine=engine)
    np.testing.assert_allclose(same, loss, rtol=1e-12)
    np.testing.assert_allclose(gradient, [-slope, slope, -intercept, intercept], rtol=1e-12)
