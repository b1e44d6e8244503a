"""`inference_profile_report.json`: the totals and the tables in one document.

Its first keys keep the names and meanings that scripts know: `total_time_ms` is the wall time of
one cold prefill, `avg_time_per_layer_ms` and `layer_distribution` are of the module calls of one
layer (1 and up, warm), memory is MiB. Four keys are new: `ratio_base`, `run`, `findings`
and `fpga_predicted` (null unless asked for; not measured on a board).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from trine.profiling.analysis import StageTable
from trine.profiling.profile import Profile
from trine.report.content.common import tokens_per_second
from trine.report.facts import Facts
from trine.report.layer_csv import MIB, ModuleRow
from trine.report.operator_csv import RATIO_BASE, OperatorFigures


def write(facts: Facts, path: Path) -> None:
    """Write the document."""
    text = json.dumps(document(facts), ensure_ascii=False, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def document(facts: Facts) -> dict[str, Any]:
    """The document as plain data."""
    profile = facts.profile
    by_name = sorted(facts.operators, key=lambda f: f.operator)
    layer_ms = sum(f.time_ms for f in facts.operators)
    cold = facts.cold.get("prefill")
    return {
        "meta": _meta(profile),
        "system_info": _system(profile),
        "model_info": {
            "structure": profile.model.structure,
            "num_layers": profile.model.layers,
            "memory_loaded_mb": profile.model.rss_after_load_bytes / MIB,
        },
        "inference_summary": {
            "total_time_ms": cold.wall_ms.median if cold else None,
            "total_ops_per_layer": round(sum(f.ops for f in facts.operators)),
            "avg_time_per_layer_ms": layer_ms,
        },
        "layer_distribution": _distribution(facts.operators, layer_ms),
        "global_layers": {
            "embedding_time_ms": _outside(facts.modules, "embed_tokens"),
            "rotary_time_ms": _outside(facts.modules, "rotary_emb"),
        },
        "linear_operator_stats": [f.cells() for f in by_name if f.linear],
        "nonlinear_operator_stats": [f.cells() for f in by_name if not f.linear],
        "all_operator_stats": [f.cells() for f in facts.operators],
        "layer0_data": [row.cells() for row in facts.modules if row.layer == 0],
        "mid_layer_data": [row.cells() for row in facts.middle_rows()],
        "embedding_data": [
            row.cells() for row in facts.modules if row.operator in ("embed_tokens", "rotary_emb")
        ],
        "raw_data_file": "raw_layer_data.csv",
        "ratio_base": {
            "layer_distribution": RATIO_BASE,
            "linear_operator_stats": RATIO_BASE,
            "nonlinear_operator_stats": RATIO_BASE,
            "all_operator_stats": RATIO_BASE,
        },
        "run": _run(facts),
        "fpga_predicted": _predicted(facts),
        "findings": [dataclasses.asdict(f) for f in facts.findings],
    }


def _predicted(facts: Facts) -> dict[str, Any] | None:
    fpga = facts.profile.fpga
    if fpga is None:
        return None
    stages = [dataclasses.asdict(stage) for stage in facts.predicted]
    return {"measured": False, **dataclasses.asdict(fpga), "stages": stages}


def _meta(profile: Profile) -> dict[str, Any]:
    return {
        "report_title": "BitNet b1.58 CPU inference profile",
        "date": profile.run.started,
        "framework": profile.run.backend,
        "model_path": profile.model.id,
        "prompt": profile.run.prompt,
        "seq_len": len(profile.run.tokens),
    }


def _system(profile: Profile) -> dict[str, Any]:
    machine = profile.machine
    return {
        "date": profile.run.started,
        "platform": machine.platform,
        "processor": machine.cpu_model,
        "cpu_count": machine.cores_logical,
        "cpu_count_physical": machine.cores_physical,
        "memory_total_gb": machine.memory_bytes / MIB / 1024,
        "python_version": profile.versions.get("python"),
        "torch_version": profile.versions.get("torch"),
    }


def _distribution(figures: list[OperatorFigures], layer_ms: float) -> dict[str, float]:
    parts = {
        "mlp": sum(f.time_ms for f in figures if f.linear and f.block == "mlp"),
        "attn": sum(f.time_ms for f in figures if f.linear and f.block == "attention"),
        "norm": sum(f.time_ms for f in figures if f.kind == "norm"),
        "activation": sum(f.time_ms for f in figures if f.kind == "activation"),
    }
    linear = sum(f.time_ms for f in figures if f.linear)

    def ratio(value: float) -> float:
        return 100 * value / layer_ms if layer_ms else 0.0

    result: dict[str, float] = {}
    for name, value in parts.items():
        result |= {f"{name}_time_ms": value, f"{name}_time_ratio": ratio(value)}
    for name, value in (("linear", linear), ("nonlinear", layer_ms - linear)):
        result |= {f"{name}_total_time_ms": value, f"{name}_total_ratio": ratio(value)}
    return result


def _outside(modules: list[ModuleRow], operator: str) -> float | None:
    return next((row.time_ms for row in modules if row.operator == operator), None)


def _run(facts: Facts) -> dict[str, Any]:
    profile = facts.profile
    warm = [table for table in facts.warm.values() if table.state != "cold"]
    return {
        "status": profile.status,
        "status_note": profile.status_note,
        "synthetic_weights": profile.model.synthetic,
        "layers_of_model": profile.model.layers_total,
        "mode": profile.model.mode,
        "dtype": profile.model.dtype,
        "threads": profile.run.threads,
        "stages": [_stage(table) for table in (*facts.cold.values(), *warm)],
    }


def _stage(table: StageTable) -> dict[str, Any]:
    return {
        "stage": table.stage,
        "state": table.state,
        "passes": table.passes,
        "tokens": table.tokens,
        "wall_ms": dataclasses.asdict(table.wall_ms),
        "tokens_per_second": tokens_per_second(table),
        "unattributed_ms": table.unattributed_ms,
        "recorder_ms": table.recorder_ms,
        "rest_ms": table.rest_ms,
    }
