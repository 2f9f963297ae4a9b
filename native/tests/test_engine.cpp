// Drives the engine without Python, for the sanitizers: products against plain loops over many sizes, the
// index arithmetic of sizes that no memory holds, and whole descents on 1 to 5 threads, which must agree to
// the bit. Run with a number to draw other sizes.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>

#include "engine.hpp"

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
        transposed_product<T>(A_panels.data(), H_panels.data(), n, n, unit, units, m, false, g.data(), stride,
                              [](std::int64_t) {});
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

// Offsets of a layer with more than three billion weights: every step of the arithmetic in 64 bits.
void test_large_layout() {
    const Layer layer{60'000, 60'000, Activation::relu, true, 0, 7};
    check(layer.bias_start() == 3'600'000'007, "bias_start");
    check(panels_size<float>(60'000, 60'000) == 3'600'000'000, "panels_size");
    const std::int64_t last = panel_row<float>(60'000, 59'999, 59'999) + 59'999 % PANEL<float>;
    check(last == 3'599'999'999, "panel_row", last);
}

Plan random_plan(std::mt19937& rng) {
    const auto draw = [&](int least, int most) {
        return std::uniform_int_distribution<std::int64_t>(least, most)(rng);
    };
    Plan plan{{}, {static_cast<Likelihood>(draw(0, 3)), false, {0.0}}, 0};
    const std::int64_t depth = draw(0, 3),
                       n_logits = plan.likelihood.name == Likelihood::categorical ? draw(2, 20) : draw(1, 40);
    plan.n_columns = plan.likelihood.name == Likelihood::categorical ? 1 : n_logits;
    std::int64_t below = draw(1, 70), start = 0;
    for (std::int64_t l = 0; l <= depth; ++l) {
        const bool top = l == depth;
        Layer layer{below,
                    top ? n_logits : draw(1, 70),
                    top ? Activation::identity : static_cast<Activation>(draw(0, 10)),
                    draw(0, 3) > 0,
                    draw(0, 2) == 0 ? 0.25 : 0.0,
                    start};
        plan.layers.push_back(layer);
        below = layer.units;
        start = layer.bias_start() + (layer.bias ? layer.units : 0);
    }
    return plan;
}

template <class T> struct Outcome {
    std::vector<T> theta, gradient, input_gradient, logits;
    std::vector<double> losses;
    bool operator==(const Outcome&) const = default;
};

template <class T> void test_threads(std::mt19937& rng) {
    const auto draw = [&](int least, int most) {
        return std::uniform_int_distribution<std::int64_t>(least, most)(rng);
    };
    const Plan plan = random_plan(rng);
    const std::int64_t n = draw(0, 9) == 0 ? draw(500, 1200) : draw(1, 70),
                       batch = draw(0, 1) == 0 ? draw(1, 70) : n;
    const auto X = random_vector<T>(rng, n * plan.n_inputs());
    std::vector<T> y(static_cast<std::size_t>(n * plan.n_columns)), weight(static_cast<std::size_t>(n));
    for (T& value : y)
        value = static_cast<T>(draw(
            0, plan.likelihood.name == Likelihood::categorical ? static_cast<int>(plan.n_logits()) - 1 : 1));
    for (T& value : weight) value = static_cast<T>(draw(1, 3));
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = n - 1 - i;
    auto theta = random_vector<T>(rng, plan.n_parameters());
    for (T& value : theta) value *= T(0.1);
    const std::int64_t n_steps = (n + batch - 1) / batch;
    const std::vector<double> rates(static_cast<std::size_t>(n_steps), 0.01);
    const bool clip = draw(0, 2) == 0;
    const Rule rule = static_cast<Rule>(draw(0, 2));

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
        const Rows<T> rows{X.data(), y.data(), weight.data(), order.data(), n};
        const std::int64_t done = engine.run_steps(descent, rows, batch, rates.data(), n_steps, 1e9,
                                                   outcome.losses.data(), nullptr, n_threads);
        check(done == n_steps, "all steps done", done, n_steps);
        engine.loss_and_gradient(outcome.theta.data(), rows, outcome.gradient.data(),
                                 outcome.input_gradient.data(), {0.01, true}, {true, 3, 0}, n_threads);
        engine.forward(outcome.theta.data(), {X.data(), nullptr, nullptr, nullptr, n}, outcome.logits.data(),
                       {}, n_threads);
        if (!first)
            first = std::move(outcome);
        else
            check(*first == outcome, "the same bits on every number of threads", n_threads, n, batch);
    }
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
                engine.forward(theta.data(), {X.data(), nullptr, nullptr, nullptr, 600}, out.data(), {}, 2);
        });
    for (std::thread& caller : callers) caller.join();
    for (const auto& out : logits) check(out == logits.front(), "callers side by side");
}

template <class T> void test_all(std::mt19937& rng, int n_random) {
    for (std::int64_t size = 1; size <= 70; ++size) {
        test_products<T>(rng, size, 5, 7);
        test_products<T>(rng, 5, size, 7);
        test_products<T>(rng, 7, 5, size);
    }
    for (const std::int64_t size : {255, 256, 257, 511, 512, 513}) {
        test_products<T>(rng, size, 9, 33);
        test_products<T>(rng, 9, size, 33);
    }
    for (int k = 0; k < n_random; ++k) test_threads<T>(rng);
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
    const int n_random = argc > 2 ? std::atoi(argv[2]) : 60;
    test_large_layout();
    test_all<float>(rng, n_random);
    test_all<double>(rng, n_random);
    test_callers();
    std::printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed == 0 ? 0 : 1;
}
