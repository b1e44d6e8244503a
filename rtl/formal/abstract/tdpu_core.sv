// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_core as its neighbours may rely on it (fv_core, fv_act_store prove it of the real one): a job
// is accepted when none waits; it begins when its activations are complete and the job before has
// taken its last step; it takes exactly its steps, each a beat of every port; its results come with the
// last one marked, those of one group of rows at a time; a flush drops everything. When a step is a
// group's last, and how many results a group has, is open. Numbers are stand-ins, see the sequencer.

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
  output logic                           running_o,
  output logic                           starved_o,
  output logic                           blocked_o,
  output logic [ENGINES-1:0]             illegal_o
);

  // Without a driver: anything.
  logic any_row_end, any_valid, any_end;

  logic next_q, run_q, pending_q, final_q;  // pending: results of a group are to come; its last group
  rows_t next_steps_q, steps_q;             // steps that are left
  logic [ENGINES-1:0][BeatsW-1:0] missing_q;  // activation beats that did not come
  logic accept, loaded, promote, step, last, row_end, result;

  assign loaded = missing_q == '0;
  assign job_ready_o = !next_q && !flush_i;
  assign accept = job_valid_i && job_ready_o;
  assign last = steps_q == rows_t'(1);
  assign row_end = last || any_row_end;
  assign step = run_q && (&w_valid_i) && !(row_end && pending_q);
  assign w_ready_o = step;
  assign job_last_step_o = step && last;
  assign promote = next_q && loaded && (!run_q || (step && last));
  assign res_valid_o = pending_q && any_valid;
  assign res_last_o = final_q && any_end;
  assign result = res_valid_o && res_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      next_q    <= 1'b0;
      run_q     <= 1'b0;
      pending_q <= 1'b0;
      missing_q <= '0;
    end else begin
      next_q    <= accept || (next_q && !promote);
      run_q     <= promote || (run_q && !(step && last));
      pending_q <= (step && row_end) || (pending_q && !(result && any_end));
      for (int unsigned p = 0; p < ENGINES; p++) begin
        if (accept && job_load_i) begin
          missing_q[p] <= '0;
          for (int unsigned n = 0; n < (BATCH + ENGINES - 1) / ENGINES; n++) begin
            // Vectors p, p + ENGINES, ...: so many of them.
            if (5'(p + n * ENGINES) < job_vectors_i) begin
              missing_q[p] <= beats_t'(job_words_i) * beats_t'(n + 1);
            end
          end
        end else begin
          missing_q[p] <= missing_q[p] - beats_t'(act_valid_i[p]);
        end
      end
    end
    if (accept) next_steps_q <= job_rows_i;
    if (promote) steps_q <= next_steps_q;
    else if (step) steps_q <= steps_q - 1'b1;
    if (step && row_end) final_q <= last;
  end

  // What is assumed of the neighbours: legal jobs; activations of the load, and no more.
  logic right;
  always_comb begin
    right = !job_valid_i || (job_rows_i != '0 && job_words_i != '0 && job_vectors_i != '0
        && job_vectors_i <= 5'(BATCH));
    for (int unsigned p = 0; p < ENGINES; p++) right &= !(act_valid_i[p] && missing_q[p] == '0);
  end

endmodule
