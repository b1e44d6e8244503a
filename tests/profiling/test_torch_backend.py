"""The PyTorch backend on a real small model: every module recorded, nothing disturbed."""

import time

import pytest

from requirements import require_module

torch = require_module("torch")

from trine.checkpoint.synthetic import SyntheticCheckpoint  # noqa: E402
from trine.profiling.probes import ProcessProbe  # noqa: E402
from trine.profiling.recorder import Recorder  # noqa: E402
from trine.profiling.torch_backend import attached, gap_namer  # noqa: E402
from trine.torch.models import build  # noqa: E402
from trine.torch.modules import LEAVES  # noqa: E402

IDS = torch.tensor([[5, 17, 900]])
LAYERS = 2


@pytest.fixture(scope="module")
def model():
    return build(
        SyntheticCheckpoint("synthetic:tiny"), mode="offline", dtype="float32", layers=LAYERS
    )


def make_recorder(model) -> Recorder:
    return Recorder(
        clock=time.perf_counter_ns,
        probe=ProcessProbe(),
        name_gap=gap_namer(model.config),
        dtype="float32",
        itemsize=4,
    )


@torch.no_grad()
def run(model, recorder: Recorder) -> "torch.Tensor":
    with attached(model, recorder, "offline") as new_cache:
        cache = new_cache()
        recorder.begin_pass("prefill", "measured", 0, 0, 3, 3)
        logits = model(input_ids=IDS, past_key_values=cache, use_cache=True).logits
        recorder.end_pass()
        recorder.begin_pass("decode", "measured", 0, 0, 1, 4)
        model(input_ids=logits[:, -1].argmax(-1, keepdim=True), past_key_values=cache)
        recorder.end_pass()
    return logits


def test_every_leaf_module_is_recorded_once_a_pass(model) -> None:
    recorder = make_recorder(model)
    run(model, recorder)
    leaves = {name for name, module in model.named_modules() if type(module) in LEAVES}
    for index in (0, 1):
        names = [r.name for r in recorder.records if r.pass_index == index and r.source == "module"]
        assert sorted(names) == sorted(leaves)


def test_seams_and_named_gaps_of_each_layer(model) -> None:
    recorder = make_recorder(model)
    run(model, recorder)
    for layer in range(LAYERS):
        operators = {r.operator for r in recorder.records if r.layer == layer}
        assert operators >= {
            "attention",
            "kv_update",
            "rope",
            "gate_x_up",
            "attn_residual",
            "mlp_residual",
        }
    assert "causal_mask" in {r.operator for r in recorder.records}


def test_shapes_and_costs_are_the_real_ones(model) -> None:
    recorder = make_recorder(model)
    run(model, recorder)
    by_name = {(r.pass_index, r.name): r for r in recorder.records}
    up = by_name[0, "model.layers.1.mlp.up_proj"]
    assert (up.input_shapes, up.output_shapes) == ([[1, 3, 264]], [[1, 3, 712]])
    assert up.ops == 2 * 3 * 264 * 712 and up.weight_bytes == 264 * 712 * 4
    attention = by_name[1, "model.layers.0.self_attn.attention"]
    assert attention.input_shapes == [[1, 6, 1, 44], [1, 2, 4, 44], [1, 2, 4, 44]]
    update = by_name[1, "model.layers.0.self_attn.kv_update"]
    assert update.output_shapes == [[1, 2, 4, 44], [1, 2, 4, 44]]


def test_recording_changes_no_bit_and_leaves_nothing_behind(model) -> None:
    implementation = model.config._attn_implementation
    with torch.no_grad():
        before = model(IDS).logits
    recorded = run(model, make_recorder(model))
    with torch.no_grad():
        after = model(IDS).logits
    assert torch.equal(before, recorded) and torch.equal(before, after)
    assert model.config._attn_implementation == implementation
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_no_mask_is_built_that_the_plain_model_does_not_build(model) -> None:
    seen = []
    attention = model.model.layers[0].self_attn
    handle = attention.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["attention_mask"]), with_kwargs=True
    )
    with torch.no_grad():
        model(IDS)
    run(model, make_recorder(model))
    handle.remove()
    assert [mask is None for mask in seen] == [True, True, True]


def test_an_exception_in_the_model_detaches(model) -> None:
    recorder = make_recorder(model)
    with pytest.raises(RuntimeError, match="planted"), attached(model, recorder, "offline"):
        raise RuntimeError("planted")
    assert not any(m._forward_hooks for m in model.modules())
