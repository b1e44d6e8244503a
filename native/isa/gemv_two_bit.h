// Two-bit weights times a few vectors.
#pragma once

#include "isa/ternary.h"

namespace trine {
namespace {

// Adds the dot products of `count` lines of one register's rows of each stream to `total`. `count`
// is a constant in all blocks but the last, and unrolled.
template <class V, int kTokens, std::size_t kTiles>
[[gnu::always_inline]] inline void add_two_bit(const std::uint8_t* at, std::size_t stream_bytes,
                                               std::size_t count, const std::int8_t* q,
                                               std::size_t stride, bool prefetch, std::size_t ahead,
                                               typename V::Sums (*total)[kTokens]) {
  constexpr int kGroups = V::kGroups;
  // Four sums are fewer than a multiplication's latency times its rate: lines take turns.
  constexpr std::size_t kChains = V::kOneStream && kTiles * kTokens * kGroups == 4 ? 2 : 1;
  typename V::Acc acc[kChains][kTiles][kTokens][kGroups] = {};
  const auto add_line = [&](std::size_t chain) __attribute__((always_inline)) {
    const auto broadcast = [&](int token, int p) __attribute__((always_inline)) {
      return V::broadcast(q + static_cast<std::size_t>(token) * stride + 4 * p);
    };
    // Tiles share the broadcasts; of one tile none is needed twice.
    [[maybe_unused]] typename V::Bytes four[kTokens][4];
    for (int token = 0; kTiles > 1 && token < kTokens; ++token) {
      for (int p = 0; p < 4; ++p) four[token][p] = broadcast(token, p);
    }
    for (std::size_t tile = 0; tile < kTiles; ++tile) {
      const std::uint8_t* from = at + tile * stream_bytes;
      if (prefetch) V::prefetch(from + ahead);
      typename V::Bytes planes[4];
      V::planes(V::load_bytes(from), planes);
      for (int p = 0; p < 4; ++p) {
        for (int token = 0; token < kTokens; ++token) {
          auto& sum = acc[chain][tile][token][V::kGroup[p]];
          sum = V::mac(sum, planes[p], kTiles > 1 ? four[token][p] : broadcast(token, p));
        }
      }
    }
    at += kLineBytes;
    q += kLineK[kTwoBit];
  };
#pragma GCC unroll 1
  for (std::size_t turn = 0; turn < count / kChains; ++turn) {
#pragma GCC unroll 2
    for (std::size_t chain = 0; chain < kChains; ++chain) add_line(chain);
  }
  if (count % kChains != 0) add_line(0);
#pragma GCC unroll 2
  for (std::size_t chain = 0; chain < kChains; ++chain) {
    for (std::size_t tile = 0; tile < kTiles; ++tile) {
      for (int token = 0; token < kTokens; ++token) {
        const auto* groups = acc[chain][tile][token];
        auto sums = V::add_sums(total[tile][token], V::widen(groups[0]));
        if constexpr (kGroups > 1) {
          sums = V::add_sums(sums, V::template shift_sums<V::kGroupShift[1]>(V::widen(groups[1])));
        }
        if constexpr (kGroups > 2) {
          sums = V::add_sums(sums, V::template shift_sums<V::kGroupShift[2]>(V::widen(groups[2])));
          sums = V::add_sums(sums, V::template shift_sums<V::kGroupShift[3]>(V::widen(groups[3])));
        }
        total[tile][token] = sums;
      }
    }
  }
}

template <class V, int kTokens, std::size_t kTiles>
void two_bit_tiles(const std::uint8_t* tiles, std::size_t apart, std::size_t lines,
                   const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
                   std::size_t out_stride, std::size_t ahead) {
  const std::size_t stream_bytes = apart * lines * kLineBytes;
  typename V::Sums total[kRegisters<V>][kTiles][kTokens] = {};
  for (std::size_t first = 0; first < lines; first += V::kBlockLines) {
    const std::size_t count = lines - first < V::kBlockLines ? lines - first : V::kBlockLines;
    for (std::size_t part = 0; part < kRegisters<V>; ++part) {
      add_two_bit<V, kTokens, kTiles>(tiles + first * kLineBytes + part * V::kDotBytes,
                                      stream_bytes, count,
                                      activations.codes + first * kLineK[kTwoBit],
                                      activations.stride, part == 0, ahead, total[part]);
    }
  }
  store_tiles<V, Form::kCodes>(total, apart, row_sums, activations, out, out_stride);
}

}  // namespace
}  // namespace trine
