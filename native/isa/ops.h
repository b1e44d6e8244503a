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

// The packed layouts of src/trine/ternary/tiles.py; the values index TernaryOps.
enum Code { kTwoBit = 0, kBase3 = 1 };
inline constexpr int kCodes = 2;

inline constexpr std::size_t kTileRows = 16;
// Of a tile that holds rows of gate, then as many of up.
inline constexpr std::size_t kGateRows = kTileRows / 2;
inline constexpr std::size_t kLaneBytes = 4;
inline constexpr std::size_t kLineBytes = kTileRows * kLaneBytes;
inline constexpr std::size_t kLineK[kCodes] = {16, 20};  // trits of one row in a line

// Int8 activations of up to kMaxGemvTokens tokens, `stride` bytes apart, zero beyond K up to a
// whole line.
struct Activations {
  const std::int8_t* codes;    // q in -128..127
  const std::uint8_t* biased;  // q + 128, for instructions whose activations are unsigned
  const std::int32_t* sums;    // of q, per token
  std::size_t stride;
  int tokens;
};

inline constexpr int kMaxGemvTokens = 8;

// Ternary dot products. Sums are exact int32; the legal K is at most kMaxK.
struct TernaryOps {
  // The GEMV takes up to gemv_tokens tokens at once. Up to gemv_most are faster in such groups than
  // in the GEMM.
  int gemv_tokens;
  std::size_t gemv_most[kCodes];

  // out[token * out_stride + row] = dot product of each row of `count` tiles of `lines` lines.
  // `row_sums` are the sums of the trits of each row. For few tokens weights are asked for `ahead`
  // bytes before their use; what lies behind the tiles may be, too, and need not exist.
  void (*gemv[kCodes])(const std::uint8_t* tiles, std::size_t count, std::size_t lines,
                       const std::int32_t* row_sums, const Activations& activations,
                       std::int32_t* out, std::size_t out_stride, std::size_t ahead);

  // The GEMM works on `gemm_tiles` tiles at once, unpacked to a byte per trit:
  // codes[step][tile][row][4] with trit + 1 of k = 4 * step .. 4 * step + 3.
  int gemm_tiles;
  void (*unpack[kCodes])(const std::uint8_t* tile, std::size_t lines, std::uint8_t* codes);

  // It takes tokens in groups of `gemm_tokens`, whose activations stand as panel[step][token][4],
  // and at most `gemm_steps` steps, which keep their weights in the L1 cache.
  // sums[token][gemm_tiles * kTileRows] += code times activation. With `taken` (of each token of
  // the group), sums = code times activation - taken[token] instead: the codes being trit + 1, that
  // is the sum of all the token's activations.
  int gemm_tokens;
  std::size_t gemm_steps;
  void (*gemm)(const std::uint8_t* codes, std::size_t steps, const std::int8_t* panel,
               const std::int32_t* taken, std::int32_t* sums);
};

// 3 * 255 * 128 * K < 2^31, the telescoped base 3 sums being the largest intermediate values.
inline constexpr std::size_t kMaxK = 21900;

// The float operators of the decoder. Lengths are in elements; nothing needs padding or alignment
// unless it is said.
enum Float { kF32 = 0, kBf16 = 1, kF16 = 2 };
inline constexpr int kFloatTypes = 3;
inline constexpr std::size_t kFloatBytes[kFloatTypes] = {4, 2, 2};

// Keys stand in blocks: a block of the key cache is [head_dim][kBlockKeys], of the value cache
// [kBlockKeys][head_dim].
inline constexpr std::size_t kBlockKeys = 32;

// Rows that one call of `attend` takes: query heads of some tokens that share a KV head.
inline constexpr std::size_t kAttendRows = 64;

// What a KV cache holds. With int8, element = code * scale[key].
enum Cache { kCacheF32 = 0, kCacheF16 = 1, kCacheInt8 = 2 };
inline constexpr int kCaches = 3;
inline constexpr std::size_t kCacheBytes[kCaches] = {4, 2, 1};

// relu2(x) = max(x, 0)^2, silu(x) = x / (1 + e^-x)
enum Activation { kRelu2 = 0, kSilu = 1 };
inline constexpr int kActivations = 2;

// Elements of a hidden state that stand together before the int8 rows.
inline constexpr std::size_t kStateBlock = 32;
inline constexpr std::size_t kMostHeadTokens = 8;

