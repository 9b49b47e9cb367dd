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

namespace {

struct Job {
    const std::function<void(std::size_t)>& task;
    std::size_t count;
    std::atomic<std::size_t> next{0};

    void work() {
        for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) task(i);
    }
};

class Pool {
  public:
    explicit Pool(std::size_t workers) {
        for (std::size_t i = 0; i < workers; ++i) std::thread([this] { serve(); }).detach();
    }

    void run(Job& job) {
        std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
        if (!turn) return job.work();
        {
            std::lock_guard<std::mutex> lock(state_);
            job_ = &job;
        }
        wake_.notify_all();
        job.work();
        std::unique_lock<std::mutex> lock(state_);
        job_ = nullptr;  // a worker that wakes late finds nothing
        idle_.wait(lock, [this] { return busy_ == 0; });
    }

  private:
    void serve() {
        std::unique_lock<std::mutex> lock(state_);
        for (;;) {
            wake_.wait(lock, [this] { return job_ != nullptr && job_->next < job_->count; });
            Job* job = job_;
            ++busy_;
            lock.unlock();
            job->work();
            lock.lock();
            if (--busy_ == 0) idle_.notify_one();
        }
    }

    std::mutex turn_, state_;
    std::condition_variable wake_, idle_;
    Job* job_ = nullptr;
    std::size_t busy_ = 0;
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
    Job job{task, count};
    if (count <= 1 || thread_count() == 1) return job.work();
    started_pool().run(job);
}
