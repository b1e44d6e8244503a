#include "pool.h"

#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace trine {
namespace {

// Long enough to bridge what Python does between two tokens, short enough that idle workers do not
// take a core from anybody for a time that somebody notices.
constexpr std::chrono::microseconds kSpin{200};

// Then a waiting worker offers its core: there may be more workers than cores.
constexpr int kPausesBeforeYield = 2000;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Condition>
void wait_until(const Condition& condition) {
  for (int pauses = 0; !condition();) {
    if (pauses < kPausesBeforeYield) {
      ++pauses;
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace

Pool::Pool(int threads) : threads_(threads) {
  if (threads < 1 || threads > kMaxThreads) {
    throw std::invalid_argument("threads must be 1 to " + std::to_string(kMaxThreads) + ", not " +
                                std::to_string(threads));
  }
  try {
    for (int worker = 1; worker < threads; ++worker) {
      helpers_.emplace_back([this, worker] { work(worker); });
    }
  } catch (const std::system_error&) {
    stop();
    throw;
  }
}

Pool::~Pool() { stop(); }

void Pool::stop() {
  stopping_.store(true);
  {
    const std::lock_guard<std::mutex> lock(sleep_mutex_);
    wake_.notify_all();
  }
  for (std::thread& helper : helpers_) helper.join();
}

void Pool::run(const std::function<void(int)>& body) {
  const std::lock_guard<std::mutex> lock(one_run_);
  if (threads_ == 1) {
    body(0);
    return;
  }
  body_ = &body;
  unfinished_.store(threads_ - 1, std::memory_order_relaxed);
  run_number_.fetch_add(1);  // sequentially consistent against `sleepers_`, see work()
  {
    const std::lock_guard<std::mutex> sleeping(sleep_mutex_);
    if (sleepers_ > 0) wake_.notify_all();
  }
  body(0);
  wait_until([&] { return unfinished_.load(std::memory_order_acquire) == 0; });
}

void Pool::work(int worker) {
  for (std::uint64_t seen = 0;; ++seen) {
    const auto called = [&] { return run_number_.load() > seen || stopping_.load(); };
    const auto until = std::chrono::steady_clock::now() + kSpin;
    while (!called() && std::chrono::steady_clock::now() < until) pause();
    if (!called()) {
      std::unique_lock<std::mutex> lock(sleep_mutex_);
      ++sleepers_;
      wake_.wait(lock, called);
      --sleepers_;
    }
    if (stopping_.load()) return;
    (*body_)(worker);
    unfinished_.fetch_sub(1, std::memory_order_release);
  }
}

void Pool::barrier() {
  if (threads_ == 1) return;
  const std::uint64_t number = barrier_number_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    barrier_number_.store(number + 1, std::memory_order_release);
  } else {
    wait_until([&] { return barrier_number_.load(std::memory_order_acquire) != number; });
  }
}

}  // namespace trine
