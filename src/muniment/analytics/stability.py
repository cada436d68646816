"""Whether a population still looks like the one before: PSI of scores and of each characteristic, at stated edges.

Edges come from the reference alone and are kept beside the counts, so that anybody can do the sum again. Missing values
have a bin of their own, and each count gets half a row, so that an empty bin gives a large, finite value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

__all__ = ["PSEUDO_COUNT", "by_level", "by_quantile", "psi"]

PSEUDO_COUNT: Final = 0.5
BINS: Final = 10


def psi(reference: Sequence[int], current: Sequence[int]) -> float | None:
    """Population stability index of two histograms over the same bins: sum (a - e) ln(a / e).

    Shares are (count + 0.5) / (rows + 0.5 bins); bins that are empty on both sides do not count. Source: Lewis (1994),
    *An Introduction to Credit Scoring*; Siddiqi (2006), *Credit Risk Scorecards*: 0.10 amber, 0.25 red. None when one
    side has no rows.
    """
    pairs = [(before, now) for before, now in zip(reference, current, strict=True) if before or now]
    before_rows, now_rows = sum(before for before, _ in pairs), sum(now for _, now in pairs)
    if not before_rows or not now_rows:
        return None
    room = PSEUDO_COUNT * len(pairs)
    total = []
    for before, now in pairs:
        expected = (before + PSEUDO_COUNT) / (before_rows + room)
        actual = (now + PSEUDO_COUNT) / (now_rows + room)
        total.append((actual - expected) * math.log(actual / expected))
    return math.fsum(total)


def by_quantile(reference: np.ndarray, current: np.ndarray) -> dict[str, Any]:
    """Both sides counted between the deciles of the reference, and their PSI.

    Bin i holds ``edges[i-1] <= value < edges[i]``. The first bin lies below everything that the reference holds, the
    last one above, so that values never seen before show. NaN is counted as missing.

    Args:
        reference: float64.
        current: float64.
    """
    known = reference[~np.isnan(reference)]
    edges = np.empty(0)
    if len(known):
        deciles = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
        edges = np.unique([known.min(), *deciles, np.nextafter(known.max(), np.inf)])
    before, now = _counts(reference, edges), _counts(current, edges)
    return {"edges": edges.tolist(), **_sides(before, now)}


def by_level(reference: np.ndarray, current: np.ndarray, levels: Sequence[str]) -> dict[str, Any]:
    """Both sides counted by level, and their PSI; a level that the model does not know counts as missing.

    Args:
        reference: codes of the levels as float64, NaN for missing.
        current: likewise.
        levels: their names in the order of the codes.
    """

    def counted(codes: np.ndarray) -> tuple[list[int], int]:
        known = codes[~np.isnan(codes)].astype(np.int64)
        return np.bincount(known, minlength=len(levels)).tolist(), len(codes) - len(known)

    return {"levels": list(levels), **_sides(counted(reference), counted(current))}


def _counts(values: np.ndarray, edges: np.ndarray) -> tuple[list[int], int]:
    known = values[~np.isnan(values)]
    bins = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return bins.tolist(), len(values) - len(known)


def _sides(before: tuple[list[int], int], now: tuple[list[int], int]) -> dict[str, Any]:
    return {
        "reference": before[0],
        "current": now[0],
        "missing": [before[1], now[1]],
        "psi": psi([*before[0], before[1]], [*now[0], now[1]]),
    }
