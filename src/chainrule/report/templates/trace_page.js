// The trace page put together: the strip, the row that can be changed, and the descent.
"use strict";

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
    const ramps = Math.max((column.settings.knots ?? []).length - 1, 0), firstRamp = column.settings.scale > 0 ? 1 : 0;
    const isRamp = (i) => i >= firstRamp && i < firstRamp + ramps;
    const others = column.inputs.map((name, i) => [name, values[i], i]).filter(([, , i]) => !isRamp(i));
    const pairs = others.filter(([, value]) => count - ramps <= 2 || value !== 0);
    const zeros = others.length - pairs.length, passed = values.filter((value, i) => isRamp(i) && value === 0.5).length;
    const part = rowParts[c];
    part.box.classList.toggle("changed", state.cells[c] !== column.cell);
    part.inputs.textContent = count === 0 ? column.how : pairs.map(([name, value]) => `→ ${name}: ${format(value)}`).join("  ") + (zeros ? `  (${zeros} more are 0)` : "") + (ramps ? `  and ${ramps} ${ramps === 1 ? "ramp" : "ramps"}, ${passed} of them passed (N25)` : "");
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

// What is known of the row beside its columns: it moves the logits, and is no input.
function besideColumn() {
  const { name, value } = data.beside, moved = data.offset.map((o) => format(o)).join(", ");
  return el("div", { className: "column", role: "group", "aria-label": name }, el("span", { className: "name", textContent: name }), el("span"),
    el("div", { className: "inputs", textContent: value }), el("div", { className: "inputs", textContent: `→ is added to the logits: o = ${moved}` }));
}

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
  $("columns").replaceChildren(...(data.beside ? [besideColumn()] : []), ...boxes);
}

function buildTarget() {
  const { target } = data;
  if (target.kind === "classes") {
    const select = el("select", { id: "y-0", "aria-label": `y, the target ${target.name}` }, ...target.classes.map((name, i) => el("option", { value: i, textContent: name })));
    select.value = state.y[0];
    select.addEventListener("change", () => { state.y = [Number(select.value)]; update(); });
    return $("target").replaceChildren(select);
  }
  const controls = state.y.map((y, k) => {
    const { low, above, high } = target.bounds[k];
    const shown = y === null ? "" : `${Number((target.location[k] + target.scale[k] * y).toPrecision(12))}`;
    const input = el("input", { type: "text", inputMode: "decimal", id: `y-${k}`, value: shown, "aria-label": `y, the target ${target.columns[k]}` });
    input.addEventListener("input", () => {
      const missing = input.value.trim() === "" && target.y[k] === null;
      const value = Number(input.value.replace("−", "-"));
      const outside = (low !== null && (above ? value <= low : value < low)) || (high !== null && value > high);
      const bad = !missing && (input.value.trim() === "" || !Number.isFinite(value) || outside);
      input.classList.toggle("invalid", bad);
      input.setAttribute("aria-invalid", `${bad}`);
      if (bad) return;
      state.y = state.y.map((old, i) => (i !== k ? old : missing ? null : (value - target.location[k]) / target.scale[k]));
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
  const { result } = state, can = Boolean(result.minusE) && Boolean(likelihood);
  $("descend").disabled = !can;
  $("undo").disabled = state.losses.length < 2;
  const eta = $("eta").valueAsNumber;
  if (!can) $("promise").textContent = likelihood ? "" : notComputed();
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
