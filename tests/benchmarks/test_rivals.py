"""Every library in the benchmark does the same work: it finds the same minimum and predicts the same."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from rivals import RIVALS, Data, Net, chainrule_epochs, chainrule_predict

LIBRARIES = [pytest.param(chainrule_epochs, id="chainrule")] + [
    pytest.param(
        rival.epochs,
        id=rival.name,
        marks=pytest.mark.skipif(not rival.is_installed, reason="not installed"),
    )
    for rival in RIVALS
    if rival.epochs
]
PREDICTING = [rival for rival in RIVALS if rival.predict]


def noisy_rows(kind):
    """Rows, and the least loss that a linear model can have on them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4)).astype(np.float32)
    scores = X @ rng.normal(size=(4, 3)) / 2
    if kind == "normal":
        y = (scores[:, 0] + rng.normal(size=400)).astype(np.float32)
        design = np.c_[X, np.ones(400)]
        return Data(X, y), 0.5 * np.mean((design @ np.linalg.lstsq(design, y)[0] - y) ** 2)
    y = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    return Data(X, y), log_loss(y, LogisticRegression(C=1e6).fit(X, y).predict_proba(X))


@pytest.mark.parametrize("kind", ["normal", "categorical"])
@pytest.mark.parametrize("epochs_of", LIBRARIES)
def test_an_epoch_descends_the_loss_that_it_returns(epochs_of, kind):
    data, least = noisy_rows(kind)
    linear = epochs_of(Net((4, 1 if kind == "normal" else 3), 20, kind, 400), data)
    losses = [linear() for _ in range(240)]  # 4,800 steps of about 0.001
    assert losses[0] > 1.03 * least
    assert losses[-1] == pytest.approx(least, rel=0.01)


@pytest.mark.parametrize("kind", ["normal", "categorical"])
@pytest.mark.parametrize("epochs_of", LIBRARIES)
def test_hidden_layers_learn_what_a_linear_model_cannot(epochs_of, kind):
    data, _ = noisy_rows(kind)
    far = np.abs(data.X[:, 0]) > 0.7
    data = Data(data.X, far.astype(np.float32) if kind == "normal" else far.astype(np.int64))
    shares = np.bincount(far) / len(far)
    without = 0.5 * far.var() if kind == "normal" else -(shares * np.log(shares)).sum()
    epoch = epochs_of(Net((4, 32, 32, 1 if kind == "normal" else 2), 20, kind, 400), data)
    *_, last = (epoch() for _ in range(60))
    assert last < 0.4 * without


@pytest.mark.parametrize("rival", PREDICTING, ids=lambda rival: rival.name)
@pytest.mark.parametrize("sizes", [(3, 1), (4, 5, 1), (16, 64, 64, 1)])
def test_predictions_agree(rival, sizes):
    if not rival.is_installed:
        pytest.skip("not installed")
    net = Net(sizes, 2, "normal", 30)
    network = net.network()
    theta = network.initial_parameters(seed=1) + np.float32(0.1)  # biases that are not 0
    X = net.data().X
    predicted = np.reshape(rival.predict(net, network.unpack(theta))(X), (30, -1))
    np.testing.assert_allclose(predicted, chainrule_predict(net, theta)(X), rtol=1e-4, atol=1e-5)
