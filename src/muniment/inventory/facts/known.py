"""Everything that facts about a model version are derived from, loaded once, by a fixed number of questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from muniment.catalog.absence import Verdict, decide
from muniment.catalog.model import (
    Activity,
    ActivityKind,
    Direction,
    Edge,
    Entity,
    EntityKind,
    Graph,
    Relation,
)
from muniment.catalog.ports import Activities, Entities, Lineage, Names
from muniment.catalog.service import gather as gather_evidence
from muniment.errors import MunimentError, NotFound
from muniment.execution.environments import Environments, JobEnvironment
from muniment.execution.judging import parse_object
from muniment.execution.model import Run, RunStatus
from muniment.execution.queue import RunQueue
from muniment.identity.ports import Grants
from muniment.inventory.facts.examining import NOTHING, Examined, examined
from muniment.inventory.facts.fact import moment_of
from muniment.inventory.facts.thresholds import PROJECT, Gate, gates_in
from muniment.inventory.independence import Parties, parties
from muniment.inventory.lifecycle import Version, fold
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.revalidation import reviews_of, use_case_of
from muniment.inventory.standing import Review
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import parse_time
from muniment.kernel.verb import Call
from muniment.ledger.cosignature import verify_cosignature
from muniment.ledger.ports import CheckpointRepository, Head
from muniment.ledger.witness_ports import WitnessRepository
from muniment.policy.ports import Publication, Publications
from muniment.vault.model import ProjectKey
from muniment.vault.ports import ProjectKeys
from muniment.vault.service import Vault

__all__ = ["OFFICE", "Absence", "Known", "Measurement", "load", "read_report", "records_about"]

_MOST_MEASUREMENTS: Final = 1000
"""So many runs of a kind, the newest, are looked at."""

_MOST_PARTS: Final = 16
_MOST_ORIGINS: Final = 8
_MOST_TRIALS: Final = 500
_MOST_GRANTS: Final = 10_000
_MOST_MEASURED: Final = 8
"""So many data sets that it was measured on, those measured last, are told of in its instructions."""

_REPORT: Final = 8 << 20
_BIAS: Final = "muniment.programs.bias"
OFFICE: Final = "governance"
"""Subject of what is stated about how the project manages the risk of all its models."""

_OF_CASE: Final = frozenset({RecordKind.RISK, RecordKind.RISK_RETIREMENT, RecordKind.IMPACT_ASSESSMENT})

PORTABLE: Final = frozenset({EntityKind.FILE, EntityKind.CODE, EntityKind.ENVIRONMENT, EntityKind.BASE})
"""What comes from outside by its nature, and needs no recorded origin."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Whether one thing was used to make the model."""

    verdict: Verdict
    grade: Grade


