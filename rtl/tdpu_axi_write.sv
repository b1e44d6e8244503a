// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// AXI write master: results as bursts, then the job's status once its last response has come.
//
// Jobs arrive in order. For one with results, int32 words (res_last_i with the last) are packed to
// beats, and a burst (BurstBeats, the last one shorter) is issued only when all its beats are held.
// Then the responses are awaited, and {status, cycles} goes to the last 8 bytes of the descriptor.
// done_o pulses after the response to that. Addresses are aligned to a full burst, so no burst crosses
// 4 KiB. A job without results (a refused descriptor) only has its status written.
//
// halt_i: a burst that was begun is finished, nothing else is begun, queued work is dropped; idle_o
// says that nothing is outstanding. AWVALID and WVALID never wait for a ready.

module tdpu_axi_write
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W = 64
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                halt_i,
  output logic                idle_o,

  input  logic                job_valid_i,
  output logic                job_ready_o,
  input  logic                job_results_i,  // has results
  input  addr_t               job_addr_i,     // of the results
  input  addr_t               job_desc_i,     // of the descriptor
  output logic                closing_o,      // the status is sampled in this clock
  input  logic [31:0]         status_i,
  input  logic [31:0]         cycles_i,
  output logic                done_o,

  input  logic                res_valid_i,
  output logic                res_ready_o,
  input  logic [31:0]         res_data_i,
  input  logic                res_last_i,

  output logic                m_axi_awvalid_o,
  input  logic                m_axi_awready_i,
  output addr_t               m_axi_awaddr_o,
  output logic [7:0]          m_axi_awlen_o,
  output logic                m_axi_wvalid_o,
  input  logic                m_axi_wready_i,
  output logic [BEAT_W-1:0]   m_axi_wdata_o,
  output logic [BEAT_W/8-1:0] m_axi_wstrb_o,
  output logic                m_axi_wlast_o,
  input  logic                m_axi_bvalid_i,
  output logic                m_axi_bready_o,
  input  logic [1:0]          m_axi_bresp_i,

  output logic                error_o,
  output addr_t               error_addr_o,   // of the burst that is answered next
  input  logic                tick_i,
  input  logic [7:0]          timeout_i,
  output logic                timeout_o
);

  localparam int unsigned BeatBytes = BEAT_W / 8;
  localparam int unsigned Words = BEAT_W / 32;
  localparam int unsigned WordsW = $clog2(Words) + 1;
  localparam int unsigned LenW = $clog2(BurstBeats);
  // Address bits inside a full burst, and inside a descriptor, which are 0.
  localparam int unsigned BurstW = $clog2(BurstBeats * BeatBytes);
  localparam int unsigned DescW = $clog2(DescBytes);
  localparam int unsigned FifoDepth = 4 * BurstBeats;
  // The status is 8 bytes: two beats of 32 bits, one of 64, the upper half of one of 128.
  localparam int unsigned StatusBeats = BEAT_W == 32 ? 2 : 1;
  localparam int unsigned StatusOffset = DescStatusByte / BeatBytes * BeatBytes;

  // ---- Packing words to beats, and beats to bursts ----

  typedef struct packed {
    logic [WordsW-1:0]  words;  // valid words of the beat
    logic [BEAT_W-1:0]  data;
  } beat_t;

  typedef struct packed {
    logic            last;  // of the job
    logic [LenW-1:0] len;   // beats less one
  } burst_t;

  // The last word of a beat is never held: the beat leaves with it.
  logic [Words-1:0][31:0] pack_q, pack_d;
  logic [WordsW-1:0] count_q;
  logic [LenW-1:0] index_q;
  logic word, beat_full, burst_full, beat_ready, burst_ready;
  beat_t beat_head;
  burst_t burst_head;
  logic beat_valid, burst_valid, beat_take, burst_take;

  assign res_ready_o = beat_ready && burst_ready && !halt_i;
  assign word = res_valid_i && res_ready_o;
  assign beat_full = word && (res_last_i || count_q == WordsW'(Words - 1));
  assign burst_full = beat_full && (res_last_i || index_q == LenW'(BurstBeats - 1));

  always_ff @(posedge clk_i) begin
    if (!rst_ni || halt_i) begin
      count_q <= '0;
      index_q <= '0;
    end else begin
      if (word) count_q <= beat_full ? '0 : count_q + 1'b1;
      if (beat_full) index_q <= burst_full ? '0 : index_q + 1'b1;
    end
  end

  for (genvar i = 0; i < Words; i++) begin : gen_pack
    if (i == Words - 1) begin : gen_last
      assign pack_d[i] = res_data_i;
      always_ff @(posedge clk_i) pack_q[i] <= '0;
      logic unused_pack;
      assign unused_pack = ^pack_q[i];
    end else begin : gen_held
      assign pack_d[i] = count_q == WordsW'(i) ? res_data_i : pack_q[i];
      always_ff @(posedge clk_i) if (word) pack_q[i] <= pack_d[i];
    end
  end

  // A burst being sent survives halt_i; the queues are flushed when the sender is idle again.
  logic flush;

  tdpu_queue #(.WIDTH($bits(beat_t)), .DEPTH(FifoDepth)) u_beats (
    .clk_i,
    .rst_ni,
    .flush_i(flush),
    .valid_i(beat_full),
    .ready_o(beat_ready),
    .data_i ({count_q + 1'b1, pack_d}),
    .valid_o(beat_valid),
    .ready_i(beat_take),
    .data_o (beat_head)
  );

  tdpu_queue #(.WIDTH($bits(burst_t)), .DEPTH(8)) u_bursts (
    .clk_i,
    .rst_ni,
    .flush_i(flush),
    .valid_i(burst_full),
    .ready_o(burst_ready),
    .data_i ({res_last_i, index_q}),
    .valid_o(burst_valid),
    .ready_i(burst_take),
    .data_o (burst_head)
  );

  // ---- Sending ----

  typedef enum logic [2:0] {
    StIdle,
    StResults,  // between bursts of results
    StBurst,    // a burst of results is on its way
    StDrain,    // all sent, responses outstanding
    StStatus,   // the status burst is on its way
    StClose     // its response is outstanding
  } state_e;

  state_e state_q, state_d;
  logic aw_valid_q, aw_valid_d, w_valid_q, w_valid_d, last_burst_q;
  logic [31:BurstW] burst_q;
  logic [31:DescW] descriptor_q;
  addr_t addr_q, desc_q, aw_addr_q;
  logic [LenW-1:0] len_q, left_q;
  logic [3:0] pending_q;
  logic [63:0] status_q;
  logic start_burst, start_status, w_done, sent, response;

  assign addr_q = {burst_q, BurstW'(0)};
  assign desc_q = {descriptor_q, DescW'(0)};
  assign job_ready_o = state_q == StIdle && !halt_i;
  assign response = m_axi_bvalid_i;
  assign m_axi_bready_o = 1'b1;
  assign w_done = w_valid_q && m_axi_wready_i && left_q == '0;
  assign sent = (!aw_valid_q || m_axi_awready_i) && (!w_valid_q || w_done);
  assign start_burst = state_q == StResults && burst_valid && pending_q < 4'(Outstanding)
      && !halt_i;
  assign start_status = state_q == StDrain && pending_q == '0 && !halt_i;
  assign closing_o = start_status;
  assign done_o = state_q == StClose && pending_q == '0 && !halt_i;
  assign burst_take = start_burst;
  assign beat_take = state_q == StBurst && w_valid_q && m_axi_wready_i;

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      StIdle: begin
        if (job_valid_i && !halt_i) state_d = job_results_i ? StResults : StDrain;
      end
      StResults: begin
        if (halt_i) state_d = StDrain;
        else if (start_burst) state_d = StBurst;
      end
      StBurst: if (sent) state_d = last_burst_q ? StDrain : StResults;
      StDrain: begin
        if (start_status) state_d = StStatus;
        else if (halt_i && pending_q == '0) state_d = StIdle;
      end
      StStatus: if (sent) state_d = StClose;
      StClose: if (pending_q == '0) state_d = StIdle;
      default: state_d = StIdle;
    endcase
  end

  assign aw_valid_d = start_burst || start_status || (aw_valid_q && !m_axi_awready_i);
  assign w_valid_d = start_burst || start_status || (w_valid_q && !w_done);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q    <= StIdle;
      aw_valid_q <= 1'b0;
      w_valid_q  <= 1'b0;
      pending_q  <= '0;
    end else begin
      state_q    <= state_d;
      aw_valid_q <= aw_valid_d;
      w_valid_q  <= w_valid_d;
      pending_q  <= pending_q + 4'(start_burst || start_status) - 4'(response);
    end
  end

  always_ff @(posedge clk_i) begin
    if (job_valid_i && job_ready_o) begin
      burst_q <= job_addr_i[31:BurstW];
      descriptor_q <= job_desc_i[31:DescW];
    end else if (start_burst) begin
      burst_q <= burst_q + 1'b1;
    end
    if (start_burst) begin
      aw_addr_q    <= addr_q;
      len_q        <= burst_head.len;
      left_q       <= burst_head.len;
      last_burst_q <= burst_head.last;
    end else if (start_status) begin
      aw_addr_q <= desc_q + addr_t'(StatusOffset);
      len_q     <= LenW'(StatusBeats - 1);
      left_q    <= LenW'(StatusBeats - 1);
      status_q  <= {cycles_i, status_i};
    end else if (w_valid_q && m_axi_wready_i) begin
      left_q <= left_q - 1'b1;
    end
  end

  assign idle_o = state_q == StIdle;
  assign flush = halt_i && state_q != StBurst;

  assign m_axi_awvalid_o = aw_valid_q;
  assign m_axi_awaddr_o = aw_addr_q;
  assign m_axi_awlen_o = 8'(len_q);
  assign m_axi_wvalid_o = w_valid_q;
  assign m_axi_wlast_o = left_q == '0;

  logic [BEAT_W-1:0] status_data;
  logic [BeatBytes-1:0] status_strb;

  if (BEAT_W == 32) begin : gen_status32
    assign status_data = left_q == '0 ? status_q[63:32] : status_q[31:0];
    assign status_strb = '1;
  end else begin : gen_status
    assign status_data = {BEAT_W / 64{status_q}};
    assign status_strb = BeatBytes'(8'hff) << (BeatBytes - 8);
  end

  always_comb begin
    m_axi_wdata_o = beat_head.data;
    for (int unsigned i = 0; i < Words; i++) begin
      m_axi_wstrb_o[4*i+:4] = {4{WordsW'(i) < beat_head.words}};
    end
    if (state_q == StStatus) begin
      m_axi_wdata_o = status_data;
      m_axi_wstrb_o = status_strb;
    end
  end

  assign error_o = response && m_axi_bresp_i[1] && !halt_i;
  // Responses come in order, and bursts of results follow each other in memory: the one that is
  // answered next was issued pending_q - 1 before the last. The status burst is alone.
  logic [$clog2(Outstanding)-1:0] behind;
  assign behind = $clog2(Outstanding)'(pending_q - 1'b1);
  assign error_addr_o = aw_addr_q - addr_t'({behind, BurstW'(0)});

  tdpu_watchdog u_watchdog (
    .clk_i,
    .rst_ni,
    .waiting_i (pending_q != '0),
    .progress_i(response || (aw_valid_q && m_axi_awready_i) || (w_valid_q && m_axi_wready_i)),
    .tick_i,
    .limit_i   (timeout_i),
    .timeout_o
  );

  logic unused_write;
  assign unused_write = ^{m_axi_bresp_i[0], beat_valid, job_addr_i[BurstW-1:0],
      job_desc_i[DescW-1:0]};

endmodule
