"""Draws the loss of each likelihood and its derivative, as the classes compute them, for docs/likelihoods."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from chainrule import likelihoods as lk

# page → what is drawn: (label, likelihood, y)
PICTURES = {
    "normal": [
        ("normal", lk.Normal(), 0.0),
        ("Huber, δ = 1.345", lk.Huber(scale=1.0), 0.0),
        ("Laplace", lk.Laplace(scale=1.0), 0.0),
        ("Student's t, ν = 4", lk.StudentT(scale=1.0), 0.0),
    ],
    "quantiles": [(f"τ = {tau}", lk.Quantile(levels=(tau,)), 0.0) for tau in (0.1, 0.5, 0.9)],
    "classes": [
        ("Bernoulli, y = 1", lk.Bernoulli(), 1.0),
        ("Bernoulli, y = 0", lk.Bernoulli(), 0.0),
        *[(f"ordinal, y = {c} of 0 … 3", lk.Ordinal(4), float(c)) for c in (0, 1, 3)],
    ],
    "counts": [
        ("Poisson, y = 3", lk.Poisson(), 3.0),
        ("negative binomial, α = 0.5", lk.NegativeBinomial(scale=0.5), 3.0),
        ("negative binomial, α = 2", lk.NegativeBinomial(scale=2.0), 3.0),
    ],
    "amounts": [
        ("Gamma, φ = 1, y = 3", lk.Gamma(scale=1.0), 3.0),
        ("Tweedie, p = 1.5, y = 3", lk.Tweedie(), 3.0),
        ("Tweedie, p = 1.5, y = 0", lk.Tweedie(), 0.0),
    ],
    "survival": [
        ("event at 1, σ = 1", lk.Weibull(scale=1.0), (1.0, 1.0)),
        ("censored at 1, σ = 1", lk.Weibull(scale=1.0), (1.0, 0.0)),
        ("event at 1, σ = 0.5", lk.Weibull(scale=0.5), (1.0, 1.0)),
        ("censored at 1, σ = 0.5", lk.Weibull(scale=0.5), (1.0, 0.0)),
    ],
}
RANGES = {"classes": (-5, 5), "counts": (-1, 3.2), "amounts": (-0.7, 3.2), "survival": (-0.7, 3)}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6b4c00")


def draw(folder: Path) -> None:
    """Write one SVG for each page."""
    folder.mkdir(parents=True, exist_ok=True)
    for page, lines in PICTURES.items():
        s = np.linspace(*RANGES.get(page, (-4, 4)), 601)
        with mpl.rc_context({"svg.hashsalt": page, "font.size": 10}):
            figure = Figure(figsize=(9, 3.6), layout="constrained")
            loss_axes, slope_axes = figure.subplots(1, 2)
            for (label, likelihood, y), colour in zip(lines, COLOURS, strict=False):
                logits = likelihood.extended(s[:, None], likelihood.initial_scales())
                target = np.tile(np.atleast_1d(y), (len(s), 1))
                loss, slope = likelihood.loss_and_gradient(logits, target)
                loss_axes.plot(s, loss, color=colour, label=label)
                slope_axes.plot(s, slope[:, 0], color=colour)
            loss_axes.set(xlabel="logit s", title="loss")
            slope_axes.set(xlabel="logit s", title="∂loss/∂s")
            slope_axes.axhline(0, color="#888888", linewidth=0.8)
            figure.legend(
                loc="outside lower center", ncols=2 if len(lines) == 4 else 3, frameon=False, fontsize=9
            )
            for axes in (loss_axes, slope_axes):
                axes.spines[["top", "right"]].set_visible(False)
            figure.savefig(folder / f"{page}.svg", metadata={"Date": None})
