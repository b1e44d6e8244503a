// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// tdpu_axi_write as its neighbours may rely on it (fv_axi_write proves it of the real one): takes one
// job after the other; samples the status once, for a job with results not before its last word came;
// then is done, once; errors come only while a job is open; a halt drops everything. When it takes
// words and how long it waits for the memory is open.

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
  input  logic                job_results_i,
  input  addr_t               job_addr_i,
  input  addr_t               job_desc_i,
  output logic                closing_o,
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
  output addr_t               error_addr_o,
  input  logic                tick_i,
  input  logic [7:0]          timeout_i,
  output logic                timeout_o
);

  // Without a driver: anything.
  logic any_ready, any_close, any_done, any_error, any_drop;

  logic open_q, closed_q, results_q, was_halted_q, was_idle_q;
  logic [1:0] lasts_q;  // last words that came, of jobs whose status was not sampled

  assign idle_o = !open_q;
  assign job_ready_o = !open_q && !halt_i;
  assign res_ready_o = any_ready && !halt_i;
  assign closing_o = open_q && !closed_q && !halt_i && any_close && (!results_q || lasts_q != '0);
  assign done_o = open_q && closed_q && !halt_i && any_done;
  assign error_o = open_q && !halt_i && any_error;

  always_ff @(posedge clk_i) begin
    was_halted_q <= rst_ni && halt_i;
    was_idle_q   <= idle_o;
    if (!rst_ni || (halt_i && any_drop)) begin
      open_q <= 1'b0;
    end else begin
      open_q <= (open_q && !done_o) || (job_valid_i && job_ready_o);
    end
    if (job_valid_i && job_ready_o) begin
      results_q <= job_results_i;
      closed_q  <= 1'b0;
    end else if (closing_o) begin
      closed_q <= 1'b1;
    end
    if (!rst_ni || halt_i) lasts_q <= '0;
    else lasts_q <= lasts_q + 2'(res_valid_i && res_ready_o && res_last_i)
        - 2'(closing_o && results_q);
  end

  // What is assumed of the neighbours.
  logic right;
  assign right = !(was_halted_q && !was_idle_q && !halt_i);

endmodule
