// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_zynq with one AXI interface a port, named as Vivado infers them. Port 0 also writes.
// The unit has one ID, bursts of at most 16 beats, incrementing; RLAST is not looked at.

module tdpu_zynq_wrapper #(
  parameter BATCH = 4
) (
  input          clk_i,
  input          rst_ni,
  output         irq_o,
  input          s_axil_awvalid,
  output         s_axil_awready,
  input  [31:0]  s_axil_awaddr,
  input  [2:0]   s_axil_awprot,
  input          s_axil_wvalid,
  output         s_axil_wready,
  input  [31:0]  s_axil_wdata,
  input  [3:0]   s_axil_wstrb,
  output         s_axil_bvalid,
  input          s_axil_bready,
  output [1:0]   s_axil_bresp,
  input          s_axil_arvalid,
  output         s_axil_arready,
  input  [31:0]  s_axil_araddr,
  input  [2:0]   s_axil_arprot,
  output         s_axil_rvalid,
  input          s_axil_rready,
  output [31:0]  s_axil_rdata,
  output [1:0]   s_axil_rresp,
  output         m_axi_0_arvalid,
  input          m_axi_0_arready,
  output [31:0]  m_axi_0_araddr,
  output [7:0]   m_axi_0_arlen,
  output [2:0]   m_axi_0_arsize,
  output [1:0]   m_axi_0_arburst,
  output [3:0]   m_axi_0_arcache,
  output [2:0]   m_axi_0_arprot,
  input          m_axi_0_rvalid,
  output         m_axi_0_rready,
  input  [63:0]  m_axi_0_rdata,
  input  [1:0]   m_axi_0_rresp,
  input          m_axi_0_rlast,
  output         m_axi_0_awvalid,
  input          m_axi_0_awready,
  output [31:0]  m_axi_0_awaddr,
  output [7:0]   m_axi_0_awlen,
  output [2:0]   m_axi_0_awsize,
  output [1:0]   m_axi_0_awburst,
  output [3:0]   m_axi_0_awcache,
  output [2:0]   m_axi_0_awprot,
  output         m_axi_0_wvalid,
  input          m_axi_0_wready,
  output [63:0]  m_axi_0_wdata,
  output [7:0]   m_axi_0_wstrb,
  output         m_axi_0_wlast,
  input          m_axi_0_bvalid,
  output         m_axi_0_bready,
  input  [1:0]   m_axi_0_bresp,
  output         m_axi_1_arvalid,
  input          m_axi_1_arready,
  output [31:0]  m_axi_1_araddr,
  output [7:0]   m_axi_1_arlen,
  output [2:0]   m_axi_1_arsize,
  output [1:0]   m_axi_1_arburst,
  output [3:0]   m_axi_1_arcache,
  output [2:0]   m_axi_1_arprot,
  input          m_axi_1_rvalid,
  output         m_axi_1_rready,
  input  [63:0]  m_axi_1_rdata,
  input  [1:0]   m_axi_1_rresp,
  input          m_axi_1_rlast,
  output         m_axi_2_arvalid,
  input          m_axi_2_arready,
  output [31:0]  m_axi_2_araddr,
  output [7:0]   m_axi_2_arlen,
  output [2:0]   m_axi_2_arsize,
  output [1:0]   m_axi_2_arburst,
  output [3:0]   m_axi_2_arcache,
  output [2:0]   m_axi_2_arprot,
  input          m_axi_2_rvalid,
  output         m_axi_2_rready,
  input  [63:0]  m_axi_2_rdata,
  input  [1:0]   m_axi_2_rresp,
  input          m_axi_2_rlast,
  output         m_axi_3_arvalid,
  input          m_axi_3_arready,
  output [31:0]  m_axi_3_araddr,
  output [7:0]   m_axi_3_arlen,
  output [2:0]   m_axi_3_arsize,
  output [1:0]   m_axi_3_arburst,
  output [3:0]   m_axi_3_arcache,
  output [2:0]   m_axi_3_arprot,
  input          m_axi_3_rvalid,
  output         m_axi_3_rready,
  input  [63:0]  m_axi_3_rdata,
  input  [1:0]   m_axi_3_rresp,
  input          m_axi_3_rlast
);

  assign m_axi_0_arsize = 3'd3;
  assign m_axi_0_arburst = 2'd1;
  assign m_axi_0_arcache = 4'b0011;
  assign m_axi_0_arprot = 3'd0;
  assign m_axi_0_awsize = 3'd3;
  assign m_axi_0_awburst = 2'd1;
  assign m_axi_0_awcache = 4'b0011;
  assign m_axi_0_awprot = 3'd0;
  assign m_axi_1_arsize = 3'd3;
  assign m_axi_1_arburst = 2'd1;
  assign m_axi_1_arcache = 4'b0011;
  assign m_axi_1_arprot = 3'd0;
  assign m_axi_2_arsize = 3'd3;
  assign m_axi_2_arburst = 2'd1;
  assign m_axi_2_arcache = 4'b0011;
  assign m_axi_2_arprot = 3'd0;
  assign m_axi_3_arsize = 3'd3;
  assign m_axi_3_arburst = 2'd1;
  assign m_axi_3_arcache = 4'b0011;
  assign m_axi_3_arprot = 3'd0;

  tdpu_zynq #(.BATCH(BATCH)) u_unit (
    .clk_i(clk_i),
    .rst_ni(rst_ni),
    .irq_o(irq_o),
    .s_axil_awvalid(s_axil_awvalid),
    .s_axil_awready(s_axil_awready),
    .s_axil_awaddr(s_axil_awaddr),
    .s_axil_wvalid(s_axil_wvalid),
    .s_axil_wready(s_axil_wready),
    .s_axil_wdata(s_axil_wdata),
    .s_axil_wstrb(s_axil_wstrb),
    .s_axil_bvalid(s_axil_bvalid),
    .s_axil_bready(s_axil_bready),
    .s_axil_bresp(s_axil_bresp),
    .s_axil_arvalid(s_axil_arvalid),
    .s_axil_arready(s_axil_arready),
    .s_axil_araddr(s_axil_araddr),
    .s_axil_rvalid(s_axil_rvalid),
    .s_axil_rready(s_axil_rready),
    .s_axil_rdata(s_axil_rdata),
    .s_axil_rresp(s_axil_rresp),
    .arvalid({m_axi_3_arvalid, m_axi_2_arvalid, m_axi_1_arvalid, m_axi_0_arvalid}),
    .arready({m_axi_3_arready, m_axi_2_arready, m_axi_1_arready, m_axi_0_arready}),
    .araddr({m_axi_3_araddr, m_axi_2_araddr, m_axi_1_araddr, m_axi_0_araddr}),
    .arlen({m_axi_3_arlen, m_axi_2_arlen, m_axi_1_arlen, m_axi_0_arlen}),
    .rvalid({m_axi_3_rvalid, m_axi_2_rvalid, m_axi_1_rvalid, m_axi_0_rvalid}),
    .rready({m_axi_3_rready, m_axi_2_rready, m_axi_1_rready, m_axi_0_rready}),
    .rdata({m_axi_3_rdata, m_axi_2_rdata, m_axi_1_rdata, m_axi_0_rdata}),
    .rresp({m_axi_3_rresp, m_axi_2_rresp, m_axi_1_rresp, m_axi_0_rresp}),
    .awvalid(m_axi_0_awvalid),
    .awready(m_axi_0_awready),
    .awaddr(m_axi_0_awaddr),
    .awlen(m_axi_0_awlen),
    .wvalid(m_axi_0_wvalid),
    .wready(m_axi_0_wready),
    .wdata(m_axi_0_wdata),
    .wstrb(m_axi_0_wstrb),
    .wlast(m_axi_0_wlast),
    .bvalid(m_axi_0_bvalid),
    .bready(m_axi_0_bready),
    .bresp(m_axi_0_bresp)
  );

endmodule
