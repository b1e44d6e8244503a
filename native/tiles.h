// The packed layouts of src/trine/ternary/tiles.py, written from the files' layout.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/ops.h"

namespace trine {

constexpr std::size_t round_up(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

// Lines of a tile with K = k.
constexpr std::size_t lines_of(Code code, std::size_t k) {
  return (k + kLineK[code] - 1) / kLineK[code];
}

// K with the padding of its last line.
constexpr std::size_t padded_k(Code code, std::size_t k) {
  return lines_of(code, k) * kLineK[code];
}

// A matrix in the layout of Hugging Face checkpoints (src/trine/ternary/hf.py): row r of n is in
// packed row r mod (n / 4), bits 2 (r / (n / 4)); n is a multiple of 4.
struct HfMatrix {
  const std::uint8_t* packed;
  std::size_t n;
  std::size_t k;
};

// Packs one row into a lane of a tile: `lane` is where the lane's first line begins, the next lines
// follow at kLineBytes. A row of n or more is all zeros. Returns false when a code was 3, which is
// no trit; `row_sum` is the sum of the trits.
bool pack_row(Code code, const HfMatrix& from, std::size_t row, std::uint8_t* lane,
              std::int32_t* row_sum);

// The same from a byte per code (trit + 1, checked by the caller).
void pack_codes(Code code, const std::uint8_t* codes, std::size_t k, std::uint8_t* lane,
                std::int32_t* row_sum);

}  // namespace trine