@dataclass(frozen=True, slots=True)
class Measurement:
    """A run that measured the model: an evaluation or an explanation."""

    run: Activity
    data: Digest | None
    report: Digest
    grade: Grade
    """The weakest of the run and of what joins it to the model and to the report."""

    measures: frozenset[str] = frozenset({"metrics"})
    """What it was asked to measure: ``metrics``, ``groups``, ``stability``; by its plan, not by its report."""

    document: Mapping[str, Any] | None = None
    """The report; None where it was not needed, or cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the platform holds about a model version."""

    at: datetime
    model: Entity
    records: Sequence[Record]
    """About the version, its findings and their comments; oldest first."""

    version: Version | None
    """Its life; None before it is registered."""

    parties: Parties
    """Who had a part in it, and so judges it nowhere."""

    reviews: Sequence[Review]
    use_case: Record | None
    key_figures: Mapping[str, datetime]
    """Since when its use case has asked for each of its key figures, by the expression."""

    upstream: Graph
    entities: Mapping[Digest, Entity]
    """Those upstream, whole."""

    activities: Mapping[str, Activity]
    """Those upstream, whole."""

    maker: Run | None
    """The run that made it first."""

    inputs: Sequence[Edge]
    """Snapshots that the maker read."""

    made: Graph
    """Everything that the runs around the data used and generated: ingests, splits, profiles."""

    proofs: Mapping[Digest, Entity]
    """Proofs of splits by digest."""

    findings: Mapping[Digest, int]
    """Findings of a report about data, by the report."""

    reproductions: Sequence[Run]
    trials: Mapping[Digest, str]
    """Other models of the experiment, each with the run that made it."""

    evaluations: Sequence[Measurement]
    """Newest first, without their reports."""

    newest: Mapping[str, Measurement]
    """Those that count: by ``metrics``, ``groups`` and ``stability`` the newest on data proven unused in training."""

    explanations: Sequence[Measurement]
    parts: Sequence[Digest]
    """The other parts of the split that made the training data."""

    absences: Mapping[Digest, Absence]
    """By what was asked about: the other parts, and the data of evaluations as far as that was needed."""

    downstream: Graph
    labels: Mapping[Digest, str]
    """How to call the data."""

    environment: JobEnvironment | None
    head: Head | None
    witnesses: Sequence[str]
    witnessed: int | None
    """The largest checkpoint that as many witnesses cosigned as are asked for; None when there is none."""

    keys: Sequence[ProjectKey]
    publications: Mapping[str, Publication]
    roles: Sequence[str]
    drills: Sequence[Record]
    dependencies: Sequence[Record]
    gates: Sequence[Gate]
    """Those that it has to pass: of the project, and of its use case."""

    case_records: Sequence[Record]
    """Risks of its use case and assessments of its impact, oldest first."""

    office: Sequence[Record]
    """What was stated about how the project manages model risk: by audit, and before the board; oldest first."""

    measured: Sequence[Measurement]
    """The newest evaluation on each data set, with its report; of registered versions only."""

    training: Mapping[str, Any] | None
    """The report of the run that made it; of registered versions only."""

    exclusions: Sequence[Record] = ()
    """What experts said is left out of the data upstream, oldest first."""

    bias_reviews: Sequence[str] = ()
    """Runs that reviewed the data upstream for bias and ended well, oldest first."""

    examined: Examined = NOTHING
    """What jobs found that examined its data, its features and its training."""


