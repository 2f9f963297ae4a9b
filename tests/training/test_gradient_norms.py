"""The size of the gradient over the epochs: that of the rows, and without any bearing on the training."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.optimization import LBFGS
from chainrule.training import GradientNorms, Training, train


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    network = cr.Network(
        4,
        [cr.Dense(6, "tanh"), cr.Dropout(0.2), cr.Dense(3)],
        likelihood=cr.likelihoods.Poisson(),
    )
    X = rng.normal(size=(20, 4)).astype("float32")
    y = rng.poisson(1.0, (20, 1)).astype("float32")
    weight, offset = rng.uniform(0.5, 2, 20).astype("float32"), rng.normal(size=(20, 1)).astype("float32")
    return network, network.initial_parameters(seed=0), X, y, weight, offset


def trained(problem, watch, **settings):
    network, theta, X, y, weight, offset = problem
    callbacks = [] if watch is None else [watch]
    settings = Training(batch_size=8, **settings)
    return train(network, theta, X, y, weight, offset, settings=settings, callbacks=callbacks)


def test_the_norms_are_those_of_the_gradient_after_the_epoch_without_dropout(problem):
    network, _, X, y, weight, offset = problem
    watch = GradientNorms(X, y, weight, offset, epochs=3)
    result = trained(problem, watch, epochs=3)
    _, gradient = network.loss_and_gradient(result.theta, X, y, weight, offset=offset, engine="reference")
    norms = [np.linalg.norm(weight) for weight, _ in network.unpack(gradient)]
    assert [record.epoch for record in watch.records] == [1, 2, 3]
    np.testing.assert_allclose(watch.records[-1].norms, norms, rtol=1e-4)


def test_looking_changes_nothing(problem):
    watch = GradientNorms(*problem[2:], epochs=5)
    np.testing.assert_array_equal(
        trained(problem, watch, epochs=5).theta, trained(problem, None, epochs=5).theta
    )


@pytest.mark.parametrize(
    ("n_rows", "epochs", "expected"),
    [(20, 1, 1), (20, 5, 5), (20, 60, 5), (5000, 20, 10), (5000, 60, 12), (5000, 61, 11), (50_000, 10, 10)],
)
def test_short_trainings_are_looked_at_less_often(n_rows, epochs, expected):
    rows = np.zeros((n_rows, 1), dtype="float32")
    watch = GradientNorms(rows, rows, epochs=epochs)
    assert len([epoch for epoch in range(epochs) if epoch % watch._every == 0]) == expected


def test_rows_without_weight_are_not_in_the_sample():
    rows = np.arange(1000, dtype="float32")[:, None]
    weight = (np.arange(1000) % 100 == 7).astype("float32")
    assert GradientNorms(rows, rows, weight)._data.y[:, 0].tolist() == [7 + 100 * k for k in range(10)]


@pytest.mark.parametrize(("n_rows", "expected"), [(5, 5), (1000, 32), (20_000, 100), (10**6, 256)])
def test_a_sample_of_the_rows_is_taken(n_rows, expected):
    watch = GradientNorms(np.zeros((n_rows, 1), dtype="float32"), np.arange(n_rows, dtype="float32")[:, None])
    rows = watch._data.y[:, 0]
    assert len(rows) == expected
    assert rows[0] == 0
    assert rows[-1] == n_rows - 1


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_first_member_of_a_model_has_them_and_its_file_keeps_them(tmp_path, n_members):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    model = cr.TabularRegressor(hidden=(5, 4), epochs=4, n_members=n_members, random_state=0).fit(X, X[:, 0])
    first, *others = [member.history for member in model.members_]
    assert len(others) == n_members - 1
    assert [record.epoch for record in first.gradients] == [1, 2, 3, 4]
    assert all(len(record.norms) == 3 for record in first.gradients)
    assert n_members == 1 or others[-1].gradients == []  # the kinds have had their turn before
    model.save(tmp_path / "model.safetensors")
    loaded = cr.load(tmp_path / "model.safetensors")
    assert loaded.history_.gradients == first.gradients


def test_iterations_of_lbfgs_are_epochs():
    rng = np.random.default_rng(0)
    network = cr.Network(3, likelihood=cr.likelihoods.Normal())
    X, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 1))
    watch = GradientNorms(X, y, epochs=4)
    theta = network.initial_parameters(seed=0, dtype="float64")
    result = train(
        network, theta, X, y, settings=Training(optimizer=LBFGS(max_iterations=4)), callbacks=[watch]
    )
    assert [record.epoch for record in watch.records] == [record.epoch for record in result.history.epochs]
