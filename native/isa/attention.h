// Softmax attention over a cache of keys and values. The members of V are named in decoder.h.
#pragma once

#include <cmath>

#include "isa/cache_product.h"
#include "isa/elements.h"
#include "isa/ops.h"

namespace trine {
namespace {

// Below every score, and finite, so that arithmetic with it stays free of NaN.
constexpr float kHidden = -1e30f;

// e^x for finite x <= 0, 0 below -87, NaN for NaN: 2^n e^r with |r| <= ln(2) / 2, the polynomial of
// degree 6 being Taylor's, whose rest is below 2e-8. No branches, so that loops become vectors.
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
  const float product = value * power;
  return (x > -87.0f ? product : 0.0f) + 0.0f * x;
}

// The largest of a block's scores and `least`.
template <class V>
float largest(const float* scores, float least) {
  auto top = V::set_floats(least);
  for (std::size_t k = 0; k < kBlockKeys; k += V::kFloats) {
    top = V::max_floats(V::load_floats(scores + k), top);
  }
  float lanes[V::kFloats];
  V::store_floats(lanes, top);
  for (std::size_t width = V::kFloats / 2; width > 0; width /= 2) {
    for (std::size_t j = 0; j < width; ++j) {
      lanes[j] = lanes[j] > lanes[j + width] ? lanes[j] : lanes[j + width];
    }
  }
  return lanes[0];
}

// Adds a block's weights to the sums of kLanes lanes, after scaling these.
template <class V>
void add_weights(const float* weights, float factor, float* sums) {
  for (std::size_t lane = 0; lane < kLanes; lane += V::kFloats) {
    auto block = V::load_floats(weights + lane);
    for (std::size_t k = kLanes; k < kBlockKeys; k += kLanes) {
      block = V::add_floats(block, V::load_floats(weights + k + lane));
    }
    V::store_floats(sums + lane, V::fma(V::load_floats(sums + lane), V::set_floats(factor), block));
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

// Rows that multiply_rows takes at once.
constexpr std::size_t kOnceRows = 6;

// Online softmax (Milakov and Gimelshein, arXiv 1805.02867) over blocks of keys: the largest score
// so far is taken out of every exponent, and what was summed before a larger one came is scaled.
template <class V, Cache kCache>
void attend(const AttendBlocks& blocks, const float* queries, std::size_t rows,
            const std::size_t* visible, float* scratch, float* out, float* log_sums) {
  constexpr std::size_t kColumns = 2 * V::kFloats;
  static_assert(kBlockKeys % kColumns == 0 && 64 % kColumns == 0);
  const std::size_t dim = blocks.head_dim;
  const std::size_t padded = (dim + kColumns - 1) / kColumns * kColumns;
  float* const keys = scratch;                             // [dim][kBlockKeys]
  float* const values = keys + kBlockKeys * padded;        // [kBlockKeys][padded]
  float* const scores = values + kBlockKeys * padded;      // [rows][kBlockKeys]
  float* const mixed = scores + kAttendRows * kBlockKeys;  // [rows][padded]
  // The heads of one token read each element once: they take it from the cache. More rows share
  // what was widened for all.
  const bool once = rows <= kOnceRows && dim == padded;
  float top[kAttendRows];
  float total[kAttendRows][kLanes] = {};
  for (std::size_t m = 0; m < rows; ++m) {
    top[m] = kHidden;
    for (std::size_t d = 0; d < padded; ++d) mixed[m * padded + d] = 0.0f;
  }

  for (std::size_t first = 0; first < blocks.positions; first += kBlockKeys) {
    const std::size_t count =
        blocks.positions - first < kBlockKeys ? blocks.positions - first : kBlockKeys;
    const std::size_t block = first / kBlockKeys * blocks.stride;
    // Blocks lie far from one another: the next one is asked for with this one's elements.
    const bool last = first + kBlockKeys >= blocks.positions;
    const auto next = [&](const void* cache, const void* after) {
      if (last && after != nullptr) return after;
      const std::size_t at = block + (last ? 0 : blocks.stride);
      return static_cast<const void*>(static_cast<const std::uint8_t*>(cache) +
                                      at * kCacheBytes[kCache]);
    };
    if (once) {
      const CacheBlock<kCache, true> from{blocks.keys, block, kBlockKeys,
                                          next(blocks.keys, blocks.next_keys)};
      multiply<V>(queries, rows, dim, from, dim, kBlockKeys, scores, kBlockKeys, false);
    } else {
      widen_cache<V, kCache>(blocks.keys, block, kBlockKeys * dim, keys);
      const CacheBlock<kCacheF32, false> from{keys, 0, kBlockKeys};
      multiply<V>(queries, rows, dim, from, dim, kBlockKeys, scores, kBlockKeys, false);
    }
    for (std::size_t k = 0; k < count && !once; ++k) {
      float* row = values + k * padded;
      widen_cache<V, kCache>(blocks.values, block + k * dim, dim, row);
      for (std::size_t d = dim; d < padded; ++d) row[d] = 0.0f;
    }
    // Each step for all rows: of one row after another, every step would wait for the one before.
    float highest[kAttendRows];
    float factor[kAttendRows];
    for (std::size_t m = 0; m < rows; ++m) {
      float* score = scores + m * kBlockKeys;
      if constexpr (kCache == kCacheInt8) {
        for (std::size_t k = 0; k < count; ++k) score[k] *= blocks.key_scales[first + k];
      }
      const std::size_t seen = visible[m] > first ? visible[m] - first : 0;
      for (std::size_t k = seen; k < kBlockKeys; ++k) score[k] = kHidden;
      highest[m] = largest<V>(score, top[m]);
    }
    for (std::size_t m = 0; m < rows; ++m) {
      factor[m] = exp_negative(top[m] - highest[m]);
      top[m] = highest[m];
    }
    for (std::size_t m = 0; m < rows; ++m) {
      float* score = scores + m * kBlockKeys;
      for (std::size_t k = 0; k < kBlockKeys; ++k) score[k] = exp_negative(score[k] - highest[m]);
      add_weights<V>(score, factor[m], total[m]);
      if constexpr (kCache == kCacheInt8) {
        for (std::size_t k = 0; k < count; ++k) score[k] *= blocks.value_scales[first + k];
      }
      float* sums = mixed + m * padded;
      if (factor[m] == 1.0f) continue;  // as for most blocks
      for (std::size_t d = 0; d < padded; ++d) sums[d] *= factor[m];
    }
    if (once) {
      const CacheBlock<kCache, true> from{blocks.values, block, dim,
                                          next(blocks.values, blocks.next_values)};
      multiply<V>(scores, rows, kBlockKeys, from, count, padded, mixed, padded, true);
    } else {
      const CacheBlock<kCacheF32, false> from{values, 0, padded};
      multiply<V>(scores, rows, kBlockKeys, from, count, padded, mixed, padded, true);
    }
  }
  for (std::size_t m = 0; m < rows; ++m) {
    const float sum = sum_lanes(total[m]);
    if (log_sums != nullptr) log_sums[m] = top[m] + std::log(sum);
    for (std::size_t d = 0; d < dim; ++d) out[m * dim + d] = mixed[m * padded + d] / sum;
  }
}

}  // namespace
}  // namespace trine
