"""
Watch a training, and take part in it
=====================================

:func:`chainrule.training.train` goes through the rows epoch by epoch and writes down
what happened. Callbacks are called in between: to look, to record, to stop.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import chainrule as cr
from chainrule.optimization import SGD, AdamW, OneCycle
from chainrule.training import Training, train

X, y = load_digits(return_X_y=True)
X = X / 16
learn, watch = slice(0, 1200), slice(1200, None)
net = cr.Network(
    n_inputs=64,
    hidden=[cr.Dense(48, "relu"), cr.Dropout(0.2), cr.Dense(24, "relu")],
    likelihood=cr.likelihoods.Categorical(10),
)
theta = net.initial_parameters(seed=0, dtype="float64")

# %%
# A callback
# ----------
#
# It gets the record of the epoch, and θ as it is now. This one notes the norm of each
# layer's weights. One that returns True ends the training; the second one is content
# when 96 of 100 digits are right.

norms = []


def note_norms(report):
    """Remember how long the weights of each layer are."""
    norms.append(
        [np.linalg.norm(weight) for weight, _ in report.network.unpack(report.theta)]
    )


def content(report):
    """End the training when the validation rows are read well enough."""
    return report.record.validation_metrics["accuracy"] >= 0.96


settings = Training(
    optimizer=AdamW(learning_rate=0.01), epochs=60, batch_size=64, patience=15
)
result = train(
    net,
    theta,
    X[learn],
    y[learn],
    validation=(X[watch], y[watch]),
    settings=settings,
    metrics=["accuracy"],
    callbacks=[note_norms, content],
)
print(result.history)

# %%
# The history
# -----------
#
# ``columns()`` gives an array for each quantity.

history = result.history.columns()
print(*history)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.plot(history["epoch"], history["train_loss"], label="train, with dropout")
left.plot(history["epoch"], history["validation_loss"], label="validation")
left.axvline(result.best_epoch, color="0.6", linestyle=":", label="kept")
left.set(xlabel="epoch", ylabel="loss", yscale="log")
left.legend()
right.plot(history["epoch"], norms, label=["layer 1", "layer 2", "layer 3"])
right.set(xlabel="epoch", ylabel="norm of the weights")
right.legend()
plt.show()

# %%
# A loop of one's own
# -------------------
#
# Who wants all of it in hand writes the loop. Momentum is two lines of N13, and an
# order of the rows is one of NumPy.

rng = np.random.default_rng(0)
own = net.initial_parameters(seed=0, dtype="float64")
v = np.zeros_like(own)
for _ in range(20):
    order = rng.permutation(1200)
    for batch in np.split(order, 20):
        seed = int(rng.integers(2**31))
        loss, g = net.loss_and_gradient(own, X[batch], y[batch], dropout_seed=seed)
        v = 0.9 * v - 0.05 * g
        own += v
accuracy = np.mean(net.predict(own, X[watch]).argmax(axis=1) == y[watch])
print(f"{accuracy:.1%} of the other digits are right")
assert accuracy > 0.9

# %%
# The same descent from :func:`~chainrule.training.train`, and one with a schedule that
# raises the learning rate and takes it back.

figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for label, settings in {
    "momentum": Training(optimizer=SGD(0.05, momentum=0.9), epochs=20, batch_size=60),
    "AdamW, one cycle": Training(
        optimizer=AdamW(0.01), schedule=OneCycle(), epochs=20, batch_size=60
    ),
}.items():
    run = train(
        net,
        theta,
        X[learn],
        y[learn],
        validation=(X[watch], y[watch]),
        settings=settings,
    )
    axes.plot(run.history.columns()["validation_loss"], label=label)
axes.set(xlabel="epoch", ylabel="validation loss", yscale="log")
axes.legend()
plt.show()
