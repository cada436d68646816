"""Making long series short without hiding what matters in them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Dated(Protocol):
    """One value of a series; None stands for NaN."""

    @property
    def number(self) -> float | None:
        """The value."""


P = TypeVar("P", bound=Dated)


def thin(points: Sequence[P], most: int) -> list[P]:
    """About ``most`` points of a series, in their order: first, last, and the lowest and highest of each stretch.

    A spike of one value in a million stays; what is not finite stays once in each stretch, so that a picture can show
    where a training broke.

    Args:
        points: the whole series.
        most: at least 8.
    """
    if len(points) <= most:
        return list(points)
    stretches = max(1, (most - 2) // 3)
    chosen = {0, len(points) - 1}
    for stretch in range(stretches):
        start, end = stretch * len(points) // stretches, (stretch + 1) * len(points) // stretches
        finite = [at for at in range(start, end) if _finite(points[at].number)]
        strange = next((at for at in range(start, end) if not _finite(points[at].number)), None)
        if strange is not None:
            chosen.add(strange)
        if finite:
            chosen.add(min(finite, key=lambda at: points[at].number or 0.0))
            chosen.add(max(finite, key=lambda at: points[at].number or 0.0))
    return [points[at] for at in sorted(chosen)]


def _finite(number: float | None) -> bool:
    return number is not None and number - number == 0
