"""What a signature can mean that moves no version on, with the terms of each, read strictly and written one way. Pure.

Such a statement is about one version, or about how a project manages the risk of all its models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from muniment.errors import Invalid
from muniment.inventory.citing import day, one_of, text_of
from muniment.inventory.lifecycle import Outcome
from muniment.kernel.digest import Digest

__all__ = ["Area", "Meaning", "read_meaning"]

_SHORT: Final = 300
_MOST: Final = 100


class Meaning(StrEnum):
    """What is signed, in words; values are only added."""

    ACKNOWLEDGED = "read and understood"
    """The instructions for use of a version, by their digest."""

    EXAMINED = "examined"
    """By internal audit: a version, or how the project manages model risk."""

    STATED = "stated as governance"
    """The board's appetite, the accountable senior manager, the policy."""

    LAID = "laid before the board"
    """A report, by its digest, on a day."""


class Area(StrEnum):
    """What an examination looks at."""

    RECORDS = "records"
    """Whether they are complete and say what happened."""

    VALIDATION = "validation"
    """Whether it is independent, and deep enough."""

    APPROVAL = "approval"
    """Whether those approve who may, on what was shown."""

    FINDINGS = "findings"
    """Whether what was found is remedied in time."""

    DATA = "data"
    LEDGER = "ledger"
    """The log of the platform: whether it is whole, and what it tells of."""

    POLICIES = "policies"
    """Who may do what, and whether the institution's policy is kept."""

    INVENTORY = "inventory"
    """Whether every model is in it, with owner, tier and state."""


class _Terms(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    pass


class Acknowledgement(_Terms, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Which text was read."""

    instructions: str


class Examination(_Terms, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What was examined over which time, what came out, and when the next one is due."""

    scope: list[str]
    period_from: str
    period_to: str
    outcome: str
    text: str
    next_due: str
    recommendations: list[str] = field(default_factory=list)


class Governance(_Terms, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the board decided on a day."""

    appetite: str
    accountable: str
    policy: str
    adopted: str
    text: str = ""


class Laid(_Terms, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Which report, before whom, on which day."""

    report: str
    day: str
    before: str = "board"
    note: str = ""


_OF: Final[Mapping[Meaning, type[_Terms]]] = {
    Meaning.ACKNOWLEDGED: Acknowledgement,
    Meaning.EXAMINED: Examination,
    Meaning.STATED: Governance,
    Meaning.LAID: Laid,
}


def read_meaning(meaning: Meaning, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The terms of a statement with everything filled in, as they are signed.

    Args:
        meaning: what is signed.
        given: what the asker says; what he leaves out gets its default.
        now: the moment.

    Raises:
        Invalid: a term is missing, unknown, of another type or out of its bounds.
    """
    try:
        terms = msgspec.convert(dict(given), _OF[meaning])
    except msgspec.ValidationError as broken:
        raise Invalid(
            "MUNI-M170",
            f"these are not the terms of {meaning.value!r}",
            reason=str(broken)[:300],
            meaning=meaning.value,
        ) from broken
    match terms:
        case Acknowledgement():
            written: dict[str, Any] = {"instructions": str(Digest(terms.instructions))}
        case Examination():
            written = _examination(terms, now)
        case Governance():
            written = {
                "appetite": text_of(terms.appetite, "appetite"),
                "accountable": _short(terms.accountable, "accountable"),
                "policy": _short(terms.policy, "policy"),
                "adopted": _past(terms.adopted, "adopted", now).isoformat(),
                "text": text_of(terms.text, "text", least=0),
            }
        case Laid():
            written = {
                "report": str(Digest(terms.report)),
                "day": _past(terms.day, "day", now).isoformat(),
                "before": _short(terms.before, "before"),
                "note": text_of(terms.note, "note", least=0),
            }
    return written


def _examination(terms: Examination, now: datetime) -> dict[str, Any]:
    if not terms.scope or len(set(terms.scope)) != len(terms.scope):
        raise Invalid(
            "MUNI-M171", "an examination says what it looked at, each area once", areas=[area.value for area in Area]
        )
    begin, end = day(terms.period_from, "period_from"), _past(terms.period_to, "period_to", now)
    if begin > end:
        raise Invalid("MUNI-M172", "a period begins before it ends", period_from=str(begin), period_to=str(end))
    due = day(terms.next_due, "next_due")
    if due <= now.date():
        raise Invalid("MUNI-M173", "the next examination is due after today", next_due=terms.next_due)
    return {
        "scope": sorted(one_of(Area, area, "area").value for area in terms.scope),
        "period_from": begin.isoformat(),
        "period_to": end.isoformat(),
        "outcome": one_of(Outcome, terms.outcome, "outcome").value,
        "text": text_of(terms.text, "text"),
        "recommendations": _texts(terms.recommendations),
        "next_due": due.isoformat(),
    }


def _past(given: str, name: str, now: datetime) -> date:
    found = day(given, name)
    if found > now.date():
        raise Invalid("MUNI-M174", "that day has not come yet", field=name, given=given, today=str(now.date()))
    return found


def _short(given: str, name: str) -> str:
    text = text_of(given, name)
    if len(text) > _SHORT:
        raise Invalid("MUNI-M175", f"{name} has at most {_SHORT} characters", field=name, characters=len(text))
    return text


def _texts(given: Sequence[str]) -> list[str]:
    if len(given) > _MOST:
        raise Invalid("MUNI-M176", f"there are at most {_MOST} recommendations", recommendations=len(given))
    return [text_of(one, "recommendation") for one in given]
