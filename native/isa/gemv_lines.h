// Ternary weights times several vectors, all registers of a line at once: a broadcast of
// activations then serves every row of the tile, and an unpacked weight every token.
#pragma once

#include "isa/ternary.h"

namespace trine {
namespace {

// Whether the sums of all registers fit for so many tokens. Few tokens are bound by reading
// weights, or have too few sums to hide a multiplication's latency (gemv_two_bit.h, gemv_base3.h).
template <class V, Code kCode, int kTokens>
constexpr bool kWholeLines =
    kTokens >= V::kLineTokens && V::kLineTiles * kRegisters<V> * kTokens <= V::kLineSums;

// Adds the products of one line of each tile; the tiles are `apart` bytes from one another.
template <class V, Code kCode, int kTokens, std::size_t kTiles>
[[gnu::always_inline]] inline void add_line(const std::uint8_t* at, std::size_t apart,
                                            const std::int8_t* q, std::size_t stride,
                                            typename V::Acc (*acc)[kTokens]) {
  constexpr std::size_t kParts = kTiles * kRegisters<V>;
  const auto load = [&](std::size_t part) __attribute__((always_inline)) {
    return V::load_bytes(at + part / kRegisters<V> * apart + part % kRegisters<V> * V::kDotBytes);
  };
  const auto add = [&](int step, const typename V::Bytes* weights,
                       std::size_t step_parts) __attribute__((always_inline)) {
    for (int token = 0; token < kTokens; ++token) {
      const auto four = V::broadcast(q + static_cast<std::size_t>(token) * stride + 4 * step);
      for (std::size_t part = 0; part < kParts; ++part) {
        auto& sum = acc[part][token];
        if constexpr (kCode == kBase3 && V::kDigits == Form::kBiasedTrits) {
          sum = V::mac(sum, four, weights[part * step_parts]);
        } else {
          sum = V::mac(sum, weights[part * step_parts], four);
        }
      }
    }
  };
  if constexpr (kCode == kTwoBit) {
    typename V::Bytes planes[kParts][4];
    for (std::size_t part = 0; part < kParts; ++part) {
      V::code_planes(load(part), planes[part]);
    }
    for (int p = 0; p < 4; ++p) add(p, &planes[0][p], 4);
  } else {
    typename V::Bytes rest[kParts];
    for (std::size_t part = 0; part < kParts; ++part) {
      rest[part] = V::begin_digits(load(part));
    }
    for (int i = 0; i < 5; ++i) {
      typename V::Bytes digits[kParts];
      for (std::size_t part = 0; part < kParts; ++part) {
        digits[part] = V::digit(rest[part]);
        if (i < 4) rest[part] = V::triple(rest[part]);
      }
      add(i, digits, 1);
    }
  }
}

// kTiles tiles that lie `apart` tiles from one another share each broadcast.
template <class V, Code kCode, int kTokens, std::size_t kTiles>
void whole_lines(const std::uint8_t* tiles, std::size_t apart, std::size_t lines,
                 const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
                 std::size_t out_stride) {
  constexpr std::size_t kParts = kTiles * kRegisters<V>;
  constexpr Form kForm = [] {
    if constexpr (kCode == kTwoBit)
      return Form::kCodes;
    else
      return V::kDigits;
  }();
  // The codes of a GEMM step are those of a plane; four planes make a line.
  constexpr std::size_t kBlock = kCode == kTwoBit ? V::kGemmSteps / 4 : V::kBlockLines3;
  const std::size_t stream_bytes = apart * lines * kLineBytes;
  const std::int8_t* q = kForm == Form::kBiasedTrits
                             ? reinterpret_cast<const std::int8_t*>(activations.biased)
                             : activations.codes;
  typename V::Sums total[kParts][kTokens] = {};
  for (std::size_t first = 0; first < lines; first += kBlock) {
    const std::size_t end = lines - first < kBlock ? lines : first + kBlock;
    typename V::Acc acc[kParts][kTokens] = {};
#pragma GCC unroll 1
    for (std::size_t line = first; line < end; ++line) {
      const std::uint8_t* at = tiles + line * kLineBytes;
      for (std::size_t tile = 0; V::kLineAheadBytes > 0 && tile < kTiles; ++tile) {
        prefetch_l2(at + tile * stream_bytes + V::kLineAheadBytes);
      }
      add_line<V, kCode, kTokens, kTiles>(at, stream_bytes, q + line * kLineK[kCode],
                                          activations.stride, acc);
    }
    for (std::size_t part = 0; part < kParts; ++part) {
      for (int token = 0; token < kTokens; ++token) {
        total[part][token] = V::add_sums(total[part][token], V::widen(acc[part][token]));
      }
    }
  }
  for (std::size_t part = 0; part < kParts; ++part) {
    const std::size_t row =
        part / kRegisters<V> * apart * kTileRows + part % kRegisters<V> * V::kRows;
    for (int token = 0; token < kTokens; ++token) {
      store_rows<V, kForm>(total[part][token], row_sums + row, activations.sums[token],
                           out + static_cast<std::size_t>(token) * out_stride + row);
    }
  }
}

}  // namespace
}  // namespace trine
