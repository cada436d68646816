"""The inventory at the size of a group of banks: 10,000 registered versions, listed and on the board.

The rows are made in bulk; what is measured is the whole request of a reader through the gate, in process: recognised,
authorised, read, recorded. Medians of wall time, on SQLite and, where Debian's PostgreSQL is there, on PostgreSQL.
"""

from __future__ import annotations

import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text

from muniment.adapters.sql.catalog import ACTIVITY, EDGE, ENTITY, NAMES
from muniment.adapters.sql.inventory import INPUTS, RECORDS, VERSIONS
from muniment.bootstrap import Platform
from muniment.kernel.canonical import canonical, digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.testing.platform import PROJECT, People, found
from muniment.wire.inventory import ListModels, ListVersions, ShowBoard
from table import Row

VERSIONS_MANY = 10_000
FINDINGS = 2_000
ASKED = 15
BAR_MS = 200.0
START = datetime(2025, 1, 1, tzinfo=UTC)
STATES = ("draft", "submitted", "in_validation", "approved", "approved", "approved", "retired", "rejected")
ALGORITHMS = ("xgboost", "lightgbm", "logistic_regression", "script train.py", "vendor")


def run() -> list[Row]:
    """All measurements, one row each."""
    rows: list[Row] = []
    for engine in ("SQLite", "PostgreSQL"):
        with installation(engine) as platform:
            if platform is None:
                rows.append(Row(f"inventory on {engine}", "", "", None, "", None, "no PostgreSQL here"))
                continue
            people = People(platform, platform_tokens[platform.home])
            fill(platform)
            rows += measure(people, engine)
    return rows


platform_tokens: dict[Path, Any] = {}


