"""The whole decoder: its bits, its independence of how tokens arrive, its distance to float64."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from trine.checkpoint.open import open_checkpoint
from trine.hw.fixed import export
from trine.hw.fixed.contract import Contract
from trine.hw.fixed.decoder import FixedCache, FixedDecoder
from trine.hw.fixed.distance import StageErrors, real
from trine.hw.fixed.head import logits
from trine.kernels.reference import Decoder, KVCache

TOKENS = np.random.default_rng(7).integers(0, 1024, 40)


@pytest.fixture(scope="module")
def checkpoint():  # type: ignore[no-untyped-def]
    return open_checkpoint("synthetic:tiny")


def test_the_bits_are_those_that_were_written_down(checkpoint) -> None:  # type: ignore[no-untyped-def]
    decoder = FixedDecoder(checkpoint, layers=2)
    got = decoder.hidden(TOKENS, FixedCache())
    words = [got.codes, got.scale.mantissa, got.scale.exponent]
    digest = hashlib.sha256(b"".join(part.astype("<i8").tobytes() for part in words))
    # Changes with the contract only: then write down the new one, and say why in docs/log.md.
    assert digest.hexdigest()[:16] == "7a4424a8e5f427d5"
    assert not any(decoder.saturations.values())


def test_a_token_at_a_time_gives_the_same_bits_as_all_at_once(checkpoint) -> None:  # type: ignore[no-untyped-def]
    decoder = FixedDecoder(checkpoint, Contract(chunk=16), layers=2)
    together = decoder.hidden(TOKENS, FixedCache())
    cache = FixedCache()
    for start, stop in ((0, 1), (1, 2), (2, 17), (17, 40)):
        part = decoder.hidden(TOKENS[start:stop], cache)
        assert np.array_equal(part.codes, together.codes[start:stop])
        assert np.array_equal(part.scale.mantissa, together.scale.mantissa[start:stop])


def test_every_stage_is_near_float64_on_its_own_input(checkpoint) -> None:  # type: ignore[no-untyped-def]
    errors = StageErrors(checkpoint)
    FixedDecoder(checkpoint, layers=2, tap=errors).hidden(TOKENS, FixedCache())
    relative = errors.relative()
    # A stored head is rounded to 8 bits; the others are at 2^-14 and better, flipped codes aside.
    assert relative.pop("kv_key") < 0.01
    assert relative.pop("kv_value") < 0.01
    assert set(relative) >= {"embedding", "rope", "attention", "gate", "residual", "final_norm"}
    for stage, share in errors.differing_codes().items():
        relative.pop(stage)
        assert stage == "final_norm" or share < 1e-3, stage
    assert max(relative.values()) < 2**-13


def test_logits_are_near_the_float_decoders(checkpoint) -> None:  # type: ignore[no-untyped-def]
    decoder = FixedDecoder(checkpoint)
    hidden = decoder.hidden(TOKENS, FixedCache())
    head = export.head_of(checkpoint, decoder.contract)
    got = logits(hidden.codes, head, decoder.contract) * head.unit * real(hidden.scale)
    wanted = Decoder(checkpoint).forward(TOKENS, KVCache())
    # Random layers amplify a flipped code, and eight-bit rows alone cost 0.8 %.
    assert np.sqrt(np.square(got - wanted).mean()) < 0.05 * wanted.std()


def test_the_residual_bound_holds_for_the_largest_codes(checkpoint) -> None:  # type: ignore[no-untyped-def]
    contract = Contract()
    layers = [export.fixed_layer(checkpoint, 0, contract)]
    bound = export.residual_bound(checkpoint, layers)
    layer = layers[0]
    trits, norm = layer.trits["down_proj"].astype(np.int64), layer.norms["ffn_sub_norm"]
    row = trits[np.abs(trits).sum(axis=1).argmax()]
    # The vector that is parallel to a row, as large as a norm lets it be.
    length = real(norm.gain)[0, 0] * np.abs(norm.weights).max()
    worst = np.sqrt(np.abs(row).sum()) * length * real(layer.scales["down_proj"])[0, 0]
    assert worst < bound < 2 ** (contract.residual_bits - 1 - export.binary_point(bound, contract))
