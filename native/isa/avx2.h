// The 256-bit registers, shared by the two levels that differ in `dot` only.
#pragma once

#include <immintrin.h>

#include "isa/generic.h"

namespace trine {
namespace {

struct Avx2 {
  using Words = __m256i;
  using Bytes = __m256i;
  using Sums = __m256i;
  using Floats = __m256;

  static constexpr std::size_t kWordsBytes = 32;
  static constexpr std::size_t kDotBytes = 32;
  static constexpr std::size_t kFloats = 8;
  // Latency 4 or 5, two a cycle; with operands and temporaries this still fits 16 registers.
  static constexpr std::size_t kDotChains = 10;
  static constexpr std::size_t kFmaChains = 10;

  static Words load_words(const std::uint8_t* at) { return load_bytes(at); }
  static Words add_words(Words a, Words b) { return _mm256_add_epi64(a, b); }
  static void store_words(std::uint64_t* out, Words words) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), words);
  }

  static Bytes load_bytes(const void* at) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(at));
  }
  // The general form: each pair of products is widened at once. Products of ternary codes (0..2)
  // could be added 63 times in 16 bits before that, so a ternary kernel may pass this peak.
  static Sums dot(Sums sums, Bytes left, Bytes right) {
    const __m256i pairs = _mm256_maddubs_epi16(left, right);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static void store_sums(std::int32_t* out, Sums sums) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), sums);
  }

  static Floats load_floats(const float* at) { return _mm256_loadu_ps(at); }
  static void store_floats(float* out, Floats values) { _mm256_storeu_ps(out, values); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }

  static Bytes hide(Bytes bytes) {
    asm("" : "+x"(bytes));
    return bytes;
  }
  static Floats hide(Floats values) {
    asm("" : "+x"(values));
    return values;
  }
};

}  // namespace
}  // namespace trine
