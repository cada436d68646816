"""A person is erased, jobs and all: searched for, taken out, destroyed, and proofs still stand; bias is reviewed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from muniment.errors import Conflict
from muniment.sdk.client import Client
from muniment.testing.platform import PROJECT, Site
from muniment.wire import stewardship as ws
from muniment.wire.catalog import ProveUnused
from muniment.wire.data import SplitDataset
from muniment.wire.execution import TrainModel
from muniment.wire.records import VerifyInventory, VerifyRecords
from stewarding import Estate
from working import World, working

pytestmark = pytest.mark.slow

SECRET = "7000123"


@pytest.fixture
def world(site: Site, tmp_path: Path) -> Iterator[World]:
    with working(site, tmp_path / "site") as opened:
        Estate(opened.people).person("steward2", "data-steward")
        yield opened


def content() -> bytes:
    """A table of people; one of them asks to be forgotten."""
    rows = [f"{7000000 + n},{20 + n % 50},{n % 2}" for n in range(400)]
    return "\n".join(["person,age,default", *rows]).encode()


def test_a_person_is_erased_for_good_and_everything_still_verifies(world: World) -> None:
    """His value stands in no table of the database; what held him is gone, the next versions are without him, the
    model that learned from him is named, and ledger, records and proofs verify.
    """
    ask = world.people.ask
    assert world.add(content(), name="people", filename="p.csv", target="default").status == "ok"
    parts = {"train": 0.5, "test": 0.5}
    assert world.done(ask("scientist", SplitDataset(project=PROJECT, dataset="people", parts=parts)).run).status == "ok"
    steward = Client(world.platform.transport(world.people.tokens["steward"]), project=PROJECT).stewardship
    second = Client(world.platform.transport(world.people.tokens["steward2"]), project=PROJECT).stewardship
    plan = steward.erasures.search("person", SECRET, lambda run: world.done(run) and None)
    mine = next(one.reference for one in plan.found if "/" in one.reference)
    other = "people/train@1" if "test" in mine else "people/test@1"
    train = TrainModel(
        project=PROJECT, experiment="e", data=mine, algorithm="logistic_regression", drop=["person"], name="m"
    )
    assert world.done(ask("scientist", train).run).status == "ok"
    plan = steward.erasures.plan(plan.subject)
    assert plan.complete
    assert {one.reference: one.action for one in plan.affected}["model:m@1"] == "retrain"
    assert {one.rows for one in plan.found if one.kind == "data"} == {1}
    made = steward.erasures.request(plan.subject, reason="letter", replace=True)
    with pytest.raises(Conflict, match="not made yet"):
        second.erasures.approve(made.id)
    for run in made.runs:
        assert world.done(run).status == "ok"
    done = second.erasures.approve(made.id, reason="checked")
    assert done.state == "done"
    with pytest.raises(Conflict, match="was destroyed"):
        ask("scientist", train)
    assert world.client.data.get("people").detail.rows == 399
    assert ask("auditor", VerifyRecords()).findings == []
    assert ask("auditor", VerifyInventory()).findings == []
    assert world.platform.vault.fsck(deep=True).sound
    assert world.platform.ledger.verify(deep=True).findings == ()
    proof = ask("auditor", ProveUnused(project=PROJECT, reference=f"data:{other}", model="model:m"))
    assert proof.verdict == "unused"
    database = (world.platform.home / "state.db").read_bytes() + (world.platform.home / "state.db-wal").read_bytes()
    assert SECRET.encode() not in database
    again = steward.erasures.search("person", SECRET, lambda run: world.done(run) and None)
    assert [one for one in again.found if one.rows] == []


def test_bias_is_reviewed_and_what_is_left_out_is_explained(world: World) -> None:
    """The review stands in the record with the reasons of an expert."""
    assert world.add(content(), name="people", filename="p.csv", target="default").status == "ok"
    client = world.client.stewardship
    client.exclude("people", column="person", reason="no feature", expert="A. Expert")
    run = client.assess_bias("people", facet="age", at_most=30, favourable="0", label="default")
    assert world.done(run).status == "ok"
    found = client.bias("people")
    assert found.report["dimensions"].keys() == {"sampling", "stereotype", "measurement"}
    assert found.report["exclusion"][0]["expert"] == "A. Expert"
    assert isinstance(found, ws.BiasView)
