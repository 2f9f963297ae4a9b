// The likelihoods of the trace page: mean, loss and derivatives of one row, in double precision, as
// chainrule.likelihoods has them. Each is made from its settings. z holds the logits of the row, and behind them
// the learned numbers (N14); y what `prepare` returns, null where it is missing. It knows nothing of the page.
"use strict";

const traceLikelihoods = (() => {
  function sigmoid(s) {
    const t = Math.exp(-Math.abs(s));
    return (s >= 0 ? 1 : t) / (1 + t);
  }

  const softplus = (s) => Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s)));
  const sumOf = (values) => values.reduce((sum, value) => sum + value, 0);

  // ── The gamma function, as chainrule.likelihoods.gamma_function has it: series from 10 on, below by recurrence ──

  const LARGE = 10, HALF_LOG_2_PI = 0.9189385332046727;
  const LOG_GAMMA_SERIES = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156];
  const DIGAMMA_SERIES = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12];
  const oddSeries = (coefficients, x) => coefficients.reduceRight((total, coefficient) => total * x * x + coefficient, 0) * x;

  function logGamma(x) {
    let product = 1;
    for (; x < LARGE; x++) product *= x;
    return (x - 0.5) * Math.log(x) - x + HALF_LOG_2_PI + oddSeries(LOG_GAMMA_SERIES, 1 / x) - Math.log(product);
  }

  function digamma(x) {
    let sum = 0;
    for (; x < LARGE; x++) sum += 1 / x;
    return Math.log(x) - 0.5 / x - oddSeries(DIGAMMA_SERIES, 1 / x) / x - sum;
  }

  // G = log Γ(k) − k log k + k for k = e^−a, and ∂G/∂a.
  function gammaNormaliser(a) {
    const k = Math.exp(-a), alpha = Math.exp(a);
    if (k >= LARGE) return [0.5 * a + HALF_LOG_2_PI + oddSeries(LOG_GAMMA_SERIES, alpha), 0.5 + oddSeries(DIGAMMA_SERIES, alpha)];
    return [logGamma(1 + k) + a + k * a + k, 1 - k * digamma(1 + k) - k * a];
  }

  // D = log Γ(y + r) − log Γ(r) − y log r for r = e^−a, and r ∂D/∂r.
  function logRising(y, a) {
    if (y === 0) return [0, 0];
    const r = Math.exp(-a), alpha = Math.exp(a);
    if (r < LARGE) return [logGamma(y + r) - logGamma(1 + r) + (y - 1) * a, r * (digamma(y + r) - digamma(1 + r)) + 1 - y];
    const v = alpha * y, ratio = (v > 0 ? Math.log1p(v) / v : 1) - 1, beta = alpha / (1 + v);
    return [
      (y - 0.5) * Math.log1p(v) + y * ratio + oddSeries(LOG_GAMMA_SERIES, beta) - oddSeries(LOG_GAMMA_SERIES, alpha),
      y * ratio + (0.5 * v) / (1 + v) + oddSeries(DIGAMMA_SERIES, alpha) - oddSeries(DIGAMMA_SERIES, beta) / (1 + v),
    ];
  }

  // ── Outputs that each have a logit of their own, and a log-scale (N14) ──

  // A likelihood whose outputs have no scale: loss and −e of one of them, and its mean.
  const independent = (mean, lossOf, minusE) => ({
    mean: (s) => s.map(mean),
    loss: (s, y) => sumOf(s.map((value, k) => (y[k] === null ? 0 : lossOf(value, y[k])))),
    minusE: (s, y) => s.map((value, k) => (y[k] === null ? 0 : minusE(value, y[k]))),
  });

  // A location s and the logarithm of a scale, t, which is given, learned, or a logit. `terms` has the loss and its
  // derivatives by s and by t.
  const scaled = (terms, mean = (s) => s, logScale = Math.log) => ({ n_outputs: n, scale }) => {
    const given = typeof scale === "number", t0 = given ? logScale(scale) : 0;
    const each = (z, y) => Array.from({ length: n }, (_, k) => (y[k] === null ? [0, 0, 0] : terms(z[k], given ? t0 : z[n + k], y[k], given)));
    return {
      mean: (z) => z.slice(0, n).map(mean),
      loss: (z, y) => sumOf(each(z, y).map(([loss]) => loss)),
      minusE: (z, y) => [...each(z, y).map(([, byS]) => byS), ...(given ? [] : each(z, y).map(([, , byT]) => byT))],
    };
  };

  function normalTerms(s, t, y, given) { // N15
    const z = (s - y) * Math.exp(-t / 2);
    return [0.5 * z * z + (given ? 0 : 0.5 * t), z * Math.exp(-t / 2), 0.5 * (1 - z * z)];
  }

  const studentT = ({ degrees_of_freedom: nu, ...rest }) => scaled((s, t, y, given) => { // N16
    const z = (s - y) * Math.exp(-t), x = (z * z) / nu;
    return [0.5 * (nu + 1) * Math.log1p(x) + (given ? 0 : t), (((nu + 1) * z) / nu / (1 + x)) * Math.exp(-t), 1 - ((nu + 1) * x) / (1 + x)];
  })(rest);

  function laplaceTerms(s, t, y, given) { // N17
    const size = Math.abs(s - y) * Math.exp(-t);
    return [size + (given ? 0 : t), Math.sign(s - y) * Math.exp(-t), 1 - size];
  }

  const huber = ({ delta, ...rest }) => scaled((s, t, y, given) => { // N18
    const z = (s - y) * Math.exp(-t), c = Math.min(Math.max(z, -delta), delta);
    return [c * (z - 0.5 * c) + (given ? 0 : t), c * Math.exp(-t), 1 - c * z];
  })(rest);

  // N21, with u = s + t, the log of α μ: r times what vanishes like e^u is μ times the rest.
  function negativeBinomialTerms(s, t, y, given) {
    const u = s + t, mu = Math.exp(s), r = Math.exp(-t), p = sigmoid(u), q = sigmoid(-u), small = u <= 0;
    const e = Math.exp(Math.min(u, 0)), ratio = e > 0 ? Math.log1p(e) / e : 1; // log(1 + e)/e
    const difference = small ? (u < -36 ? -0.5 * Math.exp(s + u) : mu * (q - ratio)) : r * (p - softplus(u)); // r (p − log(1 + α μ))
    const [value, slope] = given ? [0, 0] : logRising(y, t);
    return [
      (small ? mu * ratio : r * softplus(u)) + y * (softplus(u) - s) - value,
      (small ? mu * q : r * p) - y * q,
      difference + y * p + slope,
    ];
  }

  // N22: with ℓ = log(y/μ), loss = k (e^ℓ − 1 − ℓ) + G(k).
  function gammaTerms(s, t, y, given) {
    const k = Math.exp(-t), l = Math.log(y) - s, byS = -k * Math.expm1(l);
    if (given) return [k * (Math.exp(l) + s), byS, 0];
    const excess = k * (Math.expm1(l) - l), [value, slope] = gammaNormaliser(t);
    return [excess + value, byS, slope - excess];
  }

  // N23: the loss is D, what it is more than at μ = y, less R, the log of a sum over the number of amounts.
  const tweedie = ({ power: p, ...rest }) => {
    const R = amounts(p);
    const terms = (s, t, y, given) => {
      const up = Math.exp((2 - p) * s - t), down = y * Math.exp((1 - p) * s - t), loss = up / (2 - p) + down / (p - 1);
      if (given) return [loss, up - down, 0];
      if (y === 0) return [loss, up - down, -loss];
      const [value, slope] = R((2 - p) * Math.log(y) - t - Math.log(2 - p)), excess = deviance(p, s, t, y, loss);
      return [excess - value, up - down, slope - excess];
    };
    return scaled(terms, Math.exp)(rest);
  };

  function deviance(p, s, t, y, loss) {
    const q = 2 - p, l = Math.log(y) - s;
    if (Math.abs(l) >= 1) return loss - Math.exp(q * Math.log(y) - t) / (q * (1 - q));
    const bend = q * (Math.expm1(l) - l) - (Math.expm1(q * l) - q * l); // near μ = y without a difference of large numbers
    return (Math.max(bend, 0) / (q * (1 - q))) * Math.exp(q * s - t);
  }

  // R and ∂R/∂a for the log a of the number of amounts, as chainrule.likelihoods.poisson_gamma has it: the sum itself
  // where they are few, else Laplace's method.
  function amounts(p) {
    const A = 1 / (p - 1), kappa = (2 - p) / (p - 1), many = Math.max(100, 100 / kappa, 2 / (p - 1));
    const q = ((kappa + 2) * (2 * kappa + 1)) / (24 * kappa * A);
    const third = ((2 * kappa ** 2 + 11 * kappa + 2) * (4 * kappa ** 2 - 15 * kappa + 4)) / (240 * kappa ** 2 * A ** 2);
    const fourth = (36 * kappa ** 4 + 58 * kappa ** 3 - 323 * kappa ** 2 + 58 * kappa + 36) / (240 * kappa ** 2 * A ** 3);
    const series = [-q, -q / (2 * A), q * third, q * fourth];
    const n = 9 + Math.ceil(many + 9 * Math.sqrt(many * (p - 1)));
    const weights = Array.from({ length: n }, (_, i) => (i + 1) * kappa * Math.log(kappa) - logGamma(i + 2) - logGamma(kappa * (i + 1)));
    return (a) => {
      const m = Math.exp(a);
      if (m >= many) {
        const powers = series.map((c, i) => c / m ** (i + 1));
        return [0.5 * (a + Math.log(kappa / (2 * Math.PI * A))) + sumOf(powers), 0.5 - sumOf(powers.map((value, i) => (i + 1) * value))];
      }
      const logs = weights.map((weight, i) => A * a * (i + 1) + weight), most = Math.max(...logs);
      const shares = logs.map((value) => Math.exp(value - most)), total = sumOf(shares);
      return [most + Math.log(total) - A * m, A * (sumOf(shares.map((share, i) => share * (i + 1))) / total - m)];
    };
  }

  function weibull({ scale }) { // N24
    const given = typeof scale === "number";
    const logScale = (z) => (given ? Math.log(scale) : z[1]);
    const terms = (z, [time, event]) => {
      const t = logScale(z), w = (Math.log(time) - z[0]) * Math.exp(-t), e = Math.exp(w);
      return [e - event * (w - (given ? 0 : t)), -(e - event) * Math.exp(-t), event - w * (e - event)];
    };
    return {
      mean: (z) => [Math.exp(z[0] + logGamma(1 + Math.exp(logScale(z))))],
      loss: (z, y) => terms(z, y)[0],
      minusE: (z, y) => terms(z, y).slice(1, given ? 2 : 3),
    };
  }

  // ── Classes ──

  // N6; with smoothing by ε the target is y + ε (½ − y).
  function bernoulli({ label_smoothing: epsilon }) {
    const smoothed = (y) => y + epsilon * (0.5 - y);
    return independent(
      sigmoid,
      (s, y) => smoothed(y) * softplus(-s) + (1 - smoothed(y)) * softplus(s),
      (s, y) => (1 - smoothed(y)) * sigmoid(s) - smoothed(y) * sigmoid(-s),
    );
  }

  function softmax(s) {
    const most = Math.max(...s);
    const t = s.map((value) => Math.exp(value - most));
    return t.map((value) => value / sumOf(t));
  }

  // N7; with smoothing by ε the target is 1 − ε + ε/C for the class and ε/C for the others.
  function categorical({ n_classes: C, label_smoothing: epsilon, class_weight: weights }) {
    const weight = (y) => (weights ? weights[y[0]] : 1);
    return {
      mean: softmax,
      loss: (s, y) => {
        const most = Math.max(...s), all = Math.log(sumOf(s.map((value) => Math.exp(value - most))));
        const lossOf = (c) => most - s[c] + all;
        const others = epsilon ? (epsilon / C) * sumOf(s.map((_, c) => lossOf(c))) : 0;
        return weight(y) * ((1 - epsilon) * lossOf(y[0]) + others);
      },
      minusE: (s, y) => softmax(s).map((p, c) => weight(y) * (p - (c === y[0] ? 1 - epsilon : 0) - epsilon / C)),
    };
  }

  // v_1, v_1 + softplus(v_2), … : values that rise, and the way back through them.
  function rising(values) {
    let sum = 0;
    return values.map((value, j) => (sum += j ? softplus(value) : value));
  }

  function throughRising(values, slopes) {
    let above = 0;
    return values.map((_, i) => {
      const j = values.length - 1 - i;
      above += slopes[j];
      return j ? above * sigmoid(values[j]) : above;
    }).reverse();
  }

  // N19: the first logits are the lowest quantiles of the outputs, behind them the steps of each output.
  function quantile({ n_outputs: n, levels }) {
    const m = levels.length, last = m - 1;
    const valuesOf = (z, k) => [z[k], ...z.slice(n + k * last, n + (k + 1) * last)];
    const meanOf = (q) => { // even between two quantiles, exponential beyond the outermost
      if (m === 1) return q[0] - levels[0] / (1 - levels[0]) + (1 - levels[0]) / levels[0];
      const low = (levels[0] * (q[1] - q[0])) / (levels[1] - levels[0]), high = ((1 - levels[last]) * (q[last] - q[last - 1])) / (levels[last] - levels[last - 1]);
      const between = q.slice(1).map((value, j) => ((levels[j + 1] - levels[j]) * (q[j] + value)) / 2);
      return sumOf(between) + levels[0] * (q[0] - low) + (1 - levels[last]) * (q[last] + high);
    };
    return {
      mean: (z) => Array.from({ length: n }, (_, k) => meanOf(rising(valuesOf(z, k)))),
      loss: (z, y) => sumOf(y.map((value, k) => (value === null ? 0 : sumOf(rising(valuesOf(z, k)).map((q, j) => (levels[j] - (value < q ? 1 : 0)) * (value - q)))))),
      minusE: (z, y) => {
        const each = y.map((value, k) => {
          const values = valuesOf(z, k);
          return value === null ? values.map(() => 0) : throughRising(values, rising(values).map((q, j) => (value < q ? 1 : 0) - levels[j]));
        });
        return [...each.map(([lowest]) => lowest), ...each.flatMap(([, ...steps]) => steps)];
      },
    };
  }

  // N20: a and b are the thresholds below and above the class, less s, and g the number between them.
  function ordinal({ n_classes: C }) {
    const ends = ([s, ...numbers]) => rising(numbers).map((threshold) => threshold - s);
    return {
      mean: (z) => {
        const distance = ends(z);
        return Array.from({ length: C }, (_, c) =>
          (c < C - 1 ? sigmoid(distance[c]) : 1) * (c ? sigmoid(-distance[c - 1]) : 1) * (c && c < C - 1 ? sigmoid(z[c + 1]) : 1));
      },
      loss: (z, [y]) => {
        const distance = ends(z), lower = y > 0, upper = y < C - 1;
        return (upper ? softplus(-distance[y]) : 0) + (lower ? softplus(distance[y - 1]) : 0) + (lower && upper ? softplus(-z[y + 1]) : 0);
      },
      minusE: (z, [y]) => {
        const distance = ends(z), lower = y > 0, upper = y < C - 1, slopes = distance.map(() => 0);
        if (upper) slopes[y] = -sigmoid(-distance[y]);
        if (lower) slopes[y - 1] = sigmoid(distance[y - 1]);
        const byNumbers = throughRising(z.slice(1), slopes);
        if (lower && upper) byNumbers[y] -= sigmoid(-z[y + 1]);
        return [-sumOf(slopes), ...byNumbers];
      },
    };
  }

  const LIKELIHOODS = {
    normal: scaled(normalTerms, undefined, (scale) => 2 * Math.log(scale)), // N5
    normal_with_variance: (settings) => scaled(normalTerms)({ ...settings, scale: "network" }),
    student_t: studentT,
    laplace: scaled(laplaceTerms),
    huber,
    quantile,
    bernoulli,
    categorical,
    ordinal,
    poisson: () => independent(Math.exp, (s, y) => Math.exp(s) - y * s, (s, y) => Math.exp(s) - y), // N8
    negative_binomial: scaled(negativeBinomialTerms, Math.exp),
    gamma: scaled(gammaTerms, Math.exp),
    tweedie,
    weibull,
  };

  return { LIKELIHOODS, sigmoid, softplus, rising };
})();

if (typeof module !== "undefined") module.exports = traceLikelihoods;
