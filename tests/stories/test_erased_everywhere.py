"""A person is in everything that was made of his row: each kind is destroyed with him, or named to be judged."""

from __future__ import annotations

import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from evidencing import told
from muniment.bootstrap import open_platform
from muniment.data.features.ports import Online
from muniment.errors import Conflict, NotFound
from muniment.evidence import verify
from muniment.founding import exercise, restore
from muniment.sdk.client import Client
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import features as wf
from muniment.wire import tracking as wt
from muniment.wire.data import ProfileDataset, SplitDataset
from muniment.wire.evidence import BuildPack
from muniment.wire.execution import EvaluateModel, ReproduceModel, TrainModel
from muniment.wire.exporting import ExportErasures, ExportInstallation
from muniment.wire.oversight import ShowFacts
from muniment.wire.records import VerifyInventory, VerifyRecords
from muniment.wire.validation import ExplainModel
from stewarding import Estate
from working import World, working

pytestmark = pytest.mark.slow

HIM = 7000123
REVIEWED = b"person,error\n7000123,0.5\n"
"""A file that a tracked run kept and that no lineage ties to his rows: named for review, not destroyed."""
BY_PERSON = """
import polars as pl

def transform(people: pl.LazyFrame) -> pl.LazyFrame:
    return people.select("person", "happened", "age", double=pl.col("age") * 2)
"""
BY_AGE = """
import polars as pl

def transform(people: pl.LazyFrame) -> pl.LazyFrame:
    return people.group_by("age").agg(pl.col("happened").max(), pl.len().cast(pl.Int64).alias("many"))
"""


@pytest.fixture
def world(site: Site, tmp_path: Path) -> Iterator[World]:
    with working(site, tmp_path / "site") as opened:
        Estate(opened.people).person("steward2", "data-steward")
        yield opened


def content() -> bytes:
    """A table of people; one of them asks to be forgotten."""
    rows = [f"{7000000 + n},2026-01-{1 + n % 28:02d}T00:00:00Z,{20 + n % 50},{n % 3 // 2}" for n in range(400)]
    return "\n".join(["person,happened,age,default", *rows]).encode()


def quiet(_: Any) -> None:
    """Show nothing."""


