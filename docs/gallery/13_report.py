"""
How to read a report
====================

``chainrule fit`` and ``chainrule demo`` write a page about what they did, and
``chainrule report MODEL DATA`` writes one about a model and other rows. This is how
such a page comes to be, and what to look at.
"""

# sphinx_gallery_thumbnail_path = "images/report-page.png"

import subprocess
import sys
import tempfile
from html import escape
from importlib.resources import files
from pathlib import Path

import pandas as pd

hours = pd.read_parquet(files("chainrule") / "data" / "bike_sharing_hour.parquet")
hours = hours.sample(4000, random_state=0)
folder = tempfile.TemporaryDirectory()
hours[:3000].to_csv(Path(folder.name) / "hours.csv", index=False)
hours[3000:].to_csv(Path(folder.name) / "others.csv", index=False)

# %%
# The commands, as one would type them:


def run(command):
    """Do what the command line would, and print what it prints."""
    words = [sys.executable, "-m", *command.split()]
    print("$", command)
    print(
        subprocess.run(
            words, cwd=folder.name, capture_output=True, text=True, check=True
        ).stdout
    )


run(
    "chainrule fit hours.csv --target rentals --model bikes.safetensors "
    "--hidden 32,16 --epochs 40"
)
run("chainrule report bikes.safetensors others.csv --html report.html")

# %%
# The page
# --------
#
# It is one file that needs no other one, so it can be sent to somebody, or kept beside
# the model.


class Page:
    """A file of HTML, shown in a notebook as it is."""

    def __init__(self, path):
        self.text = path.read_text(encoding="utf-8")

    def _repr_html_(self):
        size = 'width="100%" height="700"'
        return (
            f'<iframe title="the report" {size} srcdoc="{escape(self.text)}"></iframe>'
        )


report = Page(Path(folder.name) / "report.html")
folder.cleanup()
assert "Scores" in report.text
report

# %%
# From top to bottom
# ------------------
#
# - **At a glance** says what was asked. Is the task what you meant, a number or a
#   class? Are all the columns there, and no column that knows the answer?
# - **Scores.** The page of ``fit`` puts the linear model beside the network. If the two
#   are close, take the linear one. Look at how the rows were held out, too: where rows
#   follow each other in time, later ones are harder than ones drawn at random.
# - **Predictions.** Points along the dashed line are right. A fan that opens to the
#   right says that large values are predicted less exactly, which is usual for counts:
#   try a likelihood for them. A bend away from the line says that something is missing.
#   For classes there are the confusions, the curves and the calibration instead.
# - **What it rests on.** How much worse the predictions become when the values of a
#   column change places. A column at the top that should not matter may know the target
#   from elsewhere.
# - **Learning.** Training and validation loss, with the epoch that was kept. If the
#   kept one is the last, more epochs may help. If the validation loss turns up early,
#   the network learns rows by heart: use a smaller one, or more dropout.
# - **The health of the network.** Units that are dead or saturated, and the size of the
#   signal in each layer (N9). A few such units do no harm.
# - **Columns.** What was made of each. A number that is really a category shows here.
# - **To repeat it.** Parameters and versions. The same of all of them give the same
#   bits.
