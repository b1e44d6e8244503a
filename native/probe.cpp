#include "probe.h"

#include <cstring>
#include <stdexcept>

#include "aligned_array.h"
#include "dispatch.h"
#include "huge_buffer.h"
#include "isa/ops.h"
#include "team.h"
#include "tiles.h"

namespace trine {
namespace {

// Bounds that no real probe meets; beyond them an argument is a mistake, not a wish.
constexpr int kMaxThreads = 1024;
constexpr int kMaxPasses = 10'000;
constexpr int kMaxSweeps = 1'000'000;
constexpr std::size_t kMaxBytes = std::size_t{1} << 40;

template <class Number>
void check_range(const char* name, Number value, Number low, Number high) {
  if (value < low || value > high) {
    throw std::invalid_argument(std::string(name) + " must be " + std::to_string(low) + ".." +
                                std::to_string(high) + ", not " + std::to_string(value));
  }
}

void check_team(int threads, int passes) {
  check_range("threads", threads, 1, kMaxThreads);
  check_range("passes", passes, 1, kMaxPasses);
}

void fill(std::uint8_t* slice, std::size_t bytes, std::uint64_t first_word) {
  for (std::size_t i = 0; i < bytes / 8; ++i) {
    const std::uint64_t word = (first_word + i + 1) * kFillFactor;
    std::memcpy(slice + i * 8, &word, sizeof word);
  }
}

// One thread's result on its own cache line: neighbours would slow each other down.
struct alignas(64) Slot {
  Work work{0, 0};
  std::uint64_t checksum = 0;
};

Probe probe_peak(const std::string& isa, int threads, std::int64_t steps, int passes,
                 Work (*peak)(std::int64_t)) {
  check_team(threads, passes);
  check_range("steps", steps, std::int64_t{1}, kMaxSteps);
  std::vector<Slot> slots(static_cast<std::size_t>(threads));
  Probe probe{isa, threads, {}, 0, 0};
  probe.seconds = run_passes(
      threads, passes, [](int) {},
      [&](int thread, int) {
        Slot& slot = slots[static_cast<std::size_t>(thread)];
        slot.work = peak(steps);
        slot.checksum += static_cast<std::uint64_t>(slot.work.total);
      });
  for (const Slot& slot : slots) {
    probe.work += slot.work.ops;
    probe.checksum += slot.checksum;
  }
  return probe;
}

}  // namespace

Probe probe_read(const std::string& isa, int threads, std::size_t bytes_per_thread, int sweeps,
                 int passes) {
  const Ops& ops = ops_of(isa);
  check_team(threads, passes);
  check_range("sweeps", sweeps, 1, kMaxSweeps);
  check_range("bytes_per_thread", bytes_per_thread, kReadBlock,
              kMaxBytes / static_cast<std::size_t>(threads));
  if (bytes_per_thread % kReadBlock != 0) {
    throw std::invalid_argument("bytes_per_thread must be a multiple of " +
                                std::to_string(kReadBlock) + ", not " +
                                std::to_string(bytes_per_thread));
  }

  const HugeBuffer buffer(bytes_per_thread * static_cast<std::size_t>(threads));
  const auto offset = [&](int thread) {
    return bytes_per_thread * static_cast<std::size_t>(thread);
  };
  std::vector<Slot> slots(static_cast<std::size_t>(threads));
  Probe probe{isa, threads, {}, 0, 0};
  probe.seconds = run_passes(
      threads, passes,
      [&](int thread) {
        fill(buffer.data() + offset(thread), bytes_per_thread, offset(thread) / 8);
      },
      [&](int thread, int pass) {
        const auto sum_words = ops.sum_words[static_cast<std::size_t>(pass) % kReadPatterns];
        const std::uint8_t* slice = buffer.data() + offset(thread);
        std::uint64_t sum = 0;
        for (int sweep = 0; sweep < sweeps; ++sweep) sum += sum_words(slice, bytes_per_thread);
        slots[static_cast<std::size_t>(thread)].checksum += sum;
      });
  probe.work = static_cast<std::int64_t>(bytes_per_thread) * threads * sweeps;
  for (const Slot& slot : slots) probe.checksum += slot.checksum;
  return probe;
}

Probe probe_int8(const std::string& isa, int threads, std::int64_t steps, int passes) {
  return probe_peak(isa, threads, steps, passes, ops_of(isa).int8_peak);
}

Probe probe_fp32(const std::string& isa, int threads, std::int64_t steps, int passes) {
  return probe_peak(isa, threads, steps, passes, ops_of(isa).fp32_peak);
}

Probe probe_gemv(const std::string& isa, Code code, int threads, int passes) {
  // 16 tiles of 8 or 10 KiB fit any L2 cache; 64 times over is a millisecond.
  constexpr std::size_t kTiles = 16;
  constexpr int kSweeps = 64;
  const Ops& ops = ops_of(isa);
  check_team(threads, passes);
  const std::size_t lines = lines_of(code, kGemvProbeK);
  const std::size_t bytes = kTiles * lines * kLineBytes;
  const std::vector<std::int8_t> ones(padded_k(code, kGemvProbeK), 1);
  const std::vector<std::uint8_t> biased(ones.size(), 129);
  const auto sum = static_cast<std::int32_t>(kGemvProbeK);
  const std::vector<std::int32_t> row_sums(kTiles * kTileRows, sum);
  const Activations activations{ones.data(), biased.data(), &sum, ones.size(), 1};
  std::vector<AlignedArray<std::uint8_t>> weights;
  for (int thread = 0; thread < threads; ++thread) {
    weights.emplace_back(bytes);
    // Four times code 2 in two bits; five times digit 2 is 242, and ceil(256 * 242 / 243) = 255.
    std::fill_n(weights.back().data(), bytes,
                static_cast<std::uint8_t>(code == kTwoBit ? 0xAA : 255));
  }
  std::vector<Slot> slots(static_cast<std::size_t>(threads));
  Probe probe{isa, threads, {}, 0, 0};
  probe.seconds = run_passes(
      threads, passes, [](int) {},
      [&](int thread, int) {
        std::int32_t out[kTiles * kTileRows];
        Slot& slot = slots[static_cast<std::size_t>(thread)];
        for (int sweep = 0; sweep < kSweeps; ++sweep) {
          ops.ternary.gemv[code](weights[static_cast<std::size_t>(thread)].data(), kTiles, lines,
                                 row_sums.data(), activations, out, kTiles * kTileRows, ops.ahead);
          for (std::int32_t one : out) slot.checksum += static_cast<std::uint64_t>(one);
        }
      });
  probe.work = static_cast<std::int64_t>(bytes) * kSweeps * threads;
  for (const Slot& slot : slots) probe.checksum += slot.checksum;
  return probe;
}

}  // namespace trine
