// The only file that knows Python. Arrays come checked (chainrule/engine/native.py); work runs without the
// GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "halves.hpp"
#include "peak.hpp"
#include "row_predictor.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace chainrule {
namespace {

template <class T> using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// X: dense, or sparse as (starts of the rows, columns, values).
template <class T> using Sparse = std::tuple<In<std::int64_t>, In<std::int32_t>, In<T>>;
template <class T> using Table = std::variant<In<T>, Sparse<T>>;

// (n_inputs, units, activation, bias, dropout, weight_start)
using LayerTuple = std::tuple<std::int64_t, std::int64_t, std::string, bool, double, std::int64_t>;

// (name, whether its scale is free, its numbers)
using LikelihoodTuple = std::tuple<std::string, bool, std::vector<double>>;

Plan make_plan(const std::vector<LayerTuple>& layers, const LikelihoodTuple& likelihood,
               std::int64_t n_scales, std::int64_t n_columns, double scale_rate) {
    const auto& [name, free_scale, numbers] = likelihood;
    Plan plan{{}, {likelihood_named(name), free_scale, numbers}, n_columns, scale_rate};
    if (plan.likelihood.name == Likelihood::unknown)
        throw nb::value_error(("no native likelihood " + name).c_str());
    if (plan.likelihood.name == Likelihood::tweedie && free_scale && numbers.size() < 3)
        throw nb::value_error("a free scale of tweedie needs the log-weights of its sum");
    if (layers.empty()) throw nb::value_error("there must be a layer");
    for (const auto& [n_inputs, units, activation, bias, dropout, start] : layers) {
        const bool first = plan.layers.empty();
        if (n_inputs < 1 || units < 1 ||
            start != (first ? (scale_rate != 0 ? n_inputs : 0) : plan.n_parameters()) ||
            (!first && n_inputs != plan.layers.back().units))
            throw nb::value_error("each layer must take the units of the one below, and follow it in theta");
        plan.layers.push_back({n_inputs, units, activation_named(activation), bias, dropout, start});
        if (plan.layers.back().activation == Activation::unknown)
            throw nb::value_error(("no native activation " + activation).c_str());
    }
    if (plan.layers.back().activation != Activation::identity)
        throw nb::value_error("the top layer must have no activation");
    const std::int64_t end = plan.n_parameters();
    if (n_scales > 0) plan.layers.push_back({0, n_scales, Activation::identity, true, 0, end});
    return plan;
}

void require(bool ok, const char* what) {
    if (!ok) throw nb::value_error(what);
}

template <class A> std::int64_t size_of(const A& array) { return static_cast<std::int64_t>(array.size()); }

template <class T> const T* pointer(const std::optional<In<T>>& array) {
    return array ? array->data() : nullptr;
}

// The rows of a call. Sizes that do not fit together would be read beyond their ends: an error, whoever
// calls.
template <class T> Rows<T> dense_rows(const Plan& plan, const In<T>& X) {
    require(X.ndim() == 2 && static_cast<std::int64_t>(X.shape(1)) == plan.n_inputs() && X.shape(0) > 0,
            "X must be (n_rows, n_inputs), with at least one row");
    return {X.data(), nullptr, nullptr, nullptr, static_cast<std::int64_t>(X.shape(0))};
}

template <class T> Rows<T> sparse_rows(const Plan& plan, const Sparse<T>& X) {
    const auto& [starts, columns, values] = X;
    const std::int64_t n = size_of(starts) - 1, n_entries = size_of(values);
    require(n > 0 && starts.data()[0] == 0 && starts.data()[n] == n_entries &&
                std::is_sorted(starts.data(), starts.data() + n + 1),
            "the starts of sparse rows must rise from 0 to the number of their entries");
    require(size_of(columns) == n_entries &&
                std::all_of(columns.data(), columns.data() + n_entries,
                            [&](std::int32_t j) { return j >= 0 && j < plan.n_inputs(); }),
            "each entry of sparse rows needs a column below n_inputs");
    require(plan.layers.front().dropout == 0, "sparse rows cannot be dropped from");
    Rows<T> rows{nullptr, nullptr, nullptr, nullptr, n};
    rows.sparse = {starts.data(), columns.data(), values.data()};
    return rows;
}

template <class T>
Rows<T> checked_rows(const Plan& plan, std::int64_t n_parameters, const Table<T>& X, const In<T>* y,
                     const std::optional<In<T>>* weight, const std::optional<In<T>>* offset, int n_threads) {
    require(n_parameters == plan.n_parameters(), "theta must have n_parameters entries");
    const In<T>* const dense = std::get_if<In<T>>(&X);
    Rows<T> rows =
        dense != nullptr ? dense_rows<T>(plan, *dense) : sparse_rows<T>(plan, std::get<Sparse<T>>(X));
    const std::int64_t n = rows.n;
    require(y == nullptr || size_of(*y) == n * plan.n_columns, "y must be (n_rows, n_columns)");
    require(weight == nullptr || !*weight || size_of(**weight) == n, "the weights must be (n_rows,)");
    require(offset == nullptr || !*offset || size_of(**offset) == n * plan.n_logits(),
            "the offset must be (n_rows, n_logits)");
    require(n_threads >= 1, "n_threads must be at least 1");
    rows.y = y == nullptr ? nullptr : y->data();
    rows.weight = weight == nullptr ? nullptr : pointer(*weight);
    rows.offset = offset == nullptr ? nullptr : pointer(*offset);
    return rows;
}

// N9: a mean needs a row that counts.
template <class T> void require_weight(const Rows<T>& rows, std::int64_t begin, std::int64_t n) {
    const auto counts = [&](std::int64_t i) { return rows.weight[rows.at(i)] > 0; };
    std::int64_t i = begin;
    while (rows.weight != nullptr && i < begin + n && !counts(i)) ++i;
    require(rows.weight == nullptr || i < begin + n, "the weights of a batch must not all be 0");
}

template <class T>
void forward(Engine<T>& engine, In<T> theta, Table<T> X, Out<T> logits, int n_threads) {
    const nb::gil_scoped_release release;
    const Rows<T> rows =
        checked_rows<T>(engine.plan(), size_of(theta), X, nullptr, nullptr, nullptr, n_threads);
    require(size_of(logits) == rows.n * engine.plan().n_logits(), "logits must be (n_rows, n_logits)");
    engine.forward(theta.data(), rows, logits.data(), n_threads);
}

template <class T>
double loss(Engine<T>& engine, In<T> theta, Table<T> X, In<T> y, std::optional<In<T>> weight,
            std::optional<In<T>> offset, std::optional<Out<T>> logits, int n_threads) {
    const nb::gil_scoped_release release;
    const Rows<T> rows = checked_rows<T>(engine.plan(), size_of(theta), X, &y, &weight, &offset, n_threads);
    require(!logits || size_of(*logits) == rows.n * engine.plan().n_logits(),
            "logits must be (n_rows, n_logits)");
    require_weight(rows, 0, rows.n);
    return engine.loss(theta.data(), rows, logits ? logits->data() : nullptr, n_threads);
}

template <class T>
double loss_and_gradient(Engine<T>& engine, In<T> theta, Table<T> X, In<T> y, std::optional<In<T>> weight,
                         std::optional<In<T>> offset, Out<T> gradient, std::optional<Out<T>> input_gradient,
                         double l2, bool l2_biases, bool l2_of_sum, std::optional<std::uint64_t> dropout_seed,
                         int n_threads) {
    const nb::gil_scoped_release release;
    const Rows<T> rows = checked_rows<T>(engine.plan(), size_of(theta), X, &y, &weight, &offset, n_threads);
    require(size_of(gradient) == size_of(theta), "the gradient must be like theta");
    require(!input_gradient ||
                (!rows.is_sparse() && size_of(*input_gradient) == rows.n * engine.plan().n_inputs()),
            "the input gradient must be like X, and X dense");
    require_weight(rows, 0, rows.n);
    const Dropout dropout{dropout_seed.has_value(), dropout_seed.value_or(0), 0};
    T* const to_input = input_gradient ? input_gradient->data() : nullptr;
    return engine.loss_and_gradient(theta.data(), rows, gradient.data(), to_input, {l2, l2_biases, l2_of_sum},
                                    dropout, n_threads);
}

// A descent under way: the arrays are the caller's, and change in place.
template <class T>
Descent<T> make_descent(Out<T> theta, Out<T> first, const std::optional<Out<T>>& second,
                        const std::string& rule,
                        const std::tuple<double, double, double, double, double>& numbers,
                        const std::tuple<double, bool, bool>& penalty, double clip_norm, bool decay_biases,
                        std::uint64_t dropout_seed, std::int64_t steps_done) {
    const auto& [momentum, beta_1, beta_2, epsilon, weight_decay] = numbers;
    const auto& [l2, l2_biases, l2_of_sum] = penalty;
    const Rule named = rule_named(rule);
    require(named != Rule::unknown, "the native engine has no such optimizer");
    require(size_of(first) == size_of(theta) &&
                (second ? size_of(*second) == size_of(theta) : named != Rule::adam),
            "the optimizer's state must be like theta");
    return {theta.data(),
            first.data(),
            second ? second->data() : nullptr,
            {named, momentum, beta_1, beta_2, epsilon, weight_decay},
            {l2, l2_biases, l2_of_sum},
            clip_norm,
            decay_biases,
            dropout_seed,
            steps_done,
            size_of(theta)};
}

template <class T>
std::int64_t run_steps(Engine<T>& engine, Descent<T>& descent, Table<T> X, In<T> y,
                       std::optional<In<T>> weight, std::optional<In<T>> offset, In<std::int64_t> order,
                       std::int64_t batch_size, std::int64_t first_batch, In<double> learning_rates,
                       Out<double> losses, std::optional<Out<double>> penalties, double seconds,
                       int n_threads) {
    const nb::gil_scoped_release release;
    Rows<T> rows = checked_rows<T>(engine.plan(), descent.n_parameters, X, &y, &weight, &offset, n_threads);
    const std::int64_t n_rows = rows.n, n_steps = size_of(learning_rates);
    rows.order = order.data();
    rows.n = size_of(order);
    const bool several = order.ndim() == 2;
    const Batches batches{static_cast<std::int64_t>(order.shape(several ? 1 : 0)), batch_size};
    require(order.ndim() <= 2 && batch_size >= 1 && n_steps >= 1 && batches.rows_an_epoch >= 1 &&
                first_batch >= 0 &&
                n_steps <= batches.an_epoch() * (several ? static_cast<std::int64_t>(order.shape(0)) : 1) -
                               first_batch &&
                size_of(losses) >= n_steps && (!penalties || size_of(*penalties) >= n_steps),
            "each learning rate needs a batch of rows and a place for its loss");
    require(std::all_of(rows.order, rows.order + rows.n,
                        [&](std::int64_t row) { return row >= 0 && row < n_rows; }),
            "order must hold row numbers of X");
    for (std::int64_t k = 0; k < n_steps; ++k)
        require_weight(rows, batches.begin(first_batch + k), batches.n_rows(first_batch + k));
    double* const to_penalties = penalties ? penalties->data() : nullptr;
    return engine.run_steps(descent, rows, batches, first_batch, learning_rates.data(), n_steps, seconds,
                            losses.data(), to_penalties, n_threads);
}

template <class T>
void forward_half(Halves<T>& halves, In<T> theta, Table<T> X, std::int64_t chunk, Out<T> logits,
                  std::optional<std::uint64_t> dropout_seed, std::uint64_t step) {
    const Rows<T> rows = checked_rows<T>(halves.plan(), size_of(theta), X, nullptr, nullptr, nullptr, 1);
    require(halves.takes(rows, chunk) &&
                size_of(logits) == std::min(CHUNK_ROWS, rows.n - chunk) * halves.plan().n_logits(),
            "logits must be those of a chunk of the rows");
    const nb::gil_scoped_release release;
    halves.forward(theta.data(), rows, chunk, {dropout_seed.has_value(), dropout_seed.value_or(0), step},
                   logits.data());
}

template <class T>
double backward_half(Halves<T>& halves, In<T> theta, Table<T> X, std::int64_t chunk, In<T> y,
                     std::optional<In<T>> weight, Out<T> gradient, std::optional<Out<T>> input_gradient,
                     std::optional<std::uint64_t> dropout_seed, std::uint64_t step) {
    const Rows<T> rows = checked_rows<T>(halves.plan(), size_of(theta), X, &y, &weight, nullptr, 1);
    require(size_of(gradient) == size_of(theta), "the gradient must be like theta");
    require(halves.takes(rows, chunk), "there must be a chunk of the rows");
    require(!input_gradient ||
                (!rows.is_sparse() && size_of(*input_gradient) == rows.n * halves.plan().n_inputs()),
            "the input gradient must be like X, and X dense");
    T* const to_input = input_gradient ? input_gradient->data() : nullptr;
    const nb::gil_scoped_release release;
    return halves.backward(theta.data(), rows, chunk,
                           {dropout_seed.has_value(), dropout_seed.value_or(0), step}, gradient.data(),
                           to_input);
}

// Returns the loss, penalty included, and the penalty.
template <class T>
std::pair<double, double> descend(Halves<T>& halves, Descent<T>& descent, Out<T> gradient, double loss,
                                  double total_weight, double learning_rate) {
    require(descent.n_parameters == halves.plan().n_parameters() && size_of(gradient) == descent.n_parameters,
            "the gradient must be like theta");
    const nb::gil_scoped_release release;
    double penalty = 0;
    const double whole = halves.descend(descent, gradient.data(), loss, total_weight, learning_rate, penalty);
    return {whole, penalty};
}

// No array is converted: a copy would take the results with it.
template <class T> void bind_engine(nb::module_& m, const char* name) {
    nb::class_<Engine<T>>(m, name)
        .def("__init__",
             [](Engine<T>* self, const std::vector<LayerTuple>& layers, const LikelihoodTuple& likelihood,
                std::int64_t n_scales, std::int64_t n_columns, double scale_rate) {
                 new (self) Engine<T>(make_plan(layers, likelihood, n_scales, n_columns, scale_rate));
             })
        .def("forward", &forward<T>, "theta"_a.noconvert(), "X"_a.noconvert(), "logits"_a.noconvert(),
             "n_threads"_a)
        .def("loss", &loss<T>, "theta"_a.noconvert(), "X"_a.noconvert(), "y"_a.noconvert(),
             "weight"_a.noconvert().none(), "offset"_a.noconvert().none(), "logits"_a.noconvert().none(),
             "n_threads"_a)
        .def("loss_and_gradient", &loss_and_gradient<T>, "theta"_a.noconvert(), "X"_a.noconvert(),
             "y"_a.noconvert(), "weight"_a.noconvert().none(), "offset"_a.noconvert().none(),
             "gradient"_a.noconvert(), "input_gradient"_a.noconvert().none(), "l2"_a, "l2_biases"_a,
             "l2_of_sum"_a, "dropout_seed"_a.none(), "n_threads"_a)
        .def("run_steps", &run_steps<T>, "descent"_a, "X"_a.noconvert(), "y"_a.noconvert(),
             "weight"_a.noconvert().none(), "offset"_a.noconvert().none(), "order"_a.noconvert(),
             "batch_size"_a, "first_batch"_a, "learning_rates"_a.noconvert(), "losses"_a.noconvert(),
             "penalties"_a.noconvert().none(), "seconds"_a, "n_threads"_a);
}

template <class T> void bind_descent(nb::module_& m, const char* name) {
    nb::class_<Descent<T>>(m, name).def(
        "__init__",
        [](Descent<T>* self, Out<T> theta, Out<T> first, const std::optional<Out<T>>& second,
           const std::string& rule, const std::tuple<double, double, double, double, double>& numbers,
           const std::tuple<double, bool, bool>& penalty, double clip_norm, bool decay_biases,
           std::uint64_t dropout_seed, std::int64_t steps_done) {
            new (self) Descent<T>(make_descent<T>(theta, first, second, rule, numbers, penalty, clip_norm,
                                                  decay_biases, dropout_seed, steps_done));
        },
        nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>(), "theta"_a.noconvert(),
        "first"_a.noconvert(), "second"_a.noconvert().none(), "rule"_a, "numbers"_a, "penalty"_a,
        "clip_norm"_a, "decay_biases"_a, "dropout_seed"_a, "steps_done"_a);
}

template <class T> void bind_halves(nb::module_& m, const char* name) {
    nb::class_<Halves<T>>(m, name)
        .def(nb::init<const Engine<T>&, std::int64_t, int, bool, bool>(), nb::keep_alive<1, 2>(), "engine"_a,
             "n_rows"_a, "n_threads"_a, "to_input"_a, "sparse"_a)
        .def("forward", &forward_half<T>, "theta"_a.noconvert(), "X"_a.noconvert(), "chunk"_a,
             "logits"_a.noconvert(), "dropout_seed"_a.none(), "step"_a)
        .def("backward", &backward_half<T>, "theta"_a.noconvert(), "X"_a.noconvert(), "chunk"_a,
             "y"_a.noconvert(), "weight"_a.noconvert().none(), "gradient"_a.noconvert(),
             "input_gradient"_a.noconvert().none(), "dropout_seed"_a.none(), "step"_a)
        .def("descend", &descend<T>, "descent"_a, "gradient"_a.noconvert(), "loss"_a, "total_weight"_a,
             "learning_rate"_a);
}

template <class T> void bind_predictor(nb::module_& m, const char* name) {
    nb::class_<RowPredictor<T>>(m, name)
        .def("__init__",
             [](RowPredictor<T>* self, const Engine<T>& engine, In<T> theta) {
                 require(size_of(theta) == engine.plan().n_parameters(),
                         "theta must have n_parameters entries");
                 new (self) RowPredictor<T>(engine.plan(), theta.data());
             })
        .def("__call__", [](RowPredictor<T>& predictor, In<T> row, Out<T> mean) {
            require(size_of(row) == predictor.n_inputs(),
                    "the row has another length than the network has inputs");
            require(size_of(mean) >= predictor.n_logits(), "the mean needs n_logits places");
            predictor(row.data(), mean.data());
        });
}

template <class T, class Function> void apply_to_all(In<T> x, Out<T> y, const Function& function) {
    const auto n = static_cast<std::int64_t>(x.size());
    require(size_of(y) == n, "x and y must have as many entries");
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
    if (name == "log_gamma")
        return apply_to_all<T>(x, y, [](Vec<T> v) { return gamma_pair<T>(v).log_gamma; });
    if (name == "digamma") return apply_to_all<T>(x, y, [](Vec<T> v) { return gamma_pair<T>(v).digamma; });
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
    chainrule::bind_descent<float>(m, "DescentFloat32");
    chainrule::bind_descent<double>(m, "DescentFloat64");
    chainrule::bind_halves<float>(m, "HalvesFloat32");
    chainrule::bind_halves<double>(m, "HalvesFloat64");
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
    m.attr("chunk_rows") = chainrule::CHUNK_ROWS;
}
