"""Whether the record in the database is the one that the ledger tells of.

Runs, lineage, names and facts of entities lie in tables, which somebody may have changed. The ledger holds digests of
each run's plan, of what the platform saw of the run, and of what came out. By these the tables are judged: what the
plan names was used, what the entry names was generated, and nothing else may stand there.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from muniment.catalog.growing import KINDS
from muniment.catalog.model import Activity, Edge, Entity, EntityKind, EntityNode, Relation
from muniment.catalog.ports import Activities, Entities, Lineage, Names
from muniment.errors import MunimentError
from muniment.execution.completing import complete_run
from muniment.execution.contents import parts_of
from muniment.execution.model import MANIFEST, ResolvedJob, Run
from muniment.execution.queue import RunQueue
from muniment.identity.ports import Projects
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.reference import Named, parse_reference
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Effect, verb
from muniment.ledger.ports import CheckpointRepository, EntryRepository
from muniment.vault.service import ERASED, Vault
from muniment.wire import records as wire

_CHUNK: Final = 1024
_BATCH: Final = 200
_MOST: Final = 1 << 30
_FINDINGS: Final = 100
_LATER: Final = ("record", "products", "verdict")
"""What stands in the result of a run beside the evidence that its record digests."""


@dataclass(frozen=True, slots=True)
class Told:
    """The end of a run as the ledger tells it."""

    project: str
    run: str
    facts: Mapping[str, Any]
    event: str = ""
    """Type of the entry: who ended the run."""

    @property
    def generated(self) -> set[str]:
        """Digests of what came out."""
        return set(self.facts["generated"])


@dataclass(frozen=True, slots=True)
class Kept:
    """The same run as the tables have it."""

    run: Run | None
    activity: Activity | None
    edges: Sequence[Edge]
    nodes: Mapping[Digest, EntityNode]
    """Its inputs and results as lineage sees them."""


class Judge(Protocol):
    """Says how the tables contradict what the ledger tells of a run that one kind of entry ended. Pure."""

    def __call__(self, told: Told, kept: Kept) -> Iterator[str]:
        """Each contradiction in words."""


class Ends(dict[str, Judge]):
    """By type of entry: runs that others than the platform's workers end, and how their record is judged."""


@verb(
    "execution:VerifyRecords",
    on=INSTALLATION,
    request=wire.VerifyRecords,
    reply=wire.RecordsReport,
    event="records.verified",
    group="audit:read",
    effect=Effect.READ,
)
def verify_records(call: Call, request: wire.VerifyRecords) -> wire.RecordsReport:
    """Compare runs, lineage, names and facts in the database with what the ledger tells."""
    told: dict[str, dict[str, Told]] = {}
    findings: list[str] = []
    judges: dict[str, Judge] = {complete_run.event: differences, **call.use(Ends)}
    for one in _ends(call, judges):
        if told.setdefault(one.project, {}).setdefault(one.run, one) is not one:
            findings.append(f"run:{one.run} in {one.project}: the ledger tells of two ends, and a run ends once")
    entities = 0
    for project in sorted({*told, *(known.name for known in call.use(Projects).all())}):
        ends = told.get(project, {})
        stray = {one.id for one in call.use(Activities).newest(project, None, None, _MOST)} - set(ends)
        findings += [f"run:{run} in {project}: the ledger tells of no such end" for run in sorted(stray)]
        nodes: dict[Digest, EntityNode] = {}
        for batch in _batches(sorted(ends)):
            kept = _kept(call, project, batch)
            nodes |= kept[batch[0]].nodes
            for run in batch:
                findings += [
                    f"run:{run} in {project}: {what}" for what in judges[ends[run].event](ends[run], kept[run])
                ]
                findings += [f"{name} in {project}: {what}" for name, what in _misnamed(call, project, kept[run].run)]
        for batch in _batches(sorted({digest for end in ends.values() for digest in end.generated})):
            known = call.use(Entities).find(project, map(Digest, batch))
            entities += len(batch)
            for digest in batch:
                entity = known.get(Digest(digest))
                findings += [
                    f"{digest} in {project}: {what}" for what in _damage(call, entity, nodes.get(Digest(digest)))
                ]
    call.note(ok=not findings, findings=len(findings))
    runs = sum(map(len, told.values()))
    return wire.RecordsReport(
        ok=not findings,
        runs=runs,
        entities=entities,
        checked=[
            f"{runs} ended runs with their plans, evidence and lineage against the ledger, both ways",
            f"the names, files and contents of {entities} results against their digests",
        ],
        not_checked=[
            "people, groups, roles, tokens and policies in the database: what was done with them stands in the ledger",
            "logs, metrics, runs that have not ended, and the pieces by which partial copies are recognised",
        ],
        findings=findings[:_FINDINGS],
    )


def differences(told: Told, kept: Kept) -> Iterator[str]:
    """How the tables contradict what the ledger tells of a run. Pure."""
    run, activity = kept.run, kept.activity
    if run is None or activity is None:
        yield "it is missing from the database"
        return
    job = ResolvedJob.parse(run.job)
    if not told.facts["plan"] == str(job.digest) == str(run.plan) == str(activity.plan):
        yield "its plan is not the one that ran"
    evidence = {name: value for name, value in run.result.items() if name not in _LATER}
    if str(digest_of(evidence)) != told.facts["record"]:
        yield "what was seen of it is not what was recorded"
    verdict = (run.result.get("verdict") or {}).get("verdict")
    if run.status.value != told.facts["status"] or verdict != told.facts.get("verdict"):
        yield "its status or verdict is not the recorded one"
    if activity.kind != run.kind or activity.agent != run.requested_by:
        yield "what it did, or for whom, is told differently"
    yield from _lineage(told, kept, run, job)
    complete = (run.result.get("enforcement") or {}).get("complete")
    if {edge.grade for edge in kept.edges} - {Grade.PROVEN if complete else Grade.DECLARED}:
        yield "its lineage is graded otherwise than it ran"


