"""The two layouts of I2_S: told apart by what a file says, can be, or holds, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpus import Corpus, gguf_entries, gguf_metadata
from gguf_builder import gguf
from requirements import missing
from trine.checkpoint import Checkpoint, builtin, i2_s_layout, open_checkpoint
from trine.checkpoint.gguf import GGUFCheckpoint
from trine.checkpoint.synthetic import SyntheticCheckpoint
from trine.checkpoint.tensors import layer_tensor
from trine.cli import run
from trine.errors import CheckpointError, UsageError
from trine.ternary import pack_hf, unpack_hf
from trine.ternary.gguf import I2_S, I2_S_ARM, I2S

ARCH = "bitnet-b1.58"
LAYOUTS = [I2_S, I2_S_ARM]
DOWN = "model.layers.1.mlp.down_proj.weight"


class Random(Corpus):
    """Without the channels of a trained model: independent weights."""

    def master(self, name: str) -> np.ndarray:
        return SyntheticCheckpoint.master(self, name)


def write(folder: Path, source: Checkpoint, layout: I2S, **keys: object) -> str:
    path = folder / "m.gguf"
    metadata = gguf_metadata(source, ARCH) | {k.replace("__", "."): v for k, v in keys.items()}
    path.write_bytes(gguf(metadata, gguf_entries(source, layout)))
    return str(path)


def opened(path: str) -> GGUFCheckpoint:
    checkpoint = open_checkpoint(path)
    assert isinstance(checkpoint, GGUFCheckpoint)
    return checkpoint


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda each: each.name)
@pytest.mark.parametrize("seed", range(4))
def test_weights_with_a_models_channels_tell(tmp_path: Path, layout: I2S, seed: int) -> None:
    source = Corpus(seed=seed)
    loaded = opened(write(tmp_path, source, layout))
    assert loaded.i2_s is not None and loaded.i2_s.layout is layout
    assert loaded.i2_s.reason.startswith("its weights tell: score ")
    assert np.array_equal(loaded.ternary(DOWN).packed, source.ternary(DOWN).packed)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda each: each.name)
def test_weights_that_tell_nothing_are_refused(
    tmp_path: Path, layout: I2S, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(i2_s_layout.VARIABLE, raising=False)
    source = Random()
    path = write(tmp_path, source, layout)
    with pytest.raises(CheckpointError, match=r"128 weights.*on x86.*64 \(ARM\)") as caught:
        open_checkpoint(path)
    assert path in str(caught.value) and "\n" not in str(caught.value)
    assert "TRINE_I2_S=x86 or TRINE_I2_S=arm" in str(caught.value)
    said = "x86" if layout is I2_S else "arm"
    monkeypatch.setenv(i2_s_layout.VARIABLE, said)
    loaded = opened(path)
    assert loaded.i2_s == i2_s_layout.Choice(layout, "TRINE_I2_S says so")
    assert np.array_equal(loaded.ternary(DOWN).packed, source.ternary(DOWN).packed)
    monkeypatch.setenv(i2_s_layout.VARIABLE, "mips")
    with pytest.raises(UsageError, match="TRINE_I2_S is 'mips'; it can be x86 or arm"):
        open_checkpoint(path)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda each: each.name)
def test_a_file_may_say_it(tmp_path: Path, layout: I2S, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is believed before a variable that was set for another file."""
    monkeypatch.setenv(i2_s_layout.VARIABLE, "arm" if layout is I2_S else "x86")
    loaded = opened(write(tmp_path, Random(), layout, trine__i2_s__block=layout.block))
    assert loaded.i2_s == i2_s_layout.Choice(layout, "the file says so")


def test_rows_that_x86_cannot_write_are_arms(tmp_path: Path) -> None:
    """192 = 3 x 64 and no multiple of 128."""
    source = Random()
    source.config = replace(source.config, hidden_size=192, head_dim=48, intermediate_size=448)
    loaded = opened(write(tmp_path, source, I2_S_ARM))
    assert loaded.i2_s is not None and loaded.i2_s.layout is I2_S_ARM
    assert np.array_equal(loaded.ternary(DOWN).packed, source.ternary(DOWN).packed)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda each: each.name)
def test_inspect_says_how_it_is_known(
    tmp_path: Path, layout: I2S, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", write(tmp_path, Corpus(), layout)]) == 0
    assert f"I2_S blocks: {layout.block} weights: its weights tell" in capsys.readouterr().out


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda each: each.name)
def test_the_trained_model_that_ships_tells(layout: I2S) -> None:
    """Real weights, and not a corpus that was made to: its feed-forward channels, cut to 128s."""
    if "builtin:stories" not in builtin.builtin_names():
        missing("builtin:stories is not in this tree")
    source = open_checkpoint("builtin:stories")
    width = source.config.intermediate_size // 128 * 128

    def matrix(layer: int, module: str) -> np.ndarray:
        if module in ("v_proj", "o_proj"):  # nothing is to be learnt from these
            return np.full((128, 32), 0x55, np.uint8)
        codes = unpack_hf(source.ternary(layer_tensor(layer, module)).packed)
        codes = codes[:, :width] if module == "down_proj" else codes[:width, :256]
        return layout.codes(layout.encode(pack_hf(codes), np.float32(1)), len(codes))

    config = replace(source.config, heads=1, kv_heads=1, head_dim=128, intermediate_size=width)
    assert i2_s_layout.weigh(config, matrix).layout is layout
