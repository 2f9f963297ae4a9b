// The step that the trace page shows: its equations, its table, one unit term by term, and the drawing.
"use strict";

function renderUnit() {
  const unit = lookedAt();
  const box = $("unit");
  if (!unit) {
    box.replaceChildren(el("p", { className: "remark", textContent: "Point at a unit of the drawing, or go to it with the arrow keys, to see its sum term by term." }));
    return;
  }
  const told = explain(unit);
  const children = [el("h3", { textContent: told.title })];
  const equations = told.equations ?? [];
  if (told.terms) {
    told.terms.forEach((term, place) => Object.assign(term, { place, product: term.a * term.b }));
    told.terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product) || a.place - b.place);
    if (told.symbol) {
      const first = told.terms.slice(0, 2).map(({ a, b }) => [format(a), format(b)]);
      equations.push([told.n, E.sumOf("the sum of this unit", told.symbol, first, told.terms.length > 2, [told.bias, told.moved ?? null].filter((value) => value !== null).map((value) => format(value)), format(told.total))]);
    }
    equations.push(...told.after);
  }
  children.push(...equations.map(equation));
  if (told.words) children.push(el("p", { textContent: told.words }));
  if (told.terms) children.push(termTable(told));
  box.replaceChildren(...children);
}

function termTable(told) {
  const shown = told.terms.slice(0, MOST_TERMS), rest = told.terms.slice(MOST_TERMS);
  const most = Math.max(...told.terms.map(({ product }) => Math.abs(product)), 1e-300);
  const line = (name, a, b, product, bar = true) =>
    el("tr", {}, el("th", { scope: "row", textContent: name }), a === null ? el("td") : cell(a), b === null ? el("td") : cell(b), cell(product), bar ? barOf(product, most) : el("td"));
  const body = shown.map(({ name, a, b, product }) => line(name, a, b, product));
  if (rest.length) {
    if (told.symbol) body.push(line(`${rest.length} more`, null, null, rest.reduce((sum, { product }) => sum + product, 0)));
    else body.push(el("tr", {}, el("th", { scope: "row", textContent: `${rest.length} more are smaller` }), el("td"), el("td"), el("td"), el("td")));
  }
  if (told.bias !== undefined && told.bias !== null) body.push(line("bias b", null, null, told.bias));
  if (told.moved !== undefined && told.moved !== null) body.push(line("offset o", null, null, told.moved));
  if (told.symbol) {
    const total = line("sum", null, null, told.total, false);
    total.className = "total";
    body.push(total);
  }
  const heads = el("tr", {}, ...told.heads.map((name, i) => head(name, i ? "number" : "")), el("td"));
  const table = el("table", { className: told.gradient ? "gradient" : "", id: "terms" }, el("thead", {}, heads), el("tbody", {}, ...body));
  return el("div", { className: "scroll", tabIndex: 0, role: "group", "aria-label": `Terms of ${told.title}` }, table);
}

function barOf(value, most) {
  const bar = el("i");
  bar.style.width = `${(100 * Math.abs(value)) / most}%`;
  return el("td", { className: `bar${value < 0 ? " negative" : ""}`, "aria-hidden": "true" }, bar);
}

function equation([n, math]) {
  return el("div", { className: "equation" }, el("span", { className: "n", textContent: n }), el("div", { className: "scroll" }, math));
}

// ── The step that is shown ──

const lookedAt = () => {
  if (state.look) return state.look;
  const { subject } = stages[state.step];
  if (subject === null) return null;
  if (!state.selected.has(subject)) {
    const values = valuesOf(stages[state.step])?.columns.at(-1) ?? [];
    const units = state.drawn[subject];
    const size = (k) => Math.abs(values[k] ?? 0);
    return { layer: subject, unit: units.reduce((best, k) => (size(k) > size(best) ? k : best), units[0]) };
  }
  return { layer: subject, unit: state.selected.get(subject) };
};

