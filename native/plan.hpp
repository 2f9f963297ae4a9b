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

// How many parts the gradient over so many rows is summed in, each part on its own from the first layer to
// the last: a thread then hands on no more than the sums. 0: in none. All threads then share all activations,
// and each sums the gradients of some units over all rows. That is better where the sums are larger than the
// activations, or do not stay in the caches. Where there are more than two, each has some hundred rows: its
// sums go from core to core. It must not depend on the threads: the sums would.
inline std::int64_t gradient_parts(const Plan& plan, std::int64_t n_rows) {
    constexpr std::int64_t ROWS_A_PART = 96, MOST_PARTS = 8, MOST_PARAMETERS = std::int64_t{1} << 15,
                           PARAMETERS_A_COLUMN = 48;
    std::int64_t columns = 0;
    for (const Layer& layer : plan.layers) columns += layer.n_inputs + layer.units;
    if (plan.n_parameters() > std::min(MOST_PARAMETERS, PARAMETERS_A_COLUMN * columns)) return 0;
    // a power of two, so that as many threads have the same work
    std::int64_t parts = n_rows < ROWS_A_PART ? 1 : 2;
    while (parts < MOST_PARTS && n_rows >= 2 * parts * ROWS_A_PART) parts *= 2;
    return parts;
}

struct Group {
    std::size_t layer;
    std::int64_t unit, n_units;
};

// What a call needs of a workspace.
struct Needs {
    std::int64_t n_rows;  // that go through the network together
    int n_threads = 1;
    bool backward = false, to_input = false, sparse = false;
    std::int64_t n_parts = 0;

    bool within(const Needs& other) const {
        return n_rows <= other.n_rows && n_threads <= other.n_threads && backward <= other.backward &&
               to_input <= other.to_input && sparse >= other.sparse && n_parts <= other.n_parts;
    }

    // What serves both.
    Needs with(const Needs& other) const {
        return {std::max(n_rows, other.n_rows), std::max(n_threads, other.n_threads),
                backward || other.backward,     to_input || other.to_input,
                sparse && other.sparse,         std::max(n_parts, other.n_parts)};
    }
};

