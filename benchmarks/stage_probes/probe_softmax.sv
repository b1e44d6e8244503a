// Score from a dot product, running maximum, 2^-f with interpolation, value scale: one a clock.
// For area only: nothing verifies it.
module probe_softmax (
    input  logic               clk_i,
    input  logic signed [30:0] dot_i,
    input  logic        [23:0] factor_i,
    input  logic        [5:0]  shift_i,
    input  logic signed [11:0] peak_i,
    input  logic        [23:0] value_scale_i,
    input  logic        [5:0]  value_shift_i,
    output logic signed [23:0] score_o,
    output logic        [16:0] probability_o,
    output logic        [16:0] weight_o
);
  (* ram_style = "block" *) logic [35:0] table_q [256];
  initial for (int i = 0; i < 256; i++) table_q[i] = 36'(i * 257);
  logic signed [55:0] product_q;
  logic signed [55:0] placed_q;
  logic signed [24:0] below;
  logic [35:0] word_q;
  logic [3:0] way_q;
  logic [11:0] whole_q, whole2_q;
  logic [17:0] power_q;
  logic [40:0] scaled_q;
  logic clip;
  always_comb begin
    clip = placed_q[55:23] != {33{placed_q[55]}};
    below = 25'($signed({peak_i, 12'b0})) - 25'(score_o);
  end
  always_ff @(posedge clk_i) begin
    product_q <= dot_i * $signed({1'b0, factor_i});
    placed_q <= ((product_q >>> shift_i) + 56'sd1) >>> 1;
    score_o <= clip ? {placed_q[55], {23{~placed_q[55]}}} : placed_q[23:0];
    word_q <= table_q[below[11:4]];
    way_q <= below[3:0];
    whole_q <= below[23:12];
    whole2_q <= whole_q;
    power_q <= word_q[35:18] - 18'((22'(word_q[17:0]) * way_q) >> 4);
    probability_o <= |whole2_q[11:5] ? '0 : 17'((power_q >> whole2_q[4:0]) + 18'd1) >> 1;
    scaled_q <= probability_o * value_scale_i;
    weight_o <= 17'((scaled_q >> value_shift_i) + 41'd1) >> 1;
  end
endmodule
