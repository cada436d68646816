"""The only way into production: an approved version is copied by digest, and stands under the approval it has.

Nothing is decided anew. The record of the promotion names the approvals of the other project by digest, with their
conditions, limits and end; whether the version may be used is asked there each time (see ``loading``), so what is
retired, rejected or expired there is refused here from that moment on. Where it was made is told by the lineage of the
other project alone: here the model is an entity that came from outside, as the record of the promotion says.
"""

from __future__ import annotations

from typing import Any, Final

from muniment.catalog.declaring import Declarer
from muniment.catalog.model import Entity, EntityKind
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Names
from muniment.errors import Conflict, Denied, Invalid, MunimentError, NotFound
from muniment.execution.contents import parts_of
from muniment.identity.ports import Projects
from muniment.inventory.approval.copying import copied
from muniment.inventory.approval.loading import Examined, examine
from muniment.inventory.framing import check_text
from muniment.inventory.lifecycle import InForce, State, Version
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.recording import advance
from muniment.inventory.registering import signed_manifest
from muniment.inventory.service import fetch_model
from muniment.inventory.usecases import find_use_case
from muniment.inventory.versions import find_version, registered
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Resource, verb
from muniment.ledger.ports import CheckpointRepository
from muniment.policy.authorizer import CedarAuthorizer
from muniment.vault.service import Vault
from muniment.wire import promotion as wire

__all__ = ["VERBS"]

_ABSENT: Final = {"classification": "", "author": ""}
"""Attributes of a model that is not there: policy is asked about it all the same."""


@verb(
    "inventory:PromoteModel",
    on=PROJECT,
    request=wire.PromoteModel,
    reply=wire.Promoted,
    event="model.promoted",
    group="inventory:promote",
)
def promote_model(call: Call, request: wire.PromoteModel) -> wire.Promoted:
    """Bring an approved version from another project into this stricter one, by digest, under the approval it has."""
    source = request.source
    if source == call.project:
        raise Invalid("MUNI-M180", "a model is promoted from another project", project=source)
    reason = check_text("reason", request.reason, empty=True)
    entity = _readable(call, source, request.model)
    if request.digest is not None and request.digest != entity.digest:
        raise Conflict(
            "MUNI-M330",
            "this reference leads to another model than the digest that was named",
            model=request.model,
            named=request.digest[:100],
            found=str(entity.digest),
        )
    stages = _stages(call, source)
    there = call.within(source)
    examined = examine(there, entity.digest, files=False)
    version, standing = _approved(there, entity.digest, examined, request)
    here = _free(call, entity.digest, source, standing)
    vault = call.use(Vault)
    parts = parts_of(entity, lambda manifest: vault.read_bytes(source, manifest))
    with copied(call, source, parts):
        entity = _entered(call, entity, source, named=str(version.registration.body["name"]))
        reference = label(call.session, call.project, entity.digest)
        if here is None:
            _register(call, entity, version, reference)
        body: dict[str, Any] = {
            "source": source,
            "model": label(call.session, source, entity.digest),
            "digest": str(entity.digest),
            "manifest": version.manifest,
            "reference": reference,
            "files": len(parts),
            "bytes": sum(part.size for part in parts),
            "approvals": [str(record.digest) for record in standing.records],
            "approved_by": _approvers(version, examined),
            "conditions": list(examined.usability.conditions),
            "use_limits": list(examined.usability.use_limits),
            "expires": format_time(examined.usability.expires or standing.expires),
            "emergency": examined.usability.emergency,
            "use_case": _use_case(there, version),
            "stages": stages,
            "checkpoint": _checkpoint(call),
            "reason": reason,
        }
        made = advance(call, RecordKind.PROMOTION, entity.digest, body, Grade.PROVEN)
    promotion = made.promotion
    assert promotion is not None
    call.note(source=source, model=str(entity.digest), approvals=body["approvals"], emergency=body["emergency"])
    return _view(call, made, promotion)


def _readable(call: Call, source: str, reference: str) -> Entity:
    """The model in the other project, when the principal may fetch it there.

    Who may not learns nothing of whether the project or the model exist.

    Raises:
        Denied: he may not.
        NotFound, Invalid: he may, and there is no such model.
    """
    hidden: MunimentError | None = None
    try:
        if not call.use(Projects).has_project(source):
            raise NotFound("MUNI-M255", f"there is no project {source[:80]!r}", project=source[:200])
        resource = fetch_model.on.locate(call.session, source, reference)
    except (NotFound, Invalid, Conflict) as missing:
        hidden, resource = missing, Resource(fetch_model.on.name, reference[:300], source[:300], _ABSENT)
    decision = call.use(CedarAuthorizer).decide(call.session, call.authentication, fetch_model, resource)
    if not decision.allowed or decision.errors:
        raise Denied(
            "MUNI-M411",
            f"{call.principal.id} may not fetch models of project {source[:80]!r}",
            project=source[:200],
            policies=list(decision.policies) or ["no policy permits it"],
            because=list(decision.reasons),
            do=f"ask for a role that includes {fetch_model.group} there: muni role list",
        )
    if hidden is not None:
        raise hidden
    call.note(source_policies=list(decision.policies))
    return resolve(call.session, source, reference, EntityKind.MODEL)


