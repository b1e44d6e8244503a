// Batch simulation of tdpu_top: C functions for ctypes. The unit, its memory and the AXI channels
// advance clock by clock in C++; Python only fills memory, writes registers and waits.

#include <array>
#include <cstring>
#include <memory>

#include "Vtdpu_top.h"
#include "memory.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

namespace {

using tdpu::Memory;
using tdpu::ReadPort;
using tdpu::Settings;
using tdpu::Timing;

constexpr uint32_t kEngines = TDPU_ENGINES;
constexpr uint32_t kBeatBytes = TDPU_BEAT_BYTES;
// AXI responses: OKAY, SLVERR, DECERR.
constexpr uint32_t kOkay = 0, kError = 2, kNowhere = 3;

// Of a build with mutants (src/trine/hw/mutate.py): the one that is active from the next start on;
// 0 is the unit as it is.
uint32_t mutant = 0;

#if VM_COVERAGE
// Counts belong to a unit, and to write them takes longer than a test: all simulations of a process
// take turns with one unit, each after a reset.
VerilatedContext& shared_context() {
  static VerilatedContext context;
  return context;
}
Vtdpu_top* shared_unit() {
  static Vtdpu_top unit(&shared_context());
  return &unit;
}
#endif

class Simulation {
 public:
  Simulation(uint64_t size, const Settings& settings)
      : bytes(size), memory_(bytes, settings, kEngines, kBeatBytes) {
#if VM_COVERAGE
    top_ = shared_unit();
    top_->s_axil_awvalid_i = top_->s_axil_wvalid_i = top_->s_axil_arvalid_i = 0;
    top_->m_axi_arready_i = top_->m_axi_awready_i = top_->m_axi_wready_i = 0;
    top_->m_axi_rvalid_i = top_->m_axi_bvalid_i = 0;
    // What the simulation before left on the channels is not for this memory.
    top_->rst_ni = 0;
    for (int i = 0; i < 8; ++i) {
      top_->clk_i = i & 1;
      top_->eval();
    }
#else
    own_ = std::make_unique<Vtdpu_top>(&context_);
    top_ = own_.get();
#endif
#ifdef TDPU_MUTANT_PORT
    top_->mutant_i = mutant;
#endif
    top_->rst_ni = 0;
    top_->clk_i = 0;
    top_->s_axil_bready_i = 1;
    top_->s_axil_rready_i = 1;
    top_->s_axil_wstrb_i = 15;
    for (int i = 0; i < 4; ++i) clock();
    top_->rst_ni = 1;
    clock();
  }
  ~Simulation() {
    if (own_ != nullptr) own_->final();
  }

  void write_register(uint32_t address, uint32_t value) {
    top_->s_axil_awvalid_i = top_->s_axil_wvalid_i = 1;
    top_->s_axil_awaddr_i = address;
    top_->s_axil_wdata_i = value;
    bool aw = true, w = true, done = false;
    while (!done) {
      settle();
      const bool aw_taken = aw && top_->s_axil_awready_o, w_taken = w && top_->s_axil_wready_o;
      done = top_->s_axil_bvalid_o;
      clock();
      if (aw_taken) top_->s_axil_awvalid_i = aw = false;
      if (w_taken) top_->s_axil_wvalid_i = w = false;
    }
  }

  uint32_t read_register(uint32_t address) {
    top_->s_axil_arvalid_i = 1;
    top_->s_axil_araddr_i = address;
    for (;;) {
      settle();
      const bool taken = top_->s_axil_arvalid_i && top_->s_axil_arready_o;
      const bool done = top_->s_axil_rvalid_o;
      const uint32_t value = top_->s_axil_rdata_o;
      clock();
      if (taken) top_->s_axil_arvalid_i = 0;
      if (done) return value;
    }
  }

  // Runs until the interrupt is high, or for `limit` clocks; returns the clocks run.
  uint64_t run(uint64_t limit) {
    for (uint64_t count = 0; count < limit; ++count) {
      if (top_->irq_o) return count;
      clock();
    }
    return limit;
  }

  bool interrupt() const { return top_->irq_o; }
  uint64_t now() const { return now_; }
  const Memory& memory() const { return memory_; }
  uint64_t faults() const { return faults_; }
  // Beats taken from a read port, or (port kEngines) given to the write port.
  uint64_t moved(uint32_t port) const { return moved_[port]; }
  // Beats that a read port has offered to take: those of a waiting address are among them.
  uint64_t asked(uint32_t port) const { return asked_[port]; }

  std::vector<uint8_t> bytes;

 private:
  void settle() { top_->eval(); }

  // One clock: drive the inputs of this clock, see what is transferred, then let the edge pass.
  void clock() {
    memory_.schedule(now_);
    drive_reads();
    drive_writes();
    top_->eval();
    take_reads();
    take_writes();
    top_->clk_i = 1;
    top_->eval();
    top_->clk_i = 0;
    ++now_;
  }

