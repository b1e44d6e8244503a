// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// The array with its activation store and row sequencer: weight and activation beats in, results
// out, no memory path.
//
// A job (words a row, rows, vectors, whether it brings activations) is accepted when at most one
// job before it is unfinished; if it loads, its activation beats may come from the next clock on
// and go to the buffer that the job before does not read. Jobs run in order: a job's rows start
// when it is the oldest and its activations are complete. Its weight streams must hold exactly
// words * ceil(rows / ENGINES) beats each. job_last_step_o pulses with the last step of a job.
// flush_i drops every job; the store keeps nothing that a later job may reuse.

module tdpu_core
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W  = 64,
  parameter int unsigned CODE    = CodeBase3,
  parameter int unsigned ENGINES = 4,
  parameter int unsigned BATCH   = 1,
  parameter int unsigned K_MAX   = 6912
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           flush_i,

  input  logic                           job_valid_i,
  output logic                           job_ready_o,
  input  logic                           job_load_i,
  input  k_t                             job_words_i,
  input  rows_t                          job_rows_i,
  input  logic [4:0]                     job_vectors_i,
  output logic                           job_last_step_o,

  input  logic [ENGINES-1:0]             act_valid_i,
  input  logic [ENGINES-1:0][BEAT_W-1:0] act_data_i,

  input  logic [ENGINES-1:0]             w_valid_i,
  output logic                           w_ready_o,
  input  logic [ENGINES-1:0][BEAT_W-1:0] w_data_i,

  output logic                           res_valid_o,
  input  logic                           res_ready_i,
  output logic [31:0]                    res_data_o,
  output logic                           res_last_o,

  output logic                           running_o,  // between a job's first and last step
  output logic                           starved_o,  // a step waits for weights
  output logic                           blocked_o,  // a step waits for the result stream
  output logic [ENGINES-1:0]             illegal_o
);

  localparam int unsigned Lanes = lanes(CODE, BEAT_W);
  localparam int unsigned WordW = $clog2((K_MAX + Lanes - 1) / Lanes + 1);
  localparam int unsigned EngineW = ENGINES > 1 ? $clog2(ENGINES) : 1;
  localparam int unsigned VectorW = BATCH > 1 ? $clog2(BATCH) : 1;

  typedef struct packed {
    logic             buffer;
    logic [WordW-1:0] words;
    rows_t            rows;
    logic [4:0]       vectors;
  } entry_t;

  tdpu_check #(
    .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(ENGINES), .BATCH(BATCH), .K_MAX(K_MAX)
  ) u_check ();

  // next: accepted, perhaps still loading; run: the job whose rows are being computed.
  entry_t next_q, run_q;
  logic next_valid_q, run_valid_q, buffer_q;
  logic accept, promote, loaded, step, last_word, last_group, final_step;
  logic started_q;
  logic [WordW-1:0] word_q;
  act_t [BATCH-1:0][Lanes-1:0] acts;

  assign job_ready_o = !next_valid_q && !flush_i;
  assign accept = job_valid_i && job_ready_o;
  assign promote = next_valid_q && loaded && (!run_valid_q || final_step);
  assign last_word = word_q == run_q.words - 1'b1;
  assign last_group = run_q.rows <= RowsW'(ENGINES);
  assign final_step = step && last_word && last_group;
  assign job_last_step_o = final_step;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      next_valid_q <= 1'b0;
      run_valid_q  <= 1'b0;
      started_q    <= 1'b0;
      buffer_q     <= 1'b0;
    end else begin
      next_valid_q <= accept || (next_valid_q && !promote);
      run_valid_q  <= promote || (run_valid_q && !final_step);
      started_q    <= (started_q || step) && !final_step;
      if (accept && job_load_i) buffer_q <= ~buffer_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (accept) begin
      next_q <= '{
        buffer: buffer_q ^ job_load_i,
        words: WordW'(job_words_i),
        rows: job_rows_i,
        vectors: job_vectors_i
      };
    end
    if (promote) begin
      run_q  <= next_q;
      word_q <= '0;
    end else if (step) begin
      word_q <= last_word ? '0 : word_q + 1'b1;
      if (last_word) run_q.rows <= run_q.rows - RowsW'(ENGINES);
    end
  end

  tdpu_act_store #(
    .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(ENGINES), .BATCH(BATCH), .K_MAX(K_MAX)
  ) u_store (
    .clk_i,
    .rst_ni       (rst_ni && !flush_i),
    .start_i      (accept && job_load_i),
    .load_buffer_i(~buffer_q),
    .words_i      (WordW'(job_words_i)),
    .vectors_i    (job_vectors_i),
    .loaded_o     (loaded),
    .valid_i      (act_valid_i),
    .data_i       (act_data_i),
    .read_buffer_i(run_q.buffer),
    .read_word_i  (word_q),
    .acts_o       (acts)
  );

  tdpu_array #(
    .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(ENGINES), .BATCH(BATCH), .K_MAX(K_MAX)
  ) u_array (
    .clk_i,
    .rst_ni,
    .flush_i,
    .ctl_valid_i  (run_valid_q),
    .ctl_last_i   (last_word),
    .ctl_final_i  (last_group),
    .ctl_rows_i   (EngineW'(run_q.rows - 1'b1)),
    .ctl_vectors_i(VectorW'(run_q.vectors - 1'b1)),
    .step_o       (step),
    .w_valid_i,
    .w_ready_o,
    .w_data_i,
    .acts_i       (acts),
    .res_valid_o,
    .res_ready_i,
    .res_data_o,
    .res_last_o,
    .illegal_o
  );

  assign running_o = started_q || step;
  assign starved_o = run_valid_q && !(&w_valid_i);
  assign blocked_o = run_valid_q && (&w_valid_i) && !step;

  logic unused_words;
  assign unused_words = ^job_words_i[KW-1:WordW];

endmodule
