# Long because the types of one document stand together, in the order in which it holds them.
"""The Profile: everything one profiling run measured, as plain data in one JSON document.

A Profile holds facts only. Medians, shares, rooflines and findings are pure functions of it
(`trine.profiling.analysis`), and reports are renderings of those (`trine.report`), so a saved
`profile.json` re-renders to the same report on any machine, without torch and without a model.

Time is kept in integer nanoseconds on the recorder's own monotonic clock (zero = start of run).
A *pass* is one forward of the model (a prefill, or one decode step). Inside a pass, leaf
*records* and the recorder's own time tile the interval exactly::

    pass.duration_ns == sum(record.duration_ns) + pass.recorder_ns

Every nanosecond between two neighbouring records is itself a record with `source == "gap"`,
named by what lies on either side of it; `Profile.check` enforces the equation.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trine.errors import ProfileError
from trine.profiling.caches import Caches
from trine.profiling.codec import build, from_columns, to_columns
from trine.profiling.prediction import FpgaPrediction

SCHEMA_VERSION = 4
# What documents of earlier versions lack: the prediction for hardware; before that a second
# backend, and the choices that only it has.
_SINCE_VERSION_3 = {"fpga": None}
_SINCE_VERSION_2 = {"native": None, "agreement": None} | _SINCE_VERSION_3

NS_PER_MS = 1e6

Stage = Literal["prefill", "decode"]
STAGES: tuple[Stage, ...] = ("prefill", "decode")
State = Literal["cold", "warmup", "measured"]
Source = Literal["module", "seam", "step", "gap"]
Kind = Literal[
    "embedding",
    "norm",
    "bitlinear",
    "linear",
    "activation",
    "gating",
    "rope",
    "attention",
    "kv_update",
    "residual",
    "mask",
    "sampling",
    "unattributed",
]


@dataclass(frozen=True, slots=True)
class Machine:
    """The computer the run was made on. Sizes in bytes; 0 means that it could not be read.

    `l2_bytes` and `l3_bytes` are of one cache, `l2_cpus` logical CPUs share one L2, and there are
    `l3_count` separate L3s.
    """

    cpu_model: str
    architecture: str
    platform: str
    cores_logical: int
    cores_physical: int
    cores_affinity: int
    cgroup_cpus: float | None
    memory_bytes: int
    memory_available_bytes: int
    swap_bytes: int
    l2_bytes: int
    l2_cpus: int
    l3_bytes: int
    l3_count: int
    simd: list[str]
    hypervisor: bool

    @property
    def caches(self) -> Caches:
        """The cache sizes, with what the threads of a run can hold in them."""
        return Caches(self.l2_bytes, self.l2_cpus, self.l3_bytes, self.l3_count)


@dataclass(frozen=True, slots=True)
class Model:
    """What was run. `mode` is online, offline or packed in PyTorch; `dtype` of the float tensors.

    `rss_after_load_bytes` includes `file_after_load_bytes`, the resident pages of mapped files
    (libraries, and a checkpoint that is read by mapping), which the system may drop at any time.
    """

    id: str
    synthetic: bool
    seed: int | None
    revision: str | None
    architecture: str
    structure: str
    mode: Literal["online", "offline", "packed", "native"]
    dtype: str
    layers: int
    layers_total: int
    hidden_size: int
    intermediate_size: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    context: int
    tied_embeddings: bool
    parameters: int
    ternary_parameters: int
    weight_bytes: int
    load_seconds: float
    rss_before_load_bytes: int
    rss_after_load_bytes: int
    file_after_load_bytes: int


@dataclass(frozen=True, slots=True)
class Run:
    """How it was run. `environment` holds the variables that change speed (MALLOC_*, OMP_*).

    `options` are the native engine's choices (kernel, body, head, cache); empty for PyTorch.
    """

    backend: str
    started: str
    command: str
    threads: int
    prompt: str | None
    tokens: list[int]
    decode_steps: int
    warmup: int
    repeat: int
    compile_cache: str
    environment: dict[str, str]
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class Roof:
    """One probe of a physical ceiling, by the native extension on this machine.

    `level` is L2, L3 or DRAM (read bandwidth, B/s) or int8 or fp32 (OP/s, one multiply-add = 2).
    `phase` says when: "before", "between:<repetition>", "after". `exact` is False for a probe in
    scalar code: it is a floor, which vector units and a library's loops may exceed.
    """

    level: str
    threads: int
    value: float
    unit: str
    isa: str
    buffer_bytes: int
    seconds: float
    phase: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of the whole process, so that worker threads count; times in ns."""

    rss_bytes: int
    minor_faults: int
    major_faults: int
    user_ns: int
    system_ns: int
    voluntary_switches: int
    involuntary_switches: int
    graphs_compiled: int
    compile_cache_hits: int
    compile_ns: int


