"""`trine info --kernels`: what there is, what is chosen, and why."""

from __future__ import annotations

import json

import pytest

from trine import _native, cli
from trine.kernels.registry import kernel_sets


def test_the_list_agrees_with_the_registry(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRINE_KERNEL", raising=False)
    assert cli.run(["info", "--kernels", "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    sets = kernel_sets()
    assert [each["name"] for each in found["kernels"]] == [each.name for each in sets]
    assert found["chosen"] == [each.name for each in sets if each.usable][-1]
    assert (found["forced"], found["refusal"]) == (None, "")
    assert found["ahead_bytes"] in _native.aheads(found["chosen"])
    rates = {rate["layout"]: rate for rate in found["gemv_in_l2"]}
    assert set(rates) == {"2bit", "base3"}
    for layout, weights_a_byte in (("2bit", 4), ("base3", 5)):
        rate = rates[layout]
        assert rate["weights_per_second"] == weights_a_byte * rate["bytes_per_second"] > 0


def test_a_forced_kernel_is_chosen_and_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRINE_KERNEL", "scalar")
    assert cli.run(["info", "--kernels", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "chosen: scalar (TRINE_KERNEL=scalar)" in out
    assert "asked for 0 bytes before their use (fixed)" in out
    assert all(each.name in out for each in kernel_sets())


def test_an_unknown_kernel_is_refused_after_the_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRINE_KERNEL", "mmx")
    assert cli.run(["info", "--kernels", "--json"]) == 2
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["chosen"], found["gemv_in_l2"]) == (None, [])
    assert found["kernels"][0]["name"] == "scalar"
    assert captured.err.count("\n") == 1 and "kernel 'mmx' (from TRINE_KERNEL)" in captured.err
