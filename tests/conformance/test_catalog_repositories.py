"""The catalog's repositories keep their promises on every engine."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.catalog.declaring import Declarer
from muniment.catalog.model import ActivityKind, Direction, EntityKind, Match, Metric, Relation
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Activities, Entities, Lineage, Metrics, Names
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict, Invalid, NotFound, Unavailable
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ANA = "User:ana"


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def run_id(number: int) -> str:
    return f"01{number:024d}"


def chain(recorder: Recorder, length: int) -> None:
    """``e0 -> a1 -> e1 -> a2 -> e2 ...``: each activity uses one entity and generates the next."""
    recorder.entity(digest("e0"), EntityKind.FILE, author=ANA)
    for number in range(1, length + 1):
        recorder.activity(run_id(number), ActivityKind.RUN, agent=ANA, started_at=NOW, ended_at=NOW)
        recorder.entity(digest(f"e{number}"), EntityKind.DATA, author=ANA)
        recorder.used(run_id(number), digest(f"e{number - 1}"), "input")
        recorder.generated(run_id(number), digest(f"e{number}"), "output")


def test_an_entity_comes_back_as_it_was_recorded(store: SqlStore) -> None:
    """Kind, grade, author, moment and facts survive the store; another project does not see the entity."""
    facts = {"rows": 3, "content_digest": digest("values"), "classification": "confidential"}
    with store.write() as session:
        told = Recorder(session, "main", NOW).entity(digest("a"), EntityKind.DATA, author=ANA, facts=facts)
    with store.read() as session:
        assert session.use(Entities).find("main", [digest("a"), digest("b")]) == {digest("a"): told}
        assert session.use(Entities).find("other", [digest("a")]) == {}
    assert told.content_digest == digest("values")
    assert told.classification == "confidential"


def test_facts_of_an_entity_only_grow(store: SqlStore) -> None:
    """A second record adds facts; where it contradicts, the stronger grade wins, and at equal grades the first."""
    with store.write() as session:
        claims, sight = Declarer(session, "main", NOW), Recorder(session, "main", NOW + timedelta(days=1))
        claims.entity(digest("a"), EntityKind.DATA, author=ANA, facts={"rows": 1, "source": "core banking"})
        sight.entity(digest("a"), EntityKind.DATA, author="User:bo", facts={"rows": 2})
        claims.entity(digest("a"), EntityKind.MODEL, author=ANA, facts={"rows": 3, "more": True})
        sight.entity(digest("a"), EntityKind.DATA, author=ANA, facts={"rows": 4})
    with store.read() as session:
        entity = session.use(Entities).find("main", [digest("a")])[digest("a")]
    assert dict(entity.facts) == {"rows": 2, "source": "core banking", "more": True}
    assert (entity.grade, entity.kind, entity.author, entity.at) == (Grade.PROVEN, EntityKind.DATA, ANA, NOW)


def test_entities_are_listed_newest_first(store: SqlStore) -> None:
    """A list keeps the kind and the name prefix it was asked for, and a percent sign is no wildcard."""
    with store.write() as session:
        recorder = Recorder(session, "main", NOW)
        for name in ("credit", "credit/train", "fraud"):
            recorder.entity(digest(name), EntityKind.DATA, author=ANA)
            recorder.name(EntityKind.DATA, name, digest(name), by=ANA)
        recorder.entity(digest("model"), EntityKind.MODEL, author=ANA)
    with store.read() as session:
        entities = session.use(Entities)
        assert [e.digest for e in entities.newest("main", None, "", 2)] == [digest("model"), digest("fraud")]
        assert [e.digest for e in entities.newest("main", EntityKind.DATA, "cred", 9)] == [
            digest("credit/train"),
            digest("credit"),
        ]
        assert entities.newest("main", None, "%", 9) == []
        assert entities.newest("other", None, "", 9) == []


def test_copies_are_recognised_by_content_and_by_pieces(store: SqlStore) -> None:
    """Same values under other bytes, a shared piece, a piece itself and the whole it belongs to are all alike."""
    with store.write() as session:
        for project in ("main", "other"):
            recorder = Recorder(session, project, NOW)
            same = {"content_digest": digest("values")}
            recorder.entity(digest("a"), EntityKind.DATA, author=ANA, facts=same, parts=[digest("p1"), digest("p2")])
            recorder.entity(digest("copy"), EntityKind.DATA, author=ANA, facts=same)
            recorder.entity(digest("overlap"), EntityKind.DATA, author=ANA, parts=[digest("p2"), digest("p3")])
            recorder.entity(digest("p1"), EntityKind.FILE, author=ANA)
            recorder.entity(digest("stranger"), EntityKind.DATA, author=ANA, parts=[digest("p4")])
    with store.read() as session:
        entities = session.use(Entities)
        assert set(entities.alike("main", [digest("a"), digest("unknown")])) == {
            Match(digest("a"), digest("copy"), digest("values")),
            Match(digest("a"), digest("overlap"), digest("p2")),
            Match(digest("a"), digest("p1"), digest("p1")),
        }
        assert list(entities.alike("main", [digest("p1")])) == [Match(digest("p1"), digest("a"), digest("p1"))]
        assert list(entities.alike("main", [digest("stranger")])) == []
        assert list(entities.alike("nowhere", [digest("a")])) == []


def test_an_activity_is_recorded_once(store: SqlStore) -> None:
    """The same activity again changes nothing; another one by the same id is a conflict."""
    with store.write() as session:
        recorder = Recorder(session, "main", NOW)
        facts = {"experiment": "pd", "seed": 7}
        for _ in range(2):
            told = recorder.activity(
                run_id(1), ActivityKind.TRAIN, agent=ANA, started_at=NOW, ended_at=NOW, plan=digest("p"), facts=facts
            )
        recorder.activity(run_id(2), ActivityKind.SPLIT, agent=ANA, started_at=NOW, ended_at=NOW)
    with pytest.raises(Conflict) as refused, store.write() as session:
        Recorder(session, "main", NOW).activity(
            run_id(1), ActivityKind.TRAIN, agent="User:bo", started_at=NOW, ended_at=NOW, plan=digest("p"), facts=facts
        )
    assert refused.value.code == "MUNI-C301"
    with store.read() as session:
        activities = session.use(Activities)
        assert activities.find("main", [run_id(1), run_id(9)]) == {run_id(1): told}
        assert [a.id for a in activities.newest("main", None, None, 9)] == [run_id(2), run_id(1)]
        assert activities.newest("main", None, "pd", 9) == [told]
        assert activities.newest("main", ActivityKind.TRAIN, None, 9) == [told]
        assert activities.experiments("main") == {"pd": 1}
        assert activities.find("other", [run_id(1)]) == {}


@pytest.mark.parametrize("depth", [0, 1, 2, 5, None])
def test_a_closure_reaches_as_far_as_asked(store: SqlStore, depth: int | None) -> None:
    """Depth counts activities; without one the walk goes to the end, both ways, and knows every node it names."""
    with store.write() as session:
        chain(Recorder(session, "main", NOW), 3)
    steps = 3 if depth is None else min(depth, 3)
    with store.read() as session:
        up = session.use(Lineage).closure("main", digest("e3"), Direction.UPSTREAM, depth)
        down = session.use(Lineage).closure("main", digest("e0"), Direction.DOWNSTREAM, depth)
    assert set(up.entities) == {digest(f"e{3 - n}") for n in range(steps + 1)}
    assert set(down.entities) == {digest(f"e{n}") for n in range(steps + 1)}
    for graph in (up, down):
        assert len(graph.edges) == 2 * steps
        assert {edge.activity for edge in graph.edges} == set(graph.activities)
        assert {edge.entity for edge in graph.edges} <= set(graph.entities)


def test_a_closure_may_start_at_an_activity(store: SqlStore) -> None:
    """From a run, upstream begins with what it used and downstream with what it generated."""
    with store.write() as session:
        chain(Recorder(session, "main", NOW), 3)
    with store.read() as session:
        lineage = session.use(Lineage)
        up = lineage.closure("main", run_id(2), Direction.UPSTREAM)
        near = lineage.closure("main", run_id(2), Direction.UPSTREAM, 1)
        down = lineage.closure("main", run_id(2), Direction.DOWNSTREAM)
        whole = lineage.of_activities("main", [run_id(2)])
    assert set(up.entities) == {digest("e1"), digest("e0")}
    assert set(near.entities) == {digest("e1")}
    assert set(down.entities) == {digest("e2"), digest("e3")}
    assert {(edge.relation, edge.entity) for edge in whole.edges} == {
        (Relation.USED, digest("e1")),
        (Relation.GENERATED, digest("e2")),
    }


def test_a_closure_ends_where_the_project_ends(store: SqlStore) -> None:
    """The same digests in two projects are two entities; neither sees the other's edges."""
    with store.write() as session:
        chain(Recorder(session, "main", NOW), 1)
        Recorder(session, "other", NOW).entity(digest("e1"), EntityKind.DATA, author=ANA)
    with store.read() as session:
        assert session.use(Lineage).closure("other", digest("e1"), Direction.UPSTREAM).edges == ()
        assert session.use(Lineage).closure("main", digest("e1"), Direction.UPSTREAM).edges != ()
        assert session.use(Lineage).closure("nowhere", digest("e1"), Direction.UPSTREAM).entities == {}


