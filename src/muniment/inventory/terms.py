"""What a signature is about besides who and which model: the terms of each act, read strictly, written one way. Pure.

What is recorded is what was signed: the verbs take the terms from the signed statement and from nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pkgutil import get_data
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from muniment.errors import Invalid
from muniment.inventory.lifecycle import EMERGENCY_LONGEST, Act, Outcome, Version
from muniment.kernel.canonical import digest_of
from muniment.kernel.identifiers import format_time, parse_time

__all__ = ["QUESTIONNAIRE", "months_after", "read_terms"]

_LONGEST: Final = 20_000
_MOST: Final = 100

QUESTIONNAIRE: Final[Mapping[str, Any]] = msgspec.json.decode(
    get_data("muniment.inventory", "determination.json") or b"{}"
)
"""The questions by which it is determined whether something is a model, and which answers come to what."""


class _Terms(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    pass


class Determination(_Terms, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The answers, and why."""

    answers: dict[str, bool]
    text: str = ""


class Submission(_Terms, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the validator should know."""

    note: str = ""


class Review(_Terms, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a validator looked at, and found."""

    outcome: str
    text: str
    scope: str = ""
    conceptual_soundness: str = ""


class Approval(_Terms, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """On which conditions, within which limits, and until when."""

    conditions: list[str] = field(default_factory=list)
    use_limits: list[str] = field(default_factory=list)
    expires: str | None = None


class Ending(_Terms, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Why it ends."""

    reason: str


class Emergency(_Terms, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Why the ordinary steps cannot be waited for, and for how many days."""

    reason: str
    days: int = EMERGENCY_LONGEST.days


_OF: Final[Mapping[Act, type[_Terms]]] = {
    Act.DETERMINE: Determination,
    Act.SUBMIT: Submission,
    Act.REVIEW: Review,
    Act.APPROVE: Approval,
    Act.REJECT: Ending,
    Act.RETIRE: Ending,
    Act.BREAK_GLASS: Emergency,
}


def read_terms(act: Act, given: Mapping[str, Any], version: Version, now: datetime) -> dict[str, Any]:
    """The terms of an act with everything filled in, as they are signed.

    Args:
        act: what shall be done.
        given: what the asker says; what he leaves out gets its default.
        version: the version that it is about; its tier sets the longest approval.
        now: the moment.

    Raises:
        Invalid: a term is missing, unknown, of another type or out of its bounds.
    """
    try:
        terms = msgspec.convert(dict(given), _OF[act])
    except msgspec.ValidationError as broken:
        raise Invalid(
            "MUNI-M131", f"these are not the terms of {act.value!r}", reason=str(broken)[:300], meaning=act.value
        ) from broken
    written: dict[str, Any] = msgspec.to_builtins(terms)
    for name, value in written.items():
        if isinstance(value, str):
            _check(name, value)
        elif isinstance(value, list):
            _check_list(name, value)
    if isinstance(terms, Determination):
        return written | _determined(terms)
    if isinstance(terms, Review) and (terms.outcome not in [*Outcome] or not terms.text.strip()):
        raise Invalid(
            "MUNI-M132",
            "a review says what came out and why",
            outcome=terms.outcome[:80],
            outcomes=[*map(str, Outcome)],
        )
    if isinstance(terms, (Ending, Emergency)) and not terms.reason.strip():
        raise Invalid("MUNI-M133", "this needs a reason", meaning=act.value)
    if isinstance(terms, Emergency) and not 1 <= terms.days <= EMERGENCY_LONGEST.days:
        longest = EMERGENCY_LONGEST.days
        raise Invalid("MUNI-M134", f"an emergency approval lasts 1 to {longest} days", days=terms.days)
    if isinstance(terms, Approval):
        written["expires"] = _expiry(terms.expires, int(version.requires.get("review_months", 12)), now)
    return written


def months_after(moment: datetime, months: int) -> datetime:
    """The same day so many months later, or the last day of that month where there is none."""
    years, month = divmod(moment.month - 1 + months, 12)
    for day in (moment.day, 30, 29, 28):
        try:
            return moment.replace(year=moment.year + years, month=month + 1, day=day)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")


def _determined(terms: Determination) -> dict[str, Any]:
    """What the answers come to, and by which questionnaire."""
    asked = [question["id"] for question in QUESTIONNAIRE["questions"]]
    if set(terms.answers) != set(asked):
        raise Invalid(
            "MUNI-M135",
            "every question of the questionnaire is answered, and no other",
            missing=sorted(set(asked) - set(terms.answers)),
            unknown=sorted(set(terms.answers) - set(asked))[:10],
            do="muni model questions lists them",
        )
    result = next(one["result"] for one in QUESTIONNAIRE["results"] if all(terms.answers[id_] for id_ in one["when"]))
    name = f"{QUESTIONNAIRE['id']}@{QUESTIONNAIRE['version']} {digest_of(dict(QUESTIONNAIRE))}"
    return {"result": result, "questionnaire": name}


def _expiry(text: str | None, months: int, now: datetime) -> str:
    latest = months_after(now, months)
    if text is None:
        return format_time(latest)
    expires = parse_time(text if "T" in text else f"{text}T23:59:59Z")
    if not now < expires <= latest:
        raise Invalid(
            "MUNI-M136",
            f"an approval of this tier ends within {months} months from now",
            expires=format_time(expires),
            latest=format_time(latest),
        )
    return format_time(expires)


def _check(name: str, text: str) -> None:
    if len(text) > _LONGEST:
        raise Invalid("MUNI-M137", f"{name} has at most {_LONGEST:,} characters", field=name, length=len(text))


def _check_list(name: str, texts: Sequence[Any]) -> None:
    if len(texts) > _MOST or not all(isinstance(one, str) and one.strip() for one in texts):
        raise Invalid("MUNI-M138", f"{name} is at most {_MOST} texts, none of them empty", field=name)
    for one in texts:
        _check(name, one)
