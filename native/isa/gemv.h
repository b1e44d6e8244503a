// Ternary matrix times a few vectors, once for every instruction set.
#pragma once

#include <array>
#include <utility>

#include "isa/gemv_base3.h"
#include "isa/gemv_lines.h"
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
             std::size_t out_stride, std::size_t ahead) {
  const auto walk = [&](std::size_t first, std::size_t apart, auto together) {
    constexpr std::size_t kTiles = decltype(together)::value;
    const std::uint8_t* at = tiles + first * lines * kLineBytes;
    const std::int32_t* sums = row_sums + first * kTileRows;
    std::int32_t* to = out + first * kTileRows;
    if constexpr (kWholeLines<V, kCode, kTokens>) {
      whole_lines<V, kCode, kTokens, kTiles>(at, apart, lines, sums, activations, to, out_stride);
    } else if constexpr (kCode == kTwoBit) {
      two_bit_tiles<V, kTokens, kTiles>(at, apart, lines, sums, activations, to, out_stride, ahead);
    } else if constexpr (!V::kTelescope) {
      digit_tiles<V, kTokens, kTiles>(at, apart, lines, sums, activations, to, out_stride, ahead);
    } else {
      telescoped_tiles<V, kTokens, kTiles>(at, apart, lines, sums, activations, to, out_stride,
                                           ahead);
    }
  };
  constexpr int kSums = kCode == kTwoBit ? V::kGroups : V::kTelescope ? 2 : 1;
  constexpr bool kAlone = V::kOneStream && (kCode == kTwoBit ? kTokens != 2 : V::kTelescope);
  constexpr std::size_t kTiles = kWholeLines<V, kCode, kTokens> ? V::kLineTiles
                                 : kAlone                       ? 1
                                                                : kStreams<V, kTokens, kSums>;
  const std::size_t apart = count / kTiles;
  for (std::size_t tile = 0; tile < apart; ++tile) walk(tile, apart, Size<kTiles>{});
  for (std::size_t tile = apart * kTiles; tile < count; ++tile) walk(tile, 0, Size<1>{});
}

template <class V, Code kCode, std::size_t... kBefore>
constexpr std::array<decltype(&gemv_of<V, kCode, 1>), sizeof...(kBefore)> gemvs_by_tokens(
    std::index_sequence<kBefore...>) {
  return {gemv_of<V, kCode, static_cast<int>(kBefore) + 1>...};
}

template <class V, Code kCode>
void gemv(const std::uint8_t* tiles, std::size_t count, std::size_t lines,
          const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
          std::size_t out_stride, std::size_t ahead) {
  constexpr auto kBy = gemvs_by_tokens<V, kCode>(std::make_index_sequence<V::kGemvTokens>());
  kBy[static_cast<std::size_t>(activations.tokens) - 1](tiles, count, lines, row_sums, activations,
                                                        out, out_stride, ahead);
}

}  // namespace
}  // namespace trine
