// Drives the engine without Python, for the sanitizers: products against plain loops over many sizes, the
// index arithmetic of sizes that no memory holds, and whole descents on 1 to 5 threads, which must agree to
// the bit, with every likelihood in turn. Run with a number to draw other sizes.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>

#include "halves.hpp"
#include "row_predictor.hpp"

namespace {

using namespace chainrule;

int n_passed = 0, n_failed = 0;

void check(bool ok, const char* what, std::int64_t a = 0, std::int64_t b = 0, std::int64_t c = 0) {
    ++(ok ? n_passed : n_failed);
    if (!ok)
        std::printf("failed: %s (%lld, %lld, %lld)\n", what, static_cast<long long>(a),
                    static_cast<long long>(b), static_cast<long long>(c));
}

template <class T> std::vector<T> random_vector(std::mt19937& rng, std::int64_t n) {
    std::normal_distribution<double> normal;
    std::vector<T> values(static_cast<std::size_t>(n));
    for (T& value : values) value = static_cast<T>(normal(rng));
    return values;
}

template <class T> std::vector<T> to_panels(const std::vector<T>& a, std::int64_t n_rows,
                                            std::int64_t n_columns) {
    std::vector<T> panels(static_cast<std::size_t>(panels_size<T>(n_rows, n_columns)));
    for (std::int64_t i = 0; i < n_rows; ++i)
        for (std::int64_t j = 0; j < n_columns; ++j)
            panels[static_cast<std::size_t>(panel_row<T>(n_rows, i, j) + j % PANEL<T>)] =
                a[static_cast<std::size_t>(i * n_columns + j)];
    return panels;
}

template <class T> bool near(T a, double b, double scale) {
    return std::abs(static_cast<double>(a) - b) <=
           64 * static_cast<double>(std::numeric_limits<T>::epsilon()) * (1 + scale);
}

// A (n, k) times B (k, m), and Aᵀ (k, n) times H (n, m), against loops.
template <class T> void test_products(std::mt19937& rng, std::int64_t n, std::int64_t k, std::int64_t m) {
    const auto A = random_vector<T>(rng, n * k), B = random_vector<T>(rng, k * m),
               H = random_vector<T>(rng, n * m);
    const auto A_panels = to_panels(A, n, k), B_panels = to_panels(B, k, m), H_panels = to_panels(H, n, m);
    const std::vector<T> zeros(static_cast<std::size_t>(PANEL<T>));
    std::vector<T> c(static_cast<std::size_t>(n * PANEL<T>));
    bool ok = true;
    for (std::int64_t j = 0; j < m; j += PANEL<T>) {
        product_panel<T>(A_panels.data(), n, 0, n, B_panels.data(), k, j, m, zeros.data(), c.data());
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t q = j; q < std::min<std::int64_t>(j + PANEL<T>, m); ++q) {
                double sum = 0, scale = 0;
                for (std::int64_t p = 0; p < k; ++p) {
                    const double term = static_cast<double>(A[static_cast<std::size_t>(i * k + p)]) *
                                        static_cast<double>(B[static_cast<std::size_t>(p * m + q)]);
                    sum += term;
                    scale += std::abs(term);
                }
                ok = ok && near(c[static_cast<std::size_t>(i * PANEL<T> + q - j)], sum, scale);
            }
    }
    check(ok, "product", n, k, m);
    const std::int64_t stride = round_up(m, PANEL<T>), GROUP = 16 + 16 * (n % 3);
    ok = true;
    for (std::int64_t unit = 0; unit < k; unit += GROUP) {
        const std::int64_t units = std::min<std::int64_t>(GROUP, k - unit);
        std::vector<T> g(static_cast<std::size_t>(units * stride));
        transposed_product<T>(A_panels.data(), H_panels.data(), n, n, unit, units, m, false, g.data(),
                              stride);
        for (std::int64_t u = 0; u < units; ++u)
            for (std::int64_t q = 0; q < m; ++q) {
                double sum = 0, scale = 0;
                for (std::int64_t i = 0; i < n; ++i) {
                    const double term = static_cast<double>(A[static_cast<std::size_t>(i * k + unit + u)]) *
                                        static_cast<double>(H[static_cast<std::size_t>(i * m + q)]);
                    sum += term;
                    scale += std::abs(term);
                }
                ok = ok && near(g[static_cast<std::size_t>(u * stride + q)], sum, scale);
            }
    }
    check(ok, "transposed product", n, k, m);
}

