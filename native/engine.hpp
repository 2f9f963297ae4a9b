// Whole calls: logits, loss, gradient, and many steps of descent, on a team of threads.
//
// A step is two phases with a barrier after each. Rows: every thread claims blocks of rows and takes them
// through the forward pass, the loss and the backward pass; where the gradient is summed in parts, it claims
// parts, and sums their gradients too. Units: every thread claims groups of units, sums their gradients over
// the whole batch (or the parts), moves their parameters at once and packs them for the next step. Each
// number is computed in one order, whoever computes it, so the bits do not depend on the threads.
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

    double l2_for(double total_weight) const { return of_sum ? l2 / total_weight : l2; }
};

// The batches of an order: one epoch after the other, so many rows each; the last batch of an epoch may be
// smaller.
struct Batches {
    std::int64_t rows_an_epoch, size;

    std::int64_t an_epoch() const { return (rows_an_epoch + size - 1) / size; }
    std::int64_t begin(std::int64_t k) const {
        return k / an_epoch() * rows_an_epoch + k % an_epoch() * size;
    }
    std::int64_t n_rows(std::int64_t k) const {
        return std::min(size, rows_an_epoch - k % an_epoch() * size);
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
        const Needs needs{std::min(rows.n, CHUNK_ROWS), n_threads, false, false, rows.is_sparse(), 0};
        with_workspace(needs, [&](Workspace<T>& space) {
            Team(n_threads).run([&](Team& team, int thread) {
                Call call{*this, space, team, thread};
                call.pack_all(theta);
                for (std::int64_t chunk = 0; chunk < rows.n; chunk += CHUNK_ROWS) {
                    call.blocks(std::min(CHUNK_ROWS, rows.n - chunk), [&](std::int64_t row, std::int64_t n) {
                        call.passes.forward(rows, {chunk + row, row, n}, {}, false);
                        call.copy_logits(row, n, logits + (chunk + row) * plan_.n_logits());
                    });
                    team.meet();
                }
            });
        });
    }

    // The loss without penalty or dropout, and the logits where there is a place for them.
    double loss(const T* theta, const Rows<T>& rows, T* logits, int n_threads) {
        return loss_and_gradient(theta, rows, nullptr, nullptr, {}, {}, n_threads, logits);
    }

    // The loss, penalty included; ∂loss/∂θ and ∂loss/∂X where there is a place for them.
    double loss_and_gradient(const T* theta, const Rows<T>& rows, T* gradient, T* input_gradient,
                             const Penalty& penalty, Dropout dropout, int n_threads, T* logits = nullptr) {
        dropout.on = dropout.on && has_dropout_;
        double result = 0;
        with_workspace(needs(rows, rows.n, n_threads, gradient != nullptr, input_gradient != nullptr),
                       [&](Workspace<T>& space) {
                           Team(n_threads).run([&](Team& team, int thread) {
                               Call call{*this, space, team, thread};
                               call.pack_all(theta);
                               double loss = call.loss_and_gradient(theta, rows, dropout, gradient,
                                                                    input_gradient, logits);
                               if (gradient != nullptr && penalty.l2 != 0)
                                   loss += call.add_penalty(penalty, rows.total_weight(), theta, gradient);
                               if (thread == 0) result = loss;
                           });
                       });
        return result;
    }

