// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_ram for proofs: one word is kept, at an address that the solver chooses; any other read gives
// anything. All that is proved of this memory holds for the real one, which keeps the others as well.

module tdpu_ram #(
  parameter  int unsigned WIDTH = 64,
  parameter  int unsigned DEPTH = 512,
  localparam int unsigned AddrW = $clog2(DEPTH)
) (
  input  logic             clk_i,
  input  logic             wen_i,
  input  logic [AddrW-1:0] waddr_i,
  input  logic [WIDTH-1:0] wdata_i,
  input  logic             ren_i,
  input  logic [AddrW-1:0] raddr_i,
  output logic [WIDTH-1:0] rdata_o
);

  logic [AddrW-1:0] addr_q;
  logic [WIDTH-1:0] kept_q, anything;  // without a driver: anything

  always_ff @(posedge clk_i) begin
    addr_q <= addr_q;
    if (wen_i && waddr_i == addr_q) kept_q <= wdata_i;
    if (ren_i) rdata_o <= raddr_i == addr_q ? kept_q : anything;
  end

endmodule
