// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Descriptor ring: fetches, checks and issues jobs in order, two in flight.
//
// Descriptors from head to tail belong to the unit. A fetched one is checked; a good one becomes a
// job of the core, read commands of the ports (activations of vector v on port v mod ENGINES, then
// one weight stream a port) and an entry for the writer; a bad one only an entry with its code. The
// second job is fetched, checked and its activations are loaded while the first one computes.
//
// halt_i returns to idle at once, empties the ring (head = tail) and forgets the activations.

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
  input  logic               clear_i,        // with halt_i: ring counters back to 0

  input  logic               enable_i,
  input  addr_t              ring_base_i,
  input  logic [3:0]         ring_log2_i,
  input  logic               doorbell_i,
  input  logic [15:0]        doorbell_tail_i,
  output logic [15:0]        head_o,
  output logic [15:0]        tail_o,
  output logic               busy_o,
  output logic               ring_error_o,   // a doorbell was refused

  output logic               fetch_valid_o,
  input  logic               fetch_ready_i,
  output addr_t              fetch_addr_o,
  input  logic               desc_valid_i,
  input  logic [BEAT_W-1:0]  desc_data_i,
  input  logic               desc_error_i,   // of this beat

  output logic               job_valid_o,    // to the core
  input  logic               job_ready_i,
  output job_t               job_o,

  output logic [ENGINES-1:0] cmd_valid_o,    // to the read masters
  input  logic [ENGINES-1:0] cmd_ready_i,
  output addr_t              cmd_addr_o,
  output beats_t             cmd_beats_o,
  output logic               cmd_weights_o,

  output logic               entry_valid_o,  // to the writer's queue, which never is full
  output logic               entry_slot_o,   // alternates from entry to entry
  output logic               entry_reuse_o,  // the job uses activations of one before
  output status_e            entry_status_o, // an error of a job that is issued now: StatusReuse
  output addr_t              entry_desc_o,
  input  logic               done_i,         // the oldest entry is completed
  input  logic               acts_error_i    // activations came with an error
);

  localparam int unsigned BeatBytes = BEAT_W / 8;
  localparam int unsigned DescBeats = DescBytes / BeatBytes;
  localparam int unsigned IndexW = $clog2(DescBeats);
  localparam int unsigned Lanes = lanes(CODE, BEAT_W);
  localparam int unsigned PortW = ENGINES > 1 ? $clog2(ENGINES) : 1;

  typedef enum logic [2:0] {
    StIdle,
    StFetch,        // the burst is requested
    StReceive,
    StCheck,        // fields are checked while the counts are computed
    StIssue,        // waits for the core
    StActivations,  // one command a vector
    StWeights       // one command a port
  } state_e;

  // Descriptor as it lies in memory; the first field is at the highest address.
  typedef struct packed {
    logic [31:0] cycles;
    logic        owner;
    logic [30:0] status;
    logic [63:0] results;
    logic [63:0] activations;
    logic [63:0] weight_stride;
    logic [63:0] weights;
    logic [31:0] activation_stride;
    logic [15:0] scale;
    logic [15:0] vectors;
    logic [31:0] rows;
    logic [31:0] k;
    logic [31:0] tag;
    logic [21:0] reserved;
    logic        load;
    logic        irq;
    logic [7:0]  version;
  } desc_t;

  state_e state_q, state_d;
  logic [15:0] head_q, tail_q, fetch_q;
  logic [1:0] flight_q;
  logic slot_q, error_q, calc_done, calc_started_q;
  logic [IndexW-1:0] index_q;
  logic [DescBeats-1:0][BEAT_W-1:0] beats_q;
  desc_t desc;
  status_e status;
  addr_t desc_addr;
  k_t words;
  beats_t beats, slice_beats;

  // What the store holds, for jobs that reuse it.
  logic held_q;
  k_t held_k_q;
  logic [4:0] held_vectors_q;

  logic [4:0] vector_q;
  logic [PortW-1:0] port_q;
  addr_t addr_q;
  logic checked, cmd_take, last_vector, last_port, accepted;

  // ---- Ring ----

  logic [15:0] waiting;
  logic doorbell_ok;

  assign waiting = doorbell_tail_i - head_q;
  // No more than the ring holds, and nothing of what was handed over is taken back.
  assign doorbell_ok = waiting <= (16'd1 << ring_log2_i) && waiting >= tail_q - head_q;
  assign ring_error_o = doorbell_i && !doorbell_ok;
  assign head_o = head_q;
  assign tail_o = tail_q;
  assign busy_o = flight_q != '0 || (enable_i && fetch_q != tail_q);
  assign desc_addr = ring_base_i + {10'b0, fetch_q & ((16'd1 << ring_log2_i) - 1'b1), 6'b0};

  always_ff @(posedge clk_i) begin
    if (!rst_ni || (halt_i && clear_i)) begin
      head_q  <= '0;
      tail_q  <= '0;
      fetch_q <= '0;
    end else if (halt_i) begin
      head_q  <= tail_q;
      fetch_q <= tail_q;
    end else begin
      if (done_i) head_q <= head_q + 1'b1;
      if (doorbell_i && doorbell_ok) tail_q <= doorbell_tail_i;
      if (entry_valid_o) fetch_q <= fetch_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || halt_i) flight_q <= '0;
    else flight_q <= flight_q + 2'(state_q == StIdle && state_d == StFetch) - 2'(done_i);
  end

  // ---- Fetch and check ----

  assign fetch_valid_o = state_q == StFetch;
  assign fetch_addr_o = desc_addr;
  assign desc = desc_t'(beats_q);

  always_ff @(posedge clk_i) begin
    if (desc_valid_i) begin
      beats_q <= {desc_data_i, beats_q[DescBeats-1:1]};
      error_q <= desc_error_i || (error_q && index_q != '0);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || halt_i) index_q <= '0;
    else if (desc_valid_i) index_q <= index_q + 1'b1;
  end

  function automatic logic bad_address(logic [63:0] addr, int unsigned align);
    return addr[63:32] != '0 || (addr[31:0] & (align - 1)) != '0;
  endfunction

  // Activations and results start at a full burst of the widest beat, weights at a page.
  always_comb begin
    status = StatusOk;
    if (error_q) begin
      status = StatusAxiRead;
    end else if (desc.version != DescVersion) begin
      status = StatusVersion;
    end else if (!desc.owner) begin
      status = StatusOwner;
    end else if (desc.reserved != '0) begin
      status = StatusFlags;
    end else if (desc.k == '0 || desc.k > K_MAX) begin
      status = StatusK;
    end else if (desc.rows == '0 || desc.rows >= 2 ** RowsW) begin
      status = StatusRows;
    end else if (desc.vectors == '0 || desc.vectors > 16'(BATCH)) begin
      status = StatusVectors;
    end else if (bad_address(desc.weights, 4096) || bad_address(desc.weight_stride, 4096)) begin
      status = StatusWeights;
    end else if (bad_address(desc.activations, 256)
        || bad_address(64'(desc.activation_stride), 256)) begin
      status = StatusActivations;
    end else if (bad_address(desc.results, 256)) begin
      status = StatusResults;
    end else if (!desc.load && (!held_q || desc.k[KW-1:0] != held_k_q
        || desc.vectors[4:0] > held_vectors_q)) begin
      status = StatusReuse;
    end
  end

  tdpu_calc #(.LANES(Lanes), .ENGINES(ENGINES)) u_calc (
    .clk_i,
    .rst_ni (rst_ni && !halt_i),
    .start_i(state_q == StCheck && !calc_started_q),
    .k_i    (desc.k[KW-1:0]),
    .rows_i (desc.rows[RowsW-1:0]),
    .done_o (calc_done),
    .words_o(words),
    .beats_o(beats)
  );

  always_ff @(posedge clk_i) calc_started_q <= state_q == StCheck;

  assign checked = state_q == StCheck && calc_started_q && calc_done;
  assign job_o = '{
    load: desc.load,
    irq: desc.irq,
    words: words,
    rows: desc.rows[RowsW-1:0],
    beats: beats,
    vectors: desc.vectors[4:0],
    weights: desc.weights[31:0],
    weight_stride: desc.weight_stride[31:0],
    activations: desc.activations[31:0],
    activation_stride: desc.activation_stride,
    results: desc.results[31:0]
  };

  // ---- Issue ----

  assign job_valid_o = state_q == StIssue;
  assign accepted = job_valid_o && job_ready_i;
  assign entry_valid_o = accepted || (checked && status != StatusOk);
  assign entry_slot_o = slot_q;
  assign entry_reuse_o = !desc.load;
  assign entry_status_o = status;
  assign entry_desc_o = desc_addr;

  assign last_vector = vector_q == desc.vectors[4:0] - 1'b1;
  assign last_port = port_q == PortW'(ENGINES - 1);
  assign cmd_take = (state_q == StActivations || state_q == StWeights) && cmd_ready_i[port_q];
  assign cmd_addr_o = addr_q;
  assign cmd_weights_o = state_q == StWeights;
  // A word is four beats of activations, or five: an adder, where a product would take a DSP block.
  assign slice_beats = {12'b0, words, 2'b0} + (slices(CODE) == 5 ? beats_t'(words) : '0);
  assign cmd_beats_o = state_q == StWeights ? beats : slice_beats;

  always_comb begin
    cmd_valid_o = '0;
    cmd_valid_o[port_q] = state_q == StActivations || state_q == StWeights;
  end

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      StIdle: if (enable_i && fetch_q != tail_q && flight_q < 2'd2) state_d = StFetch;
      StFetch: if (fetch_ready_i) state_d = StReceive;
      StReceive: if (desc_valid_i && index_q == IndexW'(DescBeats - 1)) state_d = StCheck;
      StCheck: if (checked) state_d = status == StatusOk ? StIssue : StIdle;
      StIssue: if (job_ready_i) state_d = desc.load ? StActivations : StWeights;
      StActivations: if (cmd_take && last_vector) state_d = StWeights;
      StWeights: if (cmd_take && last_port) state_d = StIdle;
      default: state_d = StIdle;
    endcase
    if (halt_i) state_d = StIdle;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) state_q <= StIdle;
    else state_q <= state_d;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || halt_i) slot_q <= 1'b0;
    else if (entry_valid_o) slot_q <= ~slot_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || halt_i || (acts_error_i && !(accepted && desc.load))) held_q <= 1'b0;
    else if (accepted && desc.load) held_q <= 1'b1;
    if (accepted && desc.load) begin
      held_k_q       <= desc.k[KW-1:0];
      held_vectors_q <= desc.vectors[4:0];
    end
  end

  always_ff @(posedge clk_i) begin
    if (state_q == StIssue) begin
      vector_q <= '0;
      port_q   <= '0;
      addr_q   <= desc.load ? desc.activations[31:0] : desc.weights[31:0];
    end else if (cmd_take) begin
      vector_q <= vector_q + 1'b1;
      port_q   <= last_port ? '0 : port_q + 1'b1;
      addr_q   <= addr_q + (state_q == StWeights ? desc.weight_stride[31:0]
                                                 : desc.activation_stride);
      if (state_q == StActivations && last_vector) begin
        port_q <= '0;
        addr_q <= desc.weights[31:0];
      end
    end
  end

  // The tag and the scale index are the driver's: they stay in memory, untouched.
  logic unused_desc;
  assign unused_desc = ^{desc.cycles, desc.status, desc.tag, desc.scale, desc.weights[63:32]};

endmodule
