"""Bias review of data: measured hermetically, and what is left out explained by an expert with his name."""

from __future__ import annotations

from typing import Any, Final

from muniment.catalog.model import ActivityKind, Direction, Entity, EntityKind
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Lineage
from muniment.catalog.resources import DATASET
from muniment.errors import Invalid, NotFound
from muniment.execution.model import JobSpec
from muniment.execution.queue import RunQueue
from muniment.execution.reading import report_of
from muniment.execution.submitting import submit
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.kernel.identifiers import format_time
from muniment.kernel.verb import Call, Effect, verb
from muniment.stewardship.setting import reason_of
from muniment.stewardship.standing import subjects_of
from muniment.stewardship.using import subject_for
from muniment.wire import stewardship as wire
from muniment.wire.execution import Started

__all__ = ["VERBS"]

_PROGRAM: Final = "muniment.programs.bias"
_NAME: Final = 200


@verb(
    "stewardship:ExcludeData",
    on=DATASET,
    request=wire.ExcludeData,
    reply=wire.ExclusionView,
    event="exclusion.stated",
    group="data:write",
)
def exclude_data(call: Call, request: wire.ExcludeData) -> wire.ExclusionView:
    """State why a column, or some rows, of a data set are left out, and which expert says so."""
    expert, rows = request.expert.strip(), None if request.rows is None else request.rows.strip()
    if not 1 <= len(expert) <= _NAME:
        raise Invalid("MUNI-W113", "an exclusion bears the name of the expert who answers for it", longest=_NAME)
    if bool(request.column) == bool(rows):
        raise Invalid("MUNI-W114", "either a column or some rows are left out", column=request.column, rows=rows)
    data, subject = subject_for(call, request.dataset, every_version=True)
    names = _columns(data)
    if request.column is not None and request.column not in names:
        raise Invalid("MUNI-W115", f"there is no column {request.column[:80]!r}", columns=names[:50])
    body = {"column": request.column, "rows": rows, "reason": reason_of(request.reason), "expert": expert}
    record = keep(call, RecordKind.DATA_EXCLUSION, subject, body)
    call.note(dataset=subject, expert=expert)
    return _exclusion(record)


@verb(
    "stewardship:ListExclusions",
    on=DATASET,
    request=wire.ListExclusions,
    reply=wire.Exclusions,
    event="exclusions.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_exclusions(call: Call, request: wire.ListExclusions) -> wire.Exclusions:
    """List what is left out of a data set, or of what it was made of, with the reasons."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    return wire.Exclusions(exclusions=[_exclusion(record) for record in _told(call, data)])


@verb(
    "stewardship:AssessBias",
    on=DATASET,
    request=wire.AssessBias,
    reply=Started,
    event="bias.review_requested",
    group="run:validate",
)
def assess_bias(call: Call, request: wire.AssessBias) -> Started:
    """Review a snapshot for bias: sampling, exclusion, stereotype, measurement."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    target = data.facts.get("target")
    outcome = request.label or (target if isinstance(target, str) and request.favourable is not None else None)
    names = _columns(data)
    for role, column in (("facet", request.facet), ("label", outcome), ("strata", request.strata)):
        if column is not None and names and column not in names:
            raise Invalid("MUNI-W116", f"there is no column {column[:80]!r}", role=role, columns=names[:50])
    given: dict[str, Any] = {
        "facet": request.facet,
        "disfavoured": request.disfavoured,
        "at_most": request.at_most,
        "label": outcome,
        "favourable": request.favourable,
        "strata": request.strata,
        "default_values": request.default_values,
    }
    inputs = {"data": str(data.digest)}
    if request.reference is not None:
        inputs["reference"] = str(resolve(call.session, call.project, request.reference, EntityKind.DATA).digest)
    spec = JobSpec(
        kind="assess",
        program=_PROGRAM,
        label=f"bias by {request.facet}",
        inputs=inputs,
        params={name: value for name, value in given.items() if value not in (None, [])},
    )
    return submit(call, spec)


@verb(
    "stewardship:ShowBias",
    on=DATASET,
    request=wire.ShowBias,
    reply=wire.BiasView,
    event="bias.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_bias(call: Call, request: wire.ShowBias) -> wire.BiasView:
    """Show the newest bias review of a snapshot, with what is left out and why."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    graph = call.use(Lineage).closure(call.project, data.digest, Direction.DOWNSTREAM, 1)
    for id_ in sorted(graph.activities, reverse=True):
        if graph.activities[id_].kind is not ActivityKind.ASSESS:
            continue
        run = call.use(RunQueue).get(call.project, id_)
        if run is None or run.job["program"] != _PROGRAM or run.job["inputs"]["data"] != str(data.digest):
            continue
        if (report := report_of(call, run)) is not None:
            told = _told(call, data)
            left = [
                {
                    "column": r.body["column"],
                    "rows": r.body["rows"],
                    "reason": r.body["reason"],
                    "expert": r.body["expert"],
                }
                for r in told
            ]
            return wire.BiasView(
                dataset=label(call.session, call.project, data.digest),
                run=f"run:{run.id}",
                reviewed_at=run.ended_at or run.created_at,
                by=run.requested_by,
                report={**report, "exclusion": left},
            )
    raise NotFound(
        "MUNI-W204",
        "this snapshot was not reviewed for bias",
        dataset=request.dataset[:200],
        do="muni data bias DATASET --facet COLUMN",
    )


def _told(call: Call, data: Entity) -> list[Record]:
    """What was stated about exclusions of a snapshot and of everything it was made of."""
    graph = call.use(Lineage).closure(call.project, data.digest, Direction.UPSTREAM)
    origins = {one for one, node in graph.entities.items() if node.kind is EntityKind.DATA} | {data.digest}
    subjects = {s for some in subjects_of(call.session, call.project, origins).values() for s in some}
    return list(call.use(Records).about(call.project, subjects, RecordKind.DATA_EXCLUSION))


def _columns(data: Entity) -> list[str]:
    return [str(column["name"]) for column in data.facts.get("schema", [])]


def _exclusion(record: Record) -> wire.ExclusionView:
    return wire.ExclusionView(
        id=record.id,
        dataset=record.subject,
        column=record.body["column"],
        rows=record.body["rows"],
        reason=record.body["reason"],
        expert=record.body["expert"],
        at=format_time(record.at),
        by=record.by,
        record=str(record.digest),
    )


VERBS: Final = (exclude_data, list_exclusions, assess_bias, show_bias)
