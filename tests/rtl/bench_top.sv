// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_top of two engines with the port names, IDs and constant signals that AXI models look for.

module bench_top #(
  parameter int unsigned BEAT_W = 64,
  parameter int unsigned CODE   = 3,
  parameter int unsigned BATCH  = 2,
  parameter int unsigned K_MAX  = 1000
) (
  input  logic                clk,
  input  logic                rst,
  output logic                irq,

  input  logic                s_axil_awvalid,
  output logic                s_axil_awready,
  input  logic [6:0]          s_axil_awaddr,
  input  logic                s_axil_wvalid,
  output logic                s_axil_wready,
  input  logic [31:0]         s_axil_wdata,
  input  logic [3:0]          s_axil_wstrb,
  output logic                s_axil_bvalid,
  input  logic                s_axil_bready,
  output logic [1:0]          s_axil_bresp,
  input  logic                s_axil_arvalid,
  output logic                s_axil_arready,
  input  logic [6:0]          s_axil_araddr,
  output logic                s_axil_rvalid,
  input  logic                s_axil_rready,
  output logic [31:0]         s_axil_rdata,
  output logic [1:0]          s_axil_rresp,

  output logic                p0_arvalid,
  input  logic                p0_arready,
  output logic                p0_arid,
  output logic [31:0]         p0_araddr,
  output logic [7:0]          p0_arlen,
  output logic [2:0]          p0_arsize,
  output logic [1:0]          p0_arburst,
  input  logic                p0_rvalid,
  output logic                p0_rready,
  input  logic                p0_rid,
  input  logic [BEAT_W-1:0]   p0_rdata,
  input  logic [1:0]          p0_rresp,
  input  logic                p0_rlast,

  output logic                p1_arvalid,
  input  logic                p1_arready,
  output logic                p1_arid,
  output logic [31:0]         p1_araddr,
  output logic [7:0]          p1_arlen,
  output logic [2:0]          p1_arsize,
  output logic [1:0]          p1_arburst,
  input  logic                p1_rvalid,
  output logic                p1_rready,
  input  logic                p1_rid,
  input  logic [BEAT_W-1:0]   p1_rdata,
  input  logic [1:0]          p1_rresp,
  input  logic                p1_rlast,

  output logic                wr_awvalid,
  input  logic                wr_awready,
  output logic                wr_awid,
  output logic [31:0]         wr_awaddr,
  output logic [7:0]          wr_awlen,
  output logic [2:0]          wr_awsize,
  output logic [1:0]          wr_awburst,
  output logic                wr_wvalid,
  input  logic                wr_wready,
  output logic [BEAT_W-1:0]   wr_wdata,
  output logic [BEAT_W/8-1:0] wr_wstrb,
  output logic                wr_wlast,
  input  logic                wr_bvalid,
  output logic                wr_bready,
  input  logic                wr_bid,
  input  logic [1:0]          wr_bresp
);

  assign {p0_arid, p1_arid, wr_awid} = '0;
  assign {p0_arburst, p1_arburst, wr_awburst} = {3{2'b01}};
  assign {p0_arsize, p1_arsize, wr_awsize} = {3{3'($clog2(BEAT_W / 8))}};

  tdpu_top #(
    .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(2), .BATCH(BATCH), .K_MAX(K_MAX), .FIFO_DEPTH(128)
  ) u_top (
    .clk_i           (clk),
    .rst_ni          (!rst),
    .irq_o           (irq),
    .s_axil_awvalid_i(s_axil_awvalid),
    .s_axil_awready_o(s_axil_awready),
    .s_axil_awaddr_i (s_axil_awaddr),
    .s_axil_wvalid_i (s_axil_wvalid),
    .s_axil_wready_o (s_axil_wready),
    .s_axil_wdata_i  (s_axil_wdata),
    .s_axil_wstrb_i  (s_axil_wstrb),
    .s_axil_bvalid_o (s_axil_bvalid),
    .s_axil_bready_i (s_axil_bready),
    .s_axil_bresp_o  (s_axil_bresp),
    .s_axil_arvalid_i(s_axil_arvalid),
    .s_axil_arready_o(s_axil_arready),
    .s_axil_araddr_i (s_axil_araddr),
    .s_axil_rvalid_o (s_axil_rvalid),
    .s_axil_rready_i (s_axil_rready),
    .s_axil_rdata_o  (s_axil_rdata),
    .s_axil_rresp_o  (s_axil_rresp),
    .m_axi_arvalid_o ({p1_arvalid, p0_arvalid}),
    .m_axi_arready_i ({p1_arready, p0_arready}),
    .m_axi_araddr_o  ({p1_araddr, p0_araddr}),
    .m_axi_arlen_o   ({p1_arlen, p0_arlen}),
    .m_axi_rvalid_i  ({p1_rvalid, p0_rvalid}),
    .m_axi_rready_o  ({p1_rready, p0_rready}),
    .m_axi_rdata_i   ({p1_rdata, p0_rdata}),
    .m_axi_rresp_i   ({p1_rresp, p0_rresp}),
    .m_axi_awvalid_o (wr_awvalid),
    .m_axi_awready_i (wr_awready),
    .m_axi_awaddr_o  (wr_awaddr),
    .m_axi_awlen_o   (wr_awlen),
    .m_axi_wvalid_o  (wr_wvalid),
    .m_axi_wready_i  (wr_wready),
    .m_axi_wdata_o   (wr_wdata),
    .m_axi_wstrb_o   (wr_wstrb),
    .m_axi_wlast_o   (wr_wlast),
    .m_axi_bvalid_i  (wr_bvalid),
    .m_axi_bready_o  (wr_bready),
    .m_axi_bresp_i   (wr_bresp)
  );

endmodule
