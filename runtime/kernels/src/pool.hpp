// A pool of threads that take tasks from one counter, so that a core slowed by other work costs one task, not the run.
#pragma once
#include <cstddef>
#include <functional>

// Calls task(0) .. task(count-1), each once, on the calling thread and the pool, and returns when all are done.
// Several threads may call it at once and share the pool. Tasks must not throw.
void run_tasks(std::size_t count, const std::function<void(std::size_t)>& task);

// Threads that take part, the caller included: MPCC_THREADS, or every core. Throws std::runtime_error when it is not a
// number from 1 to 1024.
std::size_t thread_count();
