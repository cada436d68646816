"""A registered version in the store: its records folded, its row in the projection, and the resource policies see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from muniment.catalog.model import Direction, Entity, EntityKind
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Lineage
from muniment.errors import Conflict, Invalid
from muniment.inventory.independence import declared_inputs, parties
from muniment.inventory.lifecycle import Version, fold
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records, VersionRow, Versions
from muniment.inventory.standing import findings_in, reviews_in
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.kernel.principal import Principal
from muniment.kernel.verb import Call, Resource, ResourceKind

__all__ = ["MODEL_VERSION", "PROJECTED", "find_version", "records_about", "refresh", "registered", "worked_out"]

PROJECTED: Final = frozenset(
    {
        RecordKind.REGISTRATION,
        RecordKind.DETERMINATION,
        RecordKind.TIER,
        RecordKind.SUBMISSION,
        RecordKind.REVIEW,
        RecordKind.APPROVAL,
        RecordKind.REJECTION,
        RecordKind.RETIREMENT,
        RecordKind.BREAK_GLASS,
        RecordKind.PROMOTION,
        RecordKind.FINDING,
        RecordKind.FINDING_CLOSURE,
        RecordKind.REVIEW_SCHEDULE,
        RecordKind.REVIEW_DONE,
        RecordKind.DEPENDENCY,
    }
)
"""Records that change the row of the version they are about."""

_MOST_INPUTS: Final = 500
_INPUTS: Final = frozenset({EntityKind.DATA, EntityKind.FILE, EntityKind.MODEL})
_LINEAGE: Final = frozenset({RecordKind.REGISTRATION, RecordKind.DEPENDENCY})
"""Records after which the inputs of a version are worked out again."""


def records_about(session: Session, project: str, digest: Digest) -> Sequence[Record]:
    """What was said about a version, with the closures of its findings, oldest first."""
    records = session.use(Records)
    told = records.about(project, [str(digest)])
    findings = [record.id for record in told if record.kind is RecordKind.FINDING]
    closures = records.about(project, findings, RecordKind.FINDING_CLOSURE) if findings else []
    # a clock that stands still, or two requests of one microsecond: the steps of a life are numbered
    return sorted((*told, *closures), key=lambda record: (record.at, int(record.body.get("step", 0)), record.id))


def find_version(session: Session, project: str, digest: Digest) -> Version | None:
    """What the records about a version come to; None when it is not registered."""
    return fold(records_about(session, project, digest))


def registered(call: Call, digest: Digest) -> Version:
    """The registered version with this digest.

    Raises:
        Conflict: it is not registered.
    """
    version = find_version(call.session, call.project, digest)
    if version is None:
        raise Conflict(
            "MUNI-M310",
            "this model is not in the inventory yet",
            model=label(call.session, call.project, digest),
            do="register it first: muni model register MODEL",
        )
    return version


def refresh(session: Session, project: str, digest: Digest, changed: RecordKind | None = None) -> VersionRow | None:
    """Work out the row of a version again from its records and keep it; None when it is not registered.

    Args:
        session: the transaction in which a record was added.
        project: the project of the model.
        digest: the model.
        changed: the kind of record that was added; None works out everything.
    """
    row = worked_out(session, project, digest)
    if row is not None:
        session.use(Versions).put(row)
        if changed is None or changed in _LINEAGE:
            records = records_about(session, project, digest)
            session.use(Versions).put_inputs(project, digest, _inputs(session, project, digest, records))
    return row


def worked_out(session: Session, project: str, digest: Digest) -> VersionRow | None:
    """What the records about a version come to, as lists and board show it; None when it is not registered."""
    records = records_about(session, project, digest)
    version = fold(records)
    if version is None:
        return None
    open_findings = [finding for finding in findings_in(records) if finding.open]
    due = [review.due for review in reviews_in(records) if review.done is None]
    told = version.registration.body
    return VersionRow(
        project=project,
        digest=digest,
        name=str(told["name"]),
        version=int(told["version"]),
        use_case=told["use_case"],
        model_kind=version.model_kind,
        origin=str(told["origin"]),
        owner=str(told["owner"]),
        algorithm=str(told["algorithm"])[:200],
        supplier=told["supplier"],
        tier=version.level,
        state=version.state,
        since=version.since,
        registered_at=version.registration.at,
        approvals=len(version.approvers),
        required=version.required,
        approved_at=version.in_force.since if version.in_force else None,
        expires=version.in_force.expires if version.in_force else None,
        emergency_until=version.emergency.expires if version.emergency else None,
        next_review=min(due).isoformat() if due else None,
        findings_high=sum(finding.severity == "high" for finding in open_findings),
        findings_open=len(open_findings),
    )


def _inputs(session: Session, project: str, digest: Digest, records: Sequence[Record]) -> dict[Digest, str]:
    """The data and models that a version came from, by digest, each with a name."""
    graph = session.use(Lineage).closure(project, digest, Direction.UPSTREAM)
    found = [one for one, node in sorted(graph.entities.items()) if node.kind in _INPUTS and one != digest]
    declared = [on for on, _ in declared_inputs(records)]
    return {one: label(session, project, one) for one in [*declared, *found][:_MOST_INPUTS]}


def locate_version(session: Session, project: str | None, reference: str) -> Resource:
    """The version that a request names, with what four eyes look at."""
    if project is None:
        raise Invalid("MUNI-M110", "a model belongs to a project", do="name the project")
    entity = resolve(session, project, reference, EntityKind.MODEL)
    return Resource("ModelVersion", f"{project}/{entity.digest}", project, attributes_of(session, project, entity))


def attributes_of(session: Session, project: str, entity: Entity) -> dict[str, Any]:
    """What policies may look at."""
    records = records_about(session, project, entity.digest)
    version = fold(records)
    made = parties(session, project, entity.digest, version)
    reviewers = {record.by.partition(":")[2] for record in version.reviews} if version else set()
    high = sum(finding.open and finding.severity == "high" for finding in findings_in(records))
    return {
        "authors": sorted(made.authors),
        "beholden": sorted(made.beholden),
        "reviewers": sorted(reviewers),
        "state": version.state.value if version else "unregistered",
        "tier": version.level if version else 1,
        "approvals": len({record.by for record in version.approvals}) if version else 0,
        "required": version.required if version else 1,
        "findings_high": high,
    }


def explain_version(session: Session, resource: Resource, principal: Principal) -> tuple[str, ...]:
    """Why a person is not independent of a version: what stands in the refusal."""
    text = resource.id.partition("/")[2]
    if resource.project is None or not text.startswith("sha256:"):
        return ()
    digest = Digest(text)
    version = find_version(session, resource.project, digest)
    return parties(session, resource.project, digest, version).why(principal.id)


MODEL_VERSION: Final = ResourceKind(
    "ModelVersion",
    "models",
    "model",
    locate_version,
    attributes={
        "authors": "Set<User>",
        "beholden": "Set<User>",
        "reviewers": "Set<User>",
        "state": "String",
        "tier": "Long",
        "approvals": "Long",
        "required": "Long",
        "findings_high": "Long",
    },
    explain=explain_version,
)
