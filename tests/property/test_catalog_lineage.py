"""Laws of the catalog: closures, absences and their grades equal what a naive search of the same graph finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from laws import examples
from muniment.adapters.sql.catalog import REPOSITORIES
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.catalog.absence import Evidence, Verdict, decide
from muniment.catalog.model import (
    ActivityKind,
    ActivityNode,
    Direction,
    Edge,
    Entity,
    EntityKind,
    EntityNode,
    Graph,
    Relation,
)
from muniment.catalog.ports import Entities, Lineage, Names
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade, weakest
from muniment.kernel.ports import Session

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ANA = "User:ana"
PROJECTS = (f"p{number}" for number in count())


def digest(number: int) -> Digest:
    return Digest.of(str(number).encode())


@dataclass(frozen=True)
class Run:
    """An activity: what it used and generated, and how far its edges can be trusted."""

    used: frozenset[int]
    generated: frozenset[int]
    grade: Grade


@st.composite
def histories(draw: st.DrawFn, *, circles: bool = False) -> list[Run]:
    """Runs over ten entities, some made more than once; without circles each run makes only what comes later."""
    runs = []
    for _ in range(draw(st.integers(0, 8))):
        used = draw(st.frozensets(st.integers(0, 8), max_size=3))
        least = 0 if circles else max(used, default=-1) + 1
        generated = draw(st.frozensets(st.integers(least, 9), min_size=1, max_size=3))
        runs.append(Run(used, generated, draw(st.sampled_from(Grade))))
    return runs


def edges_of(runs: Iterable[Run]) -> list[Edge]:
    edges = []
    for number, run in enumerate(runs):
        edges += [Edge(Relation.USED, f"r{number}", digest(e), "in", run.grade) for e in sorted(run.used)]
        edges += [Edge(Relation.GENERATED, f"r{number}", digest(e), "out", run.grade) for e in sorted(run.generated)]
    return edges


def naive_upstream(runs: list[Run], start: int) -> tuple[set[int], set[int]]:
    """Entities and runs that can be reached, by repeating until nothing is new."""
    entities, reached = {start}, set[int]()
    while True:
        more = {number for number, run in enumerate(runs) if run.generated & entities}
        wider = entities.union(*(runs[number].used for number in more))
        if (wider, more) == (entities, reached):
            return entities, reached
        entities, reached = wider, more


def naive_strongest(runs: list[Run], start: int, end: int) -> Grade | None:
    """The best grade of any way, by trying each bound in turn."""
    for floor in (Grade.PROVEN, Grade.ATTESTED, Grade.DECLARED):
        strong = [run for run in runs if weakest([run.grade, floor]) is floor]
        if start != end and end in naive_upstream(strong, start)[0]:
            return floor
    return None


def graph(runs: list[Run], start: int) -> Graph:
    entities, reached = naive_upstream(runs, start)
    kinds = {digest(e): EntityNode(digest(e), EntityKind.REPORT, Grade.PROVEN) for e in entities}
    kept = tuple(e for e in edges_of(runs) if int(e.activity[1:]) in reached and e.entity in kinds)
    activities = {f"r{n}": ActivityNode(f"r{n}", ActivityKind.RUN, ANA, NOW) for n in reached}
    return Graph(kinds, activities, kept)


def opened(folder: str) -> SqlStore:
    """A fresh SQLite store with the catalog's tables."""
    store = SqlStore(sqlite_url(Path(folder) / "catalog.db"), REPOSITORIES)
    tables = [table for name, table in METADATA.tables.items() if name.startswith(("catalog_", "search_"))]
    METADATA.create_all(store.engine, tables=tables)
    return store


@pytest.fixture(scope="module")
def shared_store() -> Iterator[SqlStore]:
    """One store for all examples of this module; each works in a project of its own."""
    with TemporaryDirectory(prefix="muni-lineage-") as folder:
        store = opened(folder)
        yield store
        store.close()


def write(session: Session, project: str, runs: list[Run]) -> dict[str, int]:
    """Record a history; gives the number of each run by its id."""
    entities, lineage = session.use(Entities), session.use(Lineage)
    for number in range(10):
        entities.record(Entity(project, digest(number), EntityKind.REPORT, Grade.PROVEN, ANA, NOW))
    ids: dict[str, int] = {}
    for number, edge in ((int(edge.activity[1:]), edge) for edge in edges_of(runs)):
        run = f"{int(project[1:]):013d}{number:013d}"
        if run not in ids:
            Recorder(session, project, NOW).activity(run, ActivityKind.RUN, agent=ANA, started_at=NOW, ended_at=NOW)
            ids[run] = number
        lineage.record(project, [Edge(edge.relation, run, edge.entity, edge.role, edge.grade)])
    return ids


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(circles=True), st.integers(0, 9))
def test_a_closure_equals_a_naive_search(shared_store: SqlStore, runs: list[Run], start: int) -> None:
    """Circles and repeated makings included, the store finds what a search does that repeats until nothing is new."""
    project = next(PROJECTS)
    with shared_store.write() as session:
        ids = write(session, project, runs)
        found = session.use(Lineage).closure(project, digest(start), Direction.UPSTREAM)
        entities, reached = naive_upstream(runs, start)
        assert set(found.entities) == {digest(e) for e in entities}
        assert {ids[id] for id in found.activities} == reached
        wanted = {(e.relation, int(e.activity[1:]), e.entity, e.grade) for e in graph(runs, start).edges}
        told = {(e.relation, ids[e.activity], e.entity, e.grade) for e in found.edges}
        # An activity stands in the closure with all it used, and of what it generated with that which led to it.
        assert told == {e for e in wanted if e[0] is Relation.USED or e[2] in found.entities}
        for edge in found.edges:
            back = session.use(Lineage).closure(project, edge.entity, Direction.DOWNSTREAM)
            assert digest(start) in back.entities