function renderStage() {
  const stage = stages[state.step];
  $("slider").value = state.step;
  $("slider").setAttribute("aria-valuetext", `step ${state.step + 1} of ${stages.length}: ${stage.title}`);
  $("back").disabled = state.step === 0;
  $("next").disabled = state.step === stages.length - 1;
  for (const [place, chip] of $("chips").querySelectorAll("button").entries()) {
    if (place === state.step) chip.setAttribute("aria-current", "step");
    else chip.removeAttribute("aria-current");
  }
  $("stage-title").textContent = stage.title;
  $("stage-words").textContent = stage.words;
  $("stage-equations").replaceChildren(...equationsOf(stage).map(equation));
  renderValues(stage);
  renderUnit();
  renderDrawing();
  makeReachable();
}

// What is too wide for its place can be scrolled, from the keyboard too.
function makeReachable() {
  for (const box of document.querySelectorAll(".equation .scroll")) {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
  }
}

function renderValues(stage) {
  const box = $("values");
  if (stage.kind === "step") return box.replaceChildren(...stepTable());
  const values = valuesOf(stage);
  if (!values) return box.replaceChildren(el("p", { textContent: notComputed() }));
  const first = [];
  if (stage.kind === "loss") first.push(el("p", {}, "loss = ", el("strong", { textContent: format(state.result.loss, 6), "data-value": `${state.result.loss}`, id: "loss-value" })));
  const { subject } = stage;
  const size = values.columns[0].length;
  const rows = state.allRows || size <= MOST_ROWS || size !== drawing.sizes[subject] ? [...values.columns[0].keys()] : state.drawn[subject].filter((k) => k < size);
  const most = Math.max(...values.columns.at(-1).map(Math.abs), 1e-300);
  const unit = lookedAt();
  const body = rows.map((k) => {
    const ofPrediction = ["yhat", "loss"].includes(stage.kind);
    const name = ofPrediction ? data.predictions[k] : nameOf(subject, k);
    const button = el("button", { type: "button", textContent: name, disabled: k >= drawing.sizes[subject] });
    button.addEventListener("click", () => select({ layer: subject, unit: k }));
    return el("tr", { className: unit?.layer === subject && unit.unit === k ? "looked-at" : "", "data-unit": k },
      el("th", { scope: "row" }, button), ...values.columns.map((column) => cell(column[k])), barOf(values.columns.at(-1)[k], most));
  });
  const heads = el("tr", {}, head(subject === 0 ? "input" : subject === L ? "output" : "unit", ""), ...values.symbols.map((symbol) => head(symbol)), el("td"));
  const table = el("table", { id: "stage-values", className: state.step >= turn ? "gradient" : "" }, el("thead", {}, heads), el("tbody", {}, ...body));
  const scroll = el("div", { className: "scroll", tabIndex: 0, role: "group", "aria-label": "The values of this step" }, table);
  box.replaceChildren(...first, scroll, ...(size > MOST_ROWS ? [moreRows(size, rows.length, subject)] : []));
}

function moreRows(size, shown, subject) {
  const all = el("button", { type: "button", textContent: state.allRows ? "Show those drawn" : `Show all ${size.toLocaleString("en")}` });
  all.addEventListener("click", () => { state.allRows = !state.allRows; renderStage(); });
  const choice = el("input", { type: "number", min: 0, max: size - 1, value: lookedAt()?.unit ?? 0, "aria-label": `Unit to look at, 0 to ${size - 1}` });
  choice.addEventListener("change", () => {
    const k = Math.min(Math.max(Math.round(choice.valueAsNumber || 0), 0), size - 1);
    select({ layer: subject, unit: k });
  });
  return el("div", { className: "toolbar unit-choice" }, el("span", { className: "remark", textContent: `${shown} of ${size.toLocaleString("en")} are shown.` }), all, el("label", { className: "remark" }, "Look at number ", choice));
}

const notComputed = () => `The page has no formula of the likelihood “${data.likelihood}”, so it shows what Python computed for the row as it was. Take back your changes to see it.`;

