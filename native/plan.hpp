// What is computed: the layers with their places in θ, and the memory that computing them takes.
#pragma once

#include <memory>
#include <vector>

#include "activations.hpp"
#include "likelihoods.hpp"
#include "memory.hpp"
#include "product.hpp"

namespace chainrule {

struct Layer {
    std::int64_t n_inputs, units;
    Activation activation;
    bool bias;
    double dropout;  // of h_{l-1}, the layer's input
    std::int64_t weight_start;

    std::int64_t bias_start() const { return weight_start + units * n_inputs; }
    // The likelihood's learned numbers (N14) are the biases of a last layer that nothing comes into.
    bool is_scales() const { return n_inputs == 0; }
};

struct Plan {
    std::vector<Layer> layers;
    TopLayer likelihood;
    std::int64_t n_columns;  // of y
    double scale_rate = 0;   // ρ of the scale of the inputs s = 1 + ρ a (N27); 0: there is none

    std::size_t top() const { return layers.size() - 1 - (layers.back().is_scales() ? 1 : 0); }
    std::int64_t n_inputs() const { return layers.front().n_inputs; }
    std::int64_t n_scaled() const { return layers.front().weight_start; }  // of a, before w_1 in θ
    std::int64_t n_logits() const { return layers[top()].units; }
    std::int64_t n_scales() const { return layers.back().is_scales() ? layers.back().units : 0; }
    std::int64_t n_parameters() const {
        const Layer& top = layers.back();
        return top.bias_start() + (top.bias ? top.units : 0);
    }
};

inline constexpr std::int64_t CHUNK_ROWS = 512;  // rows that go through the network together, at most
// Rows that one thread takes through all layers at a time: few, so that they stay in the caches; more where
// the weights do not stay there anyway, because every block reads all of them.
inline std::int64_t block_rows(const Plan& plan, std::size_t bytes) {
    return static_cast<std::size_t>(plan.n_parameters()) * bytes > (std::size_t{1} << 20)
               ? 144
               : round_up(64, TILE_ROWS);
}

// Units of a layer whose weight gradients are one piece of work: enough for all threads to have some, but the
// more, the less often H is read.
inline std::int64_t group_units(const Layer& layer) {
    return layer.units >= 512 ? 64 : layer.units >= 128 ? 32 : 16;
}

struct Group {
    std::size_t layer;
    std::int64_t unit, n_units;
};

// One allocation for everything between x and the gradient; it serves call after call.
template <class T> class Workspace {
public:
    // For chunks of n_rows rows. Weights are packed for the backward pass where it goes (to the input if
    // asked). For sparse rows no place is kept for X.
    Workspace(const Plan& plan, std::int64_t n_rows, int n_threads, bool backward, bool to_input, bool sparse)
        : capacity(n_rows),
          n_rows(round_up(n_rows, ROWS_A_PAGE) + TILE_ROWS),
          n_threads(n_threads),
          backward(backward),
          to_input(to_input),
          sparse(sparse),
          block(block_rows(plan, sizeof(T))) {
        for (std::size_t l = 0; l < plan.layers.size(); ++l)
            for (std::int64_t unit = 0, size = group_units(plan.layers[l]); unit < plan.layers[l].units;
                 unit += size)
                groups.push_back({l, unit, std::min(size, plan.layers[l].units - unit)});
        // the large ones first: then the threads end together
        std::stable_sort(groups.begin(), groups.end(), [&](const Group& a, const Group& b) {
            return a.n_units * plan.layers[a.layer].n_inputs > b.n_units * plan.layers[b.layer].n_inputs;
        });
        row_losses.resize(static_cast<std::size_t>(n_rows));
        group_sums.resize(groups.size());
        memory_ = std::make_unique<Memory<T>>(lay_out(plan, nullptr));
        lay_out(plan, memory_->get());
    }

    // Whether a call with these needs can use this workspace.
    bool serves(std::int64_t rows, int threads, bool wants_backward, bool wants_input, bool is_sparse) const {
        return rows <= capacity && threads <= n_threads && (backward || !wants_backward) &&
               (to_input || !wants_input) && (is_sparse || !sparse);
    }

    T* scratch(int thread) const { return scratch_ + scratch_size_ * thread; }

    std::int64_t capacity;  // rows that it can hold
    // Rows of each panel. A few more than a multiple of the page: the same rows of neighbouring panels must
    // not fall into the same sets of the first cache.
    std::int64_t n_rows;
    int n_threads;
    bool backward, to_input, sparse;
    std::int64_t block;  // rows, at most
    // A place for each layer. In panels: w_lᵀ; w_l where a pass needs it; H_{l-1} as the layer sees it; and
    // Δ_l, which holds r'_l between the passes (at the top: the logits; for ReLU nothing, r' follows from h).
    // Not in panels: b_l, filled up.
    std::vector<T*> weights_forward, weights_backward, biases, inputs, deltas;
    std::vector<Group> groups;
    std::vector<double> row_losses, group_sums;
    const T* zeros = nullptr;
    T* scaled_weights = nullptr;     // w' = w_1 diag(s), row by row, where there is a scale
    std::int64_t bias_gradient = 0;  // where in scratch the gradient of a group's biases stands

private:
    static constexpr std::int64_t ROWS_A_PAGE =
        Memory<T>::PAGE_BYTES / (PANEL<T> * static_cast<std::int64_t>(sizeof(T)));

    // Give every array its place from `base` on; returns how much memory they take together.
    std::int64_t lay_out(const Plan& plan, T* base) {
        constexpr std::int64_t line = Memory<T>::LINE_BYTES / static_cast<std::int64_t>(sizeof(T));
        std::int64_t used = 0;
        const auto take = [&](std::int64_t n) {
            T* const place = base == nullptr ? nullptr : base + used;
            used += round_up(n, line) + 9 * line;  // arrays that are used together start in different sets
            return place;
        };
        for (auto* places : {&weights_forward, &weights_backward, &biases, &inputs, &deltas}) places->clear();
        bias_gradient = 0;
        std::int64_t most_units = 0;
        for (const Layer& layer : plan.layers) {
            const bool top = &layer == &plan.layers[plan.top()];
            weights_forward.push_back(take(panels_size<T>(layer.n_inputs, layer.units)));
            const bool first = &layer == &plan.layers.front();
            const bool packed = (backward && (!first || to_input)) || (top && layer.units <= NARROW);
            weights_backward.push_back(packed ? take(panels_size<T>(layer.units, layer.n_inputs)) : nullptr);
            biases.push_back(take(round_up(layer.units, PANEL<T>)));
            inputs.push_back(take(first && sparse ? 0 : panels_size<T>(n_rows, layer.n_inputs)));
            deltas.push_back(take(backward || top ? panels_size<T>(n_rows, layer.units) : 0));
            const std::int64_t units = std::min(group_units(layer), layer.units);
            bias_gradient = std::max(bias_gradient, units * round_up(layer.n_inputs, PANEL<T>));
            most_units = std::max(most_units, units);
        }
        const std::int64_t loss_columns = plan.n_logits() + plan.n_scales() + plan.n_columns + 1;
        scratch_size_ = std::max({block * PANEL<T>, round_up(plan.n_logits(), PANEL<T>),
                                  loss_columns * round_up(block, LANES<T>),
                                  backward ? bias_gradient + round_up(most_units, PANEL<T>) : 0});
        scratch_size_ = round_up(scratch_size_, line) + 9 * line;
        zeros = take(PANEL<T>);
        scaled_weights = take(plan.n_scaled() > 0 ? plan.layers.front().units * plan.n_inputs() : 0);
        scratch_ = take(scratch_size_ * n_threads);
        return used;
    }

    std::unique_ptr<Memory<T>> memory_;
    T* scratch_ = nullptr;
    std::int64_t scratch_size_ = 0;
};

}  // namespace chainrule
