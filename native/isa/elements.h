// Lanes, conversions and rounding that the float operators share.
#pragma once

#include "isa/ops.h"

namespace trine {
namespace {

// Sums and maxima run in this many lanes on every instruction set, so that the order of additions
// does not depend on it.
constexpr std::size_t kLanes = 16;

inline void prefetch_l1(const void* at) { __builtin_prefetch(at, 0, 3); }
// Into the L2 cache: the buffers between L1 and L2 are few, and demand loads need them.
inline void prefetch_l2(const void* at) { __builtin_prefetch(at, 0, 2); }

inline float sum_lanes(const float* lanes) {
  float sums[kLanes];
  for (std::size_t j = 0; j < kLanes; ++j) sums[j] = lanes[j];
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t j = 0; j < width; ++j) sums[j] += sums[j + width];
  }
  return sums[0];
}

inline float bf16_to_float(std::uint16_t bits) {
  const std::uint32_t word = std::uint32_t{bits} << 16;
  float value;
  __builtin_memcpy(&value, &word, sizeof value);
  return value;
}

// The nearest integer, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves no bits for a
// fraction.
inline std::int32_t round_half_even(float x) {
  constexpr float kShift = 12582912.0f;
  const float shifted = x + kShift;
  std::int32_t bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  constexpr std::int32_t kShiftBits = 0x4B400000;
  return bits - kShiftBits;
}

template <class V, Float kType>
struct Element {
  // n values from `from`.
  static void load(const void* from, float* out, std::size_t n) {
    if constexpr (kType == kF32) {
      const auto* values = static_cast<const float*>(from);
      for (std::size_t i = 0; i < n; ++i) out[i] = values[i];
    } else if constexpr (kType == kBf16) {
      const auto* values = static_cast<const std::uint16_t*>(from);
      for (std::size_t i = 0; i < n; ++i) out[i] = bf16_to_float(values[i]);
    } else {
      const auto* values = static_cast<const std::uint16_t*>(from);
      std::size_t i = 0;
      for (; i + V::kFloats <= n; i += V::kFloats) {
        V::store_floats(out + i, V::load_half(values + i));
      }
      std::uint16_t rest[V::kFloats] = {};
      float widened[V::kFloats];
      for (std::size_t j = i; j < n; ++j) rest[j - i] = values[j];
      V::store_floats(widened, V::load_half(rest));
      for (std::size_t j = i; j < n; ++j) out[j] = widened[j - i];
    }
  }
};

}  // namespace
}  // namespace trine
