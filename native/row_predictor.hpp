// Predictions one at a time, without threads.
#pragma once

#include "passes.hpp"

namespace chainrule {

// One row at a time: θ is packed once, and a call does nothing but the forward pass and the mean.
template <class T> class RowPredictor {
public:
    RowPredictor(const Plan& plan, const T* theta)
        : plan_(plan),
          space_(plan_, {.n_rows = 1}),
          passes_(plan_, space_) {
        for (const Group& group : space_.groups) passes_.pack(theta, group);
    }

    RowPredictor(const RowPredictor&) = delete;  // passes_ refers to the other members
    RowPredictor& operator=(const RowPredictor&) = delete;

    std::int64_t n_inputs() const { return plan_.n_inputs(); }
    std::int64_t n_logits() const { return plan_.n_logits(); }

    void operator()(const T* row, T* mean) {
        passes_.forward({row, nullptr, nullptr, nullptr, 1}, {0, 0, 1}, {}, false);
        T* const s = space_.scratch(0);
        for (std::int64_t j = 0; j < plan_.n_logits(); j += PANEL<T>)
            std::copy_n(space_.deltas[plan_.top()] + panel_row<T>(space_.n_rows, 0, j), PANEL<T>, s + j);
        mean_of_row<T>(plan_.likelihood, s, plan_.n_logits());
        std::copy_n(s, plan_.n_logits(), mean);
    }

private:
    const Plan plan_;
    Workspace<T> space_;
    Passes<T> passes_;
};

}  // namespace chainrule
