// Batch simulation of tdpu_gemv: whole matrices on its streams, for ctypes. Both streams always offer
// a beat and the sink takes every result, so this measures the simulator and the sums, not stalls.

#include <cstdint>
#include <cstring>
#include <memory>

#include "Vtdpu_gemv.h"
#include "verilated.h"

extern "C" {

// Rows of `words` beats; activations are `words` words of `word_bytes`, the same for every row.
// Fills results[rows * batch] and returns the clocks.
uint64_t tdpu_gemv_run(const uint8_t* weights, const uint8_t* activations, uint32_t rows,
                       uint32_t words, uint32_t word_bytes, uint32_t batch, int32_t* results) {
  VerilatedContext context;
  auto top = std::make_unique<Vtdpu_gemv>(&context);
  uint64_t clocks = 0;
  const auto edge = [&] {
    top->clk_i = 1;
    top->eval();
    top->clk_i = 0;
    ++clocks;
  };
  top->rst_ni = 0;
  for (int i = 0; i < 3; ++i) {
    top->eval();
    edge();
  }
  top->rst_ni = 1;
  top->m_r_tready_i = 1;
  const uint64_t beats = static_cast<uint64_t>(rows) * words, wanted = uint64_t{rows} * batch;
  uint64_t beat = 0, taken = 0;
  uint32_t word = 0;
  bool fresh = true;
  while (taken < wanted) {
    if (fresh && beat < beats) {
      std::memcpy(&top->s_w_tdata_i, weights + beat * TDPU_BEAT_BYTES, TDPU_BEAT_BYTES);
      std::memcpy(&top->s_a_tdata_i, activations + uint64_t{word} * word_bytes, word_bytes);
      top->s_w_tlast_i = word + 1 == words;
    }
    top->s_w_tvalid_i = top->s_a_tvalid_i = beat < beats;
    top->eval();
    if (top->m_r_tvalid_o) results[taken++] = static_cast<int32_t>(top->m_r_tdata_o);
    fresh = beat < beats && top->s_w_tready_o;
    if (fresh) {
      ++beat;
      if (++word == words) word = 0;
    }
    edge();
  }
  top->final();
  return clocks;
}

}  // extern "C"
