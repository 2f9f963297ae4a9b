"""Draws the figures of the notes into docs/images; every curve and number in them is computed by chainrule.

python docs/draw_figures.py
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

import chainrule as cr
from chainrule.architecture import ACTIVATIONS, equations
from chainrule.optimization import SGD, Adam

UP, DOWN, INK = "#0072b2", "#d55e00", "#333333"  # told apart by colour-blind people too
SETTINGS = {
    "svg.hashsalt": "chainrule",
    "font.size": 11,
    "mathtext.fontset": "cm",
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def blank(width, height):
    """Return a figure and axes in inches, without a frame."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.set_axis_off()
    return figure, axes


def arrow(axes, start, end, color, text="", shift=(0, 0), bend=0.0):
    """Draw an arrow, with words beside its middle."""
    style = f"arc3,rad={bend}"
    dashed = "--" if color == DOWN else "-"
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=12, color=color, connectionstyle=style, ls=dashed
        )
    )
    middle = (np.array(start) + end) / 2 + shift
    axes.text(*middle, text, color=color, ha="center", va="center")


def box(axes, center, text, size=(1.1, 0.7)):
    """Draw a box with words in it."""
    corner = np.array(center) - np.array(size) / 2
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle="round,pad=0.05", fc="#f4f4f4", ec=INK))
    axes.text(*center, text, ha="center", va="center", color=INK)


def circle(axes, center, text, radius=0.42):
    """Draw a unit with words in it."""
    axes.add_patch(Circle(center, radius, fc="#f4f4f4", ec=INK, zorder=2))
    axes.text(*center, text, ha="center", va="center", color=INK, zorder=3, fontsize=10)


def unit():
    """Return one unit: what comes in, what goes out, and the signal that comes back."""
    figure, axes = blank(8, 3.3)
    for j, y in enumerate((2.7, 1.65, 0.6), start=1):
        axes.text(0.55, y, f"$x_{j}$", ha="center", va="center", fontsize=14)
        arrow(axes, (0.8, y), (3.0, 1.65 + 0.12 * (2 - j)), UP, f"$w_{j}$", (0, 0.16))
    box(axes, (3.75, 1.65), r"$s=\langle w,x\rangle+b$", (1.4, 0.8))
    box(axes, (6.75, 1.65), r"$\frac{1}{2}(y-s)^2$", (1.3, 0.8))
    arrow(axes, (4.55, 1.85), (6.0, 1.85), UP, "$s$", (0, 0.2))
    arrow(axes, (6.0, 1.45), (4.55, 1.45), DOWN, r"$-e=-(y-s)$", (0, -0.25))
    arrow(axes, (3.75, 1.1), (3.75, 0.45), DOWN)
    axes.text(
        3.75,
        0.25,
        r"$\partial\mathrm{loss}/\partial w_j=-e\,x_j,\quad\partial\mathrm{loss}/\partial b=-e$",
        color=DOWN,
        ha="center",
    )
    axes.text(3.75, 2.95, "forward", color=UP, ha="center")
    axes.text(6.75, 0.85, "backward", color=DOWN, ha="center")
    return figure


def chain():
    """Return the whole network: up through the layers, and back down."""
    figure, axes = blank(9, 2.3)
    names = ["$x=h_0$", "$h_1$", r"$\cdots$", "$h_{L-1}$", "$s=s_L$", "loss"]
    middles = [0.75 + 1.5 * i for i in range(6)]
    signals = [
        r"$\partial\mathrm{loss}/\partial x$",
        "",
        "",
        "$g_{L-1}$",
        r"$-e\;(\mathrm{N}5\!-\!\mathrm{N}8)$",
    ]
    layers = ["layer 1", "layer 2", "", "layer L", "$y$"]
    for x, name in zip(middles, names, strict=True):
        box(axes, (x, 1.2), name, (0.8, 0.6))
    for x, signal, layer in zip(middles[:-1], signals, layers, strict=True):
        arrow(axes, (x + 0.5, 1.35), (x + 1.0, 1.35), UP, layer, (0, 0.45))
        arrow(axes, (x + 1.0, 1.05), (x + 0.5, 1.05), DOWN, signal, (0, -0.45))
    axes.text(0.35, 2.05, "N1, N2: up", color=UP)
    axes.text(0.35, 0.15, "N9, N10: down;  in each layer N11 and N12 go to the descent", color=DOWN)
    return figure


