"""`trine verify`: right weights pass, each planted fault fails and is named."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus import VARIANTS, Corpus
from hf_directory import write_directory
from requirements import require_module
from trine.checkpoint import builtin, hf
from trine.checkpoint.checkpoint import TernaryWeight
from trine.checkpoint.hf import HFCheckpoint
from trine.checkpoint.synthetic import PRESETS, SyntheticCheckpoint
from trine.cli import run
from trine.profiling import anchors

require_module("transformers")

TINY = SyntheticCheckpoint("synthetic:tiny")
GATE = "model.layers.0.mlp.gate_proj.weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    return write_directory(TINY, tmp_path_factory.mktemp("v") / "m", variant="bitlinear", layers=1)


def verify(folder: Path, capsys: Any) -> tuple[int, dict[str, Any], set[str]]:
    code = run(["verify", str(folder), "--tokens", "5", "-t", "1", "--json"])
    document = json.loads(capsys.readouterr().out)
    checks = [check for each in document["checks"].values() for check in each]
    return code, document, {check["operator"] for check in checks if not check["passed"]}


def test_right_weights_pass(folder: Path, capsys: Any) -> None:
    code, document, failed = verify(folder, capsys)
    assert (code, failed, document["passed"]) == (0, set(), True)
    assert len(document["checks"]) == 2 and document["notes"] == []
    assert document["end_to_end"]["hf_tokens"] == document["end_to_end"]["native_tokens"]
    assert document["anchors"] == {}


@pytest.mark.parametrize("llama", [False, True])
def test_a_gguf_file_is_held_against_hugging_face_too(
    tmp_path: Path, capsys: Any, llama: bool
) -> None:
    file = VARIANTS["gguf-iq2_bn_r4"](Corpus(llama=llama), tmp_path / "m")
    code, document, failed = verify(file, capsys)
    assert (code, failed) == (0, set())
    assert len(document["checks"]) == 2
    assert "what the reader may have wrong does not show" in document["notes"][0]


def test_without_torch_the_reference_is_left_and_a_line_says_what_is_missing(
    folder: Path,
) -> None:
    """In a process in which torch and transformers cannot be imported."""
    script = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None; "
        "from trine.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    command = ["verify", str(folder), "--tokens", "5", "-t", "1", "--json"]
    child = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    document = json.loads(child.stdout)
    assert list(document["checks"]) == ["native engine against the NumPy reference"]
    assert document["passed"] and document["end_to_end"] is None
    assert document["notes"] == [
        'PyTorch is not installed; pip install "trine[torch]" adds Hugging Face'
    ]


def test_a_model_that_ships_is_a_directory_of_hugging_faces(
    folder: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    """As one of the hub is, once it was fetched."""
    monkeypatch.setattr(builtin.open_builtin, "__defaults__", (folder.parent,))
    monkeypatch.setattr(builtin.builtin_names, "__defaults__", (folder.parent,))
    code = run(["verify", "builtin:m", "--tokens", "5", "-t", "1", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (code, document["notes"], len(document["checks"])) == (0, [], 2)


def test_a_scale_that_is_not_inverted(folder: Path, capsys: Any, monkeypatch: Any) -> None:
    right = HFCheckpoint.ternary

    def wrong(self: HFCheckpoint, name: str) -> TernaryWeight:
        weight = right(self, name)
        return TernaryWeight(weight.packed, np.float32(1) / weight.scale)

    monkeypatch.setattr(HFCheckpoint, "ternary", wrong)
    code, document, failed = verify(folder, capsys)
    assert code == 1 and not document["passed"]
    assert {"q_proj", "down_proj"} <= failed


def test_a_trit_that_the_engine_has_wrong(folder: Path, capsys: Any, monkeypatch: Any) -> None:
    right = HFCheckpoint.ternary
    seen: set[str] = set()

    def once(self: HFCheckpoint, name: str) -> TernaryWeight:
        weight = right(self, name)
        if name != GATE or name in seen:
            return weight
        seen.add(name)
        packed = weight.packed.copy()
        packed[3, 5] ^= 1 if packed[3, 5] & 3 != 2 else 3
        return TernaryWeight(packed, weight.scale)

    monkeypatch.setattr(HFCheckpoint, "ternary", once)
    code, _, failed = verify(folder, capsys)
    assert code == 1 and failed == {"gate_up_proj"}


def test_another_activation(folder: Path, capsys: Any, monkeypatch: Any) -> None:
    right = hf.geometry
    monkeypatch.setattr(
        hf, "geometry", lambda *args: dataclasses.replace(right(*args), activation="silu")
    )
    code, document, failed = verify(folder, capsys)
    assert code == 1 and failed == {"act_fn"}
    assert "not built as BitNetForCausalLM" in document["notes"][0]


def test_text_says_what_failed(folder: Path, capsys: Any, monkeypatch: Any) -> None:
    right = HFCheckpoint.dense
    monkeypatch.setattr(HFCheckpoint, "dense", lambda self, name: right(self, name) * np.float32(1))
    assert run(["verify", str(folder), "--tokens", "4", "-t", "1"]) == 0
    shown = capsys.readouterr().out
    assert "native down_proj" in shown and "end to end" in shown and "passed" in shown


def test_anchors_need_name_and_geometry(folder: Path) -> None:
    real = HFCheckpoint.__new__(HFCheckpoint)
    real.config = PRESETS["2b-4t"]
    real.provenance = dataclasses.replace(TINY.provenance, synthetic=False)
    assert anchors.anchors("microsoft/bitnet-b1.58-2B-4T", real)
    assert not anchors.anchors("microsoft/other", real)
    assert not anchors.anchors("microsoft/bitnet-b1.58-2B-4T", TINY)


def test_bad_requests(folder: Path, capsys: Any) -> None:
    assert run(["verify", str(folder), "--layers", "9"]) == 2
    assert "--layers 9 is more than the model's 1" in capsys.readouterr().err
    assert run(["verify", "no/such/model/here"]) == 2
