// Base 3 weights times one to four vectors.
#pragma once

#include "isa/ternary.h"

namespace trine {
namespace {

// By extracting the digits, where comparing bytes is cheap. See add_two_bit.
template <class V, int kTokens, std::size_t kTiles>
[[gnu::always_inline]] inline void add_digits(const std::uint8_t* at, std::size_t stream_bytes,
                                              std::size_t count, const std::int8_t* q,
                                              std::size_t stride, bool prefetch,
                                              typename V::Sums (*total)[kTokens]) {
  typename V::Acc acc[kTiles][kTokens] = {};
#pragma GCC unroll 1
  for (std::size_t line = 0; line < count; ++line, at += kLineBytes, q += kLineK[kBase3]) {
    typename V::Bytes rest[kTiles];
    for (std::size_t tile = 0; tile < kTiles; ++tile) {
      const std::uint8_t* from = at + tile * stream_bytes;
      if (V::kAheadBytes > 0 && prefetch) prefetch_l2(from + V::kAheadBytes);
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
                 std::size_t out_stride) {
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
                                     part == 0, total[part]);
    }
  }
  store_tiles<V, V::kDigits>(total, apart, row_sums, activations, out, out_stride);
}

// Base 3 without digits, where one instruction multiplies unsigned bytes into 32 bits. With
// r(0) = the byte and r(i+1) = 3 r(i) mod 256, every digit is d(i) = (3 r(i) - r(i+1)) / 256, so
// 256 * sum d a = 3 * sum r(i) a(i) - sum r(i+1) a(i), exactly.
template <class V, int kTokens>
void telescoped_tile(const std::uint8_t* tile, std::size_t lines, const std::int32_t* row_sums,
                     const Activations& activations, std::int32_t* out, std::size_t out_stride) {
  for (std::size_t part = 0; part < kRegisters<V>; ++part) {
    typename V::Acc here[kTokens] = {};
    typename V::Acc next[kTokens] = {};
    for (std::size_t line = 0; line < lines; ++line) {
      const std::uint8_t* at = tile + line * kLineBytes;
      if (V::kAheadBytes > 0 && part == 0) prefetch_l2(at + 2 * V::kAheadBytes);
      typename V::Bytes rest[6];
      rest[0] = V::load_bytes(at + part * V::kDotBytes);
      for (int i = 0; i < 5; ++i) rest[i + 1] = V::triple(rest[i]);
      for (int token = 0; token < kTokens; ++token) {
        const std::int8_t* q = activations.codes +
                               static_cast<std::size_t>(token) * activations.stride +
                               line * kLineK[kBase3];
        for (int i = 0; i < 5; ++i) {
          const auto four = V::broadcast(q + 4 * i);
          here[token] = V::mac(here[token], rest[i], four);
          next[token] = V::mac(next[token], rest[i + 1], four);
        }
      }
    }
    const std::size_t row = part * V::kRows;
    for (int token = 0; token < kTokens; ++token) {
      const auto three = V::add_sums(V::add_sums(here[token], here[token]), here[token]);
      const auto sums = V::template shift_sums<8>(V::sub_sums(three, next[token]));
      store_rows<V, Form::kCodes>(sums, row_sums + row, activations.sums[token],
                                  out + static_cast<std::size_t>(token) * out_stride + row);
    }
  }
}

}  // namespace
}  // namespace trine
