"""
A likelihood of one's own
=========================

How many of the pupils of a school district read above the national median? That is a
number of successes out of a known number of trials: the binomial distribution.
chainrule does not have it, but it has a place for it. Loss and derivative are all that
is needed, and the layers below do not care where their signal comes from.

The data are those of J. Gill (2001) on 303 districts in California, in statsmodels.
"""

import matplotlib.pyplot as plt
import numpy as np
import statsmodels.api as sm
from statsmodels.datasets import star98

import chainrule as cr
from chainrule.optimization import LBFGS
from chainrule.training import Training, train

table = star98.load_pandas()
counts = table.endog[["NABOVE", "NBELOW"]].to_numpy(dtype=float)
columns = [
    "LOWINC",
    "PERASIAN",
    "PERBLACK",
    "PERHISP",
    "AVYRSEXP",
    "AVSALK",
    "PERSPENK",
    "PTRATIO",
]
X = table.exog[columns]
X = ((X - X.mean()) / X.std()).to_numpy()

# %%
# A target of two columns: how many above, and how many below. With p = sigmoid(s), the
# loss is −(a log p + b log (1 − p)), which leaves out the binomial coefficient: s does
# not occur in it. Its derivative is −(a − (a + b) p), a residual again (N8).


class Binomial(cr.likelihoods.Likelihood):
    """a successes and b failures, each row with its own number of trials."""

    name = "binomial"
    domain = "counts, finite numbers ≥ 0"
    link = "logit"
    n_columns = 2

    def invalid(self, y):
        """What no count can be."""
        return ~(np.isfinite(y) & (y >= 0))

    def loss_and_gradient(self, logits, y):
        """From the logits, so that nothing overflows."""
        s, above, below = logits[:, 0], y[:, 0], y[:, 1]
        losses = above * np.logaddexp(0, -s) + below * np.logaddexp(0, s)
        p = 0.5 * (1 + np.tanh(s / 2))
        return losses, (below * p - above * (1 - p))[:, None]

    def mean(self, logits, scales=None):  # noqa: ARG002 (it has no learned scale)
        """The share above: what `predict` gives."""
        return 0.5 * (1 + np.tanh(logits / 2))


# %%
# Did the hand slip? Ask before you train.

linear = cr.Network(n_inputs=8, likelihood=Binomial())
theta = linear.initial_parameters(seed=0, dtype="float64")
check = cr.gradient_check(linear, theta, X, counts)
print(check)
assert check.ok

# %%
# Without hidden layers it is a generalised linear model, and agrees with the one of a
# statistics package.

exact = train(
    linear,
    theta,
    X,
    counts,
    settings=Training(optimizer=LBFGS(tolerance=1e-10, max_iterations=2000)),
)
[(weight, bias)] = linear.unpack(exact.theta)
glm = sm.GLM(counts, sm.add_constant(X), family=sm.families.Binomial()).fit()
assert np.allclose([*bias, *weight[0]], glm.params, atol=1e-5)
for column, coefficient in zip(columns, weight[0], strict=True):
    print(f"{column:9} {coefficient:6.3f}")

# %%
# With a hidden layer it is a network, for which there was no name before. The engine in
# C++ does the layers, and the likelihood in Python the top.

net = cr.Network(n_inputs=8, hidden=[cr.Dense(12, "tanh")], likelihood=Binomial())
settings = Training(
    optimizer=cr.optimization.AdamW(0.01), epochs=150, batch_size=32, patience=20
)
rows = np.random.default_rng(0).permutation(len(X))
learn, held_out = rows[:220], rows[220:]
fitted = train(
    net,
    net.initial_parameters(seed=0, dtype="float64"),
    X[learn],
    counts[learn],
    validation=(X[held_out], counts[held_out]),
    settings=settings,
)
print(fitted.history)

share = counts[:, 0] / counts.sum(axis=1)
figure, axes = plt.subplots(figsize=(4.8, 4.2), layout="constrained")
axes.scatter(
    np.ravel(net.predict(fitted.theta, X[held_out])), share[held_out], s=14, alpha=0.7
)
axes.axline((0.5, 0.5), slope=1, color="0.6", linestyle="--")
axes.set(
    xlabel="predicted share above the median",
    ylabel="actual share",
    xlim=(0, 1),
    ylim=(0, 1),
)
plt.show()
