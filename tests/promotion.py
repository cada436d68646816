"""An approved model in one project and a project in production: for tests of promotion and of the load gate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from asking import furnish_catalog
from muniment.bootstrap import Platform
from muniment.testing.platform import People
from muniment.wire import inventory as wi
from muniment.wire import promotion as wp
from muniment.wire.identity import AddProject
from notary import Notary

LIVE = "live"
"""A project in production."""


def approved(people: People, **terms: Any) -> Notary:
    """``model:scorer`` of project main approved by its people, and a project in production."""
    furnish_catalog(people)
    people.ask("admin", AddProject(name=LIVE, stage="production"))
    notary = Notary(people)
    notary.validated()
    notary.model("approver").approve(**terms)
    return notary


def promote(people: People, person: str = "operator", **given: Any) -> wp.Promoted:
    """What comes of a promotion of ``model:scorer`` into production."""
    asked: dict[str, Any] = {"project": LIVE, "source": "main", "model": "model:scorer", **given}
    promoted: wp.Promoted = people.ask(person, wp.PromoteModel(**asked))
    return promoted


def check(people: People, project: str = LIVE, *, files: bool = True, model: str = "model:scorer") -> wi.Approval:
    """What the load gate says."""
    found: wi.Approval = people.ask("operator", wi.CheckApproval(project=project, model=model, files=files))
    return found


def records(platform: Platform, kind: str, project: str = "main") -> list[Mapping[str, Any]]:
    """The rows of the records of a kind, oldest first."""
    wanted = text("select * from inventory_record where kind = :kind and project = :project order by id")
    with platform.store.engine.connect() as connection:
        return [dict(row) for row in connection.execute(wanted, {"kind": kind, "project": project}).mappings()]


def alter(platform: Platform, statement: str, **values: Any) -> int:
    """What a writer of the database does; how many rows it changed."""
    with platform.store.engine.begin() as connection:
        return connection.execute(text(statement), values).rowcount


def rewrite(platform: Platform, record: Mapping[str, Any], digest: str | None = None, **changes: Any) -> None:
    """Change a record in the database; with its own digest, or another one beside it."""
    body = {**json.loads(record["body"]), **changes}
    statement = "update inventory_record set body = :body, digest = :digest where id = :id"
    assert alter(platform, statement, body=json.dumps(body), digest=digest or record["digest"], id=record["id"]) == 1
