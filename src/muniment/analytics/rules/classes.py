"""Rules over labels and predictions, as one matrix of counts: a row for each class, a column for each prediction."""

from __future__ import annotations

from collections.abc import Sequence

from muniment.analytics.rules.events import Finding

__all__ = ["class_imbalance", "confusion"]

Matrix = Sequence[Sequence[float]]


def class_imbalance(
    step: int, matrix: Matrix, *, threshold_imbalance: float, threshold_misprediction: float, samples: int
) -> Finding | None:
    """Fire when the largest class is so many times the smallest, or a class is mostly predicted wrongly.

    A default rate below 9.1 % fires by itself at the published threshold of 10: acknowledge it for such a model.

    Args:
        step: of the matrix.
        matrix: counts; classes without a row of their own in the data do not count.
        threshold_imbalance: largest over smallest class.
        threshold_misprediction: share of the rows of one class that may be predicted wrongly.
        samples: with fewer rows nothing is said.
    """
    counts = [sum(row) for row in matrix]
    present = [count for count in counts if count > 0]
    if sum(counts) < samples or not present:
        return None
    ratio = max(present) / min(present)
    if ratio > threshold_imbalance:
        return Finding(
            step,
            f"the largest class has {ratio:.3g} times the rows of the smallest, more than {threshold_imbalance:g}",
            {"ratio": ratio, "counts": counts},
        )
    for place, (row, count) in enumerate(zip(matrix, counts, strict=True)):
        wrong = 1 - row[place] / count if count else 0.0
        if wrong > threshold_misprediction:
            return Finding(
                step,
                f"{100 * wrong:.3g} % of class {place} are predicted wrongly, more than "
                f"{100 * threshold_misprediction:g} %",
                {"class": place, "mispredicted": wrong, "counts": counts},
            )
    return None


def confusion(step: int, matrix: Matrix, *, min_diag: float, max_off_diag: float) -> Finding | None:
    """Fire when too few rows of a class are predicted as it, or too many as one other.

    Shares are of the rows of the *observed* class. The published text divides a diagonal cell by the total of the
    diagonal, by which two classes can never both reach 0.9.
    """
    for place, row in enumerate(matrix):
        count = sum(row)
        if not count:
            continue
        shares = [cell / count for cell in row]
        if shares[place] < min_diag:
            return Finding(
                step,
                f"{100 * shares[place]:.3g} % of class {place} are predicted as it, less than {100 * min_diag:g} %",
                {"class": place, "share": shares[place]},
            )
        other, most = max(
            ((number, share) for number, share in enumerate(shares) if number != place),
            key=lambda one: one[1],
            default=(place, 0.0),
        )
        if most > max_off_diag:
            return Finding(
                step,
                f"{100 * most:.3g} % of class {place} are predicted as class {other}, more than "
                f"{100 * max_off_diag:g} %",
                {"class": place, "predicted": other, "share": most},
            )
    return None
