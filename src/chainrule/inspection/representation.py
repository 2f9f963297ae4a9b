"""How a network looks in a notebook: its layers, shapes and parameter counts."""

from collections.abc import Sequence
from html import escape
from typing import Any

from chainrule.network import Network


def layer_rows(network: Network) -> list[tuple[str, str, str]]:
    """Return for each dense layer its name and activation, the shape of w_l, and how many parameters it has.

    A `Scale` stands before them, with the shape of s.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.inspection import layer_rows
    >>> net = cr.Network(3, [cr.Dense(8, "tanh"), cr.Dropout(0.1)], likelihood=cr.likelihoods.Normal())
    >>> layer_rows(net)
    [('1: tanh', '8 × 3', '32'), ('2: the logits, behind dropout 0.1', '1 × 8', '9')]
    """
    layers = network.architecture.dense
    a = layers[0].weight_start
    scale = [(f"the scale of the inputs, rate {network.architecture.scale_rate:g}", f"{a}", f"{a:,}")]
    return (scale if a else []) + [
        (
            f"{number}: {layer.activation if number < len(layers) else 'the logits'}"
            + (f", behind dropout {layer.dropout:g}" if layer.dropout else "")
            + ("" if layer.bias else ", no bias"),
            f"{layer.units} × {layer.n_inputs}",
            f"{layer.stop - layer.weight_start:,}",
        )
        for number, layer in enumerate(layers, start=1)
    ]


def network_html(network: Network) -> str:
    """Return a table of a network's layers for a notebook; colours are the notebook's own."""
    rows = "".join(_line("td", row) for row in layer_rows(network))
    inputs, logits = (
        f"{n:,} {what}" + "s" * (n != 1)
        for n, what in ((network.n_inputs, "input"), (network.n_logits, "logit"))
    )
    caption = (
        f"Network: {inputs} → {logits}, "
        f"{network.n_parameters:,} parameters, {escape(repr(network.likelihood))}"
    )
    heads = _line("th", ("layer", "w", "parameters"))
    return (
        f'<div><div style="font-weight: 600">{caption}</div>'
        f"<table><thead>{heads}</thead><tbody>{rows}</tbody></table></div>"
    )


def model_html(model: Any, diagram: str) -> str:
    """Return scikit-learn's diagram of an estimator and, of a fitted one, its (first) network below it."""
    network, n_members = getattr(model, "network_", None), getattr(model, "n_members_", 1)
    if network is None:
        return diagram
    members = f"<div>{n_members} members, of which this is the first:</div>" if n_members > 1 else ""
    return f"<div>{diagram}{members}{network_html(network)}</div>"


def _line(tag: str, cells: Sequence[str]) -> str:
    style = "text-align: left; padding: 0.2em 1em 0.2em 0"
    parts = [f'<{tag} style="{style}">{escape(cell)}</{tag}>' for cell in cells]
    return f"<tr>{''.join(parts)}</tr>"
