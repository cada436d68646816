"""How often a law is tried: as often as it says, or a tenth of it in the suite of every day.

``--hypothesis-profile quick`` chooses; laws that say nothing take their number from the profile itself.
"""

from __future__ import annotations

from typing import Final

from hypothesis import settings

QUICK: Final = "quick"
_FULL: Final = 100
"""Examples of a law that says nothing, outside of the suite of every day."""

settings.register_profile(QUICK, max_examples=_FULL // 10, deadline=None)


def examples(many: int) -> int:
    """How many examples a law gets of those that it asks for; some are left to each."""
    return max(min(many, 4), many * settings.default.max_examples // _FULL)
