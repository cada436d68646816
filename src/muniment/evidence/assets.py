"""The register of assets: everything there is to look after, with who answers for it and what depends on what.

Source: Regulation (EU) 2022/2554 (DORA), article 8: functions, information assets and their dependencies are
identified, classified and documented. One row is one asset as it stands now; nothing is kept for it, all of it is read
from what the platform holds, so the register cannot be out of date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from muniment.catalog.growing import CLASSIFICATIONS
from muniment.catalog.model import Entity, EntityKind
from muniment.catalog.ports import Entities, Names
from muniment.errors import NotFound
from muniment.evidence.tabular import written
from muniment.execution.environments import Environments
from muniment.identity.model import Project
from muniment.identity.ports import Accounts, Projects, SigningKeys, Standings
from muniment.identity.views import role_at
from muniment.inventory.model import Record
from muniment.inventory.ports import Records, VersionRow, Versions, Wanted
from muniment.inventory.versions import PROJECTED
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import INSTALLATION, PLATFORM
from muniment.kernel.verb import Call, Download, Effect, verb
from muniment.ledger.service import Ledger
from muniment.ledger.witnessing import Witnesses
from muniment.policy.ports import Publications
from muniment.vault.ports import ProjectKeys
from muniment.wire import assets as wire

__all__ = ["COLUMNS", "VERBS"]

COLUMNS: Final = (
    "kind",
    "id",
    "project",
    "name",
    "version",
    "digest",
    "owner",
    "classification",
    "criticality",
    "state",
    "depends_on",
    "last_change",
    "changed_by",
    "record",
    "details",
)
"""Columns are only added, at the end."""

_MOST: Final = 1 << 20

Row = dict[str, Any]


@verb(
    "evidence:ExportAssets",
    on=INSTALLATION,
    request=wire.ExportAssets,
    reply=Download,
    event="assets.exported",
    group="audit:read",
    effect=Effect.READ,
)
def export_assets(call: Call, request: wire.ExportAssets) -> Download:
    """Hand out the register of assets: data, models, environments, keys, witnesses, policies and people by role."""
    projects = [one for one in call.use(Projects).all() if one.name != PLATFORM]
    if request.scope is not None:
        projects = [one for one in projects if one.name == request.scope]
        if not projects:
            raise NotFound("MUNI-E260", f"there is no project {request.scope[:80]!r}", project=request.scope[:200])
    rows = [row for project in sorted(projects, key=lambda one: one.name) for row in _of_project(call, project)]
    if request.scope is None:
        rows += _of_installation(call)
    call.note(assets=len(rows), form=request.form, **({"scope": request.scope} if request.scope else {}))
    head = {"origin": call.use(Ledger).origin, "at": format_time(call.now)}
    kind = "text/csv" if request.form == "csv" else "application/json"
    pieces = written(request.form, "muniment.assets/1", head, COLUMNS, rows)
    return Download(f"assets.{request.form}", kind, pieces)


def _of_project(call: Call, project: Project) -> Iterator[Row]:
    keys = call.use(ProjectKeys).versions(project.name)
    yield {
        "kind": "project",
        "id": f"project:{project.name}",
        "project": project.name,
        "name": project.name,
        "owner": f"User:{project.created_by}",
        "state": project.stage.value,
        "depends_on": [f"key:{project.name}@{key.version}" for key in keys[:1]],
        "last_change": format_time(project.created_at),
        "changed_by": f"User:{project.created_by}",
    }
    for place, key in enumerate(keys):
        yield {
            "kind": "key",
            "id": f"key:{project.name}@{key.version}",
            "project": project.name,
            "name": key.kms_key,
            "version": key.version,
            "classification": "secret",
            "state": "current" if place == 0 else "former",
            "last_change": format_time(key.created_at),
            "details": "key encryption key of the project",
        }
    registered = call.use(Versions).listed(project.name, Wanted(), call.now, _MOST)
    inputs = call.use(Versions).inputs(project.name)
    tiers: dict[Digest, int] = {}
    for row in registered:
        for one in inputs.get(row.digest, ()):
            tiers[one] = min(row.tier, tiers.get(one, row.tier))
    yield from _data(call, project.name, tiers)
    yield from _models(call, project.name, registered, inputs)


def _data(call: Call, project: str, tiers: Mapping[Digest, int]) -> Iterator[Row]:
    names = call.use(Names).latest(project, EntityKind.DATA, "", _MOST)
    entities = call.use(Entities).find(project, [name.digest for name in names])
    for name in sorted(names, key=lambda one: one.name):
        entity = entities[name.digest]
        tier = tiers.get(name.digest)
        yield {
            "kind": "data",
            "id": str(name),
            "project": project,
            "name": name.name,
            "version": name.version,
            "digest": str(name.digest),
            "owner": entity.author,
            "classification": entity.classification,
            "criticality": None if tier is None else f"tier {tier}",
            "state": entity.grade.value,
            "last_change": format_time(name.at),
            "changed_by": name.by,
            "details": f"rows: {entity.facts['rows']}" if "rows" in entity.facts else None,
        }


def _models(
    call: Call, project: str, registered: Sequence[VersionRow], inputs: Mapping[Digest, Mapping[Digest, str]]
) -> Iterator[Row]:
    newest = _newest_records(call, project)
    from_what = call.use(Entities).find(project, {one for known in inputs.values() for one in known})
    for row in sorted(registered, key=lambda one: (one.name, one.version)):
        record = newest.get(str(row.digest))
        yield {
            "kind": "model",
            "id": row.reference,
            "project": project,
            "name": row.name,
            "version": row.version,
            "digest": str(row.digest),
            "owner": f"User:{row.owner}",
            "classification": _strictest(from_what[one] for one in inputs.get(row.digest, ()) if one in from_what),
            "criticality": f"tier {row.tier}",
            "state": "expired" if row.expired_at(call.now) else row.state_at(call.now).value,
            "depends_on": list(inputs.get(row.digest, {}).values()),
            "last_change": format_time(record.at if record else row.since),
            "changed_by": record.by if record else None,
            "record": str(record.digest) if record else None,
            "details": "; ".join(_details(row)),
        }
    known = {row.digest for row in registered}
    names = [name for name in call.use(Names).latest(project, EntityKind.MODEL, "", _MOST) if name.digest not in known]
    entities = call.use(Entities).find(project, [name.digest for name in names])
    for name in sorted(names, key=lambda one: one.name):
        yield {
            "kind": "model",
            "id": str(name),
            "project": project,
            "name": name.name,
            "version": name.version,
            "digest": str(name.digest),
            "owner": entities[name.digest].author,
            "classification": entities[name.digest].classification,
            "state": "unregistered",
            "last_change": format_time(name.at),
            "changed_by": name.by,
            "details": str(entities[name.digest].facts.get("algorithm", "")) or None,
        }


def _strictest(entities: Iterable[Entity]) -> str | None:
    """The class of what a model was made from: a model can tell of the data that it learnt."""
    words = {entity.classification for entity in entities}
    if strangers := sorted(words - set(CLASSIFICATIONS)):
        return strangers[0]
    return max(words, key=CLASSIFICATIONS.index, default=None)


def _details(row: VersionRow) -> Iterator[str]:
    yield f"{row.model_kind} of origin {row.origin}"
    if row.algorithm:
        yield f"algorithm: {row.algorithm}"
    if row.supplier:
        yield f"supplier: {row.supplier}"
    if row.use_case:
        yield f"use case: {row.use_case}"
    if row.expires:
        yield f"approved until: {format_time(row.expires)}"


def _newest_records(call: Call, project: str) -> dict[str, Record]:
    """The record by which each version was changed last."""
    newest: dict[str, Record] = {}
    for kind in sorted(PROJECTED):
        for record in call.use(Records).of_kind(project, kind):
            known = newest.get(record.subject)
            if known is None or (record.at, record.id) > (known.at, known.id):
                newest[record.subject] = record
    return newest


def _of_installation(call: Call) -> Iterator[Row]:
    for environment in sorted(call.use(Environments).all(), key=lambda one: (one.name, one.version)):
        yield {
            "kind": "environment",
            "id": f"env:{environment.name}@{environment.version}",
            "name": environment.name,
            "version": environment.version,
            "digest": str(environment.digest),
            "last_change": environment.created_at,
            "details": f"Python {environment.python}; wheels: {len(environment.wheels)}",
        }
    ledger = call.use(Ledger)
    yield {"kind": "key", "id": "key:ledger", "name": ledger.key, "state": "current", "details": "signs the ledger"}
    for key in sorted(call.use(SigningKeys).of(None), key=lambda one: (one.account, one.enrolled_at)):
        yield {
            "kind": "key",
            "id": f"signing-key:{key.fingerprint}",
            "name": key.label,
            "digest": str(key.fingerprint),
            "owner": f"User:{key.account}",
            "state": "revoked" if key.revoked_at else "current",
            "last_change": format_time(key.revoked_at or key.enrolled_at),
            "changed_by": f"User:{key.revoked_by or key.account}",
            "details": "a person signs with it",
        }
    for one in call.use(Witnesses).standing()[0]:
        yield {
            "kind": "witness",
            "id": f"witness:{one.witness.name}",
            "name": one.witness.name,
            "owner": f"User:{one.witness.added_by}",
            "state": "current",
            "last_change": format_time(one.witness.added_at),
            "changed_by": f"User:{one.witness.added_by}",
            "details": str(one.witness.key),
        }
    yield from _policies(call)
    yield from _people(call)


def _policies(call: Call) -> Iterator[Row]:
    published = call.use(Publications).all()
    in_force = {scope: max(p.version for p in published if p.scope == scope) for scope in {p.scope for p in published}}
    for one in sorted(published, key=lambda each: (each.scope, each.version)):
        yield {
            "kind": "policy",
            "id": f"policy:{one.scope or 'installation'}@{one.version}",
            "project": one.scope or None,
            "name": one.scope or "installation",
            "version": one.version,
            "digest": str(one.document),
            "owner": f"User:{one.published_by}",
            "state": "in force" if in_force[one.scope] == one.version else "replaced",
            "last_change": format_time(one.published_at),
            "changed_by": f"User:{one.published_by}",
        }


def _people(call: Call) -> Iterator[Row]:
    for account in sorted(call.use(Accounts).all(_MOST), key=lambda one: one.name):
        standing = call.use(Standings).standing(account.name, call.now)
        grants = standing.grants if standing else ()
        newest = max(grants, key=lambda grant: grant.since, default=None)
        changed = account.disabled_at or (newest.since if newest else account.created_at)
        by = newest.granted_by if newest and not account.disabled_at else account.created_by
        yield {
            "kind": "account",
            "id": str(account.principal),
            "name": account.name,
            "owner": f"User:{account.owner or account.name}",
            "state": "active" if account.active(call.now) else "disabled",
            "last_change": format_time(changed),
            "changed_by": None if account.disabled_at else f"User:{by}",
            "details": "roles: " + (", ".join(sorted(map(role_at, grants))) or "none"),
        }


VERBS: Final = (export_assets,)
