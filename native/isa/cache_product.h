// Small float32 products whose right side stands in a cache of keys or values, or was widened from
// one. The members of V are named in decoder.h.
#pragma once

#include "isa/elements.h"
#include "isa/ops.h"

namespace trine {
namespace {

// kFloats elements of a cache as floats.
template <class V, Cache kCache>
typename V::Floats load_cache(const void* cache, std::size_t at) {
  if constexpr (kCache == kCacheF32) {
    return V::load_floats(static_cast<const float*>(cache) + at);
  } else if constexpr (kCache == kCacheF16) {
    return V::load_half(static_cast<const std::uint16_t*>(cache) + at);
  } else {
    return V::load_int8(static_cast<const std::int8_t*>(cache) + at);
  }
}

// The right side of a product: b[i][j] is the element first + i * stride + j of `cache`. With
// kFetch, the same element of a block that begins at `next` is asked for with each that is loaded.
template <Cache kCache, bool kFetch>
struct CacheBlock {
  const void* cache;
  std::size_t first;
  std::size_t stride;
  const void* next = nullptr;

  template <class V>
  [[gnu::always_inline]] typename V::Floats load(std::size_t i, std::size_t j) const {
    return load_cache<V, kCache>(cache, first + i * stride + j);
  }
  [[gnu::always_inline]] void fetch(std::size_t i, std::size_t j) const {
    const std::size_t at = (i * stride + j) * kCacheBytes[kCache];
    if (kFetch) prefetch_l2(static_cast<const std::uint8_t*>(next) + at);
  }
};

// c[m][j] = sum over i of a[m][i] b[i][j], for kRows rows and the columns of two registers from
// `column` on, added to c or not.
template <class V, int kRows, class B>
void multiply_rows(const float* a, std::size_t a_stride, const B& b, std::size_t column,
                   std::size_t depth, float* c, std::size_t c_stride, bool add) {
  // Unrolled by order: left to itself, gcc 12 takes the sums through memory before and after.
  typename V::Floats sums[kRows][2];
#pragma GCC unroll 6
  for (int m = 0; m < kRows; ++m) {
    float* at = c + static_cast<std::size_t>(m) * c_stride;
    sums[m][0] = add ? V::load_floats(at) : V::set_floats(0.0f);
    sums[m][1] = add ? V::load_floats(at + V::kFloats) : V::set_floats(0.0f);
  }
  for (std::size_t i = 0; i < depth; ++i) {
    b.fetch(i, column);
    const auto left = b.template load<V>(i, column);
    const auto right = b.template load<V>(i, column + V::kFloats);
#pragma GCC unroll 6
    for (int m = 0; m < kRows; ++m) {
      const auto one = V::set_floats(a[static_cast<std::size_t>(m) * a_stride + i]);
      sums[m][0] = V::fma(one, left, sums[m][0]);
      sums[m][1] = V::fma(one, right, sums[m][1]);
    }
  }
#pragma GCC unroll 6
  for (int m = 0; m < kRows; ++m) {
    float* at = c + static_cast<std::size_t>(m) * c_stride;
    V::store_floats(at, sums[m][0]);
    V::store_floats(at + V::kFloats, sums[m][1]);
  }
}

// The same for any number of rows and `columns`, a multiple of two registers.
template <class V, class B>
void multiply(const float* a, std::size_t rows, std::size_t a_stride, const B& b, std::size_t depth,
              std::size_t columns, float* c, std::size_t c_stride, bool add) {
  for (std::size_t j = 0; j < columns; j += 2 * V::kFloats) {
    std::size_t m = 0;
    // Six rows fill the registers; two fours are better than a six and two that are alone.
    for (; m + 6 <= rows && rows - m != 8; m += 6) {
      multiply_rows<V, 6>(a + m * a_stride, a_stride, b, j, depth, c + m * c_stride + j, c_stride,
                          add);
    }
    for (; m + 4 <= rows; m += 4) {
      multiply_rows<V, 4>(a + m * a_stride, a_stride, b, j, depth, c + m * c_stride + j, c_stride,
                          add);
    }
    for (; m < rows; ++m) {
      multiply_rows<V, 1>(a + m * a_stride, a_stride, b, j, depth, c + m * c_stride + j, c_stride,
                          add);
    }
  }
}

}  // namespace
}  // namespace trine
