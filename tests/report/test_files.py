"""Every file is written, under the names and columns that scripts already know."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import median

import pytest

from profile_builder import build_profile
from trine.errors import OutputExists, UsageError
from trine.profiling.profile import Profile
from trine.report.bundle import write_all

LAYER_COLUMNS = (
    "Layer Name,Layer Num,Submodule,Type,Category,Time (ms),OPs,Mem Delta (MB),Abs Mem (MB),"
    "Input Shape"
)
OPERATOR_COLUMNS = (
    "Submodule,Time (ms),OPs,Mem Delta (MB),Category,Effective GOPS,Time Ratio (%),OPs Ratio (%)"
)
OPERATOR_FILES = (
    "final_operator_benchmark.csv",
    "linear_operator_stats.csv",
    "nonlinear_operator_stats.csv",
)
PLOTS = ("blocks", "cold_warm", "layers", "roofline", "shares")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_is_written(profile: Profile, bundle: Path) -> None:
    names = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert names == {
        "profile.json",
        "records.csv",
        "raw_layer_data.csv",
        *OPERATOR_FILES,
        "inference_profile_report.json",
        "trace.json",
        "report.md",
        "report.zh.md",
        "report.html",
        *(f"plots/{name}.{lang}.png" for name in PLOTS for lang in ("en", "zh")),
    }
    assert Profile.load(bundle / "profile.json") == profile


def test_headers_begin_with_the_known_columns(bundle: Path) -> None:
    first = (bundle / "raw_layer_data.csv").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(LAYER_COLUMNS + ",")
    for name in OPERATOR_FILES:
        header = (bundle / name).read_text(encoding="utf-8").splitlines()[0]
        assert header.startswith(OPERATOR_COLUMNS + ",")


def test_layer_data_has_one_row_per_module(profile: Profile, bundle: Path) -> None:
    rows = rows_of(bundle / "raw_layer_data.csv")
    modules = list(dict.fromkeys(r.name for r in profile.records if r.source == "module"))
    assert [row["Layer Name"] for row in rows] == modules
    assert {row["Category"] for row in rows} >= {
        "activation",
        "embedding",
        "linear",
        "norm",
        "rope",
    }


def test_layer_data_keeps_cold_and_warm_apart(profile: Profile, bundle: Path) -> None:
    rows = {row["Layer Name"]: row for row in rows_of(bundle / "raw_layer_data.csv")}
    groups = profile.records_by_pass()

    def samples(name: str, state: str) -> list[float]:
        return [
            r.duration_ns / 1e6
            for index, p in enumerate(profile.passes)
            if (p.stage, p.state) == ("prefill", state)
            for r in groups[index]
            if r.name == name
        ]

    for name, row in rows.items():
        state = "cold" if int(row["Layer Num"]) < 1 else "measured"
        assert row["State"] == state
        assert float(row["Time (ms)"]) == pytest.approx(median(samples(name, state)))
    assert float(rows["model.layers.0.self_attn.q_proj"]["Compile (ms)"]) == 2400


def test_operator_ratios_are_of_the_listed_operators(bundle: Path) -> None:
    final = rows_of(bundle / "final_operator_benchmark.csv")
    assert sum(float(row["Time Ratio (%)"]) for row in final) == pytest.approx(100)
    assert sum(float(row["OPs Ratio (%)"]) for row in final) == pytest.approx(100)
    assert {row["Ratio Base"] for row in final} == {"sum of this operator list, one layer"}
    times = [float(row["Time (ms)"]) for row in final]
    assert times == sorted(times, reverse=True)
    for row in final:
        gops = float(row["OPs"]) / float(row["Time (ms)"]) / 1e6
        assert float(row["Effective GOPS"]) == pytest.approx(gops)


def test_linear_and_nonlinear_are_halves_of_the_whole(bundle: Path) -> None:
    final, linear, nonlinear = (rows_of(bundle / name) for name in OPERATOR_FILES)
    assert {row["Category"] for row in linear} == {"linear"}
    assert {row["Category"] for row in nonlinear} == {"nonlinear"}
    by_name = sorted(final, key=lambda row: row["Submodule"])
    assert sorted([*linear, *nonlinear], key=lambda row: row["Submodule"]) == by_name


def test_the_summary_keeps_every_known_key(profile: Profile, bundle: Path) -> None:
    document = json.loads((bundle / "inference_profile_report.json").read_text(encoding="utf-8"))
    assert {key: list(document[key]) for key in ("meta", "inference_summary", "global_layers")} == {
        "meta": ["report_title", "date", "framework", "model_path", "prompt", "seq_len"],
        "inference_summary": ["total_time_ms", "total_ops_per_layer", "avg_time_per_layer_ms"],
        "global_layers": ["embedding_time_ms", "rotary_time_ms"],
    }
    assert set(document) >= {
        "system_info",
        "model_info",
        "layer_distribution",
        "linear_operator_stats",
        "nonlinear_operator_stats",
        "all_operator_stats",
        "layer0_data",
        "mid_layer_data",
        "embedding_data",
        "raw_data_file",
    }
    cold = profile.passes_of("prefill", "cold")[0][1]
    assert document["inference_summary"]["total_time_ms"] == pytest.approx(cold.duration_ns / 1e6)
    shares = document["layer_distribution"]
    assert shares["linear_total_ratio"] + shares["nonlinear_total_ratio"] == pytest.approx(100)
    assert document["global_layers"]["rotary_time_ms"] > 0
    assert {row["State"] for row in document["mid_layer_data"]} == {"measured"}


def test_records_are_flat_and_complete(profile: Profile, bundle: Path) -> None:
    rows = rows_of(bundle / "records.csv")
    assert len(rows) == len(profile.records)
    assert sum(int(row["duration_ns"]) for row in rows) == sum(
        r.duration_ns for r in profile.records
    )
    assert json.loads(rows[0]["input_shapes"]) == profile.records[0].input_shapes


def test_an_earlier_result_is_not_overwritten(profile: Profile, bundle: Path) -> None:
    before = (bundle / "report.md").stat().st_mtime_ns
    with pytest.raises(OutputExists, match="--force"):
        write_all(profile, bundle)
    assert (bundle / "report.md").stat().st_mtime_ns == before


def test_force_overwrites_and_one_language_is_one_report(profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "report.zh.md").write_text("old", encoding="utf-8")
    written = write_all(profile, tmp_path, lang="zh", force=True)
    assert "报告" in (tmp_path / "report.zh.md").read_text(encoding="utf-8")
    assert not (tmp_path / "report.md").exists()
    assert all(path.is_file() for path in written)


def test_a_bad_language_or_folder_is_refused_by_name(profile: Profile, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'fr'"):
        write_all(profile, tmp_path / "out", lang="fr")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="is a file"):
        write_all(profile, tmp_path / "file")


def test_one_layer_alone_still_has_operator_figures(tmp_path: Path) -> None:
    write_all(build_profile(layers=1, decode=0, repeat=1), tmp_path, lang="en")
    rows = rows_of(tmp_path / "final_operator_benchmark.csv")
    assert {row["Calls Per Pass"] for row in rows} == {"1"}
