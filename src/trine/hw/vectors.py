"""Golden vectors: one BitLinear of a checkpoint with the activations that really reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.config import LINEARS
from trine.errors import UsageError
from trine.kernels.reference import Decoder, Floats, KVCache, Layer, accumulate
from trine.ternary import absmax_int8


@dataclass(frozen=True, slots=True)
class Vectors:
    """Trits int8 [N, K], activation codes int8 [T, K], accumulators int32 [T, N]; and whence."""

    model: str
    layer: int
    linear: str
    trits: NDArray[np.int8]
    activations: NDArray[np.int8]
    accumulators: NDArray[np.int32]


class _Reached(Exception):
    """The input of the wanted operator."""

    def __init__(self, x: Floats) -> None:
        super().__init__()
        self.x = x


class _Probe(Layer):
    """A layer that stops at one of its operators."""

    __slots__ = ("wanted",)
    wanted: str

    def linear(self, name: str, x: Floats) -> Floats:
        """Raise at the wanted operator, compute before it."""
        if name == self.wanted:
            raise _Reached(x)
        return Layer.linear(self, name, x)


def golden_vectors(checkpoint: Checkpoint, layer: int, linear: str, tokens: int) -> Vectors:
    """The operator's vectors for `tokens` token ids drawn from a fixed seed, run from position 0.

    UsageError for a layer or operator the model does not have.
    """
    config = checkpoint.config
    if not 0 <= layer < config.layers:
        raise UsageError(f"layer {layer}: {checkpoint.provenance.id} has 0 to {config.layers - 1}")
    if linear not in LINEARS:
        raise UsageError(f"operator {linear}: a layer has {', '.join(LINEARS)}")
    decoder = Decoder(checkpoint, layers=layer + 1)
    last = decoder.layers[layer]
    probe = _Probe(last.trits, last.scales, last.norms)
    object.__setattr__(probe, "wanted", linear)
    decoder.layers[layer] = probe
    ids = np.random.default_rng(0).integers(0, config.vocab_size, tokens)
    codes, _ = absmax_int8(_input(decoder, ids))
    trits = last.trits[linear]
    return Vectors(checkpoint.provenance.id, layer, linear, trits, codes, accumulate(codes, trits))


def _input(decoder: Decoder, ids: NDArray[np.int64]) -> Floats:
    try:
        _never(decoder.forward(ids, KVCache()))
    except _Reached as reached:
        return reached.x


def _never(logits: Floats) -> NoReturn:
    raise AssertionError(f"a forward pass of {len(logits)} tokens met no probe")
