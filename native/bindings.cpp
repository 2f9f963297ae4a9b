// The only file that knows Python. Arrays come checked (chainrule/engine/native.py); work runs without the
// GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "engine.hpp"
#include "peak.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace chainrule {
namespace {

template <class T> using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// (n_inputs, units, activation, bias, dropout, weight_start)
using LayerTuple = std::tuple<std::int64_t, std::int64_t, std::string, bool, double, std::int64_t>;

Plan make_plan(const std::vector<LayerTuple>& layers, const std::string& likelihood, std::int64_t n_columns) {
    Plan plan{{}, likelihood_named(likelihood), n_columns};
    if (plan.likelihood == Likelihood::unknown)
        throw nb::value_error(("no native likelihood " + likelihood).c_str());
    for (const auto& [n_inputs, units, activation, bias, dropout, start] : layers) {
        plan.layers.push_back({n_inputs, units, activation_named(activation), bias, dropout, start});
        if (plan.layers.back().activation == Activation::unknown)
            throw nb::value_error(("no native activation " + activation).c_str());
    }
    return plan;
}

template <class T> const T* pointer(const std::optional<In<T>>& array) {
    return array ? array->data() : nullptr;
}

template <class T>
std::int64_t run_steps(Engine<T>& engine, Out<T> theta, Out<T> first, std::optional<Out<T>> second,
                       const std::string& rule,
                       const std::tuple<double, double, double, double, double>& numbers, double l2,
                       bool l2_biases, double clip_norm, bool decay_biases, std::uint64_t dropout_seed,
                       std::int64_t steps_done, In<T> X, In<T> y, std::optional<In<T>> weight,
                       In<std::int64_t> order, std::int64_t batch_size, In<double> learning_rates,
                       Out<double> losses, double seconds, int n_threads) {
    const auto& [momentum, beta_1, beta_2, epsilon, weight_decay] = numbers;
    Descent<T> descent{theta.data(),
                       first.data(),
                       second ? second->data() : nullptr,
                       {rule_named(rule), momentum, beta_1, beta_2, epsilon, weight_decay},
                       {l2, l2_biases},
                       clip_norm,
                       decay_biases,
                       dropout_seed,
                       steps_done};
    if (descent.optimizer.rule == Rule::unknown)
        throw nb::value_error(("no native optimizer " + rule).c_str());
    const Rows<T> rows{X.data(), y.data(), pointer(weight), order.data(),
                       static_cast<std::int64_t>(order.shape(0))};
    const nb::gil_scoped_release release;
    return engine.run_steps(descent, rows, batch_size, learning_rates.data(),
                            static_cast<std::int64_t>(learning_rates.shape(0)), seconds, losses.data(),
                            n_threads);
}

template <class T> void bind_engine(nb::module_& m, const char* name) {
    nb::class_<Engine<T>>(m, name)
        .def("__init__",
             [](Engine<T>* self, const std::vector<LayerTuple>& layers, const std::string& likelihood,
                std::int64_t n_columns) { new (self) Engine<T>(make_plan(layers, likelihood, n_columns)); })
        .def("forward",
             [](Engine<T>& engine, In<T> theta, In<T> X, Out<T> logits, int n_threads) {
                 const Rows<T> rows{X.data(), nullptr, nullptr, nullptr,
                                    static_cast<std::int64_t>(X.shape(0))};
                 const nb::gil_scoped_release release;
                 engine.forward(theta.data(), rows, logits.data(), n_threads);
             })
        .def(
            "loss",
            [](Engine<T>& engine, In<T> theta, In<T> X, In<T> y, std::optional<In<T>> weight, int n_threads) {
                const Rows<T> rows{X.data(), y.data(), pointer(weight), nullptr,
                                   static_cast<std::int64_t>(X.shape(0))};
                const nb::gil_scoped_release release;
                return engine.loss(theta.data(), rows, n_threads);
            },
            "theta"_a, "X"_a, "y"_a, "weight"_a.none(), "n_threads"_a)
        .def(
            "loss_and_gradient",
            [](Engine<T>& engine, In<T> theta, In<T> X, In<T> y, std::optional<In<T>> weight, Out<T> gradient,
               std::optional<Out<T>> input_gradient, double l2, bool l2_biases,
               std::optional<std::uint64_t> dropout_seed, int n_threads) {
                const Rows<T> rows{X.data(), y.data(), pointer(weight), nullptr,
                                   static_cast<std::int64_t>(X.shape(0))};
                const Dropout dropout{dropout_seed.has_value(), dropout_seed.value_or(0), 0};
                T* const to_input = input_gradient ? input_gradient->data() : nullptr;
                const nb::gil_scoped_release release;
                return engine.loss_and_gradient(theta.data(), rows, gradient.data(), to_input,
                                                {l2, l2_biases}, dropout, n_threads);
            },
            "theta"_a, "X"_a, "y"_a, "weight"_a.none(), "gradient"_a, "input_gradient"_a.none(), "l2"_a,
            "l2_biases"_a, "dropout_seed"_a.none(), "n_threads"_a)
        .def("run_steps", &run_steps<T>, "theta"_a, "first"_a, "second"_a.none(), "rule"_a, "numbers"_a,
             "l2"_a, "l2_biases"_a, "clip_norm"_a, "decay_biases"_a, "dropout_seed"_a, "steps_done"_a, "X"_a,
             "y"_a, "weight"_a.none(), "order"_a, "batch_size"_a, "learning_rates"_a, "losses"_a, "seconds"_a,
             "n_threads"_a);
}

template <class T> void bind_predictor(nb::module_& m, const char* name) {
    nb::class_<RowPredictor<T>>(m, name)
        .def("__init__", [](RowPredictor<T>* self, const Engine<T>& engine,
                            In<T> theta) { new (self) RowPredictor<T>(engine.plan(), theta.data()); })
        .def("__call__", [](RowPredictor<T>& predictor, In<T> row, Out<T> mean) {
            if (static_cast<std::int64_t>(row.size()) != predictor.n_inputs())
                throw nb::value_error("the row has another length than the network has inputs");
            predictor(row.data(), mean.data());
        });
}

template <class T, class Function> void apply_to_all(In<T> x, Out<T> y, const Function& function) {
    const auto n = static_cast<std::int64_t>(x.size());
    if (static_cast<std::int64_t>(y.size()) != n) throw nb::value_error("x and y must have as many entries");
    for (std::int64_t i = 0; i < n; i += LANES<T>) {
        const std::int64_t m = std::min<std::int64_t>(LANES<T>, n - i);
        T lanes[LANES<T>];
        std::fill_n(lanes, LANES<T>, T(1));
        std::copy_n(x.data() + i, m, lanes);
        store(lanes, function(load(lanes)));
        std::copy_n(lanes, m, y.data() + i);
    }
}

// y = f(x) for a function of math.hpp by its name, so that tests can compare it with the true one.
template <class T> void apply_named(const std::string& name, In<T> x, Out<T> y) {
    if (name == "exp") return apply_to_all<T>(x, y, [](Vec<T> v) { return exp<T>(v); });
    if (name == "expm1") return apply_to_all<T>(x, y, [](Vec<T> v) { return expm1_nonpositive<T>(v); });
    if (name == "log") return apply_to_all<T>(x, y, [](Vec<T> v) { return log_positive<T>(v); });
    if (name == "log1p") return apply_to_all<T>(x, y, [](Vec<T> v) { return log1p_nonnegative<T>(v); });
    if (name == "tanh") return apply_to_all<T>(x, y, [](Vec<T> v) { return tanh<T>(v); });
    if (name == "sigmoid") return apply_to_all<T>(x, y, [](Vec<T> v) { return sigmoid_pair<T>(v).p; });
    if (name == "normal_cdf") return apply_to_all<T>(x, y, [](Vec<T> v) { return normal_pair<T>(v).cdf; });
    throw nb::value_error(("math.hpp has no function " + name).c_str());
}

// The instruction sets, of those that a module is built for, that this processor has; the best last.
std::vector<std::string> supported_instruction_sets() {
    std::vector<std::string> names{"baseline"};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) names.emplace_back("avx2");
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        names.emplace_back("avx512");
#endif
    return names;
}

}  // namespace
}  // namespace chainrule

NB_MODULE(CHAINRULE_MODULE, m) {
    chainrule::bind_engine<float>(m, "EngineFloat32");
    chainrule::bind_engine<double>(m, "EngineFloat64");
    chainrule::bind_predictor<float>(m, "RowPredictorFloat32");
    chainrule::bind_predictor<double>(m, "RowPredictorFloat64");
    m.def("apply", &chainrule::apply_named<float>, "name"_a, "x"_a.noconvert(), "y"_a.noconvert());
    m.def("apply", &chainrule::apply_named<double>, "name"_a, "x"_a.noconvert(), "y"_a.noconvert());
    m.def("supported_instruction_sets", &chainrule::supported_instruction_sets);
    m.def("peak_flop_rate", [](int n_threads, int n_stretches) {
        const nb::gil_scoped_release release;
        return chainrule::peak_flop_rate<float>(n_threads, n_stretches);
    });
    m.attr("vector_bytes") = chainrule::VECTOR_BYTES;
}
