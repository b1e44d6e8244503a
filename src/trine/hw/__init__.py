"""Hardware: the ternary dot-product unit, simulated, driven, synthesised.

In: trits and int8 codes, the RTL in `rtl`. Out: int32 accumulators, clocks, LUTs.
Next: `trine.cli.hw` shows them. Everything here needs the `hw` extra.
"""