def test_edges_join_only_what_is_known(store: SqlStore) -> None:
    """An edge to an unknown entity or activity is refused, and nothing of it stays."""
    with store.write() as session:
        chain(Recorder(session, "main", NOW), 1)
    for activity, entity in ((run_id(1), digest("no")), (run_id(9), digest("e1"))):
        with pytest.raises(NotFound) as refused, store.write() as session:
            Recorder(session, "main", NOW).used(activity, entity, "input")
        assert refused.value.code == "MUNI-C204"


def test_the_same_content_made_twice_is_one_entity_with_two_origins(store: SqlStore) -> None:
    """A reproduction adds an activity and an edge, never an entity; recording an edge twice adds nothing."""
    with store.write() as session:
        recorder = Recorder(session, "main", NOW)
        chain(recorder, 1)
        recorder.activity(run_id(2), ActivityKind.REPRODUCE, agent="User:bo", started_at=NOW, ended_at=NOW)
        recorder.entity(digest("e1"), EntityKind.DATA, author="User:bo")
        for _ in range(2):
            recorder.used(run_id(2), digest("e0"), "input")
            recorder.generated(run_id(2), digest("e1"), "output", digest("outcome"))
    with store.read() as session:
        graph = session.use(Lineage).closure("main", digest("e1"), Direction.UPSTREAM)
    made = [edge for edge in graph.edges if edge.relation is Relation.GENERATED]
    assert {(edge.activity, edge.record) for edge in made} == {(run_id(1), None), (run_id(2), digest("outcome"))}
    assert len(graph.edges) == 4


