// Vectors of the compiler's own kind (GCC, Clang): one text for SSE2, AVX2, AVX-512 and NEON.
// VECTOR_BYTES is set by the build, once for each instruction set (CMakeLists.txt).
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#ifndef CHAINRULE_VECTOR_BYTES
#define CHAINRULE_VECTOR_BYTES 16
#endif

#define CHAINRULE_INLINE inline __attribute__((always_inline))

namespace chainrule {

inline constexpr int VECTOR_BYTES = CHAINRULE_VECTOR_BYTES;

// Lanes of a vector of T.
template <class T> inline constexpr int LANES = VECTOR_BYTES / static_cast<int>(sizeof(T));

template <class T> struct VectorOf {
    typedef T type __attribute__((vector_size(CHAINRULE_VECTOR_BYTES)));
    // The same in memory, at any address that suits a T.
    typedef T unaligned __attribute__((vector_size(CHAINRULE_VECTOR_BYTES), aligned(alignof(T)), may_alias));
};

template <class T> using Vec = typename VectorOf<T>::type;

// The signed and unsigned whole numbers as wide as T: masks, and the bits of floats.
template <class T> using Int = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
template <class T> using Unsigned = std::make_unsigned_t<Int<T>>;

template <class T> CHAINRULE_INLINE Vec<T> broadcast(T value) {
    return value - Vec<T>{};  // − 0 keeps the sign of −0, so the compiler may drop it
}

template <class T> CHAINRULE_INLINE Vec<T> load(const T* p) {
    return *reinterpret_cast<const typename VectorOf<T>::unaligned*>(p);
}

template <class T> CHAINRULE_INLINE void store(T* p, Vec<T> v) {
    *reinterpret_cast<typename VectorOf<T>::unaligned*>(p) = v;
}

template <class To, class From> CHAINRULE_INLINE Vec<To> bits(Vec<From> v) {
    static_assert(sizeof(To) == sizeof(From));
    return reinterpret_cast<Vec<To>>(v);
}

template <class T> CHAINRULE_INLINE Vec<T> absolute(Vec<T> v) {
    const Vec<Unsigned<T>> sign = broadcast<Unsigned<T>>(Unsigned<T>{1} << (8 * sizeof(T) - 1));
    return bits<T, Unsigned<T>>(bits<Unsigned<T>, T>(v) & ~sign);
}

// A size ≥ 0 with the sign of another number.
template <class T> CHAINRULE_INLINE Vec<T> with_sign(Vec<T> size, Vec<T> v) {
    const Vec<Unsigned<T>> sign = broadcast<Unsigned<T>>(Unsigned<T>{1} << (8 * sizeof(T) - 1));
    return bits<T, Unsigned<T>>(bits<Unsigned<T>, T>(size) | (bits<Unsigned<T>, T>(v) & sign));
}

template <class T> CHAINRULE_INLINE Vec<T> maximum(Vec<T> a, Vec<T> b) { return a > b ? a : b; }
template <class T> CHAINRULE_INLINE Vec<T> minimum(Vec<T> a, Vec<T> b) { return a < b ? a : b; }

// The lower and upper halves of a and b, lane by lane in turn: a0 b0 a1 b1 …
template <class T, std::size_t... K>
CHAINRULE_INLINE void interleave(Vec<T> a, Vec<T> b, Vec<T>& lower, Vec<T>& upper,
                                 std::index_sequence<K...>) {
    constexpr int n = LANES<T>;
    lower = __builtin_shufflevector(a, b, static_cast<int>(K / 2 + (K % 2) * n)...);
    upper = __builtin_shufflevector(a, b, static_cast<int>(n / 2 + K / 2 + (K % 2) * n)...);
}

// Lane k gets lane k XOR distance.
template <class T, int distance, std::size_t... K>
CHAINRULE_INLINE Vec<T> exchange(Vec<T> v, std::index_sequence<K...>) {
    return __builtin_shufflevector(v, v, static_cast<int>(K ^ distance)...);
}

// The sum of all lanes, halving again and again.
template <class T, int distance = LANES<T> / 2> CHAINRULE_INLINE T sum_of_lanes(Vec<T> v) {
    if constexpr (distance == 0)
        return v[0];
    else
        return sum_of_lanes<T, distance / 2>(v +
                                             exchange<T, distance>(v, std::make_index_sequence<LANES<T>>{}));
}

// Copy a handful of numbers; shorter than a call where there are only a few.
template <class T> CHAINRULE_INLINE void copy_few(const T* from, std::int64_t n, T* to) {
    constexpr std::int64_t step = 16 / static_cast<std::int64_t>(sizeof(T));
    std::int64_t i = 0;
    for (; i + step <= n; i += step) std::memcpy(to + i, from + i, 16);
    for (; i < n; ++i) to[i] = from[i];
}

// Transpose a square of LANES × LANES: interleaving row i with row i + LANES / 2, log₂ LANES times.
template <class T> CHAINRULE_INLINE void transpose(Vec<T> (&rows)[LANES<T>]) {
    constexpr int n = LANES<T>;
#pragma GCC unroll 4
    for (int done = 1; done < n; done *= 2) {
        Vec<T> next[n];
#pragma GCC unroll 16
        for (int i = 0; i < n / 2; ++i)
            interleave<T>(rows[i], rows[i + n / 2], next[2 * i], next[2 * i + 1],
                          std::make_index_sequence<n>{});
#pragma GCC unroll 16
        for (int i = 0; i < n; ++i) rows[i] = next[i];
    }
}

// Write the transpose of n_rows × n_columns numbers, at most LANES of each; `row(i)` says where row i begins.
// The columns come to lie `stride` apart, each filled up with zeros to a whole vector.
template <class T, class Row>
CHAINRULE_INLINE void transpose_to(const Row& row, std::int64_t n_rows, std::int64_t n_columns, T* to,
                                   std::int64_t stride) {
    constexpr std::int64_t n = LANES<T>;
    if (2 * n_rows <= n || 2 * n_columns <= n) {  // too few for a square
        for (std::int64_t k = 0; k < n_columns; ++k) {
            store(to + k * stride, Vec<T>{});
            for (std::int64_t i = 0; i < n_rows; ++i) to[k * stride + i] = row(i)[k];
        }
        return;
    }
    Vec<T> square[n];
    if (n_rows == n && n_columns == n) {
#pragma GCC unroll 16
        for (std::int64_t i = 0; i < n; ++i) square[i] = load(row(i));
    } else {
        T edge[n * n] = {};
        for (std::int64_t i = 0; i < n_rows; ++i) copy_few(row(i), n_columns, edge + i * n);
#pragma GCC unroll 16
        for (std::int64_t i = 0; i < n; ++i) square[i] = load(edge + i * n);
    }
    transpose<T>(square);
    if (n_columns == n) {
#pragma GCC unroll 16
        for (std::int64_t k = 0; k < n; ++k) store(to + k * stride, square[k]);
    } else {
        for (std::int64_t k = 0; k < n_columns; ++k) store(to + k * stride, square[k]);
    }
}

}  // namespace chainrule
