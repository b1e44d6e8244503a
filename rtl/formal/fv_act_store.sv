// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_act_store: the n-th beat that a port brings for a load is the n-th of the load's vectors of
// that port, and lies where a read of its word finds it, two clocks later; none is lost, given twice or
// moved; a load changes nothing of the other buffer; loaded_o is high exactly when every port has
// brought its share. Place and value are followed for one place (buffer, vector, word, slice) that the
// solver chooses; what holds for it holds for each.

module fv_act_store
  import tdpu_pkg::*;
#(
  parameter  int unsigned BEAT_W   = 32,
  parameter  int unsigned CODE     = CodeBase3,
  parameter  int unsigned ENGINES  = 2,
  parameter  int unsigned BATCH    = 3,
  parameter  int unsigned K_MAX    = 60,
  parameter  int unsigned ABSTRACT = 0,  // 1: with rtl/formal/abstract/tdpu_ram.sv
  parameter  int unsigned HELP     = 1,  // 0: the properties without the invariants that prove them
  parameter  int unsigned COVER    = 0,  // 1: what must be reachable, as asserts of the opposite
  localparam int unsigned Lanes    = lanes(CODE, BEAT_W),
  localparam int unsigned WordW    = $clog2((K_MAX + Lanes - 1) / Lanes + 1)
) (
  input logic                           clk_i,
  input logic                           start_i,
  input logic                           load_buffer_i,
  input logic [WordW-1:0]               words_i,
  input logic [4:0]                     vectors_i,
  input logic [ENGINES-1:0]             valid_i,
  input logic [ENGINES-1:0][BEAT_W-1:0] data_i,
  input logic                           read_buffer_i,
  input logic [WordW-1:0]               read_word_i
);

  localparam int unsigned Words = (K_MAX + Lanes - 1) / Lanes;
  localparam int unsigned Slices = slices(CODE);
  localparam int unsigned Depth = 2 ** (WordW + 1);

  typedef logic [15:0] count_t;  // of beats

  logic rst_n = 1'b0;
  logic loaded;
  act_t [BATCH-1:0][Lanes-1:0] acts;

  always_ff @(posedge clk_i) rst_n <= 1'b1;

  tdpu_act_store #(
    .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(ENGINES), .BATCH(BATCH), .K_MAX(K_MAX)
  ) u_dut (
    .clk_i,
    .rst_ni       (rst_n),
    .start_i,
    .load_buffer_i,
    .words_i,
    .vectors_i,
    .loaded_o     (loaded),
    .valid_i,
    .data_i,
    .read_buffer_i,
    .read_word_i,
    .acts_o       (acts)
  );

  // ---- The load: how many beats each port owes and has brought ----

  logic started, buffer, start;
  logic [WordW-1:0] words;
  logic [4:0] vectors;
  count_t [ENGINES-1:0] share, count;
  logic [ENGINES-1:0] full;

  assign start = rst_n && start_i;

  always_ff @(posedge clk_i) begin
    if (!rst_n) started <= 1'b0;
    else if (start) started <= 1'b1;
    if (start) begin
      buffer  <= load_buffer_i;
      words   <= words_i;
      vectors <= vectors_i;
    end
  end

  for (genvar p = 0; p < ENGINES; p++) begin : gen_port
    logic [4:0] mine;  // vectors of the port: p, p + ENGINES, ...
    assign mine = vectors_i > 5'(p) ? (vectors_i - 5'(p) - 5'd1) / 5'(ENGINES) + 5'd1 : '0;
    assign full[p] = count[p] == share[p];
    always_ff @(posedge clk_i) begin
      if (!rst_n) begin
        share[p] <= '0;
        count[p] <= '0;
      end else if (start) begin
        share[p] <= count_t'(mine) * count_t'(words_i) * count_t'(Slices);
        count[p] <= '0;
      end else begin
        count[p] <= count[p] + count_t'(valid_i[p]);
      end
    end
  end

  // ---- The chosen place: what its buffer's last load brought for it ----

  logic chosen_buffer;
  logic [WordW-1:0] chosen_word;
  logic [4:0] chosen_vector;
  logic [2:0] chosen_slice;
  logic [ENGINES-1:0] chosen_port;

  always_ff @(posedge clk_i) begin
    {chosen_buffer, chosen_word, chosen_vector, chosen_slice}
        <= {chosen_buffer, chosen_word, chosen_vector, chosen_slice};
  end

  logic covered, known, hit;  // covered: that load has the place; known: its beat has come
  count_t place;
  logic [BEAT_W-1:0] value, data;

  assign place = (count_t'(chosen_vector / 5'(ENGINES)) * count_t'(words) + count_t'(chosen_word))
      * count_t'(Slices) + count_t'(chosen_slice);

  always_comb begin
    hit = 1'b0;
    data = '0;
    for (int unsigned p = 0; p < ENGINES; p++) begin
      chosen_port[p] = chosen_vector % 5'(ENGINES) == 5'(p);
      if (chosen_port[p]) begin
        data = data_i[p];
        hit = valid_i[p] && buffer == chosen_buffer && covered && count[p] == place;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_n) begin
      covered <= 1'b0;
      known   <= 1'b0;
    end else if (start && load_buffer_i == chosen_buffer) begin
      covered <= chosen_word < words_i && chosen_vector < vectors_i;
      known   <= 1'b0;
    end else if (hit) begin
      known <= 1'b1;
      value <= data;
    end
  end

  // ---- Reads of the chosen place ----

  logic read, read_q, read_qq;
  logic [BEAT_W-1:0] value_q, value_qq;
  assign read = rst_n && known && read_buffer_i == chosen_buffer && read_word_i == chosen_word;

  always_ff @(posedge clk_i) begin
    read_q   <= read;
    read_qq  <= rst_n && read_q;
    value_q  <= value;
    value_qq <= value_q;
  end

  always_comb begin
    assume (chosen_word < WordW'(Words) && chosen_vector < 5'(BATCH));
    assume (chosen_slice < 3'(Slices));
    // Legal loads, one after the other; each port brings its share and no more.
    assume (!start || (loaded && words_i != '0 && words_i <= WordW'(Words)
        && vectors_i != '0 && vectors_i <= 5'(BATCH)));
    assume (!rst_n || (valid_i & full) == '0);
  end

  // ---- Helper invariants: they follow the unit's registers, so that the proof closes ----

  logic busy;  // the chosen buffer is being loaded
  assign busy = started && !loaded && buffer == chosen_buffer;

  if (COVER == 0 && HELP == 1) begin : gen_helper
    always_comb begin
      if (rst_n) begin
        assert (!started || (u_dut.buffer_q == buffer && u_dut.words_q == words
            && u_dut.vectors_q == vectors));
        assert (!started || (words != '0 && words <= WordW'(Words) && vectors != '0
            && vectors <= 5'(BATCH)));
        assert (started || !covered);
        assert (!busy || covered == (chosen_word < words && chosen_vector < vectors));
        assert (!known || covered);
        assert (!covered || busy || known);
      end
    end

    for (genvar p = 0; p < ENGINES; p++) begin : gen_beats
      logic [4:0] index;  // of the port's present vector, among its own
      assign index = (u_dut.vector_q[p] - 5'(p)) / 5'(ENGINES);
      always_comb begin
        if (rst_n) begin
          assert (u_dut.done_q[p] == full[p]);
          assert (started || full[p]);
          if (started) begin
            assert (share[p] == (vectors > 5'(p) ? count_t'((vectors - 5'(p) - 5'd1)
                / 5'(ENGINES)) + 16'd1 : '0) * count_t'(words) * count_t'(Slices));
          end
          if (!full[p]) begin
            assert (u_dut.slice_q[p] < 3'(Slices) && u_dut.word_q[p] < words);
            assert (u_dut.vector_q[p] < vectors && u_dut.vector_q[p] >= 5'(p));
            assert (u_dut.vector_q[p] == index * 5'(ENGINES) + 5'(p));
            assert (count[p] == (count_t'(index) * count_t'(words) + count_t'(u_dut.word_q[p]))
                * count_t'(Slices) + count_t'(u_dut.slice_q[p]));
          end
          if (busy && covered && chosen_port[p]) assert (known == (count[p] > place));
        end
      end
    end

    for (genvar b = 0; b < BATCH; b++) begin : gen_vector
      for (genvar s = 0; s < Slices; s++) begin : gen_slice
        logic mine;
        assign mine = rst_n && chosen_vector == 5'(b) && chosen_slice == 3'(s);
        if (ABSTRACT == 1) begin : gen_abstract
          always_comb begin
            if (mine && known) assert (u_dut.gen_vector[b].gen_slice[s].u_ram.kept_q == value);
          end
        end else begin : gen_memory
          for (genvar m = 0; m < Depth; m++) begin : gen_word
            always_comb begin
              if (mine && known && {chosen_buffer, chosen_word} == (WordW+1)'(m)) begin
                assert (u_dut.gen_vector[b].gen_slice[s].u_ram.mem[m] == value);
              end
            end
          end
        end
        always_comb begin
          if (mine && read_q) assert (u_dut.gen_vector[b].gen_slice[s].data == value_q);
        end
      end
    end
  end

  if (ABSTRACT == 1) begin : gen_choice
    for (genvar b = 0; b < BATCH; b++) begin : gen_vector
      for (genvar s = 0; s < Slices; s++) begin : gen_slice
        always_comb begin
          assume (u_dut.gen_vector[b].gen_slice[s].u_ram.addr_q == {chosen_buffer, chosen_word});
        end
      end
    end
  end

  // The chosen slice of the chosen vector, as the reader sees it.
  logic [BEAT_W-1:0] seen;
  always_comb begin
    seen = '0;
    for (int unsigned b = 0; b < BATCH; b++) begin
      for (int unsigned s = 0; s < Slices; s++) begin
        if (chosen_vector == 5'(b) && chosen_slice == 3'(s)) begin
          for (int unsigned i = 0; i < BEAT_W / 8; i++) begin
            seen[8*i+:8] = acts[b][s*(BEAT_W/8)+i];
          end
        end
      end
    end
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        // What was written for the place is what a read of it gives.
        assert (!read_qq || seen == value_qq);
        // Complete when all ports have brought their share, and then nothing of the load is missing.
        assert (loaded == (&full));
        assert (!covered || busy || known);
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      if (rst_n) begin
        // The last place of a full load is read, and then while the other buffer is loaded.
        assert (!(read_qq && chosen_slice == 3'(Slices - 1) && words == WordW'(2)
            && chosen_vector == 5'(BATCH - 1) && buffer == chosen_buffer));
        assert (!(read_qq && started && !loaded && buffer != chosen_buffer && (|valid_i)));
        // A load of fewer vectors than ports; one port done before the others; a buffer loaded again.
        assert (!(started && loaded && vectors < 5'(ENGINES)));
        assert (!((|full) && !(&full) && count != '0));
        assert (!(read_qq && !known));
      end
    end
  end

endmodule
