"""The lm_head: a third to a half of every token's bytes, and so a choice of its own.

float     the checkpoint's rows (bfloat16 mostly), mapped: exact
int8      a byte per weight and a scale per row, the hidden state in 13 bits or so
screened  a ternary copy is scanned in full, the best rows are rescored with the exact ones;
every token comes with a certificate, or without
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from trine import _native
from trine.errors import UsageError
from trine.ternary.tiles import Code

HeadKind = Literal["float", "int8", "screened"]
KINDS: tuple[HeadKind, ...] = ("float", "int8", "screened")

# Rows that a screened head always rescores, which is what sampling chooses from: 5 MB of 2B-4T.
# How often the best row is among those that it rescores is what benchmarks/heads.py measures.
KEEP = 1024


@dataclass(frozen=True, slots=True)
class Selection:
    """The best rows of one token: ids int64 [n] and exact logits float32 [n], unsorted.

    certified: no other row's exact logit can reach the largest one here.
    widened: rows rescored beyond `keep` to be certain.
    """

    ids: NDArray[np.int64]
    logits: NDArray[np.float32]
    certified: bool
    widened: int

    @property
    def best(self) -> int:
        """The id with the largest exact logit; the smallest such id when several share it."""
        # "Not smaller" holds for NaN too: then every id is as good as another.
        return int(self.ids[~(self.logits < self.logits.max())].min())


class Head(Protocol):
    """Logits of hidden states; `nbytes` are read for each pass over the rows."""

    kind: HeadKind
    nbytes: int
    vocab_size: int

    def logits(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """Float32 [T, vocabulary] of hidden [T, H]; -inf where a screened head did not rescore."""
        ...


def rows_of(tensor: NDArray[Any]) -> tuple[NDArray[np.uint8], str]:
    """A float tensor's bytes [rows, columns * itemsize], not copied, and its type's name."""
    name = tensor.dtype.name
    if name not in ("float32", "bfloat16", "float16"):
        raise UsageError(f"an lm_head of {name} is not supported; float32, bfloat16 or float16 is")
    return np.ascontiguousarray(tensor).view(np.uint8), name


class FloatHead:
    """The checkpoint's own rows."""

    kind: HeadKind = "float"

    def __init__(self, isa: str, pool: _native.Pool, rows: NDArray[Any]) -> None:
        data, name = rows_of(rows)
        self._native = _native.FloatHead(isa, pool, data, name)
        self.nbytes = data.nbytes
        self.vocab_size = rows.shape[0]
        self.dtype = name

    def logits(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """Exact rows, summed in float32."""
        out = np.empty((hidden.shape[0], self.vocab_size), dtype=np.float32)
        self._native.logits(hidden, out)
        return out


class Int8Head:
    """Rows quantised to int8 by absmax at load."""

    kind: HeadKind = "int8"
    dtype = "int8"

    def __init__(self, isa: str, pool: _native.Pool, rows: NDArray[Any]) -> None:
        self._native = _native.Int8Head(isa, pool, *rows_of(rows))
        self.nbytes = self._native.bytes
        self.vocab_size = rows.shape[0]

    def logits(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """Within the rounding of 8-bit rows of the exact logits."""
        out = np.empty((hidden.shape[0], self.vocab_size), dtype=np.float32)
        self._native.logits(hidden, out)
        return out


class ScreenedHead:
    """A ternary scan, then exact rows; `exact` widens the scan until the best is certain."""

    kind: HeadKind = "screened"

    def __init__(
        self,
        isa: str,
        pool: _native.Pool,
        rows: NDArray[Any],
        code: Code,
        *,
        keep: int = KEEP,
        exact: bool = False,
    ) -> None:
        if keep < 1:
            raise UsageError(f"a screened head keeps at least one row, not {keep}")
        data, name = rows_of(rows)
        self._native = _native.ScreenedHead(isa, pool, data, name, code)
        self.keep, self.exact = keep, exact
        self.vocab_size, width = rows.shape
        self.scan_nbytes = self._native.bytes
        self.nbytes = self.scan_nbytes + keep * width * rows.itemsize
        self.dtype = f"ternary ({code}) + {name}"
        # Tokens seen, and tokens whose best row was certain.
        self.tokens = 0
        self.certified = 0

    def select(self, hidden: NDArray[np.float32]) -> Selection:
        """The best rows of one hidden state [H]."""
        ids, logits, certified, widened = self._native.select(hidden, self.keep, self.exact)
        self.tokens += 1
        self.certified += certified
        return Selection(ids, logits, certified, widened)

    def logits(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """Exact logits of the rescored rows, -inf elsewhere."""
        out = np.full((hidden.shape[0], self.vocab_size), -np.inf, dtype=np.float32)
        for row, state in zip(out, hidden, strict=True):
            selection = self.select(state)
            row[selection.ids] = selection.logits
        return out

    def filled(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `logits`, with the scan's scores instead of -inf: for who needs all to be finite."""
        out = np.empty((hidden.shape[0], self.vocab_size), dtype=np.float32)
        for row, state in zip(out, hidden, strict=True):
            selection = self.select(state)
            self._native.last_scores(row)
            row[selection.ids] = selection.logits
        return out


def build_head(
    kind: str,
    isa: str,
    pool: _native.Pool,
    rows: NDArray[Any],
    code: Code,
    *,
    exact: bool = False,
) -> FloatHead | Int8Head | ScreenedHead:
    """A head of `kind` over rows [vocabulary, H]. Raises UsageError for an unknown kind."""
    if exact and kind == "int8":
        raise UsageError("an int8 head is not exact; choose --head float, or screened with exact")
    if kind == "float":
        return FloatHead(isa, pool, rows)
    if kind == "int8":
        return Int8Head(isa, pool, rows)
    if kind == "screened":
        return ScreenedHead(isa, pool, rows, code, exact=exact)
    raise UsageError(f"unknown head {kind!r}; there are {', '.join(KINDS)}")
