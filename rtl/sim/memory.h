// Memory behind the AXI ports: one flat array, and when each beat may move.
//
// Three timings: ideal (a burst's first beat one clock after its address, then one a clock),
// random (latency and stalls from a seed), and DDR3-1066 behind the HP ports of a Zynq-7000
// (ddr3.h). HP0 and HP1 share one port of the DDR controller, HP2 and HP3 another, each 64 bit at
// 355 MHz (UG585, table 22-4: 2,840 MB/s). docs/hw-predict.md lists every figure with its source.
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "ddr3.h"

namespace tdpu {

enum class Timing { kIdeal = 0, kRandom = 1, kDdr3 = 2 };

struct Settings {
  Timing timing = Timing::kIdeal;
  uint32_t seed = 1;
  uint32_t stall_percent = 0;   // random: chance that a channel rests a clock
  uint32_t latency = 0;         // clocks between an address and its data, besides the memory itself
  uint32_t fabric_khz = 100000; // clock of the ports
  double cap_gbs = 0;           // most bytes/ns of all ports together; 0: what DDR3 gives
  uint64_t base = 0;            // bus address of the first byte
  uint64_t fail_read = ~0ull;   // the beat that holds this address is answered with SLVERR
  uint64_t fail_write = ~0ull;  // the same for the response to a burst
  bool deaf_reads = false;      // nothing is ever answered
  bool deaf_writes = false;
  uint32_t late_port = ~0u;     // reads of this port take `late` clocks more
  uint32_t late = 0;
};

// One AXI read channel: at most `depth` bursts wait, data returns in order.
class ReadPort {
 public:
  struct Burst {
    uint64_t address;
    uint32_t beats;
    uint64_t ready;  // clock of the first beat
    bool scheduled;
  };
  std::deque<Burst> bursts;
  uint32_t beat = 0;
};

class Memory {
 public:
  Memory(std::vector<uint8_t>& bytes, const Settings& settings, uint32_t ports, uint32_t beat_bytes)
      : bytes_(bytes), set_(settings), random_(settings.seed), beat_bytes_(beat_bytes),
        ddr_(settings.fabric_khz, settings.cap_gbs), reads_(ports) {}

  // Whether a channel rests this clock.
  bool stalls() {
    return set_.timing == Timing::kRandom && random_() % 100 < set_.stall_percent;
  }

  bool accepts_read(uint32_t port) const { return !set_.deaf_reads && reads_[port].bursts.size() < 8; }

  void read(uint32_t port, uint64_t address, uint32_t beats, uint64_t now) {
    uint64_t ready = now + 1 + set_.latency;
    if (set_.timing == Timing::kRandom) ready += random_() % 40;
    if (port == set_.late_port) ready += set_.late;
    reads_[port].bursts.push_back({address, beats, ready, set_.timing != Timing::kDdr3});
  }

  bool accepts_write() const { return !set_.deaf_writes && writes_.size() < 8; }

  void write_burst(uint64_t address, uint32_t beats, uint64_t now) {
    uint64_t ready = now + 1 + set_.latency;
    if (set_.timing == Timing::kRandom) ready += random_() % 40;
    writes_.push_back({address, beats, ready, set_.timing != Timing::kDdr3});
  }
  // The response may be given at `ready` of the front entry.
  std::deque<ReadPort::Burst>& writes() { return writes_; }

  // Chooses the next bursts for the DRAM, round robin over ports; writes are the last "port".
  void schedule(uint64_t now) {
    if (set_.timing != Timing::kDdr3) return;
    const uint32_t sources = static_cast<uint32_t>(reads_.size()) + 1;
    while (ddr_.can_take(now)) {
      bool found = false;
      for (uint32_t i = 0; i < sources && !found; ++i) {
        const uint32_t source = (turn_ + i) % sources;
        const bool is_write = source + 1 == sources;
        auto& queue = is_write ? writes_ : reads_[source].bursts;
        // The read and the write channel of a controller port are apart; writes have one source.
        uint64_t& pair_free = is_write ? write_free_ : pair_free_[source / 2];
        if (pair_free > ddr_.picoseconds(now) + Ddr3::kLookahead) continue;
        for (auto& burst : queue) {
          if (burst.scheduled || burst.ready > now) continue;
          burst.ready = ddr_.access(burst.address, burst.beats * beat_bytes_, is_write, now);
          burst.scheduled = true;
          pair_free = std::max(pair_free, ddr_.picoseconds(now)) +
                      static_cast<uint64_t>(burst.beats * beat_bytes_ * 1000 / kPairGbs);
          found = true;
          turn_ = source + 1;
          break;
        }
      }
      if (!found) return;
    }
  }

  ReadPort& port(uint32_t index) { return reads_[index]; }
  bool fails_read(uint64_t address, uint32_t beats) const {
    return set_.fail_read >= address && set_.fail_read < address + beats * beat_bytes_;
  }
  bool fails_write(uint64_t address, uint32_t beats) const {
    return set_.fail_write >= address && set_.fail_write < address + beats * beat_bytes_;
  }
  bool deaf_writes() const { return set_.deaf_writes; }
  const Ddr3& ddr() const { return ddr_; }

  // nullptr outside the memory.
  uint8_t* at(uint64_t address, uint32_t size) {
    const uint64_t offset = address - set_.base;
    return address >= set_.base && offset + size <= bytes_.size() ? bytes_.data() + offset : nullptr;
  }

 private:
  std::vector<uint8_t>& bytes_;
  Settings set_;
  std::minstd_rand random_;
  uint32_t beat_bytes_;
  Ddr3 ddr_;
  std::vector<ReadPort> reads_;
  std::deque<ReadPort::Burst> writes_;
  uint32_t turn_ = 0;
  static constexpr double kPairGbs = 2.84;
  uint64_t pair_free_[2] = {};  // picoseconds
  uint64_t write_free_ = 0;
};

}  // namespace tdpu
