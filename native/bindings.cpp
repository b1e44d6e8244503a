// Python's view of the native code: types and argument names, no arithmetic.
//
// Every call releases the GIL. std::invalid_argument arrives in Python as ValueError,
// std::bad_alloc as MemoryError.
#include "bindings.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "dispatch.h"
#include "isa/ops.h"
#include "probe.h"
#include "reading.h"

namespace nb = nanobind;
using namespace nb::literals;
using without_gil = nb::call_guard<nb::gil_scoped_release>;

NB_MODULE(_native, module) {
  module.attr("COMPILER") = TRINE_COMPILER;
  module.attr("READ_BLOCK") = trine::kReadBlock;
  module.attr("READ_PATTERNS") = trine::kReadPatterns;
  module.attr("FILL_FACTOR") = trine::kFillFactor;

  nb::class_<trine::Level>(module, "Level")
      .def_ro("name", &trine::Level::name)
      .def_ro("compiled", &trine::Level::compiled)
      .def_ro("claimed", &trine::Level::claimed)
      .def_ro("proved", &trine::Level::proved)
      .def_prop_ro("usable", &trine::Level::usable);
  module.def("levels", &trine::levels, nb::rv_policy::reference, without_gil());
  module.def("prove", &trine::prove, "isa"_a, without_gil());
  module.def(
      "ahead", [](const std::string& isa) { return trine::ops_of(isa).ahead; }, "isa"_a,
      without_gil());
  module.def(
      "aheads", [](const std::string& isa) { return trine::aheads_of(trine::ops_of(isa)); },
      "isa"_a, without_gil());

  nb::class_<trine::Probe>(module, "Probe")
      .def_ro("isa", &trine::Probe::isa)
      .def_ro("threads", &trine::Probe::threads)
      .def_ro("seconds", &trine::Probe::seconds)
      .def_ro("work", &trine::Probe::work)
      .def_ro("checksum", &trine::Probe::checksum);
  module.def("probe_read", &trine::probe_read, "isa"_a, "threads"_a, "bytes_per_thread"_a,
             "sweeps"_a, "passes"_a, without_gil());
  module.def("probe_int8", &trine::probe_int8, "isa"_a, "threads"_a, "steps"_a, "passes"_a,
             without_gil());
  module.def("probe_fp32", &trine::probe_fp32, "isa"_a, "threads"_a, "steps"_a, "passes"_a,
             without_gil());

  trine::bind_kernels(module);
  trine::bind_engine(module);
  trine::bind_layer(module);
  trine::bind_linear(module);
}
