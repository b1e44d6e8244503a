// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Types and constants of the ternary dot-product unit. docs/tdpu.md is the contract.

package tdpu_pkg;

  // An int8 activation code, -128 to 127.
  typedef logic signed [7:0] act_t;

  // One trit as the adder tree wants it: {nz, neg}, value 0 when !nz, and neg only when nz.
  typedef struct packed {
    logic nz;
    logic neg;
  } trit_t;

  // Values of the CODE parameter, and what they stand for in the capability register.
  localparam int unsigned CodeTwoBit = 2;
  localparam int unsigned CodeBase3 = 3;

  // The ternary code of the two-bit layout: trit + 1. 01 is 0; 11 is illegal and acts as 0.
  localparam logic [1:0] TritMinus = 2'b00;
  localparam logic [1:0] TritPlus = 2'b10;

  // Zynq-7000 HP ports are AXI3: a burst has at most 16 beats, and 8 reads may be outstanding.
  localparam int unsigned BurstBeats = 16;
  localparam int unsigned Outstanding = 8;

  // A descriptor is 64 bytes; its last 8 (status, cycles) are written back.
  localparam int unsigned DescBytes = 64;
  localparam int unsigned DescStatusByte = 56;
  localparam logic [7:0] DescVersion = 8'd1;

  // Capability limits. 18 bits of rows cover the 128,256 of a ternary head.
  localparam int unsigned RowsW = 18;
  localparam int unsigned BeatsW = 30;
  localparam int unsigned KW = 16;

  typedef logic [31:0] addr_t;
  typedef logic [RowsW-1:0] rows_t;
  typedef logic [BeatsW-1:0] beats_t;
  typedef logic [KW-1:0] k_t;

  // Status codes of a descriptor, and of the error register.
  typedef enum logic [7:0] {
    StatusOk = 8'h00,
    StatusVersion = 8'h01,
    StatusOwner = 8'h02,
    StatusFlags = 8'h03,
    StatusK = 8'h04,
    StatusRows = 8'h05,
    StatusVectors = 8'h06,
    StatusWeights = 8'h07,
    StatusActivations = 8'h08,
    StatusResults = 8'h09,
    StatusReuse = 8'h0a,
    StatusAxiRead = 8'h20,
    StatusAxiWrite = 8'h21,
    StatusTimeout = 8'h22,
    StatusRing = 8'h30
  } status_e;

  // An error as it travels to the error register and to a job's status.
  typedef struct packed {
    status_e    code;
    logic [3:0] port;
    addr_t      addr;
  } error_t;

  // A decoded descriptor with all derived counts.
  typedef struct packed {
    logic       load;     // fetch activations; otherwise use those of the job before
    logic       irq;      // raise the interrupt when done
    k_t         words;    // beats of one row in one port's stream
    rows_t      rows;
    beats_t     beats;    // beats of one port's stream: words * ceil(rows / ENGINES)
    logic [4:0] vectors;  // 1 to BATCH
    addr_t      weights;
    addr_t      weight_stride;
    addr_t      activations;
    addr_t      activation_stride;
    addr_t      results;
  } job_t;

  // What a port reads a burst for.
  typedef enum logic [1:0] {
    DestWeights,
    DestActivations,
    DestDescriptor
  } dest_e;

  // Activation codes a beat: five a byte in base 3, four in two bits.
  function automatic int unsigned lanes(int unsigned code, int unsigned beat_w);
    return code == CodeBase3 ? beat_w / 8 * 5 : beat_w / 2;
  endfunction

  // Activation store slices: beats of activations that one weight beat needs.
  function automatic int unsigned slices(int unsigned code);
    return code == CodeBase3 ? 5 : 4;
  endfunction

  // Signed width that holds every sum of k_max products: |acc| <= 128 * k_max.
  function automatic int unsigned acc_width(int unsigned k_max);
    return $clog2(128 * k_max + 1) + 1;
  endfunction

endpackage
