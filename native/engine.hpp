// Whole calls: logits, loss, gradient, and many steps of descent, on a team of threads.
//
// A step is two phases with a barrier after each. Rows: every thread claims blocks of rows and takes them
// through the forward pass, the loss and the backward pass. Units: every thread claims groups of units, sums
// their gradients over the whole batch, moves their parameters at once and packs them for the next step.
// Each number is computed in one order, whoever computes it, so the bits do not depend on the threads.
#pragma once

#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>

#include "passes.hpp"
#include "team.hpp"

namespace chainrule {

struct Penalty {
    double l2 = 0;
    bool biases = false;
    bool of_sum = false;  // of the sum of the rows' losses: λ is then divided by their total weight

    double l2_for(double total_weight) const {
        if (!of_sum) return l2;
        return total_weight > 0 ? l2 / total_weight : 0;  // no row counts, so no step either
    }
};

// A descent under way; arrays are the caller's and change in place.
template <class T> struct Descent {
    T *theta, *first, *second;  // `second` is null where the rule has one moment
    Optimizer optimizer;
    Penalty penalty;
    double clip_norm = std::numeric_limits<double>::infinity();
    bool decay_biases = false;
    std::uint64_t dropout_seed = 0;
    std::int64_t steps_done = 0, n_parameters = 0;

    Stretch<T> stretch(std::int64_t start) const {
        return {theta + start, first + start, second == nullptr ? nullptr : second + start};
    }
};

template <class T> class Engine {
public:
    explicit Engine(const Plan& plan) : plan_(plan) {
        for (const Layer& layer : plan_.layers) has_dropout_ = has_dropout_ || layer.dropout > 0;
    }

    void forward(const T* theta, const Rows<T>& rows, T* logits, int n_threads) {
        with_workspace(rows, rows.n, n_threads, false, false, [&](Workspace<T>& space) {
            Team(n_threads).run([&](Team& team, int) {
                Call call{*this, space, team};
                call.pack_all(theta);
                for (std::int64_t chunk = 0; chunk < rows.n; chunk += CHUNK_ROWS) {
                    call.blocks(std::min(CHUNK_ROWS, rows.n - chunk), [&](std::int64_t row, std::int64_t n) {
                        call.passes.forward(rows, chunk, row, n, {}, false);
                        call.copy_logits(row, n, logits + (chunk + row) * plan_.n_logits());
                    });
                    team.meet();
                }
            });
        });
    }

    double loss(const T* theta, const Rows<T>& rows, int n_threads) {
        return loss_and_gradient(theta, rows, nullptr, nullptr, {}, {}, n_threads);
    }

    // The loss, penalty included; ∂loss/∂θ and ∂loss/∂X where there is a place for them.
    double loss_and_gradient(const T* theta, const Rows<T>& rows, T* gradient, T* input_gradient,
                             const Penalty& penalty, Dropout dropout, int n_threads) {
        dropout.on = dropout.on && has_dropout_;
        double result = 0;
        with_workspace(rows, rows.n, n_threads, gradient != nullptr, input_gradient != nullptr,
                       [&](Workspace<T>& space) {
                           Team(n_threads).run([&](Team& team, int thread) {
                               Call call{*this, space, team, thread};
                               call.pack_all(theta);
                               double loss =
                                   call.gradient_over_chunks(theta, rows, dropout, gradient, input_gradient);
                               if (gradient != nullptr && penalty.l2 != 0)
                                   loss += call.add_penalty(penalty, rows.total_weight(), theta, gradient);
                               if (thread == 0) result = loss;
                           });
                       });
        return result;
    }

    // Steps over the batches of rows.order, until they are done, `seconds` have gone or a loss is not finite.
    // Returns how many losses were written; after one that is not finite θ is as before that step. The
    // penalty's part of each loss is written too where there is a place for it.
    std::int64_t run_steps(Descent<T>& descent, const Rows<T>& rows, std::int64_t batch_size,
                           const double* learning_rates, std::int64_t n_steps, double seconds, double* losses,
                           double* penalties, int n_threads) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
        std::int64_t done = 0;
        with_workspace(rows, std::min(batch_size, rows.n), n_threads, true, false, [&](Workspace<T>& space) {
            std::vector<T> gradient;  // only where it must be whole before the step
            if (std::min(batch_size, rows.n) > CHUNK_ROWS || std::isfinite(descent.clip_norm) ||
                plan_.n_scaled() > 0)
                gradient.resize(static_cast<std::size_t>(plan_.n_parameters()));
            std::atomic<std::int64_t> last{n_steps - 1};
            Team(n_threads).run([&](Team& team, int thread) {
                const FlushDenormals flush;
                Call call{*this, space, team, thread};
                call.pack_all(descent.theta);
                for (std::int64_t k = 0;; ++k) {
                    // Set before a step, read after it: the barriers of the step are between, so all see the
                    // same.
                    if (thread == 0 && std::chrono::steady_clock::now() >= deadline)
                        last.store(k, std::memory_order_relaxed);
                    const std::int64_t begin = k * batch_size;
                    const Rows<T> batch{rows.X,
                                        rows.y,
                                        rows.weight,
                                        rows.order + begin,
                                        std::min(batch_size, rows.n - begin),
                                        rows.offset,
                                        rows.sparse};
                    double penalty = 0;
                    const double loss = call.step(descent, batch, descent.steps_done + k, learning_rates[k],
                                                  gradient.empty() ? nullptr : gradient.data(), penalty);
                    if (thread == 0) {
                        losses[k] = loss;
                        if (penalties != nullptr) penalties[k] = penalty;
                        done = k + 1;
                    }
                    if (!std::isfinite(loss) || k >= last.load(std::memory_order_relaxed)) break;
                }
            });
        });
        const bool diverged = done > 0 && !std::isfinite(losses[done - 1]);
        descent.steps_done += diverged ? done - 1 : done;
        return done;
    }

