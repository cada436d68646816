"""The register of assets and the list of changes, on each engine: nothing is missing, and files stay readable."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.errors import Denied, Invalid, NotFound
from muniment.evidence.assets import COLUMNS as ASSET
from muniment.evidence.changing import COLUMNS as CHANGE
from muniment.evidence.changing import changes_in
from muniment.evidence.tabular import written
from muniment.gate.table import VerbTable
from muniment.identity.people import add_group
from muniment.ledger.model import Event
from muniment.ledger.ports import EntryRepository
from muniment.ledger.tree import leaf_hash
from muniment.testing.platform import People, Site
from muniment.wire.assets import ExportAssets, ExportChanges
from muniment.wire.identity import AddGroup, DisableUser
from muniment.wire.ledger import GetEntry
from promotion import LIVE, approved, promote


def told(people: People, request: Any, person: str = "auditor") -> Any:
    """The rows of a register."""
    body = b"".join(people.ask(person, request).chunks)
    if request.form == "csv":
        return list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    return json.loads(body)


def test_every_asset_has_a_row_with_owner_class_and_tier(each_site: Site) -> None:
    """Projects, data, models, environments, keys and people; the same in both forms, for all or for one project."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    approved(people)
    made = promote(people)
    found = told(people, ExportAssets(form="json"))
    assert found["columns"] == list(ASSET)
    by = {(row["kind"], row["project"], row["id"]): row for row in found["rows"]}
    assert len(by) == len(found["rows"])
    model = by["model", LIVE, "model:scorer@1"]
    assert (model["digest"], model["state"], model["criticality"]) == (made.digest, "approved", f"tier {made.tier}")
    assert model["record"] == made.record
    assert (model["owner"], model["changed_by"]) == ("User:scientist", "User:operator")
    assert by["data", "main", "data:credit@1"]["classification"] == "internal"
    assert by["project", LIVE, f"project:{LIVE}"]["state"] == "production"
    assert by["key", "main", "key:main@1"]["state"] == "current"
    assert by["account", None, "User:approver"]["details"] == "roles: approver@main"
    assert {row["kind"] for row in found["rows"]} == {"project", "key", "data", "model", "environment", "account"}
    same = told(people, ExportAssets())
    assert [row["id"] for row in same] == [row["id"] for row in found["rows"]]
    assert list(same[0]) == list(ASSET)
    inside = told(people, ExportAssets(form="json", scope=LIVE))["rows"]
    assert {row["project"] for row in inside} == {LIVE}
    with pytest.raises(NotFound):
        told(people, ExportAssets(scope="nowhere"))
    people.ask("admin", DisableUser(name="newcomer"))
    states = {row["id"]: row["state"] for row in told(people, ExportAssets()) if row["kind"] == "account"}
    assert (states["User:newcomer"], states["User:auditor"]) == ("disabled", "active")
    platform.close()


def test_the_changes_of_a_period_are_all_that_was_changed(each_site: Site) -> None:
    """Reads and refusals are none; each row is an entry of the ledger, found by its leaf; a period is half-open."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    people.ask("admin", AddGroup(name="risk"))
    with pytest.raises(Denied):
        people.ask("outsider", AddGroup(name="mine"))
    told(people, ExportAssets())
    platform.ledger.checkpoint()
    people.ask("admin", AddGroup(name="later"))
    found = told(people, ExportChanges(form="json"))
    assert found["columns"] == list(CHANGE)
    rows = found["rows"]
    groups = [row for row in rows if row["action"] == "identity:AddGroup"]
    assert [json.loads(row["facts"])["group"] for row in groups] == ["risk", "later"]
    assert groups[0]["who"] == "User:admin"
    assert groups[0]["policies"] == ["role/administrator@1"]
    assert not {row["action"] for row in rows} & {"evidence:ExportAssets", "ledger:TailEntries"}
    proof = people.ask("auditor", GetEntry(entry=str(groups[0]["entry"])))
    assert leaf_hash(proof.body.encode()).hex() == groups[0]["leaf"]
    assert groups[1]["entry"] is None
    since = groups[1]["time"]
    assert [r["id"] for r in told(people, ExportChanges(since=since))] == [groups[1]["id"]]
    assert [r["id"] for r in told(people, ExportChanges(until=since))] == [row["id"] for row in rows[:-1]]
    assert told(people, ExportChanges(scope="nowhere")) == []
    platform.close()


def test_changes_are_found_in_a_long_history(store: SqlStore) -> None:
    """Of a period in the middle of months every change is there, though entries lie a little out of order."""
    start, minute = datetime(2026, 1, 1, tzinfo=UTC), timedelta(minutes=1)
    moments = [start + minute * (7 * n + (20 if n % 5 == 0 else 0)) for n in range(3000)]
    rows = []
    for n, moment in enumerate(moments):
        data = {"principal": "User:ana", "action": "identity:AddGroup", "project": "", "outcome": "ok", "n": n}
        event = Event(f"{n:026d}", add_group.event, moment, "Installation:muniment", data)
        rows.append(event.row("here"))
    with store.write() as session:
        entries = session.use(EntryRepository)
        entries.add(rows)
        entries.number(0, [row.id for row in rows[:2900]])
    table = VerbTable((add_group,))
    for first, days in ((0, 20), (2, 1), (5, 3), (14, 9)):
        since, until = start + timedelta(days=first), start + timedelta(days=first + days)
        with store.read() as session:
            found = [*changes_in(session.use(EntryRepository), table, since, until, None)]
        assert sorted(int(row["id"]) for row in found) == [n for n, at in enumerate(moments) if since <= at < until]


def test_periods_and_forms_that_are_none_are_refused(each_site: Site) -> None:
    """Backwards, no moment, an unknown form, and who is no auditor."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    for request in (
        ExportChanges(since="2026-02-01", until="2026-01-01"),
        ExportChanges(since="last week"),
        ExportChanges(form="xml"),
        ExportAssets(form="xlsx"),
    ):
        with pytest.raises(Invalid):
            people.ask("auditor", request)
    for person in ("scientist", "operator", "outsider"):
        with pytest.raises(Denied):
            people.ask(person, ExportAssets())
    platform.close()


def test_a_cell_is_no_formula_and_a_file_survives_what_stands_in_it() -> None:
    """Quotes, line breaks and commas come back; what a spreadsheet would run gets an apostrophe; JSON is exact."""
    texts = ['=cmd|"/c calc"!A1', "+1", "-1", "@x", 'a "b", c\r\nd', "ü", "", "\ttab"]
    rows = [{"a": text, "b": [text, "second"], "c": 7} for text in texts]
    body = b"".join(written("csv", "t/1", {}, ("a", "b", "c"), iter(rows))).decode()
    back = list(csv.DictReader(io.StringIO(body, newline="")))
    assert [row["a"].removeprefix("'") for row in back] == texts
    assert not [row["a"] for row in back if row["a"][:1] in set("=+-@\t\r")]
    exact = json.loads(b"".join(written("json", "t/1", {"x": 1}, ("a", "b", "c"), iter(rows))))
    assert (exact["rows"], exact["x"], exact["format"]) == (rows, 1, "t/1")
    assert json.loads(b"".join(written("json", "t/1", {}, ("a",), [])))["rows"] == []