// A (n, k) times Bᵀ of C rows, the way of narrow top layers, against loops; what fills up A is NaN.
template <class T> void test_narrow_product(std::mt19937& rng, std::int64_t n, std::int64_t k) {
    const auto A = random_vector<T>(rng, n * k);
    auto A_panels = to_panels(A, n, k);
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = k; j < round_up(k, PANEL<T>); ++j)
            A_panels[static_cast<std::size_t>(panel_row<T>(n, i, j) + j % PANEL<T>)] =
                std::numeric_limits<T>::quiet_NaN();
    for (std::int64_t columns = 1; columns <= NARROW; ++columns) {
        const auto B = random_vector<T>(rng, columns * k), start = random_vector<T>(rng, columns);
        const auto B_panels = to_panels(B, columns, k);
        std::vector<T> c(static_cast<std::size_t>(n * PANEL<T>));
        narrow_product<T>(A_panels.data(), n, 0, n, B_panels.data(), k, columns, start.data(), c.data());
        bool ok = true;
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t j = 0; j < columns; ++j) {
                double sum = static_cast<double>(start[static_cast<std::size_t>(j)]), scale = std::abs(sum);
                for (std::int64_t q = 0; q < k; ++q) {
                    const double term = static_cast<double>(A[static_cast<std::size_t>(i * k + q)]) *
                                        static_cast<double>(B[static_cast<std::size_t>(j * k + q)]);
                    sum += term;
                    scale += std::abs(term);
                }
                ok = ok && near(c[static_cast<std::size_t>(i * PANEL<T> + j)], sum, scale);
            }
        check(ok, "narrow product", n, k, columns);
    }
}

