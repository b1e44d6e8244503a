// The best 256 of all rows: a scan score times its row's scale, compared with the smallest kept one, and
// a heap in block RAM that sifts one level in two clocks. For area only: nothing verifies it.
module probe_screen (
    input  logic               clk_i,
    input  logic               valid_i,
    input  logic signed [19:0] acc_i,
    input  logic        [16:0] scale_i,
    input  logic        [16:0] id_i,
    output logic               busy_o,
    input  logic        [7:0]  read_i,
    output logic        [53:0] entry_o
);
  (* ram_style = "block" *) logic [53:0] heap_q [256];
  logic signed [36:0] key_q, low_q;
  logic [16:0] id_q;
  logic valid_q, busy_q, second_q;
  logic [8:0] at_q;
  logic [53:0] left_q, child_q, best;
  logic [7:0] address;
  assign busy_o = busy_q;
  assign best = $signed(left_q[53:17]) < $signed(child_q[53:17]) ? left_q : child_q;
  assign address = busy_q ? 8'({at_q[7:0], second_q}) : read_i;
  always_ff @(posedge clk_i) begin
    key_q <= acc_i * $signed({1'b0, scale_i});
    id_q <= id_i;
    valid_q <= valid_i;
    entry_o <= heap_q[address];
    left_q <= entry_o;
    child_q <= left_q;
    if (!busy_q) begin
      if (valid_q && key_q > low_q) begin
        busy_q <= 1'b1;
        at_q <= 9'd1;
      end
    end else begin
      second_q <= ~second_q;
      if (second_q) begin
        if (key_q <= $signed(best[53:17]) || at_q[7]) begin
          heap_q[at_q[7:0]] <= {key_q, id_q};
          busy_q <= 1'b0;
          if (at_q == 9'd1) low_q <= key_q;
        end else begin
          heap_q[at_q[7:0]] <= best;
          at_q <= {at_q[7:0], best == left_q};
        end
      end
    end
  end
endmodule
