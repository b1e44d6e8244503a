// The float operators of the decoder. Plain loops over fixed lanes, which every compiler turns into
// the registers of the file's instruction set; only the attention's products are written with V:
//
//   Floats, kFloats, load_floats, store_floats, fma, set_floats(float)
//   load_half(const uint16_t*)              kFloats float16 values as float32
//   store_half(uint16_t*, Floats)
#pragma once

#include <cmath>

#include "isa/ops.h"

namespace trine {
namespace {

// Sums and maxima run in this many lanes on every instruction set, so that the order of additions
// does not depend on it.
constexpr std::size_t kLanes = 16;

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
  static constexpr std::size_t kBytes = kFloatBytes[kType];
  // Lanes values from `from`.
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

template <class V, Float kType>
void widen(const void* from, std::size_t n, float* out) {
  Element<V, kType>::load(from, out, n);
}

template <class V>
void rms_norm(const float* x, const float* weight, std::size_t n, float eps, float* y) {
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) lanes[j] += x[i + j] * x[i + j];
  }
  for (std::size_t j = 0; i + j < n; ++j) lanes[j] += x[i + j] * x[i + j];
  const float mean = sum_lanes(lanes) / static_cast<float>(n);
  const float inverse = 1.0f / std::sqrt(mean + eps);
  for (i = 0; i < n; ++i) y[i] = weight[i] * (x[i] * inverse);
}

template <class V>
float quantise(const float* y, std::size_t n, std::int8_t* q) {
  float largest[kLanes] = {};
  float finite[kLanes] = {};  // 0 * x is NaN where x is not finite
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float magnitude = std::fabs(y[i + j]);
      largest[j] = magnitude > largest[j] ? magnitude : largest[j];
      finite[j] += 0.0f * y[i + j];
    }
  }
  for (std::size_t j = 0; i + j < n; ++j) {
    const float magnitude = std::fabs(y[i + j]);
    largest[j] = magnitude > largest[j] ? magnitude : largest[j];
    finite[j] += 0.0f * y[i + j];
  }
  if (sum_lanes(finite) != 0.0f) {
    for (i = 0; i < n; ++i) q[i] = 0;
    return std::nanf("");
  }
  float top = 1e-5f;
  for (float value : largest) top = value > top ? value : top;
  const float scale = 127.0f / top;
  for (i = 0; i < n; ++i) {
    // |y * scale| is at most 127 and an ulp, so nothing is clipped and nothing overflows.
    q[i] = static_cast<std::int8_t>(round_half_even(y[i] * scale));
  }
  return scale;
}

template <class V>
void dequantise(const std::int32_t* sums, std::size_t n, float weight_scale, float s, float* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(sums[i]) * weight_scale / s;
}

template <class V>
void dequantise_add(const std::int32_t* sums, std::size_t n, float weight_scale, float s,
                    float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = out[i] + static_cast<float>(sums[i]) * weight_scale / s;
  }
}

template <class V>
void dequantise_gate(const std::int32_t* gate, const std::int32_t* up, std::size_t n,
                     float gate_scale, float up_scale, float s, float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    const float g = static_cast<float>(gate[i]) * gate_scale / s;
    const float u = static_cast<float>(up[i]) * up_scale / s;
    const float rectified = g > 0.0f ? g : g * 0.0f;  // keeps a NaN
    out[i] = rectified * rectified * u;
  }
}

template <class V>
void rope(float* head, const float* cos, const float* sin, std::size_t half) {
  for (std::size_t i = 0; i < half; ++i) {
    const float first = head[i];
    const float second = head[i + half];
    head[i] = first * cos[i] - second * sin[i];
    head[i + half] = second * cos[i] + first * sin[i];
  }
}

template <class V>
float store_float_cache(const float* from, std::size_t n, void* to, std::size_t stride) {
  auto* out = static_cast<float*>(to);
  for (std::size_t i = 0; i < n; ++i) out[i * stride] = from[i];
  return 1.0f;
}

template <class V>
float store_half_cache(const float* from, std::size_t n, void* to, std::size_t stride) {
  auto* out = static_cast<std::uint16_t*>(to);
  for (std::size_t i = 0; i < n; i += V::kFloats) {
    const std::size_t count = n - i < V::kFloats ? n - i : V::kFloats;
    float values[V::kFloats] = {};
    std::uint16_t halves[V::kFloats];
    for (std::size_t j = 0; j < count; ++j) values[j] = from[i + j];
    V::store_half(halves, V::load_floats(values));
    for (std::size_t j = 0; j < count; ++j) out[(i + j) * stride] = halves[j];
  }
  return 1.0f;
}

template <class V>
float store_int8_cache(const float* from, std::size_t n, void* to, std::size_t stride) {
  auto* out = static_cast<std::int8_t*>(to);
  float top = 1e-20f;
  for (std::size_t i = 0; i < n; ++i) {
    const float magnitude = std::fabs(from[i]);
    top = magnitude > top ? magnitude : top;
  }
  const float scale = 127.0f / top;
  for (std::size_t i = 0; i < n; ++i) {
    const float code = from[i] * scale;
    // A NaN fails both comparisons and is stored as 0.
    out[i * stride] =
        code >= -127.5f && code <= 127.5f ? static_cast<std::int8_t>(round_half_even(code)) : 0;
  }
  return top / 127.0f;
}

