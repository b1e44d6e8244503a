// x86 vector instructions in portable C, in place of the compiler's own header: for tests that run
// an instruction set's code on machines that have it not.
#pragma once

#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>

#include <cstdint>
#include <cstring>

// What SIMDe 0.7.4 lacks, lane by lane, from the Intel Intrinsics Guide's description.
typedef simde__mmask64 __mmask64;

// Its alias belongs to the masked form by mistake.
#undef _mm512_madd_epi16
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)

template <class To, class From>
To emulated_cast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

struct EmulatedWords {
  std::int32_t at[16];
};
struct EmulatedHalves {
  std::uint16_t at[16];
};

inline simde__m512i _mm512_srai_epi32(simde__m512i a, int bits) {
  auto lanes = emulated_cast<EmulatedWords>(a);
  for (auto& lane : lanes.at) lane >>= bits;
  return emulated_cast<simde__m512i>(lanes);
}

inline simde__m512i _mm512_cvtepu16_epi32(simde__m256i a) {
  const auto halves = emulated_cast<EmulatedHalves>(a);
  EmulatedWords words;
  for (int i = 0; i < 16; ++i) words.at[i] = halves.at[i];
  return emulated_cast<simde__m512i>(words);
}

struct EmulatedBytes {
  std::int8_t at[16];
};
struct EmulatedSingles {
  float at[16];
};

inline simde__m512i _mm512_cvtepi8_epi32(simde__m128i a) {
  const auto bytes = emulated_cast<EmulatedBytes>(a);
  EmulatedWords words;
  for (int i = 0; i < 16; ++i) words.at[i] = bytes.at[i];
  return emulated_cast<simde__m512i>(words);
}

inline simde__m512 _mm512_cvtepi32_ps(simde__m512i a) {
  const auto words = emulated_cast<EmulatedWords>(a);
  EmulatedSingles singles;
  for (int i = 0; i < 16; ++i) singles.at[i] = static_cast<float>(words.at[i]);
  return emulated_cast<simde__m512>(singles);
}

struct EmulatedFloats {
  simde__m256 low, high;
};
struct EmulatedHalfPair {
  simde__m128i low, high;
};

inline simde__m512 _mm512_cvtph_ps(simde__m256i a) {
  const auto halves = emulated_cast<EmulatedHalfPair>(a);
  return emulated_cast<simde__m512>(
      EmulatedFloats{simde_mm256_cvtph_ps(halves.low), simde_mm256_cvtph_ps(halves.high)});
}

inline simde__m256i _mm512_cvtps_ph(simde__m512 a, int rounding) {
  const auto floats = emulated_cast<EmulatedFloats>(a);
  (void)rounding;  // SIMDe's own, to nearest
  return emulated_cast<simde__m256i>(
      EmulatedHalfPair{simde_mm256_cvtps_ph(floats.low, 0), simde_mm256_cvtps_ph(floats.high, 0)});
}

inline simde__m256i _mm256_dpbusd_avx_epi32(simde__m256i sums, simde__m256i left,
                                            simde__m256i right) {
  return simde_mm256_dpbusd_epi32(sums, left, right);
}

// Emulated registers fit no real one, so the empty asm that hides a value from the optimiser goes.
#define asm(...)
