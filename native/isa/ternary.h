// What the ternary products share, and what they ask of an instruction set. See generic.h for how V
// is used; beside the members named there V provides
//
//   kRows                       rows in a register: kDotBytes / 4
//   broadcast(four bytes)       the same 4 bytes in every lane
//   Acc, mac(acc, w, a)         acc + products of 4 weights and 4 activations of each row, in
//                               whatever width Acc has; w may be unsigned (codes) where kForm of
//                               the layout says so
//   widen(acc)                  Acc to Sums
//   add_sums, sub_sums, shift_sums<n>(x) = x >> n, load_sums, set_sums(int32)
//
//   two bits:  planes(bytes, out[4]): plane p in group kGroup[p], whose values are scaled by
//              2^kGroupShift[group]; kBlockLines lines fit an Acc
//   base 3:    triple(bytes) = 3 bytes modulo 256; kTelescope (see telescoped_tiles), or else
//              begin_digits(bytes), digit(rest) in the form kDigits; kBlockLines3 lines fit an Acc
//   GEMM:      code_planes(bytes, out[4]), code_digit(rest): trit + 1 as bytes;
//              kGemmTiles, kGemmTokens; kGemmSteps steps fit an Acc, and their weights L1
//   kGemvTokens                 tokens that a GEMV takes at once
//   kGemvMost[code]             tokens up to which groups of a GEMV are faster than the GEMM
//   kSumRegisters               registers that may hold sums
//   kTelescopeSums              the same where base 3 is telescoped in one tile
//   kLineSums                   the same where whole lines are multiplied (gemv_lines.h), which
//                               kLineTokens tokens and more are; 0: never
//   kLineTiles                  tiles that share a broadcast there
//   kLineAheadBytes             how far ahead weights are prefetched there; 0: not at all
//   kAheads                     how far ahead elsewhere: distances, of which one is measured to be
//                               the fastest (0: the hardware may do it better)
//   prefetch(at)                into the cache that suits there
//   kOneStream                  whether memory is read best in one stream a thread
#pragma once

#include "isa/elements.h"
#include "isa/ops.h"

namespace trine {
namespace {

// How the weights of a dot product stand, and so what is subtracted from it at the end.
enum class Form {
  kCodes,        // trit + 1 by q: the sum of q is too much
  kTrits,        // trit by q: nothing
  kBiasedTrits,  // trit by q + 128: 128 times the sum of the row's trits is too much
};

// A size known to the compiler.
template <std::size_t kValue>
struct Size {
  static constexpr std::size_t value = kValue;
};

template <class V>
constexpr std::size_t kRegisters = kTileRows / V::kRows;

template <Form kForm>
std::int32_t correction(std::int32_t row_sum, std::int32_t activation_sum) {
  if (kForm == Form::kCodes) return activation_sum;
  if (kForm == Form::kBiasedTrits) return 128 * row_sum;
  return 0;
}

// Stores one register of sums, corrected.
template <class V, Form kForm>
void store_rows(typename V::Sums sums, const std::int32_t* row_sums, std::int32_t activation_sum,
                std::int32_t* out) {
  std::int32_t lanes[V::kRows];
  V::store_sums(lanes, sums);
  for (std::size_t row = 0; row < V::kRows; ++row) {
    out[row] = lanes[row] - correction<kForm>(row_sums[row], activation_sum);
  }
}

// Stores the sums of kTiles tiles that lie `apart` tiles from one another.
template <class V, Form kForm, int kTokens, std::size_t kTiles>
void store_tiles(const typename V::Sums (*total)[kTiles][kTokens], std::size_t apart,
                 const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
                 std::size_t out_stride) {
  for (std::size_t tile = 0; tile < kTiles; ++tile) {
    for (std::size_t part = 0; part < kRegisters<V>; ++part) {
      const std::size_t row = tile * apart * kTileRows + part * V::kRows;
      for (int token = 0; token < kTokens; ++token) {
        store_rows<V, kForm>(total[part][tile][token], row_sums + row, activations.sums[token],
                             out + static_cast<std::size_t>(token) * out_stride + row);
      }
    }
  }
}

// Tiles that are walked together, line by line: memory is then read in as many streams, which
// fills its pipes better than one, and their rows share the broadcast activations. The sums of all
// must fit the registers.
template <class V, int kTokens, int kSums>
constexpr std::size_t kStreams = 4 * kTokens * kSums <= V::kSumRegisters   ? 4
                                 : 2 * kTokens * kSums <= V::kSumRegisters ? 2
                                                                           : 1;

}  // namespace
}  // namespace trine
