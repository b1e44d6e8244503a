// One element a clock of the norm: align (32 to 25 bits, or an 18-bit mantissa with exponent), square,
// weight, maximum, code. For area only: nothing verifies it.
module probe_norm (
    input  logic               clk_i,
    input  logic               clear_i,
    input  logic signed [31:0] x_i,
    input  logic        [5:0]  shift_i,
    input  logic signed [17:0] w_i,
    input  logic        [5:0]  align_i,
    input  logic        [23:0] reciprocal_i,
    output logic signed [47:0] squares_o,
    output logic        [41:0] largest_o,
    output logic signed [7:0]  code_o
);
  function automatic logic signed [32:0] round(input logic signed [32:0] v, input logic [5:0] n);
    logic signed [33:0] wide;
    wide = 34'(signed'({v, 1'b0})) >>> n;
    return 33'((wide + 34'sd1) >>> 1);
  endfunction
  logic signed [32:0] placed_q;
  logic signed [24:0] x_q, z_q;
  logic signed [17:0] s_q, w_q, w2_q;
  logic signed [42:0] p_q, p2_q;
  logic signed [35:0] sq_q;
  logic [41:0] mag;
  logic signed [42:0] zr;
  logic signed [50:0] c_q;
  always_ff @(posedge clk_i) begin
    placed_q <= round({x_i[31], x_i}, shift_i);
    w_q <= w_i;
    x_q <= placed_q > 33'sd16777215 ? 25'sd16777215 : placed_q[24:0];
    w2_q <= w_q;
    s_q <= 18'((x_q + 25'sd64) >>> 7);
    sq_q <= s_q * s_q;
    squares_o <= clear_i ? '0 : squares_o + 48'(sq_q);
    p_q <= x_q * w2_q;
    mag = p_q[42] ? 42'(-p_q) : p_q[41:0];
    largest_o <= clear_i ? '0 : mag > largest_o ? mag : largest_o;
    p2_q <= p_q;
    zr = 43'(p2_q >>> align_i);
    z_q <= zr[24:0];
    c_q <= z_q * $signed({1'b0, reciprocal_i});
    code_o <= 8'((c_q + (51'sd1 <<< 39)) >>> 40);
  end
endmodule
