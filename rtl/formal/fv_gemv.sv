// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Streams of tdpu_gemv: every row gives BATCH results, in order, TLAST with the last of each; a row
// is never lost or given twice; a result stays until taken; a beat is only taken from both streams
// at once; and with a sink that waits at most Patience clocks, a result follows its row in a bounded
// time. Values are not part of this proof (simulation compares them).

module fv_gemv #(
  parameter int unsigned BATCH = 3,
  parameter int unsigned COVER = 0   // 1: what must be reachable, each as an assert of the opposite
) (
  input logic clk_i,
  input logic w_valid_i,
  input logic w_last_i,
  input logic a_valid_i,
  input logic r_ready_i
);

  localparam int unsigned Lanes = 16;
  localparam int unsigned Patience = 3;
  // Two clocks to the trits, four levels, the accumulator; then one result a sink's patience.
  localparam int unsigned Bound = 2 + 4 + 1 + BATCH * (Patience + 1);

  logic rst_n = 1'b0;
  logic w_ready, a_ready, r_valid, r_last;
  logic [31:0] r_data, illegal;

  always_ff @(posedge clk_i) rst_n <= 1'b1;

  tdpu_gemv #(.BEAT_W(32), .CODE(2), .BATCH(BATCH), .K_MAX(16)) u_dut (
    .clk_i,
    .rst_ni      (rst_n),
    .s_w_tvalid_i(w_valid_i),
    .s_w_tready_o(w_ready),
    .s_w_tdata_i ('0),
    .s_w_tlast_i (w_last_i),
    .s_a_tvalid_i(a_valid_i),
    .s_a_tready_o(a_ready),
    .s_a_tdata_i ((BATCH * Lanes * 8)'(0)),
    .m_r_tvalid_o(r_valid),
    .m_r_tready_i(r_ready_i),
    .m_r_tdata_o (r_data),
    .m_r_tlast_o (r_last),
    .illegal_o   (illegal)
  );

  logic row, result;
  assign row = w_valid_i && w_ready && w_last_i;
  assign result = r_valid && r_ready_i;

  // Rows whose results are not all out, results of the present row, clocks since the oldest row.
  logic [3:0] rows = '0;
  logic [4:0] index = '0;
  logic [7:0] age = '0;
  logic [1:0] refused = '0;
  logic waited = 1'b0;
  logic waited_last = 1'b0;
  logic second = 1'b0;

  always_ff @(posedge clk_i) begin
    if (rst_n) begin
      rows <= rows + 4'(row) - 4'(result && r_last);
      if (result) index <= r_last ? '0 : index + 1'b1;
      age <= rows == '0 ? '0 : age + 1'b1;
      if (result && r_last) age <= '0;
      refused <= r_valid && !r_ready_i ? refused + 1'b1 : '0;
      second <= second || (result && r_last);
    end
    waited      <= rst_n && r_valid && !r_ready_i;
    waited_last <= r_last;
  end

  always_comb begin
    // The fair sink.
    assume (!(r_valid && !r_ready_i && refused >= 2'(Patience)));
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        assert (!r_valid || rows != '0);
        assert (!r_valid || (r_last == (index == 5'(BATCH - 1))));
        assert (!waited || (r_valid && r_last == waited_last));
        assert (w_ready == a_ready);
        assert (!w_ready || (w_valid_i && a_valid_i));
        assert (age <= 8'(Bound));
        assert (rows <= 4'd1);
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      assert (!(rst_n && second && row));
      assert (!(waited && r_valid && r_last));
      assert (!(rst_n && w_valid_i && a_valid_i && w_last_i && !w_ready));
    end
  end

endmodule
