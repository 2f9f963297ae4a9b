// The equations of the top layer as MathML: ŷ, the loss and −e of each likelihood, in symbols and with the numbers of a
// row put in. A formula is one function of its quantities; whether they are letters or numbers it does not know.
"use strict";

const traceTop = (() => {
  const { math, node, row, sub, hat, power, by, sum, half, inBrackets } = traceEquations.parts;
  const { rising, softplus } = traceLikelihoods;
  const exp = (exponent) => power("e", exponent);
  const fraction = (above, below) => node("mfrac", above, below);
  const minus = (what) => row("−", what);
  const size = (...parts) => row("|", ...parts, "|");
  const between = (...parts) => row("(", ...parts, ")");
  const log1pExp = (what) => row("log", "(", "1", "+", exp(what), ")");
  const normaliser = (v, ...parts) => (v.given ? [] : ["+", ...parts]); // left out where the scale is given
  const error = (v) => between(v.y(), "−", v.s());

  // By number: ŷ, the loss, ∂loss/∂s, ∂loss/∂t where there is a t, and what else its letters stand for.
  const FORMULAS = {
    N5: { yhat: (v) => [v.s()], loss: (v) => [half(), power(size(v.y(), "−", v.s()), "2")], byS: (v) => ["−", error(v)] },
    N6: {
      yhat: (v) => [fraction(exp(v.s()), row("1", "+", exp(v.s())))],
      loss: (v) => ["−", "(", v.y(), v.dot, v.s(), "−", log1pExp(v.s()), ")"],
      byS: (v) => ["−", between(v.y(), "−", v.p())],
    },
    N7: {
      yhat: (v) => [fraction(exp(v.s()), v.sum())],
      loss: (v) => ["−", v.sOfY(), "+", "log", v.sum()],
      byS: (v) => ["−", between(v.y(), "−", v.p())],
    },
    N8: { yhat: (v) => [exp(v.s())], loss: (v) => [exp(v.s()), "−", v.y(), v.dot, v.s()], byS: (v) => ["−", between(v.y(), "−", exp(v.s()))] },
    N15: {
      yhat: (v) => [v.s()],
      loss: (v) => [half(), power(error(v), "2"), exp(minus(v.t())), ...normaliser(v, half(), v.t())],
      byS: (v) => ["−", error(v), exp(minus(v.t()))],
      byT: (v) => [half(), between("1", "−", power(error(v), "2"), exp(minus(v.t())))],
    },
    N16: {
      where: { x: (v) => [fraction(power(error(v), "2"), row(v.nu(), exp(row("2", v.dot, v.t()))))] },
      yhat: (v) => [v.s()],
      loss: (v) => [fraction(row(v.nu(), "+", "1"), "2"), "log", "(", "1", "+", v.x(), ")", ...normaliser(v, v.t())],
      byS: (v) => ["−", between(v.nu(), "+", "1"), fraction(v.x(), row("1", "+", v.x())), fraction("1", row(v.y(), "−", v.s()))],
      byT: (v) => ["1", "−", between(v.nu(), "+", "1"), fraction(v.x(), row("1", "+", v.x()))],
    },
    N17: {
      yhat: (v) => [v.s()],
      loss: (v) => [size(v.y(), "−", v.s()), exp(minus(v.t())), ...normaliser(v, v.t())],
      byS: (v) => ["−", "sign", error(v), exp(minus(v.t()))],
      byT: (v) => ["1", "−", size(v.y(), "−", v.s()), exp(minus(v.t()))],
    },
    N18: {
      where: { z: (v) => [error(v), exp(minus(v.t()))], c: (v) => ["min", "(", "max", "(", v.z(), ",", minus(v.delta()), ")", ",", v.delta(), ")"] },
      yhat: (v) => [v.s()],
      loss: (v) => [v.c(), between(v.z(), "−", half(), v.c()), ...normaliser(v, v.t())],
      byS: (v) => ["−", v.c(), v.dot, exp(minus(v.t()))],
      byT: (v) => ["1", "−", v.c(), v.dot, v.z()],
    },
    N19: {
      yhat: () => ["E", "[", "y", "|", sub("q", "1"), ",", "…", "]"],
      loss: (v) => v.pinball(),
      byS: (v) => v.bySteps(),
    },
    N20: {
      yhat: () => ["P", "(", "y", "≤", "j", ")", "−", "P", "(", "y", "<", "j", ")", ",", "P", "(", "y", "≤", "j", ")", "=", "sigmoid", "(", sub("c", "j"), "−", "s", ")"],
      loss: (v) => v.ends([["b", minus], ["a", (what) => what], ["g", minus]], log1pExp),
      byS: (v) => v.ends([["b", minus], ["a", (what) => what]], (what) => row("sigmoid", "(", what, ")"), "−"),
    },
    N21: {
      where: { u: (v) => [v.s(), "+", v.t()] },
      yhat: (v) => [exp(v.s())],
      loss: (v) => [between(v.y(), "+", v.r()), log1pExp(v.u()), "−", v.y(), v.dot, v.s(), ...(v.given ? [] : ["−", v.D()])],
      byS: (v) => [fraction(row(v.mu(), "−", v.y()), row("1", "+", exp(v.u())))],
    },
    N22: {
      where: { k: (v) => [exp(minus(v.t()))] },
      yhat: (v) => [exp(v.s())],
      loss: (v) => (v.given ? [v.k(), between(fraction(v.y(), v.mu()), "+", v.s())] : [v.k(), between(fraction(v.y(), v.mu()), "−", "1", "−", "log", fraction(v.y(), v.mu())), "+", v.G()]),
      byS: (v) => [v.k(), between("1", "−", fraction(v.y(), v.mu()))],
    },
    N23: {
      yhat: (v) => [exp(v.s())],
      loss: (v) => (v.given ? [exp(minus(v.t())), between(fraction(power(v.mu(), v.two()), v.two()), "+", v.y(), v.dot, fraction(power(v.mu(), minus(v.one())), v.one()))] : [v.D(), "−", v.R()]),
      byS: (v) => [exp(minus(v.t())), between(power(v.mu(), v.two()), "−", v.y(), v.dot, power(v.mu(), minus(v.one())))],
    },
    N24: {
      where: { w: (v) => [fraction(row("log", v.y(), "−", v.s()), v.sigma())] },
      yhat: (v) => [exp(v.s()), "Γ", "(", "1", "+", v.sigma(), ")"],
      loss: (v) => [exp(v.w()), "−", v.d(), v.dot, ...(v.given ? [v.w()] : [between(v.w(), "−", v.t())])],
      byS: (v) => [fraction(minus(between(exp(v.w()), "−", v.d())), v.sigma())],
      byT: (v) => [v.d(), "−", v.w(), between(exp(v.w()), "−", v.d())],
    },
  };
  const ANY = { yhat: () => ["E", "[", "y", "|", "s", "]"], loss: () => ["−", "log", "p", "(", "y", "|", "s", ")"], byS: () => ["−", "e"] };

  // ── The quantities: letters ──

  const GREEK = { nu: "ν", delta: "δ", mu: "μ", sigma: "σ" };

  function letters(equation, given) {
    const own = equation === "N7" ? { s: () => sub("s", "c"), y: () => sub("y", "c"), p: () => sub("p", "c") } : {};
    const special = {
      given, dot: "",
      sum: () => row(sum("c′"), exp(sub("s", "c′"))),
      sOfY: () => sub("s", "y"),
      one: () => between("p", "−", "1"),
      two: () => between("2", "−", "p"),
      pinball: () => [sum("j"), between(sub("τ", "j"), "−", "[", "y", "<", sub("q", "j"), "]"), between("y", "−", sub("q", "j"))],
      bySteps: () => ["sigmoid", "(", sub("s", "j"), ")", sum(row("i", "≥", "j")), between("[", "y", "<", sub("q", "i"), "]", "−", sub("τ", "i"))],
      ends: (terms, of, sign = "+") => terms.flatMap(([name, signed], i) => [...(i ? [sign] : []), of(signed(name))]),
      ...own,
    };
    return new Proxy(special, { get: (known, name) => (name in known ? known[name] : () => GREEK[name] ?? name) });
  }

  // ── The quantities: the numbers of output k of a row ──

  // t and the number of the output for logit k: with a scale from the network the logits behind the locations are t.
  function place(settings, { z, k, y }) {
    const { n_outputs: n = 1, scale } = settings, output = settings.levels || settings.n_classes ? k : k % n;
    const given = typeof scale === "number";
    return { output, isT: scale === "network" && k >= n, t: given ? Math.log(scale) : z[n + output], y: y[output] };
  }

  function numbers(equation, settings, row, format) {
    const { z, y, k, loss } = row, at = place(settings, row);
    const t = equation === "N15" && settings.scale !== "network" && typeof settings.scale === "number" ? 2 * at.t : at.t;
    const s = z[at.output], mu = Math.exp(s), [nu, delta, p] = [settings.degrees_of_freedom, settings.delta, settings.power];
    const value = { s, y: at.y, t, mu, nu, delta, p: row.prediction[k] };
    if (equation === "N7") Object.assign(value, { y: y[0] === k ? 1 : 0, sOfY: z[y[0]], sum: z.reduce((all, each) => all + Math.exp(each), 0) });
    if (equation === "N16") value.x = (value.y - s) ** 2 / (nu * Math.exp(2 * t));
    if (equation === "N18") {
      value.z = (value.y - s) * Math.exp(-t);
      value.c = Math.min(Math.max(value.z, -delta), delta);
    }
    if (equation === "N21") {
      Object.assign(value, { u: s + t, r: Math.exp(-t) });
      value.D = (value.y + value.r) * softplus(value.u) - value.y * s - loss;
    }
    if (equation === "N22") {
      value.k = Math.exp(-t);
      value.G = loss - value.k * (value.y / mu - 1 - Math.log(value.y / mu));
    }
    if (equation === "N23") Object.assign(value, { one: p - 1, two: 2 - p });
    if (equation === "N24") Object.assign(value, { y: y[0], d: y[1], sigma: Math.exp(t), w: (Math.log(y[0]) - s) / Math.exp(t) });
    const put = (number) => inBrackets(format(number));
    const special = { given: typeof settings.scale === "number", dot: "·", pinball: () => pinball(settings, z, y, put), ends: ends(z, y[0], settings, put) };
    return new Proxy(special, { get: (known, name) => (name in known ? known[name] : () => put(value[name])) });
  }

  function pinball({ levels }, z, [y], put) {
    return rising([...z]).flatMap((q, j) => [...(j ? ["+"] : []), between(put(levels[j]), "−", y < q ? "1" : "0"), between(put(y), "−", put(q))]);
  }

  // N20: of the first and the last class some terms are not there.
  const ends = ([s, ...steps], y, { n_classes: C }, put) => (terms, of, sign = "+") => {
    const thresholds = rising(steps), here = { a: y > 0, b: y < C - 1, g: y > 0 && y < C - 1 };
    const value = { a: thresholds[y - 1] - s, b: thresholds[y] - s, g: steps[y] };
    return terms.filter(([name]) => here[name]).flatMap(([name, signed], i) => [...(i || (sign === "−" && name === "a") ? [sign] : []), of(signed(put(value[name])))]);
  };

  // ── What the page shows ──

  const LABEL = { yhat: "the prediction", loss: "the loss", minusE: "minus e" };

  // `row` has the numbers; null where the page does not know them.
  function equations(kind, likelihood, equation, ownSettings, row, format) {
    const settings = likelihood === "normal_with_variance" ? { ...ownSettings, scale: "network" } : ownSettings;
    const ofItsOwn = equation === "N8" && likelihood !== "poisson"; // N8 is what any likelihood may be
    const formulas = ofItsOwn || !settings ? ANY : FORMULAS[equation];
    const given = typeof settings?.scale === "number", v = letters(equation, given);
    const left = { yhat: () => (equation === "N7" ? sub("p", "c") : hat("y")), loss: () => "loss", minusE: () => by(equation === "N7" ? sub("s", "c") : equation === "N19" ? sub("s", "j") : "s") }[kind];
    const right = { yhat: "yhat", loss: "loss", minusE: "byS" }[kind];
    const shown = [[equation, math(LABEL[kind], left(), "=", ...formulas[right](v), ...(kind === "minusE" ? ["=", "−", "e"] : []))]];
    if (kind === "minusE" && formulas.byT && !given) shown.push([equation, math("by the log-scale", by("t"), "=", ...formulas.byT(v))]);
    const where = kind === "yhat" || formulas === ANY ? {} : formulas.where ?? {};
    for (const [name, formula] of Object.entries(where)) shown.push(["", math(`where ${name}`, name, "=", ...formula(v))]);
    return row && formulas !== ANY ? [...shown, ...withNumbers(kind, equation, formulas, settings, row, format)] : shown;
  }

  function withNumbers(kind, equation, formulas, settings, row, format) {
    const at = place(settings, row), manyOutputs = row.y.length > 1 && equation !== "N24";
    if ((kind === "loss" && (manyOutputs || settings.label_smoothing || settings.class_weight)) || at.y === null) return [];
    if (kind === "loss" && equation === "N23" && typeof settings.scale !== "number") return [];
    if (kind === "minusE" && (equation === "N19" || settings.label_smoothing || settings.class_weight)) return [];
    if (kind === "yhat" && ["N19", "N20"].includes(equation)) return [];
    const v = numbers(equation, settings, row, format);
    const byT = kind === "minusE" && at.isT;
    if (byT && !formulas.byT) return [];
    const formula = { yhat: formulas.yhat, loss: formulas.loss, minusE: byT ? formulas.byT : formulas.byS }[kind];
    const value = { yhat: row.prediction[equation === "N7" ? row.k : at.output], loss: row.loss, minusE: row.minusE[row.k] }[kind];
    const index = manyOutputs || equation === "N7" ? [String(row.k)] : [];
    const indexed = (base) => (index.length ? sub(base, ...index) : base);
    const left = { yhat: equation === "N7" ? indexed("p") : indexed(hat("y")), loss: "loss", minusE: by(byT ? "t" : indexed("s")) }[kind];
    return [["", math(`${LABEL[kind]}, with the numbers of this row`, left, "=", ...formula(v), "=", format(value))]];
  }

  return { equations };
})();
