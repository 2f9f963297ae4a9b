// Matrix products over panels, by one register-blocked micro-kernel.
//
// A matrix with n rows is kept in panels of PANEL<T> columns: element (i, j) is at
// [j / PANEL][i][j % PANEL], and the last panel is filled up. The one layout serves three times: as the left
// factor of the forward and backward products (a row's columns lie together), as the right factor (a panel's
// rows lie together), and as both factors of Δᵀ H. Every element is one sum in one order, whoever computes
// it: the sum is cut into blocks of SUM_BLOCK, and the partial sums go on from block to block.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "simd.hpp"

namespace chainrule {

template <class T> inline constexpr int PANEL = 2 * LANES<T>;  // columns of a panel: two vectors
// Rows of a register tile: 8 × 2 accumulators of the 32 AVX-512 registers, 6 × 2 of the 16 of the others.
inline constexpr int TILE_ROWS = VECTOR_BYTES == 64 ? 8 : 6;
// A block of a panel stays in the first cache, beside what passes by: 16 KiB.
inline constexpr std::int64_t SUM_BLOCK = VECTOR_BYTES == 64 ? 128 : 256;

inline constexpr std::int64_t round_up(std::int64_t n, std::int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

// Elements of a matrix in panels.
template <class T> constexpr std::int64_t panels_size(std::int64_t n_rows, std::int64_t n_columns) {
    return n_rows * round_up(n_columns, PANEL<T>);
}

// Where row i of the panel with column j begins; add j % PANEL for the element.
template <class T> CHAINRULE_INLINE std::int64_t panel_row(std::int64_t n_rows, std::int64_t i,
                                                           std::int64_t j) {
    return (j / PANEL<T>)*n_rows * PANEL<T> + i * PANEL<T>;
}

// acc[r][v] += Σ_k a(r, k) b(k, v) over n_k terms; b's rows are PANEL apart, a's strides are constants.
template <class T, int M, int V, int A_ROW, int A_K>
CHAINRULE_INLINE void accumulate(Vec<T> (&acc)[M][V], const T* a, const T* b, std::int64_t n_k) {
#pragma GCC unroll 2
    for (std::int64_t k = 0; k < n_k; ++k) {
        Vec<T> right[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) right[v] = load(b + v * LANES<T>);
#pragma GCC unroll 16
        for (int r = 0; r < M; ++r) {
            const Vec<T> left = broadcast<T>(a[r * A_ROW]);
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) acc[r][v] += left * right[v];
        }
        a += A_K;
        b += PANEL<T>;
    }
}

// What becomes of a finished sum before it is stored; `at` is its place in c.
struct AsItIs {
    template <class T> CHAINRULE_INLINE static Vec<T> of(Vec<T> sum, std::int64_t) { return sum; }
};

// One tile of A B: M rows, V vectors, terms [k_begin, k_end). A in panels of a_rows rows, at its row `row`;
// b is the right panel. Starts from `start` (one row for all, k_begin = 0) or from what is in c. The tile
// begins at place `at` of the panel c; `last` says whether its sums are finished with these terms.
template <class T, int M, int V, class Finish>
void tile_of_product(const T* A, std::int64_t a_rows, std::int64_t row, const T* b, std::int64_t k_begin,
                     std::int64_t k_end, bool last, const T* start, const Finish& finish, std::int64_t at,
                     T* c) {
    c += at;
    Vec<T> acc[M][V];
#pragma GCC unroll 16
    for (int r = 0; r < M; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v)
            acc[r][v] = load(k_begin == 0 ? start + v * LANES<T> : c + r * PANEL<T> + v * LANES<T>);
    // One loop over pairs of terms, whatever panel they lie in: with an inner loop for each panel, the way
    // out of it costs as much as some terms.
    const T* a = A + panel_row<T>(a_rows, row, k_begin);  // k_begin is a multiple of PANEL
    b += k_begin * PANEL<T>;
    const std::int64_t to_next_panel = (a_rows - 1) * PANEL<T>;
    std::int64_t k = k_begin;
    while (k + 2 <= k_end) {
        accumulate<T, M, V, PANEL<T>, 1>(acc, a, b, 2);
        a += 2;
        b += 2 * PANEL<T>;
        k += 2;
        a += k % PANEL<T> == 0 ? to_next_panel : 0;
    }
    if (k < k_end) accumulate<T, M, V, PANEL<T>, 1>(acc, a, b, 1);
    if (last) {
#pragma GCC unroll 16
        for (int r = 0; r < M; ++r)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v)
                acc[r][v] = finish.template of<T>(acc[r][v], at + r * PANEL<T> + v * LANES<T>);
    }
#pragma GCC unroll 16
    for (int r = 0; r < M; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) store(c + r * PANEL<T> + v * LANES<T>, acc[r][v]);
}