@dataclass(frozen=True, slots=True)
class Interval(Counters):
    """A stretch of the run's clock: counters are changes, but `rss_bytes` is that of its end."""

    start_ns: int
    duration_ns: int
    rss_delta_bytes: int


@dataclass(frozen=True, slots=True)
class Pass(Interval):
    """One forward of the model, with its sampling."""

    stage: Stage
    state: State
    repetition: int
    step: int
    tokens: int
    context: int
    recorder_ns: int


@dataclass(frozen=True, slots=True)
class Record(Interval):
    """One execution of one leaf operator inside a pass.

    `name` is the full path ("model.layers.3.mlp.up_proj"), `operator` its last part, `layer` -1
    outside the decoder layers. `type` is the class ("AutoBitLinear") or, for a gap, its two
    neighbours ("v_proj → kv_update"). `source` "step" is a step of the native engine, which takes
    times and no counters: these are its pass's, and zero here. `ops` counts 2 per multiply-add.
    The four byte classes are *modelled* from shapes, dtypes and the passes the mode makes
    (`trine.profiling.costs`, `native_steps`); all other numbers are measured.
    """

    pass_index: int
    layer: int
    name: str
    operator: str
    kind: Kind
    source: Source
    type: str
    input_shapes: list[list[int]]
    output_shapes: list[list[int]]
    dtype: str
    ops: int
    weight_bytes: int
    activation_bytes: int
    temporary_bytes: int
    kv_bytes: int

    @property
    def bytes(self) -> int:
        """All modelled bytes of the call."""
        return self.weight_bytes + self.activation_bytes + self.temporary_bytes + self.kv_bytes

    @property
    def end_ns(self) -> int:
        """The end on the run's clock."""
        return self.start_ns + self.duration_ns


@dataclass(frozen=True, slots=True)
class Experiment:
    """A side measurement on one operator's own weight and input, outside every pass.

    `kind` "dissect": the call's steps timed apart (`samples_ns` keys "whole", "weight_quant",
    "act_quant", "unpack", "linear", "rescale" as the mode has them).
    `kind` "dtype": the whole call in each dtype (keys "float32", "bfloat16").
    Samples of one key are interleaved with those of the others.
    """

    kind: Literal["dissect", "dtype"]
    operator: str
    layer: int
    tokens: int
    samples_ns: dict[str, list[int]]

    def median_ns(self, key: str) -> float:
        """The median sample of a key; 0 without samples."""
        return statistics.median(self.samples_ns.get(key) or [0])


@dataclass(frozen=True, slots=True)
class NumericCheck:
    """One operator of one layer, computed again from its own recorded input by the reference.

    `rows` tokens (a sample of the pass) were compared in `values` numbers. `error` is the worst
    row's |output - reference| / |reference| (Euclidean norms), which must not exceed `tolerance`;
    an output that is no number has 1e9. For a ternary operator the reference starts
    from the operator's own int8 codes and trits where these are known: `at_ties` counts those that
    differ from the reference's within 1e-4 of a rounding tie, `wrong_codes` those that differ
    elsewhere, and `wrong_sums` accumulators that differ (None for a backend that shows none).
    """

    stage: Stage
    layer: int
    operator: str
    kind: Kind
    rows: int
    values: int
    error: float
    tolerance: float
    at_ties: int = 0
    wrong_codes: int = 0
    wrong_sums: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the operator's speeds may be shown."""
        return self.error <= self.tolerance and not self.wrong_codes and not self.wrong_sums


