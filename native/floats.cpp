#include "floats.h"

#include <cstring>

namespace trine {
namespace {

std::uint16_t to_bf16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<std::uint16_t>(value == value ? rounded : (bits >> 16) | 0x40u);
}

}  // namespace

void narrow(const Ops& ops, const float* from, std::size_t n, Float type, void* to) {
  if (type == kF32) {
    std::memcpy(to, from, n * sizeof(float));
  } else if (type == kF16) {
    ops.decoder.store_cache[kCacheF16](from, n, to, 1);
  } else {
    auto* out = static_cast<std::uint16_t*>(to);
    for (std::size_t i = 0; i < n; ++i) out[i] = to_bf16(from[i]);
  }
}

}  // namespace trine
