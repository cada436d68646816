"""The terms of a data set: how it is classified, what it may be used for, by which right and for how long. Pure.

Terms form a lattice: whatever is made of several data sets is under the strictest of their terms, whichever way they
are put together. Nothing that was stated is weakened by stating less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from muniment.catalog.growing import CLASSIFICATIONS
from muniment.errors import Invalid

__all__ = ["ANYTHING", "RIGHTS", "WEIGHED", "Terms", "obstacles", "read_terms", "strictest", "strictness", "wider"]

RIGHTS: Final[Mapping[str, frozenset[str]]] = {
    "no-training": frozenset({"train", "run", "suggest", "track"}),
    "no-scripts": frozenset({"run"}),
    "no-evaluation": frozenset({"evaluate", "explain"}),
    "no-prediction": frozenset({"predict", "publish", "lookup"}),
    "no-derivation": frozenset({"split", "transform", "join"}),
}
"""What a data set may be kept from, and the kinds of jobs that this stops.

``lookup`` is the reading of features online, and ``track`` a run elsewhere that says that it used the data.
"""

_ACCESS: Final = ("role", "grant")
_LONGEST: Final = 400
_MOST: Final = 50

HOUSEKEEPING: Final = frozenset(
    {
        "ingest", "profile", "split", "fingerprint", "overlap", "difference", "assess", "scan", "redact",
        "evaluate", "explain", "reproduce", "compare", "transform", "join", "publish", "skew", "drift",
        "read",
    }
)  # fmt: skip
"""Jobs that look after data or examine a model serve the purpose of what they work for, and need not name one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds of a data set; the default says nothing, and so allows everything."""

    classification: str = CLASSIFICATIONS[0]
    owners: frozenset[str] = frozenset()
    """Who answers for it."""

    purposes: frozenset[str] | None = None
    """What it may be used for; None for whatever the project does."""

    legal_basis: frozenset[str] = frozenset()
    """By which right it is processed."""

    forbids: frozenset[str] = frozenset()
    """Uses it is kept from: keys of ``RIGHTS``."""

    use_until: date | None = None
    """The right to use it ends with this day."""

    retention: date | None = None
    """It is kept until this day; from the next one on it is due to be deleted, and nothing may use it."""

    keep_until: date | None = None
    """A duty to keep it: nobody can destroy it up to this day."""

    access: str = "role"
    """``role``: whoever may use the project's data; ``grant``: only under a grant that a second person approved."""

    def document(self) -> dict[str, Any]:
        """The terms as canonical JSON holds them."""
        return {
            "classification": self.classification,
            "owners": sorted(self.owners),
            "purposes": None if self.purposes is None else sorted(self.purposes),
            "legal_basis": sorted(self.legal_basis),
            "rights": sorted(self.forbids),
            "use_until": _text(self.use_until),
            "retention": _text(self.retention),
            "keep_until": _text(self.keep_until),
            "access": self.access,
        }


ANYTHING: Final = Terms()
"""The terms of what nobody has said anything about."""


def strictest(terms: Iterable[Terms]) -> Terms:
    """The loosest terms that keep all of these: those of what is made of them together."""
    found = ANYTHING
    for one in terms:
        found = Terms(
            classification=max(found.classification, one.classification, key=strictness),
            owners=found.owners | one.owners,
            purposes=_fewer(found.purposes, one.purposes),
            legal_basis=found.legal_basis | one.legal_basis,
            forbids=found.forbids | one.forbids,
            use_until=_sooner(found.use_until, one.use_until),
            retention=_sooner(found.retention, one.retention),
            keep_until=_later(found.keep_until, one.keep_until),
            access=max(found.access, one.access, key=_ACCESS.index),
        )
    return found


def wider(before: Terms, after: Terms) -> tuple[str, ...]:
    """The fields in which the second terms allow something that the first do not."""
    both = strictest([before, after])
    return tuple(name for name in WEIGHED if getattr(after, name) != getattr(both, name))


WEIGHED: Final = ("classification", "purposes", "forbids", "use_until", "retention", "keep_until", "access")
"""Fields whose values are stricter or looser; the others say who and why."""


def strictness(classification: str) -> tuple[int, str]:
    """Sorts the stricter classification later; a word that is not one of ours is the strictest."""
    known = classification in CLASSIFICATIONS
    return (CLASSIFICATIONS.index(classification) if known else len(CLASSIFICATIONS), classification)


def obstacles(terms: Terms, kind: str, purposes: frozenset[str], now: datetime) -> Iterator[str]:
    """Why a job may not use data under these terms, in words; whether a grant is needed is not judged here.

    Args:
        terms: what holds of the data.
        kind: of the job.
        purposes: what the job is for, in whichever words it was said; empty when nothing was.
        now: the moment.
    """
    today = now.astimezone(UTC).date()
    if terms.purposes is not None:
        allowed = {one.casefold() for one in terms.purposes}
        said = ", ".join(sorted(terms.purposes)) or "nothing"
        if not purposes and kind not in HOUSEKEEPING:
            yield f"it may be used for {said}, and the job does not say what it is for"
        elif purposes and allowed.isdisjoint(one.casefold() for one in purposes):
            yield f"it may be used for {said}, not for {' or '.join(sorted(purposes))}"
    for right in sorted(terms.forbids):
        if kind in RIGHTS.get(right, ()):
            yield f"its terms say {right}"
    keeping = {"scan", "redact"}  # what looks for a person, or takes him out, serves the end of the data
    if terms.use_until is not None and today > terms.use_until and kind not in keeping:
        yield f"the right to use it ended on {terms.use_until}"
    if terms.retention is not None and today > terms.retention and kind not in keeping:
        yield f"it was to be kept until {terms.retention}, and is due to be deleted"


