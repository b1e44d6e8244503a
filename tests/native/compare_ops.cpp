// All operators of one instruction set against plain loops and the scalar set, on random data.
//
//   compare_ops.cpp + native/isa/scalar.cpp + native/isa/<set>.cpp + native/tiles.cpp
//   -DTRINE_TESTED_OPS=kNeonDotprodOps
//
// Prints one line for each operator that differs; the exit code is 1 then. tests/native/
// test_emulated.py builds and runs it, for instruction sets that the machine need not have.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "isa/all.h"
#include "tiles.h"

using namespace trine;

namespace {

const Ops& tested = TRINE_TESTED_OPS;
const Ops& scalar = kScalarOps;

int failures = 0;
std::mt19937 generator(7);

void expect(bool holds, const char* what, std::size_t a = 0, std::size_t b = 0) {
  if (holds) return;
  ++failures;
  std::printf("%s differs (%zu, %zu)\n", what, a, b);
}

int random_in(int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(generator);
}

std::vector<float> floats(std::size_t n) {
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& value : out) value = normal(generator);
  return out;
}

bool same_bits(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0;
}

// Relative to b's length, or to that of as many numbers of size 1 where b cancels out.
bool close(const std::vector<float>& a, const std::vector<float>& b, double tolerance) {
  double difference = 0;
  double size = static_cast<double>(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    size += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference) <= tolerance * std::sqrt(size);
}

// One ternary product by definition, and everything the kernels read for it.
struct Product {
  Code code;
  std::size_t k, tiles, lines, stride;
  std::vector<std::uint8_t> codes;  // [rows][k], trit + 1
  std::vector<std::uint8_t> packed;
  std::vector<std::int32_t> row_sums;
  std::vector<std::int8_t> q;  // [tokens][stride]
  std::vector<std::uint8_t> biased;
  std::vector<std::int32_t> sums;

  // extreme: all codes and activations at one end of their range, chosen by its bits.
  Product(Code which, std::size_t tiles_, std::size_t k_, std::size_t tokens, int extreme = -1)
      : code(which), k(k_), tiles(tiles_), lines(lines_of(which, k_)), stride(padded_k(which, k_)) {
    codes.resize(tiles * kTileRows * k);
    for (auto& it : codes) {
      it = static_cast<std::uint8_t>(extreme < 0 ? random_in(0, 2) : extreme & 1 ? 2 : 0);
    }
    packed.resize(tiles * lines * kLineBytes + 65536);
    row_sums.resize(tiles * kTileRows);
    for (std::size_t row = 0; row < tiles * kTileRows; ++row) {
      pack_codes(
          code, codes.data() + row * k, k,
          packed.data() + row / kTileRows * lines * kLineBytes + row % kTileRows * kLaneBytes,
          row_sums.data() + row);
    }
    q.resize(tokens * stride);
    biased.resize(tokens * stride);
    sums.resize(tokens);
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t i = 0; i < stride; ++i) {
        const int value = i >= k        ? 0
                          : extreme < 0 ? random_in(-128, 127)
                          : extreme & 2 ? 127
                                        : -128;
        q[t * stride + i] = static_cast<std::int8_t>(value);
        biased[t * stride + i] = static_cast<std::uint8_t>(value + 128);
        sums[t] += value;
      }
    }
  }

  std::int32_t expected(std::size_t token, std::size_t row) const {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < k; ++i) sum += (codes[row * k + i] - 1) * q[token * stride + i];
    return sum;
  }
};

void check_gemv(const Product& it, int tokens) {
  const std::size_t rows = it.tiles * kTileRows;
  const std::size_t out_stride = rows + 3;
  std::vector<std::int32_t> out(static_cast<std::size_t>(tokens) * out_stride, -12345);
  tested.ternary.gemv[it.code](it.packed.data(), it.tiles, it.lines, it.row_sums.data(),
                               {it.q.data(), it.biased.data(), it.sums.data(), it.stride, tokens},
                               out.data(), out_stride, tested.ahead);
  for (std::size_t t = 0; t < static_cast<std::size_t>(tokens); ++t) {
    bool right = true;
    for (std::size_t r = 0; r < rows; ++r) right &= out[t * out_stride + r] == it.expected(t, r);
    for (std::size_t r = rows; r < out_stride; ++r) right &= out[t * out_stride + r] == -12345;
    expect(right, it.code == kTwoBit ? "gemv 2bit" : "gemv base3", it.k, it.tiles);
  }
}

