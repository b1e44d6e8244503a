"""GGUF files: the traps of real ones, and damage, which ends in one line that says where."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import Corpus, gguf_entries, gguf_metadata
from gguf_builder import Entry, gguf, pair, q8_0, text
from requirements import require_module
from trine.checkpoint import Checkpoint, open_checkpoint
from trine.checkpoint.gguf_file import GGUFFile
from trine.errors import CheckpointError
from trine.ternary.gguf import I2_S, IQ1_BN, IQ2_BN_R4, TQ2_0

SOURCE = Corpus()
ARCH = "bitnet-b1.58"
METADATA = gguf_metadata(SOURCE, ARCH)
UP = "blk.1.ffn_up.weight"
EMBEDDING = "model.embed_tokens.weight"


def write(
    tmp_path: Path,
    metadata: dict[str, object] | None = None,
    entries: list[Entry] | None = None,
    **changed: object,
) -> str:
    """A file of the corpus model; a value None takes a key away."""
    values = {**(metadata or METADATA), **{k.replace("__", "."): v for k, v in changed.items()}}
    values = {key: value for key, value in values.items() if value is not None}
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(values, gguf_entries(SOURCE, I2_S) if entries is None else entries))
    return str(path)


def refused(path: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        read_all(open_checkpoint(path))
    assert "\n" not in str(caught.value)
    assert path in str(caught.value)


def read_all(checkpoint: Checkpoint) -> None:
    assert checkpoint.text is not None
    for name in checkpoint.names:
        if "_proj" in name:
            checkpoint.ternary(name)
        else:
            checkpoint.dense(name)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("general.architecture", "gemma3", "architecture is 'gemma3'; trine runs bitnet-b1.58"),
        ("general.architecture", None, "architecture is None"),
        (f"{ARCH}.block_count", None, "'bitnet-b1.58.block_count' is missing"),
        (f"{ARCH}.block_count", 2**31 - 1, "block_count is 2147483647, and there are"),
        (f"{ARCH}.block_count", 3, r"blk\.2\.attn_norm\.weight is missing"),
        (f"{ARCH}.block_count", 1, r"'blk\.1\.attn_k\.weight' and 10 more has no place"),
        (f"{ARCH}.block_count", "two", "is 'two', not an integer"),
        (f"{ARCH}.embedding_length", 512, "rotated whole"),
        (f"{ARCH}.attention.head_count", 0, "head_count is 0"),
        (f"{ARCH}.attention.head_count_kv", 3, "cannot share 3 KV heads"),
        (f"{ARCH}.rope.dimension_count", 32, "rotated whole"),
        (f"{ARCH}.rope.scaling.type", "yarn", "RoPE scaling of type 'yarn'"),
        (f"{ARCH}.rope.scaling.factor", 8.0, "factor 8"),
        (f"{ARCH}.rope.freq_base", float("nan"), "freq_base is nan, not a number"),
        (f"{ARCH}.rope.freq_base", 0.0, "cannot be computed"),
        ("tokenizer.ggml.bos_token_id", "x", "bos_token_id is 'x'"),
        ("tokenizer.chat_template", 3, "chat_template is no string"),
        ("trine.generation_config", "[", "holds no JSON object"),
        ("trine.i2_s.block", 32, r"trine\.i2_s\.block is 32; it can be 128"),
        ("general.alignment", 24, "general.alignment is 24; it must be a power of two"),
        ("general.alignment", 1 << 31, "general.alignment is 2147483648"),
    ],
)
def test_metadata_that_trine_cannot_run_is_named(
    tmp_path: Path, key: str, value: object, message: str
) -> None:
    path = write(tmp_path, **{key.replace(".", "__"): value})
    if key.startswith("trine.i2_s") or "alignment" in key:
        refused(path, message)
        return
    with pytest.raises(CheckpointError, match=message) as caught:
        read_all(open_checkpoint(path))
    assert "\n" not in str(caught.value)


def changed(which: str, /, **fields: object) -> list[Entry]:
    entries = gguf_entries(SOURCE, I2_S)
    for entry in entries:
        if entry.name == which:
            for key, value in fields.items():
                setattr(entry, key, value)
    return entries


BIG = 2**63


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"offset": BIG}, f"{UP} lies at bytes 9223372036854"),
        ({"offset": 2**64 - 32}, "lies at bytes"),
        ({"offset": 33}, "is not aligned"),
        ({"offset": 0}, "overlap"),
        ({"shape": (BIG, 256)}, "the file is truncated"),
        ({"shape": (BIG, BIG, BIG, 256)}, "the file is truncated"),
        ({"shape": (512, 255)}, r"rows are no multiple of 64"),
        ({"shape": (512, 0)}, "is empty"),
        ({"shape": (1, 1, 1, 512, 256)}, "has 5 dimensions"),
        ({"shape": ()}, "has 0 dimensions"),
        ({"shape": (256, 256)}, r"has shape \[256, 256\], the metadata says \[512, 256\]"),
        ({"type_id": 2}, "ggml's type 2; handled are F32, .*IQ2_BN_R4"),
        ({"type_id": 0, "data": bytes(512 * 256 * 4)}, "is F32, and a ternary type belongs there"),
        ({"name": "blk.0.attn_k.weight"}, "occurs twice"),
        ({"name": "blk.1\nffn_up"}, r"a tensor's name is 'blk\.1\\nffn_up'"),  # found by fuzzing
        ({"name": "x" * 300}, "a tensor's name is 'xxx"),
        ({"name": "blk.1.ffn_up.bias"}, f"the tensor {UP} is missing"),
    ],
)
def test_hostile_tensors_are_named(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    refused(write(tmp_path, entries=changed(UP, **fields)), message)


def test_codes_and_scales_are_judged_where_they_are_read(tmp_path: Path) -> None:
    good = next(entry for entry in gguf_entries(SOURCE, I2_S) if entry.name == UP).data
    illegal = b"\xff" + good[1:]
    refused(write(tmp_path, entries=changed(UP, data=illegal)), f"{UP}: .*illegal code 0b11")
    nan = good[:-32] + struct.pack("<f", float("nan")) + bytes(28)
    refused(write(tmp_path, entries=changed(UP, data=nan)), f"{UP}: its scale is nan")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "no GGUF file|truncated"),
        (b"GGU", "truncated"),
        (b"GGML" + bytes(40), "does not begin with GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "GGUF version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "GGUF version 50331648"),
        (b"GGUF" + struct.pack("<IQQ", 3, BIG, 0), f"claims {BIG} tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, BIG), f"claims {BIG} metadata pairs"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, BIG) + bytes(16), "of 9223372036854775808 bytes"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IQ", 8, BIG), "trunc"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 8, BIG),
            f"claims {BIG} strings in 'a'",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 4, BIG),
            f"claims {BIG} values in 'a'",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 9, 1),
            "values of the unknown type 9",
        ),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + pair("a", 1) + pair("a", 2), "'a' occurs twice"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"\xff" + bytes(16), "is not UTF-8"),
    ],
)
def test_hostile_headers_end_in_one_line(tmp_path: Path, header: bytes, message: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(header)
    refused(str(path), message)


def test_a_truncated_file_names_what_is_cut(tmp_path: Path) -> None:
    path = Path(write(tmp_path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5000])
    refused(str(path), r"blk\.1\.ffn_down\.weight lies at bytes .* truncated")
    for length in range(0, 2000, 97):
        path.write_bytes(whole[:length])
        refused(str(path), "truncated|no GGUF")


@given(st.data())
@settings(max_examples=60)
def test_flipped_bits_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.gguf"
    content = bytearray(WHOLE)
    # The header is 3 KB of 500 KB: most flips belong there.
    places = st.integers(0, 4000) | st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=6)):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        read_all(open_checkpoint(str(path)))
    except CheckpointError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=200))
@settings(max_examples=60)
def test_any_bytes_after_the_magic_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.gguf"
    path.write_bytes(b"GGUF\x03\0\0\0" + content)
    try:
        GGUFFile(path)
    except CheckpointError as error:
        assert "\n" not in str(error)


WHOLE = gguf(METADATA, gguf_entries(SOURCE, I2_S, "Q8_0"))


def test_version_2_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(METADATA, gguf_entries(SOURCE, IQ2_BN_R4), version=2))
    read_all(open_checkpoint(str(path)))


def test_an_output_stored_twice_is_a_tied_head(tmp_path: Path) -> None:
    """Old files of tied models do so; HF's own default is an untied one."""
    entries = gguf_entries(SOURCE, I2_S)
    twice = next(entry for entry in entries if entry.name == "token_embd.weight")
    entries.append(Entry("output.weight", twice.type_id, twice.shape, twice.data))
    assert open_checkpoint(write(tmp_path, entries=entries)).config.tied_embeddings
    other = np.ones((512, 256), np.float16)
    entries[-1] = Entry("output.weight", 1, other.shape, other.tobytes())
    untied = open_checkpoint(write(tmp_path, entries=entries))
    assert not untied.config.tied_embeddings
    assert np.array_equal(untied.dense("lm_head.weight"), other)


