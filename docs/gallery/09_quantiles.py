"""
Quantiles: what is usual, and what is rare
==========================================

A mean says nothing about how far from it things may be. Engel's table of 1857 has the
income of 235 Belgian households and what they spent on food, and the more there is to
spend, the wider they differ. Quantiles show it (N19).
"""

import matplotlib.pyplot as plt
import numpy as np
from statsmodels.datasets import engel

import chainrule as cr
from chainrule.optimization import Adam, OneCycle
from chainrule.training import Training, train

table = engel.load_pandas().data
income = np.log10(table[["income"]].to_numpy())
food = table["foodexp"].to_numpy()
center, width = income.mean(), income.std()
X, y = (income - center) / width, food / food.std()

# %%
# One network gives all the quantiles. Each is the one below plus a positive step, so
# they cannot cross.

levels = (0.1, 0.25, 0.5, 0.75, 0.9)
net = cr.Network(
    n_inputs=1,
    hidden=[cr.Dense(16, "tanh")],
    likelihood=cr.likelihoods.Quantile(levels=levels),
)
theta = net.initial_parameters(seed=0, dtype="float64")
settings = Training(
    optimizer=Adam(0.02), schedule=OneCycle(), epochs=150, batch_size=47
)
result = train(net, theta, X, y, settings=settings)

# %%
# About a tenth of the households should lie below the lowest curve, a half below the
# middle one, and so on.


def quantiles_at(rows):
    """The quantiles at each level, in francs: (n_rows, n_levels)."""
    logits = net.forward(result.theta, rows)
    return food.std() * net.likelihood.quantiles(logits)[:, 0]


curves = quantiles_at(X)
assert (np.diff(curves, axis=1) > 0).all()
for level, below in zip(levels, (food[:, None] < curves).mean(axis=0), strict=True):
    print(f"quantile {level}: {below:.2f} of the households spend less")
    assert abs(below - level) < 0.06

# %%

grid = np.linspace(X.min(), X.max(), 200)[:, None]
figure, axes = plt.subplots(figsize=(6.6, 4), layout="constrained")
axes.scatter(table["income"], food, s=10, color="0.6")
for level, curve in zip(levels, quantiles_at(grid).T, strict=True):
    shade = plt.colormaps["viridis"](0.9 * level)
    axes.plot(10 ** (grid[:, 0] * width + center), curve, color=shade, label=f"{level}")
axes.set(
    xlabel="income, francs a year", ylabel="spent on food, francs a year", xscale="log"
)
axes.legend(title="quantile", reverse=True)
plt.show()
