// How far ahead of their use weights are asked for: which distance is best depends on the core, and
// no flag of the CPU says it.
#pragma once

#include <cstddef>
#include <vector>

#include "isa/ops.h"

namespace trine {

// ops.aheads without its end.
std::vector<std::size_t> aheads_of(const Ops& ops);

// The one of ops.aheads with which one thread reads two-bit weights fastest from memory; the first
// where there is no choice, or no memory to measure in. Takes about 50 ms.
std::size_t fastest_ahead(const Ops& ops);

}  // namespace trine
