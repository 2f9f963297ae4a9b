// Threads that live for one call, and the barrier they meet at.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

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

#if defined(__linux__)
// A thread that begins on a processor of its own. Linux begins a thread where its maker runs, and there it
// would wait until the balance of the load is looked at: for milliseconds, which is more than many a call
// takes.
class Thread {
public:
    // The number, from 1 on, says how far from the maker's processor; of those that the process may use.
    template <class Work> Thread(int number, Work work) {
        auto task = std::make_unique<Task<Work>>(Task<Work>{std::move(work), {}, false});
        cpu_set_t beginning;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        task->placed = choose(number, task->allowed, beginning) &&
                       pthread_attr_setaffinity_np(&attributes, sizeof beginning, &beginning) == 0;
        int failed = pthread_create(&handle_, &attributes, &run<Work>, task.get());
        if (failed != 0 && task->placed) {  // not to be placed, perhaps
            task->placed = false;
            failed = pthread_create(&handle_, nullptr, &run<Work>, task.get());
        }
        pthread_attr_destroy(&attributes);
        if (failed != 0) throw std::system_error(failed, std::generic_category());
        task.release();  // the thread has it
    }
    void join() { pthread_join(handle_, nullptr); }

private:
    template <class Work> struct Task {
        Work work;
        cpu_set_t allowed;
        bool placed;
    };

    template <class Work> static void* run(void* given) {
        const std::unique_ptr<Task<Work>> task(static_cast<Task<Work>*>(given));
        if (task->placed)
            sched_setaffinity(0, sizeof task->allowed, &task->allowed);  // it may move from now on
        task->work();
        return nullptr;
    }

    static bool choose(int number, cpu_set_t& allowed, cpu_set_t& chosen) {
        const int here = sched_getcpu();
        if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) != 0)
            return false;
        int left = number % CPU_COUNT(&allowed), at = here;
        while (left > 0) {
            at = (at + 1) % CPU_SETSIZE;
            if (CPU_ISSET(at, &allowed)) --left;
        }
        CPU_ZERO(&chosen);
        CPU_SET(at, &chosen);
        return at != here;
    }

    pthread_t handle_{};
};
#else
class Thread {
public:
    template <class Work> Thread(int, Work work) : thread_(std::move(work)) {}
    void join() { thread_.join(); }

private:
    std::thread thread_;
};
#endif

// The threads of one call: they meet at the barrier, and claim numbered pieces of work between two barriers.
class Team {
public:
    explicit Team(int n_threads)
        : size_(n_threads),
          claimed_(std::make_unique<Claimed[]>(static_cast<std::size_t>(n_threads))) {}

    int size() const { return size_; }

    // Do the pieces of work that nobody has claimed since the last barrier. Those from start(thread) up to
    // start(thread + 1) come first: what this thread wrote there the last time is still in its caches. Then
    // it helps the others.
    template <class Start, class Work> void each(int thread, const Start& start, const Work& work) {
        for (int k = 0; k < size_; ++k) {
            const int owner = thread + k < size_ ? thread + k : thread + k - size_;
            std::atomic<std::int64_t>& claimed = claimed_[static_cast<std::size_t>(owner)].n;
            const std::int64_t end = start(owner + 1);
            for (;;) {
                const std::int64_t piece = start(owner) + claimed.fetch_add(1, std::memory_order_relaxed);
                if (piece >= end) break;
                work(piece);
            }
        }
    }

    // Wait for all.
    void meet() {
        if (size_ == 1) return forget_claims();
        const std::uint32_t round = round_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
            arrived_.store(0, std::memory_order_relaxed);
            forget_claims();
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        wait_until([&] { return round_.load(std::memory_order_acquire) != round; });
    }

    // Run work(team, thread number) on every thread of the team; the caller is thread 0.
    template <class Work> void run(const Work& work) {
        std::vector<Thread> threads;
        threads.reserve(static_cast<std::size_t>(size_));
        std::atomic<bool> start{false};
        try {
            for (int k = 1; k < size_; ++k)
                threads.emplace_back(k, [this, &start, &work, k] {
                    wait_until([&] {
                        return start.load(std::memory_order_acquire);
                    });  // asleep, it might be woken elsewhere
                    work(*this, k);
                });
        } catch (const std::exception&) {
            // No more threads, or no memory for them, are to be had: those that there are do the work, with
            // the same bits.
            size_ = static_cast<int>(threads.size()) + 1;
        }
        start.store(true, std::memory_order_release);
        work(*this, 0);
        for (Thread& thread : threads) thread.join();
    }

private:
    struct Claimed {
        alignas(64) std::atomic<std::int64_t> n{0};
    };

    void forget_claims() {
        for (int k = 0; k < size_; ++k)
            claimed_[static_cast<std::size_t>(k)].n.store(0, std::memory_order_relaxed);
    }

    // Spin a little, then let others run.
    template <class Done> static void wait_until(const Done& done) {
        for (int spins = 0; !done(); ++spins) {
            if (spins < SPINS)
                pause_briefly();
            else
                std::this_thread::yield();
        }
    }

    static constexpr int SPINS = 300;  // some microseconds

    int size_;
    std::unique_ptr<Claimed[]> claimed_;
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<std::uint32_t> round_{0};
};

}  // namespace chainrule
