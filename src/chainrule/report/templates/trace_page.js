// The trace page: what a person sees and changes. The numbers come from traceMath, and are computed again
// after every change.
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("trace-data").textContent);
  const E = traceEquations;
  const MOST_TERMS = 8; // of a sum, before the others are added up
  const MOST_ROWS = 24; // of a table of units, before the others are asked for

  // ── θ, and where each layer stands in it ──

  function decodeTheta(text, dtype) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return Float64Array.from(dtype === "float32" ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer));
  }

  let start = 0;
  const layers = data.layers.map((layer) => {
    const placed = { ...layer, start };
    start += layer.units * layer.inputs + (layer.bias ? layer.units : 0);
    return placed;
  });
  const L = layers.length;
  const theta0 = decodeTheta(data.theta, data.dtype);
  const inputNames = data.columns.flatMap((column) => column.inputs);
  const top = data.settings && traceMath.LIKELIHOODS[data.likelihood](data.settings);

  const state = {
    cells: data.columns.map((column) => column.cell), y: data.target.y.slice(), theta: theta0,
    losses: [], step: 0, selected: new Map(), look: null, allRows: false, drawn: null, result: null,
  };

  // ── Small helpers ──

  const $ = (id) => document.getElementById(id);

  function el(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  function format(value, digits = 4) {
    if (value === null || value === undefined) return "–";
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : value > 0 ? "∞" : "−∞";
    const size = Math.abs(value);
    let text;
    if (size >= 10 ** (digits + 1)) text = size >= 1e7 ? value.toExponential(digits - 2) : value.toLocaleString("en", { maximumFractionDigits: 0 });
    else if (size !== 0 && size < 10 ** -digits) text = value.toExponential(1);
    else text = `${Number(value.toPrecision(digits))}`;
    return text.replaceAll("-", "−").replace("e+", "e");
  }

  const indexed = (symbol, l) => [symbol, el("sub", { textContent: `${l}` })];
  const head = (symbol, className = "number") => {
    const [name, ...index] = symbol.split("_");
    return el("th", { scope: "col", className }, ...(index.length ? indexed(name, index[0]) : [name]));
  };
  const cell = (value) => el("td", { className: "number", textContent: format(value), title: `${value}`, "data-value": `${value}` });

  // ── The numbers ──

  const x = () => data.columns.flatMap((column, c) => traceMath.ENCODINGS[column.kind](state.cells[c], column.settings));
  const untouched = () => state.theta === theta0 && state.cells.every((value, c) => value === data.columns[c].cell) && state.y.every((value, k) => value === data.target.y[k]);

  function compute() {
    state.result = traceMath.run(layers, state.theta, x(), top, state.y, untouched() ? data.python : null);
    if (!state.drawn) {
      const withClass = data.target.kind === "classes" && layers[L - 1].units > 1;
      state.drawn = traceDrawing.drawnUnits(state.result, state.y[0], withClass);
    }
  }

  const inUnits = (values) => values.map((z, k) => data.target.location[k] + data.target.scale[k] * z);

  function predictedText(prediction) {
    if (!prediction) return "–";
    const { kind, classes } = data.target;
    if (kind === "numbers") return inUnits(prediction).map((value) => format(value, 5)).join(", ");
    if (kind === "labels") return classes.filter((_, k) => prediction[k] > 0.5).join(", ") || "none";
    const mean = calibrated(prediction);
    const p = mean.length > 1 ? mean : classes.length > 1 ? [1 - mean[0], mean[0]] : [1];
    const best = p.indexOf(Math.max(...p));
    return `${classes[best]} (${format(100 * p[best], 3)} %)`;
  }

  // A classifier may divide the logits by a temperature, found on rows that it set aside.
  function calibrated(prediction) {
    const { temperature } = data.target;
    return top && temperature !== 1 ? top.mean(state.result.logits.map((s) => s / temperature)) : prediction;
  }

  function actualText() {
    const { kind, classes } = data.target;
    if (kind === "classes") return classes[state.y[0]];
    if (kind === "labels") return classes.filter((_, k) => state.y[k] > 0.5).join(", ") || "none";
    return inUnits(state.y).map((value) => format(value, 6)).join(", ");
  }

  // ── The steps: x → h_1 → … → s → ŷ → loss → −e → δ_L → … → ∂loss/∂x, and the descent ──

  const stages = [
    { kind: "x", subject: 0, chip: ["x"], title: "The row goes in", words: "x is the row as numbers: what the columns became." },
    ...layers.slice(0, -1).map((_, i) => ({
      kind: "h", layer: i + 1, subject: i + 1, chip: indexed("h", i + 1), title: `Up through layer ${i + 1}`,
      words: `Each unit weighs what comes from below, adds its bias, and answers with ${layers[i].activation}.`,
    })),
    { kind: "s", layer: L, subject: L, chip: ["s"], title: "The logits", words: "The top layer is a weighted sum with no activation: the logits." },
    { kind: "yhat", subject: L, chip: ["ŷ"], title: "The prediction", words: `The likelihood (${data.likelihood}) turns the logits into a prediction.` },
    { kind: "loss", subject: L, chip: ["loss"], title: "The loss", words: "How unlikely the true target is, given the logits." },
    { kind: "minusE", layer: L, subject: L, chip: ["−e"], title: "The error turns back", words: "The derivative of the loss by the logits starts the way back." },
    ...layers.map((_, i) => L - i).flatMap((l) => [
      { kind: "delta", layer: l, subject: l, chip: indexed("δ", l), title: `The error signal of layer ${l}`, words: l === L ? "At the top the error signal is −e." : "What comes from above passes each unit's activation: times its slope." },
      { kind: "weights", layer: l, subject: l, chip: [...indexed("∂w", l)], title: `To the right: the gradient of layer ${l}`, words: "Signal times what came in: how the loss answers to each weight. By the bias it is the signal itself." },
      { kind: "below", layer: l, subject: l - 1, chip: l === 1 ? ["∂x"] : indexed("∂h", l - 1), title: l === 1 ? "Down to the row" : `To the left: down to layer ${l - 1}`, words: l === 1 ? "How the loss answers to each input." : "Multiply along each path, add over the paths." },
    ]),
    { kind: "step", subject: null, chip: ["step"], title: "One step of descent", words: "Every parameter moves a little against its gradient, and the loss of this row falls." },
  ];
  const turn = stages.findIndex(({ kind }) => kind === "minusE");

  function equationsOf(stage) {
    if (["yhat", "loss", "minusE"].includes(stage.kind)) return E.top(stage.kind, data.likelihood, data.equation);
    return E.general[stage.kind](stage.layer, layers[stage.layer - 1], L);
  }

  function nameOf(l, k) {
    if (l === 0) return inputNames[k];
    return l === L ? data.outputs[k] : `unit ${k}`;
  }

  // The values of the units that a step is about: columns of a table, and which of them the step brings.
  function valuesOf(stage) {
    const { states, prediction, minusE, logits } = state.result;
    const of = stage.layer ? states[stage.layer - 1] : null;
    switch (stage.kind) {
      case "x": return { symbols: ["x"], columns: [states[0].inputs] };
      case "h": return { symbols: [`s_${stage.layer}`, `h_${stage.layer}`], columns: [of.s, of.h] };
      case "s": return { symbols: ["s"], columns: [of.s] };
      case "yhat": return prediction && topColumns(["ŷ"], [prediction]);
      case "loss": return prediction && topColumns(["ŷ"], [prediction]);
      case "minusE": return minusE && { symbols: ["s", "−e"], columns: [logits, minusE] };
      case "delta":
        if (!minusE) return null;
        return stage.layer === L
          ? { symbols: [`δ_${L}`], columns: [of.delta] }
          : { symbols: [`∂loss/∂h_${stage.layer}`, `r′_${stage.layer}`, `δ_${stage.layer}`], columns: [of.gradientH, of.slope, of.delta] };
      case "weights": return minusE && { symbols: [`δ_${stage.layer}`], columns: [of.delta] };
      case "below": return minusE && { symbols: [stage.layer === 1 ? "∂loss/∂x" : `∂loss/∂h_${stage.layer - 1}`], columns: [of.gradientInputs] };
      default: return null;
    }
  }

  function topColumns(symbols, columns) {
    if (data.target.kind === "numbers" && data.target.scale.some((scale, k) => scale !== 1 || data.target.location[k] !== 0)) {
      return { symbols: [...symbols, "y", "ŷ in its unit"], columns: [...columns, state.y, inUnits(columns[0])] };
    }
    const classes = data.target.kind === "classes";
    if (!classes && columns[0].length !== state.y.length) return { symbols, columns };
    const y = classes && columns[0].length > 1 ? columns[0].map((_, c) => (c === state.y[0] ? 1 : 0)) : state.y;
    return { symbols: [...symbols, "y"], columns: [...columns, y] };
  }

  // ── One unit: its sum, term by term ──

  function isThere(l, isGradient) {
    const stage = stages[state.step];
    if (stage.kind === "step") return Boolean(state.result.minusE) || !isGradient;
    if (!isGradient) return state.step >= turn || l <= (stage.layer ?? (stage.kind === "x" ? 0 : L));
    if (state.step < turn || !state.result.minusE) return false;
    if (stage.kind === "minusE") return l === L;
    return l >= (stage.kind === "below" ? stage.layer - 1 : stage.layer);
  }

  function explain({ layer: l, unit: k }) {
    const stage = stages[state.step];
    let kind = stage.kind;
    if (l !== stage.subject || ["yhat", "loss"].includes(kind)) {
      if (isThere(l, true)) kind = l === 0 ? "below" : "delta";
      else if (isThere(l, false)) kind = l === 0 ? "x" : "h";
      else return { title: title(l, k), words: "The way has not come here yet." };
    }
    if (kind === "minusE") kind = "delta";
    return { x: explainInput, h: explainSum, s: explainSum, delta: explainDelta, weights: explainWeights, below: explainBelow }[kind](l, k);
  }

  const title = (l, k) => (l === 0 ? `Input “${inputNames[k]}”` : l === L ? `Logit “${data.outputs[k]}”` : `Layer ${l}, unit ${k}`);

  function explainInput(_, j) {
    let c = 0, before = 0;
    while (before + data.columns[c].inputs.length <= j) before += data.columns[c++].inputs.length;
    const column = data.columns[c];
    return { title: title(0, j), words: `From the column “${column.name}” (${column.kind}): ${shownCell(c)} becomes ${format(x()[j])}. ${column.how}` };
  }

  function explainSum(l, k) {
    const layer = layers[l - 1], of = state.result.states[l - 1], offset = layer.start + k * layer.inputs;
    const terms = of.inputs.map((h, j) => ({ name: nameOf(l - 1, j), a: state.theta[offset + j], b: h }));
    const bias = layer.bias ? state.theta[layer.start + layer.units * layer.inputs + k] : null;
    const symbol = l === L ? E.sub("s", `${k}`) : E.unit("s", l, k);
    const after = l === L ? [] : [["N2", E.applied(`activation of unit ${k}`, E.unit("h", l, k), layer.activation, format(of.s[k]), format(of.h[k]))]];
    return { title: title(l, k), heads: ["comes from", `w_${l}`, l === 1 ? "x" : `h_${l - 1}`, "product"], terms, bias, total: of.s[k], n: "N1", symbol, after };
  }

  function explainDelta(l, k) {
    const of = state.result.states[l - 1];
    if (l === L) {
      const top = E.equal("error signal", E.unit("δ", l, k), format(of.delta[k]));
      return { title: title(l, k), equations: [["N9", top]], words: topWords(k) };
    }
    const product = E.productOf("error signal", E.unit("δ", l, k), format(of.slope[k]), format(of.gradientH[k]), format(of.delta[k]));
    const words = of.slope[k] === 0 ? "Its activation is flat here, so nothing passes: the unit is off for this row." : `The slope of ${layers[l - 1].activation} at ${format(of.s[k])} is ${format(of.slope[k])}.`;
    return { title: title(l, k), equations: [["N9", product]], words };
  }

  function topWords(k) {
    const { prediction, minusE } = state.result;
    if (data.target.kind === "classes" && prediction.length > 1 && prediction.length === minusE.length) {
      return `For “${data.target.classes[k]}” the probability is ${format(prediction[k])} and y is ${k === state.y[0] ? 1 : 0}: −e = ${format(minusE[k])}.`;
    }
    return `−e = ${format(minusE[k])}: ${minusE[k] > 0 ? "the logit is too high for this row" : minusE[k] < 0 ? "the logit is too low for this row" : "the logit is right for this row"}.`;
  }

  function explainWeights(l, k) {
    const of = state.result.states[l - 1];
    const terms = of.inputs.map((h, j) => ({ name: nameOf(l - 1, j), a: of.delta[k], b: h }));
    const bias = layers[l - 1].bias ? [["N12", E.equal("gradient of the bias", E.by(E.unit("b", l, k)), format(of.delta[k]))]] : [];
    return { title: title(l, k), heads: ["weight of", `δ_${l}`, l === 1 ? "x" : `h_${l - 1}`, `∂loss/∂w_${l}`], terms, n: "N11", after: bias, gradient: true };
  }

  function explainBelow(l, j) {
    const layer = layers[l], of = state.result.states[l]; // the layer above
    const terms = of.delta.map((delta, k) => ({ name: nameOf(l + 1, k), a: delta, b: state.theta[layer.start + k * layer.inputs + j] }));
    const symbol = E.by(l === 0 ? E.sub("x", `${j}`) : E.unit("h", l, j));
    return { title: title(l, j), heads: ["comes from", `δ_${l + 1}`, `w_${l + 1}`, "product"], terms, bias: null, total: of.gradientInputs[j], n: "N10", symbol, after: [], gradient: true };
  }

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
        equations.push([told.n, E.sumOf("the sum of this unit", told.symbol, first, told.terms.length > 2, told.bias === null ? null : format(told.bias), format(told.total))]);
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

  // ── The strip, the row and the descent ──

  function renderStrip() {
    const { prediction, loss } = state.result;
    $("predicted").textContent = predictedText(prediction);
    $("actual").textContent = actualText();
    $("loss").textContent = format(loss, 5);
    $("loss").dataset.value = `${loss}`;
    $("predicted").dataset.value = JSON.stringify(prediction);
    $("predicted-note").textContent = data.target.temperature === 1 ? "" : `with the logits divided by the temperature ${format(data.target.temperature)}`;
    $("loss-note").textContent = state.losses.length > 1 ? `after ${state.losses.length - 1} ${state.losses.length === 2 ? "step" : "steps"}` : data.target.note;
  }

  function shownCell(c) {
    const value = state.cells[c];
    if (value === null) return "missing";
    return typeof value === "number" ? format(value, 6) : `${value}`;
  }

  const rowParts = [];

  function renderRow() {
    const inputs = x(), slopes = state.result.minusE ? state.result.states[0].gradientInputs : null;
    let first = 0;
    data.columns.forEach((column, c) => {
      const count = column.inputs.length, values = inputs.slice(first, first + count);
      const pairs = column.inputs.map((name, i) => [name, values[i]]).filter(([, value]) => count <= 2 || value !== 0);
      const zeros = count - pairs.length;
      const part = rowParts[c];
      part.box.classList.toggle("changed", state.cells[c] !== column.cell);
      part.inputs.textContent = count === 0 ? column.how : pairs.map(([name, value]) => `→ ${name}: ${format(value)}`).join("  ") + (zeros ? `  (${zeros} more are 0)` : "");
      const slope = slopes?.slice(first, first + count);
      part.slope.textContent = !slope || !count ? "" : `∂loss/∂x ${slope.length === 1 ? format(slope[0], 3) : `‖${format(Math.hypot(...slope), 3)}‖`}`;
      part.slope.dataset.value = slope ? JSON.stringify(slope) : "";
      first += count;
    });
  }

  function changeCell(c, value) {
    state.cells[c] = value;
    update();
  }

  function numberControls(column, c) {
    const text = el("input", { type: "text", inputMode: "decimal", "aria-label": column.name, value: column.cell === null ? "" : `${column.cell}` });
    const slider = el("input", { type: "range", min: column.low, max: column.high, step: column.step ?? "any", value: column.cell ?? (column.low + column.high) / 2, "aria-label": `${column.name}, as a slider` });
    text.addEventListener("input", () => {
      const given = text.value.trim().replace("−", "-");
      const value = given === "" ? null : Number(given);
      const bad = Number.isNaN(value) || (value === null && column.kind === "input");
      text.classList.toggle("invalid", bad);
      text.setAttribute("aria-invalid", `${bad}`);
      if (bad) return;
      if (value !== null) slider.value = value;
      changeCell(c, value);
    });
    slider.addEventListener("input", () => {
      text.value = `${Number(Number(slider.value).toPrecision(6))}`;
      text.classList.remove("invalid");
      text.setAttribute("aria-invalid", "false");
      changeCell(c, Number(text.value));
    });
    return [slider, text];
  }

  function choiceControl(column, c) {
    const options = column.options.map(({ name, value }) => ({ name, value }));
    const select = el("select", { "aria-label": column.name }, ...options.map(({ name }, i) => el("option", { value: i, textContent: name })));
    select.value = options.findIndex(({ value }) => value === column.cell);
    select.addEventListener("change", () => changeCell(c, options[Number(select.value)].value));
    return [select];
  }

  function dateControl(column, c) {
    const control = el("input", { type: "datetime-local", step: 1, "aria-label": column.name, value: (column.cell ?? "").slice(0, 19) });
    control.addEventListener("input", () => changeCell(c, control.value || null));
    return [control];
  }

  const CONTROLS = { input: numberControls, number: numberControls, category: choiceControl, boolean: choiceControl, datetime: dateControl, dropped: () => [] };

  function buildRow() {
    rowParts.length = 0;
    const boxes = data.columns.map((column, c) => {
      const controls = CONTROLS[column.kind](column, c);
      const part = { slope: el("span", { className: "slope" }), inputs: el("div", { className: "inputs" }) };
      const what = controls.length ? [el("div", { className: `controls${controls.length === 1 ? " one" : ""}` }, ...controls)] : [el("div", { className: "inputs", textContent: column.shown })];
      part.box = el("div", { className: "column", role: "group", "aria-label": column.name }, el("span", { className: "name", textContent: column.name }), part.slope, ...what, part.inputs);
      rowParts.push(part);
      return part.box;
    });
    $("columns").replaceChildren(...boxes);
  }

  function buildTarget() {
    const { target } = data;
    if (target.kind === "classes") {
      const select = el("select", { id: "y-0", "aria-label": `y, the target ${target.name}` }, ...target.classes.map((name, i) => el("option", { value: i, textContent: name })));
      select.value = state.y[0];
      select.addEventListener("change", () => { state.y = [Number(select.value)]; update(); });
      return $("target").replaceChildren(select);
    }
    const controls = state.y.map((_, k) => {
      const input = el("input", { type: "text", inputMode: "decimal", id: `y-${k}`, value: `${Number((target.location[k] + target.scale[k] * state.y[k]).toPrecision(12))}`, "aria-label": `y, the target ${data.outputs[k] ?? target.name}` });
      input.addEventListener("input", () => {
        const value = Number(input.value.replace("−", "-"));
        const bad = input.value.trim() === "" || !Number.isFinite(value) || (target.low !== null && value < target.low) || (target.high !== null && value > target.high);
        input.classList.toggle("invalid", bad);
        input.setAttribute("aria-invalid", `${bad}`);
        if (bad) return;
        state.y = state.y.with ? state.y.with(k, (value - target.location[k]) / target.scale[k]) : state.y.map((old, i) => (i === k ? (value - target.location[k]) / target.scale[k] : old));
        update();
      });
      return input;
    });
    $("target").replaceChildren(...controls.slice(0, 12));
  }

  function squaredNorm() {
    const { states, gradientScales } = state.result;
    return traceMath.squaredNorm(layers, states) + gradientScales.reduce((sum, slope) => sum + slope * slope, 0);
  }

  function renderDescent() {
    const { result } = state, can = Boolean(result.minusE) && Boolean(top);
    $("descend").disabled = !can;
    $("undo").disabled = state.losses.length < 2;
    const eta = $("eta").valueAsNumber;
    if (!can) $("promise").textContent = top ? "" : notComputed();
    else if (eta > 0) {
      const promised = eta * squaredNorm();
      $("promise").textContent = `To first order this step lowers the loss by η ‖g‖² = ${format(promised)}.`;
    } else $("promise").textContent = "η must be a number above 0.";
    $("descend").disabled ||= !(eta > 0);
    const path = state.losses;
    $("fall").textContent = path.length < 2 ? "" : `The last step took the loss of this row from ${format(path.at(-2), 5)} to ${format(path.at(-1), 5)}${path.at(-1) < path.at(-2) ? "." : ": it was too long. Try a smaller η."}`;
    $("losses").replaceChildren(...(path.length < 2 ? [] : [lossCurve(path)]));
  }

  function lossCurve(path) {
    const NS = "http://www.w3.org/2000/svg", width = 480, height = 150;
    const finite = path.filter(Number.isFinite), high = Math.max(...finite), low = Math.min(0, ...finite);
    const at = (i) => [46 + (i * (width - 60)) / Math.max(path.length - 1, 1), 12 + ((high - path[i]) / (high - low || 1)) * (height - 36)];
    const svg = document.createElementNS(NS, "svg");
    const add = (tag, attributes, text) => {
      const element = document.createElementNS(NS, tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      if (text) element.textContent = text;
      svg.append(element);
    };
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("class", "losses");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `Loss of this row after each step: ${path.map((value) => format(value)).join(", ")}`);
    const points = path.map((value, i) => (Number.isFinite(value) ? at(i) : null)).filter(Boolean);
    add("path", { d: points.map(([px, py], i) => `${i ? "L" : "M"}${px},${py}`).join("") });
    points.forEach(([px, py]) => add("circle", { cx: px, cy: py, r: 3 }));
    add("text", { x: 2, y: 16 }, format(high, 3));
    add("text", { x: 2, y: height - 22 }, format(low, 3));
    add("text", { x: 46, y: height - 4 }, "step 0");
    add("text", { x: width - 14, y: height - 4, "text-anchor": "end" }, `step ${path.length - 1}`);
    return svg;
  }

  function takeStep() {
    if (!state.losses.length) state.losses.push(state.result.loss);
    state.theta = traceMath.descend(layers, state.theta, state.result, $("eta").valueAsNumber);
    compute();
    state.losses.push(state.result.loss);
    renderAll();
    $("status").textContent = $("fall").textContent;
  }

  function undoSteps() {
    state.theta = theta0;
    state.losses = [];
    compute();
    renderAll();
  }

  function resetRow() {
    state.cells = data.columns.map((column) => column.cell);
    state.y = data.target.y.slice();
    buildRow();
    buildTarget();
    update();
  }

  function update() {
    state.losses = state.losses.length ? [] : state.losses; // they belong to the row as it was
    compute();
    renderAll();
  }

  function renderAll() {
    $("reset").disabled = state.cells.every((value, c) => value === data.columns[c].cell) && state.y.every((value, k) => value === data.target.y[k]);
    renderStrip();
    renderRow();
    renderStage();
    renderDescent();
  }

  // ── Putting it together ──

  function build() {
    $("slider").max = stages.length - 1;
    stages.forEach((stage, place) => {
      const chip = el("button", { type: "button", "aria-label": `${stage.title}` }, ...stage.chip.map((part) => (typeof part === "string" ? part : part.cloneNode(true))));
      chip.addEventListener("click", () => goTo(place));
      $("chips").append(el("li", {}, chip));
    });
    $("slider").addEventListener("input", () => goTo($("slider").valueAsNumber));
    $("back").addEventListener("click", () => goTo(state.step - 1));
    $("next").addEventListener("click", () => goTo(state.step + 1));
    $("eta").value = data.learning_rate;
    $("eta").addEventListener("input", renderDescent);
    $("descend").addEventListener("click", takeStep);
    $("undo").addEventListener("click", undoSteps);
    $("reset").addEventListener("click", resetRow);
    $("filter").closest(".toolbar").hidden = data.columns.length <= 12;
    $("filter").addEventListener("input", () => {
      const wanted = $("filter").value.toLowerCase();
      data.columns.forEach((column, c) => { rowParts[c].box.hidden = !column.name.toLowerCase().includes(wanted); });
    });
    new ResizeObserver(() => {
      if (`${$("drawing").clientWidth}` !== state.built?.split("/")[2]) { state.built = null; renderDrawing(); }
    }).observe($("drawing"));
    buildRow();
    buildTarget();
  }

  // How far this page's numbers are from Python's: it says so itself.
  function agreement() {
    const worst = (ours, theirs) => Math.max(0, ...ours.map((value, k) => Math.abs(value - theirs[k]) / Math.max(1, Math.abs(theirs[k]))));
    const { logits, states, loss } = state.result;
    const difference = Math.max(worst(logits, data.python.logits), worst([loss], [data.python.loss]), worst(states[0].gradientInputs, data.python.gradientX));
    $("agreement").textContent = `At its start this page agreed with Python to ${difference < 1e-15 ? "1e-15" : difference.toExponential(0)} (logits, loss, ∂loss/∂x).`;
    $("agreement").dataset.value = `${difference}`;
  }

  build();
  compute();
  agreement();
  renderAll();
})();
