// N13: the step of descent on a stretch of θ. chainrule/optimization/optimizers.py is the same in NumPy.
#pragma once

#include <cmath>
#include <limits>
#include <string_view>

#include "simd.hpp"

namespace chainrule {

enum class Rule { sgd, nesterov, adam, unknown };

inline Rule rule_named(std::string_view name) {
    if (name == "sgd") return Rule::sgd;
    if (name == "nesterov") return Rule::nesterov;
    if (name == "adam") return Rule::adam;
    return Rule::unknown;
}

struct Optimizer {
    Rule rule = Rule::unknown;
    double momentum = 0, beta_1 = 0, beta_2 = 0, epsilon = 0, weight_decay = 0;
};

// The numbers of one step, in the precision of θ.
template <class T> struct StepNumbers {
    T eta, keep, momentum, beta_1, beta_2, gain_1, gain_2, epsilon;

    StepNumbers(const Optimizer& o, double learning_rate, std::int64_t t)
        : eta(static_cast<T>(learning_rate)),
          keep(static_cast<T>(1) - static_cast<T>(learning_rate * o.weight_decay)),
          momentum(static_cast<T>(o.momentum)),
          beta_1(static_cast<T>(o.beta_1)),
          beta_2(static_cast<T>(o.beta_2)),
          gain_1(static_cast<T>(1 - o.beta_1)),
          gain_2(static_cast<T>(1 - o.beta_2)),
          epsilon(static_cast<T>(o.epsilon)) {
        if (o.rule == Rule::adam) {
            const auto steps = static_cast<double>(t);
            eta = static_cast<T>(learning_rate * std::sqrt(1 - std::pow(o.beta_2, steps)) /
                                 (1 - std::pow(o.beta_1, steps)));
        }
    }
};

// √v for v ≥ 0. In double the instruction takes longer than all the rest of Adam's step: Newton's iteration
// for 1/√v is quicker. It begins with half the exponent, 4% off, and ends within 1 ulp.
template <class T> CHAINRULE_INLINE Vec<T> square_root(Vec<T> v) {
    if constexpr (sizeof(T) == sizeof(double)) {
        const Vec<Int<T>> magic = broadcast<Int<T>>(0x5fe6eb50c7b537a9);
        const Vec<T> half = T(0.5) * v;
        Vec<T> y = bits<T, Int<T>>(magic - (bits<Int<T>, T>(v) >> 1));
        for (int k = 0; k < 3; ++k) y *= T(1.5) - half * y * y;
        const Vec<T> root = v * y;
        return v > std::numeric_limits<T>::max() ? v : root + T(0.5) * y * (v - root * root);
    } else {
        for (int k = 0; k < LANES<T>; ++k) v[k] = std::sqrt(v[k]);  // one instruction (-fno-math-errno)
        return v;
    }
}

// θ, and the state where the rule has it; a for the velocity or the first moment, u for the second.
template <class T> struct Stretch {
    T *theta, *a, *u;
};

template <class T, Rule rule>
CHAINRULE_INLINE void step_lanes(const StepNumbers<T>& n, T* theta, Vec<T> g, T* a, T* u, T keep) {
    Vec<T> x = load(theta) * keep;
    if constexpr (rule == Rule::adam) {
        const Vec<T> m = n.beta_1 * load(a) + n.gain_1 * g, square = n.beta_2 * load(u) + n.gain_2 * (g * g);
        store(a, m);
        store(u, square);
        x -= n.eta * m / (square_root<T>(square) + n.epsilon);
    } else {
        const Vec<T> v = n.momentum * load(a) - n.eta * g;
        store(a, v);
        x += rule == Rule::nesterov ? n.momentum * v - n.eta * g : v;
    }
    store(theta, x);
}

template <class T, Rule rule>
void step_stretch(const StepNumbers<T>& numbers, Stretch<T> at, const T* g, std::int64_t n, T l2, T keep) {
    std::int64_t i = 0;
    for (; i + LANES<T> <= n; i += LANES<T>)
        step_lanes<T, rule>(numbers, at.theta + i, load(g + i) + l2 * load(at.theta + i), at.a + i, at.u + i,
                            keep);
    if (i == n) return;
    T theta[LANES<T>] = {}, a[LANES<T>] = {}, u[LANES<T>] = {}, last[LANES<T>] = {};
    const auto bytes = static_cast<std::size_t>(n - i) * sizeof(T);
    const bool second = rule == Rule::adam;
    std::memcpy(theta, at.theta + i, bytes);
    std::memcpy(a, at.a + i, bytes);
    if (second) std::memcpy(u, at.u + i, bytes);
    std::memcpy(last, g + i, bytes);
    step_lanes<T, rule>(numbers, theta, load(last) + l2 * load(theta), a, u, keep);
    std::memcpy(at.theta + i, theta, bytes);
    std::memcpy(at.a + i, a, bytes);
    if (second) std::memcpy(at.u + i, u, bytes);
}

// One step on n parameters with the gradient g, l2 times θ added to it; `decayed` says whether decay acts
// here.
template <class T>
void step_stretch(Rule rule, const StepNumbers<T>& numbers, Stretch<T> at, const T* g, std::int64_t n, T l2,
                  bool decayed) {
    const T keep = decayed ? numbers.keep : T(1);
    switch (rule) {
        case Rule::sgd: return step_stretch<T, Rule::sgd>(numbers, at, g, n, l2, keep);
        case Rule::nesterov: return step_stretch<T, Rule::nesterov>(numbers, at, g, n, l2, keep);
        case Rule::adam: return step_stretch<T, Rule::adam>(numbers, at, g, n, l2, keep);
        case Rule::unknown: return;
    }
}

// Σ θ² in double, many sums side by side in one order: one would wait for its own last term.
template <class T> double sum_of_squares(const T* x, std::int64_t n) {
    constexpr int SUMS = 32;
    double sums[SUMS] = {};
    std::int64_t i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (int k = 0; k < SUMS; ++k)
            sums[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
    for (int k = 0; i < n; ++i, ++k) sums[k] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    for (int m = SUMS / 2; m > 0; m /= 2)
        for (int k = 0; k < m; ++k) sums[k] += sums[k + m];
    return sums[0];
}

}  // namespace chainrule
