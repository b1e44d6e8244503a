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

// The clock is read once for so many pauses.
constexpr int kPauses = 16;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
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

void Pool::wait_until(const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPauses; ++i) {
      if (done()) return;
      pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  std::unique_lock<std::mutex> lock(sleep_mutex_);
  // Before done() is asked again: either this sees the change, or tell() sees the sleeper.
  sleepers_.fetch_add(1);
  wake_.wait(lock, done);
  sleepers_.fetch_sub(1);
}

void Pool::tell() {
  if (sleepers_.load() == 0) return;
  const std::lock_guard<std::mutex> lock(sleep_mutex_);
  wake_.notify_all();
}

void Pool::stop() {
  stopping_.store(true);
  tell();
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
  run_number_.fetch_add(1);
  tell();
  body(0);
  wait_until([&] { return unfinished_.load() == 0; });
}

void Pool::work(int worker) {
  for (std::uint64_t seen = 0;; ++seen) {
    wait_until([&] { return run_number_.load() > seen || stopping_.load(); });
    if (stopping_.load()) return;
    (*body_)(worker);
    unfinished_.fetch_sub(1);
    tell();
  }
}

void Pool::barrier() {
  const std::uint64_t number = barrier_number_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) < threads_ - 1) {
    wait_until([&] { return barrier_number_.load() != number; });
    return;
  }
  arrived_.store(0, std::memory_order_relaxed);
  barrier_number_.fetch_add(1);
  tell();
}

}  // namespace trine
