"""Unbounded proofs of the stream modules, and the bugs that each of them must find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from requirements import require_package
from trine.hw.proof import cover, prove
from trine.hw.sources import files, rtl_folder

require_package("pyosys")

FIFOS = ("tdpu_ram.sv", "tdpu_fifo.sv", "tdpu_queue.sv")
RTL = rtl_folder()


def sources(top: str, changed: Mapping[str, Path] | None = None) -> list[Path]:
    """The files of a property module, some of them replaced."""
    names = files("tdpu_gemv") if top == "fv_gemv" else [RTL / name for name in FIFOS]
    replaced = changed or {}
    return [replaced.get(path.name, path) for path in names] + [RTL / "formal" / f"{top}.sv"]


PROOFS = [("fv_queue", {"KIND": 0}), ("fv_queue", {"KIND": 1}), ("fv_gemv", {"BATCH": 3})]


@pytest.mark.parametrize(("top", "parameters"), PROOFS)
def test_the_property_holds_for_all_time(top: str, parameters: dict[str, int]) -> None:
    assert prove(top, sources(top), parameters).proved


@pytest.mark.parametrize(("top", "parameters"), PROOFS)
def test_every_cover_is_reached(top: str, parameters: dict[str, int]) -> None:
    verdicts = cover(top, sources(top), parameters)
    text = (RTL / "formal" / f"{top}.sv").read_text()
    assert len(verdicts) == text[text.index("gen_cover") :].count("assert (") > 0
    assert not [index for index, verdict in enumerate(verdicts) if verdict.proved]


# A seeded bug: file, what is replaced, by what; and the proof that must fall.
BUGS = {
    "queue loses a word when full": (
        *("fv_queue", {"KIND": 0}, "tdpu_queue.sv"),
        *("assign ready_o = wptr_q != {~rptr_q[AddrW], rptr_q[AddrW-1:0]};", "assign ready_o = 1;"),
    ),
    "queue gives a word twice": (
        *("fv_queue", {"KIND": 0}, "tdpu_queue.sv"),
        *("if (valid_o && ready_i) rptr_q", "if (valid_o && ready_i && !valid_i) rptr_q"),
    ),
    "queue reads the slot behind": (
        *("fv_queue", {"KIND": 0}, "tdpu_queue.sv"),
        *("mem[rptr_q[AddrW-1:0]];", "mem[rptr_q[AddrW-1:0] + 1'b1];"),
    ),
    "fifo drops a word at the output": (
        *("fv_queue", {"KIND": 1}, "tdpu_fifo.sv"),
        *("(!valid_q || ready_i);", "1'b1;"),
    ),
    "fifo keeps a taken word": (
        *("fv_queue", {"KIND": 1}, "tdpu_fifo.sv"),
        *("valid_q <= fetch || (valid_q && !ready_i);", "valid_q <= fetch || valid_q;"),
    ),
    "fifo flush forgets the output": (
        *("fv_queue", {"KIND": 1}, "tdpu_fifo.sv"),
        *("if (!rst_ni || flush_i) begin", "if (!rst_ni) begin"),
    ),
    "array takes a row too early": (
        *("fv_gemv", {"BATCH": 3}, "tdpu_array.sv"),
        *("&& !(ctl_last_i && busy_q);", ";"),
    ),
    "array marks the last result one early": (
        *("fv_gemv", {"BATCH": 3}, "tdpu_array.sv"),
        *("res_last_o = final_q && vector_q == vectors_q", "res_last_o = final_q && vector_q == 1"),
    ),
    "array gives results before they are there": (
        *("fv_gemv", {"BATCH": 3}, "tdpu_array.sv"),
        *("assign res_valid_o = held_q;", "assign res_valid_o = held_q || flags_q[0].valid;"),
    ),
    "gemv takes activations without weights": (
        *("fv_gemv", {"BATCH": 3}, "tdpu_gemv.sv"),
        *("assign s_a_tready_o = step;", "assign s_a_tready_o = s_a_tvalid_i;"),
    ),
}


@pytest.mark.parametrize("name", BUGS)
def test_a_seeded_bug_is_found(name: str, tmp_path: Path) -> None:
    top, parameters, file, correct, wrong = BUGS[name]
    text = (RTL / file).read_text()
    assert text.count(correct) == 1, f"{file} no longer holds what the bug replaces"
    changed = tmp_path / file
    changed.write_text(text.replace(correct, wrong))
    assert not prove(top, sources(top, {file: changed}), parameters).proved
