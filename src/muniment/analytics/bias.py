"""Bias of data before anything learns from them, as the published pre-training measures define it. Pure.

Facets are *a*, the favoured group, and *d*, the disfavoured one; ``q`` is the share of the favourable outcome. All is
worked from integer counts, so it is exact and adds up over parts. What has no value is None, never 0.

Source: Hardt et al., "Amazon SageMaker Clarify" (arXiv 2109.03285); formulae in the service's developer guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

__all__ = ["cddl", "class_imbalance", "difference_in_proportions", "share_gaps"]


def class_imbalance(favoured: int, disfavoured: int) -> float | None:
    """CI = (na - nd) / (na + nd): 0 when both groups are as large, 1 or -1 when one is absent."""
    rows = favoured + disfavoured
    return None if rows == 0 else float(Fraction(favoured - disfavoured, rows))


def difference_in_proportions(good_a: int, rows_a: int, good_d: int, rows_d: int) -> float | None:
    """DPL = qa - qd: above 0 when the favoured group has the favourable outcome more often."""
    if rows_a == 0 or rows_d == 0:
        return None
    return float(Fraction(good_a, rows_a) - Fraction(good_d, rows_d))


def cddl(strata: Sequence[tuple[int, int, int, int]]) -> float | None:
    """CDDL: the share of d among the rejected less that among the accepted, within each stratum, weighted by its rows.

    Args:
        strata: accepted of a, accepted of d, rejected of a, rejected of d, stratum by stratum. A stratum in which
            nobody is accepted, or nobody rejected, says nothing and counts as 0.
    """
    total = sum(map(sum, strata))
    if total == 0:
        return None
    whole = Fraction(0)
    for accepted_a, accepted_d, rejected_a, rejected_d in strata:
        accepted, rejected = accepted_a + accepted_d, rejected_a + rejected_d
        if accepted and rejected:
            gap = Fraction(rejected_d, rejected) - Fraction(accepted_d, accepted)
            whole += Fraction(accepted + rejected, total) * gap
    return float(whole)


def share_gaps(counts: Mapping[str, int], reference: Mapping[str, int]) -> list[dict[str, object]]:
    """The share of each group beside its share of the reference population, the widest gap first."""
    rows, others = sum(counts.values()), sum(reference.values())
    found: list[dict[str, object]] = []
    for name in sorted(set(counts) | set(reference)):
        mine = Fraction(counts.get(name, 0), rows) if rows else None
        theirs = Fraction(reference.get(name, 0), others) if others else None
        gap = None if mine is None or theirs is None else float(mine - theirs)
        found.append(
            {
                "group": name,
                "rows": counts.get(name, 0),
                "share": None if mine is None else float(mine),
                "reference_share": None if theirs is None else float(theirs),
                "difference": gap,
            }
        )
    return sorted(found, key=lambda one: -abs(float(str(one["difference"] or 0))))