    const Plan& plan() const { return plan_; }

private:
    template <class> friend class Halves;

    // One thread's part of a call.
    struct Call {
        Call(const Engine& engine, Workspace<T>& space, Team& team, int thread = 0)
            : plan(engine.plan_),
              has_dropout(engine.has_dropout_),
              space(space),
              team(team),
              passes(plan, space),
              scratch(space.scratch(thread)),
              is_first(thread == 0) {}

        template <class Work> void blocks(std::int64_t n_rows, const Work& work) {
            // an equal share for each thread, in whole tiles, cut into blocks; who comes first takes the next
            // one
            const std::int64_t share = round_up((n_rows + team.size() - 1) / team.size(), TILE_ROWS);
            const std::int64_t blocks_a_share = (share + space.block - 1) / space.block;
            for (std::int64_t k = team.claim(); k / blocks_a_share * share < n_rows; k = team.claim()) {
                const std::int64_t begin = k / blocks_a_share * share,
                                   row = begin + k % blocks_a_share * space.block;
                const std::int64_t end = std::min({row + space.block, begin + share, n_rows});
                if (row < end) work(row, end - row);
            }
        }

        template <class Work> void groups(const Work& work) {
            const auto n = static_cast<std::int64_t>(space.groups.size());
            for (std::int64_t k = team.claim(); k < n; k = team.claim())
                work(space.groups[static_cast<std::size_t>(k)], static_cast<std::size_t>(k));
        }

        void pack_all(const T* theta) {
            groups([&](const Group& group, std::size_t) { passes.pack(theta, group); });
            team.meet();
        }

        void copy_logits(std::int64_t row, std::int64_t n, T* out) const {
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t j = 0; j < plan.n_logits(); j += PANEL<T>)
                    std::copy_n(space.deltas[plan.top()] + panel_row<T>(space.n_rows, row + i, j),
                                std::min<std::int64_t>(PANEL<T>, plan.n_logits() - j),
                                out + i * plan.n_logits() + j);
        }

        // The rows' phase for one chunk: the share of the loss of its rows, −∂loss/∂s down to Δ_1.
        // `logits_are_there`: the forward pass has been done before.
        double rows_phase(const Rows<T>& rows, std::int64_t chunk, std::int64_t n, double total_weight,
                          const Dropout& dropout, bool with_gradient, T* input_gradient,
                          bool logits_are_there = false) {
            blocks(n, [&](std::int64_t row, std::int64_t m) {
                if (!logits_are_there) passes.forward(rows, chunk, row, m, dropout, with_gradient);
                passes.loss(rows, chunk, row, m, total_weight, scratch);
                if (with_gradient) passes.backward(chunk, row, m, dropout, input_gradient, scratch);
            });
            team.meet();
            double sum = 0;
            for (std::int64_t i = 0; i < n; ++i) sum += space.row_losses[static_cast<std::size_t>(i)];
            return sum;
        }

