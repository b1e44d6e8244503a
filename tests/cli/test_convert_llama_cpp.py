"""llama.cpp itself loads the TQ files that `trine convert` writes.

`make test` compiles llama-cpp-python once (the `peers` extra).
"""

from pathlib import Path

import numpy as np
import pytest

from corpus import Corpus
from hf_text_files import write_text
from requirements import require_module
from trine.checkpoint import open_checkpoint
from trine.checkpoint.convert import convert
from trine.checkpoint.hf_writer import write_hf
from trine.model import Engine

IDS = [1, 17, 250, 251, 42, 8, 9, 200]


@pytest.mark.parametrize("target", ["gguf-tq2_0", "gguf-tq1_0"])
def test_llama_cpp_computes_the_llama_style_model(tmp_path: Path, target: str) -> None:
    """Whose graph is the model's own: SiLU, no sub-norms, q and k permuted."""
    expected, found = both(Corpus(llama=True), tmp_path, target)
    # Its activations are quantised by blocks of 256, not by token: about 2 % of an operator.
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.99


def test_llama_cpp_computes_another_model_where_the_gate_is_relu2(tmp_path: Path) -> None:
    """The day this fails, llama.cpp has learnt relu2, and the note of `trine convert` must go."""
    expected, found = both(Corpus(), tmp_path, "gguf-tq2_0")
    assert np.isfinite(found).all()
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] < 0.99


def both(source: Corpus, tmp_path: Path, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Logits [T, V] of the native engine and of llama.cpp for the same file."""
    llama_cpp = require_module("llama_cpp")
    folder, file = tmp_path / "in", tmp_path / "m.gguf"
    folder.mkdir()
    write_hf(source, source.text, folder, "master")
    write_text(folder)
    checkpoint = open_checkpoint(str(folder))
    convert(checkpoint, checkpoint.text, file, target)
    engine = Engine.from_checkpoint(
        open_checkpoint(str(file)), threads=1, body="2bit", head="float"
    )
    expected = engine.session(cache="float32").all_logits(IDS)
    theirs = llama_cpp.Llama(
        str(file), n_ctx=64, n_threads=1, logits_all=True, verbose=False, n_gpu_layers=0
    )
    assert theirs.tokenize(b"hello", add_bos=True)[0] == checkpoint.config.bos_token_id
    theirs.eval(IDS)
    return expected, np.array(theirs.scores[: len(IDS)])
