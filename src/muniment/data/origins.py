"""Where data come from and under which terms, as whoever adds them says. Pure.

A connector on the asker's machine read the source, so what it says of it is *declared*; what is proven is which bytes
came, by their digest. Nothing that looks like a secret is kept.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from muniment.errors import Invalid
from muniment.kernel.identifiers import format_time, parse_time
from muniment.wire import data as wire

__all__ = ["INHERITED", "RIGHTS", "inherited", "origin_facts", "terms_facts"]

KINDS: Final = ("file", "s3", "postgresql", "sqlite", "odbc", "delta", "iceberg")
RIGHTS: Final = ("no-derivation", "no-evaluation", "no-prediction", "no-scripts", "no-training")
"""What a data set may be kept from."""

INHERITED: Final = ("classification", "owner", "purposes", "legal_basis", "rights", "use_until", "retention")
"""Facts of a snapshot that hold of its parts too."""

_LONGEST: Final = 400
_LONGEST_QUERY: Final = 20_000
_MOST: Final = 50
_DURATION: Final = re.compile(r"(?:P)?([1-9][0-9]{0,4}) ?([dwmy])", re.IGNORECASE)
_SECRET: Final = re.compile(r"://[^/@\s]*:[^/@\s]*@|(?:password|passwd|pwd|secret|token)\s*=", re.IGNORECASE)


def origin_facts(origin: wire.Origin) -> dict[str, Any]:
    """The origin as it is kept.

    Raises:
        Invalid: the kind is unknown, a text is too long, a moment is none, or a secret is in the location.
    """
    if origin.kind not in KINDS:
        raise Invalid(
            "MUNI-J150", f"{origin.kind[:40]!r} is no kind of source", given=origin.kind[:80], kinds=list(KINDS)
        )
    if _SECRET.search(origin.location):
        raise Invalid(
            "MUNI-J151", "a password stands in the location of the source", do="leave it out: PGPASSWORD, or ~/.pgpass"
        )
    facts: dict[str, Any] = {"kind": origin.kind, "location": _text("location", origin.location), "grade": "declared"}
    if origin.query is not None:
        facts["query"] = _text("query", origin.query, _LONGEST_QUERY)
    if origin.version is not None:
        facts["version"] = _text("version", origin.version)
    if origin.at is not None:
        facts["at"] = format_time(parse_time(origin.at))
    if origin.read_at is not None:
        facts["read_at"] = format_time(parse_time(origin.read_at))
    if origin.details:
        if len(origin.details) > _MOST:
            raise Invalid("MUNI-J152", f"at most {_MOST} details of a source are kept", given=len(origin.details))
        facts["details"] = {_text("detail", name): _text(name[:80], value) for name, value in origin.details.items()}
    return facts


def terms_facts(request: wire.AddDataset, moment: datetime) -> dict[str, Any]:
    """The terms as they are kept, in the one form that every room reads; what was not said is left out.

    Raises:
        Invalid: a word is none of those that count, or a day is none.
    """
    strangers = sorted(set(request.rights) - set(RIGHTS))
    if strangers:
        raise Invalid(
            "MUNI-J153", f"{strangers[0][:40]!r} is no limit of use", given=strangers[0][:80], allowed=list(RIGHTS)
        )
    facts: dict[str, Any] = {
        "classification": request.classification,
        "owner": None if request.owner is None else _text("owner", request.owner),
        "purposes": _texts("purpose", request.purposes),
        "legal_basis": _texts("legal basis", request.legal_basis),
        "rights": sorted(set(request.rights)),
        "use_until": None if request.use_until is None else _day("use_until", request.use_until, moment),
        "retention": None if request.retention is None else _day("retention", request.retention, moment),
    }
    return {name: value for name, value in facts.items() if value}


def inherited(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a snapshot that its parts take over."""
    return {name: facts[name] for name in INHERITED if facts.get(name)}


def _text(what: str, given: str, longest: int = _LONGEST) -> str:
    if not given.strip() or len(given) > longest:
        raise Invalid(
            "MUNI-J154",
            f"{what[:80]} takes a text of 1 to {longest} characters",
            field=what[:80],
            characters=len(given),
        )
    return given


def _texts(what: str, given: list[str]) -> list[str]:
    if len(given) > _MOST:
        raise Invalid("MUNI-J155", f"at most {_MOST} texts are kept", field=what, given=len(given))
    return [_text(what, one) for one in given]


def _day(what: str, given: str, moment: datetime) -> str:
    """A day as ``2036-11-26``: as it is given, or so far from now as ``10y``, ``P10Y``, ``6m`` or ``90d`` say."""
    try:
        if match := _DURATION.fullmatch(given):
            return _later(moment.date(), int(match[1]), match[2].lower()).isoformat()
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", given):
            raise ValueError(given)
        return date.fromisoformat(given).isoformat()
    except (ValueError, OverflowError):
        raise Invalid(
            "MUNI-J156",
            f"{given[:40]!r} is neither a day nor a duration",
            field=what,
            given=given[:80],
            do="write 2036-11-26, or 10y, 6m, 2w, 90d",
        ) from None


def _later(day: date, count: int, unit: str) -> date:
    if unit in "dw":
        return day + timedelta(days=count * (7 if unit == "w" else 1))
    months = day.month - 1 + count * (12 if unit == "y" else 1)
    year, month = day.year + months // 12, months % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
