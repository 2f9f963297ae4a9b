// Elementary functions on vectors, for float and double. Series are Taylor's: the coefficients say what
// they are, and the arguments are reduced until the remainder is below half an ulp.
//
// Largest errors, in ulp, for float and double (tests/engine/test_math.py): exp 1.5, expm1 1, log 2,
// log1p 2.5, tanh 3, sigmoid 3, normal cdf 8. Of log gamma and digamma, whose values go through zero,
// absolutely: 32 and 16 times ε max(1, |value|).
#pragma once

#include <limits>

#include "erfcx_coefficients.hpp"
#include "simd.hpp"

namespace chainrule {

template <class T> struct Float;  // what of the format of T the functions below need

template <> struct Float<float> {
    static constexpr int mantissa_bits = 23, bias = 127;
    static constexpr float round_magic = 12582912.0f;  // 1.5 · 2^23: adding it rounds to a whole number
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float exp_most = 89.0f, exp_least = -104.0f;
    static constexpr int exp_terms = 7, atanh_terms = 5;          // remainders 5e-9 and 2e-9, relative
    static constexpr int stirling_least = 4, stirling_terms = 3;  // remainders 4e-8 and 7e-8
    static constexpr double tweedie_large = 16, tweedie_wide = 1, tweedie_sigmas = 6;  // poisson_gamma.py
    static constexpr int erfcx_degree = 13;
    static constexpr const float* erfcx = ERFCX_FLOAT;
};

template <> struct Float<double> {
    static constexpr int mantissa_bits = 52, bias = 1023;
    static constexpr double round_magic = 6755399441055744.0;  // 1.5 · 2^52
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
    static constexpr double exp_most = 710.0, exp_least = -746.0;
    static constexpr int exp_terms = 13, atanh_terms = 11;         // remainders 4e-18 and 6e-19, relative
    static constexpr int stirling_least = 10, stirling_terms = 7;  // remainders 3e-17 and 5e-17
    static constexpr double tweedie_large = 100, tweedie_wide = 2, tweedie_sigmas = 9;
    static constexpr int erfcx_degree = 24;
    static constexpr const double* erfcx = ERFCX_DOUBLE;
};

// 2^n for whole n in the normal range, n as the low bits of an Int.
template <class T> CHAINRULE_INLINE Vec<T> power_of_two(Vec<Int<T>> n) {
    return bits<T, Int<T>>((n + Float<T>::bias) << Float<T>::mantissa_bits);
}

template <class T> struct Reduced {
    Vec<Int<T>> n;
    Vec<T> r;
};

// x = n log 2 + r with |r| ≤ ½ log 2; x in [exp_least, exp_most].
template <class T> CHAINRULE_INLINE Reduced<T> reduce(Vec<T> x) {
    using F = Float<T>;
    const Vec<T> magic = broadcast<T>(F::round_magic);
    const Vec<T> shifted = x * T(1.4426950408889634074) + magic;
    const Vec<T> n = shifted - magic;
    return {bits<Int<T>, T>(shifted) - bits<Int<T>, T>(magic), (x - n * F::ln2_high) - n * F::ln2_low};
}

template <class T> CHAINRULE_INLINE Vec<T> clamp_exponent(Vec<T> x) {
    // written so that NaN passes through
    x = x > Float<T>::exp_most ? broadcast<T>(Float<T>::exp_most) : x;
    return x < Float<T>::exp_least ? broadcast<T>(Float<T>::exp_least) : x;
}

// e^r − 1 − r for small r: r²/2! + r³/3! + …
template <class T> CHAINRULE_INLINE Vec<T> exp_excess(Vec<T> r) {
    T factorial = 1;
    T inverse[Float<T>::exp_terms + 1] = {};
    for (int k = 1; k <= Float<T>::exp_terms; ++k) inverse[k] = 1 / (factorial *= T(k));
    Vec<T> p = broadcast<T>(inverse[Float<T>::exp_terms]);
    for (int k = Float<T>::exp_terms - 1; k >= 2; --k) p = p * r + inverse[k];
    return r * r * p;
}

template <class T> CHAINRULE_INLINE Vec<T> expm1_series(Vec<T> r) { return r + exp_excess<T>(r); }

template <class T> CHAINRULE_INLINE Vec<T> exp(Vec<T> x) {
    const Reduced<T> z = reduce<T>(clamp_exponent<T>(x));
    const Vec<Int<T>> half = z.n >> 1;  // in two steps: 2^n alone may lie outside the normal range
    return (1 + expm1_series<T>(z.r)) * power_of_two<T>(half) * power_of_two<T>(z.n - half);
}

// e^x − 1 for x ≤ 0, exact where it is tiny.
template <class T> CHAINRULE_INLINE Vec<T> expm1_nonpositive(Vec<T> x) {
    const Vec<T> least = broadcast<T>(T(-60));  // e^−60 no longer counts beside 1, in double either
    const Reduced<T> z = reduce<T>(x < least ? least : x);
    const Vec<T> scale = power_of_two<T>(z.n);
    return scale * expm1_series<T>(z.r) + (scale - 1);
}

// log x for normal x > 0: x = 2^n m, m in [√½, √2), log m = 2 atanh((m − 1) / (m + 1)).
template <class T> CHAINRULE_INLINE Vec<T> log_positive(Vec<T> x) {
    using F = Float<T>;
    using I = Int<T>;
    using U = Unsigned<T>;  // sums of bits wrap around where x is NaN, a missing y
    const Vec<U> offset =
        broadcast<U>((U(F::bias) << F::mantissa_bits) - bits<U, T>(broadcast<T>(T(0.70710678118654752)))[0]);
    const Vec<I> n = (bits<I, U>(bits<U, T>(x) + offset) >> F::mantissa_bits) - F::bias;
    const Vec<T> m = bits<T, U>(bits<U, T>(x) - (bits<U, I>(n) << F::mantissa_bits));
    const Vec<T> f = (m - 1) / (m + 1), square = f * f;
    Vec<T> p = broadcast<T>(T(1) / (2 * F::atanh_terms - 1));
    for (int k = F::atanh_terms - 2; k >= 1; --k) p = p * square + T(1) / (2 * k + 1);
    const Vec<T> whole = __builtin_convertvector(n, Vec<T>);
    return whole * F::ln2_high + (2 * f + (2 * f * square * p + whole * F::ln2_low));
}

// log(1 + t) for t ≥ 0, with 1 / (1 + t); what rounding 1 + t lost is put back.
template <class T> CHAINRULE_INLINE Vec<T> log1p_nonnegative(Vec<T> t, Vec<T> inverse) {
    const Vec<T> u = 1 + t;
    const Vec<T> log_u = log_positive<T>(u) + (t - (u - 1)) * inverse;
    return t > std::numeric_limits<T>::max() ? t : log_u;  // ∞
}

template <class T> CHAINRULE_INLINE Vec<T> log1p_nonnegative(Vec<T> t) {
    return log1p_nonnegative<T>(t, 1 / (1 + t));
}

template <class T> CHAINRULE_INLINE Vec<T> tanh(Vec<T> x) {
    const Vec<T> m = expm1_nonpositive<T>(-2 * absolute<T>(x));  // e^{−2|x|} − 1
    return with_sign<T>(m / (-2 - m), x);
}

// sigmoid(s) and sigmoid(−s) = 1 − sigmoid(s), both with all their digits.
template <class T> struct SigmoidPair {
    Vec<T> p, q;
};

template <class T> CHAINRULE_INLINE SigmoidPair<T> sigmoid_pair(Vec<T> s) {
    const Vec<T> t = exp<T>(-absolute<T>(s)), more = 1 / (1 + t), less = t * more;
    return {s >= 0 ? more : less, s >= 0 ? less : more};
}

template <class T> CHAINRULE_INLINE Vec<T> softplus(Vec<T> s) {
    const Vec<T> positive = s > 0 ? s : (s <= 0 ? Vec<T>{} : s);  // NaN passes through
    return positive + log1p_nonnegative<T>(exp<T>(-absolute<T>(s)));
}

// Stirling: log Γ(x) = (x − ½) log x − x + ½ log 2π + Σ B_2j / (2j (2j − 1) x^(2j−1)), and
// ψ(x) = log x − 1/2x − Σ B_2j / (2j x^2j). Both sums are odd in 1/x, the second one times 1/x.
inline constexpr double LOG_GAMMA_SERIES[] = {1. / 12,   -1. / 360,      1. / 1260, -1. / 1680,
                                              1. / 1188, -691. / 360360, 1. / 156};
inline constexpr double DIGAMMA_SERIES[] = {1. / 12,  -1. / 120,     1. / 252, -1. / 240,
                                            1. / 132, -691. / 32760, 1. / 12};

template <class T> CHAINRULE_INLINE Vec<T> stirling_sum(const double* series, Vec<T> inverse) {
    const Vec<T> square = inverse * inverse;
    Vec<T> p = broadcast<T>(T(series[Float<T>::stirling_terms - 1]));
    for (int k = Float<T>::stirling_terms - 2; k >= 0; --k) p = p * square + T(series[k]);
    return p * inverse;
}

template <class T> struct GammaPair {
    Vec<T> log_gamma, digamma;
};

// log Γ(x) and ψ(x) for x > 0: x goes up by ones until the series is good.
template <class T> CHAINRULE_INLINE GammaPair<T> gamma_pair(Vec<T> x) {
    constexpr int n = Float<T>::stirling_least;
    const Vec<T> one = 1 + Vec<T>{}, zero{};
    const auto large = x >= T(n);
    Vec<T> product = one, inverses = zero;
    const Vec<T> few = large ? one : x;
    for (int k = 0; k < n; ++k) {
        product *= few + T(k);
        inverses += 1 / (few + T(k));
    }
    const Vec<T> up = large ? x : x + T(n), log_up = log_positive<T>(up), inverse = 1 / up;
    const Vec<T> log_gamma =
        (up - T(0.5)) * log_up - up + T(0.91893853320467274178) + stirling_sum<T>(LOG_GAMMA_SERIES, inverse);
    const Vec<T> digamma = log_up - T(0.5) * inverse - inverse * stirling_sum<T>(DIGAMMA_SERIES, inverse);
    return {large ? log_gamma : log_gamma - log_positive<T>(product), large ? digamma : digamma - inverses};
}

// e^{−s²/2}: s² is split so that its rounding does not show.
template <class T> CHAINRULE_INLINE Vec<T> exp_minus_half_square(Vec<T> s) {
    constexpr Int<T> keep = ~((Int<T>{1} << (Float<T>::mantissa_bits / 2 + 1)) - 1);
    const Vec<T> high = bits<T, Int<T>>(bits<Int<T>, T>(s) & keep);
    return exp<T>(T(-0.5) * (high * high)) * exp<T>(T(-0.5) * ((s - high) * (s + high)));
}

// The standard normal: its distribution function Φ(s) and density φ(s), the tails kept.
template <class T> struct NormalPair {
    Vec<T> cdf, density;
};

template <class T> CHAINRULE_INLINE NormalPair<T> normal_pair(Vec<T> s) {
    using F = Float<T>;
    const Vec<T> most = broadcast<T>(F::exp_most / 2);  // e^{−s²/2} is 0 from here on; ∞ would give NaN below
    const Vec<T> size = absolute<T>(s), a = size > most ? most : size;
    const Vec<T> x = a * T(0.70710678118654752440);
    const Vec<T> t = (x - T(ERFCX_K)) / (x + T(ERFCX_K));
    Vec<T> p = broadcast<T>(F::erfcx[F::erfcx_degree]);
    for (int k = F::erfcx_degree - 1; k >= 0; --k) p = p * t + F::erfcx[k];
    const Vec<T> e = exp_minus_half_square<T>(a);
    const Vec<T> tail = T(0.5) * e * p / (1 + 2 * x);  // ½ erfc(x)
    return {s > 0 ? 1 - tail : tail, e * T(0.39894228040143267794)};
}

}  // namespace chainrule
