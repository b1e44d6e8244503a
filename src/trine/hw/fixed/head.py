"""The lm_head: a ternary scan of all rows, exact rescoring of the best against integer rows.

The golden token is the argmax over all integer rows, ties to the smallest id. The screen is right
when that row is among the `keep` best of the scan; where it is not, its rank says by how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trine.hw.fixed.contract import Contract
from trine.hw.fixed.integer import Ints, exact_product, narrow
from trine.hw.fixed.linear import sums
from trine.kernels.reference import Codes

# A row's scale relative to the largest one's.
ROW_SCALE_BITS = 16


@dataclass(frozen=True, slots=True)
class HeadRows:
    """Rows [V, H] of head_bits with scales [V] in 2^-16 of `unit`; trits [V, H] with theirs."""

    rows: Ints
    scales: Ints
    unit: float
    trits: Codes
    screen_scales: Ints


@dataclass(frozen=True, slots=True)
class Choice:
    """Of T tokens, int64 [T] each.

    token     the golden one: argmax over all rows
    screened  the token that screen and rescoring give
    rank      the golden row's place in the scan, 0 for its best; a miss where it is >= keep
    """

    token: Ints
    screened: Ints
    rank: Ints


def logits(hidden: Ints, head: HeadRows, contract: Contract) -> Ints:
    """Exact logits [T, V] of hidden codes [T, H], in units of 2^-16 * head.unit * hidden scale."""
    bound = hidden.shape[-1] << (contract.hidden_bits + contract.head_bits - 2)
    return exact_product(hidden, head.rows.T, bound) * head.scales


def choose(hidden: Ints, head: HeadRows, contract: Contract) -> Choice:
    """The golden token of hidden codes [T, H], and what the screen makes of it."""
    exact = logits(hidden, head, contract)
    codes = narrow(hidden, contract.hidden_bits - 8, 8)
    scan = sums(codes, head.trits) * head.screen_scales
    golden = exact.argmax(axis=-1)
    # Larger first, then smaller ids: a stable sort of the negated scan.
    order = np.argsort(-scan, axis=-1, kind="stable")
    rank = (order == golden[:, None]).argmax(axis=-1)
    best = np.sort(order[:, : contract.keep], axis=-1)
    chosen = np.take_along_axis(exact, best, axis=-1).argmax(axis=-1)
    screened = np.take_along_axis(best, chosen[:, None], axis=-1)[:, 0]
    return Choice(golden, screened, rank)
