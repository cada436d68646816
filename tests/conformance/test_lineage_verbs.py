"""Lineage as a stranger gets it, on both engines: open formats, a past time, the story; and what is refused."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import pytest
from prov.model import ProvActivity, ProvDerivation, ProvDocument, ProvEntity, ProvGeneration, ProvUsage
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
from sqlalchemy import text

from evidencing import Gallery
from muniment.errors import Conflict, IntegrityError, Invalid, MunimentError, NotFound
from muniment.kernel.identifiers import format_time
from muniment.ledger.ports import CheckpointRepository
from muniment.testing.platform import PROJECT
from muniment.wire.catalog import GetLineage, LineageView
from muniment.wire.data import AddDataset, SplitDataset
from muniment.wire.execution import TrainModel
from muniment.wire.lineage import ExportLineage, Trace, TraceOrigin
from muniment.wire.tracking import EndRun, LogArtifact, LogInputs, StartRun, TrackedInput

MODEL = "model:loans-xgboost"


@pytest.fixture
def house(each_gallery: Gallery) -> Gallery:
    """A platform with a model that was trained, measured and made again, once on each engine."""
    return each_gallery


def exported(house: Gallery, reference: str, form: str, **how: Any) -> bytes:
    request = ExportLineage(project=PROJECT, reference=str(reference), form=form, **how)
    return b"".join(house.people.ask("scientist", request).chunks)


def lineage(house: Gallery, reference: str = MODEL, **how: Any) -> LineageView:
    found: LineageView = house.people.ask("scientist", GetLineage(project=PROJECT, reference=reference, **how))
    return found


def traced(house: Gallery, reference: str = MODEL, **how: Any) -> Trace:
    found: Trace = house.people.ask("scientist", TraceOrigin(project=PROJECT, reference=reference, **how))
    return found


def worked(house: Gallery, request: Any, body: bytes | None = None) -> None:
    """Let a job run to its end, later than all that happened so far."""
    house.clock.advance(seconds=5)
    house.people.ask("scientist", request, body)
    assert house.people.work() == 1
    house.clock.advance(seconds=5)


def told_elsewhere(house: Gallery, status: Any = "ok") -> str:
    """A run that happened elsewhere, which says that it read the training data and made a file."""
    ask = house.people.ask
    run: str = ask("scientist", StartRun(project=PROJECT, experiment="elsewhere", name="notebook")).run
    inputs = [TrackedInput(reference="data:loans/train", role="train")]
    ask("scientist", LogInputs(project=PROJECT, run=run, inputs=inputs))
    ask("scientist", LogArtifact(project=PROJECT, run=run, path="plot.txt"), b"a plot of everything")
    ask("scientist", EndRun(project=PROJECT, run=run, status=status, message="no" if status == "failed" else None))
    house.clock.advance(seconds=1)
    return run


def test_every_form_tells_the_graph_that_the_table_tells(house: Gallery) -> None:
    """Nodes and edges of PROV, OpenLineage and RO-Crate are those of the lineage itself, in every direction."""
    for direction in ("upstream", "downstream", "both"):
        view = lineage(house, "data:loans", direction=direction)
        entities = {node.id for node in view.nodes if node.type == "entity"}
        runs = {node.id for node in view.nodes if node.type == "activity"}
        read = ProvDocument.deserialize(content=exported(house, "data:loans", "prov", direction=direction).decode())
        assert {f"sha256:{one.identifier.localpart}" for one in read.get_records(ProvEntity)} == entities
        assert {f"run:{one.identifier.localpart}" for one in read.get_records(ProvActivity)} == runs
        links = [*read.get_records(ProvUsage), *read.get_records(ProvGeneration)]
        assert len(links) == len(view.edges)
        events = [
            json.loads(line) for line in exported(house, "data:loans", "openlineage", direction=direction).splitlines()
        ]
        assert {one["run"]["facets"]["muniment_run"]["run"] for one in events} == runs
        graph = json.loads(
            zipfile.ZipFile(io.BytesIO(exported(house, "data:loans", "ro-crate", direction=direction))).read(
                "ro-crate-metadata.json"
            )
        )["@graph"]
        actions = [one for one in graph if one["@type"] == "CreateAction"]
        assert {one["@id"].removeprefix("#run-") for one in actions} == {one.removeprefix("run:") for one in runs}
        sides = [one[side] for one in actions for side in ("object", "result") if side in one]
        used = {ref["@id"] for each in sides for ref in (each if isinstance(each, list) else [each])}
        assert used == {f"urn:{one}" for one in entities} or not runs


def test_what_a_program_of_the_platform_made_derives_from_what_it_read(house: Gallery) -> None:
    """PROV tells derivations for ingest, split and training, and none for what was evaluated."""
    read = ProvDocument.deserialize(content=exported(house, MODEL, "prov").decode())
    found = {
        tuple(str(value.localpart)[:8] for _, value in one.formal_attributes[:2])
        for one in read.get_records(ProvDerivation)
    }
    view = lineage(house)
    kinds = {node.label: node.id.removeprefix("sha256:")[:8] for node in view.nodes}
    file = next(node.id.removeprefix("sha256:")[:8] for node in view.nodes if node.kind == "file")
    whole, train, model = kinds["data:loans@1"], kinds["data:loans/train@1"], kinds["model:loans-xgboost@1"]
    assert found == {(whole, file), (train, whole), (model, train)}


def test_the_same_question_gives_the_same_bytes(house: Gallery) -> None:
    """A past time pins the answer: asked again, it is the same to the byte, checkpoint included."""
    at = format_time(house.clock.now())
    house.clock.advance(seconds=10)
    for form in ("prov", "openlineage", "ro-crate"):
        assert exported(house, MODEL, form, at=at) == exported(house, MODEL, form, at=at)


def test_the_past_shows_what_was_recorded_by_then(house: Gallery) -> None:
    """Later runs, later versions and later names are not there, and the answer names a checkpoint that covers it."""
    before = lineage(house, "data:loans@1", direction="both")
    then = house.clock.now()
    signed = house.platform.ledger.checkpoint()
    train = TrainModel(
        project=PROJECT, experiment="more", data="loans/train", algorithm="logistic_regression", name="late"
    )
    worked(house, train)
    worked(house, AddDataset(project=PROJECT, name="loans", filename="new.csv", target="default"), b"age,late\n9,9\n")
    tracked = told_elsewhere(house)
    now = lineage(house, "data:loans@1", direction="both")
    assert {f"{tracked}"} <= {node.id for node in now.nodes}
    for at in (format_time(then), str(signed.size)):
        past = lineage(house, "data:loans@1", direction="both", at=at)
        assert {node.id for node in past.nodes} == {node.id for node in before.nodes}
        assert {node.label for node in past.nodes} == {node.label for node in before.nodes}
        assert {(e.source, e.target, e.role) for e in past.edges} == {
            (e.source, e.target, e.role) for e in before.edges
        }
        assert past.past is not None
        assert past.past.entries <= past.past.checkpoint.size
        with house.platform.store.read() as session:
            from_ledger = _root_of(session, past.past.checkpoint.size)
        assert past.past.checkpoint.root == from_ledger
    assert past.past is not None
    assert past.past.checkpoint.size == past.past.entries == signed.size


def _root_of(session: Any, size: int) -> str:
    found = session.use(CheckpointRepository).at(size)
    return str(found.root)


def test_a_name_is_what_it_was_then(house: Gallery) -> None:
    """A bare name that means something newer now is refused with what it meant then; with the moment it is that."""
    first = lineage(house, "data:loans")
    at = format_time(house.clock.now())
    worked(house, AddDataset(project=PROJECT, name="loans", filename="new.csv", target="default"), b"age,late\n9,9\n")
    split = SplitDataset(project=PROJECT, dataset="loans@1", parts={"train": 0.5, "test": 0.5})
    worked(house, split)
    assert lineage(house, f"data:loans@{at}", at=at).nodes[0].id == first.nodes[0].id
    if lineage(house, "data:loans").nodes[0].id != first.nodes[0].id:
        with pytest.raises(Conflict) as other:
            lineage(house, "data:loans", at=at)
        assert other.value.code == "MUNI-C305"
        assert other.value.facts["meant"] == first.nodes[0].id


@pytest.mark.parametrize(
    ("how", "kind", "code"),
    [
        ({"at": "2999-01-01"}, Invalid, "MUNI-E102"),
        ({"at": "1999-01-01T00:00:00Z"}, NotFound, "MUNI-E203"),
        ({"at": "0"}, NotFound, "MUNI-E202"),
        ({"at": "999999999"}, NotFound, "MUNI-E202"),
        ({"at": "yesterday"}, Invalid, "MUNI-E104"),
        ({"at": "2026-11-01T00:00:00"}, Invalid, "MUNI-E104"),
        ({"at": "2026-13-45"}, Invalid, "MUNI-E104"),
        ({"depth": 0}, Invalid, "MUNI-E106"),
        ({"depth": 10**9}, Invalid, "MUNI-E106"),
        ({"direction": "sideways"}, Invalid, "MUNI-E105"),
        ({"form": "graphml"}, Invalid, "MUNI-E103"),
        ({"reference": "model:none"}, NotFound, "MUNI-C203"),
        ({"reference": "sha256:" + "0" * 64}, NotFound, "MUNI-C201"),
        ({"reference": "run:01m8c6zt3ykgjvcejfcdp62yc4"}, NotFound, "MUNI-C206"),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_reason(
    house: Gallery, how: dict[str, Any], kind: type[MunimentError], code: str
) -> None:
    """Each bad request has an error of its own."""
    request = {"reference": MODEL, "form": "prov", **how}
    with pytest.raises(kind) as refused:
        exported(house, **request)
    assert refused.value.code == code


def test_what_came_later_was_not_recorded_by_then(house: Gallery) -> None:
    """A run that had not ended by then is not known then, although it is known now."""
    at = format_time(house.clock.now())
    house.clock.advance(seconds=5)
    run = told_elsewhere(house)
    assert lineage(house, run).nodes
    with pytest.raises(NotFound) as refused:
        lineage(house, run, at=at)
    assert refused.value.code == "MUNI-C208"


def test_a_statement_about_a_model_is_signed_and_about_data_it_is_not(house: Gallery) -> None:
    """The envelope verifies under the ledger's key; a snapshot's statement is bare; without a making there is none."""
    envelope = Envelope.from_dict(json.loads(exported(house, MODEL, "in-toto")))
    key_id = next(iter(envelope.signatures))
    envelope.verify([SSlibKey(key_id, "ed25519", "ed25519", {"public": house.signer.public_key.hex()})], 1)
    stated = json.loads(envelope.payload)
    assert stated["subject"][0]["digest"]["sha256"] == house.model.hex
    bare = json.loads(exported(house, "data:loans/train", "in-toto"))
    assert "signatures" not in bare
    assert (bare["_type"], bare["predicateType"]) == (stated["_type"], stated["predicateType"])
    view = lineage(house, "data:loans/train", depth=1)
    used = {edge.target for edge in view.edges if edge.relation == "used"}
    told = {f"sha256:{one['digest']['sha256']}" for one in bare["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert told == used
    run = next(node.id for node in view.nodes if node.type == "activity")
    made = json.loads(exported(house, run, "in-toto"))
    assert len(made["subject"]) >= 3  # both parts and the proof
    file = next(node.id for node in lineage(house).nodes if node.kind == "file")
    with pytest.raises(Conflict) as refused:
        exported(house, file, "in-toto")
    assert refused.value.code == "MUNI-E302"
    barren: str = house.people.ask("scientist", StartRun(project=PROJECT, experiment="elsewhere", name="none")).run
    house.people.ask("scientist", EndRun(project=PROJECT, run=barren, status="failed"))
    with pytest.raises(Conflict) as refused:
        exported(house, barren, "in-toto")
    assert refused.value.code == "MUNI-E303"


@pytest.mark.parametrize(("status", "ending"), [("ok", "COMPLETE"), ("failed", "FAIL"), ("cancelled", "ABORT")])
def test_an_event_says_how_a_run_ended(house: Gallery, status: str, ending: str) -> None:
    """A failed run is a FAIL with its message, one that was given up an ABORT."""
    run = told_elsewhere(house, status)
    events = [json.loads(line) for line in exported(house, run, "openlineage", depth=1).splitlines()]
    own = [one for one in events if one["run"]["facets"]["muniment_run"]["run"] == run]
    assert [one["eventType"] for one in own] == ["START", ending]
    assert ("errorMessage" in own[1]["run"]["facets"]) == (status == "failed")


def test_the_story_leads_to_the_file_and_marks_what_is_only_said(house: Gallery) -> None:
    """From the model to the file: steps nearest first, its origin as its bringer's word, a later making no step."""
    told = traced(house)
    assert [step.kind for step in told.steps] == ["train", "split", "ingest"]
    assert (told.grade, told.complete) == ("proven", True)
    (source,) = told.sources
    assert (source.kind, source.filename, source.by) == ("file", "loans.csv", "User:scientist")
    assert source.origin is not None
    assert source.origin["grade"] == "declared"
    marks = {mark.kind for mark in told.marks}
    assert marks == {"declared", "repeated"}
    run = told_elsewhere(house)
    weak = traced(house, run)
    assert (weak.grade, weak.steps[0].kind, weak.steps[0].enforced) == ("declared", "track", None)
    assert any(run in mark.what and mark.kind == "declared" for mark in weak.marks)


def test_a_pack_tells_of_tracked_runs_too(house: Gallery) -> None:
    """What was told from elsewhere stands under the ledger, so evidence can be made of a project that has it."""
    told_elsewhere(house)
    signed = house.platform.ledger.checkpoint()
    assert lineage(house, "data:loans/train", direction="downstream", at=str(signed.size)).nodes


def test_a_damaged_database_is_not_told_as_a_lineage(house: Gallery) -> None:
    """An entity or activity that is gone from under its edges is an error of integrity, not a shorter story."""
    file = next(node.id for node in lineage(house).nodes if node.kind == "file")
    with house.platform.store.engine.begin() as db:
        if db.dialect.name == "sqlite":
            db.execute(text("pragma foreign_keys = off"))
        db.execute(text("delete from catalog_entity where digest = :digest"), {"digest": file})
    with pytest.raises(IntegrityError):
        exported(house, MODEL, "prov")


def test_payloads_are_plain_base64(house: Gallery) -> None:
    """The payload of the envelope is the statement, nothing else."""
    envelope = json.loads(exported(house, MODEL, "in-toto"))
    assert json.loads(base64.b64decode(envelope["payload"]))["_type"] == "https://in-toto.io/Statement/v1"
