// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Activation store: two buffers of BATCH vectors, written as AXI beats, read as whole words.
//
// Port p writes vectors p, p + ENGINES, ... in that order, each as words_i * Slices beats (a word is
// Lanes codes, Slices beats of BEAT_W). start_i points all ports at vector p, word 0 of buffer
// load_buffer_i; loaded_o rises when every port has written its share of vectors_i.
// A read of {read_buffer_i, read_word_i} appears at acts_o two clocks later (memory, register).
// Every vector has one writer, so no port ever waits.

module tdpu_act_store
  import tdpu_pkg::*;
#(
  parameter  int unsigned BEAT_W  = 64,
  parameter  int unsigned CODE    = CodeBase3,
  parameter  int unsigned ENGINES = 4,
  parameter  int unsigned BATCH   = 1,
  parameter  int unsigned K_MAX   = 6912,
  localparam int unsigned Lanes   = lanes(CODE, BEAT_W),
  localparam int unsigned WordW   = $clog2((K_MAX + Lanes - 1) / Lanes + 1)
) (
  input  logic                            clk_i,
  input  logic                            rst_ni,

  input  logic                            start_i,
  input  logic                            load_buffer_i,
  input  logic [WordW-1:0]                words_i,
  input  logic [4:0]                      vectors_i,
  output logic                            loaded_o,
  input  logic [ENGINES-1:0]              valid_i,
  input  logic [ENGINES-1:0][BEAT_W-1:0]  data_i,

  input  logic                            read_buffer_i,
  input  logic [WordW-1:0]                read_word_i,
  output act_t [BATCH-1:0][Lanes-1:0]     acts_o
);

  localparam int unsigned Slices = slices(CODE);
  localparam int unsigned SliceW = $clog2(Slices);
  localparam int unsigned Depth = 2 ** (WordW + 1);
  localparam int unsigned VectorW = $clog2(BATCH + ENGINES);

  logic buffer_q;
  logic [WordW-1:0] words_q;
  logic [4:0] vectors_q;
  logic [ENGINES-1:0] done_q;
  logic [ENGINES-1:0][SliceW-1:0] slice_q;
  logic [ENGINES-1:0][WordW-1:0] word_q;
  logic [ENGINES-1:0][VectorW-1:0] vector_q;

  assign loaded_o = &done_q;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      buffer_q  <= load_buffer_i;
      words_q   <= words_i;
      vectors_q <= vectors_i;
    end
  end

  for (genvar p = 0; p < ENGINES; p++) begin : gen_port
    logic last_slice, last_word, last_vector;
    assign last_slice = slice_q[p] == SliceW'(Slices - 1);
    assign last_word = word_q[p] == words_q - 1'b1;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        done_q[p] <= 1'b1;
      end else if (start_i) begin
        done_q[p] <= vectors_i <= 5'(p);
      end else if (valid_i[p] && last_slice && last_word && last_vector) begin
        done_q[p] <= 1'b1;
      end
    end

    always_ff @(posedge clk_i) begin
      if (start_i) begin
        slice_q[p] <= '0;
        word_q[p]  <= '0;
      end else if (valid_i[p]) begin
        slice_q[p] <= last_slice ? '0 : slice_q[p] + 1'b1;
        if (last_slice) word_q[p] <= last_word ? '0 : word_q[p] + 1'b1;
      end
    end

    if (p + ENGINES < BATCH) begin : gen_vectors
      logic [VectorW-1:0] own_q;
      assign last_vector = 6'(own_q) + 6'(ENGINES) >= 6'(vectors_q);
      assign vector_q[p] = own_q;
      always_ff @(posedge clk_i) begin
        if (start_i) own_q <= VectorW'(p);
        else if (valid_i[p] && last_slice && last_word) own_q <= own_q + VectorW'(ENGINES);
      end
    end else begin : gen_one
      // BATCH allows the port no second vector.
      assign last_vector = 1'b1;
      assign vector_q[p] = VectorW'(p);
      logic unused_vectors;
      assign unused_vectors = ^vectors_q;
    end
  end

  for (genvar b = 0; b < BATCH; b++) begin : gen_vector
    localparam int unsigned Port = b % ENGINES;
    for (genvar s = 0; s < Slices; s++) begin : gen_slice
      logic [BEAT_W-1:0] data, data_q;
      tdpu_ram #(.WIDTH(BEAT_W), .DEPTH(Depth)) u_ram (
        .clk_i,
        .wen_i  (valid_i[Port] && vector_q[Port] == VectorW'(b) && slice_q[Port] == SliceW'(s)),
        .waddr_i({buffer_q, word_q[Port]}),
        .wdata_i(data_i[Port]),
        .ren_i  (1'b1),
        .raddr_i({read_buffer_i, read_word_i}),
        .rdata_o(data)
      );
      always_ff @(posedge clk_i) data_q <= data;
      for (genvar i = 0; i < BEAT_W / 8; i++) begin : gen_lane
        assign acts_o[b][s*(BEAT_W/8)+i] = data_q[8*i+:8];
      end
    end
  end

endmodule