// Offsets of a layer with more than three billion weights: every step of the arithmetic in 64 bits.
void test_large_layout() {
    const Layer layer{60'000, 60'000, Activation::relu, true, 0, 7};
    check(layer.bias_start() == 3'600'000'007, "bias_start");
    check(panels_size<float>(60'000, 60'000) == 3'600'000'000, "panels_size");
    const std::int64_t last = panel_row<float>(60'000, 59'999, 59'999) + 59'999 % PANEL<float>;
    check(last == 3'599'999'999, "panel_row", last);
}

std::int64_t draw(std::mt19937& rng, int least, int most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(rng);
}

double draw_between(std::mt19937& rng, double least, double most) {
    return std::uniform_real_distribution<double>(least, most)(rng);
}

// A top layer: a likelihood in one of its settings, and how large that makes the plan.
struct Top {
    TopLayer likelihood;
    std::int64_t n_logits, n_scales, n_columns;
    bool may_miss;  // single entries of y
    bool bias;
};

// Where a log-scale comes from (N14): it is given, a learned number, or a logit.
Top scaled_top(std::mt19937& rng, Likelihood name, std::int64_t n_outputs, std::vector<double> numbers) {
    const std::int64_t way = draw(rng, 0, 2);
    const bool is_weibull = name == Likelihood::weibull;
    return {{name, way != 0, std::move(numbers)},
            way == 2 ? 2 * n_outputs : n_outputs,
            way == 1 ? n_outputs : 0,
            is_weibull ? 2 : n_outputs,
            !is_weibull,
            draw(rng, 0, 3) > 0};
}

Top random_top(std::mt19937& rng, Likelihood name) {
    using L = Likelihood;
    const std::int64_t n_outputs = draw(rng, 1, 20), n_classes = draw(rng, 2, 20);
    const double t = draw_between(rng, -0.5, 0.5);
    const bool bias = draw(rng, 0, 3) > 0;
    switch (name) {
        case L::bernoulli:
        case L::poisson: return {{name, false, {}}, n_outputs, 0, n_outputs, true, bias};
        case L::normal:
        case L::laplace:
        case L::negative_binomial:
        case L::gamma: return scaled_top(rng, name, n_outputs, {t});
        case L::student_t: return scaled_top(rng, name, n_outputs, {t, 4.0});
        case L::huber: return scaled_top(rng, name, n_outputs, {t, 1.345});
        case L::tweedie: {
            const double p = draw_between(rng, 1.1, 1.9), k = (2 - p) / (p - 1);
            Top top = scaled_top(rng, name, n_outputs, {t, p});
            if (top.likelihood.free_scale)  // the log-weights of its sum, as in poisson_gamma.py
                for (int j = 1; j <= 200; ++j)
                    top.likelihood.numbers.push_back(j * k * std::log(k) - std::lgamma(j + 1) -
                                                     std::lgamma(k * j));
            return top;
        }
        case L::weibull: return scaled_top(rng, name, 1, {t});
        case L::quantile: {
            const std::int64_t n_levels = draw(rng, 1, 4);
            TopLayer layer{name, false, {}};
            for (std::int64_t j = 1; j <= n_levels; ++j)
                layer.numbers.push_back(static_cast<double>(j) / static_cast<double>(n_levels + 1));
            return {layer, n_outputs * n_levels, 0, n_outputs, true, bias};
        }
        case L::categorical: {
            TopLayer layer{name, false, {draw(rng, 0, 1) == 0 ? 0.0 : 0.1}};
            if (draw(rng, 0, 1) == 0)
                for (std::int64_t c = 0; c < n_classes; ++c)
                    layer.numbers.push_back(draw_between(rng, 0.5, 2));
            return {layer, n_classes, 0, 1, false, bias};
        }
        case L::ordinal: return {{name, false, {}}, 1, n_classes - 1, 1, false, false};
        case L::given:
        case L::unknown: break;
    }
    const std::int64_t n_scales = draw(rng, 0, 3);  // given: −e and the loss
    return {{L::given, false, {}}, n_outputs, n_scales, n_outputs + n_scales + 1, false, bias};
}

// One row of a target in the domain of the likelihood.
template <class T> void draw_row(std::mt19937& rng, const Top& top, T* row) {
    using L = Likelihood;
    std::normal_distribution<double> normal;
    const L name = top.likelihood.name;
    for (std::int64_t k = 0; k < top.n_columns; ++k) {
        const double amount = std::exp(normal(rng));
        const auto count = static_cast<double>(draw(rng, 0, 6));
        switch (name) {
            case L::bernoulli: row[k] = static_cast<T>(draw(rng, 0, 1)); break;
            case L::categorical:
                row[k] = static_cast<T>(draw(rng, 0, static_cast<int>(top.n_logits) - 1));
                break;
            case L::ordinal: row[k] = static_cast<T>(draw(rng, 0, static_cast<int>(top.n_scales))); break;
            case L::poisson:
            case L::negative_binomial: row[k] = static_cast<T>(count); break;
            case L::gamma: row[k] = static_cast<T>(amount); break;
            case L::tweedie: row[k] = static_cast<T>(count < 3 ? 0 : amount); break;
            case L::weibull: row[k] = static_cast<T>(k == 0 ? amount : draw(rng, 0, 1)); break;
            default: row[k] = static_cast<T>(normal(rng));
        }
    }
    if (!top.may_miss) return;
    const std::int64_t kept = draw(rng, 0, static_cast<int>(top.n_columns) - 1);  // not all of a row
    for (std::int64_t k = 0; k < top.n_columns; ++k)
        if (k != kept && draw(rng, 0, 9) == 0) row[k] = std::numeric_limits<T>::quiet_NaN();
}

Plan random_plan(std::mt19937& rng, const Top& top) {
    Plan plan{{}, top.likelihood, top.n_columns};
    const std::int64_t depth = draw(rng, 0, 3);
    std::int64_t below = draw(rng, 1, 70), start = 0;
    if (draw(rng, 0, 2) == 0) {
        plan.scale_rate = 2;
        start = below;
    }
    for (std::int64_t l = 0; l <= depth; ++l) {
        const bool is_top = l == depth;
        Layer layer{below,
                    is_top ? top.n_logits : draw(rng, 1, 70),
                    is_top ? Activation::identity : static_cast<Activation>(draw(rng, 0, 10)),
                    is_top ? top.bias : draw(rng, 0, 3) > 0,
                    draw(rng, 0, 2) == 0 ? 0.25 : 0.0,
                    start};
        plan.layers.push_back(layer);
        below = layer.units;
        start = layer.bias_start() + (layer.bias ? layer.units : 0);
    }
    if (top.n_scales > 0) plan.layers.push_back({0, top.n_scales, Activation::identity, true, 0, start});
    return plan;
}

template <class T> struct Outcome {
    std::vector<T> theta, gradient, input_gradient, logits;
    std::vector<double> losses;
    // by the bits, so that NaN is NaN
    bool operator==(const Outcome& other) const {
        const auto same = [](const auto& a, const auto& b) {
            return a.size() == b.size() &&
                   (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
        };
        return same(theta, other.theta) && same(gradient, other.gradient) && same(logits, other.logits) &&
               same(input_gradient, other.input_gradient) && same(losses, other.losses);
    }
};

// A pass in two halves gives the logits and the gradients of one in a single call.
template <class T> void test_halves(Engine<T>& engine, const Rows<T>& rows, const std::vector<T>& theta,
                                    int n_threads) {
    const std::int64_t n_logits = engine.plan().n_logits();
    const auto n = static_cast<std::size_t>(rows.n);
    const Outcome<T> empty{{},
                           theta,
                           std::vector<T>(n * static_cast<std::size_t>(engine.plan().n_inputs())),
                           std::vector<T>(n * static_cast<std::size_t>(n_logits)),
                           {0.0}};
    const Dropout dropout{true, 3, 0};
    Outcome<T> whole = empty, halves = empty;
    whole.losses[0] = engine.loss_and_gradient(theta.data(), rows, whole.gradient.data(),
                                               whole.input_gradient.data(), {}, dropout, n_threads);
    engine.forward(theta.data(), rows, whole.logits.data(), n_threads);
    Halves<T> pass(engine, rows.n, n_threads, true, false);
    for (std::int64_t chunk = 0; chunk < rows.n; chunk += CHUNK_ROWS) {
        T* const logits = halves.logits.data() + chunk * n_logits;
        pass.forward(theta.data(), rows, chunk, dropout, logits);
        halves.losses[0] += pass.backward(theta.data(), rows, chunk, dropout, halves.gradient.data(),
                                          halves.input_gradient.data());
        pass.forward(theta.data(), rows, chunk, {}, logits);
    }
    // in one call the sums may be taken in parts, and so differ in their last bits
    if (gradient_parts(engine.plan(), rows.n) > 0) {
        check(std::memcmp(halves.logits.data(), whole.logits.data(), halves.logits.size() * sizeof(T)) == 0,
              "two halves have the logits of a whole", n_threads, rows.n);
        return;
    }
    check(halves == whole, "two halves are a whole", n_threads, rows.n);
}

template <class T> void test_threads(std::mt19937& rng, Likelihood name) {
    const Top top = random_top(rng, name);
    const Plan plan = random_plan(rng, top);
    const std::int64_t kind = draw(rng, 0, 9),
                       n = kind == 0   ? draw(rng, 500, 1200)
                           : kind <= 2 ? draw(rng, 90, 400)  // a gradient in parts
                                       : draw(rng, 1, 70),
                       batch = draw(rng, 0, 1) == 0 ? draw(rng, 1, 70) : n;
    const auto X = random_vector<T>(rng, n * plan.n_inputs());
    auto offset = random_vector<T>(rng, n * plan.n_logits());
    const bool moved = draw(rng, 0, 1) == 0;
    std::vector<T> y(static_cast<std::size_t>(n * plan.n_columns)), weight(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) draw_row<T>(rng, top, y.data() + i * plan.n_columns);
    for (T& value : weight) value = static_cast<T>(draw(rng, 0, 3));
    const bool weighted = draw(rng, 0, 1) == 0, ordered = draw(rng, 0, 1) == 0;
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = n - 1 - i;
    auto theta = random_vector<T>(rng, plan.n_parameters());
    for (T& value : theta) value *= T(0.1);
    // logits and log-scales near 0: the loss of a time or an amount is exponential in them, and beyond
    // w = (log y − s)/σ = 88 it is infinite in a float, as it should be
    for (T& value : offset) value *= T(0.1);
    for (std::int64_t k = plan.layers[plan.top()].weight_start; k < plan.n_parameters(); ++k)
        theta[static_cast<std::size_t>(k)] *= T(0.1);
    const std::int64_t n_steps = (n + batch - 1) / batch;
    const std::vector<double> rates(static_cast<std::size_t>(n_steps), 1e-4);
    const bool clip = draw(rng, 0, 2) == 0;
    const Rule rule = static_cast<Rule>(draw(rng, 0, 2));

    std::optional<Outcome<T>> first;
    for (const int n_threads : {1, 2, 5}) {
        Engine<T> engine(plan);
        Outcome<T> outcome{theta, theta, X, std::vector<T>(static_cast<std::size_t>(n * plan.n_logits())),
                           std::vector<double>(static_cast<std::size_t>(n_steps))};
        std::vector<T> moment(theta.size()), second(theta.size());
        Descent<T> descent{outcome.theta.data(),
                           moment.data(),
                           second.data(),
                           {rule, 0.9, 0.9, 0.99, 1e-8, 0.01},
                           {0.01, false}};
        if (clip) descent.clip_norm = 0.1;
        const Rows<T> rows{X.data(),     y.data(), weighted ? weight.data() : nullptr,
                           order.data(), n,        moved ? offset.data() : nullptr};
        Rows<T> whole = rows;
        if (!ordered) whole.order = nullptr;
        const std::int64_t done = engine.run_steps(descent, rows, {n, batch}, 0, rates.data(), n_steps, 1e9,
                                                   outcome.losses.data(), nullptr, n_threads);
        check(done == n_steps && std::isfinite(outcome.losses.back()), "all steps done", done, n_steps,
              static_cast<std::int64_t>(name));
        engine.loss_and_gradient(outcome.theta.data(), whole, outcome.gradient.data(),
                                 outcome.input_gradient.data(), {0.01, true}, {true, 3, 0}, n_threads);
        engine.forward(outcome.theta.data(), {X.data(), nullptr, nullptr, nullptr, n}, outcome.logits.data(),
                       n_threads);
        if (name == Likelihood::given) test_halves(engine, whole, outcome.theta, n_threads);
        if (!first)
            first = std::move(outcome);
        else
            check(*first == outcome, "the same bits on every number of threads", n_threads, n,
                  static_cast<std::int64_t>(name));
    }
}

// Sparse rows and single rows against the same rows, dense and together.
template <class T> void test_other_rows(std::mt19937& rng) {
    Plan plan = random_plan(rng, random_top(rng, Likelihood::normal));
    plan.layers.front().dropout = 0;  // of a sparse table nothing is dropped
    const std::int64_t n = draw(rng, 1, 70), d = plan.n_inputs();
    auto X = random_vector<T>(rng, n * d), theta = random_vector<T>(rng, plan.n_parameters());
    for (T& value : theta) value *= T(0.1);
    const auto y = random_vector<T>(rng, n * plan.n_columns);
    std::vector<std::int64_t> starts{0};
    std::vector<std::int32_t> columns;
    std::vector<T> values;
    for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j < d; ++j) {
            T& x = X[static_cast<std::size_t>(i * d + j)];
            if (draw(rng, 0, 2) > 0) {
                x = 0;
            } else {
                columns.push_back(static_cast<std::int32_t>(j));
                values.push_back(x);
            }
        }
        starts.push_back(static_cast<std::int64_t>(values.size()));
    }
    const Rows<T> dense{X.data(), y.data(), nullptr, nullptr, n};
    Rows<T> sparse{nullptr, y.data(), nullptr, nullptr, n};
    sparse.sparse = {starts.data(), columns.data(), values.data()};
    Engine<T> engine(plan);
    RowPredictor<T> predict(plan, theta.data());
    const auto n_logits = static_cast<std::size_t>(plan.n_logits());
    std::vector<T> expected(static_cast<std::size_t>(n) * n_logits), logits(expected), mean(n_logits);
    std::vector<T> gradient(theta), sparse_gradient(theta);
    engine.forward(theta.data(), dense, expected.data(), 2);
    engine.forward(theta.data(), sparse, logits.data(), 2);
    const double loss = engine.loss_and_gradient(theta.data(), dense, gradient.data(), nullptr, {}, {}, 2),
                 sparse_loss = engine.loss_and_gradient(theta.data(), sparse, sparse_gradient.data(), nullptr,
                                                        {}, {}, 2);
    check(near(static_cast<T>(sparse_loss), loss, std::abs(loss)), "the loss of sparse rows", n, d);
    check(near(static_cast<T>(engine.loss(theta.data(), sparse, nullptr, 1)), loss, std::abs(loss)),
          "the loss alone", n, d);
    bool ok = true, ok_gradient = true, ok_predict = true;
    for (std::size_t k = 0; k < expected.size(); ++k)
        ok = ok && near(logits[k], static_cast<double>(expected[k]), 10);
    for (std::size_t k = 0; k < gradient.size(); ++k) {
        const auto size = std::abs(static_cast<double>(gradient[k]));
        ok_gradient = ok_gradient && near(sparse_gradient[k], static_cast<double>(gradient[k]), 10 + size);
    }
    for (std::int64_t i = 0; i < n; ++i) {
        predict(X.data() + i * d, mean.data());
        for (std::size_t k = 0; k < n_logits; ++k)  // the mean of a normal distribution is its logit
            ok_predict = ok_predict && mean[k] == expected[static_cast<std::size_t>(i) * n_logits + k];
    }
    check(ok, "logits of sparse rows", n, d);
    check(ok_gradient, "gradient of sparse rows", n, d);
    check(ok_predict, "one row at a time", n, d);
}

// Several callers at once, each with its own team, on one engine.
void test_callers() {
    std::mt19937 rng(7);
    const Plan plan{{{20, 30, Activation::tanh, true, 0, 0}, {30, 3, Activation::identity, true, 0, 630}},
                    {Likelihood::normal, false, {0.0}},
                    3};
    const auto theta = random_vector<float>(rng, plan.n_parameters()),
               X = random_vector<float>(rng, 600 * 20);
    Engine<float> engine(plan);
    std::vector<std::vector<float>> logits(4, std::vector<float>(1800));
    std::vector<std::thread> callers;
    for (auto& out : logits)
        callers.emplace_back([&] {
            for (int repeat = 0; repeat < 5; ++repeat)
                engine.forward(theta.data(), {X.data(), nullptr, nullptr, nullptr, 600}, out.data(), 2);
        });
    for (std::thread& caller : callers) caller.join();
    for (const auto& out : logits) check(out == logits.front(), "callers side by side");
}

template <class T> void test_all(std::mt19937& rng, int n_random) {
    for (std::int64_t size = 1; size <= 70; ++size) {
        test_products<T>(rng, size, 5, 7);
        test_products<T>(rng, 5, size, 7);
        test_products<T>(rng, 7, 5, size);
        test_narrow_product<T>(rng, 3, size);
    }
    for (const std::int64_t size : {255, 256, 257, 511, 512, 513}) {
        test_products<T>(rng, size, 9, 33);
        test_products<T>(rng, 9, size, 33);
    }
    for (int k = 0; k < n_random; ++k) test_other_rows<T>(rng);
    for (int k = 0; k < n_random; ++k)  // each likelihood in turn
        test_threads<T>(rng, static_cast<Likelihood>(k % static_cast<int>(Likelihood::unknown)));
}

// Whether this processor has what the program was compiled for.
bool runs_here() {
#if defined(__AVX512F__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

}  // namespace

int main(int argc, char** argv) {
    if (!runs_here()) {
        std::printf("skipped: this processor has not the instructions\n");
        return 77;  // CTest takes it for skipped
    }
    std::mt19937 rng(argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 0u);
    const int n_random = argc > 2 ? std::atoi(argv[2]) : 70;  // five of each likelihood
    test_large_layout();
    test_all<float>(rng, n_random);
    test_all<double>(rng, n_random);
    test_callers();
    std::printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed == 0 ? 0 : 1;
}
