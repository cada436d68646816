"""What sets off a review of a version: not the calendar alone, but a change of its data, of its use, or an emergency.

What set it off is read from the record each time, so that nothing has to notice it when it happens and nothing can be
forgotten. Source: SR 26-2 (validation by risk and trigger); SS1/23, principle 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from muniment.catalog.model import Direction, EntityKind, Graph, Name, Relation
from muniment.catalog.ports import Lineage, Names
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.standing import GRACE, Review, Trigger, reviews_in
from muniment.kernel.digest import Digest
from muniment.kernel.verb import Call

__all__ = ["reviews_of", "reviews_of_all", "trained_on", "use_case_of"]

_MOST_INPUTS: Final = 32
_MOST_NAMES: Final = 100_000


Superseding = Sequence[tuple[Name, Name]]
"""What a version was trained on, each with the first newer version of it after a moment."""


def reviews_of(call: Call, model: Digest, records: Sequence[Record], upstream: Graph | None = None) -> list[Review]:
    """Every review of a version: scheduled ones and those that something set off since its approval.

    Args:
        call: the request.
        model: the version.
        records: what was said about it, oldest first.
        upstream: its lineage, where the caller has it already.
    """
    since, use_case = _approved_at(records), use_case_of(records)
    newer: Superseding = ()
    stated: Sequence[Record] = ()
    if since is not None:
        graph = upstream or call.use(Lineage).closure(call.project, model, Direction.UPSTREAM, 1)
        borne = call.use(Names).of(call.project, trained_on(graph, model)[:_MOST_INPUTS])
        newer = _superseded(call, [name for names in borne.values() for name in names], since)
        if use_case:
            stated = call.use(Records).about(call.project, [f"usecase:{use_case}"], RecordKind.USE_CASE)
    return reviews_in(records, [*_triggers(records, since, stated, newer)])


def reviews_of_all(call: Call, about: Mapping[Digest, Sequence[Record]]) -> dict[Digest, list[Review]]:
    """Like ``reviews_of`` for many versions, by as many questions as there are names of data that changed."""
    since = {model: _approved_at(records) for model, records in about.items()}
    first = min((moment for moment in since.values() if moment is not None), default=None)
    stated: dict[str, list[Record]] = {}
    trained: dict[Digest, list[tuple[Name, list[Name]]]] = {}
    if first is not None:
        for told in reversed(call.use(Records).of_kind(call.project, RecordKind.USE_CASE)):
            stated.setdefault(str(told.body["name"]), []).append(told)
        trained = _models_of_changed_data(call, first)
    found = {}
    for model, records in about.items():
        moment = since[model]
        newer = (
            []
            if moment is None
            else [
                (own, later[-1])
                for own, after in trained.get(model, ())
                if (later := [n for n in after if n.at > moment])
            ]
        )
        triggers = _triggers(records, moment, stated.get(use_case_of(records) or "", ()), newer)
        found[model] = reviews_in(records, [*triggers])
    return found


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


def _approved_at(records: Iterable[Record]) -> datetime | None:
    return max((r.at for r in records if r.kind is RecordKind.APPROVAL), default=None)


def _superseded(call: Call, names: Iterable[Name], since: datetime) -> list[tuple[Name, Name]]:
    found = []
    for own in sorted({(n.kind, n.name): n for n in sorted(names, key=lambda n: n.version)}.values(), key=str):
        versions = call.use(Names).versions(call.project, own.kind, own.name)
        later = [n for n in versions if n.version > own.version and n.at > since]
        if later:
            found.append((own, later[-1]))
    return found


def _models_of_changed_data(call: Call, since: datetime) -> dict[Digest, list[tuple[Name, list[Name]]]]:
    """Models by digest that were trained on a version of data that has a newer one since; newer ones newest first."""
    names, lineage = call.use(Names), call.use(Lineage)
    found: dict[Digest, list[tuple[Name, list[Name]]]] = {}
    for latest in names.latest(call.project, EntityKind.DATA, "", _MOST_NAMES):
        if latest.version == 1 or latest.at <= since:
            continue
        versions = names.versions(call.project, EntityKind.DATA, latest.name)
        for place, own in enumerate(versions[1:], 1):
            if any(name.digest == own.digest for name in versions[:place]):
                continue
            after = [name for name in versions[:place] if name.at > since]
            graph = lineage.closure(call.project, own.digest, Direction.DOWNSTREAM, 1) if after else None
            for digest in _models_made(graph) if graph else ():
                found.setdefault(digest, []).append((own, after))
    return found


def _models_made(graph: Graph) -> list[Digest]:
    """The models that the activities of a lineage made."""
    made = {e.entity for e in graph.edges if e.relation is Relation.GENERATED}
    return sorted(digest for digest in made if graph.entities[digest].kind is EntityKind.MODEL)


def _triggers(
    records: Sequence[Record], since: datetime | None, stated: Iterable[Record], newer: Superseding
) -> Iterator[Review]:
    """What asks for a review without a record that schedules one. Pure."""
    scheduled = {r.body["trigger"] for r in records if r.kind is RecordKind.REVIEW_SCHEDULE}
    emergencies = [r for r in records if r.kind is RecordKind.BREAK_GLASS]
    if emergencies and Trigger.BREAK_GLASS not in scheduled:
        yield _set_off(emergencies[-1], Trigger.BREAK_GLASS, "approved in an emergency, outside the ordinary steps")
    if since is None:
        return
    for told in stated:
        if told.at > since:
            reason = f"use case {told.body['name']} changed to version {told.body['version']} after the approval"
            yield _set_off(told, Trigger.USE, reason)
    for own, first in newer:
        reason = f"superseded: it was trained on {own}, and {first} came after the approval"
        yield Review(str(first), (first.at + GRACE).date(), Trigger.DATA, reason, first.at)


def _set_off(record: Record, trigger: Trigger, reason: str) -> Review:
    return Review(record.id, (record.at + GRACE).date(), trigger, reason, record.at)
