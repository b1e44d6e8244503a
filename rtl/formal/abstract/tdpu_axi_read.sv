// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_axi_read as its neighbours may rely on it (fv_axi_read proves it of the real one): a command
// becomes exactly its beats; beats go where they were asked for, those of weights in order through the
// FIFO; an error names the job of its beat; a halt drops commands and what comes, and idle_o means
// that nothing is outstanding. How much is asked for when, when the memory answers, and the
// room of the FIFO are open. Beats are counted by slot, [0] and [1]; addresses are open.

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
  input  logic              cmd_weights_i,
  input  logic              cmd_job_i,
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
  output logic [BEAT_W-1:0] data_o,
  output logic              error_o,
  output dest_e             error_dest_o,
  output logic              error_job_o,
  output addr_t             error_addr_o,
  input  logic              tick_i,
  input  logic [7:0]        timeout_i,
  output logic              timeout_o
);

  localparam int unsigned DescBeats = DescBytes / (BEAT_W / 8);

  // Without a driver: anything.
  logic any_desc, any_issue, any_valid, any_error, any_beat, any_slot;
  dest_e any_dest;
  beats_t any_count;

  // The command; what it still has to ask for.
  logic busy_q, weights_q, slot_q;
  beats_t left_q;
  // Asked for and not come; weights that came and wait; the slot of the last weights' command.
  logic [1:0][BeatsW-1:0] weights_owed_q, acts_owed_q, held_q;
  logic [4:0] desc_owed_q;
  logic newest_q;

  logic issue, take_desc, beat, weight, pop, pop_slot, was_halted_q, was_idle_q;

  assign cmd_ready_o = !busy_q;
  assign take_desc = desc_valid_i && any_desc && !halt_i;
  assign desc_ready_o = take_desc;
  assign issue = busy_q && any_issue && !halt_i && !take_desc;
  assign idle_o = weights_owed_q == '0 && acts_owed_q == '0 && desc_owed_q == '0;

  // What comes was asked for; weights of the job before come first.
  always_comb begin
    beat = any_beat;
    weight = 1'b0;
    unique case (any_dest)
      DestWeights: begin
        beat = any_beat && weights_owed_q[any_slot] != '0
            && (any_slot != newest_q || weights_owed_q[~newest_q] == '0);
        weight = beat && !halt_i;
      end
      DestActivations: beat = any_beat && acts_owed_q[any_slot] != '0;
      default: beat = any_beat && desc_owed_q != '0;
    endcase
  end

  assign pop_slot = held_q[~newest_q] != '0 || weights_owed_q[~newest_q] != '0
      ? ~newest_q : newest_q;
  assign w_valid_o = any_valid && held_q[pop_slot] != '0;
  assign pop = w_valid_o && w_ready_i;
  assign act_valid_o = beat && any_dest == DestActivations && !halt_i;
  assign desc_valid_o = beat && any_dest == DestDescriptor && !halt_i;
  assign error_o = beat && any_error && !halt_i;
  assign error_dest_o = any_dest;
  assign error_job_o = any_slot;

  always_ff @(posedge clk_i) begin
    was_halted_q <= rst_ni && halt_i;
    was_idle_q   <= idle_o;
    if (!rst_ni || halt_i) begin
      busy_q <= 1'b0;
    end else if (cmd_valid_i && cmd_ready_o) begin
      busy_q    <= 1'b1;
      weights_q <= cmd_weights_i;
      slot_q    <= cmd_job_i;
      left_q    <= cmd_beats_i;
      if (cmd_weights_i) newest_q <= cmd_job_i;
    end else if (issue) begin
      left_q <= left_q - any_count;
      busy_q <= left_q != any_count;
    end
    if (!rst_ni) desc_owed_q <= '0;
    else desc_owed_q <= desc_owed_q + (take_desc ? 5'(DescBeats) : '0)
        - 5'(beat && any_dest == DestDescriptor);
    for (int unsigned s = 0; s < 2; s++) begin
      if (!rst_ni) begin
        weights_owed_q[s] <= '0;
        acts_owed_q[s]    <= '0;
      end else begin
        weights_owed_q[s] <= weights_owed_q[s]
            + (issue && weights_q && slot_q == 1'(s) ? any_count : '0)
            - beats_t'(beat && any_dest == DestWeights && any_slot == 1'(s));
        acts_owed_q[s] <= acts_owed_q[s]
            + (issue && !weights_q && slot_q == 1'(s) ? any_count : '0)
            - beats_t'(beat && any_dest == DestActivations && any_slot == 1'(s));
      end
      if (!rst_ni || halt_i) begin
        held_q[s] <= '0;
      end else begin
        held_q[s] <= held_q[s] + beats_t'(weight && any_slot == 1'(s))
            - beats_t'(pop && pop_slot == 1'(s));
      end
    end
  end

  always_comb begin
    assume (any_dest <= DestDescriptor);
    assume (any_count != '0 && (!busy_q || any_count <= left_q));
  end

  // What is assumed of the neighbours.
  logic right;
  assign right = !(cmd_valid_i && cmd_beats_i == '0) && !(was_halted_q && !was_idle_q && !halt_i);

endmodule
