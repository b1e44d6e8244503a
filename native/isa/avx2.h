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
  // Latency 4 or 5, two a cycle; with operands and a temporary this still fits 16 registers.
  static constexpr std::size_t kDotChains = 12;
  static constexpr std::size_t kFmaChains = 10;

  static Words load_words(const std::uint8_t* at) { return load_bytes(at); }
  static Words add_words(Words a, Words b) { return _mm256_add_epi64(a, b); }
  static void store_words(std::uint64_t* out, Words words) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), words);
  }

  static Bytes load_bytes(const void* at) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(at));
  }
  static Sums dot(Sums sums, Bytes left, Bytes right) {
    const __m256i pairs = _mm256_maddubs_epi16(left, right);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static void store_sums(std::int32_t* out, Sums sums) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), sums);
  }
  static Bytes and_bytes(Bytes bytes, int mask) {
    return _mm256_and_si256(bytes, _mm256_set1_epi8(static_cast<char>(mask)));
  }
  static Sums set_sums(std::int32_t value) { return _mm256_set1_epi32(value); }
  static Sums load_sums(const std::int32_t* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }
  static Sums add_sums(Sums a, Sums b) { return _mm256_add_epi32(a, b); }
  static Sums sub_sums(Sums a, Sums b) { return _mm256_sub_epi32(a, b); }
  template <int kBits>
  static Sums shift_sums(Sums sums) {
    return _mm256_srai_epi32(sums, kBits);
  }

  static constexpr std::size_t kRows = 8;
  static void store_bytes(void* at, Bytes bytes) {
    _mm256_storeu_si256(static_cast<__m256i*>(at), bytes);
  }
  static Bytes broadcast(const std::int8_t* four) {
    std::int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm256_set1_epi32(word);
  }

  static constexpr std::size_t kAheads[] = {4096, kNoAhead};
  static void prefetch(const void* at) { prefetch_l2(at); }
  static constexpr bool kOneStream = false;
  static constexpr int kSumRegisters = 4;  // of 16: the others hold weights, masks, activations
  static constexpr int kTelescopeSums = 8;
  static constexpr int kLineTokens = 2;
  static constexpr int kLineSums = 8;
  static constexpr std::size_t kLineTiles = 1;
  static constexpr std::size_t kLineAheadBytes = kAheads[0];

  // Pairs of products in 16 bits. An unsigned byte times -128 twice is what bounds the number of
  // additions: of codes 2 * 2 * 128 = 512, of codes scaled by four 2048, of biased trits 510.
  using Acc = __m256i;
  static Acc mac(Acc acc, Bytes left_unsigned, Bytes right_signed) {
    // Left to itself, gcc 12 does all multiplications first and spills the sums.
    asm volatile("vpaddw %1, %0, %0"
                 : "+x"(acc)
                 : "x"(_mm256_maddubs_epi16(left_unsigned, right_signed)));
    return acc;
  }
  static Sums widen(Acc acc) { return _mm256_madd_epi16(acc, _mm256_set1_epi16(1)); }

  // One shift serves two planes: planes 1 and 3 stay scaled by four, in sums of their own.
  static constexpr int kGroups = 2;
  static constexpr int kGroup[4] = {0, 1, 0, 1};
  static constexpr int kGroupShift[kGroups] = {0, 2};
  static constexpr std::size_t kBlockLines = 8;  // 8 lines * 2 planes * 2048 = 2^15, all negative
  static void planes(Bytes bytes, Bytes* out) {
    const __m256i high = _mm256_srli_epi16(bytes, 4);
    out[0] = _mm256_and_si256(bytes, _mm256_set1_epi8(0x03));
    out[1] = _mm256_and_si256(bytes, _mm256_set1_epi8(0x0C));
    out[2] = _mm256_and_si256(high, _mm256_set1_epi8(0x03));
    out[3] = _mm256_and_si256(high, _mm256_set1_epi8(0x0C));
  }

  // With bytes read as r - 128, tripling modulo 256 keeps the bias (3 * 128 = 128 modulo 256), and
  // signed comparisons see the thirds of the byte: trit = (r >= 171) - (r < 86).
  static constexpr bool kTelescope = false;
  static constexpr Form kDigits = Form::kBiasedTrits;
  static constexpr std::size_t kBlockLines3 = 12;  // 12 lines * 5 digits * 510 < 2^15
  static Bytes triple(Bytes bytes) { return _mm256_add_epi8(bytes, _mm256_add_epi8(bytes, bytes)); }
  static Bytes begin_digits(Bytes bytes) { return _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)); }
  static Bytes digit(Bytes rest) {
    return _mm256_sub_epi8(_mm256_cmpgt_epi8(_mm256_set1_epi8(86 - 128), rest),
                           _mm256_cmpgt_epi8(rest, _mm256_set1_epi8(170 - 128)));
  }

  // 12 registers of sums, 2 of activations, 1 of weights, 1 of products.
  static constexpr int kGemvTokens = 4;
  static constexpr std::size_t kGemvMost[kCodes] = {16, 4};
  static constexpr int kGemmTiles = 3;
  static constexpr int kGemmTokens = 2;
  static constexpr std::size_t kGemmSteps = 64;  // 64 * 512 = 2^15, all negative
  static void code_planes(Bytes bytes, Bytes* out) {
    const __m256i mask = _mm256_set1_epi8(0x03);
    out[0] = _mm256_and_si256(bytes, mask);
    out[1] = _mm256_and_si256(_mm256_srli_epi16(bytes, 2), mask);
    out[2] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask);
    out[3] = _mm256_and_si256(_mm256_srli_epi16(bytes, 6), mask);
  }
  static Bytes code_digit(Bytes rest) { return _mm256_add_epi8(digit(rest), _mm256_set1_epi8(1)); }

  static Floats load_floats(const float* at) { return _mm256_loadu_ps(at); }
  static void store_floats(float* out, Floats values) { _mm256_storeu_ps(out, values); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats add_floats(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  // a > b ? a : b, so b where one is no number.
  static Floats max_floats(Floats a, Floats b) { return _mm256_max_ps(a, b); }

  static Floats set_floats(float value) { return _mm256_set1_ps(value); }
  static Floats load_half(const std::uint16_t* at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
  static void store_half(std::uint16_t* out, Floats values) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
  }
  static Floats load_int8(const std::int8_t* at) {
    const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes));
  }
  template <Float kType>
  static Floats load_element(const void* at) {
    if constexpr (kType == kF32) return load_floats(static_cast<const float*>(at));
    if constexpr (kType == kF16) return load_half(static_cast<const std::uint16_t*>(at));
    const __m128i halves = _mm_loadu_si128(static_cast<const __m128i*>(at));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  }

  static constexpr std::size_t kHeadSums = 8;
  static constexpr std::size_t kHeadTokens = 2;
  static constexpr std::size_t kHeadAheadTokens = 1;
  static constexpr std::size_t kHeadAheadBytes = kAheads[0];
  static constexpr std::size_t kRowStep = 16;
  using Wide = __m256i;
  static Wide widen_row(const std::int8_t* row) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)));
  }
  static std::int32_t sum_lanes(Sums sums) {
    const __m128i four =
        _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
  }
  static Wide load_wide(const std::int16_t* state) { return load_bytes(state); }
  static Sums mac_wide(Sums sums, Wide row, Wide state) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(row, state));
  }

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
