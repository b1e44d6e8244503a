// The roofs of a machine: how fast it reads memory and how fast it multiplies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "isa/ops.h"

namespace trine {

struct Probe {
  std::string isa;
  int threads;
  std::vector<double> seconds;  // of each pass
  std::int64_t work;            // bytes or OPs (2 per multiply-add) of one pass, all threads
  std::uint64_t checksum;       // of all passes; see each probe
};

// Reads a buffer of threads * bytes_per_thread, each thread its own slice `sweeps` times a pass.
// Pass i walks it by pattern i modulo kReadPatterns: the roof is the best pass of several rounds.
// Word i of the buffer (64-bit, whole buffer) holds (i + 1) * kFillFactor modulo 2^64; the checksum
// is the sum of all words read, modulo 2^64.
Probe probe_read(const std::string& isa, int threads, std::size_t bytes_per_thread, int sweeps,
                 int passes);

// Register-resident multiply-adds. The checksum is the sum of all accumulators: OPs / 8 * 18 for
// int8 (see Ops::int8_peak), OPs / 2 for fp32.
Probe probe_int8(const std::string& isa, int threads, std::int64_t steps, int passes);
Probe probe_fp32(const std::string& isa, int threads, std::int64_t steps, int passes);

// Two-bit or base-3 weights times one vector, the weights of each thread in its L2 cache: the rate
// at which the kernel takes packed bytes when memory does not hold it up. The weights are rows of
// trit 1 and all activations 1, so every sum is kGemvProbeK; the checksum is the sum of all sums.
Probe probe_gemv(const std::string& isa, Code code, int threads, int passes);
inline constexpr std::size_t kGemvProbeK = 2560;

// All of them throw std::invalid_argument for an unknown or unusable isa and for arguments out of
// range, with the legal range in the message.

// 2^64 divided by the golden ratio, made odd: neighbouring words share no bits.
inline constexpr std::uint64_t kFillFactor = 0x9E3779B97F4A7C15u;

}  // namespace trine
