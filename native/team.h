// Several threads that start together, timed as one.
#pragma once

#include <functional>
#include <vector>

namespace trine {

// Calls `prepare(thread)` once and `body(thread, pass)` `passes` times on each of `threads`
// threads, the caller being thread 0. Returns the seconds of each pass: from the first start of a
// body to the last end (steady clock); the threads wait for each other before each pass. Throws
// std::system_error when a thread cannot be created, before any prepare is called. `prepare` and
// `body` must not throw.
std::vector<double> run_passes(int threads, int passes, const std::function<void(int)>& prepare,
                               const std::function<void(int, int)>& body);

}  // namespace trine
