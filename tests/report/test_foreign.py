"""Another program's layer data: what it shows, what it cannot show, and how it can be broken."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from trine.errors import OutputExists, ProfileError, UsageError
from trine.report import markdown
from trine.report.foreign import is_foreign, write_foreign
from trine.report.foreign.content import build
from trine.report.foreign.figures import examine
from trine.report.foreign.reader import read
from trine.report.language import Words

COLUMNS = (
    "Layer Name",
    "Layer Num",
    "Submodule",
    "Type",
    "Category",
    "Time (ms)",
    "OPs",
    "Mem Delta (MB)",
    "Abs Mem (MB)",
    "Input Shape",
)
SHAPE = "[1, 2, 8]"
# 2 tokens through 8 -> 8 features, a multiply-add counted twice.
OPS = 2 * 2 * 8 * 8


def line(name: str, layer: int, time_ms: float, **changes: Any) -> dict[str, Any]:
    operator = name.rsplit(".", 1)[-1]
    values = (name, layer, operator, "AutoBitLinear", "linear", time_ms, OPS, 0.0, 100.0, SHAPE)
    return dict(zip(COLUMNS, values, strict=True)) | changes


def lines(cold_ms: float = 500.0) -> list[dict[str, Any]]:
    """Four layers of two projections; layer 0's q_proj takes `cold_ms` more; lm_head 7 ms."""
    rows = [
        line("model.embed_tokens", -1, 0.5, Type="Embedding", Category="embedding"),
        line("model.rotary_emb", -1, 0.25, Type="XRotaryEmbedding", Category="embedding"),
    ]
    for layer in range(4):
        extra = cold_ms if layer == 0 else 0.0
        rows.append(line(f"model.layers.{layer}.self_attn.q_proj", layer, 2.0 + extra))
        rows.append(line(f"model.layers.{layer}.mlp.up_proj", layer, 6.0))
    return [*rows, line("lm_head", -1, 7.0, Type="Linear")]