struct AttendBlocks {
  const void* keys;  // of one KV head, the first block
  const void* values;
  std::size_t stride;       // elements from a block to the next
  const float* key_scales;  // [positions], int8 only
  const float* value_scales;
  std::size_t head_dim;
  std::size_t positions;  // keys that any row may see
  // The first block of what is probably attended to next, to be asked for; or null.
  const void* next_keys = nullptr;
  const void* next_values = nullptr;
};

struct DecoderOps {
  // out[i] = (float) from[i]
  void (*widen[kFloatTypes])(const void* from, std::size_t n, float* out);

  // y = weight * (x / sqrt(mean(x^2) + eps)), in float32.
  void (*rms_norm)(const float* x, const float* weight, std::size_t n, float eps, float* y);

  // q = round_half_even(y * s) clipped to int8 with s = 127 / max(max|y|, 1e-5), which is returned;
  // NaN, and every code 0, when y holds a NaN or an infinity.
  float (*quantise)(const float* y, std::size_t n, std::int8_t* q);

  // biased[i] = q[i] + 128; returns the sum of q.
  std::int32_t (*bias)(const std::int8_t* q, std::size_t n, std::uint8_t* biased);

  // out = sums * weight_scale / s, and the same added to out.
  void (*dequantise)(const std::int32_t* sums, std::size_t n, float weight_scale, float s,
                     float* out);
  void (*dequantise_add)(const std::int32_t* sums, std::size_t n, float weight_scale, float s,
                         float* out);
  // The activation of gate, times up, both dequantised.
  void (*dequantise_gate[kActivations])(const std::int32_t* gate, const std::int32_t* up,
                                        std::size_t n, float gate_scale, float up_scale, float s,
                                        float* out);
  // The same of n columns from tiles that hold kGateRows of gate, then those of up.
  void (*dequantise_gate_tiles[kActivations])(const std::int32_t* sums, std::size_t n,
                                              float gate_scale, float up_scale, float s,
                                              float* out);

  // Rotates the halves of a head against each other: cos and sin have half elements.
  void (*rope)(float* head, const float* cos, const float* sin, std::size_t half);

  // Cache of one position of one head: a key at stride kBlockKeys, a value at stride 1. Returns
  // the scale of int8, 1 otherwise.
  float (*store_cache[kCaches])(const float* from, std::size_t n, void* to, std::size_t stride);

  // Softmax attention of `rows` queries [rows][head_dim], already divided by sqrt(head_dim), over
  // the keys 0 .. visible[row] - 1 each (at least 1), in one pass: out[rows][head_dim]. When it is
  // not null, log_sums[row] = ln(sum of e^score), by which results over several parts of the keys
  // are put together. `scratch` has attend_scratch(head_dim) floats.
  void (*attend[kCaches])(const AttendBlocks& blocks, const float* queries, std::size_t rows,
                          const std::size_t* visible, float* scratch, float* out, float* log_sums);

  // A row of the lm_head by the hidden state: exactly widened, added in float32.
  float (*dot_float[kFloatTypes])(const void* row, const float* hidden, std::size_t n);

  // sums[t * stride + row]: int8 rows [count][n] by the 16-bit hidden states of up to head_tokens
  // tokens, in int32. The states stand as [block][token][kStateBlock] and are zero from n on; as
  // many bytes behind the last row are read. For one token rows are asked for `ahead` bytes before
  // their use.
  std::size_t head_tokens;
  void (*dot_rows)(const std::int8_t* rows, std::size_t count, std::size_t n,
                   const std::int16_t* states, std::size_t tokens, std::int32_t* sums,
                   std::size_t stride, std::size_t ahead);
};

// Floats of scratch for `attend`.
constexpr std::size_t attend_scratch(std::size_t head_dim) {
  const std::size_t padded = (head_dim + 63) / 64 * 64;
  return 2 * kBlockKeys * padded + kAttendRows * (2 * padded + kBlockKeys) + 64;
}

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

  TernaryOps ternary;
  DecoderOps decoder;

  // Distances in bytes at which weights that stream from memory may be asked for before their use,
  // ended by kNoAhead. Which is best differs between cores, so that it is measured where there are
  // several (reading.h); `ahead` is the one in use.
  const std::size_t* aheads;
  std::size_t ahead;
};

inline constexpr std::size_t kNoAhead = ~std::size_t{0};

// Above this many steps a float accumulator (24-bit mantissa) stops counting exactly.
inline constexpr std::int64_t kMaxSteps = std::int64_t{1} << 24;

}  // namespace trine
