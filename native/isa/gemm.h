// Ternary matrix times many vectors: the weights are unpacked once for all of them. The members of
// V are named in ternary.h.
#pragma once

#include "isa/gemv.h"
#include "isa/ops.h"

namespace trine {
namespace {

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

// What there is less of is held in registers through a step: the activations of few tokens, each
// broadcast once, or the weights of few rows, with activations that come one by one.
template <class V>
void gemm(const std::uint8_t* codes, std::size_t steps, const std::int8_t* panel,
          const std::int32_t* taken, std::int32_t* sums) {
  constexpr std::size_t kParts = V::kGemmTiles * kRegisters<V>;
  constexpr std::size_t kTokens = V::kGemmTokens;
  typename V::Acc acc[kTokens][kParts] = {};
  for (std::size_t step = 0; step < steps; ++step) {
    const std::int8_t* const fours = panel + step * kTokens * kLaneBytes;
    const std::uint8_t* const rows = codes + step * kParts * V::kDotBytes;
    if constexpr (kTokens <= kParts) {
      typename V::Bytes four[kTokens];
      for (std::size_t token = 0; token < kTokens; ++token) {
        four[token] = V::broadcast(fours + token * kLaneBytes);
      }
      for (std::size_t part = 0; part < kParts; ++part) {
        const auto weights = V::load_bytes(rows + part * V::kDotBytes);
        for (std::size_t token = 0; token < kTokens; ++token) {
          acc[token][part] = V::mac(acc[token][part], weights, four[token]);
        }
      }
    } else {
      typename V::Bytes weights[kParts];
      for (std::size_t part = 0; part < kParts; ++part) {
        weights[part] = V::load_bytes(rows + part * V::kDotBytes);
      }
      for (std::size_t token = 0; token < kTokens; ++token) {
        const auto four = V::broadcast(fours + token * kLaneBytes);
        for (std::size_t part = 0; part < kParts; ++part) {
          acc[token][part] = V::mac(acc[token][part], weights[part], four);
        }
      }
    }
  }
  const auto store = [&](const auto& before) __attribute__((always_inline)) {
    for (std::size_t token = 0; token < kTokens; ++token) {
      for (std::size_t part = 0; part < kParts; ++part) {
        std::int32_t* const at = sums + (token * kParts + part) * V::kRows;
        V::store_sums(at, V::add_sums(before(token, at), V::widen(acc[token][part])));
      }
    }
  };
  if (taken != nullptr) {
    store([&](std::size_t token, const std::int32_t*) { return V::set_sums(-taken[token]); });
  } else {
    store([](std::size_t, const std::int32_t* at) { return V::load_sums(at); });
  }
}

template <class V>
constexpr TernaryOps kTernaryOps = {
    V::kGemvTokens,
    {V::kGemvMost[kTwoBit], V::kGemvMost[kBase3]},
    {gemv<V, kTwoBit>, gemv<V, kBase3>},
    V::kGemmTiles,
    {unpack<V, kTwoBit>, unpack<V, kBase3>},
    V::kGemmTokens,
    V::kGemmSteps,
    gemm<V>,
};

}  // namespace
}  // namespace trine
