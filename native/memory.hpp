// The memory of a workspace: one array, aligned and zero, in large pages where it is large.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace chainrule {

template <class T> class Memory {
public:
    static constexpr std::int64_t LINE_BYTES = 64, PAGE_BYTES = 4096;

    Memory() = default;
    explicit Memory(std::int64_t n) {
        const auto bytes = static_cast<std::size_t>(n) * sizeof(T);
        large_ = bytes >= LARGE_PAGE_BYTES / 2;
        const std::size_t whole =
            large_ ? (bytes + LARGE_PAGE_BYTES - 1) / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES : bytes;
        at_ = static_cast<T*>(::operator new(whole, alignment()));
#if defined(__linux__)
        // Pages of 4 KiB lie anywhere, and some fall together in the second cache: up to a third of the time
        // was seen to be lost. A refusal costs nothing but that.
        if (large_) ::madvise(at_, whole, MADV_HUGEPAGE);
#endif
        std::fill_n(at_, n, T(0));
    }
    ~Memory() {
        if (at_ != nullptr) ::operator delete(at_, alignment());
    }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    T* get() const { return at_; }

private:
    static constexpr std::size_t LARGE_PAGE_BYTES = std::size_t{2} << 20;

    std::align_val_t alignment() const {
        return std::align_val_t{large_ ? LARGE_PAGE_BYTES : static_cast<std::size_t>(LINE_BYTES)};
    }

    T* at_ = nullptr;
    bool large_ = false;
};

}  // namespace chainrule