@given(histories(), st.integers(0, 9), st.integers(0, 9))
def test_an_absence_is_denied_exactly_when_a_way_exists(runs: list[Run], asked: int, model: int) -> None:
    """For what holds no rows, used means reachable; a use is graded by its strongest way, an absence by everything."""
    closure = graph(runs, model)
    node = EntityNode(digest(asked), EntityKind.REPORT, Grade.PROVEN)
    proof = decide(Evidence(node, digest(model), closure, graph(runs, asked)))
    way = naive_strongest(runs, model, asked)
    assert proof.unused == (asked not in naive_upstream(runs, model)[0])
    if asked == model:
        assert (proof.verdict, proof.path, proof.grade) == (Verdict.USED, (), Grade.PROVEN)
    elif way is not None:
        assert (proof.verdict, proof.grade) == (Verdict.USED, way)
        assert proof.grade is weakest(step.grade for step in proof.path)
        assert (proof.path[0].source, proof.path[-1].target) == (digest(model), digest(asked))
        assert all(one.target == other.source for one, other in zip(proof.path, proof.path[1:], strict=False))
    else:
        made = {edge.entity for edge in closure.edges if edge.relation is Relation.GENERATED}
        unclear = [Grade.DECLARED] if set(closure.entities) - made else []
        assert proof.grade is weakest([*(edge.grade for edge in closure.edges), *unclear])
        assert (proof.weakest is None) == (proof.grade is Grade.PROVEN)


@given(histories(), st.integers(0, 9), st.integers(0, 9), st.randoms())
def test_an_answer_does_not_depend_on_the_order_of_the_record(
    runs: list[Run], asked: int, model: int, chance: object
) -> None:
    """The same edges in another order give the same answer, path included."""
    closure, ancestry = graph(runs, model), graph(runs, asked)
    edges = list(closure.edges)
    chance.shuffle(edges)  # type: ignore[attr-defined]
    node = EntityNode(digest(asked), EntityKind.DATA, Grade.PROVEN)
    shuffled = Graph(dict(reversed(closure.entities.items())), closure.activities, tuple(edges))
    assert decide(Evidence(node, digest(model), closure, ancestry)) == decide(
        Evidence(node, digest(model), shuffled, ancestry)
    )


class Versions(RuleBasedStateMachine):
    """Names against a plain list: versions count up from one and what a version means never changes."""

    def __init__(self) -> None:
        super().__init__()
        self.project = next(PROJECTS)
        self.told: dict[str, list[int]] = {}
        self.folder = TemporaryDirectory(prefix="muni-names-")
        self.store = opened(self.folder.name)
        with self.store.write() as session:
            for number in range(4):
                entity = Entity(self.project, digest(number), EntityKind.DATA, Grade.PROVEN, ANA, NOW)
                session.use(Entities).record(entity)

    def teardown(self) -> None:
        """Give everything back."""
        self.store.close()
        self.folder.cleanup()

    @rule(name=st.sampled_from(["a", "b"]), content=st.integers(0, 3), expected=st.none() | st.integers(0, 4))
    def give(self, name: str, content: int, expected: int | None) -> None:
        """Name something, with or without saying which version one believes to be the latest."""
        known = self.told.setdefault(name, [])
        stale = expected is not None and expected != len(known)
        try:
            with self.store.write() as session:
                recorder = Recorder(session, self.project, NOW)
                given_ = recorder.name(EntityKind.DATA, name, digest(content), by=ANA, expected=expected)
        except Conflict:
            assert stale
            return
        assert not stale
        if not known or known[-1] != content:
            known.append(content)
        assert (given_.version, given_.digest) == (len(known), digest(content))

    @invariant()
    def every_version_means_what_it_meant(self) -> None:
        """All versions, read back, are those that were given."""
        with self.store.read() as session:
            for name, contents in self.told.items():
                versions = session.use(Names).versions(self.project, EntityKind.DATA, name)
                assert [v.digest for v in reversed(versions)] == [digest(c) for c in contents]
                assert [v.version for v in reversed(versions)] == list(range(1, len(contents) + 1))


TestVersions = Versions.TestCase
TestVersions.settings = settings(max_examples=examples(15), stateful_step_count=12, deadline=None)
