// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_sequencer as its neighbours may rely on it (fv_sequencer proves it of the real one): fetches
// one descriptor after the other, two in flight; each received one gives one entry, with a job or an
// error, slots alternate; a job's commands follow it, all and in order; a halt drops everything. When
// it does so, and with what, is open. What it assumes of the neighbours
// is `right`, which fv_top proves.
//
// A job's numbers are stand-ins: rows for the beats of a port's stream (words * groups of rows), words
// for the activation beats of a vector. That the unit's own numbers agree is fv_calc's, fv_sequencer's
// and fv_core's matter.

module tdpu_sequencer
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W  = 64,
  parameter int unsigned CODE    = CodeBase3,
  parameter int unsigned ENGINES = 4,
  parameter int unsigned BATCH   = 1,
  parameter int unsigned K_MAX   = 6912
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic               halt_i,
  input  logic               clear_i,
  input  logic               enable_i,
  input  addr_t              ring_base_i,
  input  logic [3:0]         ring_log2_i,
  input  logic               doorbell_i,
  input  logic [15:0]        doorbell_tail_i,
  output logic [15:0]        head_o,
  output logic [15:0]        tail_o,
  output logic               busy_o,
  output logic               ring_error_o,
  output logic               fetch_valid_o,
  input  logic               fetch_ready_i,
  output addr_t              fetch_addr_o,
  input  logic               desc_valid_i,
  input  logic [BEAT_W-1:0]  desc_data_i,
  input  logic               desc_error_i,
  output logic               job_valid_o,
  input  logic               job_ready_i,
  output job_t               job_o,
  output logic [ENGINES-1:0] cmd_valid_o,
  input  logic [ENGINES-1:0] cmd_ready_i,
  output addr_t              cmd_addr_o,
  output beats_t             cmd_beats_o,
  output logic               cmd_weights_o,
  output logic               entry_valid_o,
  output logic               entry_slot_o,
  output logic               entry_reuse_o,
  output status_e            entry_status_o,
  output addr_t              entry_desc_o,
  input  logic               done_i,
  input  logic               acts_error_i
);

  localparam int unsigned DescBeats = DescBytes / (BEAT_W / 8);
  localparam logic [2:0] Idle = 3'd0, Fetch = 3'd1, Receive = 3'd2, Check = 3'd3, Issue = 3'd4,
      Activations = 3'd5, Weights = 3'd6;

  // Without a driver: anything.
  logic any_fetch, any_checked, any_refused, any_lost;
  job_t any_job;
  status_e any_status;
  addr_t any_desc;

  logic [2:0] phase_q;
  logic [4:0] owed_q;      // beats of the descriptor that did not come
  logic [1:0] entered_q;   // entries that are not done
  logic slot_q;
  job_t job_q;
  addr_t desc_q;
  logic [4:0] vector_q;
  logic [2:0] port_q;
  logic accepted, refused, command;

  assign fetch_valid_o = phase_q == Fetch;
  assign job_valid_o = phase_q == Issue;
  assign job_o = job_q;
  assign accepted = job_valid_o && job_ready_i;
  assign refused = phase_q == Check && any_checked && any_refused;
  assign entry_valid_o = accepted || refused;
  assign entry_slot_o = slot_q;
  assign entry_status_o = refused ? any_status
      : !job_q.load && any_lost ? StatusReuse : StatusOk;
  assign entry_desc_o = desc_q;
  assign entry_reuse_o = !job_q.load;
  assign cmd_weights_o = phase_q == Weights;
  assign cmd_beats_o = cmd_weights_o ? job_q.beats : beats_t'(job_q.words);
  assign command = |(cmd_valid_o & cmd_ready_i);

  always_comb begin
    cmd_valid_o = phase_q == Activations || phase_q == Weights ? ENGINES'(1) << port_q : '0;
    assume (any_status != StatusOk);
    assume (any_job.rows != '0 && any_job.words != '0 && any_job.beats == beats_t'(any_job.rows));
    assume (any_job.vectors != '0 && any_job.vectors <= 5'(BATCH));
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || halt_i) begin
      phase_q   <= Idle;
      owed_q    <= '0;
      entered_q <= '0;
      slot_q    <= 1'b0;
    end else begin
      entered_q <= entered_q + 2'(entry_valid_o) - 2'(done_i);
      slot_q    <= slot_q ^ entry_valid_o;
      if (fetch_valid_o && fetch_ready_i) owed_q <= 5'(DescBeats);
      else owed_q <= owed_q - 5'(desc_valid_i);
      unique case (phase_q)
        Idle:    if (any_fetch && entered_q < 2'd2) phase_q <= Fetch;
        Fetch:   if (fetch_ready_i) phase_q <= Receive;
        Receive: if (desc_valid_i && owed_q == 5'd1) phase_q <= Check;
        Check:   if (any_checked) phase_q <= any_refused ? Idle : Issue;
        Issue:   if (job_ready_i) phase_q <= job_q.load ? Activations : Weights;
        Activations: if (command && vector_q == job_q.vectors - 1'b1) phase_q <= Weights;
        Weights: if (command && port_q == 3'(ENGINES - 1)) phase_q <= Idle;
        default: phase_q <= Idle;
      endcase
    end
    if (phase_q == Receive) begin
      job_q  <= any_job;
      desc_q <= any_desc;
    end
    if (phase_q == Issue) begin
      vector_q <= '0;
      port_q   <= '0;
    end else if (command) begin
      vector_q <= vector_q + 1'b1;
      port_q   <= port_q == 3'(ENGINES - 1)
          || (phase_q == Activations && vector_q == job_q.vectors - 1'b1) ? '0 : port_q + 1'b1;
    end
  end

  // What is assumed of the neighbours.
  logic right;
  assign right = !(desc_valid_i && (owed_q == '0 || halt_i))
      && !(done_i && (entered_q == '0 || halt_i));

endmodule
