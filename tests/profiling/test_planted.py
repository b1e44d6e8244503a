"""Each finding fired by a real small run with its cause planted, and none by a healthy run.

The hand-made profiles of test_findings.py pin thresholds and effects; here the causes are real.
Runs share one process, so torch.compile works once per shape; the run that needs a cold compiler
comes with a cache of its own.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from requirements import require_module

torch = require_module("torch")

from trine.checkpoint import synthetic  # noqa: E402
from trine.checkpoint.synthetic import PRESETS, SyntheticCheckpoint  # noqa: E402
from trine.profiling import torch_run  # noqa: E402
from trine.profiling.analysis import OperatorRow, stage_table  # noqa: E402
from trine.profiling.findings import find  # noqa: E402
from trine.profiling.findings.memory import malloc_environment  # noqa: E402
from trine.profiling.inputs import make_tokens  # noqa: E402
from trine.profiling.profile import STAGES, Profile, Stage  # noqa: E402
from trine.profiling.torch_run import Settings  # noqa: E402


def quiet(phase: str, done: int, total: int) -> None:
    pass


def profile(
    model: str = "synthetic:tiny",
    *,
    tokens: int = 3,
    decode: int = 0,
    repeat: int = 3,
    warmup: int = 1,
    **changes: object,
) -> Profile:
    checkpoint = SyntheticCheckpoint(model)
    settings = Settings(
        mode="offline",
        dtype="float32",
        # With one thread a busy neighbour slows everything alike, and shares stay what they are;
        # with two every barrier waits for whichever thread lost its core.
        threads=1,
        decode=decode,
        warmup=warmup,
        repeat=repeat,
        compile_cache="keep",
        layers=None,
        command="test",
    )
    settings = dataclasses.replace(settings, **changes)
    ids = make_tokens(checkpoint, prompt=None, tokens=tokens, decode=decode)
    return torch_run.run(checkpoint, ids, settings, quiet)


def rules(result: Profile) -> set[str]:
    return {finding.rule for finding in find(result)}


@pytest.fixture(scope="module")
def cold_online() -> Profile:
    return profile(mode="online", compile_cache="fresh", decode=2)


def test_compilation_is_seen_in_a_cold_run(cold_online: Profile) -> None:
    assert rules(cold_online) >= {"compile_first_call", "compile_new_shape", "cold_share"}
    first = next(r for r in cold_online.records if r.graphs_compiled)
    assert first.operator == "q_proj" and first.layer == 0
    assert not any(p.graphs_compiled for p in cold_online.passes if p.state == "measured")


def test_a_second_process_hits_the_cache(tmp_path: Path) -> None:
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    results = []
    for _ in range(2):
        arguments = (
            "synthetic:tiny --mode offline --decode 0 --repeat 1 --compile-cache keep --json"
        )
        child = subprocess.run(
            [sys.executable, "-m", "trine", "profile", *arguments.split()],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        results.append(Profile.from_json(child.stdout))
    first, second = (next(p for p in result.passes if p.state == "cold") for result in results)
    assert first.graphs_compiled == second.graphs_compiled > 0
    assert first.compile_cache_hits == 0 < second.compile_cache_hits


def test_requantisation(cold_online: Profile) -> None:
    assert "requantise_every_call" in rules(cold_online)


def test_unpacking() -> None:
    assert "unpack_every_call" in rules(profile(mode="packed"))


def test_oversubscription() -> None:
    # In a process of its own: OpenMP keeps its threads, and later tests would run beside them.
    threads = 4 * (os.cpu_count() or 1)
    arguments = f"synthetic:tiny --mode offline --decode 0 --repeat 1 --threads {threads} --json"
    child = subprocess.run(
        [sys.executable, "-m", "trine", "profile", *arguments.split()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "thread_oversubscription" in rules(Profile.from_json(child.stdout))


def test_attention_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    # Narrow matrices under a long context: three quarters of the OPs are the attention core's.
    narrow = dataclasses.replace(
        PRESETS["tiny"],
        vocab_size=128,
        hidden_size=128,
        intermediate_size=64,
        heads=16,
        kv_heads=16,
        head_dim=8,
    )
    monkeypatch.setattr(synthetic, "PRESETS", {"narrow": narrow})
    assert "attention_bound" in rules(profile("synthetic:narrow", tokens=2048))


def test_lm_head_and_its_unused_positions() -> None:
    # One layer under a 32,002-word vocabulary: the head is most of the work.
    found = rules(profile("synthetic:0.7b", layers=1, tokens=16, decode=3))
    assert found >= {"lm_head_share", "all_position_logits", "amdahl_bitlinear"}


def with_roof(result: Profile, level: str, value: float) -> Profile:
    """The same run on a machine whose probes of `level` said `value`."""
    roofs = [dataclasses.replace(r, value=value) if r.level == level else r for r in result.roofs]
    return dataclasses.replace(result, roofs=roofs)


def speed_of(result: Profile, stage: Stage, operator: str) -> OperatorRow:
    table = stage_table(result, stage)
    assert table is not None
    return next(row for row in table.rows if row.operator == operator)


# PyTorch reaches half of either roof on the machines seen so far, so an operator at its roof is
# planted by putting the roof a third above the speed that it really had.
def test_compute_bound() -> None:
    result = profile("synthetic:0.7b", layers=4, tokens=256)
    assert "compute_bound" not in rules(with_roof(result, "fp32", 1e15))
    speed = speed_of(result, "prefill", "gate_proj").gops
    assert speed is not None
    assert "compute_bound" in rules(with_roof(result, "fp32", speed * 1e9 / 0.75))


def test_bandwidth_bound() -> None:
    result = profile("synthetic:2b-4t", layers=2, tokens=1, decode=4)
    assert "bandwidth_bound" not in rules(with_roof(result, "DRAM", 1e15))
    speed = speed_of(result, "decode", "lm_head").gbytes_per_second
    assert speed is not None
    assert "bandwidth_bound" in rules(with_roof(result, "DRAM", speed * 1e9 / 0.75))


def test_slow_dtype_is_the_one_the_experiment_says() -> None:
    results = {
        dtype: profile("synthetic:0.7b", layers=1, mode="online", dtype=dtype, repeat=1)
        for dtype in ("float32", "bfloat16")
    }
    # Which dtype loses depends on the CPU; that at most one of the two is called slow does not.
    slow = [dtype for dtype, result in results.items() if "slow_dtype" in rules(result)]
    assert len(slow) <= 1
    for dtype, result in results.items():
        samples = [e.samples_ns for e in result.experiments if e.kind == "dtype"]
        other = "bfloat16" if dtype == "float32" else "float32"
        worst = max(min(s[dtype]) / max(s[other]) for s in samples)
        assert dtype in slow or worst < 1.5


def _sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow hook of somebody else's in front of every attention block."""
    original = torch_run.build

    def build(*args: object, **kwargs: object) -> object:
        model = original(*args, **kwargs)
        for layer in model.model.layers:
            layer.self_attn.register_forward_pre_hook(lambda *_: time.sleep(0.02))
        return model

    monkeypatch.setattr(torch_run, "build", build)


