"""What sets off a review of a version: not the calendar alone, but a change of its data, of its use, or an emergency.

What set it off is read from the record each time, so that nothing has to notice it when it happens and nothing can be
forgotten. Source: SR 26-2 (validation by risk and trigger); SS1/23, principle 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from muniment.catalog.model import Direction, EntityKind, Graph, Relation
from muniment.catalog.ports import Lineage, Names
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.standing import GRACE, Review, Trigger, reviews_in
from muniment.kernel.digest import Digest
from muniment.kernel.verb import Call

__all__ = ["reviews_of", "trained_on", "use_case_of"]

_MOST_INPUTS: Final = 32


def reviews_of(call: Call, model: Digest, records: Sequence[Record], upstream: Graph | None = None) -> list[Review]:
    """Every review of a version: scheduled ones and those that something set off since its approval.

    Args:
        call: the request.
        model: the version.
        records: what was said about it, oldest first.
        upstream: its lineage, where the caller has it already.
    """
    return reviews_in(records, [*_triggers(call, model, records, upstream)])


def trained_on(graph: Graph, model: Digest) -> list[Digest]:
    """The snapshots that the runs which made a model read, without reproductions' own view of it."""
    makers = {e.activity for e in graph.edges if e.relation is Relation.GENERATED and e.entity == model}
    used = {e.entity for e in graph.edges if e.relation is Relation.USED and e.activity in makers}
    return sorted(digest for digest in used if graph.entities[digest].kind is EntityKind.DATA)


def use_case_of(records: Iterable[Record]) -> str | None:
    """The use case that a version is registered under."""
    registrations = [r for r in records if r.kind is RecordKind.REGISTRATION]
    name = registrations[-1].body.get("use_case") if registrations else None
    return name if isinstance(name, str) and name else None


def _triggers(call: Call, model: Digest, records: Sequence[Record], upstream: Graph | None) -> Iterator[Review]:
    scheduled = {r.body["trigger"] for r in records if r.kind is RecordKind.REVIEW_SCHEDULE}
    emergencies = [r for r in records if r.kind is RecordKind.BREAK_GLASS]
    if emergencies and Trigger.BREAK_GLASS not in scheduled:
        yield _set_off(emergencies[-1], Trigger.BREAK_GLASS, "approved in an emergency, outside the ordinary steps")
    approvals = [r for r in records if r.kind is RecordKind.APPROVAL]
    if not approvals:
        return
    since = approvals[-1].at
    if use_case := use_case_of(records):
        for told in call.use(Records).about(call.project, [f"usecase:{use_case}"], RecordKind.USE_CASE):
            if told.at > since:
                reason = f"use case {use_case} changed to version {told.body.get('version')} after the approval"
                yield _set_off(told, Trigger.USE, reason)
    graph = upstream or call.use(Lineage).closure(call.project, model, Direction.UPSTREAM, 1)
    names = call.use(Names)
    borne = names.of(call.project, trained_on(graph, model)[:_MOST_INPUTS])
    for own in sorted({(n.kind, n.name): n for known in borne.values() for n in known}.values(), key=str):
        newer = [n for n in names.versions(call.project, own.kind, own.name) if n.version > own.version]
        later = [n for n in newer if n.at > since]
        if later:
            first = later[-1]
            due = (first.at + GRACE).date()
            reason = f"superseded: it was trained on {own}, and {first} came after the approval"
            yield Review(f"{first}", due, Trigger.DATA, reason, first.at)


def _set_off(record: Record, trigger: Trigger, reason: str) -> Review:
    return Review(record.id, (record.at + GRACE).date(), trigger, reason, record.at)
