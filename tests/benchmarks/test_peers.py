"""benchmarks/peers.py: names, memory, ratios and tables, without any program but a false one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from trine.checkpoint import open_checkpoint

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "peers.py"


@pytest.fixture(scope="module")
def peers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peers", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["peers"] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_name_holds_the_formats_of_body_and_head(peers: ModuleType) -> None:
    assert peers.program_name("llama.cpp", "TQ2_0", "Q6_K") == "llama.cpp TQ2_0+Q6_K"
    ours = {peers.program_name("trine", body, head) for body, head in peers.OURS}
    assert set(peers.PAIRED) <= ours


@pytest.mark.parametrize(
    ("choice", "mode", "dtype"),
    [
        ("offline", "offline", "float32"),
        ("online", "online", "float32"),
        ("offline-bfloat16", "offline", "bfloat16"),
    ],
)
def test_transformers_is_float32_unless_it_says_otherwise(
    peers: ModuleType, choice: str, mode: str, dtype: str
) -> None:
    assert peers.hf_mode(choice) == (mode, dtype)


def test_ratios_are_of_the_same_round_and_their_median_is_shown(peers: ModuleType) -> None:
    # The machine is half as fast in the second round: the ratio of the medians would be 1.5.
    seconds = {
        "trine base3+screened": {"decode": [1.0, 2.0, 1.0]},
        "slow": {"decode": [3.0, 6.0, 3.0], "pp3": [1.0, 1.0, 1.0]},
    }
    ratios = peers.pair_ratios(seconds, "trine base3+screened", "slow")
    assert ratios == {"decode": [3.0, 3.0, 3.0]}
    lines = peers.ratios_table({"trine base3+screened": {"slow": {"decode": [2.0, 3.0, 7.0]}}})
    assert "3.00 (2.00 to 7.00)" in lines[-1] and lines[-1].split()[-1] == "-"


def test_a_program_that_stopped_is_compared_in_the_rounds_it_has(peers: ModuleType) -> None:
    seconds = {"a": {"decode": [1.0, 2.0, 4.0]}, "b": {"decode": [2.0, 2.0]}}
    assert peers.pair_ratios(seconds, "a", "b") == {"decode": [2.0, 1.0]}


def test_every_pair_of_ours_with_another_is_there_once(peers: ModuleType) -> None:
    one = {"decode": [1.0]}
    first, second = peers.PAIRED
    pairs = peers.all_pairs({first: one, second: one, "peer": one})
    assert {ours: set(others) for ours, others in pairs.items()} == {
        first: {second, "peer"},
        second: {first, "peer"},
    }
    assert set(peers.all_pairs({first: one, "peer": one})) == {first}


def test_rates_show_the_bytes_of_body_and_head_where_known(peers: ModuleType) -> None:
    result = {
        "seconds": {"known": {"decode": [0.1, 0.2, 0.5]}, "unknown": {}},
        "bytes": {"known": (521_000_000, 329_000_000), "unknown": (None, None)},
    }
    _, known, unknown = peers.rates_table(result)
    assert "521 + 329" in known and "5.00" in known
    assert unknown.split() == ["unknown", "-", "-", "-", "-"]


def test_a_program_that_stops_is_a_line_and_the_others_go_on(
    peers: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def stops(test: str) -> float:
        if test == "pp512":
            raise peers.NotStarted("killed (signal 9)")
        return 0.5

    result = peers.measure(
        {"steady": lambda _: 0.25, "stops": stops},
        {"steady": ("decode",), "stops": peers.TESTS},
        2,
        lambda: (1e9, 2e9),
    )
    assert result["seconds"] == {
        "steady": {"decode": [0.25, 0.25]},
        "stops": {"decode": [0.5], "pp3": [0.5], "pp512": []},
    }
    assert "left out from here: stops: pp512: killed (signal 9)" in capsys.readouterr().err
    assert len(result["read_gb_s"]) == 2 * len(peers.TESTS)


def test_a_program_that_ends_says_why(peers: ModuleType, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho first >&2; echo 'no such module' >&2; exit 3\n")
    broken.chmod(0o755)
    with (
        pytest.raises(peers.NotStarted, match=r"^no such module \(exit 3\)$"),
        peers.running(str(broken), "llama"),
    ):
        pass
    assert peers.last_words("", -9) == "signal 9"


def test_what_does_not_fit_is_left_out(
    peers: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = peers.Peer("HF", "hf", sys.executable, lambda: [], "hf float32")
    sizes = 2_000_000_000, 300_000_000
    with peers.ExitStack() as stack:
        assert peers.load([peer], 9_000_000_000, sizes, stack) == {}
    assert "left out: HF: it may need 10.5 GB" in capsys.readouterr().err
    assert peers.needed_bytes("hf float32", 10, 1) == 46 + peers.OVERHEAD


def test_masters_hold_the_trits_of_the_model(peers: ModuleType, tmp_path: Path) -> None:
    peers.write_masters("synthetic:tiny", tmp_path)
    model, made = open_checkpoint("synthetic:tiny"), open_checkpoint(str(tmp_path))
    name = "model.layers.0.mlp.down_proj.weight"
    assert made.has_master
    assert np.array_equal(made.ternary(name).packed, model.ternary(name).packed)
    scale = float(model.ternary(name).scale)
    magnitudes = np.unique(np.abs(made.master(name).astype(np.float32)))
    assert magnitudes == pytest.approx([0, scale], rel=2**-8)


def test_q6_k_is_210_bytes_for_256_weights(peers: ModuleType) -> None:
    assert peers.q6_k_bytes(128_256 * 2560) == 128_256 * 10 * 210


@pytest.mark.parametrize(
    ("said", "widest"),
    [
        (b"CPU : AVX2 = 1 | AVX512 = 1 | AVX512_VNNI = 1 | ", "AVX512_VNNI"),
        (b"AVX = 1 | AVX2 = 1 | AVX512 = 0 | AVX512_VNNI = 0 | ", "AVX2"),
        (b"", ""),
    ],
)
def test_a_library_says_what_it_is_built_for(peers: ModuleType, said: bytes, widest: str) -> None:
    assert peers.built_for(said) == widest


def test_a_rate_above_the_int8_peak_is_refused(peers: ModuleType) -> None:
    result = {
        "seconds": {"honest": {"pp512": [2.0, 2.0]}, "skips": {"pp512": [0.5], "decode": [3.0]}},
        "int8_gop_s": [900.0, 1000.0],
    }
    assert peers.refuse(result, 10**12) == ["skips: pp512: 2000 GOP/s in BitLinears cannot be"]
    assert result["seconds"] == {"honest": {"pp512": [2.0, 2.0]}, "skips": {"decode": [3.0]}}
