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
  static Sums dot(Sums sums, Bytes left, Bytes right) {
    const __m512i pairs = _mm512_maddubs_epi16(left, right);
    return _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
  static void store_sums(std::int32_t* out, Sums sums) { _mm512_storeu_si512(out, sums); }
  static Bytes and_bytes(Bytes bytes, int mask) {
    return _mm512_and_si512(bytes, _mm512_set1_epi8(static_cast<char>(mask)));
  }
  static Sums set_sums(std::int32_t value) { return _mm512_set1_epi32(value); }
  static Sums load_sums(const std::int32_t* at) { return _mm512_loadu_si512(at); }
  static Sums add_sums(Sums a, Sums b) { return _mm512_add_epi32(a, b); }
  static Sums sub_sums(Sums a, Sums b) { return _mm512_sub_epi32(a, b); }
  template <int kBits>
  static Sums shift_sums(Sums sums) {
    return _mm512_srai_epi32(sums, kBits);
  }

  static constexpr std::size_t kRows = 16;
  static void store_bytes(void* at, Bytes bytes) { _mm512_storeu_si512(at, bytes); }
  static Bytes broadcast(const std::int8_t* four) {
    std::int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm512_set1_epi32(word);
  }

  // Zen 4 reads as fast without; Zen 5 up to 1.3 times as fast with 8 to 16 KiB.
  static constexpr std::size_t kAheads[] = {0, 4096, 10240, kNoAhead};
  static void prefetch(const void* at) { prefetch_l1(at); }
  static constexpr bool kOneStream = true;
  static constexpr int kSumRegisters = 24;  // of 32
  static constexpr int kTelescopeSums = 18;
  static constexpr int kLineTokens = 2;
  static constexpr int kLineSums = 0;
  static constexpr std::size_t kLineTiles = 1;
  // Lines that take tens of cycles each are too slow for the prefetchers to run far ahead.
  static constexpr std::size_t kLineAheadBytes = 4096;

  // As in Avx2, where the bounds are derived.
  using Acc = __m512i;
  static Acc mac(Acc acc, Bytes left_unsigned, Bytes right_signed) {
    return _mm512_add_epi16(acc, _mm512_maddubs_epi16(left_unsigned, right_signed));
  }
  static Sums widen(Acc acc) { return _mm512_madd_epi16(acc, _mm512_set1_epi16(1)); }

  static constexpr int kGroups = 2;
  static constexpr int kGroup[4] = {0, 1, 0, 1};
  static constexpr int kGroupShift[kGroups] = {0, 2};
  static constexpr std::size_t kBlockLines = 8;
  static void planes(Bytes bytes, Bytes* out) {
    const __m512i high = _mm512_srli_epi16(bytes, 4);
    out[0] = and_bytes(bytes, 0x03);
    out[1] = and_bytes(bytes, 0x0C);
    out[2] = and_bytes(high, 0x03);
    out[3] = and_bytes(high, 0x0C);
  }

  static constexpr bool kTelescope = false;
  static constexpr Form kDigits = Form::kBiasedTrits;
  static constexpr std::size_t kBlockLines3 = 12;
  static Bytes triple(Bytes bytes) { return _mm512_add_epi8(bytes, _mm512_add_epi8(bytes, bytes)); }
  static Bytes begin_digits(Bytes bytes) { return bytes; }
  static Bytes digit(Bytes rest) {
    const __mmask64 low = _mm512_cmplt_epu8_mask(rest, _mm512_set1_epi8(86));
    const __mmask64 high = _mm512_cmpgt_epu8_mask(rest, _mm512_set1_epi8(static_cast<char>(170)));
    return _mm512_sub_epi8(_mm512_movm_epi8(low), _mm512_movm_epi8(high));
  }

  // 24 registers of sums, 1 of weights; activations come with the load.
  static constexpr int kGemvTokens = 4;
  static constexpr std::size_t kGemvMost[kCodes] = {4, 4};
  static constexpr int kGemmTiles = 2;
  static constexpr int kGemmTokens = 12;
  static constexpr std::size_t kGemmSteps = 64;
  static void code_planes(Bytes bytes, Bytes* out) {
    out[0] = and_bytes(bytes, 0x03);
    out[1] = and_bytes(_mm512_srli_epi16(bytes, 2), 0x03);
    out[2] = and_bytes(_mm512_srli_epi16(bytes, 4), 0x03);
    out[3] = and_bytes(_mm512_srli_epi16(bytes, 6), 0x03);
  }
  static Bytes code_digit(Bytes rest) { return _mm512_add_epi8(digit(rest), _mm512_set1_epi8(1)); }

  static Floats load_floats(const float* at) { return _mm512_loadu_ps(at); }
  static void store_floats(float* out, Floats values) { _mm512_storeu_ps(out, values); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats add_floats(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  // a > b ? a : b, so b where one is no number.
  static Floats max_floats(Floats a, Floats b) { return _mm512_max_ps(a, b); }

  static Floats set_floats(float value) { return _mm512_set1_ps(value); }
  static Floats load_half(const std::uint16_t* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  static void store_half(std::uint16_t* out, Floats values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                        _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
  }
  static Floats load_int8(const std::int8_t* at) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
  }
  template <Float kType>
  static Floats load_element(const void* at) {
    if constexpr (kType == kF32) return load_floats(static_cast<const float*>(at));
    if constexpr (kType == kF16) return load_half(static_cast<const std::uint16_t*>(at));
    const __m256i halves = _mm256_loadu_si256(static_cast<const __m256i*>(at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }

  static constexpr std::size_t kHeadSums = 24;
  static constexpr std::size_t kHeadTokens = 8;
  static constexpr std::size_t kHeadAheadTokens = 4;
  static constexpr std::size_t kHeadAheadBytes = 4096;
  static constexpr std::size_t kRowStep = 32;
  using Wide = __m512i;
  static Wide widen_row(const std::int8_t* row) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)));
  }
  static std::int32_t sum_lanes(Sums sums) {
    const __m256i eight =
        _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    const __m128i four =
        _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
  }
  static Wide load_wide(const std::int16_t* state) {
    return hide(load_bytes(state));  // else gcc 12 loads it once for each row
  }
  static Sums mac_wide(Sums sums, Wide row, Wide state) {
    return _mm512_add_epi32(sums, _mm512_madd_epi16(row, state));
  }

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
