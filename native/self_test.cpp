#include "self_test.h"

#include <cstring>

#include "guard.h"
#include "tiles.h"

namespace trine {
namespace {

// A few registers of the widest level, so that loops run more than once.
constexpr std::size_t kCount = 4 * kVectorBlock;
constexpr std::size_t kReadBytes = 2 * kReadBlock;

// The whole legal range: left 0..127, right -128..127, in an order with no period of a register.
std::uint8_t left_byte(std::size_t i) { return static_cast<std::uint8_t>(i * 37 % 128); }
std::int8_t right_byte(std::size_t i) {
  return static_cast<std::int8_t>(static_cast<int>(i * 101 % 256) - 128);
}

bool sums_words(const Ops& ops) {
  std::uint8_t data[kReadBytes];
  for (std::size_t i = 0; i < kReadBytes; ++i) data[i] = static_cast<std::uint8_t>(i * 151 + i / 7);
  std::uint64_t expected = 0;
  for (std::size_t i = 0; i < kReadBytes; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, data + i, sizeof word);
    expected += word;
  }
  for (const auto sum_words : ops.sum_words) {
    if (sum_words(data, kReadBytes) != expected) return false;
  }
  return true;
}

bool multiplies_int8(const Ops& ops) {
  std::uint8_t left[kCount];
  std::int8_t right[kCount];
  std::int32_t expected = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    left[i] = left_byte(i);
    right[i] = right_byte(i);
    expected += left[i] * right[i];
  }
  return ops.dot_int8(left, right, kCount) == expected;
}

bool multiplies_fp32(const Ops& ops) {
  float left[kCount];
  float right[kCount];
  float out[kCount];
  // Integers this small are exact in float32, fused or not, so equality is the right comparison.
  for (std::size_t i = 0; i < kCount; ++i) {
    left[i] = left_byte(i);
    right[i] = right_byte(i);
    out[i] = static_cast<float>(i);
  }
  ops.fma_fp32(left, right, out, kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    if (out[i] != static_cast<float>(left_byte(i) * right_byte(i)) + static_cast<float>(i)) {
      return false;
    }
  }
  return true;
}

bool counts_work(const Ops& ops) {
  constexpr std::int64_t kSteps = 3;
  constexpr std::int64_t kDot = 1 * -5 + 2 * 6 + 3 * -7 + 4 * 8;  // of the four operand pairs
  const Work int8 = ops.int8_peak(kSteps);
  const Work fp32 = ops.fp32_peak(kSteps);
  return int8.ops > 0 && int8.total == int8.ops / 8 * kDot && fp32.ops > 0 &&
         fp32.total == fp32.ops / 2;
}

// One tile of each layout, with every byte that its packing has, times one token and more.
bool multiplies_ternary(const Ops& ops, Code code) {
  constexpr std::size_t kK = 1000;
  constexpr std::size_t kLanes = 1024;  // K with the padding of its last line
  std::uint8_t tile[(kLanes / 16 + 1) * kLineBytes] = {};
  std::int8_t q[kMaxGemvTokens][kLanes] = {};
  std::uint8_t biased[kMaxGemvTokens][kLanes];
  std::int32_t activation_sums[kMaxGemvTokens] = {};
  std::int32_t row_sums[kTileRows];
  std::int32_t expected[kMaxGemvTokens][kTileRows] = {};
  for (std::size_t t = 0; t < kMaxGemvTokens; ++t) {
    for (std::size_t i = 0; i < kK; ++i) {
      q[t][i] = right_byte(i + 7 * t);
      activation_sums[t] += q[t][i];
    }
    ops.decoder.bias(q[t], kLanes, biased[t]);
  }
  std::uint32_t state = 1;
  for (std::size_t row = 0; row < kTileRows; ++row) {
    std::uint8_t codes[kK];
    for (std::size_t i = 0; i < kK; ++i) {
      // Numerical Recipes' generator: from this seed every one of the 243 and of the 81 bytes
      // occurs.
      state = state * 1664525u + 1013904223u;
      codes[i] = static_cast<std::uint8_t>((state >> 16) % 3);
      for (std::size_t t = 0; t < kMaxGemvTokens; ++t) expected[t][row] += (codes[i] - 1) * q[t][i];
    }
    pack_codes(code, codes, kK, tile + row * kLaneBytes, row_sums + row);
  }
  for (int tokens = 1; tokens <= ops.ternary.gemv_tokens; ++tokens) {
    std::int32_t out[kMaxGemvTokens][kTileRows];
    ops.ternary.gemv[code](tile, 1, lines_of(code, kK), row_sums,
                           {q[0], biased[0], activation_sums, kLanes, tokens}, out[0], kTileRows,
                           ops.ahead);
    const auto bytes = sizeof out[0] * static_cast<std::size_t>(tokens);
    if (std::memcmp(out, expected, bytes) != 0) return false;
  }
  return true;
}

bool run(const void* argument) {
  const Ops& ops = *static_cast<const Ops*>(argument);
  return sums_words(ops) && multiplies_int8(ops) && multiplies_fp32(ops) && counts_work(ops) &&
         multiplies_ternary(ops, kTwoBit) && multiplies_ternary(ops, kBase3);
}

}  // namespace

bool passes_self_test(const Ops& ops) { return run_guarded(run, &ops); }

}  // namespace trine
