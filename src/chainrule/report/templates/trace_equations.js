// The equations of the trace page as MathML: in symbols, and with the numbers of one unit put in.
"use strict";

const traceEquations = (() => {
  const NS = "http://www.w3.org/1998/Math/MathML";

  function node(tag, ...children) {
    const element = document.createElementNS(NS, tag);
    element.append(...children.map((child) => (typeof child === "string" ? leaf(child) : child)));
    return element;
  }

  // A bare string is an identifier, a number or an operator, by its first character.
  function leaf(text) {
    const tag = /^[−]?[\d.]/.test(text) ? "mn" : /^[\p{L}∂‖]/u.test(text) ? "mi" : "mo";
    const element = document.createElementNS(NS, tag);
    element.textContent = text;
    if (tag === "mi" && (text.length > 1 || text === "∂")) element.setAttribute("mathvariant", "normal");
    return element;
  }

  const row = (...parts) => node("mrow", ...parts);
  const sub = (base, ...index) => node("msub", base, row(...index));
  const hat = (base) => node("mover", base, "^");
  const power = (base, exponent) => node("msup", base, exponent);
  const transposed = (base) => power(base, "T");
  const by = (what) => node("mfrac", row("∂", "loss"), row("∂", what));
  const sum = (index) => node("munder", "∑", index);
  const half = () => node("mfrac", "1", "2");

  function text(words) {
    const element = document.createElementNS(NS, "mtext");
    element.textContent = words;
    return element;
  }

  // A number as a factor or a term: negative ones in brackets.
  const inBrackets = (shown) => (shown.startsWith("−") ? row("(", shown, ")") : shown);

  function math(label, ...parts) {
    const element = node("math", row(...parts));
    element.setAttribute("display", "block");
    element.setAttribute("aria-label", label);
    return element;
  }

  const below = (l) => (l === 1 ? "x" : sub("h", String(l - 1)));
  const unit = (symbol, l, k) => sub(symbol, String(l), ",", String(k));

  // ── In symbols ──

  const general = {
    x: () => [["", math("x is h 0, the row", "x", "=", sub("h", "0"))]],
    h: (l, layer) => [
      ["N1", math(`s ${l} is w ${l} h ${l - 1} plus b ${l}`, sub("s", `${l}`), "=", ...weighted(l, layer))],
      ["N2", math(`h ${l} is r ${l} of s ${l}`, sub("h", `${l}`), "=", layer.activation, "(", sub("s", `${l}`), ")")],
    ],
    s: (l, layer, _, moved) => [["N1", math("the logits", "s", "=", ...weighted(l, layer), ...(moved ? ["+", "o"] : []))]],
    delta: (l, layer, top) =>
      l === top
        ? [["N9", math(`delta ${l} is minus e`, sub("δ", `${l}`), "=", by("s"), "=", "−", "e")]]
        : [
            [
              "N9",
              math(
                `delta ${l} is r prime ${l} times the gradient of h ${l}, unit by unit`,
                sub("δ", `${l}`), "=", by(sub("s", `${l}`)), "=",
                "diag", "(", node("msubsup", "r", `${l}`, "′"), ")", by(sub("h", `${l}`)),
              ),
            ],
          ],
    weights: (l, layer, top) => [
      ["N11", math(`gradient of w ${l}`, by(sub("w", `${l}`)), "=", sub("δ", `${l}`), transposed(below(l)))],
      ...(layer.bias ? [["N12", math(`gradient of b ${l}`, by(sub("b", `${l}`)), "=", sub("δ", `${l}`))]] : []),
    ],
    below: (l) => [
      [
        "N10",
        math(
          `gradient of what comes into layer ${l}`,
          transposed(by(below(l))), "=", node("msubsup", "δ", `${l}`, "T"), sub("w", `${l}`),
        ),
      ],
    ],
    step: () => [["N13", math("theta becomes theta minus eta g", "θ", "←", "θ", "−", "η", "g", ",", text(" "), "g", "=", by("θ"))]],
  };

  function weighted(l, layer) {
    const bias = layer.bias ? ["+", sub("b", `${l}`)] : [];
    return [sub("w", `${l}`), below(l), ...bias];
  }

  // ── With numbers ──

  // a·b + a·b + … (+ c) = total, the terms given in the order in which they are to be read; `alone` has no factors
  function sumOf(label, left, terms, rest, alone, total) {
    const parts = [];
    terms.forEach(([a, b], place) => {
      parts.push(...(place ? ["+"] : []), inBrackets(a), "·", inBrackets(b));
    });
    if (rest) parts.push("+", "…");
    for (const shown of alone) parts.push(...(parts.length ? ["+"] : []), inBrackets(shown));
    return math(label, left, "=", ...parts, "=", total);
  }

  function productOf(label, left, a, b, total) {
    return math(label, left, "=", inBrackets(a), "·", inBrackets(b), "=", total);
  }

  const applied = (label, left, name, argument, total) => math(label, left, "=", name, "(", argument, ")", "=", total);
  const equal = (label, left, total) => math(label, left, "=", total);

  return {
    general, sumOf, productOf, applied, equal, unit, sub, by, parts: { math, node, row, sub, hat, power, by, sum, half, inBrackets },
  };
})();
