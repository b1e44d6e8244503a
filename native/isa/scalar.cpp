// Portable C++ at the architecture's baseline: always there, and the truth of the self-test.
#include "isa/all.h"
#include "isa/generic.h"

namespace trine {
namespace {

// IEEE 754 binary16: 1 sign, 5 exponent and 10 fraction bits.
float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t rest = half & 0x7FFF;
  std::uint32_t bits;
  if (rest >= 0x7C00) {  // infinity and NaN
    bits = sign | 0x7F800000 | (rest & 0x3FF) << 13;
  } else if (rest >= 0x400) {
    bits = sign | ((rest << 13) + ((127 - 15) << 23));
  } else {  // a multiple of 2^-24
    const float magnitude = static_cast<float>(rest) * 0x1p-24f;
    __builtin_memcpy(&bits, &magnitude, sizeof bits);
    bits |= sign;
  }
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// Rounds to nearest, ties to even.
std::uint16_t float_to_half(float value) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  const std::uint32_t sign = bits >> 16 & 0x8000;
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  std::uint32_t half;
  if (magnitude > 0x7F800000) {
    half = 0x7E00 | (magnitude >> 13 & 0x1FF);  // a quiet NaN
  } else if (magnitude >= 0x477FF000) {         // rounds to 65536 or more
    half = 0x7C00;
  } else if (magnitude >= 0x38800000) {  // normal: 2^-14 and more
    const std::uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    half = (rounded - ((127 - 15) << 23)) >> 13;
  } else {  // adding 2^-1 * 2^-24 * 2^24 leaves multiples of 2^-24 in the low bits
    float absolute;
    __builtin_memcpy(&absolute, &magnitude, sizeof absolute);
    absolute += 0.5f;
    __builtin_memcpy(&half, &absolute, sizeof half);
    half -= 0x3F000000;
  }
  return static_cast<std::uint16_t>(sign | half);
}

struct Scalar {
  using Words = std::uint64_t;
  // Four bytes, already widened: a loop over memory gets the widening free with its load.
  struct Bytes {
    std::int32_t at[4];
  };
  using Sums = std::int32_t;
  using Floats = float;

  static constexpr std::size_t kWordsBytes = 8;
  static constexpr std::size_t kDotBytes = 4;
  static constexpr std::size_t kFloats = 1;
  static constexpr std::size_t kDotChains = 4;  // with 4 + 4 operands: what 16 registers hold
  static constexpr std::size_t kFmaChains = 8;  // latency 4, 2 a cycle

  static Words load_words(const std::uint8_t* at) {
    Words word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
  }
  static Words add_words(Words a, Words b) { return a + b; }
  static void store_words(std::uint64_t* out, Words word) { *out = word; }

  template <class Byte>
  static Bytes load_bytes(const Byte* at) {
    return {{at[0], at[1], at[2], at[3]}};
  }
  static Sums dot(Sums sum, const Bytes& left, const Bytes& right) {
    for (int i = 0; i < 4; ++i) sum += left.at[i] * right.at[i];
    return sum;
  }
  static void store_sums(std::int32_t* out, Sums sum) { *out = sum; }
  static Sums set_sums(std::int32_t value) { return value; }
  static Sums load_sums(const std::int32_t* at) { return *at; }
  static Sums add_sums(Sums a, Sums b) { return a + b; }
  static Sums sub_sums(Sums a, Sums b) { return a - b; }

  static constexpr std::size_t kRows = 1;
  static void store_bytes(std::uint8_t* at, const Bytes& bytes) {
    for (int j = 0; j < 4; ++j) at[j] = static_cast<std::uint8_t>(bytes.at[j]);
  }
  static Bytes broadcast(const std::int8_t* four) { return load_bytes(four); }

  static constexpr std::size_t kAheads[] = {0, kNoAhead};
  static void prefetch(const void*) {}
  static constexpr bool kOneStream = true;
  static constexpr int kSumRegisters = 4;
  static constexpr int kLineTokens = 2;
  static constexpr int kLineSums = 0;
  static constexpr std::size_t kLineTiles = 1;
  static constexpr std::size_t kLineAheadBytes = 0;

