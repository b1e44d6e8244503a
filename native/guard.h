// Runs code that may contain instructions this CPU does not have.
#pragma once

namespace trine {

// Calls `probe(argument)` and returns its result, or false when it met an illegal instruction.
// The probe must own nothing that needs a destructor: an illegal instruction jumps out of it.
// One thread at a time runs a probe; SIGILL of other threads goes to the handler that was there.
bool run_guarded(bool (*probe)(const void* argument), const void* argument);

}  // namespace trine
