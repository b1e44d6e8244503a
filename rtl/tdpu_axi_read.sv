// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// AXI read master of one port: turns commands into bursts of at most BurstBeats and sorts the data.
//
// A command (address, beats, destination) is taken when the one before has issued its last burst.
// Addresses are aligned to a full burst, so no burst crosses 4 KiB. A descriptor fetch (one burst of
// 64 bytes) goes between two bursts of a command. Data comes back in order (one ID) and is sorted by
// a queue of what was asked for. Weights go to a FIFO, whose space is reserved before a burst is
// issued; activations and descriptors are taken at once. So m_axi_rready_o is always high.
//
// halt_i stops new bursts, drops commands and what arrives, and holds the FIFO empty; idle_o says that
// nothing is outstanding. tick_i counts the timeout: after timeout_i ticks (0: never) without progress
// while something is outstanding or offered, timeout_o pulses.

module tdpu_axi_read
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W     = 64,
  parameter int unsigned FIFO_DEPTH = 512
) (
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              halt_i,
  output logic              idle_o,

  input  logic              cmd_valid_i,
  output logic              cmd_ready_o,
  input  addr_t             cmd_addr_i,
  input  beats_t            cmd_beats_i,
  input  logic              cmd_weights_i,  // destination: weights, else activations
  input  logic              cmd_job_i,      // which of two jobs an error belongs to

  input  logic              desc_valid_i,
  output logic              desc_ready_o,
  input  addr_t             desc_addr_i,

  output logic              m_axi_arvalid_o,
  input  logic              m_axi_arready_i,
  output addr_t             m_axi_araddr_o,
  output logic [7:0]        m_axi_arlen_o,
  input  logic              m_axi_rvalid_i,
  output logic              m_axi_rready_o,
  input  logic [BEAT_W-1:0] m_axi_rdata_i,
  input  logic [1:0]        m_axi_rresp_i,

  output logic              w_valid_o,
  input  logic              w_ready_i,
  output logic [BEAT_W-1:0] w_data_o,
  output logic              act_valid_o,
  output logic              desc_valid_o,
  output logic [BEAT_W-1:0] data_o,         // of act_valid_o and desc_valid_o

  output logic              error_o,        // a beat of a burst came with an error response
  output dest_e             error_dest_o,
  output logic              error_job_o,
  output addr_t             error_addr_o,   // of the burst
  input  logic              tick_i,
  input  logic [7:0]        timeout_i,
  output logic              timeout_o
);

  localparam int unsigned BeatBytes = BEAT_W / 8;
  localparam int unsigned DescBeats = DescBytes / BeatBytes;
  localparam int unsigned LenW = $clog2(BurstBeats);
  // Address bits inside a full burst, which are 0.
  localparam int unsigned BurstW = $clog2(BurstBeats * BeatBytes);
  localparam int unsigned CreditW = $clog2(FIFO_DEPTH) + 1;

  if (FIFO_DEPTH < 128) begin : gen_bad_fifo
    $error("tdpu_axi_read: FIFO_DEPTH is at least 128 beats, eight bursts in flight");
  end

  typedef struct packed {
    dest_e           dest;
    logic            job;
    addr_t           addr;
    logic [LenW-1:0] len;   // beats less one
  } burst_t;

  // Command and the burst it offers next.
  logic   busy_q, weights_q, job_q;
  logic [31:BurstW] burst_q;
  addr_t  addr_q, addr_d;
  beats_t beats_q;
  logic   ar_valid_q, offer, take_desc, take_cmd, cmd_last;
  addr_t  ar_addr_q;
  logic [LenW-1:0] ar_len_q;
  burst_t cmd_burst, next_burst, asked;
  logic   asked_valid, asked_ready, queue_ready;

  // FIFO words that are neither stored nor promised to a burst.
  logic [CreditW-1:0] credit_q;
  logic [LenW-1:0]    cmd_len;
  logic               credit_ok, pop;

  assign addr_q = {burst_q, BurstW'(0)};
  assign addr_d = addr_q + addr_t'(BurstBeats * BeatBytes);
  assign cmd_last = beats_q <= BeatsW'(BurstBeats);
  assign cmd_len = cmd_last ? LenW'(beats_q - 1'b1) : LenW'(BurstBeats - 1);
  assign credit_ok = credit_q > CreditW'(cmd_len) || !weights_q;
  assign cmd_burst = '{
    dest: weights_q ? DestWeights : DestActivations,
    job: job_q,
    addr: addr_q,
    len: cmd_len
  };

  always_comb begin
    next_burst = cmd_burst;
    if (desc_valid_i) begin
      next_burst = '{
        dest: DestDescriptor,
        job: 1'b0,
        addr: desc_addr_i,
        len: LenW'(DescBeats - 1)
      };
    end
  end

  // A new burst is offered while AR is free and the queue of outstanding ones has room.
  assign offer = (!ar_valid_q || m_axi_arready_i) && queue_ready && !halt_i;
  assign take_desc = offer && desc_valid_i;
  assign take_cmd = offer && !desc_valid_i && busy_q && credit_ok;
  assign desc_ready_o = take_desc;
  assign cmd_ready_o = !busy_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || halt_i) begin
      busy_q <= 1'b0;
    end else if (cmd_valid_i && cmd_ready_o) begin
      busy_q <= 1'b1;
    end else if (take_cmd && cmd_last) begin
      busy_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (cmd_valid_i && cmd_ready_o) begin
      burst_q   <= cmd_addr_i[31:BurstW];
      beats_q   <= cmd_beats_i;
      weights_q <= cmd_weights_i;
      job_q     <= cmd_job_i;
    end else if (take_cmd) begin
      burst_q <= addr_d[31:BurstW];
      beats_q <= beats_q - BeatsW'(BurstBeats);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) ar_valid_q <= 1'b0;
    else ar_valid_q <= take_desc || take_cmd || (ar_valid_q && !m_axi_arready_i);
  end

  always_ff @(posedge clk_i) begin
    if (take_desc || take_cmd) begin
      ar_addr_q <= next_burst.addr;
      ar_len_q  <= next_burst.len;
    end
  end

  assign m_axi_arvalid_o = ar_valid_q;
  assign m_axi_araddr_o = ar_addr_q;
  assign m_axi_arlen_o = 8'(ar_len_q);
  assign m_axi_rready_o = 1'b1;

  // Outstanding bursts, in order. Written when a burst is offered, so it is known before any data.
  tdpu_queue #(.WIDTH($bits(burst_t)), .DEPTH(Outstanding)) u_asked (
    .clk_i,
    .rst_ni,
    .flush_i(1'b0),
    .valid_i(take_desc || take_cmd),
    .ready_o(queue_ready),
    .data_i (next_burst),
    .valid_o(asked_valid),
    .ready_i(asked_ready),
    .data_o (asked)
  );

  logic [LenW-1:0] beat_q;
  logic beat;

  assign beat = m_axi_rvalid_i && asked_valid;
  assign asked_ready = beat && beat_q == asked.len;
  assign idle_o = !asked_valid;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) beat_q <= '0;
    else if (beat) beat_q <= asked_ready ? '0 : beat_q + 1'b1;
  end

  logic unused_fifo_ready;

  tdpu_fifo #(.WIDTH(BEAT_W), .DEPTH(FIFO_DEPTH)) u_weights (
    .clk_i,
    .rst_ni,
    .flush_i(halt_i),
    .valid_i(beat && asked.dest == DestWeights),
    .ready_o(unused_fifo_ready),  // always: the space was reserved
    .data_i (m_axi_rdata_i),
    .valid_o(w_valid_o),
    .ready_i(w_ready_i),
    .data_o (w_data_o)
  );

  assign pop = w_valid_o && w_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || halt_i) begin
      credit_q <= CreditW'(FIFO_DEPTH);
    end else begin
      credit_q <= credit_q + CreditW'(pop)
          - (take_cmd && weights_q ? CreditW'(cmd_len) + 1'b1 : '0);
    end
  end

  assign data_o = m_axi_rdata_i;
  assign act_valid_o = beat && asked.dest == DestActivations && !halt_i;
  assign desc_valid_o = beat && asked.dest == DestDescriptor && !halt_i;
  assign error_o = beat && m_axi_rresp_i[1] && !halt_i;
  assign error_dest_o = asked.dest;
  assign error_job_o = asked.job;
  assign error_addr_o = asked.addr;

  tdpu_watchdog u_watchdog (
    .clk_i,
    .rst_ni,
    .waiting_i (asked_valid),
    .progress_i(beat || (m_axi_arvalid_o && m_axi_arready_i)),
    .tick_i,
    .limit_i   (timeout_i),
    .timeout_o
  );

  // OKAY (00) and EXOKAY (01) are no errors.
  logic unused_read;
  assign unused_read = ^{m_axi_rresp_i[0], cmd_addr_i[BurstW-1:0], addr_d[BurstW-1:0]};

endmodule
