// Whether an instruction set works here: CPUID can lie in a virtual machine, execution cannot.
#pragma once

#include "isa/ops.h"

namespace trine {

// Runs every function of the table on small data and compares with plain C++. False on a wrong
// result and on an illegal instruction; the process survives both.
bool passes_self_test(const Ops& ops);

}  // namespace trine