    // Steps over the batches of rows.order, from the given one on, until they are done, `seconds` have gone
    // or a loss is not finite. Returns how many losses were written; after one that is not finite θ is as
    // before that step. The penalty's part of each loss is written too where there is a place for it.
    std::int64_t run_steps(Descent<T>& descent, const Rows<T>& rows, const Batches& batches,
                           std::int64_t first_batch, const double* learning_rates, std::int64_t n_steps,
                           double seconds, double* losses, double* penalties, int n_threads) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
        std::int64_t done = 0;
        const std::int64_t most_rows = batches.n_rows(0);
        with_workspace(needs(rows, most_rows, n_threads, true, false), [&](Workspace<T>& space) {
            T* gradient = nullptr;  // where it must be whole before the step
            if (rows_at_a_time(most_rows) < most_rows || std::isfinite(descent.clip_norm) ||
                plan_.n_scaled() > 0) {
                space.whole_gradient.resize(static_cast<std::size_t>(plan_.n_parameters()));
                gradient = space.whole_gradient.data();
            }
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
                    const Rows<T> batch{rows.X,
                                        rows.y,
                                        rows.weight,
                                        rows.order + batches.begin(first_batch + k),
                                        batches.n_rows(first_batch + k),
                                        rows.offset,
                                        rows.sparse};
                    double penalty = 0;
                    const double loss = call.step(descent, batch, descent.steps_done + k, learning_rates[k],
                                                  gradient, penalty);
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
        Call(const Engine& engine, Workspace<T>& space, Team& team, int thread)
            : engine(engine),
              plan(engine.plan_),
              thread(thread),
              space(space),
              team(team),
              passes(plan, space),
              scratch(space.scratch(thread)),
              group_starts(space.group_starts(team.size())),
              is_first(thread == 0) {}

        template <class Work> void blocks(std::int64_t n_rows, const Work& work) {
            // an equal share for each thread, in whole tiles, cut into blocks
            const std::int64_t share = round_up((n_rows + team.size() - 1) / team.size(), TILE_ROWS);
            const std::int64_t n = (share + space.block - 1) / space.block;
            team.each(
                thread, [&](int owner) { return owner * n; },
                [&](std::int64_t k) {
                    const std::int64_t begin = k / n * share, row = begin + k % n * space.block;
                    const std::int64_t end = std::min({row + space.block, begin + share, n_rows});
                    if (row < end) work(row, end - row);
                });
        }

        template <class Work> void groups(const Work& work) {
            team.each(
                thread, [&](int owner) { return group_starts[static_cast<std::size_t>(owner)]; },
                [&](std::int64_t k) {
                    const auto at = static_cast<std::size_t>(k);
                    work(space.groups[at], at);
                });
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

        // The parts that the gradient over n rows is summed in; 0 in none.
        std::int64_t parts(std::int64_t n) const {
            return space.needs.n_parts > 0 ? gradient_parts(plan, n) : 0;
        }

        // The rows' phase for n rows from `chunk` on: the share of the loss of its rows; −∂loss/∂s down to
        // Δ_1 (with_gradient), or the gradients of the parts. `logits_are_there`: the forward pass has been
        // done before; else they are copied where there is a place for them.
        double rows_phase(const Rows<T>& rows, std::int64_t chunk, std::int64_t n, double total_weight,
                          const Dropout& dropout, bool with_gradient, T* input_gradient, T* logits,
                          bool logits_are_there = false) {
            const auto pass = [&](const Block& block) {
                if (!logits_are_there) passes.forward(rows, block, dropout, with_gradient);
                if (logits != nullptr)
                    copy_logits(block.place, block.n, logits + block.first * plan.n_logits());
                passes.loss(rows, block, total_weight, scratch);
                if (with_gradient) passes.backward(block, dropout, input_gradient, scratch);
            };
            if (const std::int64_t n_parts = parts(n); n_parts > 0) {
                parts_phase(rows, n, n_parts, with_gradient, pass);
                return total(space.part_losses, n_parts);
            }
            blocks(n, [&](std::int64_t row, std::int64_t m) { pass({chunk + row, row, m}); });
            team.meet();
            return total(space.row_losses, n);
        }

        // Each part of n rows through `pass`, block after block in the places of this thread.
        template <class Pass>
        void parts_phase(const Rows<T>& rows, std::int64_t n, std::int64_t n_parts, bool with_gradient,
                         const Pass& pass) {
            const auto start = [&](int owner) { return owner * n_parts / team.size(); };
            team.each(thread, start, [&](std::int64_t part) {
                const std::int64_t begin = part * n / n_parts, end = (part + 1) * n / n_parts;
                double loss = 0;
                for (std::int64_t first = begin; first < end; first += space.block) {
                    const Block block{first, space.place(thread), std::min(space.block, end - first)};
                    pass(block);
                    for (std::int64_t i = 0; i < block.n; ++i)
                        loss += space.row_losses[static_cast<std::size_t>(block.place + i)];
                    if (with_gradient) passes.part_gradient(rows, block, part, first > begin);
                }
                space.part_losses[static_cast<std::size_t>(part)] = loss;
            });
            team.meet();
        }

        // The gradient of a group over n rows from `chunk` on, after the rows' phase
        // (Passes::weight_gradient).
        T* units_phase(const Rows<T>& rows, std::int64_t chunk, std::int64_t n, const Group& group) const {
            if (const std::int64_t n_parts = parts(n); n_parts > 0)
                return passes.sum_of_parts(n_parts, group, scratch);
            return passes.weight_gradient(rows, {chunk, 0, n}, group, scratch);
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

        double loss_and_gradient(const T* theta, const Rows<T>& rows, const Dropout& dropout, T* gradient,
                                 T* input_gradient, T* logits) {
            const double total_weight = rows.total_weight();
            const std::int64_t at_a_time = engine.rows_at_a_time(rows.n);
            double loss = 0;
            for (std::int64_t chunk = 0; chunk < rows.n; chunk += at_a_time)
                loss += of_chunk(theta, rows, chunk, std::min(at_a_time, rows.n - chunk), total_weight,
                                 dropout, gradient, input_gradient, logits);
            return loss;
        }

        // The share of n rows from `chunk` on in the loss, and in ∂loss/∂θ, where there is a place for it:
        // the first chunk is put there, the others are added. After the last one it goes through the scale of
        // the inputs.
        double of_chunk(const T* theta, const Rows<T>& rows, std::int64_t chunk, std::int64_t n,
                        double total_weight, const Dropout& dropout, T* gradient, T* input_gradient,
                        T* logits, bool logits_are_there = false) {
            const double loss = rows_phase(rows, chunk, n, total_weight, dropout, gradient != nullptr,
                                           input_gradient, logits, logits_are_there);
            if (gradient != nullptr)
                groups([&](const Group& group, std::size_t) {
                    const T* const bias = units_phase(rows, chunk, n, group);
                    const Span at = span(group);
                    put(gradient + at.weight, scratch, at.n_weights, chunk > 0);
                    put(gradient + at.bias, bias, at.n_biases, chunk > 0);
                });
            team.meet();  // the next chunk overwrites the losses and the activations
            if (gradient != nullptr && chunk + n == rows.n && plan.n_scaled() > 0) {
                constexpr std::int64_t size = Passes<T>::SCALED;
                const std::int64_t n_pieces = (plan.n_scaled() + size - 1) / size;
                team.each(
                    thread, [&](int owner) { return owner * n_pieces / team.size(); },
                    [&](std::int64_t k) { passes.through_scale(theta, gradient, k * size); });
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
            return total(parts, static_cast<std::int64_t>(parts.size()));
        }
        static double total(const std::vector<double>& parts, std::int64_t n) {
            double sum = 0;
            for (std::int64_t i = 0; i < n; ++i) sum += parts[static_cast<std::size_t>(i)];
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
            const Dropout dropout{engine.has_dropout_, descent.dropout_seed,
                                  static_cast<std::uint64_t>(steps_done)};
            const StepNumbers<T> numbers(descent.optimizer, learning_rate, steps_done + 1);
            const double total_weight = batch.total_weight();
            if (gradient == nullptr) {
                const double loss =
                    rows_phase(batch, 0, batch.n, total_weight, dropout, true, nullptr, nullptr);
                const double l2 = descent.penalty.l2_for(total_weight);
                if (!std::isfinite(loss) || !std::isfinite(l2)) return loss + l2;
                groups([&](const Group& group, std::size_t k) {
                    const T* const bias = units_phase(batch, 0, batch.n, group);
                    space.group_sums[k] = penalised_squares(descent.penalty, descent.theta, span(group));
                    move(descent, numbers, group, scratch, bias, static_cast<T>(l2));
                });
                team.meet();
                penalty = 0.5 * l2 * total(space.group_sums);
                return loss + penalty;
            }
            const double loss = loss_and_gradient(descent.theta, batch, dropout, gradient, nullptr, nullptr);
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

        const Engine& engine;
        const Plan& plan;
        const int thread;
        Workspace<T>& space;
        Team& team;
        Passes<T> passes;
        T* scratch;
        const std::vector<std::int64_t> group_starts;  // of each thread
        bool is_first;
    };

    // Rows of n that go through a phase together.
    std::int64_t rows_at_a_time(std::int64_t n) const {
        return gradient_parts(plan_, n) > 0 ? n : std::min(n, CHUNK_ROWS);
    }

    // What the loss of n rows together, and its gradient, needs.
    Needs needs(const Rows<T>& rows, std::int64_t n, int n_threads, bool backward, bool to_input) const {
        const std::int64_t n_parts = gradient_parts(plan_, n);
        return {n_parts > 0 ? Workspace<T>::rows_for_threads(plan_, n_threads) : rows_at_a_time(n),
                n_threads,
                backward,
                to_input,
                rows.is_sparse(),
                n_parts};
    }

    // The workspace goes on from call to call, and grows; a call beside another one gets its own.
    template <class Work> void with_workspace(const Needs& needs, const Work& work) {
        std::unique_lock lock(mutex_, std::try_to_lock);
        if (!lock.owns_lock()) {
            Workspace<T> own(plan_, needs);
            work(own);
            return;
        }
        if (!space_ || !needs.within(space_->needs)) {
            const Needs both = space_ ? needs.with(space_->needs) : needs;
            space_.reset();  // before the new one is made, so that both are never held
            space_ = std::make_unique<Workspace<T>>(plan_, both);
        }
        work(*space_);
    }

    Plan plan_;
    bool has_dropout_ = false;
    std::mutex mutex_;
    std::unique_ptr<Workspace<T>> space_;
};

}  // namespace chainrule
