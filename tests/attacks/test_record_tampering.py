"""Somebody who can write the database, but holds no key, changes what the platform believes about its past."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from muniment.errors import IntegrityError
from muniment.sdk.client import Client
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire.data import SplitDataset
from muniment.wire.inventory import FetchModel
from muniment.wire.records import RecordsReport, VerifyRecords
from working import World, working

pytestmark = pytest.mark.slow

ROWS = b"who,n,y\n" + b"".join(b"a%d,%d,%d\n" % (n, n * 7 % 13, n % 2) for n in range(200))
LEARN = """
import hashlib, pathlib
seen = b"".join(f.read_bytes() for f in sorted(pathlib.Path("/opt/ml/input/data").rglob("*")) if f.is_file())
pathlib.Path("/opt/ml/model/weights.txt").write_text(hashlib.sha256(seen).hexdigest())
"""


@pytest.fixture(scope="module")
def told(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A data set in three parts, and a model made from one of them."""
    with working(site, tmp_path_factory.mktemp("world")) as opened:
        assert opened.add(ROWS, name="credit", target="y").status == "ok"
        parts = {"train": 0.6, "test": 0.2, "holdout": 0.2}
        split = opened.people.ask("scientist", SplitDataset(project=PROJECT, dataset="data:credit", parts=parts))
        assert opened.done(split.run).status == "ok"
        made = opened.script(LEARN, inputs={"train": "data:credit/train"}, name="m")
        assert made.status == "ok", made.error
        yield opened


@pytest.fixture
def world(told: World, tmp_path: Path) -> Iterator[World]:
    """A copy of it, to tamper with."""
    key_file = Path(told.platform.settings.key_file)
    own = Site(home=told.platform.home, key_file=key_file, tokens=told.people.tokens).copy(tmp_path / "site")
    platform = own.open()
    client = Client(platform.transport(own.tokens["scientist"]), project=PROJECT)
    yield World(platform, People(platform, own.tokens), client)
    platform.close()


def alter(world: World, statement: str, *values: Any) -> int:
    """What a writer of the database does; how many rows it changed."""
    with closing(sqlite3.connect(world.platform.home / "state.db")) as database, database:
        return database.execute(statement, values).rowcount


def facts_of(world: World, digest: str) -> dict[str, Any]:
    """The facts of an entity as the database holds them."""
    with closing(sqlite3.connect(world.platform.home / "state.db")) as database:
        (facts,) = database.execute("select facts from catalog_entity where digest = ?", (digest,)).fetchone()
    found: dict[str, Any] = json.loads(facts)
    return found


def test_a_job_is_not_given_other_files_under_the_name_of_its_input(world: World) -> None:
    """The files of the holdout are put under the digest of the training part: the next job on it does not begin."""
    train, holdout = (world.client.data.get(f"data:credit/{part}").digest for part in ("train", "holdout"))
    facts = {**facts_of(world, train), "files": facts_of(world, holdout)["files"]}
    assert alter(world, "update catalog_entity set facts = ? where digest = ?", json.dumps(facts), train) == 1
    run = world.script(LEARN, inputs={"train": "data:credit/train"}, name="other")
    assert (run.status, run.products) == ("refused", [])
    assert run.error is not None
    assert "MUNI-X504" in run.error["facts"]["reason"]


def test_a_model_is_not_fetched_with_the_files_of_another(world: World) -> None:
    """The files of a second model are put under the digest of the first."""
    assert world.script(LEARN, inputs={"train": "data:credit/test"}, name="n").status == "ok"
    first, second = (world.client.models.get(f"model:{name}").digest for name in ("m", "n"))
    facts = {**facts_of(world, first), "files": facts_of(world, second)["files"]}
    assert alter(world, "update catalog_entity set facts = ? where digest = ?", json.dumps(facts), first) == 1
    with pytest.raises(IntegrityError) as found:
        world.people.ask("scientist", FetchModel(project=PROJECT, model="model:m"))
    assert found.value.code == "MUNI-X504"