        // Parameters of a group: w rows and, where the layer has them, biases: (start, number) each.
        struct Span {
            std::int64_t weight, n_weights, bias, n_biases;
            bool scales;  // which no penalty or decay acts on
        };
        Span span(const Group& group) const {
            const Layer& layer = plan.layers[group.layer];
            return {layer.weight_start + group.unit * layer.n_inputs, group.n_units * layer.n_inputs,
                    layer.bias_start() + group.unit, layer.bias ? group.n_units : 0, layer.is_scales()};
        }

        double gradient_over_chunks(const T* theta, const Rows<T>& rows, const Dropout& dropout, T* gradient,
                                    T* input_gradient) {
            const double total_weight = rows.total_weight();
            double loss = 0;
            for (std::int64_t chunk = 0; chunk < rows.n; chunk += CHUNK_ROWS)
                loss += of_chunk(theta, rows, chunk, total_weight, dropout, gradient, input_gradient, false);
            return loss;
        }

        // The share of one chunk in the loss, and in ∂loss/∂θ, where there is a place for it: the first chunk
        // is put there, the others are added. After the last one it goes through the scale of the inputs.
        double of_chunk(const T* theta, const Rows<T>& rows, std::int64_t chunk, double total_weight,
                        const Dropout& dropout, T* gradient, T* input_gradient, bool logits_are_there) {
            const std::int64_t n = std::min(CHUNK_ROWS, rows.n - chunk);
            const double loss = rows_phase(rows, chunk, n, total_weight, dropout, gradient != nullptr,
                                           input_gradient, logits_are_there);
            if (gradient != nullptr)
                groups([&](const Group& group, std::size_t) {
                    const T* const bias =
                        passes.weight_gradient(rows, chunk, group, n, scratch, [](std::int64_t) {});
                    const Span at = span(group);
                    put(gradient + at.weight, scratch, at.n_weights, chunk > 0);
                    put(gradient + at.bias, bias, at.n_biases, chunk > 0);
                });
            team.meet();  // the next chunk overwrites the losses and the activations
            if (gradient != nullptr && chunk + n == rows.n && plan.n_scaled() > 0) {
                constexpr std::int64_t size = Passes<T>::SCALED;
                for (std::int64_t k = team.claim(); k * size < plan.n_scaled(); k = team.claim())
                    passes.through_scale(theta, gradient, k * size);
                team.meet();
            }
            return loss;
        }

        static void put(T* to, const T* from, std::int64_t n, bool add) {
            if (add)
                for (std::int64_t i = 0; i < n; ++i) to[i] += from[i];
            else
                std::copy_n(from, n, to);
        }

        // Σ over the groups of what `of` gives for each, in the order of the groups; every thread gets it.
        template <class Of> double sum_over_groups(const Of& of) {
            groups([&](const Group& group, std::size_t k) { space.group_sums[k] = of(group); });
            team.meet();
            const double sum = total(space.group_sums);
            team.meet();
            return sum;
        }

        static double total(const std::vector<double>& parts) {
            double sum = 0;
            for (const double part : parts) sum += part;
            return sum;
        }

        static double penalised_squares(const Penalty& penalty, const T* theta, const Span& at) {
            if (penalty.l2 == 0) return 0;
            return sum_of_squares(theta + at.weight, at.n_weights) +
                   (penalty.biases && !at.scales ? sum_of_squares(theta + at.bias, at.n_biases) : 0);
        }

        double add_penalty(const Penalty& penalty, double total_weight, const T* theta, T* gradient) {
            const double exact = penalty.l2_for(total_weight);
            const T l2 = static_cast<T>(exact);
            return 0.5 * exact * sum_over_groups([&](const Group& group) {
                       const Span at = span(group);
                       for (std::int64_t i = at.weight; i < at.weight + at.n_weights; ++i)
                           gradient[i] += l2 * theta[i];
                       if (penalty.biases && !at.scales)
                           for (std::int64_t i = at.bias; i < at.bias + at.n_biases; ++i)
                               gradient[i] += l2 * theta[i];
                       return penalised_squares(penalty, theta, at);
                   });
        }

