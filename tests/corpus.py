"""The conformance corpus: one tiny seeded model in every format and variant that trine reads.

    python tests/corpus.py OUT        writes all of it

All variants hold the same ternary codes. The scales are the same bits, but where a format has
float16 scales (`ROUNDED`). The weights are numbers that float16, bfloat16 and float32 all hold.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np

from gguf_builder import Entry, gguf, q8_0
from hf_directory import write_directory
from trine.checkpoint import Checkpoint, TernaryWeight, TextSource
from trine.checkpoint.convert import TARGETS, convert
from trine.checkpoint.gguf_config import tensor_map
from trine.checkpoint.hf_writer import hf_document
from trine.checkpoint.synthetic import SyntheticCheckpoint
from trine.checkpoint.tensors import EMBEDDING, LM_HEAD, is_ternary, module_of, tensor_shape
from trine.ternary import gguf as layouts
from trine.ternary import pack_hf, unpack_hf
from trine.ternary.gguf import GgufTernary

# Formats whose scale is a float16.
ROUNDED = ("gguf-iq1_bn", "gguf-tq2_0-block-scales", "gguf-tq1_0-block-scales")


class Corpus(SyntheticCheckpoint):
    """Two layers whose widths every layout can hold: all are multiples of 256."""

    def __init__(self, *, llama: bool = False, tied: bool = True, seed: int = 5) -> None:
        super().__init__("synthetic:tiny", seed)
        self.config = replace(
            self.config,
            vocab_size=512,
            hidden_size=256,
            intermediate_size=512,
            layers=2,
            heads=4,
            kv_heads=2,
            head_dim=64,
            context=128,
            tied_embeddings=tied,
            bos_token_id=1,
            eos_token_id=[2, 3],
            activation="silu" if llama else "relu2",
            sub_norms=not llama,
        )

    def master(self, name: str) -> np.ndarray:
        """Numbers below the least normal float16 become 0.

        As in a trained model, some channels are weaker than others, in the matrix that makes a
        channel and in the one that reads it; by powers of two, which round nothing.
        """
        weight = super().master(name).astype(np.float32)
        module, channels = module_of(name), self._channels(name)
        if module in ("gate_proj", "up_proj", "v_proj"):
            weight *= channels[:, None]
        elif module == "down_proj":
            weight *= channels
        elif module == "o_proj":
            group = self.config.heads // self.config.kv_heads
            heads = channels.reshape(self.config.kv_heads, 1, -1)
            weight *= heads.repeat(group, axis=1).reshape(-1)
        return np.where(np.abs(weight) < 2**-14, 0, weight).astype(ml_dtypes.bfloat16)

    def rounded(self) -> Corpus:
        """The same model as formats of float16 scales hold it."""
        return _Rounded(self)

    def _channels(self, name: str) -> np.ndarray:
        config = self.config
        mlp = "mlp" in name
        count = config.intermediate_size if mlp else config.kv_heads * config.head_dim
        layer = int(name.split(".")[2]) if "layers" in name else 0
        random = np.random.default_rng([self._seed, layer, mlp])
        return np.float32(2) ** random.integers(-1, 2, count).astype(np.float32)


class _Rounded(Corpus):
    def __init__(self, source: Corpus) -> None:
        super().__init__(seed=source._seed)
        self.config = source.config

    def ternary(self, name: str) -> TernaryWeight:
        weight = super().ternary(name)
        return TernaryWeight(weight.packed, np.float32(np.float16(weight.scale)))


def gguf_metadata(source: Checkpoint, arch: str) -> dict[str, object]:
    """What bitnet.cpp's and llama.cpp's converters write."""
    config = source.config
    return {
        "general.architecture": arch,
        "general.name": "corpus",
        f"{arch}.vocab_size": config.vocab_size,
        f"{arch}.context_length": config.context,
        f"{arch}.embedding_length": config.hidden_size,
        f"{arch}.block_count": config.layers,
        f"{arch}.feed_forward_length": config.intermediate_size,
        f"{arch}.attention.head_count": config.heads,
        f"{arch}.attention.head_count_kv": config.kv_heads,
        f"{arch}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{arch}.rope.dimension_count": config.head_dim,
        f"{arch}.rope.freq_base": config.rope_theta,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.eot_token_id": 3,
    }


def gguf_entries(source: Checkpoint, layout: GgufTernary, embedding: str = "F16") -> list[Entry]:
    """All tensors, ternary ones with their scale inside the layout."""
    return [
        _ternary(source, name, stored, layout)
        if is_ternary(name)
        else _dense(source, name, stored, embedding)
        for name, stored in tensor_map(source.config).items()
    ]


def _ternary(source: Checkpoint, name: str, stored: str, layout: GgufTernary) -> Entry:
    weight = source.ternary(name)
    packed, config = weight.packed, source.config
    heads = {"q_proj": config.heads, "k_proj": config.kv_heads}.get(module_of(name))
    if heads and not config.sub_norms:
        codes = unpack_hf(packed)
        # llama.cpp's own permutation: [heads, 2, head_dim / 2] to [heads, head_dim / 2, 2].
        swapped = codes.reshape(heads, 2, config.head_dim // 2, -1).swapaxes(1, 2)
        packed = pack_hf(swapped.reshape(codes.shape))
    data = layout.encode(packed, weight.scale).tobytes()
    return Entry(stored, layout.type_id, tensor_shape(config, name), data)


def _dense(source: Checkpoint, name: str, stored: str, embedding: str) -> Entry:
    tensor = source.dense(name).astype(np.float32)
    if name not in (EMBEDDING, LM_HEAD) or embedding == "F32":
        return Entry(stored, 0, tensor.shape, tensor.tobytes())
    if embedding == "Q8_0":
        return Entry(stored, 8, tensor.shape, q8_0(tensor))
    if embedding == "BF16":
        return Entry(stored, 30, tensor.shape, tensor.astype(ml_dtypes.bfloat16).tobytes())
    return Entry(stored, 1, tensor.shape, tensor.astype(np.float16).tobytes())


def _foreign(
    layout: GgufTernary, arch: str = "bitnet-25", embedding: str = "F16", **extra: object
) -> Callable[[Checkpoint, Path], Path]:
    def write(source: Checkpoint, out: Path) -> Path:
        out = out.with_name(f"{out.name}.gguf")
        name = arch if source.config.sub_norms else "llama"
        metadata = gguf_metadata(source, name) | extra
        out.write_bytes(gguf(metadata, gguf_entries(source, layout, embedding)))
        return out

    return write


def _converted(target: str) -> Callable[[Checkpoint, Path], Path]:
    def write(source: Checkpoint, out: Path) -> Path:
        out = out.with_name(f"{out.name}.gguf") if target.startswith("gguf") else out
        convert(source, TextSource(), out, target)
        return out

    return write


def _directory(variant: str, dtype: type, shards: int) -> Callable[[Checkpoint, Path], Path]:
    def write(source: Checkpoint, out: Path) -> Path:
        document = hf_document(source)
        return write_directory(
            source, out, variant=variant, shards=shards, dtype=dtype, document=document
        )

    return write


VARIANTS: dict[str, Callable[[Checkpoint, Path], Path]] = {
    "hf-master-float32": _directory("master", np.float32, 1),
    "hf-master-float16": _directory("master", np.float16, 1),
    "hf-master-bfloat16": _directory("master", ml_dtypes.bfloat16, 3),
    "hf-autobitlinear": _directory("autobitlinear", np.float32, 1),
    "hf-autobitlinear-bfloat16": _directory("autobitlinear", ml_dtypes.bfloat16, 2),
    "hf-bitlinear": _directory("bitlinear", np.float32, 1),
    "hf-bitlinear-sharded": _directory("bitlinear", np.float16, 3),
    "gguf-i2_s-b1.58": _foreign(layouts.I2_S, "bitnet-b1.58"),
    "gguf-i2_s-25-float32": _foreign(layouts.I2_S, "bitnet-25", "F32"),
    "gguf-i2_s-bitnet": _foreign(layouts.I2_S, "bitnet", **{"tokenizer.ggml.model": "gpt2"}),
    "gguf-i2_s-arm": _foreign(layouts.I2_S_ARM),
    "gguf-i2_s-arm-stated": _foreign(layouts.I2_S_ARM, **{"trine.i2_s.block": 64}),
    "gguf-tq1_0-block-scales": _foreign(layouts.TQ1_0, embedding="BF16"),
    "gguf-tq2_0-block-scales": _foreign(layouts.TQ2_0, embedding="BF16"),
    "gguf-iq1_bn": _foreign(layouts.IQ1_BN),
    "gguf-iq2_bn": _foreign(layouts.IQ2_BN),
    "gguf-iq2_bn_r4": _foreign(layouts.IQ2_BN_R4),
} | {f"trine-{target}": _converted(target) for target in TARGETS}


def main(out: Path) -> None:
    """Every variant of the BitNet model and of the Llama-style one."""
    for kind in ("bitnet", "llama"):
        source = Corpus(llama=kind == "llama")
        for name, write in VARIANTS.items():
            folder = out / kind
            folder.mkdir(parents=True, exist_ok=True)
            print(write(source, folder / name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