def _lineage(told: Told, kept: Kept, run: Run, job: ResolvedJob) -> Iterator[str]:
    pinned = {("programs", job.code), ("base", job.base), ("environment", job.env)}
    wanted = pinned | set(job.inputs.items()) | ({("source", job.source)} if job.source else set())
    used = {(edge.role, edge.entity) for edge in kept.edges if edge.relation is Relation.USED}
    for role, digest in sorted(wanted - used):
        yield f"that it used {digest} as {role} is missing"
    for role, digest in sorted(used - wanted):
        yield f"that it used {digest} as {role} was added"
    generated = {(edge.role, str(edge.entity)) for edge in kept.edges if edge.relation is Relation.GENERATED}
    products = list(run.result.get("products", []))
    if str(digest_of(products)) != told.facts.get("products"):
        yield "its products are not the recorded ones"
    named = {(one["role"], one["digest"]) for one in products}
    if generated != named or {digest for _, digest in generated} != told.generated:
        yield "what it generated is not what was recorded"
    said = {Digest(one["digest"]): EntityKind(one["kind"]) for one in products}
    if run.kind == "ingest":
        said |= dict.fromkeys(job.inputs.values(), EntityKind.FILE)
    for digest in sorted(said):
        node = kept.nodes.get(digest)
        if node is not None and KINDS.index(node.kind) > KINDS.index(said[digest]):
            yield f"{digest} is said to be {node.kind}, and was {said[digest]}"


def _ends(call: Call, events: Collection[str]) -> Iterator[Told]:
    """The ends of runs that the ledger tells of, in this transaction's view of it."""
    entries = call.use(EntryRepository)
    head = call.use(CheckpointRepository).head()
    size = head.checkpoint.size if head else 0
    for start in range(0, size, _CHUNK):
        for _, row in entries.rows(start, min(start + _CHUNK, size)):
            if row.type in events and row.outcome == "ok" and not _again(row.body):
                yield _told(row.body)
    for _, body in entries.unsequenced(_MOST):
        if any(f'"{event}"' in body for event in events) and _data(body)["outcome"] == "ok" and not _again(body):
            yield _told(body)


def _data(body: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(body)["data"]
    return data


def _told(body: str) -> Told:
    entry = json.loads(body)
    data = entry["data"]
    return Told(data["project"], data["facts"]["run"], data["facts"], entry["type"])


def _again(body: str) -> bool:
    """Whether the end of a run was only said again."""
    return bool((_data(body).get("facts") or {}).get("again"))


def _kept(call: Call, project: str, runs: Sequence[str]) -> dict[str, Kept]:
    activities = call.use(Activities).find(project, runs)
    graph = call.use(Lineage).of_activities(project, runs)
    edges: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        edges.setdefault(edge.activity, []).append(edge)
    queue = call.use(RunQueue)
    return {run: Kept(queue.get(project, run), activities.get(run), edges.get(run, []), graph.entities) for run in runs}


def _damage(call: Call, entity: Entity | None, node: EntityNode | None) -> Iterator[str]:
    """What of a result does not follow from its digest."""
    if entity is None or node is None:
        yield "it is missing from the database"
        return
    vault = call.use(Vault)

    def read(digest: Digest) -> bytes:
        return vault.read_bytes(entity.project, digest)

    try:
        parts = parts_of(entity, read)
        content, proof = None, {}
        if entity.kind is EntityKind.DATA and MANIFEST in {part.path for part in parts}:
            content = json.loads(read(entity.digest))["content_digest"]
        if entity.kind is EntityKind.PROOF:
            proof = json.loads(read(entity.digest))
    except MunimentError as broken:
        if broken.code != ERASED:  # what was destroyed by a decision that stands is not damaged
            yield f"{broken.code}: {broken.message}"
        return
    if not entity.content_digest == node.content_digest == content:
        yield "its content digest is not the one in its manifest"
    told = {role: Digest(digest) for role, digest in entity.facts.get("parts", {}).items()}
    known = call.use(Entities).find(entity.project, told.values())
    contents = {role: str(known[digest].content_digest) for role, digest in told.items() if digest in known}
    stated = {role: part["content_digest"] for role, part in proof.get("parts", {}).items()}
    if bool(entity.facts.get("disjoint")) != bool(proof.get("disjoint")) or contents != stated:
        yield "what it proves is not what it says"


def _misnamed(call: Call, project: str, run: Run | None) -> Iterator[tuple[str, str]]:
    """Names that mean something else than what was recorded."""
    for product in run.result.get("products", []) if run else []:
        reference = parse_reference(product["reference"])
        if isinstance(reference, Named):
            kind = EntityKind(reference.kind)
            found = call.use(Names).find(project, kind, reference.name, reference.version)
            if found is None or str(found.digest) != product["digest"]:
                yield str(reference), "it does not mean what was recorded"


def _batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    return (items[at : at + _BATCH] for at in range(0, len(items), _BATCH))


VERBS: Final = (verify_records,)
