// Work on ranges of elements, for the pool.
#pragma once
#include <algorithm>

#include "kernels.hpp"
#include "pool.hpp"

// Ranges of [0, count) that begin at multiples of `step`, each of at least `grain`.
inline void run_ranges(size_t count, size_t step, size_t grain, const std::function<void(size_t, size_t)>& range) {
    if (count == 0) return;
    const size_t wanted = std::max(grain, ceil_div(count, 8 * thread_count()));
    const size_t length = ceil_div(wanted, step) * step;
    run_tasks(ceil_div(count, length),
              [&](size_t task) { range(task * length, std::min(count, (task + 1) * length)); });
}
