// The forward and the backward pass in two calls, with a loss between them that is not computed here.
#pragma once

#include "engine.hpp"

namespace chainrule {

// A pass in two halves, for a loss that the caller computes: forward(…) gives the logits of a chunk of the
// rows, backward(…) takes their losses and slopes in the place of y (Likelihood::given). The activations stay
// in between, so nothing is computed twice.
template <class T> class Halves {
public:
    Halves(const Engine<T>& engine, std::int64_t n_rows, int n_threads, bool to_input, bool sparse)
        : engine_(engine),
          space_(engine.plan(), {std::min(n_rows, CHUNK_ROWS), n_threads, true, to_input, sparse, 0}),
          n_threads_(n_threads) {}

    Halves(const Halves&) = delete;  // the workspace stays where it is
    Halves& operator=(const Halves&) = delete;

    const Plan& plan() const { return engine_.plan(); }

    // Whether there is such a chunk of the rows, and place for it.
    bool takes(const Rows<T>& rows, std::int64_t chunk) const {
        return chunk >= 0 && chunk % CHUNK_ROWS == 0 && chunk < rows.n &&
               std::min(CHUNK_ROWS, rows.n - chunk) <= space_.needs.n_rows &&
               rows.is_sparse() == space_.needs.sparse;
    }

    // The logits of the chunk of the rows that begins at row `chunk`.
    void forward(const T* theta, const Rows<T>& rows, std::int64_t chunk, const Dropout& dropout, T* logits) {
        run([&](Call& call) {
            if (chunk == 0) call.pack_all(theta);
            call.blocks(std::min(CHUNK_ROWS, rows.n - chunk), [&](std::int64_t row, std::int64_t n) {
                call.passes.forward(rows, {chunk + row, row, n}, dropout_of(dropout), true);
                call.copy_logits(row, n, logits + row * plan().n_logits());
            });
        });
    }

    // The chunk's share of the loss, and of the gradients, which are added to those of the chunks before it.
    double backward(const T* theta, const Rows<T>& rows, std::int64_t chunk, const Dropout& dropout,
                    T* gradient, T* input_gradient) {
        const double total_weight = rows.total_weight();
        double result = 0;
        run([&](Call& call) {
            const double loss =
                call.of_chunk(theta, rows, chunk, std::min(CHUNK_ROWS, rows.n - chunk), total_weight,
                              dropout_of(dropout), gradient, input_gradient, nullptr, true);
            if (call.is_first) result = loss;
        });
        return result;
    }

    // The step of N13 with the gradient of all chunks. Returns the loss, penalty included.
    double descend(Descent<T>& descent, T* gradient, double loss, double total_weight, double learning_rate,
                   double& penalty) {
        const StepNumbers<T> numbers(descent.optimizer, learning_rate, descent.steps_done + 1);
        double result = 0;
        run([&](Call& call) {
            const FlushDenormals flush;
            double added = 0;
            const double whole = call.move_all(descent, numbers, gradient, loss, total_weight, added);
            if (!call.is_first) return;
            result = whole;
            penalty = added;
        });
        descent.steps_done += std::isfinite(result);
        return result;
    }

private:
    using Call = typename Engine<T>::Call;

    template <class Work> void run(const Work& work) {
        Team(n_threads_).run([&](Team& team, int thread) {
            Call call{engine_, space_, team, thread};
            work(call);
        });
    }

    Dropout dropout_of(Dropout dropout) const {
        dropout.on = dropout.on && engine_.has_dropout_;
        return dropout;
    }

    const Engine<T>& engine_;
    Workspace<T> space_;
    int n_threads_;
};

}  // namespace chainrule