@dataclass(frozen=True, slots=True)
class Measured:
    """Warm passes of one stage: milliseconds, and the minor page faults of a median pass."""

    passes: int
    median_ms: float
    p10_ms: float
    p90_ms: float
    minor_faults: float


@dataclass(frozen=True, slots=True)
class FixTrial:
    """A finding's fix, tried in a child process: warm passes before and after.

    `predicted_ms` is the median before, less the finding's effect. The two runs follow each other
    and are not interleaved, since two models seldom fit in memory at once.
    """

    rule: str
    stage: Stage
    environment: dict[str, str]
    before: Measured
    predicted_ms: float
    after: Measured


@dataclass(frozen=True, slots=True)
class Overhead:
    """Warm prefills with and without the recorder, interleaved (A B B A), in nanoseconds."""

    recorded_ns: list[int]
    bare_ns: list[int]
    events_per_pass: int


@dataclass(frozen=True, slots=True)
class Distance:
    """One way of computing the logits against another, at the same tokens.

    `deviation` is |a - b| over the reference's spread, the median over the positions (Euclidean
    norms, the mean logit taken off). `same` of `positions` have the same best token; of those
    where the reference's best leads by more than Hugging Face differs from itself (`decided`),
    `same_decided`.
    """

    name: Literal["native", "used", "cached", "nudged"]
    deviation: float
    positions: int
    same: int
    decided: int
    same_decided: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """The native engine end to end, beside what Hugging Face differs from itself.

    Every distance is from Hugging Face's own prefill of all the tokens, as the run's mode and
    dtype compute it: "native" (float32 KV cache, exact lm_head rows), "used" (cache and lm_head of
    the run), "cached" (Hugging Face token by token), "nudged" (Hugging Face with its embedding
    times 1 + 1e-7). `hf_tokens` and `native_tokens` are what it and
    "native" go on with greedily.
    """

    distances: list[Distance]
    hf_tokens: list[int]
    native_tokens: list[int]


