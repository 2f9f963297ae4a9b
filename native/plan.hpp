// What is computed: the layers with their places in θ, and the memory that computing them takes.
#pragma once

#include <memory>
#include <new>
#include <vector>

#include "activations.hpp"
#include "likelihoods.hpp"
#include "product.hpp"

namespace chainrule {

struct Layer {
    std::int64_t n_inputs, units;
    Activation activation;
    bool bias;
    double dropout;  // of h_{l-1}, the layer's input
    std::int64_t weight_start;

    std::int64_t bias_start() const { return weight_start + units * n_inputs; }
};

struct Plan {
    std::vector<Layer> layers;
    Likelihood likelihood;
    std::int64_t n_columns;  // of y

    std::int64_t n_inputs() const { return layers.front().n_inputs; }
    std::int64_t n_logits() const { return layers.back().units; }
    std::int64_t n_parameters() const {
        const Layer& top = layers.back();
        return top.bias_start() + (top.bias ? top.units : 0);
    }
};

inline constexpr std::int64_t CHUNK_ROWS = 512;  // rows that go through the network together, at most
inline constexpr std::int64_t BLOCK_ROWS = 48;   // rows that one thread takes through all layers at a time

// Units whose weight gradients are one piece of work; they lie in one panel.
template <class T> inline constexpr std::int64_t GROUP_UNITS = PANEL<T> < 16 ? PANEL<T> : 16;

struct Group {
    std::size_t layer;
    std::int64_t unit, n_units;
};

// One allocation for everything between x and the gradient; it serves call after call.
template <class T> class Workspace {
public:
    // For chunks of n_rows rows. Weights are packed for the backward pass where it goes (to the input if
    // asked).
    Workspace(const Plan& plan, std::int64_t n_rows, int n_threads, bool backward, bool to_input)
        : n_rows(n_rows),
          n_threads(n_threads),
          backward(backward),
          to_input(to_input) {
        const std::size_t L = plan.layers.size();
        for (auto* places : {&weights_forward, &weights_backward, &biases, &inputs, &deltas})
            places->resize(L);
        std::int64_t widest = 0;
        for (std::size_t l = 0; l < L; ++l) {
            const Layer& layer = plan.layers[l];
            widest = std::max(widest, layer.n_inputs);
            for (std::int64_t unit = 0; unit < layer.units; unit += GROUP_UNITS<T>)
                groups.push_back({l, unit, std::min(GROUP_UNITS<T>, layer.units - unit)});
        }
        const std::int64_t columns = plan.n_logits() + plan.n_columns + 1;
        std::int64_t total = 0;
        const auto take = [&](std::int64_t n) { return std::exchange(total, total + round_up(n, 64)); };
        std::vector<std::int64_t> at;
        for (const Layer& layer : plan.layers) {
            at.push_back(take(panels_size<T>(layer.n_inputs, layer.units)));
            at.push_back(take(backward ? panels_size<T>(layer.units, layer.n_inputs) : 0));
            at.push_back(take(round_up(layer.units, PANEL<T>)));
            at.push_back(take(panels_size<T>(n_rows, layer.n_inputs)));
            const bool top = &layer == &plan.layers.back();
            at.push_back(take(backward || top ? panels_size<T>(n_rows, layer.units) : 0));
        }
        gradient_stride = round_up(widest, PANEL<T>);
        scratch_size = round_up(std::max({BLOCK_ROWS * PANEL<T>, columns * round_up(BLOCK_ROWS, LANES<T>),
                                          backward ? GROUP_UNITS<T> * (gradient_stride + 1) : 0}),
                                64);
        const std::int64_t zeros_at = take(PANEL<T>), scratch_at = take(scratch_size * n_threads);
        memory_.reset(static_cast<T*>(
            ::operator new(static_cast<std::size_t>(total) * sizeof(T), std::align_val_t{64})));
        T* const base = memory_.get();
        std::fill(base, base + total, T(0));
        for (std::size_t l = 0; l < L; ++l) {
            weights_forward[l] = base + at[5 * l];
            weights_backward[l] = backward ? base + at[5 * l + 1] : nullptr;
            biases[l] = base + at[5 * l + 2];
            inputs[l] = base + at[5 * l + 3];
            deltas[l] = base + at[5 * l + 4];
        }
        zeros = base + zeros_at;
        scratch_ = base + scratch_at;
        row_losses.resize(static_cast<std::size_t>(n_rows));
        group_sums.resize(groups.size());
    }

    // Whether a call with these needs can use this workspace.
    bool serves(std::int64_t rows, int threads, bool wants_backward, bool wants_input) const {
        return rows <= n_rows && threads <= n_threads && (backward || !wants_backward) &&
               (to_input || !wants_input);
    }

    T* scratch(int thread) const { return scratch_ + scratch_size * thread; }

    std::int64_t n_rows;
    int n_threads;
    bool backward, to_input;
    // A place for each layer. In panels: w_lᵀ; w_l; H_{l-1} as the layer sees it; and Δ_l, which holds r'_l
    // between the passes (at the top: the logits). Not in panels: b_l, filled up.
    std::vector<T*> weights_forward, weights_backward, biases, inputs, deltas;
    std::vector<Group> groups;
    std::vector<double> row_losses, group_sums;
    const T* zeros = nullptr;
    std::int64_t gradient_stride = 0;  // between the units' rows of a gradient in scratch
    std::int64_t scratch_size = 0;

private:
    struct Free {
        void operator()(T* p) const { ::operator delete(p, std::align_val_t{64}); }
    };
    std::unique_ptr<T, Free> memory_;
    T* scratch_ = nullptr;
};

}  // namespace chainrule
