// The pool under ThreadSanitizer: runs after spinning and after sleeping, barriers, several
// callers.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include "pool.h"

using trine::Items;
using trine::Pool;

namespace {

// Workers fill a buffer, then each reads what the others wrote: a race unless the barrier orders
// it.
bool round_trip(Pool& pool, std::size_t round) {
  const auto workers = static_cast<std::size_t>(pool.threads());
  constexpr std::size_t kCount = 64;
  std::vector<std::size_t> first(kCount), second(kCount);
  std::vector<std::size_t> taken(workers);
  std::vector<Items> items = trine::items_of(pool.threads(), 2);
  pool.run([&](int worker) {
    for (std::size_t i = items[0].take(); i < kCount; i = items[0].take()) {
      first[i] = i + round;
      ++taken[static_cast<std::size_t>(worker)];
    }
    pool.barrier();
    // Parts of their own, and then of the others: each number once.
    for (Items::Range some = items[1].take(worker, kCount, 5); some.first < some.end;
         some = items[1].take(worker, kCount, 5)) {
      for (std::size_t i = some.first; i < some.end; ++i) second[i] += first[kCount - 1 - i];
    }
    pool.barrier();
    if (worker == 0) items[0].reset();
    pool.barrier();
    for (std::size_t i = items[0].take(); i < kCount; i = items[0].take()) first[i] = second[i];
  });
  std::size_t all = 0;
  for (std::size_t count : taken) all += count;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (first[i] != kCount - 1 - i + round) return false;
  }
  return all == kCount;
}

}  // namespace

int main() {
  bool right = true;
  for (int threads : {1, 2, 3, 7}) {
    Pool pool(threads);
    for (std::size_t round = 0; round < 300; ++round) {
      right &= round_trip(pool, round);
      // Longer than workers spin: the next run has to wake them.
      if (round % 30 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    bool others_right[2] = {true, true};
    std::vector<std::thread> callers;
    for (bool& other : others_right) {
      callers.emplace_back([&pool, &other] {
        for (std::size_t round = 0; round < 100; ++round) other &= round_trip(pool, round);
      });
    }
    for (std::thread& caller : callers) caller.join();
    right &= others_right[0] && others_right[1];
  }
  for (int i = 0; i < 50; ++i) Pool idle(4);  // ends before it ever ran
  std::puts(right ? "all rounds right" : "a round went wrong");
  return right ? 0 : 1;
}
