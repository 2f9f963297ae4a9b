"""
Is the gradient right?
======================

Every gradient of chainrule is written by hand. A hand can slip, so each one is compared
with differences of the loss. :func:`~chainrule.gradient_check` does it for a network of
your own, on your own data.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

import chainrule as cr

wine = load_wine()
X = StandardScaler().fit_transform(wine.data)
y = wine.target

net = cr.Network(
    n_inputs=13,
    hidden=[cr.Dense(8, "gelu"), cr.Dense(5, "tanh")],
    likelihood=cr.likelihoods.Categorical(3),
)
theta = net.initial_parameters(seed=0, dtype="float64")
check = cr.gradient_check(net, theta, X, y)
print(check)
assert check.ok

# %%
# By hand
# -------
#
# A derivative is what the loss gains per unit of a small step. Here is one weight of
# the first layer: step to either side, and divide.


def slope(h, at=3):
    """The central difference of the loss for one entry of θ."""
    step = np.zeros_like(theta)
    step[at] = h
    return (net.loss(theta + step, X, y) - net.loss(theta - step, X, y)) / (2 * h)


gradient = net.loss_and_gradient(theta, X, y)[1]
print(f"by the chain rule {gradient[3]:.10f}, by the difference {slope(1e-5):.10f}")
assert np.isclose(gradient[3], slope(1e-5), rtol=1e-6)

# %%
# How large a step? A long one sees the curve of the loss, and its error falls as h². A
# short one subtracts two numbers that are almost equal, and rounding takes over. The
# best lies between.

h = np.logspace(-12, 0, 49)
error = [abs(slope(step) - gradient[3]) for step in h]
figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
axes.loglog(h, error, ".-")
axes.set(xlabel="step h", ylabel="distance from the gradient")
plt.show()

# %%
# A hand that slipped
# -------------------
#
# This likelihood for numbers has the right loss, ½ (y − s)², and forgot the minus sign
# of its derivative. The check says no. Once the top is wrong all layers are, because
# what goes down (N10) starts there.


class Slipped(cr.likelihoods.Likelihood):
    """½ (y − s)², with a mistake."""

    name = "slipped"

    def loss_and_gradient(self, logits, y):
        """The derivative should be s − y."""
        return 0.5 * (y - logits)[:, 0] ** 2, y - logits


wrong = cr.Network(n_inputs=13, hidden=[cr.Dense(5, "tanh")], likelihood=Slipped())
verdict = cr.gradient_check(
    wrong, wrong.initial_parameters(seed=0, dtype="float64"), X, wine.data[:, 0]
)
print(verdict)
assert not verdict.ok
