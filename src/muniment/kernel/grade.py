"""Grades: how far a fact can be trusted, from strongest to weakest."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Grade(StrEnum):
    """Who stands behind a fact."""

    PROVEN = "proven"
    """Written by the runner or the gate, from what really happened."""

    ATTESTED = "attested"
    """Signed by a person."""

    DECLARED = "declared"
    """Imported or typed; nobody checked."""


_STRENGTH = (Grade.DECLARED, Grade.ATTESTED, Grade.PROVEN)


def weakest(grades: Iterable[Grade]) -> Grade:
    """The grade of an answer that rests on all of these; PROVEN when it rests on none."""
    return min(grades, key=_STRENGTH.index, default=Grade.PROVEN)
