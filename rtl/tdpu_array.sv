// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// ENGINES engines in lock-step on one broadcast activation word, with a serial result stream.
//
// A step takes one beat of every weight stream, in the clock where step_o is high; it needs
// ctl_valid_i and all w_valid_i. The activation word of that step must be at acts_i two clocks
// later. ctl_last_i marks the last beat of a row; ctl_final_i the last row group of a job, of which
// only engines 0 to ctl_rows_i have a row. Results leave as int32, engine by engine and vector by
// vector (0 to ctl_vectors_i), res_last_o with the last one of the job.
//
// A row's last beat waits until the results of the row before have left, so one holding register
// per accumulator is enough: it never waits where a row has at least
// ENGINES * BATCH + Levels + 4 beats and the sink is ready.

module tdpu_array
  import tdpu_pkg::*;
#(
  parameter  int unsigned BEAT_W  = 64,
  parameter  int unsigned CODE    = CodeBase3,
  parameter  int unsigned ENGINES = 4,
  parameter  int unsigned BATCH   = 1,
  parameter  int unsigned K_MAX   = 6912,
  localparam int unsigned Lanes   = lanes(CODE, BEAT_W),
  localparam int unsigned EngineW = ENGINES > 1 ? $clog2(ENGINES) : 1,
  localparam int unsigned VectorW = BATCH > 1 ? $clog2(BATCH) : 1
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           flush_i,

  input  logic                           ctl_valid_i,
  input  logic                           ctl_last_i,
  input  logic                           ctl_final_i,
  input  logic [EngineW-1:0]             ctl_rows_i,     // engines with a row, less one
  input  logic [VectorW-1:0]             ctl_vectors_i,  // vectors, less one
  output logic                           step_o,

  input  logic [ENGINES-1:0]             w_valid_i,
  output logic                           w_ready_o,      // one for all: lock-step
  input  logic [ENGINES-1:0][BEAT_W-1:0] w_data_i,
  input  act_t [BATCH-1:0][Lanes-1:0]    acts_i,

  output logic                           res_valid_o,
  input  logic                           res_ready_i,
  output logic [31:0]                    res_data_o,
  output logic                           res_last_o,

  output logic [ENGINES-1:0]             illegal_o       // the beat held an illegal code
);

  localparam int unsigned AccW = acc_width(K_MAX);
  localparam int unsigned Latency = 2 + $clog2(Lanes);

  // One entry a stage between a step and its sum.
  typedef struct packed {
    logic valid;
    logic first;
    logic last;
  } flags_t;

  flags_t [Latency-1:0] flags_q;
  logic first_q, busy_q, held_q, drained;
  logic final_q;
  logic [EngineW-1:0] rows_q, engine_q;
  logic [VectorW-1:0] vectors_q, vector_q;
  logic [ENGINES-1:0] illegal;
  logic [ENGINES-1:0][BATCH-1:0][AccW-1:0] results;

  assign step_o = ctl_valid_i && (&w_valid_i) && !(ctl_last_i && busy_q);
  assign w_ready_o = step_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      flags_q <= '0;
      first_q <= 1'b1;
    end else begin
      flags_q <= {flags_q[Latency-2:0], flags_t'{valid: step_o, first: first_q, last: ctl_last_i}};
      if (step_o) first_q <= ctl_last_i;
    end
  end

  for (genvar e = 0; e < ENGINES; e++) begin : gen_engine
    tdpu_engine #(.BEAT_W(BEAT_W), .CODE(CODE), .BATCH(BATCH), .K_MAX(K_MAX)) u_engine (
      .clk_i,
      .beat_i   (w_data_i[e]),
      .illegal_o(illegal[e]),
      .acts_i,
      .valid_i  (flags_q[Latency-1].valid),
      .first_i  (flags_q[Latency-1].first),
      .last_i   (flags_q[Latency-1].last),
      .results_o(results[e])
    );
    assign illegal_o[e] = illegal[e] && flags_q[1].valid;
  end

  // busy_q: a row's results are under way or held; held_q: they can be sent.
  assign drained = res_valid_o && res_ready_i && vector_q == vectors_q && engine_q == rows_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      busy_q <= 1'b0;
      held_q <= 1'b0;
    end else begin
      busy_q <= (step_o && ctl_last_i) || (busy_q && !drained);
      held_q <= (flags_q[Latency-1].valid && flags_q[Latency-1].last) || (held_q && !drained);
    end
  end

  always_ff @(posedge clk_i) begin
    if (step_o && ctl_last_i) begin
      final_q   <= ctl_final_i;
      rows_q    <= ctl_final_i ? ctl_rows_i : EngineW'(ENGINES - 1);
      vectors_q <= ctl_vectors_i;
      engine_q  <= '0;
      vector_q  <= '0;
    end else if (res_valid_o && res_ready_i) begin
      vector_q <= vector_q == vectors_q ? '0 : vector_q + 1'b1;
      if (vector_q == vectors_q) engine_q <= engine_q + 1'b1;
    end
  end

  assign res_valid_o = held_q;
  assign res_data_o = 32'($signed(results[engine_q][vector_q]));
  assign res_last_o = final_q && vector_q == vectors_q && engine_q == rows_q;

endmodule
