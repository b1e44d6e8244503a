// Armv8.2 with the dot-product extension. Tested under emulation only, never on Arm hardware yet.
#include <arm_neon.h>

#include "isa/all.h"
#include "isa/generic.h"

namespace trine {
namespace {

struct NeonDotprod {
  using Words = uint64x2_t;
  using Bytes = int8x16_t;
  using Sums = int32x4_t;
  using Floats = float32x4_t;

  static constexpr std::size_t kWordsBytes = 16;
  static constexpr std::size_t kDotBytes = 16;
  static constexpr std::size_t kFloats = 4;
  // Latency 4, four a cycle on the widest cores; 32 registers leave room.
  static constexpr std::size_t kDotChains = 16;
  static constexpr std::size_t kFmaChains = 16;

  static Words load_words(const std::uint8_t* at) { return vreinterpretq_u64_u8(vld1q_u8(at)); }
  static Words add_words(Words a, Words b) { return vaddq_u64(a, b); }
  static void store_words(std::uint64_t* out, Words words) { vst1q_u64(out, words); }

  static Bytes load_bytes(const std::int8_t* at) { return vld1q_s8(at); }
  // Left values are at most 127 by contract, so their signed reading is the same number.
  static Bytes load_bytes(const std::uint8_t* at) { return vreinterpretq_s8_u8(vld1q_u8(at)); }
  static Sums dot(Sums sums, Bytes left, Bytes right) { return vdotq_s32(sums, left, right); }
  static void store_sums(std::int32_t* out, Sums sums) { vst1q_s32(out, sums); }

  static Floats load_floats(const float* at) { return vld1q_f32(at); }
  static void store_floats(float* out, Floats values) { vst1q_f32(out, values); }
  static Floats fma(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }

  static Bytes hide(Bytes bytes) {
    asm("" : "+w"(bytes));
    return bytes;
  }
  static Sums hide(Sums sums) {
    asm("" : "+w"(sums));
    return sums;
  }
  static Floats hide(Floats values) {
    asm("" : "+w"(values));
    return values;
  }
};

}  // namespace

const Ops kNeonDotprodOps = kOps<NeonDotprod>;

}  // namespace trine
