// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Sum of LANES products trit * activation for one vector, without multipliers.
//
// A product is nz & (a ^ neg), plus one if neg. Those ones enter as the carry-ins of the adders,
// of which a tree with its accumulator has exactly LANES: carry_i[n] belongs to adder n, counted
// level by level from the leaves, and must arrive with that adder's operands (level l is l clocks
// after the trits). The last carry belongs to the accumulator and is not used here.
// Writing an adder as {a, c} + {b, c} makes the carry-in a carry chain's first bit, which
// costs no LUT.
//
// sum_o is valid Levels clocks after trits_i and acts_i. The data path has no reset and no enable.

module tdpu_tree
  import tdpu_pkg::*;
#(
  parameter  int unsigned LANES  = 32,
  localparam int unsigned Levels = $clog2(LANES),
  localparam int unsigned SumW   = 8 + Levels
) (
  input  logic                     clk_i,
  input  act_t  [LANES-1:0]        acts_i,
  input  trit_t [LANES-1:0]        trits_i,
  input  logic  [LANES-2:0]        carry_i,
  output logic signed [SumW-1:0]   sum_o
);

  // Nodes before level l, and adders before it.
  function automatic int unsigned nodes(int unsigned level);
    return (LANES + (1 << level) - 1) >> level;
  endfunction
  function automatic int unsigned adders(int unsigned level);
    int unsigned count;
    count = 0;
    // Bounded by a constant: front ends also evaluate this for the level before the leaves.
    for (int unsigned l = 0; l < Levels; l++) if (l < level) count += nodes(l) / 2;
    return count;
  endfunction

  for (genvar l = 0; l <= Levels; l++) begin : gen_level
    localparam int unsigned Width = 8 + l;
    typedef logic signed [Width-1:0] node_t;
    node_t node[nodes(l)];
    if (l == 0) begin : gen_leaf
      for (genvar i = 0; i < LANES; i++) begin : gen_term
        assign node[i] = node_t'({8{trits_i[i].nz}} & (acts_i[i] ^ {8{trits_i[i].neg}}));
      end
    end else begin : gen_sum
      for (genvar i = 0; i < nodes(l); i++) begin : gen_node
        if (2 * i + 1 < nodes(l - 1)) begin : gen_add
          logic carry;
          logic signed [Width:0] sum;
          assign carry = carry_i[adders(l-1)+i];
          assign sum = $signed({gen_level[l-1].node[2*i], carry})
              + $signed({gen_level[l-1].node[2*i+1], carry});
          always_ff @(posedge clk_i) node[i] <= sum[Width:1];
          logic unused_lsb;
          assign unused_lsb = sum[0];
        end else begin : gen_pass
          // Kept as flip-flops: a shift register would cost LUTs.
          (* keep *) node_t pass_q;
          always_ff @(posedge clk_i) pass_q <= Width'(gen_level[l-1].node[2*i]);
          assign node[i] = pass_q;
        end
      end
    end
  end

  assign sum_o = gen_level[Levels].node[0];

endmodule
