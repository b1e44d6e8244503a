// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// What every FIFO of the unit must do, for all inputs and all time: no word lost, duplicated or
// reordered, valid and data stable until taken, never more than it holds.
//
// A word is watched: the solver chooses the word that is pushed when `watch` words are inside, and
// `ahead` counts the words before it. When none is ahead, the head must be that word.

module fv_queue #(
  parameter int unsigned KIND  = 0,  // 0: tdpu_queue, 1: tdpu_fifo
  parameter int unsigned WIDTH = 2,
  parameter int unsigned DEPTH = 4,
  parameter int unsigned COVER = 0   // 1: what must be reachable, each as an assert of the opposite
) (
  input logic             clk_i,
  input logic             flush_i,
  input logic             valid_i,
  input logic             ready_i,
  input logic [WIDTH-1:0] data_i,
  input logic             choose_i   // watch the word pushed in this clock
);

  // tdpu_fifo holds one word more, at its output.
  localparam int unsigned Room = DEPTH + KIND;

  logic ready, valid;
  logic [WIDTH-1:0] data;
  logic rst_n = 1'b0;

  always_ff @(posedge clk_i) rst_n <= 1'b1;

  if (KIND == 0) begin : gen_queue
    tdpu_queue #(.WIDTH(WIDTH), .DEPTH(DEPTH)) u_dut (
      .clk_i, .rst_ni(rst_n), .flush_i, .valid_i, .ready_o(ready), .data_i,
      .valid_o(valid), .ready_i, .data_o(data)
    );
  end else begin : gen_fifo
    tdpu_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH)) u_dut (
      .clk_i, .rst_ni(rst_n), .flush_i, .valid_i, .ready_o(ready), .data_i,
      .valid_o(valid), .ready_i, .data_o(data)
    );
  end

  logic push, pop, clear;
  assign push = valid_i && ready;
  assign pop = valid && ready_i;
  assign clear = !rst_n || flush_i;

  logic [7:0] held = '0;
  logic [7:0] ahead = '0;
  logic watching = 1'b0;
  logic [WIDTH-1:0] word = '0;
  logic waited = 1'b0;
  logic [WIDTH-1:0] waiting_data = '0;
  logic was_full = 1'b0;

  always_ff @(posedge clk_i) begin
    held <= clear ? '0 : held + 8'(push) - 8'(pop);
    if (clear) begin
      watching <= 1'b0;
    end else if (!watching && push && choose_i) begin
      watching <= 1'b1;
      word     <= data_i;
      ahead    <= held - 8'(pop);
    end else if (watching && pop) begin
      watching <= ahead != '0;
      ahead    <= ahead - 8'd1;
    end
    waited       <= !clear && valid && !ready_i;
    waiting_data <= data;
    was_full     <= !clear && (was_full || held == 8'(Room));
  end

  if (COVER == 0) begin : gen_assert
    always_comb begin
      if (rst_n) begin
        // Never more words out than in, nor more than the room.
        assert (held <= 8'(Room));
        assert (!valid || held != '0);
        // In order, unchanged, once: the watched word is the head when nothing is ahead of it.
        assert (!watching || ahead < held);
        assert (!(watching && valid && ahead == '0) || data == word);
        // Stable until taken.
        assert (!waited || (valid && data == waiting_data));
        // Space is offered while the memory is not full.
        assert (ready || held >= 8'(DEPTH));
      end
    end
  end else begin : gen_cover
    // Reachable: a proof of one of these must fail.
    always_comb begin
      assert (!(held == 8'(Room)));
      assert (!(was_full && held == '0 && rst_n));
      assert (!(waited && push));
    end
  end

endmodule
