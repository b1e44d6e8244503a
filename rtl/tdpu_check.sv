// Copyright trine contributors. SPDX-License-Identifier: Apache-2.0
//
// Stops elaboration with a sentence when a set of parameters is illegal. It has no hardware.

module tdpu_check
  import tdpu_pkg::*;
#(
  parameter int unsigned BEAT_W  = 64,
  parameter int unsigned CODE    = CodeBase3,
  parameter int unsigned ENGINES = 1,
  parameter int unsigned BATCH   = 1,
  parameter int unsigned K_MAX   = 6912
) ();

  if (BEAT_W != 32 && BEAT_W != 64 && BEAT_W != 128) begin : gen_beat_w
    $error("tdpu: BEAT_W is the width of an AXI data bus: 32, 64 or 128");
  end
  if (CODE != CodeTwoBit && CODE != CodeBase3) begin : gen_code
    $error("tdpu: CODE is 2 (two bits a trit) or 3 (base 3, five trits a byte)");
  end
  if (ENGINES < 1 || ENGINES > 4) begin : gen_engines
    $error("tdpu: ENGINES is 1 to 4, one per AXI port");
  end
  if (BATCH < 1 || BATCH > 16) begin : gen_batch
    $error("tdpu: BATCH is 1 to 16 activation vectors per weight pass");
  end
  if (K_MAX < 1 || K_MAX > 65535) begin : gen_k_max
    $error("tdpu: K_MAX is 1 to 65535; a row's length has 16 bits in a descriptor");
  end

endmodule
