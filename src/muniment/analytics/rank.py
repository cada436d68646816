"""How far two orders agree: Spearman's and Kendall's correlations, with ties; None where they have no value."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["kendall", "ranks", "spearman"]


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal values sharing the mean of theirs; float64."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts, dtype=np.float64)
    shared: np.ndarray = (last - (counts - 1) / 2)[where.reshape(-1)]
    return shared


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Correlation of the ranks, in [-1, 1]; None when one side has a single value.

    Source: Spearman (1904), American Journal of Psychology 15; ties share their mean rank.
    """
    if len(first) < 2:
        return None
    one, other = ranks(first), ranks(second)
    one, other = one - one.mean(), other - other.mean()
    spread = math.sqrt(float((one * one).sum()) * float((other * other).sum()))
    return None if spread == 0 else max(-1.0, min(1.0, float((one * other).sum()) / spread))


def kendall(first: np.ndarray, second: np.ndarray) -> float | None:
    """Kendall's tau-b: pairs in equal order less pairs in opposite order, in [-1, 1]; exact counts.

    Source: Kendall (1945), Biometrika 33, for ties. None when one side has a single value. Takes time in the square
    of the length, so it is meant for lists of features.
    """
    agree = tied_first = tied_second = 0
    for at in range(len(first) - 1):
        one, other = np.sign(first[at + 1 :] - first[at]), np.sign(second[at + 1 :] - second[at])
        agree += int((one * other).sum())
        tied_first += int((one == 0).sum())
        tied_second += int((other == 0).sum())
    pairs = len(first) * (len(first) - 1) // 2
    apart = (pairs - tied_first) * (pairs - tied_second)
    return agree / math.sqrt(apart) if apart > 0 else None