// One tile of Aᵀ B: M columns of A from `a` on (PANEL apart along the sum), V vectors of B.
// Starts from zero or from what is in c.
template <class T, int M, int V>
void tile_of_transposed(const T* a, const T* b, std::int64_t n_k, bool from_zero, T* c,
                        std::int64_t c_stride) {
    Vec<T> acc[M][V];
    for (int r = 0; r < M; ++r)
        for (int v = 0; v < V; ++v) acc[r][v] = from_zero ? Vec<T>{} : load(c + r * c_stride + v * LANES<T>);
    accumulate<T, M, V, 1, PANEL<T>>(acc, a, b, n_k);
#pragma GCC unroll 16
    for (int r = 0; r < M; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) store(c + r * c_stride + v * LANES<T>, acc[r][v]);
}

// [rows − 1][vectors − 1]
template <class T, class Finish = AsItIs> struct Tiles {
    using Product = void (*)(const T*, std::int64_t, std::int64_t, const T*, std::int64_t, std::int64_t, bool,
                             const T*, const Finish&, std::int64_t, T*);
    using Transposed = void (*)(const T*, const T*, std::int64_t, bool, T*, std::int64_t);

    template <int... M> static constexpr auto products(std::integer_sequence<int, M...>) {
        return std::array<std::array<Product, 2>, sizeof...(M)>{
            {{&tile_of_product<T, M + 1, 1, Finish>, &tile_of_product<T, M + 1, 2, Finish>}...}};
    }
    template <int... M> static constexpr auto transposeds(std::integer_sequence<int, M...>) {
        return std::array<std::array<Transposed, 2>, sizeof...(M)>{
            {{&tile_of_transposed<T, M + 1, 1>, &tile_of_transposed<T, M + 1, 2>}...}};
    }
    static constexpr auto product = products(std::make_integer_sequence<int, TILE_ROWS>{});
    static constexpr auto transposed = transposeds(std::make_integer_sequence<int, TILE_ROWS>{});
};

// Vectors that the columns from j on fill: 1 or 2.
template <class T> CHAINRULE_INLINE int vectors_at(std::int64_t j, std::int64_t n_columns) {
    return n_columns - j > LANES<T> ? 2 : 1;
}

// c (n_rows, PANEL) = finish(start + A[row …, :] B[:, panel of column j]); A (a_rows, n_k) and
// B (n_k, n_columns) in panels.
template <class T, class Finish = AsItIs>
void product_panel(const T* A, std::int64_t a_rows, std::int64_t row, std::int64_t n_rows, const T* B,
                   std::int64_t n_k, std::int64_t j, std::int64_t n_columns, const T* start, T* c,
                   const Finish& finish = {}) {
    const T* b = B + panel_row<T>(n_k, 0, j);
    const int v = vectors_at<T>(j, n_columns) - 1;
    for (std::int64_t k = 0; k < n_k; k += SUM_BLOCK) {
        const std::int64_t k_end = std::min(k + SUM_BLOCK, n_k);
        for (std::int64_t i = 0; i < n_rows; i += TILE_ROWS) {
            const std::int64_t m = std::min<std::int64_t>(TILE_ROWS, n_rows - i);
            Tiles<T, Finish>::product[static_cast<std::size_t>(m - 1)][static_cast<std::size_t>(v)](
                A, a_rows, row + i, b, k, k_end, k_end == n_k, start, finish, i * PANEL<T>, c);
        }
    }
}

// At most so many columns are summed along the vectors instead: a panel would be mostly empty.
inline constexpr std::int64_t NARROW = 4;

