"""docs/notes.md: its worked example against the equations, and the code that it names against its numbers."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from chainrule.architecture import ACTIVATIONS, equations
from chainrule.optimization import SGD

NOTES = (Path(__file__).parents[2] / "docs" / "notes.md").read_text(encoding="utf-8")
NUMBERS = range(1, 28)


def paragraphs_of(number):
    """The text from the anchor of an equation to the next anchor or heading."""
    return re.search(rf"^\(n{number}\)=\n(.*?)(?=^\([\w-]+\)=$|^#)", NOTES, re.DOTALL | re.MULTILINE).group(1)


def table_by_hand():
    """symbol → value of the two tables of "A network by hand"."""
    section = NOTES[NOTES.index("## A network by hand") :]
    rows = re.findall(r"^\| (.+?) \| .+? \| `(.+?)` \|$", section, re.MULTILINE)
    table = {
        symbol.replace("$", ""): np.array(ast.literal_eval(value), dtype=float) for symbol, value in rows
    }
    assert len(table) == len(rows)
    return table


def forward_and_loss(X, y, weight, parameters):
    states = equations.forward(X, parameters, [ACTIVATIONS["relu"], ACTIVATIONS["identity"]])
    row_losses, minus_e = equations.normal(states[-1].H, y)
    return states, row_losses, minus_e, np.average(row_losses, weights=weight)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_equation_is_introduced_once_behind_its_anchor(number):
    assert NOTES.count(f"**N{number}**") == 1
    assert paragraphs_of(number).startswith(f"**N{number}** ")


@pytest.mark.parametrize("number", NUMBERS)
def test_the_code_that_is_named_beside_an_equation_carries_its_number(number):
    named = re.findall(r"In code: (.*?)\n\n", paragraphs_of(number) + "\n\n", re.DOTALL)
    names = re.findall(r"\]\(#(chainrule[\w.]+)\)", " ".join(named))
    assert names
    for name in names:
        source = inspect.getsource(look_up(name))
        assert re.search(rf"\bN{number}\b", source), f"{name} does not say N{number}"


def look_up(dotted):
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name)
        return found
    raise AssertionError(dotted)


def test_each_link_within_the_notes_leads_somewhere():
    targets = set(re.findall(r"^\(([\w-]+)\)=$", NOTES, re.MULTILINE))
    for link in re.findall(r"\]\(#([^)]+)\)", NOTES):
        if link.startswith("chainrule."):
            look_up(link)
        else:
            assert link in targets


def test_the_network_by_hand_agrees_with_the_equations():
    table = table_by_hand()
    X, y, weight = table["X = H_0"], table["y"], table[r"\omega"]
    parameters = [(table["w_1"], table["b_1"]), (table["w_2"], table["b_2"])]
    functions = [ACTIVATIONS["relu"], ACTIVATIONS["identity"]]
    states, row_losses, minus_e, loss = forward_and_loss(X, y, weight, parameters)
    delta_2 = equations.top_error_signal(minus_e, weight)
    G_1 = equations.gradient_of_inputs(delta_2, table["w_2"])
    [(dw_1, db_1), (dw_2, db_2)], G_0 = equations.backward(delta_2, states, parameters, functions)

    g = {"w_1": dw_1, "b_1": db_1, "w_2": dw_2, "b_2": db_2}
    after = {name: table[name] - 0.04 * g[name] for name in g}
    states_after, _, _, loss_after = forward_and_loss(
        X, y, weight, [(after["w_1"], after["b_1"]), (after["w_2"], after["b_2"])]
    )
    computed = {
        "S_1": states[0].S,
        "H_1": states[0].H,
        "S_2 = s": states[1].S,
        r"\mathrm{loss}_i": row_losses,
        "-e": minus_e,
        "loss": loss,
        r"\Delta_2": delta_2,
        r"\partial\mathrm{loss}/\partial w_2": dw_2,
        r"\partial\mathrm{loss}/\partial b_2": db_2,
        "G_1": G_1,
        "r'(S_1)": ACTIVATIONS["relu"].derivative(states[0].S, states[0].H),
        r"\Delta_1": equations.error_signal(G_1, states[0], ACTIVATIONS["relu"]),
        r"\partial\mathrm{loss}/\partial w_1": dw_1,
        r"\partial\mathrm{loss}/\partial b_1": db_1,
        r"G_0 = \partial\mathrm{loss}/\partial X": G_0,
        **{f"{name} after": value for name, value in after.items()},
        "s after": states_after[1].S,
        "loss after": loss_after,
    }
    given = {"X = H_0", "y", r"\omega", "w_1", "b_1", "w_2", "b_2"}
    assert set(table) == given | set(computed)
    for symbol, value in computed.items():
        assert table[symbol].shape == np.shape(value), symbol
        np.testing.assert_allclose(value, table[symbol], rtol=1e-13, atol=1e-15, err_msg=symbol)


def test_the_losses_beside_the_table_are_right():
    table = table_by_hand()
    X, y, weight = table["X = H_0"], table["y"], table[r"\omega"]

    def loss_at(theta):
        parts = [(theta[:4].reshape(2, 2), theta[4:6]), (theta[6:8].reshape(1, 2), theta[8:])]
        return forward_and_loss(X, y, weight, parts)[3]

    names = ("w_1", "b_1", "w_2", "b_2")
    theta = np.concatenate([table[name].ravel() for name in names])
    gradient = np.concatenate([table[rf"\partial\mathrm{{loss}}/\partial {name}"].ravel() for name in names])
    step = 0.1 * np.eye(9)
    differences = np.array([loss_at(theta + h) - loss_at(theta - h) for h in step]) / 0.2
    np.testing.assert_allclose(gradient, differences, rtol=1e-12)  # parabolas: the difference is exact

    stated = {float(value) for value in re.findall(r"`(\d+\.\d+)`", NOTES)}
    too_far = theta.copy()
    SGD(learning_rate=0.5).update(too_far, gradient, (np.zeros(9),), 1, 0.5, np.zeros(9))
    for value in (loss_at(theta + step[0]), loss_at(theta - step[0]), loss_at(too_far)):
        assert any(abs(value - number) < 1e-12 for number in stated), value
