"""Raw columns become features, these a joined table and a model: the way back at column level, on the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from muniment.sdk.client import Client
from muniment.testing.platform import Site
from muniment.wire.data import Origin
from working import World, working

pytestmark = pytest.mark.slow

BALANCE = """
select ID, happened, avg(bill) over past as mean_bill, max(paid) over past as max_paid
from statements window past as (partition by ID order by happened rows between 2 preceding and current row)
"""


def quiet(_: Any) -> None:
    """Show nothing."""


class Bank:
    """Statements and applications, a view over the one, joined to the other, and a model."""

    def __init__(self, world: World) -> None:
        self.world = world
        transport = world.platform.transport(world.people.tokens["scientist"])
        self.m = Client(transport, project="main", worker=world.platform.work_until)
        rows = [f"{n},2026-0{month}-01T00:00:00Z,{n * month},{n % 7}" for n in range(1, 61) for month in range(1, 7)]
        given = "\n".join(["ID,happened,bill,paid", *rows]).encode()
        clock = {"happened": "timestamp"}
        origin = Origin(kind="s3", location="s3://bank/statements.csv", version="v7")
        assert (
            world.add(given, name="statements", filename="statements.csv", columns=clock, origin=origin).status == "ok"
        )
        rows = [f"{n},2026-07-01T00:00:00Z,{n * 10},{n % 2}" for n in range(1, 61)]
        given = "\n".join(["ID,decided,limit,default", *rows]).encode()
        added = world.add(given, name="applications", columns={"decided": "timestamp"}, target="default")
        assert added.status == "ok"
        view = {
            "name": "balance", "entity": "ID", "event_time": "happened", "owner": "risk", "ttl": "3650d",
            "sources": {"statements": "data:statements"}, "features": {"mean_bill": "float64", "max_paid": "int64"},
        }  # fmt: skip
        self.view = self.m.features.define(view, BALANCE)
        self.view.build(quiet)
        self.joined = self.m.features.join("applications", self.view, time="decided", name="training", watch=quiet)
        self.run = self.m.train("lightgbm", self.joined, experiment="cards", drop=("ID", "decided"), watch=quiet)
        self.model = self.run.product("model")


@pytest.fixture(scope="module")
def bank(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """The platform after it was played once."""
    with working(site, tmp_path_factory.mktemp("lineage")) as world:
        yield Bank(world)


def test_a_feature_leads_back_to_raw_columns_and_on_to_the_join(bank: Bank) -> None:
    """Raw column, feature, joined column: each link is there, with its grade and what became of the values."""
    found = bank.m.lineage(bank.model, columns=True)
    links = {
        (row["source"], row["source_column"], row["target"], row["target_column"]): row for row in found.column_rows()
    }
    of_view = {row["target_column"]: row for row in found.column_rows() if row["how"] == "transform"}
    rows = of_view["max_paid"]["target"]
    assert links["data:statements@1", "paid", rows, "max_paid"]["how"] == "transform"
    assert links["data:statements@1", "paid", rows, "max_paid"]["grade"] == "proven"
    assert ("data:statements@1", "bill", rows, "max_paid") not in links
    assert links[rows, "max_paid", "data:training@1", "max_paid"]["how"] == "join"
    assert links["data:applications@1", "limit", "data:training@1", "limit"]["how"] == "identity"
    assert {row["how"] for row in found.column_rows()} == {"identity", "transform", "join"}
    assert found.svg is not None
    ElementTree.fromstring(found.svg)
    assert "max_paid" in found.svg
    assert "max_paid" in found._repr_html_()
    assert len(found.columns()) == len(found.column_rows())


def test_openlineage_tells_the_columns(bank: Bank) -> None:
    """The event of the join says of each column of its result what it rests on, by name of the dataset."""
    events = bank.m.lineage(bank.model, picture=False).openlineage()
    joined = next(one for one in events if one["eventType"] == "COMPLETE" and ".join." in one["job"]["name"])
    output = next(one for one in joined["outputs"] if one["name"] == "data:training")
    fields = output["facets"]["columnLineage"]["fields"]
    assert {one["field"] for one in fields["max_paid"]["inputFields"]} == {"max_paid"}
    read = next(
        one for one in events if one["eventType"] == "COMPLETE" and one["job"]["name"].endswith("ingest.statements")
    )
    names = [one["facets"]["symlinks"]["identifiers"] for one in read["inputs"] if "symlinks" in one["facets"]]
    assert names == [[{"namespace": "s3://bank", "name": "statements.csv", "type": "TABLE"}]]


def test_one_call_leads_from_the_model_to_the_source(bank: Bank) -> None:
    """The story names both files, where the one came from and at which version, and who brought it."""
    told = bank.m.lineage(bank.model, picture=False).trace()
    assert told.view.steps[0].kind == "train"
    assert {step.kind for step in told.view.steps} == {"train", "join", "transform", "ingest"}
    said = {one.filename: one.origin for one in told.sources if one.kind == "file"}
    assert said["statements.csv"] is not None
    assert (said["statements.csv"]["location"], said["statements.csv"]["version"]) == ("s3://bank/statements.csv", "v7")
    assert "s3://bank/statements.csv" in repr(told)
    assert "s3://bank/statements.csv" in told._repr_html_()
    assert len(told.to_frame()) == len(told.view.steps)


def test_both_ways_are_two_trees(bank: Bank) -> None:
    """What it comes from first, then what was made of it; the model stands in the second."""
    rows = bank.m.lineage("data:training", direction="both").rows()
    sides = [row["side"] for row in rows]
    assert sides == sorted(sides, reverse=True)
    assert {row["kind"] for row in rows if row["side"] == "downstream"} >= {"data", "train", "model"}
    assert {row["kind"] for row in rows if row["side"] == "upstream"} >= {"data", "join", "file"}


def test_the_crate_and_prov_leave_by_the_sdk(bank: Bank, tmp_path: Path) -> None:
    """Each form is one call away, and says what the table says."""
    found = bank.m.lineage(bank.model, picture=False)
    assert found.ro_crate(tmp_path / "crate.zip").stat().st_size > 1000
    nodes = {node.id for node in found.view.nodes if node.type == "entity"}
    assert set(found.prov()["entity"]) == nodes
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", found.in_toto()["payload"])
    assert json.dumps(found.prov())