  void drive_reads() {
    // A response without its valid means nothing.
    uint32_t ar_ready = 0, r_valid = 0, r_resp = ~0u;
    for (uint32_t p = 0; p < kEngines; ++p) {
      ReadPort& port = memory_.port(p);
      if (memory_.accepts_read(p) && !memory_.stalls()) ar_ready |= 1u << p;
      // A beat once offered stays offered.
      if (port.bursts.empty()) continue;
      const auto& burst = port.bursts.front();
      if (!burst.scheduled || burst.ready > now_ || (!offered_[p] && memory_.stalls())) continue;
      offered_[p] = true;
      r_valid |= 1u << p;
      const uint64_t address = burst.address + port.beat * kBeatBytes;
      const uint8_t* data = memory_.at(address, kBeatBytes);
      const uint32_t resp = data == nullptr ? kNowhere : memory_.fails_read(address, 1) ? kError : kOkay;
      r_resp = (r_resp & ~(3u << 2 * p)) | resp << 2 * p;
      if (data != nullptr) {
        std::memcpy(reinterpret_cast<uint8_t*>(&top_->m_axi_rdata_i) + p * kBeatBytes, data,
                    kBeatBytes);
      }
    }
    top_->m_axi_arready_i = ar_ready;
    top_->m_axi_rvalid_i = r_valid;
    top_->m_axi_rresp_i = r_resp;
  }

  void take_reads() {
    for (uint32_t p = 0; p < kEngines; ++p) {
      ReadPort& port = memory_.port(p);
      if (top_->m_axi_rvalid_i >> p & top_->m_axi_rready_o >> p & 1) {
        offered_[p] = false;
        ++moved_[p];
        if (++port.beat == port.bursts.front().beats) {
          port.beat = 0;
          port.bursts.pop_front();
        }
      }
      uint32_t address = 0;
      uint8_t length = 0;
      std::memcpy(&address, reinterpret_cast<uint8_t*>(&top_->m_axi_araddr_o) + 4 * p, 4);
      std::memcpy(&length, reinterpret_cast<uint8_t*>(&top_->m_axi_arlen_o) + p, 1);
      check_offer(ar_[p], top_->m_axi_arvalid_o >> p & 1, top_->m_axi_arready_i >> p & 1,
                  {address, length});
      if (top_->m_axi_arvalid_o >> p & 1 && !counted_[p]) asked_[p] += length + 1u;
      counted_[p] = (top_->m_axi_arvalid_o & ~top_->m_axi_arready_i) >> p & 1;
      if (top_->m_axi_arvalid_o >> p & top_->m_axi_arready_i >> p & 1) {
        check_burst(address, length + 1u);
        memory_.read(p, address, length + 1u, now_);
      }
    }
  }

  void drive_writes() {
    top_->m_axi_awready_i = memory_.accepts_write() && !memory_.stalls();
    top_->m_axi_wready_i = !memory_.deaf_writes() && !memory_.stalls();
    // A response needs all data of its burst.
    auto& writes = memory_.writes();
    bool valid = false;
    top_->m_axi_bresp_i = 3;
    if (!writes.empty() && complete_ > 0) {
      const auto& burst = writes.front();
      valid = burst.scheduled && burst.ready <= now_ && (b_offered_ || !memory_.stalls());
      if (valid) top_->m_axi_bresp_i = memory_.fails_write(burst.address, burst.beats) ? kError : kOkay;
    }
    b_offered_ = valid;
    top_->m_axi_bvalid_i = valid;
  }

  void take_writes() {
    if (top_->m_axi_bvalid_i && top_->m_axi_bready_o) {
      b_offered_ = false;
      memory_.writes().pop_front();
      --complete_;
    }
    check_offer(aw_, top_->m_axi_awvalid_o, top_->m_axi_awready_i,
                {top_->m_axi_awaddr_o, top_->m_axi_awlen_o});
    if (top_->m_axi_awvalid_o && top_->m_axi_awready_i) {
      const uint32_t beats = top_->m_axi_awlen_o + 1u;
      check_burst(top_->m_axi_awaddr_o, beats);
      memory_.write_burst(top_->m_axi_awaddr_o, beats, now_);
      addresses_.push_back({top_->m_axi_awaddr_o, beats});
    }
    Beat beat;
    beat.strobe = top_->m_axi_wstrb_o;
    beat.last = top_->m_axi_wlast_o;
    std::memcpy(beat.data.data(), &top_->m_axi_wdata_o, kBeatBytes);
    check_offer(w_, top_->m_axi_wvalid_o, top_->m_axi_wready_i, beat);
    if (top_->m_axi_wvalid_o && top_->m_axi_wready_i) {
      data_.push_back(beat);
      ++moved_[kEngines];
    }
    // Data may come before its address.
    while (!addresses_.empty() && !data_.empty()) {
      auto& burst = addresses_.front();
      const Beat& beat = data_.front();
      uint8_t* target = memory_.at(burst.first, kBeatBytes);
      for (uint32_t i = 0; i < kBeatBytes && target != nullptr; ++i) {
        if (beat.strobe >> i & 1) target[i] = beat.data[i];
      }
      burst.first += kBeatBytes;
      faults_ += beat.last != (--burst.second == 0);
      if (burst.second == 0) {
        addresses_.pop_front();
        ++complete_;
      }
      data_.pop_front();
    }
  }

