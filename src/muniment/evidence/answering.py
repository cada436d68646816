"""What a control catalogue comes to for one model: item by item, with the facts and the records it rests on. Pure.

1. An item is split into what must all hold (the conjuncts of its query); each is judged over the facts.
2. All of them hold: *answered*; or *partly*, when the item says what its query does not show.
3. Some of them hold: *partly*. What a report says of itself does not count here, because it always holds, nor does what
   holds as long as nothing happened (``not``, ``= 0``, ``= false``). None holds: *unanswered*. No query: *open*.
4. The grade of an answer is the weakest grade among the facts that were found for it; without a fact it has none.

An answer never says that a requirement is met. It says that records exist which speak to it, and what they say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from muniment.evidence.catalogue import REPORT_FACTS, Catalogue, Item
from muniment.inventory.facts.fact import Fact, Facts
from muniment.kernel.expressions import (
    Comparator,
    Comparison,
    Expression,
    Not,
    Number,
    Outcome,
    Presence,
    Truth,
    conjuncts,
    evaluate,
)
from muniment.kernel.grade import Grade, weakest

__all__ = ["Answered", "ItemAnswer", "Piece", "Status", "answer", "counts", "report_facts"]


class Status(StrEnum):
    """What an item comes to."""

    ANSWERED = "answered"
    PARTLY = "partly"
    UNANSWERED = "unanswered"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that must hold for an item to be answered."""

    text: str
    """In its normal form."""

    outcome: Outcome
    why: str
    """What was found, or why nothing can be said."""

    speaks: bool
    """Whether it says something by itself: it asks about the model, and cannot hold because nothing happened."""


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """What one item comes to."""

    item: Item
    status: Status
    pieces: tuple[Piece, ...]
    facts: tuple[Fact, ...]
    """What was found, in the order of the query."""

    grade: Grade | None
    """The weakest of the facts; None when nothing was found."""

    missing: tuple[str, ...]
    """What does not hold or is not recorded, in words, the facts that lack for one reason together."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a catalogue comes to."""

    catalogue: Catalogue
    items: tuple[ItemAnswer, ...]


def answer(catalogue: Catalogue, facts: Mapping[str, Fact]) -> Answered:
    """Judge every item of a catalogue over the facts of a model, and of the report.

    Args:
        catalogue: what is asked.
        facts: what is known of the model, and ``report_facts``.
    """
    return Answered(catalogue, tuple(_item(item, facts) for item in catalogue.items))


def report_facts(catalogue: Catalogue, entries: int) -> dict[str, Fact]:
    """What a report says of itself.

    Args:
        catalogue: what it is made by.
        entries: size of the checkpoint it rests on.
    """
    record = f"checkpoint:{entries}"
    known: dict[str, tuple[str | int, str, str]] = {
        "report.catalogue": (catalogue.id, str(catalogue.digest), "the catalogue of this report"),
        "report.version": (catalogue.version, str(catalogue.digest), "its version"),
        "report.effective_from": (catalogue.effective_from.isoformat(), str(catalogue.digest), "when it applies"),
        "report.checkpoint": (entries, record, "entries of the ledger that this report rests on"),
    }
    return {name: Fact(name, value, Grade.PROVEN, of, text) for name, (value, of, text) in known.items()}


def counts(answers: Iterable[ItemAnswer]) -> dict[str, int]:
    """How many items have each status; every status is named."""
    found = Counter(one.status for one in answers)
    return {status.value: found[status] for status in Status}


def _item(item: Item, facts: Mapping[str, Fact]) -> ItemAnswer:
    if item.query is None:
        return ItemAnswer(item, Status.OPEN, (), (), None, ())
    pieces = tuple(_piece(part, facts) for part in conjuncts(item.query))
    used = dict.fromkeys(name for test in item.query.tests() for name in test.asked())
    found = tuple(facts[name] for name in used if name in facts)
    grade = weakest(fact.grade for fact in found) if found else None
    return ItemAnswer(item, _status(item, pieces), pieces, found, grade, _missing(item.query, pieces, facts))


def _status(item: Item, pieces: tuple[Piece, ...]) -> Status:
    held = [piece for piece in pieces if piece.outcome is Outcome.YES]
    if len(held) == len(pieces):
        return Status.PARTLY if item.gap else Status.ANSWERED
    return Status.PARTLY if any(piece.speaks for piece in held) else Status.UNANSWERED


def _piece(part: Expression, facts: Mapping[str, Fact]) -> Piece:
    judged = evaluate(part, {name: facts[name].value for name in part.names if name in facts})
    reasons = []
    for test, one in zip(part.tests(), judged.parts, strict=True):
        missing = [name for name in test.asked() if name not in facts]
        reasons += [_absence(name, facts) for name in missing] or [one.why]
    speaks = not (part.names <= REPORT_FACTS.keys() or _idle(part))
    return Piece(str(part), judged.outcome, "; ".join(dict.fromkeys(reasons)), speaks)


def _idle(part: Expression) -> bool:
    """Whether it holds of a model to which nothing ever happened."""
    nothing = (Number(Decimal(0)), Truth(False))
    match part:
        case Not() | Presence(_, False):
            return True
        case Comparison(_, Comparator.EQUAL, operand):
            return operand in nothing
    return False


def _missing(query: Expression, pieces: tuple[Piece, ...], facts: Mapping[str, Fact]) -> tuple[str, ...]:
    absent: dict[str, list[str]] = {}
    contrary = []
    for part, piece in zip(conjuncts(query), pieces, strict=True):
        if piece.outcome is Outcome.YES:
            continue
        lacking = [name for test in part.tests() for name in test.asked() if name not in facts]
        for name in lacking:
            names = absent.setdefault(_why_absent(name, facts) or "not recorded", [])
            names += [name] if name not in names else []
        contrary += [] if lacking else [piece.why]
    return (*dict.fromkeys(contrary), *(f"{why} ({', '.join(names)})" for why, names in absent.items()))


def _absence(name: str, facts: Mapping[str, Fact]) -> str:
    why = _why_absent(name, facts)
    return f"{name} is not recorded" + (f": {why}" if why else "")


def _why_absent(name: str, facts: Mapping[str, Fact]) -> str:
    return facts.why_absent(name) if isinstance(facts, Facts) else ""