def test_versions_are_counted_up_and_never_overwritten(store: SqlStore) -> None:
    """New content is a new version; the latest content again is the same one; an old one comes back as a new one."""
    with store.write() as session:
        recorder = Recorder(session, "main", NOW)
        for content in ("a", "b"):
            recorder.entity(digest(content), EntityKind.DATA, author=ANA)
        versions = [recorder.name(EntityKind.DATA, "credit", digest(c), by=ANA).version for c in ("a", "b", "b", "a")]
    assert versions == [1, 2, 2, 3]
    with store.read() as session:
        names = session.use(Names)
        assert [(n.version, n.digest) for n in names.versions("main", EntityKind.DATA, "credit")] == [
            (3, digest("a")),
            (2, digest("b")),
            (1, digest("a")),
        ]
        assert [str(n) for n in names.of("main", [digest("b")])[digest("b")]] == ["data:credit@2"]
        assert [str(n) for n in names.latest("main", EntityKind.DATA, "cr", 9)] == ["data:credit@3"]
        assert label(session, "main", digest("b")) == "data:credit@2"
        assert label(session, "main", digest("unnamed")) == digest("unnamed")


def test_a_name_is_given_only_at_the_expected_version(store: SqlStore) -> None:
    """Compare and swap: who expects another latest version, or names the unknown, is refused."""
    with store.write() as session:
        recorder = Recorder(session, "main", NOW)
        for content in ("a", "b"):
            recorder.entity(digest(content), EntityKind.DATA, author=ANA)
        recorder.name(EntityKind.DATA, "credit", digest("a"), by=ANA, expected=0)
    with pytest.raises(Conflict) as refused, store.write() as session:
        Recorder(session, "main", NOW).name(EntityKind.DATA, "credit", digest("b"), by=ANA, expected=0)
    assert (refused.value.code, refused.value.facts["latest"]) == ("MUNI-C302", 1)
    with pytest.raises(NotFound), store.write() as session:
        Recorder(session, "main", NOW).name(EntityKind.DATA, "credit", digest("unknown"), by=ANA)
    with pytest.raises(Invalid), store.write() as session:
        Recorder(session, "main", NOW).name(EntityKind.DATA, "credit@3", digest("b"), by=ANA)


