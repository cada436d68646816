"""How far two sets of predictions are apart: bits, units in the last place, and decisions that flip."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

__all__ = ["Difference", "Verdict", "difference", "verdict"]


class Verdict(StrEnum):
    """What a reproduction found, from best to worst."""

    IDENTICAL_BYTES = "identical-bytes"
    """The model files have equal digests."""

    IDENTICAL_PREDICTIONS = "identical-predictions"
    """Other files, but equal canonical digests where known, and predictions equal bit for bit."""

    EQUIVALENT = "equivalent"
    """Differences within the stated bounds, and no decision flips."""

    DIFFERENT = "different"
    """Anything else."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Numbers about two equally long sets of scores."""

    rows: int
    differing: int
    """Scores that are not equal bit for bit."""

    max_difference: float
    """Largest absolute difference."""

    max_ulp: int
    """Largest distance in units in the last place of float64."""

    flips: int
    """Rows on different sides of the threshold."""


def _ordinals(scores: np.ndarray) -> np.ndarray:
    """Integers that are in the order of the floats and one apart for neighbours; -0.0 and 0.0 share one."""
    bits = np.ascontiguousarray(scores, np.float64).view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def difference(ours: np.ndarray, theirs: np.ndarray, our_threshold: float, their_threshold: float) -> Difference:
    """Compare scores row by row; both float64, finite, of equal length."""
    if not len(ours):
        return Difference(0, 0, 0.0, 0, 0)
    apart = np.array([abs(int(a) - int(b)) for a, b in _unequal(_ordinals(ours), _ordinals(theirs))], dtype=object)
    return Difference(
        rows=len(ours),
        differing=int((ours.view(np.int64) != theirs.view(np.int64)).sum()),
        max_difference=float(np.abs(ours - theirs).max()),
        max_ulp=int(apart.max(initial=0)),
        flips=int(((ours >= our_threshold) != (theirs >= their_threshold)).sum()),
    )


def _unequal(ours: np.ndarray, theirs: np.ndarray) -> list[tuple[int, int]]:
    rows = np.flatnonzero(ours != theirs)
    return list(zip(ours[rows].tolist(), theirs[rows].tolist(), strict=True))


def verdict(
    found: Difference,
    *,
    equal_files: bool | None,
    equal_models: bool | None,
    max_difference: float,
    max_ulp: int,
) -> Verdict:
    """The verdict on a reproduction.

    Args:
        found: the differences of predictions.
        equal_files: whether the model files have equal digests; None when only predictions are compared.
        equal_models: whether the canonical digests are equal; None when only predictions are compared.
        max_difference: bound of the absolute difference for EQUIVALENT.
        max_ulp: bound of the distance in units in the last place for EQUIVALENT.
    """
    if equal_files and found.differing == 0:
        return Verdict.IDENTICAL_BYTES
    if found.differing == 0 and equal_models is not False:
        return Verdict.IDENTICAL_PREDICTIONS
    if found.flips == 0 and found.max_difference <= max_difference and found.max_ulp <= max_ulp:
        return Verdict.EQUIVALENT
    return Verdict.DIFFERENT
