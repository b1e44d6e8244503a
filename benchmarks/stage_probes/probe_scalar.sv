// Scalars of the contract, bit-serial: multiply, divide and root of 24-bit mantissas share one
// 50-bit shift-and-subtract datapath. For area only: nothing verifies it.
module probe_scalar (
    input  logic        clk_i,
    input  logic        start_i,
    input  logic [1:0]  op_i,  // 0 multiply, 1 divide, 2 root
    input  logic [23:0] a_i,
    input  logic [23:0] b_i,
    input  logic signed [9:0] ea_i,
    input  logic signed [9:0] eb_i,
    output logic [23:0] m_o,
    output logic signed [9:0] e_o,
    output logic        busy_o
);
  logic [49:0] rest_q;
  logic [24:0] out_q, div_q;
  logic [5:0] left_q;
  logic [1:0] op_q;
  logic signed [9:0] e_q;
  logic [26:0] top, minus, diff;
  logic take;
  always_comb begin
    top = {rest_q[49:23]};
    unique case (op_q)
      2'd0: minus = {2'b0, div_q};
      2'd1: minus = {2'b0, div_q};
      default: minus = {out_q, 2'b01};
    endcase
    diff = op_q == 2'd0 ? top + (rest_q[0] ? minus : '0) : top - minus;
    take = ~diff[26];
  end
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      rest_q <= {26'b0, a_i};
      if (op_i == 2'd2) rest_q <= {25'b0, a_i, 1'b0} >> ea_i[0];
      div_q <= {1'b0, b_i};
      out_q <= '0;
      left_q <= 6'd26;
      op_q <= op_i;
      e_q <= op_i == 2'd0 ? ea_i + eb_i : op_i == 2'd1 ? ea_i - eb_i : ea_i >>> 1;
    end else if (left_q != 0) begin
      left_q <= left_q - 1'b1;
      if (op_q == 2'd0) rest_q <= {diff, rest_q[22:0]} >> 1;
      else begin
        rest_q <= (take ? {diff, rest_q[22:0]} : rest_q) << (op_q == 2'd2 ? 2 : 1);
        out_q <= {out_q[23:0], take};
      end
    end
  end
  logic [24:0] raw;
  assign raw = op_q == 2'd0 ? rest_q[48:24] : out_q;
  assign m_o = raw[24] ? raw[24:1] : raw[23:0];
  assign e_o = e_q + {9'b0, raw[24]};
  assign busy_o = left_q != 0;
endmodule
