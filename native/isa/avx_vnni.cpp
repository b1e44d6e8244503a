// AVX-VNNI: one instruction for the int8 dot product, without AVX-512.
#include "isa/all.h"
#include "isa/avx2.h"
#include "isa/vnni.h"

namespace trine {
namespace {

struct AvxVnniDot : Avx2 {
  static Sums dot(Sums sums, Bytes left, Bytes right) {
    return _mm256_dpbusd_avx_epi32(sums, left, right);
  }
};

using AvxVnni = Vnni<AvxVnniDot>;

}  // namespace

const Ops kAvxVnniOps = kOps<AvxVnni>;

}  // namespace trine