def load(call: Call, digest: Digest, at: datetime | None = None) -> Known:
    """Load what is known of a model version.

    Args:
        call: the request.
        digest: the version.
        at: leave out what came later; None takes everything up to now.

    Raises:
        NotFound: the project has no such model.
    """
    project, now = call.project, at or call.now
    lineage = call.use(Lineage)
    model = call.use(Entities).find(project, [digest]).get(digest)
    if model is None:
        raise NotFound("MUNI-M251", f"nothing with digest {digest.short}… is a model of this project", digest=digest)
    upstream = _until(lineage.closure(project, digest, Direction.UPSTREAM), now)
    downstream = _until(lineage.closure(project, digest, Direction.DOWNSTREAM, 1), now)
    entities = call.use(Entities).find(project, upstream.entities)
    activities = call.use(Activities).find(project, {*upstream.activities, *downstream.activities})
    records = records_about(call, digest, now)
    case = _use_case(call, records, now)
    version = fold(records)
    maker = _maker(call, upstream, digest)
    inputs = [
        edge
        for edge in upstream.edges
        if maker is not None and edge.activity == maker.id and _is_data(upstream, edge, Relation.USED)
    ]
    made = _around_the_data(call, upstream, inputs, now)
    absences = _Absences(call, model)
    for part in _other_parts(made, inputs):
        absences.ask(part)
    evaluations = _measurements(call, downstream, activities, ActivityKind.EVALUATE, now)
    newest = _newest(call, evaluations, absences)
    explanations = _measurements(call, downstream, activities, ActivityKind.EXPLAIN, now)
    measured = (*evaluations, *explanations)
    return Known(
        at=now,
        model=model,
        records=records,
        version=version,
        parties=parties(call.session, project, digest, version),
        reviews=[r for r in reviews_of(call, digest, records, upstream) if r.since <= now],
        use_case=case[-1] if case else None,
        key_figures=_key_figures(case),
        upstream=upstream,
        entities=entities,
        activities=activities,
        maker=maker,
        inputs=inputs,
        made=made,
        proofs={d: e for d, e in _of_kind(call, made, EntityKind.PROOF).items() if e.kind is EntityKind.PROOF},
        findings=_findings(call, made),
        reproductions=_reproductions(call, maker, digest, now),
        trials=_trials(call, maker, digest, now),
        evaluations=evaluations,
        newest=newest,
        explanations=explanations,
        parts=_other_parts(made, inputs),
        absences=absences.found,
        downstream=downstream,
        labels=names_of(call, {e.entity for e in inputs} | {m.data for m in measured if m.data is not None}),
        environment=None if maker is None else call.use(Environments).of_digest(Digest(maker.job["env"])),
        head=call.use(CheckpointRepository).head(),
        witnesses=[one.name for one in call.use(WitnessRepository).all()],
        witnessed=_witnessed(call),
        keys=call.use(ProjectKeys).versions(project),
        publications=call.use(Publications).heads(project),
        roles=_roles(call, now),
        drills=[r for r in call.use(Records).of_kind(project, RecordKind.DRILL, 1) if r.at <= now],
        dependencies=[r for r in call.use(Records).of_kind(project, RecordKind.DEPENDENCY) if r.at <= now],
        gates=_gates(call, records, now),
        case_records=_case_records(call, records, now),
        office=[r for r in call.use(Records).about(project, [OFFICE]) if r.at <= now],
        measured=[] if version is None else _measured(call, evaluations, newest),
        training=None if version is None or maker is None else _report_of(call, maker),
        exclusions=_exclusions(call, upstream, now),
        bias_reviews=_bias_reviews(call, upstream, now),
        examined=_examined(call, digest, upstream, inputs, _other_parts(made, inputs), maker, now),
    )


def _examined(
    call: Call,
    model: Digest,
    upstream: Graph,
    inputs: Sequence[Edge],
    parts: Sequence[Digest],
    maker: Run | None,
    at: datetime,
) -> Examined:
    data = sorted({edge.entity for edge in inputs})
    views = [digest for digest, node in upstream.entities.items() if node.kind is EntityKind.FEATURES]
    labels = names_of(call, [*data, *parts, *views])
    return examined(call, model, upstream, data, parts, labels, maker, at)


def records_about(call: Call, digest: Digest, at: datetime | None = None) -> list[Record]:
    """What was said about a version, and about the findings on it; oldest first."""
    repository = call.use(Records)
    own = repository.about(call.project, [str(digest)])
    findings = [record.id for record in own if record.kind is RecordKind.FINDING]
    more = repository.about(call.project, findings) if findings else []
    found = sorted([*own, *more], key=lambda record: record.id)
    return [record for record in found if at is None or record.at <= at]


def _exclusions(call: Call, upstream: Graph, at: datetime) -> list[Record]:
    """What was stated to be left out of the data upstream, by digest or by name."""
    data = [digest for digest, node in upstream.entities.items() if node.kind is EntityKind.DATA]
    names = call.use(Names).of(call.project, data) if data else {}
    subjects = {*map(str, data), *(f"{one.kind}:{one.name}" for some in names.values() for one in some)}
    found = call.use(Records).about(call.project, subjects, RecordKind.DATA_EXCLUSION) if subjects else ()
    return [record for record in found if record.at <= at]


def _bias_reviews(call: Call, upstream: Graph, at: datetime) -> list[str]:
    """Runs that reviewed the data upstream for bias."""
    data = sorted(digest for digest, node in upstream.entities.items() if node.kind is EntityKind.DATA)
    found: set[str] = set()
    for digest in data[:_MOST_ORIGINS]:
        below = _until(call.use(Lineage).closure(call.project, digest, Direction.DOWNSTREAM, 1), at)
        for id_, node in below.activities.items():
            if node.kind is ActivityKind.ASSESS and (run := call.use(RunQueue).get(call.project, id_)) is not None:
                reviews = run.job["program"] == _BIAS and run.job["inputs"].get("data") == str(digest)
                if reviews and run.status is RunStatus.OK:
                    found.add(id_)
    return sorted(found)


