#include "reading.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <vector>

#include "huge_buffer.h"

namespace trine {
namespace {

// Parts that a core reads in some 100 us, in turn with each distance: a neighbour's load then falls
// on all of them. Twice the largest cache that cores of one die commonly share.
constexpr std::size_t kParts = 32;
constexpr std::size_t kPartBytes = std::size_t{2} << 20;
constexpr std::size_t kRounds = 4;

// 128 lines a tile: 16 rows of 2,048 trits.
constexpr std::size_t kLines = 128;
constexpr std::size_t kTiles = kPartBytes / (kLines * kLineBytes);

double seconds_of(const Ops& ops, const std::uint8_t* tiles, std::size_t ahead) {
  static const std::int8_t codes[kLines * 16] = {};
  static const std::uint8_t biased[sizeof codes] = {};
  static const std::int32_t row_sums[kTiles * kTileRows] = {};
  const std::int32_t sum = 0;
  std::int32_t out[kTiles * kTileRows];
  const auto begin = std::chrono::steady_clock::now();
  ops.ternary.gemv[kTwoBit](tiles, kTiles, kLines, row_sums, {codes, biased, &sum, sizeof codes, 1},
                            out, kTiles * kTileRows, ahead);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::vector<std::size_t> aheads_of(const Ops& ops) {
  std::vector<std::size_t> aheads;
  for (const std::size_t* it = ops.aheads; *it != kNoAhead; ++it) aheads.push_back(*it);
  return aheads;
}

std::size_t fastest_ahead(const Ops& ops) {
  const std::vector<std::size_t> aheads = aheads_of(ops);
  if (aheads.size() == 1) return aheads[0];
  try {
    const HugeBuffer buffer(kParts * kPartBytes);
    std::memset(buffer.data(), 0x55, kParts * kPartBytes);
    std::vector<std::vector<double>> seconds(aheads.size());
    for (std::size_t round = 0; round < kRounds; ++round) {
      for (std::size_t part = 0; part < kParts; ++part) {
        const std::size_t choice = (part + round) % aheads.size();
        seconds[choice].push_back(
            seconds_of(ops, buffer.data() + part * kPartBytes, aheads[choice]));
      }
    }
    std::size_t best = 0;
    for (std::size_t i = 1; i < aheads.size(); ++i) {
      if (median(seconds[i]) < median(seconds[best])) best = i;
    }
    return aheads[best];
  } catch (const std::bad_alloc&) {
    return aheads[0];
  }
}

}  // namespace trine
