// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// One engine: decodes a weight beat once and accumulates it against BATCH activation vectors.
//
// Timing, in clocks after the beat: 1 beat held, 2 trits (acts_i must arrive here), 2 + Levels
// sums, where first_i, valid_i and last_i of that beat must arrive; the accumulators and, after
// last_i, the results follow one clock later. The results stay until the next last_i.
// The data path has no reset: valid_i, first_i and last_i alone decide what counts.

module tdpu_engine
  import tdpu_pkg::*;
#(
  parameter  int unsigned BEAT_W = 64,
  parameter  int unsigned CODE   = CodeBase3,
  parameter  int unsigned BATCH  = 1,
  parameter  int unsigned K_MAX  = 6912,
  localparam int unsigned Lanes  = lanes(CODE, BEAT_W),
  localparam int unsigned AccW   = acc_width(K_MAX)
) (
  input  logic                           clk_i,
  input  logic [BEAT_W-1:0]              beat_i,
  output logic                           illegal_o,  // of the beat two clocks before
  input  act_t [BATCH-1:0][Lanes-1:0]    acts_i,
  input  logic                           valid_i,
  input  logic                           first_i,
  input  logic                           last_i,
  output logic [BATCH-1:0][AccW-1:0]     results_o
);

  localparam int unsigned Levels = $clog2(Lanes);
  localparam int unsigned SumW = 8 + Levels;

  logic  [BEAT_W-1:0] beat_q;
  trit_t [ Lanes-1:0] trits_q;

  if (CODE == CodeBase3) begin : gen_base3
    tdpu_decode3 #(.BEAT_W(BEAT_W)) u_decode (
      .clk_i, .beat_i(beat_q), .trits_o(trits_q), .illegal_o
    );
  end else begin : gen_two_bit
    tdpu_decode2 #(.BEAT_W(BEAT_W)) u_decode (
      .clk_i, .beat_i(beat_q), .trits_o(trits_q), .illegal_o
    );
  end

  always_ff @(posedge clk_i) beat_q <= beat_i;

  // The +1 of trit n enters adder n of the tree, or the accumulator (n = Lanes - 1): delayed by the
  // level of that adder.
  function automatic int unsigned level_of(int unsigned adder);
    int unsigned count, left;
    count = Lanes;
    left  = adder;
    for (int unsigned l = 0; l < Levels; l++) begin
      if (left < count / 2) return l;
      left  -= count / 2;
      count = (count + 1) / 2;
    end
    return Levels;
  endfunction

  logic [Lanes-1:0] carry;

  for (genvar n = 0; n < Lanes; n++) begin : gen_carry
    localparam int unsigned Delay = level_of(n);
    if (Delay == 0) begin : gen_now
      assign carry[n] = trits_q[n].neg;
    end else begin : gen_later
      // Kept as flip-flops: a shift register would cost a LUT.
      (* keep *) logic [Delay-1:0] neg_q;
      always_ff @(posedge clk_i) neg_q <= Delay'({neg_q, trits_q[n].neg});
      assign carry[n] = neg_q[Delay-1];
    end
  end

  for (genvar b = 0; b < BATCH; b++) begin : gen_vector
    logic signed [SumW-1:0] sum;
    logic signed [AccW:0]   acc_d;
    logic signed [AccW-1:0] acc_q, old;

    tdpu_tree #(.LANES(Lanes)) u_tree (
      .clk_i,
      .acts_i (acts_i[b]),
      .trits_i(trits_q),
      .carry_i(carry[Lanes-2:0]),
      .sum_o  (sum)
    );

    assign old = first_i ? '0 : acc_q;
    assign acc_d = $signed({AccW'(sum), carry[Lanes-1]}) + $signed({old, carry[Lanes-1]});

    always_ff @(posedge clk_i) begin
      if (valid_i) acc_q <= acc_d[AccW:1];
      if (valid_i && last_i) results_o[b] <= acc_d[AccW:1];
    end

    logic unused_lsb;
    assign unused_lsb = acc_d[0];
  end

endmodule
