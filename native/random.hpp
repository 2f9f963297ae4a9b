// Which activations are kept: a counter-based generator. chainrule/engine/dropout.py is the same text in
// NumPy and says where it comes from; the bits of a unit depend on (seed, step, layer, row, unit) alone.
#pragma once

#include "simd.hpp"

namespace chainrule {

inline std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

inline constexpr std::uint64_t GOLDEN = 0x9E3779B97F4A7C15u;

inline std::uint64_t stream_key(std::uint64_t seed, std::uint64_t step, std::uint64_t layer) {
    return mix((mix((mix(seed + GOLDEN) ^ step) + GOLDEN) ^ layer) + GOLDEN);
}

struct RowBits {
    std::uint32_t low, high;

    RowBits(std::uint64_t key, std::uint64_t row) {
        const std::uint64_t z = mix((key ^ row) + GOLDEN);
        low = static_cast<std::uint32_t>(z);
        high = static_cast<std::uint32_t>(z >> 32);
    }

    std::uint32_t operator()(std::uint32_t unit) const {
        std::uint32_t x = low + unit * 0x9E3779B9u;
        x = (x ^ (x >> 16)) * 0x7FEB352Du + high;
        x = (x ^ (x >> 15)) * 0x846CA68Bu;
        return x ^ (x >> 16);
    }
};

// Drop n units of a row, from `first` on, with probability rate; scale the kept ones in h, and in d where
// given.
template <class T>
void drop_units(T* h, T* d, std::uint64_t key, std::int64_t row, std::int64_t first, std::int64_t n,
                double rate) {
    const RowBits bits(key, static_cast<std::uint64_t>(row));
    const auto threshold = static_cast<std::uint32_t>(rate * 4294967296.0);
    const T scale = static_cast<T>(1 / (1 - rate));
    for (std::int64_t j = 0; j < n; ++j) {
        const T factor = bits(static_cast<std::uint32_t>(first + j)) >= threshold ? scale : T(0);
        h[j] *= factor;
        if (d != nullptr) d[j] *= factor;
    }
}

}  // namespace chainrule
