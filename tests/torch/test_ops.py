"""The operators as PyTorch sees them: shapes, dtypes, compile, flops, profiler, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from requirements import require_module

torch = require_module("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from trine.kernels import reference  # noqa: E402
from trine.ternary import pack_hf  # noqa: E402
from trine.ternary.tiles import LAYOUTS  # noqa: E402
from trine.torch.head import LMHead  # noqa: E402
from trine.torch.linear import NativeBitLinear  # noqa: E402
from trine.torch.ops import bitlinear  # noqa: E402

N, K = 36, 70
SCALE = np.float32(0.3)


def trits() -> Any:
    return np.random.default_rng(0).integers(-1, 2, (N, K), dtype=np.int8)


def linear(code: Any = "2bit", threads: int = 1) -> NativeBitLinear:
    packed = pack_hf(trits())
    return NativeBitLinear(packed, SCALE, N, code=code, threads=threads, divides=False)


def activations(*shape: int) -> Any:
    return torch.randn(*shape, K, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("code", LAYOUTS)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (4, 1, 2, 2), (5, 120), (0,), (2, 0)])
def test_any_leading_dimensions(code: Any, threads: int, shape: tuple[int, ...]) -> None:
    x = activations(*shape)
    y = linear(code, threads)(x)
    assert y.shape == (*shape, N)
    expected = reference.bitlinear(x.reshape(-1, K).numpy(), trits(), SCALE)
    np.testing.assert_allclose(y.reshape(-1, N).numpy(), expected, rtol=1e-6)


def test_more_tokens_than_one_piece() -> None:
    x = activations(1100)
    expected = reference.bitlinear(x.numpy(), trits(), SCALE)
    np.testing.assert_allclose(linear(threads=2)(x).numpy(), expected, rtol=1e-6)


def test_non_contiguous_and_bfloat16() -> None:
    x = activations(6)
    turned = x.t().contiguous().t()
    assert not turned.is_contiguous()
    assert torch.equal(linear()(turned), linear()(x))
    narrow = x.to(torch.bfloat16)
    y = linear()(narrow)
    assert y.dtype is torch.bfloat16
    assert torch.equal(y, linear()(narrow.float()).to(torch.bfloat16))


def test_a_nan_stays_in_its_row() -> None:
    x = activations(3)
    x[1, 4] = float("nan")
    y = linear()(x)
    assert y[1].isnan().all() and y[[0, 2]].isfinite().all()


def test_misfits_are_refused() -> None:
    with pytest.raises(ValueError, match="x has 69 features, the weight 70"):
        linear()(activations(2)[:, :-1])
    module = linear()
    with pytest.raises(ValueError, match="another K"):
        bitlinear(
            torch.zeros(1, 200), module.tiles, module.row_sums, module.weight_scale, N, "2bit", 1
        )


def test_torch_library_finds_nothing_wrong() -> None:
    module = linear()
    arguments = (
        activations(3),
        module.tiles,
        module.row_sums,
        module.weight_scale,
        N,
        "2bit",
        1,
    )
    torch.library.opcheck(bitlinear, arguments)


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_compiled_whole(kind: Any) -> None:
    head = torch.nn.Linear(N, 50, bias=False).requires_grad_(False)
    model = torch.nn.Sequential(linear(), LMHead(head, kind, tied=False, threads=1))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert torch.equal(compiled(activations(3)), model(activations(3)))


def test_flops_are_those_of_the_dense_product() -> None:
    with FlopCounterMode(display=False) as counter:
        linear()(activations(2, 3))
    assert counter.get_total_flops() == 2 * 6 * N * K


def test_the_operator_is_in_a_trace() -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as trace:
        linear()(activations(1))
    assert "trine::bitlinear" in {event.key for event in trace.key_averages()}


def test_a_gradient_is_refused_in_words() -> None:
    y = linear()(activations(2).requires_grad_())
    with pytest.raises(RuntimeError, match="no autograd formula"):
        y.sum().backward()


def test_bias_and_inner_norm_come_along() -> None:
    norm = torch.nn.RMSNorm(K)
    bias = torch.arange(N, dtype=torch.float32)
    module = NativeBitLinear(
        pack_hf(trits()), SCALE, N, code="base3", threads=1, divides=True, bias=bias, rms_norm=norm
    )
    x = activations(2)
    with torch.no_grad():
        assert torch.equal(module(x), linear("base3")(norm(x)) + bias)
    assert module.state_dict()["bias"] is not None
