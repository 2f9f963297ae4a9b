// What the arithmetic units can do at most: chains of multiply-adds on registers, for the benchmarks.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "simd.hpp"
#include "team.hpp"

namespace chainrule {

inline constexpr int CHAINS = 12;  // independent: enough to hide the latency of 4 or 5 cycles on two units

// n rounds of CHAINS multiply-adds; the result keeps the compiler from leaving them out.
template <class T> __attribute__((noinline)) T multiply_add_rounds(std::int64_t n, T factor) {
    Vec<T> chain[CHAINS];
    // no chain starts at the fixed point of x = factor x + 1: the compiler would leave it out, and the peak
    // would come out too high
    for (int c = 0; c < CHAINS; ++c) chain[c] = broadcast<T>(T(c) + factor);
    const Vec<T> a = broadcast<T>(factor), b = broadcast<T>(T(1));
    for (std::int64_t k = 0; k < n; ++k)
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; ++c) chain[c] = chain[c] * a + b;
    Vec<T> sum{};
    for (int c = 0; c < CHAINS; ++c) sum += chain[c];
    return sum[0];
}

// Floating-point operations a second that n_threads reach together: the best of n_stretches of some ms.
template <class T> double peak_flop_rate(int n_threads, int n_stretches) {
    using Clock = std::chrono::steady_clock;
    constexpr std::int64_t ROUNDS = 500'000;
    constexpr double FLOP = 2.0 * CHAINS * LANES<T> * ROUNDS;
    double best = 0;
    std::vector<T> sink(static_cast<std::size_t>(n_threads));
    const volatile T factor = T(0.5);  // not known to the compiler
    Team(n_threads).run([&](Team& team, int thread) {
        for (int stretch = 0; stretch < n_stretches; ++stretch) {
            team.meet();
            const auto begin = Clock::now();
            sink[static_cast<std::size_t>(thread)] += multiply_add_rounds<T>(ROUNDS, factor);
            team.meet();
            if (thread == 0)
                best = std::max(best, FLOP * team.size() /
                                          std::chrono::duration<double>(Clock::now() - begin).count());
        }
    });
    return best;
}

}  // namespace chainrule
