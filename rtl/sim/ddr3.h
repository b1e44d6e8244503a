// DDR3-1066 timing, 32 bit wide, 8 banks, open page, burst length 8, in picoseconds.
//
// Timings are those of a 1066 Mb/s speed grade -187E (7-7-7) of a 2 Gb x16 part (JEDEC JESD79-3,
// Micron MT41J128M16 data sheet): tCK 1875, tRCD = tRP 13125, CL 13125, tRAS 37500, tRC 50625,
// tRFC 160000, tREFI 7800000, tWTR 7500, tWR 15000. Address map row-bank-column: a page is
// 1024 columns of 4 bytes, so bits 11:0 are the column, 14:12 the bank.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace tdpu {

class Ddr3 {
 public:
  Ddr3(uint32_t fabric_khz, double cap_gbs)
      : clock_ps_(1000000000ull / fabric_khz), cap_gbs_(cap_gbs) {}

  // A few accesses are prepared ahead, so that a bank opens while another one transfers.
  static constexpr uint64_t kLookahead = 60000;
  uint64_t picoseconds(uint64_t clock) const { return clock * clock_ps_; }
  bool can_take(uint64_t clock) const { return bus_free_ <= clock * clock_ps_ + kLookahead; }

  // Clock in which the first beat of `size` bytes at `address` is at the port.
  uint64_t access(uint64_t address, uint32_t size, bool write, uint64_t clock) {
    const uint64_t now = clock * clock_ps_;
    refresh(now);
    const uint32_t bank = address >> 12 & 7;
    const uint64_t row = address >> 15;
    Bank& state = banks_[bank];
    uint64_t column = std::max(now, refreshed_);
    if (state.open && state.row == row) {
      ++hits_;
      column = std::max(column, state.activated + kRcd);
    } else {
      ++misses_;
      uint64_t activate = column;
      if (state.open) activate = std::max({activate, state.activated + kRas, state.written}) + kRp;
      activate = std::max(activate, state.activated + kRc);
      state = {true, row, activate, 0};
      column = activate + kRcd;
    }
    uint64_t start = std::max(column + kCas, bus_free_);
    if (write != last_write_) start += write ? 2 * kTck : kWtr + kCas;
    last_write_ = write;
    // Whole bursts of 8 x 4 bytes cross the bus.
    const uint64_t bursts = (address % 32 + size + 31) / 32;
    uint64_t end = start + bursts * 4 * kTck;
    if (write) state.written = end + kWr;
    bytes_ += size;
    bus_free_ = end;
    if (cap_gbs_ > 0) {
      bus_free_ = std::max(bus_free_, start + static_cast<uint64_t>(size * 1000 / cap_gbs_));
    }
    return (start + 4 * kTck) / clock_ps_ + 1;
  }

  uint64_t bus_free() const { return bus_free_; }  // picoseconds
  uint64_t hits() const { return hits_; }
  uint64_t misses() const { return misses_; }
  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr uint64_t kTck = 1875, kRcd = 13125, kRp = 13125, kCas = 13125, kRas = 37500;
  static constexpr uint64_t kRc = 50625, kRfc = 160000, kRefi = 7800000, kWtr = 7500, kWr = 15000;

  struct Bank {
    bool open = false;
    uint64_t row = 0;
    uint64_t activated = 0;
    uint64_t written = 0;  // earliest precharge after a write
  };

  // A refresh closes all banks for tRFC.
  void refresh(uint64_t now) {
    while (next_refresh_ <= std::max(now, bus_free_)) {
      const uint64_t start = std::max(next_refresh_, bus_free_) + kRp;
      refreshed_ = start + kRfc;
      bus_free_ = refreshed_;
      for (Bank& bank : banks_) bank.open = false;
      next_refresh_ += kRefi;
    }
  }

  uint64_t clock_ps_;
  double cap_gbs_;
  std::array<Bank, 8> banks_{};
  uint64_t bus_free_ = 0;
  uint64_t refreshed_ = 0;
  uint64_t next_refresh_ = kRefi;
  bool last_write_ = false;
  uint64_t hits_ = 0, misses_ = 0, bytes_ = 0;
};

}  // namespace tdpu
