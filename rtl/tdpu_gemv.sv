// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// The operator on streams: one engine without a store or a memory path.
//
// Every weight beat meets one activation word (BATCH vectors of Lanes int8 codes, lane 0 and vector
// 0 lowest). s_w_tlast_i marks the last beat of a row. The result stream carries BATCH int32
// accumulators a row, vector 0 first, m_r_tlast_o with the last vector of each row.
// Illegal codes act as 0 and count one a beat in illegal_o, which saturates until reset.

module tdpu_gemv
  import tdpu_pkg::*;
#(
  parameter  int unsigned BEAT_W = 64,
  parameter  int unsigned CODE   = CodeBase3,
  parameter  int unsigned BATCH  = 1,
  parameter  int unsigned K_MAX  = 6912,
  localparam int unsigned Lanes  = lanes(CODE, BEAT_W)
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,

  input  logic                       s_w_tvalid_i,
  output logic                       s_w_tready_o,
  input  logic [BEAT_W-1:0]          s_w_tdata_i,
  input  logic                       s_w_tlast_i,

  input  logic                       s_a_tvalid_i,
  output logic                       s_a_tready_o,
  input  logic [BATCH*Lanes*8-1:0]   s_a_tdata_i,

  output logic                       m_r_tvalid_o,
  input  logic                       m_r_tready_i,
  output logic [31:0]                m_r_tdata_o,
  output logic                       m_r_tlast_o,

  output logic [31:0]                illegal_o
);

  localparam int unsigned VectorW = BATCH > 1 ? $clog2(BATCH) : 1;

  logic step, illegal, unused_ready;
  logic [1:0][BATCH*Lanes*8-1:0] acts_q;
  logic [31:0] illegal_q;

  tdpu_check #(
    .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(1), .BATCH(BATCH), .K_MAX(K_MAX)
  ) u_check ();

  tdpu_array #(
    .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(1), .BATCH(BATCH), .K_MAX(K_MAX)
  ) u_array (
    .clk_i,
    .rst_ni,
    .flush_i      (1'b0),
    .ctl_valid_i  (s_a_tvalid_i),
    .ctl_last_i   (s_w_tlast_i),
    .ctl_final_i  (1'b1),
    .ctl_rows_i   (1'b0),
    .ctl_vectors_i(VectorW'(BATCH - 1)),
    .step_o       (step),
    .w_valid_i    (s_w_tvalid_i),
    .w_ready_o    (unused_ready),
    .w_data_i     (s_w_tdata_i),
    .acts_i       (acts_q[1]),
    .res_valid_o  (m_r_tvalid_o),
    .res_ready_i  (m_r_tready_i),
    .res_data_o   (m_r_tdata_o),
    .res_last_o   (m_r_tlast_o),
    .illegal_o    (illegal)
  );

  assign s_w_tready_o = step;
  assign s_a_tready_o = step;

  always_ff @(posedge clk_i) acts_q <= {acts_q[0], s_a_tdata_i};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) illegal_q <= '0;
    else if (illegal && illegal_q != '1) illegal_q <= illegal_q + 1'b1;
  end

  assign illegal_o = illegal_q;

endmodule
