"""The report's parts that look into the model, and the command that writes it."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

import chainrule as cr
from chainrule.inspection import LayerHealth, column_importances
from chainrule.report import Fit, KnownRows, evaluate, write_report
from chainrule.report.dependence import partial_dependence
from chainrule.report.looking import (
    FEWEST_ROWS,
    MOST_ROWS,
    advice,
    health_of_the_network,
    rows_for_importances,
    some_rows,
    what_it_rests_on,
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    table = pa.table(
        {"a": rng.normal(size=300), "<b>": rng.choice(["x", "y"], 300), "c": rng.normal(size=300)}
    )
    sold = np.where(np.asarray(table["a"]) + rng.normal(size=300) > 0, "yes", "no")
    return KnownRows(table, pa.table({"sold": sold}))


@pytest.fixture(scope="module")
def model(data):
    return cr.TabularClassifier(hidden=(8, 4), epochs=5, random_state=0, n_members=3).fit(*data[:2])


def test_the_importances_are_those_of_the_function_most_important_first(model, data):
    section = what_it_rests_on(model, data)
    drawing, *curves, table = section.blocks
    found = column_importances(model, *data[:2])
    slopes = column_importances(model, *data[:2], method="gradient")
    assert [row[0] for row in table.rows] == [found.names[c] for c in found.order]
    assert [float(row[2]) for row in table.rows] == pytest.approx(
        slopes.mean[found.order], rel=1e-2, abs=1e-4
    )
    assert section.text[0].startswith("Most on a, ")
    assert curves[0].title == "Along a"
    assert "&lt;b&gt;" in drawing.svg
    assert "<b>" not in drawing.svg


def test_the_curve_along_a_column_is_the_mean_prediction_with_that_value_in_all_rows(model, data):
    for name, value in (("a", None), ("<b>", "y")):
        found = partial_dependence(model, data, name, [1])
        place = found.values.index(value) if value else 7
        changed = data.inputs.set_column(
            data.inputs.column_names.index(name), name, pa.array([found.values[place]] * 300)
        )
        p = model.predict_proba(changed)[:, 1]
        assert found.means[place, 0] == pytest.approx(p.mean(), rel=1e-9)
        np.testing.assert_allclose(found.spread[:, place, 0], np.quantile(p, [0.1, 0.9]), rtol=1e-9)
    assert partial_dependence(model, data, "a", [1]).is_ordered
    assert set(partial_dependence(model, data, "<b>", [1]).values) == {"x", "y"}


def test_the_values_along_a_column_are_its_own():
    rng = np.random.default_rng(0)
    days = np.datetime64("2024-01-01") + rng.integers(0, 500, 120)
    table = pa.table(
        {
            "day": days,
            "n": rng.integers(0, 5, 120),
            "flag": rng.random(120) < 0.5,
            "gaps": pa.array(np.where(np.arange(120) % 3, rng.normal(size=120), np.nan), from_pandas=True),
            "same": np.ones(120),
            "many": [f"name {k % 40}" for k in range(120)],
        }
    )
    y = pa.table({"y": rng.normal(size=120)})
    model = cr.TabularRegressor(hidden=(4,), epochs=2, random_state=0, n_members=1).fit(table, y)
    along = {name: partial_dependence(model, KnownRows(table, y), name, []) for name in table.column_names}
    assert along["same"] is None
    assert along["n"].values == [0, 1, 2, 3, 4]
    assert set(along["flag"].values) == {"True", "False"}
    assert len(along["many"].values) == 8
    assert not along["many"].is_ordered
    for name in ("day", "gaps"):
        values = along[name].values
        assert values == sorted(set(values))
        assert set(values) <= set(table[name].to_pylist())
        assert len(values) == 25


def test_the_health_has_a_line_for_each_layer_and_member(model, data):
    drawing, table, members = health_of_the_network(model, data).blocks
    below, above, _ = model.network_.architecture.dense
    expected = [f"1, {below.activation}", f"2, {above.activation}", "3, the logits"]
    assert [row[0] for row in table.rows] == expected
    assert [row[1] for row in table.rows] == ["8", "4", "1"]
    assert drawing.title == "The gradient in each layer"
    assert [row[:2] for row in members.rows] == [
        (str(k), layer) for k in range(model.n_members_) for layer in expected
    ]
    assert members.folded
    deltas = [float(row[3]) for row in members.rows if row[1] == expected[0]]
    assert table.rows[0][2] == f"{min(deltas):.4f} to {max(deltas):.4f}"


def layer(number, *, delta=1.0, dead=0, saturated=0.0):
    return LayerHealth(number, "relu", 10, delta, 1.0, 1.0, dead, saturated)


FINE = (layer(1), layer(2), layer(3))
ADVICE = [
    ([FINE], ["Nothing stands out"]),
    (
        [(layer(1, dead=4), layer(2, dead=3), layer(3))],
        ["In layer 1 many units are dead", "lower learning rate"],
    ),
    ([(layer(1, dead=4), layer(2, dead=9), layer(3))], ["In layers 1, 2 many units are dead"]),
    ([FINE, (layer(1), layer(2, dead=9), layer(3))], ["In layer 2 many", "at least one member"]),
    (
        [(layer(1, saturated=0.6), layer(2), layer(3))],
        ["In layer 1 most sigmoid or tanh units", "Scale the inputs"],
    ),
    ([(layer(1, delta=0.001), layer(2), layer(3))], ["less than a hundredth", "fewer layers"]),
    ([(layer(1),)], ["Nothing stands out"]),
]


@pytest.mark.parametrize(("members", "parts"), ADVICE)
def test_the_advice_says_what_is_wrong_and_what_to_do(members, parts):
    said = " ".join(advice(members))
    for part in parts:
        assert part in said
    assert ("Nothing stands out" in said) == ("Nothing stands out" in parts[0])
    assert ("at least one member" in said) == (len(members) > 1)


def test_many_rows_are_looked_at_in_part(data):
    table, target = (pa.concat_tables([part] * 10) for part in data[:2])
    rows, y, given = some_rows(KnownRows(table, target, {"offset": table.select(["a"])}), MOST_ROWS)
    assert len(rows) == len(y) == MOST_ROWS
    places = np.linspace(0, 2999, MOST_ROWS).round().astype(int)
    assert rows.equals(table.take(places))
    assert given["offset"].equals(table.select(["a"]).take(places))


def test_the_importances_of_a_large_model_take_fewer_rows(model):
    class Large:
        encoder_, n_members_ = model.encoder_, 8
        network_ = cr.Network(500, [cr.Dense(1000)] * 3, likelihood=cr.likelihoods.Normal())

    assert rows_for_importances(model) == MOST_ROWS
    assert FEWEST_ROWS <= rows_for_importances(Large) < MOST_ROWS


def test_a_report_with_rows_has_all_parts_and_the_area_below_the_curve(model, data, tmp_path):
    fit = Fit(
        model,
        target="sold",
        data="d",
        n_train=300,
        n_test=300,
        split="s",
        evaluation=evaluate(model, *data[:2]),
        rows=data,
    )
    write_report(tmp_path / "report.html", fit)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    parts = ("What it rests on", "Along a", "Health of the network", "ROC curve", "Precision and recall")
    for part in parts:
        assert f">{part}</h" in text
    auc = roc_auc_score(np.asarray(data.target["sold"]) == "yes", model.predict_proba(data.inputs)[:, 1])
    assert f"the area below it is {auc:.4f}" in text


@pytest.mark.parametrize(("width", "scheme"), [(1200, "dark"), (400, "light")])
def test_the_report_breaks_no_rule_of_accessibility_and_nothing_sticks_out(
    open_page, model, data, tmp_path, width, scheme
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    fit = Fit(
        model,
        target="sold",
        data="d",
        n_train=300,
        n_test=300,
        split="s",
        evaluation=evaluate(model, *data[:2]),
        rows=data,
    )
    write_report(tmp_path / "report.html", fit)
    page = open_page(tmp_path / "report.html", width=width, scheme=scheme)
    assert [rule["id"] for rule in axe.run(page).response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_a_wide_table_with_many_classes_makes_a_page_that_stays_small_and_usable(open_page, tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table({f"column {k}": rng.normal(size=600) for k in range(500)})
    target = pa.table({"class": np.resize([f"class {k}" for k in range(60)], 600)})
    model = cr.TabularClassifier(hidden=(1024,), epochs=1, random_state=0, n_members=1).fit(table, target)
    rows = KnownRows(table, target)
    fit = Fit(model, "class", "d", 600, 600, "s", evaluation=evaluate(model, *rows[:2]), rows=rows)
    write_report(tmp_path / "report.html", fit)
    assert (tmp_path / "report.html").stat().st_size < 1_000_000
    page = open_page(tmp_path / "report.html", width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("details").count() >= 2  # long tables are folded
    assert page.locator("table:visible tr").count() < 100
    assert "Only the 60 columns were permuted" in page.inner_text("body")
