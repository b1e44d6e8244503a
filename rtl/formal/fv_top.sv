// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_top between its modules' contracts (rtl/formal/abstract: what the other property modules prove
// of each): what each module assumes of its neighbours holds; every entry of the sequencer is
// completed once, in order, with its own descriptor, interrupt and status; a job's status is sampled
// when its own results are out, and none of its reads is left; a job's status holds one of the errors of
// the first clock that brought it any; the error register keeps the first of all; commands name the slot
// of their job; a halt lasts until nothing is outstanding; and while work is left, some module moves
// or waits for the memory: no module waits for another in a circle.
//
// Longer than 300 lines: the invariants that close the induction
// stand beside the properties.

module fv_top
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W  = 128,
  parameter int unsigned ENGINES = 2,
  parameter int unsigned BATCH   = 3,
  parameter int unsigned HELP    = 1,  // 0: the properties without the invariants that prove them
  parameter int unsigned COVER   = 0   // 1: what must be reachable, as asserts of the opposite
) (
  input logic clk_i
);

  localparam logic [2:0] Idle = 3'd0, Fetch = 3'd1, Receive = 3'd2, Check = 3'd3, Issue = 3'd4,
      Activations = 3'd5, Weights = 3'd6;

  typedef logic [BeatsW+2:0] sum_t;  // of four counts of beats, exact

  logic rst_n = 1'b0;
  always_ff @(posedge clk_i) rst_n <= 1'b1;

  tdpu_top #(.BEAT_W(BEAT_W), .ENGINES(ENGINES), .BATCH(BATCH)) u_dut (
    .clk_i,
    .rst_ni          (rst_n),
    .irq_o           (),
    .s_axil_awvalid_i(1'b0),
    .s_axil_awready_o(),
    .s_axil_awaddr_i ('0),
    .s_axil_wvalid_i (1'b0),
    .s_axil_wready_o (),
    .s_axil_wdata_i  ('0),
    .s_axil_wstrb_i  ('0),
    .s_axil_bvalid_o (),
    .s_axil_bready_i (1'b0),
    .s_axil_bresp_o  (),
    .s_axil_arvalid_i(1'b0),
    .s_axil_arready_o(),
    .s_axil_araddr_i ('0),
    .s_axil_rvalid_o (),
    .s_axil_rready_i (1'b0),
    .s_axil_rdata_o  (),
    .s_axil_rresp_o  (),
    .m_axi_arvalid_o (),
    .m_axi_arready_i ('0),
    .m_axi_araddr_o  (),
    .m_axi_arlen_o   (),
    .m_axi_rvalid_i  ('0),
    .m_axi_rready_o  (),
    .m_axi_rdata_i   ('0),
    .m_axi_rresp_i   ('0),
    .m_axi_awvalid_o (),
    .m_axi_awready_i (1'b0),
    .m_axi_awaddr_o  (),
    .m_axi_awlen_o   (),
    .m_axi_wvalid_o  (),
    .m_axi_wready_i  (1'b0),
    .m_axi_wdata_o   (),
    .m_axi_wstrb_o   (),
    .m_axi_wlast_o   (),
    .m_axi_bvalid_i  (1'b0),
    .m_axi_bready_o  (),
    .m_axi_bresp_i   ('0)
  );

  // ---- Entries that are not completed, the older one first ----

  typedef struct packed {
    logic  slot;
    logic  irq;
    logic  issued;
    addr_t desc;
  } entry_t;

  logic halt, enter, take, closing, done, issued;
  logic [1:0] entries;
  entry_t older, newer, fresh, newest;
  logic taken, closed;  // the older one: with the writer; its status was sampled

  assign halt = u_dut.halt_q;
  assign enter = rst_n && u_dut.entry_valid && !halt;
  assign issued = u_dut.job_valid && u_dut.job_ready;  // the core takes the job
  assign take = rst_n && u_dut.waits_q && u_dut.entry_take;
  assign closing = rst_n && u_dut.closing;
  assign done = rst_n && u_dut.done;
  assign fresh = '{u_dut.entry_slot, u_dut.job.irq, issued, u_dut.entry_desc};
  assign newest = entries == 2'd2 ? newer : older;

  always_ff @(posedge clk_i) begin
    if (!rst_n || halt) begin
      entries <= '0;
      taken   <= 1'b0;
      closed  <= 1'b0;
    end else begin
      entries <= entries + 2'(enter) - 2'(done);
      taken   <= (taken || take) && !done;
      closed  <= (closed || closing) && !done;
    end
    if (enter && entries == 2'(done)) older <= fresh;
    else if (done) older <= newer;
    if (enter) newer <= fresh;
  end

  // ---- Jobs of the core and results, by the slot of their entry ----

  logic next_slot, run_slot, pending_slot;
  logic [1:0] last_slot;  // of the last words that the writer holds, the older at 0
  logic accept, result_last;
  logic [1:0] lasts;

  assign accept = u_dut.u_core.accept;
  assign result_last = u_dut.res_valid && u_dut.res_ready && u_dut.res_last;
  assign lasts = u_dut.u_write.lasts_q;

  always_ff @(posedge clk_i) begin
    if (accept) next_slot <= u_dut.entry_slot;
    if (u_dut.u_core.promote) run_slot <= next_slot;
    if (u_dut.u_core.step && u_dut.u_core.row_end) pending_slot <= run_slot;
    if (closing && u_dut.u_write.results_q) last_slot[0] <= last_slot[1];
    if (result_last) begin
      last_slot[1'(lasts - 2'(closing && u_dut.u_write.results_q))] <= pending_slot;
    end
  end

  // ---- Errors: what came in the clock before, and what was kept of it ----

  typedef struct packed {
    status_e    code;
    logic [3:0] port;
  } fault_t;

  logic was_halted;
  logic [1:0] set, hit, was_set, was_hit, write_hit, was_write_hit;
  fault_t [1:0] kept, was_kept;
  logic [ENGINES-1:0][1:0] read_hit, was_read_hit;
  logic any_error, was_any_error, was_cleared, was_reset;
  error_t was_error;

  always_comb begin
    for (int unsigned s = 0; s < 2; s++) begin
      kept[s] = '{u_dut.slot_error_q[s].code, u_dut.slot_error_q[s].port};
      set[s] = u_dut.entry_valid && u_dut.entry_slot == 1'(s);
      write_hit[s] = u_dut.write_error && taken && older.slot == 1'(s);
      hit[s] = write_hit[s];
      for (int unsigned p = 0; p < ENGINES; p++) begin
        read_hit[p][s] = u_dut.read_error[p] && u_dut.error_dest[p] != DestDescriptor
            && u_dut.error_job[p] == 1'(s);
        hit[s] |= read_hit[p][s];
      end
    end
    any_error = (u_dut.entry_valid && u_dut.entry_status != StatusOk && !halt)
        || u_dut.write_error || u_dut.write_timeout || u_dut.ring_error
        || (u_dut.doorbell_q && halt) || (|u_dut.read_timeout) || (|hit);
  end

  always_ff @(posedge clk_i) begin
    was_halted    <= rst_n && halt;
    was_set       <= rst_n ? set : '1;
    was_hit       <= rst_n ? hit : '0;
    was_write_hit <= write_hit;
    was_read_hit  <= read_hit;
    was_kept      <= kept;
    was_any_error <= any_error;
    was_cleared   <= u_dut.hwif_out.control.clear_error.value;
    was_reset     <= !rst_n || u_dut.hwif_out.control.reset.value;
    was_error     <= u_dut.error_q;
  end

  // ---- Every port's beats: left of the core's steps = held, asked for, or still to be asked for ----

  logic live, loading;  // live: no halt has emptied the unit while the memory still answers
  logic [2:0] phase;
  job_t job;
  sum_t remain[2];
  logic [ENGINES-1:0] later;  // the sequencer has a weights' command for the port
  logic [ENGINES-1:0] asks, can_ask, has_weights;

  assign live = !was_halted || !halt;
  assign phase = u_dut.u_sequencer.phase_q;
  assign job = u_dut.u_sequencer.job_q;
  assign loading = u_dut.u_core.missing_q != '0;

  always_comb begin
    for (int unsigned s = 0; s < 2; s++) begin
      remain[s] = (u_dut.u_core.run_q && run_slot == 1'(s) ? sum_t'(u_dut.u_core.steps_q) : '0)
          + (u_dut.u_core.next_q && next_slot == 1'(s) ? sum_t'(u_dut.u_core.next_steps_q) : '0);
    end
  end

  for (genvar p = 0; p < ENGINES; p++) begin : gen_port
    logic busy, weights, slot, newest_slot, owes;
    beats_t left;
    logic [1:0][BeatsW-1:0] held, weights_owed, acts_owed;
    logic [1:0] there;  // weights of the slot are at the port
    sum_t acts, coming;
    assign busy = u_dut.gen_port[p].u_read.busy_q;
    assign weights = u_dut.gen_port[p].u_read.weights_q;
    assign slot = u_dut.gen_port[p].u_read.slot_q;
    assign left = u_dut.gen_port[p].u_read.left_q;
    assign newest_slot = u_dut.gen_port[p].u_read.newest_q;
    assign held = u_dut.gen_port[p].u_read.held_q;
    assign weights_owed = u_dut.gen_port[p].u_read.weights_owed_q;
    assign acts_owed = u_dut.gen_port[p].u_read.acts_owed_q;
    assign owes = !u_dut.read_idle[p];
    assign later[p] = phase == Activations
        || (phase == Weights && u_dut.u_sequencer.port_q <= 3'(p));
    assign asks[p] = owes;
    assign can_ask[p] = busy && (!weights || held == '0);
    assign has_weights[p] = held[run_slot] != '0;

    always_comb begin
      for (int unsigned s = 0; s < 2; s++) begin
        there[s] = held[s] != '0 || weights_owed[s] != '0
            || (busy && weights && slot == 1'(s));
      end
      // Activations of the load that are still to be asked for, by commands of the sequencer.
      coming = '0;
      for (int unsigned v = 0; v < BATCH; v++) begin
        if (v % ENGINES == p && phase == Activations && 5'(v) >= u_dut.u_sequencer.vector_q
            && 5'(v) < job.vectors) coming = coming + sum_t'(job.words);
      end
      acts = coming + sum_t'(acts_owed[0]) + sum_t'(acts_owed[1])
          + (busy && !weights ? sum_t'(left) : '0);
    end

    if (COVER == 0 && HELP == 1) begin : gen_helper
      always_comb begin
        if (rst_n && live) begin
          for (int unsigned s = 0; s < 2; s++) begin
            assert (remain[s] == sum_t'(held[s]) + sum_t'(weights_owed[s])
                + (busy && weights && slot == 1'(s) ? sum_t'(left) : '0)
                + (later[p] && newest.slot == 1'(s) ? sum_t'(job.beats) : '0));
            assert (!(later[p] && newest.slot == 1'(s)) || !there[s]);
            assert (acts_owed[s] == '0 || (u_dut.u_core.next_q && next_slot == 1'(s)));
          end
          assert (!busy || left != '0);
          assert (!(busy && weights) || slot == newest_slot);
          assert (!(there[0] && there[1]) || (u_dut.u_core.next_q && newest_slot == next_slot));
          assert (sum_t'(u_dut.u_core.missing_q[p]) == acts);
          assert (!(busy && !weights) || (u_dut.u_core.next_q && slot == next_slot));
          assert (u_dut.gen_port[p].u_read.desc_owed_q == (p == 0 ? u_dut.u_sequencer.owed_q : '0));
        end
        if (rst_n && was_halted) begin
          assert (!busy && held == '0);
          assert (halt || !owes);
        end
        assert (!rst_n || u_dut.gen_port[p].u_read.was_halted_q == was_halted);
        assert (!(rst_n && was_halted && !halt) || u_dut.gen_port[p].u_read.was_idle_q);
      end
    end

    if (COVER == 0) begin : gen_assert
      always_comb begin
        if (rst_n) begin
          assert (u_dut.gen_port[p].u_read.right);
          // Descriptors only at port 0. An error's job is one whose results are not all out.
          assert (p == 0 || !u_dut.desc_valid[p]);
          assert (!(read_hit[p][0] && !halt) || (entries != '0 && !(older.slot == 1'b0 && closed)
              && (older.slot == 1'b0 || entries == 2'd2)));
          assert (!(read_hit[p][1] && !halt) || (entries != '0 && !(older.slot == 1'b1 && closed)
              && (older.slot == 1'b1 || entries == 2'd2)));
          // Commands name the slot of their job, which is the newest entry.
          assert (!(u_dut.cmd_valid[p] && !halt) || (entries != '0 && newest.issued
              && u_dut.cmd_slot_q == newest.slot));
        end
      end
    end
  end

  // Some module moves, or the memory is waited for. The writer takes results or sends them while its
  // job is open; a row group's results come by themselves.
  logic moves, sequencer_moves, writer_moves, core_moves;
  assign sequencer_moves = (phase == Idle && entries < 2'd2) || phase == Fetch || phase == Receive
      || phase == Check || (phase == Issue && u_dut.job_ready) || (|(u_dut.cmd_valid & u_dut.cmd_ready));
  assign core_moves = (u_dut.u_core.next_q && !loading && !u_dut.u_core.run_q)
      || u_dut.u_core.pending_q || (u_dut.u_core.run_q && (&has_weights));
  assign writer_moves = (u_dut.waits_q && !u_dut.u_write.open_q) || (u_dut.u_write.open_q
      && (u_dut.u_write.closed_q || !u_dut.u_write.results_q || lasts != '0));
  assign moves = sequencer_moves || core_moves || writer_moves || (|asks) || (|can_ask);

  if (COVER == 0 && HELP == 1) begin : gen_helper
    // The jobs whose status was not sampled, in order: their last word is with the writer, or their last
    // group's results are to come, or they have steps left.
    logic [1:0] open;
    logic [2:0] stages;
    logic first_slot;
    logic [4:0] stage, stage_slot;
    logic [1:0] order_right;
    assign open = 2'(entries != '0 && older.issued && !closed)
        + 2'(entries == 2'd2 && newer.issued);
    assign first_slot = older.issued && !closed ? older.slot : newer.slot;
    assign stage = {u_dut.u_core.next_q, u_dut.u_core.run_q,
        u_dut.u_core.pending_q && u_dut.u_core.final_q, lasts == 2'd2, lasts != '0};
    assign stage_slot = {next_slot, run_slot, pending_slot, last_slot[1], last_slot[0]};
    always_comb begin
      stages = '0;
      order_right = '1;
      for (int unsigned i = 0; i < 5; i++) begin
        if (stage[i]) begin
          if (stages == 3'd0) order_right[0] = stage_slot[i] == first_slot;
          else order_right[1] = stage_slot[i] == ~first_slot;
          stages = stages + 3'd1;
        end
      end
    end

    always_comb begin
      if (rst_n) begin
        assert (phase <= Weights);
        assert (entries <= 2'd2 && lasts <= 2'd2);
        assert (u_dut.u_write.was_halted_q == was_halted);
        assert (!(was_halted && !halt) || (u_dut.u_write.was_idle_q && !u_dut.u_write.open_q));
      end
      if (rst_n && was_halted) begin
        assert (phase == Idle && entries == '0 && u_dut.u_sequencer.entered_q == '0);
        assert (u_dut.u_sequencer.owed_q == '0 && !u_dut.waits_q && lasts == '0 && !taken && !closed);
        assert (!u_dut.u_core.next_q && !u_dut.u_core.run_q && !u_dut.u_core.pending_q && !loading);
      end
      if (rst_n && live) begin
        assert (entries == u_dut.u_sequencer.entered_q);
        assert (!(phase == Fetch || phase == Receive || phase == Check || phase == Issue)
            || entries != 2'd2);
        assert ((phase == Receive) == (u_dut.u_sequencer.owed_q != '0));
        assert (u_dut.u_sequencer.owed_q <= 5'(DescBytes / (BEAT_W / 8)));
        assert (entries == '0 || u_dut.u_sequencer.slot_q == ~newest.slot);
        assert (entries != 2'd2 || newer.slot == ~older.slot);
        // The writer.
        assert (taken == u_dut.u_write.open_q && closed == (taken && u_dut.u_write.closed_q));
        assert (!taken || (entries != '0 && u_dut.closing_slot_q == older.slot
            && u_dut.closing_irq_q == older.irq && u_dut.u_write.results_q == older.issued));
        assert (u_dut.waits_q == (entries != 2'(taken)) && entries <= 2'(taken) + 2'd1);
        assert (!u_dut.waits_q || (u_dut.entry_q.slot == newest.slot && u_dut.entry_q.irq == newest.irq
            && u_dut.entry_q.issued == newest.issued && u_dut.entry_q.desc == newest.desc));
        // The core.
        assert (stages == 3'(open) && (&order_right));
        assert (!u_dut.u_core.pending_q || u_dut.u_core.final_q
            || (u_dut.u_core.run_q && pending_slot == run_slot));
        assert (!u_dut.u_core.run_q || u_dut.u_core.steps_q != '0);
        assert (!u_dut.u_core.next_q || u_dut.u_core.next_steps_q != '0);
        assert (!loading || u_dut.u_core.next_q);
        // The sequencer's commands.
        if (phase == Check || phase == Issue || phase == Activations || phase == Weights) begin
          assert (job.rows != '0 && job.words != '0 && job.beats == beats_t'(job.rows));
          assert (job.vectors != '0 && job.vectors <= 5'(BATCH));
        end
        if (phase == Activations || phase == Weights) begin
          assert (entries != '0 && newest.issued && u_dut.cmd_slot_q == newest.slot);
          assert (u_dut.u_sequencer.port_q < 3'(ENGINES));
          assert (!(entries == 2'd1 && closed));
        end
        if (phase == Activations) begin
          assert (u_dut.u_sequencer.vector_q < job.vectors);
          assert (u_dut.u_sequencer.port_q == 3'(u_dut.u_sequencer.vector_q % 5'(ENGINES)));
          assert (u_dut.u_core.next_q && next_slot == newest.slot);
        end
      end
    end
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        // What each module assumes of its neighbours.
        assert (u_dut.u_sequencer.right && u_dut.u_write.right);
        assert (halt || u_dut.u_core.right);
        // One place is enough for the entry that waits.
        assert (!(enter && u_dut.waits_q && !take));
        // The writer takes each once, in order, with what came with it.
        assert (!(take && !halt) || (!taken && entries != '0 && u_dut.entry_q.slot == older.slot
            && u_dut.entry_q.irq == older.irq && u_dut.entry_q.issued == older.issued
            && u_dut.entry_q.desc == older.desc));
        // Its status is sampled once, its own, when its own last result has come; then it is done.
        assert (!closing || (taken && !closed && u_dut.code == kept[older.slot].code
            && u_dut.closing_slot_q == older.slot));
        assert (!(closing && older.issued) || (lasts != '0 && last_slot[0] == older.slot));
        assert (!(closing && older.issued) || remain[older.slot] == '0);
        assert (!done || (taken && closed));
        assert (u_dut.hwif_in.irq_status.done.hwset
            == (done && (older.irq || kept[older.slot].code != StatusOk)));
        // A job keeps one of the errors of the first clock that brought it any.
        for (int unsigned s = 0; s < 2; s++) begin
          if (!was_set[s] && !was_hit[s]) assert (kept[s] == was_kept[s]);
          if (!was_set[s] && was_kept[s].code != StatusOk) assert (kept[s] == was_kept[s]);
          if (!was_set[s] && was_kept[s].code == StatusOk && was_hit[s]) begin
            assert ((kept[s] == fault_t'{StatusAxiWrite, 4'd0} && was_write_hit[s])
                || (kept[s].code == StatusAxiRead && kept[s].port < 4'(ENGINES)
                && was_read_hit[kept[s].port[1:0] % ENGINES][s]));
          end
        end
        // The error register keeps the first of all, until it is cleared.
        assert (was_reset ? u_dut.error_q.code == StatusOk
            : was_error.code != StatusOk && !was_cleared ? u_dut.error_q == was_error
            : (u_dut.error_q.code != StatusOk) == was_any_error);
        assert (u_dut.hwif_in.irq_status.error.hwset == any_error);
        // A halt ends only when nothing is outstanding.
        assert (!(was_halted && !halt) || (u_dut.read_idle == '1 && u_dut.write_idle));
        // No circle of waiting.
        assert (moves || halt);
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      if (rst_n) begin
        assert (!(entries == 2'd2 && older.issued && newer.issued && loading
            && u_dut.u_core.run_q && u_dut.w_ready));
        assert (!(done && older.issued && older.slot && kept[1].code == StatusAxiRead));
        assert (!(done && !older.issued && entries == 2'd2 && newer.issued));
        assert (!(lasts == 2'd2));
        assert (!(done && kept[older.slot].code == StatusAxiWrite));
        assert (!(was_halted && halt && (|asks) && u_dut.write_idle));
        assert (!(closing && older.issued && entries == 2'd2 && lasts == 2'd2));
      end
    end
  end

endmodule
