// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Simple dual-port memory: one write port, one read port, data one clock after ren_i.
//
// A read of the address written in the same clock is undefined (callers never do it).

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

  (* ram_style = "block" *) logic [WIDTH-1:0] mem[DEPTH];

  always_ff @(posedge clk_i) begin
    if (wen_i) mem[waddr_i] <= wdata_i;
    if (ren_i) rdata_o <= mem[raddr_i];
  end

endmodule
