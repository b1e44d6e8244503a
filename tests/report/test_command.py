"""`trine report` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from trine.cli import run


def test_it_renders_a_saved_profile(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(["report", str(bundle / "profile.json"), "--out", str(out), "--lang", "en"]) == 0
    for name in ("report.md", "raw_layer_data.csv", "trace.json", "profile.json"):
        assert (out / name).read_bytes() == (bundle / name).read_bytes()


def test_it_reads_foreign_data(bundle: Path, tmp_path: Path) -> None:
    table = tmp_path / "raw_layer_data.csv"
    table.write_bytes((bundle / "raw_layer_data.csv").read_bytes())
    out = tmp_path / "out"
    assert run(["report", str(table), "--out", str(out), "--lang", "zh"]) == 0
    assert (out / "report.zh.md").is_file()
    assert not (out / "profile.json").exists()


def test_the_default_folder_is_new_and_dated(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["report", str(bundle), "--lang", "en"]) == 0
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("trine-report-")


def test_it_refuses_before_it_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "profile.json"
    broken.write_text("{", encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.md").write_text("mine", encoding="utf-8")
    assert run(["report", str(broken), "--out", str(out)]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["report", str(broken), "--out", str(out), "--force"]) == 1
    assert "is not JSON" in capsys.readouterr().err
    assert (out / "report.md").read_text(encoding="utf-8") == "mine"


def test_a_failure_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(tmp_path / "none.csv")]) == 2
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    out = tmp_path / "out"
    assert run(["report", str(tmp_path / "t.csv"), "--out", str(out)]) == 1
    assert not out.exists()
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 2
    assert all(line.startswith("trine: ") for line in errors)
