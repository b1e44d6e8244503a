// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_engine for proofs that look at no value: any result, any illegal code.

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
  output logic                           illegal_o,
  input  act_t [BATCH-1:0][Lanes-1:0]    acts_i,
  input  logic                           valid_i,
  input  logic                           first_i,
  input  logic                           last_i,
  output logic [BATCH-1:0][AccW-1:0]     results_o
);

  // No output has a driver: each may have any value in any clock.

endmodule
