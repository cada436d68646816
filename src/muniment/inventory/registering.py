"""How a version enters the inventory: a model that was made here, or one that was made elsewhere, as a declared entry.

What was made here gets a *manifest*: model, files, run, plan and use case by digest, signed with the ledger's key. It
is what people sign later on; whoever changes any of it afterwards changes its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from muniment.catalog.declaring import Declarer
from muniment.catalog.model import Direction, Entity, EntityKind, Relation
from muniment.catalog.naming import check_entity_name, label, resolve
from muniment.catalog.ports import Entities, Lineage, Names
from muniment.catalog.resources import MODEL
from muniment.errors import Conflict, Invalid, NotFound
from muniment.execution.contents import parts_of
from muniment.execution.judging import FILES_FORMAT
from muniment.execution.model import Part, Run
from muniment.execution.queue import RunQueue
from muniment.execution.submitting import making_of
from muniment.identity.stages import check_by_hand
from muniment.inventory.framing import check_owner, check_text, check_texts
from muniment.inventory.independence import declared_inputs
from muniment.inventory.lifecycle import State, Version
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records, VersionRow, Versions
from muniment.inventory.recording import advance, keep
from muniment.inventory.tiers import reassess
from muniment.inventory.usecases import find_use_case, living_use_case
from muniment.inventory.versions import MODEL_VERSION, find_version, registered
from muniment.kernel.canonical import canonical, digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.ledger.note import sign_note
from muniment.ledger.ports import Signer
from muniment.ledger.service import Ledger
from muniment.vault.service import Vault
from muniment.wire import inventory as wire

__all__ = ["MANIFEST_FORMAT", "VERBS", "enter_external", "manifest_now", "manifest_text", "signed_manifest"]

MANIFEST_FORMAT: Final = "muniment.model-manifest/1"
ENTRY_FORMAT: Final = "muniment.model-entry/1"
_ENTRY: Final = "entry.json"
_KINDS: Final = ("model", "non-model", "eut")
_ORIGINS: Final = ("vendor", "off-platform")
_MOST: Final = 1000


@verb(
    "inventory:RegisterModel",
    on=MODEL,
    request=wire.RegisterModel,
    reply=wire.Registered,
    event="model.registered",
    group="inventory:write",
)
def register_model(call: Call, request: wire.RegisterModel) -> wire.Registered:
    """Enter a model that was made here into the inventory, as a draft; a draft can be registered anew."""
    check_by_hand(call, "registered")
    entity = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    names = [n for n in call.use(Names).of(call.project, [entity.digest]).get(entity.digest, []) if n.kind == "model"]
    if not names:
        raise Invalid("MUNI-M111", "a model without a name cannot be registered", model=str(entity.digest))
    return _register(
        call,
        entity,
        {
            "name": names[0].name,
            "version": names[0].version,
            "use_case": _purpose(call, entity, request.use_case),
            "model_kind": request.model_kind,
            "origin": "platform",
            "owner": request.owner or call.principal.id,
            "description": check_text("description", request.description, empty=True),
            "assumptions": check_texts("assumptions", request.assumptions),
            "limits": check_texts("limits", request.limits),
            "supplier": None,
            "algorithm": str(entity.facts.get("algorithm", "")),
        },
    )


@verb(
    "inventory:RegisterExternalModel",
    on=PROJECT,
    request=wire.RegisterExternalModel,
    reply=wire.Registered,
    event="model.registered_external",
    group="inventory:write",
)
def register_external_model(call: Call, request: wire.RegisterExternalModel) -> wire.Registered:
    """Enter a model of a vendor, or one that lives outside, without its bytes; everything about it is declared."""
    return enter_external(call, request, ())


@verb(
    "inventory:RegisterModelFile",
    on=PROJECT,
    request=wire.RegisterModelFile,
    reply=wire.Registered,
    event="model.registered_file",
    group="inventory:write",
    takes_body=True,
)
def register_model_file(call: Call, request: wire.RegisterModelFile) -> wire.Registered:
    """Enter a model that lives outside with its file, such as a spreadsheet or a package; it is never opened."""
    name = request.filename
    if not 1 <= len(name) <= 200 or not name.isprintable() or set(name) & set("/\\\0") or name in (".", "..", _ENTRY):
        raise Invalid("MUNI-M112", "a file has a plain name of at most 200 characters", given=name[:200])
    return enter_external(call, request, (Part(name, call.body.digest, call.body.size),))


@verb(
    "inventory:DeclareDependency",
    on=MODEL_VERSION,
    request=wire.DeclareDependency,
    reply=wire.Dependencies,
    event="dependency.declared",
    group="inventory:write",
)
def declare_dependency(call: Call, request: wire.DeclareDependency) -> wire.Dependencies:
    """State that another model feeds this one, where lineage cannot know it."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    on = resolve(call.session, call.project, request.on, EntityKind.MODEL)
    version = registered(call, model.digest)
    if version.state.final:
        raise Conflict("MUNI-M311", "nothing more can be said of it", model=request.model, state=version.state.value)
    feeds = {row.digest for row in _related(call, on.digest, Direction.UPSTREAM)}
    if on.digest == model.digest or model.digest in feeds:
        raise Invalid("MUNI-M113", "a model cannot feed itself, also not by way of others", model=request.model)
    body = {"on": str(on.digest), "reference": label(call.session, call.project, on.digest)}
    keep(call, RecordKind.DEPENDENCY, str(model.digest), {**body, "reason": check_text("reason", request.reason)})
    call.note(model=str(model.digest), on=str(on.digest))
    return _dependencies(call, model.digest)


