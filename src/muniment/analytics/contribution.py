"""What each feature contributes to a model's output, over many rows: how much, in which direction, along which values.

Throughout: ``values`` are the encoded features and ``contributions`` what each adds to the output, both float64 of
shape (rows, features); NaN is a missing value. Floats are cut to a number of digits that no processor disagrees about,
so that equal input gives an equal report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from muniment.analytics.performance import auc
from muniment.analytics.rank import kendall, spearman

__all__ = [
    "beeswarm",
    "dependence",
    "digits",
    "disagreement",
    "global_importance",
    "grid",
    "partial_dependence",
    "permutation_importance",
]

STEPS: Final = 20
"""Most steps of a curve along a number."""

_LEVELS: Final = 30
"""Most levels of a curve along a text."""

LEAST_ROWS: Final = 10
"""A value that fewer rows share is counted and not shown: it may name a person."""

_CLIP: Final = (0.05, 0.95)
_EXACT: Final = 12
_DRAWN: Final = 5


def digits(value: float, count: int = _EXACT) -> float:
    """The number with so many significant digits; 0 has no sign."""
    return float(f"{value:.{count - 1}e}") + 0.0


def global_importance(
    names: Sequence[str], values: np.ndarray, contributions: np.ndarray, levels: Sequence[int | None]
) -> list[dict[str, Any]]:
    """One entry per feature, in the order of the features.

    ``mean_abs`` and ``mean_sq`` are means over the rows; ``share`` is the part of all mean absolute contributions.
    ``direction`` is the rank correlation of value and contribution over rows with a value: +1 where a higher value
    always adds more. It is None where values have no order (more than two levels) or do not vary.
    """
    size, power = np.abs(contributions).mean(axis=0), (contributions**2).mean(axis=0)
    total = math.fsum(size.tolist())
    entries = []
    for at, name in enumerate(names):
        known = ~np.isnan(values[:, at])
        ordered = levels[at] is None or levels[at] == 2
        direction = spearman(values[known, at], contributions[known, at]) if ordered else None
        entries.append(
            {
                "name": name,
                "mean_abs": digits(float(size[at])),
                "mean_sq": digits(float(power[at])),
                "share": digits(float(size[at]) / total) if total else 0.0,
                "direction": None if direction is None else digits(direction, 6),
                "missing": int((~known).sum()),
            }
        )
    return entries


def disagreement(lists: dict[str, Sequence[float]]) -> tuple[dict[str, float | None], dict[str, str]]:
    """How far lists of importances rank the features alike: Kendall's tau-b of each pair, and why one has no value."""
    found: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    names = list(lists)
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            tau = kendall(np.asarray(lists[first], np.float64), np.asarray(lists[second], np.float64))
            found[f"{first}_vs_{second}"] = None if tau is None else digits(tau)
            if tau is None:
                reasons[f"{first}_vs_{second}"] = "one of the lists ranks nothing"
    return found, reasons


def beeswarm(values: np.ndarray, contributions: np.ndarray, *, ordered: bool) -> list[dict[str, float | None]]:
    """One point per row of a feature: ``x``, its contribution, and ``v``, its value between the 5th and the 95th
    percentile as 0 to 1; None where a value is missing or values have no order.
    """
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, _CLIP) if len(known) and ordered else (0.0, 0.0)
    if len(known) and ordered and low == high:
        low, high = known.min(), known.max()
    points: list[dict[str, float | None]] = []
    for value, one in zip(values.tolist(), contributions.tolist(), strict=True):
        scaled = None
        if ordered and not math.isnan(value):
            scaled = 0.5 if high <= low else digits(min(1.0, max(0.0, (value - low) / (high - low))), 3)
        points.append({"x": digits(one, _DRAWN), "v": scaled})
    return points


def dependence(values: np.ndarray, contributions: np.ndarray, categories: Sequence[str] | None) -> dict[str, Any]:
    """The mean contribution along the values of a feature.

    A number is cut at its quantiles into at most 20 steps of about equal count, or shown value by value when it has no
    more than 20; a step stands at the mean of its values. A text has a step for each of its 30 commonest levels. What
    fewer than 10 rows share is counted under ``rare``.
    """
    missing = np.isnan(values)
    known, given = values[~missing], contributions[~missing]
    steps = grid(known)
    place = np.searchsorted(steps, known, side="right") - 1 if categories is None else known.astype(np.int64)
    size = len(steps) if categories is None else len(categories)
    counts = np.bincount(place, minlength=size)
    sums = np.bincount(place, weights=given, minlength=size)
    centre = np.bincount(place, weights=known, minlength=size)
    shown = [at for at in range(size) if counts[at] >= LEAST_ROWS]
    if categories is not None and len(shown) > _LEVELS:
        shown = sorted(sorted(shown, key=lambda at: (-counts[at], at))[:_LEVELS])
    hidden = len(known) - int(counts[shown].sum())
    return {
        "grid": [digits(float(centre[at] / counts[at]), 6) if categories is None else categories[at] for at in shown],
        "mean": [digits(float(sums[at] / counts[at]), 6) for at in shown],
        "n": [int(counts[at]) for at in shown],
        "missing": {
            "n": int(missing.sum()),
            "mean": digits(float(contributions[missing].mean()), 6) if missing.sum() >= LEAST_ROWS else None,
        },
        "rare": hidden,
    }


def grid(known: np.ndarray) -> np.ndarray:
    """Lower bounds of at most 20 steps along a number; each distinct value where there are few.

    A value that many rows share, such as 0, is a step of its own; the rest is cut into steps of about equal count.
    """
    if not len(known):
        return np.empty(0)
    distinct, counts = np.unique(known, return_counts=True)
    if len(distinct) <= STEPS:
        return distinct
    many = np.flatnonzero(counts > len(known) / STEPS)[: STEPS // 2 - 1]
    after = many[many + 1 < len(distinct)] + 1
    rest = known[~np.isin(known, distinct[many])]
    steps = max(1, STEPS - len(many) - len(after))
    cuts = np.quantile(rest, np.arange(steps) / steps, method="inverted_cdf")
    bounds: np.ndarray = np.unique(np.concatenate([distinct[many], distinct[after], cuts]))
    return bounds


def partial_dependence(
    score: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, at: int, points: Sequence[float]
) -> list[float]:
    """The mean score over rows in which one feature is set to a value, for each value.

    Source: Friedman (2001), Annals of Statistics 29. It asks the model about rows that may not exist: where features
    hang together, dependence is the curve to trust.
    """
    stacked = np.asfortranarray(np.tile(rows, (len(points), 1)))
    stacked[:, at] = np.repeat(np.asarray(points, np.float64), len(rows))
    scores = score(stacked).reshape(len(points), len(rows))
    return [digits(float(mean), 6) for mean in scores.mean(axis=1)]


def permutation_importance(
    score: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, labels: np.ndarray, draw: np.random.Generator
) -> list[float] | None:
    """How much AUC is lost when the values of one feature are dealt out anew among the rows, for each feature.

    Source: Breiman (2001), Machine Learning 45. Near 0, and by chance below, for what the model hardly needs. None when
    the labels hold one class only, as there is no AUC to lose.
    """
    whole = auc(labels, score(rows))
    if whole is None:
        return None
    lost = []
    for at in range(rows.shape[1]):
        dealt = rows.copy(order="F")
        dealt[:, at] = draw.permutation(rows[:, at])
        lost.append(digits(whole - (auc(labels, score(dealt)) or 0.0)))
    return lost
