// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_sequencer: descriptors are fetched in ring order, none that was not handed over, and each
// gives exactly one entry, in order, with its own address and an alternating slot; an entry either
// comes with a job of the core or has an error; a descriptor that came with an error response is
// refused as such, and no other is; a job that reuses activations has those of the right shape in
// the store, or its entry says that they were lost; every job gets exactly its read commands, in
// order; its counts were computed from its own descriptor; at most two descriptors are in flight;
// head and tail follow completions and accepted doorbells, and a doorbell is refused exactly when it
// hands over more than the ring holds or takes one back; a halt drops everything; offers wait unchanged; and while
// descriptors are left, at most Bound clocks in a row pass in which nothing moves and nothing
// outside is waited for.
//
// Longer than 300 lines: the invariants that close the induction stand beside the properties.

module fv_sequencer
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W  = 128,
  parameter int unsigned ENGINES = 2,
  parameter int unsigned BATCH   = 3,
  parameter int unsigned K_MAX   = 6912,
  parameter int unsigned HELP    = 1,  // 0: the properties without the invariants that prove them
  parameter int unsigned COVER   = 0   // 1: what must be reachable, as asserts of the opposite
) (
  input logic               clk_i,
  input logic               halt_i,
  input logic               clear_i,
  input logic               enable_i,
  input addr_t              base_i,
  input logic [3:0]         log2_i,
  input logic               doorbell_i,
  input logic [15:0]        doorbell_tail_i,
  input logic               fetch_ready_i,
  input logic               desc_valid_i,
  input logic [BEAT_W-1:0]  desc_data_i,
  input logic               desc_error_i,
  input logic               job_ready_i,
  input logic [ENGINES-1:0] cmd_ready_i,
  input logic               done_i,
  input logic               acts_error_i
);

  localparam int unsigned DescBeats = DescBytes / (BEAT_W / 8);
  // The counts of a job, one bit a clock, and the clocks around them: 37.
  localparam int unsigned Steps = RowsW + 1;
  localparam int unsigned Bound = Steps + KW + 2;

  logic rst_n = 1'b0;
  logic [15:0] head, tail;
  logic busy, ring_error, fetch_valid, job_valid, cmd_weights, entry_valid, slot, reuse;
  logic [ENGINES-1:0] cmd_valid;
  addr_t fetch_addr, cmd_addr, entry_desc, base;
  logic [3:0] log2;
  beats_t cmd_beats;
  status_e status;
  job_t job;

  // The ring's registers do not change while it is used.
  always_ff @(posedge clk_i) begin
    rst_n <= 1'b1;
    if (!rst_n) {base, log2} <= {base_i, log2_i};
  end

  tdpu_sequencer #(.BEAT_W(BEAT_W), .ENGINES(ENGINES), .BATCH(BATCH), .K_MAX(K_MAX)) u_dut (
    .clk_i,
    .rst_ni         (rst_n),
    .halt_i,
    .clear_i,
    .enable_i,
    .ring_base_i    (base),
    .ring_log2_i    (log2),
    .doorbell_i,
    .doorbell_tail_i,
    .head_o         (head),
    .tail_o         (tail),
    .busy_o         (busy),
    .ring_error_o   (ring_error),
    .fetch_valid_o  (fetch_valid),
    .fetch_ready_i,
    .fetch_addr_o   (fetch_addr),
    .desc_valid_i,
    .desc_data_i,
    .desc_error_i,
    .job_valid_o    (job_valid),
    .job_ready_i,
    .job_o          (job),
    .cmd_valid_o    (cmd_valid),
    .cmd_ready_i,
    .cmd_addr_o     (cmd_addr),
    .cmd_beats_o    (cmd_beats),
    .cmd_weights_o  (cmd_weights),
    .entry_valid_o  (entry_valid),
    .entry_slot_o   (slot),
    .entry_reuse_o  (reuse),
    .entry_status_o (status),
    .entry_desc_o   (entry_desc),
    .done_i,
    .acts_error_i
  );

  // ---- The ring ----

  logic [15:0] next, ring, want_head, want_tail;
  logic fits;
  assign ring = 16'd1 << log2;
  assign fits = 16'(doorbell_tail_i - want_head) <= ring
      && 16'(doorbell_tail_i - want_head) >= 16'(want_tail - want_head);

  // next: the descriptor whose entry comes next.
  always_ff @(posedge clk_i) begin
    if (!rst_n || (halt_i && clear_i)) begin
      {want_head, want_tail, next} <= '0;
    end else if (halt_i) begin
      want_head <= want_tail;
      next      <= want_tail;
    end else begin
      want_head <= want_head + 16'(done_i);
      next      <= next + 16'(entry_valid);
      if (doorbell_i && fits) want_tail <= doorbell_tail_i;
    end
  end

  // ---- A descriptor: asked for, received, entered ----

  logic fetch, accepted, received, broken, wanted_slot;
  logic [4:0] owed;
  logic [1:0] entered;  // entries that are not done
  assign fetch = rst_n && fetch_valid && fetch_ready_i;
  assign accepted = rst_n && job_valid && job_ready_i && !halt_i;

  always_ff @(posedge clk_i) begin
    if (!rst_n || halt_i) begin
      owed        <= '0;
      received    <= 1'b0;
      entered     <= '0;
      wanted_slot <= 1'b0;
    end else begin
      owed        <= fetch ? 5'(DescBeats) : owed - 5'(desc_valid_i);
      received    <= (received || (desc_valid_i && owed == 5'd1)) && !entry_valid;
      entered     <= entered + 2'(entry_valid) - 2'(done_i);
      wanted_slot <= wanted_slot ^ entry_valid;
    end
    if (desc_valid_i) broken <= desc_error_i || (broken && owed != 5'(DescBeats));
  end

  // ---- What the store holds ----

  logic held;
  k_t held_k, job_k, counted_k;
  rows_t counted_rows;
  logic [4:0] held_vectors;
  assign job_k = u_dut.desc.k[KW-1:0];

  always_ff @(posedge clk_i) begin
    held <= rst_n && !halt_i && ((accepted && job.load) || (held && !acts_error_i));
    if (accepted && job.load) {held_k, held_vectors} <= {job_k, job.vectors};
    // What the counts are computed from.
    if (u_dut.u_calc.start_i && u_dut.u_calc.done_o) begin
      counted_k    <= u_dut.u_calc.k_i;
      counted_rows <= u_dut.u_calc.rows_i;
    end
  end

  // ---- The commands of an issued job ----

  job_t issued;
  logic loading, weighing, command;
  logic [4:0] vector;
  logic [2:0] port;
  addr_t at;
  assign command = |(cmd_valid & cmd_ready_i);

  always_ff @(posedge clk_i) begin
    if (!rst_n || halt_i) begin
      loading  <= 1'b0;
      weighing <= 1'b0;
    end else if (accepted) begin
      issued   <= job;
      loading  <= job.load;
      weighing <= !job.load;
      at       <= job.load ? job.activations : job.weights;
      vector   <= '0;
      port     <= '0;
    end else if (command && loading) begin
      vector <= vector + 1'b1;
      port   <= port == 3'(ENGINES - 1) ? '0 : port + 1'b1;
      at     <= at + issued.activation_stride;
      if (vector == issued.vectors - 1'b1) begin
        loading  <= 1'b0;
        weighing <= 1'b1;
        port     <= '0;
        at       <= issued.weights;
      end
    end else if (command) begin
      port     <= port + 1'b1;
      at       <= at + issued.weight_stride;
      weighing <= port != 3'(ENGINES - 1);
    end
  end

  // ---- Progress, and what waits unchanged ----

  logic was_halted, restarted, work, refused, moved, fetch_waited, job_waited, cmd_waited;
  addr_t waited_addr;
  job_t waited_job;
  logic [7:0] quiet;

  assign work = (enable_i && next != want_tail) || owed != '0 || received || fetch_valid || loading
      || weighing;
  assign refused = (fetch_valid && !fetch_ready_i) || (job_valid && !job_ready_i)
      || (cmd_valid != '0 && !command) || (owed != '0 && !desc_valid_i) || entered == 2'd2;
  assign moved = fetch || desc_valid_i || entry_valid || command || done_i || doorbell_i;

  always_ff @(posedge clk_i) begin
    was_halted   <= rst_n && halt_i;
    restarted    <= rst_n && (restarted || (halt_i && received));
    fetch_waited <= rst_n && !halt_i && fetch_valid && !fetch_ready_i;
    waited_addr  <= fetch_addr;
    job_waited   <= rst_n && !halt_i && job_valid && !job_ready_i;
    waited_job   <= job;
    quiet        <= !rst_n || halt_i || !work || refused || moved ? '0 : quiet + 1'b1;
  end

  always_comb begin
    // Beats only of what was asked for, completions only of entries.
    assume (!(rst_n && desc_valid_i && (owed == '0 || halt_i)));
    assume (!(rst_n && done_i && (entered == '0 || halt_i)));
  end

  // ---- Helper invariants: they follow the unit's registers, so that the proof closes ----

  localparam logic [2:0] StIdle = 3'd0, StFetch = 3'd1, StReceive = 3'd2, StCheck = 3'd3,
      StIssue = 3'd4, StActivations = 3'd5, StWeights = 3'd6;
  localparam logic [1:0] CalcDone = 2'd0, CalcDivide = 2'd1, CalcMultiply = 2'd2;
  logic [2:0] state;
  logic [1:0] calc;
  logic [4:0] step;
  assign state = u_dut.state_q;
  assign calc = u_dut.u_calc.state_q;
  assign step = u_dut.u_calc.step_q;

  if (COVER == 0 && HELP == 1) begin : gen_helper
    always_comb begin
      if (rst_n) begin
        assert (state <= StWeights && calc <= CalcMultiply);
        assert (head == want_head && tail == want_tail && u_dut.fetch_q == next);
        assert (16'(want_tail - want_head) <= ring);
        assert (16'(next - want_head) == 16'(entered));
        assert (entered <= 2'd2 && 16'(entered) <= 16'(want_tail - want_head));
        assert (u_dut.flight_q == entered
            + 2'(state == StFetch || state == StReceive || state == StCheck || state == StIssue));
        assert (u_dut.flight_q <= 2'd2);
        assert (!(state == StFetch || state == StReceive || state == StCheck || state == StIssue)
            || next != want_tail);
        assert (slot == wanted_slot);
        assert (owed <= 5'(DescBeats) && (owed != '0) == (state == StReceive));
        assert (u_dut.index_q == $clog2(DescBeats)'(5'(DescBeats) - owed)
            || (owed == '0 && u_dut.index_q == '0));
        assert (received == (state == StCheck || state == StIssue));
        assert (!received || broken == u_dut.error_q);
        assert (owed == 5'(DescBeats) || owed == '0 || broken == u_dut.error_q);
        assert (state != StIssue || (status == StatusOk || status == StatusReuse));
        assert (held == u_dut.held_q);
        assert (!held || (held_k == u_dut.held_k_q && held_vectors == u_dut.held_vectors_q));
        assert (!was_halted || (state == StIdle && owed == '0 && !received));
        // Commands.
        assert (loading == (state == StActivations) && weighing == (state == StWeights));
        if (loading || weighing) begin
          assert (issued == job && at == u_dut.addr_q && port == 3'(u_dut.port_q));
          assert (port < 3'(ENGINES));
          assert (weighing || vector == u_dut.vector_q);
        end
        // Counts.
        assert (calc == CalcDone || (state == StCheck && u_dut.calc_started_q));
        assert (!(state == StCheck && u_dut.calc_started_q) && state != StIssue
            || (counted_k == job_k && counted_rows == u_dut.desc.rows[RowsW-1:0]));
        assert (calc != CalcDivide || step <= 5'(RowsW));
        assert (calc != CalcMultiply || step <= 5'(KW - 1));
        assert (state != StCheck || u_dut.calc_started_q || quiet == '0);
        assert (calc != CalcDivide || quiet <= 8'(Steps) - 8'(step));
        assert (calc != CalcMultiply || quiet <= 8'(Steps + KW) - 8'(step));
        assert (calc != CalcDone || state != StCheck || quiet <= 8'(Steps + KW + 1));
        assert (state == StCheck || state == StIssue || quiet <= 8'(state == StFetch));
        assert (state != StIssue || quiet <= 8'(Bound));
      end
    end
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        // The ring.
        assert (head == want_head && tail == want_tail);
        assert (16'(tail - head) <= ring);
        assert (ring_error == (doorbell_i && !fits));
        assert (16'(next - head) <= 16'(tail - head));
        // Fetched in order, what was handed over, one after the other.
        assert (!fetch_valid || fetch_addr == base + (addr_t'(next & (ring - 1'b1)) << 6));
        assert (!fetch_valid || (next != tail && owed == '0 && !received && !loading && !weighing));
        assert (!fetch_waited || (fetch_valid && fetch_addr == waited_addr));
        // One entry for each that was received.
        assert (!entry_valid || received);
        assert (!entry_valid || entry_desc == base + (addr_t'(next & (ring - 1'b1)) << 6));
        assert (!entry_valid || slot == wanted_slot);
        assert (entered <= 2'd2 && !(entry_valid && entered == 2'd2));
        assert (!accepted || entry_valid);
        assert (!(entry_valid && status == StatusOk) || (job_valid && job_ready_i));
        assert (!(job_valid && job_ready_i) || status == StatusOk || status == StatusReuse);
        assert (!entry_valid || (status == StatusAxiRead) == broken);
        // Reused activations are there.
        assert (!(entry_valid && status == StatusOk && !job.load)
            || (held && held_k == job_k && job.vectors <= held_vectors));
        assert (!entry_valid || reuse == !job.load);
        assert (!entry_valid || status != StatusOk
            || (job.vectors != '0 && job.vectors <= 5'(BATCH) && job_k != '0 && job.rows != '0));
        // Its counts are its own.
        assert (!accepted || (counted_k == job_k && counted_rows == job.rows));
        assert (!job_waited || (job_valid && job == waited_job));
        // Exactly its commands.
        assert (cmd_valid == (loading || weighing ? ENGINES'(1) << port : '0));
        assert (cmd_valid == '0 || (cmd_addr == at && cmd_weights == weighing));
        assert (cmd_valid == '0 || cmd_beats == (weighing ? issued.beats
            : (beats_t'(issued.words) << 2) + beats_t'(issued.words)));
        assert (!(job_valid && (loading || weighing)));
        // A halt.
        assert (!was_halted || !(fetch_valid || job_valid || entry_valid || cmd_valid != '0));
        assert (!was_halted || head == tail);
        // Busy while anything is left.
        assert (busy || (entered == '0 && owed == '0 && !received && !fetch_valid));
        // Progress.
        assert (quiet <= 8'(Bound));
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      if (rst_n) begin
        assert (!(16'(tail - head) == ring && log2 == 4'd2));
        assert (!(ring_error && tail != head));
        assert (!(entered == 2'd2));
        assert (!(entry_valid && status == StatusOk && next == 16'd1));
        assert (!(accepted && status == StatusReuse));
        assert (!(entry_valid && status == StatusAxiRead));
        assert (!(accepted && !job.load));
        assert (!(weighing && command && port == 3'(ENGINES - 1) && issued.vectors == 5'(BATCH)
            && issued.load));
        assert (!(accepted && restarted));
        assert (!(head == tail && head == 16'd2));
      end
    end
  end

endmodule
