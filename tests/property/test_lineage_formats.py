"""Laws of exported lineage: whatever the history, every format tells the closure, node by node and edge by edge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prov.model import ProvActivity, ProvDocument, ProvEntity, ProvGeneration, ProvUsage

from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.catalog.model import Activity, ActivityKind, Direction, Edge, Entity, EntityKind, Graph, Relation
from muniment.catalog.ports import Activities, Checkpoints, Entities, Lineage
from muniment.catalog.service import BOTH
from muniment.evidence.formats.openlineage import events, run_id
from muniment.evidence.formats.prov import prov_document
from muniment.evidence.formats.ro_crate import crate, crate_metadata
from muniment.evidence.lineage import gather_lineage
from muniment.evidence.telling import story
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.ports import Session
from muniment.ledger.service import Ledger
from muniment.policy.authorizer import CedarAuthorizer

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NASTY = st.text(max_size=12)
NUMBERS = count()
SURROUNDINGS = (EntityKind.CODE, EntityKind.ENVIRONMENT, EntityKind.BASE)


@dataclass(frozen=True)
class Ran:
    """An activity: what it did, to what, how it ended, and how it may be trusted."""

    kind: ActivityKind
    used: frozenset[int]
    made: frozenset[int]
    grade: Grade
    label: str
    status: str


RUNS = st.builds(
    Ran,
    st.sampled_from(ActivityKind),
    st.frozensets(st.integers(0, 9), max_size=3),
    st.frozensets(st.integers(0, 9), min_size=1, max_size=3),
    st.sampled_from(Grade),
    NASTY,
    st.sampled_from(["ok", "failed", "cancelled", "oom"]),
)
HISTORIES = st.tuples(
    st.lists(st.sampled_from(EntityKind), min_size=10, max_size=10), st.lists(RUNS, max_size=8), NASTY
)


@dataclass
class Asked:
    """A request that may see everything, over one store."""

    session: Session
    project: str
    authentication: object = None
    now: datetime = NOW + timedelta(days=1)

    def use(self, port: type[Any]) -> Any:
        return self if port in (CedarAuthorizer, Ledger, Checkpoints) else self.session.use(port)

    origin = "here.example/ledger"
    allowed = True

    def covering(self) -> tuple[int, str]:
        return 7, "sha256:" + "0" * 64

    def decide(self, *_: object) -> Asked:
        return self


@pytest.fixture(scope="module")
def shared_store() -> Iterator[SqlStore]:
    """One store for all examples; each works in a project of its own."""
    with TemporaryDirectory(prefix="muni-formats-") as folder:
        store = SqlStore(sqlite_url(Path(folder) / "all.db"), REPOSITORIES)
        METADATA.create_all(store.engine)
        yield store
        store.close()


def digest(number: int) -> Digest:
    return Digest.of(str(number).encode())


def write(session: Session, project: str, kinds: list[EntityKind], runs: list[Ran], text: str) -> None:
    entities, lineage = session.use(Entities), session.use(Lineage)
    for number, kind in enumerate(kinds):
        facts = {"what": text, "schema": [{"name": text, "type": "int64"}, {"name": "b", "type": "utf8"}], "rows": 3}
        entities.record(Entity(project, digest(number), kind, Grade.PROVEN, "User:ana", NOW, facts))
    for number, run in enumerate(runs):
        id = f"{int(project[1:]):013d}{number:013d}"
        facts = {"label": run.label, "status": run.status, "params": {"text": text}}
        at = NOW + timedelta(minutes=number)
        session.use(Activities).record(
            Activity(project, id, run.kind, None, "User:bob", at, at + timedelta(seconds=1), run.grade, facts)
        )
        edges = [Edge(Relation.USED, id, digest(e), f"in{e}", run.grade) for e in sorted(run.used)]
        edges += [Edge(Relation.GENERATED, id, digest(e), f"out{e}", run.grade) for e in sorted(run.made)]
        lineage.record(project, edges)


def linked(one: dict[str, Any], name: str) -> list[dict[str, str]]:
    """What a property of a crate's entity leads to: nothing, one thing, or a list of more than one."""
    found = one.get(name, [])
    assert not isinstance(found, list) or (len(found) != 1 and (name not in one or found))
    return found if isinstance(found, list) else [found]


