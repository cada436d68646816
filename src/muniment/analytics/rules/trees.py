"""Rules over boosted trees: what the importance rests on, and how deep trees grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from muniment.analytics.rules.events import Finding

__all__ = ["depth_of", "feature_importance_overweight", "tree_depth"]


def feature_importance_overweight(
    step: int, importances: Mapping[str, float], *, threshold: float, nfeatures: int
) -> Finding | None:
    """Fire when the most important ``nfeatures`` features together hold more than a share of all importance.

    With no more features than that the share is always 1 and says nothing.
    """
    total = sum(importances.values())
    if total <= 0 or len(importances) <= nfeatures:
        return None
    top = sorted(importances.items(), key=lambda one: (-one[1], one[0]))[:nfeatures]
    share = sum(value for _, value in top) / total
    if share <= threshold:
        return None
    return Finding(
        step,
        f"{nfeatures} of {len(importances)} features hold {100 * share:.3g} % of the importance, more than "
        f"{100 * threshold:g} %",
        {"share": share, "features": [name for name, _ in top]},
    )


def tree_depth(step: int, depth: int, *, threshold: int) -> Finding | None:
    """Fire when a tree is deeper than so many levels of cuts."""
    if depth <= threshold:
        return None
    return Finding(step, f"a tree has {depth} levels of cuts, more than {threshold}", {"depth": depth})


def depth_of(node: Mapping[str, Any], children: Sequence[str]) -> int:
    """Levels of cuts below a node of a tree as its library dumps it, found by walking it.

    The published rule takes the logarithm of the largest node number, which is right for trees that are numbered as
    heaps and wrong for those that grow leaf by leaf.

    Args:
        node: the root.
        children: keys that hold a child, or a list of children.
    """
    deepest, waiting = 0, [(node, 0)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        for key in children:
            below = one.get(key)
            for child in below if isinstance(below, list) else [below]:
                if isinstance(child, Mapping):
                    waiting.append((child, depth + 1))
    return deepest
