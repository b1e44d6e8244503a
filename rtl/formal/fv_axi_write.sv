// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_axi_write: AW and W wait unchanged; a burst is at most 16 beats and stays in a page; WLAST
// marks exactly its last beat; every word goes out once, in order, in its lane with its strobe; a
// job's bursts follow each other in memory and are full but the last, which ends with the job's last
// word; the status is sampled and written when all responses have come, to the descriptor's last 8
// bytes, once a job; a job is done after the response to that, once; errors are reported; a halt
// begins nothing and ends with nothing outstanding; and while work is left, at most Bound clocks in a
// row pass in which nothing moves, no ready or response of the memory and no word is waited for.
//
// The solver chooses one word to watch (choose_i); what holds for it holds for each. Longer than
// 300 lines: the invariants that close the induction stand beside the properties.

module fv_axi_write
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W = 64,
  parameter int unsigned HELP   = 1,  // 0: the properties without the invariants that prove them
  parameter int unsigned COVER  = 0   // 1: what must be reachable, as asserts of the opposite
) (
  input logic        clk_i,
  input logic        halt_i,
  input logic        job_valid_i,
  input logic        job_results_i,
  input addr_t       job_addr_i,
  input addr_t       job_desc_i,
  input logic [31:0] status_i,
  input logic [31:0] cycles_i,
  input logic        res_valid_i,
  input logic [31:0] res_data_i,
  input logic        res_last_i,
  input logic        awready_i,
  input logic        wready_i,
  input logic        bvalid_i,
  input logic        bresp_i,
  input logic        choose_i
);

  localparam int unsigned BeatBytes = BEAT_W / 8;
  localparam int unsigned Words = BEAT_W / 32;
  localparam int unsigned LaneW = Words > 1 ? $clog2(Words) : 1;
  localparam int unsigned BurstBytes = BurstBeats * BeatBytes;
  localparam int unsigned StatusBeats = BEAT_W == 32 ? 2 : 1;
  localparam int unsigned StatusOffset = DescStatusByte / BeatBytes * BeatBytes;
  localparam int unsigned Bound = 1;

  logic rst_n = 1'b0;
  logic idle, job_ready, closing, done, res_ready, aw_valid, w_valid, w_last, b_ready, error;
  logic timeout;
  addr_t aw_addr, error_addr;
  logic [7:0] aw_len;
  logic [BEAT_W-1:0] w_data;
  logic [BeatBytes-1:0] w_strb;

  always_ff @(posedge clk_i) rst_n <= 1'b1;

  tdpu_axi_write #(.BEAT_W(BEAT_W)) u_dut (
    .clk_i,
    .rst_ni         (rst_n),
    .halt_i,
    .idle_o         (idle),
    .job_valid_i,
    .job_ready_o    (job_ready),
    .job_results_i,
    .job_addr_i,
    .job_desc_i,
    .closing_o      (closing),
    .status_i,
    .cycles_i,
    .done_o         (done),
    .res_valid_i,
    .res_ready_o    (res_ready),
    .res_data_i,
    .res_last_i,
    .m_axi_awvalid_o(aw_valid),
    .m_axi_awready_i(awready_i),
    .m_axi_awaddr_o (aw_addr),
    .m_axi_awlen_o  (aw_len),
    .m_axi_wvalid_o (w_valid),
    .m_axi_wready_i (wready_i),
    .m_axi_wdata_o  (w_data),
    .m_axi_wstrb_o  (w_strb),
    .m_axi_wlast_o  (w_last),
    .m_axi_bvalid_i (bvalid_i),
    .m_axi_bready_o (b_ready),
    .m_axi_bresp_i  ({bresp_i, 1'b0}),
    .error_o        (error),
    .error_addr_o   (error_addr),
    .tick_i         (1'b0),
    .timeout_i      ('0),
    .timeout_o      (timeout)
  );

  logic job_take, word, aw_fire, w_fire, fresh, closed;
  assign job_take = rst_n && job_valid_i && job_ready;
  assign word = rst_n && res_valid_i && res_ready;
  assign aw_fire = rst_n && aw_valid && awready_i;
  assign w_fire = rst_n && w_valid && wready_i;

  // ---- The burst: offered on both channels at once, sent before the next ----

  logic aw_waited, w_waited, waited_last, was_halted, was_idle;
  addr_t waited_addr;
  logic [7:0] waited_len;
  logic [BEAT_W-1:0] waited_data;
  logic [BeatBytes-1:0] waited_strb;
  logic of_status_q, of_status, aw_open_q, w_open_q, aw_open, w_open;
  logic [7:0] len_q, len;
  logic [4:0] sent_q, sent;   // beats of the burst

  assign fresh = aw_valid && !aw_waited;  // a burst begins
  assign of_status = fresh ? closed : of_status_q;
  assign aw_open = fresh || aw_open_q;
  assign w_open = fresh || w_open_q;
  assign len = fresh ? aw_len : len_q;
  assign sent = fresh ? '0 : sent_q;

  always_ff @(posedge clk_i) begin
    closed      <= rst_n && closing;
    aw_waited   <= rst_n && aw_valid && !awready_i;
    waited_addr <= aw_addr;
    waited_len  <= aw_len;
    w_waited    <= rst_n && w_valid && !wready_i;
    waited_data <= w_data;
    waited_strb <= w_strb;
    waited_last <= w_last;
    was_halted  <= rst_n && halt_i;
    was_idle    <= idle;
    of_status_q <= of_status;
    aw_open_q   <= rst_n && aw_open && !aw_fire;
    w_open_q    <= rst_n && w_open && !(w_fire && w_last);
    len_q       <= len;
    sent_q      <= sent + 5'(w_fire);
  end

  // Bursts that are sent and not answered.
  logic [3:0] unanswered;
  logic complete, b;
  assign b = rst_n && bvalid_i;
  assign complete = (aw_open || w_open) && (!aw_open || aw_fire)
      && (!w_open || (w_fire && w_last));
  always_ff @(posedge clk_i) unanswered <= !rst_n ? '0 : unanswered + 4'(complete) - 4'(b);

  // ---- The job ----

  logic open, results, closed_q;  // closed_q: its status was sampled
  addr_t at, desc, answered;   // answered: address of the burst that is answered next
  logic [31:0] status, cycles;

  always_ff @(posedge clk_i) begin
    if (!rst_n) begin
      open     <= 1'b0;
      closed_q <= 1'b0;
    end else if (job_take) begin
      open     <= 1'b1;
      closed_q <= 1'b0;
      results  <= job_results_i;
      at       <= job_addr_i;
      answered <= job_addr_i;
      desc     <= job_desc_i;
    end else begin
      if (done || (halt_i && idle)) open <= 1'b0;
      if (closing) closed_q <= 1'b1;
      if (fresh && !of_status) at <= at + addr_t'(BurstBytes);
      if (b && !closed_q) answered <= answered + addr_t'(BurstBytes);
    end
    if (closing) begin
      status <= status_i;
      cycles <= cycles_i;
    end
  end

  // ---- Words ----

  // held: complete beats that are not sent; lane: of the next word.
  logic [7:0] held;
  logic [LaneW-1:0] lane;
  logic beat_done, result_fire, dropping;
  logic watching, packed_q, beat_last, follows, follows_last;  // follows: a watched burst's end
  logic [7:0] ahead;
  logic [LaneW-1:0] watched_lane, lane_of_word;
  logic [31:0] watched_word;
  logic watched_is_last;
  logic turn;

  // A beat of one word has no lane 1.
  assign watched_lane = lane_of_word & LaneW'(Words - 1);
  assign beat_done = word && (res_last_i || lane == LaneW'(Words - 1));
  assign result_fire = w_fire && !of_status;
  assign dropping = halt_i && !((aw_open || w_open) && !of_status);
  assign turn = watching && packed_q && ahead == '0 && result_fire;

  always_ff @(posedge clk_i) begin
    if (!rst_n || dropping) begin
      held <= '0;
      lane <= '0;
    end else begin
      held <= held + 8'(beat_done) - 8'(result_fire);
      lane <= halt_i || beat_done ? '0 : lane + LaneW'(word);
    end
    follows <= rst_n && !halt_i && (turn && w_last || (follows && !fresh));
    if (turn) follows_last <= beat_last;
    if (!rst_n || dropping) begin
      watching <= 1'b0;
    end else if (!watching) begin
      watching        <= word && choose_i;
      lane_of_word    <= lane;
      watched_word    <= res_data_i;
      watched_is_last <= res_last_i;
      packed_q        <= beat_done;
      beat_last       <= res_last_i;
      ahead           <= held - 8'(result_fire);
    end else begin
      if (halt_i && !packed_q) watching <= 1'b0;
      if (!packed_q && beat_done) begin
        packed_q  <= 1'b1;
        beat_last <= res_last_i;
      end
      if (result_fire && ahead != '0) ahead <= ahead - 1'b1;
      if (turn) watching <= 1'b0;
    end
  end

  // ---- Progress: clocks in a row in which nothing moves though nothing outside is waited for ----

  logic [3:0] quiet;
  logic refused;
  logic [3:0] whole;  // bursts whose words are all here and that were not begun
  logic [4:0] index;  // of the next beat in its burst
  logic ended, last_begun, burst_done, starved, work;

  assign burst_done = beat_done && (res_last_i || index == 5'(BurstBeats - 1));
  assign last_begun = fresh && !of_status && u_dut.last_burst_q;
  // Words are awaited: none of the job's bursts can be begun.
  assign starved = open && results && !ended && !aw_open && !w_open && whole == '0 && res_ready
      && !res_valid_i;
  assign refused = starved || (aw_valid && !awready_i) || (w_valid && !wready_i)
      || (unanswered != '0 && !bvalid_i);
  assign work = (open && !idle) || (job_valid_i && !halt_i);

  always_ff @(posedge clk_i) begin
    whole <= !rst_n || dropping ? '0 : whole + 4'(burst_done) - 4'(fresh && !of_status);
    index <= !rst_n || halt_i || burst_done ? '0 : index + 5'(beat_done);
    ended <= rst_n && !job_take && (ended || last_begun);
    quiet <= !rst_n || !work || halt_i != was_halted || refused || job_take || word || aw_fire
        || w_fire || b || done ? '0 : quiet + 1'b1;
  end

  always_comb begin
    assume (job_addr_i[7:0] == '0 && job_desc_i[5:0] == '0);
    // Answers only to what was sent, and a halt lasts until the unit is idle.
    assume (!(rst_n && bvalid_i && unanswered == '0));
    assume (!(was_halted && !was_idle && !halt_i));
  end

  // ---- Helper invariants: they follow the unit's registers, so that the proof closes ----

  localparam int unsigned PtrW = $clog2(4 * BurstBeats) + 1;
  localparam int unsigned BurstW = $clog2(BurstBeats) + 1;
  localparam logic [2:0] StIdle = 3'd0, StResults = 3'd1, StBurst = 3'd2, StDrain = 3'd3,
      StStatus = 3'd4, StClose = 3'd5;
  typedef logic [PtrW-1:0] ptr_t;

  logic [2:0] state;
  ptr_t rptr, wptr, rest, place, burst_end[8];
  logic [3:0] bursts;
  assign state = u_dut.state_q;
  assign rptr = u_dut.u_beats.rptr_q;
  assign wptr = u_dut.u_beats.wptr_q;
  assign bursts = u_dut.u_bursts.wptr_q - u_dut.u_bursts.rptr_q;
  // Beats of the burst that is being sent.
  assign rest = state == StBurst && w_valid ? ptr_t'(u_dut.left_q) + 1'b1 : '0;
  // Where the watched beat is, or will be, behind the head.
  assign place = ptr_t'(ahead);

  always_ff @(posedge clk_i) begin
    if (u_dut.burst_full) burst_end[u_dut.u_bursts.wptr_q[2:0]] <= wptr + 1'b1;
  end

  if (COVER == 0 && HELP == 1) begin : gen_helper
    for (genvar i = 0; i < 8; i++) begin : gen_slot
      logic last;
      logic [BurstW-2:0] len_less;
      logic [2:0] order;
      ptr_t start;
      assign {last, len_less} = u_dut.u_bursts.mem[i];
      assign order = 3'(i) - u_dut.u_bursts.rptr_q[2:0];
      assign start = order == '0 ? rptr + rest : burst_end[(i + 7) % 8];
      always_comb begin
        if (rst_n && {1'b0, order} < bursts) begin
          assert (burst_end[i] - start == ptr_t'(len_less) + 1'b1);
          assert (burst_end[i] - rptr <= ptr_t'(4 * BurstBeats) && burst_end[i] - rptr > rest);
          assert (last || len_less == '1);
          if (watching && packed_q && place >= start - rptr && place < burst_end[i] - rptr) begin
            assert (place == burst_end[i] - rptr - 1'b1 ? beat_last == last : !beat_last);
          end
          if ({1'b0, order} == bursts - 1'b1) begin
            assert (was_halted || burst_end[i] + ptr_t'(u_dut.index_q) == wptr);
            if (watching && packed_q && place >= burst_end[i] - rptr) assert (!beat_last);
          end
        end
      end
    end

    always_comb begin
      if (rst_n) begin
        assert (bursts <= 4'd8 && wptr - rptr <= ptr_t'(4 * BurstBeats));
        assert (was_halted || bursts != '0 || rptr + rest + ptr_t'(u_dut.index_q) == wptr);
        assert (!(was_halted && was_idle) || (wptr == rptr && bursts == '0));
        assert (!was_halted || index == '0);
        assert (wptr - rptr >= rest + ptr_t'(u_dut.index_q));
        assert (held == 8'(ptr_t'(wptr - rptr)));
        assert (LaneW'(u_dut.count_q) == lane && u_dut.count_q < ($clog2(Words)+1)'(Words));
        // The sender.
        assert (state <= StClose);
        assert ((aw_valid || w_valid) == (state == StBurst || state == StStatus));
        assert (aw_valid == aw_open && w_valid == w_open);
        assert (!fresh || (aw_valid && w_valid && u_dut.left_q == u_dut.len_q && !w_waited));
        assert (!(aw_valid || w_valid) || (of_status == (state == StStatus)
            && len == 8'(u_dut.len_q)));
        assert (!w_valid || (u_dut.left_q <= u_dut.len_q
            && 8'(sent) == 8'(u_dut.len_q) - 8'(u_dut.left_q)));
        assert (!closed || fresh);
        assert (!aw_valid || of_status || (aw_addr & addr_t'(BurstBytes - 1)) == '0);
        assert (state != StBurst || u_dut.last_burst_q || u_dut.len_q == '1);
        assert (state != StStatus || u_dut.len_q == ($clog2(BurstBeats))'(StatusBeats - 1));
        assert (u_dut.pending_q == unanswered + 4'(aw_open || w_open));
        assert (u_dut.pending_q <= 4'(Outstanding));
        assert (state == StIdle ? unanswered == '0 : 1'b1);
        assert (!(state == StStatus || state == StClose) || u_dut.pending_q <= 4'd1);
        assert (state != StStatus || unanswered == '0);
        // The job.
        assert (open == (state != StIdle) || (was_halted && !was_idle && idle));
        assert (closed_q == (state == StStatus || state == StClose) || !open || state == StIdle);
        assert (!(state == StResults || state == StBurst) || results);
        assert (!open || state == StIdle || (u_dut.desc_q == desc
            && u_dut.addr_q == at + (fresh && !of_status ? addr_t'(BurstBytes) : '0)));
        assert ((at & addr_t'(BurstBytes - 1)) == '0 || !open);
        assert (!open || closed_q || state == StIdle || u_dut.addr_q
            == answered + addr_t'(BurstBytes) * addr_t'(u_dut.pending_q));
        assert (u_dut.pending_q == '0 || state == StStatus || state == StClose
            || aw_addr + addr_t'(BurstBytes) == u_dut.addr_q);
        assert (!(state == StStatus || state == StClose)
            || aw_addr == desc + addr_t'(StatusOffset));
        assert (desc[5:0] == '0 || !open);
        assert (!(state == StStatus || state == StClose) || u_dut.status_q == {cycles, status});
        // Words.
        if (watching) begin
          assert (packed_q ? held > ahead : held == ahead);
          if (packed_q && place < rest) begin
            assert (place == rest - 1'b1 ? beat_last == u_dut.last_burst_q : !beat_last);
          end
          if (packed_q && bursts == '0 && place >= rest) assert (!beat_last);
          assert (!watched_is_last || (packed_q && beat_last));
          assert (packed_q || watched_lane < lane);
        end
        if (follows && !fresh) begin
          assert (state == StBurst ? !w_valid && u_dut.last_burst_q == follows_last
              : state == (follows_last ? StDrain : StResults));
        end
        // Progress.
        assert (dropping || whole == bursts + 4'(fresh && !of_status));
        assert (index == 5'(u_dut.index_q));
        assert (!(state == StResults || (fresh && !of_status)) || !ended);
        assert (!(was_halted && state == StResults && unanswered == '0));
        assert (state != StBurst || fresh || ended == u_dut.last_burst_q);
        assert (quiet <= 4'(fresh || idle));
      end
    end

    for (genvar i = 0; i < Words; i++) begin : gen_lane
      always_comb begin
        if (rst_n && watching && watched_lane == LaneW'(i)) begin
          if (!packed_q) assert (u_dut.pack_q[i] == watched_word);
        end
      end
    end

    for (genvar m = 0; m < 4 * BurstBeats; m++) begin : gen_beat
      logic [$clog2(Words):0] words;
      logic [Words-1:0][31:0] data;
      assign {words, data} = u_dut.u_beats.mem[m];
      always_comb begin
        if (rst_n && watching && packed_q && (PtrW-1)'(rptr + place) == (PtrW-1)'(m)) begin
          assert (data[watched_lane] == watched_word);
          assert (watched_is_last ? words == ($clog2(Words)+1)'(watched_lane) + 1'b1
              : words > ($clog2(Words)+1)'(watched_lane));
        end
      end
    end
  end

  // The status as a burst: two beats of 32 bits, else the upper 8 bytes of one.
  logic status_right;
  if (BEAT_W == 32) begin : gen_status32
    assign status_right = w_data == (sent == '0 ? status : cycles) && w_strb == '1;
  end else begin : gen_status
    assign status_right = w_data[BEAT_W-1-:64] == {cycles, status}
        && w_strb == (BeatBytes'(8'hff) << (BeatBytes - 8));
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        // Unchanged until taken.
        assert (!aw_waited || (aw_valid && aw_addr == waited_addr && aw_len == waited_len));
        assert (!w_waited || (w_valid && w_data == waited_data && w_strb == waited_strb
            && w_last == waited_last));
        // A burst: 16 beats at most, in a page, its last beat marked, sent before the next.
        assert (!aw_valid || aw_len < 8'(BurstBeats));
        assert (!aw_valid
            || 13'(aw_addr[11:0]) + (13'(aw_len) + 13'd1) * 13'(BeatBytes) <= 13'd4096);
        assert (!w_valid || (w_open && w_last == (8'(sent) == len)));
        assert (!fresh || (!w_open_q && !aw_open_q));
        // Results: from the job's address on, each burst behind the one before.
        assert (!(fresh && !closed) || (open && results && !closed_q && aw_addr == at));
        assert (!result_fire || held != '0);
        assert (!turn || (w_data[32*watched_lane+:32] == watched_word
            && w_strb[4*watched_lane+:4] == '1));
        assert (!(turn && watched_is_last) || (w_last
            && (w_strb >> (4 * watched_lane)) == BeatBytes'(4'hf)));
        // Behind the last beat of a burst: the status if a job's last word was in it, and only then;
        // otherwise the burst was full.
        assert (!(turn && w_last && !beat_last) || len == 8'(BurstBeats - 1));
        assert (!(follows && fresh) || closed == follows_last);
        // The status: once, when all is answered, at its place.
        assert (!closing || (open && !closed_q && unanswered == '0 && !aw_open && !w_open));
        assert (!(fresh && closed) || (open && closed_q && aw_addr == desc + addr_t'(StatusOffset)
            && aw_len == 8'(StatusBeats - 1)));
        assert (!(w_valid && of_status) || status_right);
        assert (!done || (open && closed_q && unanswered == '0 && !aw_open && !w_open && !halt_i));
        // Responses are always taken; errors are told.
        assert (b_ready && error == (bvalid_i && bresp_i && !halt_i));
        assert (!error || error_addr == (closed_q ? desc + addr_t'(StatusOffset) : answered));
        assert (4'(unanswered) <= 4'(Outstanding));
        // A halt.
        assert (!(was_halted && fresh));
        assert (!(halt_i && (word || job_take)));
        assert (!idle || (unanswered == '0 && !aw_valid && !w_valid));
        // Progress.
        assert (quiet <= 4'(Bound));
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      if (rst_n) begin
        assert (!(held == 8'(4 * BurstBeats)));
        assert (!(unanswered == 4'(Outstanding)));
        assert (!(turn && watched_is_last && len != '0 && w_waited));
        assert (!(turn && w_last && !beat_last));
        assert (!(follows && follows_last && fresh));
        assert (!(done && results));
        assert (!(done && !results));
        assert (!(was_halted && w_waited && !of_status && w_last && len != '0));
        assert (!(was_halted && !halt_i && job_take));
        assert (!(error && !of_status));
      end
    end
  end

endmodule