def layer():
    """Return a layer on the way back: one derivative comes in from above, two leave it."""
    figure, axes = blank(8, 3.2)
    box(axes, (4, 1.55), r"$\delta_l=\partial\mathrm{loss}/\partial s_l$", (2.1, 0.8))
    arrow(axes, (4, 2.85), (4, 2.05), DOWN, "N9", (0.35, 0))
    axes.text(
        4, 2.97, r"from the layer above: $\;\partial\mathrm{loss}/\partial h_l$", ha="center", color=DOWN
    )
    arrow(axes, (2.9, 1.55), (1.9, 1.55), DOWN, "N10", (0, 0.2))
    arrow(axes, (5.1, 1.55), (6.0, 1.55), DOWN, "N11, N12", (0, 0.2))
    axes.text(1.1, 1.55, r"$\partial\mathrm{loss}/\partial h_{l-1}$", ha="center", va="center", color=DOWN)
    axes.text(1.1, 1.1, "to the layer below", ha="center", va="center", color=INK)
    axes.text(6.95, 1.68, r"$\partial\mathrm{loss}/\partial w_l$", ha="center", va="center", color=DOWN)
    axes.text(6.95, 1.35, r"$\partial\mathrm{loss}/\partial b_l$", ha="center", va="center", color=DOWN)
    axes.text(6.95, 0.95, "to the descent", ha="center", va="center", color=INK)
    arrow(axes, (3.2, 0.35), (3.2, 1.1), UP, "$w_l$", (-0.3, 0))
    arrow(axes, (4.8, 0.35), (4.8, 1.1), UP, "$h_{l-1}$", (0.4, 0))
    axes.text(4, 0.12, "kept from the forward pass", ha="center", color=UP)
    return figure


def activations():
    """Return the classic activation functions and their derivatives."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    s = np.linspace(-4, 4, 401)
    for axes, name in zip(figure.subplots(1, 3), ("sigmoid", "tanh", "relu"), strict=True):
        function = ACTIVATIONS[name]
        h = function.r(s)
        axes.plot(s, h, color=UP, label="$r(s)$")
        axes.plot(s, function.derivative(s, h), "--", color=DOWN, label="$r'(s)$")
        axes.set(title=name, xlabel="$s$")
        axes.legend()
    return figure


def losses():
    """Return the losses of N5, N6 and N8 over the logit, with their derivatives."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    s = np.linspace(-3, 3, 301)[:, None]
    tops = [
        ("N5, normal, $y=1$", equations.normal, 1.0),
        ("N6, Bernoulli, $y=1$", equations.bernoulli, 1.0),
        ("N8, Poisson, $y=3$", equations.poisson, 3.0),
    ]
    for axes, (title, top, y) in zip(figure.subplots(1, 3), tops, strict=True):
        row_losses, minus_e = top(s, np.full_like(s, y))
        axes.plot(s, row_losses, color=UP, label="loss")
        axes.plot(s, minus_e, "--", color=DOWN, label=r"$\partial\mathrm{loss}/\partial s=-e$")
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set(title=title, xlabel="$s$", ylim=(-4, 6))
        axes.legend(fontsize=9)
    return figure


