// The activation functions r and their derivatives r', beside each other (N2, N9).
// The table in chainrule/architecture/activations.py is the same in NumPy; the names are the keys.
#pragma once

#include <string_view>

#include "math.hpp"

namespace chainrule {

enum class Activation {
    identity,
    sigmoid,
    tanh,
    relu,
    leaky_relu,
    elu,
    selu,
    gelu,
    silu,
    mish,
    softplus,
    unknown
};

inline Activation activation_named(std::string_view name) {
    constexpr std::string_view names[] = {"identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu",
                                          "selu",     "gelu",    "silu", "mish", "softplus"};
    int k = 0;
    for (const auto& known : names) {
        if (name == known) return static_cast<Activation>(k);
        ++k;
    }
    return Activation::unknown;
}

// h = r(s) and d = r'(s).
template <class T> struct Response {
    Vec<T> h, d;
};

template <class T> CHAINRULE_INLINE Response<T> exponential_linear(Vec<T> s, T alpha, T scale) {
    const Vec<T> m = alpha * expm1_nonpositive<T>(s > 0 ? Vec<T>{} : s);
    return {scale * (s > 0 ? s : m), scale * (s > 0 ? broadcast<T>(1) : m + alpha)};
}

template <class T, Activation activation> CHAINRULE_INLINE Response<T> respond(Vec<T> s) {
    const Vec<T> zero{}, one = broadcast<T>(1);
    if constexpr (activation == Activation::identity) {
        return {s, one};
    } else if constexpr (activation == Activation::sigmoid) {
        const SigmoidPair<T> z = sigmoid_pair<T>(s);
        return {z.p, z.p * z.q};
    } else if constexpr (activation == Activation::tanh) {
        const Vec<T> h = tanh<T>(s);
        return {h, 1 - h * h};
    } else if constexpr (activation == Activation::relu) {
        return {s > 0 ? s : (s <= 0 ? zero : s), s > 0 ? one : zero};  // NaN passes through
    } else if constexpr (activation == Activation::leaky_relu) {
        const Vec<T> slope = broadcast<T>(T(0.01));
        return {s > 0 ? s : slope * s, s > 0 ? one : slope};
    } else if constexpr (activation == Activation::elu) {
        return exponential_linear<T>(s, 1, 1);
    } else if constexpr (activation == Activation::selu) {
        return exponential_linear<T>(s, T(1.6732632423543772), T(1.0507009873554805));
    } else if constexpr (activation == Activation::gelu) {
        const NormalPair<T> z = normal_pair<T>(s);
        return {s * z.cdf, z.cdf + s * z.density};
    } else if constexpr (activation == Activation::silu) {
        const SigmoidPair<T> z = sigmoid_pair<T>(s);
        return {s * z.p, z.p * (1 + s * z.q)};
    } else if constexpr (activation == Activation::mish) {
        // tanh(log(1 + e^s)) as a quotient in w = e^{−|s|}: nothing is subtracted
        const Vec<T> w = exp<T>(-absolute<T>(s)), square = w * w;
        const Vec<T> above = s > 0 ? 1 + 2 * w : square + 2 * w, rest = s > 0 ? 2 * square : broadcast<T>(2);
        const Vec<T> t = above / (above + rest);
        const Vec<T> p = (s > 0 ? one : w) / (1 + w);
        // 1 − t² = (1 − t)(1 + t), and 1 − t = rest / (above + rest)
        return {s * t, t + s * p * (rest / (above + rest)) * (1 + t)};
    } else {
        static_assert(activation == Activation::softplus);
        return {softplus<T>(s), sigmoid_pair<T>(s).p};
    }
}

// Overwrite the pre-activations of a panel of n rows by r(s), and write r'(s) beside them where there is a
// place for it. The first `vectors` of each row's two count.
template <class T, Activation activation>
void respond_all(T* s_to_h, T* d, std::int64_t n_rows, int vectors) {
    if (activation == Activation::identity && d == nullptr) return;
    const std::int64_t n = n_rows * 2 * LANES<T>, step = vectors == 2 ? LANES<T> : 2 * LANES<T>;
    for (std::int64_t i = 0; i < n; i += step) {
        const Response<T> response = respond<T, activation>(load(s_to_h + i));
        store(s_to_h + i, response.h);
        if (d != nullptr) store(d + i, response.d);
    }
}

template <class T>
void respond_all(Activation activation, T* s_to_h, T* d, std::int64_t n_rows, int vectors) {
    using A = Activation;
    const auto all = [&]<A a>() { respond_all<T, a>(s_to_h, d, n_rows, vectors); };
    switch (activation) {
        case A::identity: return all.template operator()<A::identity>();
        case A::sigmoid: return all.template operator()<A::sigmoid>();
        case A::tanh: return all.template operator()<A::tanh>();
        case A::relu: return all.template operator()<A::relu>();
        case A::leaky_relu: return all.template operator()<A::leaky_relu>();
        case A::elu: return all.template operator()<A::elu>();
        case A::selu: return all.template operator()<A::selu>();
        case A::gelu: return all.template operator()<A::gelu>();
        case A::silu: return all.template operator()<A::silu>();
        case A::mish: return all.template operator()<A::mish>();
        case A::softplus: return all.template operator()<A::softplus>();
        case A::unknown: return;
    }
}

}  // namespace chainrule
