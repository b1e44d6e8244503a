"""`trine info`: the machine, what its CPU can do (proved by execution), roofs, kernels."""

from __future__ import annotations

import dataclasses
import json as json_module
import os
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from trine.cli.progress import Bar
from trine.cli.threads import thread_count
from trine.errors import UsageError
from trine.profiling.profile import Machine, Roof

if TYPE_CHECKING:
    from trine.kernels.registry import KernelSet

NAME = "info"
# About a millisecond each.
_GEMV_PASSES = 24


def command(
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="threads of the roof probes; default: the usable cores"),
    ] = None,
    kernels: Annotated[
        bool, typer.Option("--kernels", help="the native kernels instead, and which is chosen")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> int:
    """Show the CPU, its proved SIMD levels, memory, measured roofs and versions."""
    from trine.profiling import machine, roofs

    host = machine.describe()
    counts = sorted({1, thread_count(threads, host)})
    if kernels:
        return _kernels(counts, as_json=json)
    ceilings: list[Roof] = []
    with Bar(quiet=json) as bar:
        for done, count in enumerate(counts):
            bar("measuring roofs", done, len(counts))
            ceilings += roofs.measure([count], phase="before")
        bar("measuring roofs", len(counts), len(counts))
    versions = machine.versions()
    if json:
        document = {
            "machine": dataclasses.asdict(host),
            "roofs": [dataclasses.asdict(roof) for roof in ceilings],
            "versions": versions,
        }
        print(json_module.dumps(document, indent=2))
        return 0
    _print(host, ceilings, versions)
    return 0


def _kernels(threads: Sequence[int], *, as_json: bool) -> int:
    """List the kernel sets; the chosen one's rate on weights in the L2, by layout and threads."""
    from trine import _native
    from trine.kernels import registry

    forced = os.environ.get(registry.VARIABLE) or None
    chosen, refusal = None, ""
    try:
        chosen = registry.choose()
    except UsageError as error:
        # The list is how one finds out what may be forced, so it comes before the refusal.
        refusal = str(error)
    sets = registry.kernel_sets()
    rates = [] if chosen is None else _gemv_rates(chosen, threads)
    if as_json:
        document = {
            "variable": registry.VARIABLE,
            "forced": forced,
            "chosen": chosen,
            "refusal": refusal,
            "kernels": [dataclasses.asdict(each) | {"reason": each.reason} for each in sets],
            "ahead_bytes": None if chosen is None else _native.ahead(chosen),
            "gemv_in_l2": rates,
        }
        print(json_module.dumps(document, indent=2))
    else:
        _print_kernels(sets, chosen, forced, rates)
    if refusal:
        raise UsageError(refusal)
    return 0


def _gemv_rates(isa: str, threads: Sequence[int]) -> list[dict[str, Any]]:
    """What the GEMV takes from the L2 a second, bytes and weights: the best of several passes."""
    from trine import _native
    from trine.ternary.tiles import LAYOUTS

    rates: list[dict[str, Any]] = []
    for code, count in product(LAYOUTS, threads):
        probe = _native.probe_gemv(isa, code, count, _GEMV_PASSES)
        speed = probe.work / min(probe.seconds)
        rates.append(
            {
                "layout": code,
                "threads": count,
                "bytes_per_second": speed,
                "weights_per_second": speed * LAYOUTS[code].trits_per_byte,
            }
        )
    return rates


def _print_kernels(
    sets: list[KernelSet], chosen: str | None, forced: str | None, rates: list[dict[str, Any]]
) -> None:
    from trine import _native

    console = Console()
    table = Table(title="Kernels, slowest first; proved: the self-test ran here and was right")
    for name in ("name", "compiled", "claimed", "proved", "what it is"):
        table.add_column(name)
    for each in sets:
        facts = ("yes" if fact else "no" for fact in (each.compiled, each.claimed, each.proved))
        table.add_row(each.name, *facts, each.about)
    console.print(table)
    if chosen is None:
        return
    why = "the fastest that was proved; TRINE_KERNEL is not set"
    console.print(
        f"chosen: {chosen} ({f'TRINE_KERNEL={forced}' if forced else why})", highlight=False
    )
    choices = _native.aheads(chosen)
    how = f"the fastest here of {', '.join(map(str, choices))}" if len(choices) > 1 else "fixed"
    console.print(
        f"weights are asked for {_native.ahead(chosen)} bytes before their use ({how})",
        highlight=False,
    )
    speed = Table(title=f"GEMV of {chosen}, weights in the L2")
    speed.add_column("layout")
    threads = list(dict.fromkeys(rate["threads"] for rate in rates))
    for count in threads:
        speed.add_column(f"{count} thread{'s' * (count > 1)}", justify="right")
    for layout in dict.fromkeys(rate["layout"] for rate in rates):
        cells = (
            f"{rate['bytes_per_second'] / 1e9:.1f} GB/s, "
            f"{rate['weights_per_second'] / 1e9:.1f} G weights/s"
            for rate in rates
            if rate["layout"] == layout
        )
        speed.add_row(layout, *cells)
    console.print(speed)


def _print(host: Machine, roofs: list[Roof], versions: dict[str, str]) -> None:
    quota = "none" if host.cgroup_cpus is None else f"{host.cgroup_cpus:g}"
    facts = {
        "CPU": host.cpu_model + (" (virtual machine)" if host.hypervisor else ""),
        "cores": f"{host.cores_physical} physical, {host.cores_logical} logical, "
        f"{host.cores_affinity} usable, cgroup quota {quota}",
        "SIMD, proved by execution": ", ".join(host.simd),
        "memory": f"{host.memory_bytes / 1e9:.1f} GB, {host.memory_available_bytes / 1e9:.1f} GB "
        f"free, swap {host.swap_bytes / 1e9:.1f} GB",
        "caches": f"L2 {host.l2_bytes / 1024:.0f} KiB a core, L3 {host.l3_bytes / 2**20:.0f} MiB",
        "system": f"{host.platform}, {host.architecture}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    console = Console()
    about = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        about.add_row(name, value)
    console.print(about, highlight=False)
    table = Table(title="Roofs, measured just now; best of several passes")
    threads = sorted({roof.threads for roof in roofs})
    table.add_column("level")
    for count in threads:
        table.add_column(f"{count} thread{'s' * (count > 1)}", justify="right")
    for level in dict.fromkeys(roof.level for roof in roofs):
        values = {r.threads: f"{r.value / 1e9:.1f} G{r.unit}" for r in roofs if r.level == level}
        table.add_row(level, *(values.get(count, "-") for count in threads))
    console.print(table)
