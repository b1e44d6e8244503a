// relu2(gate) * up of two accumulators, in several clocks on shared multipliers, and its packing to an
// 18-bit mantissa with exponent. For area only: nothing verifies it.
module probe_gate (
    input  logic               clk_i,
    input  logic        [1:0]  step_i,
    input  logic signed [20:0] gate_i,
    input  logic signed [20:0] up_i,
    output logic signed [17:0] mantissa_o,
    output logic        [5:0]  exponent_o
);
  logic [19:0] g_q;
  logic signed [20:0] u_q;
  logic [39:0] square_q;
  logic signed [60:0] product_q, norm;
  logic signed [60:0] shifted_q;
  logic [5:0] lead, lead_q;
  logic [59:0] mag;
  always_comb begin
    mag = product_q[60] ? 60'(-product_q) : product_q[59:0];
    lead = '0;
    for (int unsigned b = 17; b < 60; b++) if (mag[b]) lead = 6'(b - 16);
    norm = product_q >>> lead;
  end
  always_ff @(posedge clk_i) begin
    if (step_i == 0) begin
      g_q <= gate_i[20] ? '0 : gate_i[19:0];
      u_q <= up_i;
    end
    square_q <= g_q * g_q;
    product_q <= $signed({1'b0, square_q}) * u_q;
    lead_q <= lead;
    shifted_q <= norm;
    mantissa_o <= shifted_q[17:0];
    exponent_o <= lead_q;
  end
endmodule
