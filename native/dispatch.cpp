#include "dispatch.h"

#include <iterator>
#include <mutex>
#include <stdexcept>

#include "isa/all.h"
#include "reading.h"
#include "self_test.h"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace trine {
namespace {

struct Implementation {
  const char* name;
  const Ops* ops;  // null: not in this build
  bool (*claimed)();
};

#if defined(__x86_64__)
// The builtin asks the operating system too (XGETBV): registers that it does not save are not
// there.
bool claims_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}
bool claims_avx_vnni() { return claims_avx2() && __builtin_cpu_supports("avxvnni"); }
bool claims_avx512bw() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}
bool claims_avx512_vnni() { return claims_avx512bw() && __builtin_cpu_supports("avx512vnni"); }
#endif

#if defined(__aarch64__) && defined(__linux__)
bool claims_neon_dotprod() { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
#endif

bool always() { return true; }
bool never() { return false; }

// Slowest first; every level is listed on every machine, so that a report can say what is missing.
constexpr Implementation kImplementations[] = {
    {"scalar", &kScalarOps, always},
#ifdef TRINE_HAVE_AVX2
    {"avx2", &kAvx2Ops, claims_avx2},
#else
    {"avx2", nullptr, never},
#endif
#ifdef TRINE_HAVE_AVX_VNNI
    {"avx_vnni", &kAvxVnniOps, claims_avx_vnni},
#else
    {"avx_vnni", nullptr, never},
#endif
#ifdef TRINE_HAVE_AVX512BW
    {"avx512bw", &kAvx512BwOps, claims_avx512bw},
#else
    {"avx512bw", nullptr, never},
#endif
#ifdef TRINE_HAVE_AVX512_VNNI
    {"avx512_vnni", &kAvx512VnniOps, claims_avx512_vnni},
#else
    {"avx512_vnni", nullptr, never},
#endif
#ifdef TRINE_HAVE_NEON_DOTPROD
    {"neon_dotprod", &kNeonDotprodOps, claims_neon_dotprod},
#else
    {"neon_dotprod", nullptr, never},
#endif
};

std::string names(bool usable_only) {
  std::string text;
  for (const Level& level : levels()) {
    if (usable_only && !level.usable()) continue;
    text += (text.empty() ? "" : ", ") + std::string(level.name);
  }
  return text;
}

std::size_t index_of(const std::string& name) {
  for (std::size_t i = 0; i < std::size(kImplementations); ++i) {
    if (name == kImplementations[i].name) return i;
  }
  throw std::invalid_argument("unknown instruction set '" + name + "'; known: " + names(false));
}

std::vector<Level> find_levels() {
  std::vector<Level> found;
  for (const Implementation& it : kImplementations) {
    const bool compiled = it.ops != nullptr;
    const bool claimed = it.claimed();
    found.push_back({it.name, compiled, claimed, compiled && claimed && passes_self_test(*it.ops)});
  }
  return found;
}

const char* yes(bool value) { return value ? "yes" : "no"; }

}  // namespace

const std::vector<Level>& levels() {
  static const std::vector<Level> found = find_levels();
  return found;
}

const Ops& ops_of(const std::string& name) {
  const std::size_t index = index_of(name);
  const Level& level = levels()[index];
  if (!level.usable()) {
    throw std::invalid_argument(
        "instruction set '" + name + "' cannot be used here (compiled: " + yes(level.compiled) +
        ", claimed by the CPU: " + yes(level.claimed) + ", self-test passed: " + yes(level.proved) +
        "); usable: " + names(true));
  }
  static std::once_flag measured[std::size(kImplementations)];
  static Ops tables[std::size(kImplementations)];
  std::call_once(measured[index], [index] {
    tables[index] = *kImplementations[index].ops;
    tables[index].ahead = fastest_ahead(tables[index]);
  });
  return tables[index];
}

bool prove(const std::string& name) {
  const Ops* ops = kImplementations[index_of(name)].ops;
  return ops != nullptr && passes_self_test(*ops);
}

}  // namespace trine
