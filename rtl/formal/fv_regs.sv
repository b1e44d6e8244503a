// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_regs: AXI4-Lite. Every write whose address and data were taken is answered once, every read
// once; responses wait unchanged and are never errors; a write changes ring_base exactly as its data
// and strobes say, and nothing else does; an interrupt bit is set by its event, also in the clock in
// which software clears it, and falls only when software writes a one to it; while something is left,
// at most Bound clocks in a row pass in which nothing moves and no response waits to be taken.
//
// The order of writes is checked by a mirror of the one that waits (aw_valid ... w_strb).

module fv_regs #(
  parameter int unsigned HELP  = 1,  // 0: the properties without the invariants that prove them
  parameter int unsigned COVER = 0   // 1: what must be reachable, as asserts of the opposite
) (
  input logic        clk_i,
  input logic        awvalid_i,
  input logic [6:0]  awaddr_i,
  input logic        wvalid_i,
  input logic [31:0] wdata_i,
  input logic [3:0]  wstrb_i,
  input logic        bready_i,
  input logic        arvalid_i,
  input logic [6:0]  araddr_i,
  input logic        rready_i,
  input logic        done_i,
  input logic        error_i
);

  localparam int unsigned Bound = 1;
  localparam logic [4:0] RingBase = 5'h07, IrqStatus = 5'h0c;

  logic rst_n = 1'b0;
  logic awready, wready, bvalid, arready, rvalid;
  logic [1:0] bresp, rresp;
  logic [31:0] rdata;
  tdpu_regs_pkg::tdpu_regs__in_t hwif_in;
  tdpu_regs_pkg::tdpu_regs__out_t hwif_out;

  always_ff @(posedge clk_i) rst_n <= 1'b1;

  always_comb begin
    hwif_in = '{default: '0};
    hwif_in.irq_status.done.hwset = done_i;
    hwif_in.irq_status.error.hwset = error_i;
  end

  tdpu_regs u_dut (
    .clk           (clk_i),
    .rst_n,
    .s_axil_awready(awready),
    .s_axil_awvalid(awvalid_i),
    .s_axil_awaddr (awaddr_i),
    .s_axil_awprot (3'b000),
    .s_axil_wready (wready),
    .s_axil_wvalid (wvalid_i),
    .s_axil_wdata  (wdata_i),
    .s_axil_wstrb  (wstrb_i),
    .s_axil_bready (bready_i),
    .s_axil_bvalid (bvalid),
    .s_axil_bresp  (bresp),
    .s_axil_arready(arready),
    .s_axil_arvalid(arvalid_i),
    .s_axil_araddr (araddr_i),
    .s_axil_arprot (3'b000),
    .s_axil_rready (rready_i),
    .s_axil_rvalid (rvalid),
    .s_axil_rdata  (rdata),
    .s_axil_rresp  (rresp),
    .hwif_in,
    .hwif_out
  );

  logic aw, w, b, ar, r;
  assign aw = rst_n && awvalid_i && awready;
  assign w = rst_n && wvalid_i && wready;
  assign b = rst_n && bvalid && bready_i;
  assign ar = rst_n && arvalid_i && arready;
  assign r = rst_n && rvalid && rready_i;

  // Taken and not answered.
  logic [2:0] aws, ws, ars;
  // The write that waits, and what is written in this clock (pair): address and data are both there
  // and are taken from the mirror.
  logic aw_valid, w_valid, pair;
  logic [6:0] aw_addr;
  logic [31:0] w_data, bits, want_base;
  logic [3:0] w_strb;
  logic want_done, want_error;
  assign pair = u_dut.axil_aw_accept;
  assign bits = {{8{w_strb[3]}}, {8{w_strb[2]}}, {8{w_strb[1]}}, {8{w_strb[0]}}};

  logic b_waited, r_waited, moved;
  logic [31:0] waited_data;
  logic [3:0] quiet;
  assign moved = aw || w || ar || b || r || bvalid || rvalid || pair || u_dut.axil_ar_accept;

  always_ff @(posedge clk_i) begin
    aws <= !rst_n ? '0 : aws + 3'(aw) - 3'(b);
    ws  <= !rst_n ? '0 : ws + 3'(w) - 3'(b);
    ars <= !rst_n ? '0 : ars + 3'(ar) - 3'(r);
    if (!rst_n) begin
      {aw_valid, w_valid} <= '0;
    end else begin
      aw_valid <= aw || (aw_valid && !pair);
      w_valid  <= w || (w_valid && !pair);
    end
    if (aw) aw_addr <= awaddr_i;
    if (w) {w_data, w_strb} <= {wdata_i, wstrb_i};
    if (!rst_n) begin
      {want_base, want_done, want_error} <= '0;
    end else begin
      if (pair && aw_addr[6:2] == RingBase) want_base <= (want_base & ~bits) | (w_data & bits);
      want_done  <= done_i
          || (want_done && !(pair && aw_addr[6:2] == IrqStatus && w_data[0] && w_strb[0]));
      want_error <= error_i
          || (want_error && !(pair && aw_addr[6:2] == IrqStatus && w_data[1] && w_strb[0]));
    end
    b_waited    <= rst_n && bvalid && !bready_i;
    r_waited    <= rst_n && rvalid && !rready_i;
    waited_data <= rdata;
    quiet       <= !rst_n || moved || !((aws != '0 && ws != '0) || ars != '0) ? '0 : quiet + 1'b1;
  end

  logic [1:0] stored, head;
  assign stored = u_dut.axil_resp_wptr - u_dut.axil_resp_rptr;
  assign head = u_dut.axil_resp_rptr;

  if (COVER == 0 && HELP == 1) begin : gen_helper
    logic [2:0] stored_writes;
    always_comb begin
      stored_writes = '0;
      if (stored != '0) stored_writes = 3'(u_dut.axil_resp_buffer_is_wr[head[0]]);
      if (stored == 2'd2) begin
        stored_writes = stored_writes + 3'(u_dut.axil_resp_buffer_is_wr[~head[0]]);
      end
    end
    always_comb begin
      if (rst_n) begin
        assert (aw_valid == u_dut.axil_awvalid && w_valid == u_dut.axil_wvalid);
        assert (!aw_valid || aw_addr == u_dut.axil_awaddr);
        assert (!w_valid || (w_data == u_dut.axil_wdata && w_strb == u_dut.axil_wstrb));
        assert (stored <= 2'd2 && u_dut.axil_n_in_flight == stored);
        assert (aws == 3'(aw_valid) + stored_writes && ws == 3'(w_valid) + stored_writes);
        assert (ars == 3'(u_dut.axil_arvalid) + 3'(stored) - stored_writes);
        assert (!u_dut.axil_resp_buffer_err[0] && !u_dut.axil_resp_buffer_err[1]);
      end
    end
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        // A response for each, and for nothing else.
        assert (!bvalid || (aws != '0 && ws != '0));
        assert (!rvalid || ars != '0);
        assert (aws <= 3'd3 && ws <= 3'd3 && ars <= 3'd3);
        assert (!pair || (aw_valid && w_valid));
        assert (!b_waited || bvalid);
        assert (!r_waited || (rvalid && rdata == waited_data));
        assert (!(bvalid && bresp != '0) && !(rvalid && rresp != '0));
        // No write is lost, no interrupt either.
        assert (hwif_out.ring_base.value.value == want_base);
        assert (hwif_out.irq_status.done.value == want_done);
        assert (hwif_out.irq_status.error.value == want_error);
        assert (quiet <= 4'(Bound));
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      if (rst_n) begin
        assert (!(aws == 3'd3 && ws == 3'd3));
        assert (!(b_waited && ars == 3'd2));
        assert (!(r && aws != '0));
        assert (!(want_done && pair && done_i && aw_addr[6:2] == IrqStatus && w_data[0]
            && w_strb[0]));
        assert (!(want_base == 32'h1234_5600));
      end
    end
  end

endmodule
