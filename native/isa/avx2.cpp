// AVX2 and FMA: every x86-64 server since 2015.
#include "isa/avx2.h"

#include "isa/all.h"

namespace trine {

const Ops kAvx2Ops = kOps<Avx2>;

}  // namespace trine