def _stages(call: Call, source: str) -> dict[str, str]:
    projects = call.use(Projects)
    origin, target = projects.stage(source), projects.stage(call.project)
    if target.strictness <= origin.strictness:
        raise Conflict(
            "MUNI-M331",
            f"a model is promoted into a stricter stage: {origin} into {target} is none",
            source=source,
            project=call.project,
            do="muni project list shows the stages",
        )
    return {"from": origin.value, "to": target.value}


def _approved(there: Call, model: Digest, examined: Examined, request: wire.PromoteModel) -> tuple[Version, InForce]:
    """The version where it comes from, and the approval that it is usable by."""
    found = examined.usability
    if not found.usable:
        raise Conflict(
            "MUNI-M332",
            f"this version may not be used in project {there.project}: {found.because[0]}",
            model=request.model,
            because=list(found.because),
            do=f"muni model status MODEL --project {there.project}",
        )
    if found.emergency and not request.emergency:
        raise Conflict(
            "MUNI-M333",
            "this version is approved by break-glass alone",
            model=request.model,
            because=list(found.because),
            do="say that you know: --emergency",
        )
    version = registered(there, model)
    by_emergency = found.emergency and (version.promotion is None or version.promotion.body["emergency"])
    standing = version.emergency if by_emergency else version.in_force
    assert standing is not None
    return version, standing


def _free(call: Call, model: Digest, source: str, standing: InForce) -> Version | None:
    """What stands of the model in this project already, when it may be promoted again; None when nothing does."""
    here = find_version(call.session, call.project, model)
    if here is None:
        return None
    if here.state.final:
        why, do = f"it is {here.state} here", "what was ended stays ended; promote another version"
    elif here.promotion is None:
        why, do = "it was registered here by hand", "it is decided on here"
    elif here.promotion.body["source"] != source:
        why, do = f"it came from project {here.promotion.body['source']}", "promote it from there again"
    elif here.promotion.body["approvals"] == [str(record.digest) for record in standing.records]:
        why, do = "it stands here already under this approval", "nothing is left to do"
    else:
        return here
    raise Conflict(
        "MUNI-M334",
        f"this version cannot be promoted: {why}",
        model=label(call.session, call.project, model),
        state=here.state_at(call.now).value,
        do=do,
    )


def _entered(call: Call, entity: Entity, source: str, *, named: str) -> Entity:
    """Make the model known here, as what came from elsewhere, under the same name."""
    declarer = Declarer(call.session, call.project, call.now)
    facts: dict[str, Any] = {**entity.facts, "promoted_from": source}
    pieces = [Digest(file["digest"]) for file in entity.facts.get("files", []) if file["size"]]
    made = declarer.entity(entity.digest, EntityKind.MODEL, author=str(call.principal), facts=facts, parts=pieces)
    borne = call.use(Names).of(call.project, [entity.digest]).get(entity.digest, [])
    if not any(name.kind is EntityKind.MODEL for name in borne):
        declarer.name(EntityKind.MODEL, named, entity.digest, by=str(call.principal))
    return made


def _register(call: Call, entity: Entity, version: Version, reference: str) -> None:
    """Register it here with a manifest of its own and the tier that it has where it comes from."""
    told, number = version.registration.body, int(reference.rpartition("@")[2])
    body = {
        "model": reference,
        "digest": str(entity.digest),
        "name": told["name"],
        "version": number,
        "use_case": None,
        "model_kind": version.model_kind,
        **{
            field: told[field]
            for field in ("origin", "owner", "description", "assumptions", "limits", "supplier", "algorithm")
        },
    }
    advance(call, RecordKind.REGISTRATION, entity.digest, {**body, **signed_manifest(call, entity, body)})
    if version.tier is not None:
        tier = {name: value for name, value in version.tier.body.items() if name != "step"}
        advance(call, RecordKind.TIER, entity.digest, tier)


def _approvers(version: Version, examined: Examined) -> list[str]:
    if examined.usability.emergency and version.promotion is None:
        return sorted({record.by for record in version.broken})
    return list(version.approvers)


def _use_case(there: Call, version: Version) -> dict[str, Any] | None:
    """For what it may be used, as it is stated where it comes from."""
    name = version.registration.body["use_case"]
    if not name:
        return dict(version.promotion.body["use_case"] or {}) or None if version.promotion else None
    found = find_use_case(there.session, there.project, name)
    return {"name": found.name, "version": found.version, "record": str(found.record.digest)}


def _checkpoint(call: Call) -> dict[str, Any] | None:
    """The newest signed state of the ledger; what came after it is signed with the next."""
    head = call.use(CheckpointRepository).head()
    return None if head is None else {"size": head.checkpoint.size, "root": str(head.checkpoint.root)}


def _view(call: Call, version: Version, promotion: Record) -> wire.Promoted:
    body = promotion.body
    return wire.Promoted(
        project=call.project,
        model=body["reference"],
        digest=body["digest"],
        source=body["source"],
        source_model=body["model"],
        manifest=version.manifest,
        state=State(version.state_at(call.now)).value,
        tier=version.level,
        emergency=body["emergency"],
        expires=body["expires"],
        conditions=body["conditions"],
        use_limits=body["use_limits"],
        approvals=body["approvals"],
        approved_by=body["approved_by"],
        record=str(promotion.digest),
        files=body["files"],
        bytes=body["bytes"],
    )


VERBS: Final = (promote_model,)
