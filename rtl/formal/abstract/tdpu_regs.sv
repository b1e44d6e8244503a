// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_regs for the proof of tdpu_top: software writes and reads anything at any time.

module tdpu_regs (
  input  logic                           clk,
  input  logic                           rst_n,
  output logic                           s_axil_awready,
  input  logic                           s_axil_awvalid,
  input  logic [6:0]                     s_axil_awaddr,
  input  logic [2:0]                     s_axil_awprot,
  output logic                           s_axil_wready,
  input  logic                           s_axil_wvalid,
  input  logic [31:0]                    s_axil_wdata,
  input  logic [3:0]                     s_axil_wstrb,
  input  logic                           s_axil_bready,
  output logic                           s_axil_bvalid,
  output logic [1:0]                     s_axil_bresp,
  output logic                           s_axil_arready,
  input  logic                           s_axil_arvalid,
  input  logic [6:0]                     s_axil_araddr,
  input  logic [2:0]                     s_axil_arprot,
  input  logic                           s_axil_rready,
  output logic                           s_axil_rvalid,
  output logic [31:0]                    s_axil_rdata,
  output logic [1:0]                     s_axil_rresp,
  input  tdpu_regs_pkg::tdpu_regs__in_t  hwif_in,
  output tdpu_regs_pkg::tdpu_regs__out_t hwif_out
);

  // No output has a driver: each may have any value in any clock.

endmodule
