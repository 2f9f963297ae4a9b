"""How networks and models look in a notebook: HTML that a parser reads back."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import sklearn

import chainrule as cr
from chainrule.inspection import layer_rows


class Cells(HTMLParser):
    """The text of each cell of the last table, and what else is said."""

    def __init__(self, html):
        super().__init__()
        self.open, self.cells, self.text = [], [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, _):
        if tag in {"div", "table", "tr", "td", "th", "thead", "tbody"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in {"div", "table", "tr", "td", "th", "thead", "tbody"}:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in {"td", "th"}:
            self.cells.append(data)


HIDDEN = [(), (cr.Dense(7, "tanh"), cr.Dropout(0.25), cr.Dense(3, "relu", bias=False))]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_network_shows_its_layers_with_shapes_and_parameter_counts(hidden):
    net = cr.Network(5, hidden, likelihood=cr.likelihoods.Categorical(n_classes=4))
    found = Cells(net._repr_html_())
    rows = layer_rows(net)
    assert found.cells == ["layer", "w", "parameters", *(cell for row in rows for cell in row)]
    assert f"5 inputs → 4 logits, {net.n_parameters:,} parameters, Categorical(n_classes=4)" in found.text
    parameters = net.unpack(np.zeros(net.n_parameters))
    for (weight, bias), (_, shape, count) in zip(parameters, rows, strict=True):
        assert shape == " × ".join(map(str, weight.shape))
        assert count == str(weight.size + (0 if bias is None else bias.size))


def test_layers_say_what_stands_before_them():
    net = cr.Network(5, HIDDEN[1], likelihood=cr.likelihoods.Normal())
    assert [name for name, _, _ in layer_rows(net)] == [
        "1: tanh",
        "2: relu, behind dropout 0.25, no bias",
        "3: the logits",
    ]


def test_a_scale_has_a_line_and_all_lines_together_all_parameters():
    net = cr.Network(1500, [cr.Scale(6), 2], likelihood=cr.likelihoods.Normal())
    rows = layer_rows(net)
    assert rows[0] == ("the scale of the inputs, rate 6", "1500", "1,500")
    assert sum(int(count.replace(",", "")) for _, _, count in rows) == net.n_parameters
    assert "the scale of the inputs, rate 6" in net._repr_html_()


@pytest.mark.parametrize("estimator", [cr.MLPRegressor, cr.TabularRegressor])
def test_a_fitted_model_shows_its_network_below_scikit_learns_diagram(estimator):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    model = estimator()
    before = model._repr_html_()
    assert "sk-top-container" in before
    assert "logits" not in before
    settings = (
        {"solver": "lbfgs", "alpha": 1.0} if estimator is cr.MLPRegressor else {"epochs": 2, "hidden": (4,)}
    )
    model.set_params(**settings, random_state=0).fit(X, X[:, 0])
    html = model._repr_html_()
    assert "sk-top-container" in html
    assert f"{model.network_.n_parameters:,} parameters" in html
    assert re.search(r"\d inputs → (1 logit|2 logits), ", html)
    n_members = getattr(model, "n_members_", 1)
    assert (f"{n_members} members, of which this is the first" in html) == (n_members > 1)
    assert model._repr_mimebundle_()["text/html"].endswith("</table></div></div>")
    with sklearn.config_context(display="text"):
        assert "text/html" not in model._repr_mimebundle_()