def _until(graph: Graph, at: datetime) -> Graph:
    """The part of a lineage that had begun by then."""
    early = {id_ for id_, node in graph.activities.items() if node.started_at <= at}
    if len(early) == len(graph.activities):
        return graph
    return replace(
        graph,
        activities={id_: node for id_, node in graph.activities.items() if id_ in early},
        edges=tuple(edge for edge in graph.edges if edge.activity in early),
    )


def _is_data(graph: Graph, edge: Edge, relation: Relation) -> bool:
    return edge.relation is relation and graph.entities[edge.entity].kind is EntityKind.DATA


def _maker(call: Call, upstream: Graph, digest: Digest) -> Run | None:
    makers = sorted(e.activity for e in upstream.edges if e.relation is Relation.GENERATED and e.entity == digest)
    first = next((one for one in makers if upstream.activities[one].kind is not ActivityKind.REPRODUCE), None)
    return None if first is None else call.use(RunQueue).get(call.project, first)


def _around_the_data(call: Call, upstream: Graph, inputs: Iterable[Edge], at: datetime) -> Graph:
    """The runs that made or profiled the data, with all their inputs and outputs."""
    lineage, runs = call.use(Lineage), set[str]()
    makers: dict[Digest, set[str]] = {}
    for edge in upstream.edges:
        if edge.relation is Relation.GENERATED:
            makers.setdefault(edge.entity, set()).add(edge.activity)
    data = [edge.entity for edge in inputs]
    for here in data:
        for run in makers.get(here, ()):
            runs.add(run)
            data += [
                e.entity
                for e in upstream.edges
                if e.activity == run and _is_data(upstream, e, Relation.USED) and e.entity not in data
            ]
    for here in data[:_MOST_ORIGINS]:
        below = lineage.closure(call.project, here, Direction.DOWNSTREAM, 1)
        runs |= {node.id for node in below.activities.values() if node.kind is ActivityKind.PROFILE}
    return _until(lineage.of_activities(call.project, runs), at)


def _of_kind(call: Call, graph: Graph, kind: EntityKind) -> dict[Digest, Entity]:
    wanted = [digest for digest, node in graph.entities.items() if node.kind is kind]
    return call.use(Entities).find(call.project, wanted) if wanted else {}


def _findings(call: Call, made: Graph) -> dict[Digest, int]:
    """How many findings each report about the data holds."""
    counted = {}
    for edge in made.edges:
        if edge.relation is Relation.GENERATED and made.entities[edge.entity].kind is EntityKind.REPORT:
            document = read_report(call, edge.entity)
            if document is not None and isinstance(document.get("findings"), list):
                counted[edge.entity] = len(document["findings"])
    return counted


def _other_parts(made: Graph, inputs: Iterable[Edge]) -> list[Digest]:
    """The parts of the splits that made the inputs, without the inputs themselves."""
    used = {edge.entity for edge in inputs}
    splits = {
        edge.activity
        for edge in made.edges
        if _is_data(made, edge, Relation.GENERATED)
        and edge.entity in used
        and made.activities[edge.activity].kind is ActivityKind.SPLIT
    }
    parts = {e.entity for e in made.edges if e.activity in splits and _is_data(made, e, Relation.GENERATED)}
    return sorted(parts - used)[:_MOST_PARTS]


