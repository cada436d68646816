"""Verbs of the registry that other people's clients know: names, versions, aliases, stages.

A version fixes the files of a run by digest and enters the inventory as a model made elsewhere: a draft, graded
declared, which passes no gate that asks for proven facts. Stages and aliases are what clients say; they open nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from muniment.catalog.declaring import Declarer
from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.ports import Entities, Names
from muniment.errors import Conflict, Invalid, NotFound
from muniment.execution.model import Part
from muniment.inventory.ports import Versions
from muniment.inventory.registering import enter_external
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Download, Effect, verb
from muniment.tracking.items import (
    Item,
    ItemKind,
    Items,
    changed,
    check_reading,
    check_title,
    files_of_run,
    known_run,
    page,
    short_name,
)
from muniment.vault.service import Vault
from muniment.wire import registry as wire
from muniment.wire.inventory import RegisterExternalModel

__all__ = ["VERBS"]

STAGES: Final = ("None", "Staging", "Production", "Archived")
_ENTRY: Final = "entry.json"
_MOST_FILES: Final = 2_000


@verb(
    "tracking:CreateRegisteredModel",
    on=PROJECT,
    request=wire.CreateRegisteredModel,
    reply=wire.RegisteredModel,
    event="registry.name_created",
    group="inventory:write",
)
def create_registered_model(call: Call, request: wire.CreateRegisteredModel) -> wire.RegisteredModel:
    """Open a name under which versions of a model from outside are registered; a deleted name can be opened again."""
    name = check_title(request.name, "registered model")
    if set(name) & set("/:"):
        raise Invalid("MUNI-R164", "a registered model's name has no slash and no colon", given=name[:80])
    known = call.use(Items).get(call.project, ItemKind.NAME, name)
    if known is not None and not known.deleted:
        raise Conflict("MUNI-R357", f"a registered model of the name {name[:80]!r} exists", name=name)
    now = format_time(call.now)
    item = Item(
        project=call.project,
        kind=ItemKind.NAME,
        key=name,
        shelf="",
        state={
            "model": known.state["model"] if known else short_name(name, lower=True),
            "description": request.description,
            "tags": changed({}, request.tags, "registered model"),
            "aliases": {},
            "by": str(call.principal),
        },
        created_at=now,
        updated_at=now,
    )
    call.use(Items).put(item)
    call.note(name=name)
    return _name_view(call, item)


@verb(
    "tracking:UpdateRegisteredModel",
    on=PROJECT,
    request=wire.UpdateRegisteredModel,
    reply=wire.RegisteredModel,
    event="registry.name_updated",
    group="inventory:write",
)
def update_registered_model(call: Call, request: wire.UpdateRegisteredModel) -> wire.RegisteredModel:
    """Change description, tags and aliases of a registered model; its name in the inventory stays."""
    item = _living_name(call, request.name)
    if request.new_name not in (None, item.key):
        raise Conflict(
            "MUNI-R358",
            "a registered model keeps its name: versions that stand in the record are known by it",
            name=item.key,
            do="open another name and register the version under it too",
        )
    aliases = {**item.state["aliases"], **request.aliases}
    for alias, version in request.aliases.items():
        check_title(alias, "alias")
        if version is not None:
            _living_version(call, item.key, version)
    state = {
        **item.state,
        "description": item.state["description"] if request.description is None else request.description,
        "tags": changed(item.state["tags"], request.tags, "registered model"),
        "aliases": {alias: version for alias, version in aliases.items() if version is not None},
    }
    item = replace(item, state=state, updated_at=format_time(call.now))
    call.use(Items).put(item)
    call.note(name=item.key)
    return _name_view(call, item)


@verb(
    "tracking:DeleteRegisteredModel",
    on=PROJECT,
    request=wire.DeleteRegisteredModel,
    reply=wire.RegisteredModel,
    event="registry.name_deleted",
    group="inventory:write",
)
def delete_registered_model(call: Call, request: wire.DeleteRegisteredModel) -> wire.RegisteredModel:
    """Take a registered model with its versions out of lists; they stay in the inventory, everything is retained."""
    item = _living_name(call, request.name)
    now = format_time(call.now)
    for version in _versions(call, item.key):
        call.use(Items).put(replace(version, deleted=True, updated_at=now))
    item = replace(item, deleted=True, updated_at=now)
    call.use(Items).put(item)
    call.note(name=item.key)
    return _name_view(call, item)


@verb(
    "tracking:ListRegisteredModels",
    on=PROJECT,
    request=wire.ListRegisteredModels,
    reply=wire.RegisteredModels,
    event="registry.names_listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_registered_models(call: Call, request: wire.ListRegisteredModels) -> wire.RegisteredModels:
    """List registered models by name, with their versions."""
    if request.name is not None:
        return wire.RegisteredModels(models=[_name_view(call, _living_name(call, request.name))])
    found = page(call.use(Items).list(call.project, ItemKind.NAME), deleted=False)
    return wire.RegisteredModels(models=[_name_view(call, item) for item in found])


@verb(
    "tracking:CreateModelVersion",
    on=PROJECT,
    request=wire.CreateModelVersion,
    reply=wire.ModelVersion,
    event="registry.version_created",
    group="inventory:write",
)
def create_model_version(call: Call, request: wire.CreateModelVersion) -> wire.ModelVersion:
    """Fix files of a run by digest as the next version of a name, and enter it into the inventory as declared."""
    name = _living_name(call, request.name)
    model = name.state["model"]
    newest = call.use(Names).find(call.project, EntityKind.MODEL, model, None)
    number = newest.version + 1 if newest else 1
    if request.version is not None and request.version != number:
        known = call.use(Items).get(call.project, ItemKind.VERSION, _key(name.key, request.version))
        if known is None:
            raise Conflict("MUNI-R359", "the next version has another number", asked=request.version, next=number)
        return _version_view(call, known)
    files = _frozen(call, request)
    tags = changed({}, request.tags, "model version")
    entered = enter_external(
        call,
        RegisterExternalModel(
            project=call.project,
            name=model,
            origin="off-platform",
            owner=call.principal.id,
            description=request.description or f"{name.key}, registered by a tracking client",
            algorithm=_flavour(files),
            supplier_version=f"{name.key} {number}"[:200],
            location=f"run:{request.run.removeprefix('run:')}/{request.path}",
        ),
        tuple(files.values()),
    )
    digest = Digest(entered.digest)
    _made_by(call, request.run.removeprefix("run:"), digest, files.values())
    now = format_time(call.now)
    item = Item(
        project=call.project,
        kind=ItemKind.VERSION,
        key=_key(name.key, number),
        shelf=name.key,
        state={
            "version": number,
            "model": entered.model,
            "digest": str(digest),
            "run": request.run.removeprefix("run:"),
            "path": request.path,
            "source": request.source[:2000],
            "logged_model": request.model,
            "description": request.description,
            "stage": "None",
            "tags": tags,
            "files": [part.document() for part in files.values()],
            "by": str(call.principal),
        },
        created_at=now,
        updated_at=now,
    )
    call.use(Items).put(item)
    call.use(Items).put(replace(name, updated_at=now))
    call.note(name=name.key, version=number, digest=str(digest))
    return _version_view(call, item)


@verb(
    "tracking:UpdateModelVersion",
    on=PROJECT,
    request=wire.UpdateModelVersion,
    reply=wire.ModelVersion,
    event="registry.version_updated",
    group="inventory:write",
)
def update_model_version(call: Call, request: wire.UpdateModelVersion) -> wire.ModelVersion:
    """Change description, tags or stage of a registered version; its bytes and its standing do not change."""
    item = _living_version(call, request.name, request.version)
    now = format_time(call.now)
    state = {**item.state, "tags": changed(item.state["tags"], request.tags, "model version")}
    if request.description is not None:
        state["description"] = request.description
    if request.stage is not None:
        stages = {stage.lower(): stage for stage in STAGES}
        if request.stage.lower() not in stages:
            raise Invalid("MUNI-R165", "not a stage", given=request.stage[:80], stages=list(STAGES))
        state["stage"] = stages[request.stage.lower()]
        for other in _versions(call, item.shelf):
            if request.archive_others and other.key != item.key and other.state["stage"] == state["stage"]:
                call.use(Items).put(replace(other, state={**other.state, "stage": "Archived"}, updated_at=now))
    item = replace(item, state=state, updated_at=now)
    call.use(Items).put(item)
    call.note(name=item.shelf, version=request.version)
    return _version_view(call, item)


@verb(
    "tracking:DeleteModelVersion",
    on=PROJECT,
    request=wire.DeleteModelVersion,
    reply=wire.ModelVersion,
    event="registry.version_deleted",
    group="inventory:write",
)
def delete_model_version(call: Call, request: wire.DeleteModelVersion) -> wire.ModelVersion:
    """Take a registered version out of lists; it stays in the inventory, and everything is retained."""
    item = replace(_living_version(call, request.name, request.version), deleted=True, updated_at=format_time(call.now))
    call.use(Items).put(item)
    name = call.use(Items).get(call.project, ItemKind.NAME, item.shelf)
    if name is not None:
        aliases = {alias: version for alias, version in name.state["aliases"].items() if version != request.version}
        call.use(Items).put(replace(name, state={**name.state, "aliases": aliases}))
    call.note(name=item.shelf, version=request.version)
    return _version_view(call, item)


@verb(
    "tracking:ListModelVersions",
    on=PROJECT,
    request=wire.ListModelVersions,
    reply=wire.ModelVersions,
    event="registry.versions_listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_model_versions(call: Call, request: wire.ListModelVersions) -> wire.ModelVersions:
    """List registered versions, the newest first."""
    if request.name is not None and request.version is not None:
        found = [_living_version(call, request.name, request.version)]
    else:
        listed = call.use(Items).list(call.project, ItemKind.VERSION, request.name)
        found = sorted(page(listed, deleted=False), key=lambda one: (one.created_at, one.key), reverse=True)
    return wire.ModelVersions(versions=[_version_view(call, item) for item in found])


@verb(
    "tracking:GetVersionFile",
    on=PROJECT,
    request=wire.GetVersionFile,
    reply=Download,
    event="registry.version_file_read",
    group="model:read",
    effect=Effect.READ,
)
def get_version_file(call: Call, request: wire.GetVersionFile) -> Download:
    """Read one file of a registered version, as it was fixed; nothing in it is executed on the way."""
    item = _living_version(call, request.name, request.version)
    for file in item.state["files"]:
        if file["path"] == request.path:
            call.note(name=item.shelf, version=request.version, digest=file["digest"])
            chunks = call.use(Vault).stream(call.project, Digest(file["digest"]))
            return Download(request.path.rpartition("/")[2], "application/octet-stream", chunks)
    raise NotFound("MUNI-R254", "this version has no such file", name=item.shelf, path=request.path[:200])


def _frozen(call: Call, request: wire.CreateModelVersion) -> dict[str, Part]:
    """The files that become the version, by path below its folder."""
    run = known_run(call, request.run)
    if run is None:
        raise NotFound("MUNI-R252", f"there is no run {request.run[:80]!r}", run=request.run[:80])
    check_reading(call, run)
    folder = f"{request.path.strip('/')}/" if request.path.strip("/") else ""
    files = {
        path[len(folder) :]: Part(path[len(folder) :], part.digest, part.size)
        for path, part in sorted(files_of_run(call, run).items())
        if path.startswith(folder)
    }
    if not files:
        raise NotFound(
            "MUNI-R255",
            "the run has no files there, so there is nothing to register",
            run=run.id,
            path=request.path[:200],
            do="log the model first",
        )
    if len(files) > _MOST_FILES or _ENTRY in files:
        raise Invalid(
            "MUNI-R166", f"a version has at most {_MOST_FILES} files, and none is called {_ENTRY}", files=len(files)
        )
    return files


def _flavour(files: dict[str, Part]) -> str:
    return "mlflow" if "MLmodel" in files else "files"


def _made_by(call: Call, run: str, model: Digest, files: Iterable[Part]) -> None:
    """The version was made of files, which come out of their run: registering them is an activity of its own."""
    declarer = Declarer(call.session, call.project, call.now)
    activity = call.new_id()
    facts = {"run": run, "status": "ok"}
    agent = str(call.principal)
    declarer.activity(activity, ActivityKind.IMPORT, agent=agent, started_at=call.now, ended_at=call.now, facts=facts)
    known = call.use(Entities).find(call.project, [part.digest for part in files])
    for digest in known:
        declarer.used(activity, digest, "file")
    declarer.generated(activity, model, "model")


def _key(name: str, version: int) -> str:
    return f"{name}@{version:08d}"


def _living_name(call: Call, name: str) -> Item:
    item = call.use(Items).get(call.project, ItemKind.NAME, name)
    if item is None or item.deleted:
        raise NotFound("MUNI-R256", f"there is no registered model {name[:80]!r}", name=name[:200])
    return item


def _living_version(call: Call, name: str, version: int) -> Item:
    _living_name(call, name)
    item = call.use(Items).get(call.project, ItemKind.VERSION, _key(name, version))
    if item is None or item.deleted:
        raise NotFound("MUNI-R257", f"{name[:80]!r} has no version {version}", name=name[:200], version=version)
    return item


def _versions(call: Call, name: str) -> list[Item]:
    return page(call.use(Items).list(call.project, ItemKind.VERSION, name), deleted=False)


def _name_view(call: Call, item: Item) -> wire.RegisteredModel:
    state = item.state
    return wire.RegisteredModel(
        name=item.key,
        model=state["model"],
        description=state["description"],
        tags=dict(state["tags"]),
        aliases=dict(state["aliases"]),
        created_at=item.created_at,
        updated_at=item.updated_at,
        versions=[] if item.deleted else [_version_view(call, one) for one in _versions(call, item.key)],
    )


def _version_view(call: Call, item: Item) -> wire.ModelVersion:
    state: dict[str, Any] = dict(item.state)
    row = call.use(Versions).get(call.project, Digest(state["digest"]))
    return wire.ModelVersion(
        name=item.shelf,
        version=state["version"],
        model=state["model"],
        digest=state["digest"],
        run=state["run"],
        path=state["path"],
        source=state["source"],
        logged_model=state["logged_model"],
        description=state["description"],
        stage=state["stage"],
        state=row.state_at(call.now).value if row else "draft",
        tags=dict(state["tags"]),
        files=[wire.VersionFile(**file) for file in state["files"]],
        by=state["by"],
        created_at=item.created_at,
        updated_at=item.updated_at,
    )


VERBS: Final = (
    create_model_version,
    create_registered_model,
    delete_model_version,
    delete_registered_model,
    get_version_file,
    list_model_versions,
    list_registered_models,
    update_model_version,
    update_registered_model,
)
