import numpy as np
import pandas as pd
import polars as pl
import pytest

from chainrule import InputError, TabularRegressor
from chainrule.estimators.choice import likelihood_of_numbers
from chainrule.estimators.targets import LOCATIONS, Classes, Scaling, read_target
from chainrule.likelihoods import Bernoulli, Categorical, Gamma, Laplace, Normal, Poisson, Quantile

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("kind", [Normal, Laplace, Quantile, Poisson, Gamma])
def test_a_weight_counts_as_copies_in_the_scaling(kind, n_outputs):
    y = RNG.gamma(2, 5, (50, n_outputs))
    times = RNG.integers(0, 4, 50)
    weighted = Scaling.of(y, kind(n_outputs), times.astype("float32"))
    copied = Scaling.of(np.repeat(y, times, axis=0), kind(n_outputs))
    np.testing.assert_allclose(weighted.location, copied.location, rtol=1e-12)
    np.testing.assert_allclose(weighted.scale, copied.scale, rtol=1e-12)
    copies = np.repeat(y, times, axis=0)
    if kind(1).name in LOCATIONS:
        np.testing.assert_allclose(copied.location, copies.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(copied.scale, copies.std(axis=0), rtol=1e-12)
    else:
        assert not copied.location.any()
        assert (copied.scale == 1).all()  # a count, an amount: its 0 means something


@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 2)])
def test_decoding_undoes_encoding(shape):
    y = 1e6 + RNG.normal(size=shape)
    scaling = Scaling.of(y, Normal(np.atleast_2d(y.T).shape[0]))
    z = scaling.encode(y)
    assert z.shape == (40, shape[1] if len(shape) > 1 else 1)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-9)
    np.testing.assert_allclose(scaling.decode(z), y, rtol=1e-15)


def test_counts_are_told_from_other_numbers():
    zeros = np.zeros(30)
    for y, expected in (
        (np.r_[zeros, 1, 2, 3, 4], Poisson()),
        (np.r_[zeros, 1.0, 1.0], Normal()),  # two values only
        (np.r_[zeros, 1, 2.5], Normal()),
        (np.r_[zeros, 1, -2], Normal()),
        (np.r_[0, np.arange(1, 40)], Normal()),  # hardly any 0
    ):
        assert likelihood_of_numbers("auto", y) == expected


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.array(["b", "a", "b"]), Bernoulli()),
        (np.array([3, 1, 2, 1]), Categorical(3)),
        (np.array([[0, 1], [1, 1], [0, 0]]), Bernoulli(2)),
    ],
)
def test_classes_become_numbers_and_come_back(y, expected):
    classes = Classes.of(y)
    assert classes.likelihood() == expected
    numbers = classes.encode(y)
    one_hot = numbers if classes.multilabel else np.eye(len(classes.labels))[numbers]
    np.testing.assert_array_equal(classes.decode(one_hot), y)
    with pytest.raises(InputError):
        classes.encode(np.full_like(y, 9))


def test_the_error_about_the_domain_has_the_units_of_the_person():
    X = RNG.normal(size=(40, 2))
    y = np.r_[-7.5, np.full(39, 100.0)]
    with pytest.raises(InputError, match=r"1 row has something else, such as -7\.5 \(row 0\)"):
        TabularRegressor(likelihood="poisson").fit(X, y)


@pytest.mark.parametrize("kind", ["series", "frame"])
@pytest.mark.parametrize("library", [pd, pl])
def test_a_target_without_rows(library, kind):
    y = library.Series([], dtype=float) if library is pd else pl.Series("y", [], dtype=pl.Float64)
    with pytest.raises(InputError, match="y has no rows"):
        read_target(y if kind == "series" else y.to_frame())
