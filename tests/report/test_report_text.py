"""What the reports say: the same figures in both languages, nothing missing, nothing unfilled."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from pathlib import Path

import pytest

from profile_builder import assemble, build_profile
from symptoms import checked
from trine.profiling.profile import FixTrial, Measured, Profile
from trine.report import markdown
from trine.report.content.report import build
from trine.report.facts import gather
from trine.report.language import Words


def rendered(profile: Profile, lang: str = "en") -> str:
    return markdown.render(build(gather(profile), Words(lang)), {})


def table_after(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its header."""
    lines = text[text.index(heading) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| ---"))
    body = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        body.append([cell.strip(" *") for cell in line.strip("|").split("|")])
    return body


def numbers(text: str) -> Counter[str]:
    return Counter(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text))


def test_both_languages_state_the_same_numbers(bundle: Path) -> None:
    english = numbers((bundle / "report.md").read_text(encoding="utf-8"))
    chinese = numbers((bundle / "report.zh.md").read_text(encoding="utf-8"))
    assert english - chinese == Counter()
    assert chinese - english == Counter()


@pytest.mark.parametrize("name", ["report.md", "report.zh.md", "report.html"])
def test_no_placeholder_is_left(bundle: Path, name: str) -> None:
    text = (bundle / name).read_text(encoding="utf-8")
    if name.endswith(".html"):
        text = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert not re.search(r"\{\w*(?:[:!][^}]*)?\}", text)
    assert "nan" not in re.findall(r"[a-z]+", text)


@pytest.mark.parametrize(
    ("lang", "one", "many"),
    [
        ("en", "a single pass; tokens: 3;", "median of 3 passes;"),
        ("zh", "仅一次前向（3 ", "3 次前向"),
    ],
)
def test_one_pass_is_not_called_a_median(lang: str, one: str, many: str) -> None:
    alone = rendered(build_profile(repeat=1, decode=0), lang)
    assert one in alone and many not in alone
    assert many in rendered(build_profile(repeat=3, decode=0), lang)


@pytest.mark.parametrize(
    ("lang", "made", "read"),
    [("en", "the first weight drawn", "start of reading"), ("zh", "开始生成合成权重", "开始读取")],
)
def test_synthetic_weights_are_made_and_not_read(lang: str, made: str, read: str) -> None:
    synthetic = build_profile(repeat=1, decode=0)
    real = dataclasses.replace(
        synthetic, model=dataclasses.replace(synthetic.model, synthetic=False, seed=None)
    )
    assert made in rendered(synthetic, lang) and read not in rendered(synthetic, lang)
    assert read in rendered(real, lang) and made not in rendered(real, lang)


@pytest.mark.parametrize("stage", ["prefill", "decode"])
def test_operator_rows_add_up_to_the_wall(profile: Profile, stage: str) -> None:
    heading = {"prefill": "### 4.1", "decode": "### 4.2"}[stage]
    rows = table_after(rendered(profile), heading)
    *parts, wall = [float(row[3].replace(",", "")) for row in rows]
    assert rows[-1][0] == "wall time"
    assert sum(parts) == pytest.approx(wall, abs=0.005 * len(parts) + 0.05)


def test_rows_of_facts_add_up_exactly(profile: Profile) -> None:
    for table in gather(profile).warm.values():
        parts = sum(row.time_ms.median for row in table.rows)
        assert parts + table.recorder_ms + table.rest_ms == pytest.approx(table.wall_ms.median)


def test_the_last_rows_are_gaps_and_remainders(profile: Profile) -> None:
    names = [row[0] for row in table_after(rendered(profile), "### 4.1")]
    gaps = [i for i, name in enumerate(names) if name.startswith("gap: ")]
    tail = ["unattributed", "recorder", "rest (median of sums − sum of medians)", "wall time"]
    assert names[-4:] == tail
    assert gaps == list(range(gaps[0], len(names) - 4))
    assert {names[i] for i in gaps} >= {"gap: `rope`", "gap: `attn_residual`"}


def test_the_first_lines_name_synthetic_weights(profile: Profile) -> None:
    assert "Synthetic weights" in "\n".join(rendered(profile).splitlines()[:6])
    assert "合成" in "\n".join(rendered(profile, "zh").splitlines()[:6])
    real = dataclasses.replace(profile, model=dataclasses.replace(profile.model, synthetic=False))
    assert "Synthetic weights" not in rendered(real)


def test_fewer_layers_are_named_and_not_extrapolated() -> None:
    text = rendered(build_profile(layers=2))
    assert "Reduced model: 2 of 4 decoder layers" in text
    assert "Nothing is extrapolated to 4" in text


def test_a_partial_run_says_so_and_why() -> None:
    whole = build_profile(decode=1, warmup=0, repeat=1)
    cold = dataclasses.replace(
        whole,
        passes=whole.passes[:1],
        records=whole.records_by_pass()[0],
        status="partial",
        status_note="interrupted by Ctrl-C",
    )
    for text in (rendered(cold), rendered(cold, "zh")):
        assert "interrupted by Ctrl-C" in text
    assert "### 4.1 Operators of a cold prefill" in rendered(cold)


def test_a_run_without_a_pass_still_renders() -> None:
    empty = assemble([], status="partial", status_note="interrupted by Ctrl-C")
    assert "No prefill finished" in rendered(empty)
    assert "没有完成任何一次" in rendered(empty, "zh")


def test_fix_trials_stand_beside_their_prediction(profile: Profile) -> None:
    before, after = Measured(5, 100.0, 95.0, 110.0, 9000.0), Measured(5, 50.0, 48.0, 52.0, 12.0)
    trial = FixTrial("unknown_rule", "prefill", {"MALLOC_TOP_PAD_": "1"}, before, 60.0, after)
    rows = table_after(
        rendered(dataclasses.replace(profile, fix_trials=[trial])), "#### Fixes tried"
    )
    assert rows[0][3:] == [
        "100.00 (95.00 – 110.00)",
        "60.00",
        "50.00 (48.00 – 52.00)",
        "1.67×",
        "2.00×",
        "9,000 → 12",
    ]


def test_a_pass_with_a_wrong_output_has_no_speed() -> None:
    text = rendered(checked())
    figures = {row[0]: row for row in table_after(text, "# ")}
    assert figures["warm prefill"][6] != "—" and figures["warm decode step"][6] == "—"
    assert "The speed of `up_proj` is refused: `|Δ| = 5.0e-01 (1.0e-06)`" in text
    assert "2 outputs of 2 operators (layers: 2)" in text and "1 agree" in text
    assert "No output was checked" in rendered(build_profile())


def test_notable_facts_come_from_the_records(profile: Profile) -> None:
    text = rendered(profile)
    assert "`attn_sub_norm` comes **before** `o_proj`" in text
    assert "It is not SwiGLU" in text
    silu = dataclasses.replace(
        profile,
        records=[
            dataclasses.replace(r, type="SiLU") if r.kind == "activation" else r
            for r in profile.records
        ],
    )
    assert "It is not SwiGLU" not in rendered(silu)


def test_foreign_words_cannot_break_the_markup(profile: Profile) -> None:
    run = dataclasses.replace(profile.run, command="trine `rm` | **x** <script>\n# y")
    text = rendered(dataclasses.replace(profile, run=run))
    assert "`trine 'rm' \\| **x** <script> # y`" in text
