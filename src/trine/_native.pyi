"""The native extension: what this machine can do, measured; and the engine's kernels.

Arguments out of range, arrays of another shape than stated, and unknown or unusable instruction
sets raise ValueError with the legal values; a buffer that does not fit raises MemoryError. Every
call that computes releases the GIL. Arrays are C-contiguous; another number of dimensions raises
TypeError. An array that is read may have another dtype or order, and is converted; one that is
written and has not the stated ones raises TypeError.

Names: `isa` is a `Level.name`; `code` is a layout of `trine.ternary.tiles`, "2bit" or "base3";
a float type is "float32", "bfloat16" or "float16"; `linear` and `norm` are those of
`trine.checkpoint.config`. T tokens, K columns and N rows of a matrix, H the hidden size, D the head
dimension.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

COMPILER: str
"""The C++ compiler of this build, for example "GNU 12.2.0"."""

READ_BLOCK: int
"""`bytes_per_thread` of `probe_read` is a multiple of this many bytes."""

READ_PATTERNS: int
"""Pass i of a read probe walks the buffer by pattern i % READ_PATTERNS; the best one counts."""

FILL_FACTOR: int
"""64-bit word i of a read probe's buffer holds (i + 1) * FILL_FACTOR modulo 2**64."""

class Level:
    """One instruction set.

    compiled: this build contains it. claimed: the CPU and the operating system say they have it.
    proved: its self-test ran here with the right results; never tried unless claimed.
    usable: all three.
    """

    @property
    def name(self) -> str: ...
    @property
    def compiled(self) -> bool: ...
    @property
    def claimed(self) -> bool: ...
    @property
    def proved(self) -> bool: ...
    @property
    def usable(self) -> bool: ...

class Probe:
    """One measurement.

    seconds: of each pass, from the first thread's start to the last one's end (steady clock).
    work: bytes, or OPs (2 per multiply-add), of one pass over all threads.
    checksum: over all passes, so that a caller can check that all work was done.
    """

    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def seconds(self) -> list[float]: ...
    @property
    def work(self) -> int: ...
    @property
    def checksum(self) -> int: ...

def levels() -> list[Level]:
    """All instruction sets, slowest first; the self-tests run at the first call."""

def prove(isa: str) -> bool:
    """Run one self-test, claimed or not; an illegal instruction gives False, not a crash."""

def ahead(isa: str) -> int:
    """How many bytes before their use this set's GEMV of few tokens asks for weights.

    The first call measures which of `aheads` is fastest here, where there are several.
    """

def aheads(isa: str) -> list[int]:
    """The distances that `ahead` chooses from."""

def probe_read(isa: str, threads: int, bytes_per_thread: int, sweeps: int, passes: int) -> Probe:
    """Read a buffer, each thread its own slice, `sweeps` times a pass.

    The checksum is the sum of all 64-bit words read, modulo 2**64.
    """

def probe_int8(isa: str, threads: int, steps: int, passes: int) -> Probe:
    """Register-resident int8 multiply-adds into int32; at most 2**24 steps a pass.

    The four operand pairs are (1, -5), (2, 6), (3, -7), (4, 8), over and over; the checksum is the
    sum of all products.
    """

def probe_fp32(isa: str, threads: int, steps: int, passes: int) -> Probe:
    """Register-resident float32 multiply-adds; at most 2**24 steps a pass.

    All operands are 1, so the checksum is the number of multiply-adds.
    """

MAX_K: int
"""The largest K of a ternary product: beyond it int32 sums could overflow."""

MAX_GEMV_TOKENS: int
"""Up to this many tokens a product runs as GEMV; more run as GEMM."""

GEMV_PROBE_K: int
"""K of the matrix that `probe_gemv` multiplies."""

class Pool:
    """Worker threads, the caller being one; they spin for a moment after a run, then sleep.

    One run at a time: further callers wait. ValueError unless there are 1 to 256 threads,
    RuntimeError when the system gives fewer.
    """

    def __init__(self, threads: int) -> None: ...
    @property
    def threads(self) -> int: ...

