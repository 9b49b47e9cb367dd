#include "pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Job {
    const std::function<void(std::size_t)>& task;
    std::size_t count;
    std::atomic<std::size_t> next{0};
    std::size_t workers = 0;  // guarded by the pool's mutex

    bool step() {  // one task; false when none is left
        const std::size_t i = next.fetch_add(1, std::memory_order_relaxed);
        if (i >= count) return false;
        task(i);
        return true;
    }
    bool open() const { return next.load(std::memory_order_relaxed) < count; }
};

// Workers serve the newest job first: work ahead of its time, which comes in long jobs, waits for what is needed now.
class Pool {
  public:
    explicit Pool(std::size_t workers) {
        for (std::size_t i = 0; i < workers; ++i) std::thread([this] { serve(); }).detach();
    }

    void run(Job& job) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            jobs_.push_back(&job);
            newest_.fetch_add(1, std::memory_order_relaxed);
        }
        wake_.notify_all();
        while (job.step()) {
        }
        std::unique_lock<std::mutex> lock(mutex_);
        jobs_.erase(std::find(jobs_.begin(), jobs_.end(), &job));  // a worker that wakes late does not find it
        idle_.wait(lock, [&job] { return job.workers == 0; });
    }

  private:
    Job* open_job() const {
        const auto found = std::find_if(jobs_.rbegin(), jobs_.rend(), [](const Job* job) { return job->open(); });
        return found == jobs_.rend() ? nullptr : *found;
    }

    void serve() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            Job* job = nullptr;
            wake_.wait(lock, [&] { return (job = open_job()) != nullptr; });
            const std::size_t newest = newest_.load(std::memory_order_relaxed);
            ++job->workers;
            lock.unlock();
            while (newest_.load(std::memory_order_relaxed) == newest && job->step()) {
            }
            lock.lock();
            if (--job->workers == 0) idle_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_, idle_;
    std::vector<Job*> jobs_;
    std::atomic<std::size_t> newest_{0};  // counts the jobs
};

// Never destroyed: its threads end with the process. A forked child has no workers, so it starts its own pool.
std::atomic<Pool*> pool{nullptr};
std::mutex starting;

Pool& started_pool() {
    Pool* current = pool.load(std::memory_order_acquire);
    if (current != nullptr) return *current;
    std::lock_guard<std::mutex> lock(starting);
    if (pool.load() == nullptr) {
        static const int registered = pthread_atfork(
            [] { starting.lock(); }, [] { starting.unlock(); }, [] {
                starting.unlock();
                pool.store(nullptr);
            });
        static_cast<void>(registered);
        pool.store(new Pool(thread_count() - 1), std::memory_order_release);
    }
    return *pool.load();
}

std::size_t read_thread_count() {
    const char* text = std::getenv("MPCC_THREADS");
    if (text == nullptr || *text == '\0') return std::clamp(std::thread::hardware_concurrency(), 1u, 1024u);
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (*end != '\0' || value < 1 || value > 1024)
        throw std::runtime_error("MPCC_THREADS=" + std::string(text) + " is not a number from 1 to 1024");
    return static_cast<std::size_t>(value);
}

}  // namespace

std::size_t thread_count() {
    static const std::size_t count = read_thread_count();
    return count;
}

void run_tasks(std::size_t count, const std::function<void(std::size_t)>& task) {
    if (count <= 1 || thread_count() == 1) {
        for (std::size_t i = 0; i < count; ++i) task(i);
        return;
    }
    Job job{task, count};
    started_pool().run(job);
}
