"""The verbs of governance: the board's appetite, who is accountable, the policy, and what was laid before the board.

Source: SS1/23, principle 2.1-2.4; SR 11-7, VI.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from muniment.inventory.facts.assuring import still_current
from muniment.inventory.facts.known import OFFICE
from muniment.inventory.meanings import Meaning
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.oversight.examining import checkpoint_now
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.inventory.signing import accept_of_project
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import assurance as wire

__all__ = ["VERBS"]


@verb(
    "inventory:StateGovernance",
    on=PROJECT,
    request=wire.StateGovernance,
    reply=wire.Governance,
    event="governance.stated",
    group="inventory:manage",
)
def state_governance(call: Call, request: wire.StateGovernance) -> wire.Governance:
    """Record the board's appetite, the accountable senior manager and the policy's reference, with a signature."""
    terms, signature = accept_of_project(call, Meaning.STATED, request)
    record = keep(call, RecordKind.GOVERNANCE, OFFICE, {**terms, "signature": dict(signature)}, Grade.ATTESTED)
    call.note(governance=record.id)
    return _governance(call)


@verb(
    "inventory:LayBoardReport",
    on=PROJECT,
    request=wire.LayBoardReport,
    reply=wire.Governance,
    event="board.reported",
    group="inventory:manage",
)
def lay_board_report(call: Call, request: wire.LayBoardReport) -> wire.Governance:
    """Record that a report, named by its digest, was laid before the board on a day, with a signature."""
    terms, signature = accept_of_project(call, Meaning.LAID, request)
    body = {**terms, "checkpoint": checkpoint_now(call), "signature": dict(signature)}
    record = keep(call, RecordKind.BOARD_REPORT, OFFICE, body, Grade.ATTESTED)
    call.note(board_report=record.id, report=str(terms["report"]))
    return _governance(call)


@verb(
    "inventory:ShowGovernance",
    on=PROJECT,
    request=wire.ShowGovernance,
    reply=wire.Governance,
    event="governance.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_governance(call: Call, request: wire.ShowGovernance) -> wire.Governance:
    """Show what is stated about how the board governs model risk, and which reports were laid before it."""
    return _governance(call)


def _governance(call: Call) -> wire.Governance:
    told = call.use(Records).about(call.project, [OFFICE])[::-1]
    reports = [_report(one) for one in told if one.kind is RecordKind.BOARD_REPORT]
    reports.sort(key=lambda one: (one.day, one.at), reverse=True)
    return wire.Governance(
        statements=[_statement(one) for one in told if one.kind is RecordKind.GOVERNANCE],
        reports=reports,
        current=bool(reports) and still_current(date.fromisoformat(reports[0].day), call.now),
    )


def _statement(record: Record) -> wire.GovernanceStatement:
    told = {name: str(record.body[name]) for name in ("appetite", "accountable", "policy", "adopted", "text")}
    return wire.GovernanceStatement(**told, at=format_time(record.at), by=record.by, record=str(record.digest))


def _report(record: Record) -> wire.BoardReport:
    told = {name: str(record.body[name]) for name in ("report", "day", "before", "note")}
    return wire.BoardReport(
        **told,
        checkpoint=int(record.body["checkpoint"]["size"]),
        at=format_time(record.at),
        by=record.by,
        record=str(record.digest),
    )


VERBS: Final = (state_governance, lay_board_report, show_governance)
