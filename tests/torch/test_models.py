"""The PyTorch backend: Hugging Face's tree, one ternary model in every mode, memory checks."""

from pathlib import Path

import pytest

from requirements import require_module

torch = require_module("torch")

from transformers import AutoModelForCausalLM  # noqa: E402

from hf_directory import write_directory  # noqa: E402
from trine.checkpoint import open_checkpoint  # noqa: E402
from trine.checkpoint.synthetic import PRESETS, SyntheticCheckpoint  # noqa: E402
from trine.errors import OutOfMemory, ProfileError  # noqa: E402
from trine.torch.models import (  # noqa: E402
    build,
    fit_layers,
    loader_count,
    loading_bytes,
    memory_needed,
    require_memory,
    skeleton,
    weight_bytes,
)
from trine.torch.modules import classify, layer_of  # noqa: E402

TINY = SyntheticCheckpoint("synthetic:tiny")
IDS = torch.tensor([[5, 17, 900]])


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_structure_equals_the_seed_report(mode: str) -> None:
    expected = (Path(__file__).parent / "structure_2b4t.txt").read_text().rstrip("\n")
    assert str(skeleton(PRESETS["2b-4t"], mode, "float32", 30)) == expected


def test_packed_structure_differs_only_in_the_linear_class() -> None:
    packed = str(skeleton(PRESETS["2b-4t"], "packed", "bfloat16", 30))
    assert "AutoBitLinear" not in packed and "BitLinear()" in packed


def logits(mode: str, dtype: str, layers: int | None = None) -> "torch.Tensor":
    model = build(TINY, mode=mode, dtype=dtype, layers=layers)
    with torch.no_grad():
        return model(IDS).logits.float()


def test_every_mode_is_the_same_model() -> None:
    online = logits("online", "float32")
    for mode in ("offline", "packed"):
        difference = (logits(mode, "float32") - online).abs().max() / online.std()
        # The same ternary model; what differs is float rounding, which may flip single int8 codes.
        assert difference < 0.05, mode


def test_bfloat16_holds_the_same_weights() -> None:
    wide, narrow = (build(TINY, mode="online", dtype=d) for d in ("float32", "bfloat16"))
    for (name, a), (_, b) in zip(wide.named_parameters(), narrow.named_parameters(), strict=True):
        assert torch.equal(a, b.float()), name


def test_fewer_layers_are_the_first_ones() -> None:
    whole, part = (
        build(TINY, mode="online", dtype="float32"),
        build(TINY, mode="online", dtype="float32", layers=2),
    )
    assert len(part.model.layers) == 2
    weight = "model.layers.1.mlp.down_proj.weight"
    assert torch.equal(whole.get_parameter(weight), part.get_parameter(weight))
    assert torch.equal(whole.model.norm.weight, part.model.norm.weight)


@pytest.mark.parametrize("mode", ["online", "offline", "packed"])
def test_weight_bytes_counts_what_the_model_holds(mode: str) -> None:
    model = build(TINY, mode=mode, dtype="bfloat16")
    held = {t.data_ptr(): t.nbytes for t in [*model.parameters(), *model.buffers()]}
    small = {
        b.data_ptr() for n, b in model.named_buffers() if "inv_freq" in n or "weight_scale" in n
    }
    total = sum(size for pointer, size in held.items() if pointer not in small)
    assert total == weight_bytes(TINY.config, mode, "bfloat16", TINY.config.layers)


def test_matches_from_pretrained(tmp_path: Path) -> None:
    for variant in ("autobitlinear", "bitlinear"):
        folder = write_directory(TINY, tmp_path / variant, variant=variant)
        loaded = open_checkpoint(str(folder))
        ours = build(loaded, mode=loaded.native_mode, dtype="float32")
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        with torch.no_grad():
            a, b = ours(IDS).logits, theirs(IDS).logits
        assert str(ours) == str(theirs)
        assert (a - b).abs().max() / b.std() < 1e-4, variant


def test_memory_is_refused_with_a_figure_and_a_way_out() -> None:
    config = PRESETS["2b-4t"]
    needed = memory_needed(config, "online", "float32", 30, 11, loaders=2)
    assert 9.6e9 < needed < 11e9
    assert fit_layers(config, "online", "float32", 11, 6_000_000_000, loaders=2) in range(10, 16)
    require_memory(config, "online", "float32", 30, 11, needed, loaders=2)
    with pytest.raises(OutOfMemory, match=r"need 10\.\d GB and 6\.0 GB are free; --layers 1\d"):
        require_memory(config, "online", "float32", 30, 11, 6_000_000_000, loaders=2)
    with pytest.raises(OutOfMemory, match="not even one layer"):
        require_memory(config, "online", "float32", 30, 11, 1_000_000_000, loaders=2)


@pytest.mark.parametrize("layers", [1, 7, 30])
def test_the_layers_that_fit_are_the_most(layers: int) -> None:
    config = PRESETS["2b-4t"]
    enough = memory_needed(config, "packed", "bfloat16", layers, 11, loaders=4)
    assert fit_layers(config, "packed", "bfloat16", 11, enough, loaders=4) == layers
    assert fit_layers(config, "packed", "bfloat16", 11, enough - 1, loaders=4) == layers - 1


def test_a_long_context_needs_what_running_holds() -> None:
    config = PRESETS["2b-4t"]
    short, long = (memory_needed(config, "online", "float32", 30, n, 1) for n in (1, 4096))
    cache, logits = 2 * 30 * 5 * 128 * 4096 * 4, 2 * 4096 * 128256 * 4
    assert long - short == pytest.approx(cache + logits, rel=0.2)


@pytest.mark.parametrize("mode", ["online", "offline", "packed"])
def test_loading_holds_no_more_than_it_says(mode: str) -> None:
    """NumPy reports its memory to tracemalloc; torch's own, the weights, are not in it."""
    import tracemalloc

    source = SyntheticCheckpoint("synthetic:0.7b")
    tracemalloc.start()
    try:
        build(source, mode=mode, dtype="bfloat16", layers=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    bound = loading_bytes(source.config, mode, loaders=1)
    assert 0.7 * bound < peak < bound + 20_000_000  # Python objects of the module tree


def test_more_loaders_fill_the_same_model() -> None:
    one, two = (build(TINY, mode="offline", dtype="float32", loaders=n) for n in (1, 2))
    for (name, a), (_, b) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        assert torch.equal(a, b), name


def test_loaders_are_bounded_by_cores_and_by_memory() -> None:
    assert [loader_count(cores) for cores in (0, 1, 2, 64)] == [1, 1, 2, 8]


def test_an_unknown_module_type_is_refused() -> None:
    with pytest.raises(ProfileError, match="no cost model"):
        classify("model.extra", torch.nn.Conv1d(1, 1, 1))


def test_layer_of() -> None:
    assert layer_of("model.layers.17.mlp.up_proj") == 17
    assert layer_of("model.norm") == layer_of("lm_head") == layer_of("") == -1
