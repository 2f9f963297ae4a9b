"""The report's parts that look into the model, and the command that writes it."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

import chainrule as cr
from chainrule.inspection import LayerHealth, column_importances
from chainrule.report import Fit, evaluate, write_report
from chainrule.report.looking import MOST_ROWS, advice, health_of_the_network, some_rows, what_it_rests_on


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    table = pa.table(
        {"a": rng.normal(size=300), "<b>": rng.choice(["x", "y"], 300), "c": rng.normal(size=300)}
    )
    return table, pa.table({"sold": np.where(np.asarray(table["a"]) + rng.normal(size=300) > 0, "yes", "no")})


@pytest.fixture(scope="module")
def model(data):
    return cr.TabularClassifier(hidden=(8, 4), epochs=5, random_state=0).fit(*data)


def test_the_importances_are_those_of_the_function_most_important_first(model, data):
    section = what_it_rests_on(model, *data)
    drawing, table = section.blocks
    found = column_importances(model, *data)
    assert [row[0] for row in table.rows] == [found.names[c] for c in found.order]
    assert section.text[0].startswith("Most on a, ")
    assert "&lt;b&gt;" in drawing.svg
    assert "<b>" not in drawing.svg


def test_the_health_has_a_line_for_each_layer(model, data):
    (table,) = health_of_the_network(model, *data).blocks
    below, above, _ = model.network_.architecture.dense
    expected = [f"1, {below.activation}", f"2, {above.activation}", "3, the logits"]
    assert [row[0] for row in table.rows] == expected
    assert [row[1] for row in table.rows] == ["8", "4", "1"]


def layer(number, *, delta=1.0, dead=0, saturated=0.0):
    return LayerHealth(number, "relu", 10, delta, 1.0, 1.0, dead, saturated)


ADVICE = [
    ([layer(1), layer(2), layer(3)], ["Nothing stands out"]),
    (
        [layer(1, dead=4), layer(2, dead=3), layer(3)],
        ["In layer 1 many units are dead", "lower learning rate"],
    ),
    ([layer(1, dead=4), layer(2, dead=9), layer(3)], ["In layers 1, 2 many units are dead"]),
    (
        [layer(1, saturated=0.6), layer(2), layer(3)],
        ["In layer 1 most sigmoid or tanh units", "Scale the inputs"],
    ),
    ([layer(1, delta=0.001), layer(2), layer(3)], ["less than a hundredth", "fewer layers"]),
    ([layer(1)], ["Nothing stands out"]),
]


@pytest.mark.parametrize(("layers", "parts"), ADVICE)
def test_the_advice_says_what_is_wrong_and_what_to_do(layers, parts):
    said = advice(tuple(layers))
    for part in parts:
        assert part in said
    assert ("Nothing stands out" in said) == ("Nothing stands out" in parts[0])


def test_many_rows_are_looked_at_in_part(data):
    table, target = (pa.concat_tables([part] * 10) for part in data)
    rows, y = some_rows(table, target)
    assert len(rows) == len(y) == MOST_ROWS
    places = np.linspace(0, 2999, MOST_ROWS).round().astype(int)
    assert rows.equals(table.take(places))


def test_a_report_with_rows_has_all_parts_and_the_area_below_the_curve(model, data, tmp_path):
    fit = Fit(
        model,
        target="sold",
        data="d",
        n_train=300,
        n_test=300,
        split="s",
        evaluation=evaluate(model, *data),
        rows=data,
    )
    write_report(tmp_path / "report.html", fit)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for part in ("What it rests on", "Health of the network", "ROC curve", "Precision and recall"):
        assert f">{part}</h" in text
    auc = roc_auc_score(np.asarray(data[1]["sold"]) == "yes", model.predict_proba(data[0])[:, 1])
    assert f"the area below it is {auc:.4f}" in text


@pytest.mark.parametrize("width", [1200, 400])
def test_the_report_breaks_no_rule_of_accessibility_and_nothing_sticks_out(
    open_page, model, data, tmp_path, width
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    fit = Fit(
        model,
        target="sold",
        data="d",
        n_train=300,
        n_test=300,
        split="s",
        evaluation=evaluate(model, *data),
        rows=data,
    )
    write_report(tmp_path / "report.html", fit)
    page = open_page(tmp_path / "report.html", width=width)
    assert [rule["id"] for rule in axe.run(page).response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
