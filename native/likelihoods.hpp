// The top layers: the loss of a row and −e = ∂loss/∂s, beside each other (N5 to N8, N14 to N24).
//
// Lanes are rows: column c of the logits of a block of rows is contiguous, so softmax is vectorised for
// any number of classes, and each row's sum has one fixed order. −e overwrites the logits.
// The formulas are those of chainrule/architecture/equations.py, where it is said why they look as they do.
#pragma once

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <vector>

#include "math.hpp"

namespace chainrule {

enum class Likelihood {
    normal,
    bernoulli,
    categorical,
    poisson,
    student_t,
    laplace,
    huber,
    negative_binomial,
    gamma,
    tweedie,
    weibull,
    quantile,
    ordinal,
    given,
    unknown
};

inline Likelihood likelihood_named(std::string_view name) {
    constexpr std::string_view names[] = {"normal",  "bernoulli", "categorical",       "poisson", "student_t",
                                          "laplace", "huber",     "negative_binomial", "gamma",   "tweedie",
                                          "weibull", "quantile",  "ordinal",           "given"};
    return static_cast<Likelihood>(std::find(std::begin(names), std::end(names), name) - std::begin(names));
}

// A likelihood with its settings.
struct TopLayer {
    Likelihood name;
    // Whether a log-scale t stands behind the locations, and the loss keeps its normaliser (N14).
    bool free_scale;
    // With a scale: t where it is given, and one more number; for Tweedie with a free one the log-weights of
    // its sum too. Quantile: the levels. Bernoulli: 0 and label smoothing. Categorical: label smoothing and,
    // if any, the weights of the classes.
    std::vector<double> numbers;

