"""The catalog's verbs, on every engine: what they answer, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.ports import Checkpoints
from muniment.catalog.recording import Recorder
from muniment.catalog.resources import DATASET, ENTITY, MODEL
from muniment.catalog.service import VERBS, get_entity, get_lineage, list_entities, prove_unused
from muniment.errors import Invalid, MunimentError, NotFound
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.kernel.verb import Effect
from muniment.wire import catalog as wire

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ANA = "User:ana"
RUNS = {kind: f"01{number:024d}" for number, kind in enumerate(("ingest", "split", "train"))}


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


class FixedCheckpoint:
    """A ledger that stands still."""

    def covering(self) -> tuple[int, str]:
        return 42, "sha256:" + "0" * 64


@dataclass
class ACall:
    """What the gate would hand to a verb."""

    session: Session
    project: str = "main"
    notes: dict[str, Any] = field(default_factory=dict)

    def use(self, port: type[Any]) -> Any:
        return FixedCheckpoint() if port is Checkpoints else self.session.use(port)

    def note(self, **facts: Any) -> None:
        self.notes.update(facts)


def ran(recorder: Recorder, kind: str, used: list[str], generated: list[str]) -> None:
    recorder.activity(RUNS[kind], ActivityKind(kind), agent=ANA, started_at=NOW, ended_at=NOW)
    for text in used:
        recorder.used(RUNS[kind], digest(text), text)
    for text in generated:
        recorder.generated(RUNS[kind], digest(text), text)


@pytest.fixture
def call(store: SqlStore) -> Iterator[ACall]:
    """A project in which a file was ingested, split and trained on."""
    with store.write() as session:
        recorder = Recorder(session, "main", NOW)
        for text, kind, name in (
            ("csv", EntityKind.FILE, None),
            ("programs", EntityKind.CODE, None),
            ("credit", EntityKind.DATA, "credit"),
            ("train", EntityKind.DATA, "credit/train"),
            ("holdout", EntityKind.DATA, "credit/holdout"),
            ("proof", EntityKind.PROOF, None),
            ("m", EntityKind.MODEL, "pd"),
        ):
            facts = {
                "programs": {"what": "the platform's programs"},
                "credit": {"classification": "confidential", "rows": 30000},
                "proof": {"disjoint": True, "parts": {"train": digest("train"), "holdout": digest("holdout")}},
            }.get(text, {})
            recorder.entity(digest(text), kind, author=ANA, facts=facts)
            if name:
                recorder.name(kind, name, digest(text), by=ANA)
        ran(recorder, "ingest", ["csv", "programs"], ["credit"])
        ran(recorder, "split", ["credit", "programs"], ["train", "holdout", "proof"])
        ran(recorder, "train", ["train", "programs"], ["m"])
        yield ACall(session)


def test_all_verbs_read_and_ask_for_the_same_permission() -> None:
    """The catalog is written by recorders only; its verbs answer."""
    assert {verb.effect for verb in VERBS} == {Effect.READ}
    assert {verb.group for verb in VERBS} == {"catalog:read"}
    assert len(VERBS) == 4


def test_an_entity_is_told_with_its_origin(call: ACall) -> None:
    """By name or by digest it is the same entity, with every run that made it."""
    by_name = get_entity.run(call, wire.GetEntity(project="main", reference="data:credit"))
    assert by_name == get_entity.run(call, wire.GetEntity(project="main", reference=digest("credit")))
    assert (by_name.reference, by_name.kind, by_name.grade, by_name.author) == ("data:credit@1", "data", "proven", ANA)
    assert by_name.facts["rows"] == 30000
    assert [(o.run, o.kind, o.role) for o in by_name.generated_by] == [(f"run:{RUNS['ingest']}", "ingest", "credit")]


def test_entities_are_listed_by_kind_and_prefix(call: ACall) -> None:
    """Newest first, each with its newest name; an unknown kind is refused and the limit has bounds."""
    listed = list_entities.run(call, wire.ListEntities(project="main", kind="data", prefix="credit/"))
    assert [e.reference for e in listed.entities] == ["data:credit/holdout@1", "data:credit/train@1"]
    assert len(list_entities.run(call, wire.ListEntities(project="main", limit=3)).entities) == 3
    for wrong in (wire.ListEntities(project="main", kind="widget"), wire.ListEntities(project="main", limit=0)):
        with pytest.raises(Invalid):
            list_entities.run(call, wrong)


def test_a_lineage_is_told_both_ways(call: ACall) -> None:
    """Upstream to file and code, downstream to the model; nodes by distance, edges in PROV's direction."""
    up = get_lineage.run(call, wire.GetLineage(project="main", reference="model:pd", picture=True))
    assert (up.reference, up.grade, up.truncated) == ("model:pd@1", "proven", False)
    assert [n.depth for n in up.nodes] == sorted(n.depth for n in up.nodes)
    assert {(n.label, n.depth) for n in up.nodes if n.type == "entity"} == {
        ("model:pd@1", 0),
        (f"the platform's programs ({digest('programs').short})", 2),
        ("data:credit/train@1", 2),
        ("data:credit@1", 4),
        (digest("csv"), 6),
    }
    assert {n.id for n in up.nodes if n.type == "activity"} == {f"run:{run}" for run in RUNS.values()}
    assert (up.edges[0].source, up.edges[0].target) == (digest("m"), f"run:{RUNS['train']}")
    assert up.svg is not None
    assert up.svg.startswith("<svg")
    down = get_lineage.run(call, wire.GetLineage(project="main", reference=digest("csv"), direction="downstream"))
    assert {n.label for n in down.nodes} >= {"data:credit@1", "data:credit/holdout@1", "model:pd@1"}
    assert down.svg is None
    near = get_lineage.run(call, wire.GetLineage(project="main", reference="model:pd", depth=1))
    assert {n.label for n in near.nodes if n.type == "entity"} == {
        "model:pd@1",
        "data:credit/train@1",
        f"the platform's programs ({digest('programs').short})",
    }


