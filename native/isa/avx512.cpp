// AVX-512 F and BW: 512-bit registers, the int8 dot product still in three instructions.
#include "isa/avx512.h"

#include "isa/all.h"

namespace trine {

const Ops kAvx512BwOps = kOps<Avx512Bw>;

}  // namespace trine