// e^x for x <= 0, 0 below -87: 2^n e^r with |r| <= ln(2) / 2, the polynomial of degree 6 being
// Taylor's, whose rest is below 2e-8.
inline float exp_negative(float x) {
  const float bounded = x > -87.0f ? x : -87.0f;
  const std::int32_t n = round_half_even(bounded * 1.44269504f);
  const float whole = static_cast<float>(n);
  const float r = bounded - whole * 0.693359375f - whole * -2.12194440e-4f;
  float value = 1.0f / 720.0f;
  value = value * r + 1.0f / 120.0f;
  value = value * r + 1.0f / 24.0f;
  value = value * r + 1.0f / 6.0f;
  value = value * r + 0.5f;
  value = value * r + 1.0f;
  value = value * r + 1.0f;
  const std::int32_t bits = (n + 127) << 23;
  float power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return x > -87.0f ? value * power : x == x ? 0.0f : x;
}

// c[m][j] = sum over i of a[m][i] b[i][j], for kRows rows and the columns of two registers, added
// to c or not.
template <class V, int kRows>
void multiply_rows(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride,
                   std::size_t depth, float* c, std::size_t c_stride, bool add) {
  typename V::Floats sums[kRows][2];
  for (int m = 0; m < kRows; ++m) {
    float* at = c + static_cast<std::size_t>(m) * c_stride;
    sums[m][0] = add ? V::load_floats(at) : V::set_floats(0.0f);
    sums[m][1] = add ? V::load_floats(at + V::kFloats) : V::set_floats(0.0f);
  }
  for (std::size_t i = 0; i < depth; ++i) {
    const auto left = V::load_floats(b + i * b_stride);
    const auto right = V::load_floats(b + i * b_stride + V::kFloats);
    for (int m = 0; m < kRows; ++m) {
      const auto one = V::set_floats(a[static_cast<std::size_t>(m) * a_stride + i]);
      sums[m][0] = V::fma(one, left, sums[m][0]);
      sums[m][1] = V::fma(one, right, sums[m][1]);
    }
  }
  for (int m = 0; m < kRows; ++m) {
    float* at = c + static_cast<std::size_t>(m) * c_stride;
    V::store_floats(at, sums[m][0]);
    V::store_floats(at + V::kFloats, sums[m][1]);
  }
}

// The same for any number of rows and `columns`, a multiple of two registers.
template <class V>
void multiply(const float* a, std::size_t rows, std::size_t a_stride, const float* b,
              std::size_t b_stride, std::size_t depth, std::size_t columns, float* c,
              std::size_t c_stride, bool add) {
  for (std::size_t j = 0; j < columns; j += 2 * V::kFloats) {
    std::size_t m = 0;
    for (; m + 4 <= rows; m += 4) {
      multiply_rows<V, 4>(a + m * a_stride, a_stride, b + j, b_stride, depth, c + m * c_stride + j,
                          c_stride, add);
    }
    for (; m < rows; ++m) {
      multiply_rows<V, 1>(a + m * a_stride, a_stride, b + j, b_stride, depth, c + m * c_stride + j,
                          c_stride, add);
    }
  }
}

// One block of keys or values as floats.
template <class V, Cache kCache>
void widen_cache(const void* cache, std::size_t at, std::size_t n, float* out) {
  if constexpr (kCache == kCacheF32) {
    Element<V, kF32>::load(static_cast<const float*>(cache) + at, out, n);
  } else if constexpr (kCache == kCacheF16) {
    Element<V, kF16>::load(static_cast<const std::uint16_t*>(cache) + at, out, n);
  } else {
    const auto* codes = static_cast<const std::int8_t*>(cache) + at;
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(codes[i]);
  }
}

