// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Derived counts of a job, one bit a clock: words = ceil(k / Lanes), and the beats of a port's
// stream, words * ceil(rows / ENGINES).
//
// Serial, because it runs beside the job before and must not need a multiplier. start_i takes k_i
// and rows_i (both > 0); done_o is high when the counts are stable, until the next start.

module tdpu_calc
  import tdpu_pkg::*;
#(
  parameter int unsigned LANES   = 40,
  parameter int unsigned ENGINES = 4
) (
  input  logic   clk_i,
  input  logic   rst_ni,
  input  logic   start_i,
  input  k_t     k_i,
  input  rows_t  rows_i,
  output logic   done_o,
  output k_t     words_o,
  output beats_t beats_o
);

  localparam int unsigned Steps = RowsW + 1;
  localparam int unsigned StepW = $clog2(Steps);
  localparam int unsigned RestW = $clog2(LANES > ENGINES ? LANES : ENGINES) + 1;

  typedef enum logic [1:0] {
    StDone,
    StDivide,
    StMultiply
  } state_e;

  state_e state_q;
  logic [StepW-1:0] step_q;

  // Restoring divisions by constants: the dividend shifts out on the left, the quotient in.
  logic [Steps-1:0] k_q, rows_q;
  logic [RestW-1:0] k_rest_q, rows_rest_q;
  logic [RestW:0]   k_rest_d, rows_rest_d;
  logic             k_fits, rows_fits;
  k_t               factor_q;
  beats_t           product_q;

  assign k_rest_d = {k_rest_q, k_q[Steps-1]};
  assign rows_rest_d = {rows_rest_q, rows_q[Steps-1]};
  assign k_fits = k_rest_d >= (RestW+1)'(LANES);
  assign rows_fits = rows_rest_d >= (RestW+1)'(ENGINES);

  assign done_o = state_q == StDone;
  assign words_o = k_t'(k_q);
  assign beats_o = product_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= StDone;
    end else begin
      unique case (state_q)
        StDone:     if (start_i) state_q <= StDivide;
        StDivide:   if (step_q == '0) state_q <= StMultiply;
        StMultiply: if (step_q == '0) state_q <= StDone;
        default:    state_q <= StDone;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    step_q <= step_q - 1'b1;
    unique case (state_q)
      StDivide: begin
        k_q         <= {k_q[Steps-2:0], k_fits};
        rows_q      <= {rows_q[Steps-2:0], rows_fits};
        k_rest_q    <= RestW'(k_fits ? k_rest_d - (RestW+1)'(LANES) : k_rest_d);
        rows_rest_q <= RestW'(rows_fits ? rows_rest_d - (RestW+1)'(ENGINES) : rows_rest_d);
        if (step_q == '0) begin
          step_q    <= StepW'(KW - 1);
          factor_q  <= k_t'({k_q[Steps-2:0], k_fits});
          product_q <= '0;
        end
      end
      StMultiply: begin
        // Most significant bit of the factor first.
        product_q <= {product_q[BeatsW-2:0], 1'b0} + (factor_q[KW-1] ? beats_t'(rows_q) : '0);
        factor_q  <= {factor_q[KW-2:0], 1'b0};
      end
      default: begin
        k_q         <= Steps'(k_i) + Steps'(LANES - 1);
        rows_q      <= Steps'(rows_i) + Steps'(ENGINES - 1);
        k_rest_q    <= '0;
        rows_rest_q <= '0;
        step_q      <= StepW'(Steps - 1);
        if (!start_i) begin
          k_q    <= k_q;
          rows_q <= rows_q;
        end
      end
    endcase
  end

endmodule
