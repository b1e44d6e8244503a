// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Stream FIFO in a memory: the head word is at the output, two clocks after it was written.
//
// Holds DEPTH words in memory and one at the output. flush_i empties it in one clock; a word offered
// in that clock is lost. Valid never depends on ready.

module tdpu_fifo #(
  parameter int unsigned WIDTH = 64,
  parameter int unsigned DEPTH = 512
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
    $error("tdpu_fifo: DEPTH must be a power of two of at least 2");
  end

  // One bit more than the address tells full from empty.
  logic [AddrW:0] wptr_q, rptr_q;
  logic valid_q, push, fetch;

  assign ready_o = wptr_q != {~rptr_q[AddrW], rptr_q[AddrW-1:0]};
  assign push = valid_i && ready_o;
  assign fetch = wptr_q != rptr_q && (!valid_q || ready_i);
  assign valid_o = valid_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      wptr_q  <= '0;
      rptr_q  <= '0;
      valid_q <= 1'b0;
    end else begin
      if (push) wptr_q <= wptr_q + 1'b1;
      if (fetch) rptr_q <= rptr_q + 1'b1;
      valid_q <= fetch || (valid_q && !ready_i);
    end
  end

  tdpu_ram #(.WIDTH(WIDTH), .DEPTH(DEPTH)) u_ram (
    .clk_i,
    .wen_i  (push),
    .waddr_i(wptr_q[AddrW-1:0]),
    .wdata_i(data_i),
    .ren_i  (fetch),
    .raddr_i(rptr_q[AddrW-1:0]),
    .rdata_o(data_o)
  );

endmodule
