// AVX-512 VNNI: the int8 dot product in one 512-bit instruction.
#include "isa/all.h"
#include "isa/avx512.h"
#include "isa/vnni.h"

namespace trine {
namespace {

struct Avx512VnniDot : Avx512Bw {
  // Eight sums of a line, each multiplied four or five times, are as long as the latency.
  static constexpr int kLineTokens = 4;
  static constexpr int kLineSums = 8;
  static constexpr int kGemvTokens = 8;
  static constexpr std::size_t kGemvMost[kCodes] = {16, 16};

  static Sums dot(Sums sums, Bytes left, Bytes right) {
    return _mm512_dpbusd_epi32(sums, left, right);
  }
  static Sums mac_wide(Sums sums, Wide row, const std::int16_t* hidden) {
    return _mm512_dpwssd_epi32(sums, row, load_bytes(hidden));
  }
};

using Avx512Vnni = Vnni<Avx512VnniDot>;

}  // namespace

const Ops kAvx512VnniOps = kOps<Avx512Vnni>;

}  // namespace trine
