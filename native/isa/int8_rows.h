// Int8 rows of the lm_head times the 16-bit hidden states of some tokens. V provides
//
//   Wide, widen_row(at)         kRowStep int8 as 16-bit values
//   mac_wide(sums, row, state)  sums + the products of a row's and a state's
//   load_wide(at)               kRowStep values of a state
//   sum_lanes(sums)             one int32
//   kHeadSums, kHeadTokens      registers that may hold sums; tokens that are taken together
//   kHeadAheadBytes             how far ahead of their use rows are prefetched (0: not at all), for
//                               kHeadAheadTokens tokens and more, if it is not one of kOneStream
#pragma once

#include <array>
#include <utility>

#include "isa/elements.h"
#include "isa/ops.h"

namespace trine {
namespace {

// Rows that are walked together, far apart from each other: as many streams fill memory's pipes
// better than one, and a state that was loaded serves all of them.
template <class V, std::size_t kTokens>
constexpr std::size_t kHeadRows = V::kHeadSums / kTokens < 4 ? V::kHeadSums / kTokens : 4;

template <class V, std::size_t kRows, std::size_t kTokens>
void rows_together(const std::int8_t* rows, std::size_t apart, std::size_t n,
                   const std::int16_t* states, std::int32_t* sums, std::size_t stride) {
  constexpr std::size_t kAhead = kTokens < V::kHeadAheadTokens ? 0 : V::kHeadAheadBytes;
  // Loops over sums are unrolled by order: left to itself, gcc 12 keeps the sums in memory.
  typename V::Sums acc[kRows][kTokens] = {};
  for (std::size_t block = 0; block < n; block += kStateBlock, states += kTokens * kStateBlock) {
    for (std::size_t row = 0; kAhead > 0 && row < kRows; ++row) {
      prefetch_l2(rows + row * apart * n + block + kAhead);
    }
    for (std::size_t step = 0; step < kStateBlock; step += V::kRowStep) {
      typename V::Wide wide[kRows];
      for (std::size_t row = 0; row < kRows; ++row) {
        wide[row] = V::widen_row(rows + row * apart * n + block + step);
      }
#pragma GCC unroll 8
      for (std::size_t t = 0; t < kTokens; ++t) {
        const auto state = V::load_wide(states + t * kStateBlock + step);
#pragma GCC unroll 4
        for (std::size_t row = 0; row < kRows; ++row) {
          acc[row][t] = V::hide(V::mac_wide(acc[row][t], wide[row], state));
        }
      }
    }
  }
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 4
    for (std::size_t row = 0; row < kRows; ++row) {
      sums[t * stride + row * apart] = V::sum_lanes(acc[row][t]);
    }
  }
}

// One row after another for one token, which walks memory in one stream.
template <class V>
void rows_in_turn(const std::int8_t* rows, std::size_t count, std::size_t n,
                  const std::int16_t* states, std::int32_t* sums, std::size_t ahead) {
  constexpr std::size_t kChains = 4;
  constexpr std::size_t kStep = kChains * V::kRowStep;
  const auto add = [&](typename V::Sums sum, const std::int8_t* row,
                       std::size_t at) __attribute__((always_inline)) {
    return V::hide(V::mac_wide(sum, V::widen_row(row + at), V::load_wide(states + at)));
  };
  for (std::size_t r = 0; r < count; ++r) {
    const std::int8_t* row = rows + r * n;
    typename V::Sums acc[kChains] = {};
    std::size_t at = 0;
    for (; at + kStep <= n; at += kStep) {
      for (std::size_t line = 0; line < kStep; line += kLineBytes)
        V::prefetch(row + at + line + ahead);
#pragma GCC unroll 4
      for (std::size_t chain = 0; chain < kChains; ++chain) {
        acc[chain] = add(acc[chain], row, at + chain * V::kRowStep);
      }
    }
    for (; at < n; at += V::kRowStep) acc[0] = add(acc[0], row, at);
    acc[0] = V::add_sums(V::add_sums(acc[0], acc[1]), V::add_sums(acc[2], acc[3]));
    sums[r] = V::sum_lanes(acc[0]);
  }
}

template <class V, std::size_t kTokens>
void rows_of(const std::int8_t* rows, std::size_t count, std::size_t n, const std::int16_t* states,
             std::int32_t* sums, std::size_t stride, std::size_t ahead) {
  if constexpr (V::kOneStream && kTokens == 1) {
    rows_in_turn<V>(rows, count, n, states, sums, ahead);
    return;
  }
  constexpr std::size_t kRows = kHeadRows<V, kTokens>;
  static_assert(kRows > 0);
  const std::size_t apart = count / kRows;
  for (std::size_t row = 0; row < apart; ++row) {
    rows_together<V, kRows, kTokens>(rows + row * n, apart, n, states, sums + row, stride);
  }
  for (std::size_t row = apart * kRows; row < count; ++row) {
    rows_together<V, 1, kTokens>(rows + row * n, 0, n, states, sums + row, stride);
  }
}

template <class V, std::size_t... kBefore>
constexpr std::array<decltype(&rows_of<V, 1>), sizeof...(kBefore)> rows_by_tokens(
    std::index_sequence<kBefore...>) {
  return {rows_of<V, kBefore + 1>...};
}

template <class V>
void dot_rows(const std::int8_t* rows, std::size_t count, std::size_t n, const std::int16_t* states,
              std::size_t tokens, std::int32_t* sums, std::size_t stride, std::size_t ahead) {
  static_assert(V::kHeadTokens <= kMostHeadTokens);
  constexpr auto kBy = rows_by_tokens<V>(std::make_index_sequence<V::kHeadTokens>());
  kBy[tokens - 1](rows, count, n, states, sums, stride, ahead);
}

}  // namespace
}  // namespace trine
