// Floats of a type that is known at run time, which belong to somebody else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/ops.h"

namespace trine {

struct FloatView {
  Float type;
  const void* data;

  const void* at(std::size_t i) const {
    return static_cast<const std::uint8_t*>(data) + i * kFloatBytes[type];
  }
};
struct FloatOut {
  Float type;
  void* data;

  void* at(std::size_t i) const { return static_cast<std::uint8_t*>(data) + i * kFloatBytes[type]; }
};

// Rounds half to even; a NaN stays one.
void narrow(const Ops& ops, const float* from, std::size_t n, Float type, void* to);

}  // namespace trine
