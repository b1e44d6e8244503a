"""What the proofs of the RTL prove, with which constants, and the bugs that each must find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trine.hw.sources import files, rtl_folder

FIFOS = ("tdpu_ram.sv", "tdpu_fifo.sv", "tdpu_queue.sv")
RTL = rtl_folder()


def sources(top: str, changed: Mapping[str, Path] | None = None) -> list[Path]:
    """The files of a property module, some of them replaced."""
    names = files("tdpu_gemv") if top == "fv_gemv" else [RTL / name for name in FIFOS]
    replaced = changed or {}
    return [replaced.get(path.name, path) for path in names] + [RTL / "formal" / f"{top}.sv"]


PROOFS = [("fv_queue", {"KIND": 0}), ("fv_queue", {"KIND": 1}), ("fv_gemv", {"BATCH": 3})]


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

# For covers and bugs of the counts: 8 bits each.
SHORT = (("RowsW = 18;", "RowsW = 8;"), ("KW = 16;", "KW = 8;"))

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
COUNTS: Case = ("fv_calc", {"LANES": 40, "ENGINES": 4}, SHORT)
STORE: Case = ("fv_act_store", {}, ())
CORE: Case = ("fv_core", {}, SMALL)
TOP: Case = ("fv_top", {}, FEW)
WATCHDOG: Case = ("fv_watchdog", {}, ())
REGISTERS: Case = ("fv_regs", {}, ())
INDUCTIONS: list[Case] = [
    *(SMALL_READ, SMALL_WRITE, SMALL_SEQUENCER, COUNTS, WATCHDOG, REGISTERS, STORE, CORE, TOP),
]
# A unit of four engines at base 3.
WHOLE = {"BEAT_W": 64, "CODE": 3, "ENGINES": 4, "BATCH": 4, "K_MAX": 6912}
SLOW_INDUCTIONS: list[Case] = [
    ("fv_axi_read", {"BEAT_W": 32, "FIFO_DEPTH": 128}, ()),
    ("fv_sequencer", {"BEAT_W": 128}, ()),
    ("fv_sequencer", {"BEAT_W": 64, "ENGINES": 4, "BATCH": 4}, ()),
    *(
        ("fv_axi_write", {"BEAT_W": beat}, constants)
        for beat in (32, 128)
        for constants in (SMALL, ())
    ),
    ("fv_axi_write", {"BEAT_W": 64}, ()),
    ("fv_calc", {"LANES": 40, "ENGINES": 4}, ()),
    ("fv_calc", {"LANES": 32, "ENGINES": 3}, ()),
    ("fv_act_store", {**WHOLE, "ABSTRACT": 1}, ()),
    ("fv_core", WHOLE, ()),
    ("fv_core", {**WHOLE, "CODE": 2, "ENGINES": 3, "BATCH": 8}, ()),
    ("fv_top", {"BEAT_W": 64, "ENGINES": 4, "BATCH": 4}, FEW),
]
# Clocks from reset that reach every cover, and every seeded bug.
BUG_CLOCKS = 24
CLOCKS = {
    "fv_act_store": 30,
    "fv_core": 48,
    "fv_top": 28,
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
    modules = MODULES[top]
    if parameters.get("ABSTRACT"):
        modules = ("formal/abstract/tdpu_ram.sv", *modules[1:])
    for name in ("tdpu_pkg.sv", *modules, f"formal/{top}.sv"):
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
    "write names the burst issued last": (
        SMALL_WRITE,
        ("tdpu_axi_write.sv", "aw_addr_q - addr_t'({behind, BurstW'(0)})", "aw_addr_q"),
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
    "store counts a word too many": (
        STORE,
        ("tdpu_act_store.sv", "word_q[p] == words_q - 1'b1;", "word_q[p] == words_q;"),
    ),
    "store writes the next vector, not the port's next": (
        STORE,
        ("tdpu_act_store.sv", "own_q + VectorW'(ENGINES)", "own_q + 1'b1"),
    ),
    "store is complete after a port's first vector": (
        STORE,
        (
            *("tdpu_act_store.sv", "valid_i[p] && last_slice && last_word && last_vector)"),
            "valid_i[p] && last_slice && last_word)",
        ),
    ),
    "store writes to the buffer of the next load": (
        STORE,
        ("tdpu_act_store.sv", ".waddr_i({buffer_q,", ".waddr_i({load_buffer_i,"),
    ),
    "store reads the buffer in writing": (
        STORE,
        ("tdpu_act_store.sv", ".raddr_i({read_buffer_i,", ".raddr_i({buffer_q,"),
    ),
    "store writes every slice": (
        STORE,
        ("tdpu_act_store.sv", "&& slice_q[Port] == SliceW'(s))", ")"),
    ),
    "core begins before the activations are there": (
        CORE,
        ("tdpu_core.sv", "next_valid_q && loaded && (", "next_valid_q && ("),
    ),
    "core takes a third job": (
        CORE,
        ("tdpu_core.sv", "job_ready_o = !next_valid_q", "job_ready_o = (!next_valid_q || promote)"),
    ),
    "core takes a group of rows too many": (
        CORE,
        ("tdpu_core.sv", "run_q.rows <= RowsW'(ENGINES)", "run_q.rows < RowsW'(ENGINES)"),
    ),
    "core reads the buffer of the job before": (
        CORE,
        ("tdpu_core.sv", "buffer: buffer_q ^ job_load_i", "buffer: buffer_q"),
    ),
    "core loads into the buffer in use": (
        CORE,
        ("tdpu_core.sv", ".load_buffer_i(~buffer_q)", ".load_buffer_i(buffer_q)"),
    ),
    "core keeps its jobs over a flush": (
        CORE,
        ("tdpu_core.sv", "if (!rst_ni || flush_i) begin", "if (!rst_ni) begin"),
    ),
    "core overwrites results that wait": (
        CORE,
        ("tdpu_array.sv", " && !(ctl_last_i && busy_q);", ";"),
    ),
    "core gives results of engines without a row": (
        CORE,
        (
            *("tdpu_array.sv", "ctl_final_i ? ctl_rows_i : EngineW'(ENGINES - 1)"),
            "EngineW'(ENGINES - 1)",
        ),
    ),
    "top gives commands the other slot": (
        TOP,
        ("tdpu_top.sv", "cmd_slot_q <= entry_slot;", "cmd_slot_q <= ~entry_slot;"),
    ),
    "top waits for no results of a job whose activations are lost": (
        TOP,
        ("tdpu_top.sv", "issued: job_valid && job_ready,", "issued: entry_status == StatusOk,"),
    ),
    "top ends a halt while writes are outstanding": (
        TOP,
        ("tdpu_top.sv", "(&read_idle) && write_idle;", "&read_idle;"),
    ),
    "top lets a job's last error win": (
        TOP,
        ("tdpu_top.sv", "hit_valid && slot_error_q[s].code == StatusOk", "hit_valid"),
    ),
    "top writes a job twice": (
        TOP,
        ("tdpu_top.sv", "(waits_q && !entry_take)", "waits_q"),
    ),
    "top fetches descriptors at every port": (
        TOP,
        ("tdpu_top.sv", "(p == 0 && fetch_valid)", "(fetch_valid)"),
    ),
    "top keeps an error silent": (
        TOP,
        ("tdpu_top.sv", "done && (closing_irq_q || code != StatusOk)", "done && closing_irq_q"),
    ),
    "top leaves the core its jobs at an abort": (
        TOP,
        ("tdpu_top.sv", ".flush_i        (halt_q)", ".flush_i        (clear_q)"),
    ),
}


# Seconds each; the others take up to half a minute.
QUICK = {
    *("read changes an address that waits", "read steps by a beat"),
    *("write samples the status before the last response", "write strobes a word that is none"),
    *("sequencer lets the tail go back", "store writes to the buffer of the next load"),
    *(
        name
        for name, (case, _) in BUGS_OF_INDUCTIONS.items()
        if case == CORE or (case[2] != SMALL and case != STORE)
    ),
}
