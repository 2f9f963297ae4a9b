"""
Classes in an order
===================

Asked where they stand, voters choose one of seven answers from "strong Democrat" to
"strong Republican". The answers have an order, and no distances. Softmax (N7) would
forget the order, a regression would make up distances. The ordinal likelihood keeps the
one and learns the other (N20).

The data are 944 answers of the American National Election Study of 1996, in
statsmodels.
"""

import matplotlib.pyplot as plt
import numpy as np
from statsmodels.datasets import anes96

import chainrule as cr
from chainrule.optimization import LBFGS, AdamW
from chainrule.training import Training, train

table = anes96.load_pandas().data
columns = ["selfLR", "age", "educ", "income", "TVnews", "logpopul"]
X = ((table[columns] - table[columns].mean()) / table[columns].std()).to_numpy()
y = table["PID"].to_numpy(dtype=int)
learn, held_out = slice(0, 700), slice(700, None)

# %%
# The linear model first. Its seven classes have one slope for each column, and six
# thresholds between them.

ordinal = cr.Network(n_inputs=6, likelihood=cr.likelihoods.Ordinal(7))
theta = ordinal.initial_parameters(seed=0, dtype="float64")
settings = Training(optimizer=LBFGS(tolerance=1e-8, max_iterations=1000))
fitted = train(ordinal, theta, X[learn], y[learn], settings=settings)
[(weight, _)] = ordinal.unpack(fitted.theta)
for column, coefficient in zip(columns, weight[0], strict=True):
    print(f"{column:9} {coefficient:6.2f}")

# %%
# Where people place themselves between left and right (``selfLR``) says most. What the
# model says of them:

for place in (1, 4, 7):
    person = np.zeros((1, 6))
    person[0, 0] = (place - table["selfLR"].mean()) / table["selfLR"].std()
    print(f"at {place} of 7:", ordinal.predict(fitted.theta, person)[0].round(2))

# %%
# Probabilities along that line: each class has its stretch, and they come one after the
# other.

grid = np.zeros((100, 6))
grid[:, 0] = np.linspace(X[:, 0].min(), X[:, 0].max(), 100)
probability = ordinal.predict(fitted.theta, grid)
figure, axes = plt.subplots(figsize=(6.8, 3.6), layout="constrained")
axes.stackplot(
    np.linspace(table["selfLR"].min(), table["selfLR"].max(), 100),
    probability.T,
    labels=["strong Democrat", "", "", "independent", "", "", "strong Republican"],
    colors=plt.colormaps["coolwarm"](np.linspace(0, 1, 7)),
)
axes.set(
    xlabel="self-placement, from left to right",
    ylabel="probability",
    ylim=(0, 1),
    xlim=(1, 7),
)
axes.legend(loc="upper left", fontsize=8)
plt.show()

# %%
# Is it worth the hidden layer? Both likelihoods, with and without one, by what they pay
# for the answers that they have not seen: the mean of −log P.

for likelihood in (cr.likelihoods.Ordinal(7), cr.likelihoods.Categorical(7)):
    for hidden in ([], [cr.Dense(16, "tanh")]):
        net = cr.Network(n_inputs=6, hidden=hidden, likelihood=likelihood)
        steps = Training(optimizer=AdamW(0.01), epochs=100, batch_size=50, patience=15)
        start = net.initial_parameters(seed=0, dtype="float64")
        run = train(
            net,
            start,
            X[learn],
            y[learn],
            validation=(X[held_out], y[held_out]),
            settings=steps,
        )
        layers = "one hidden layer" if hidden else "linear"
        loss = net.loss(run.theta, X[held_out], y[held_out])
        print(f"{likelihood.name}, {layers}: {loss:.3f}, {net.n_parameters} parameters")
        assert loss < np.log(7)  # what equal probabilities would pay