def by_hand():
    """Return the first row of "A network by hand", up and down."""
    X, y = np.array([[2.0, 1.0]]), np.array([1.5])
    theta = np.array([1.0, -1.0, 0.5, 1.0, 0.5, -1.0, 2.0, -1.0, 0.5])
    net = cr.Network(n_inputs=2, hidden=[cr.Dense(2, "relu")], likelihood=cr.likelihoods.Normal())
    traced = cr.trace(net, X[0], y[0], theta=theta)
    below, top = traced.layers
    figure, axes = blank(8, 3.6)
    inputs, units, output = [(1, 2.6), (1, 0.9)], [(3.9, 2.6), (3.9, 0.9)], (6.8, 1.75)
    weights = theta[:4].reshape(2, 2)
    for (x, start), j in zip(zip(X[0], inputs, strict=True), (0, 1), strict=True):
        circle(axes, start, f"$x_{j + 1}={x:g}$")
        for k, end in enumerate(units):
            at = 0.16 if k == j else 0.3
            arrow(axes, (start[0] + 0.42, start[1]), (end[0] - 0.52, end[1]), UP)
            place = np.array(start) + at * (np.array(end) - start)
            axes.text(place[0] + 0.2, place[1] + 0.14, f"{weights[k, j]:g}", color=UP, fontsize=9)
    for k, unit_at in enumerate(units):
        circle(axes, unit_at, f"$h={below.h[k]:g}$", 0.5)
        axes.text(unit_at[0], unit_at[1] - 0.72, rf"$\delta={below.delta[k]:g}$", color=DOWN, ha="center")
        axes.text(unit_at[0], unit_at[1] + 0.6, rf"$b={theta[4 + k]:g}$", color=UP, ha="center", fontsize=9)
        arrow(
            axes,
            (unit_at[0] + 0.5, unit_at[1]),
            (output[0] - 0.52, output[1]),
            UP,
            f"{theta[6 + k]:g}",
            (0, 0.2),
        )
    circle(axes, output, f"$s={top.s[0]:g}$", 0.5)
    axes.text(output[0], output[1] - 0.75, rf"$-e=\delta={top.delta[0]:g}$", color=DOWN, ha="center")
    axes.text(output[0], output[1] + 0.65, f"$y={y[0]:g}$, loss {traced.loss:g}", ha="center", color=INK)
    for j, (x, below_x) in enumerate(inputs):
        axes.text(
            x,
            below_x - 0.7,
            rf"$\partial\mathrm{{loss}}/\partial x_{j + 1}={traced.gradient_x[j]:g}$",
            color=DOWN,
            ha="center",
        )
    return figure


def descent():
    """Return the walks of three optimizers through a long valley."""
    stretch = np.array([1.0, 12.0])
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    a, b = np.meshgrid(np.linspace(-3.4, 1.2, 200), np.linspace(-1.2, 1.2, 120))
    axes.contour(
        a, b, 0.5 * (stretch[0] * a**2 + stretch[1] * b**2), levels=np.geomspace(0.05, 12, 11), colors="0.8"
    )
    walks = {
        r"SGD, $\eta=0.15$": (SGD(0.15), "o-", UP),
        r"momentum, $\eta=0.02$": (SGD(0.02, momentum=0.85), "s-", DOWN),
        r"Adam, $\eta=0.3$": (Adam(0.3), "^-", "#009e73"),
    }
    for label, (optimizer, style, color) in walks.items():
        theta = np.array([-3.0, 0.9])
        state, walk = optimizer.init(theta), [theta.copy()]
        for t in range(1, 26):
            optimizer.update(theta, stretch * theta, state, t, optimizer.learning_rate, np.zeros(2))
            walk.append(theta.copy())
        axes.plot(*np.array(walk).T, style, color=color, label=label, markersize=3, linewidth=1)
    axes.plot(0, 0, "+", color=INK, markersize=12)
    axes.set(xlabel=r"$\theta_1$", ylabel=r"$\theta_2$")
    axes.grid(visible=False)
    axes.legend(loc="lower right", fontsize=9)
    return figure


FIGURES = {
    "notes-unit": unit,
    "notes-chain": chain,
    "notes-activations": activations,
    "notes-losses": losses,
    "notes-layer": layer,
    "notes-by-hand": by_hand,
    "notes-descent": descent,
}


def draw(folder):
    """Write every figure as an SVG into the folder."""
    with mpl.rc_context(SETTINGS):
        for name, make in FIGURES.items():
            make().savefig(Path(folder) / f"{name}.svg", facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "images")