def _measurements(
    call: Call, downstream: Graph, activities: Mapping[str, Activity], kind: ActivityKind, at: datetime
) -> list[Measurement]:
    """The runs of one kind that ended well and left a report about the model, the one asked for last first."""
    edges: dict[str, list[Edge]] = {}
    for edge in downstream.edges:
        if downstream.activities[edge.activity].kind is kind:
            edges.setdefault(edge.activity, []).append(edge)
    found = []
    for run in sorted(edges, reverse=True)[:_MOST_MEASUREMENTS]:
        activity = activities[run]
        if activity.ended_at > at:
            continue
        reports = [e for e in edges[run] if e.relation is Relation.GENERATED]
        reports = [e for e in reports if downstream.entities[e.entity].kind is EntityKind.REPORT]
        if activity.facts.get("status") != RunStatus.OK or not reports:
            continue
        grade = _weakest([activity.grade, *(edge.grade for edge in edges[run])])
        found.append(Measurement(activity, None, reports[0].entity, grade))
    if not found:
        return []
    whole = call.use(Lineage).of_activities(call.project, [one.run.id for one in found])
    read: dict[str, dict[str, Digest]] = {}
    for edge in whole.edges:
        if edge.relation is Relation.USED:
            read.setdefault(edge.activity, {})[edge.role] = edge.entity
    return [
        replace(one, data=read[one.run.id].get("data"), measures=_measures(one.run, read[one.run.id])) for one in found
    ]


def _measures(run: Activity, inputs: Iterable[str]) -> frozenset[str]:
    params = run.facts.get("params") or {}
    return frozenset(
        {"metrics", *(["groups"] if params.get("groups") else []), *(["stability"] if "reference" in inputs else [])}
    )


class _Absences:
    """Asks once whether a thing was used to make a model."""

    def __init__(self, call: Call, model: Entity) -> None:
        self._call, self._model = call, model
        self.found: dict[Digest, Absence] = {}

    def ask(self, digest: Digest) -> Absence | None:
        """The answer; None for what the project does not know."""
        if digest not in self.found:
            asked = self._call.use(Entities).find(self._call.project, [digest]).get(digest)
            if asked is None:
                return None
            proof = decide(gather_evidence(self._call.session, self._call.project, asked, self._model.digest))
            self.found[digest] = Absence(proof.verdict, proof.grade)
        return self.found[digest]


def _newest(call: Call, evaluations: Sequence[Measurement], absences: _Absences) -> dict[str, Measurement]:
    """By kind of measure the newest evaluation on unused data that was asked for it, with its report.

    It counts whatever it came to: where its report cannot be read, the measures are unknown, and no older one takes
    its place.
    """
    newest: dict[str, Measurement] = {}
    for one in evaluations:
        if one.data is None or one.measures <= newest.keys():
            continue
        absence = absences.ask(one.data)
        if absence is not None and absence.verdict is Verdict.UNUSED:
            told = replace(one, document=read_report(call, one.report))
            newest = {**dict.fromkeys(one.measures, told), **newest}
    return newest


def _reproductions(call: Call, maker: Run | None, digest: Digest, at: datetime) -> list[Run]:
    """Finished reproductions of the model, newest first."""
    if maker is None:
        return []
    runs = call.use(RunQueue).of_plan(call.project, maker.plan)
    wanted = [
        run
        for run in runs
        if run.kind == "reproduce"
        and run.facts.get("reproduces") == str(digest)
        and "verdict" in run.result
        and (run.ended_at is None or parse_time(run.ended_at) <= at)
    ]
    return wanted[::-1]


def _trials(call: Call, maker: Run | None, digest: Digest, at: datetime) -> dict[Digest, str]:
    """Models that other runs of the same experiment made."""
    if maker is None or maker.experiment is None:
        return {}
    kinds = (ActivityKind.TRAIN, ActivityKind.RUN)
    activities = call.use(Activities)
    ids = [a.id for k in kinds for a in activities.newest(call.project, k, maker.experiment, _MOST_TRIALS)]
    graph = _until(call.use(Lineage).of_activities(call.project, ids), at)
    return {
        edge.entity: edge.activity
        for edge in graph.edges
        if edge.relation is Relation.GENERATED
        and graph.entities[edge.entity].kind is EntityKind.MODEL
        and edge.entity != digest
    }


