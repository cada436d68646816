"""The life of a model version, as its records tell it, and what may happen next. Pure folds and rules.

``draft -> submitted -> in_validation -> approved -> retired``, or ``rejected`` on the way. A version that is approved
may be submitted again, for its approval ends on a day that was fixed with it; the approval in force stays in force
meanwhile. An emergency approval stands beside all that: it makes a version usable for some days and moves nothing on.

Nothing here looks at a clock or a store: the records come in, the state comes out, and what may not be is a Refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from muniment.inventory.model import Record, RecordKind
from muniment.kernel.identifiers import parse_time

__all__ = [
    "EMERGENCY_LONGEST",
    "EMERGENCY_WINDOW",
    "Act",
    "InForce",
    "Outcome",
    "Refusal",
    "State",
    "Usability",
    "Version",
    "fold",
    "missing",
    "next_step",
    "stale",
    "usable",
]


class State(StrEnum):
    """Where a version stands; values are only added."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    IN_VALIDATION = "in_validation"
    APPROVED = "approved"
    RETIRED = "retired"
    REJECTED = "rejected"

    @property
    def final(self) -> bool:
        """Whether nothing can happen to the version any more."""
        return self in (State.RETIRED, State.REJECTED)


class Act(StrEnum):
    """What a person may do to a version, by the meaning of the signature that it takes."""

    DETERMINE = "determined"
    """Says by answers whether it is a model, a non-model or an end-user tool."""

    SUBMIT = "submitted for validation"
    REVIEW = "validated"
    APPROVE = "approved"
    REJECT = "rejected"
    RETIRE = "retired"
    BREAK_GLASS = "break-glass"


class Outcome(StrEnum):
    """What a validator found."""

    SATISFACTORY = "satisfactory"
    WITH_FINDINGS = "satisfactory with findings"
    UNSATISFACTORY = "unsatisfactory"


EMERGENCY_WINDOW: Final = timedelta(hours=24)
"""Both signatures of a break-glass are made within this time."""

EMERGENCY_LONGEST: Final = timedelta(days=7)
"""An emergency approval ends after this at the latest."""