  // AXI3 bursts of one region: at most 16 beats, inside 4 KiB, aligned to the beat.
  void check_burst(uint64_t address, uint32_t beats) {
    faults_ += beats > 16 || address % kBeatBytes != 0 ||
               address / 4096 != (address + beats * kBeatBytes - 1) / 4096;
  }

  struct Beat {
    std::array<uint8_t, kBeatBytes> data;
    uint32_t strobe;
    bool last;
    bool operator==(const Beat& other) const {
      return data == other.data && strobe == other.strobe && last == other.last;
    }
  };
  using Address = std::pair<uint32_t, uint32_t>;  // and length

  // What a channel offered in the clock before, and was not taken.
  template <typename T>
  struct Offer {
    bool waits = false;
    T payload{};
  };

  // An offer stays, unchanged, until it is taken.
  template <typename T>
  void check_offer(Offer<T>& before, bool valid, bool ready, const T& payload) {
    faults_ += before.waits && !(valid && payload == before.payload);
    before = {valid && !ready, payload};
  }

  VerilatedContext context_;
  Memory memory_;
  std::unique_ptr<Vtdpu_top> own_;
  Vtdpu_top* top_ = nullptr;
  uint64_t now_ = 0;
  uint64_t faults_ = 0;
  uint64_t moved_[kEngines + 1] = {}, asked_[kEngines] = {};
  bool counted_[kEngines] = {};
  Offer<Address> ar_[kEngines], aw_;
  Offer<Beat> w_;
  bool offered_[kEngines] = {};
  bool b_offered_ = false;
  uint32_t complete_ = 0;
  std::deque<std::pair<uint64_t, uint32_t>> addresses_;
  std::deque<Beat> data_;
};

}  // namespace

extern "C" {

#if VM_COVERAGE
void tdpu_write_coverage(const char* file) { shared_context().coveragep()->write(file); }
#endif
void tdpu_mutate(uint32_t index) { mutant = index; }
// Read by the source mutants, once a simulation.
uint32_t tdpu_mutant() { return mutant; }

Simulation* tdpu_new(uint64_t size, int timing, uint32_t seed, uint32_t stall_percent,
                     uint32_t latency, uint32_t fabric_khz, double cap_gbs, uint64_t base,
                     uint64_t fail_read, uint64_t fail_write, int deaf_reads, int deaf_writes,
                     uint32_t late_port, uint32_t late) {
  Settings settings;
  settings.timing = static_cast<Timing>(timing);
  settings.seed = seed;
  settings.stall_percent = stall_percent;
  settings.latency = latency;
  settings.fabric_khz = fabric_khz;
  settings.cap_gbs = cap_gbs;
  settings.fail_read = fail_read;
  settings.fail_write = fail_write;
  settings.base = base;
  settings.deaf_reads = deaf_reads != 0;
  settings.deaf_writes = deaf_writes != 0;
  settings.late_port = late_port;
  settings.late = late;
  return new Simulation(size, settings);
}
void tdpu_delete(Simulation* sim) { delete sim; }
uint8_t* tdpu_memory(Simulation* sim) { return sim->bytes.data(); }
void tdpu_write(Simulation* sim, uint32_t address, uint32_t value) {
  sim->write_register(address, value);
}
uint32_t tdpu_read(Simulation* sim, uint32_t address) { return sim->read_register(address); }
uint64_t tdpu_run(Simulation* sim, uint64_t limit) { return sim->run(limit); }
int tdpu_interrupt(Simulation* sim) { return sim->interrupt(); }
uint64_t tdpu_clock(Simulation* sim) { return sim->now(); }
uint64_t tdpu_faults(Simulation* sim) { return sim->faults(); }
uint64_t tdpu_moved(Simulation* sim, uint32_t port) { return sim->moved(port); }
uint64_t tdpu_asked(Simulation* sim, uint32_t port) { return sim->asked(port); }
uint64_t tdpu_page_hits(Simulation* sim) { return sim->memory().ddr().hits(); }
uint64_t tdpu_page_misses(Simulation* sim) { return sim->memory().ddr().misses(); }

}  // extern "C"
