"""The numeric contract of BitNet b1.58: quantise, pack, unpack, in NumPy.

In: float weights or activations. Out: ternary or int8 codes with one float32 scale.
Next: `trine.checkpoint` stores them, every kernel and the RTL are judged against them.
"""

from trine.ternary.hf import pack_hf, unpack_hf
from trine.ternary.quantise import absmax_int8, absmean_ternary

__all__ = ["absmax_int8", "absmean_ternary", "pack_hf", "unpack_hf"]
