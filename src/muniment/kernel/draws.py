"""Chance that repeats: numbers that follow from a seed and a place alone, by SHA-256.

No state: the draw at one place does not hang on which others were made before it, so that work can be done in any
order, again, and by another process, and comes out the same.
"""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["draw", "order"]

_BITS: Final = 53


def draw(seed: int, *place: str | int) -> float:
    """A number in [0, 1), evenly distributed over places and seeds, with 53 bits.

    Args:
        seed: of everything that belongs together.
        place: what the number is for, such as ``("trial", 7, "eta")``.
    """
    text = "\0".join(["muniment.draw/1", str(seed), *(f"{type(one).__name__}:{one}" for one in place)])
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - _BITS)) / (1 << _BITS)


def order(seed: int, size: int, *place: str | int) -> list[int]:
    """The numbers below ``size`` in an order by chance, each order as likely as any other."""
    return sorted(range(size), key=lambda number: (draw(seed, *place, number), number))
