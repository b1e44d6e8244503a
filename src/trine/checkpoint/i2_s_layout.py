"""Which of its two I2_S layouts a GGUF file has: what it says, what can be, what its weights tell.

bitnet.cpp writes blocks of 128 weights on x86 and of 64 on ARM, under one type id and in one size:
read as the other, the columns of a matrix are permuted within every 128. Rows are not. In a trained
model the two belong together: how many weights of a row of gate_proj and up_proj are not 0 goes
with the same share of down_proj's column, which is the same channel; likewise v_proj's rows and
o_proj's columns. The layout under which they go together is the one that wrote the file.

A score is the correlation of the two shares times the root of the number of channels, so a normal
number of variance 1 where they have nothing to do with each other. Shares are taken relative to
their 128 columns, which neither layout leaves, and columns that both put in one place are left out.
The trained model of this package scores above 80 for its own layout; random weights score below 3.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.config import ModelConfig
from trine.checkpoint.gguf_config import MODULES
from trine.checkpoint.gguf_file import GGUFFile
from trine.errors import CheckpointError, UsageError
from trine.ternary.gguf import I2_S, I2_S_ARM, I2S

# Written by trine beside I2_S: the weights of a block.
BLOCK_KEY = "trine.i2_s.block"
# What a user says of a file that does not tell.
VARIABLE = "TRINE_I2_S"
_NAMES: Mapping[str, I2S] = MappingProxyType({"x86": I2_S, "arm": I2_S_ARM})

Shares = NDArray[np.float64]
# raw bytes uint8 [N, K/4] of a matrix, by layer and module
Matrix = Callable[[int, str], NDArray[np.uint8]]

# Below this chance is no longer absurd: 8 standard deviations.
DECISIVE = 8.0
# By how much the better layout must lead.
_LEAD = 2.0
# Layers looked at where the first does not decide.
_LAYERS = 4
# Rows of a matrix whose columns are counted.
_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Choice:
    """A layout, and how it is known."""

    layout: I2S
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The scores of both layouts."""

    x86: float
    arm: float

    @property
    def layout(self) -> I2S | None:
        """The layout that the weights tell; None where they tell none."""
        best, other = max(self.x86, self.arm), min(self.x86, self.arm)
        if best < DECISIVE or best < _LEAD * other:
            return None
        return I2_S if self.x86 > self.arm else I2_S_ARM


def choose(file: GGUFFile, config: ModelConfig) -> Choice | None:
    """The layout of all I2_S matrices of a file whose tensors were judged; None without any.

    Raises CheckpointError, with what to do, for a file that does not tell; UsageError for a value
    of `TRINE_I2_S` that is none.
    """
    widths = {e.shape[-1] for e in file.tensors.values() if e.type_id == I2_S.type_id}
    if not widths:
        return None
    stated = file.metadata.get(BLOCK_KEY)
    if stated is not None and stated not in (I2_S.block, I2_S_ARM.block):
        raise CheckpointError(
            f"{file.path}: {BLOCK_KEY} is {stated!r}; it can be {I2_S.block} (x86) or "
            f"{I2_S_ARM.block} (ARM)"
        )
    if stated == I2_S_ARM.block:
        return Choice(I2_S_ARM, "the file says so")
    # bitnet.cpp on x86 cannot have written rows of 64, 192, ... weights.
    if any(width % I2_S.block for width in widths):
        return Choice(I2_S_ARM, "x86 cannot write rows of its lengths")
    if stated == I2_S.block:
        return Choice(I2_S, "the file says so")
    if asked := os.environ.get(VARIABLE):
        if asked not in _NAMES:
            raise UsageError(f"{VARIABLE} is {asked!r}; it can be {' or '.join(_NAMES)}")
        return Choice(_NAMES[asked], f"{VARIABLE} says so")
    return _told_by_weights(file, config)


