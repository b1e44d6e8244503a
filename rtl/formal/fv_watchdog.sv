// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_watchdog: the timeout comes exactly with the limit-th tick of a wait without progress, once a
// wait, and never when the limit is 0.

module fv_watchdog #(
  parameter int unsigned HELP  = 1,  // 0: the properties without the invariants that prove them
  parameter int unsigned COVER = 0   // 1: what must be reachable, as asserts of the opposite
) (
  input logic       clk_i,
  input logic       waiting_i,
  input logic       progress_i,
  input logic       tick_i,
  input logic [7:0] limit_i
);

  logic rst_n = 1'b0;
  logic timeout;
  logic [7:0] limit = '0;
  logic [8:0] ticks = '0;   // of this wait, before this clock; stays at 256
  logic told = 1'b0;

  // The limit does not change.
  always_ff @(posedge clk_i) begin
    rst_n <= 1'b1;
    if (!rst_n) limit <= limit_i;
    if (!rst_n || !waiting_i || progress_i) begin
      ticks <= '0;
      told  <= 1'b0;
    end else begin
      if (tick_i && !ticks[8]) ticks <= ticks + 1'b1;
      told <= told || timeout;
    end
  end

  tdpu_watchdog u_dut (
    .clk_i,
    .rst_ni    (rst_n),
    .waiting_i,
    .progress_i,
    .tick_i,
    .limit_i   (limit),
    .timeout_o (timeout)
  );

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        assert (timeout == (waiting_i && !progress_i && tick_i && limit != '0
            && ticks + 1'b1 == 9'(limit)));
        assert (!(timeout && told));
        if (HELP == 1) begin
          assert (u_dut.ticks_q == (ticks[8] ? 8'd255 : ticks[7:0]) && ticks <= 9'd256);
        end
        assert (limit == '0 || !waiting_i || told == (ticks >= 9'(limit)));
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      if (rst_n) begin
        assert (!(timeout && limit == 8'd3));
        assert (!(timeout && limit == 8'd1));
        assert (!(told && tick_i && waiting_i && !progress_i));
      end
    end
  end

endmodule
