"""Whether scores are true as probabilities: the calibration table and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["CalibrationBin", "calibration_error", "calibration_table"]


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows of similar score."""

    low: float
    """Lowest score in the bin."""

    high: float
    """Highest score in the bin."""

    count: int
    positives: int
    mean_score: float
    observed_rate: float


def calibration_table(labels: np.ndarray, scores: np.ndarray, bins: int = 10) -> list[CalibrationBin]:
    """Rows by rising score in at most ``bins`` bins of about equal count; equal scores are never parted.

    Args:
        labels: booleans, True for the positive class.
        scores: float64 in [0, 1].
        bins: 10 for deciles.
    """
    if not len(scores):
        return []
    ordered = np.sort(scores)
    # A bin begins at the score that stands where the bin should begin, with all scores equal to it.
    edges = np.unique(ordered[(np.arange(bins) * len(ordered)) // bins])
    bin_of = np.searchsorted(edges, scores, side="right") - 1
    table = []
    for number in range(len(edges)):
        chosen = bin_of == number
        inside, hits = scores[chosen], int(labels[chosen].sum())
        table.append(
            CalibrationBin(
                float(inside.min()), float(inside.max()), len(inside), hits, float(inside.mean()), hits / len(inside)
            )
        )
    return table


def calibration_error(table: list[CalibrationBin]) -> float | None:
    """Expected calibration error: mean distance of mean score and observed rate, weighted by count.

    Source: Naeini, Cooper and Hauskrecht (2015), AAAI, with bins of equal count. None for an empty table.
    """
    total = sum(row.count for row in table)
    if not total:
        return None
    return sum(row.count * abs(row.mean_score - row.observed_rate) for row in table) / total