def _told_by_weights(file: GGUFFile, config: ModelConfig) -> Choice:
    def raw(layer: int, module: str) -> NDArray[np.uint8]:
        entry = file.entry(f"blk.{layer}.{MODULES[module]}.weight")
        return I2_S.codes(file.raw(entry.name), entry.shape[0])

    whole = all(
        file.entry(f"blk.{layer}.{MODULES[module]}.weight").type_id == I2_S.type_id
        for layer in range(min(_LAYERS, config.layers))
        for module in ("gate_proj", "up_proj", "down_proj", "v_proj", "o_proj")
    )
    evidence = weigh(config, raw) if whole else Evidence(0.0, 0.0)
    layout = evidence.layout
    if layout is None:
        raise CheckpointError(
            f"{file.path} does not say whether its I2_S blocks are of {I2_S.block} weights, as "
            f"bitnet.cpp writes them on x86, or of {I2_S_ARM.block} (ARM), and its weights do not "
            f"tell; set {VARIABLE}=x86 or {VARIABLE}=arm after where it was quantised"
        )
    best, other = max(evidence.x86, evidence.arm), min(evidence.x86, evidence.arm)
    return Choice(layout, f"its weights tell: score {best:.0f} against {other:.0f}")


def weigh(config: ModelConfig, matrix: Matrix) -> Evidence:
    """Score both layouts, layer by layer until it is clear.

    Every row of the model must be a multiple of 128 weights.
    """
    found: list[list[list[float]]] = []
    evidence = Evidence(0.0, 0.0)
    for layer in range(min(_LAYERS, config.layers)):
        found.append([_layer(config, matrix, layer, layout) for layout in (I2_S, I2_S_ARM)])
        # Each kind of pair on its own: one that says nothing must not dilute one that does.
        kinds = np.abs(np.sum(found, axis=0)) / math.sqrt(layer + 1)
        evidence = Evidence(*(float(best) for best in kinds.max(axis=1)))
        if evidence.layout is not None:
            break
    return evidence


def _layer(config: ModelConfig, matrix: Matrix, layer: int, layout: I2S) -> list[float]:
    down, out = (_columns(matrix(layer, name), layout) for name in ("down_proj", "o_proj"))
    gate, up, value = (_rows(matrix(layer, n)) for n in ("gate_proj", "up_proj", "v_proj"))
    group = config.heads // config.kv_heads
    value = value.reshape(config.kv_heads, 1, config.head_dim).repeat(group, axis=1).reshape(-1)
    return [_score(down, gate), _score(down, up), _score(out, value)]


def _columns(raw: NDArray[np.uint8], layout: I2S) -> Shares:
    """Of each column, the share of weights that are not 0."""
    flags = _not_zero(raw[:_ROWS])
    # Bits 6-7 hold the first weight.
    counts = np.stack([(flags >> shift & 1).mean(axis=0) for shift in (6, 4, 2, 0)])
    return counts.reshape(4, -1, layout.width).swapaxes(0, 1).reshape(-1)


def _rows(raw: NDArray[np.uint8]) -> Shares:
    """Of each row, the same, of every second byte."""
    flags = _not_zero(raw[:, ::2])
    shares: Shares = sum((flags >> shift & 1).mean(axis=1) for shift in (6, 4, 2, 0)) / 4
    return shares


def _not_zero(raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bits 0, 2, 4, 6 of each byte: whether its code is another one than 01, which is 0."""
    other = raw ^ np.uint8(0b01010101)
    other |= other >> 1
    other &= 0b01010101
    return other


def _score(columns: Shares, rows: Shares) -> float:
    moved = _moved(len(columns))
    a, b = (_relative(shares)[moved] for shares in (columns, rows))
    spread = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / spread * math.sqrt(len(a)) if spread else 0.0


def _relative(shares: Shares) -> Shares:
    blocks = shares.reshape(-1, I2_S.block)
    relative: Shares = (blocks - blocks.mean(axis=1, keepdims=True)).reshape(-1)
    return relative


def _moved(columns: int) -> NDArray[np.bool_]:
    """The columns that the layouts put in different places."""
    places = np.arange(I2_S.block)
    x86 = places.reshape(4, I2_S.width).reshape(-1)
    arm = places.reshape(-1, 4, I2_S_ARM.width).swapaxes(0, 1).reshape(-1)
    return np.tile(x86 != arm, columns // I2_S.block)