def accumulate(
    isa: str,
    code: str,
    tiles: NDArray[np.uint8],
    row_sums: NDArray[np.int32],
    activations: NDArray[np.int8],
    pool: Pool,
    out: NDArray[np.int32],
) -> None:
    """Write the exact dot products of activations [T, K] to out [T, 16 tiles].

    tiles [tiles, lines, 64] as `trine.ternary.tiles.pack_tiles` makes them, row_sums [16 tiles] the
    sum of each row's trits.
    """

def probe_gemv(isa: str, code: str, threads: int, passes: int) -> Probe:
    """GEMV of one token on 16 tiles a thread, which stay in the L2 cache, 64 times a pass.

    All trits and activations are 1, so the checksum is `GEMV_PROBE_K` for each row of each
    product. `Probe.work` counts packed bytes.
    """

def pack_hf(
    code: str,
    packed: NDArray[np.uint8],
    tiles: NDArray[np.uint8],
    row_sums: NDArray[np.int32],
    pool: Pool,
) -> bool:
    """Pack the HF layout [N/4, K] to tiles [ceil(N/16), lines, 64] and row_sums of as many rows.

    False when a code was 0b11, which is no trit.
    """

class LayerKernels:
    """What stands around a decoder layer's attention, on one pool; it keeps the memory it needs.

    Floats are tensors of float32, bfloat16 or float16, DLPack capsules of them, or arrays; linears
    are (tiles, row sums, scale).
    """

    def __init__(self, isa: str, pool: Pool) -> None: ...
    def qkv(
        self,
        code: str,
        x: object,
        norm: object,
        eps: float,
        linears: Sequence[tuple[object, object, object]],
        cos: object,
        sin: object,
        out: Sequence[object],
    ) -> None:
        """Write q, k, v [B, heads, T, D] of x [B, T, K], rotated by cos and sin [B or 1, T, D]."""

    def output_mlp(
        self,
        code: str,
        activation: str,
        mixed: object,
        x: object,
        attention_norm: object | None,
        post_norm: object,
        ffn_norm: object | None,
        eps: Sequence[float],
        linears: Sequence[tuple[object, object, object]],
        ffn: int,
        out: object,
    ) -> None:
        """Write out [T, H] of the attention's output [T, K], x [T, H] and o, gate, up, down."""

class CacheAttention:
    """Attention of one query a sequence over all keys of a cache, on one pool."""

    def __init__(self, isa: str, pool: Pool) -> None: ...
    def run(self, query: object, key: object, value: object, scaling: float, out: object) -> None:
        """Write out [B, 1, heads * D] of [B, heads, 1, D]; k and v [B, KV heads, keys, D]."""

class BitLinear:
    """BitLinears of any size, one at a time, on one pool; it keeps the memory that they need."""

    def __init__(self, isa: str, pool: Pool) -> None: ...
    def run(
        self,
        code: str,
        tiles: NDArray[np.uint8],
        row_sums: NDArray[np.int32],
        weight_scale: float,
        x: NDArray[np.float32],
        out: NDArray[np.float32],
    ) -> None:
        """Write (sum q t) * weight_scale / s to out [T, N]; q, s are the int8 codes of x [T, K].

        tiles and row_sums as for `accumulate`. A row of x that holds a NaN or an infinity gives a
        row of NaN. T may be 0.
        """

class Geometry:
    """The sizes of a decoder, in elements; activation is "relu2" or "silu"."""

    def __init__(
        self,
        vocabulary: int,
        hidden: int,
        ffn: int,
        layers: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        rms_norm_eps: float,
        activation: str,
        sub_norms: bool,
    ) -> None: ...

class Weights:
    """The packed weights of a decoder, filled once; zeros until then.

    ValueError for a geometry that cannot be: a size of 0, heads that KV heads do not divide or of
    which more than 32 share one, an odd head dimension, K above `MAX_K`.
    """

    def __init__(self, geometry: Geometry, code: str) -> None: ...
    @property
    def body_bytes(self) -> int:
        """Packed ternary bytes of all layers: what a decoded token reads."""

    @property
    def layers(self) -> int: ...
    def set_linear(
        self, layer: int, linear: str, packed: NDArray[np.uint8], scale: float, pool: Pool
    ) -> bool:
        """Pack one matrix from the HF layout [N/4, K], whose values are trit * scale.

        False when a code was 0b11, which is no trit.
        """

    def set_norm(self, layer: int, norm: str, weight: NDArray[np.float32]) -> None:
        """One of a layer's norm weights, of the length of what it norms."""

    def set_final_norm(self, weight: NDArray[np.float32]) -> None:
        """The norm weight [H] before the lm_head."""