        // N13: one step on one batch. Returns its loss, penalty included, and sets `penalty`; takes no step
        // where the rows' loss, λ or the norm that is clipped is not finite.
        double step(Descent<T>& descent, const Rows<T>& batch, std::int64_t steps_done, double learning_rate,
                    T* gradient, double& penalty) {
            const Dropout dropout{has_dropout, descent.dropout_seed, static_cast<std::uint64_t>(steps_done)};
            const StepNumbers<T> numbers(descent.optimizer, learning_rate, steps_done + 1);
            const double total_weight = batch.total_weight();
            if (gradient == nullptr) {
                const double loss = rows_phase(batch, 0, batch.n, total_weight, dropout, true, nullptr);
                const double l2 = descent.penalty.l2_for(total_weight);
                if (!std::isfinite(loss) || !std::isfinite(l2)) return loss + l2;
                groups([&](const Group& group, std::size_t k) {
                    const T* const bias = passes.weight_gradient(
                        batch, 0, group, batch.n, scratch, [&](std::int64_t j) { fetch(descent, group, j); });
                    space.group_sums[k] = penalised_squares(descent.penalty, descent.theta, span(group));
                    move(descent, numbers, group, scratch, bias, static_cast<T>(l2));
                });
                team.meet();
                penalty = 0.5 * l2 * total(space.group_sums);
                return loss + penalty;
            }
            const double loss = gradient_over_chunks(descent.theta, batch, dropout, gradient, nullptr);
            return move_all(descent, numbers, gradient, loss, total_weight, penalty);
        }

        // The rest of a step, once the whole gradient is there: the penalty, the norm, every parameter.
        double move_all(Descent<T>& descent, const StepNumbers<T>& numbers, T* gradient, double loss,
                        double total_weight, double& penalty) {
            if (!std::isfinite(loss)) return loss;
            if (descent.penalty.l2 != 0)
                loss += penalty = add_penalty(descent.penalty, total_weight, descent.theta, gradient);
            if (!std::isfinite(loss)) return loss;
            const double norm = std::isfinite(descent.clip_norm) ? norm_of(gradient) : 0;
            if (!std::isfinite(norm)) return norm;
            const T scale = norm > descent.clip_norm ? static_cast<T>(descent.clip_norm / norm) : T(1);
            if (plan.n_scaled() > 0) {  // before the weights, which are packed with the new s; few numbers
                if (is_first) {
                    for (std::int64_t j = 0; j < plan.n_scaled(); ++j) gradient[j] *= scale;
                    step_stretch<T>(descent.optimizer.rule, numbers, descent.stretch(0), gradient,
                                    plan.n_scaled(), T(0), false);
                }
                team.meet();
            }
            groups([&](const Group& group, std::size_t) {
                const Span at = span(group);
                for (std::int64_t i = at.weight; i < at.weight + at.n_weights; ++i) gradient[i] *= scale;
                for (std::int64_t i = at.bias; i < at.bias + at.n_biases; ++i) gradient[i] *= scale;
                move(descent, numbers, group, gradient + at.weight, gradient + at.bias, T(0));
            });
            team.meet();
            return loss;
        }

        // Ask for a share of the parameters and moments of a group, that of the inputs from column j on: a
        // large θ lies in the third cache, and so it comes while the gradient is summed.
        void fetch(const Descent<T>& descent, const Group& group, std::int64_t j) const {
            constexpr std::int64_t line = Memory<T>::LINE_BYTES / static_cast<std::int64_t>(sizeof(T));
            const std::int64_t begin = span(group).weight + j * group.n_units;
            const std::int64_t end =
                std::min(begin + PANEL<T> * group.n_units, span(group).weight + span(group).n_weights);
            for (const T* const array : {descent.theta, descent.first, descent.second})
                for (std::int64_t i = begin; array != nullptr && i < end; i += line)
                    __builtin_prefetch(array + i, 1, 2);
        }

        double norm_of(const T* gradient) {
            // read before the threads meet: one of them goes on with it
            const double of_scale = sum_of_squares(gradient, plan.n_scaled());
            return std::sqrt(of_scale + sum_over_groups([&](const Group& group) {
                                 const Span at = span(group);
                                 return sum_of_squares(gradient + at.weight, at.n_weights) +
                                        sum_of_squares(gradient + at.bias, at.n_biases);
                             }));
        }

