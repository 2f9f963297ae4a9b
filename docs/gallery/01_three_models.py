"""
From a line to a network
========================

One table, three models. Linear regression, logistic regression and a network are the
same equations with another top or another number of layers: N1 to N4 go up, one of N5
to N8 stands on top, N9 to N12 come down.

The table counts the bicycles that were rented in Washington, D.C., hour by hour. Four
of its columns will do here.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import chainrule as cr
from chainrule.optimization import LBFGS, Adam, OneCycle
from chainrule.training import Training, train

hours = pd.read_parquet(files("chainrule") / "data" / "bike_sharing_hour.parquet")
hours = hours.sample(4000, random_state=0)
columns = ["hour", "temperature", "humidity", "workingday"]
table = hours[columns].to_numpy(dtype=float)
X = (table - table.mean(axis=0)) / table.std(
    axis=0
)  # a network wants numbers of about one size
y = hours["rentals"].to_numpy(dtype=float) / 100  # in hundreds
learn, held_out = slice(0, 3000), slice(3000, None)

# %%
# A line
# ------
#
# No hidden layer, and the normal distribution on top (N5): that is linear regression.
# L-BFGS takes the gradient of all rows and goes down to the minimum. It is the minimum
# that the normal equations give.

line = cr.Network(n_inputs=4, likelihood=cr.likelihoods.Normal())
start = line.initial_parameters(seed=0, dtype="float64")
exact = Training(optimizer=LBFGS(tolerance=1e-10))
fitted_line = train(line, start, X[learn], y[learn], settings=exact)
[(weight, bias)] = line.unpack(fitted_line.theta)

design = np.column_stack([X[learn], np.ones(3000)])
by_least_squares = np.linalg.lstsq(design, y[learn], rcond=None)[0]
assert np.allclose([*weight[0], *bias], by_least_squares, atol=1e-6)
print(pd.Series(weight[0], columns).round(3).to_string())

# %%
# Yes or no
# ---------
#
# Was it a busy hour? Only the top changes, to the Bernoulli distribution (N6), and what
# goes down is again the residual y − ŷ. That is logistic regression.

busy = (y > 2).astype(float)
logistic = cr.Network(n_inputs=4, likelihood=cr.likelihoods.Bernoulli())
fitted_logistic = train(logistic, start, X[learn], busy[learn], settings=exact)


def accuracy(network, theta):
    """The share of the rows held out for which the likelier answer is the right one."""
    probability = network.predict(theta, X[held_out])[:, 0]
    return np.mean((probability > 0.5) == busy[held_out])


of_the_line = accuracy(logistic, fitted_logistic.theta)
print(f"logistic regression is right about {of_the_line:.1%} of the hours")

# %%
# Hidden layers
# -------------
#
# Now two layers go in between. Both tops stay as they are, and so do the equations.
# There is no formula for the minimum any more, so the descent (N13) goes through the
# rows in mini-batches.

layers = [cr.Dense(32, "tanh"), cr.Dense(32, "tanh")]
steps = Training(
    optimizer=Adam(learning_rate=0.01), schedule=OneCycle(), epochs=60, batch_size=64
)


def fit_network(likelihood, target):
    """A network with the two hidden layers, and its θ after training."""
    network = cr.Network(n_inputs=4, hidden=layers, likelihood=likelihood)
    theta = network.initial_parameters(seed=0, dtype="float64")
    return network, train(network, theta, X[learn], target[learn], settings=steps).theta


numbers, theta = fit_network(cr.likelihoods.Normal(), y)
classes, theta_of_classes = fit_network(cr.likelihoods.Bernoulli(), busy)
of_the_network = accuracy(classes, theta_of_classes)
print(f"the network is right about {of_the_network:.1%} of the hours")
assert of_the_network > of_the_line + 0.05

# %%
# What the bend is for
# --------------------
#
# Here are the mean counts of the hours of a working day. The line can only rise or fall
# with the hour. The network bends (N2), and finds the way to work and the way home.

working = hours["workingday"].to_numpy(dtype=bool)[held_out]
hour = table[held_out, 0].astype(int)


def by_hour(values):
    """The mean on working days, for each hour of the day."""
    return [values[working & (hour == h)].mean() for h in range(24)]


figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
axes.plot(by_hour(y[held_out]), "o", color="0.4", label="counted, rows held out")
axes.plot(
    by_hour(line.predict(fitted_line.theta, X[held_out])),
    "--",
    color="C1",
    label="linear regression",
)
axes.plot(by_hour(numbers.predict(theta, X[held_out])), color="C0", label="network")
axes.set(xlabel="hour of a working day", ylabel="rentals, in hundreds")
axes.legend()
plt.show()
