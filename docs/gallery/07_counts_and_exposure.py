"""
Claims: counts with an exposure
===============================

How often do waves damage a ship? The table of McCullagh and Nelder (1989) has the
incidents of 34 groups of ships, and for how many months each group was at sea: its
exposure. Twice the months should bring about twice the incidents, so the mean is the
months times a rate, and the rate is what is learned.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import statsmodels.api as sm

import chainrule as cr
from chainrule.optimization import LBFGS
from chainrule.training import Training, train

ships = pd.read_csv(Path("..") / "data" / "ships.csv")
print(ships.head())

# %%
# The rate is exp(s), so the mean is months · exp(s) = exp(s + log months): the log of
# an exposure is an *offset* of the logit. Without hidden layers, and with the Poisson
# distribution on top (N8), this is the log-linear model.

X = pd.get_dummies(ships[["type", "built", "operated"]], drop_first=True, dtype=float)
incidents = ships["incidents"].to_numpy(dtype=float)
offset = np.log(ships[["months"]].to_numpy(dtype=float))

rates = cr.Network(n_inputs=X.shape[1], likelihood=cr.likelihoods.Poisson())
theta = rates.initial_parameters(seed=0, dtype="float64")
exact = Training(optimizer=LBFGS(tolerance=1e-12, max_iterations=2000))
fitted = train(rates, theta, X.to_numpy(), incidents, offset=offset, settings=exact)
[(weight, bias)] = rates.unpack(fitted.theta)

# %%
# A statistics package finds the same coefficients.

glm = sm.GLM(
    incidents, sm.add_constant(X), family=sm.families.Poisson(), offset=offset[:, 0]
).fit()
both = pd.DataFrame(
    {"chainrule": [*bias, *weight[0]], "statsmodels": glm.params.to_numpy()},
    index=glm.params.index,
)
print(both.round(5))
assert np.allclose(both["chainrule"], both["statsmodels"], atol=1e-5)

# %%
# What a coefficient says: ships of type B have exp(−0.54) = 0.58 times the incidents of
# those of type A, with the same age and the same months.
#
# A rate for every group
# ----------------------
#
# The prediction for one month is the rate. Groups that were at sea for a short time
# show rates far from the model's, by chance: the counts are small there.

rate = np.exp(rates.forward(fitted.theta, X.to_numpy())[:, 0])
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
size = 3 * np.sqrt(ships["months"])
axes.scatter(1000 * rate, 1000 * incidents / ships["months"], s=size, alpha=0.6)
axes.axline((0, 0), slope=1, color="0.6", linestyle="--")
axes.set(
    xlabel="predicted incidents in 1000 months",
    ylabel="counted incidents in 1000 months",
)
plt.show()

# %%
# From the table itself
# ---------------------
#
# The estimators take the exposure as it is, and encode the columns themselves. Asked
# with an exposure of 1000 months, they answer with the incidents in 1000 months.

groups = ships[["type", "built", "operated"]]
model = cr.TabularRegressor(likelihood="poisson", hidden=(), random_state=0)
model.fit(groups, ships["incidents"], exposure=ships["months"])
in_1000 = model.predict(groups, exposure=np.full(len(ships), 1000.0))
print(groups.assign(in_1000_months=in_1000.round(2)).head(8).to_string(index=False))
