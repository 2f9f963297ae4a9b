"""
Dates and missing values
========================

Carbon dioxide in the air over Mauna Loa, week by week from 1958 to 2001 (Keeling and
Whorf, in statsmodels). A date is a column like any other, and gaps may stay where they
are.
"""

import matplotlib.pyplot as plt
import numpy as np
from statsmodels.datasets import co2

import chainrule as cr

weekly = co2.load_pandas().data["co2"]
print(f"{weekly.isna().sum()} of {len(weekly)} weeks were not measured")

# %%
# A table with gaps
# -----------------
#
# A row is a week: its date, what was measured one and two weeks before and after it,
# and a year before. Much of that is missing. Only the target has to be there.

table = weekly.rename("measured").rename_axis("week").reset_index()
for weeks in (-2, -1, 1, 2, -52):
    side = "before" if weeks < 0 else "after"
    table[f"{abs(weeks)} weeks {side}"] = table["measured"].shift(-weeks)
known = table.dropna(subset="measured")
inputs = known.drop(columns="measured")
print(f"{inputs.isna().any(axis=1).sum()} of {len(known)} rows have a gap")

test = known.sample(frac=0.25, random_state=0).index
train = known.index.difference(test)
model = cr.TabularRegressor(hidden=(64, 64), epochs=100, random_state=0)
model.fit(inputs.loc[train], known.loc[train, "measured"])

# %%
# What became of the columns: a date gives several inputs, and a column with gaps has
# one more, which says that there was one.

print(*model.encoder_.input_names, sep="\n")

# %%
# How far off is it? Rows with a gap are harder, and no row was thrown away.

error = np.abs(model.predict(inputs.loc[test]) - known.loc[test, "measured"])
with_gap = inputs.loc[test].isna().any(axis=1)
print(
    f"mean error {error[~with_gap].mean():.2f} ppm with all neighbours, "
    f"{error[with_gap].mean():.2f} ppm with gaps"
)
assert model.score(inputs.loc[test], known.loc[test, "measured"]) > 0.99

# %%
# The weeks that nobody measured
# ------------------------------

missing = table[table["measured"].isna()]
filled = model.predict(missing.drop(columns="measured"))
figure, axes = plt.subplots(figsize=(7.4, 3.6), layout="constrained")
axes.plot(table["week"], table["measured"], color="0.5", linewidth=1, label="measured")
axes.plot(missing["week"], filled, "o", color="C1", markersize=3, label="filled in")
axes.set(
    xlim=(table["week"][0], table["week"][520]),
    ylim=(312, 326),
    ylabel="CO₂, parts per million",
)
axes.legend()
plt.show()
