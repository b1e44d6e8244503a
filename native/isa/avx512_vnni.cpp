// AVX-512 VNNI: the int8 dot product in one 512-bit instruction.
#include "isa/all.h"
#include "isa/avx512.h"
#include "isa/vnni.h"

namespace trine {
namespace {

struct Avx512VnniDot : Avx512Bw {
  static Sums dot(Sums sums, Bytes left, Bytes right) {
    return _mm512_dpbusd_epi32(sums, left, right);
  }
};

using Avx512Vnni = Vnni<Avx512VnniDot>;

}  // namespace

const Ops kAvx512VnniOps = kOps<Avx512Vnni>;

}  // namespace trine
