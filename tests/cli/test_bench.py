"""`trine bench` on the tiny model: the matrix, the formats, every refusal, Ctrl-C."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from trine import cli
from trine.checkpoint import open_checkpoint
from trine.model.engine import Engine
from trine.profiling import bench_run, machine, roofs
from trine.profiling.bench import make_cases
from trine.profiling.profile import Roof

TINY = ["bench", "synthetic:tiny", "-p", "16", "-n", "4", "-t", "1", "-r", "2", "--body", "2bit"]


def roof(level: str, threads: int, value: float) -> Roof:
    return Roof(level, threads, value, "B/s", "scalar", 0, 0.0, "between", True)


@pytest.fixture(autouse=True)
def no_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roofs take most of a second each and are not what is tested; these nothing can exceed."""

    def measure(threads: list[int], **_: object) -> list[Roof]:
        return [roof(level, threads[0], 1e15) for level in ("L2", "L3", "DRAM", "int8")]

    monkeypatch.setattr(roofs, "measure", measure)


def bench(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run([*TINY, *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code, out, err = bench(capsys, "--json", *arguments)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_lists_make_a_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(
        capsys, "-t", "1,2", "--body", "2bit,base3", "--cache", "float16,int8", "--batch", "1,3"
    )
    seen = [
        (row["setting"]["threads"], row["setting"]["body"], row["setting"]["cache"], row["test"])
        for row in found["rows"]
    ]
    assert seen == [
        (threads, body, cache, test)
        for threads in (1, 2)
        for body in ("2bit", "base3")
        for cache in ("float16", "int8")
        for test in ("pp16", "tg4", "tg4xb3")
    ]
    assert found["synthetic"] is True and found["status"] == "complete"
    by_body = {row["setting"]["body"]: row["setting"]["weight_bytes"] for row in found["rows"]}
    assert by_body["base3"] < by_body["2bit"]
    assert all(row["tokens_per_second"]["n"] == 2 for row in found["rows"])


def test_depth_is_read_and_forgotten_again(capsys: pytest.CaptureFixture[str]) -> None:
    shallow, deep = document(capsys, "-p", "0", "--depth", "0,50")["rows"]
    assert (shallow["test"], deep["test"]) == ("tg4", "tg4@d50")
    # Keys and values of 50 positions: 4 layers, 2 heads of 44, two of them, 2 bytes each.
    assert deep["bytes_per_token"] - shallow["bytes_per_token"] == 50 * 4 * 2 * 44 * 2 * 2


def test_a_head_that_is_not_exact_is_compared_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--head", "float,int8,screened", "-t", "1,2", "-n", "0")
    assert [each["head"] for each in found["agreements"]] == ["int8", "screened"]
    int8, screened = found["agreements"]
    assert 0 < int8["kl"] < 1e-3 and int8["states"] == bench_run.STATES
    # All 1,024 rows of the tiny model are rescored, so nothing can differ.
    assert screened["top1"] == bench_run.STATES and screened["kl"] == pytest.approx(0, abs=1e-6)
    certified = {row["setting"]["head"]: row["certified"] for row in found["rows"]}
    assert certified == {"float": None, "int8": None, "screened": 1.0}


def test_the_table_says_first_that_weights_are_synthetic(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = bench(capsys, "--head", "float")
    assert code == 0
    assert out.splitlines()[0].startswith("SYNTHETIC (random) weights: synthetic:tiny, 4 layers")
    assert "float bfloat16" in out and "pp16" in out and "tg4" in out
    assert "fewer than 6 repetitions" in out


def test_csv_is_rows_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = bench(capsys, "-o", "csv", "--layers", "2")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and "SYNTHETIC" in err
    assert [(row["test"], row["layers"], row["synthetic"]) for row in rows] == [
        ("pp16", "2", "True"),
        ("tg4", "2", "True"),
    ]
    assert all(float(row["tokens_per_second_median"]) > 0 for row in rows)


def test_markdown_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = bench(capsys, "-o", "md")
    table = [line for line in out.splitlines() if line.startswith("|")]
    assert code == 0 and len(table) == 4
    assert len({line.count("|") for line in table}) == 1


def test_ctrl_c_keeps_the_complete_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    play, calls = bench_run._play, 0

    def interrupted(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        # The prompt is played once untimed and twice timed; this is the decode's second time.
        if calls == 5:
            raise KeyboardInterrupt
        play(*arguments)

    monkeypatch.setattr(bench_run, "_play", interrupted)
    code, out, err = bench(capsys, "--json")
    found = json.loads(out)
    assert (code, err) == (130, "trine: interrupted\n")
    assert found["status"] == "interrupted"
    assert [row["test"] for row in found["rows"]] == ["pp16"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--body", "3bit"], "unknown '3bit'; there are auto, 2bit, base3"),
        (["--head", "int8,int4"], "unknown 'int4'; there are float, int8, screened"),
        (["--cache", "float8"], "unknown 'float8'; there are float16, int8"),
        (["-t", "0"], "'0' must be a whole number of at least 1"),
        (["-t", "1,"], "'' must be a whole number"),
        (["-t", "100000"], "more than 16 per core"),
        (["-p", "²"], "must be a whole number of at least 0"),
        (["-p", "0", "-n", "0"], "nothing to measure"),
        (["-p", "2049"], "pp2049 needs 2049 positions, more than the context of 2048"),
        (["--depth", "2040"], "pp16@d2040 needs 2056 positions"),
        (["--batch", "513"], "more than a pass of 512 tokens"),
        (["--layers", "5"], "--layers 5 must be 1 to 4"),
        (["--json", "-o", "md"], "exclude each other"),
        (["-r", "0"], "Invalid value"),
    ],
)
def test_refusals_are_one_line_before_loading(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reached(*_: object, **__: object) -> None:
        raise AssertionError("the run was started")

    monkeypatch.setattr(bench_run, "run", reached)
    code, out, err = bench(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_kernel_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRINE_KERNEL", "mmx")
    code, out, err = bench(capsys)
    assert (code, out) == (2, "") and "kernel 'mmx' (from TRINE_KERNEL) cannot be used" in err


def test_more_memory_than_there_is_names_the_layers_that_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = make_cases([0], [100], [0], [400])
    variant = bench_run.Variant(1, "2bit", "int8", ("float16",))
    checkpoint = open_checkpoint("synthetic:tiny")
    three = bench_run.memory_needed(checkpoint, [variant], cases, 3)
    monkeypatch.setattr(machine, "memory_available", lambda: three)
    code, out, err = bench(capsys, "--batch", "400", "-p", "0", "-n", "100")
    assert (code, out) == (1, "")
    assert "synthetic:tiny with 4 layers needs about" in err and "--layers 3 would fit" in err


def test_the_keys_of_a_large_batch_need_what_the_engine_takes_for_them() -> None:
    variant = bench_run.Variant(1, "2bit", "int8", ("float16",))
    checkpoint = open_checkpoint("synthetic:tiny")
    small, large = (
        bench_run.memory_needed(checkpoint, [variant], make_cases([0], [100], [0], [batch]), 4)
        for batch in (1, 401)
    )
    engine = Engine.from_checkpoint(checkpoint, threads=1, body="2bit")
    position = engine.session(1).cache.bytes_per_position
    assert large - small == 400 * 100 * position