// Online softmax (Milakov and Gimelshein, arXiv 1805.02867) over blocks of keys: the largest score
// so far is taken out of every exponent, and what was summed before a larger one came is scaled.
template <class V, Cache kCache>
void attend(const AttendBlocks& blocks, const float* queries, std::size_t rows,
            const std::size_t* visible, float* scratch, float* out) {
  constexpr std::size_t kColumns = 2 * V::kFloats;
  static_assert(kBlockKeys % kColumns == 0 && 64 % kColumns == 0);
  const std::size_t dim = blocks.head_dim;
  const std::size_t padded = (dim + kColumns - 1) / kColumns * kColumns;
  float* const keys = scratch;                             // [dim][kBlockKeys]
  float* const values = keys + kBlockKeys * padded;        // [kBlockKeys][padded]
  float* const scores = values + kBlockKeys * padded;      // [rows][kBlockKeys]
  float* const mixed = scores + kAttendRows * kBlockKeys;  // [rows][padded]
  float top[kAttendRows];
  float total[kAttendRows];
  for (std::size_t m = 0; m < rows; ++m) {
    top[m] = -INFINITY;
    total[m] = 0.0f;
    for (std::size_t d = 0; d < padded; ++d) mixed[m * padded + d] = 0.0f;
  }

  for (std::size_t first = 0; first < blocks.positions; first += kBlockKeys) {
    const std::size_t count =
        blocks.positions - first < kBlockKeys ? blocks.positions - first : kBlockKeys;
    widen_cache<V, kCache>(blocks.keys, first * dim, kBlockKeys * dim, keys);
    multiply<V>(queries, rows, dim, keys, kBlockKeys, dim, kBlockKeys, scores, kBlockKeys, false);
    for (std::size_t k = 0; k < count; ++k) {
      float* row = values + k * padded;
      widen_cache<V, kCache>(blocks.values, (first + k) * dim, dim, row);
      for (std::size_t d = dim; d < padded; ++d) row[d] = 0.0f;
    }
    for (std::size_t m = 0; m < rows; ++m) {
      float* score = scores + m * kBlockKeys;
      if constexpr (kCache == kCacheInt8) {
        for (std::size_t k = 0; k < count; ++k) score[k] *= blocks.key_scales[first + k];
      }
      const std::size_t seen = visible[m] > first ? visible[m] - first : 0;
      for (std::size_t k = seen; k < kBlockKeys; ++k) score[k] = -INFINITY;
      float highest = top[m];
      for (std::size_t k = 0; k < kBlockKeys; ++k) highest = score[k] > highest ? score[k] : highest;
      float lanes[kLanes] = {};
      for (std::size_t k = 0; k < kBlockKeys; k += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) {
          score[k + j] = exp_negative(score[k + j] - highest);
          lanes[j] += score[k + j];
        }
      }
      const float factor = exp_negative(top[m] - highest);
      top[m] = highest;
      total[m] = total[m] * factor + sum_lanes(lanes);
      if constexpr (kCache == kCacheInt8) {
        for (std::size_t k = 0; k < count; ++k) score[k] *= blocks.value_scales[first + k];
      }
      float* sums = mixed + m * padded;
      for (std::size_t d = 0; d < padded; ++d) sums[d] *= factor;
    }
    multiply<V>(scores, rows, kBlockKeys, values, padded, count, padded, mixed, padded, true);
  }
  for (std::size_t m = 0; m < rows; ++m) {
    for (std::size_t d = 0; d < dim; ++d) out[m * dim + d] = mixed[m * padded + d] / total[m];
  }
}

template <class V, Float kType>
float dot_float(const void* row, const float* hidden, std::size_t n) {
  constexpr std::size_t kStep = 4 * V::kFloats;
  typename V::Floats sums[4] = {V::set_floats(0.0f), V::set_floats(0.0f), V::set_floats(0.0f),
                                V::set_floats(0.0f)};
  const auto* at = static_cast<const std::uint8_t*>(row);
  std::size_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    for (std::size_t c = 0; c < 4; ++c) {
      const std::size_t from = i + c * V::kFloats;
      sums[c] = V::fma(V::template load_element<kType>(at + from * kFloatBytes[kType]),
                       V::load_floats(hidden + from), sums[c]);
    }
  }
  float rest[kStep] = {};
  Element<V, kType>::load(at + i * kFloatBytes[kType], rest, n - i);
  float lanes[kStep];
  for (std::size_t c = 0; c < 4; ++c) V::store_floats(lanes + c * V::kFloats, sums[c]);
  for (std::size_t j = 0; i + j < n; ++j) lanes[j] += rest[j] * hidden[i + j];
  float total = 0.0f;
  for (float lane : lanes) total += lane;
  return total;
}

template <class V>
std::int32_t dot_rows(const std::int8_t* row, const std::int16_t* hidden, std::size_t n) {
  constexpr std::size_t kStep = 4 * V::kRowStep;
  typename V::Sums sums[4] = {};
  std::size_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    for (std::size_t c = 0; c < 4; ++c) {
      sums[c] = V::mac_row(sums[c], row + i + c * V::kRowStep, hidden + i + c * V::kRowStep);
    }
  }
  const auto all = V::add_sums(V::add_sums(sums[0], sums[1]), V::add_sums(sums[2], sums[3]));
  std::int32_t lanes[V::kDotBytes / 4];
  V::store_sums(lanes, all);
  std::int32_t total = 0;
  for (std::int32_t lane : lanes) total += lane;
  for (; i < n; ++i) total += row[i] * hidden[i];
  return total;
}

template <class V>
constexpr DecoderOps kDecoderOps = {
    {widen<V, kF32>, widen<V, kBf16>, widen<V, kF16>},
    rms_norm<V>,
    quantise<V>,
    dequantise<V>,
    dequantise_add<V>,
    dequantise_gate<V>,
    rope<V>,
    {store_float_cache<V>, store_half_cache<V>, store_int8_cache<V>},
    {attend<V, kCacheF32>, attend<V, kCacheF16>, attend<V, kCacheInt8>},
    {dot_float<V, kF32>, dot_float<V, kBf16>, dot_float<V, kF16>},
    dot_rows<V>,
};

}  // namespace
}  // namespace trine