@contextmanager
def installation(engine: str) -> Iterator[Platform | None]:
    """A fresh installation with a team."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from cluster import Cluster, missing_reason  # noqa: PLC0415  the tests know how to start one

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if engine == "SQLite":
            site = found(folder / "site")
            platform = site.open()
            platform_tokens[platform.home] = site.tokens
            try:
                yield platform
            finally:
                platform.close()
        elif missing_reason():
            yield None
        else:
            place = Path(tempfile.mkdtemp(prefix="muni-bench-pg-"))
            cluster = Cluster(place)
            try:
                from muniment.adapters.sql.schema import METADATA  # noqa: PLC0415

                cluster.start(METADATA)
                with cluster.database(template="template0") as url:
                    site = found(folder / "site", database=url)
                    platform = site.open()
                    platform_tokens[platform.home] = site.tokens
                    try:
                        yield platform
                    finally:
                        platform.close()
            finally:
                cluster.remove()
                shutil.rmtree(place, ignore_errors=True)


def fill(platform: Platform) -> None:
    """Rows as registration and the steps would have left them."""
    chance = random.Random(7)
    versions, inputs, entities, names, records = [], [], [], [], []
    data = [Digest.of(f"data {n}".encode()) for n in range(300)]
    for n in range(VERSIONS_MANY):
        digest, state = Digest.of(f"model {n}".encode()), chance.choice(STATES)
        at = START + timedelta(hours=n)
        approved = format_time(at + timedelta(days=20)) if state == "approved" else None
        versions.append(
            {
                "project": PROJECT,
                "digest": digest,
                "name": f"model-{n // 10}",
                "version": n % 10 + 1,
                "use_case": f"use-{chance.randrange(60)}",
                "model_kind": "model",
                "origin": chance.choice(["platform", "platform", "platform", "vendor"]),
                "owner": f"person{chance.randrange(80)}",
                "algorithm": chance.choice(ALGORITHMS),
                "supplier": chance.choice([None, None, "Acme", "Bureau"]),
                "tier": chance.randrange(1, 5),
                "state": state,
                "since": format_time(at),
                "registered_at": format_time(at),
                "approvals": 1,
                "required": 1,
                "approved_at": approved,
                "expires": format_time(at + timedelta(days=chance.randrange(200, 900))) if approved else None,
                "emergency_until": None,
                "next_review": (at + timedelta(days=chance.randrange(100, 900))).date().isoformat(),
                "findings_high": int(n % 97 == 0),
                "findings_open": int(n % 5 == 0),
            }
        )
        inputs += [
            {"project": PROJECT, "digest": digest, "input": one, "label": f"data:set-{one.short}@1"}
            for one in chance.sample(data, 3)
        ]
        entities.append((digest, at))
        names.append((f"model-{n // 10}", n % 10 + 1, digest, at))
    for n in range(FINDINGS):
        at = START + timedelta(hours=n)
        body = {"severity": chance.choice(["high", "medium", "low"]), "due": "2027-01-01", "title": "x", "owner": "ana"}
        records.append(
            {
                "id": f"01{n:024d}",
                "project": PROJECT,
                "kind": "finding",
                "subject": str(Digest.of(f"model {n * 5}".encode())),
                "at": format_time(at),
                "by": "User:validator",
                "grade": "declared",
                "body": canonical(body).decode(),
                "digest": digest_of(body),
            }
        )
    with platform.store.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("begin")
        connection.execute(insert(VERSIONS), versions)
        connection.execute(insert(INPUTS), inputs)
        connection.execute(insert(RECORDS), records)
        bulk_catalog(connection, entities, names)
        connection.commit()
        connection.execute(text("analyze"))  # a database that has grown over years knows its own statistics
        connection.commit()


def bulk_catalog(connection: Any, entities: list[Any], names: list[Any]) -> None:
    """The same models in the catalog, each with its name."""
    rows = [
        {
            "id": n,
            "project": PROJECT,
            "digest": digest,
            "kind": "model",
            "grade": "proven",
            "author": "User:scientist",
            "at": format_time(at),
            "facts": '{"algorithm":"xgboost","files":[]}',
        }
        for n, (digest, at) in enumerate(entities, 1)
    ]
    connection.execute(insert(ENTITY), rows)
    done = [
        {
            "id": 2 * n + half,
            "ulid": f"02{2 * n + half:024d}",
            "project": PROJECT,
            "kind": kind,
            "agent": "User:scientist",
            "started_at": format_time(at),
            "ended_at": format_time(at),
            "grade": "proven",
            "facts": "{}",
        }
        for n, (_, at) in enumerate(entities, 1)
        for half, kind in ((0, "train"), (1, "evaluate"))
    ]
    connection.execute(insert(ACTIVITY), done)
    edges = [(n, -2 * n, "model") for n in range(1, len(entities) + 1)]
    edges += [(-2 * n - 1, n, "model") for n in range(1, len(entities) + 1)]
    told = [{"source": source, "target": target, "role": role, "grade": "proven"} for source, target, role in edges]
    connection.execute(insert(EDGE), told)
    said = [
        {
            "project": PROJECT,
            "kind": "model",
            "name": name,
            "version": version,
            "digest": digest,
            "author": "User:scientist",
            "at": format_time(at),
        }
        for name, version, digest, at in names
    ]
    connection.execute(insert(NAMES), said)


def measure(people: People, engine: str) -> list[Row]:
    """Each reading request, as the auditor asks it."""
    asked: dict[str, Any] = {
        "board": ShowBoard(project=PROJECT),
        "list of 100": ListVersions(project=PROJECT),
        "list of 100, approved, tier 1": ListVersions(project=PROJECT, state="approved", tier=1),
        "list of 100, review overdue": ListVersions(project=PROJECT, overdue=True),
        "list of 1,000": ListVersions(project=PROJECT, limit=1000),
        "models with metrics, 100": ListModels(project=PROJECT),
    }
    rows = []
    for what, request in asked.items():
        took = median_ms(lambda request=request: people.ask("auditor", request))  # type: ignore[misc]
        note = f"{VERSIONS_MANY:,} versions"
        rows.append(
            Row(
                f"inventory on {engine}: {what}",
                f"{took:.0f} ms",
                "",
                None,
                f"<= {BAR_MS:.0f} ms",
                took <= BAR_MS,
                note,
            )
        )
    return rows


def median_ms(ask: Callable[[], Any]) -> float:
    """Median wall time of a request."""
    ask()
    times = []
    for _ in range(ASKED):
        started = time.perf_counter()
        ask()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)
