"""Which groups of people are compared: the rule of a column, as it is asked for. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from muniment.errors import Invalid

__all__ = ["FAVOURABLE", "GroupRule", "read_groups"]

FAVOURABLE: Final = ("negative", "positive")
"""Which prediction is good for the person: not to default, or for example to be offered something."""

_MOST_COLUMNS: Final = 20
_MOST_CUTS: Final = 20


@dataclass(frozen=True, slots=True)
class GroupRule:
    """How the rows are put into groups by one column."""

    column: str
    favoured: str | None = None
    """Name of the group that the others are compared with; None for the one that fares best."""

    cuts: tuple[float, ...] = ()
    """Upper bounds, inclusive, that part a column of numbers; none: each value is a group."""

    def document(self) -> dict[str, Any]:
        """As it stands in the parameters of a job."""
        return {"favoured": self.favoured, "cuts": list(self.cuts)}


def read_groups(given: Mapping[str, Any]) -> tuple[GroupRule, ...]:
    """The rules by column, as the parameter ``groups`` holds them: ``{column: {"favoured": ..., "cuts": [...]}}``.

    Raises:
        Invalid: a rule has another form, its cuts do not rise, or there are too many.
    """
    if len(given) > _MOST_COLUMNS:
        raise Invalid("MUNI-D192", "too many columns of groups", given=len(given), allowed=_MOST_COLUMNS)
    rules = []
    for column, rule in given.items():
        asked = {} if rule is None else rule
        if not isinstance(asked, Mapping) or not set(asked) <= {"favoured", "cuts"}:
            raise _malformed(column, "favoured and cuts, or nothing")
        favoured, cuts = asked.get("favoured"), asked.get("cuts") or []
        if favoured is not None and not isinstance(favoured, str):
            raise _malformed(column, "favoured: the name of a group, as a text")
        if not isinstance(cuts, (list, tuple)) or len(cuts) > _MOST_CUTS or not all(_finite(cut) for cut in cuts):
            raise _malformed(column, f"cuts: at most {_MOST_CUTS} finite numbers")
        if any(low >= high for low, high in pairwise(cuts)):
            raise _malformed(column, "cuts: rising numbers")
        rules.append(GroupRule(column, favoured, tuple(float(cut) for cut in cuts)))
    return tuple(rules)


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _malformed(column: str, expected: str) -> Invalid:
    return Invalid(
        "MUNI-D193",
        f"the groups of {column[:80]!r} are not readable",
        column=column[:80],
        expected=expected,
        do="write COLUMN, COLUMN:favoured=VALUE or COLUMN:cuts=25,60",
    )
