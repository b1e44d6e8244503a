// Ternary matrix times one to four vectors, once for every instruction set.
#pragma once

#include "isa/gemv_base3.h"
#include "isa/gemv_two_bit.h"
#include "isa/ternary.h"

namespace trine {
namespace {

// As many tiles together as the layout's kernel likes, each from its own part of the rows: streams
// that are tens of KiB apart read faster than neighbours (docs/log.md). What is left over follows
// one by one.
template <class V, Code kCode, int kTokens>
void gemv_of(const std::uint8_t* tiles, std::size_t count, std::size_t lines,
             const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
             std::size_t out_stride) {
  const auto walk = [&](std::size_t first, std::size_t apart, auto together) {
    constexpr std::size_t kTiles = decltype(together)::value;
    const std::uint8_t* at = tiles + first * lines * kLineBytes;
    const std::int32_t* sums = row_sums + first * kTileRows;
    std::int32_t* to = out + first * kTileRows;
    if constexpr (kCode == kTwoBit) {
      two_bit_tiles<V, kTokens, kTiles>(at, apart, lines, sums, activations, to, out_stride);
    } else if constexpr (V::kTelescope) {
      static_assert(kTiles == 1);
      telescoped_tile<V, kTokens>(at, lines, sums, activations, to, out_stride);
    } else {
      digit_tiles<V, kTokens, kTiles>(at, apart, lines, sums, activations, to, out_stride);
    }
  };
  constexpr int kGroups = kCode == kTwoBit ? V::kGroups : 1;
  constexpr bool kSingle = kCode == kBase3 && V::kTelescope;
  constexpr std::size_t kTiles = kSingle ? 1 : kStreams<V, kTokens, kGroups>;
  const std::size_t apart = count / kTiles;
  for (std::size_t tile = 0; tile < apart; ++tile) walk(tile, apart, Size<kTiles>{});
  for (std::size_t tile = apart * kTiles; tile < count; ++tile) walk(tile, 0, Size<1>{});
}

template <class V, Code kCode>
void gemv(const std::uint8_t* tiles, std::size_t count, std::size_t lines,
          const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
          std::size_t out_stride) {
  static_assert(kGemvTokens == 4);
  constexpr decltype(&gemv_of<V, kCode, 1>) kBy[kGemvTokens] = {
      gemv_of<V, kCode, 1>, gemv_of<V, kCode, 2>, gemv_of<V, kCode, 3>, gemv_of<V, kCode, 4>};
  kBy[activations.tokens - 1](tiles, count, lines, row_sums, activations, out, out_stride);
}

}  // namespace
}  // namespace trine
