// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Functional coverage of tdpu_top: every bin, bound into the unit for coverage runs only.
//
// A bin is a cover property, counted in each clock in which its expression holds outside reset; its
// label is its name in docs/hw-coverage.csv (trine.hw.coverage). A bin that no test hits fails
// tests/hw/test_coverage.py. Names in paths: `seq` the sequencer's state, `wr` the writer's.

`define BIN(NAME, HIT) NAME: cover property (@(posedge clk) disable iff (!rst_n) (HIT));

`define IN_SEQUENCER(NAME, HIT) \
  `BIN(NAME``__seq_idle, (HIT) && seq == 3'd0) \
  `BIN(NAME``__seq_fetch, (HIT) && seq == 3'd1) \
  `BIN(NAME``__seq_receive, (HIT) && seq == 3'd2) \
  `BIN(NAME``__seq_check, (HIT) && seq == 3'd3) \
  `BIN(NAME``__seq_issue, (HIT) && seq == 3'd4) \
  `BIN(NAME``__seq_activations, (HIT) && seq == 3'd5) \
  `BIN(NAME``__seq_weights, (HIT) && seq == 3'd6)

`define IN_WRITER(NAME, HIT) \
  `BIN(NAME``__wr_idle, (HIT) && wr == 3'd0) \
  `BIN(NAME``__wr_results, (HIT) && wr == 3'd1) \
  `BIN(NAME``__wr_burst, (HIT) && wr == 3'd2) \
  `BIN(NAME``__wr_drain, (HIT) && wr == 3'd3) \
  `BIN(NAME``__wr_status, (HIT) && wr == 3'd4) \
  `BIN(NAME``__wr_close, (HIT) && wr == 3'd5)

`define IN_CALC(NAME, HIT) \
  `BIN(NAME``__calc_done, (HIT) && calc == 2'd0) \
  `BIN(NAME``__calc_divide, (HIT) && calc == 2'd1) \
  `BIN(NAME``__calc_multiply, (HIT) && calc == 2'd2)

// A job that is issued, and an entry (issued or refused) with its code.
`define ISSUED(NAME, HIT) `BIN(NAME, `TOP.u_sequencer.accepted && (HIT))
`define REFUSED(NAME, CODE) `BIN(NAME, `TOP.entry_valid && `TOP.entry_status == CODE)