def test_every_kind_is_destroyed_or_named(world: World, tmp_path: Path) -> None:
    """Snapshot, parts, file, fingerprints, features, joins and what was picked for online reads are destroyed; the
    model is to be retrained; reports, proofs, assignments, predictions and files of runs elsewhere are named. Online he
    is gone, the others stay; an old publication cannot bring him back.
    """
    ask = world.people.ask
    m = Client(
        world.platform.transport(world.people.tokens["scientist"]), project=PROJECT, worker=world.platform.work_until
    )
    clocks = {"happened": "timestamp"}
    assert world.add(content(), name="people", filename="p.csv", target="default", columns=clocks).status == "ok"
    parts = {"train": 0.5, "test": 0.5}
    assert world.done(ask("scientist", SplitDataset(project=PROJECT, dataset="people", parts=parts)).run).status == "ok"
    assert world.done(ask("scientist", ProfileDataset(project=PROJECT, dataset="people")).run).status == "ok"
    m.data.overlap("people/train", "people/test")
    shape = {"event_time": "happened", "sources": {"people": "data:people"}, "owner": "risk"}
    fields = {"age": "int64", "double": "int64"}
    for name, entity, features, code in (
        ("persons", "person", fields, BY_PERSON),
        ("ages", "age", {"many": "int64"}, BY_AGE),
    ):
        m.features.define({"name": name, "entity": entity, "features": features, **shape}, code).build(quiet)
        m.features.publish(name, watch=quiet)
    m.features.skew("persons", watch=quiet)
    m.features.join("people", "persons:double", time="happened", name="joined", watch=quiet)
    train = TrainModel(
        project=PROJECT,
        experiment="e",
        data="people",
        algorithm="logistic_regression",
        drop=["person", "happened"],
        name="m",
    )
    assert world.done(ask("scientist", train).run).status == "ok"
    examine(world, m, tmp_path)
    evaluate = EvaluateModel(project=PROJECT, model="model:m", data="people")
    explain = ExplainModel(project=PROJECT, model="model:m", data="people")
    for request in (evaluate, explain):
        assert world.done(ask("validator", request).run).status == "ok"
    elsewhere = ask("scientist", wt.StartRun(project=PROJECT, experiment="elsewhere")).run
    used = [wt.TrackedInput(role="train", reference="data:people")]
    ask("scientist", wt.LogInputs(project=PROJECT, run=elsewhere, inputs=used))
    for path, body in (("errors.csv", REVIEWED), ("copy/p.csv", content())):
        ask("scientist", wt.LogArtifact(project=PROJECT, run=elsewhere, path=path), body)
    ask("scientist", wt.EndRun(project=PROJECT, run=elsewhere, status="ok"))

    steward = Client(world.platform.transport(world.people.tokens["steward"]), project=PROJECT).stewardship
    second = Client(world.platform.transport(world.people.tokens["steward2"]), project=PROJECT).stewardship
    plan = steward.erasures.search("person", str(HIM), lambda run: world.done(run) and None)
    assert plan.complete
    going = {(one.kind, one.reference.partition("@")[0], one.why.partition(" data:")[0]) for one in plan.found}
    kinds = {one.kind for one in plan.found}
    assert kinds == {"data", "file", "fingerprints", "artifact", "online"}, going
    online = {one.reference: (one.rows, one.action) for one in plan.found if one.kind == "online"}
    assert online == {"online:features:persons@1": (1, "destroy"), "online:features:ages@1": (None, "destroy")}
    named = {(one.kind, one.action) for one in plan.affected}
    assert named == {("model", "retrain"), ("report", "review"), ("proof", "review"), ("artifact", "review")}
    why = " | ".join(one.why for one in plan.affected)
    for said in ("learned from data:people", "counts or describes the rows of", "proves something about", "made of"):
        assert said in why

    assert (
        world.add(content().replace(b"7000", b"8000"), name="others", filename="o.csv", target="default").status == "ok"
    )
    other = structs.replace(train, data="others", name="other")
    assert world.done(ask("scientist", other).run).status == "ok"
    checked(world, tmp_path)
    old = taken(world, tmp_path / "old.tar")

    pick = ask("scientist", wf.PickOnline(project=PROJECT, view="features:persons")).run
    assert world.done(pick).status == "ok"
    plan = steward.erasures.search("person", str(HIM), lambda run: world.done(run) and None)
    asked = steward.erasures.request(plan.subject, reason="letter")
    done = second.erasures.approve(asked.id, reason="checked")
    assert done.state == "done"
    assert done.online == 1 + 50
    assert m.features.get("persons", person=HIM)[0] == {"age": None, "double": None}
    assert m.features.get("persons", person=HIM + 1)[0]["double"] == 2 * (20 + 124 % 50)
    assert m.features.get("ages", age=30)[0] == {"many": None}
    with pytest.raises(NotFound) as gone:
        ask("scientist", wf.PublishView(project=PROJECT, view="features:persons", run=pick))
    assert gone.value.code == "MUNI-V205"
    with pytest.raises(Conflict, match="was destroyed"):
        m.features.publish("persons", watch=quiet)
    with pytest.raises(Conflict, match="was destroyed"):
        ask("validator", ReproduceModel(project=PROJECT, model="model:m"))
    with closing(sqlite3.connect(world.platform.home / "state.db")) as database:
        database.execute("pragma wal_checkpoint(truncate)")
    assert str(HIM).encode() not in (world.platform.home / "state.db").read_bytes()
    assert ask("auditor", VerifyRecords()).findings == []
    assert ask("auditor", VerifyInventory()).findings == []
    assert world.platform.vault.fsck(deep=True).sound
    assert world.platform.ledger.verify(deep=True).findings == ()
    checked(world, tmp_path)
    leaves_and_returns(world, old, tmp_path)