_FROM: Final[Mapping[Act, frozenset[State]]] = {
    Act.DETERMINE: frozenset({State.DRAFT, State.SUBMITTED, State.IN_VALIDATION, State.APPROVED}),
    Act.SUBMIT: frozenset({State.DRAFT, State.IN_VALIDATION, State.APPROVED}),
    Act.REVIEW: frozenset({State.SUBMITTED, State.IN_VALIDATION}),
    Act.APPROVE: frozenset({State.SUBMITTED, State.IN_VALIDATION}),
    Act.REJECT: frozenset({State.SUBMITTED, State.IN_VALIDATION}),
    Act.RETIRE: frozenset({State.DRAFT, State.SUBMITTED, State.IN_VALIDATION, State.APPROVED}),
    Act.BREAK_GLASS: frozenset({State.DRAFT, State.SUBMITTED, State.IN_VALIDATION, State.APPROVED}),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something may not be, and what can be done about it."""

    because: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class InForce:
    """An approval that was completed."""

    records: tuple[Record, ...]
    """The approvals, or for an emergency the one that the second signature made."""

    since: datetime
    expires: datetime

    @property
    def conditions(self) -> tuple[str, ...]:
        """What every approver asked for, each once, in order."""
        return _each(self.records, "conditions")

    @property
    def use_limits(self) -> tuple[str, ...]:
        """The limits of use that any approver set."""
        return _each(self.records, "use_limits")

    @property
    def record(self) -> Record:
        """The record that completed it."""
        return self.records[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A registered version: what its records come to."""

    registration: Record
    determination: Record | None = None
    tier: Record | None = None
    state: State = State.DRAFT
    """Of the ordinary steps; an emergency does not change it."""

    since: datetime
    """When it came into this state."""

    submission: Record | None = None
    """That is now looked at, or was last."""

    reviews: tuple[Record, ...] = ()
    """Of this submission, in order."""

    approvals: tuple[Record, ...] = ()
    """Of this submission, in order; not those of an emergency."""

    in_force: InForce | None = None
    """The last completed approval; whether it has ended is a question of the clock."""

    emergency: InForce | None = None
    """The last emergency approval."""

    broken: tuple[Record, ...] = ()
    """Break-glass signatures, in order."""

    promotion: Record | None = None
    """By which it came from another project, the last one; it is decided on there."""

    end: Record | None = None
    """The rejection or retirement."""

    steps: int = 0
    """How many steps its life has had: the next one is numbered by it."""

    @property
    def digest(self) -> str:
        """Digest of the model."""
        return self.registration.subject

    @property
    def manifest(self) -> str:
        """Digest of the signed model manifest: what signatures are about."""
        return str(self.registration.body["manifest"])

    @property
    def model_kind(self) -> str:
        """As determined, else as registered."""
        told = (self.determination or self.registration).body
        return str(told["result"] if self.determination else told["model_kind"])

    @property
    def level(self) -> int:
        """Materiality tier; 1, the highest, as long as none was worked out."""
        return int(self.tier.body["level"]) if self.tier else 1

    @property
    def requires(self) -> Mapping[str, Any]:
        """What its tier asks for."""
        return self.tier.body["requires"] if self.tier else {}

    @property
    def required(self) -> int:
        """How many people must approve it."""
        return int(self.requires.get("approvals", 1))

    @property
    def approvers(self) -> tuple[str, ...]:
        """Who approved the submission that is looked at, or was last; for a promoted version, who did where it came
        from.
        """
        if self.promotion is not None:
            return tuple(map(str, self.promotion.body["approved_by"]))
        return tuple(sorted({record.by for record in self.approvals}))

    @property
    def validated(self) -> bool:
        """Whether the last review of this submission was not unsatisfactory."""
        return bool(self.reviews) and self.reviews[-1].body["outcome"] != Outcome.UNSATISFACTORY

    def emergency_at(self, now: datetime) -> bool:
        """Whether an emergency approval makes it usable at this moment."""
        return self.emergency is not None and now < self.emergency.expires and not self.state.final

    def state_at(self, now: datetime) -> State:
        """The state as people see it: an emergency counts as approved while it lasts."""
        return State.APPROVED if self.emergency_at(now) else self.state

    def expired_at(self, now: datetime) -> bool:
        """Whether it was approved, and that has ended."""
        return self.in_force is not None and now >= self.in_force.expires and not self.emergency_at(now)


def fold(records: Iterable[Record]) -> Version | None:
    """What the records about one version come to; None when it was never registered.

    The order is that of the steps, which each record of a life is numbered by; where nothing is numbered, of time.
    """
    version: Version | None = None
    for record in sorted(records, key=_step):
        if record.kind is RecordKind.REGISTRATION:
            version = _registered(version, record)
        elif version is not None and record.kind in _ADVANCE:
            version = _ADVANCE[record.kind](version, record)
        if version is not None and record.kind in _NUMBERED:
            version = replace(version, steps=max(version.steps, int(record.body.get("step", 0)) + 1))
    return version


def next_step(version: Version | None) -> int:
    """The number of the next step of a life."""
    return version.steps if version else 0


def missing(version: Version, act: Act) -> Refusal | None:
    """Why a version may not take a step now; None when it may, as far as its own records go."""
    if version.promotion is not None and act is not Act.RETIRE and not version.state.final:
        source = version.promotion.body["source"]
        return Refusal(f"it was promoted from project {source}", "decide on it there, then promote it again")
    if version.state not in _FROM[act]:
        return Refusal(f"it is {version.state}", _WHAT_NOW.get((act, version.state), ""))
    if act is Act.SUBMIT and version.state is State.IN_VALIDATION and (not version.reviews or version.validated):
        return Refusal("it is being validated", "wait for the review, or have it rejected")
    if act is Act.APPROVE and "validation" in version.requires.get("steps", ["validation"]):
        if not version.reviews:
            return Refusal("nobody has validated it", "muni model review MODEL, as a validator")
        if not version.validated:
            outcome = version.reviews[-1].body["outcome"]
            return Refusal(f"its validation came out {outcome}", "submit it again: muni model submit MODEL")
    return None


def stale(at: datetime, now: datetime, days: int) -> bool:
    """Whether something said at a moment is older than a rule allows."""
    return now - at > timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Usability:
    """Whether a version may be used, and why."""

    usable: bool
    emergency: bool
    because: tuple[str, ...]
    expires: datetime | None = None
    conditions: tuple[str, ...] = ()
    use_limits: tuple[str, ...] = ()


def usable(version: Version | None, now: datetime, *, high: int = 0, overdue: int = 0) -> Usability:
    """Whether a version may be used at this moment.

    Args:
        version: the version; None when it was never registered.
        now: the moment.
        high: open findings of high severity.
        overdue: reviews past their day.
    """
    if version is None:
        return Usability(False, False, ("it is not in the inventory",))
    if version.state.final and version.end is not None:
        return Usability(False, False, (f"{version.state} on {version.end.at:%Y-%m-%d} by {version.end.by}",))
    standing = version.in_force
    if standing is not None and now < standing.expires and not high and not overdue:
        return _used(standing, False, f"approved on {standing.since:%Y-%m-%d}")
    emergency = version.emergency
    if emergency is not None and now < emergency.expires:
        return _used(emergency, True, f"emergency approval until {emergency.expires:%Y-%m-%d %H:%M} UTC")
    because = []
    if standing is None:
        because.append(f"it is {version.state}, not approved")
    elif now >= standing.expires:
        because.append(f"its approval expired on {standing.expires:%Y-%m-%d}")
    if emergency is not None:
        because.append(f"its emergency approval ended on {emergency.expires:%Y-%m-%d}")
    if high:
        because.append(f"{high} high finding{'s' if high > 1 else ''} open")
    if overdue:
        because.append(f"{overdue} review{'s' if overdue > 1 else ''} overdue")
    return Usability(False, False, tuple(because), standing.expires if standing else None)


def _used(standing: InForce, emergency: bool, because: str) -> Usability:
    return Usability(True, emergency, (because,), standing.expires, standing.conditions, standing.use_limits)


_WHAT_NOW: Final[Mapping[tuple[Act, State], str]] = {
    (Act.REVIEW, State.DRAFT): "submit it first: muni model submit MODEL",
    (Act.APPROVE, State.DRAFT): "submit it first: muni model submit MODEL",
    (Act.REJECT, State.DRAFT): "retire it instead: muni model retire MODEL",
    (Act.APPROVE, State.APPROVED): "nothing is left to do; to renew the approval submit it again",
    (Act.REVIEW, State.APPROVED): "submit it again: muni model submit MODEL",
    (Act.REJECT, State.APPROVED): "retire it instead: muni model retire MODEL",
    (Act.SUBMIT, State.SUBMITTED): "it waits for a validator: muni model review MODEL",
}


def _registered(version: Version | None, record: Record) -> Version:
    """A registration takes the place of an earlier one while the version is a draft, and is ignored afterwards."""
    if version is None:
        return Version(registration=record, since=record.at)
    return replace(version, registration=record) if version.state is State.DRAFT else version


def _submitted(version: Version, record: Record) -> Version:
    return replace(version, state=State.SUBMITTED, since=record.at, submission=record, reviews=(), approvals=())


def _reviewed(version: Version, record: Record) -> Version:
    moved = version if version.state is State.IN_VALIDATION else replace(version, since=record.at)
    return replace(moved, state=State.IN_VALIDATION, reviews=(*version.reviews, record))


def _approved(version: Version, record: Record) -> Version:
    if record.body["emergency"]:
        expires = parse_time(record.body["expires"])
        return replace(version, emergency=InForce((record,), record.at, expires))
    together = (*version.approvals, record)
    if not record.body["completes"]:
        return replace(version, approvals=together)
    counted = {*record.body["counted"], record.id}
    standing_by = tuple(one for one in together if one.id in counted)
    expires = min(parse_time(one.body["expires"]) for one in standing_by)
    standing = InForce(standing_by, record.at, expires)
    return replace(
        version, approvals=together, state=State.APPROVED, since=record.at, in_force=standing, emergency=None
    )


def _promoted(version: Version, record: Record) -> Version:
    """It is approved here as it is there; an emergency stands beside the state here too."""
    if version.state.final:
        return version
    standing = InForce((record,), record.at, parse_time(record.body["expires"]))
    if record.body["emergency"]:
        return replace(version, promotion=record, emergency=standing)
    since = version.since if version.state is State.APPROVED else record.at
    return replace(version, promotion=record, state=State.APPROVED, since=since, in_force=standing, emergency=None)


def _ended(version: Version, record: Record) -> Version:
    state = State.REJECTED if record.kind is RecordKind.REJECTION else State.RETIRED
    return version if version.state.final else replace(version, state=state, since=record.at, end=record)


_ADVANCE: Final[Mapping[RecordKind, Callable[[Version, Record], Version]]] = {
    RecordKind.DETERMINATION: lambda version, record: replace(version, determination=record),
    RecordKind.TIER: lambda version, record: replace(version, tier=record),
    RecordKind.SUBMISSION: _submitted,
    RecordKind.REVIEW: _reviewed,
    RecordKind.APPROVAL: _approved,
    RecordKind.REJECTION: _ended,
    RecordKind.RETIREMENT: _ended,
    RecordKind.PROMOTION: _promoted,
    RecordKind.BREAK_GLASS: lambda version, record: replace(version, broken=(*version.broken, record)),
}
_NUMBERED: Final = frozenset({RecordKind.REGISTRATION, *_ADVANCE})


def _step(record: Record) -> tuple[int, datetime, str]:
    return int(record.body.get("step", 0)), record.at, record.id


def _each(records: Sequence[Record], field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for record in records for text in record.body[field]))
