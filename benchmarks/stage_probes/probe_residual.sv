// Accumulator * scale, placed and added to the residual word with saturation, a result a clock; the top
// bit of the result is tracked. For area only: nothing verifies it.
module probe_residual (
    input  logic               clk_i,
    input  logic signed [20:0] acc_i,
    input  logic        [23:0] scale_i,
    input  logic        [5:0]  shift_i,
    input  logic signed [31:0] x_i,
    input  logic               clear_i,
    output logic signed [31:0] x_o,
    output logic        [31:0] seen_o,
    output logic        [15:0] clipped_o
);
  logic signed [45:0] product_q, placed_q;
  logic signed [31:0] x_q, x2_q;
  logic signed [46:0] sum;
  logic clip;
  always_comb begin
    sum = 47'(placed_q) + 47'(x2_q);
    clip = sum[46:31] != {16{sum[46]}};
  end
  always_ff @(posedge clk_i) begin
    product_q <= acc_i * $signed({1'b0, scale_i});
    placed_q <= ((product_q >>> shift_i) + 46'sd1) >>> 1;
    x_q <= x_i;
    x2_q <= x_q;
    x_o <= clip ? {sum[46], {31{~sum[46]}}} : sum[31:0];
    seen_o <= clear_i ? '0 : seen_o | (x_o ^ {32{x_o[31]}});
    clipped_o <= clear_i ? '0 : clipped_o + 16'(clip);
  end
endmodule
