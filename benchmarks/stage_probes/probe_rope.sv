// Phase accumulator, quarter sine with interpolation, rotation of one pair a clock.
// For area only: nothing verifies it.
module probe_rope (
    input  logic               clk_i,
    input  logic        [11:0] position_i,
    input  logic        [31:0] step_i,
    input  logic signed [19:0] first_i,
    input  logic signed [19:0] second_i,
    output logic signed [23:0] first_o,
    output logic signed [23:0] second_o
);
  (* ram_style = "block" *) logic [35:0] table_q [256];  // sine and its step to the next
  initial for (int i = 0; i < 256; i++) table_q[i] = 36'(i * 257);
  logic [31:0] phase_q, phase2_q;
  logic [29:0] rs, rc;
  logic [35:0] sw_q, cw_q;
  logic [15:0] fs_q, fc_q;
  logic signed [17:0] sin_q, cos_q;
  logic [1:0] quad_q;
  logic signed [19:0] a_q, b_q, a2_q, b2_q, a3_q, b3_q;
  logic signed [17:0] s_q, c_q;
  logic signed [37:0] ac_q, bs_q, bc_q, as_q;
  always_comb begin
    rs = phase_q[30] ? -phase_q[29:0] : phase_q[29:0];
    rc = phase_q[30] ? phase_q[29:0] : -phase_q[29:0];
  end
  always_ff @(posedge clk_i) begin
    // Positions follow one another: the phase is a running sum.
    phase_q <= (position_i == '0 ? '0 : phase_q) + step_i;
    phase2_q <= phase_q;
    sw_q <= table_q[rs[29:22]];
    cw_q <= table_q[rc[29:22]];
    fs_q <= rs[21:6];
    fc_q <= rc[21:6];
    sin_q <= 18'(sw_q[35:18] + 18'((28'(sw_q[10:0]) * fs_q) >> 16));
    cos_q <= 18'(cw_q[35:18] + 18'((28'(cw_q[10:0]) * fc_q) >> 16));
    quad_q <= phase2_q[31:30];
    {a_q, b_q} <= {first_i, second_i};
    {a2_q, b2_q} <= {a_q, b_q};
    {a3_q, b3_q} <= {a2_q, b2_q};
    s_q <= quad_q[1] ? -sin_q : sin_q;
    c_q <= ^quad_q ? -cos_q : cos_q;
    ac_q <= a3_q * c_q;
    bs_q <= b3_q * s_q;
    bc_q <= b3_q * c_q;
    as_q <= a3_q * s_q;
    first_o <= 24'((ac_q - bs_q + 38'sd2048) >>> 12);
    second_o <= 24'((bc_q + as_q + 38'sd2048) >>> 12);
  end
endmodule
