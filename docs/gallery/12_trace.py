"""
How to read a trace
===================

One hour, all the way up through a network and its error all the way down: every number
that the notes speak of. The table is the demo's, bicycles rented hour by hour.
"""

import tempfile
from html import escape
from importlib.resources import files
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import chainrule as cr
from chainrule.report import write_trace

hours = pd.read_parquet(
    files("chainrule") / "data" / "bike_sharing_hour.parquet"
).sample(3000, random_state=0)
inputs, rentals = hours.drop(columns="rentals"), hours["rentals"]
model = cr.TabularRegressor(hidden=(12, 8), epochs=30, random_state=0).fit(
    inputs, rentals
)

# %%
# Which row? One that the model is wrong about is the best teacher.

prediction = model.predict(inputs)
row = int(np.argmax(np.abs(prediction - rentals)))
traced = cr.trace(model, inputs.iloc[row], rentals.iloc[row])
print(inputs.iloc[row].to_string())
print(f"predicted {traced.predicted:.0f}, counted {traced.target.value}")

# %%
# Up
# --
#
# Each layer takes sums of what comes from below (N1) and bends them (N2). The printed
# trace has all of it, with the number of the equation in front.

print(traced)

# %%
# And down
# --------
#
# At the top the signal is −e (N5). Each layer multiplies it by the slopes of its
# activation (N9), and hands it on through its weights (N10). A bar near zero is a unit
# that learns nothing from this hour: its activation is flat there.

below = traced.layers[:-1]
figure, all_axes = plt.subplots(len(below), 2, figsize=(7.6, 4.4), layout="constrained")
for number, (layer, (left, right)) in enumerate(
    zip(below, all_axes, strict=True), start=1
):
    units = np.arange(1, len(layer.h) + 1)
    left.bar(units, layer.h, color="C0")
    left.set(title=f"$h_{number}$, on the way up", xlabel="unit")
    right.bar(units, layer.delta, color="C4")
    right.set(title=f"$\\delta_{number}$, on the way down", xlabel="unit")
plt.show()

# %%
# At the bottom
# -------------
#
# ∂loss/∂x: what would the loss do if this input were a little larger? A positive number
# says that the prediction would become worse.

slopes = pd.Series(traced.gradient_x, index=traced.input_names)
largest = slopes[slopes.abs().sort_values().index[-8:]]
figure, axes = plt.subplots(figsize=(6.6, 3), layout="constrained")
axes.barh(largest.index, largest, color=np.where(largest < 0, "C2", "C4"))
axes.axvline(0, color="0.5", linewidth=0.8)
axes.set(xlabel="∂loss/∂x")
plt.show()

# %%
# One step of descent
# -------------------
#
# Every parameter goes a little against its gradient (N13), and the loss of this row
# falls.

print(f"loss {traced.loss:.4f} → {traced.loss_after:.4f}")
assert traced.loss_after < traced.loss

# %%
# The page
# --------
#
# ``chainrule trace MODEL DATA --row 17 --html trace.html`` writes all of it as a page,
# and so does :func:`~chainrule.report.write_trace`. Step through it, point at a unit,
# change an input, take further steps. :doc:`/guides/trace` says more about it.


class Page:
    """A file of HTML, shown in a notebook as it is."""

    def __init__(self, path):
        self.text = path.read_text(encoding="utf-8")

    def _repr_html_(self):
        size = 'width="100%" height="760"'
        return (
            f'<iframe title="the trace" {size} srcdoc="{escape(self.text)}"></iframe>'
        )


with tempfile.TemporaryDirectory() as folder:
    write_trace(Path(folder) / "trace.html", traced)
    page = Page(Path(folder) / "trace.html")
page