void check_gemm(const Product& it) {
  const auto together = static_cast<std::size_t>(tested.ternary.gemm_tiles);
  const auto tokens = static_cast<std::size_t>(tested.ternary.gemm_tokens);
  const std::size_t width = together * kTileRows;
  const std::size_t steps = it.stride / kLaneBytes;
  std::vector<std::uint8_t> codes(steps * width * kLaneBytes);
  for (std::size_t tile = 0; tile < together; ++tile) {
    tested.ternary.unpack[it.code](it.packed.data() + tile * it.lines * kLineBytes, it.lines,
                                   codes.data() + tile * kLineBytes);
  }
  bool right = true;
  for (std::size_t i = 0; i < it.stride; ++i) {
    for (std::size_t row = 0; row < width; ++row) {
      const int code = i < it.k ? it.codes[row * it.k + i] : 1;
      right &= codes[(i / 4 * width + row) * kLaneBytes + i % 4] == code;
    }
  }
  expect(right, it.code == kTwoBit ? "unpack 2bit" : "unpack base3", it.k);

  std::vector<std::int8_t> panel(tokens * it.stride);
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t i = 0; i < it.stride; ++i) {
      panel[(i / 4 * tokens + t) * kLaneBytes + i % 4] = it.q[t * it.stride + i];
    }
  }
  const bool taken = it.k % 2 == 0;  // else the sums begin at 1000
  std::vector<std::int32_t> sums(tokens * width, taken ? -77 : 1000);
  for (std::size_t step = 0; step < steps; step += tested.ternary.gemm_steps) {
    const std::size_t some = std::min(tested.ternary.gemm_steps, steps - step);
    tested.ternary.gemm(codes.data() + step * width * kLaneBytes, some,
                        panel.data() + step * tokens * kLaneBytes,
                        taken && step == 0 ? it.sums.data() : nullptr, sums.data());
  }
  right = true;
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t row = 0; row < width; ++row) {
      const std::int32_t before = taken ? -it.sums[t] : 1000;
      right &= sums[t * width + row] - before - it.sums[t] == it.expected(t, row);
    }
  }
  expect(right, "gemm", it.k);
}

void check_ternary() {
  const int most = tested.ternary.gemv_tokens;
  for (Code code : {kTwoBit, kBase3}) {
    for (std::size_t k : {1, 15, 16, 17, 20, 21, 40, 100, 161, 259, 711}) {
      for (std::size_t tiles : {1, 2, 3, 5, 9}) {
        const Product it(code, tiles, k, static_cast<std::size_t>(most));
        for (int tokens = 1; tokens <= most; ++tokens) check_gemv(it, tokens);
      }
    }
    const auto together = static_cast<std::size_t>(tested.ternary.gemm_tiles);
    const auto tokens = static_cast<std::size_t>(tested.ternary.gemm_tokens);
    for (std::size_t k : {1, 16, 20, 37, 264, 1030, 2050}) check_gemm({code, together, k, tokens});
    for (int extreme = 0; extreme < 4; ++extreme) {
      for (std::size_t k : {std::size_t{6912}, std::size_t{13824}, kMaxK}) {
        const Product it(code, 1, k, static_cast<std::size_t>(most), extreme);
        check_gemv(it, 1);
        check_gemv(it, most);
        check_gemm({code, together, k, tokens, extreme});
      }
    }
  }
}

void check_probes() {
  std::vector<std::uint8_t> bytes(2 * kReadBlock);
  for (auto& it : bytes) it = static_cast<std::uint8_t>(random_in(0, 255));
  for (std::size_t p = 0; p < kReadPatterns; ++p) {
    expect(tested.sum_words[p](bytes.data(), bytes.size()) ==
               scalar.sum_words[0](bytes.data(), bytes.size()),
           "sum_words", p);
  }
  std::vector<std::uint8_t> left(4 * kVectorBlock);
  std::vector<std::int8_t> right(left.size());
  for (std::size_t i = 0; i < left.size(); ++i) {
    left[i] = static_cast<std::uint8_t>(random_in(0, 127));
    right[i] = static_cast<std::int8_t>(random_in(-128, 127));
  }
  expect(tested.dot_int8(left.data(), right.data(), left.size()) ==
             scalar.dot_int8(left.data(), right.data(), left.size()),
         "dot_int8");
  const Work int8 = tested.int8_peak(5);
  const Work fp32 = tested.fp32_peak(5);
  expect(int8.ops > 0 && int8.total == int8.ops / 8 * (-5 + 12 - 21 + 32), "int8_peak");
  expect(fp32.ops > 0 && fp32.total == fp32.ops / 2, "fp32_peak");
}