// One allocation for everything between x and the gradient; it serves call after call.
template <class T> class Workspace {
public:
    // Weights are packed for the backward pass where it goes (to the input if asked). For sparse rows no
    // place is kept for X.
    Workspace(const Plan& plan, const Needs& needs)
        : needs(needs),
          n_rows(round_up(needs.n_rows, ROWS_A_PAGE) + TILE_ROWS),
          block(block_rows(plan, sizeof(T))) {
        for (std::size_t l = 0; l < plan.layers.size(); ++l) {
            const Layer& layer = plan.layers[l];
            const std::int64_t size = needs.n_parts > 0 ? PANEL<T> / 2 : group_units(layer);
            for (std::int64_t unit = 0; unit < layer.units; unit += size) {
                const std::int64_t n_units = std::min(size, layer.units - unit);
                groups.push_back({l, unit, n_units});
                group_ends_.push_back((group_ends_.empty() ? 0 : group_ends_.back()) +
                                      n_units * (layer.n_inputs + 1));
            }
        }
        row_losses.resize(static_cast<std::size_t>(needs.n_rows));
        part_losses.resize(static_cast<std::size_t>(needs.n_parts));
        group_sums.resize(groups.size());
        memory_ = std::make_unique<Memory<T>>(lay_out(plan, nullptr));
        lay_out(plan, memory_->get());
    }

    T* scratch(int thread) const { return scratch_ + scratch_size_ * thread; }

    // The first group of each of n threads, so that they have about as many parameters; and the number of
    // groups.
    std::vector<std::int64_t> group_starts(int n) const {
        std::vector<std::int64_t> starts{0};
        for (std::int64_t thread = 1; thread <= n; ++thread) {
            const std::int64_t share = group_ends_.back() * thread / n;
            starts.push_back(std::upper_bound(group_ends_.begin(), group_ends_.end(), share) -
                             group_ends_.begin());
        }
        return starts;
    }

    // Where the rows of each thread lie where they pass through all layers by themselves. A page is free
    // between them: the processor fetches ahead of what is read, and would take what another thread is
    // writing.
    std::int64_t place(int thread) const { return thread * (block + ROWS_A_PAGE); }
    static std::int64_t rows_for_threads(const Plan& plan, int n_threads) {
        return n_threads * (block_rows(plan, sizeof(T)) + ROWS_A_PAGE);
    }

    // The gradient of a part: the rows of ∂loss/∂w_l, each filled up to a whole panel, and ∂loss/∂b_l.
    T* part_weights(std::int64_t part, std::size_t layer) const {
        return parts_ + part * part_size + part_starts_[layer].weights;
    }
    T* part_biases(std::int64_t part, std::size_t layer) const {
        return parts_ + part * part_size + part_starts_[layer].biases;
    }

    const Needs needs;
    // Rows of each panel. A few more than a multiple of the page: the same rows of neighbouring panels must
    // not fall into the same sets of the first cache.
    std::int64_t n_rows;
    std::int64_t block;          // rows, at most
    std::int64_t part_size = 0;  // numbers of the gradient of a part
    // A place for each layer. In panels: w_lᵀ; w_l where a pass needs it; H_{l-1} as the layer sees it; and
    // Δ_l, which holds r'_l between the passes (at the top: the logits; for ReLU nothing, r' follows from h).
    // Not in panels: b_l, filled up.
    std::vector<T*> weights_forward, weights_backward, biases, inputs, deltas;
    std::vector<Group> groups;
    std::vector<double> row_losses, part_losses, group_sums;
    std::vector<T> whole_gradient;  // where a step must have it, made when it is first asked for
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
        bias_gradient = part_size = 0;
        part_starts_.clear();
        std::int64_t most_units = 0;
        for (const Layer& layer : plan.layers) {
            const bool top = &layer == &plan.layers[plan.top()];
            weights_forward.push_back(take(panels_size<T>(layer.n_inputs, layer.units)));
            const bool first = &layer == &plan.layers.front();
            const bool packed =
                (needs.backward && (!first || needs.to_input)) || (top && layer.units <= NARROW);
            weights_backward.push_back(packed ? take(panels_size<T>(layer.units, layer.n_inputs)) : nullptr);
            biases.push_back(take(round_up(layer.units, PANEL<T>)));
            inputs.push_back(take(first && needs.sparse ? 0 : panels_size<T>(n_rows, layer.n_inputs)));
            deltas.push_back(take(needs.backward || top ? panels_size<T>(n_rows, layer.units) : 0));
            const std::int64_t units = std::min(group_units(layer), layer.units);
            bias_gradient = std::max(bias_gradient, units * round_up(layer.n_inputs, PANEL<T>));
            most_units = std::max(most_units, units);
            const std::int64_t biases_at = part_size + layer.units * round_up(layer.n_inputs, PANEL<T>);
            part_starts_.push_back({part_size, biases_at});
            part_size = biases_at + round_up(layer.units, PANEL<T>);
        }
        part_size += 9 * line;
        const std::int64_t loss_columns = plan.n_logits() + plan.n_scales() + plan.n_columns + 1;
        scratch_size_ = std::max({block * PANEL<T>, round_up(plan.n_logits(), PANEL<T>),
                                  loss_columns * round_up(block, LANES<T>),
                                  needs.backward ? bias_gradient + round_up(most_units, PANEL<T>) : 0});
        scratch_size_ = round_up(scratch_size_, line) + 9 * line;
        zeros = take(PANEL<T>);
        scaled_weights = take(plan.n_scaled() > 0 ? plan.layers.front().units * plan.n_inputs() : 0);
        scratch_ = take(scratch_size_ * needs.n_threads);
        parts_ = take(part_size * needs.n_parts);
        return used;
    }

    std::unique_ptr<Memory<T>> memory_;
    T *scratch_ = nullptr, *parts_ = nullptr;
    std::int64_t scratch_size_ = 0;
    struct PartStart {
        std::int64_t weights, biases;
    };
    std::vector<PartStart> part_starts_;
    std::vector<std::int64_t> group_ends_;  // parameters of the groups up to here
};

}  // namespace chainrule
