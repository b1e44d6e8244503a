"""Costs of every operator of 2B-4T against figures worked out by hand.

Prefill of 3 tokens and a decode step at context 11; the numbers are literals on purpose.
"""

import pytest

from trine.profiling.costs import DEFINITIONS, Call, Cost, cost

T, H, F, V = 3, 2560, 6912, 128256
X = [[1, T, H]]
INNER = [1, T, F]


def linear(n: int, k: int, mode: str, tokens: int = T, size: int = 4, weight: int = 4) -> Cost:
    return cost(Call("bitlinear", "op", [[1, tokens, k]], [[1, tokens, n]], size, weight, mode))


@pytest.mark.parametrize(
    ("n", "k", "ops", "weights", "temporaries", "activations"),
    [
        # q, o: 6,553,600 weights
        (H, H, 39_321_600, 52_428_800, 52_490_240, 92_160),
        # k, v: 1,638,400 weights
        (640, H, 9_830_400, 13_107_200, 13_168_640, 69_120),
        # gate, up: 17,694,720 weights
        (F, H, 106_168_320, 141_557_760, 141_619_200, 144_384),
        # down
        (H, F, 106_168_320, 141_557_760, 141_723_648, 196_608),
    ],
)
def test_online_float32(
    n: int, k: int, ops: int, weights: int, temporaries: int, activations: int
) -> None:
    assert linear(n, k, "online") == Cost(ops, weights, activations, temporaries)


def test_online_bfloat16_halves_the_bytes() -> None:
    half, full = linear(F, H, "online", size=2, weight=2), linear(F, H, "online")
    assert half.ops == full.ops
    assert (half.weights, half.temporaries, half.activations) == (70_778_880, 70_809_600, 72_192)


def test_offline_reads_the_weight_once() -> None:
    # temporaries: quantised input 2*3*2560*4 = 61,440 and unscaled output 2*3*6912*4 = 165,888
    assert linear(F, H, "offline") == Cost(106_168_320, 70_778_880, 144_384, 227_328)


def test_packed_sweeps_its_bytes_four_times_and_unpacks_a_dense_matrix() -> None:
    # weights 4 x 17,694,720 / 4; temporaries: dense 141,557,760, int8 codes 15,360, their float
    # copies 61,440, unscaled output 165,888
    assert linear(F, H, "packed", weight=1) == Cost(106_168_320, 17_694_720, 144_384, 141_800_448)


def test_a_decoder_layer_has_the_published_operations() -> None:
    shapes = [(H, H), (640, H), (640, H), (H, H), (F, H), (F, H), (H, F)]
    total = sum(linear(n, k, "offline", tokens=1).ops for n, k in shapes)
    assert total == 2 * 69_468_160


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="online, offline or packed"):
        linear(4, 4, "sideways")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            Call("embedding", "embed_tokens", [[1, T]], X, 4, 4),
            Cost(0, 30_720, 30_720),
        ),
        (
            Call("linear", "lm_head", X, [[1, T, V]], 4, 4),
            Cost(1_970_012_160, 1_313_341_440, 1_569_792),
        ),
        (Call("norm", "input_layernorm", X, X, 4, 4), Cost(30_720, 10_240, 92_160, 122_880)),
        (
            Call("norm", "ffn_sub_norm", [INNER], [INNER], 4, 4),
            Cost(82_944, 27_648, 248_832, 331_776),
        ),
        (Call("activation", "act_fn", [INNER], [INNER], 4, 0), Cost(41_472, 0, 165_888, 165_888)),
        (Call("gating", "gate_x_up", [INNER, INNER], [INNER], 4, 0), Cost(20_736, 0, 248_832)),
        (Call("residual", "mlp_residual", X + X, X, 4, 0), Cost(7_680, 0, 92_160)),
        (
            Call("rope", "rotary_emb", [*X, [1, T]], [[1, T, 128], [1, T, 128]], 4, 0),
            Cost(1_152, 0, 3_072, 6_144),
        ),
        (
            # q 20 heads and k 5: 9,600 elements, cos and sin 768
            Call(
                "rope",
                "rope",
                [[1, 20, T, 128], [1, 5, T, 128]],
                [[1, 20, T, 128], [1, 5, T, 128]],
                4,
                0,
            ),
            Cost(28_800, 0, 79_872, 230_400),
        ),
        (
            # prefill into an empty cache: 3,840 new elements read, then 3,840 written
            Call("kv_update", "kv_update", [[1, 5, T, 128]] * 2, [[1, 5, T, 128]] * 2, 4, 0),
            Cost(0, 0, 15_360, 0, 15_360),
        ),
        (
            # decode at context 11: 10 old rows read, 11 written, for K and V
            Call("kv_update", "kv_update", [[1, 5, 1, 128]] * 2, [[1, 5, 11, 128]] * 2, 4, 0),
            Cost(0, 0, 5_120, 0, 107_520),
        ),
        (
            # 6 causal pairs x 20 heads x (4 * 128 + 5)
            Call(
                "attention",
                "attention",
                [[1, 20, T, 128]] + [[1, 5, T, 128]] * 2,
                [[1, T, 20, 128]],
                4,
                0,
            ),
            Cost(62_040, 0, 61_440, 0, 15_360),
        ),
        (
            Call(
                "attention",
                "attention",
                [[1, 20, 1, 128]] + [[1, 5, 11, 128]] * 2,
                [[1, 1, 20, 128]],
                4,
                0,
            ),
            Cost(113_740, 0, 20_480, 0, 56_320),
        ),
        (Call("sampling", "sampling", [[1, V]], [[1, 1]], 4, 0), Cost(128_256, 0, 513_024)),
        (Call("mask", "causal_mask", [], [], 4, 0), Cost()),
        (Call("unattributed", "gap", [], [], 4, 0), Cost()),
    ],
    ids=lambda value: f"{value.operator}" if isinstance(value, Call) else "",
)
def test_every_other_operator(call: Call, expected: Cost) -> None:
    assert cost(call) == expected


def test_every_kind_has_a_definition_to_print() -> None:
    kinds = {key.split("/")[0] for key in DEFINITIONS}
    from typing import get_args

    from trine.profiling.profile import Kind

    assert kinds == set(get_args(Kind))
