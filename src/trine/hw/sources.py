"""Where the RTL lies, which files a top consists of, and the hash that names a build."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from trine.errors import ToolError, UsageError
from trine.ternary.tdpu import TRITS_PER_BYTE

TOPS = ("tdpu_gemv", "tdpu_core", "tdpu_top")


@dataclass(frozen=True, slots=True)
class Unit:
    """The parameters of the unit, named as in RTL.

    `engines` 1-4, `batch` 1-16 vectors, `code` 2 or 3, `beat_bits` 32, 64 or 128, `k_max` the
    longest row, `fifo_depth` a power of two of at least 128 beats a port, `illegal_bits` those of
    the counter of illegal beats, 1-32.
    """

    engines: int = 4
    batch: int = 1
    code: int = 3
    beat_bits: int = 64
    k_max: int = 6912
    fifo_depth: int = 512
    illegal_bits: int = 32

    def __post_init__(self) -> None:
        depth = self.fifo_depth
        checks = {
            f"{self.engines} engines; 1 to 4 are legal": 1 <= self.engines <= 4,
            f"batch {self.batch}; 1 to 16 are legal": 1 <= self.batch <= 16,
            f"code {self.code}; 2 (two bits) and 3 (base 3) are legal": self.code in TRITS_PER_BYTE,
            f"{self.beat_bits} bits a beat; 32, 64 and 128 are legal": self.beat_bits
            in (32, 64, 128),
            f"rows of up to {self.k_max}; 1 to 65535 are legal": 1 <= self.k_max <= 65535,
            f"a FIFO of {depth} beats; powers of two from 128 are legal": depth >= 128
            and depth & (depth - 1) == 0,
            f"a counter of {self.illegal_bits} bits; 1 to 32 are legal": 1
            <= self.illegal_bits
            <= 32,
        }
        for sentence, legal in checks.items():
            if not legal:
                raise UsageError(f"no unit has {sentence}")

    @property
    def beat_bytes(self) -> int:
        """Bytes of a beat."""
        return self.beat_bits // 8

    @property
    def lanes(self) -> int:
        """Trits a beat."""
        return self.beat_bytes * TRITS_PER_BYTE[self.code]

    def parameters(self, top: str = "tdpu_top") -> dict[str, int]:
        """The values of `top`'s SystemVerilog parameters."""
        values = {
            "BEAT_W": self.beat_bits,
            "CODE": self.code,
            "BATCH": self.batch,
            "K_MAX": self.k_max,
        }
        if top != "tdpu_gemv":
            values["ENGINES"] = self.engines
        if top == "tdpu_top":
            values["FIFO_DEPTH"] = self.fifo_depth
            values["ILLEGAL_W"] = self.illegal_bits
        return values


def rtl_folder() -> Path:
    """The folder of the RTL: package data of a wheel, `rtl` of a checkout."""
    installed = Path(__file__).parent / "rtl"
    folder = installed if installed.is_dir() else Path(__file__).parents[3] / "rtl"
    if not (folder / "tdpu_pkg.sv").is_file():
        raise ToolError(f"the RTL is not at {folder}; install trine from a wheel or a checkout")
    return folder


def files(top: str) -> list[Path]:
    """The sources of one of `TOPS`, in compile order."""
    if top not in TOPS:
        raise UsageError(f"no top is called {top}; there are {', '.join(TOPS)}")
    folder = rtl_folder()
    return [folder / line for line in (folder / f"{top}.f").read_text().split()]


def digest(paths: list[Path], *extra: str) -> str:
    """SHA-256 (hex) of what the files hold, and of anything else that decides a build."""
    state = hashlib.sha256()
    for path in paths:
        state.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for text in extra:
        state.update(text.encode() + b"\0")
    return state.hexdigest()


def build_hash() -> int:
    """The unit's build register: the first 32 bits of the SHA-256 of the sources."""
    return int(digest(files("tdpu_top"))[:8], 16)
