"""`trine info`: the machine, what its CPU can do (proved by execution), its roofs, versions."""

from __future__ import annotations

import dataclasses
import json as json_module
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from trine.cli.progress import Bar
from trine.cli.threads import thread_count
from trine.profiling.profile import Machine, Roof

NAME = "info"


def command(
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="threads of the roof probes; default: the usable cores"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> int:
    """Show the CPU, its proved SIMD levels, memory, measured roofs and versions."""
    from trine.profiling import machine, roofs

    host = machine.describe()
    counts = sorted({1, thread_count(threads, host)})
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
