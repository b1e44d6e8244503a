// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Pulses timeout_o once when waiting_i lasted limit_i ticks without progress_i; limit 0: never.

module tdpu_watchdog (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       waiting_i,
  input  logic       progress_i,
  input  logic       tick_i,
  input  logic [7:0] limit_i,
  output logic       timeout_o
);

  logic [7:0] ticks_q;

  assign timeout_o = tick_i && waiting_i && !progress_i && limit_i != '0
      && ticks_q == limit_i - 1'b1;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || !waiting_i || progress_i) ticks_q <= '0;
    else if (tick_i && ticks_q != '1) ticks_q <= ticks_q + 1'b1;
  end

endmodule