  using Acc = std::int32_t;
  static Acc mac(Acc acc, const Bytes& left, const Bytes& right) {
    return hide(dot(acc, left, right));
  }
  static Sums widen(Acc acc) { return acc; }

  static constexpr int kGroups = 1;
  static constexpr int kGroup[4] = {0, 0, 0, 0};
  static constexpr std::size_t kBlockLines = std::size_t{1} << 14;
  static void planes(const Bytes& bytes, Bytes* out) { code_planes(bytes, out); }

  static constexpr bool kTelescope = false;
  static constexpr Form kDigits = Form::kCodes;
  static constexpr std::size_t kBlockLines3 = std::size_t{1} << 14;
  static Bytes begin_digits(const Bytes& bytes) { return bytes; }
  static Bytes triple(const Bytes& rest) {
    Bytes out;
    for (int j = 0; j < 4; ++j) out.at[j] = 3 * rest.at[j] & 255;
    return out;
  }
  static Bytes digit(const Bytes& rest) {
    Bytes out;
    for (int j = 0; j < 4; ++j) out.at[j] = 3 * rest.at[j] >> 8;
    return out;
  }

  static constexpr int kGemvTokens = 4;
  static constexpr std::size_t kGemvMost[kCodes] = {4, 4};
  static constexpr int kGemmTiles = 1;
  static constexpr int kGemmTokens = 1;
  static constexpr std::size_t kGemmSteps = 256;
  static void code_planes(const Bytes& bytes, Bytes* out) {
    for (int p = 0; p < 4; ++p) {
      for (int j = 0; j < 4; ++j) out[p].at[j] = bytes.at[j] >> (2 * p) & 3;
    }
  }
  static Bytes code_digit(const Bytes& rest) { return digit(rest); }

  static Floats load_floats(const float* at) { return *at; }
  static void store_floats(float* out, Floats value) { *out = value; }
  static Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
  static Floats add_floats(Floats a, Floats b) { return a + b; }
  // a > b ? a : b, so b where one is no number.
  static Floats max_floats(Floats a, Floats b) { return a > b ? a : b; }

  static Floats set_floats(float value) { return value; }
  static Floats load_half(const std::uint16_t* at) { return half_to_float(*at); }
  static void store_half(std::uint16_t* out, Floats value) { *out = float_to_half(value); }
  static Floats load_int8(const std::int8_t* at) { return static_cast<float>(*at); }
  template <Float kType>
  static Floats load_element(const void* at) {
    if constexpr (kType == kF32) {
      float value;
      __builtin_memcpy(&value, at, sizeof value);
      return value;
    } else {
      std::uint16_t bits;
      __builtin_memcpy(&bits, at, sizeof bits);
      return kType == kF16 ? half_to_float(bits) : bf16_to_float(bits);
    }
  }

  static constexpr std::size_t kHeadSums = 8;
  static constexpr std::size_t kHeadTokens = 8;
  static constexpr std::size_t kHeadAheadTokens = 1;
  static constexpr std::size_t kHeadAheadBytes = 0;
  static constexpr std::size_t kRowStep = 1;
  using Wide = std::int16_t;
  static Wide widen_row(const std::int8_t* row) { return *row; }
  static std::int32_t sum_lanes(Sums sum) { return sum; }
  static Wide load_wide(const std::int16_t* state) { return *state; }
  static Sums mac_wide(Sums sum, Wide row, Wide state) { return sum + row * state; }

  static Bytes hide(Bytes bytes) {
    asm("" : "+r"(bytes.at[0]), "+r"(bytes.at[1]), "+r"(bytes.at[2]), "+r"(bytes.at[3]));
    return bytes;
  }
  static Sums hide(Sums sum) {
    asm("" : "+r"(sum));
    return sum;
  }
  static Floats hide(Floats value) {
#if defined(__x86_64__)
    asm("" : "+x"(value));
#elif defined(__aarch64__)
    asm("" : "+w"(value));
#else
    asm("" : "+m"(value));
#endif
    return value;
  }
};

}  // namespace

const Ops kScalarOps = kOps<Scalar>;

}  // namespace trine
