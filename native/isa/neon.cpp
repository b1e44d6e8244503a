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
  static Sums set_sums(std::int32_t value) { return vdupq_n_s32(value); }
  static Sums load_sums(const std::int32_t* at) { return vld1q_s32(at); }
  static Sums add_sums(Sums a, Sums b) { return vaddq_s32(a, b); }
  static Sums sub_sums(Sums a, Sums b) { return vsubq_s32(a, b); }

  static constexpr std::size_t kRows = 4;
  static void store_bytes(std::uint8_t* at, Bytes bytes) {
    vst1q_u8(at, vreinterpretq_u8_s8(bytes));
  }
  static Bytes broadcast(const std::int8_t* four) {
    std::int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return vreinterpretq_s8_s32(vdupq_n_s32(word));
  }

  static constexpr std::size_t kAheads[] = {4096, kNoAhead};
  static void prefetch(const void* at) { prefetch_l2(at); }
  static constexpr bool kOneStream = false;
  static constexpr int kSumRegisters = 16;  // of 32
  static constexpr int kLineTokens = 2;
  static constexpr int kLineSums = 16;
  static constexpr std::size_t kLineTiles = 1;
  static constexpr std::size_t kLineAheadBytes = kAheads[0];

  using Acc = int32x4_t;
  static Acc mac(Acc acc, Bytes left, Bytes right) { return hide(vdotq_s32(acc, left, right)); }
  static Sums widen(Acc acc) { return acc; }

  static constexpr int kGroups = 1;
  static constexpr int kGroup[4] = {0, 0, 0, 0};
  static constexpr std::size_t kBlockLines = std::size_t{1} << 14;
  static void planes(Bytes bytes, Bytes* out) { code_planes(bytes, out); }

  static constexpr bool kTelescope = false;
  static constexpr Form kDigits = Form::kTrits;
  static constexpr std::size_t kBlockLines3 = std::size_t{1} << 14;
  static Bytes begin_digits(Bytes bytes) { return bytes; }
  static Bytes triple(Bytes rest) { return vaddq_s8(rest, vaddq_s8(rest, rest)); }
  static Bytes digit(Bytes rest) {
    const uint8x16_t bytes = vreinterpretq_u8_s8(rest);
    const uint8x16_t low = vcltq_u8(bytes, vdupq_n_u8(86));
    const uint8x16_t high = vcgtq_u8(bytes, vdupq_n_u8(170));
    return vreinterpretq_s8_u8(vsubq_u8(low, high));
  }

  // 4 registers of weights, 24 of sums, 1 of activations.
  static constexpr int kGemvTokens = 4;
  static constexpr std::size_t kGemvMost[kCodes] = {4, 4};
  static constexpr int kGemmTiles = 1;
  static constexpr int kGemmTokens = 6;
  static constexpr std::size_t kGemmSteps = 256;
  static void code_planes(Bytes bytes, Bytes* out) {
    const uint8x16_t packed = vreinterpretq_u8_s8(bytes);
    const uint8x16_t mask = vdupq_n_u8(3);
    out[0] = vreinterpretq_s8_u8(vandq_u8(packed, mask));
    out[1] = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(packed, 2), mask));
    out[2] = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(packed, 4), mask));
    out[3] = vreinterpretq_s8_u8(vshrq_n_u8(packed, 6));
  }
  static Bytes code_digit(Bytes rest) { return vaddq_s8(digit(rest), vdupq_n_s8(1)); }

  static Floats load_floats(const float* at) { return vld1q_f32(at); }
  static void store_floats(float* out, Floats values) { vst1q_f32(out, values); }
  static Floats fma(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
  static Floats add_floats(Floats a, Floats b) { return vaddq_f32(a, b); }
  // a > b ? a : b, so b where one is no number.
  static Floats max_floats(Floats a, Floats b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

  static Floats set_floats(float value) { return vdupq_n_f32(value); }
  static Floats load_half(const std::uint16_t* at) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(at)));
  }
  static void store_half(std::uint16_t* out, Floats values) {
    vst1_u16(out, vreinterpret_u16_f16(vcvt_f16_f32(values)));
  }
  static Floats load_int8(const std::int8_t* at) {
    std::int32_t four;
    __builtin_memcpy(&four, at, sizeof four);
    const int8x8_t codes = vcreate_s8(static_cast<std::uint32_t>(four));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(codes))));
  }
  template <Float kType>
  static Floats load_element(const void* at) {
    if constexpr (kType == kF32) return load_floats(static_cast<const float*>(at));
    if constexpr (kType == kF16) return load_half(static_cast<const std::uint16_t*>(at));
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(static_cast<const std::uint16_t*>(at)), 16));
  }

  static constexpr std::size_t kHeadSums = 16;
  static constexpr std::size_t kHeadTokens = 4;
  static constexpr std::size_t kHeadAheadTokens = 1;
  static constexpr std::size_t kHeadAheadBytes = kAheads[0];
  static constexpr std::size_t kRowStep = 8;
  using Wide = int16x8_t;
  static Wide widen_row(const std::int8_t* row) { return vmovl_s8(vld1_s8(row)); }
  static std::int32_t sum_lanes(Sums sums) { return vaddvq_s32(sums); }
  static Wide load_wide(const std::int16_t* state) { return vld1q_s16(state); }
  static Sums mac_wide(Sums sums, Wide row, Wide state) {
    return vmlal_high_s16(vmlal_s16(sums, vget_low_s16(row), vget_low_s16(state)), row, state);
  }

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
