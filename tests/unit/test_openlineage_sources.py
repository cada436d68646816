"""Where data came from, in OpenLineage: a name that other graphs have too, or none; an address, or the platform's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rfc3986_validator import validate_rfc3986

from muniment.evidence.formats.openlineage import events

AT = "2026-11-23T09:00:00.000000Z"
FILE = "sha256:" + "1" * 64
PLATFORM = "muniment://here.example/ledger/main"


def source(kind: str, location: str) -> dict[str, Any]:
    """The facets of a file that was read in from there."""
    entity: dict[str, Any] = {
        "author": "User:ana",
        "digest": FILE,
        "kind": "file",
        "label": "f",
        "names": [],
        "grade": "declared",
        "facts": {},
    }
    origin = {"kind": kind, "location": location, "query": "select 1"}
    activity = {
        "id": "r", "kind": "ingest", "label": "f", "agent": "User:ana", "started_at": AT, "ended_at": AT, "plan": None,
        "grade": "proven", "status": "ok", "experiment": None, "params": {}, "run": {"origin": origin},
    }  # fmt: skip
    edge = {"activity": "r", "role": "in", "grade": "proven", "relation": "used", "entity": FILE}
    told = {
        "installation": {"version": "1.0"},
        "checkpoint": {"origin": "here.example/ledger"},
        "project": "main",
        "lineage": {"entities": [entity], "activities": [activity], "edges": [edge]},
        "columns": [],
    }
    made = events(told)[1]
    assert json.loads(json.dumps(made)) == made
    facets: dict[str, Any] = made["inputs"][0]["facets"]
    return facets


@pytest.mark.parametrize(
    ("kind", "location", "namespace", "name"),
    [
        ("s3", "s3://bank/2026/loans.csv", "s3://bank", "2026/loans.csv"),
        ("delta", "/lake/loans", "file", "/lake/loans"),
        ("iceberg", "s3://lake/loans", "s3://lake", "loans"),
        ("file", "loans.csv", None, None),
        ("delta", "lake/loans", None, None),
        ("sqlite", "sqlite:////data/bank.db", None, None),
        ("postgresql", "postgresql://me@db.bank.example/risk", None, None),
        ("odbc", "odbc:DSN=warehouse", None, None),
        ("s3", "s3://bank:port/loans.csv", None, None),
        ("s3", "s3://[bank/loans.csv", None, None),
    ],
)
def test_a_symlink_is_the_sources_own_whole_name(
    kind: str, location: str, namespace: str | None, name: str | None
) -> None:
    """A bare file name, a query's result and an address that is none have no name that another graph could mean."""
    found = source(kind, location).get("symlinks", {"identifiers": []})["identifiers"]
    wanted = [] if name is None else [{"namespace": namespace, "name": name, "type": "TABLE"}]
    assert found == wanted


@pytest.mark.parametrize(
    ("kind", "location", "name", "uri"),
    [
        ("postgresql", "postgresql://me@db.bank.example/risk", "postgres://db.bank.example:5432", "/risk"),
        ("postgresql", "postgresql://db.bank.example:6000", "postgres://db.bank.example:6000", "/postgres"),
        ("postgresql", "postgresql://[::1]/my risk", "postgres://[::1]:5432", "/my%20risk"),
        ("sqlite", "sqlite:///bank of 2026.db", "sqlite:///bank%20of%202026.db", ""),
        ("sqlite", "a file", PLATFORM, ""),
        ("postgresql", "postgresql://db:none/risk", PLATFORM, ""),
        ("postgresql", "postgresql://[db/risk", PLATFORM, ""),
        ("postgresql", "not an address", PLATFORM, ""),
        ("s3", "s3://bank/loans.csv", PLATFORM, ""),
    ],
)
def test_a_data_source_is_an_address(kind: str, location: str, name: str, uri: str) -> None:
    """The database that was asked, without whoever asked; else the platform; always a URI, whatever somebody wrote."""
    found = source(kind, location)["dataSource"]
    assert (found["name"], found["uri"]) == (name, name + uri)
    assert validate_rfc3986(found["uri"])
