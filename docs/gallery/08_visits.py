"""
Doctor visits: more spread out than chance
==========================================

In the health insurance experiment of the RAND Corporation people were given insurance
at random, and their visits to a doctor were counted (Cameron and Trivedi, in
statsmodels). Some go often, and the table does not say why. What does that do to a
model of counts?
"""

import matplotlib.pyplot as plt
import numpy as np
import statsmodels.api as sm
from statsmodels.datasets import randhie

import chainrule as cr

table = randhie.load_pandas().data.sample(6000, random_state=0).reset_index(drop=True)
print(table.head().round(2).to_string())
inputs, visits = table.drop(columns="mdvis"), table["mdvis"]
learn, held_out = slice(0, 4500), slice(4500, None)

# %%
# Two likelihoods for one network: Poisson (N8), whose variance is its mean, and the
# negative binomial (N21), which learns by how much the variance exceeds it.

recipe = {"hidden": (32, 32), "epochs": 30, "random_state": 0}
models = {}
for likelihood in ("poisson", "negative_binomial"):
    model = cr.TabularRegressor(likelihood=likelihood, **recipe)
    models[likelihood] = model.fit(inputs[learn], visits[learn])

# %%
# The price that each pays for the visits that it has not seen says which is right: the
# mean of −log P, small is good.

linear = sm.GLM(
    visits[learn], sm.add_constant(inputs[learn]), family=sm.families.Poisson()
).fit()
mean = linear.predict(sm.add_constant(inputs[held_out]))
log_p = sm.families.Poisson().loglike_obs(visits[held_out], mean)
print(f"log-linear model, Poisson: {-log_p.mean():.3f}")
price = {}
for likelihood, model in models.items():
    predicted = model.predict_distribution(inputs[held_out])
    price[likelihood] = -np.mean(predicted.logpmf(visits[held_out].to_numpy()))
    print(f"network, {likelihood}: {price[likelihood]:.3f}")
assert price["negative_binomial"] < price["poisson"] - 0.3

# %%
# How many people make how many visits? The model's answer is the mean over the people
# of each one's distribution.

counts = np.arange(0, 16)
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
share = [np.mean(visits[held_out] == count) for count in counts]
axes.bar(counts, share, color="0.85", label="counted, people held out")
for likelihood, model in models.items():
    predicted = model.predict_distribution(inputs[held_out])
    chance = [np.exp(predicted.logpmf(np.full(1500, count))).mean() for count in counts]
    axes.plot(counts, chance, "o-", label=likelihood.replace("_", " "))
axes.set(xlabel="visits in a year", ylabel="share of the people")
axes.legend()
plt.show()

# %%
# An interval starts from the distribution, and is stretched or shrunk by what it takes
# on rows that the fit set aside. So about nine of ten people are inside with either
# likelihood: the intervals hold even where the distribution does not.

for likelihood, model in models.items():
    lower, upper = model.predict_interval(inputs[held_out], coverage=0.9).T
    inside = np.mean((lower <= visits[held_out]) & (visits[held_out] <= upper))
    width = np.mean(upper - lower)
    print(f"{likelihood}: {inside:.1%} inside, mean width {width:.1f} visits")
    assert inside > 0.85
