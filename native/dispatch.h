// The ordered list of instruction sets, and the choice among them by name.
#pragma once

#include <string>
#include <vector>

#include "isa/ops.h"

namespace trine {

// One instruction set. It may be used when all three hold.
struct Level {
  const char* name;
  bool compiled;  // this build contains it
  bool claimed;   // the CPU and the operating system say that they have it
  bool proved;    // its self-test ran here and was right; never tried unless claimed

  bool usable() const { return compiled && claimed && proved; }
};

// All levels, slowest first. The self-tests run at the first call.
const std::vector<Level>& levels();

// The table of a usable level, with what the first call measures. Throws std::invalid_argument for
// an unknown or unusable name.
const Ops& ops_of(const std::string& name);

// Runs the self-test of a level, claimed or not; false when it was not compiled, was wrong, or
// met an illegal instruction. Throws std::invalid_argument for an unknown name.
bool prove(const std::string& name);

}  // namespace trine