        void move(Descent<T>& descent, const StepNumbers<T>& numbers, const Group& group,
                  const T* weight_gradient, const T* bias_gradient, T l2) {
            const Span at = span(group);
            const Rule rule = descent.optimizer.rule;
            step_stretch<T>(rule, numbers, descent.stretch(at.weight), weight_gradient, at.n_weights, l2,
                            true);
            step_stretch<T>(rule, numbers, descent.stretch(at.bias), bias_gradient, at.n_biases,
                            descent.penalty.biases && !at.scales ? l2 : T(0),
                            descent.decay_biases && !at.scales);
            passes.pack(descent.theta, group);
        }

        const Plan& plan;
        bool has_dropout;
        Workspace<T>& space;
        Team& team;
        Passes<T> passes;
        T* scratch;
        bool is_first;
    };

    // The workspace goes on from call to call; a call beside another one gets its own.
    template <class Work> void with_workspace(const Rows<T>& all, std::int64_t at_a_time, int n_threads,
                                              bool backward, bool to_input, const Work& work) {
        const std::int64_t rows = std::min(at_a_time, CHUNK_ROWS);
        const bool sparse = all.is_sparse();
        std::unique_lock lock(mutex_, std::try_to_lock);
        if (!lock.owns_lock()) {
            Workspace<T> own(plan_, rows, n_threads, backward, to_input, sparse);
            work(own);
            return;
        }
        if (!space_ || !space_->serves(rows, n_threads, backward, to_input, sparse)) {
            space_.reset();  // before the new one is made, so that both are never held
            space_ = std::make_unique<Workspace<T>>(plan_, rows, n_threads, backward, to_input, sparse);
        }
        work(*space_);
    }

    Plan plan_;
    bool has_dropout_ = false;
    std::mutex mutex_;
    std::unique_ptr<Workspace<T>> space_;
};

// A pass in two halves, for a loss that the caller computes: forward(…) gives the logits of a chunk of the
// rows, backward(…) takes their losses and slopes in the place of y (Likelihood::given). The activations stay
// in between, so nothing is computed twice.
template <class T> class Halves {
public:
    Halves(const Engine<T>& engine, std::int64_t n_rows, int n_threads, bool to_input, bool sparse)
        : engine_(engine),
          space_(engine.plan(), std::min(n_rows, CHUNK_ROWS), n_threads, true, to_input, sparse),
          n_threads_(n_threads) {}

    Halves(const Halves&) = delete;  // the workspace stays where it is
    Halves& operator=(const Halves&) = delete;

    const Plan& plan() const { return engine_.plan(); }

    // Whether there is such a chunk of the rows, and place for it.
    bool takes(const Rows<T>& rows, std::int64_t chunk) const {
        return chunk >= 0 && chunk % CHUNK_ROWS == 0 && chunk < rows.n &&
               std::min(CHUNK_ROWS, rows.n - chunk) <= space_.capacity && rows.is_sparse() == space_.sparse;
    }

    // The logits of the chunk of the rows that begins at row `chunk`.
    void forward(const T* theta, const Rows<T>& rows, std::int64_t chunk, const Dropout& dropout, T* logits) {
        run([&](Call& call) {
            if (chunk == 0) call.pack_all(theta);
            call.blocks(std::min(CHUNK_ROWS, rows.n - chunk), [&](std::int64_t row, std::int64_t n) {
                call.passes.forward(rows, chunk, row, n, dropout_of(dropout), true);
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
            const double loss = call.of_chunk(theta, rows, chunk, total_weight, dropout_of(dropout), gradient,
                                              input_gradient, true);
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

// One row at a time: θ is packed once, and a call does nothing but the forward pass and the mean.
template <class T> class RowPredictor {
public:
    RowPredictor(const Plan& plan, const T* theta)
        : plan_(plan),
          space_(plan_, 1, 1, false, false, false),
          passes_(plan_, space_) {
        for (const Group& group : space_.groups) passes_.pack(theta, group);
    }

    RowPredictor(const RowPredictor&) = delete;  // passes_ refers to the other members
    RowPredictor& operator=(const RowPredictor&) = delete;

    std::int64_t n_inputs() const { return plan_.n_inputs(); }
    std::int64_t n_logits() const { return plan_.n_logits(); }

    void operator()(const T* row, T* mean) {
        passes_.forward({row, nullptr, nullptr, nullptr, 1}, 0, 0, 1, {}, false);
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