def write_csv(path: Path, rows: list[dict[str, Any]], columns: tuple[str, ...] = COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json(path: Path, total_ms: float) -> Path:
    stats = [{"Submodule": "q_proj"}, {"Submodule": "up_proj"}]
    features = "\n".join(
        f"({n}): AutoBitLinear(in_features=8, out_features=8, bias=False)"
        for n in ("q_proj", "up_proj", "lm_head")
    )
    document = {
        "meta": {"model_path": "someone/model", "seq_len": 2},
        "model_info": {"structure": features},
        "inference_summary": {"total_time_ms": total_ms},
        "global_layers": {"rotary_time_ms": 0},
        "all_operator_stats": stats,
        "raw_data_file": "raw_layer_data.csv",
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "raw_layer_data.csv", lines())


def report_of(path: Path) -> str:
    return markdown.render(build(examine(read(path)), Words("en")), {})


def test_the_cold_layer_is_shown_by_its_rule(table: Path) -> None:
    text = report_of(table)
    assert "Layer 0 is **cold**" in text
    assert "508.00 ms against a median of 8.00 ms" in text
    assert "| `q_proj` | [1, 2, 8] | 502.00 | 2.00 | 500.00 | 251 |" in text


def test_a_warm_first_layer_is_not_called_cold(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "raw_layer_data.csv", lines(cold_ms=1.0))
    assert "Layer 0 is not cold" in report_of(table)


def test_the_wall_time_is_unknown_from_the_table_alone(table: Path) -> None:
    text = report_of(table)
    assert "The wall time is unknown: the CSV alone does not hold it." in text
    assert "absent from every ratio" not in text


@pytest.mark.parametrize("given", ["folder", "table", "document"])
def test_the_summary_shows_what_the_rows_miss(table: Path, tmp_path: Path, given: str) -> None:
    document = write_json(tmp_path / "inference_profile_report.json", total_ms=600.0)
    path = {"folder": tmp_path, "table": table, "document": document}[given]
    text = report_of(path)
    # 0.5 + 0.25 + 508 + 3 x 8 + 7 = 539.75
    assert "The rows sum to 539.75 ms of a total of 600.00 ms" in text
    assert "**60.25 ms (10.0%) are in no row.**" in text
    assert "`lm_head` is in the raw data with 7.00 ms" in text
    assert "absent from every ratio" in text
    assert "`embed_tokens` 0.50 ms" in text
    assert "took 0.25 ms and is filed under the category embedding" in text
    assert "a multiply-add counted as two" in text


def test_operators_are_counted_as_the_file_counts_them(table: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "inference_profile_report.json", total_ms=600.0)
    write_csv(table, [row | {"OPs": OPS // 2} for row in lines()])
    assert "multiply-adds (MACs)" in report_of(tmp_path)


def test_more_rows_than_time_is_a_contradiction(table: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "inference_profile_report.json", total_ms=100.0)
    assert "more than the total of 100.00 ms" in report_of(tmp_path)


def test_clipped_memory_deltas_are_noticed(tmp_path: Path) -> None:
    rows = lines()
    rows[4]["Abs Mem (MB)"] = 200.0
    table = write_csv(tmp_path / "raw_layer_data.csv", rows)
    assert "negative deltas were clipped" in report_of(table)
    rows[5]["Mem Delta (MB)"] = -100.0
    table = write_csv(tmp_path / "raw_layer_data.csv", rows)
    assert "negative deltas were clipped" not in report_of(table)


def test_both_languages_and_the_page_are_written(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = {path.relative_to(out).as_posix() for path in write_foreign(read(table), out)}
    assert names >= {"report.md", "report.zh.md", "report.html", "plots/cold_warm.zh.png"}
    assert "**冷态**" in (out / "report.zh.md").read_text(encoding="utf-8")


def test_a_single_layer_has_nothing_to_compare_with(tmp_path: Path) -> None:
    rows = [row for row in lines() if row["Layer Num"] < 1]
    table = write_csv(tmp_path / "raw_layer_data.csv", rows)
    assert "only one layer" in report_of(table)


def test_our_own_mixed_states_are_named(bundle: Path) -> None:
    text = report_of(bundle / "raw_layer_data.csv")
    assert "different states in the column State" in text


def test_an_earlier_report_is_not_overwritten(table: Path, tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputExists, match="--force"):
        write_foreign(read(table), tmp_path)
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == "mine"


def test_missing_columns_are_named(tmp_path: Path) -> None:
    columns = tuple(c for c in COLUMNS if c not in ("OPs", "Category"))
    table = write_csv(tmp_path / "t.csv", lines(), columns)
    with pytest.raises(ProfileError, match=r"lacks 2 of the 10 columns .*: Category, OPs$"):
        read(table)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("Time (ms)", "fast", r"row 4, column 'Time \(ms\)': 'fast' is not a number"),
        ("Time (ms)", "nan", r"row 4, column 'Time \(ms\)': 'nan' is not a number"),
        ("Time (ms)", "-1", r"row 4, column 'Time \(ms\)': -1.0 is negative"),
        ("OPs", "", r"row 4, column 'OPs': '' is not a number"),
        ("Layer Num", "0.5", r"row 4, column 'Layer Num': 0.5 is not a whole number"),
    ],
)
def test_text_in_a_number_column_is_placed(
    tmp_path: Path, column: str, value: str, message: str
) -> None:
    rows = lines()
    rows[2][column] = value
    with pytest.raises(ProfileError, match=message):
        read(write_csv(tmp_path / "t.csv", rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        ((",".join(COLUMNS) + "\n").encode(), "no rows"),
        ((",".join(COLUMNS) + "\nonly,2\n").encode(), "row 2 ends before the column 'Submodule'"),
        ("Layer Name\n\u6a21\u578b\n".encode("gbk"), "is not UTF-8"),
    ],
)
def test_broken_files_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_broken_summary_is_refused(table: Path, tmp_path: Path) -> None:
    document = tmp_path / "inference_profile_report.json"
    document.write_text("{", encoding="utf-8")
    with pytest.raises(ProfileError, match="is not JSON"):
        read(table)
    document.write_text("[]", encoding="utf-8")
    with pytest.raises(ProfileError, match="must hold a JSON object"):
        read(table)
    document.write_text('{"inference_summary": {"total_time_ms": "4 s"}}', encoding="utf-8")
    with pytest.raises(ProfileError, match="total_time_ms must be a number"):
        read(table)


def test_a_summary_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    document = tmp_path / "inference_profile_report.json"
    document.write_text('{"raw_data_file": "../../secret.csv"}', encoding="utf-8")
    with pytest.raises(UsageError, match=str(tmp_path / "secret.csv")):
        read(document)


def test_kinds_of_input_are_told_apart(bundle: Path, table: Path) -> None:
    assert is_foreign(table)
    assert is_foreign(bundle / "inference_profile_report.json")
    assert not is_foreign(bundle / "profile.json")
