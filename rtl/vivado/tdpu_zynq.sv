// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_top with the signals of a full AXI master that it leaves to its surroundings: constant burst
// type, size and attributes. Vectors are flat, for a Verilog wrapper with one interface a port.

module tdpu_zynq #(
  parameter int unsigned BATCH = 4
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  output logic         irq_o,

  input  logic         s_axil_awvalid,
  output logic         s_axil_awready,
  input  logic [31:0]  s_axil_awaddr,
  input  logic         s_axil_wvalid,
  output logic         s_axil_wready,
  input  logic [31:0]  s_axil_wdata,
  input  logic [3:0]   s_axil_wstrb,
  output logic         s_axil_bvalid,
  input  logic         s_axil_bready,
  output logic [1:0]   s_axil_bresp,
  input  logic         s_axil_arvalid,
  output logic         s_axil_arready,
  input  logic [31:0]  s_axil_araddr,
  output logic         s_axil_rvalid,
  input  logic         s_axil_rready,
  output logic [31:0]  s_axil_rdata,
  output logic [1:0]   s_axil_rresp,

  output logic [3:0]   arvalid,
  input  logic [3:0]   arready,
  output logic [127:0] araddr,
  output logic [31:0]  arlen,
  input  logic [3:0]   rvalid,
  output logic [3:0]   rready,
  input  logic [255:0] rdata,
  input  logic [7:0]   rresp,

  output logic         awvalid,
  input  logic         awready,
  output logic [31:0]  awaddr,
  output logic [7:0]   awlen,
  output logic         wvalid,
  input  logic         wready,
  output logic [63:0]  wdata,
  output logic [7:0]   wstrb,
  output logic         wlast,
  input  logic         bvalid,
  output logic         bready,
  input  logic [1:0]   bresp
);

  tdpu_top #(.BATCH(BATCH)) u_top (
    .clk_i,
    .rst_ni,
    .irq_o,
    .s_axil_awvalid_i(s_axil_awvalid),
    .s_axil_awready_o(s_axil_awready),
    .s_axil_awaddr_i (s_axil_awaddr[6:0]),
    .s_axil_wvalid_i (s_axil_wvalid),
    .s_axil_wready_o (s_axil_wready),
    .s_axil_wdata_i  (s_axil_wdata),
    .s_axil_wstrb_i  (s_axil_wstrb),
    .s_axil_bvalid_o (s_axil_bvalid),
    .s_axil_bready_i (s_axil_bready),
    .s_axil_bresp_o  (s_axil_bresp),
    .s_axil_arvalid_i(s_axil_arvalid),
    .s_axil_arready_o(s_axil_arready),
    .s_axil_araddr_i (s_axil_araddr[6:0]),
    .s_axil_rvalid_o (s_axil_rvalid),
    .s_axil_rready_i (s_axil_rready),
    .s_axil_rdata_o  (s_axil_rdata),
    .s_axil_rresp_o  (s_axil_rresp),
    .m_axi_arvalid_o (arvalid),
    .m_axi_arready_i (arready),
    .m_axi_araddr_o  (araddr),
    .m_axi_arlen_o   (arlen),
    .m_axi_rvalid_i  (rvalid),
    .m_axi_rready_o  (rready),
    .m_axi_rdata_i   (rdata),
    .m_axi_rresp_i   (rresp),
    .m_axi_awvalid_o (awvalid),
    .m_axi_awready_i (awready),
    .m_axi_awaddr_o  (awaddr),
    .m_axi_awlen_o   (awlen),
    .m_axi_wvalid_o  (wvalid),
    .m_axi_wready_i  (wready),
    .m_axi_wdata_o   (wdata),
    .m_axi_wstrb_o   (wstrb),
    .m_axi_wlast_o   (wlast),
    .m_axi_bvalid_i  (bvalid),
    .m_axi_bready_o  (bready),
    .m_axi_bresp_i   (bresp)
  );

  logic unused;
  assign unused = ^{s_axil_awaddr[31:7], s_axil_araddr[31:7]};

endmodule
