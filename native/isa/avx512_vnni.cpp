// AVX-512 VNNI: the int8 dot product in one 512-bit instruction.
#include "isa/all.h"
#include "isa/avx512.h"
#include "isa/vnni.h"

namespace trine {
namespace {

struct Avx512VnniDot : Avx512Bw {
  // Four sums or more are as long as the latency.
  static constexpr int kLineTokens = 4;
  static constexpr int kLineSums = 16;
  static constexpr std::size_t kLineTiles = 2;
  static constexpr int kGemvTokens = 8;
  static constexpr std::size_t kGemvMost[kCodes] = {16, 16};

  static Sums dot(Sums sums, Bytes left, Bytes right) {
    return _mm512_dpbusd_epi32(sums, left, right);
  }
  static Sums mac_wide(Sums sums, Wide row, Wide state) {
    return _mm512_dpwssd_epi32(sums, row, state);
  }
};

using Avx512Vnni = Vnni<Avx512VnniDot>;

}  // namespace

const Ops kAvx512VnniOps = kOps<Avx512Vnni>;

}  // namespace trine
