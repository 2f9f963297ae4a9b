"""
Handwritten digits
==================

Images of 8 × 8 pixels, ten classes: the softmax (N7) stands on top of a network with
one hidden layer. :class:`~chainrule.MLPClassifier` has the interface of scikit-learn's
class of this name.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

import chainrule as cr

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32) / 16
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)

model = cr.MLPClassifier(
    (64,),
    activation="relu",
    learning_rate_init=0.01,
    early_stopping=True,
    random_state=0,
)
model.fit(X_train, y_train)
print(f"{model.score(X_test, y_test):.1%} of the digits that it has not seen are read")
assert model.score(X_test, y_test) > 0.95

# %%
# Which digit is taken for which? scikit-learn's displays take the models as they take
# its own.

figure, axes = plt.subplots(figsize=(5, 4.6), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    model, X_test, y_test, ax=axes, colorbar=False, cmap="Blues"
)
plt.show()

# %%
# What it was unsure about
# ------------------------
#
# The digits with the smallest probability of their own class. People hesitate over some
# of them too.

probability = model.predict_proba(X_test)
of_its_own = probability[np.arange(len(y_test)), y_test]
figure, all_axes = plt.subplots(1, 6, figsize=(8, 1.9), layout="constrained")
for axes, row in zip(all_axes, np.argsort(of_its_own), strict=False):
    axes.imshow(X_test[row].reshape(8, 8), cmap="gray_r")
    axes.set_title(f"a {y_test[row]}, read as {probability[row].argmax()}", fontsize=8)
    axes.set_axis_off()
plt.show()

# %%
# What the units look for
# -----------------------
#
# A unit of the first layer takes the inner product of its weights with the image (N1),
# so its weights are an image themselves. ``coefs_`` has a column for each unit. Blue
# pixels raise the sum, red ones lower it.

weights = model.coefs_[0].T
strongest = np.argsort(-np.linalg.norm(weights, axis=1))[:16]
limit = np.abs(weights[strongest]).max()
figure, all_axes = plt.subplots(2, 8, figsize=(8, 2.2), layout="constrained")
for axes, unit in zip(all_axes.flat, strongest, strict=True):
    axes.imshow(weights[unit].reshape(8, 8), cmap="RdBu", vmin=-limit, vmax=limit)
    axes.set_axis_off()
plt.show()
