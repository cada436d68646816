"""How long who lost a race waits before the next attempt."""

from __future__ import annotations

from typing import Final

from muniment.kernel.ports import Entropy

__all__ = ["pause_s"]

_FIRST_S: Final = 0.002
_LONGEST_S: Final = 0.1


def pause_s(entropy: Entropy, attempt: int) -> float:
    """Seconds to wait after the attempt of this number, counted from 0.

    By chance, evenly from nothing to a bound that doubles with each attempt from 2 to 100 ms: those who met each other
    once should not meet again, and the more of them there are the further they must be spread (Exponential Backoff
    And Jitter, AWS Architecture Blog, 2015, "full jitter").
    """
    bound: float = min(_LONGEST_S, _FIRST_S * 2**attempt)
    return bound * (int.from_bytes(entropy.token(4), "big") / 0x1_0000_0000)
