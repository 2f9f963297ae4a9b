// The state of the trace page: what is shown, the numbers of the row, the steps, and what each unit does.
"use strict";

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
const likelihood = data.settings && traceLikelihoods.LIKELIHOODS[data.likelihood](data.settings);

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
  state.result = traceMath.run(layers, state.theta, x(), data.offset, likelihood, state.y, untouched() ? data.python : null);
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
  return likelihood && temperature !== 1 ? likelihood.mean([...state.result.logits.map((s) => s / temperature), ...traceMath.scalesOf(layers, state.theta)]) : prediction;
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
  if (["yhat", "loss", "minusE"].includes(stage.kind)) return topEquations(stage.kind);
  return E.general[stage.kind](stage.layer, layers[stage.layer - 1], L, Boolean(data.offset));
}

// In symbols, and with the numbers of the output that is looked at.
function topEquations(kind) {
  const { logits, prediction, loss, minusE } = state.result;
  const row = likelihood && prediction && {
    z: [...logits, ...traceMath.scalesOf(layers, state.theta)], y: state.y, prediction, loss, minusE,
    k: state.selected.get(L) ?? 0,
  };
  return traceTop.equations(kind, data.likelihood, data.equation, data.settings, row, format);
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
  const moved = l === L && data.offset ? data.offset[k] : null;
  return { title: title(l, k), heads: ["comes from", `w_${l}`, l === 1 ? "x" : `h_${l - 1}`, "product"], terms, bias, moved, total: of.s[k], n: "N1", symbol, after };
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
