#include "tiles.h"

#include <array>
#include <cstring>

namespace trine {
namespace {

constexpr std::uint32_t kLowBits = 0x03030303;  // of four codes, one a byte
constexpr std::uint32_t kZeroTrits = 0x01010101;

// ceil(256 v / 243) for v = 0..242; the index is a byte, so nothing is out of range.
constexpr std::array<std::uint8_t, 256> base3_bytes() {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t v = 0; v < 243; ++v) {
    table[v] = static_cast<std::uint8_t>((256 * v + 242) / 243);
  }
  return table;
}
constexpr auto kBase3Bytes = base3_bytes();

std::uint32_t load_word(const std::uint8_t* at) {
  std::uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// The lane of one row in a line: four bytes whose digits are words[i], four codes each.
template <Code kCode>
std::uint32_t lane_of(const std::uint32_t* words) {
  if constexpr (kCode == kTwoBit) {
    return words[0] | words[1] << 2 | words[2] << 4 | words[3] << 6;
  } else {
    // Each byte stays below 243, so nothing carries into its neighbour.
    const std::uint32_t v = words[0] * 81 + words[1] * 27 + words[2] * 9 + words[3] * 3 + words[4];
    std::uint32_t lane = 0;
    for (int j = 0; j < 4; ++j) {
      lane |= std::uint32_t{kBase3Bytes[v >> (8 * j) & 255]} << (8 * j);
    }
    return lane;
  }
}

// Sum of the four bytes of a word whose bytes are at most 63.
std::uint32_t sum_bytes(std::uint32_t word) { return (word * 0x01010101u) >> 24; }

template <Code kCode>
bool pack_shifted(const std::uint8_t* from, int shift, std::size_t k, std::uint8_t* lane,
                  std::int32_t* row_sum) {
  constexpr std::size_t kDigits = kLineK[kCode] / kLaneBytes;
  std::uint32_t illegal = 0;
  std::int64_t sum = 0;
  std::size_t at = 0;
  for (; at + kLineK[kCode] <= k; at += kLineK[kCode], lane += kLineBytes) {
    std::uint32_t words[kDigits];
    std::uint32_t total = 0;
    for (std::size_t i = 0; i < kDigits; ++i) {
      words[i] = load_word(from + at + kLaneBytes * i) >> shift & kLowBits;
      illegal |= words[i] & words[i] >> 1;
      total += words[i];  // at most 5 * 3 a byte
    }
    sum += sum_bytes(total);
    const std::uint32_t packed = lane_of<kCode>(words);
    std::memcpy(lane, &packed, sizeof packed);
  }
  if (at < k) {
    std::uint8_t codes[kLineK[kCode]];
    std::memset(codes, 1, sizeof codes);
    for (std::size_t i = 0; i < kLineK[kCode] && at + i < k; ++i) {
      codes[i] = from[at + i] >> shift & 3;
      illegal |= codes[i] & codes[i] >> 1;
      sum += codes[i];
    }
    std::uint32_t words[kDigits];
    for (std::size_t i = 0; i < kDigits; ++i) words[i] = load_word(codes + kLaneBytes * i);
    const std::uint32_t packed = lane_of<kCode>(words);
    std::memcpy(lane, &packed, sizeof packed);
  }
  *row_sum = static_cast<std::int32_t>(sum - static_cast<std::int64_t>(k));
  return (illegal & kZeroTrits) == 0;
}

template <Code kCode>
void pack_zeros(std::size_t k, std::uint8_t* lane) {
  std::uint32_t words[kLineK[kCode] / kLaneBytes];
  for (std::uint32_t& word : words) word = kZeroTrits;
  const std::uint32_t packed = lane_of<kCode>(words);
  for (std::size_t line = 0; line < lines_of(kCode, k); ++line) {
    std::memcpy(lane + line * kLineBytes, &packed, sizeof packed);
  }
}

template <Code kCode>
bool pack(const HfMatrix& from, std::size_t row, std::uint8_t* lane, std::int32_t* row_sum) {
  if (row >= from.n) {
    pack_zeros<kCode>(from.k, lane);
    *row_sum = 0;
    return true;
  }
  const std::size_t quarter = from.n / 4;
  return pack_shifted<kCode>(from.packed + row % quarter * from.k,
                             2 * static_cast<int>(row / quarter), from.k, lane, row_sum);
}

}  // namespace

bool pack_row(Code code, const HfMatrix& from, std::size_t row, std::uint8_t* lane,
              std::int32_t* row_sum) {
  return code == kTwoBit ? pack<kTwoBit>(from, row, lane, row_sum)
                         : pack<kBase3>(from, row, lane, row_sum);
}

void pack_codes(Code code, const std::uint8_t* codes, std::size_t k, std::uint8_t* lane,
                std::int32_t* row_sum) {
  if (code == kTwoBit) {
    pack_shifted<kTwoBit>(codes, 0, k, lane, row_sum);
  } else {
    pack_shifted<kBase3>(codes, 0, k, lane, row_sum);
  }
}

}  // namespace trine
