// The top layers: the loss of a row and −e = ∂loss/∂s, beside each other (N5 to N8).
//
// Lanes are rows: column c of the logits of a block of rows is contiguous, so softmax is vectorised for
// any number of classes, and each row's sum has one fixed order. −e overwrites the logits.
// The formulas are those of chainrule/architecture/equations.py, where it is said why they look as they do.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "math.hpp"

namespace chainrule {

enum class Likelihood { normal, bernoulli, categorical, poisson, given, unknown };

// A likelihood with its settings.
struct TopLayer {
    Likelihood name;
    bool free_scale;  // whether the loss keeps the normaliser of the scale (N14)
    std::vector<double> numbers;
};

inline Likelihood likelihood_named(std::string_view name) {
    if (name == "normal") return Likelihood::normal;
    if (name == "bernoulli") return Likelihood::bernoulli;
    if (name == "categorical") return Likelihood::categorical;
    if (name == "poisson") return Likelihood::poisson;
    if (name == "given") return Likelihood::given;
    return Likelihood::unknown;
}

template <class T> struct LossAndSlope {
    Vec<T> loss, minus_e;
};

template <class T, Likelihood likelihood> CHAINRULE_INLINE LossAndSlope<T> of_one_output(Vec<T> s, Vec<T> y) {
    if constexpr (likelihood == Likelihood::normal) {  // N5
        const Vec<T> minus_e = s - y;
        return {T(0.5) * (minus_e * minus_e), minus_e};
    } else if constexpr (likelihood == Likelihood::bernoulli) {  // N6
        const Vec<T> t = exp<T>(-absolute<T>(s)), log1p_t = log1p_nonnegative<T>(t);
        const Vec<T> more = 1 / (1 + t), less = t * more, zero{};
        const Vec<T> up = (s < 0 ? -s : zero) + log1p_t, down = (s > 0 ? s : zero) + log1p_t;
        const Vec<T> loss = y * up + (1 - y) * down;
        return {s == s ? loss : s, (1 - y) * (s >= 0 ? more : less) - y * (s >= 0 ? less : more)};
    } else {  // N8 with A = e^s
        static_assert(likelihood == Likelihood::poisson);
        const Vec<T> mean = exp<T>(s);
        const Vec<T> most = broadcast<T>(std::numeric_limits<T>::max());
        return {mean > most ? mean : mean - y * s, mean - y};
    }
}

// Logits and y (n_outputs, stride): the loss of rows [0, n_rows), and −e in the place of the logits.
template <class T, Likelihood likelihood>
void independent_outputs(T* s, const T* y, T* loss, std::int64_t n_rows, std::int64_t stride,
                         std::int64_t n_outputs) {
    for (std::int64_t i = 0; i < n_rows; i += LANES<T>) {
        Vec<T> sum{};
        for (std::int64_t k = 0; k < n_outputs; ++k) {
            const auto one = of_one_output<T, likelihood>(load(s + k * stride + i), load(y + k * stride + i));
            const Vec<T> zero{}, target = load(y + k * stride + i);
            sum += target == target ? one.loss : zero;  // a missing y counts for nothing
            store(s + k * stride + i, target == target ? one.minus_e : zero);
        }
        store(loss + i, sum);
    }
}

template <class T>
void categorical(T* s, const T* y, T* loss, std::int64_t n_rows, std::int64_t stride,
                 std::int64_t n_classes) {  // N7
    for (std::int64_t i = 0; i < n_rows; i += LANES<T>) {
        T* const column = s + i;
        const Vec<T> label = load(y + i), zero{};
        Vec<T> m = load(column);
        for (std::int64_t c = 1; c < n_classes; ++c) m = maximum<T>(load(column + c * stride), m);
        Vec<T> rest{}, t_y{}, s_y{};
        for (std::int64_t c = 0; c < n_classes; ++c) {
            const Vec<T> s_c = load(column + c * stride), t = exp<T>(s_c - m);
            const auto is_y = label == T(c);
            rest += is_y ? zero : t;
            t_y = is_y ? t : t_y;
            s_y = is_y ? s_c : s_y;
            store(column + c * stride, t);
        }
        const Vec<T> sum = rest + t_y;
        store(loss + i, (m - s_y) + log1p_nonnegative<T>(rest + (t_y - 1)));
        for (std::int64_t c = 0; c < n_classes; ++c)
            store(column + c * stride, (label == T(c) ? -rest : load(column + c * stride)) / sum);
    }
}

// Both have been computed by a likelihood that is written in Python: the columns of y are −e, then the loss.
template <class T>
void given(T* s, const T* y, T* loss, std::int64_t n_rows, std::int64_t stride, std::int64_t n_slopes) {
    std::copy_n(y, n_slopes * stride, s);
    std::copy_n(y + n_slopes * stride, n_rows, loss);
}

// stride and the rows that may be read are multiples of the lanes. s has the logits and, behind them, the
// learned scales.
template <class T>
void loss_and_slope(const TopLayer& likelihood, T* s, const T* y, T* loss, std::int64_t n_rows,
                    std::int64_t stride, std::int64_t n_logits, std::int64_t n_scales) {
    using L = Likelihood;
    switch (likelihood.name) {
        case L::normal: return independent_outputs<T, L::normal>(s, y, loss, n_rows, stride, n_logits);
        case L::bernoulli: return independent_outputs<T, L::bernoulli>(s, y, loss, n_rows, stride, n_logits);
        case L::poisson: return independent_outputs<T, L::poisson>(s, y, loss, n_rows, stride, n_logits);
        case L::categorical: return categorical<T>(s, y, loss, n_rows, stride, n_logits);
        case L::given: return given<T>(s, y, loss, n_rows, stride, n_logits + n_scales);
        case L::unknown: return;
    }
}

// The mean ŷ of one row in the place of its logits: the inverse of each link. Lanes are outputs here; s is
// filled up to whole vectors with anything finite.
template <class T> void mean_of_row(const TopLayer& top, T* s, std::int64_t n_logits) {
    const Likelihood likelihood = top.name;
    if (likelihood == Likelihood::bernoulli)
        for (std::int64_t k = 0; k < n_logits; k += LANES<T>) store(s + k, sigmoid_pair<T>(load(s + k)).p);
    if (likelihood == Likelihood::poisson)
        for (std::int64_t k = 0; k < n_logits; k += LANES<T>) store(s + k, exp<T>(load(s + k)));
    if (likelihood != Likelihood::categorical) return;
    const T m = *std::max_element(s, s + n_logits);
    for (std::int64_t k = 0; k < n_logits; k += LANES<T>) store(s + k, exp<T>(load(s + k) - m));
    T sum = 0;
    for (std::int64_t k = 0; k < n_logits; ++k) sum += s[k];
    for (std::int64_t k = 0; k < n_logits; ++k) s[k] /= sum;
}

}  // namespace chainrule