def read_terms(given: Mapping[str, Any], base: Terms = ANYTHING) -> Terms:
    """Terms as somebody states them; what he leaves out stays as it was.

    Args:
        given: ``classification``, ``owner``, ``purposes``, ``legal_basis``, ``rights``, ``use_until``, ``retention``,
            ``keep_until``, ``access``; None for what is not stated, and an empty list of purposes for any.
        base: the terms so far.

    Raises:
        Invalid: a value is none of those that the field can have.
    """
    stated = {name: value for name, value in given.items() if value is not None}
    changes: dict[str, Any] = {}
    if "classification" in stated:
        changes["classification"] = _one_of("classification", stated["classification"], CLASSIFICATIONS)
    if "access" in stated:
        changes["access"] = _one_of("access", stated["access"], _ACCESS)
    if "owner" in stated:
        changes["owners"] = frozenset(_texts("owner", [stated["owner"]]))
    if "purposes" in stated:
        changes["purposes"] = frozenset(_texts("purposes", stated["purposes"])) or None
    if "legal_basis" in stated:
        changes["legal_basis"] = frozenset(_texts("legal_basis", stated["legal_basis"]))
    if "rights" in stated:
        changes["forbids"] = frozenset(_one_of("rights", one, tuple(RIGHTS)) for one in stated["rights"])
    for name in ("use_until", "retention", "keep_until"):
        if name in stated:
            changes[name] = _day(name, stated[name])
    return replace(base, **changes)


def of_document(document: Mapping[str, Any]) -> Terms:
    """The inverse of ``Terms.document``."""
    purposes = document["purposes"]
    return Terms(
        classification=document["classification"],
        owners=frozenset(document["owners"]),
        purposes=None if purposes is None else frozenset(purposes),
        legal_basis=frozenset(document["legal_basis"]),
        forbids=frozenset(document["rights"]),
        use_until=_date(document["use_until"]),
        retention=_date(document["retention"]),
        keep_until=_date(document["keep_until"]),
        access=document["access"],
    )


def at_ingestion(facts: Mapping[str, Any]) -> Terms:
    """What was said when data came in; what cannot be read says nothing, for nobody checked it then."""
    purposes = [str(one) for one in facts.get("purposes") or () if str(one).strip()]
    basis = facts.get("legal_basis") or ()
    rights = facts.get("rights") or ()
    owner = facts.get("owner")
    return Terms(
        classification=str(facts.get("classification") or CLASSIFICATIONS[0]),
        owners=frozenset({str(owner)} if owner else ()),
        purposes=frozenset(purposes) or None,
        legal_basis=frozenset([basis] if isinstance(basis, str) else map(str, basis)),
        forbids=frozenset(one for one in ([rights] if isinstance(rights, str) else rights) if one in RIGHTS),
        retention=_readable(facts.get("retention")),
        use_until=_readable(facts.get("use_until")),
    )


def _fewer(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """The purposes in both, compared without regard to case; the spelling that sorts first stays."""
    if one is None or other is None:
        return other if one is None else one
    spelt: dict[str, str] = {}
    for text in sorted(one | other, reverse=True):
        spelt[text.casefold()] = text
    both = {text.casefold() for text in one} & {text.casefold() for text in other}
    return frozenset(spelt[text] for text in both)


def _sooner(one: date | None, other: date | None) -> date | None:
    return min((day for day in (one, other) if day is not None), default=None)


def _later(one: date | None, other: date | None) -> date | None:
    return max((day for day in (one, other) if day is not None), default=None)


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _readable(given: Any) -> date | None:
    try:
        return date.fromisoformat(str(given)[:10]) if given else None
    except ValueError:
        return None


def _day(field: str, given: str) -> date | None:
    """A day; ``never`` takes an end away."""
    if given == "never":
        return None
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise Invalid(
            "MUNI-W101", f"{given[:40]!r} is no day for {field}", field=field, given=given[:80], do="write 2030-12-31"
        ) from None


def _one_of(field: str, given: str, allowed: tuple[str, ...]) -> str:
    if given not in allowed:
        raise Invalid(
            "MUNI-W102",
            f"{given[:40]!r} is none of the values of {field}",
            field=field,
            given=given[:80],
            allowed=list(allowed),
        )
    return given


def _texts(field: str, given: Iterable[str]) -> list[str]:
    texts = [one.strip() for one in given]
    if len(texts) > _MOST or any(not 0 < len(one) <= _LONGEST for one in texts):
        raise Invalid(
            "MUNI-W103",
            f"{field} takes at most {_MOST} texts of 1 to {_LONGEST} characters",
            field=field,
            most=_MOST,
            longest=_LONGEST,
        )
    return texts