def test_bitnet_without_an_activation_is_2b_4t_only_with_its_kind_of_vocabulary(
    tmp_path: Path,
) -> None:
    """llama.cpp's own graph computes SiLU for this name, whatever the model was trained with."""
    metadata = gguf_metadata(SOURCE, "bitnet")
    refused(write(tmp_path, metadata), "does not say whether the gate goes through relu2 or silu")
    relu2 = open_checkpoint(write(tmp_path, metadata, tokenizer__ggml__model="gpt2"))
    assert relu2.config.activation == "relu2"
    silu = open_checkpoint(write(tmp_path, metadata, trine__activation="silu"))
    assert silu.config.activation == "silu"
    assert silu.config.sub_norms


def test_llama_files_have_q_and_k_in_another_order(tmp_path: Path) -> None:
    source = Corpus(llama=True)
    metadata = gguf_metadata(source, "llama")
    loaded = open_checkpoint(write(tmp_path, metadata, gguf_entries(source, TQ2_0)))
    name = "model.layers.0.self_attn.q_proj.weight"
    assert np.array_equal(loaded.ternary(name).packed, source.ternary(name).packed)
    layout_order = loaded.file.raw("blk.0.attn_q.weight").reshape(256, -1)
    assert not np.array_equal(
        layout_order, TQ2_0.encode(source.ternary(name).packed, np.float32(1)).reshape(256, -1)
    )


