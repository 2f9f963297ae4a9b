// The mathematics of the trace page: the tables and equations of chainrule.architecture.equations, in double
// precision, for one row. The tests hold each entry against Python's. It knows nothing of the page.
"use strict";

const traceMath = (() => {
  const SELU_ALPHA = 1.6732632423543772;
  const SELU_SCALE = 1.0507009873554805;

  const { sigmoid, softplus } = traceLikelihoods;

  // Φ(s) = ½ erfc(−s / √2): near 0 the series of erf, whose terms have one sign; far out the continued
  // fraction of erfc (Abramowitz & Stegun 7.1.6 and 7.1.14).
  function normalCdf(s) {
    const z = Math.abs(s) / Math.SQRT2;
    let tail; // ½ erfc(z)
    if (z < 2.5) {
      let term = z, sum = z;
      for (let n = 1; term > 1e-17 * sum; n++) {
        term *= (2 * z * z) / (2 * n + 1);
        sum += term;
      }
      tail = 0.5 - (Math.exp(-z * z) * sum) / Math.sqrt(Math.PI);
    } else {
      let fraction = z;
      for (let n = 120; n >= 1; n--) fraction = z + n / 2 / fraction;
      tail = Math.exp(-z * z) / (2 * fraction * Math.sqrt(Math.PI));
    }
    return s > 0 ? 1 - tail : tail;
  }

  const exponential = (alpha, scale) => ({
    r: (s) => (s > 0 ? s : alpha * Math.expm1(s)) * scale,
    slope: (s) => (s > 0 ? 1 : alpha * Math.exp(s)) * scale,
  });

  // N2 and N9: r and r' of each activation.
  const ACTIVATIONS = {
    identity: { r: (s) => s, slope: () => 1 },
    sigmoid: { r: sigmoid, slope: (s) => sigmoid(s) * sigmoid(-s) },
    tanh: { r: Math.tanh, slope: (s) => 1 - Math.tanh(s) ** 2 },
    relu: { r: (s) => Math.max(s, 0), slope: (s) => (s > 0 ? 1 : 0) },
    leaky_relu: { r: (s) => (s > 0 ? s : 0.01 * s), slope: (s) => (s > 0 ? 1 : 0.01) },
    elu: exponential(1, 1),
    selu: exponential(SELU_ALPHA, SELU_SCALE),
    gelu: {
      r: (s) => s * normalCdf(s),
      slope: (s) => normalCdf(s) + (s * Math.exp(-0.5 * s * s)) / Math.sqrt(2 * Math.PI),
    },
    silu: { r: (s) => s * sigmoid(s), slope: (s) => sigmoid(s) * (1 + s * sigmoid(-s)) },
    mish: {
      r: (s) => s * Math.tanh(softplus(s)),
      slope: (s) => {
        const t = Math.tanh(softplus(s));
        return t + s * (1 - t * t) * sigmoid(s);
      },
    },
    softplus: { r: softplus, slope: sigmoid },
  };

  const dot = (w, offset, h) => {
    let sum = 0;
    for (let j = 0; j < h.length; j++) sum += w[offset + j] * h[j];
    return sum;
  };

  // x → h_1 → … → s. Each layer has {units, inputs, activation, bias, start}: its place in θ. What is known of the
  // row beside x, its offset, is added to the logits.
  function forward(layers, theta, x, offset = null) {
    const states = [];
    let h = x;
    for (const layer of layers) {
      const r = ACTIVATIONS[layer.activation].r;
      const inputs = h;
      const biases = layer.start + layer.units * layer.inputs;
      const s = Array.from(
        { length: layer.units },
        (_, k) => dot(theta, layer.start + k * layer.inputs, inputs) + (layer.bias ? theta[biases + k] : 0)
          + (offset && layer === layers[layers.length - 1] ? offset[k] : 0),
      ); // N1
      h = s.map(r); // N2
      states.push({ inputs, s, h });
    }
    return states;
  }

  // −e → δ_L → … → ∂loss/∂x: adds slope, gradientH, delta and gradientInputs to each state.
  function backward(layers, theta, states, minusE) {
    let g = minusE;
    for (let l = layers.length - 1; l >= 0; l--) {
      const layer = layers[l], state = states[l];
      const slope = ACTIVATIONS[layer.activation].slope;
      state.gradientH = g;
      state.slope = state.s.map(slope);
      state.delta = state.slope.map((value, k) => value * state.gradientH[k]); // N9
      const below = new Array(layer.inputs).fill(0);
      for (let k = 0; k < layer.units; k++) {
        const offset = layer.start + k * layer.inputs, delta = state.delta[k];
        for (let j = 0; j < layer.inputs; j++) below[j] += delta * theta[offset + j]; // N10
      }
      state.gradientInputs = below;
      g = below;
    }
  }

  // Where the layers end in θ and the likelihood's learned numbers begin.
  function endOfLayers(layers) {
    const top = layers[layers.length - 1];
    return top.start + top.units * top.inputs + (top.bias ? top.units : 0);
  }

  const scalesOf = (layers, theta) => theta.slice(endOfLayers(layers));

  // The whole way of one row. Without `top`, one of traceLikelihoods, there is `known`: what Python computed.
  function run(layers, theta, x, offset, top, y, known) {
    const states = forward(layers, theta, x, offset);
    const logits = states[states.length - 1].h;
    const result = { states, logits, prediction: null, loss: null, minusE: null, gradientScales: [] };
    if (top) {
      const z = [...logits, ...scalesOf(layers, theta)]; // N14
      const byTop = top.minusE(z, y);
      result.prediction = top.mean(z);
      result.loss = top.loss(z, y);
      result.minusE = byTop.slice(0, logits.length);
      result.gradientScales = byTop.slice(logits.length);
    } else if (known) {
      const { prediction, loss, minusE, gradientScales } = known;
      Object.assign(result, { prediction, loss, minusE, gradientScales });
    }
    if (result.minusE) backward(layers, theta, states, result.minusE);
    return result;
  }

  // N11, N12: ‖g‖² without building g.
  function squaredNorm(layers, states) {
    let sum = 0;
    layers.forEach((layer, l) => {
      const h2 = dot(states[l].inputs, 0, states[l].inputs) + (layer.bias ? 1 : 0);
      sum += h2 * dot(states[l].delta, 0, states[l].delta);
    });
    return sum;
  }

  // N13: θ − η g, with ∂loss/∂w_l = δ_l h_{l−1}ᵀ (N11) and ∂loss/∂b_l = δ_l (N12).
  function descend(layers, theta, { states, gradientScales }, eta) {
    const next = Float64Array.from(theta);
    gradientScales.forEach((slope, k) => { next[endOfLayers(layers) + k] -= eta * slope; });
    layers.forEach((layer, l) => {
      const { delta, inputs } = states[l];
      const biases = layer.start + layer.units * layer.inputs;
      for (let k = 0; k < layer.units; k++) {
        const offset = layer.start + k * layer.inputs;
        for (let j = 0; j < layer.inputs; j++) next[offset + j] -= eta * delta[k] * inputs[j];
        if (layer.bias) next[biases + k] -= eta * delta[k];
      }
    });
    return next;
  }

  // ── A column's cell → its inputs, as chainrule.tables has it. A cell is a number, text, a boolean or null ──

  function clipped(value, settings) {
    const z = Math.min(Math.max((0.5 * value - 0.5 * settings.centre) / (0.5 * settings.scale), -1e100), 1e100);
    return z / Math.sqrt(1 + (z / 3) ** 2);
  }

  function encodeNumber(value, settings) {
    const inputs = settings.scale > 0 ? [value === null ? 0 : clipped(value, settings)] : [];
    const knots = settings.knots ?? [];
    for (let t = 1; t < knots.length; t++) { // N25: ramps from −½ to ½ between neighbouring knots
      const [low, high] = [knots[t - 1], knots[t]];
      const share = (0.5 * Math.min(Math.max(value, low), high) - 0.5 * low) / (0.5 * high - 0.5 * low);
      inputs.push(value === null ? 0 : share - 0.5);
    }
    return settings.missing ? [...inputs, value === null ? 1 : 0] : inputs;
  }

  const BASE = 32; // of the codes of rare categories

  function encodeCategory(value, settings) {
    const place = settings.categories.indexOf(value);
    if (settings.categories.length === 2 && !settings.n_rare && !settings.missing) {
      const [a, b] = settings.categories;
      return [place < 0 ? 0 : value === (a > b ? a : b) ? 1 : -1];
    }
    const n = settings.categories.length, coded = settings.coded;
    const digits = [1, BASE, BASE * BASE].filter((power) => coded.length > (power === 1 ? 0 : power));
    const size = n + (settings.n_rare ? 1 : 0) + BASE * digits.length + (settings.missing ? 1 : 0);
    const inputs = new Array(size).fill(0);
    if (value === null) {
      if (settings.missing) inputs[inputs.length - 1] = 1;
    } else if (place >= 0) {
      inputs[place] = 1;
    } else if (settings.n_rare) {
      inputs[n] = 1;
      const rank = coded.indexOf(value);
      if (rank >= 0) {
        digits.forEach((power, k) => {
          inputs[n + 1 + k * BASE + (Math.floor(rank / power) % BASE)] = 1;
        });
      }
    }
    return inputs;
  }

  const DAY = 86400000;
  const PHASES = {
    "time of year": (t) => {
      const year = new Date(t).getUTCFullYear();
      const start = new Date(0).setUTCFullYear(year), end = new Date(0).setUTCFullYear(year + 1);
      return (t - start) / (end - start);
    },
    "day of week": (t) => ((((Math.floor(t / DAY) - 4) % 7) + 7) % 7) / 7, // 5 January 1970 was a Monday
    "time of day": (t) => t / DAY - Math.floor(t / DAY),
  };

  function encodeDatetime(value, settings) {
    const t = value === null ? null : Date.parse(value.includes("T") ? `${value}Z` : `${value}T00:00:00Z`);
    const inputs = encodeNumber(t === null ? null : t / 31556952000, settings);
    for (const cycle of settings.cycles) {
      const angle = t === null ? null : 2 * Math.PI * PHASES[cycle](t);
      inputs.push(t === null ? 0 : Math.sin(angle), t === null ? 0 : Math.cos(angle));
    }
    return inputs;
  }

  const ENCODINGS = {
    input: (value) => [value],
    number: encodeNumber,
    category: encodeCategory,
    boolean: encodeCategory,
    datetime: encodeDatetime,
    dropped: () => [],
  };

  return { ACTIVATIONS, ENCODINGS, forward, run, scalesOf, squaredNorm, descend };
})();

if (typeof module !== "undefined") module.exports = traceMath;