    double number(std::size_t k) const { return k < numbers.size() ? numbers[k] : 0; }
};

// The loss of one output and its derivatives by s and t.
template <class T> struct LossAndSlopes {
    Vec<T> loss, by_s, by_t;
};

// Where the first factor is exactly 0, so is the product, even with infinity.
template <class T> CHAINRULE_INLINE Vec<T> times(Vec<T> number, Vec<T> factor) {
    return number == 0 ? Vec<T>{} : number * factor;
}

// number · e^exponent, also where only the exponential is beyond the range of a float.
template <class T> CHAINRULE_INLINE Vec<T> times_exp(Vec<T> number, Vec<T> exponent) {
    const Vec<T> half = exp<T>(T(0.5) * exponent);
    return times<T>(times<T>(number, half), half);
}

template <class T> CHAINRULE_INLINE Vec<T> infinity() {
    return broadcast<T>(std::numeric_limits<T>::infinity());
}

// N21: r log(1 + e^u) and the like, where u = s + t and r = e^−t.
template <class T> CHAINRULE_INLINE LossAndSlopes<T> negative_binomial(Vec<T> s, Vec<T> t, Vec<T> y,
                                                                       bool free) {
    const Vec<T> zero{}, one = 1 + zero, u = s + t, mu = exp<T>(s), r = exp<T>(-t), plus = softplus<T>(u);
    const auto [p, q] = sigmoid_pair<T>(u);
    const auto less = u <= 0;
    const Vec<T> e = exp<T>(less ? u : zero);  // α μ, where it is small
    const Vec<T> ratio = e > 0 ? log1p_nonnegative<T>(e) / (e > 0 ? e : one) : one;
    const Vec<T> r_plus = less ? mu * ratio : r * plus;
    const Vec<T> tiny = T(-0.5) * exp<T>(s + u);
    Vec<T> by_t = (less ? (u < T(-36) ? tiny : mu * (q - ratio)) : r * (p - plus)) + y * p;
    Vec<T> loss = r_plus + y * (less ? plus - s : (plus - u) + t);
    if (free) {  // D = log Γ(y + r) − log Γ(r) − y log r, and r ∂D/∂r
        const auto large = r >= T(Float<T>::stirling_least);
        const auto any = y > 0;
        const Vec<T> alpha = exp<T>(t < 0 ? t : zero), v = alpha * y, few = large ? one : r;
        const Vec<T> log1p_v = log1p_nonnegative<T>(v);
        const Vec<T> gap = (v > 0 ? log1p_v / (v > 0 ? v : one) : one) - 1;
        const Vec<T> beta = alpha / (1 + v);
        const Vec<T> far = (y - T(0.5)) * log1p_v + y * gap + stirling_sum<T>(LOG_GAMMA_SERIES, beta) -
                           stirling_sum<T>(LOG_GAMMA_SERIES, alpha);
        const Vec<T> by_far = y * gap + T(0.5) * v / (1 + v) + stirling_sum<T>(DIGAMMA_SERIES, alpha) -
                              stirling_sum<T>(DIGAMMA_SERIES, beta) / (1 + v);
        const auto above = gamma_pair<T>((any ? y : one) + few), below = gamma_pair<T>(1 + few);
        const Vec<T> near = above.log_gamma - below.log_gamma + (y - 1) * t;
        const Vec<T> by_near = few * (above.digamma - below.digamma) + 1 - y;
        loss -= any ? (large ? far : near) : zero;
        by_t += any ? (large ? by_far : by_near) : zero;
    }
    return {loss, (less ? mu * q : r * p) - y * q, by_t};
}

// N22: k (e^l − 1 − l) + G(k), where l = log(y/μ) and k = e^−t.
template <class T> CHAINRULE_INLINE LossAndSlopes<T> gamma(Vec<T> s, Vec<T> t, Vec<T> y, bool free) {
    const Vec<T> zero{}, one = 1 + zero, k = exp<T>(-t), k_ratio = times_exp<T>(y, -s - t);
    const auto beyond = k_ratio > std::numeric_limits<T>::max();
    const Vec<T> l = log_positive<T>(y) - s;
    const Vec<T> by_s = beyond ? (l > 0 ? -k_ratio : l < 0 ? k_ratio : zero) : k - k_ratio;
    if (!free) return {k_ratio + times<T>(s, k), by_s, zero};
    const auto near = absolute<T>(l) < T(0.34);
    const Vec<T> excess =
        near ? times<T>(exp_excess<T>(near ? l : zero), k) : (beyond ? k_ratio : k_ratio - k * (1 + l));
    const auto large = k >= T(Float<T>::stirling_least);
    const Vec<T> few = large ? one : k, alpha = exp<T>(t < 0 ? t : zero);
    const auto [log_gamma, digamma] = gamma_pair<T>(1 + few);
    const Vec<T> G = large ? T(0.5) * t + T(0.91893853320467274178) + stirling_sum<T>(LOG_GAMMA_SERIES, alpha)
                           : log_gamma + t + few * t + few;
    const Vec<T> by_t = large ? T(0.5) + stirling_sum<T>(DIGAMMA_SERIES, alpha) : 1 - few * digamma - few * t;
    return {excess + G, by_s, by_t - excess};
}

// N16: with x = (y − s)²/(ν σ²); where x is too large for a float, by its log.
template <class T>
CHAINRULE_INLINE LossAndSlopes<T> student_t(Vec<T> s, Vec<T> t, Vec<T> y, bool free, T nu) {
    const Vec<T> zero{}, d = s - y, inverse = exp<T>(-t), z = times<T>(d, inverse), x = z * z / nu;
    const Vec<T> log_nu = log_positive<T>(broadcast<T>(nu));
    const Vec<T> log_x = 2 * (log_positive<T>(absolute<T>(d)) - t) - log_nu;
    const Vec<T> log1p_x = x < T(1e30) ? log1p_nonnegative<T>(x < T(1e30) ? x : zero) : log_x;
    const auto less = x < 1;
    const Vec<T> q = less ? x / (1 + x) : 1 / (1 + 1 / x);
    const Vec<T> by_s = (nu + 1) * (less ? times<T>(z, inverse) / nu / (1 + x) : q / d);
    return {T(0.5) * (nu + 1) * log1p_x + (free ? t : zero), by_s, 1 - (nu + 1) * q};
}

// R = log Σ_j e^{A j a} w_j − A m for m = e^a amounts, A = 1/(p − 1), and ∂R/∂a: where m is large by the
// series in 1/m. The text that explains it is chainrule/likelihoods/poisson_gamma.py.
template <class T> struct NormaliserPair {
    Vec<T> value, slope;
};

template <class T> CHAINRULE_INLINE NormaliserPair<T> tweedie_normaliser(const TopLayer& top, Vec<T> a) {
    using F = Float<T>;
    const double p = top.number(1), A = 1 / (p - 1), k = (2 - p) / (p - 1);
    const double least = std::max({F::tweedie_large, F::tweedie_large / k, F::tweedie_wide * A});
    const double n_wanted = 9 + std::ceil(least + F::tweedie_sigmas * std::sqrt(least / A));
    const std::int64_t n =
        std::min(static_cast<std::int64_t>(n_wanted), static_cast<std::int64_t>(top.numbers.size()) - 2);
    const double* const log_weight = top.numbers.data() + 2;
    const Vec<T> zero{}, one = 1 + zero, m = exp<T>(a);
    const auto large = m >= static_cast<T>(least);
    const Vec<T> few = large ? zero : a, step = static_cast<T>(A) * few;
    Vec<T> most = step + static_cast<T>(log_weight[0]);
    for (std::int64_t j = 1; j < n; ++j)
        most = maximum<T>(static_cast<T>(j + 1) * step + static_cast<T>(log_weight[j]), most);
    Vec<T> sum{}, sum_j{};
    for (std::int64_t j = 0; j < n; ++j) {
        const Vec<T> term = exp<T>(static_cast<T>(j + 1) * step + static_cast<T>(log_weight[j]) - most);
        sum += term;
        sum_j += static_cast<T>(j + 1) * term;
    }
    const Vec<T> few_m = large ? one : m;
    const Vec<T> value = most + log_positive<T>(sum) - static_cast<T>(A) * few_m;
    const Vec<T> slope = static_cast<T>(A) * (sum_j / sum - few_m);
    const double q = (k + 2) * (2 * k + 1) / (24 * k * A);
    const double series[] = {
        -q, -q / (2 * A), q * (2 * k * k + 11 * k + 2) * (4 * k * k - 15 * k + 4) / (240 * k * k * A * A),
        q * (36 * k * k * k * k + 58 * k * k * k - 323 * k * k + 58 * k + 36) / (240 * k * k * A * A * A)};
    const Vec<T> inverse = large ? 1 / m : zero;
    Vec<T> more{}, by_more{};
    for (int c = 4; c >= 1; --c) {
        more = (more + static_cast<T>(series[c - 1])) * inverse;
        by_more = (by_more + static_cast<T>(c * series[c - 1])) * inverse;
    }
    const auto log_constant = static_cast<T>(std::log(k / (2 * 3.14159265358979323846 * A)));
    return {large ? T(0.5) * (a + log_constant) + more : value, large ? T(0.5) - by_more : slope};
}

// N23: with μ^(2−p)/φ and y μ^(1−p)/φ; where φ is free, R, and how much more the loss is than at μ = y.
template <class T>
CHAINRULE_INLINE LossAndSlopes<T> tweedie(const TopLayer& top, Vec<T> s, Vec<T> t, Vec<T> y, bool free) {
    const T p = static_cast<T>(top.number(1)), q = 2 - p;
    const Vec<T> zero{}, up = exp<T>(q * s - t), down = times_exp<T>(y, (1 - p) * s - t);
    const Vec<T> loss = up / q + down / (p - 1);
    const auto some = y > 0;
    const Vec<T> log_y = log_positive<T>(some ? y : 1 + zero), l = log_y - s;
    const auto both_beyond = (up > std::numeric_limits<T>::max()) & (down > std::numeric_limits<T>::max());
    const Vec<T> by_s = both_beyond ? (l > 0 ? -up : l < 0 ? up : zero) : up - down;
    if (!free) return {loss, by_s, zero};
    const auto near = absolute<T>(l) < T(0.34);
    const Vec<T> x = near ? l : zero;
    const Vec<T> bend = maximum<T>(q * exp_excess<T>(x) - exp_excess<T>(q * x), zero) / (q * (1 - q));
    const Vec<T> least = exp<T>(q * log_y - t) / (q * (1 - q));
    const auto beyond = loss > std::numeric_limits<T>::max();
    const Vec<T> more = near ? times<T>(bend, up) : beyond ? loss : loss - least;
    const Vec<T> excess = some ? more : loss;
    const auto [R, slope] =
        tweedie_normaliser<T>(top, q * log_y - t - static_cast<T>(std::log(2 - top.number(1))));
    return {excess - (some ? R : zero), by_s, (some ? slope : zero) - excess};
}

template <class T, Likelihood likelihood>
CHAINRULE_INLINE LossAndSlopes<T> of_one_output(const TopLayer& top, Vec<T> s, Vec<T> t, Vec<T> y,
                                                bool free) {
    const Vec<T> zero{};
    const T number = static_cast<T>(top.number(1));
    if constexpr (likelihood == Likelihood::normal) {  // N5, N15
        const Vec<T> minus_e = s - y, root = exp<T>(T(-0.5) * t), z = times<T>(minus_e, root);
        return {T(0.5) * (z * z) + (free ? T(0.5) * t : zero), times<T>(z, root), T(0.5) * (1 - z * z)};
    } else if constexpr (likelihood == Likelihood::bernoulli) {  // N6
        const Vec<T> e = exp<T>(-absolute<T>(s)), more = 1 / (1 + e), less = e * more;
        const Vec<T> log1p_e = log1p_nonnegative<T>(e, more);
        const Vec<T> up = (s < 0 ? -s : zero) + log1p_e, down = (s > 0 ? s : zero) + log1p_e;
        const Vec<T> one = y + number * (T(0.5) - y), none = 1 - one;  // smoothed labels
        const Vec<T> loss = one * up + none * down;
        return {s == s ? loss : s, none * (s >= 0 ? more : less) - one * (s >= 0 ? less : more), zero};
    } else if constexpr (likelihood == Likelihood::poisson) {  // N8 with A = e^s
        const Vec<T> mean = exp<T>(s);
        const Vec<T> most = broadcast<T>(std::numeric_limits<T>::max());
        return {mean > most ? mean : mean - y * s, mean - y, zero};
    } else if constexpr (likelihood == Likelihood::student_t) {
        return student_t<T>(s, t, y, free, number);
    } else if constexpr (likelihood == Likelihood::laplace) {  // N17
        const Vec<T> d = s - y, inverse = exp<T>(-t), size = absolute<T>(times<T>(d, inverse));
        const Vec<T> by_s = d > 0 ? inverse : d < 0 ? -inverse : d;
        return {size + (free ? t : zero), by_s, 1 - size};
    } else if constexpr (likelihood == Likelihood::huber) {  // N18
        const Vec<T> inverse = exp<T>(-t), z = times<T>(s - y, inverse), most = broadcast<T>(number);
        const Vec<T> c = z > most ? most : z < -most ? -most : z;
        return {times<T>(c, z - T(0.5) * c) + (free ? t : zero), times<T>(c, inverse), 1 - times<T>(c, z)};
    } else if constexpr (likelihood == Likelihood::negative_binomial) {
        return negative_binomial<T>(s, t, y, free);
    } else if constexpr (likelihood == Likelihood::gamma) {
        return gamma<T>(s, t, y, free);
    } else {
        static_assert(likelihood == Likelihood::tweedie);
        return tweedie<T>(top, s, t, y, free);
    }
}

// Logits, log-scales and y (n_outputs, stride): the loss of rows [0, n_rows), and the slopes in the place of
// the logits and log-scales.
template <class T, Likelihood likelihood, bool free>
void independent_outputs(const TopLayer& top, T* s, const T* y, T* loss, std::int64_t n_rows,
                         std::int64_t stride, std::int64_t n_slopes) {
    const std::int64_t n_outputs = free ? n_slopes / 2 : n_slopes;
    const Vec<T> given = broadcast<T>(static_cast<T>(top.number(0))), zero{};
    for (std::int64_t i = 0; i < n_rows; i += LANES<T>) {
        Vec<T> sum{};
        for (std::int64_t k = 0; k < n_outputs; ++k) {
            T *const at = s + k * stride + i, *const scale = at + n_outputs * stride;
            const Vec<T> target = load(y + k * stride + i), t = free ? load(scale) : given;
            const auto one = of_one_output<T, likelihood>(top, load(at), t, target, free);
            const auto there = target == target;  // a missing y counts for nothing
            sum += there ? one.loss : zero;
            store(at, there ? one.by_s : zero);
            if (free) store(scale, there ? one.by_t : zero);
        }
        store(loss + i, sum);
    }
}

// N24: y has two columns, the time and whether the event came.
template <class T>
void weibull(const TopLayer& top, T* s, const T* y, T* loss, std::int64_t n_rows, std::int64_t stride) {
    const Vec<T> given = broadcast<T>(static_cast<T>(top.number(0))), zero{};
    const Vec<T> most = broadcast<T>(std::numeric_limits<T>::max());
    for (std::int64_t i = 0; i < n_rows; i += LANES<T>) {
        const Vec<T> time = load(y + i), event = load(y + stride + i);
        const Vec<T> t = top.free_scale ? load(s + stride + i) : given, inverse = exp<T>(-t);
        const Vec<T> log_time = log_positive<T>(time > 0 ? time : 1 + zero);  // what fills the block up is 0
        const Vec<T> w = times<T>(log_time - load(s + i), inverse), e = exp<T>(w);
        const auto beyond = e > most;
        const Vec<T> of_event = event > 0 ? w : zero;
        const Vec<T> scale = top.free_scale ? times<T>(event, t) : zero;
        store(loss + i, (beyond ? e : e - of_event) + scale);
        store(s + i, -times<T>(e - event, inverse));
        if (!top.free_scale) continue;
        const Vec<T> by_t = event + (e > 0 ? of_event - times<T>(e, w) : of_event);
        store(s + stride + i, beyond ? -infinity<T>() : by_t);
    }
}

// N19: of each output the lowest quantile, then for each output the steps up.
template <class T>
void quantile(const TopLayer& top, T* s, const T* y, T* loss, std::int64_t n_rows, std::int64_t stride,
              std::int64_t n_logits) {
    const auto n_levels = static_cast<std::int64_t>(top.numbers.size());
    const std::int64_t n_outputs = n_logits / n_levels;
    const Vec<T> zero{};
    for (std::int64_t i = 0; i < n_rows; i += LANES<T>) {
        Vec<T> sum{};
        for (std::int64_t k = 0; k < n_outputs; ++k) {
            const Vec<T> target = load(y + k * stride + i);
            const auto place = [&](std::int64_t j) {
                return s + (j == 0 ? k : n_outputs + k * (n_levels - 1) + j - 1) * stride + i;
            };
            const auto level = [&](std::int64_t j) { return static_cast<T>(top.numbers[j]); };
            const auto slope = [&](Vec<T> q, std::int64_t j) {
                return target < q ? 1 - level(j) + zero : target >= q ? zero - level(j) : zero;
            };
            const auto next = [&](Vec<T> q, std::int64_t j) {
                const Vec<T> value = load(place(j));
                return j == 0 ? value : q + softplus<T>(value);
            };
            Vec<T> q = zero, above = zero, losses = zero;
            for (std::int64_t j = 0; j < n_levels; ++j) {
                q = next(q, j);
                const Vec<T> by_q = slope(q, j);
                above += by_q;
                losses += by_q * (q - target);
            }
            q = zero;
            for (std::int64_t j = 0; j < n_levels; ++j) {
                const Vec<T> value = load(place(j));
                q = next(q, j);
                store(place(j), j == 0 ? above : above * sigmoid_pair<T>(value).p);
                above -= slope(q, j);
            }
            sum += target == target ? losses : zero;
        }
        store(loss + i, sum);
    }
}

// N20: s, and behind it the numbers that the thresholds are made of.
template <class T>
void ordinal(T* s, const T* y, T* loss, std::int64_t n_rows, std::int64_t stride, std::int64_t n_thresholds) {
    const Vec<T> zero{};
    for (std::int64_t i = 0; i < n_rows; i += LANES<T>) {
        const Vec<T> label = load(y + i), at = load(s + i);
        Vec<T> c = zero, a = zero, b = zero, g = zero;
        for (std::int64_t j = 0; j < n_thresholds; ++j) {
            const Vec<T> number = load(s + (1 + j) * stride + i);
            c = j == 0 ? number : c + softplus<T>(number);
            a = label == T(j + 1) ? c - at : a;
            b = label == T(j) ? c - at : b;
            g = label == T(j) ? number : g;
        }
        const auto lower = label > 0, upper = label < T(n_thresholds), inner = lower & upper;
        store(loss + i, (upper ? softplus<T>(-b) : zero) + (lower ? softplus<T>(a) : zero) +
                            (inner ? softplus<T>(-g) : zero));
        const Vec<T> by_b = upper ? -sigmoid_pair<T>(b).q : zero, by_a = lower ? sigmoid_pair<T>(a).p : zero;
        store(s + i, -(by_a + by_b));
        for (std::int64_t j = 0; j < n_thresholds; ++j) {
            T* const place = s + (1 + j) * stride + i;
            const auto [p, q] = sigmoid_pair<T>(load(place));
            const Vec<T> above = (label >= T(j) ? by_b : zero) + (label >= T(j + 1) ? by_a : zero);
            const Vec<T> between = inner & (label == T(j)) ? q : zero;
            store(place, (j == 0 ? above : above * p) - between);
        }
    }
}

template <class T>
void categorical(const TopLayer& top, T* s, const T* y, T* loss, std::int64_t n_rows, std::int64_t stride,
                 std::int64_t n_classes) {  // N7
    const T smoothing = static_cast<T>(top.number(0)), share = smoothing / static_cast<T>(n_classes);
    const bool weighted = top.numbers.size() > 1;
    for (std::int64_t i = 0; i < n_rows; i += LANES<T>) {
        T* const column = s + i;
        const Vec<T> label = load(y + i), zero{};
        Vec<T> m = load(column);
        for (std::int64_t c = 1; c < n_classes; ++c) m = maximum<T>(load(column + c * stride), m);
        Vec<T> rest{}, t_y{}, s_y{}, below{}, weight = 1 + zero;
        for (std::int64_t c = 0; c < n_classes; ++c) {
            const Vec<T> s_c = load(column + c * stride), t = exp<T>(s_c - m);
            const auto is_y = label == T(c);
            rest += is_y ? zero : t;
            t_y = is_y ? t : t_y;
            s_y = is_y ? s_c : s_y;
            below += m - s_c;
            if (weighted) weight = is_y ? zero + static_cast<T>(top.number(1 + c)) : weight;
            store(column + c * stride, t);
        }
        const Vec<T> sum = rest + t_y, log_sum = log1p_nonnegative<T>(rest + (t_y - 1));
        const Vec<T> of_y = (m - s_y) + log_sum;
        if (smoothing == 0 && !weighted) {
            store(loss + i, of_y);
            const Vec<T> inverse = 1 / sum;
            for (std::int64_t c = 0; c < n_classes; ++c)
                store(column + c * stride, (label == T(c) ? -rest : load(column + c * stride)) * inverse);
            continue;
        }
        // the target is 1 − ε + ε/C for class y and ε/C for every other one
        const Vec<T> of_all = below + static_cast<T>(n_classes) * log_sum;
        store(loss + i, weight * ((1 - smoothing) * of_y + share * of_all));
        for (std::int64_t c = 0; c < n_classes; ++c) {
            const Vec<T> p = load(column + c * stride) / sum, minus_e = label == T(c) ? -rest / sum : p;
            store(column + c * stride, weight * ((1 - smoothing) * minus_e + (smoothing * p - share)));
        }
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
    const std::int64_t n_slopes = n_logits + n_scales;
    const auto independent = [&]<L name>() {
        if (likelihood.free_scale)
            independent_outputs<T, name, true>(likelihood, s, y, loss, n_rows, stride, n_slopes);
        else  // what follows from the scale is then computed once
            independent_outputs<T, name, false>(likelihood, s, y, loss, n_rows, stride, n_slopes);
    };
    switch (likelihood.name) {
        case L::normal: return independent.template operator()<L::normal>();
        case L::bernoulli: return independent.template operator()<L::bernoulli>();
        case L::poisson: return independent.template operator()<L::poisson>();
        case L::student_t: return independent.template operator()<L::student_t>();
        case L::laplace: return independent.template operator()<L::laplace>();
        case L::huber: return independent.template operator()<L::huber>();
        case L::negative_binomial: return independent.template operator()<L::negative_binomial>();
        case L::gamma: return independent.template operator()<L::gamma>();
        case L::tweedie: return independent.template operator()<L::tweedie>();
        case L::categorical: return categorical<T>(likelihood, s, y, loss, n_rows, stride, n_logits);
        case L::weibull: return weibull<T>(likelihood, s, y, loss, n_rows, stride);
        case L::quantile: return quantile<T>(likelihood, s, y, loss, n_rows, stride, n_logits);
        case L::ordinal: return ordinal<T>(s, y, loss, n_rows, stride, n_scales);
        case L::given: return given<T>(s, y, loss, n_rows, stride, n_slopes);
        case L::unknown: return;
    }
}

// The mean ŷ of one row in the place of its logits: the inverse of each link, where it is that of each logit
// by itself (chainrule/engine/native.py does the others). Lanes are outputs here; s is filled up to whole
// vectors with anything finite.
template <class T> void mean_of_row(const TopLayer& top, T* s, std::int64_t n_logits) {
    using L = Likelihood;
    const L likelihood = top.name;
    if (likelihood == L::bernoulli)
        for (std::int64_t k = 0; k < n_logits; k += LANES<T>) store(s + k, sigmoid_pair<T>(load(s + k)).p);
    if (likelihood == L::poisson || likelihood == L::negative_binomial || likelihood == L::gamma ||
        likelihood == L::tweedie)
        for (std::int64_t k = 0; k < n_logits; k += LANES<T>) store(s + k, exp<T>(load(s + k)));
    if (likelihood != L::categorical) return;
    const T m = *std::max_element(s, s + n_logits);
    for (std::int64_t k = 0; k < n_logits; k += LANES<T>) store(s + k, exp<T>(load(s + k) - m));
    T sum = 0;
    for (std::int64_t k = 0; k < n_logits; ++k) sum += s[k];
    for (std::int64_t k = 0; k < n_logits; ++k) s[k] /= sum;
}

}  // namespace chainrule
