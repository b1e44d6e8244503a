// The threads that a forward pass runs on.
#pragma once

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
  // visible to all after. While it waits, it calls `idle` until that returns false.
  template <class Idle>
  void barrier(const Idle& idle) {
    const std::uint64_t number = barrier_number_.load(std::memory_order_acquire);
    if (arrive()) return;
    const auto done = [&] { return barrier_number_.load() != number; };
    while (!done() && idle()) {
    }
    wait_until(done);
  }
  void barrier() {
    barrier([] { return false; });
  }

  static constexpr int kMaxThreads = 256;

 private:
  void work(int worker);
  void stop();

  // Counts a worker that has come to the barrier; true when it is the last, which opens it.
  bool arrive();

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

// Hands out 0 .. count - 1 in order, each once, to whichever worker asks first: a worker that the
// system holds up does not hold up the others. Reset between two uses, with a barrier around it.
class Items {
 public:
  void reset() { next_.store(0, std::memory_order_relaxed); }
  std::size_t take() { return next_.fetch_add(1, std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> next_{0};
};

}  // namespace trine
