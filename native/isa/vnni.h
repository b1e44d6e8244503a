// What an instruction that adds four int8 products to an int32 changes in the ternary kernels:
// sums are 32 bits wide from the start, so weights may stay where they stand in their byte.
#pragma once

#include "isa/gemm.h"

namespace trine {
namespace {

template <class Base>
struct Vnni : Base {
  using Bytes = typename Base::Bytes;
  using Sums = typename Base::Sums;

  using Acc = Sums;
  static Acc mac(Acc acc, Bytes left_unsigned, Bytes right_signed) {
    return Base::hide(Base::dot(acc, left_unsigned, right_signed));  // else gcc 12 spills
  }
  static Sums widen(Acc acc) { return acc; }

  // Plane p is masked in place, scaled by 4^p, and has sums of its own.
  static constexpr int kGroups = 4;
  static constexpr int kGroup[4] = {0, 1, 2, 3};
  static constexpr int kGroupShift[kGroups] = {0, 2, 4, 6};
  static constexpr std::size_t kBlockLines = std::size_t{1} << 14;  // 2^14 * 4 * 128 * 128 = 2^30
  static void planes(Bytes bytes, Bytes* out) {
    out[0] = Base::and_bytes(bytes, 0x03);
    out[1] = Base::and_bytes(bytes, 0x0C);
    out[2] = Base::and_bytes(bytes, 0x30);
    out[3] = Base::and_bytes(bytes, 0xC0);
  }

  static constexpr bool kTelescope = true;
  static constexpr std::size_t kBlockLines3 = kBlockLines;

  static constexpr std::size_t kGemmSteps = 128;
};

}  // namespace
}  // namespace trine
