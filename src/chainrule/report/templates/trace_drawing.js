// The network of the trace page, drawn in SVG: units as pills with their number, connections as curves.
"use strict";

const traceDrawing = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const MOST_UNITS = 9; // of a layer; the others are folded
  const PILL = { width: 58, height: 22, gap: 9 };
  const NAMES = 142; // width for the names of the inputs
  const HEAD = 46; // height for the names of the layers

  function svg(tag, attributes = {}, ...children) {
    const element = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const shortened = (name, most) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);

  // Which units of a layer are drawn: the ones with the largest say, in their own order.
  function choose(weights) {
    const order = weights.map((weight, k) => [Math.abs(weight), k]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    return order.slice(0, MOST_UNITS).map(([, k]) => k).sort((a, b) => a - b);
  }

  // The say of each unit in this row's loss: h ∂loss/∂h; in the top layer −e, or s where it is not known.
  function drawnUnits(result, target, withClass) {
    const { states } = result;
    const says = states.map((state) => state.inputs.map((h, j) => h * (state.gradientInputs?.[j] ?? 1)));
    const top = (result.minusE ?? result.logits).slice();
    if (withClass) top[target] = Infinity; // the class of the row is always there
    return [...says, top].map(choose);
  }

  class Drawing {
    constructor(container, layers, inputNames, outputs, onUnit) {
      Object.assign(this, { container, layers, inputNames, outputs, onUnit });
      this.sizes = [layers[0].inputs, ...layers.map((layer) => layer.units)];
    }

    // Put the drawing together for these units; `selected` is drawn whatever its say is.
    build(drawn, selected, width) {
      this.drawn = drawn.map((units, l) => {
        if (!selected || selected.layer !== l || units.includes(selected.unit)) return units;
        return [...units.slice(0, -1), selected.unit].sort((a, b) => a - b);
      });
      const columns = this.sizes.length + 2; // ŷ and the loss stand behind the logits
      const tallest = Math.max(...this.drawn.map((units) => units.length));
      const step = Math.max((width - NAMES - PILL.width - 8) / (columns - 1), PILL.width + 34);
      const height = HEAD + tallest * (PILL.height + PILL.gap) + 26;
      this.centre = HEAD + (tallest * (PILL.height + PILL.gap)) / 2;
      this.x = Array.from({ length: columns }, (_, l) => NAMES + l * step);
      this.width = NAMES + (columns - 1) * step + PILL.width + 8;
      const root = svg("svg", {
        viewBox: `0 0 ${this.width} ${height}`, width: this.width, height, role: "group",
        "aria-label": "The network. Arrow keys go from unit to unit.",
      });
      this.connections = svg("g", { class: "connections", "aria-hidden": "true" });
      root.append(this.connections);
      this.units = new Map();
      this.edges = [];
      this.sizes.forEach((size, l) => this.addLayer(root, l, size));
      this.addTop(root);
      this.container.replaceChildren(root);
      this.root = root;
    }

    y(l, place, count) {
      return this.centre + (place - (count - 1) / 2) * (PILL.height + PILL.gap);
    }

    addLayer(root, l, size) {
      const top = this.sizes.length - 1;
      const name = svg("text", { x: this.x[l] + PILL.width / 2, y: 16, class: "layer-name" });
      name.append(l === 0 ? "x" : l === top ? "s" : "h", ...(l && l < top ? [svg("tspan", { dy: 4, class: "index" }, `${l}`)] : []));
      const plural = size === 1 ? "" : "s";
      const what = l === 0 ? `input${plural}` : l === top ? `logit${plural}` : this.layers[l - 1].activation;
      root.append(name, svg("text", { x: this.x[l] + PILL.width / 2, y: 33, class: "layer-what" }, `${size} ${what}`));
      const units = this.drawn[l];
      units.forEach((k, place) => {
        const y = this.y(l, place, units.length);
        this.addUnit(root, l, k, y);
        if (l) this.drawn[l - 1].forEach((j, below) => this.addEdge(l, k, j, this.y(l - 1, below, this.drawn[l - 1].length), y));
      });
      if (size > units.length) {
        const y = this.y(l, units.length - 1, units.length) + PILL.height / 2 + 16;
        root.append(svg("text", { x: this.x[l] + PILL.width / 2, y, class: "folded" }, `+ ${(size - units.length).toLocaleString("en")} more`));
      }
    }

    addUnit(root, l, k, y) {
      const x = this.x[l];
      const group = svg("g", { class: "unit", role: "button", tabindex: "-1", "data-layer": l, "data-unit": k });
      const value = svg("text", { x: x + PILL.width / 2, y: y + 4, class: "value" });
      const pill = svg("rect", { x, y: y - PILL.height / 2, width: PILL.width, height: PILL.height, rx: PILL.height / 2 });
      group.append(pill, value);
      const name = this.nameOf(l, k);
      if (l === 0) group.append(svg("text", { x: x - 8, y: y + 4, class: "input-name" }, shortened(name, 18)));
      group.append(svg("title", {}, name));
      for (const [event, kind] of [["pointerenter", "look"], ["pointerleave", "leave"], ["focus", "look"], ["blur", "leave"], ["click", "select"]]) {
        group.addEventListener(event, () => this.onUnit(kind, { layer: l, unit: k }));
      }
      group.addEventListener("keydown", (event) => this.move(event, l, k));
      this.units.set(`${l}/${k}`, { group, pill, value, name });
      root.append(group);
    }

    nameOf(l, k) {
      if (l === 0) return this.inputNames[k];
      if (l === this.sizes.length - 1) return this.outputs.length === this.sizes[l] ? `logit of ${this.outputs[k]}` : `logit ${k}`;
      return `layer ${l}, unit ${k}`;
    }

    addEdge(l, k, j, y0, y1) {
      const x0 = this.x[l - 1] + PILL.width, x1 = this.x[l], bend = (x1 - x0) / 2;
      const path = svg("path", { d: `M${x0},${y0} C${x0 + bend},${y0} ${x1 - bend},${y1} ${x1},${y1}` });
      this.connections.append(path);
      this.edges.push({ l, k, j, path });
    }

    // ŷ and the loss: one pill each, at the height of the middle.
    addTop(root) {
      const top = this.sizes.length - 1;
      this.top = ["ŷ", "loss"].map((name, place) => {
        const x = this.x[top + 1 + place], y = this.centre - (PILL.height + PILL.gap) / 2 + (PILL.height + PILL.gap) / 2;
        const group = svg("g", { class: "result" });
        const value = svg("text", { x: x + PILL.width / 2, y: y + 4, class: "value" });
        const pill = svg("rect", { x, y: y - PILL.height / 2, width: PILL.width, height: PILL.height, rx: 5 });
        group.append(pill, value);
        root.append(svg("text", { x: x + PILL.width / 2, y: 16, class: "layer-name" }, name), group);
        const from = place ? [y] : this.drawn[top].map((_, i) => this.y(top, i, this.drawn[top].length));
        for (const y0 of from) {
          const x0 = this.x[top + place] + PILL.width, bend = (x - x0) / 2;
          this.connections.append(svg("path", { class: "plain", d: `M${x0},${y0} C${x0 + bend},${y0} ${x - bend},${y} ${x},${y}` }));
        }
        return { group, pill, value };
      });
    }

    // Arrow keys: up and down in a layer, left and right to the nearest unit of the next one.
    move(event, l, k) {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        this.onUnit("select", { layer: l, unit: k });
        return;
      }
      const place = this.drawn[l].indexOf(k);
      const steps = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
      if (!steps) return;
      event.preventDefault();
      const units = this.drawn[l + steps[0]];
      if (!units) return;
      const next = Math.min(Math.max(place + steps[1], 0), units.length - 1);
      this.focus(l + steps[0], units[next]);
    }

    focus(l, k) {
      for (const { group } of this.units.values()) group.setAttribute("tabindex", "-1");
      const unit = this.units.get(`${l}/${k}`);
      unit.group.setAttribute("tabindex", "0");
      unit.group.focus();
    }

    // Show numbers: of each layer {values, backward} (values null where the step has not come yet), of each
    // connection of the active layer its share, and which unit is looked at.
    show({ layers, edge, activeLayer, backward, unit, results, format }) {
      const largest = layers.map(({ values }, l) => (values ? Math.max(...this.drawn[l].map((k) => Math.abs(values[k])), 1e-300) : 1));
      for (const [key, { group, pill, value, name }] of this.units) {
        const [l, k] = key.split("/").map(Number);
        const { values, backward: isGradient, symbol } = layers[l];
        const number = values ? values[k] : null;
        paint(group, pill, number, largest[l], isGradient);
        value.textContent = number === null ? "" : compact(number, format);
        group.classList.toggle("looked-at", unit?.layer === l && unit?.unit === k);
        group.setAttribute("aria-label", `${name}: ${number === null ? "not there yet" : `${symbol} ${format(number)}`}`);
      }
      if (![...this.units.values()].some(({ group }) => group.getAttribute("tabindex") === "0")) {
        this.units.values().next().value.group.setAttribute("tabindex", "0");
      }
      this.showEdges(edge, activeLayer, backward, unit);
      this.top.forEach(({ group, value }, place) => {
        value.textContent = results[place] === null ? "" : results[place];
        group.classList.toggle("empty", results[place] === null);
      });
    }

    showEdges(edge, activeLayer, backward, unit) {
      const active = this.edges.filter(({ l }) => l === activeLayer);
      const most = Math.max(...active.map(({ k, j }) => Math.abs(edge(k, j))), 1e-300);
      for (const { l, k, j, path } of this.edges) {
        const value = l === activeLayer ? edge(k, j) : 0;
        const share = Math.abs(value) / most;
        const touched = !unit || (unit.layer === l && unit.unit === k) || (unit.layer === l - 1 && unit.unit === j);
        const relevant = l !== activeLayer || touched || (unit.layer !== l && unit.layer !== l - 1);
        path.setAttribute("class", l === activeLayer ? `active ${sign(value)}${backward ? " gradient" : ""}` : "");
        path.style.strokeWidth = l === activeLayer ? `${0.6 + 4.4 * share}` : "";
        path.style.opacity = l === activeLayer ? `${relevant ? 0.25 + 0.7 * share : 0.07}` : "";
      }
    }

    // Bring the layer into view where the drawing is wider than the page.
    scrollTo(l) {
      const x = this.x[Math.min(l, this.x.length - 1)];
      const { scrollLeft, clientWidth } = this.container;
      if (x - 90 < scrollLeft || x + PILL.width > scrollLeft + clientWidth) this.container.scrollLeft = x - clientWidth / 2;
    }
  }

  // What fits into a pill.
  function compact(number, format) {
    const text = format(number, 3);
    return text.length <= 7 ? text : format(number, 2).length <= 7 ? format(number, 2) : number.toExponential(0).replaceAll("-", "−");
  }

  const sign = (value) => (value < 0 ? "negative" : "positive");

  function paint(group, pill, number, largest, isGradient) {
    group.classList.toggle("empty", number === null);
    group.classList.toggle("gradient", Boolean(isGradient));
    group.classList.toggle("negative", number !== null && number < 0);
    pill.style.fillOpacity = number === null ? "" : `${0.06 + 0.44 * Math.min(Math.abs(number) / largest, 1)}`;
  }

  return { Drawing, drawnUnits };
})();