void check_elements(std::size_t n) {
  const DecoderOps& ours = tested.decoder;
  const DecoderOps& theirs = scalar.decoder;
  // Every pattern of 16 bits comes along, infinities, NaN and subnormal numbers included.
  std::vector<std::uint16_t> halves(n);
  for (auto& it : halves) it = static_cast<std::uint16_t>(random_in(0, 65535));
  std::vector<float> a(n), b(n);
  for (Float type : {kBf16, kF16}) {
    ours.widen[type](halves.data(), n, a.data());
    theirs.widen[type](halves.data(), n, b.data());
    bool right = true;
    for (std::size_t i = 0; i < n; ++i) right &= same_bits(a[i], b[i]);
    expect(right, "widen", type, n);
  }
  const std::vector<float> x = floats(n), weight = floats(n);
  ours.rms_norm(x.data(), weight.data(), n, 1e-5f, a.data());
  theirs.rms_norm(x.data(), weight.data(), n, 1e-5f, b.data());
  expect(close(a, b, 1e-6), "rms_norm", n);

  std::vector<std::int8_t> q(n), r(n);
  expect(same_bits(ours.quantise(x.data(), n, q.data()), theirs.quantise(x.data(), n, r.data())) &&
             q == r,
         "quantise", n);
  std::vector<float> bad = x;
  bad[n / 2] = n % 2 == 0 ? NAN : INFINITY;
  expect(std::isnan(ours.quantise(bad.data(), n, q.data())) && q == std::vector<std::int8_t>(n),
         "quantise NaN", n);

  std::vector<std::int32_t> sums(n), up(n);
  for (auto& it : sums) it = random_in(-2000000, 2000000);
  for (auto& it : up) it = random_in(-2000000, 2000000);
  ours.dequantise(sums.data(), n, 0.02f, 31.0f, a.data());
  theirs.dequantise(sums.data(), n, 0.02f, 31.0f, b.data());
  expect(a == b, "dequantise", n);
  ours.dequantise_add(sums.data(), n, 0.02f, 31.0f, a.data());
  theirs.dequantise_add(sums.data(), n, 0.02f, 31.0f, b.data());
  expect(a == b, "dequantise_add", n);
  for (int activation = 0; activation < kActivations; ++activation) {
    ours.dequantise_gate[activation](sums.data(), up.data(), n, 0.02f, 0.03f, 31.0f, a.data());
    theirs.dequantise_gate[activation](sums.data(), up.data(), n, 0.02f, 0.03f, 31.0f, b.data());
    expect(a == b, "dequantise_gate", activation, n);
    std::vector<std::int32_t> tiles((n + kGateRows - 1) / kGateRows * kTileRows);
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t at = i / kGateRows * kTileRows + i % kGateRows;
      tiles[at] = sums[i];
      tiles[at + kGateRows] = up[i];
    }
    ours.dequantise_gate_tiles[activation](tiles.data(), n, 0.02f, 0.03f, 31.0f, b.data());
    expect(a == b, "dequantise_gate_tiles", activation, n);
  }

  std::vector<float> head = floats(2 * n), other = head;
  ours.rope(head.data(), x.data(), weight.data(), n);
  theirs.rope(other.data(), x.data(), weight.data(), n);
  expect(close(head, other, 1e-6), "rope", n);

  for (Float type : {kF32, kBf16, kF16}) {
    // Half-precision values of ordinary size.
    for (std::size_t i = 0; i < n; ++i) {
      halves[i] = static_cast<std::uint16_t>(type == kF16 ? random_in(0x2000, 0x4000)
                                                          : random_in(0x3C00, 0x4000));
    }
    const void* row = type == kF32 ? static_cast<const void*>(weight.data()) : halves.data();
    theirs.widen[type](row, n, b.data());
    double size = 0;
    double exact = 0;
    for (std::size_t i = 0; i < n; ++i) {
      exact += static_cast<double>(b[i]) * x[i];
      size += std::fabs(static_cast<double>(b[i]) * x[i]);
    }
    expect(std::fabs(ours.dot_float[type](row, x.data(), n) - exact) <= 1e-6 * size, "dot_float",
           type, n);
  }
  const std::size_t blocks = (n + kStateBlock - 1) / kStateBlock;
  std::vector<std::int16_t> states(kMostHeadTokens * blocks * kStateBlock);
  const int top = std::min(32767, static_cast<int>(2147483647 / (127 * n)));
  constexpr std::size_t kRows = 9;  // more than are walked together
  std::vector<std::int8_t> rows(kRows * n + kStateBlock);
  for (auto& it : rows) it = static_cast<std::int8_t>(random_in(-127, 127));
  for (std::size_t tokens = 1; tokens <= std::min(ours.head_tokens, theirs.head_tokens); ++tokens) {
    for (std::size_t i = 0; i < blocks * tokens * kStateBlock; ++i) {
      const std::size_t at = i / (tokens * kStateBlock) * kStateBlock + i % kStateBlock;
      states[i] = static_cast<std::int16_t>(at < n ? random_in(-top, top) : 0);
    }
    for (std::size_t count = 1; count <= kRows; ++count) {
      std::vector<std::int32_t> our_sums(tokens * (kRows + 2), 5);
      std::vector<std::int32_t> their_sums = our_sums;
      ours.dot_rows(rows.data(), count, n, states.data(), tokens, our_sums.data(), kRows + 2, 0);
      theirs.dot_rows(rows.data(), count, n, states.data(), tokens, their_sums.data(), kRows + 2,
                      4096);
      expect(our_sums == their_sums, "dot_rows", count, n);
    }
  }
  std::vector<std::uint8_t> our_bias(n);
  std::vector<std::uint8_t> their_bias(n);
  const std::int32_t our_sum = ours.bias(rows.data(), n, our_bias.data());
  expect(our_sum == theirs.bias(rows.data(), n, their_bias.data()) && our_bias == their_bias,
         "bias", n);
}

