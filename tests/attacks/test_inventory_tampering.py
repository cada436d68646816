"""Somebody who can write the database, but holds no key, changes what people decided about models."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from asking import furnish_catalog
from muniment.bootstrap import Platform
from muniment.errors import Denied, Invalid
from muniment.sdk.client import Client
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire.oversight import OpenFinding, SetGate
from muniment.wire.records import InventoryReport, VerifyInventory

pytestmark = pytest.mark.slow


@pytest.fixture
def inventory(people: People, platform: Platform) -> People:
    """A use case, a gate, a registered model with a finding, and a person with a signing key."""
    furnish_catalog(people)
    admin, scientist, validator = (
        Client(platform.transport(people.tokens[name]), project=PROJECT) for name in ("admin", "scientist", "validator")
    )
    admin.use_cases.add("cards", purpose="decide", owner="admin", exposure=5, purpose_class="credit-decision")
    admin.gates.set("quality", "findings.high = 0")
    scientist.models.get("model:scorer").register(use_case="cards", description="scores")
    validator.findings.open("model:scorer", "Too old", severity="high", owner="scientist", due="2027-01-01")
    validator.keys.enrol()
    return people


def alter(platform: Platform, statement: str, *values: Any) -> None:
    """What a writer of the database does; it must change something."""
    with closing(sqlite3.connect(platform.home / "state.db")) as database, database:
        assert database.execute(statement, values).rowcount > 0


def verified(people: People) -> InventoryReport:
    """What the auditor is told."""
    report: InventoryReport = people.ask("auditor", VerifyInventory())
    return report


def test_an_untouched_inventory_is_as_the_ledger_tells(inventory: People) -> None:
    """Nothing is found, and everything was looked at."""
    report = verified(inventory)
    assert (report.ok, report.findings) == (True, [])
    assert report.records >= 5


@pytest.mark.parametrize(
    "statement",
    [
        "update inventory_record set body = replace(body, 'high', 'low') where kind = 'finding'",
        "update inventory_record set by = 'User:approver' where kind = 'registration'",
        "update inventory_record set kind = 'comment' where kind = 'finding'",
        "update inventory_record set grade = 'proven' where kind = 'use-case'",
        "update inventory_record set subject = 'usecase:other' where kind = 'use-case'",
        "update inventory_record set at = '2020-01-01T00:00:00.000000Z' where kind = 'gate'",
        "update inventory_record set project = 'other' where kind = 'gate'",
        "delete from inventory_record where kind = 'finding'",
        "insert into inventory_record select '7' || substr(id, 2), project, kind, subject, at, by, grade, body, digest"
        " from inventory_record where kind = 'gate'",
        "update inventory_version set findings_high = 0",
        "update inventory_version set state = 'approved'",
        "delete from inventory_version",
        "update identity_signing_keys set account = 'approver'",
        "update identity_signing_keys set revoked_at = '2026-01-01T00:00:00.000000Z', revoked_by = 'admin'",
        "delete from identity_signing_keys",
        "update identity_signing_keys set public_key = zeroblob(32)",
    ],
)
def test_what_was_changed_in_the_database_is_found(inventory: People, platform: Platform, statement: str) -> None:
    """A record, a row of a list or a key that is not as it was recorded: named, whichever way it was changed."""
    alter(platform, statement)
    report = verified(inventory)
    assert not report.ok
    assert report.findings


def test_what_was_refused_made_no_record(inventory: People, platform: Platform) -> None:
    """A refused request names no record that could be missing later."""
    for person, request in (
        ("scientist", SetGate(project=PROJECT, name="mine", expression="findings.high = 0", stage="approve")),
        ("validator", OpenFinding(project=PROJECT, model="model:scorer", title="x", severity="?", owner="y", due="z")),
    ):
        with pytest.raises((Denied, Invalid)):
            inventory.ask(person, request)
    assert verified(inventory).ok


def test_on_every_engine(each_site: Site) -> None:
    """PostgreSQL answers like SQLite: a clean inventory is clean."""
    platform = each_site.open()
    try:
        people = People(platform, each_site.tokens)
        people.ask("admin", SetGate(project=PROJECT, name="g", expression="findings.high = 0", stage="approve"))
        assert verified(people).ok
    finally:
        platform.close()
