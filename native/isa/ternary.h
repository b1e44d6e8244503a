// Ternary dot products, once for every instruction set. See generic.h for how V is used; beside
// the members named there V provides
//
//   kRows                       rows in a register: kDotBytes / 4
//   broadcast(four bytes)       the same 4 bytes in every lane
//   Acc, mac(acc, w, a)         acc + products of 4 weights and 4 activations of each row, in
//                               whatever width Acc has; w may be unsigned (codes) where kForm of
//                               the layout says so
//   widen(acc)                  Acc to Sums
//   add_sums, sub_sums, shift_sums<n>(x) = x >> n, set_sums(int32), load_sums
//
//   two bits:  planes(bytes, out[4]): plane p in group kGroup[p], whose values are scaled by
//              2^kGroupShift[group]; kBlockLines lines fit an Acc
//   base 3:    triple(bytes) = 3 bytes modulo 256; kTelescope (see gemv_telescoped), or else
//              begin_digits(bytes), digit(rest) in the form kDigits; kBlockLines3 lines fit an Acc
//   GEMM:      code_planes(bytes, out[4]), code_digit(rest): trit + 1 as bytes;
//              kGemmTiles, kGemmTokens; kGemmSteps steps fit an Acc, and their weights L1
//   kSumRegisters               registers that may hold sums
#pragma once

#include "isa/ops.h"

