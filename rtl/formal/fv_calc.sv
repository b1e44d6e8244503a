// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_calc: from start to done in exactly Steps + KW + 1 clocks, words = ceil(k / LANES) and
// beats = words * ceil(rows / ENGINES), for every k and rows, stable until the next start.
//
// The invariants are those of long division and multiplication: after n steps the quotient's first n
// bits times the divisor, plus the rest, are the dividend's first n bits; after n steps the product is
// the factor's first n bits times the other factor.

module fv_calc
  import tdpu_pkg::*;
#(
  parameter int unsigned LANES   = 40,
  parameter int unsigned ENGINES = 4,
  parameter int unsigned HELP    = 1,  // 0: the properties without the invariants that prove them
  parameter int unsigned COVER   = 0   // 1: what must be reachable, as asserts of the opposite
) (
  input logic  clk_i,
  input logic  start_i,
  input k_t    k_i,
  input rows_t rows_i
);

  localparam int unsigned Steps = RowsW + 1;
  localparam int unsigned Clocks = Steps + KW + 1;

  logic rst_n = 1'b0;
  logic done, known, taken;
  k_t words, k;
  rows_t rows;
  beats_t beats;
  logic [7:0] age;   // clocks since the start

  tdpu_calc #(.LANES(LANES), .ENGINES(ENGINES)) u_dut (
    .clk_i,
    .rst_ni (rst_n),
    .start_i,
    .k_i,
    .rows_i,
    .done_o (done),
    .words_o(words),
    .beats_o(beats)
  );

  assign taken = rst_n && start_i && done;

  always_ff @(posedge clk_i) begin
    rst_n <= 1'b1;
    known <= rst_n && (known || taken);  // something was computed
    if (taken) begin
      k    <= k_i;
      rows <= rows_i;
      age  <= 8'd1;
    end else if (age != '1) begin
      age <= age + 1'b1;
    end
  end

  always_comb assume (!start_i || (k_i != '0 && rows_i != '0));

  localparam logic [1:0] StDone = 2'd0, StDivide = 2'd1, StMultiply = 2'd2;
  logic [1:0] state;
  logic [7:0] step;
  logic [Steps-1:0] over_k, over_rows, groups;
  logic [Steps-1:0] k_left, rows_left, k_digits, rows_digits;
  logic [BeatsW-1:0] product, whole;
  assign state = u_dut.state_q;
  assign step = 8'(u_dut.step_q);
  assign over_k = Steps'(k) + Steps'(LANES - 1);
  assign over_rows = Steps'(rows) + Steps'(ENGINES - 1);
  // step + 1 digits are still to come: the registers hold those of the dividend above, of the quotient
  // below.
  assign k_left = u_dut.k_q >> (8'(Steps) - step - 8'd1);
  assign rows_left = u_dut.rows_q >> (8'(Steps) - step - 8'd1);
  assign k_digits = u_dut.k_q & ~({Steps{1'b1}} << (8'(Steps) - step - 8'd1));
  assign rows_digits = u_dut.rows_q & ~({Steps{1'b1}} << (8'(Steps) - step - 8'd1));
  assign groups = u_dut.rows_q;

  // The most significant digits first, as the unit does.
  always_comb begin
    product = '0;
    whole = '0;
    for (int i = KW - 1; i >= 0; i--) begin
      if (8'(i) > step) product = (product << 1) + (words[i] ? BeatsW'(groups) : '0);
      whole = (whole << 1) + (words[i] ? BeatsW'(groups) : '0);
    end
  end

  if (COVER == 0 && HELP == 1) begin : gen_helper
    always_comb begin
      if (rst_n) begin
        assert (state <= StMultiply && (state == StDone || known));
        assert (state != StDivide || (step <= 8'(Steps - 1) && age == 8'(Steps) - step));
        assert (state != StMultiply || (step <= 8'(KW - 1) && age == 8'(Steps + KW) - step));
        assert (state == StDone || k != '0);
        assert (!known || (k != '0 && rows != '0));
        if (state == StDivide) begin
          assert (u_dut.k_rest_q < LANES && u_dut.rows_rest_q < ENGINES);
          assert (k_digits * LANES + Steps'(u_dut.k_rest_q) == over_k >> (step + 8'd1));
          assert (rows_digits * ENGINES + Steps'(u_dut.rows_rest_q) == over_rows >> (step + 8'd1));
          assert (k_left == (over_k & ~({Steps{1'b1}} << (step + 8'd1))));
          assert (rows_left == (over_rows & ~({Steps{1'b1}} << (step + 8'd1))));
        end
        if (state == StMultiply) begin
          assert (u_dut.k_q == Steps'(words));
          assert (u_dut.factor_q == k_t'(words << (8'(KW - 1) - step)));
          assert (u_dut.product_q == product);
        end
      end
    end
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        assert (!known || done == (age >= 8'(Clocks)));
        // beats is words times the groups of rows.
        assert (!(known && done) || beats == whole);
        if (known && (done || (HELP == 1 && state == StMultiply))) begin
          // words is the least number whose LANES-fold is k at least; groups the same for rows.
          assert (words != '0 && 24'(words) * 24'(LANES) >= 24'(k)
              && (24'(words) - 24'd1) * 24'(LANES) < 24'(k));
          assert (24'(groups) * 24'(ENGINES) >= 24'(rows)
              && (24'(groups) - 24'd1) * 24'(ENGINES) < 24'(rows));
        end
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      if (rst_n) begin
        assert (!(known && done && words == k_t'(2) && groups == Steps'(2)));
        assert (!(known && done && age == 8'(Clocks + 1) && words != k_t'(1)));
      end
    end
  end

endmodule
