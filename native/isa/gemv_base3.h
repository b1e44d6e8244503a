// Base 3 weights times a few vectors.
#pragma once

#include "isa/ternary.h"

namespace trine {
namespace {

// By extracting the digits, where comparing bytes is cheap. See add_two_bit.
template <class V, int kTokens, std::size_t kTiles>
[[gnu::always_inline]] inline void add_digits(const std::uint8_t* at, std::size_t stream_bytes,
                                              std::size_t count, const std::int8_t* q,
                                              std::size_t stride, bool prefetch, std::size_t ahead,
                                              typename V::Sums (*total)[kTokens]) {
  typename V::Acc acc[kTiles][kTokens] = {};
#pragma GCC unroll 1
  for (std::size_t line = 0; line < count; ++line, at += kLineBytes, q += kLineK[kBase3]) {
    typename V::Bytes rest[kTiles];
    for (std::size_t tile = 0; tile < kTiles; ++tile) {
      const std::uint8_t* from = at + tile * stream_bytes;
      if (prefetch) V::prefetch(from + ahead);
      rest[tile] = V::begin_digits(V::load_bytes(from));
    }
    for (int i = 0; i < 5; ++i) {
      typename V::Bytes digit[kTiles];
      for (std::size_t tile = 0; tile < kTiles; ++tile) {
        digit[tile] = V::digit(rest[tile]);
        if (i < 4) rest[tile] = V::triple(rest[tile]);
      }
      for (int token = 0; token < kTokens; ++token) {
        const auto four = V::broadcast(q + static_cast<std::size_t>(token) * stride + 4 * i);
        for (std::size_t tile = 0; tile < kTiles; ++tile) {
          if constexpr (V::kDigits == Form::kBiasedTrits) {
            acc[tile][token] = V::mac(acc[tile][token], four, digit[tile]);
          } else {
            acc[tile][token] = V::mac(acc[tile][token], digit[tile], four);
          }
        }
      }
    }
  }
  for (std::size_t tile = 0; tile < kTiles; ++tile) {
    for (int token = 0; token < kTokens; ++token) {
      total[tile][token] = V::add_sums(total[tile][token], V::widen(acc[tile][token]));
    }
  }
}

template <class V, int kTokens, std::size_t kTiles>
void digit_tiles(const std::uint8_t* tiles, std::size_t apart, std::size_t lines,
                 const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
                 std::size_t out_stride, std::size_t ahead) {
  const auto* codes = V::kDigits == Form::kBiasedTrits
                          ? reinterpret_cast<const std::int8_t*>(activations.biased)
                          : activations.codes;
  const std::size_t stream_bytes = apart * lines * kLineBytes;
  typename V::Sums total[kRegisters<V>][kTiles][kTokens] = {};
  for (std::size_t first = 0; first < lines; first += V::kBlockLines3) {
    const std::size_t count = lines - first < V::kBlockLines3 ? lines - first : V::kBlockLines3;
    for (std::size_t part = 0; part < kRegisters<V>; ++part) {
      add_digits<V, kTokens, kTiles>(tiles + first * kLineBytes + part * V::kDotBytes, stream_bytes,
                                     count, codes + first * kLineK[kBase3], activations.stride,
                                     part == 0, ahead, total[part]);
    }
  }
  store_tiles<V, V::kDigits>(total, apart, row_sums, activations, out, out_stride);
}

// Adds the products of `lines` lines of each stream. With r(0) = the byte and r(i+1) = 3 r(i) mod
// 256, every digit is d(i) = (3 r(i) - r(i+1)) / 256, so without extracting digits
// 256 * sum d a = 3 * sum r(i) a(i) - sum r(i+1) a(i), exactly, where one instruction multiplies
// unsigned bytes into 32 bits.
template <class V, int kTokens, std::size_t kTiles>
[[gnu::always_inline]] inline void add_telescoped(const std::uint8_t* at, std::size_t stream_bytes,
                                                  std::size_t lines, const std::int8_t* q,
                                                  std::size_t stride, bool prefetch,
                                                  std::size_t ahead,
                                                  typename V::Sums (*total)[kTokens]) {
  // In one tile there are too few sums to hide the latency of a multiplication: several take turns,
  // many through three lines.
  constexpr int kMost = V::kTelescopeSums / (2 * kTokens);
  constexpr int kChains = kTiles > 1 || kMost < 2 ? 1 : kMost;
  constexpr int kTurn = kChains > 5 ? 3 : 1;
  typename V::Acc here[kTiles][kTokens][kChains] = {};
  typename V::Acc next[kTiles][kTokens][kChains] = {};
  const auto add_line = [&](int turn) __attribute__((always_inline)) {
    typename V::Bytes rest[kTiles];
    for (std::size_t tile = 0; tile < kTiles; ++tile) {
      const std::uint8_t* from = at + tile * stream_bytes;
      if (prefetch) V::prefetch(from + ahead);
      rest[tile] = V::load_bytes(from);
    }
#pragma GCC unroll 5
    for (int i = 0; i < 5; ++i) {
      const int chain = (5 * turn + i) % kChains;
      typename V::Bytes four[kTokens];
      for (int token = 0; token < kTokens; ++token) {
        four[token] = V::broadcast(q + static_cast<std::size_t>(token) * stride + 4 * i);
      }
      for (std::size_t tile = 0; tile < kTiles; ++tile) {
        const auto after = V::triple(rest[tile]);
        for (int token = 0; token < kTokens; ++token) {
          auto& sum = here[tile][token][chain];
          auto& sum_after = next[tile][token][chain];
          sum = V::mac(sum, rest[tile], four[token]);
          sum_after = V::mac(sum_after, after, four[token]);
        }
        rest[tile] = after;
      }
    }
    at += kLineBytes;
    q += kLineK[kBase3];
  };
#pragma GCC unroll 1
  for (std::size_t line = 0; line < lines / kTurn; ++line) {
#pragma GCC unroll 3
    for (int turn = 0; turn < kTurn; ++turn) add_line(turn);
  }
#pragma GCC unroll 1
  for (std::size_t line = 0; line < lines % kTurn; ++line) add_line(0);
  for (std::size_t tile = 0; tile < kTiles; ++tile) {
    for (int token = 0; token < kTokens; ++token) {
      auto sum = here[tile][token][0];
      auto sum_after = next[tile][token][0];
#pragma GCC unroll 9
      for (int chain = 1; chain < kChains; ++chain) {
        sum = V::add_sums(sum, here[tile][token][chain]);
        sum_after = V::add_sums(sum_after, next[tile][token][chain]);
      }
      const auto three = V::add_sums(V::add_sums(sum, sum), sum);
      total[tile][token] = V::template shift_sums<8>(V::sub_sums(three, sum_after));
    }
  }
}

template <class V, int kTokens, std::size_t kTiles>
void telescoped_tiles(const std::uint8_t* tiles, std::size_t apart, std::size_t lines,
                      const std::int32_t* row_sums, const Activations& activations,
                      std::int32_t* out, std::size_t out_stride, std::size_t ahead) {
  const std::size_t stream_bytes = apart * lines * kLineBytes;
  typename V::Sums total[kRegisters<V>][kTiles][kTokens];
  for (std::size_t part = 0; part < kRegisters<V>; ++part) {
    const std::uint8_t* at = tiles + part * V::kDotBytes;
    add_telescoped<V, kTokens, kTiles>(at, stream_bytes, lines, activations.codes,
                                       activations.stride, part == 0, ahead, total[part]);
  }
  store_tiles<V, Form::kCodes>(total, apart, row_sums, activations, out, out_stride);
}

}  // namespace
}  // namespace trine
