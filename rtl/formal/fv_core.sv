// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_core: jobs run in order; each takes exactly its steps (words a row group, as many groups as its
// rows need), every step a beat of all streams at once, its activations complete and in a buffer that
// no load touches before the job's last step; the word read is that of the step; the accumulators get each
// step's flags when its sum arrives and are not overwritten while results wait; each job gives
// exactly rows * vectors results, row by row, each of its own engine and vector, the last one marked;
// results wait unchanged; a flush drops everything; and while work is left, at most Bound clocks in a
// row pass in which nothing moves and no weights, activations or sink are waited for.
//
// The data path (engines, memory) is not part of it: no property looks at a value.

module fv_core
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W  = 32,
  parameter int unsigned CODE    = CodeTwoBit,
  parameter int unsigned ENGINES = 2,
  parameter int unsigned BATCH   = 2,
  parameter int unsigned K_MAX   = 64,
  parameter int unsigned HELP    = 1,  // 0: the properties without the invariants that prove them
  parameter int unsigned COVER   = 0   // 1: what must be reachable, as asserts of the opposite
) (
  input logic               clk_i,
  input logic               flush_i,
  input logic               job_valid_i,
  input logic               job_load_i,
  input k_t                 job_words_i,
  input rows_t              job_rows_i,
  input logic [4:0]         job_vectors_i,
  input logic [ENGINES-1:0] act_valid_i,
  input logic [ENGINES-1:0] w_valid_i,
  input logic               res_ready_i
);

  localparam int unsigned Lanes = lanes(CODE, BEAT_W);
  localparam int unsigned Words = (K_MAX + Lanes - 1) / Lanes;
  localparam int unsigned VectorW = BATCH > 1 ? $clog2(BATCH) : 1;
  localparam int unsigned Latency = 2 + $clog2(Lanes);
  // From a row group's last step to its first result, and a clock for the job behind to begin.
  localparam int unsigned Bound = Latency + 1;

  logic rst_n = 1'b0;
  logic job_ready, last_step, step, res_valid, res_last, running, starved, blocked;
  logic [31:0] res_data;
  logic [ENGINES-1:0] illegal;

  always_ff @(posedge clk_i) rst_n <= 1'b1;

  tdpu_core #(
    .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(ENGINES), .BATCH(BATCH), .K_MAX(K_MAX)
  ) u_dut (
    .clk_i,
    .rst_ni         (rst_n),
    .flush_i,
    .job_valid_i,
    .job_ready_o    (job_ready),
    .job_load_i,
    .job_words_i,
    .job_rows_i,
    .job_vectors_i,
    .job_last_step_o(last_step),
    .act_valid_i,
    .act_data_i     ('0),
    .w_valid_i,
    .w_ready_o      (step),
    .w_data_i       ('0),
    .res_valid_o    (res_valid),
    .res_ready_i,
    .res_data_o     (res_data),
    .res_last_o     (res_last),
    .running_o      (running),
    .starved_o      (starved),
    .blocked_o      (blocked),
    .illegal_o      (illegal)
  );

  // ---- Jobs that have steps left, the older one first ----

  typedef struct packed {
    logic       load;
    logic       buffer;  // that holds its activations
    k_t         words;
    rows_t      rows;
    logic [4:0] vectors;
  } job_t;

  logic accept, clear, buffer, fresh_buffer, row_end, job_end;
  logic [1:0] jobs;
  job_t older, newer, taken;
  k_t word;                // of the next step
  logic [RowsW:0] rows;    // of the older job whose steps are all taken
  logic begun;

  assign accept = rst_n && job_valid_i && job_ready;
  assign clear = !rst_n || flush_i;
  assign fresh_buffer = buffer ^ job_load_i;
  assign taken = '{job_load_i, fresh_buffer, job_words_i, job_rows_i, job_vectors_i};
  assign row_end = word == older.words - 1'b1;
  assign job_end = row_end && rows + (RowsW+1)'(ENGINES) >= {1'b0, older.rows};

  always_ff @(posedge clk_i) begin
    if (clear) begin
      jobs   <= '0;
      buffer <= 1'b0;
      word   <= '0;
      rows   <= '0;
      begun  <= 1'b0;
    end else begin
      jobs <= jobs + 2'(accept) - 2'(step && job_end);
      if (accept) buffer <= fresh_buffer;
      if (step) begin
        begun <= !job_end;
        word  <= row_end ? '0 : word + 1'b1;
        if (row_end) rows <= job_end ? '0 : rows + (RowsW+1)'(ENGINES);
      end
    end
    if (accept && (jobs == '0 || (jobs == 2'd1 && step && job_end))) older <= taken;
    else if (step && job_end) older <= newer;
    if (accept) newer <= taken;
  end

  // ---- Sums: each step's flags arrive with its sum ----

  logic [Latency-1:0] way, way_first, way_last;  // steps on their way, the newest at bit 0
  always_ff @(posedge clk_i) begin
    way       <= clear ? '0 : Latency'({way, step});
    way_first <= Latency'({way_first, word == '0});
    way_last  <= Latency'({way_last, row_end});
  end

  // ---- Results of the row group whose steps are all taken ----

  logic pending;
  logic [RowsW:0] base, row, of_rows;  // its first row; the row and vector of the next result
  logic [4:0] vector, of_vectors;
  logic result, group_end, result_end;

  assign result = rst_n && res_valid && res_ready_i;
  assign result_end = row == of_rows - 1'b1 && vector == of_vectors - 1'b1;
  assign group_end = result_end
      || (row == base + (RowsW+1)'(ENGINES - 1) && vector == of_vectors - 1'b1);

  always_ff @(posedge clk_i) begin
    if (clear) begin
      pending <= 1'b0;
      row     <= '0;
      vector  <= '0;
    end else begin
      pending <= (step && row_end) || (pending && !(result && group_end));
      if (result) begin
        vector <= vector == of_vectors - 1'b1 ? '0 : vector + 1'b1;
        if (vector == of_vectors - 1'b1) row <= result_end ? '0 : row + 1'b1;
      end
    end
    if (step && row_end) begin
      base       <= rows;
      of_rows    <= {1'b0, older.rows};
      of_vectors <= older.vectors;
    end
  end

  // ---- What waits unchanged; progress ----

  logic waited, waited_last, was_flushed, loaded, work, refused, moved;
  logic [7:0] quiet;

  assign loaded = u_dut.u_store.loaded_o;
  assign work = jobs != '0 || pending;
  assign refused = (res_valid && !res_ready_i) || (jobs != '0 && !(&w_valid_i))
      || (jobs != '0 && !begun && !loaded);
  assign moved = accept || step || result || (|act_valid_i);

  always_ff @(posedge clk_i) begin
    waited      <= !clear && res_valid && !res_ready_i;
    waited_last <= res_last;
    was_flushed <= rst_n && flush_i;
    quiet       <= clear || !work || refused || moved ? '0 : quiet + 1'b1;
  end

  // Legal jobs: what the sequencer lets through.
  always_comb begin
    assume (!job_valid_i || (job_words_i != '0 && job_words_i <= k_t'(Words)));
    assume (!job_valid_i || (job_rows_i != '0 && job_vectors_i != '0
        && job_vectors_i <= 5'(BATCH)));
  end

  // ---- Helper invariants: they follow the unit's registers, so that the proof closes ----

  logic next, run;
  assign next = u_dut.next_valid_q;
  assign run = u_dut.run_valid_q;

  if (COVER == 0 && HELP == 1) begin : gen_helper
    job_t waits;  // the job that has not begun, if there is one
    assign waits = run ? newer : older;
    always_comb begin
      if (rst_n) begin
        assert (jobs == 2'(next) + 2'(run) && buffer == u_dut.buffer_q);
        assert (loaded || (next && waits.load && u_dut.u_store.buffer_q == waits.buffer));
        if (run) begin
          assert (older.words == k_t'(u_dut.run_q.words) && older.vectors == u_dut.run_q.vectors
              && older.buffer == u_dut.run_q.buffer);
          assert ({1'b0, u_dut.run_q.rows} == {1'b0, older.rows} - rows);
          assert (rows < {1'b0, older.rows} && word < older.words && word == k_t'(u_dut.word_q));
          assert (begun == (word != '0 || rows != '0));
          assert (older.rows != '0 && older.words != '0 && older.words <= k_t'(Words));
          assert (older.vectors != '0 && older.vectors <= 5'(BATCH));
        end else begin
          assert (!begun && word == '0 && rows == '0);
        end
        if (next) begin
          assert (waits.words == k_t'(u_dut.next_q.words) && waits.vectors == u_dut.next_q.vectors
              && waits.buffer == u_dut.next_q.buffer && waits.rows == u_dut.next_q.rows);
          assert (waits.buffer == buffer && (!run || older.buffer == buffer ^ waits.load));
          assert (waits.rows != '0 && waits.words != '0 && waits.words <= k_t'(Words));
          assert (waits.vectors != '0 && waits.vectors <= 5'(BATCH));
        end else begin
          assert (!run || older.buffer == buffer);
        end
        assert (u_dut.started_q == begun);
        // The array.
        assert (u_dut.u_array.busy_q == pending && u_dut.u_array.first_q == (word == '0));
        assert (!u_dut.u_array.held_q || pending);
        // The last step of a pending group is on its way, until its results are there.
        assert (pending ? ($countones(way & way_last) == 32'(!u_dut.u_array.held_q))
            : (way & way_last) == '0);
        if (pending) begin
          assert (u_dut.u_array.vectors_q == VectorW'(of_vectors - 1'b1));
          assert (5'(u_dut.u_array.vector_q) == vector && vector < of_vectors);
          assert (of_vectors <= 5'(BATCH));
          assert ((RowsW+1)'(u_dut.u_array.engine_q) == row - base && row >= base);
          assert (row < of_rows && base < of_rows && row - base < (RowsW+1)'(ENGINES));
          assert (u_dut.u_array.final_q == (base + (RowsW+1)'(ENGINES) >= of_rows));
          assert ((RowsW+1)'(u_dut.u_array.rows_q) == (u_dut.u_array.final_q
              ? of_rows - base - 1'b1 : (RowsW+1)'(ENGINES - 1)));
          assert (of_rows <= {1'b0, {RowsW{1'b1}}});
          assert (!u_dut.u_array.held_q ? row == base && vector == '0 : 1'b1);
          // The job behind, or the same one, goes on where the group ended.
          assert (begun || u_dut.u_array.final_q || !run);
          assert (u_dut.u_array.final_q ? rows == '0 : (run && rows == base + (RowsW+1)'(ENGINES)
              && of_rows == {1'b0, older.rows} && of_vectors == older.vectors));
        end else begin
          assert (vector == '0 && row == rows);
        end
        // Progress: a sum is on its way.
        if (pending && !u_dut.u_array.held_q) begin
          for (int unsigned l = 0; l < Latency; l++) begin
            if (way[l] && way_last[l]) assert (quiet <= 8'(l) + 8'd1);
          end
        end else begin
          assert (quiet <= 8'(Bound));
          assert (!u_dut.u_array.held_q || quiet <= 8'(Latency + 1));
          assert (pending || quiet <= 8'(run));
        end
      end
    end
    for (genvar l = 0; l < Latency; l++) begin : gen_way
      always_comb begin
        if (rst_n) begin
          assert (u_dut.u_array.flags_q[l].valid == way[l]);
          assert (!way[l] || (u_dut.u_array.flags_q[l].first == way_first[l]
              && u_dut.u_array.flags_q[l].last == way_last[l]));
        end
      end
    end
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        // Jobs: two at most, steps of the older one, exactly as many as it has.
        assert (jobs <= 2'd2 && !(accept && jobs == 2'd2));
        assert (!step || (jobs != '0 && (&w_valid_i)));
        assert (last_step == (step && job_end));
        assert (running == (step || begun));
        // Activations: the word of the step, from the job's buffer, which is complete and which no
        // load touches while the job has steps left.
        assert (!step || (u_dut.u_store.read_buffer_i == older.buffer
            && k_t'(u_dut.u_store.read_word_i) == word));
        assert (!step || loaded || u_dut.u_store.buffer_q != older.buffer);
        assert (u_dut.u_store.start_i == (accept && job_load_i));
        assert (!(accept && job_load_i) || (loaded && u_dut.u_store.load_buffer_i == fresh_buffer));
        assert (!(accept && job_load_i && jobs != '0) || older.buffer != fresh_buffer);
        // Flags arrive with the sums; results that wait are not overwritten.
        assert (u_dut.u_array.flags_q[Latency-1].valid == way[Latency-1]);
        assert (!way[Latency-1] || (u_dut.u_array.flags_q[Latency-1].first == way_first[Latency-1]
            && u_dut.u_array.flags_q[Latency-1].last == way_last[Latency-1]));
        assert (!(way[Latency-1] && way_last[Latency-1] && res_valid));
        // Results: rows * vectors of a job, in order, each from its engine and vector.
        assert (!res_valid || (pending && row < of_rows && vector < of_vectors));
        assert (!(step && row_end && pending));
        assert (!res_valid || res_last == result_end);
        assert (!res_valid || ((RowsW+1)'(u_dut.u_array.engine_q) == row - base
            && 5'(u_dut.u_array.vector_q) == vector));
        assert (!(step && row_end) || rows == row);
        assert (!waited || (res_valid && res_last == waited_last));
        // A flush.
        assert (!(flush_i && job_ready));
        assert (!was_flushed || (!step && !res_valid && jobs == '0 && (job_ready || flush_i)));
        // Progress.
        assert (quiet <= 8'(Bound));
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      if (rst_n) begin
        assert (!(jobs == 2'd2 && step && job_end && rows != '0));
        assert (!(jobs == 2'd2 && !loaded && step && row_end));
        assert (!(res_valid && !res_ready_i && jobs == 2'd2 && (&w_valid_i) && !step && loaded));
        assert (!(result && res_last && of_rows == (RowsW+1)'(ENGINES + 1)
            && of_vectors == 5'(BATCH)));
        assert (!(step && begun && !older.load));
        assert (!(was_flushed && accept));
        assert (!(accept && job_load_i && begun));
        assert (!(quiet == 8'(Latency)));
      end
    end
  end

endmodule
