// The float operators of the decoder. Plain loops over fixed lanes, which every compiler turns into
// the registers of the file's instruction set; only the attention's products are written with V:
//
//   Floats, kFloats, load_floats, store_floats, fma, add_floats, max_floats, set_floats(float)
//   load_half(const uint16_t*)              kFloats float16 values as float32
//   load_int8(const int8_t*)                kFloats codes as float32
//   store_half(uint16_t*, Floats)
#pragma once

#include <cmath>

#include "isa/attention.h"
#include "isa/elements.h"
#include "isa/int8_rows.h"
#include "isa/ops.h"

namespace trine {
namespace {

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
  // Magnitudes compare as their bits do, and infinity and NaN are above all others.
  constexpr std::int32_t kInfinity = 0x7F800000;
  std::int32_t largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::int32_t bits;
    __builtin_memcpy(&bits, y + i, sizeof bits);
    bits &= 0x7FFFFFFF;
    largest = bits > largest ? bits : largest;
  }
  if (largest >= kInfinity) {
    for (std::size_t i = 0; i < n; ++i) q[i] = 0;
    return std::nanf("");
  }
  float top;
  __builtin_memcpy(&top, &largest, sizeof top);
  const float scale = 127.0f / (top > 1e-5f ? top : 1e-5f);
  for (std::size_t i = 0; i < n; ++i) {
    // |y * scale| is at most 127 and an ulp, so nothing is clipped and nothing overflows.
    q[i] = static_cast<std::int8_t>(round_half_even(y[i] * scale));
  }
  return scale;
}

template <class V>
std::int32_t bias(const std::int8_t* q, std::size_t n, std::uint8_t* biased) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    biased[i] = static_cast<std::uint8_t>(q[i] + 128);
    sum += q[i];
  }
  return sum;
}

template <class V>
void dequantise(const std::int32_t* sums, std::size_t n, float weight_scale, float s, float* out) {
  const float unit = weight_scale / s;
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(sums[i]) * unit;
}

template <class V>
void dequantise_add(const std::int32_t* sums, std::size_t n, float weight_scale, float s,
                    float* out) {
  const float unit = weight_scale / s;
  for (std::size_t i = 0; i < n; ++i) out[i] = out[i] + static_cast<float>(sums[i]) * unit;
}

inline float relu2(float x) {
  const float rectified = x > 0.0f ? x : x * 0.0f;  // keeps a NaN
  return rectified * rectified;
}

// By way of e^-|x|, which does not overflow.
inline float silu(float x) {
  const float small = exp_negative(x > 0.0f ? -x : x);
  return x * (x < 0.0f ? small : 1.0f) / (1.0f + small);
}

template <Activation kActivation>
float gated(std::int32_t gate, std::int32_t up, float gate_unit, float up_unit) {
  const float g = static_cast<float>(gate) * gate_unit;
  const float u = static_cast<float>(up) * up_unit;
  return (kActivation == kRelu2 ? relu2(g) : silu(g)) * u;
}

template <class V, Activation kActivation>
void dequantise_gate(const std::int32_t* gate, const std::int32_t* up, std::size_t n,
                     float gate_scale, float up_scale, float s, float* out) {
  const float gate_unit = gate_scale / s;
  const float up_unit = up_scale / s;
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = gated<kActivation>(gate[i], up[i], gate_unit, up_unit);
  }
}

template <class V, Activation kActivation>
void dequantise_gate_tiles(const std::int32_t* sums, std::size_t n, float gate_scale,
                           float up_scale, float s, float* out) {
  const float gate_unit = gate_scale / s;
  const float up_unit = up_scale / s;
  for (; n >= kGateRows; n -= kGateRows, sums += kTileRows, out += kGateRows) {
    for (std::size_t i = 0; i < kGateRows; ++i) {
      out[i] = gated<kActivation>(sums[i], sums[kGateRows + i], gate_unit, up_unit);
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = gated<kActivation>(sums[i], sums[kGateRows + i], gate_unit, up_unit);
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
constexpr DecoderOps kDecoderOps = {
    {widen<V, kF32>, widen<V, kBf16>, widen<V, kF16>},
    rms_norm<V>,
    quantise<V>,
    bias<V>,
    dequantise<V>,
    dequantise_add<V>,
    {dequantise_gate<V, kRelu2>, dequantise_gate<V, kSilu>},
    {dequantise_gate_tiles<V, kRelu2>, dequantise_gate_tiles<V, kSilu>},
    rope<V>,
    {store_float_cache<V>, store_half_cache<V>, store_int8_cache<V>},
    {attend<V, kCacheF32>, attend<V, kCacheF16>, attend<V, kCacheInt8>},
    {dot_float<V, kF32>, dot_float<V, kBf16>, dot_float<V, kF16>},
    V::kHeadTokens,
    dot_rows<V>,
};

}  // namespace
}  // namespace trine
