"""The verbs that judge data: their quality by declared rules, and whom they represent."""

from __future__ import annotations

from typing import Any, Final

from muniment.analytics.quality_rules import read_rules
from muniment.catalog.model import ActivityKind, Direction, Entity, EntityKind, Relation
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Activities, Lineage
from muniment.catalog.resources import DATASET
from muniment.errors import Invalid
from muniment.execution.model import JobSpec, RunStatus
from muniment.execution.queue import RunQueue
from muniment.execution.reading import report_of, summary
from muniment.execution.submitting import limits_from, submit
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import quality as wire
from muniment.wire.execution import Started

__all__ = ["VERBS", "assessments_of"]

FORMATS: Final = {"muniment.quality/1": "quality", "muniment.representation/1": "representation"}
_MOST_COLUMNS: Final = 6


@verb(
    "data:AssessQuality",
    on=DATASET,
    request=wire.AssessQuality,
    reply=Started,
    event="dataset.quality_requested",
    group="data:write",
)
def assess_quality(call: Call, request: wire.AssessQuality) -> Started:
    """Measure the quality of a snapshot by declared rules."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    rules = request.rules or {"rule": []}
    read = read_rules(rules, _columns(data))
    as_of = call.now if request.as_of is None else parse_time(request.as_of)
    spec = JobSpec(
        kind=ActivityKind.ASSESS.value,
        program="muniment.programs.quality",
        label=f"quality of {label(call.session, call.project, data.digest)}",
        inputs={"data": str(data.digest)},
        params={"rules": rules, "as_of": format_time(as_of)},
        limits=limits_from(request.limits),
        fresh=request.fresh,
    )
    call.note(rules=len(read))
    return submit(call, spec)


@verb(
    "data:AssessRepresentation",
    on=DATASET,
    request=wire.AssessRepresentation,
    reply=Started,
    event="dataset.representation_requested",
    group="data:write",
)
def assess_representation(call: Call, request: wire.AssessRepresentation) -> Started:
    """Compare the groups of a snapshot with those of a reference population."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    against = resolve(call.session, call.project, request.against, EntityKind.DATA)
    if not 1 <= len(request.columns) <= _MOST_COLUMNS or len(set(request.columns)) != len(request.columns):
        raise Invalid(
            "MUNI-J190",
            f"1 to {_MOST_COLUMNS} columns form groups, each named once",
            given=request.columns[:20],
            do="name them: --columns sex,age",
        )
    for side, entity in (("data", data), ("reference", against)):
        known = _columns(entity)
        if missing := [name for name in request.columns if name not in known]:
            raise Invalid(
                "MUNI-J187",
                f"the {side} has no column {missing[0][:80]!r}",
                side=side,
                column=missing[0][:80],
                known=known[:50],
                do="choose columns that both sides have",
            )
    params: dict[str, Any] = {"columns": request.columns}
    if request.bound is not None:
        if not 0 < request.bound <= 10:
            raise Invalid("MUNI-J191", "the bound is a number above 0, at most 10", given=str(request.bound)[:40])
        params["bound"] = request.bound
    spec = JobSpec(
        kind=ActivityKind.ASSESS.value,
        program="muniment.programs.representation",
        label=f"representation by {', '.join(request.columns)}",
        inputs={"data": str(data.digest), "reference": str(against.digest)},
        params=params,
        limits=limits_from(request.limits),
        fresh=request.fresh,
    )
    return submit(call, spec)


@verb(
    "data:ListAssessments",
    on=DATASET,
    request=wire.ListAssessments,
    reply=wire.Assessments,
    event="assessments.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_assessments(call: Call, request: wire.ListAssessments) -> wire.Assessments:
    """List what was measured of the quality of a snapshot, newest first."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    return wire.Assessments(assessments=assessments_of(call, data, max(1, min(request.limit, 100))))


def assessments_of(call: Call, data: Entity, limit: int) -> list[wire.Assessment]:
    """What was measured of a snapshot, newest first; of a comparison only where it is the side that was judged."""
    graph = call.use(Lineage).closure(call.project, data.digest, Direction.DOWNSTREAM, 1)
    users = {
        edge.activity
        for edge in graph.edges
        if edge.relation is Relation.USED and edge.entity == data.digest and edge.role == "data"
    }
    known = call.use(Activities).find(call.project, users)
    found: list[wire.Assessment] = []
    for one in sorted(known, reverse=True):
        if known[one].kind is not ActivityKind.ASSESS:
            continue
        run = call.use(RunQueue).get(call.project, one)
        if run is None or run.status is not RunStatus.OK:
            continue
        report = report_of(call, run) or {}
        if (what := FORMATS.get(str(report.get("format")))) is None:
            continue
        found.append(
            wire.Assessment(
                run=f"run:{run.id}",
                what=what,
                verdict=str(report.get("verdict")),
                created_at=run.created_at,
                by=run.requested_by,
                grade=summary(run, {}).grade,
                report=report,
            )
        )
        if len(found) >= limit:
            break
    return found


def _columns(data: Entity) -> list[str]:
    return [str(column["name"]) for column in data.facts.get("schema", [])]


VERBS: Final = (assess_quality, assess_representation, list_assessments)