class KvCache:
    """Keys and values of one session; type "float32", "float16" or "int8" (a scale per vector)."""

    length: int
    """Positions seen. Setting it forgets the later ones; ValueError when there are not as many."""

    def __init__(
        self, layers: int, kv_heads: int, head_dim: int, capacity: int, type: str
    ) -> None: ...
    @property
    def capacity(self) -> int:
        """Positions that fit."""

    @property
    def bytes_per_position(self) -> int:
        """Bytes of one position's keys, values and scales in all layers."""

class FloatHead:
    """An lm_head's own rows: uint8 [vocabulary, H * itemsize] of a float type, not copied."""

    def __init__(self, isa: str, pool: Pool, rows: NDArray[np.uint8], type: str) -> None: ...
    def logits(self, hidden: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the logits of hidden [T, H] to out [T, vocabulary]."""

class Int8Head:
    """Rows (as of `FloatHead`) quantised to int8 with one scale each."""

    def __init__(self, isa: str, pool: Pool, rows: NDArray[np.uint8], type: str) -> None: ...
    @property
    def bytes(self) -> int:
        """Bytes that a pass over the rows reads."""

    def logits(self, hidden: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the logits of hidden [T, H] to out [T, vocabulary]; NaN for a NaN or infinity."""

class ScreenedHead:
    """A ternary copy a_r t_r of each row w_r (as of `FloatHead`), and the rows themselves."""

    def __init__(
        self, isa: str, pool: Pool, rows: NDArray[np.uint8], type: str, code: str
    ) -> None: ...
    @property
    def bytes(self) -> int:
        """Bytes that a scan of the ternary copy reads."""

    def select(
        self, hidden: NDArray[np.float32], keep: int, exact: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], bool, int]:
        """Ids and exact logits of at least `keep` rows with the best scores for hidden [H].

        Then whether no other row's logit can be the largest, and how many rows were rescored
        beyond the first ones to make it so, which only `exact` does. A row's exact logit and its
        score differ by at most |w - a t| |h| + a |t| |h - q / s| (L2 norms, q / s the int8
        activations).
        """

    def scores(self, hidden: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the ternary scores of hidden [H] to out [vocabulary]."""

    def last_scores(self, out: NDArray[np.float32]) -> None:
        """Write the scores of the last `select` or `scores` to out [vocabulary]."""

class Engine:
    """The forward pass. Weights, pool, embedding and rotations are kept alive, not copied.

    embedding uint8 [vocabulary, H * itemsize] of a float type; cos and sin [positions, D / 2].
    """

    def __init__(
        self,
        isa: str,
        weights: Weights,
        pool: Pool,
        embedding: NDArray[np.uint8],
        type: str,
        cos: NDArray[np.float32],
        sin: NDArray[np.float32],
        max_rows: int,
    ) -> None: ...
    @property
    def max_rows(self) -> int:
        """Tokens of one pass."""

    def forward(
        self,
        caches: Sequence[KvCache],
        tokens: Sequence[NDArray[np.int64]],
        hidden: NDArray[np.float32],
        record: bool,
        tap: Callable[[str, int, NDArray[np.float32], NDArray[np.float32] | None], None] | None,
    ) -> list[tuple[str, int, int, int]]:
        """Run tokens[i] in caches[i] and write normed hidden states [tokens of all runs, H].

        Returns the steps when `record` is set, else nothing: name, layer (-1 outside), first and
        last nanosecond of the steady clock. The tap sees name, layer, result [T, columns] and the
        int8 scales [T] of a step that quantised. An exception that a signal handler raises
        (KeyboardInterrupt) stops the pass and arrives here; the caches then stay as long as they
        were.
        """
