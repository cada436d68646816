"""Bands of similar score from the riskiest down: what a cut-off gives up and what it catches."""

from __future__ import annotations

from typing import Any

import numpy as np

from muniment.analytics.calibration import calibration_table

__all__ = ["score_bands"]


def score_bands(labels: np.ndarray, scores: np.ndarray, bands: int = 10) -> list[dict[str, Any]]:
    """At most ``bands`` bands of about equal count, the highest scores first; equal scores are never parted.

    Each band has its bounds (lowest and highest score in it), its counts, the rate of positives, and of all rows down
    to its lower bound: the counts, the share of all positives that they catch (``capture``) and how many times more
    positives than a random draw of that many rows they hold (``lift``). With no positive row the last two are None.

    Args:
        labels: booleans, True for the positive class.
        scores: float64 in [0, 1].
        bands: 10 for deciles.
    """
    table = calibration_table(labels, scores, bands)[::-1]
    rows, positives = len(labels), int(labels.sum())
    seen = hits = 0
    shown = []
    for number, band in enumerate(table, 1):
        seen, hits = seen + band.count, hits + band.positives
        shown.append(
            {
                "band": number,
                "low": band.low,
                "high": band.high,
                "rows": band.count,
                "positives": band.positives,
                "rate": band.observed_rate,
                "mean_score": band.mean_score,
                "cumulative_rows": seen,
                "cumulative_positives": hits,
                "capture": hits / positives if positives else None,
                "lift": (hits * rows) / (seen * positives) if positives else None,
            }
        )
    return shown
