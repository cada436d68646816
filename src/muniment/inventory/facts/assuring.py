"""From what was stated about risk, instructions, audit, governance and impact to facts about a version. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Final

from muniment.inventory.facts.fact import Absent, Fact, Facts
from muniment.inventory.facts.instructions import acknowledgements, instructions_of
from muniment.inventory.facts.known import Known
from muniment.inventory.facts.risks import judge_risks, risk_facts, risks_in
from muniment.inventory.meanings import Area
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.terms import months_after
from muniment.kernel.grade import Grade

__all__ = ["SIDES", "Scope", "risk_side", "still_current"]

Found = Iterator[Fact | Absent]

_REPORTED: Final = 12
"""Months for which a report to the board stands."""


class Scope:
    """What an assessment of impact speaks of."""

    RIGHTS: Final = "fundamental rights"
    DATA: Final = "data protection"
    SOCIETY: Final = "people and society"
    ALL: Final = (RIGHTS, DATA, SOCIETY)


def risk_side(known: Known, facts: Facts) -> Found:
    """The risk register, over what else is known."""
    judged = judge_risks(risks_in([*known.case_records, *known.records]), known.gates, facts)
    yield from risk_facts(judged, str(known.model.digest))


def still_current(reported: date, at: datetime) -> bool:
    """Whether a report that was laid before the board on a day still stands at a moment."""
    end = months_after(datetime(reported.year, reported.month, reported.day, tzinfo=UTC), _REPORTED)
    return at.astimezone(UTC).date() <= end.date()


def _instructions(known: Known) -> Found:
    written = instructions_of(known)
    if written is None or known.version is None:
        yield Absent("instructions.", "it is not registered")
        return
    record = str(known.version.registration.digest)
    text = (
        f"{written.digest}; it tells nothing of: {', '.join(written.missing)}"
        if written.missing
        else str(written.digest)
    )
    yield Fact("instructions.present", not written.missing, Grade.PROVEN, record, text)
    read = acknowledgements(known.records, known.parties.authors)
    current = [one for one in read.values() if one.body["instructions"] == written.digest]
    record = str(current[-1].digest) if current else record
    text = (
        f"by {', '.join(sorted(one.by for one in current))}"[:300] if current else "nobody acknowledged the text of now"
    )
    grade = Grade.ATTESTED if current else Grade.PROVEN
    yield Fact("instructions.acknowledged", len(current), grade, record, text)
    if read:
        late = sorted(by for by, one in read.items() if one not in current)
        record = str(max(read.values(), key=lambda one: one.id).digest)
        text = (
            f"an older text was read by {', '.join(late)}"[:300] if late else "all who read them read the text of now"
        )
        yield Fact("instructions.current", not late, Grade.PROVEN, record, text)
    else:
        yield Absent("instructions.current", "nobody has acknowledged the instructions")


def _audit(known: Known) -> Found:
    told = sorted((*known.records, *known.office), key=lambda record: record.id)
    found = [r for r in told if r.kind is RecordKind.EXAMINATION]
    apart = [r for r in found if not known.parties.why(r.by.partition(":")[2])]
    if not apart:
        why = (
            "who examined it had a part in it"
            if found
            else "internal audit examined neither it nor the management of model risk"
        )
        yield Absent("audit.", why)
        return
    last = apart[-1]
    whole = "how the project manages model risk" if last in known.office else "the version"
    text = f"{whole}: {', '.join(last.body['scope'])}, by {last.by}"[:300]
    yield Fact("audit.examined", True, last.grade, str(last.digest), text)
    yield Fact("audit.outcome", str(last.body["outcome"]), last.grade, str(last.digest), text)
    yield Fact("audit.last", last.at.date().isoformat(), Grade.PROVEN, str(last.digest), text)
    yield Fact("audit.overdue", _over(last, known.at), Grade.PROVEN, str(last.digest), f"due {last.body['next_due']}")
    current = still_current(last.at.date(), known.at)
    yield Fact("audit.current", current, Grade.PROVEN, str(last.digest), f"the newest is of {last.at:%Y-%m-%d}")
    intime = [r for r in apart if not _over(r, known.at)]
    areas = sorted({area for r in intime for area in r.body["scope"]})
    yield Fact("audit.scope", areas, last.grade, str(last.digest), f"of {len(intime)} examinations")
    yield from _in_time("audit.management", [r for r in apart if r in known.office], known, "how model risk is managed")
    logs = [r for r in apart if Area.LEDGER in r.body["scope"]]
    yield from _in_time("audit.log_reviewed", logs, known, "the ledger", yearly=True)


def _in_time(name: str, examined: Sequence[Record], known: Known, what: str, *, yearly: bool = False) -> Found:
    """Whether the newest of these examinations is in time, and where that is asked for within the year; absent without
    one.
    """
    if not examined:
        yield Absent(name, f"no examination looked at {what}")
        return
    last = examined[-1]
    text = f"on {last.at:%Y-%m-%d} by {last.by}, again by {last.body['next_due']}"
    good = not _over(last, known.at) and (not yearly or still_current(last.at.date(), known.at))
    yield Fact(name, good, last.grade, str(last.digest), text)


def _governance(known: Known) -> Found:
    stated = _last(known.office, RecordKind.GOVERNANCE)
    if stated is None:
        yield Absent("governance.", "nothing is stated about how the board governs model risk")
    else:
        text = f"adopted {stated.body['adopted']}, recorded by {stated.by}"
        for name in ("appetite", "accountable", "policy"):
            value = str(stated.body[name])[:300]
            yield Fact(f"governance.{name}", value, stated.grade, str(stated.digest), text)
    laid = [r for r in known.office if r.kind is RecordKind.BOARD_REPORT]
    if not laid:
        yield Absent("board.", "no report was laid before the board")
        return
    newest = max(laid, key=lambda record: (record.body["day"], record.id))
    text = f"before the {newest.body['before']}, {newest.body['report']}"[:300]
    yield Fact("board.reported", str(newest.body["day"]), newest.grade, str(newest.digest), text)
    current = still_current(date.fromisoformat(newest.body["day"]), known.at)
    yield Fact("board.current", current, Grade.PROVEN, str(newest.digest), f"laid on {newest.body['day']}")


def _impact(known: Known) -> Found:
    told = [r for r in known.case_records if r.kind is RecordKind.IMPACT_ASSESSMENT]
    if not told:
        yield Absent("impact.", "the impact of its use case was not assessed")
        return
    last = told[-1]
    newest = {scope: record for record in told for scope in record.body["scopes"]}
    text = f"{last.subject}, by {last.by}"
    yield Fact("impact.assessed", sorted(newest), last.grade, str(last.digest), text)
    yield Fact("impact.last", last.at.date().isoformat(), Grade.PROVEN, str(last.digest), text)
    late = sorted(scope for scope, record in newest.items() if _over(record, known.at))
    text = f"overdue: {', '.join(late)}" if late else "none is overdue"
    yield Fact("impact.overdue", bool(late), Grade.PROVEN, str(last.digest), text)
    rights = [r for r in told if Scope.RIGHTS in r.body["scopes"]]
    if not rights:
        yield Absent("impact.before_use", "it was not assessed for fundamental rights")
        return
    approved = _first_approval(known)
    before = approved is None or rights[0].at <= approved.at
    text = f"assessed {rights[0].at:%Y-%m-%d}, " + (
        f"approved {approved.at:%Y-%m-%d}" if approved else "not approved yet"
    )
    yield Fact("impact.before_use", before, Grade.PROVEN, str(rights[0].digest), text)


def _first_approval(known: Known) -> Record | None:
    """The first record that made the version usable."""
    told = (r for r in known.records if r.kind is RecordKind.APPROVAL)
    return next((r for r in told if r.body.get("completes") or r.body.get("emergency")), None)


def _over(record: Record, at: datetime) -> bool:
    """Whether what a record says is due next is overdue, in UTC."""
    return date.fromisoformat(record.body["next_due"]) < at.astimezone(UTC).date()


def _last(records: Sequence[Record], kind: RecordKind) -> Record | None:
    return next((record for record in reversed(records) if record.kind is kind), None)


SIDES: Final = (_instructions, _audit, _governance, _impact)
"""What each yields of a version, one side of it after the other."""
