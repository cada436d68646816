"""Somebody who can write the database, but holds no key, changes what the platform believes about its past."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from muniment.errors import IntegrityError
from muniment.testing.platform import PROJECT, Site
from muniment.wire.data import SplitDataset
from muniment.wire.inventory import FetchModel
from working import World, working

pytestmark = pytest.mark.slow

ROWS = b"who,n,y\n" + b"".join(b"a%d,%d,%d\n" % (n, n * 7 % 13, n % 2) for n in range(200))
LEARN = """
import hashlib, pathlib
seen = b"".join(f.read_bytes() for f in sorted(pathlib.Path("/opt/ml/input/data").rglob("*")) if f.is_file())
pathlib.Path("/opt/ml/model/weights.txt").write_text(hashlib.sha256(seen).hexdigest())
"""


@pytest.fixture
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A data set in three parts, and a model made from one of them."""
    with working(site, tmp_path_factory.mktemp("world")) as opened:
        assert opened.add(ROWS, name="credit", target="y").status == "ok"
        parts = {"train": 0.6, "test": 0.2, "holdout": 0.2}
        split = opened.people.ask("scientist", SplitDataset(project=PROJECT, dataset="data:credit", parts=parts))
        assert opened.done(split.run).status == "ok"
        made = opened.script(LEARN, inputs={"train": "data:credit/train"}, name="m")
        assert made.status == "ok", made.error
        yield opened


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
