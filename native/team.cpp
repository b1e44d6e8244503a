#include "team.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <system_error>
#include <thread>

namespace trine {
namespace {

using Clock = std::chrono::steady_clock;

struct Interval {
  Clock::time_point begin;
  Clock::time_point end;
};

enum class Gate { kClosed, kOpen, kAbandoned };

// Spins, since a sleeping thread would start late; yields, since there may be more threads than
// cores.
template <class Condition>
void wait_until(const Condition& condition) {
  while (!condition()) std::this_thread::yield();
}

}  // namespace

std::vector<double> run_passes(int threads, int passes, const std::function<void(int)>& prepare,
                               const std::function<void(int, int)>& body) {
  std::vector<std::vector<Interval>> intervals(
      static_cast<std::size_t>(threads), std::vector<Interval>(static_cast<std::size_t>(passes)));
  std::atomic<Gate> gate{Gate::kClosed};
  std::atomic<std::int64_t> arrivals{0};

  const auto work = [&](int thread) {
    prepare(thread);
    for (int pass = 0; pass < passes; ++pass) {
      // Arrivals only grow, so that a fast thread cannot slip through the next pass's barrier.
      arrivals.fetch_add(1);
      const std::int64_t all = std::int64_t{threads} * (pass + 1);
      wait_until([&] { return arrivals.load() >= all; });
      Interval& interval =
          intervals[static_cast<std::size_t>(thread)][static_cast<std::size_t>(pass)];
      interval.begin = Clock::now();
      body(thread, pass);
      interval.end = Clock::now();
    }
  };

  std::vector<std::thread> helpers;
  const auto join = [&](Gate verdict) {
    gate.store(verdict);
    if (verdict == Gate::kOpen) work(0);
    for (std::thread& helper : helpers) helper.join();
  };
  try {
    for (int thread = 1; thread < threads; ++thread) {
      helpers.emplace_back([&, thread] {
        wait_until([&] { return gate.load() != Gate::kClosed; });
        if (gate.load() == Gate::kOpen) work(thread);
      });
    }
  } catch (const std::system_error&) {
    join(Gate::kAbandoned);
    throw;
  }
  join(Gate::kOpen);

  std::vector<double> seconds;
  for (std::size_t pass = 0; pass < static_cast<std::size_t>(passes); ++pass) {
    Interval whole = intervals[0][pass];
    for (const auto& of_thread : intervals) {
      whole.begin = std::min(whole.begin, of_thread[pass].begin);
      whole.end = std::max(whole.end, of_thread[pass].end);
    }
    seconds.push_back(std::chrono::duration<double>(whole.end - whole.begin).count());
  }
  return seconds;
}

}  // namespace trine
