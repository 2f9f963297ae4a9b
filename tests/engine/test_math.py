"""The functions of native/math.hpp: errors in ulp as stated there, on every instruction set."""

import mpmath
import numpy as np
import pytest
import scipy.special

from chainrule.engine.native import native_module, supported_instruction_sets

# name: the bound in ulp, the domain, the function in float64 (for float32) and in mpmath (for float64)
FUNCTIONS = {
    "exp": (1.5, (-np.inf, np.inf), np.exp, mpmath.exp),
    "expm1": (1, (-np.inf, 0), np.expm1, mpmath.expm1),
    "log": (2, (np.finfo(np.float64).tiny, np.inf), np.log, mpmath.log),
    "log1p": (2.5, (0, np.inf), np.log1p, mpmath.log1p),
    "tanh": (3, (-np.inf, np.inf), np.tanh, mpmath.tanh),
    "sigmoid": (3, (-np.inf, np.inf), scipy.special.expit, lambda s: 1 / (1 + mpmath.exp(-s))),
    "normal_cdf": (
        8,
        (-np.inf, np.inf),
        scipy.special.ndtr,
        lambda s: mpmath.erfc(-s / mpmath.sqrt(2)) / 2,
    ),
}
SETS = supported_instruction_sets()


def applied(name, x, instruction_set):
    y = np.full_like(x, np.nan)
    native_module(instruction_set).apply(name, x, y)
    return y


def floats(stride, domain):
    """Return every stride-th float32 of all there are, those in the domain and not subnormal."""
    x = np.arange(0, 2**32, stride, dtype=np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        least, most = (np.float32(np.clip(end, -3.4e38, 3.4e38)) for end in domain)
        x = x[np.isfinite(x) & (x >= least) & (x <= most)]
    return x[(x == 0) | (np.abs(x) >= np.finfo(np.float32).tiny)]


def check_float32(name, instruction_set, stride):
    bound, domain, truth, _ = FUNCTIONS[name]
    if name == "log":
        domain = (float(np.finfo(np.float32).tiny), np.inf)
    x = floats(stride, domain)
    y = applied(name, x, instruction_set)
    with np.errstate(over="ignore", under="ignore"):
        true = truth(x.astype(np.float64))
        rounded = true.astype(np.float32)
    infinite = np.isinf(rounded)
    np.testing.assert_array_equal(y[infinite], rounded[infinite])
    error = np.abs(y[~infinite] - true[~infinite]) / np.spacing(np.abs(rounded[~infinite])).astype(np.float64)
    assert error.max() <= bound, f"{error.max():.2f} ulp at {x[~infinite][error.argmax()]!r}"


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_over_its_whole_range(name, instruction_set):
    check_float32(name, instruction_set, stride=40_009)


@pytest.mark.slow
@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_over_its_whole_range_densely(name, instruction_set):
    check_float32(name, instruction_set, stride=257)


def doubles(name, n):
    """Return float64 points of all sizes where the function is neither constant nor infinite."""
    rng = np.random.default_rng(0)
    ends = {
        "exp": (-745.1, 709.7),
        "expm1": (-80, 0),
        "tanh": (-22, 22),
        "sigmoid": (-708, 40),
        "normal_cdf": (-37.5, 9),
    }
    tiny, most = np.finfo(np.float64).tiny, np.finfo(np.float64).max
    if name not in ends:
        wide = np.exp(rng.uniform(np.log(tiny), np.log(most), n))
        return np.concatenate([wide, rng.uniform(0.3, 3, n)])
    least, most = ends[name]
    small = np.exp(rng.uniform(np.log(tiny), 0, n)) * rng.choice([-1, 1] if most else [-1], n)
    return np.concatenate([rng.uniform(least, most, n), small])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64_on_a_dense_sample(name):
    bound, _, _, truth = FUNCTIONS[name]
    x = doubles(name, 1500)
    with mpmath.workdps(40):
        true = [truth(mpmath.mpf(float(value))) for value in x]
        ulp = [mpmath.mpf(float(np.spacing(abs(float(value))))) for value in true]
        for instruction_set in SETS:
            y = applied(name, x, instruction_set)
            error = [float(abs(mpmath.mpf(float(a)) - t) / u) for a, t, u in zip(y, true, ulp, strict=True)]
            assert max(error) <= bound, f"{max(error):.2f} ulp at {x[int(np.argmax(error))]!r}"


# Their values go through zero, so their errors are bounded in ε · max(1, |value|).
@pytest.mark.parametrize(
    ("name", "truth", "bound"), [("log_gamma", mpmath.loggamma, 32), ("digamma", mpmath.digamma, 16)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_gamma_and_digamma(name, truth, bound, dtype):
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [np.exp(rng.uniform(-60, 60, 1000)), rng.uniform(0.01, 30, 1000), np.arange(1, 30)]
    ).astype(dtype)
    with mpmath.workdps(40):
        true = [truth(mpmath.mpf(float(value))) for value in x]
        for instruction_set in SETS:
            y = applied(name, x, instruction_set)
            unit = [float(np.finfo(dtype).eps) * max(1, abs(t)) for t in true]
            error = [float(abs(mpmath.mpf(float(a)) - t) / u) for a, t, u in zip(y, true, unit, strict=True)]
            assert max(error) <= bound, f"{max(error):.2f} at {x[int(np.argmax(error))]!r}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("instruction_set", SETS)
def test_what_is_not_finite(instruction_set, dtype):
    x = np.array([np.nan, np.inf, -np.inf], dtype=dtype)
    for name, expected in {
        "exp": [np.nan, np.inf, 0],
        "tanh": [np.nan, 1, -1],
        "sigmoid": [np.nan, 1, 0],
    }.items():
        np.testing.assert_array_equal(applied(name, x, instruction_set), np.array(expected, dtype=dtype))
