"""Which row goes to which part: the same on every machine, by every version of every library.

Each row (or each group of rows) gets a key from SplitMix64 (Steele, Lea, Flood 2014), the 64-bit generator whose n-th
output is a function of seed and n alone: ``mix(s + (n + 1) * 0x9E3779B97F4A7C15)``, where s is the first 8 bytes of
the SHA-256 of ``muniment.split/1:<seed>``, big-endian. Within a stratum rows are ordered by key (ties by position)
and cut by the shares in order of the parts' names; what is left over by rounding goes by largest remainder. Nothing
depends on the order in which the parts are named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

import numpy as np

from muniment.errors import Invalid

__all__ = ["assign", "check_shares", "keys"]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


def keys(count: int, seed: int) -> np.ndarray:
    """The first ``count`` outputs of SplitMix64 for this seed, as uint64."""
    start = np.frombuffer(hashlib.sha256(f"muniment.split/1:{seed}".encode()).digest()[:8], ">u8").astype(np.uint64)
    with np.errstate(over="ignore"):
        state = start + (np.arange(1, count + 1, dtype=np.uint64)) * _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def check_shares(shares: Mapping[str, object]) -> dict[str, Fraction]:
    """The shares by name, exactly, in order of the names.

    Raises:
        Invalid: fewer than two parts, a share that is not between 0 and 1, or a sum other than 1.
    """
    try:
        exact = {name: Fraction(str(share)) for name, share in sorted(shares.items())}
    except (ValueError, ZeroDivisionError):
        exact = {}
    if len(exact) < 2 or any(not 0 < share < 1 for share in exact.values()) or sum(exact.values()) != 1:
        raise Invalid(
            "MUNI-D170",
            "the shares of the parts must lie between 0 and 1 and add up to 1",
            given={name[:40]: str(share)[:40] for name, share in shares.items()},
            do='give at least two parts, such as {"train": 0.6, "test": 0.2, "holdout": 0.2}',
        )
    return exact


def assign(
    rows: int,
    shares: Mapping[str, Fraction],
    seed: int,
    *,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """The number of the part, by order of names, for each row (int64).

    Args:
        rows: how many rows there are.
        shares: from ``check_shares``.
        seed: any integer.
        strata: class of each row as integers from 0; every class keeps the shares up to rounding.
        groups: group of each row as integers from 0, in order of first appearance; a group is never cut. Not with
        strata.

    Raises:
        Invalid: a part would stay empty, or strata and groups are both given.
    """
    if strata is not None and groups is not None:
        raise Invalid(
            "MUNI-D174", "a split keeps either classes or groups together, not both", do="leave stratify or group out"
        )
    chosen = np.full(rows, -1, np.int64)
    if groups is not None:
        chosen = _by_group(groups, shares, seed)
    else:
        order = np.lexsort((np.arange(rows), keys(rows, seed)))
        classes = np.zeros(rows, np.int64) if strata is None else strata
        for value in np.unique(classes):
            members = order[classes[order] == value]
            chosen[members] = np.repeat(np.arange(len(shares)), _cut(len(members), shares))
    empty = [name for number, name in enumerate(shares) if not (chosen == number).any()]
    if empty:
        raise Invalid(
            "MUNI-D173",
            f"the part {empty[0]!r} would have no row",
            parts=empty,
            rows=rows,
            do="give it a larger share, or split a larger data set",
        )
    return chosen


def _cut(count: int, shares: Mapping[str, Fraction]) -> list[int]:
    """Rows for each part by largest remainder; ties go by name."""
    exact = [share * count for share in shares.values()]
    sizes = [int(size) for size in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (sizes[i] - exact[i], i))
    for i in by_remainder[: count - sum(sizes)]:
        sizes[i] += 1
    return sizes


def _by_group(groups: np.ndarray, shares: Mapping[str, Fraction], seed: int) -> np.ndarray:
    """Whole groups in order of their keys; each goes to the part in whose share of rows its middle row falls."""
    sizes = np.bincount(groups)
    part_of = np.empty(len(sizes), np.int64)
    bounds = np.cumsum([float(share) for share in shares.values()]) * len(groups)
    order = np.lexsort((np.arange(len(sizes)), keys(len(sizes), seed)))
    middles = np.cumsum(sizes[order]) - sizes[order] / 2
    part_of[order] = np.minimum(np.searchsorted(bounds, middles, side="right"), len(shares) - 1)
    return part_of[groups]
