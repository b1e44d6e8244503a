// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// The unit with its memory path: AXI4-Lite registers, a descriptor ring, one AXI read port an
// engine, one AXI write port, a level interrupt. It needs no other DMA.
//
// One clock; rst_ni is sampled synchronously. Bursts fit AXI3: at most 16 beats, incrementing, one
// ID, no 4 KiB crossing. Writing control.abort or control.reset stops new bursts, waits until
// nothing is outstanding, then empties the ring; a memory that never answers shows as a timeout
// error and as status.draining. A doorbell that is written meanwhile is refused.

module tdpu_top
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W     = 64,
  parameter int unsigned CODE       = CodeBase3,
  parameter int unsigned ENGINES    = 4,
  parameter int unsigned BATCH      = 1,
  parameter int unsigned K_MAX      = 6912,
  parameter int unsigned FIFO_DEPTH = 512,
  parameter int unsigned ILLEGAL_W  = 32,  // bits of the counter of illegal beats, which saturates
  parameter logic [31:0] BUILD_HASH = 32'h0
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  output logic                           irq_o,

  input  logic                           s_axil_awvalid_i,
  output logic                           s_axil_awready_o,
  input  logic [6:0]                     s_axil_awaddr_i,
  input  logic                           s_axil_wvalid_i,
  output logic                           s_axil_wready_o,
  input  logic [31:0]                    s_axil_wdata_i,
  input  logic [3:0]                     s_axil_wstrb_i,
  output logic                           s_axil_bvalid_o,
  input  logic                           s_axil_bready_i,
  output logic [1:0]                     s_axil_bresp_o,
  input  logic                           s_axil_arvalid_i,
  output logic                           s_axil_arready_o,
  input  logic [6:0]                     s_axil_araddr_i,
  output logic                           s_axil_rvalid_o,
  input  logic                           s_axil_rready_i,
  output logic [31:0]                    s_axil_rdata_o,
  output logic [1:0]                     s_axil_rresp_o,

  output logic [ENGINES-1:0]             m_axi_arvalid_o,
  input  logic [ENGINES-1:0]             m_axi_arready_i,
  output logic [ENGINES-1:0][31:0]       m_axi_araddr_o,
  output logic [ENGINES-1:0][7:0]        m_axi_arlen_o,
  input  logic [ENGINES-1:0]             m_axi_rvalid_i,
  output logic [ENGINES-1:0]             m_axi_rready_o,
  input  logic [ENGINES-1:0][BEAT_W-1:0] m_axi_rdata_i,
  input  logic [ENGINES-1:0][1:0]        m_axi_rresp_i,

  output logic                           m_axi_awvalid_o,
  input  logic                           m_axi_awready_i,
  output logic [31:0]                    m_axi_awaddr_o,
  output logic [7:0]                     m_axi_awlen_o,
  output logic                           m_axi_wvalid_o,
  input  logic                           m_axi_wready_i,
  output logic [BEAT_W-1:0]              m_axi_wdata_o,
  output logic [BEAT_W/8-1:0]            m_axi_wstrb_o,
  output logic                           m_axi_wlast_o,
  input  logic                           m_axi_bvalid_i,
  output logic                           m_axi_bready_o,
  input  logic [1:0]                     m_axi_bresp_i
);

  if (ILLEGAL_W < 1 || ILLEGAL_W > 32) begin : gen_bad_illegal_w
    $error("tdpu_top: ILLEGAL_W is 1 to 32, the bits of a register");
  end

  // ---- Registers ----

  tdpu_regs_pkg::tdpu_regs__in_t  hwif_in;
  tdpu_regs_pkg::tdpu_regs__out_t hwif_out;

  tdpu_regs u_regs (
    .clk           (clk_i),
    .rst_n         (rst_ni),
    .s_axil_awready(s_axil_awready_o),
    .s_axil_awvalid(s_axil_awvalid_i),
    .s_axil_awaddr (s_axil_awaddr_i),
    .s_axil_awprot (3'b000),
    .s_axil_wready (s_axil_wready_o),
    .s_axil_wvalid (s_axil_wvalid_i),
    .s_axil_wdata  (s_axil_wdata_i),
    .s_axil_wstrb  (s_axil_wstrb_i),
    .s_axil_bready (s_axil_bready_i),
    .s_axil_bvalid (s_axil_bvalid_o),
    .s_axil_bresp  (s_axil_bresp_o),
    .s_axil_arready(s_axil_arready_o),
    .s_axil_arvalid(s_axil_arvalid_i),
    .s_axil_araddr (s_axil_araddr_i),
    .s_axil_arprot (3'b000),
    .s_axil_rready (s_axil_rready_i),
    .s_axil_rvalid (s_axil_rvalid_o),
    .s_axil_rdata  (s_axil_rdata_o),
    .s_axil_rresp  (s_axil_rresp_o),
    .hwif_in,
    .hwif_out
  );

  // ---- Abort and reset: halt until nothing is outstanding ----

  logic halt_q, clear_q, drained;
  logic [ENGINES-1:0] read_idle;
  logic write_idle;

  assign drained = (&read_idle) && write_idle;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      halt_q  <= 1'b0;
      clear_q <= 1'b0;
    end else begin
      halt_q  <= hwif_out.control.abort.value || hwif_out.control.reset.value
          || (halt_q && !drained);
      clear_q <= hwif_out.control.reset.value || (clear_q && halt_q && !drained);
    end
  end

  // ---- Ring, core ----

  logic doorbell_q, busy, ring_error;
  logic [15:0] head, tail;
  logic fetch_valid, job_valid, job_ready, cmd_weights;
  logic [ENGINES-1:0] fetch_ready, desc_valid, cmd_valid, cmd_ready, read_error, read_timeout;
  logic [ENGINES-1:0] error_job, act_valid, w_valid, illegal;
  logic w_ready, res_valid, res_ready, res_last, running, starved, blocked, last_step;
  logic entry_valid, entry_slot, entry_reuse, done, acts_error;
  logic [31:0] res_data;
  addr_t fetch_addr, cmd_addr, entry_desc;
  beats_t cmd_beats;
  status_e entry_status;
  job_t job;
  dest_e [ENGINES-1:0] error_dest;
  addr_t [ENGINES-1:0] read_error_addr;
  logic [ENGINES-1:0][BEAT_W-1:0] read_data, w_data;
  logic tick;

  // The doorbell's strobe comes one clock before its value.
  always_ff @(posedge clk_i) doorbell_q <= rst_ni && hwif_out.doorbell.tail.swmod;

  tdpu_sequencer #(
    .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(ENGINES), .BATCH(BATCH), .K_MAX(K_MAX)
  ) u_sequencer (
    .clk_i,
    .rst_ni,
    .halt_i         (halt_q),
    .clear_i        (clear_q),
    .enable_i       (hwif_out.control.enable.value),
    .ring_base_i    (hwif_out.ring_base.value.value),
    .ring_log2_i    (hwif_out.ring_size.log2.value),
    .doorbell_i     (doorbell_q),
    .doorbell_tail_i(hwif_out.doorbell.tail.value),
    .head_o         (head),
    .tail_o         (tail),
    .busy_o         (busy),
    .ring_error_o   (ring_error),
    .fetch_valid_o  (fetch_valid),
    .fetch_ready_i  (fetch_ready[0]),
    .fetch_addr_o   (fetch_addr),
    .desc_valid_i   (desc_valid[0]),
    .desc_data_i    (read_data[0]),
    .desc_error_i   (read_error[0]),
    .job_valid_o    (job_valid),
    .job_ready_i    (job_ready),
    .job_o          (job),
    .cmd_valid_o    (cmd_valid),
    .cmd_ready_i    (cmd_ready),
    .cmd_addr_o     (cmd_addr),
    .cmd_beats_o    (cmd_beats),
    .cmd_weights_o  (cmd_weights),
    .entry_valid_o  (entry_valid),
    .entry_slot_o   (entry_slot),
    .entry_reuse_o  (entry_reuse),
    .entry_status_o (entry_status),
    .entry_desc_o   (entry_desc),
    .done_i         (done),
    .acts_error_i   (acts_error)
  );

  // Commands follow a job at once, so their slot is that of the last entry.
  logic cmd_slot_q;
  always_ff @(posedge clk_i) if (entry_valid) cmd_slot_q <= entry_slot;

  tdpu_core #(
    .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(ENGINES), .BATCH(BATCH), .K_MAX(K_MAX)
  ) u_core (
    .clk_i,
    .rst_ni,
    .flush_i        (halt_q),
    .job_valid_i    (job_valid),
    .job_ready_o    (job_ready),
    .job_load_i     (job.load),
    .job_words_i    (job.words),
    .job_rows_i     (job.rows),
    .job_vectors_i  (job.vectors),
    .job_last_step_o(last_step),
    .act_valid_i    (act_valid),
    .act_data_i     (read_data),
    .w_valid_i      (w_valid),
    .w_ready_o      (w_ready),
    .w_data_i       (w_data),
    .res_valid_o    (res_valid),
    .res_ready_i    (res_ready),
    .res_data_o     (res_data),
    .res_last_o     (res_last),
    .running_o      (running),
    .starved_o      (starved),
    .blocked_o      (blocked),
    .illegal_o      (illegal)
  );

  for (genvar p = 0; p < ENGINES; p++) begin : gen_port
    tdpu_axi_read #(.BEAT_W(BEAT_W), .FIFO_DEPTH(FIFO_DEPTH)) u_read (
      .clk_i,
      .rst_ni,
      .halt_i         (halt_q),
      .idle_o         (read_idle[p]),
      .cmd_valid_i    (cmd_valid[p]),
      .cmd_ready_o    (cmd_ready[p]),
      .cmd_addr_i     (cmd_addr),
      .cmd_beats_i    (cmd_beats),
      .cmd_weights_i  (cmd_weights),
      .cmd_job_i      (cmd_slot_q),
      .desc_valid_i   (p == 0 && fetch_valid),
      .desc_ready_o   (fetch_ready[p]),
      .desc_addr_i    (fetch_addr),
      .m_axi_arvalid_o(m_axi_arvalid_o[p]),
      .m_axi_arready_i(m_axi_arready_i[p]),
      .m_axi_araddr_o (m_axi_araddr_o[p]),
      .m_axi_arlen_o  (m_axi_arlen_o[p]),
      .m_axi_rvalid_i (m_axi_rvalid_i[p]),
      .m_axi_rready_o (m_axi_rready_o[p]),
      .m_axi_rdata_i  (m_axi_rdata_i[p]),
      .m_axi_rresp_i  (m_axi_rresp_i[p]),
      .w_valid_o      (w_valid[p]),
      .w_ready_i      (w_ready),
      .w_data_o       (w_data[p]),
      .act_valid_o    (act_valid[p]),
      .desc_valid_o   (desc_valid[p]),
      .data_o         (read_data[p]),
      .error_o        (read_error[p]),
      .error_dest_o   (error_dest[p]),
      .error_job_o    (error_job[p]),
      .error_addr_o   (read_error_addr[p]),
      .tick_i         (tick),
      .timeout_i      (hwif_out.timeout.limit.value),
      .timeout_o      (read_timeout[p])
    );
  end

  // ---- Completion: an entry waits for the writer ----

  typedef struct packed {
    logic    slot;
    logic    irq;
    // Whether results come: also of a job whose activations were lost while it waited for the core.
    logic    issued;
    addr_t   desc;
    addr_t   results;
  } entry_t;

  // An error as a job's status has it.
  typedef struct packed {
    status_e    code;
    logic [3:0] port;
  } fault_t;

  // One place: of two jobs in flight the older one is with the writer.
  entry_t entry_q;
  logic waits_q;
  logic closing_slot_q, closing_irq_q;
  logic entry_take, closing, write_error, write_timeout;
  addr_t write_error_addr;
  fault_t [1:0] slot_error_q;
  logic [1:0][31:0] slot_start_q;
  logic [31:0] clock_q;
  logic [7:0] code;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || halt_q) waits_q <= 1'b0;
    else waits_q <= entry_valid || (waits_q && !entry_take);
  end

  always_ff @(posedge clk_i) begin
    if (entry_valid) begin
      entry_q <= '{
        slot: entry_slot,
        irq: job.irq,
        issued: job_valid && job_ready,
        desc: entry_desc,
        results: job.results
      };
    end
    if (waits_q && entry_take) begin
      closing_slot_q <= entry_q.slot;
      closing_irq_q  <= entry_q.irq;
    end
  end

  assign code = slot_error_q[closing_slot_q].code;

  tdpu_axi_write #(.BEAT_W(BEAT_W)) u_write (
    .clk_i,
    .rst_ni,
    .halt_i         (halt_q),
    .idle_o         (write_idle),
    .job_valid_i    (waits_q),
    .job_ready_o    (entry_take),
    .job_results_i  (entry_q.issued),
    .job_addr_i     (entry_q.results),
    .job_desc_i     (entry_q.desc),
    .closing_o      (closing),
    // Ownership returns to the driver: bit 31 is 0. Bit 30 tells done from never touched.
    .status_i       ({2'b01, 18'b0, slot_error_q[closing_slot_q].port, code}),
    .cycles_i       (clock_q - slot_start_q[closing_slot_q]),
    .done_o         (done),
    .res_valid_i    (res_valid),
    .res_ready_o    (res_ready),
    .res_data_i     (res_data),
    .res_last_i     (res_last),
    .m_axi_awvalid_o,
    .m_axi_awready_i,
    .m_axi_awaddr_o,
    .m_axi_awlen_o,
    .m_axi_wvalid_o,
    .m_axi_wready_i,
    .m_axi_wdata_o,
    .m_axi_wstrb_o,
    .m_axi_wlast_o,
    .m_axi_bvalid_i,
    .m_axi_bready_o,
    .m_axi_bresp_i,
    .error_o        (write_error),
    .error_addr_o   (write_error_addr),
    .tick_i         (tick),
    .timeout_i      (hwif_out.timeout.limit.value),
    .timeout_o      (write_timeout)
  );

  // ---- Errors: each job keeps its first, the error register the first of all ----

  error_t now, error_q;
  logic now_valid;

  always_comb begin
    now = '0;
    now_valid = 1'b1;
    if (entry_valid && entry_status != StatusOk && !halt_q) begin
      now = '{code: entry_status, port: '0, addr: entry_desc};
    end else if (write_error) begin
      now = '{code: StatusAxiWrite, port: '0, addr: write_error_addr};
    end else if (write_timeout) begin
      now = '{code: StatusTimeout, port: '0, addr: write_error_addr};
    end else if (ring_error || (doorbell_q && halt_q)) begin
      now = '{code: StatusRing, port: '0, addr: '0};
    end else begin
      now_valid = 1'b0;
      for (int unsigned p = ENGINES; p > 0; p--) begin
        // A descriptor's error is reported by its entry.
        if ((read_error[p-1] && error_dest[p-1] != DestDescriptor) || read_timeout[p-1]) begin
          now_valid = 1'b1;
          now = '{
            code: read_timeout[p-1] ? StatusTimeout : StatusAxiRead,
            port: 4'(p - 1),
            addr: read_error_addr[p-1]
          };
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin
    // What comes while a reset drains is kept, and so is what comes with the clear.
    if (!rst_ni || hwif_out.control.reset.value) error_q <= '0;
    else if (hwif_out.control.clear_error.value || error_q.code == StatusOk) error_q <= now;
  end

  always_comb begin
    acts_error = 1'b0;
    for (int unsigned p = 0; p < ENGINES; p++) begin
      acts_error |= read_error[p] && error_dest[p] == DestActivations;
    end
  end

  for (genvar s = 0; s < 2; s++) begin : gen_slot
    fault_t hit;
    logic hit_valid;

    always_comb begin
      hit = '0;
      hit_valid = 1'b0;
      for (int unsigned p = ENGINES; p > 0; p--) begin
        if (read_error[p-1] && error_dest[p-1] != DestDescriptor && error_job[p-1] == 1'(s)) begin
          hit_valid = 1'b1;
          hit = '{code: StatusAxiRead, port: 4'(p - 1)};
        end
      end
      if (write_error && closing_slot_q == 1'(s)) begin
        hit_valid = 1'b1;
        hit = '{code: StatusAxiWrite, port: '0};
      end
    end

    always_ff @(posedge clk_i) begin
      if (entry_valid && entry_slot == 1'(s)) begin
        slot_error_q[s] <= '{code: entry_status, port: '0};
        slot_start_q[s] <= clock_q;
      end else if (hit_valid && slot_error_q[s].code == StatusOk) begin
        slot_error_q[s] <= hit;
      end
    end
  end

  // ---- Counters, interrupt, read-only registers ----

  logic counters_clear;
  logic [31:0] steps_q, running_q, starved_q, blocked_q, busy_q;
  logic [ILLEGAL_W-1:0] illegal_q, illegal_sum;

  assign counters_clear = hwif_out.control.clear_counters.value || clear_q;
  assign tick = clock_q[9:0] == '1;
  assign illegal_sum = illegal_q + ILLEGAL_W'($countones(illegal));

  always_ff @(posedge clk_i) begin
    if (!rst_ni) clock_q <= '0;
    else clock_q <= clock_q + 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || counters_clear) begin
      illegal_q <= '0;
      steps_q   <= '0;
      running_q <= '0;
      starved_q <= '0;
      blocked_q <= '0;
      busy_q    <= '0;
    end else begin
      illegal_q <= illegal_sum < illegal_q ? '1 : illegal_sum;
      steps_q   <= steps_q + 32'(w_ready);
      running_q <= running_q + 32'(running);
      starved_q <= starved_q + 32'(starved);
      blocked_q <= blocked_q + 32'(blocked);
      busy_q    <= busy_q + 32'(busy);
    end
  end

  always_comb begin
    hwif_in.capability.code.next = 4'(CODE);
    hwif_in.capability.engines.next = 4'(ENGINES);
    hwif_in.capability.batch.next = 8'(BATCH);
    hwif_in.capability.beat_bytes.next = 8'(BEAT_W / 8);
    hwif_in.k_max.value.next = K_MAX;
    hwif_in.build.value.next = BUILD_HASH;
    hwif_in.status.busy.next = busy;
    hwif_in.status.draining.next = halt_q;
    hwif_in.head.value.next = head;
    hwif_in.tail.value.next = tail;
    hwif_in.irq_status.done.hwset = done && (closing_irq_q || code != StatusOk);
    hwif_in.irq_status.error.hwset = now_valid;
    hwif_in.error.code.next = error_q.code;
    hwif_in.error.port.next = error_q.port;
    hwif_in.error_address.value.next = error_q.addr;
    hwif_in.illegal.value.next = 32'(illegal_q);
    hwif_in.steps.value.next = steps_q;
    hwif_in.running.value.next = running_q;
    hwif_in.starved.value.next = starved_q;
    hwif_in.blocked.value.next = blocked_q;
    hwif_in.busy.value.next = busy_q;
  end

  assign irq_o = (hwif_out.irq_status.done.value && hwif_out.irq_mask.done.value)
      || (hwif_out.irq_status.error.value && hwif_out.irq_mask.error.value);

  logic unused_top;
  assign unused_top = ^{job.beats, job.weights, job.weight_stride, job.activations,
      job.activation_stride, entry_reuse, fetch_ready, desc_valid, closing, last_step, tail};

endmodule
