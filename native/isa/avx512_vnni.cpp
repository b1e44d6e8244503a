// AVX-512 VNNI: the int8 dot product in one 512-bit instruction.
#include "isa/all.h"
#include "isa/avx512.h"

namespace trine {
namespace {

struct Avx512Vnni : Avx512Bw {
  static Sums dot(Sums sums, Bytes left, Bytes right) {
    return _mm512_dpbusd_epi32(sums, left, right);
  }
};

}  // namespace

const Ops kAvx512VnniOps = kOps<Avx512Vnni>;

}  // namespace trine
