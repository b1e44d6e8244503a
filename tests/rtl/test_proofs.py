"""Unbounded proofs of the stream and AXI modules, and the bugs that each of them must find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from requirements import require_package
from trine.hw.proof import cover, induct, prove, reach, refute
from trine.hw.sources import files, rtl_folder

require_package("pyosys")
require_package("pysat")

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


# ---- Proofs by induction: the property module states the invariants that close it ----

MODULES = {
    "fv_act_store": ("tdpu_ram.sv", "tdpu_act_store.sv"),
    "fv_axi_read": (*FIFOS, "tdpu_watchdog.sv", "tdpu_axi_read.sv"),
    "fv_calc": ("tdpu_calc.sv",),
    # No value is looked at: the data path is left out.
    "fv_core": (
        *("tdpu_check.sv", "formal/abstract/tdpu_engine.sv", "tdpu_array.sv"),
        *("formal/abstract/tdpu_ram.sv", "tdpu_act_store.sv", "tdpu_core.sv"),
    ),
    "fv_top": (
        *("tdpu_queue.sv", "generated/tdpu_regs_pkg.sv", "formal/abstract/tdpu_regs.sv"),
        *("formal/abstract/tdpu_sequencer.sv", "formal/abstract/tdpu_axi_read.sv"),
        *("formal/abstract/tdpu_core.sv", "formal/abstract/tdpu_axi_write.sv", "tdpu_top.sv"),
    ),
    "fv_regs": ("generated/tdpu_regs_pkg.sv", "generated/tdpu_regs.sv"),
    "fv_sequencer": ("tdpu_calc.sv", "tdpu_sequencer.sv"),
    "fv_watchdog": ("tdpu_watchdog.sv",),
    "fv_axi_write": (*FIFOS, "tdpu_watchdog.sv", "tdpu_axi_write.sv"),
}

# Bursts of 4 beats, 4 outstanding, 16 words of FIFO, 4 bits of K and of rows, where the unit has
# 16, 8, 128 or more, 16 and 18: what `make test` decides in seconds.
SMALL = (
    ("BurstBeats = 16;", "BurstBeats = 4;"),
    ("Outstanding = 8;", "Outstanding = 4;"),
    ("FIFO_DEPTH < 128", "FIFO_DEPTH < 16"),
    ("RowsW = 18;", "RowsW = 4;"),
    ("KW = 16;", "KW = 4;"),
)

# For the composition: 7 beats a port and a vector at most.
FEW = (
    *(("RowsW = 18;", "RowsW = 3;"), ("KW = 16;", "KW = 3;")),
    ("BeatsW = 30;", "BeatsW = 5;"),
)

# Property module, its parameters, and what is replaced of the constants.
Case = tuple[str, dict[str, int], tuple[tuple[str, str], ...]]
SMALL_READ: Case = ("fv_axi_read", {"BEAT_W": 128, "FIFO_DEPTH": 16}, SMALL)
SMALL_WRITE: Case = ("fv_axi_write", {"BEAT_W": 64}, SMALL)
SMALL_SEQUENCER: Case = ("fv_sequencer", {"BEAT_W": 128, "K_MAX": 15}, SMALL)
COUNTS: Case = ("fv_calc", {"LANES": 40, "ENGINES": 4}, ())
STORE: Case = ("fv_act_store", {}, ())
CORE: Case = ("fv_core", {}, SMALL)
TOP: Case = ("fv_top", {}, FEW)
WATCHDOG: Case = ("fv_watchdog", {}, ())
REGISTERS: Case = ("fv_regs", {}, ())
INDUCTIONS: list[Case] = [
    *(SMALL_READ, SMALL_WRITE, SMALL_SEQUENCER, COUNTS, WATCHDOG, REGISTERS, STORE, CORE, TOP),
]
SLOW_INDUCTIONS = [
    ("fv_axi_read", {"BEAT_W": 32, "FIFO_DEPTH": 128}, ()),
    ("fv_sequencer", {"BEAT_W": 128}, ()),
    ("fv_sequencer", {"BEAT_W": 64, "ENGINES": 4, "BATCH": 4}, ()),
    ("fv_axi_write", {"BEAT_W": 64}, ()),
]
# Clocks from reset that reach every cover, and every seeded bug.
BUG_CLOCKS = 24
CLOCKS = {
    "fv_axi_read": 32,
    "fv_axi_write": 40,
    "fv_sequencer": 56,
    "fv_watchdog": 8,
    "fv_regs": 16,
    "fv_calc": 24,
}


def written(folder: Path, case: Case, bug: tuple[str, str, str] | None = None) -> list[Path]:
    """The files of a case, as copies: with small constants, with a bug."""
    top, parameters, constants = case
    paths = []
    for name in ("tdpu_pkg.sv", *MODULES[top], f"formal/{top}.sv"):
        if parameters.get("ABSTRACT") and name == "tdpu_ram.sv":
            name = "formal/abstract/tdpu_ram.sv"
        text = (RTL / name).read_text()
        for real, little in constants:
            text = text.replace(real, little)
        if bug is not None and bug[0] == name:
            assert text.count(bug[1]) == 1, f"{name} no longer holds what the bug replaces"
            text = text.replace(bug[1], bug[2])
        paths.append(folder / Path(name).name)
        paths[-1].write_text(text)
    return paths


def name_of(case: Case) -> str:
    """As pytest shows it."""
    return "-".join([case[0], *(f"{key}{value}" for key, value in case[1].items())])


@pytest.mark.parametrize("case", INDUCTIONS, ids=name_of)
def test_the_invariants_are_inductive(case: Case, tmp_path: Path) -> None:
    assert induct(case[0], written(tmp_path, case), case[1]) is None


@pytest.mark.hardware
@pytest.mark.parametrize("case", SLOW_INDUCTIONS, ids=name_of)
def test_the_invariants_are_inductive_at_full_size(case: Case, tmp_path: Path) -> None:
    assert induct(case[0], written(tmp_path, case), case[1]) is None


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case, marks=pytest.mark.hardware if case == SMALL_SEQUENCER else (), id=name_of(case)
        )
        for case in INDUCTIONS
    ],
)
def test_every_cover_of_an_induction_is_reached(case: Case, tmp_path: Path) -> None:
    top, parameters, _ = case
    found = reach(top, written(tmp_path, case), {**parameters, "COVER": 1}, CLOCKS[top])
    text = (RTL / "formal" / f"{top}.sv").read_text()
    assert len(found) == text[text.index("gen_cover") :].count("assert (") > 0
    assert None not in found


# As BUGS; without the invariants, so it is a property that falls.
BUGS_OF_INDUCTIONS: dict[str, tuple[Case, tuple[str, str, str]]] = {
    "read asks for weights without room": (
        SMALL_READ,
        ("tdpu_axi_read.sv", "credit_q > CreditW'(cmd_len) ||", "credit_q != '0 ||"),
    ),
    "read changes an address that waits": (
        SMALL_READ,
        ("tdpu_axi_read.sv", "(!ar_valid_q || m_axi_arready_i) && queue_ready", "queue_ready"),
    ),
    "read ends every burst at its full length": (
        SMALL_READ,
        ("tdpu_axi_read.sv", "beat_q == asked.len;", "beat_q == LenW'(BurstBeats - 1);"),
    ),
    "read asks for a beat too many": (
        SMALL_READ,
        ("tdpu_axi_read.sv", "LenW'(beats_q - 1'b1)", "LenW'(beats_q)"),
    ),
    "read delivers while halted": (
        SMALL_READ,
        (
            *("tdpu_axi_read.sv", "asked.dest == DestActivations && !halt_i;"),
            "asked.dest == DestActivations;",
        ),
    ),
    "read steps by a beat": (
        SMALL_READ,
        ("tdpu_axi_read.sv", "addr_t'(BurstBeats * BeatBytes)", "addr_t'(BeatBytes)"),
    ),
    "write samples the status before the last response": (
        SMALL_WRITE,
        ("tdpu_axi_write.sv", "StDrain && pending_q == '0 && !halt_i;", "StDrain && !halt_i;"),
    ),
    "write is done before the status is": (
        SMALL_WRITE,
        ("tdpu_axi_write.sv", "StClose && pending_q == '0 && !halt_i;", "StClose && !halt_i;"),
    ),
    "write marks the first beat as the last": (
        SMALL_WRITE,
        ("tdpu_axi_write.sv", "wlast_o = left_q == '0;", "wlast_o = left_q == len_q;"),
    ),
    "write drops a beat that waits": (
        SMALL_WRITE,
        ("tdpu_axi_write.sv", "StBurst && w_valid_q && m_axi_wready_i;", "StBurst && w_valid_q;"),
    ),
    "write strobes a word that is none": (
        SMALL_WRITE,
        ("tdpu_axi_write.sv", "{WordsW'(i) < beat_head.words}", "{WordsW'(i) <= beat_head.words}"),
    ),
    "sequencer keeps computing the counts of a job that was dropped": (
        SMALL_SEQUENCER,
        ("tdpu_sequencer.sv", ".rst_ni (rst_ni && !halt_i),", ".rst_ni,"),
    ),
    "sequencer lets the tail go back": (
        SMALL_SEQUENCER,
        ("tdpu_sequencer.sv", " && waiting >= tail_q - head_q;", ";"),
    ),
    "sequencer enters a refused descriptor twice": (
        SMALL_SEQUENCER,
        ("tdpu_sequencer.sv", "status == StatusOk ? StIssue : StIdle", "StIssue"),
    ),
    "sequencer forgets an error of an earlier beat": (
        SMALL_SEQUENCER,
        ("tdpu_sequencer.sv", "desc_error_i || (error_q && index_q != '0)", "desc_error_i"),
    ),
    "watchdog counts while there is progress": (
        WATCHDOG,
        ("tdpu_watchdog.sv", "!rst_ni || !waiting_i || progress_i", "!rst_ni || !waiting_i"),
    ),
    "watchdog tells again": (
        WATCHDOG,
        ("tdpu_watchdog.sv", "ticks_q == limit_i - 1'b1", "ticks_q >= limit_i - 1'b1"),
    ),
    "watchdog is a tick late": (
        WATCHDOG,
        ("tdpu_watchdog.sv", "ticks_q == limit_i - 1'b1", "ticks_q == limit_i"),
    ),
    "registers lose an interrupt that comes with its clear": (
        REGISTERS,
        (
            *("generated/tdpu_regs.sv", "if(hwif_in.irq_status.done.hwset) begin"),
            "if(hwif_in.irq_status.done.hwset && !decoded_reg_strb.irq_status) begin",
        ),
    ),
    "registers take more than they can answer": (
        REGISTERS,
        ("generated/tdpu_regs.sv", "axil_n_in_flight < 2'd2", "axil_n_in_flight < 2'd3"),
    ),
    "registers write before the data is there": (
        REGISTERS,
        ("generated/tdpu_regs.sv", "if(axil_awvalid && axil_wvalid)", "if(axil_awvalid)"),
    ),
    "counts round down": (
        COUNTS,
        ("tdpu_calc.sv", "Steps'(k_i) + Steps'(LANES - 1)", "Steps'(k_i)"),
    ),
    "counts leave a rest of a whole word": (
        COUNTS,
        ("tdpu_calc.sv", "k_rest_d >= (RestW+1)", "k_rest_d > (RestW+1)"),
    ),
    "counts multiply a bit too few": (
        COUNTS,
        ("tdpu_calc.sv", "StepW'(KW - 1)", "StepW'(KW - 2)"),
    ),
}


# Seconds each; the others take up to half a minute.
QUICK = {
    *("read changes an address that waits", "read steps by a beat"),
    *("write samples the status before the last response", "write strobes a word that is none"),
    "sequencer lets the tail go back",
    *(name for name, (case, _) in BUGS_OF_INDUCTIONS.items() if case[2] != SMALL),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.hardware)
        for name in BUGS_OF_INDUCTIONS
    ],
)
def test_a_seeded_bug_breaks_a_property(name: str, tmp_path: Path) -> None:
    case, bug = BUGS_OF_INDUCTIONS[name]
    top, parameters, _ = case
    found = refute(top, written(tmp_path, case, bug), {**parameters, "HELP": 0}, BUG_CLOCKS)
    assert found is not None