def links(graph: Graph) -> set[tuple[str, str, str]]:
    return {(edge.relation.value, edge.activity, str(edge.entity)) for edge in graph.edges}


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES, st.integers(0, 9), st.sampled_from([*(one.value for one in Direction), BOTH]))
def test_every_format_tells_the_closure(
    shared_store: SqlStore, history: tuple[list[EntityKind], list[Ran], str], start: int, direction: str
) -> None:
    """Circles of equal contents, repeated makings, failures and hostile names included: same nodes, same edges."""
    kinds, runs, text = history
    project = f"p{next(NUMBERS)}"
    with shared_store.write() as session:
        write(session, project, kinds, runs, text)
        lineage = session.use(Lineage)
        graphs = [lineage.closure(project, digest(start), one) for one in Direction if direction in (one.value, BOTH)]
        told = gather_lineage(Asked(session, project), str(digest(start)), direction=direction)  # type: ignore[arg-type]
    wanted = set().union(*(links(graph) for graph in graphs))
    entities = {str(one) for graph in graphs for one in graph.entities}
    activities = {one for graph in graphs for one in graph.activities}

    read = ProvDocument.deserialize(content=json.dumps(prov_document(told)), format="json")
    assert {f"sha256:{one.identifier.localpart}" for one in read.get_records(ProvEntity)} == entities
    assert {one.identifier.localpart for one in read.get_records(ProvActivity)} == activities
    found = set()
    for kind, relation in ((ProvUsage, "used"), (ProvGeneration, "was_generated_by")):
        for one in read.get_records(kind):
            ends = {name.localpart: value.localpart for name, value in one.formal_attributes if value is not None}
            found.add((relation, ends["activity"], f"sha256:{ends['entity']}"))
    assert found == wanted

    made = events(told)
    assert len(made) == 2 * len(activities)
    assert [one["eventTime"] for one in made] == sorted(one["eventTime"] for one in made)
    facets = [one["run"]["facets"]["muniment_run"] for one in made if one["eventType"] != "START"]
    stated = {
        (link["relation"], one["run"].removeprefix("run:"), link["entity"]) for one in facets for link in one["links"]
    }
    assert stated == wanted
    assert {one["run"]["runId"] for one in made} == {run_id(one) for one in activities}
    assert len({run_id(one) for one in activities}) == len(activities)
    surrounding = {str(digest(number)) for number, kind in enumerate(kinds) if kind in SURROUNDINGS}
    datasets = set()
    for one in made:
        if one["eventType"] != "START":
            id = one["run"]["facets"]["muniment_run"]["run"].removeprefix("run:")
            for relation, side in (("used", "inputs"), ("was_generated_by", "outputs")):
                datasets |= {(relation, id, each["facets"]["version"]["datasetVersion"]) for each in one[side]}
    assert datasets == {one for one in wanted if one[2] not in surrounding}

    graph = {one["@id"]: one for one in crate_metadata(told)["@graph"]}
    actions = [one for one in graph.values() if one["@type"] == "CreateAction"]
    crated = {
        (relation, one["@id"].removeprefix("#run-"), ref["@id"].removeprefix("urn:"))
        for one in actions
        for relation, side in (("used", "object"), ("was_generated_by", "result"))
        for ref in linked(one, side)
    }
    assert crated == wanted
    assert {
        ref["@id"]
        for one in (graph["./"], *graph.values())
        for name in ("object", "result", "agent", "instrument", "author", "publisher", "license", "hasPart", "mentions")
        for ref in linked(one, name)
    } <= set(graph)
    assert {f"urn:{one}" for one in entities} <= {ref["@id"] for ref in graph["./"]["hasPart"]}
    assert crate(told) == crate(told)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES, st.integers(0, 9))
def test_a_story_leaves_out_no_step_but_what_was_only_made_again(
    shared_store: SqlStore, history: tuple[list[EntityKind], list[Ran], str], start: int
) -> None:
    """Every activity of the closure is a step, once; every link that is not proven is marked."""
    kinds, runs, text = history
    project = f"p{next(NUMBERS)}"
    with shared_store.write() as session:
        write(session, project, kinds, runs, text)
        told = gather_lineage(Asked(session, project), str(digest(start)))  # type: ignore[arg-type]
    page = story(told, [], None)
    steps = [step.run.removeprefix("run:") for step in page.steps]
    assert len(steps) == len(set(steps))
    left_out = {one["id"] for one in told["lineage"]["activities"]} - set(steps)
    kept = set(steps)
    for one in told["lineage"]["activities"]:
        if one["id"] in left_out:
            assert one["kind"] == "reproduce"
    made = {edge["entity"] for edge in told["lineage"]["edges"] if edge["relation"] != "used"}
    shown = {
        edge["entity"] for edge in told["lineage"]["edges"] if edge["activity"] in kept and edge["relation"] != "used"
    }
    assert made == shown
    weak = {edge["activity"] for edge in told["lineage"]["edges"] if edge["grade"] != "proven"}
    assert weak == {
        mark.what.split()[0].removeprefix("run:") for mark in page.marks if mark.kind in ("declared", "attested")
    }


def test_what_a_policy_hides_is_not_told_by_any_format(shared_store: SqlStore) -> None:
    """Who may not see an entity sees that it is there, and neither its columns nor the parameters that may quote it."""
    secret = "salary of the boss"
    project = f"p{next(NUMBERS)}"
    run = Ran(ActivityKind.INGEST, frozenset({0}), frozenset({1}), Grade.PROVEN, "in", "ok")
    with shared_store.write() as session:
        write(session, project, [EntityKind.FILE, EntityKind.DATA, *[EntityKind.REPORT] * 8], [run], secret)
        asked = Asked(session, project)
        seen = gather_lineage(asked, str(digest(1)))  # type: ignore[arg-type]
        asked.allowed = False
        told = gather_lineage(asked, str(digest(1)))  # type: ignore[arg-type]
    assert secret in json.dumps([events(seen), seen["columns"]])
    assert len(told["lineage"]["edges"]) == len(seen["lineage"]["edges"]) == 2
    assert told["columns"] == []
    labels = {one["label"] for one in told["lineage"]["entities"]}
    plain = json.dumps([events(told), prov_document(told), crate_metadata(told)])
    for label in labels:  # the name of a thing stands in every lineage, as in its table
        plain = plain.replace(label, "")
    assert secret not in plain
