// One function for each part of the Python module.
#pragma once

#include <nanobind/nanobind.h>

namespace trine {

void bind_kernels(nanobind::module_& module);
void bind_engine(nanobind::module_& module);

}  // namespace trine
