"""The trace page: its mathematics against Python's, in Node or a browser, and what it does, in a browser."""

import json
import math
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import chainrule as cr
from chainrule.architecture import ACTIVATIONS
from chainrule.likelihoods import LIKELIHOODS, Likelihood
from chainrule.report import write_trace
from chainrule.report.trace_page import page_data
from chainrule.tables import TableEncoder

SCRIPTS = [
    files("chainrule.report") / "templates" / name for name in ("trace_likelihoods.js", "trace_math.js")
]
PAGE_ITSELF = 1_000_000  # bytes, beside 1.4 times those of the weights: what the page may have at most
SMALL_PAGE = 200_000  # of a common table, beside base64's four thirds


@pytest.fixture(scope="session")
def javascript(request):
    """Evaluate an expression of traceMath and `given`, in Node where it is there, else in the browser."""
    node = shutil.which("node")
    source = "\n".join(script.read_text(encoding="utf-8") for script in SCRIPTS)

    # JSON has no infinity: it comes as the text "Infinity"
    infinite = "(key, value) => (value === Infinity || value === -Infinity ? `${value}` : value)"

    def in_node(expression, given):
        shown = f"JSON.stringify({expression}, {infinite})"
        program = f"{source}\nconst given = {json.dumps(given)}; console.log({shown})"
        done = subprocess.run([node, "-"], input=program, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def in_browser(expression, given):
        page = request.getfixturevalue("browser").new_page()
        page.add_script_tag(content=source)
        result = page.evaluate(f"(given) => JSON.stringify({expression}, {infinite})", given)
        page.close()
        return json.loads(result)

    return in_node if node else in_browser


# ── The mathematics of the page ──


def test_the_page_has_each_activation(javascript):
    assert set(javascript("Object.keys(traceMath.ACTIVATIONS)", None)) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_and_its_slope_are_pythons(javascript, name):
    s = np.concatenate([np.linspace(-9, 9, 181), [-1e4, -700.0, -40.0, -1e-9, 1e-9, 40.0, 700.0, 1e4]])
    table = f"traceMath.ACTIVATIONS[{name!r}]"
    h, slope = javascript(f"[given.map({table}.r), given.map({table}.slope)]", s.tolist())
    expected = ACTIVATIONS[name].r(s)
    np.testing.assert_allclose(h, expected, rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(slope, ACTIVATIONS[name].derivative(s, expected), rtol=1e-11, atol=1e-15)


def test_the_page_has_each_likelihood(javascript):
    assert set(javascript("Object.keys(traceLikelihoods.LIKELIHOODS)", None)) == set(LIKELIHOODS)


@pytest.mark.parametrize("outputs", [1, 3])
def test_each_likelihood_is_pythons(javascript, make_problem, case, outputs):
    agrees_with_python(javascript, make_problem(case, outputs=outputs, n_rows=40))


def agrees_with_python(javascript, problem):
    likelihood, rng = problem.network.likelihood, np.random.default_rng(1)
    s = rng.normal(scale=3, size=(40, likelihood.n_logits))
    z = likelihood.extended(s, rng.normal(size=likelihood.n_scales))
    y = problem.y.astype(float)
    loss, minus_e = likelihood.loss_and_gradient(z, y)
    found = javascript(
        "given.rows.map(([z, y]) => { const top = traceLikelihoods.LIKELIHOODS[given.name](given.settings); "
        "return [top.mean(z), top.loss(z, y), top.minusE(z, y)]; })",
        {
            "name": likelihood.name,
            "settings": likelihood.settings(),
            "rows": list(zip(z.tolist(), y.tolist(), strict=True)),
        },
    )
    means, losses, gradients = (np.array(part, dtype=float) for part in zip(*found, strict=True))
    np.testing.assert_allclose(means, likelihood.mean(s, z[0, likelihood.n_logits :]), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(losses, loss, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(gradients, minus_e, rtol=1e-11, atol=1e-13)


SCALED = [(name, {}) for name in ("negative_binomial", "gamma", "weibull", "student_t")]
SCALED += [("tweedie", {"power": power}) for power in (1.02, 1.5, 1.97)]


@pytest.mark.parametrize(("name", "settings"), SCALED)
def test_scales_from_small_to_large_are_pythons(javascript, name, settings):
    """Where series take over from sums and from the gamma function, and back."""
    likelihood = LIKELIHOODS[name](scale="network", **settings)
    t, y = (part.ravel() for part in np.meshgrid(np.linspace(-9, 4, 40), [0.0, 1.0, 4.0, 37.0, 300.0]))
    keep = y > 0 if name in ("gamma", "weibull") else y >= 0
    t, y = t[keep], y[keep]
    s = np.log(np.maximum(y, 0.5)) + np.resize([-1.5, -0.02, 0.0, 0.4, 2.0], len(y)) * np.exp(t / 4)
    if name == "student_t":
        s = y + s
    target = np.column_stack([y, np.arange(len(y)) % 2]) if name == "weibull" else y[:, None]
    z = np.column_stack([s, t])
    loss, minus_e = likelihood.loss_and_gradient(z, target)
    there = np.isfinite(loss) & (np.abs(loss) < 1e12)
    found = javascript(
        "given.rows.map(([z, y]) => { const top = traceLikelihoods.LIKELIHOODS[given.name](given.settings); "
        "return [top.loss(z, y), ...top.minusE(z, y)]; })",
        {
            "name": name,
            "settings": likelihood.settings(),
            "rows": list(zip(z.tolist(), target.tolist(), strict=True)),
        },
    )
    assert there.sum() > 0.8 * len(there)
    expected = np.column_stack([loss, minus_e])[there]
    np.testing.assert_allclose(np.array(found, dtype=float)[there], expected, rtol=1e-8, atol=1e-8)


def test_every_likelihood_above_every_activation_runs_as_python_does(javascript, make_problem, cases):
    given, expected = [], []
    for name in cases:
        for activation in ACTIVATIONS:
            problem = make_problem(
                name, (cr.Dense(4, activation), cr.Dense(3, activation)), outputs=2, n_rows=1
            )
            n_locations, row = problem.network.likelihood.n_locations, problem.y[0]
            y = row if len(row) > 1 else row[0]
            traced = cr.trace(
                problem.network, problem.X[0], y, theta=problem.theta, offset=0.3 * np.ones(n_locations)
            )
            given.append(page_data(traced))
            results = [traced.logits, traced.prediction, [traced.loss], traced.minus_e, traced.gradient_x]
            expected.append(np.concatenate([*results, traced.layers[-1].gradient_inputs, traced.theta_after]))
    program = """given.map((data) => {
      const bytes = Uint8Array.from(atob(data.theta), (character) => character.charCodeAt(0));
      const theta = new Float64Array(bytes.buffer);
      let start = 0;
      const layers = data.layers.map((layer) => {
        const placed = { ...layer, start };
        start += layer.units * layer.inputs + (layer.bias ? layer.units : 0);
        return placed;
      });
      const x = data.columns.map(({ cell }) => cell);
      const top = traceLikelihoods.LIKELIHOODS[data.likelihood](data.settings);
      const result = traceMath.run(layers, theta, x, data.offset, top, data.target.y, null);
      const { logits, prediction, loss, minusE, states } = result;
      const after = [...traceMath.descend(layers, theta, result, data.learning_rate)];
      const below = [...states[0].gradientInputs, ...states.at(-1).gradientInputs];
      return [...logits, ...prediction, loss, ...minusE, ...below, ...after];
    })"""
    found = javascript(program, given)
    for values, wanted, case in zip(
        found, expected, [(a, b) for a in cases for b in ACTIVATIONS], strict=True
    ):
        np.testing.assert_allclose(values, wanted, rtol=1e-10, atol=1e-12, err_msg=str(case))


def test_the_page_encodes_every_cell_as_the_encoder_does(javascript, regressor, homes, price):
    found = []
    for k in range(40):
        columns = page_data(cr.trace(regressor, homes.iloc[k], price[k]))["columns"]
        found.append([[column["kind"], column["cell"], column["settings"]] for column in columns])
    encoded = javascript(
        "given.map((row) => row.flatMap(([kind, ...cell]) => traceMath.ENCODINGS[kind](...cell)))",
        found,
    )
    np.testing.assert_allclose(
        encoded, regressor.encoder_.transform(homes[:40], dtype="float64"), rtol=1e-9, atol=1e-9
    )


def test_infinite_numbers_and_new_categories_are_encoded_as_python_does(javascript, regressor, homes, price):
    row = homes.iloc[[0]].assign(size=np.inf, street="a new street", sold=None, day=pd.NaT, rooms=-3)
    columns = page_data(cr.trace(regressor, row, price[0]))["columns"]
    given = [[column["kind"], column["cell"], column["settings"]] for column in columns]
    encoded = javascript(
        "given.flatMap(([kind, cell, settings]) => traceMath.ENCODINGS[kind](cell, settings))", given
    )
    np.testing.assert_allclose(encoded, regressor.encoder_.transform(row, dtype="float64")[0], rtol=1e-9)


@pytest.mark.parametrize("n_categories", [300, 1400])
def test_rare_categories_have_the_codes_that_the_encoder_gives_them(javascript, n_categories):
    cells = [f"word {k}" for k in range(n_categories) for _ in range(8)]
    encoder = TableEncoder().fit(pd.DataFrame({"c": [*cells, None, "once"]}))
    (settings,) = encoder.describe()[0]["columns"]
    words = [*(f"word {k}" for k in range(n_categories)), "once", "new", None]
    encoded = javascript(
        "given[0].map((word) => traceMath.ENCODINGS.category(word, given[1]))", [words, settings]
    )
    np.testing.assert_array_equal(encoded, encoder.transform(pd.DataFrame({"c": words})))


# ── The page in a browser ──


@dataclass(frozen=True)
class Laplace(Likelihood):
    """A likelihood of one's own, which the page has no formula of."""

    name: ClassVar[str] = "laplace_of_ones_own"
    domain: ClassVar[str] = "finite numbers"
    link: ClassVar[str] = "identity"
    dropped: ClassVar[str] = "log 2"

    def invalid(self, y):
        return ~np.isfinite(y)

    def loss_and_gradient(self, logits, y):
        return np.abs(logits - y).sum(axis=1), np.sign(logits - y)


def network_trace(make_problem, likelihood):
    hidden, outputs = (cr.Dense(7, "gelu"), cr.Dense(4, "tanh", bias=False)), 3
    problem = make_problem(likelihood, hidden, outputs=outputs, n_rows=1, n_inputs=5)
    y = problem.y[0] if problem.y.shape[1] > 1 else problem.y[0, 0]
    return cr.trace(problem.network, problem.X[0], y, theta=problem.theta.astype("float32"))


@pytest.fixture
def open_trace(open_page, tmp_path):
    def open_it(traced, **window):
        path = tmp_path / "trace.html"
        write_trace(path, traced)
        return open_page(path, **window)

    return open_it


def shown_columns(page):
    """The numbers of the table of the step, column by column."""
    rows = page.eval_on_selector_all(
        "#stage-values tbody tr",
        "rows => rows.map(row => [...row.querySelectorAll('[data-value]')].map(c => +c.dataset.value))",
    )
    return [np.array(column) for column in zip(*rows, strict=True)]


def expected_steps(traced):
    """What each step of the page must show, in order: the columns of its table (None: not looked at)."""
    up = [(layer.s, layer.h) for layer in traced.layers[:-1]]
    yield [traced.x]
    yield from up
    yield [traced.logits]
    yield [traced.prediction]
    yield [traced.prediction]
    yield [traced.logits, traced.minus_e]
    for layer in reversed(traced.layers):
        top = layer is traced.layers[-1]
        yield [layer.delta] if top else [layer.gradient_h, layer.slope, layer.delta]
        yield [layer.delta]
        yield [layer.gradient_inputs]
    norms = [
        np.sqrt(
            (layer.gradient_weight**2).sum() + (0 if layer.gradient_bias is None else (layer.delta**2).sum())
        )
        for layer in traced.layers
    ]
    yield [np.array(norms)]


@pytest.mark.parametrize(
    "likelihood",
    ["normal", "student_t/learned", "categorical/smoothed", "ordinal", "quantile", "weibull/network", "own"],
)
def test_each_step_shows_the_numbers_that_python_computed(open_trace, make_problem, likelihood):
    if likelihood == "own":
        net = cr.Network(4, [cr.Dense(3, "elu")], likelihood=Laplace())
        traced = cr.trace(net, [0.4, -1.0, 2.0, 0.1], 0.7, theta=net.initial_parameters(seed=3))
    else:
        traced = network_trace(make_problem, likelihood)
    page = open_trace(traced)
    assert float(page.get_attribute("#agreement", "data-value")) < 1e-11
    assert float(page.get_attribute("#loss", "data-value")) == pytest.approx(traced.loss, rel=1e-10)
    steps = list(expected_steps(traced))
    assert int(page.get_attribute("#slider", "max")) == len(steps) - 1
    for place, columns in enumerate(steps):
        page.locator("#chips button").nth(place).click()
        shown = shown_columns(page)
        for values, found in zip(columns, shown, strict=False):
            np.testing.assert_allclose(found, values, rtol=1e-9, atol=1e-12, err_msg=f"step {place}")
        assert len(shown) >= len(columns)
        assert page.locator("#stage-equations math").count() >= 1
    numbers = set(re.findall(r"N\d+", page.inner_text("#stage-equations")))
    assert numbers == {"N13"}


# MathML as an expression of Python: what stands beside each other is multiplied.
AS_PYTHON = """
function asPython(node) {
  const tag = node.tagName;
  if (["mi", "mn", "mo"].includes(tag)) return node.textContent.replaceAll("−", "-").replace("·", "*");
  const children = [...node.children];
  if (tag === "mfrac") return `((${asPython(children[0])})/(${asPython(children[1])}))`;
  if (tag === "msup" && children[0].textContent === "e") return `(exp(${asPython(children[1])}))`;
  if (tag === "msup") return `((${asPython(children[0])})**(${asPython(children[1])}))`;
  if (tag === "msub") return "index";
  if (children[0]?.textContent === "|") return `(abs(${inARow(children.slice(1, -1))}))`;
  return inARow(children);
}
const FUNCTIONS = ["log", "sigmoid", "sign", "min", "max", "Γ"];
function inARow(nodes) {
  let written = "";
  for (const node of nodes) {
    const next = asPython(node).trim(), last = written.match(/[^ ]+$/)?.[0] ?? "";
    const isFunction = FUNCTIONS.includes(last);
    const times = written && !isFunction && /[\\w.)]$/.test(written) && /^[\\w.(Γ]/.test(next);
    written += (times ? " * " : " ") + (isFunction && !next.startsWith("(") ? `(${next})` : next);
  }
  return written;
}
function written(data, row) {
  const { likelihood, equation, settings } = data;
  const shown = (value) => `${value}`.replace("-", "−");
  const sides = ([, math]) => {
    const parts = [[]];
    for (const node of math.firstChild.children) {
      if (node.textContent === "=") parts.push([]);
      else parts.at(-1).push(node);
    }
    return [math.textContent, ...parts.slice(1).map(inARow)];
  };
  const equations = (kind) => traceTop.equations(kind, likelihood, equation, settings, row, shown);
  return Object.fromEntries(["yhat", "loss", "minusE"].map((kind) => [kind, equations(kind).map(sides)]));
}
"""
MEANING = {
    "exp": np.exp,
    "log": np.log,
    "sigmoid": lambda s: 1 / (1 + np.exp(-s)),
    "sign": np.sign,
    "Γ": math.gamma,
    "abs": abs,
    "min": min,
    "max": max,
}


@pytest.fixture
def top_equations(browser):
    """What the page writes at the top for a trace: by step, the text of each equation and its sides."""
    page = browser.new_page()
    for name in ("trace_likelihoods.js", "trace_equations.js", "trace_top.js"):
        page.add_script_tag(path=str(files("chainrule.report") / "templates" / name))
    page.add_script_tag(content=AS_PYTHON)

    def written(traced, k=0):
        row = {
            "z": [*traced.logits.tolist(), *traced.scales.tolist()],
            "y": page_data(traced)["target"]["y"],
            "prediction": traced.prediction.tolist(),
            "loss": traced.loss,
            "minusE": traced.minus_e.tolist(),
            "k": k,
        }
        return page.evaluate("([data, row]) => written(data, row)", [page_data(traced), row])

    yield written
    page.close()


# Steps that are shown in symbols alone: the mean through quantiles, what adds up over classes or levels.
IN_SYMBOLS = {
    ("quantile", "yhat"),
    ("quantile", "minusE"),
    ("ordinal", "yhat"),
    ("categorical/smoothed", "loss"),
    ("categorical/smoothed", "minusE"),
    ("bernoulli/smoothed", "loss"),
    ("bernoulli/smoothed", "minusE"),
    ("tweedie/learned", "loss"),
    ("tweedie/network", "loss"),
}


@pytest.mark.parametrize("outputs", [1, 2])
def test_each_equation_of_the_top_with_this_rows_numbers_is_true(top_equations, make_problem, cases, outputs):
    for name in cases:
        problem = make_problem(name, outputs=outputs, n_rows=1)
        y = problem.y[0] if problem.y.shape[1] > 1 else problem.y[0, 0]
        traced = cr.trace(problem.network, problem.X[0], y, theta=problem.theta)
        several = outputs > 1 and problem.y.shape[1] > 1 and not name.startswith("weibull")
        for k in range(len(traced.logits)):
            for kind, equations in top_equations(traced, k).items():
                assert not any(re.search(r"NaN|undefined|null|\[object", text) for text, *_ in equations), (
                    name,
                    kind,
                )
                *_, (text, right, *result) = equations
                in_symbols = (name, kind) in IN_SYMBOLS or (name.split("/")[0], kind) in IN_SYMBOLS
                log_gamma = (
                    name.endswith("network")
                    and name.startswith(("gamma", "negative", "tweedie"))
                    and k >= outputs
                )
                if in_symbols or (several and kind == "loss") or (log_gamma and kind == "minusE"):
                    continue
                assert eval(right, MEANING) == pytest.approx(float(result[-1]), rel=1e-9), (name, text)
                wanted = {"yhat": traced.prediction, "loss": [traced.loss], "minusE": traced.minus_e}[kind]
                assert float(result[-1].replace(" ", "")) in np.asarray(wanted), (name, text)


def test_a_missing_target_of_several_counts_for_nothing(open_trace):
    net = cr.Network(2, likelihood=cr.likelihoods.Normal(n_outputs=2))
    traced = cr.trace(net, [0.4, -1.0], [np.nan, 0.7], theta=np.arange(6.0))
    page = open_trace(traced)
    assert float(page.get_attribute("#loss", "data-value")) == pytest.approx(traced.loss)
    page.locator("#chips button").nth(4).click()
    np.testing.assert_allclose(shown_columns(page)[1], [0, traced.minus_e[1]])


def test_each_step_carries_the_number_of_its_equation(open_trace, make_problem):
    page = open_trace(network_trace(make_problem, "categorical"))
    seen = []
    for _ in range(int(page.get_attribute("#slider", "max")) + 1):
        seen.append(page.locator("#stage-equations .n").all_inner_texts())
        if page.is_enabled("#next"):
            page.click("#next")
    up, top = [[""], ["N1", "N2"], ["N1", "N2"], ["N1"]], [["N7", ""]] * 3  # in symbols and with numbers
    down = [["N9"], ["N11", "N12"], ["N10"], ["N9"], ["N11"], ["N10"], ["N9"], ["N11", "N12"], ["N10"]]
    assert seen == [*up, *top, *down, ["N13"]]


def test_a_unit_shows_its_sum_term_by_term(open_trace, make_problem):
    traced = network_trace(make_problem, "normal")
    page = open_trace(traced)
    page.click("#next")
    for k in range(7):
        page.locator(f'.unit[data-layer="1"][data-unit="{k}"]').hover()
        cells = page.eval_on_selector_all(
            "#terms [data-value]", "cells => cells.map(cell => +cell.dataset.value)"
        )
        w, b = traced.layers[0].weight[k], traced.layers[0].bias[k]
        products = sorted(w * traced.x, key=abs, reverse=True)
        np.testing.assert_allclose(cells[2:15:3], products, rtol=1e-9)
        np.testing.assert_allclose(cells[-2:], [b, traced.layers[0].s[k]], rtol=1e-9)
    page.locator("#chips button").nth(12).click()  # down to layer 1
    page.locator('.unit[data-layer="1"][data-unit="2"]').hover()
    cells = page.eval_on_selector_all(
        "#terms [data-value]", "cells => cells.map(cell => +cell.dataset.value)"
    )
    products = sorted(traced.layers[1].weight[:, 2] * traced.layers[1].delta, key=abs, reverse=True)
    np.testing.assert_allclose(cells[2:12:3], products, rtol=1e-9)
    assert cells[-1] == pytest.approx(traced.layers[0].gradient_h[2], rel=1e-9)


def prediction_on(page):
    return np.array(json.loads(page.get_attribute("#predicted", "data-value")))


def gradients_on(page):
    parts = page.eval_on_selector_all(
        ".columns .slope", "parts => parts.flatMap(part => JSON.parse(part.dataset.value))"
    )
    return np.array(parts)


def test_a_changed_row_gives_the_prediction_and_the_gradients_of_python(open_trace, regressor, homes, price):
    row = homes.iloc[[4]].copy()
    page = open_trace(cr.trace(regressor, row, price[4]))

    def agrees(row, y=price[4]):
        traced = cr.trace(regressor, row, y)
        np.testing.assert_allclose(prediction_on(page), traced.prediction, rtol=1e-9)
        np.testing.assert_allclose(gradients_on(page), traced.gradient_x, rtol=1e-7, atol=1e-12)
        shown = page.inner_text("#predicted").replace("−", "-").replace(",", "")
        assert float(shown) == pytest.approx(regressor.predict(row)[0], rel=1e-4)
        assert float(page.get_attribute("#loss", "data-value")) == pytest.approx(
            traced.loss, rel=1e-8, abs=1e-12
        )

    agrees(row)
    page.locator("#columns input[type=text]").nth(0).fill("171.5")
    row["size"] = 171.5
    agrees(row)
    page.locator("#columns input[type=text]").nth(0).fill("")  # missing
    row["size"] = np.nan
    agrees(row)
    for place, name, value in (
        (0, homes.columns[2], "green"),
        (1, "street", homes["street"].mode()[0]),
        (2, "old", "True"),
        (3, "sold", "(missing)"),
    ):
        page.locator("#columns select").nth(place).select_option(label=value)
        row[name] = {"True": True, "(missing)": None}.get(value, value)
        agrees(row)
    page.locator("input[type=datetime-local]").fill("2021-02-28T05:30:15")
    row["day"] = pd.Timestamp("2021-02-28 05:30:15")
    agrees(row)
    page.locator("#y-0").fill("150")
    agrees(row, 150.0)
    page.locator("#columns input[type=text]").nth(1).fill("many")  # is not taken
    assert page.locator("#columns input[aria-invalid=true]").count() == 1
    agrees(row, 150.0)
    page.click("#reset")
    agrees(homes.iloc[[4]])
    assert page.is_disabled("#reset")


def test_a_step_of_descent_is_pythons_and_the_loss_falls(open_trace, classifier, homes, price):
    traced = cr.trace(classifier, homes.iloc[3], classifier.classes_[2])
    page = open_trace(traced)
    losses = [float(page.get_attribute("#loss", "data-value"))]
    for _ in range(3):
        page.click("#descend")
        losses.append(float(page.get_attribute("#loss", "data-value")))
    assert losses[1] == pytest.approx(traced.loss_after, rel=1e-9)
    assert losses == sorted(losses, reverse=True)
    assert "took the loss of this row from" in page.inner_text("#fall")
    assert page.locator("#losses svg circle").count() == 4
    page.fill("#eta", "-1")
    assert page.is_disabled("#descend")
    page.click("#undo")
    assert float(page.get_attribute("#loss", "data-value")) == pytest.approx(traced.loss, rel=1e-10)


def test_a_class_can_be_chosen_as_the_target(open_trace, classifier, homes):
    page = open_trace(cr.trace(classifier, homes.iloc[3], "mad"))
    page.locator("#y-0").select_option(label="cheap")
    expected = cr.trace(classifier, homes.iloc[3], "cheap")
    assert float(page.get_attribute("#loss", "data-value")) == pytest.approx(expected.loss, rel=1e-9)
    assert page.inner_text("#actual") == "cheap"


def test_a_likelihood_of_ones_own_is_shown_and_the_page_says_what_it_cannot_do(open_trace):
    net = cr.Network(2, [cr.Dense(3, "tanh")], likelihood=Laplace())
    traced = cr.trace(net, [0.4, -1.0], 0.7, theta=net.initial_parameters(seed=3))
    page = open_trace(traced)
    assert float(page.get_attribute("#loss", "data-value")) == pytest.approx(traced.loss)
    assert page.is_disabled("#descend")
    assert "no formula of the likelihood" in page.inner_text("#promise")
    page.locator("#columns input[type=text]").nth(0).fill("2")
    assert page.inner_text("#loss") == "–"
    page.locator("#chips button").nth(2).click()  # the logits go on
    theta = traced.row.theta.astype("float64")
    expected = net.forward(theta, np.array([[2.0, -1.0]]), engine="reference")[0]
    np.testing.assert_allclose(shown_columns(page)[0], expected, rtol=1e-9)
    page.locator("#chips button").nth(3).click()
    assert "no formula of the likelihood" in page.inner_text("#values")


def test_all_of_it_works_from_the_keyboard(open_trace, regressor, homes, price):
    page = open_trace(cr.trace(regressor, homes.iloc[0], price[0]))
    page.focus("#slider")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#stage-title") == "Up through layer 1"
    page.keyboard.press("End")
    assert page.inner_text("#stage-title") == "One step of descent"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.locator(".unit[tabindex='0']").count() == 1
    page.locator(".unit[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("[document.activeElement.dataset.layer, document.activeElement.dataset.unit]")
    assert focused[0] == "1"
    assert page.inner_text("#unit h3") == f"Layer 1, unit {focused[1]}"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.unit") == focused[1]
    assert "looked-at" in page.get_attribute(f'.unit[data-layer="1"][data-unit="{focused[1]}"]', "class")


@pytest.mark.parametrize(("width", "scheme"), [(1200, "dark"), (400, "light")])
def test_no_rule_of_accessibility_is_broken_and_nothing_sticks_out(
    open_trace, classifier, homes, width, scheme
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_trace(cr.trace(classifier, homes.iloc[3], "mad"), width=width, scheme=scheme)
    page.click("#descend")
    for place in (1, 4, 8, 10, 13):
        page.locator("#chips button").nth(min(place, 11)).click()
        broken = axe.run(page).response["violations"]
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in broken] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_names_and_values_stay_text(open_trace, classifier, homes, tmp_path):
    traced = cr.trace(classifier, homes.iloc[3], classifier.classes_[0])
    page = open_trace(traced)
    for place in range(page.locator("#chips button").count()):
        page.locator("#chips button").nth(place).click()
    assert page.evaluate("window.hacked") is None
    assert page.locator("#columns img").count() == page.locator("script[src]").count() == 0
    assert homes.columns[2] in page.inner_text("#columns")
    text = (tmp_path / "trace.html").read_text(encoding="utf-8")
    assert text.count("<script") == 9  # the data and the eight parts of the page


def test_a_wide_table_with_many_classes_and_a_wide_layer_stays_usable_and_small(open_trace, tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(600, 500)), columns=[f"column {k}" for k in range(500)])
    y = np.resize([f"class {k}" for k in range(60)], 600)
    model = cr.TabularClassifier(hidden=(1024,), epochs=1, random_state=0).fit(X, y)
    page = open_trace(cr.trace(model, X.iloc[0], y[0]), width=400)
    size = (tmp_path / "trace.html").stat().st_size
    assert size <= PAGE_ITSELF + 1.4 * model.theta_.nbytes
    page.fill("#filter", "column 499")
    assert page.locator("#columns .column:visible").count() == 1
    page.click("#next")
    assert page.locator('.unit[data-layer="1"]').count() < 15
    assert "+ 1,015 more" in page.locator("#drawing").text_content()
    page.get_by_label("Unit to look at").fill("777")
    page.get_by_label("Unit to look at").press("Enter")
    assert page.inner_text("#unit h3") == "Layer 1, unit 777"
    assert page.locator('.unit[data-layer="1"][data-unit="777"]').count() == 1
    page.get_by_role("button", name="Show all 1,024").click()
    assert page.locator("#stage-values tbody tr").count() == 1024
    page.click("#next")
    assert "class 0" in page.inner_text("#stage-values")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_page_of_a_common_table_is_little_beside_its_weights(classifier, homes, tmp_path):
    traced = cr.trace(classifier, homes.iloc[3], "mad")
    write_trace(tmp_path / "trace.html", traced)
    beside = (tmp_path / "trace.html").stat().st_size - traced.row.theta.nbytes * 4 / 3
    assert 0 < beside < SMALL_PAGE


def test_what_is_no_trace_is_an_error(tmp_path):
    with pytest.raises(cr.InputError, match=r"chainrule.trace\(model, row, y\) makes one"):
        write_trace(tmp_path / "trace.html", "trace")
    assert not (tmp_path / "trace.html").exists()
