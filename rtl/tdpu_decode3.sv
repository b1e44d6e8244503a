// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Trits of a beat in base 3: a byte f holds ceil(256 v / 243) of the five digits d = trit + 1 in
// v = 81 d0 + 27 d1 + 9 d2 + 3 d3 + d4. Byte j of the beat holds trits 5j to 5j+4.
//
// The code telescopes: 9 f = 256 (3 d0 + d1) + r, and r continues as f did. A product with 9 is one
// adder of five LUTs, whose four top bits are two digits at once. After two such steps
// r = 256 d4 / 3 + e with 0 <= e < 81, so six bits tell d4, and the values of r in no such range
// belong to the 13 bytes that no v maps to. Those decode to 0 (as a synchronous reset, which costs
// no LUT) and raise illegal_o. About 24 LUTs a byte; a table of 256 entries took 60.
//
// trits_o and illegal_o follow beat_i by one clock.

module tdpu_decode3
  import tdpu_pkg::*;
#(
  parameter  int unsigned BEAT_W = 64,
  localparam int unsigned Bytes  = BEAT_W / 8,
  localparam int unsigned Lanes  = lanes(CodeBase3, BEAT_W)
) (
  input  logic               clk_i,
  input  logic  [BEAT_W-1:0] beat_i,
  output trit_t [ Lanes-1:0] trits_o,
  output logic               illegal_o
);

  function automatic logic [11:0] nine_times(logic [7:0] r);
    return {1'b0, r, 3'b0} + {4'b0, r};
  endfunction

  function automatic trit_t trit(logic [1:0] digit);
    return '{nz: digit != 2'd1, neg: digit == 2'd0};
  endfunction

  // The digits of 0 to 8.
  function automatic trit_t [1:0] two_trits(logic [3:0] q);
    logic [1:0] high, low;
    high = q >= 4'd6 ? 2'd2 : (q >= 4'd3 ? 2'd1 : 2'd0);
    low  = 2'(q - 4'd3 * 4'(high));
    return {trit(low), trit(high)};
  endfunction

  logic [Bytes-1:0] illegal;

  for (genvar j = 0; j < Bytes; j++) begin : gen_byte
    logic [11:0] first, second;
    logic [7:0] r;
    trit_t [4:0] trits;

    assign first = nine_times(beat_i[8*j+:8]);
    assign second = nine_times(first[7:0]);
    assign r = second[7:0];
    assign trits[1:0] = two_trits(first[11:8]);
    assign trits[3:2] = two_trits(second[11:8]);
    assign trits[4] = trit(r[7:2] < 6'd21 ? 2'd0 : (r[7:2] < 6'd42 ? 2'd1 : 2'd2));
    assign illegal[j] = (r > 8'd80 && r < 8'd86) || (r > 8'd166 && r < 8'd171) || r > 8'd251;

    always_ff @(posedge clk_i) trits_o[5*j+:5] <= illegal[j] ? '0 : trits;
  end

  always_ff @(posedge clk_i) illegal_o <= |illegal;

endmodule
