"""Measures of performance: equal to an independent library, exact in ties, silent where undefined."""

from __future__ import annotations

import warnings
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from muniment.analytics.calibration import calibration_error, calibration_table
from muniment.analytics.performance import auc, confusion, curves, measure, score_histogram

QUICK = settings(deadline=None, max_examples=300)
coarse = st.integers(0, 8).map(lambda n: n / 8)
pairs = st.lists(st.tuples(st.booleans(), coarse | st.floats(0, 1)), min_size=1, max_size=40)


def arrays(drawn: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([label for label, _ in drawn]), np.array([score for _, score in drawn], np.float64)


@QUICK
@given(pairs)
def test_auc_counts_pairs(drawn: list[tuple[bool, float]]) -> None:
    """AUC is the share of pairs in right order, ties counting half; None with one class."""
    labels, scores = arrays(drawn)
    high, low = scores[labels].tolist(), scores[~labels].tolist()
    if not high or not low:
        assert auc(labels, scores) is None
        return
    wins = sum(Fraction(2 * (h > n) + (h == n), 2) for h in high for n in low)
    assert auc(labels, scores) == float(wins / (len(high) * len(low)))


@QUICK
@given(pairs, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_measures_equal_the_oracle(drawn: list[tuple[bool, float]], threshold: float) -> None:
    """Where scikit-learn has a value we have the same one; where a measure is undefined we say why."""
    labels, scores = arrays(drawn)
    found = measure(labels, scores, threshold)
    predicted = scores >= threshold
    assert found.values["brier"] == pytest.approx(metrics.brier_score_loss(labels, scores), abs=1e-15)
    clipped = np.clip(scores, 1e-15, 1 - 1e-15)
    assert found.values["log_loss"] == pytest.approx(metrics.log_loss(labels, clipped, labels=[False, True]), rel=1e-9)
    assert found.values["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    both = labels.any() and not labels.all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = {
            "auc": metrics.roc_auc_score(labels, scores) if both else None,
            "precision": metrics.precision_score(labels, predicted) if predicted.any() else None,
            "recall": metrics.recall_score(labels, predicted) if labels.any() else None,
            "specificity": metrics.recall_score(~labels, ~predicted) if not labels.all() else None,
            "f1": metrics.f1_score(labels, predicted) if labels.any() or predicted.any() else None,
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted) if both else None,
        }
    for name, value in oracle.items():
        assert found.values[name] == (None if value is None else pytest.approx(value)), name
        assert (name in found.undefined) == (value is None)
    if both:
        false_rate, true_rate, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
        assert found.values["ks"] == pytest.approx(np.abs(true_rate - false_rate).max())
        assert found.values["gini"] == pytest.approx(2 * oracle["auc"] - 1)


@QUICK
@given(pairs)
def test_curves_start_and_end_and_hold_the_ks_point(drawn: list[tuple[bool, float]]) -> None:
    """Curves run from (0, 0) to (1, 1), never fall, and hold the point of the KS distance."""
    labels, scores = arrays(drawn)
    found = curves(labels, scores)
    if not labels.any() or labels.all():
        assert found is None
        return
    assert found is not None
    assert (found.false_positive_rate[0], found.true_positive_rate[0]) == (0, 0)
    assert (found.false_positive_rate[-1], found.true_positive_rate[-1]) == (1, 1)
    assert found.false_positive_rate == sorted(found.false_positive_rate)
    distances = [abs(t - f) for t, f in zip(found.true_positive_rate, found.false_positive_rate, strict=True)]
    assert max(distances) == measure(labels, scores, 0.5).values["ks"]


def test_curves_have_at_most_two_hundred_points() -> None:
    """Whatever the number of scores, a curve stays small enough to draw."""
    scores = np.linspace(0, 1, 100_000)
    found = curves(scores > 0.37, scores)
    assert found is not None
    assert 190 <= len(found.threshold) <= 200
    assert found.ks_threshold == scores[scores > 0.37][0]


@QUICK
@given(pairs, st.integers(1, 12))
def test_calibration_bins_part_the_rows(drawn: list[tuple[bool, float]], bins: int) -> None:
    """Every row stands in one bin, equal scores stand together, and bins rise."""
    labels, scores = arrays(drawn)
    table = calibration_table(labels, scores, bins)
    assert sum(row.count for row in table) == len(scores)
    assert sum(row.positives for row in table) == labels.sum()
    assert 1 <= len(table) <= bins
    for before, after in pairwise(table):
        assert before.high < after.low
    error = calibration_error(table)
    assert error is not None
    assert 0 <= error <= 1


def test_calibration_known_answer() -> None:
    """Two bins by hand: means 0.25 and 0.75, rates 0.5 and 1, error 0.25."""
    labels, scores = np.array([False, True, True, True]), np.array([0.2, 0.3, 0.7, 0.8])
    table = calibration_table(labels, scores, 2)
    assert [(row.count, row.positives) for row in table] == [(2, 1), (2, 2)]
    assert calibration_error(table) == pytest.approx(0.25)
    assert calibration_error([]) is None


def test_no_rows_have_no_measures() -> None:
    """Without rows everything is undefined, with the reason; nothing is 0 or 0.5."""
    found = measure(np.empty(0, bool), np.empty(0), 0.5)
    assert set(found.values.values()) == {None}
    assert set(found.undefined.values()) == {"there are no rows"}
    assert found.defined() == {}


def test_confusion_and_histogram_count_every_row() -> None:
    """A score at the threshold is positive, and the histogram's last bin holds 1."""
    labels, scores = np.array([True, False, True, False]), np.array([0.5, 0.5, 0.1, 1.0])
    found = confusion(labels, scores, 0.5)
    assert (found.true_positive, found.false_positive, found.true_negative, found.false_negative) == (1, 2, 0, 1)
    histogram = score_histogram(labels, scores)
    assert sum(histogram["positive"]) + sum(histogram["negative"]) == 4
    assert histogram["negative"][-1] == 1
