// What one instruction set offers: the table that its own file fills and dispatch hands out.
//
// This header is compiled with a different -m flag in every file of this folder, so it declares
// data only: an inline function here could be linked from the AVX-512 object into every path.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trine {

// Buffers given to sum_words are a multiple of this: the largest unrolled step of any ISA
// (8 registers of 64 bytes), rounded up to leave room for wider ones.
inline constexpr std::size_t kReadBlock = 1024;

// Ways to walk a buffer: one stream or four, each with and without software prefetch. Which one
// comes closest to the roof differs by up to 1.5x between machines, so a probe tries them all.
inline constexpr std::size_t kReadPatterns = 4;

// Vectors given to dot_int8 and fma_fp32 have a multiple of this many elements (one AVX-512 load).
inline constexpr std::size_t kVectorBlock = 64;

// The outcome of a compute probe. `ops` counts 2 per multiply-add; `total` is the sum of all
// accumulators, which are exact, so that the caller can check that every operation was done.
struct Work {
  std::int64_t ops;
  std::int64_t total;
};

struct Ops {
  // Sum of the buffer's 64-bit words modulo 2^64, each read once; the same by every pattern.
  std::uint64_t (*sum_words[kReadPatterns])(const std::uint8_t* data, std::size_t bytes);

  // Exact dot product. Left values lie in 0..127: the pair sums of AVX2 saturate above
  // (2 * 127 * 128 = 32512 < 2^15), and Arm's instruction takes both sides as signed.
  std::int32_t (*dot_int8)(const std::uint8_t* left, const std::int8_t* right, std::size_t count);

  // out[i] += left[i] * right[i]
  void (*fma_fp32)(const float* left, const float* right, float* out, std::size_t count);

  // `steps` rounds of register-resident multiply-adds, one on each accumulator.
  // int8 operands repeat left = (1, 2, 3, 4), right = (-5, 6, -7, 8); fp32 operands are 1.
  Work (*int8_peak)(std::int64_t steps);
  Work (*fp32_peak)(std::int64_t steps);
};

// Above this many steps a float accumulator (24-bit mantissa) stops counting exactly.
inline constexpr std::int64_t kMaxSteps = std::int64_t{1} << 24;

}  // namespace trine