def test_unattributed(monkeypatch: pytest.MonkeyPatch) -> None:
    _sleeping(monkeypatch)
    result = profile()
    assert "unattributed" in rules(result)
    gap = "layer: input_layernorm → self_attn"
    slept = [r.duration_ns for r in result.records if r.operator == gap]
    assert min(slept) >= 20_000_000


def test_evicted_weights_are_swapping(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Weights in a mapped file whose pages are dropped before each call, as swap would do."""
    original = torch_run.build
    file = tmp_path / "weight.bin"

    def build(*args: object, **kwargs: object) -> object:
        model = original(*args, **kwargs)
        module = model.model.layers[0].mlp.up_proj
        file.write_bytes(module.weight.numpy().tobytes())
        mapped = torch.from_file(str(file), shared=True, size=module.weight.numel())
        module.weight.data = mapped.view_as(module.weight)
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)

        def evict(*_: object) -> None:
            import ctypes

            libc = ctypes.CDLL(None, use_errno=True)
            start, size = module.weight.data_ptr(), module.weight.nbytes
            libc.madvise(ctypes.c_void_p(start & -4096), ctypes.c_size_t(size), 4)  # DONTNEED
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

        module.register_forward_pre_hook(evict)
        return model

    monkeypatch.setattr(torch_run, "build", build)
    # 25 MB of 100 in that operator, so that reading them is a good part of any pass.
    result = profile("synthetic:0.7b", layers=4)
    faults = sum(p.major_faults for p in result.passes if p.state == "measured")
    if not faults:
        pytest.skip("this file system keeps evicted pages, so no major fault can be planted")
    assert "swapping" in rules(result)


def test_an_operator_with_a_wrong_scale_has_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = torch_run.build

    def build(*args: object, **kwargs: object) -> object:
        model = original(*args, **kwargs)
        for layer in model.model.layers:
            layer.mlp.up_proj.weight_scale *= 2
        return model

    monkeypatch.setattr(torch_run, "build", build)
    result = profile(decode=1)
    (finding, _) = (f for f in find(result) if f.rule == "numeric_check")
    assert finding.values["operators"] == "up_proj"
    for stage in STAGES:
        wrong = speed_of(result, stage, "up_proj")
        assert (wrong.gops, wrong.gbytes_per_second, wrong.roof_share) == (None, None, None)
        assert wrong.refused == "|Δ| = 1.0e+00 (1.0e-06)" and wrong.time_ms.median > 0
        assert speed_of(result, stage, "gate_proj").gops is not None


def test_figures_above_a_roof_are_refused() -> None:
    result = profile()
    assert "above_roof" not in rules(result)
    assert "above_roof" in rules(with_roof(result, "fp32", 1.0))


def require_small_pages() -> None:
    """Skip where every large block gets huge pages: then 512 faults are one, and no storm."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if setting.exists() and "[always]" in setting.read_text():
        pytest.skip(
            "transparent huge pages are set to always, so no page-fault storm can be planted"
        )


def test_a_page_fault_storm_and_its_cure(tmp_path: Path) -> None:
    """A fixed low mmap threshold maps every temporary anew; the finding's own cure undoes it."""
    require_small_pages()
    out = tmp_path / "out"
    arguments = (
        f"synthetic:0.7b --layers 2 --decode 0 --repeat 3 --compile-cache keep "
        f"--verify-fixes --out {out} --lang en"
    )
    subprocess.run(
        [sys.executable, "-m", "trine", "profile", *arguments.split()],
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
        check=True,
    )
    result = Profile.load(out / "profile.json")
    assert {"page_fault_storm", "fix_verified"} <= rules(result)
    (trial,) = (t for t in result.fix_trials if t.rule == "page_fault_storm")
    assert trial.environment["MALLOC_MMAP_THRESHOLD_"] != "65536"
    # What must follow, whatever the machine is doing; whether it is faster is not asserted.
    assert trial.before.minor_faults > 10_000
    assert trial.after.minor_faults < trial.before.minor_faults / 10
    assert trial.before.passes == trial.after.passes == 3
    for measured in (trial.before, trial.after):
        assert 0 < measured.p10_ms <= measured.median_ms <= measured.p90_ms
    assert "page" in (out / "report.md").read_text().lower()


def test_the_cure_ends_the_faults() -> None:
    """The finding's variables against the planted threshold, in faults of one 16 MiB block.

    With the cure glibc's heap may still grow for a few iterations, so the last ones are judged.
    """
    require_small_pages()
    code = (
        "import resource, torch\n"
        "counts = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt]\n"
        "for _ in range(40):\n"
        "    torch.ones(4 << 20).add_(1)\n"
        "    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)\n"
        "print(*(b - a for a, b in zip(counts, counts[1:])))"
    )
    settled = []
    for variables in ({"MALLOC_MMAP_THRESHOLD_": "65536"}, malloc_environment(16 << 20)):
        child = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=True,
        )
        settled.append([int(count) for count in child.stdout.split()][-16:])
    planted, cured = settled
    assert min(planted) >= 4096, planted
    assert sum(cured) < 1000, cured


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C in the measured phase saves a partial profile and exits with 130."""
    import signal

    out = tmp_path / "out"
    arguments = f"synthetic:tiny --mode offline --repeat 5000 --compile-cache keep --out {out}"
    child = subprocess.Popen(
        [sys.executable, "-m", "trine", "profile", *arguments.split()],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    seen = []
    for line in child.stderr:
        seen.append(line)
        if "measured" in line:
            break
    time.sleep(2)
    child.send_signal(signal.SIGINT)
    out_text, err_text = child.communicate(timeout=120)
    assert child.returncode == 130, (seen, out_text, err_text)
    assert "Traceback" not in err_text
    saved = json.loads((out / "profile.json").read_text())
    assert (saved["status"], saved["ended_by"]) == ("partial", "interrupt")
    result = Profile.load(out / "profile.json")
    assert "interrupted during repetition" in result.status_note
    assert "partial_run" in rules(result)


def test_a_healthy_run_has_no_findings() -> None:
    # The first run compiles, so that the second has no cold start to find.
    for _ in range(2):
        result = profile("synthetic:0.7b", layers=24, tokens=16, repeat=5)
    # What says something about this machine or its neighbours, and not about the model, may fire.
    machine = {"busy_machine", "unstable", "swapping", "recorder_overhead"}
    limits = {"slow_dtype", "compute_bound", "bandwidth_bound"}
    assert rules(result) - machine - limits == set()
