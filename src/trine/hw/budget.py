"""What the whole pipeline takes of an XC7Z020, and how fast it would be: all of it predicted.

Every figure says where it comes from: *synthesised* (the unit's own RTL), *probe* (a stage's
arithmetic, synthesised from benchmarks/stage_probes, not verified), *estimate* (nobody built it),
*counted* (clocks of simulated RTL with the DDR3 model), *formula* (shown). `trine hw budget` prints
it, docs/hw-budget.md keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from trine.checkpoint.config import LINEARS, ModelConfig
from trine.checkpoint.synthetic import PRESETS
from trine.errors import UsageError
from trine.hw.fixed.contract import Contract
from trine.hw.synth import PART

# Depth and width of a RAMB36 and of its half, simple dual port (UG473).
_SHAPES = ((512, 72, 1.0), (1024, 36, 1.0), (2048, 18, 1.0), (4096, 9, 1.0))
_HALVES = tuple((depth, width // 2, 0.5) for depth, width, _ in _SHAPES)

ENGINES = 4
LANES = 40
BEAT_BYTES = 8
# Clocks of a decoder layer's seven jobs, and weight beats a clock inside them: simulated RTL with
# the DDR3 model at 3.2 GB/s (docs/tdpu.md). Activation loads and result writes, which the pipeline
# does not have, are in it.
LAYER_CLOCKS = 452_723
BEATS_A_CLOCK = 0.9637
CLOCK_MHZ = 100
BATCHES = (1, 4, 8)
# Two vectors share a memory, which gives this many elements a clock to the norm.
ELEMENTS_A_CLOCK = 2
# Clocks of the scalars of one norm: three divisions, a root, five products of 26 clocks in turn.
SCALAR_CLOCKS = 26 * 9
# Highest share of the part that leaves room to route, as asked of this budget.
LIMITS = {"LUT": 0.75, "BRAM36": 0.85, "DSP": 0.80}
EXPONENT_BITS = 6
# Products a clock; twice as many would use the whole bandwidth at late positions.
ATTENTION_LANES = 64


def bram36(words: int, bits: int) -> float:
    """RAMB36 of the cheapest arrangement of one memory with a read and a write port."""
    return min(
        math.ceil(words / depth) * math.ceil(bits / width) * cost
        for depth, width, cost in (*_SHAPES, *_HALVES)
    )


@dataclass(frozen=True, slots=True)
class Memory:
    """`count` memories of words x bits on the part."""

    name: str
    count: int
    words: int
    bits: int
    # RAMB36 of each where synthesis gave another figure than the cheapest arrangement.
    synthesised: float | None = None

    @property
    def bram36(self) -> float:
        """Of all of them."""
        return self.count * (self.synthesised or bram36(self.words, self.bits))


@dataclass(frozen=True, slots=True)
class Block:
    """`count` blocks of lut LUTs and dsp DSP48, with the source of these figures."""

    name: str
    count: int
    lut: int
    dsp: int
    source: str


@dataclass(frozen=True, slots=True)
class Clocks:
    """Clocks of one token, or of a whole prefill."""

    name: str
    clocks: float
    source: str
    overlap: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A configuration: `batch` vectors a weight pass."""

    batch: int
    config: ModelConfig = field(default_factory=lambda: PRESETS["2b-4t"])
    contract: Contract = field(default_factory=Contract)

    def __post_init__(self) -> None:
        if self.batch not in BATCHES:
            raise UsageError(f"batch {self.batch}; there is a budget for {BATCHES}")

    def memories(self) -> list[Memory]:
        """Every block RAM of the pipeline."""
        config, contract, batch = self.config, self.contract, self.batch
        hidden, ffn = config.hidden_size, config.intermediate_size
        element = contract.element_bits + EXPONENT_BITS
        rows = 2 * math.ceil(ffn / LANES)
        # A pair of vectors a memory fills whole block RAMs: 5 and 9, instead of 3 and 5 a vector.
        banks, pair = max(1, batch // 2), min(2, batch)
        return [
            Memory("activation codes, two buffers", batch, rows, 8 * LANES, STORE_BRAM36),
            Memory("residual stream", banks, pair * hidden // 2, 2 * contract.residual_bits),
            # Three elements a word. q, k, v and attention's output live here before gate x up.
            Memory("gate x up; before it q, k, v", banks, pair * ffn // 3, 3 * element),
            Memory("norm weights of the next norm", 1, ffn, contract.weight_bits),
            Memory("weight and KV FIFO, a port", ENGINES, 512, 8 * BEAT_BYTES + 1),
            Memory("RoPE quarter wave with steps", 1, 1 << contract.rope_table_bits, 36),
            Memory("2^-f with steps", 1, 1 << contract.exp_table_bits, 36),
            Memory("screen: heap", 1, contract.keep, 17 + 37),
            Memory("screen: row scales FIFO", 1, 512, 36),
            Memory("control core, 32 KiB", 1, 8192, 36),
        ]

    def blocks(self) -> list[Block]:
        """Every block of logic."""
        batch, norms = self.batch, self._norm_lanes
        engine, store = ENGINE_LUT[batch], STORE_LUT[batch]
        return [
            Block("tdpu_engine, base 3", ENGINES, engine.lut, 0, engine.source),
            Block("tdpu_act_store", 1, store.lut, 0, store.source),
            Block("tdpu_axi_read", ENGINES, 202, 0, "synthesised"),
            Block("tdpu_axi_write (KV, token)", 1, 325, 0, "synthesised"),
            Block("tdpu_sequencer and tdpu_regs", 1, 553 + 454, 0, "synthesised"),
            Block("norm, an element a clock", norms, *PROBES["norm"], "probe"),
            Block("scalar unit, bit-serial", 2, *PROBES["scalar"], "probe"),
            Block("dequantise and residual", 1, *PROBES["residual"], "probe"),
            Block("ReLU2 x up", 1, *PROBES["gate"], "probe"),
            Block("RoPE, a pair a clock", 1, *PROBES["rope"], "probe"),
            Block(f"attention, {ATTENTION_LANES} lanes", 1, *PROBES["attention"], "probe"),
            Block("score and softmax weight", 1, *PROBES["softmax"], "probe"),
            Block("scales of query and key", 1, 60, 4, "estimate: one product of 24 x 24"),
            Block("KV quantise, normalise", 1, PROBES["norm"][0], 2, "as a norm's second half"),
            Block("screen and heap", 1, *PROBES["screen"], "probe"),
            Block("control core (RV32)", 1, 1500, 0, "estimate"),
            Block("result routing and stage control", 1, 1500 + 200 * batch, 0, "estimate"),
        ]

    @property
    def _norm_lanes(self) -> int:
        return ELEMENTS_A_CLOCK * min(self.batch, 2)

    def used(self) -> dict[str, float]:
        """LUT, BRAM36 and DSP of the whole pipeline."""
        return {
            "LUT": sum(block.count * block.lut for block in self.blocks()),
            "BRAM36": sum(memory.bram36 for memory in self.memories()),
            "DSP": sum(block.count * block.dsp for block in self.blocks()),
        }

    def fits(self) -> bool:
        """Whether everything is within `LIMITS`."""
        return all(value <= LIMITS[name] * PART[name] for name, value in self.used().items())

    def kv_bytes(self) -> int:
        """Of one position in all layers: codes, and four bytes of scale for each head's K and V."""
        config = self.config
        head = config.head_dim * self.contract.kv_bits // 8 + 4
        return 2 * config.layers * config.kv_heads * head

    def traffic(self, position: int) -> dict[str, int]:
        """Bytes of DDR that one decoded token moves at `position` (positions before it)."""
        config, contract = self.config, self.contract
        norms = 3 * config.hidden_size + config.intermediate_size
        beats = sum(
            math.ceil(n / ENGINES) * ENGINES * math.ceil(k / LANES)
            for n, k in map(config.linear_shape, LINEARS)
        )
        screen = config.vocab_size * math.ceil(config.hidden_size / LANES)
        return {
            "ternary weights of the body": config.layers * beats * BEAT_BYTES,
            "ternary rows of the screen": screen * BEAT_BYTES,
            "their scales, 16 bits": config.vocab_size * 2,
            f"{contract.keep} exact rows": contract.keep
            * config.hidden_size
            * contract.head_bits
            // 8,
            "norm weights, 18 bits": (config.layers * norms + config.hidden_size) * 9 // 4,
            "KV read": position * self.kv_bytes(),
            "KV written": self.kv_bytes(),
            "embedding row": config.hidden_size * contract.embedding_bits // 8,
        }

    def image_bytes(self, context: int) -> dict[str, int]:
        """What lies in DDR for a context."""
        traffic = self.traffic(context)
        config, contract = self.config, self.contract
        return {
            "ternary weights of the body": traffic["ternary weights of the body"],
            "ternary rows of the screen": traffic["ternary rows of the screen"],
            "exact rows, which are the embedding too": config.embedding_elements
            * contract.head_bits
            // 8,
            f"KV of {context} positions": context * self.kv_bytes(),
        }

    def pass_clocks(self, positions: Sequence[int], *, head: bool) -> list[Clocks]:
        """One pass over the weights for tokens at `positions`, at most `batch` of them."""
        config, count = self.config, len(positions)
        if not 1 <= count <= self.batch:
            raise UsageError(f"{count} tokens in a pass; 1 to {self.batch} are legal")
        port_bytes = ENGINES * BEAT_BYTES * BEATS_A_CLOCK
        queries = config.heads * config.head_dim
        lanes = min(ELEMENTS_A_CLOCK * count, self._norm_lanes)
        elements = 2 * config.hidden_size + queries + config.intermediate_size
        norm = 2 * elements * count / lanes + 4 * SCALAR_CLOCKS * count
        products = sum(2 * (position + 1) * queries for position in positions)
        keys = (max(positions) + 1) * self.kv_bytes() / config.layers
        attention = max(products / ATTENTION_LANES, keys / port_bytes)
        # The last value head is quantised after its rows have left; the others beside the weights.
        after = count * (2 * config.head_dim + SCALAR_CLOCKS)
        divide = count * config.heads // config.kv_heads * (2 * 26 + config.head_dim)
        terms = [
            Clocks(
                "body: weights of all layers",
                config.layers * LAYER_CLOCKS,
                f"counted: {config.layers} x {LAYER_CLOCKS:,}",
                "ReLU2 x up, residual, RoPE, keys' codes, norm weights' load",
            ),
            Clocks(
                "norms",
                config.layers * norm,
                f"formula: 2 passes x {elements:,} elements / {lanes} a clock "
                f"+ 4 x {SCALAR_CLOCKS} clocks of scalars",
                "nothing: the engine waits for the last code",
            ),
            Clocks(
                "attention",
                config.layers * attention,
                f"formula: max(products / {ATTENTION_LANES}, bytes / {port_bytes:.2f})",
                "score, softmax and value products with one another",
            ),
            Clocks(
                "last value head; last division by the sums",
                config.layers * (after + divide),
                f"formula: 2 x {config.head_dim} + {SCALAR_CLOCKS}; a group's heads x "
                f"(52 + {config.head_dim})",
                "nothing",
            ),
        ]
        if head:
            rows = math.ceil(config.vocab_size / ENGINES) * math.ceil(config.hidden_size / LANES)
            exact = self.contract.keep * config.hidden_size * self.contract.head_bits / 8
            final = 2 * config.hidden_size / ELEMENTS_A_CLOCK + SCALAR_CLOCKS
            terms += [
                Clocks(
                    "head: screen",
                    rows / BEATS_A_CLOCK + final,
                    f"assumed: beats / {BEATS_A_CLOCK}, the rate inside the layer's jobs",
                    "row scale and heap",
                ),
                Clocks(
                    "head: exact rows",
                    exact / port_bytes,
                    "formula: bytes / bandwidth; 32 products a clock on attention's lanes",
                    "nothing",
                ),
            ]
        return terms

    def decode(self, position: int) -> float:
        """Predicted tokens a second of one sequence at a position."""
        clocks = sum(term.clocks for term in self.pass_clocks([position], head=True))
        return CLOCK_MHZ * 1e6 / clocks

    def prefill(self, tokens: int) -> float:
        """Predicted tokens a second of a prompt; the head once, for its last token."""
        clocks = 0.0
        for start in range(0, tokens, self.batch):
            positions = range(start, min(start + self.batch, tokens))
            last = positions[-1] == tokens - 1
            clocks += sum(term.clocks for term in self.pass_clocks(positions, head=last))
        return CLOCK_MHZ * 1e6 * tokens / clocks


# RAMB36 of each vector of tdpu_act_store (docs/tdpu.md).
STORE_BRAM36 = 5.0


@dataclass(frozen=True, slots=True)
class _Lut:
    lut: int
    source: str


# docs/tdpu.md; batch 8 with the same command.
ENGINE_LUT = {
    1: _Lut(777, "synthesised"),
    4: _Lut(2_396, "synthesised"),
    8: _Lut(4_551, "synthesised"),
}
STORE_LUT = {
    1: _Lut(75, "synthesised"),
    4: _Lut(86, "synthesised"),
    8: _Lut(137, "synthesised"),
}
# LUT and DSP48 of benchmarks/stage_probes: `python benchmarks/stage_probes.py`.
PROBES = {
    "norm": (376, 4),
    "scalar": (230, 0),
    "residual": (310, 2),
    "gate": (305, 6),
    "rope": (178, 6),
    "softmax": (522, 6),
    "screen": (227, 1),
    "attention": (10_984, 64),
}


def proposed() -> Pipeline:
    """The largest batch that fits."""
    return max((p for p in map(Pipeline, BATCHES) if p.fits()), key=lambda p: p.batch)
