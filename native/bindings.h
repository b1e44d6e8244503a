// One function for each part of the Python module.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <stdexcept>
#include <string>

#include "isa/ops.h"

namespace trine {

void bind_kernels(nanobind::module_& module);
void bind_engine(nanobind::module_& module);
void bind_layer(nanobind::module_& module);
void bind_linear(nanobind::module_& module);

inline constexpr const char* kCodeNames[kCodes] = {"2bit", "base3"};
inline constexpr const char* kActivationNames[kActivations] = {"relu2", "silu"};

// The value of `names` that `name` names.
template <class Value, std::size_t kCount>
Value named(const char* const (&names)[kCount], const std::string& name, const char* what) {
  std::string known;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (name == names[i]) return static_cast<Value>(i);
    known += (i == 0 ? "" : ", ") + std::string(names[i]);
  }
  throw std::invalid_argument("unknown " + std::string(what) + " '" + name + "'; known: " + known);
}

}  // namespace trine