@dataclass(frozen=True, slots=True)
class Profile:
    """One profiling run.

    `native` is the native engine's part of a run of both backends, a Profile of its own whose
    passes are interleaved with these; its `agreement` compares the two. `fpga` is predicted and
    no part of the run. `status` is "complete", or "partial" with the reason in `status_note`.

    `ended_by` tells an interrupt (Ctrl-C) from an error.
    """

    machine: Machine
    versions: dict[str, str]
    model: Model
    run: Run
    roofs: list[Roof]
    passes: list[Pass]
    records: list[Record]
    experiments: list[Experiment] = field(default_factory=list)
    checks: list[NumericCheck] = field(default_factory=list)
    fix_trials: list[FixTrial] = field(default_factory=list)
    overhead: Overhead | None = None
    agreement: Agreement | None = None
    native: Profile | None = None
    fpga: FpgaPrediction | None = None
    status: Literal["complete", "partial"] = "complete"
    status_note: str = ""
    ended_by: Literal["end", "interrupt", "error"] = "end"
    schema_version: int = SCHEMA_VERSION

    def passes_of(self, stage: Stage, state: State) -> list[tuple[int, Pass]]:
        """The passes of one stage and state with their indices, in order of time."""
        return [(i, p) for i, p in enumerate(self.passes) if p.stage == stage and p.state == state]

    def records_by_pass(self) -> dict[int, list[Record]]:
        """Records grouped by `pass_index`, in order of time."""
        groups: dict[int, list[Record]] = {}
        for record in self.records:
            groups.setdefault(record.pass_index, []).append(record)
        for group in groups.values():
            group.sort(key=lambda r: r.start_ns)
        return groups

    def check(self) -> None:
        """Raise ProfileError unless every pass is tiled by its records and recorder time."""
        if self.native is not None:
            self.native.check()
        if self.fpga is not None:
            self.fpga.check()
        groups = self.records_by_pass()
        for index in groups:
            if not 0 <= index < len(self.passes):
                raise ProfileError(f"records refer to pass {index} of {len(self.passes)}")
        for index, pass_ in enumerate(self.passes):
            _check_tiling(index, pass_, groups.get(index, []))

    def to_json(self) -> str:
        """The document; records and passes are stored as columns plus rows to keep it small."""
        return json.dumps(
            _document(self), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )

    def save(self, path: Path) -> None:
        """Write the document; the old file stays until the new one is complete."""
        part = path.with_name(path.name + ".part")
        part.write_text(self.to_json(), encoding="utf-8")
        part.replace(path)

    @staticmethod
    def from_json(text: str, source: str = "profile") -> Profile:
        """Parse and check a document; unknown and missing keys are refused by name."""
        try:
            document = json.loads(text)
        except RecursionError:
            raise ProfileError(f"{source} is not JSON: it is nested too deeply") from None
        except ValueError as error:
            raise ProfileError(f"{source} is not JSON: {error}") from None
        if not isinstance(document, dict) or "schema_version" not in document:
            raise ProfileError(f"{source} is no trine profile: it has no schema_version")
        profile = build(Profile, _current(document, source), source)
        profile.check()
        return profile

    @staticmethod
    def load(path: Path) -> Profile:
        """Read `path`; OSError becomes a ProfileError with the file's name."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"cannot read {path}: {error}") from None
        return Profile.from_json(text, str(path))


def _document(profile: Profile) -> dict[str, Any]:
    document = dataclasses.asdict(dataclasses.replace(profile, native=None))
    document["passes"] = to_columns(profile.passes, Pass)
    document["records"] = to_columns(profile.records, Record)
    if profile.native is not None:
        document["native"] = _document(profile.native)
    return document


def _current(document: dict[str, Any], source: str) -> dict[str, Any]:
    """A document as this version writes it, its tables as rows; ProfileError for other versions."""
    version = document["schema_version"]
    if version == 2:
        run = document.get("run")
        if isinstance(run, dict):
            document["run"] = {**run, "options": {}}
        document |= _SINCE_VERSION_2
    elif version == 3:
        document |= _SINCE_VERSION_3
    elif version != SCHEMA_VERSION:
        raise ProfileError(
            f"{source} has schema_version {version!r}, this trine reads 2 to "
            f"{SCHEMA_VERSION}; render it with the version that wrote it"
        )
    for key in ("passes", "records"):
        document[key] = from_columns(document.get(key), f"{source}: {key}")
    document["schema_version"] = SCHEMA_VERSION
    native = document.get("native")
    if isinstance(native, dict):
        if native.get("schema_version") != version or native.get("native") is not None:
            raise ProfileError(f"{source}: native must be one profile of version {version}")
        document["native"] = _current(native, f"{source}: native")
    return document


def _check_tiling(index: int, pass_: Pass, records: list[Record]) -> None:
    where = f"pass {index} ({pass_.stage} {pass_.state} {pass_.repetition}.{pass_.step})"
    position = pass_.start_ns
    previous = "the start of the pass"
    for record in records:
        if record.duration_ns < 0:
            raise ProfileError(f"{where}: {record.name} lasts {record.duration_ns} ns")
        if record.start_ns < position:
            raise ProfileError(
                f"{where}: {record.name} starts {position - record.start_ns} ns before "
                f"{previous} ends; records overlap"
            )
        position = record.end_ns
        previous = record.name
    if position > pass_.start_ns + pass_.duration_ns:
        raise ProfileError(f"{where}: {previous} ends after its pass")
    total = sum(r.duration_ns for r in records) + pass_.recorder_ns
    if total != pass_.duration_ns:
        raise ProfileError(
            f"{where}: records and recorder sum to {total} ns, the pass lasted "
            f"{pass_.duration_ns} ns"
        )
