// The tables that the ISA files define. Which of them a build contains is decided by CMake, which
// sets one TRINE_HAVE_<NAME> for each.
#pragma once

#include "isa/ops.h"

namespace trine {

extern const Ops kScalarOps;
extern const Ops kAvx2Ops;
extern const Ops kAvxVnniOps;
extern const Ops kAvx512BwOps;
extern const Ops kAvx512VnniOps;
extern const Ops kNeonDotprodOps;

}  // namespace trine