def test_a_lineage_may_start_at_a_run(call: ACall) -> None:
    """A run's reference leads to what it used, or to what came of it."""
    view = get_lineage.run(call, wire.GetLineage(project="main", reference=f"run:{RUNS['split']}"))
    assert (view.nodes[0].id, view.nodes[0].depth) == (f"run:{RUNS['split']}", 0)
    assert "data:credit@1" in {n.label for n in view.nodes}
    assert "model:pd@1" not in {n.label for n in view.nodes}
    for wrong, kind in (
        (wire.GetLineage(project="main", reference="model:pd", direction="sideways"), Invalid),
        (wire.GetLineage(project="main", reference="model:pd", depth=0), Invalid),
        (wire.GetLineage(project="main", reference="run:01j8zzzzzzzzzzzzzzzzzzzzzz"), NotFound),
    ):
        with pytest.raises(kind):
            get_lineage.run(call, wrong)


def test_an_absence_is_answered_with_scope_and_checkpoint(call: ACall) -> None:
    """The holdout was not used, the train part was; both say what was searched and at which state of the ledger."""
    unused = prove_unused.run(call, wire.ProveUnused(project="main", reference="data:credit/holdout", model="pd"))
    assert (unused.unused, unused.verdict, unused.grade) == (True, "unused", "proven")
    assert unused.checkpoint == wire.Checkpoint(size=42, root="sha256:" + "0" * 64)
    assert [(d.part, d.other) for d in unused.disjointness] == [("data:credit/train@1", "data:credit/holdout@1")]
    assert (unused.entities, unused.activities) == (5, 3)
    assert "5 entities, 3 activities" in unused.scope
    assert "proven disjoint" in unused.scope
    assert call.notes["verdict"] == "unused"
    used = prove_unused.run(call, wire.ProveUnused(project="main", reference="data:credit/train@1", model="model:pd@1"))
    assert (used.unused, used.verdict, used.grade) == (False, "used", "proven")
    assert [(s.source_label, s.relation, s.target_label) for s in used.path] == [
        ("model:pd@1", "was_generated_by", f"run:{RUNS['train']}"),
        (f"run:{RUNS['train']}", "used", "data:credit/train@1"),
    ]


def test_resources_tell_policies_who_and_how_secret(call: ACall) -> None:
    """Every kind always carries the attributes it declares; what does not exist is not found, in any project."""
    for kind, reference in (
        (DATASET, "credit"),
        (MODEL, "pd"),
        (ENTITY, "data:credit"),
        (ENTITY, f"run:{RUNS['split']}"),
    ):
        resource = kind.locate(call.session, "main", reference)
        assert (resource.kind, resource.project) == (kind.name, "main")
        assert set(resource.attributes) == set(kind.attributes)
        assert resource.attributes["author"] == ANA
        with pytest.raises(NotFound):
            kind.locate(call.session, "other", reference)
        with pytest.raises(MunimentError):
            kind.locate(call.session, None, reference)
    assert DATASET.locate(call.session, "main", "credit").attributes["classification"] == "confidential"
    with pytest.raises(Invalid):
        DATASET.locate(call.session, "main", "model:pd")
