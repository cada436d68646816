"""How well scores separate two classes, and how true they are as probabilities; exact, and silent where undefined.

Throughout: ``labels`` are booleans (True: the positive class), ``scores`` are finite float64 in [0, 1], both of
length n. A measure that has no value, such as AUC with one class, is None with the reason beside it; it is never 0 or
0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

__all__ = ["Confusion", "Curves", "Measures", "confusion", "curves", "measure", "score_histogram"]

_CLIP: Final = 1e-15
CURVE_POINTS: Final = 200


@dataclass(frozen=True, slots=True)
class Measures:
    """Scalar measures by name, and why those that are None have no value."""

    values: dict[str, float | None]
    undefined: dict[str, str]

    def defined(self) -> dict[str, float]:
        """The measures that have a value."""
        return {name: value for name, value in self.values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts at a threshold: a score at or above it is a prediction of the positive class."""

    threshold: float
    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int

    @property
    def rows(self) -> int:
        """All predictions."""
        return self.true_positive + self.false_positive + self.true_negative + self.false_negative


@dataclass(frozen=True, slots=True)
class Curves:
    """Points of the ROC and KS curves, from the highest threshold to the lowest; at most 200."""

    threshold: list[float | None]
    """None for the first point, above every score."""

    false_positive_rate: list[float]
    true_positive_rate: list[float]
    ks_threshold: float
    """The threshold at which the two distributions are furthest apart."""


@dataclass(frozen=True, slots=True)
class _Steps:
    """Cumulative counts at each distinct score, from the highest to the lowest."""

    thresholds: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


def _steps(labels: np.ndarray, scores: np.ndarray) -> _Steps:
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], labels[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    positives = np.cumsum(hits, dtype=np.int64)[ends]
    return _Steps(ordered[ends], positives, ends + 1 - positives)


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve: the share of pairs that are ordered rightly, ties counting half; exact in integers.

    Source: Hanley and McNeil (1982), Radiology 143. None when one of the classes is absent.
    """
    steps = _steps(labels, scores)
    if not len(labels) or steps.positives[-1] == 0 or steps.negatives[-1] == 0:
        return None
    positives, negatives = int(steps.positives[-1]), int(steps.negatives[-1])
    here = np.diff(steps.negatives, prepend=0)
    above = np.concatenate([[0], steps.positives[:-1]])
    tied = np.diff(steps.positives, prepend=0)
    pairs = (
        2 * (here.astype(object) * above).sum() + (here.astype(object) * tied).sum()
        if _huge(positives, negatives)
        else int((here * (2 * above + tied)).sum())
    )
    return int(pairs) / (2 * positives * negatives)


def _huge(positives: int, negatives: int) -> bool:
    return 2 * positives * negatives >= 2**62


def measure(labels: np.ndarray, scores: np.ndarray, threshold: float) -> Measures:
    """All scalar measures of a binary classifier.

    auc, gini (2 auc - 1), ks (largest distance of the score distributions), brier (mean squared error), log_loss
    (scores clipped to [1e-15, 1 - 1e-15]), accuracy, precision, recall, specificity, f1, balanced_accuracy at the
    threshold, base_rate and mean_score.
    """
    values: dict[str, float | None] = {}
    undefined: dict[str, str] = {}
    if not len(labels):
        names = (
            "auc",
            "gini",
            "ks",
            "brier",
            "log_loss",
            "accuracy",
            "precision",
            "recall",
            "specificity",
            "f1",
            "balanced_accuracy",
            "base_rate",
            "mean_score",
        )
        return Measures(dict.fromkeys(names), dict.fromkeys(names, "there are no rows"))
    area = auc(labels, scores)
    values["auc"] = area
    values["gini"] = None if area is None else 2 * area - 1
    values["ks"] = _ks(labels, scores)
    for name in ("auc", "gini", "ks"):
        if values[name] is None:
            undefined[name] = "the rows hold one class only"
    observed = labels.astype(np.float64)
    values["brier"] = float(np.mean((scores - observed) ** 2))
    clipped = np.clip(scores, _CLIP, 1 - _CLIP)
    values["log_loss"] = float(-np.mean(np.where(labels, np.log(clipped), np.log1p(-clipped))))
    values["base_rate"] = float(np.mean(observed))
    values["mean_score"] = float(np.mean(scores))
    at = confusion(labels, scores, threshold)
    ratios = {
        "accuracy": (at.true_positive + at.true_negative, at.rows, ""),
        "precision": (at.true_positive, at.true_positive + at.false_positive, "nothing is predicted positive"),
        "recall": (at.true_positive, at.true_positive + at.false_negative, "no row is positive"),
        "specificity": (at.true_negative, at.true_negative + at.false_positive, "no row is negative"),
        "f1": (
            2 * at.true_positive,
            2 * at.true_positive + at.false_positive + at.false_negative,
            "no row is positive and nothing is predicted positive",
        ),
    }
    for name, (part, whole, reason) in ratios.items():
        values[name] = part / whole if whole else None
        if not whole:
            undefined[name] = reason
    recall, specificity = values["recall"], values["specificity"]
    values["balanced_accuracy"] = None if recall is None or specificity is None else (recall + specificity) / 2
    if values["balanced_accuracy"] is None:
        undefined["balanced_accuracy"] = "the rows hold one class only"
    return Measures(values, undefined)


def _ks(labels: np.ndarray, scores: np.ndarray) -> float | None:
    steps = _steps(labels, scores)
    positives, negatives = int(steps.positives[-1]), int(steps.negatives[-1])
    if not positives or not negatives:
        return None
    return float(np.abs(steps.positives / positives - steps.negatives / negatives).max())


def confusion(labels: np.ndarray, scores: np.ndarray, threshold: float) -> Confusion:
    """The four counts at a threshold."""
    predicted = scores >= threshold
    hits = int((predicted & labels).sum())
    alarms = int(predicted.sum()) - hits
    positives = int(labels.sum())
    return Confusion(threshold, hits, alarms, len(labels) - positives - alarms, positives - hits)


def curves(labels: np.ndarray, scores: np.ndarray) -> Curves | None:
    """ROC and KS curves at no more than 200 thresholds, always with the one of the KS distance; None with one class."""
    if not len(labels):
        return None
    steps = _steps(labels, scores)
    positives, negatives = int(steps.positives[-1]), int(steps.negatives[-1])
    if not positives or not negatives:
        return None
    true_rate, false_rate = steps.positives / positives, steps.negatives / negatives
    furthest = int(np.argmax(np.abs(true_rate - false_rate)))
    count = len(steps.thresholds)
    kept = np.unique(np.append(np.linspace(0, count - 1, min(count, CURVE_POINTS - 2)).astype(int), furthest))
    return Curves(
        [None, *steps.thresholds[kept].tolist()],
        [0.0, *false_rate[kept].tolist()],
        [0.0, *true_rate[kept].tolist()],
        float(steps.thresholds[furthest]),
    )


def score_histogram(labels: np.ndarray, scores: np.ndarray, bins: int = 20) -> dict[str, Any]:
    """Counts of scores by class in equal bins over [0, 1]; the last bin holds 1. Integer counts: histograms add up."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    return {
        "edges": edges.tolist(),
        "positive": np.histogram(scores[labels], edges)[0].tolist(),
        "negative": np.histogram(scores[~labels], edges)[0].tolist(),
    }
