"""Lineage at the size of an institution: 100,000 runs and a million edges in one SQLite file."""

from __future__ import annotations

import hashlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from muniment.adapters.sql import catalog
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.catalog.absence import decide
from muniment.catalog.model import Direction
from muniment.catalog.ports import Entities, Lineage
from muniment.catalog.service import gather
from muniment.kernel.digest import Digest
from table import Row

PIPELINES = 200
RUNS = 500
"""Per pipeline: 100,000 together, the first an ingest, the second a split, the rest feature runs and training."""
INPUTS = 4
ASKED = 60
AT = "2026-11-23T09:00:00.000000Z"
ENTITY = (
    "insert into catalog_entity (id, project, digest, kind, grade, author, at, content_digest, facts) "
    "values (?, 'main', ?, ?, 'proven', 'User:ana', ?, ?, '{}')"
)
ACTIVITY = (
    "insert into catalog_activity (id, ulid, project, kind, plan, agent, started_at, ended_at, grade, facts) "
    "values (?, ?, 'main', ?, ?, 'User:ana', ?, ?, 'proven', '{}')"
)
EDGE = "insert into catalog_edge (source, target, role, grade, record) values (?, ?, ?, 'proven', ?)"


def digest(number: int, salt: str = "") -> str:
    return "sha256:" + hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


class History:
    """A made-up institution: pipelines that feed on themselves and now and then on an older one."""

    def __init__(self) -> None:
        self.chance = random.Random(7)
        self.entities: list[tuple[Any, ...]] = []
        self.activities: list[tuple[Any, ...]] = []
        self.edges: list[tuple[Any, ...]] = []
        self.models: list[str] = []
        self.data: list[int] = []
        self.surroundings = [self.entity(kind) for kind in ("code", "base", "env") for _ in range(10)]
        for _ in range(PIPELINES):
            self.pipeline()

    def entity(self, kind: str) -> int:
        """One more entity."""
        number = len(self.entities) + 1
        content = digest(number, "content") if kind == "data" else None
        self.entities.append((number, digest(number), kind, AT, content))
        return number

    def run(self, kind: str, inputs: list[int], outputs: list[str]) -> list[int]:
        """One more activity with its edges; gives what it generated."""
        number = len(self.activities) + 1
        ulid = f"01{number:024d}"
        self.activities.append((number, ulid, kind, digest(number, "plan"), AT, AT))
        around = [self.chance.choice(self.surroundings[first : first + 10]) for first in (0, 10, 20)]
        record = digest(number, "record")
        self.edges += [(-number, entity, f"in{n}", record) for n, entity in enumerate([*around, *inputs])]
        made = [self.entity(kind) for kind in outputs]
        self.edges += [(entity, -number, f"out{n}", record) for n, entity in enumerate(made)]
        return made

    def pipeline(self) -> None:
        """A file is ingested and split, features are made of features, models are trained on them."""
        older = [self.chance.choice(self.data)] if self.data and self.chance.random() < 0.3 else []
        pool = self.run("ingest", [self.entity("file")], ["data"]) + older
        pool += self.run("split", [pool[0]], ["data", "data", "data"])
        while len(self.activities) % RUNS:
            training = len(self.activities) % RUNS > RUNS // 2
            inputs = self.chance.sample(pool, min(INPUTS, len(pool)))
            made = self.run(
                "train" if training else "run", inputs, ["model" if training else "data", "report", "metrics"]
            )
            if training:
                self.models.append(digest(made[0]))
            else:
                pool.append(made[0])
        self.data += pool[-5:]


def load(url: str, history: History) -> SqlStore:
    """Everything in the database, in bulk."""
    store = SqlStore(url, catalog.REPOSITORIES)
    METADATA.create_all(store.engine, tables=[t for name, t in METADATA.tables.items() if name.startswith("catalog_")])
    with store.engine.connect() as connection:
        raw = connection.connection.driver_connection
        raw.execute("pragma synchronous=off")
        raw.execute("begin")
        raw.executemany(ENTITY, history.entities)
        raw.executemany(ACTIVITY, history.activities)
        raw.executemany(EDGE, history.edges)
        raw.execute("commit")
    for rows in (history.entities, history.activities, history.edges):
        rows.clear()  # or the collector would walk millions of tuples in the middle of a measurement
    return store


def timed(ask: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = ask()
    return (time.perf_counter() - started) * 1000, answer


def measure(store: SqlStore, history: History) -> Iterator[Row]:
    chance = random.Random(11)
    models = chance.sample(history.models, ASKED)
    strangers = [digest(number) for number in chance.sample(history.data, ASKED)]
    closures, proofs, sizes = [], [], []
    with store.engine.connect() as connection:
        edges = connection.scalar(select(func.count()).select_from(catalog.EDGE))
    with store.read() as session:
        lineage, entities = session.use(Lineage), session.use(Entities)
        lineage.closure("main", Digest(models[0]), Direction.UPSTREAM)
        for model, stranger in zip(models, strangers, strict=True):
            spent, graph = timed(lambda m=model: lineage.closure("main", Digest(m), Direction.UPSTREAM))
            closures.append(spent)
            sizes.append(len(graph.edges))
            asked = entities.find("main", [Digest(stranger)])[Digest(stranger)]
            spent, _ = timed(lambda m=model, a=asked: decide(gather(session, "main", a, Digest(m))))
            proofs.append(spent)
    size = f"{statistics.median(sizes):.0f} edges, at most {max(sizes)}"
    note = f"{PIPELINES * RUNS:,} runs, {edges:,} edges; a closure has {size}"
    for what, spent, bar in (("full upstream closure", closures, 100), ("prove-unused", proofs, 200)):
        median, most = statistics.median(spent), max(spent)
        ours = f"{median:.1f} ms, at most {most:.1f} ms"
        yield Row(what, ours, "", None, f"<= {bar} ms", most <= bar, note)


def run() -> list[Row]:
    """Build the history, load it, ask."""
    history = History()
    with tempfile.TemporaryDirectory(prefix="muni-bench-") as folder:
        store = load(sqlite_url(Path(folder) / "catalog.db"), history)
        try:
            return list(measure(store, history))
        finally:
            store.close()