def _use_case(call: Call, records: Sequence[Record], at: datetime) -> list[Record]:
    """Every version of its use case by then, oldest first."""
    name = use_case_of(records)
    if name is None:
        return []
    told = call.use(Records).about(call.project, [f"usecase:{name}"], RecordKind.USE_CASE)
    return [record for record in told if record.at <= at]


def _key_figures(case: Sequence[Record]) -> dict[str, datetime]:
    """Since when the use case has asked for each of its key figures as it does now, by the expression."""
    since: dict[str, datetime] = {}
    for record in case:
        asked = [str(kpi["expression"]) for kpi in record.body.get("kpis") or ()]
        since = {one: since.get(one, moment_of(record.id)) for one in asked}
    return since


def _gates(call: Call, records: Sequence[Record], at: datetime) -> list[Gate]:
    name = use_case_of(records)
    subjects = [PROJECT, *([f"usecase:{name}"] if name else [])]
    told = call.use(Records).about(call.project, subjects, RecordKind.GATE)
    return gates_in(record for record in told if record.at <= at)


def _case_records(call: Call, records: Sequence[Record], at: datetime) -> list[Record]:
    name = use_case_of(records)
    told = [] if name is None else call.use(Records).about(call.project, [f"usecase:{name}"])
    return [record for record in told if record.kind in _OF_CASE and record.at <= at]


def _measured(call: Call, evaluations: Sequence[Measurement], newest: Mapping[str, Measurement]) -> list[Measurement]:
    """The newest evaluation on each data set; reports that were read already are not read again."""
    read = {one.run.id: one for one in newest.values()}
    found: dict[Digest, Measurement] = {}
    for one in evaluations:
        if one.data is not None and one.data not in found and len(found) < _MOST_MEASURED:
            known = read.get(one.run.id)
            found[one.data] = known or replace(one, document=read_report(call, one.report))
    return [*found.values()]


def _report_of(call: Call, maker: Run) -> dict[str, Any] | None:
    reports = [one["digest"] for one in maker.result.get("products", ()) if one["kind"] == EntityKind.REPORT]
    return read_report(call, Digest(reports[0])) if reports else None


def _witnessed(call: Call) -> int | None:
    """What is kept as a cosignature counts only when it verifies over the very checkpoint."""
    repository, checkpoints = call.use(WitnessRepository), call.use(CheckpointRepository)
    keys = [str(one.key) for one in repository.all()]
    required = repository.required() or len(keys)
    size = repository.cosigned(keys, required) if keys else None
    checkpoint = None if size is None else checkpoints.at(size)
    if size is None or checkpoint is None:
        return None
    good = set()
    for one in repository.of_size(size):
        with suppress(MunimentError):
            if one.key in keys and verify_cosignature(checkpoint.note, one.line, one.key) == one.time:
                good.add(one.key)
    return size if len(good) >= required else None


def _roles(call: Call, at: datetime) -> list[str]:
    grants = call.use(Grants).all(_MOST_GRANTS)
    return sorted({g.role.value for g in grants if g.active(at) and g.project in (None, call.project)})


def read_report(call: Call, report: Digest) -> dict[str, Any] | None:
    """A report, which its own digest names; None where it cannot be read any more or is none."""
    try:
        content = call.use(Vault).read_bytes(call.project, report)
    except MunimentError:
        return None
    return parse_object(content) if len(content) <= _REPORT else None


def _weakest(grades: Iterable[Grade]) -> Grade:
    order = (Grade.DECLARED, Grade.ATTESTED, Grade.PROVEN)
    return min(grades, key=order.index, default=Grade.DECLARED)


def names_of(call: Call, digests: Iterable[Digest]) -> dict[Digest, str]:
    """How to call these entities: the newest name, else the digest."""
    digests = list(digests)
    borne = call.use(Names).of(call.project, digests)
    return {digest: str(borne[digest][0]) if borne.get(digest) else str(digest) for digest in digests}