namespace trine {
namespace {

// How the weights of a dot product stand, and so what is subtracted from it at the end.
enum class Form {
  kCodes,        // trit + 1 by q: the sum of q is too much
  kTrits,        // trit by q: nothing
  kBiasedTrits,  // trit by q + 128: 128 times the sum of the row's trits is too much
};

// A stream is read ahead of its use by this much; less leaves the memory's latency visible, more
// evicts what was fetched. See docs/log.md.
constexpr std::size_t kAheadBytes = 4096;

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

// How many registers of a line are worked on together: they share the broadcast activations, as
// long as the sums of all fit the registers.
template <class V, int kTokens, int kSums>
constexpr std::size_t kTogether =
    kRegisters<V> >= 2 && 2 * kTokens * kSums <= V::kSumRegisters ? 2 : 1;

// Adds the dot products of lines [first, first + count) to `total`. kParts registers of the line,
// beginning with `part`. `count` is a constant in all blocks but the last, and unrolled.
template <class V, int kTokens, std::size_t kParts>
[[gnu::always_inline]] inline void add_two_bit(const std::uint8_t* at, std::size_t count,
                                               const std::int8_t* q, std::size_t stride,
                                               bool prefetch,
                                               typename V::Sums (*total)[kTokens]) {
  constexpr int kGroups = V::kGroups;
  typename V::Acc acc[kParts][kTokens][kGroups] = {};
  const auto add_line = [&]() __attribute__((always_inline)) {
    if (prefetch) __builtin_prefetch(at + kAheadBytes);
    typename V::Bytes planes[kParts][4];
    for (std::size_t part = 0; part < kParts; ++part) {
      V::planes(V::load_bytes(at + part * V::kDotBytes), planes[part]);
    }
    for (int p = 0; p < 4; ++p) {
      for (int token = 0; token < kTokens; ++token) {
        const auto four = V::broadcast(q + static_cast<std::size_t>(token) * stride + 4 * p);
        for (std::size_t part = 0; part < kParts; ++part) {
          auto& sum = acc[part][token][V::kGroup[p]];
          sum = V::mac(sum, planes[part][p], four);
        }
      }
    }
    at += kLineBytes;
    q += kLineK[kTwoBit];
  };
  if constexpr (kTokens == 1) {
#pragma GCC unroll 8
    for (std::size_t line = 0; line < count; ++line) add_line();
  } else {  // unrolled, the broadcasts of several lines would push the sums out of the registers
#pragma GCC unroll 1
    for (std::size_t line = 0; line < count; ++line) add_line();
  }
  for (std::size_t part = 0; part < kParts; ++part) {
    for (int token = 0; token < kTokens; ++token) {
      auto sums = V::add_sums(total[part][token], V::widen(acc[part][token][0]));
      if constexpr (kGroups > 1) {
        sums = V::add_sums(
            sums, V::template shift_sums<V::kGroupShift[1]>(V::widen(acc[part][token][1])));
      }
      if constexpr (kGroups > 2) {
        sums = V::add_sums(
            sums, V::template shift_sums<V::kGroupShift[2]>(V::widen(acc[part][token][2])));
        sums = V::add_sums(
            sums, V::template shift_sums<V::kGroupShift[3]>(V::widen(acc[part][token][3])));
      }
      total[part][token] = sums;
    }
  }
}

template <class V, int kTokens>
void gemv_two_bit(const std::uint8_t* tiles, std::size_t count, std::size_t lines,
                  const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
                  std::size_t out_stride) {
  constexpr std::size_t kParts = kTogether<V, kTokens, V::kGroups>;
  const std::int8_t* const codes = activations.codes;
  const std::size_t stride = activations.stride;
  for (std::size_t tile = 0; tile < count; ++tile) {
    const std::uint8_t* base = tiles + tile * lines * kLineBytes;
    typename V::Sums total[kRegisters<V>][kTokens] = {};
    std::size_t line = 0;
    for (; line + V::kBlockLines <= lines; line += V::kBlockLines) {
      for (std::size_t part = 0; part < kRegisters<V>; part += kParts) {
        add_two_bit<V, kTokens, kParts>(base + line * kLineBytes + part * V::kDotBytes,
                                        V::kBlockLines, codes + line * kLineK[kTwoBit], stride,
                                        part == 0, total + part);
      }
    }
    for (std::size_t part = 0; line < lines && part < kRegisters<V>; part += kParts) {
      add_two_bit<V, kTokens, kParts>(base + line * kLineBytes + part * V::kDotBytes, lines - line,
                                      codes + line * kLineK[kTwoBit], stride, part == 0,
                                      total + part);
    }
    for (std::size_t part = 0; part < kRegisters<V>; ++part) {
      const std::size_t row = tile * kTileRows + part * V::kRows;
      for (int token = 0; token < kTokens; ++token) {
        store_rows<V, Form::kCodes>(total[part][token], row_sums + row, activations.sums[token],
                                    out + static_cast<std::size_t>(token) * out_stride + row);
      }
    }
  }
}

// The same for base 3, by extracting the digits, where comparing bytes is cheap.
template <class V, int kTokens, std::size_t kParts>
[[gnu::always_inline]] inline void add_digits(const std::uint8_t* at, std::size_t count,
                                              const std::int8_t* q, std::size_t stride,
                                              bool prefetch, typename V::Sums (*total)[kTokens]) {
  typename V::Acc acc[kParts][kTokens] = {};
#pragma GCC unroll 4
  for (std::size_t line = 0; line < count; ++line, at += kLineBytes, q += kLineK[kBase3]) {
    if (prefetch) __builtin_prefetch(at + kAheadBytes);
    typename V::Bytes rest[kParts];
    for (std::size_t part = 0; part < kParts; ++part) {
      rest[part] = V::begin_digits(V::load_bytes(at + part * V::kDotBytes));
    }
    for (int i = 0; i < 5; ++i) {
      typename V::Bytes digit[kParts];
      for (std::size_t part = 0; part < kParts; ++part) {
        digit[part] = V::digit(rest[part]);
        if (i < 4) rest[part] = V::triple(rest[part]);
      }
      for (int token = 0; token < kTokens; ++token) {
        const auto four = V::broadcast(q + static_cast<std::size_t>(token) * stride + 4 * i);
        for (std::size_t part = 0; part < kParts; ++part) {
          if constexpr (V::kDigits == Form::kBiasedTrits) {
            acc[part][token] = V::mac(acc[part][token], four, digit[part]);
          } else {
            acc[part][token] = V::mac(acc[part][token], digit[part], four);
          }
        }
      }
    }
  }
  for (std::size_t part = 0; part < kParts; ++part) {
    for (int token = 0; token < kTokens; ++token) {
      total[part][token] = V::add_sums(total[part][token], V::widen(acc[part][token]));
    }
  }
}

template <class V, int kTokens>
void gemv_digits(const std::uint8_t* tiles, std::size_t count, std::size_t lines,
                 const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
                 std::size_t out_stride) {
  constexpr std::size_t kParts = kTogether<V, kTokens, 1>;
  const auto* codes = V::kDigits == Form::kBiasedTrits
                          ? reinterpret_cast<const std::int8_t*>(activations.biased)
                          : activations.codes;
  const std::size_t stride = activations.stride;
  for (std::size_t tile = 0; tile < count; ++tile) {
    const std::uint8_t* base = tiles + tile * lines * kLineBytes;
    typename V::Sums total[kRegisters<V>][kTokens] = {};
    std::size_t line = 0;
    for (; line + V::kBlockLines3 <= lines; line += V::kBlockLines3) {
      for (std::size_t part = 0; part < kRegisters<V>; part += kParts) {
        add_digits<V, kTokens, kParts>(base + line * kLineBytes + part * V::kDotBytes,
                                       V::kBlockLines3, codes + line * kLineK[kBase3], stride,
                                       part == 0, total + part);
      }
    }
    for (std::size_t part = 0; line < lines && part < kRegisters<V>; part += kParts) {
      add_digits<V, kTokens, kParts>(base + line * kLineBytes + part * V::kDotBytes, lines - line,
                                     codes + line * kLineK[kBase3], stride, part == 0,
                                     total + part);
    }
    for (std::size_t part = 0; part < kRegisters<V>; ++part) {
      const std::size_t row = tile * kTileRows + part * V::kRows;
      for (int token = 0; token < kTokens; ++token) {
        store_rows<V, V::kDigits>(total[part][token], row_sums + row, activations.sums[token],
                                  out + static_cast<std::size_t>(token) * out_stride + row);
      }
    }
  }
}

// Base 3 without digits, where one instruction multiplies unsigned bytes into 32 bits. With
// r(0) = the byte and r(i+1) = 3 r(i) mod 256, every digit is d(i) = (3 r(i) - r(i+1)) / 256, so
// 256 * sum d a = 3 * sum r(i) a(i) - sum r(i+1) a(i), exactly.
template <class V, int kTokens>
void gemv_telescoped(const std::uint8_t* tiles, std::size_t count, std::size_t lines,
                     const std::int32_t* row_sums, const Activations& activations,
                     std::int32_t* out, std::size_t out_stride) {
  for (std::size_t tile = 0; tile < count; ++tile) {
    const std::uint8_t* base = tiles + tile * lines * kLineBytes;
    for (std::size_t part = 0; part < kRegisters<V>; ++part) {
      typename V::Acc here[kTokens] = {};
      typename V::Acc next[kTokens] = {};
      for (std::size_t line = 0; line < lines; ++line) {
        const std::uint8_t* at = base + line * kLineBytes;
        if (part == 0) __builtin_prefetch(at + 2 * kAheadBytes);
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
      const std::size_t row = tile * kTileRows + part * V::kRows;
      for (int token = 0; token < kTokens; ++token) {
        const auto three = V::add_sums(V::add_sums(here[token], here[token]), here[token]);
        const auto sums = V::template shift_sums<8>(V::sub_sums(three, next[token]));
        store_rows<V, Form::kCodes>(sums, row_sums + row, activations.sums[token],
                                    out + static_cast<std::size_t>(token) * out_stride + row);
      }
    }
  }
}

template <class V, int kTokens>
void gemv_base3(const std::uint8_t* tiles, std::size_t count, std::size_t lines,
                const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
                std::size_t out_stride) {
  if constexpr (V::kTelescope) {
    gemv_telescoped<V, kTokens>(tiles, count, lines, row_sums, activations, out, out_stride);
  } else {
    gemv_digits<V, kTokens>(tiles, count, lines, row_sums, activations, out, out_stride);
  }
}

template <class V, Code kCode, int kTokens>
void gemv_of(const std::uint8_t* tiles, std::size_t count, std::size_t lines,
             const std::int32_t* row_sums, const Activations& activations, std::int32_t* out,
             std::size_t out_stride) {
  if constexpr (kCode == kTwoBit) {
    gemv_two_bit<V, kTokens>(tiles, count, lines, row_sums, activations, out, out_stride);
  } else {
    gemv_base3<V, kTokens>(tiles, count, lines, row_sums, activations, out, out_stride);
  }
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

template <class V, Code kCode>
void unpack(const std::uint8_t* tile, std::size_t lines, std::uint8_t* codes) {
  constexpr std::size_t kDigitsPerByte = kLineK[kCode] / kLaneBytes;
  constexpr std::size_t kStepBytes = V::kGemmTiles * kLineBytes;
  for (std::size_t line = 0; line < lines; ++line) {
    for (std::size_t part = 0; part < kRegisters<V>; ++part) {
      const auto bytes = V::load_bytes(tile + line * kLineBytes + part * V::kDotBytes);
      typename V::Bytes out[kDigitsPerByte];
      if constexpr (kCode == kTwoBit) {
        V::code_planes(bytes, out);
      } else {
        auto rest = V::begin_digits(bytes);
        for (auto& code : out) {
          code = V::code_digit(rest);
          rest = V::triple(rest);
        }
      }
      for (std::size_t i = 0; i < kDigitsPerByte; ++i) {
        V::store_bytes(codes + (line * kDigitsPerByte + i) * kStepBytes + part * V::kDotBytes,
                       out[i]);
      }
    }
  }
}

// The activations of all tokens are broadcast before the weights are loaded one by one: on cores
// where a broadcast is an operation of its own (Zen 3), few tokens and many rows cost least.
template <class V>
void gemm(const std::uint8_t* codes, std::size_t steps, const std::int8_t* panel,
          std::int32_t* sums) {
  constexpr std::size_t kParts = V::kGemmTiles * kRegisters<V>;
  constexpr std::size_t kTokens = V::kGemmTokens;
  typename V::Acc acc[kTokens][kParts] = {};
  for (std::size_t step = 0; step < steps; ++step) {
    typename V::Bytes four[kTokens];
    for (std::size_t token = 0; token < kTokens; ++token) {
      four[token] = V::broadcast(panel + (step * kTokens + token) * kLaneBytes);
    }
    for (std::size_t part = 0; part < kParts; ++part) {
      const auto weights = V::load_bytes(codes + (step * kParts + part) * V::kDotBytes);
      for (std::size_t token = 0; token < kTokens; ++token) {
        acc[token][part] = V::mac(acc[token][part], weights, four[token]);
      }
    }
  }
  for (std::size_t token = 0; token < kTokens; ++token) {
    for (std::size_t part = 0; part < kParts; ++part) {
      std::int32_t* const at = sums + (token * kParts + part) * V::kRows;
      V::store_sums(at, V::add_sums(V::load_sums(at), V::widen(acc[token][part])));
    }
  }
}

template <class V>
constexpr TernaryOps kTernaryOps = {
    {gemv<V, kTwoBit>, gemv<V, kBase3>},
    V::kGemmTiles,
    {unpack<V, kTwoBit>, unpack<V, kBase3>},
    V::kGemmTokens,
    V::kGemmSteps,
    gemm<V>,
};

}  // namespace
}  // namespace trine
