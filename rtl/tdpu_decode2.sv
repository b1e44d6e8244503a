// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Trits of a beat in the two-bit code: bits 2i+1:2i hold trit i as trit + 1.
//
// trits_o and illegal_o follow beat_i by one clock. The illegal code 11 decodes to 0, since nz is
// the inverse of bit 0, and raises illegal_o.

module tdpu_decode2
  import tdpu_pkg::*;
#(
  parameter  int unsigned BEAT_W = 64,
  localparam int unsigned Lanes  = lanes(CodeTwoBit, BEAT_W)
) (
  input  logic               clk_i,
  input  logic  [BEAT_W-1:0] beat_i,
  output trit_t [ Lanes-1:0] trits_o,
  output logic               illegal_o
);

  logic [Lanes-1:0] illegal;

  for (genvar i = 0; i < Lanes; i++) begin : gen_lane
    logic [1:0] code;
    assign code = beat_i[2*i+:2];
    assign illegal[i] = code == 2'b11;
    always_ff @(posedge clk_i) begin
      trits_o[i].nz  <= code == TritMinus || code == TritPlus;
      trits_o[i].neg <= code == TritMinus;
    end
  end

  always_ff @(posedge clk_i) illegal_o <= |illegal;

endmodule