def test_two_writers_at_once_give_two_versions(store: SqlStore) -> None:
    """Who loses the race is told that it is safe to retry, and then gets the next version."""
    writers = 4
    with store.write() as session:
        for number in range(writers):
            Recorder(session, "main", NOW).entity(digest(str(number)), EntityKind.DATA, author=ANA)
    together = Barrier(writers)

    def give(number: int) -> int:
        together.wait()
        while True:
            try:
                with store.write() as session:
                    recorder = Recorder(session, "main", NOW)
                    return recorder.name(EntityKind.DATA, "credit", digest(str(number)), by=ANA).version
            except Unavailable as raced:
                if not raced.facts.get("retry"):
                    raise

    with ThreadPoolExecutor(writers) as pool:
        assert sorted(pool.map(give, range(writers))) == [1, 2, 3, 4]


def test_references_are_resolved_once(store: SqlStore) -> None:
    """Names, versions, the latest and digests lead to the entity; kinds are checked; near names are suggested."""
    with store.write() as session:
        recorder = Recorder(session, "main", NOW)
        for content in ("a", "b"):
            recorder.entity(digest(content), EntityKind.DATA, author=ANA)
            recorder.name(EntityKind.DATA, "credit/train", digest(content), by=ANA)
    with store.read() as session:
        for text in ("data:credit/train@1", f"{digest('a')}"):
            assert resolve(session, "main", text).digest == digest("a")
        for text in ("credit/train", "credit/train@latest", "data:credit/train@2", f"{digest('b')}"):
            assert resolve(session, "main", text, EntityKind.DATA).digest == digest("b")
        for text, kind, code in (
            ("data:credit/train@3", None, "MUNI-C202"),
            ("data:credt/train", None, "MUNI-C203"),
            (digest("c"), None, "MUNI-C201"),
            (digest("a"), EntityKind.MODEL, "MUNI-C102"),
            ("widget:credit", None, "MUNI-C103"),
            ("model:credit", EntityKind.DATA, "MUNI-K110"),
        ):
            with pytest.raises((NotFound, Invalid)) as refused:
                resolve(session, "main", text, kind)
            assert refused.value.code == code
        with pytest.raises(NotFound) as refused:
            resolve(session, "main", "data:credt/train")
        assert refused.value.facts["near"] == ["data:credit/train"]
        with pytest.raises(NotFound):
            resolve(session, "other", "data:credit/train@1")


def test_metrics_are_kept_in_order_and_never_twice(store: SqlStore) -> None:
    """What is sent again is skipped, a gap is refused, the last value of each name is at hand, and NaN survives."""
    points = [Metric("auc", 0.70, NOW, 1), Metric("loss", math.nan, NOW, 1), Metric("auc", math.inf, NOW, 2)]
    with store.write() as session:
        metrics = session.use(Metrics)
        assert metrics.append_many("main", run_id(1), points[:2], after=0) == 2
        assert metrics.append_many("main", run_id(1), points, after=0) == 3
        assert metrics.append_many("main", run_id(1), [], after=3) == 3
        assert metrics.append_many("main", run_id(2), [Metric("auc", 0.5, NOW)]) == 1
    with pytest.raises(Conflict), store.write() as session:
        session.use(Metrics).append_many("main", run_id(1), points, after=4)
    with store.read() as session:
        metrics = session.use(Metrics)
        assert metrics.series("main", run_id(1), "auc") == [points[0], points[2]]
        assert metrics.series("other", run_id(1), "auc") == []
        latest = metrics.latest("main", [run_id(1), run_id(2), run_id(3)])
        assert {run: set(values) for run, values in latest.items()} == {run_id(1): {"auc", "loss"}, run_id(2): {"auc"}}
        assert latest[run_id(1)]["auc"] == points[2]
        assert math.isnan(latest[run_id(1)]["loss"].value)
        assert metrics.latest("other", [run_id(1)]) == {}


def test_what_goes_by_the_name_under_another_kind_is_suggested_first(store: SqlStore) -> None:
    """Whoever leaves out that it is a model learns it at once."""
    with store.write() as session:
        recorder = Recorder(session, "main", NOW)
        recorder.entity(digest("m"), EntityKind.MODEL, author=ANA)
        recorder.entity(digest("d"), EntityKind.DATA, author=ANA)
        recorder.name(EntityKind.MODEL, "cards-xgboost", digest("m"), by=ANA)
        recorder.name(EntityKind.DATA, "cards", digest("d"), by=ANA)
        with pytest.raises(NotFound) as missing:
            resolve(session, "main", "cards-xgboost", EntityKind.DATA)
        with pytest.raises(NotFound) as nothing:
            resolve(session, "main", "elsewhere", EntityKind.DATA)
    assert missing.value.facts["near"] == ["model:cards-xgboost", "data:cards"]
    assert nothing.value.facts.get("near") in (None, [])