def verified(world: World) -> RecordsReport:
    """What the auditor finds."""
    report: RecordsReport = world.people.ask("auditor", VerifyRecords())
    return report


TRAIN_USED = """
    delete from catalog_edge where role = 'train' and source = (
        select -id from catalog_activity where kind = 'run' and facts like '%ok%' order by id desc limit 1)
"""
SPLIT = "(select id from catalog_activity where kind = 'split')"
MODEL = "(select id from catalog_entity where kind = 'model')"
HOLDOUT = "(select digest from catalog_name where name = 'credit/holdout')"
TRAIN = "(select digest from catalog_name where name = 'credit/train')"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (TRAIN_USED, "as train is missing"),
        (
            f"update catalog_edge set target = (select id from catalog_entity where digest = {HOLDOUT}) "
            "where role = 'train' and source < 0",
            "as train was added",
        ),
        (f"delete from catalog_edge where source = {MODEL}", "what it generated"),
        ("delete from catalog_activity where kind = 'run'", "missing from the database"),
        ("delete from run where kind = 'run'", "missing from the database"),
        ("update catalog_activity set ulid = '7zzzzzzzzzzzzzzzzzzzzzzzzz' where kind = 'split'", "no such end"),
        ("update catalog_activity set kind = 'split' where kind = 'run'", "told differently"),
        ("update catalog_edge set grade = 'declared'", "graded otherwise"),
        (f"update catalog_name set digest = {TRAIN} where name = 'credit/holdout'", "does not mean what was recorded"),
        ("update catalog_entity set kind = 'code' where kind = 'file'", "said to be code"),
        (f"update catalog_entity set kind = 'code' where digest = {HOLDOUT}", "said to be code"),
        (f"update catalog_entity set content_digest = null where digest = {HOLDOUT}", "its content digest"),
        ("update catalog_entity set facts = replace(facts, '\"train\":', '\"more\":') where kind = 'proof'", "proves"),
        ("update run set result = replace(result, '\"code\":0', '\"code\":1')", "what was seen of it"),
        ("update run set status = 'failed' where kind = 'split'", "its status"),
        ("update run set job = replace(job, '\"seed\":0', '\"seed\":1')", "its plan"),
        ("update run set requested_by = 'User:validator' where kind = 'run'", "for whom"),
    ],
)  # fmt: skip
def test_a_changed_record_is_told_from_the_ledger(world: World, statement: str, said: str) -> None:
    """Whatever of runs, lineage, names and results is changed in the database: the audit finds it and says what."""
    before = verified(world)
    assert (before.ok, before.findings) == (True, [])
    assert (before.runs, before.entities) == (3, 8)
    assert alter(world, statement) > 0
    after = verified(world)
    assert not after.ok
    assert any(said in finding for finding in after.findings), after.findings


def test_an_invented_end_of_a_run_does_not_replace_the_first(world: World) -> None:
    """Lineage is changed, and an entry that tells the same story is put into the database, where it will be signed."""
    with closing(sqlite3.connect(world.platform.home / "state.db")) as database, database:
        query = "select * from ledger_entries where type = 'muniment.execution.run.ended.v1' order by id desc limit 1"
        cursor = database.execute(query)
        row = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
        event = json.loads(row["body"])
        event["id"] = row["id"] = row["id"][:-4] + "zzzz"
        event["data"]["facts"]["generated"] = []
        row |= {"idx": None, "body": json.dumps(event, separators=(",", ":"), sort_keys=True)}
        database.execute(
            f"insert into ledger_entries ({','.join(row)}) values ({','.join('?' * len(row))})", [*row.values()]
        )
        database.execute(f"delete from catalog_edge where source = {MODEL}")
    world.platform.ledger.checkpoint()
    assert world.platform.ledger.verify().ok
    report = verified(world)
    assert any("two ends" in finding for finding in report.findings)
    assert any("what it generated" in finding for finding in report.findings)
