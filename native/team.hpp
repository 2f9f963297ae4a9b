// Threads that live for one call, and the barrier they meet at.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace chainrule {

inline void pause_briefly() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// A number below which results are taken as zero while training: the moments of units that are dead would
// otherwise become denormal, and the processor some hundred times slower with them.
class FlushDenormals {
public:
#if defined(__x86_64__) || defined(_M_X64)
    FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040u); }
    ~FlushDenormals() { _mm_setcsr(before_); }

private:
    unsigned before_;
#elif defined(__aarch64__)
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(before_));
        asm volatile("msr fpcr, %0" : : "r"(before_ | (std::uint64_t{1} << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(before_)); }

private:
    std::uint64_t before_ = 0;
#else
    FlushDenormals() {}
#endif
public:
    FlushDenormals(const FlushDenormals&) = delete;
    FlushDenormals& operator=(const FlushDenormals&) = delete;
};

// The threads of one call: they meet at the barrier, and claim numbered pieces of work between two barriers.
class Team {
public:
    explicit Team(int n_threads) : size_(n_threads) {}

    int size() const { return size_; }

    // The next piece of work that nobody has claimed since the last barrier.
    std::int64_t claim() { return next_.fetch_add(1, std::memory_order_relaxed); }

    // Wait for all. Whoever waits spins a little, then lets others run.
    void meet() {
        if (size_ == 1) {
            next_.store(0, std::memory_order_relaxed);
            return;
        }
        const std::uint32_t round = round_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
            arrived_.store(0, std::memory_order_relaxed);
            next_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
            if (spins < SPINS)
                pause_briefly();
            else
                std::this_thread::yield();
        }
    }

    // Run work(team, thread number) on every thread of the team; the caller is thread 0.
    template <class Work> void run(const Work& work) {
        std::vector<std::thread> threads;
        threads.reserve(static_cast<std::size_t>(size_));
        std::atomic<bool> start{false};
        try {
            for (int k = 1; k < size_; ++k)
                threads.emplace_back([this, &start, &work, k] {
                    start.wait(false);
                    work(*this, k);
                });
        } catch (const std::exception&) {
            // No more threads, or no memory for them, are to be had: those that there are do the work, with
            // the same bits.
            size_ = static_cast<int>(threads.size()) + 1;
        }
        start.store(true);
        start.notify_all();
        work(*this, 0);
        for (std::thread& thread : threads) thread.join();
    }

private:
    static constexpr int SPINS = 300;  // some microseconds

    int size_;
    alignas(64) std::atomic<std::int64_t> next_{0};
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<std::uint32_t> round_{0};
};

}  // namespace chainrule
