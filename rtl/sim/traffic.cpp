// The memory model without the unit: what read streams get, and what the DDR alone can give.
//
// A stream behaves as tdpu_axi_read does: it reserves FIFO space before it issues a burst, and a
// consumer takes a beat a clock, from all FIFOs at once (lock-step) or from each as it has one.

#include "memory.h"

namespace {

struct Stream {
  uint64_t next = 0;       // address of the next burst
  uint64_t asked = 0;      // beats
  uint64_t arrived = 0;
  uint64_t taken = 0;
};

}  // namespace

extern "C" {

// Clocks until `ports` streams of `beats` beats, `stride` bytes apart, are consumed.
uint64_t tdpu_stream_clocks(uint32_t ports, uint32_t beat_bytes, uint32_t fabric_khz, double cap_gbs,
                            uint32_t latency, uint32_t fifo_beats, int lock_step, uint64_t stride,
                            uint64_t beats) {
  constexpr uint32_t kBurst = 16;
  tdpu::Settings settings;
  settings.timing = tdpu::Timing::kDdr3;
  settings.latency = latency;
  settings.fabric_khz = fabric_khz;
  settings.cap_gbs = cap_gbs;
  std::vector<uint8_t> nothing;
  tdpu::Memory memory(nothing, settings, ports, beat_bytes);
  std::vector<Stream> streams(ports);
  for (uint32_t p = 0; p < ports; ++p) streams[p].next = p * stride;
  uint64_t now = 0;
  for (bool done = false; !done; ++now) {
    memory.schedule(now);
    bool all = true;
    for (uint32_t p = 0; p < ports; ++p) {
      auto& port = memory.port(p);
      Stream& stream = streams[p];
      if (!port.bursts.empty() && port.bursts.front().scheduled && port.bursts.front().ready <= now) {
        ++stream.arrived;
        if (++port.beat == port.bursts.front().beats) {
          port.beat = 0;
          port.bursts.pop_front();
        }
      }
      all = all && stream.arrived > stream.taken;
      if (stream.asked < beats && stream.asked - stream.taken + kBurst <= fifo_beats &&
          memory.accepts_read(p)) {
        const uint32_t count = static_cast<uint32_t>(std::min<uint64_t>(kBurst, beats - stream.asked));
        memory.read(p, stream.next, count, now);
        stream.next += count * beat_bytes;
        stream.asked += count;
      }
    }
    done = true;
    for (Stream& stream : streams) {
      if (lock_step ? all : stream.arrived > stream.taken) ++stream.taken;
      done = done && stream.taken == beats;
    }
  }
  return now;
}

// Share of the peak that the DDR gives to `masters` that always ask for `bytes`, in turn.
// `write_of` of `of` accesses write. `random`: every access anywhere, else each master in order.
double tdpu_ddr_efficiency(uint32_t masters, uint32_t bytes, uint32_t write_of, uint32_t of,
                           int random, uint64_t accesses) {
  constexpr uint32_t kKhz = 1000000;  // a clock of 1 ns, fine enough to keep the queue full
  constexpr uint64_t kRegion = (64ull << 20) + 8192;  // other banks, as the weight streams
  tdpu::Ddr3 ddr(kKhz, 0);
  std::minstd_rand dice(1);
  std::vector<uint64_t> next(masters);
  for (uint32_t m = 0; m < masters; ++m) next[m] = m * kRegion;
  uint64_t now = 0;
  for (uint64_t count = 0; count < accesses; ++count) {
    while (!ddr.can_take(now)) ++now;
    const uint32_t master = count % masters;
    const uint64_t address = random ? static_cast<uint64_t>(dice() % (1u << 22)) * bytes : next[master];
    next[master] += bytes;
    ddr.access(address, bytes, count / masters % of < write_of, now);
  }
  const double peak = 8.0 * 4 / (4 * 1875.0);  // bytes a picosecond: 8 transfers of 4 in 4 tCK
  return static_cast<double>(ddr.bytes()) / static_cast<double>(ddr.bus_free()) / peak;
}

}  // extern "C"