// The same for C columns.
template <class T, int C>
void narrow_product_of(const T* A, std::int64_t a_rows, std::int64_t row, std::int64_t n_rows, const T* B,
                       std::int64_t n_k, const T* start, T* c) {
    const std::int64_t whole = n_k / PANEL<T> * PANEL<T>;
    // What fills up the last panel of A may be anything, NaN too: only these lanes of it are taken.
    Vec<Int<T>> lane;
    for (int k = 0; k < LANES<T>; ++k) lane[k] = k;
    const auto left = static_cast<Int<T>>(n_k - whole);
    const auto in_first = lane < left, in_second = lane + LANES<T> < left;
    for (std::int64_t i = 0; i < n_rows; ++i) {
        Vec<T> first[C] = {}, second[C] = {};
        const T *a = A + panel_row<T>(a_rows, row + i, 0), *b = B;
        const auto add = [&](Vec<T> a_first, Vec<T> a_second) {
#pragma GCC unroll 4
            for (int j = 0; j < C; ++j) {
                first[j] += a_first * load(b + j * PANEL<T>);
                second[j] += a_second * load(b + j * PANEL<T> + LANES<T>);
            }
        };
        for (std::int64_t k = 0; k < whole; k += PANEL<T>) {
            add(load(a), load(a + LANES<T>));
            a += a_rows * PANEL<T>;
            b += C * PANEL<T>;
        }
        if (left > 0) add(in_first ? load(a) : Vec<T>{}, in_second ? load(a + LANES<T>) : Vec<T>{});
#pragma GCC unroll 4
        for (int j = 0; j < C; ++j) c[i * PANEL<T> + j] = start[j] + sum_of_lanes<T>(first[j] + second[j]);
    }
}

// c (n_rows, PANEL), its first n_columns ≤ NARROW columns = start + A[row …, :] Bᵀ; A (a_rows, n_k) and
// B (n_columns, n_k) in panels, B filled up with zeros.
template <class T>
void narrow_product(const T* A, std::int64_t a_rows, std::int64_t row, std::int64_t n_rows, const T* B,
                    std::int64_t n_k, std::int64_t n_columns, const T* start, T* c) {
    static_assert(NARROW == 4);
    switch (n_columns) {
        case 1: return narrow_product_of<T, 1>(A, a_rows, row, n_rows, B, n_k, start, c);
        case 2: return narrow_product_of<T, 2>(A, a_rows, row, n_rows, B, n_k, start, c);
        case 3: return narrow_product_of<T, 3>(A, a_rows, row, n_rows, B, n_k, start, c);
        case 4: return narrow_product_of<T, 4>(A, a_rows, row, n_rows, B, n_k, start, c);
    }
}

// c (n_units, c_stride) = Δ[:, unit …]ᵀ H over n_rows rows, both in panels of a_rows rows. With `more`, the
// sum goes on from what is in c. c_stride is a multiple of PANEL.
template <class T>
void transposed_product(const T* delta, const T* H, std::int64_t a_rows, std::int64_t n_rows,
                        std::int64_t unit, std::int64_t n_units, std::int64_t n_columns, bool more, T* c,
                        std::int64_t c_stride) {
    for (std::int64_t j = 0; j < n_columns; j += PANEL<T>) {
        const int v = vectors_at<T>(j, n_columns) - 1;
        for (std::int64_t k = 0; k < n_rows; k += SUM_BLOCK) {
            const std::int64_t n_k = std::min(SUM_BLOCK, n_rows - k);
            const T* const h = H + panel_row<T>(a_rows, k, j);
            for (std::int64_t first = 0; first < n_units;) {
                // the units that are left of their panel, in tiles of equal height to within one
                const std::int64_t column = unit + first;
                const std::int64_t left = std::min(n_units - first, PANEL<T> - column % PANEL<T>);
                const std::int64_t m = left / ((left + TILE_ROWS - 1) / TILE_ROWS);
                Tiles<T>::transposed[static_cast<std::size_t>(m - 1)][static_cast<std::size_t>(v)](
                    delta + panel_row<T>(a_rows, k, column) + column % PANEL<T>, h, n_k, k == 0 && !more,
                    c + first * c_stride + j, c_stride);
                first += m;
            }
        }
    }
}

}  // namespace chainrule