@verb(
    "inventory:ShowDependencies",
    on=MODEL,
    request=wire.ShowDependencies,
    reply=wire.Dependencies,
    event="dependencies.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_dependencies(call: Call, request: wire.ShowDependencies) -> wire.Dependencies:
    """Show which registered versions feed a model and which it feeds, from lineage and from what was declared."""
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    return _dependencies(call, model.digest)


def manifest_now(call: Call, version: Version) -> Digest:
    """The digest that the manifest of a version has if it is written down again from the catalog of now.

    Raises:
        IntegrityError: the files of the model are not those that its digest names.
    """
    digest = Digest(version.digest)
    entity = call.use(Entities).find(call.project, [digest])[digest]
    told = version.registration.body
    return digest_of(_manifest(call, entity, told, fixed=told["manifest_document"]))


def signed_manifest(call: Call, entity: Entity, told: Mapping[str, Any]) -> dict[str, Any]:
    """What a registration keeps of the manifest: its digest, the document, and the note that the ledger's key signed.

    Args:
        call: the request.
        entity: the model.
        told: what else the registration says.
    """
    document = _manifest(call, entity, told)
    manifest = digest_of(document)
    note = sign_note(manifest_text(manifest), call.use(Ledger).origin, call.use(Signer))
    return {"manifest": str(manifest), "manifest_document": document, "manifest_note": note}


def manifest_text(manifest: str) -> str:
    """The text of the note that signs a manifest."""
    return f"{MANIFEST_FORMAT}\n{manifest}\n"


def enter_external(call: Call, request: wire.RegisterExternalModel, files: tuple[Part, ...]) -> wire.Registered:
    """Enter a model that was made elsewhere: its entry and its files become one declared entity, which is registered.

    Args:
        call: the request.
        request: what is told of it.
        files: its files, sealed in the project; none may be called ``entry.json``.
    """
    check_by_hand(call, "registered")
    name = check_entity_name(EntityKind.MODEL, request.name)
    if request.origin not in _ORIGINS:
        raise Invalid("MUNI-M114", "a model from outside is of a vendor or off-platform", origins=list(_ORIGINS))
    if (request.origin == "vendor") != bool(request.supplier):
        raise Invalid("MUNI-M115", "a vendor's model names its supplier, and only that does", origin=request.origin)
    told = {
        "name": name,
        "origin": request.origin,
        "description": check_text("description", request.description),
        "algorithm": check_text("algorithm", request.algorithm, empty=True),
        "supplier": request.supplier and check_text("supplier", request.supplier),
        "contract": check_text("contract", request.contract, empty=True),
        "supplier_version": check_text("supplier_version", request.supplier_version, empty=True),
        "location": check_text("location", request.location, empty=True),
        "assumptions": check_texts("assumptions", request.assumptions),
        "limits": check_texts("limits", request.limits),
    }
    document = canonical({"format": ENTRY_FORMAT, "entry": told, "files": [part.document() for part in files]})
    vault = call.use(Vault)
    sealed = vault.seal_bytes(call.project, document)
    if not vault.has(call.session, call.project, sealed.digest):
        vault.register(call.session, call.project, sealed)
    parts = sorted((*files, Part(_ENTRY, sealed.digest, sealed.size)), key=lambda part: part.path)
    listed = [part.document() for part in parts]
    digest = digest_of({"format": FILES_FORMAT, "files": listed})
    declarer = Declarer(call.session, call.project, call.now)
    facts = {"algorithm": told["algorithm"] or request.origin, "files": listed, "origin": request.origin}
    pieces = [part.digest for part in parts if part.size]
    entity = declarer.entity(digest, EntityKind.MODEL, author=str(call.principal), facts=facts, parts=pieces)
    named = declarer.name(EntityKind.MODEL, name, digest, by=str(call.principal))
    body = {
        **told,
        "version": named.version,
        "use_case": request.use_case,
        "model_kind": request.model_kind,
        "owner": request.owner,
        "algorithm": facts["algorithm"],
    }
    return _register(call, entity, body)


def _register(call: Call, entity: Entity, told: Mapping[str, Any]) -> wire.Registered:
    """Keep the registration with its signed manifest, and work out the tier."""
    if told["model_kind"] not in _KINDS:
        raise Invalid("MUNI-M116", "it is a model, a non-model or an end-user tool", kinds=list(_KINDS))
    check_owner(call, told["owner"])
    if told["use_case"]:
        living_use_case(call.session, call.project, told["use_case"])
    version = find_version(call.session, call.project, entity.digest)
    if version is not None and version.state is not State.DRAFT:
        raise Conflict(
            "MUNI-M312",
            "this version was registered and is no draft any more",
            model=label(call.session, call.project, entity.digest),
            state=version.state.value,
            do="what was submitted stays as it is; register the next version",
        )
    body = {"model": label(call.session, call.project, entity.digest), "digest": str(entity.digest), **told}
    signed = signed_manifest(call, entity, body)
    advance(call, RecordKind.REGISTRATION, entity.digest, {**body, **signed})
    version = reassess(call, entity.digest)
    call.note(model=str(entity.digest), manifest=version.manifest, tier=version.level)
    return registered_view(call, version)


def _purpose(call: Call, entity: Entity, asked: str | None) -> str | None:
    """The use case that a model is for: that of its making, if any, which nobody leaves out or changes.

    Raises:
        Invalid: it was made for another one than is asked for, or for several and none was asked for.
    """
    graph = call.use(Lineage).closure(call.project, entity.digest, Direction.UPSTREAM, 1)
    ids = sorted({edge.activity for edge in graph.edges if edge.relation is Relation.GENERATED})
    runs = [run for one in ids if (run := call.use(RunQueue).get(call.project, one)) is not None]
    made_for = sorted({run.facts["use_case"]["name"] for run in runs if run.facts.get("use_case")})
    if made_for and asked not in (made_for if len(made_for) > 1 else (None, *made_for)):
        raise Invalid(
            "MUNI-M117",
            "the model was made for another use case",
            made_for=made_for,
            asked=asked,
            do="name the use case that it was made for, or train it under the one that it shall serve",
        )
    return asked or (made_for[0] if made_for else None)


def _manifest(
    call: Call, entity: Entity, told: Mapping[str, Any], fixed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What is signed about a model: everything by digest, nothing of the moment, so that it can be written again.

    Args:
        call: the request.
        entity: the model.
        told: what else the registration says.
        fixed: the manifest of the registration; what may rightly move on afterwards, the version of the use case and
            the grade, is taken from it. None when it is written for the first time.
    """
    vault = call.use(Vault)
    parts = parts_of(entity, lambda manifest: vault.read_bytes(call.project, manifest))
    run = _making(call, entity)
    moving = fixed or {"use_case": _frame(call, told["use_case"]), "grade": entity.grade.value}
    return {
        "format": MANIFEST_FORMAT,
        "origin": call.use(Ledger).origin,
        "project": call.project,
        "model": told["model"],
        "digest": str(entity.digest),
        "files": [part.document() for part in parts],
        "algorithm": told["algorithm"],
        "grade": moving["grade"],
        "run": None if run is None else {"id": run.id, "plan": str(run.plan), "record": run.result.get("record")},
        "use_case": moving["use_case"],
        "owner": told["owner"],
        "model_kind": told["model_kind"],
        "model_origin": told["origin"],
        "supplier": told["supplier"],
    }


def _frame(call: Call, name: str | None) -> dict[str, Any] | None:
    """The use case in its version of now."""
    if not name:
        return None
    found = find_use_case(call.session, call.project, name)
    return {"name": found.name, "version": found.version, "record": str(found.record.digest)}


def _making(call: Call, entity: Entity) -> Run | None:
    try:
        return making_of(call, entity)
    except NotFound:
        return None


def registered_view(call: Call, version: Version) -> wire.Registered:
    """A registration as its reply."""
    body, tier = version.registration.body, version.tier
    return wire.Registered(
        model=body["model"],
        digest=version.digest,
        manifest=version.manifest,
        state=version.state_at(call.now).value,
        tier=version.level,
        because=str(tier.body["because"]) if tier else "",
        requires=dict(version.requires),
        record=str(version.registration.digest),
    )


def _dependencies(call: Call, digest: Digest) -> wire.Dependencies:
    declared = {on for on, _ in declared_inputs(call.use(Records).about(call.project, [str(digest)]))}
    up = _related(call, digest, Direction.UPSTREAM)
    down = _related(call, digest, Direction.DOWNSTREAM)
    return wire.Dependencies(
        model=label(call.session, call.project, digest),
        feeds_on=[_related_view(row, declared=row.digest in declared) for row in up],
        feeds=[_related_view(row, declared=digest in _declared_by(call, row.digest)) for row in down],
    )


def _related(call: Call, digest: Digest, direction: Direction) -> list[VersionRow]:
    """The registered versions that feed a model, or that it feeds, also over several steps."""
    found: set[Digest] = set()
    waiting = [digest]
    while waiting and len(found) < _MOST:
        here = waiting.pop()
        graph = call.use(Lineage).closure(call.project, here, direction)
        models = {one for one, node in graph.entities.items() if node.kind is EntityKind.MODEL}
        models |= _declared_by(call, here) if direction is Direction.UPSTREAM else _declared_on(call, here)
        waiting += sorted(models - found - {digest})
        found |= models - {digest}
    return sorted(call.use(Versions).find(call.project, found).values(), key=lambda row: (row.name, row.version))


def _declared_by(call: Call, digest: Digest) -> set[Digest]:
    """What was declared to feed a model."""
    return {
        on for on, _ in declared_inputs(call.use(Records).about(call.project, [str(digest)], RecordKind.DEPENDENCY))
    }


def _declared_on(call: Call, digest: Digest) -> set[Digest]:
    """What a model was declared to feed."""
    told: list[Record] = [*call.use(Records).of_kind(call.project, RecordKind.DEPENDENCY)]
    return {Digest(record.subject) for record in told if record.body["on"] == digest}


def _related_view(row: VersionRow, *, declared: bool) -> wire.Dependency:
    grade = Grade.DECLARED if declared else Grade.PROVEN
    return wire.Dependency(model=row.reference, digest=str(row.digest), state=row.state.value, grade=grade.value)


VERBS: Final = (
    declare_dependency,
    register_external_model,
    register_model,
    register_model_file,
    show_dependencies,
)