@pytest.mark.parametrize("values", [np.ones(32, np.float32), np.full(32, 8, np.float32)])
def test_rope_frequencies_that_scale_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    entries = [
        *gguf_entries(SOURCE, IQ1_BN),
        Entry("rope_freqs.weight", 0, (32,), values.tobytes()),
    ]
    path = write(tmp_path, entries=entries)
    if values[0] == 1:
        read_all(open_checkpoint(path))
    else:
        refused(path, "scales RoPE's frequencies")


def test_a_scale_beside_a_matrix_multiplies(tmp_path: Path) -> None:
    entries = gguf_entries(SOURCE, TQ2_0)
    scale = Entry("blk.1.ffn_up.scale", 0, (1,), struct.pack("<f", 3.0))
    name = "model.layers.1.mlp.up_proj.weight"
    once = open_checkpoint(write(tmp_path, entries=entries)).ternary(name).scale
    scaled = open_checkpoint(write(tmp_path, entries=[*entries, scale])).ternary(name).scale
    assert scaled == np.float32(3) * once
    scale.data = struct.pack("<f", float("nan"))
    refused(write(tmp_path, entries=[*entries, scale]), r"blk\.1\.ffn_up\.scale is nan")


def test_q8_0_and_q6_k_embeddings_are_ggmls_own_numbers(tmp_path: Path) -> None:
    quants, types = require_module("gguf.quants"), require_module("gguf").GGMLQuantizationType
    shape = (512, 256)
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (512, 210), np.uint8)
    blocks[:, 208:] = random.uniform(0.001, 0.1, (512, 1)).astype("<f2").view(np.uint8)
    weights = random.normal(size=shape).astype(np.float32)
    stored = {types.Q6_K: (14, blocks.tobytes()), types.Q8_0: (8, q8_0(weights))}
    for kind, (type_id, data) in stored.items():
        entries = changed("token_embd.weight", type_id=type_id, data=data)
        found = open_checkpoint(write(tmp_path, entries=entries)).dense(EMBEDDING)
        raw = np.frombuffer(data, np.uint8).reshape(512, -1)
        assert np.array_equal(found, quants.dequantize(raw, kind))
    bad = bytearray(blocks.tobytes())
    bad[208:210] = np.array([np.inf], "<f2").tobytes()
    entries = changed("token_embd.weight", type_id=14, data=bytes(bad))
    refused(write(tmp_path, entries=entries), "token_embd.weight has a block whose scale")


def test_the_embedding_is_a_view_of_the_mapped_file(tmp_path: Path) -> None:
    loaded = open_checkpoint(write(tmp_path))
    embedding = loaded.dense(EMBEDDING)
    assert np.shares_memory(embedding, loaded.file.raw("token_embd.weight"))
