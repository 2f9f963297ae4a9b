"""
A model in a file
=================

A fitted model is one file of plain data: arrays, and a description. Nothing in it is
executed when it is read, so the file of a stranger can be wrong, but do nothing. Here
one goes to disk and comes back, is looked into, and is damaged on purpose.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from safetensors.numpy import load_file
from sklearn.datasets import load_wine

import chainrule as cr
from chainrule import model_file

wine, grape = load_wine(return_X_y=True, as_frame=True)
model = cr.TabularClassifier(hidden=(16,), epochs=40, random_state=0).fit(wine, grape)

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "wine.safetensors"
model.save(path)
again = cr.load(path)
assert (again.predict_proba(wine) == model.predict_proba(wine)).all()  # bit for bit
print(f"{path.stat().st_size} bytes")

# %%
# What is in it
# -------------

described = model_file.describe(path)
print(described["estimator"], "in format", described["format_version"])
for name, array in load_file(path).items():  # any program that reads safetensors
    print(f"{name}: {array.dtype} {array.shape}")

# %%
# The prediction without the model
# --------------------------------
#
# With the arrays and N1 and N2 at hand, a network is a few products of matrices. This
# is all that another program has to do.

net, theta = again.network_, again.theta_
H = again.encoder_.transform(wine)
logits = net.forward(theta, H)
print(net)

by_hand = H.astype(float)
functions = [layer.activation for layer in net.architecture.dense]
for (w, b), function in zip(net.unpack(theta.astype(float)), functions, strict=True):
    S = by_hand @ w.T + b  # N1
    by_hand = cr.architecture.ACTIVATIONS[function].r(S)  # N2
assert np.allclose(by_hand, logits, atol=1e-5)

# %%
# θ lies in the file as N3 has it: the weights of a layer row by row, then its biases.

figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
axes.plot(theta, ".", color="0.4", markersize=4)
for layer in net.architecture.dense:
    axes.axvspan(
        layer.weight_start, layer.weight_stop, color="C0", alpha=0.15, linewidth=0
    )
    axes.axvspan(layer.weight_stop, layer.stop, color="C1", alpha=0.3, linewidth=0)
axes.set(
    xlabel="place in θ: weights on blue, biases on orange",
    ylabel="value",
    xlim=(0, len(theta)),
)
plt.show()

# %%
# When it is damaged
# ------------------
#
# One byte is enough to be noticed.

contents = bytearray(path.read_bytes())
contents[-5] ^= 1
path.write_bytes(contents)
try:
    cr.load(path)
except cr.ModelFileError as error:
    print(error)
folder.cleanup()
