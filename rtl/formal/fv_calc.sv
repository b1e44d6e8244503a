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
  localparam int unsigned WideW = Steps + 8;

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
  assign state = u_dut.state_q;
  assign step = 8'(u_dut.step_q);
  assign over_k = Steps'(k) + Steps'(LANES - 1);
  assign over_rows = Steps'(rows) + Steps'(ENGINES - 1);
  assign groups = u_dut.rows_q;

  // Products as the schoolbook has them, of one pair of quotients that never changes (the solver
  // chooses it): what holds for an arbitrary one holds for each. Below, [n] is of the bits n and above.
  // Products of the registers themselves would be made anew in each clock, and to see two
  // multipliers equal is what solvers cannot do.
  logic [Steps-1:0] chosen_words, chosen_groups;
  logic [WideW-1:0] k_product[Steps+1], rows_product[Steps+1];
  logic [BeatsW-1:0] product[KW+1];
  logic of_words, of_groups;
  always_ff @(posedge clk_i) {chosen_words, chosen_groups} <= {chosen_words, chosen_groups};
  assign k_product[Steps] = '0;
  assign rows_product[Steps] = '0;
  assign product[KW] = '0;
  for (genvar n = 0; n < Steps; n++) begin : gen_schoolbook
    assign k_product[n] = (k_product[n+1] << 1) + (chosen_words[n] ? WideW'(LANES) : '0);
    assign rows_product[n] = (rows_product[n+1] << 1)
        + (chosen_groups[n] ? WideW'(ENGINES) : '0);
    if (n < KW) begin : gen_beats
      assign product[n] = (product[n+1] << 1) + (chosen_words[n] ? BeatsW'(chosen_groups) : '0);
    end
  end
  assign of_words = Steps'(words) == chosen_words;
  assign of_groups = groups == chosen_groups;

  // The divisors times the quotients so far, kept beside the unit: so that a step's equation has sums
  // and no products.
  logic [WideW-1:0] k_multiple, rows_multiple;
  always_ff @(posedge clk_i) begin
    if (taken) begin
      k_multiple    <= '0;
      rows_multiple <= '0;
    end else if (state == StDivide) begin
      k_multiple    <= (k_multiple << 1) + (u_dut.k_fits ? WideW'(LANES) : '0);
      rows_multiple <= (rows_multiple << 1) + (u_dut.rows_fits ? WideW'(ENGINES) : '0);
    end
  end

  if (COVER == 0 && HELP == 1) begin : gen_helper
    always_comb begin
      if (rst_n) begin
        assert (state <= StMultiply && (state == StDone || known));
        assert (state != StDivide || (step <= 8'(Steps - 1) && age == 8'(Steps) - step));
        assert (state != StMultiply || (step <= 8'(KW - 1) && age == 8'(Steps + KW) - step));
        assert (!known || (k != '0 && rows != '0));
        if (known) begin
          assert (state != StDivide
              || (u_dut.k_rest_q < LANES && u_dut.rows_rest_q < ENGINES));
          if (state != StDivide) begin
            assert (k_multiple <= WideW'(over_k)
                && WideW'(over_k) - k_multiple < WideW'(LANES));
            assert (rows_multiple <= WideW'(over_rows)
                && WideW'(over_rows) - rows_multiple < WideW'(ENGINES));
            assert (!of_words || k_multiple == k_product[0]);
            assert (!of_groups || rows_multiple == rows_product[0]);
            assert (u_dut.k_q == Steps'(words));
          end
        end
      end
    end

    // One assert a step, so that every shift is a constant. Left: digits of the dividends still to
    // come, step + 1 of them, at the registers' upper end; the quotients' are at the lower.
    for (genvar n = 0; n < Steps; n++) begin : gen_divide
      localparam int unsigned Left = n + 1;
      localparam int unsigned Had = Steps - Left;
      logic [Steps-1:0] k_digits, rows_digits;
      assign k_digits = u_dut.k_q & Steps'((64'd1 << Had) - 64'd1);
      assign rows_digits = u_dut.rows_q & Steps'((64'd1 << Had) - 64'd1);
      always_comb begin
        if (rst_n && state == StDivide && step == 8'(n)) begin
          assert (u_dut.k_q >> Had == (over_k & Steps'((64'd1 << Left) - 64'd1)));
          assert (u_dut.rows_q >> Had == (over_rows & Steps'((64'd1 << Left) - 64'd1)));
          assert (k_multiple + WideW'(u_dut.k_rest_q) == WideW'(over_k >> Left));
          assert (rows_multiple + WideW'(u_dut.rows_rest_q) == WideW'(over_rows >> Left));
          // A beat has two lanes at least, so words stay below 2 ** KW.
          assert (WideW'(k_digits) << 1 <= k_multiple && k_multiple <= WideW'(over_k));
          assert (rows_multiple <= WideW'(over_rows));
          assert (k_digits != chosen_words >> Left || k_multiple == k_product[Left]);
          assert (rows_digits != chosen_groups >> Left
              || rows_multiple == rows_product[Left]);
        end
      end
    end
    for (genvar n = 0; n < KW; n++) begin : gen_multiply
      always_comb begin
        if (rst_n && state == StMultiply && step == 8'(n)) begin
          assert (u_dut.factor_q == k_t'(words << (KW - 1 - n)));
          assert (!of_words || !of_groups || u_dut.product_q == product[n+1]);
        end
      end
    end
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        assert (!known || done == (age >= 8'(Clocks)));
        // beats is words times the groups of rows.
        assert (!(known && done && of_words && of_groups) || beats == product[0]);
        // words is the least number whose LANES-fold is k at least; groups the same for rows.
        assert (!(known && done && of_words) || (k_product[0] >= WideW'(k)
            && k_product[0] < WideW'(k) + WideW'(LANES)));
        assert (!(known && done && of_groups) || (rows_product[0] >= WideW'(rows)
            && rows_product[0] < WideW'(rows) + WideW'(ENGINES)));
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
