// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Small stream FIFO with an asynchronously read memory (LUTRAM): the head word is at the output one
// clock after it was written. flush_i empties it in one clock. Valid never depends on ready.

module tdpu_queue #(
  parameter int unsigned WIDTH = 8,
  parameter int unsigned DEPTH = 8
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             flush_i,
  input  logic             valid_i,
  output logic             ready_o,
  input  logic [WIDTH-1:0] data_i,
  output logic             valid_o,
  input  logic             ready_i,
  output logic [WIDTH-1:0] data_o
);

  localparam int unsigned AddrW = $clog2(DEPTH);

  if (DEPTH != 2 ** AddrW || DEPTH < 2) begin : gen_bad_depth
    $error("tdpu_queue: DEPTH must be a power of two of at least 2");
  end

  (* ram_style = "distributed" *) logic [WIDTH-1:0] mem[DEPTH];
  logic [AddrW:0] wptr_q, rptr_q;

  assign ready_o = wptr_q != {~rptr_q[AddrW], rptr_q[AddrW-1:0]};
  assign valid_o = wptr_q != rptr_q;
  assign data_o = mem[rptr_q[AddrW-1:0]];

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      wptr_q <= '0;
      rptr_q <= '0;
    end else begin
      if (valid_i && ready_o) wptr_q <= wptr_q + 1'b1;
      if (valid_o && ready_i) rptr_q <= rptr_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_i && ready_o) mem[wptr_q[AddrW-1:0]] <= data_i;
  end

endmodule