function stepTable() {
  if (!state.result.minusE) return [el("p", { textContent: notComputed() })];
  const rows = layers.map((layer, i) => {
    const g = Math.sqrt(traceMath.squaredNorm([layer], [state.result.states[i]]));
    return el("tr", {}, el("th", { scope: "row", textContent: `layer ${i + 1}` }), el("td", { className: "number", textContent: (layer.units * layer.inputs + (layer.bias ? layer.units : 0)).toLocaleString("en") }), cell(g));
  });
  const heads = el("tr", {}, head("layer", ""), head("parameters"), head("‖g‖"));
  return [el("table", { id: "stage-values" }, el("thead", {}, heads), el("tbody", {}, ...rows)), el("p", { className: "remark", textContent: "Take the step below the drawing." })];
}

// ── The drawing ──

const drawing = new traceDrawing.Drawing($("drawing"), layers, inputNames, data.outputs, (kind, unit) => {
  if (kind === "select") return select(unit, true);
  state.look = kind === "look" ? unit : null;
  renderUnit();
  showDrawing();
});

function buildDrawing() {
  const { subject } = stages[state.step];
  const chosen = subject !== null && state.selected.has(subject) ? { layer: subject, unit: state.selected.get(subject) } : null;
  drawing.build(state.drawn, chosen, $("drawing").clientWidth);
  state.built = `${chosen?.layer}/${chosen?.unit}/${$("drawing").clientWidth}`;
}

function renderDrawing() {
  const unit = lookedAt();
  if (!state.built || (unit && !drawing.drawn[unit.layer].includes(unit.unit))) buildDrawing();
  showDrawing();
  const stage = stages[state.step];
  drawing.scrollTo(stage.kind === "yhat" || stage.kind === "loss" ? L + 2 : stage.subject ?? 0);
}

function showDrawing() {
  const stage = stages[state.step], { states, prediction, loss, minusE } = state.result;
  const shown = Array.from({ length: L + 1 }, (_, l) => {
    if (isThere(l, true)) {
      const arriving = stage.kind === "below" && l === stage.layer - 1;
      const values = l === 0 || arriving ? states[l].gradientInputs : states[l - 1].delta;
      return { values, backward: true, symbol: arriving || l === 0 ? "gradient" : "error signal" };
    }
    if (isThere(l, false)) return { values: l === 0 ? states[0].inputs : states[l - 1].h, backward: false, symbol: l === 0 ? "x" : l === L ? "s" : "h" };
    return { values: null, backward: false, symbol: "" };
  });
  const active = { h: stage.layer, s: stage.layer, weights: minusE && stage.layer, below: minusE && stage.layer }[stage.kind] ?? -1;
  const layer = layers[active - 1], of = states[active - 1];
  const weight = (k, j) => state.theta[layer.start + k * layer.inputs + j];
  const edge = { weights: (k, j) => of.delta[k] * of.inputs[j], below: (k, j) => of.delta[k] * weight(k, j) }[stage.kind] ?? ((k, j) => weight(k, j) * of.inputs[j]);
  const after = (kind) => state.step >= stages.findIndex((each) => each.kind === kind);
  drawing.show({
    layers: shown, edge, activeLayer: active, backward: state.step >= turn, unit: lookedAt(), format,
    results: [after("yhat") && prediction ? shortPrediction(prediction) : null, after("loss") && loss !== null ? format(loss, 3) : null],
  });
}

function shortPrediction(prediction) {
  if (data.target.kind === "numbers") return format(inUnits(prediction)[0], 4) + (prediction.length > 1 ? "…" : "");
  return `p ${format(Math.max(...prediction), 2)}`;
}

function select(unit, andFocus = false) {
  state.selected.set(unit.layer, unit.unit);
  state.look = null;
  const { subject } = stages[state.step];
  if (unit.layer !== subject) state.look = unit;
  if (!drawing.drawn[unit.layer].includes(unit.unit)) state.built = null;
  renderStage();
  if (andFocus) drawing.focus(unit.layer, unit.unit);
}

function goTo(step) {
  state.step = Math.min(Math.max(step, 0), stages.length - 1);
  state.look = null;
  state.allRows = false;
  renderStage();
  $("status").textContent = `${stages[state.step].title}. ${stages[state.step].words}`;
  const chip = $("chips").querySelectorAll("button")[state.step];
  const { offsetLeft, offsetWidth } = chip, strip = $("chips");
  strip.scrollLeft = offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + offsetWidth / 2;
}
