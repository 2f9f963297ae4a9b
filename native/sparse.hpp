// Rows of which most entries are 0, and their two products with the first layer: N1 and N11 over the entries
// that are there. The sums run in the order of the dense ones, and a term 0 changes none: the bits are
// theirs (but for a linear model of at most NARROW logits, whose dense sums run along the vectors).
#pragma once

#include "product.hpp"

namespace chainrule {

// Compressed rows: the entries of row i are those from starts[i] to starts[i + 1], their columns ascending.
template <class T> struct Csr {
    const std::int64_t* starts = nullptr;
    const std::int32_t* columns = nullptr;
    const T* values = nullptr;
};

// c (n_rows, PANEL) = finish(start + X B[:, one panel]); b is the panel, and row i of the product is row
// at(i) of X.
template <class T, class At, class Finish>
void sparse_product_panel(const Csr<T>& X, const At& at, std::int64_t n_rows, const T* b, const T* start,
                          T* c, const Finish& finish) {
    for (std::int64_t i = 0; i < n_rows; ++i) {
        Vec<T> first = load(start), second = load(start + LANES<T>);
        const std::int64_t row = at(i);
        for (std::int64_t q = X.starts[row]; q < X.starts[row + 1]; ++q) {
            const T* const weights = b + X.columns[q] * static_cast<std::int64_t>(PANEL<T>);
            const Vec<T> x = broadcast<T>(X.values[q]);
            first += x * load(weights);
            second += x * load(weights + LANES<T>);
        }
        const std::int64_t place = i * PANEL<T>;
        store(c + place, finish.template of<T>(first, place));
        store(c + place + LANES<T>, finish.template of<T>(second, place + LANES<T>));
    }
}

// c (n_units, c_stride) = Δ[:, unit …]ᵀ X over n_rows rows; Δ in panels of a_rows rows. With `more`, it is
// added to what is in c.
template <class T, class At>
void sparse_transposed_product(const T* delta, std::int64_t a_rows, const Csr<T>& X, const At& at,
                               std::int64_t n_rows, std::int64_t unit, std::int64_t n_units, bool more, T* c,
                               std::int64_t c_stride) {
    if (!more) std::fill_n(c, n_units * c_stride, T(0));
    for (std::int64_t i = 0; i < n_rows; ++i) {
        const std::int64_t row = at(i);
        for (std::int64_t u = 0; u < n_units; ++u) {
            const T slope = delta[panel_row<T>(a_rows, i, unit + u) + (unit + u) % PANEL<T>];
            T* const sums = c + u * c_stride;
            for (std::int64_t q = X.starts[row]; q < X.starts[row + 1]; ++q)
                sums[X.columns[q]] += slope * X.values[q];
        }
    }
}

}  // namespace chainrule
