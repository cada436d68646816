"""Requests made from their types, the state of a platform as data, and things to ask about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from muniment.adapters.sql.schema import METADATA
from muniment.bootstrap import Platform
from muniment.catalog.model import EntityKind
from muniment.catalog.recording import Recorder
from muniment.errors import MunimentError
from muniment.kernel.verb import Verb
from muniment.testing.platform import People
from muniment.wire.execution import TrainModel
from muniment.wire.features import DefineView, FeatureSpec

_MADE: Mapping[str, Any] = {"list": [], "dict": {}, "<class 'int'>": 0, "<class 'bool'>": False}


def sample(verb: Verb, project: str = "main", reference: str | None = None) -> msgspec.Struct:
    """A request of the verb's type whose fields have the right types, and mean nothing beyond project and reference."""
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(verb.request):
        if field.name == "project":
            given["project"] = project
        elif field.name == verb.on.request_field:
            given[field.name] = reference or "x"
        elif field.required:
            given[field.name] = next((made for kind, made in _MADE.items() if str(field.type).startswith(kind)), "x")
    return msgspec.convert(given, verb.request)


def furnish_catalog(people: People, project: str = "main") -> dict[str, str]:
    """Put a snapshot, a model and a queued run into a project; references by kind of resource."""
    now, vault = datetime(2026, 11, 23, tzinfo=UTC), people.platform.vault
    with people.platform.store.write() as session:
        recorder = Recorder(session, project, now)
        for kind, name in ((EntityKind.DATA, "credit"), (EntityKind.MODEL, "scorer")):
            sealed = vault.seal_bytes(project, f"{project}/{name}".encode())
            vault.register(session, project, sealed)
            digest = sealed.digest
            files = [{"path": "part", "digest": str(digest), "size": sealed.size}]
            schema = [{"name": "age", "type": "int64", "nullable": False}]
            recorder.entity(digest, kind, author="User:scientist", facts={"files": files, "schema": schema})
            recorder.name(kind, name, digest, by="User:scientist")
    request = TrainModel(project=project, experiment="e", data="data:credit", algorithm="xgboost", target="age")
    asker = "scientist" if project == "main" else "outsider"
    started = people.ask(asker, request)
    features = [FeatureSpec(name="n", type="int64")]
    view = DefineView(
        project=project, name="ages", entity=["age"], event_time="at", sources={"rows": "data:credit"},
        features=features, entry="ages.sql",
    )  # fmt: skip
    people.ask(asker, view, b"a source tree")
    return {
        "FeatureView": "features:ages",
        "Dataset": "data:credit",
        "Model": "model:scorer",
        "ModelVersion": "model:scorer",
        "Entity": "data:credit",
        "Run": started.run,
    }


def state(platform: Platform) -> Mapping[str, list[tuple[Any, ...]]]:
    """Every row of every table but the ledger's, and the names of all stored objects."""
    with platform.store.engine.connect() as connection:
        rows = {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in METADATA.sorted_tables
            if not table.name.startswith("ledger_")
        }
    return {**rows, "objects": sorted((str(path),) for path in objects(platform.home))}


def objects(home: Path) -> list[Path]:
    """Every sealed object and draft below a home folder."""
    return [path for path in (home / "objects").rglob("*") if path.is_file()]


def recorded(platform: Platform, refused: MunimentError) -> Mapping[str, Any]:
    """What the ledger says of a refusal."""
    return dict(platform.ledger.entry(str(refused.facts["entry"])).event["data"])
