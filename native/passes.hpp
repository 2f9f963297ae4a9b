// The forward pass, the loss, the backward pass for a block of rows, and the gradients of a group of units:
// N1 to N12, with each product beside its mirror image.
#pragma once

#include "optimizer.hpp"
#include "plan.hpp"
#include "random.hpp"
#include "sparse.hpp"

namespace chainrule {

// Rows of the table, as the caller has them, dense or sparse (X is then null); `order` says which, or is null
// for all as they stand.
template <class T> struct Rows {
    const T* X;
    const T* y;
    const T* weight;
    const std::int64_t* order;
    std::int64_t n;
    const T* offset = nullptr;  // to the logits
    Csr<T> sparse = {};

    bool is_sparse() const { return X == nullptr; }
    std::int64_t at(std::int64_t i) const { return order != nullptr ? order[i] : i; }

    // Σw, or n without weights.
    double total_weight() const {
        if (weight == nullptr) return static_cast<double>(n);
        double sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(weight[at(i)]);
        return sum;
    }
};

// Rows [first, first + n) of a call, whose activations lie in rows [place, place + n) of the workspace.
struct Block {
    std::int64_t first, place, n;
};

struct Dropout {
    bool on = false;
    std::uint64_t seed = 0, step = 0;
};

// ReLU as the product ends: the sum is still in a register.
struct Rectified {
    template <class T> CHAINRULE_INLINE static Vec<T> of(Vec<T> s, std::int64_t) {
        return respond<T, Activation::relu>(s).h;
    }
};

// Its r' times what came down, where the product of the backward pass ends. r' follows from h: it is 1 where
// h > 0, and what was kept by dropout was scaled up.
template <class T> struct WhereRectified {
    const T* h;
    T scale;

    template <class> CHAINRULE_INLINE Vec<T> of(Vec<T> g, std::int64_t at) const {
        return load(h + at) > 0 ? scale * g : Vec<T>{};
    }
};

template <class T> class Passes {
public:
    Passes(const Plan& plan, Workspace<T>& space) : plan_(plan), space_(space) {}

    // Copy the weights and biases of a group of units from θ into the panels of both passes; those of the
    // first layer scaled, where the inputs are.
    void pack(const T* theta, const Group& group) const {
        const Layer& layer = plan_.layers[group.layer];
        const std::int64_t d = layer.n_inputs;
        const T* const w = group.layer == 0 && plan_.n_scaled() > 0
                               ? scale_weights(theta, group)
                               : theta + layer.weight_start + group.unit * d;
        // A narrow top layer takes its rows from the panels of the backward pass; not that of a linear model,
        // whose table may be sparse.
        const bool narrow = group.layer == plan_.top() && group.layer > 0 && layer.units <= NARROW;
        for (std::int64_t u = 0; u < group.n_units && !narrow; u += LANES<T>)
            for (std::int64_t k = 0; k < d; k += LANES<T>)
                transpose_to<T>([&](std::int64_t i) { return w + (u + i) * d + k; },
                                std::min<std::int64_t>(LANES<T>, group.n_units - u),
                                std::min<std::int64_t>(LANES<T>, d - k),
                                space_.weights_forward[group.layer] + panel_row<T>(d, k, group.unit + u) +
                                    (group.unit + u) % PANEL<T>,
                                PANEL<T>);
        if (layer.bias)
            std::copy_n(theta + layer.bias_start() + group.unit, group.n_units,
                        space_.biases[group.layer] + group.unit);
        T* const backward = space_.weights_backward[group.layer];
        if (backward == nullptr) return;
        const std::int64_t whole = d / PANEL<T> * PANEL<T>;
        for (std::int64_t u = 0; u < group.n_units; ++u) {
            const T* const from = w + u * d;
            T* to = backward + panel_row<T>(layer.units, group.unit + u, 0);
            for (std::int64_t j = 0; j < whole; j += PANEL<T>, to += layer.units * PANEL<T>) {
                store(to, load(from + j));
                store(to + LANES<T>, load(from + j + LANES<T>));
            }
            copy_few(from + whole, d - whole, to);
        }
    }

    // N4 for a block; the logits come to lie in deltas[top]. `with_slopes`: keep r' too, but that of ReLU,
    // which follows from h.
    void forward(const Rows<T>& rows, const Block& block, const Dropout& dropout, bool with_slopes) const {
        if (!rows.is_sparse()) gather(rows, block, dropout);
        const std::int64_t row = block.place, n = block.n;
        const std::size_t top = plan_.top();
        for (std::size_t l = 0; l <= top; ++l) {
            const Layer& layer = plan_.layers[l];
            T* const H = l == top ? space_.deltas[l] : space_.inputs[l + 1];
            const bool sparse = l == 0 && rows.is_sparse();
            for (std::int64_t j = 0; j < layer.units; j += PANEL<T>) {
                T* const c = H + panel_row<T>(space_.n_rows, row, j);
                if (l == top && layer.units <= NARROW && !sparse) {
                    narrow_product<T>(space_.inputs[l], space_.n_rows, row, n, space_.weights_backward[l],
                                      layer.n_inputs, layer.units, space_.biases[l], c);  // N1
                    continue;
                }
                const auto product = [&](const auto& finish) {
                    if (sparse) {
                        const auto at = [&](std::int64_t i) { return rows.at(block.first + i); };
                        const T* const panel = space_.weights_forward[l] + panel_row<T>(layer.n_inputs, 0, j);
                        sparse_product_panel<T>(rows.sparse, at, n, panel, space_.biases[l] + j, c, finish);
                        return;
                    }
                    product_panel<T>(space_.inputs[l], space_.n_rows, row, n, space_.weights_forward[l],
                                     layer.n_inputs, j, layer.units, space_.biases[l] + j, c, finish);  // N1
                };
                T* d = nullptr;
                if (layer.activation == Activation::relu) {
                    product(Rectified{});  // N2
                } else {
                    product(AsItIs{});
                    if (l == top) continue;
                    if (with_slopes) d = space_.deltas[l] + panel_row<T>(space_.n_rows, row, j);
                    respond_all<T>(layer.activation, c, d, n, vectors_at<T>(j, layer.units));  // N2, N9
                }
                drop(l + 1, block, j, dropout, c, d);
            }
        }
    }

    // The loss of each row of a block into row_losses, weighted; −e over Σw (N9 at the top) in the place of
    // the logits. The learned scales stand behind the logits of each row (N14), and so do their derivatives.
    void loss(const Rows<T>& rows, const Block& block, double total_weight, T* scratch) const {
        const std::int64_t row = block.place, n = block.n;
        const std::int64_t stride = round_up(n, LANES<T>), n_logits = plan_.n_logits(),
                           n_scales = plan_.n_scales(), n_columns = plan_.n_columns;
        T *const s = scratch, *const scales = s + n_logits * stride, *const y = scales + n_scales * stride,
                 *const losses = y + n_columns * stride;
        T* const logits = space_.deltas[plan_.top()];
        by_columns(
            [&](std::int64_t i, std::int64_t c) {
                return logits + panel_row<T>(space_.n_rows, row + i, c) + c % PANEL<T>;
            },
            n, n_logits, s, stride);
        by_columns(
            [&](std::int64_t i, std::int64_t c) { return rows.y + rows.at(block.first + i) * n_columns + c; },
            n, n_columns, y, stride);
        for (std::int64_t k = 0; k < n_scales; ++k)
            std::fill_n(scales + k * stride, stride, space_.biases.back()[k]);
        for (std::int64_t i = 0; rows.offset != nullptr && i < n; ++i)
            for (std::int64_t c = 0; c < n_logits; ++c)
                s[c * stride + i] += rows.offset[rows.at(block.first + i) * n_logits + c];
        loss_and_slope<T>(plan_.likelihood, s, y, losses, n, stride, n_logits, n_scales);
        // what each row counts, in the place of its target
        T* const shares = y;
        const double equal_share = 1 / total_weight;
        for (std::int64_t i = 0; i < n; ++i) {
            double share = equal_share;
            if (rows.weight != nullptr) {
                const auto weight = static_cast<double>(rows.weight[rows.at(block.first + i)]);
                share = weight == 0 ? 0 : weight / total_weight;  // all of a batch may be 0
            }
            // a row of weight 0 counts for nothing, though its loss be infinite
            space_.row_losses[static_cast<std::size_t>(row + i)] =
                share == 0 ? 0 : share * static_cast<double>(losses[i]);
            shares[i] = static_cast<T>(share);
        }
        put_slopes(s, shares, stride, n, n_logits, logits, row);
        if (space_.needs.backward) put_slopes(scales, shares, stride, n, n_scales, space_.deltas.back(), row);
    }

    // N9 and N10 for a block: from Δ_L down to Δ_1, and to ∂loss/∂X (n_rows of the call, n_inputs) where it
    // is wanted.
    void backward(const Block& block, const Dropout& dropout, T* input_gradient, T* scratch) const {
        const std::int64_t row = block.place, n = block.n;
        for (std::size_t l = plan_.top(); l > 0 || input_gradient != nullptr; --l) {
            const Layer& layer = plan_.layers[l];
            const T scale = dropout.on ? static_cast<T>(1 / (1 - layer.dropout)) : T(1);
            for (std::int64_t j = 0; j < layer.n_inputs; j += PANEL<T>) {
                const auto product = [&](T* c, const auto& finish) {
                    product_panel<T>(space_.deltas[l], space_.n_rows, row, n, space_.weights_backward[l],
                                     layer.units, j, layer.n_inputs, space_.zeros, c, finish);  // N10
                };
                const std::int64_t at = panel_row<T>(space_.n_rows, row, j);
                if (l > 0 && plan_.layers[l - 1].activation == Activation::relu) {
                    product(space_.deltas[l - 1] + at,
                            WhereRectified<T>{space_.inputs[l] + at, scale});  // N9
                    continue;
                }
                product(scratch, AsItIs{});
                if (l > 0) {
                    T* const delta = space_.deltas[l - 1] + at;  // it holds r'
                    for (std::int64_t i = 0; i < n * PANEL<T>; i += LANES<T>)
                        store(delta + i, load(delta + i) * load(scratch + i));  // N9
                    continue;
                }
                drop(0, block, j, dropout, scratch, nullptr);
                for (std::int64_t i = 0; i < n; ++i)
                    std::copy_n(scratch + i * PANEL<T>, std::min<std::int64_t>(PANEL<T>, layer.n_inputs - j),
                                input_gradient + (block.first + i) * layer.n_inputs + j);
            }
            if (l == 0) break;
        }
    }

    // N11 and N12 for a group over a block, into scratch: the rows of ∂loss/∂w_l close together. Returns
    // where ∂loss/∂b_l of the group lies.
    T* weight_gradient(const Rows<T>& rows, const Block& block, const Group& group, T* scratch) const {
        T* const bias = scratch + space_.bias_gradient;
        sum_gradient(rows, block, group, false, scratch, bias);
        const std::int64_t d = plan_.layers[group.layer].n_inputs, stride = round_up(d, PANEL<T>);
        for (std::int64_t u = 1; stride != d && u < group.n_units; ++u)
            std::copy_n(scratch + u * stride, d, scratch + u * d);
        return bias;
    }

    // N11 and N12 for all layers over a block, into the gradient of a part; `more`: added to what is there.
    void part_gradient(const Rows<T>& rows, const Block& block, std::int64_t part, bool more) const {
        for (std::size_t l = 0; l < plan_.layers.size(); ++l)
            sum_gradient(rows, block, {l, 0, plan_.layers[l].units}, more, space_.part_weights(part, l),
                         space_.part_biases(part, l));
    }

    // The gradients of the parts of a group added up, in their order; where they come to lie, and what is
    // returned, is as in weight_gradient.
    T* sum_of_parts(std::int64_t n_parts, const Group& group, T* scratch) const {
        const Layer& layer = plan_.layers[group.layer];
        const std::int64_t d = layer.n_inputs, stride = round_up(d, PANEL<T>);
        // The end of a row is filled up, and what it is filled up with lies where the next row begins.
        for (std::int64_t u = 0; u < group.n_units; ++u)
            add_parts(n_parts, space_.part_weights(0, group.layer) + (group.unit + u) * stride, d,
                      scratch + u * d);
        T* const bias = scratch + space_.bias_gradient;
        if (layer.bias)
            add_parts(n_parts, space_.part_biases(0, group.layer) + group.unit, group.n_units, bias);
        return bias;
    }

    // N27 for the inputs [j, j + SCALED): their ∂loss/∂w' in the gradient becomes ∂loss/∂w_1, and ∂loss/∂a is
    // put beside. The sum over the units runs in their order.
    void through_scale(const T* theta, T* gradient, std::int64_t j) const {
        const std::int64_t d = plan_.n_scaled(), n = std::min(SCALED, d - j);
        T s[SCALED], sums[SCALED] = {};
        for (std::int64_t i = 0; i < n; ++i) s[i] = scale_of(theta, j + i);
        for (std::int64_t at = d + j; at < d + plan_.layers.front().units * d; at += d)
            for (std::int64_t i = 0; i < n; ++i) {
                sums[i] += theta[at + i] * gradient[at + i];
                gradient[at + i] *= s[i];
            }
        for (std::int64_t i = 0; i < n; ++i) gradient[j + i] = static_cast<T>(plan_.scale_rate) * sums[i];
    }
    static constexpr std::int64_t SCALED = 64;

private:
    // The numbers of n rows, column after column, each filled up to whole vectors; `at(i, c)` says where
    // those of row i from column c on are.
    template <class At>
    static void by_columns(const At& at, std::int64_t n, std::int64_t n_columns, T* to, std::int64_t stride) {
        for (std::int64_t c = 0; c < n_columns; c += LANES<T>)
            for (std::int64_t i = 0; i < n; i += LANES<T>)
                transpose_to<T>([&](std::int64_t k) { return at(i + k, c); },
                                std::min<std::int64_t>(LANES<T>, n - i),
                                std::min<std::int64_t>(LANES<T>, n_columns - c), to + c * stride + i, stride);
    }

    // The slopes of n rows, column after column, each times its row's share, into panels from row `row` on.
    void put_slopes(T* slopes, const T* shares, std::int64_t stride, std::int64_t n, std::int64_t n_columns,
                    T* panels, std::int64_t row) const {
        for (std::int64_t i = 0; i < n; i += LANES<T>) {
            const Vec<T> share = load(shares + i);
            for (std::int64_t c = 0; c < n_columns; ++c) {
                T* const at = slopes + c * stride + i;
                store(at, times<T>(share, load(at)));
            }
            for (std::int64_t c = 0; c < n_columns; c += LANES<T>)
                transpose_to<T>([&](std::int64_t k) { return slopes + (c + k) * stride + i; },
                                std::min<std::int64_t>(LANES<T>, n_columns - c),
                                std::min<std::int64_t>(LANES<T>, n - i),
                                panels + panel_row<T>(space_.n_rows, row + i, c) + c % PANEL<T>, PANEL<T>);
        }
    }

    // N11 and N12 for a group over a block: the rows of ∂loss/∂w_l into `weights`, each filled up to a whole
    // panel, and ∂loss/∂b_l into `biases`.
    void sum_gradient(const Rows<T>& rows, const Block& block, const Group& group, bool more, T* weights,
                      T* biases) const {
        const Layer& layer = plan_.layers[group.layer];
        const std::int64_t d = layer.n_inputs, stride = round_up(d, PANEL<T>), n = block.n;
        const T* const delta = space_.deltas[group.layer] + panel_row<T>(space_.n_rows, block.place, 0);
        if (group.layer == 0 && rows.is_sparse()) {
            const auto at = [&](std::int64_t i) { return rows.at(block.first + i); };
            sparse_transposed_product<T>(delta, space_.n_rows, rows.sparse, at, n, group.unit, group.n_units,
                                         more, weights, stride);  // N11
        } else {
            const T* const H = space_.inputs[group.layer] + panel_row<T>(space_.n_rows, block.place, 0);
            transposed_product<T>(delta, H, space_.n_rows, n, group.unit, group.n_units, d, more, weights,
                                  stride);  // N11
        }
        for (std::int64_t u = 0; layer.bias && u < group.n_units; u += LANES<T>) {
            const std::int64_t unit = group.unit + u;
            const T* const column = delta + panel_row<T>(space_.n_rows, 0, unit) + unit % PANEL<T>;
            Vec<T> sums[4] = {};  // four at a time: one sum would wait for its own last term
            std::int64_t i = 0;
            for (; i + 4 <= n; i += 4)
#pragma GCC unroll 4
                for (std::int64_t q = 0; q < 4; ++q) sums[q] += load(column + (i + q) * PANEL<T>);  // N12
            for (; i < n; ++i) sums[0] += load(column + i * PANEL<T>);
            const Vec<T> sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
            store(biases + u, more ? load(biases + u) + sum : sum);
        }
    }

    // to = Σ over the parts of n numbers from `first` on; as many as fill the last vector are written.
    void add_parts(std::int64_t n_parts, const T* first, std::int64_t n, T* to) const {
        for (std::int64_t i = 0; i < n; i += LANES<T>) {
            Vec<T> sum = load(first + i);
            for (std::int64_t p = 1; p < n_parts; ++p) sum += load(first + p * space_.part_size + i);
            store(to + i, sum);
        }
    }

    T scale_of(const T* theta, std::int64_t j) const {
        return 1 + static_cast<T>(plan_.scale_rate) * theta[j];
    }

    // N27: w' = w_1 diag(s) of a group of units; returns its first row.
    const T* scale_weights(const T* theta, const Group& group) const {
        const std::int64_t d = plan_.n_scaled();
        const T* const w = theta + d + group.unit * d;
        T* const to = space_.scaled_weights + group.unit * d;
        for (std::int64_t u = 0; u < group.n_units; ++u)
            for (std::int64_t j = 0; j < d; ++j) to[u * d + j] = w[u * d + j] * scale_of(theta, j);
        return to;
    }

    void gather(const Rows<T>& rows, const Block& block, const Dropout& dropout) const {
        const std::int64_t d = plan_.n_inputs();
        for (std::int64_t j = 0; j < d; j += PANEL<T>) {
            T* const c = space_.inputs[0] + panel_row<T>(space_.n_rows, block.place, j);
            const std::int64_t width = std::min<std::int64_t>(PANEL<T>, d - j);
            for (std::int64_t i = 0; i < block.n; ++i) {
                const T* const x = rows.X + rows.at(block.first + i) * d + j;
                T* const to = c + i * PANEL<T>;
                if (width < PANEL<T>) {
                    copy_few(x, width, to);
                } else {
                    store(to, load(x));
                    store(to + LANES<T>, load(x + LANES<T>));
                }
            }
            drop(0, block, j, dropout, c, nullptr);
        }
    }

    // Drop from the panel of column j of the input of layer `level`, for the rows of a block.
    void drop(std::size_t level, const Block& block, std::int64_t j, const Dropout& dropout, T* c,
              T* d) const {
        const Layer& layer = plan_.layers[level];
        if (!dropout.on || layer.dropout == 0) return;
        const std::uint64_t key = stream_key(dropout.seed, dropout.step, level);
        const std::int64_t width = std::min<std::int64_t>(PANEL<T>, layer.n_inputs - j);
        for (std::int64_t i = 0; i < block.n; ++i)
            drop_units<T>(c + i * PANEL<T>, d == nullptr ? nullptr : d + i * PANEL<T>, key, block.first + i,
                          j, width, layer.dropout);
    }

    const Plan& plan_;
    Workspace<T>& space_;
};

}  // namespace chainrule
