"""Over what rows are compared. Pure.

A *view* is what fingerprints are made over: all columns or some, by their names, by values alone, or as keys in order.
It is written as short as it can be, because it stands in the plan of a job and is how fingerprints are found again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from muniment.errors import Invalid

View = Mapping[str, Any]

_SHOWN: Final = 20


def over_names(chosen: Collection[str], columns: Sequence[str]) -> View:
    """Rows over some columns of a snapshot, each by its name."""
    wanted = frozenset(chosen)
    some, left = [c for c in columns if c in wanted], [c for c in columns if c not in wanted]
    if not left:
        return {"by": "names"}
    return (
        {"by": "names", "except": sorted(left)} if len(left) < len(some) else {"by": "names", "columns": sorted(some)}
    )


def over_values() -> View:
    """Whole rows by their values, whatever the columns are called."""
    return {"by": "values"}


def over_keys(columns: Sequence[str]) -> View:
    """Rows over chosen columns in this order, whatever they are called."""
    return {"by": "keys", "columns": list(columns)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two snapshots are compared."""

    view_a: View
    view_b: View
    columns: int
    only_a: tuple[str, ...] = ()
    """Columns of A that take no part, because B has none of that name."""
    only_b: tuple[str, ...] = ()

    @property
    def by(self) -> str:
        """``names``, ``values`` or ``keys``."""
        return str(self.view_a["by"])

    @property
    def whole(self) -> bool:
        """Whether every column of A is compared, or the keys that were chosen."""
        return self.by == "keys" or not self.only_a


def by_keys(pairs: Sequence[tuple[str, str]]) -> Comparison:
    """Compare over key columns, in an order that does not depend on that in which they were named."""
    ordered = sorted(pairs)
    return Comparison(over_keys([a for a, _ in ordered]), over_keys([b for _, b in ordered]), len(ordered))


def by_names(a: Sequence[str], b: Sequence[str]) -> Comparison | None:
    """Compare over the columns that both have; None where there is none."""
    there = frozenset(b)
    shared = [name for name in a if name in there]
    if not shared:
        return None
    common = frozenset(shared)
    only_a, only_b = (tuple(name for name in one if name not in common) for one in (a, b))
    return Comparison(over_names(shared, a), over_names(shared, b), len(shared), only_a, only_b)


def by_values(a: Sequence[str], b: Sequence[str]) -> Comparison | None:
    """Compare whole rows by their values; None where the numbers of columns differ, so that none could be equal."""
    return Comparison(over_values(), over_values(), len(a)) if len(a) == len(b) and a else None


def read_keys(keys: Sequence[str], a: Sequence[str], b: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """The key columns as they are called in A and in B: ``NAME``, or ``NAME=OTHER``; one that is there goes before.

    Raises:
        Invalid: a column is not there, or is named twice.
    """
    known_a, known_b = set(a), set(a if b is None else b)
    pairs = []
    for text in keys:
        name, other = text, text
        if text not in known_a and b is not None:
            ways = [(text[:at], text[at + 1 :]) for at, sign in enumerate(text) if sign == "="]
            name, other = next(((left, right) for left, right in ways if left in known_a), (text, text))
        for column, known, side in ((name, known_a, "the first"), (other, known_b, "the second")):
            if column not in known:
                raise Invalid(
                    "MUNI-O115",
                    f"{side if b is not None else 'the'} snapshot has no column {column[:80]!r}",
                    column=column[:200],
                    columns=[one[:80] for one in sorted(known)[:_SHOWN]],
                    do="name columns that are there; NAME=OTHER where the second calls it otherwise",
                )
        pairs.append((name, other))
    if twice := sorted({name for side in (0, 1) for name in _repeated([pair[side] for pair in pairs])}):
        raise Invalid("MUNI-O116", f"the column {twice[0][:80]!r} is named twice", columns=twice[:10])
    return pairs


def _repeated(names: Sequence[str]) -> set[str]:
    return {name for name, times in Counter(names).items() if times > 1}
