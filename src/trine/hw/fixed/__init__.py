"""The fixed-point contract: what every stage of the decoder computes in fabric, in integers.

In: a checkpoint, whose constants `export` turns into integers once, in floating point.
Out: int64 arrays, the truth that RTL of a stage is held against (L2); docs/fixed-point.md.
Next: `trine.hw.budget` sizes the stages; benchmarks/fixed_point.py measures the distance to floats.

Nothing but `export` computes in floating point. Every value is an exact integer below 2^63.
"""
