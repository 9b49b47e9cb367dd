// Aligned memory of a thread, kept between calls.
#pragma once
#include <memory>
#include <new>

#include "kernels.hpp"

struct FreeWorkspace {
    void operator()(u64* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
};

// At least so many words, for whoever asks next on this thread: nobody keeps it beyond a task.
inline u64* workspace(size_t words) {
    thread_local std::unique_ptr<u64[], FreeWorkspace> memory;
    thread_local size_t size = 0;
    if (size < words) {
        memory.reset(new (std::align_val_t{64}) u64[words]);
        size = words;
    }
    return memory.get();
}