void check_cache(Cache type, std::size_t dim, std::size_t positions, std::size_t rows) {
  const DecoderOps& ours = tested.decoder;
  const std::size_t blocks = round_up(positions, kBlockKeys);
  const std::size_t bytes = blocks * dim * kCacheBytes[type];
  std::vector<std::uint8_t> keys(bytes), values(bytes), keys2(bytes), values2(bytes);
  std::vector<float> key_scales(blocks), value_scales(blocks);
  for (std::size_t p = 0; p < positions; ++p) {
    const std::vector<float> key = floats(dim), value = floats(dim);
    const std::size_t key_at =
        (p / kBlockKeys * kBlockKeys * dim + p % kBlockKeys) * kCacheBytes[type];
    const std::size_t value_at = p * dim * kCacheBytes[type];
    const auto store = [&](const DecoderOps& ops, auto& k, auto& v, bool keep) {
      const float ks = ops.store_cache[type](key.data(), dim, k.data() + key_at, kBlockKeys);
      const float vs = ops.store_cache[type](value.data(), dim, v.data() + value_at, 1);
      if (keep) key_scales[p] = ks, value_scales[p] = vs;
      expect(same_bits(ks, key_scales[p]) && same_bits(vs, value_scales[p]), "cache scale", type);
    };
    store(scalar.decoder, keys, values, true);
    store(ours, keys2, values2, false);
  }
  expect(keys == keys2 && values == values2, "store_cache", type, dim);

  // Scaled as the engine scales them: the rounding of a score is an error of its weight.
  std::vector<float> queries = floats(rows * dim);
  for (float& it : queries) it /= std::sqrt(static_cast<float>(dim));
  std::vector<std::size_t> visible(rows);
  for (std::size_t m = 0; m < rows; ++m) {
    visible[m] =
        m == 0 ? positions : static_cast<std::size_t>(random_in(1, static_cast<int>(positions)));
  }
  const AttendBlocks cache{keys.data(),         values.data(), kBlockKeys * dim, key_scales.data(),
                           value_scales.data(), dim,           positions};
  std::vector<float> scratch(attend_scratch(dim)), a(rows * dim), b(rows * dim);
  std::vector<float> log_a(rows), log_b(rows);
  ours.attend[type](cache, queries.data(), rows, visible.data(), scratch.data(), a.data(),
                    log_a.data());
  scalar.decoder.attend[type](cache, queries.data(), rows, visible.data(), scratch.data(),
                              b.data(), log_b.data());
  expect(close(a, b, 2e-6), "attend", type, dim);
  expect(close(log_a, log_b, 2e-6), "log_sums", type, dim);
}

}  // namespace

int main() {
  check_ternary();
  check_probes();
  for (std::size_t n : {1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 264, 711, 2560}) {
    check_elements(n);
  }
  for (Cache type : {kCacheF32, kCacheF16, kCacheInt8}) {
    for (std::size_t dim : {2, 26, 44, 64, 128}) {
      for (std::size_t positions : {1, 31, 32, 33, 100}) {
        for (std::size_t rows : {1, 4, 6, 7, 32}) check_cache(type, dim, positions, rows);
      }
    }
  }
  std::printf("%d operators differ\n", failures);
  return failures != 0;
}
