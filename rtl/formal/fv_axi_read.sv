// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_axi_read: a command becomes exactly its beats, in order, in bursts of at most 16 that stay in
// a page; every beat comes out at what it was asked for; never more weights are asked for than the
// FIFO has reserved, nor more than 8 bursts; AR waits unchanged and not for ARREADY; errors name
// their burst; a halt silences the outputs and ends with nothing outstanding; and while work is left,
// at most Bound clocks in a row pass in which nothing moves and neither ARREADY, data of the memory nor
// the sink of the weights is waited for.
//
// The solver chooses one burst to watch (choose_i): it is followed from AR to its last beat, so what
// holds for it holds for each. Values of data are not followed: a beat goes to data_o and to the
// FIFO's input by a wire, and fv_queue proves the FIFO.

module fv_axi_read
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W     = 32,
  parameter int unsigned FIFO_DEPTH = 128,
  parameter int unsigned HELP       = 1,  // 0: without the invariants that prove the properties
  parameter int unsigned COVER      = 0   // 1: what must be reachable, as asserts of the opposite
) (
  input logic   clk_i,
  input logic   halt_i,
  input logic   cmd_valid_i,
  input addr_t  cmd_addr_i,
  input beats_t cmd_beats_i,
  input logic   cmd_weights_i,
  input logic   cmd_job_i,
  input logic   desc_valid_i,
  input addr_t  desc_addr_i,
  input logic   arready_i,
  input logic   rvalid_i,
  input logic   rresp_i,
  input logic   w_ready_i,
  input logic   choose_i
);

  localparam int unsigned BeatBytes = BEAT_W / 8;
  localparam int unsigned BurstBytes = BurstBeats * BeatBytes;
  localparam int unsigned DescBeats = DescBytes / BeatBytes;
  // A burst is offered one clock after its command or its room came.
  localparam int unsigned Bound = 1;

  logic rst_n = 1'b0;
  logic idle, cmd_ready, desc_ready, ar_valid, r_ready, w_valid, act_valid, desc_valid, error;
  logic error_job, timeout;
  dest_e error_dest;
  addr_t ar_addr, error_addr;
  logic [7:0] ar_len;
  logic [BEAT_W-1:0] w_data, data;

  always_ff @(posedge clk_i) rst_n <= 1'b1;

  tdpu_axi_read #(.BEAT_W(BEAT_W), .FIFO_DEPTH(FIFO_DEPTH)) u_dut (
    .clk_i,
    .rst_ni         (rst_n),
    .halt_i,
    .idle_o         (idle),
    .cmd_valid_i,
    .cmd_ready_o    (cmd_ready),
    .cmd_addr_i,
    .cmd_beats_i,
    .cmd_weights_i,
    .cmd_job_i,
    .desc_valid_i,
    .desc_ready_o   (desc_ready),
    .desc_addr_i,
    .m_axi_arvalid_o(ar_valid),
    .m_axi_arready_i(arready_i),
    .m_axi_araddr_o (ar_addr),
    .m_axi_arlen_o  (ar_len),
    .m_axi_rvalid_i (rvalid_i),
    .m_axi_rready_o (r_ready),
    .m_axi_rdata_i  ('0),
    .m_axi_rresp_i  ({rresp_i, 1'b0}),
    .w_valid_o      (w_valid),
    .w_ready_i,
    .w_data_o       (w_data),
    .act_valid_o    (act_valid),
    .desc_valid_o   (desc_valid),
    .data_o         (data),
    .error_o        (error),
    .error_dest_o   (error_dest),
    .error_job_o    (error_job),
    .error_addr_o   (error_addr),
    .tick_i         (1'b0),
    .timeout_i      ('0),
    .timeout_o      (timeout)
  );

  // ---- What was asked for ----

  // What the present command still has to ask for; from_desc: the new AR is a descriptor's.
  logic   cmd_take, ar_fire, fresh, from_desc, desc_taken, ar_waited, was_halted;
  beats_t left;
  addr_t  at, desc_at, waited_addr;
  logic   weights, job;
  logic [7:0] waited_len;
  logic [4:0] beats;

  assign cmd_take = cmd_valid_i && cmd_ready;
  assign ar_fire = rst_n && ar_valid && arready_i;
  assign fresh = ar_valid && !ar_waited;
  assign from_desc = desc_taken;
  assign beats = 5'(ar_len) + 1'b1;

  always_ff @(posedge clk_i) begin
    desc_taken  <= rst_n && desc_valid_i && desc_ready;
    desc_at     <= desc_addr_i;
    ar_waited   <= rst_n && ar_valid && !arready_i;
    waited_addr <= ar_addr;
    waited_len  <= ar_len;
    was_halted  <= rst_n && halt_i;
    if (!rst_n || halt_i) begin
      left <= '0;
    end else if (cmd_take) begin
      left    <= cmd_beats_i;
      at      <= cmd_addr_i;
      weights <= cmd_weights_i;
      job     <= cmd_job_i;
    end else if (fresh && !from_desc) begin
      left <= left - beats_t'(beats);
      at   <= at + addr_t'(BurstBytes);
    end
  end

  // ---- What is outstanding ----

  // owed: beats of accepted bursts that the memory has not sent.
  logic [8:0] owed;
  logic r_beat;
  assign r_beat = rvalid_i;
  always_ff @(posedge clk_i) owed <= !rst_n ? '0 : owed + (ar_fire ? 9'(beats) : '0) - 9'(r_beat);

  // The watched burst, the beats before it, and the bursts accepted after it.
  logic  watching, fired;
  logic [8:0] ahead;
  logic [4:0] rest;
  logic [3:0] behind;
  dest_e dest;
  logic  watched_job;
  addr_t watched_addr;
  logic  turn;

  assign turn = watching && ahead == '0 && rvalid_i;

  always_ff @(posedge clk_i) begin
    if (!rst_n || !watching) begin
      watching <= rst_n && fresh && choose_i;
      fired    <= ar_fire;
      behind   <= '0;
      if (fresh) begin
        ahead        <= owed - 9'(r_beat);
        rest         <= beats;
        dest         <= from_desc ? DestDescriptor : weights ? DestWeights : DestActivations;
        watched_job  <= !from_desc && job;
        watched_addr <= ar_addr;
      end
    end else begin
      fired <= fired || ar_fire;
      if (ar_fire && fired) behind <= behind + 1'b1;
      if (r_beat && ahead != '0) ahead <= ahead - 1'b1;
      if (turn) begin
        rest     <= rest - 1'b1;
        watching <= rest != 5'd1;
      end
    end
  end

  // ---- Weights: promised by a burst, then held ----

  logic [8:0] promised, held;
  logic w_beat, pop, late;

  assign w_beat = r_beat && !act_valid && !desc_valid;
  assign pop = w_valid && w_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_n || halt_i) begin
      promised <= '0;
      held     <= '0;
    end else begin
      promised <= promised + (fresh && !from_desc && weights ? 9'(beats) : '0) - 9'(w_beat);
      held     <= held + 9'(w_beat) - 9'(pop);
    end
    late <= rst_n && !halt_i && held != '0 && !w_valid;
  end

  // ---- Progress: clocks in a row in which nothing moves though nothing outside is waited for ----

  logic [3:0] quiet;
  logic was_idle;
  logic w_waited, work;

  assign work = left != '0 || ((cmd_valid_i || desc_valid_i) && !halt_i) || ar_valid || !idle
      || held != '0;

  always_ff @(posedge clk_i) begin
    was_idle <= idle;
    w_waited <= rst_n && w_valid && !w_ready_i && !halt_i;
    quiet    <= !rst_n || !work || halt_i != was_halted || cmd_take || ar_valid || owed != '0
        || w_valid ? '0 : quiet + 1'b1;
  end

  always_comb begin
    // Legal commands: at least one beat, on a full burst; descriptors on 64 bytes.
    assume (!cmd_valid_i || cmd_beats_i != '0);
    assume (cmd_addr_i[7:0] == '0 && desc_addr_i[5:0] == '0);
    // Data only for what was asked, and a halt lasts until nothing is outstanding.
    assume (!(rst_n && rvalid_i && owed == '0));
    assume (!(was_halted && !was_idle && !halt_i));
  end

  // ---- Helper invariants: they follow the unit's registers, so that the proof closes ----

  // Beats asked for and delivered since reset, of all and of weights (modulo 512), and what had been
  // asked for with each burst of the queue. So every equation is about two neighbours, not a sum.
  localparam int unsigned SlotW = $clog2(Outstanding);
  localparam int unsigned CountW = $clog2(FIFO_DEPTH) + 1;
  logic [8:0] all_asked, all_got, weights_asked, weights_got;
  logic [8:0] all_end[Outstanding], weights_end[Outstanding];
  logic [SlotW-1:0] slot;
  logic [SlotW:0] bursts;
  logic take, unsent;
  logic [4:0] take_beats;

  assign take = u_dut.take_desc || u_dut.take_cmd;
  assign take_beats = 5'(u_dut.next_burst.len) + 1'b1;
  assign bursts = u_dut.u_asked.wptr_q - u_dut.u_asked.rptr_q;
  // The newest AR is a command's, and left does not know it yet.
  assign unsent = fresh && !from_desc;

  always_ff @(posedge clk_i) begin
    if (!rst_n) begin
      all_asked     <= '0;
      weights_asked <= '0;
    end else if (take) begin
      all_asked <= all_asked + 9'(take_beats);
      all_end[u_dut.u_asked.wptr_q[SlotW-1:0]] <= all_asked + 9'(take_beats);
      weights_end[u_dut.u_asked.wptr_q[SlotW-1:0]] <= weights_asked
          + (u_dut.next_burst.dest == DestWeights ? 9'(take_beats) : '0);
      if (u_dut.next_burst.dest == DestWeights) weights_asked <= weights_asked + 9'(take_beats);
    end
    all_got     <= !rst_n ? '0 : all_got + 9'(r_beat);
    weights_got <= !rst_n ? '0 : weights_got + 9'(r_beat && u_dut.asked.dest == DestWeights);
    if (!watching) slot <= u_dut.u_asked.wptr_q[SlotW-1:0] - 1'b1;
  end

  if (COVER == 0 && HELP == 1) begin : gen_helper
    for (genvar i = 0; i < Outstanding; i++) begin : gen_slot
      typedef struct packed {
        dest_e       dest;
        logic        job;
        addr_t       addr;
        logic [$clog2(BurstBeats)-1:0] len;
      } burst_t;
      burst_t burst;
      logic [SlotW-1:0] place;  // 0 is the oldest
      logic [8:0] mine, weights_mine, start, weights_start;
      assign burst = burst_t'(u_dut.u_asked.mem[i]);
      assign place = SlotW'(i) - u_dut.u_asked.rptr_q[SlotW-1:0];
      assign mine = 9'(burst.len) + 1'b1;
      assign weights_mine = burst.dest == DestWeights ? mine : '0;
      assign start = place == '0 ? all_got - 9'(u_dut.beat_q)
          : all_end[(i + Outstanding - 1) % Outstanding];
      assign weights_start = place != '0 ? weights_end[(i + Outstanding - 1) % Outstanding]
          : weights_got - (burst.dest == DestWeights ? 9'(u_dut.beat_q) : '0);
      always_comb begin
        if (rst_n && {1'b0, place} < bursts) begin
          assert (burst.dest <= DestDescriptor);
          assert (all_end[i] - start == mine);
          assert (weights_end[i] - weights_start == weights_mine);
          assert (all_end[i] - all_got != '0
              && all_end[i] - all_got <= (9'(place) + 1'b1) * 9'(BurstBeats));
          assert (weights_end[i] - weights_got <= (9'(place) + 1'b1) * 9'(BurstBeats));
          assert (place != '0 || u_dut.beat_q <= burst.len);
          if ({1'b0, place} == bursts - 1'b1) begin
            assert (all_asked == all_end[i] && weights_asked == weights_end[i]);
            if (ar_valid) begin
              assert (ar_addr == burst.addr && ar_len == 8'(burst.len));
              assert (place != '0 || u_dut.beat_q == '0);
            end
            if (fresh) begin
              assert (burst.dest == (from_desc ? DestDescriptor
                  : weights ? DestWeights : DestActivations));
              assert (burst.job == (!from_desc && job));
            end
          end
          if (watching && slot == SlotW'(i)) begin
            assert (burst.dest == dest && burst.job == watched_job && burst.addr == watched_addr);
            assert (all_end[i] - all_got == ahead + 9'(rest));
            assert ((ahead == '0) == (place == '0));
            assert (ahead == '0 || 9'(rest) == mine);
          end
        end
        if (rst_n && watching && slot == SlotW'(i)) begin
          assert ({1'b0, place} < bursts && rest != '0);
          assert (fired || (ar_valid && {1'b0, place} == bursts - 1'b1));
          assert (behind == (fired ? 4'(bursts) - 4'(place) - 4'd1 - 4'(ar_valid) : '0));
        end
      end
    end

    always_comb begin
      if (rst_n) begin
        assert (bursts <= 4'(Outstanding));
        assert (bursts != '0 || (all_asked == all_got && weights_asked == weights_got
            && u_dut.beat_q == '0 && !ar_valid));
        assert (owed == all_asked - all_got - (ar_valid ? 9'(beats) : '0));
        assert (owed <= 9'(Outstanding * BurstBeats));
        assert (!(desc_taken || ar_waited) || ar_valid);
        assert (!(desc_taken && ar_waited));
        // The command.
        assert (left == (u_dut.busy_q ? u_dut.beats_q : '0) + (unsent ? beats_t'(beats) : '0));
        assert (!u_dut.busy_q || (u_dut.beats_q != '0 && weights == u_dut.weights_q
            && job == u_dut.job_q && u_dut.addr_q == at + (unsent ? addr_t'(BurstBytes) : '0)));
        assert (!unsent || left >= beats_t'(beats));
        assert (at[5:0] == '0 || left == '0);
        assert (!ar_valid || ar_addr[5:0] == '0);
        // Room.
        assert (was_halted || promised == weights_asked - weights_got
            - (unsent && weights ? 9'(beats) : '0));
        assert (9'(u_dut.credit_q) + held + promised + (unsent && weights ? 9'(beats) : '0)
            == 9'(FIFO_DEPTH));
        assert (held == 9'(CountW'(u_dut.u_weights.wptr_q - u_dut.u_weights.rptr_q))
            + 9'(u_dut.u_weights.valid_q));
        assert (!was_halted || (held == '0 && promised == '0 && left == '0 && !fresh));
        assert (!(was_halted && was_idle) || bursts == '0);
        // Progress.
        assert (quiet == '0 || (quiet == 4'd1 && (ar_valid || w_valid)));
      end
    end
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        // AR: unchanged until taken, 16 beats at most, inside a page.
        assert (!ar_waited || (ar_valid && ar_addr == waited_addr && ar_len == waited_len));
        assert (!ar_valid || ar_len < 8'(BurstBeats));
        assert (!ar_valid || 13'(ar_addr[11:0]) + 13'(beats) * 13'(BeatBytes) <= 13'd4096);
        // A descriptor is one burst; a command is all its beats, in order.
        assert (!(fresh && from_desc) || (beats == 5'(DescBeats) && ar_addr == desc_at));
        assert (!(fresh && !from_desc) || (ar_addr == at && left != '0
            && beats_t'(beats) == (left > BeatsW'(BurstBeats) ? BeatsW'(BurstBeats) : left)));
        assert (!cmd_take || left == (fresh && !from_desc ? beats_t'(beats) : '0));
        // Beats go where their burst was for, and so do errors.
        assert (r_ready);
        assert (!turn || act_valid == (dest == DestActivations && !halt_i));
        assert (!turn || desc_valid == (dest == DestDescriptor && !halt_i));
        assert (!turn || error == (rresp_i && !halt_i));
        assert (!turn || (error_dest == dest && error_addr == watched_addr
            && error_job == watched_job));
        assert (!(error || act_valid || desc_valid) || rvalid_i);
        // At most 8 bursts.
        assert (!watching || behind < 4'(Outstanding));
        // Room was reserved for what is asked, and no weight is lost or made.
        assert (promised + held <= 9'(FIFO_DEPTH));
        assert (!w_valid || held != '0);
        assert (!(late && held != '0 && !w_valid));
        assert (!w_waited || w_valid);
        // A halt: nothing new, nothing kept; idle says that nothing is outstanding.
        assert (!(was_halted && fresh));
        assert (!(was_halted && w_valid));
        assert (!idle || (owed == '0 && !ar_valid));
        // Progress.
        assert (quiet <= 4'(Bound));
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      if (rst_n) begin
        assert (!(held == 9'(FIFO_DEPTH)));
        assert (!(watching && behind == 4'(Outstanding - 1)));
        assert (!(ar_waited && ar_valid && left == '0));
        assert (!(turn && dest == DestDescriptor && rest == 5'd1 && left != '0));
        assert (!(turn && dest == DestWeights && error));
        assert (!(was_halted && !halt_i && cmd_take));
      end
    end
  end

endmodule
