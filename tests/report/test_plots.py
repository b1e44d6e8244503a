"""Plots: labels in the report's language, or English and a note where no font can show it."""

from __future__ import annotations

import warnings

import pytest

from requirements import missing
from trine.profiling.profile import Profile
from trine.report import markdown, plots
from trine.report.content.report import build
from trine.report.facts import gather
from trine.report.language import Words
from trine.report.plots import style


def test_no_glyph_is_missing(profile: Profile) -> None:
    if not style.can_show("zh"):
        missing("no font with Chinese glyphs is installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = plots.draw(gather(profile), Words("zh"))
        assert "热态" in drawn["shares"].svg("zh")


def test_without_a_font_labels_are_english_and_the_caption_says_so(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "CJK_FONTS", ())
    facts, words = gather(profile), Words("zh")
    assert "warm prefill" in plots.draw(facts, words)["shares"].svg("zh")
    text = markdown.render(build(facts, words), {"shares": "shares.png"})
    assert "未安装中文字体" in text


def test_the_same_plot_twice_shares_no_id(profile: Profile) -> None:
    plot = plots.draw(gather(profile), Words("en"))["roofline"]
    assert 'id="en-roofline-' in plot.svg("en")
    assert 'id="zh-roofline-' in plot.svg("zh")
    assert plot.svg("en") == plot.svg("en")


def test_colours_are_unique() -> None:
    # The page recolours an SVG by value, so two names for one colour could not be told apart.
    light = [pair[0] for pair in style.PALETTE.values()]
    assert len(set(light)) == len(light)


def test_labels_are_spread_upwards_only_as_far_as_needed() -> None:
    assert style.spread([1.0, 1.5, 9.0], 2.0) == [1.0, 3.0, 9.0]
