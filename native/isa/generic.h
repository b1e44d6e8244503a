// The algorithms, once. Each ISA file describes its registers in a struct V and instantiates
// `kOps<V>`; V is declared in an unnamed namespace, so that every instance stays in its own object
// file and no other path can be linked to code with instructions it may not have.
//
// V provides
//   Words, load_words, add_words, store_words        64-bit lanes, for reading memory
//   Bytes, load_bytes, Sums, dot, store_sums         int8 operands, int32 sums of 4 products a lane
//   Floats, load_floats, store_floats, fma           float32 lanes
//   hide(x)                                          x through an empty asm: a value nobody knows
//   kWordsBytes, kDotBytes, kFloats                  bytes or elements of one register
//   kDotChains, kFmaChains                           independent accumulators: latency x issue rate
#pragma once

#include "isa/decoder.h"
#include "isa/gemm.h"
#include "isa/ops.h"

namespace trine {
namespace {

// Eight loads in flight are enough to keep one accumulator's latency off the critical path.
constexpr std::size_t kReadChains = 8;

// How far ahead to touch memory: a 4 KiB page, where hardware prefetchers stop.
constexpr std::size_t kPrefetchBytes = 4096;

template <class V, std::size_t kStreams, bool kPrefetch>
std::uint64_t sum_words(const std::uint8_t* data, std::size_t bytes) {
  constexpr std::size_t kChains = kReadChains / kStreams;
  constexpr std::size_t kStep = kChains * V::kWordsBytes;
  static_assert(kReadBlock % (kStep * kStreams) == 0);
  const std::uint8_t zeros[V::kWordsBytes] = {};
  typename V::Words chain[kStreams][kChains];
  for (auto& stream : chain) {
    for (auto& c : stream) c = V::load_words(zeros);
  }

  const std::size_t stream_bytes = bytes / kStreams;
  for (std::size_t at = 0; at < stream_bytes; at += kStep) {
    for (std::size_t s = 0; s < kStreams; ++s) {
      const std::uint8_t* from = data + s * stream_bytes + at;
      for (std::size_t line = 0; kPrefetch && line < kStep; line += kLineBytes) {
        __builtin_prefetch(from + kPrefetchBytes + line);
      }
      for (std::size_t i = 0; i < kChains; ++i) {
        chain[s][i] = V::add_words(chain[s][i], V::load_words(from + i * V::kWordsBytes));
      }
    }
  }

  std::uint64_t total = 0;
  for (const auto& stream : chain) {
    for (const auto& c : stream) {
      std::uint64_t lanes[V::kWordsBytes / 8];
      V::store_words(lanes, c);
      for (std::uint64_t lane : lanes) total += lane;
    }
  }
  return total;
}

template <class V>
std::int64_t sum_lanes(typename V::Sums sums) {
  std::int32_t lanes[V::kDotBytes / 4];
  V::store_sums(lanes, sums);
  std::int64_t total = 0;
  for (std::int32_t lane : lanes) total += lane;
  return total;
}

template <class V>
std::int32_t dot_int8(const std::uint8_t* left, const std::int8_t* right, std::size_t count) {
  static_assert(kVectorBlock % V::kDotBytes == 0);
  typename V::Sums sums{};
  for (std::size_t i = 0; i < count; i += V::kDotBytes) {
    sums = V::dot(sums, V::load_bytes(left + i), V::load_bytes(right + i));
  }
  return static_cast<std::int32_t>(sum_lanes<V>(sums));
}

template <class V>
void fma_fp32(const float* left, const float* right, float* out, std::size_t count) {
  static_assert(kVectorBlock % V::kFloats == 0);
  for (std::size_t i = 0; i < count; i += V::kFloats) {
    V::store_floats(out + i, V::fma(V::load_floats(left + i), V::load_floats(right + i),
                                    V::load_floats(out + i)));
  }
}

template <class V>
Work int8_peak(std::int64_t steps) {
  std::uint8_t left_bytes[V::kDotBytes];
  std::int8_t right_bytes[V::kDotBytes];
  constexpr std::int8_t kRight[4] = {-5, 6, -7, 8};
  for (std::size_t i = 0; i < V::kDotBytes; ++i) {
    left_bytes[i] = static_cast<std::uint8_t>(i % 4 + 1);
    right_bytes[i] = kRight[i % 4];
  }
  auto left = V::load_bytes(left_bytes);
  auto right = V::load_bytes(right_bytes);
  right = V::hide(right);  // else the scalar path multiplies by constants it knows
  typename V::Sums sums[V::kDotChains] = {};

  // As the ternary kernels do it: an accumulator as narrow as the operands allow, widened in time.
  constexpr auto kBlock = static_cast<std::int64_t>(V::kGemmSteps);
  for (std::int64_t first = 0; first < steps; first += kBlock) {
    const std::int64_t end = first + kBlock < steps ? first + kBlock : steps;
    typename V::Acc chain[V::kDotChains] = {};
    for (std::int64_t step = first; step < end; ++step) {
      for (auto& c : chain) {
        left = V::hide(left);  // else the products are the same every time and leave the loop
        c = V::mac(c, left, right);
      }
    }
    for (std::size_t i = 0; i < V::kDotChains; ++i) {
      sums[i] = V::add_sums(sums[i], V::widen(chain[i]));
    }
  }

  Work work{steps * static_cast<std::int64_t>(V::kDotChains * V::kDotBytes * 2), 0};
  for (const auto& s : sums) work.total += sum_lanes<V>(s);
  return work;
}

template <class V>
Work fp32_peak(std::int64_t steps) {
  float ones[V::kFloats];
  for (float& one : ones) one = 1.0f;
  auto left = V::load_floats(ones);
  auto right = V::load_floats(ones);
  right = V::hide(right);
  typename V::Floats chain[V::kFmaChains] = {};

  for (std::int64_t step = 0; step < steps; ++step) {
    for (auto& c : chain) {
      left = V::hide(left);
      c = V::fma(left, right, c);
    }
  }

  Work work{steps * static_cast<std::int64_t>(V::kFmaChains * V::kFloats * 2), 0};
  for (const auto& c : chain) {
    float lanes[V::kFloats];
    V::store_floats(lanes, c);
    for (float lane : lanes) work.total += static_cast<std::int64_t>(lane);
  }
  return work;
}

template <class V>
constexpr Ops kOps = {
    {sum_words<V, 1, false>, sum_words<V, 1, true>, sum_words<V, 4, false>, sum_words<V, 4, true>},
    dot_int8<V>,
    fma_fp32<V>,
    int8_peak<V>,
    fp32_peak<V>,
    kTernaryOps<V>,
    kDecoderOps<V>,
    V::kAheads,
    V::kAheads[0],
};

}  // namespace
}  // namespace trine
