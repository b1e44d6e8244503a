// The 512-bit registers, shared by the two levels that differ in `dot` only.
#pragma once

#include <immintrin.h>

#include "isa/generic.h"

namespace trine {
namespace {

struct Avx512Bw {
  using Words = __m512i;
  using Bytes = __m512i;
  using Sums = __m512i;
  using Floats = __m512;

  static constexpr std::size_t kWordsBytes = 64;
  static constexpr std::size_t kDotBytes = 64;
  static constexpr std::size_t kFloats = 16;
  // Latency 4 or 5, at most two a cycle.
  static constexpr std::size_t kDotChains = 10;
  static constexpr std::size_t kFmaChains = 10;

  static Words load_words(const std::uint8_t* at) { return load_bytes(at); }
  static Words add_words(Words a, Words b) { return _mm512_add_epi64(a, b); }
  static void store_words(std::uint64_t* out, Words words) { _mm512_storeu_si512(out, words); }

  static Bytes load_bytes(const void* at) { return _mm512_loadu_si512(at); }
  // See Avx2::dot: the general form, which a ternary kernel may pass.
  static Sums dot(Sums sums, Bytes left, Bytes right) {
    const __m512i pairs = _mm512_maddubs_epi16(left, right);
    return _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
  static void store_sums(std::int32_t* out, Sums sums) { _mm512_storeu_si512(out, sums); }

  static Floats load_floats(const float* at) { return _mm512_loadu_ps(at); }
  static void store_floats(float* out, Floats values) { _mm512_storeu_ps(out, values); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }

  static Bytes hide(Bytes bytes) {
    asm("" : "+v"(bytes));
    return bytes;
  }
  static Floats hide(Floats values) {
    asm("" : "+v"(values));
    return values;
  }
};

}  // namespace
}  // namespace trine
