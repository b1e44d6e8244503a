// LANES multiply-accumulates of a query or probability (18 bits) with an int8 key or value, sums over
// DOT lanes of a head for scores, accumulators [LANES] x 32 words of 40 bits for values, and one
// shifter that serves all accumulators in turn. For area only: nothing verifies it.
module probe_attention #(
    parameter int unsigned LANES = 64,
    parameter int unsigned HEADS = 4
) (
    input  logic                          clk_i,
    input  logic                          value_i,
    input  logic                          write_i,
    input  logic        [4:0]             word_i,
    input  logic        [LANES/HEADS*8-1:0] kv_i,
    input  logic        [LANES*16-1:0]    query_i,
    input  logic        [HEADS*17-1:0]    weight_i,
    input  logic        [$clog2(LANES)-1:0] pick_i,
    input  logic        [5:0]             shift_i,
    input  logic                          rescale_i,
    output logic        [HEADS*31-1:0]    score_o,
    output logic signed [39:0]            picked_o
);
  localparam int unsigned Dot = LANES / HEADS;
  logic signed [39:0] sum [LANES];
  logic signed [39:0] fixed_q;
  logic signed [25:0] product_q [LANES];
  for (genvar h = 0; h < int'(HEADS); h++) begin : gen_head
    logic signed [30:0] total;
    always_comb begin
      total = '0;
      for (int unsigned d = 0; d < Dot; d++) total = total + 31'(product_q[h*Dot+d]);
    end
    always_ff @(posedge clk_i) score_o[h*31+:31] <= total;
    for (genvar d = 0; d < int'(Dot); d++) begin : gen_lane
      localparam int unsigned Lane = h * Dot + d;
      (* ram_style = "distributed" *) logic signed [39:0] ram_q [32];
      logic signed [17:0] left_q;
      logic signed [7:0] right_q;
      assign sum[Lane] = ram_q[word_i];
      always_ff @(posedge clk_i) begin
        left_q <= value_i ? $signed({1'b0, weight_i[h*17+:17]})
                          : 18'($signed(query_i[Lane*16+:16]));
        right_q <= kv_i[d*8+:8];
        product_q[Lane] <= 26'(left_q * right_q);
        if (write_i) ram_q[word_i] <= rescale_i && pick_i == Lane[$clog2(LANES)-1:0]
            ? fixed_q : ram_q[word_i] + 40'(product_q[Lane]);
      end
    end
  end
  always_ff @(posedge clk_i) begin
    picked_o <= sum[pick_i];
    fixed_q <= picked_o >>> shift_i;
  end
endmodule