`define TOP tdpu_top
`define PORT0 tdpu_top.gen_port[0].u_read
`define PORTN tdpu_top.gen_port[ENGINES-1].u_read

module tdpu_coverage
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W     = 64,
  parameter int unsigned CODE       = 3,
  parameter int unsigned ENGINES    = 4,
  parameter int unsigned BATCH      = 1,
  parameter int unsigned K_MAX      = 6912,
  parameter int unsigned FIFO_DEPTH = 512
) (
  input logic clk,
  input logic rst_n
);

  localparam int unsigned Lanes = lanes(CODE, BEAT_W);
  localparam int unsigned Bytes = BEAT_W / 8;
  localparam int signed Largest = 128 * int'(K_MAX);
  // A beat of one trit, everywhere.
  localparam logic [7:0] Minus = 8'h00;
  localparam logic [7:0] Plus = CODE == CodeBase3 ? 8'hff : 8'haa;
  localparam logic [7:0] Zero = CODE == CodeBase3 ? 8'h80 : 8'h55;

  logic [2:0] seq, wr;
  logic [1:0] calc;
  assign seq = `TOP.u_sequencer.state_q;
  assign wr = `TOP.u_write.state_q;
  assign calc = `TOP.u_sequencer.u_calc.state_q;

  // ---- Channels at rest, in every state of their master ----

  logic ar_waits, r_waits0, r_waitsn, aw_waits, w_waits, b_waits, results_wait;
  assign ar_waits = |(`TOP.m_axi_arvalid_o & ~`TOP.m_axi_arready_i);
  assign r_waits0 = `PORT0.asked_valid && !`TOP.m_axi_rvalid_i[0];
  assign r_waitsn = `PORTN.asked_valid && !`TOP.m_axi_rvalid_i[ENGINES-1];
  assign aw_waits = `TOP.m_axi_awvalid_o && !`TOP.m_axi_awready_i;
  assign w_waits = `TOP.m_axi_wvalid_o && !`TOP.m_axi_wready_i;
  assign b_waits = `TOP.u_write.pending_q != '0 && !`TOP.m_axi_bvalid_i;
  assign results_wait = `TOP.res_valid && !`TOP.res_ready;

  `IN_SEQUENCER(read_address_waits, ar_waits)
  `IN_SEQUENCER(first_port_waits_for_data, r_waits0)
  `IN_SEQUENCER(last_port_waits_for_data, r_waitsn)
  `IN_SEQUENCER(weights_starve, `TOP.starved)
  `IN_SEQUENCER(steps_blocked, `TOP.blocked)
  `IN_WRITER(results_wait, results_wait && !`TOP.halt_q)
  `BIN(write_address_waits__wr_burst, aw_waits && wr == 3'd2)
  `BIN(write_address_waits__wr_status, aw_waits && wr == 3'd4)
  `BIN(write_data_waits__wr_burst, w_waits && wr == 3'd2)
  `BIN(write_data_waits__wr_status, w_waits && wr == 3'd4)
  `BIN(write_data_before_address, aw_waits && !`TOP.m_axi_wvalid_o)
  `BIN(write_address_before_data, w_waits && !`TOP.m_axi_awvalid_o)
  `BIN(response_waits__wr_results, b_waits && wr == 3'd1)
  `BIN(response_waits__wr_burst, b_waits && wr == 3'd2)
  `BIN(response_waits__wr_drain, b_waits && wr == 3'd3)
  `BIN(response_waits__wr_status, b_waits && wr == 3'd4)
  `BIN(response_waits__wr_close, b_waits && wr == 3'd5)
  `BIN(read_ports_out_of_phase, `TOP.w_valid != '0 && `TOP.w_valid != '1)

  // ---- Lengths and padding ----

  k_t k;
  rows_t rows;
  logic [4:0] vectors;
  assign k = `TOP.u_sequencer.desc.k[KW-1:0];
  assign rows = `TOP.u_sequencer.desc.rows[RowsW-1:0];
  assign vectors = `TOP.u_sequencer.desc.vectors[4:0];

  `ISSUED(k_is_one, k == 1)
  `ISSUED(k_below_a_word, k > 1 && k < KW'(Lanes))
  `ISSUED(k_is_a_word, k == KW'(Lanes))
  `ISSUED(k_is_a_word_and_one, k == KW'(Lanes + 1))
  `ISSUED(k_is_whole_words, k > KW'(Lanes) && k % KW'(Lanes) == 0)
  `ISSUED(k_ends_in_pad_trits, k > KW'(Lanes) && k % KW'(Lanes) != 0)
  `ISSUED(k_ends_in_pad_bytes, k % KW'(Lanes) != 0 && k % KW'(Lanes) <= KW'(Lanes - 5))
  `ISSUED(k_is_the_longest, k == KW'(K_MAX))
  `ISSUED(rows_is_one, rows == 1)
  `ISSUED(rows_below_engines, rows < RowsW'(ENGINES))
  `ISSUED(rows_is_engines, rows == RowsW'(ENGINES))
  `ISSUED(rows_end_in_pad_rows, rows > RowsW'(ENGINES) && rows % RowsW'(ENGINES) != 0)
  `ISSUED(rows_fill_groups, rows > RowsW'(ENGINES) && rows % RowsW'(ENGINES) == 0)
  `ISSUED(vectors_is_one, vectors == 1)
  `ISSUED(vectors_is_batch, vectors == 5'(BATCH))
  `ISSUED(vectors_leave_ports_idle, vectors < 5'(ENGINES))
  `ISSUED(stream_below_a_burst, `TOP.job.beats < 16)
  `ISSUED(stream_is_a_burst, `TOP.job.beats == 16)
  `ISSUED(stream_is_a_burst_and_one, `TOP.job.beats == 17)
  `ISSUED(stream_above_the_fifo, `TOP.job.beats > BeatsW'(FIFO_DEPTH))
  `BIN(read_burst_of_one, `TOP.m_axi_arvalid_o[0] && `TOP.m_axi_arlen_o[0] == 0)
  `BIN(read_burst_of_some, `TOP.m_axi_arvalid_o[0] && `TOP.m_axi_arlen_o[0] inside {[1 : 14]})
  `BIN(read_burst_of_sixteen, `TOP.m_axi_arvalid_o[0] && `TOP.m_axi_arlen_o[0] == 15)
  `BIN(write_burst_of_one, `TOP.m_axi_awvalid_o && `TOP.m_axi_awlen_o == 0 && wr == 3'd2)
  `BIN(write_burst_of_some, `TOP.m_axi_awvalid_o && `TOP.m_axi_awlen_o inside {[1 : 14]})
  `BIN(write_burst_of_sixteen, `TOP.m_axi_awvalid_o && `TOP.m_axi_awlen_o == 15)
  `BIN(write_beat_in_part, `TOP.m_axi_wvalid_o && wr == 3'd2 && `TOP.m_axi_wstrb_o != '1
      || BEAT_W == 32 && `TOP.m_axi_wvalid_o && `TOP.m_axi_wlast_o)

  // ---- Extremes ----

  logic [BEAT_W-1:0] weights;
  assign weights = `TOP.w_data[0];
  `BIN(result_is_the_highest, `TOP.res_valid && $signed(`TOP.res_data) == Largest)
  `BIN(result_is_the_lowest, `TOP.res_valid && $signed(`TOP.res_data) == -Largest)
  `BIN(result_is_zero, `TOP.res_valid && `TOP.res_data == '0)
  `BIN(codes_all_lowest, `TOP.act_valid[0] && `TOP.read_data[0] == {Bytes{8'h80}})
  `BIN(code_is_highest, `TOP.act_valid[0] && `TOP.read_data[0][7:0] == 8'h7f)
  `BIN(trits_all_minus, `TOP.w_ready && weights == {Bytes{Minus}})
  `BIN(trits_all_plus, `TOP.w_ready && weights == {Bytes{Plus}})
  `BIN(trits_all_zero, `TOP.w_ready && weights == {Bytes{Zero}})
  `BIN(illegal_on_one_port, $countones(`TOP.illegal) == 1)
  `BIN(illegal_on_all_ports, `TOP.illegal == '1)

  // ---- Errors ----

  `REFUSED(refused_version, StatusVersion)
  `REFUSED(refused_owner, StatusOwner)
  `REFUSED(refused_flags, StatusFlags)
  `REFUSED(refused_k, StatusK)
  `REFUSED(refused_rows, StatusRows)
  `REFUSED(refused_vectors, StatusVectors)
  `REFUSED(refused_weights, StatusWeights)
  `REFUSED(refused_activations, StatusActivations)
  `REFUSED(refused_results, StatusResults)
  `REFUSED(refused_reuse, StatusReuse)
  `REFUSED(error_in_descriptor, StatusAxiRead)
  `BIN(reuse_lost_while_waiting, `TOP.u_sequencer.accepted && `TOP.entry_status == StatusReuse)
  `BIN(error_in_weights, `PORTN.error_o && `PORTN.error_dest_o == DestWeights)
  `BIN(error_in_activations, `PORT0.error_o && `PORT0.error_dest_o == DestActivations)
  `BIN(errors_on_two_ports, $countones(`TOP.read_error) > 1)
  `BIN(error_after_the_first, `TOP.now_valid && `TOP.error_q.code != StatusOk)
  `BIN(error_in_results, `TOP.write_error && wr != 3'd5)
  `BIN(error_in_status, `TOP.write_error && wr == 3'd5)
  `BIN(timeout_of_reads, `TOP.read_timeout != '0)
  `BIN(timeout_of_writes, `TOP.write_timeout)
  `BIN(doorbell_refused, `TOP.ring_error)
  `BIN(error_cleared, `TOP.hwif_out.control.clear_error.value && `TOP.error_q.code != StatusOk)

  // ---- Abort and reset ----

  logic aborted, restarted;
  assign aborted = `TOP.hwif_out.control.abort.value;
  assign restarted = `TOP.hwif_out.control.reset.value;
  `IN_SEQUENCER(abort, aborted)
  `IN_SEQUENCER(reset, restarted)
  `IN_WRITER(abort, aborted)
  `IN_WRITER(reset, restarted)
  `IN_CALC(abort, aborted)
  `IN_CALC(reset, restarted)
  `BIN(abort_with_nothing_outstanding, aborted && `TOP.drained)
  `BIN(drain_waits_for_reads, `TOP.halt_q && !(&`TOP.read_idle) && `TOP.write_idle)
  `BIN(drain_waits_for_writes, `TOP.halt_q && (&`TOP.read_idle) && !`TOP.write_idle)
  `BIN(drain_with_address_offered, `TOP.halt_q && ar_waits)
  `BIN(drain_with_burst_begun, `TOP.halt_q && w_waits)
  `BIN(abort_while_draining, aborted && `TOP.halt_q)

  // ---- Ring and jobs in flight ----

  logic [15:0] size, held;
  assign size = 16'd1 << `TOP.hwif_out.ring_size.log2.value;
  assign held = `TOP.tail - `TOP.head;
  `BIN(ring_full, held == size)
  `BIN(ring_empty, held == '0)
  `BIN(ring_in_part, held != '0 && held < size)
  `BIN(ring_wraps, `TOP.entry_valid && (`TOP.u_sequencer.fetch_q & (size - 1)) == size - 1)
  `BIN(ring_of_one_wraps, `TOP.entry_valid && size == 1)
  `BIN(ring_counter_wraps, `TOP.entry_valid && `TOP.u_sequencer.fetch_q == '1)
  `BIN(ring_waits_for_enable, held != '0 && !`TOP.hwif_out.control.enable.value)
  `BIN(one_job_in_flight, `TOP.u_sequencer.flight_q == 1)
  `BIN(two_jobs_in_flight, `TOP.u_sequencer.flight_q == 2)
  `BIN(third_job_waits, `TOP.u_sequencer.flight_q == 2 && seq == 3'd0 && held > 2)
  `BIN(job_loads_alone, `TOP.u_core.next_valid_q && !`TOP.u_core.loaded && !`TOP.u_core.run_valid_q)
  `BIN(job_loads_behind_another, !`TOP.u_core.loaded && `TOP.u_core.run_valid_q)
  `BIN(job_waits_for_another, `TOP.u_core.next_valid_q && `TOP.u_core.loaded && `TOP.u_core.run_valid_q)
  `BIN(job_follows_at_once, `TOP.u_core.promote && `TOP.u_core.final_step)
  `ISSUED(job_reuses, !`TOP.job.load)
  `BIN(descriptor_between_bursts, `PORT0.take_desc && `PORT0.busy_q)

  // ---- Full, empty, interrupts ----

  `BIN(weights_reserved_to_the_last, `PORT0.credit_q == '0)
  `BIN(eight_reads_outstanding, !`PORT0.queue_ready)
  `BIN(eight_writes_outstanding, `TOP.u_write.pending_q == 4'd8)
  `BIN(result_beats_full, !`TOP.u_write.beat_ready)
  `BIN(interrupt_masked, `TOP.hwif_out.irq_status.done.value && !`TOP.irq_o)
  `BIN(both_interrupts, `TOP.hwif_out.irq_status.done.value && `TOP.hwif_out.irq_status.error.value)
  `BIN(done_without_interrupt, `TOP.done && !`TOP.hwif_in.irq_status.done.hwset)
  `BIN(done_again_before_clear, `TOP.hwif_in.irq_status.done.hwset
      && `TOP.hwif_out.irq_status.done.value)

endmodule

bind tdpu_top tdpu_coverage #(
  .BEAT_W(BEAT_W), .CODE(CODE), .ENGINES(ENGINES), .BATCH(BATCH), .K_MAX(K_MAX),
  .FIFO_DEPTH(FIFO_DEPTH)
) u_coverage (.clk(clk_i), .rst_n(rst_ni));