def examine(world: World, m: Client, folder: Path) -> None:
    """Gates see what examined the data, the features and the rows of the holdout; before that they see nothing."""
    ask = world.people.ask
    for name, data in (("mj", "joined"), ("mt", "people/train")):
        request = TrainModel(
            project=PROJECT,
            experiment="examined",
            data=data,
            algorithm="logistic_regression",
            target="default",
            drop=["person", "happened"],
            name=name,
        )
        assert world.done(ask("scientist", request).run).status == "ok"

    def facts(model: str) -> dict[str, Any]:
        shown = ask("validator", ShowFacts(project=PROJECT, model=f"model:{model}"))
        return {one.name: (one.value, one.grade) for one in shown.facts}

    assert "data.quality" not in facts("mj")
    assert facts("mj")["features.skew"][0] == 0
    rules = {"rule": [{"check": "range", "column": "age", "min": 30}, {"check": "complete", "column": "person"}]}
    m.data.get("joined").quality(rules)
    seen = facts("mj")
    assert (seen["data.quality"][0], seen["data.quality_violated"][0]) == ("violated", 1)
    assert "features.skew" not in facts("mt")
    assert "data.overlap_holdout" not in facts("mt")
    m.data.prove_rows_unused("people/test", "model:mt")
    assert facts("mt")["data.overlap_holdout"][0] == 0
    # Tried beside a model of other data: each pack stands by itself, and names nothing that it does not bear out.
    for model in ("mj", "mt"):
        pack = b"".join(ask("auditor", BuildPack(project=PROJECT, model=f"model:{model}")).chunks)
        code, found = told(pack, folder, key=world.platform.ledger.key)
        assert code == 0, found


def checked(world: World, folder: Path) -> None:
    """A pack of the model that learned from him verifies, and holds no row."""
    chunks = world.people.ask("auditor", BuildPack(project=PROJECT, model="model:m")).chunks
    pack = b"".join(chunks)
    code, found = told(pack, folder, key=world.platform.ledger.key)
    assert code == 0, found
    for name, held in verify.unarchive(pack).items():
        assert str(HIM).encode() not in held, name


def taken(world: World, target: Path) -> Path:
    """An export."""
    target.write_bytes(b"".join(world.people.ask("admin", ExportInstallation()).chunks))
    return target


def leaves_and_returns(world: World, old: Path, folder: Path) -> None:
    """The export of an erased home passes its drill, which makes a model again; an old one is imported with the list of
    what was erased: he is in neither, and every record verifies.
    """
    new = taken(world, folder / "new.tar")
    drill = exercise(new, lambda *_: None)
    assert (drill.outcome, drill.verdict) == ("passed", "identical-bytes"), drill.findings
    listed = folder / "erasures.txt"
    listed.write_bytes(b"".join(world.people.ask("admin", ExportErasures()).chunks))
    assert left_in(new) == {REVIEWED}
    assert str(HIM).encode() not in listed.read_bytes()
    assert str(HIM).encode() in old.read_bytes()
    made = restore(old, folder / "home", key_file=folder / "keys" / "new.keys", erasures=listed)
    platform = open_platform(folder / "home")
    try:
        people = People(platform, dict(made.tokens))
        assert people.ask("admin", VerifyRecords()).findings == []
        assert people.ask("admin", VerifyInventory()).findings == []
        assert platform.vault.fsck(deep=True).sound
        assert platform.ledger.verify(deep=True).findings == ()
        with platform.store.read() as session:
            online = session.use(Online)
            assert [online.count(PROJECT, view) for view in online.views(PROJECT)] == [0, 0]
    finally:
        platform.close()
    again = taken_from(folder / "home", made.tokens, folder / "again.tar")
    assert left_in(again) == {REVIEWED}


def left_in(export: Path) -> set[bytes]:
    """What in an export still names him: nothing but the file that somebody has to review."""
    with tarfile.open(export) as archive:
        held = [archive.extractfile(member).read() for member in archive if member.isfile()]  # type: ignore[union-attr]
    return {content for content in held if str(HIM).encode() in content}


def taken_from(home: Path, tokens: Mapping[str, str], target: Path) -> Path:
    """An export of what was imported."""
    platform = open_platform(home)
    target.write_bytes(b"".join(People(platform, dict(tokens)).ask("admin", ExportInstallation()).chunks))
    platform.close()
    return target
