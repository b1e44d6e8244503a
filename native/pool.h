// The threads that a forward pass runs on.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace trine {

// `threads` workers, the caller being worker 0. Who waits, for a run or within one, spins for a
// moment, so that a token follows a token without a system call, and then sleeps, so that others
// get the core: another pool of the process (PyTorch's), or the very worker that is waited for.
// One run at a time: further callers wait.
class Pool {
 public:
  // Throws std::invalid_argument unless 1 <= threads <= kMaxThreads, std::system_error when the
  // system gives fewer.
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_; }

  // Calls body(worker) on every worker; returns when all have returned. `body` must not throw.
  void run(const std::function<void(int)>& body);

  // Inside a run: returns when every worker has called it. All that workers wrote before is
  // visible to all after.
  void barrier();

  static constexpr int kMaxThreads = 256;

 private:
  void work(int worker);
  void stop();

  // Returns when done() holds, which is sequentially consistent and follows a change that is told.
  void wait_until(const std::function<bool()>& done);
  void tell();

  int threads_;
  std::vector<std::thread> helpers_;
  std::mutex one_run_;

  const std::function<void(int)>* body_ = nullptr;
  std::atomic<std::uint64_t> run_number_{0};
  std::atomic<int> unfinished_{0};
  std::atomic<bool> stopping_{false};

  std::atomic<int> arrived_{0};
  std::atomic<std::uint64_t> barrier_number_{0};

  std::mutex sleep_mutex_;
  std::condition_variable wake_;
  std::atomic<int> sleepers_{0};
};

// Hands out 0 .. count - 1, each once, to whichever worker asks first: a worker that the system
// holds up does not hold up the others. Reset between two uses, with a barrier around it.
class Items {
 public:
  explicit Items(int workers) : next_(static_cast<std::size_t>(workers)) { reset(); }

  void reset() {
    for (Counter& next : next_) next.value.store(0, std::memory_order_relaxed);
  }

  // The next one in order, or any number of at least `count`.
  std::size_t take() { return next_[0].value.fetch_add(1, std::memory_order_relaxed); }

  struct Range {
    std::size_t first;
    std::size_t end;
  };

  // Next neighbours of a worker's own part of `count`, so that it goes through memory in one
  // stream; when that is done, of the others' parts. Half of what is left of a part, at most
  // `most`: each is an atomic operation, which holds up the loads behind it, and towards the end
  // everybody is to be done at once. Empty when none is left. Not to be mixed with take().
  Range take(int worker, std::size_t count, std::size_t most) {
    const std::size_t parts = next_.size();
    for (std::size_t i = 0; i < parts; ++i) {
      const std::size_t part = (static_cast<std::size_t>(worker) + i) % parts;
      const std::size_t begin = count * part / parts;
      const std::size_t size = count * (part + 1) / parts - begin;
      std::atomic<std::size_t>& next = next_[part].value;
      std::size_t at = next.load(std::memory_order_relaxed);
      while (at < size) {
        const std::size_t some = std::min(most, (size - at + 1) / 2);
        if (next.compare_exchange_weak(at, at + some, std::memory_order_relaxed)) {
          return {begin + at, begin + at + some};
        }
      }
    }
    return {count, count};
  }

 private:
  struct alignas(64) Counter {
    std::atomic<std::size_t> value{0};
  };
  std::vector<Counter> next_;
};

// For as many phases of a run.
inline std::vector<Items> items_of(int workers, std::size_t phases) {
  std::vector<Items> items;
  items.reserve(phases);
  for (std::size_t i = 0; i < phases; ++i) items.emplace_back(workers);
  return items;
}

}  // namespace trine
