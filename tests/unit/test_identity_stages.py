"""Stages of projects: set once for good, only stricter, with a reason; production takes nothing made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from asking import furnish_catalog, state
from muniment.errors import Conflict, Invalid, NotFound
from muniment.ledger.model import Search
from muniment.testing.platform import People
from muniment.wire.execution import EvaluateModel, RunScript, TrainModel
from muniment.wire.identity import AddProject, ListProjects, SetStage
from muniment.wire.inventory import RegisterExternalModel, RegisterModel, RegisterModelFile

VENDOR: dict[str, Any] = {"name": "score", "origin": "vendor", "supplier": "ACME", "owner": "scientist"}
BY_HAND: list[tuple[Any, bytes | None]] = [
    (TrainModel(project="main", experiment="e", data="data:credit", algorithm="xgboost", target="age"), None),
    (RunScript(project="main", inputs={"train": "data:credit"}, entry="a.py"), b"tar"),
    (RegisterModel(project="main", model="model:scorer"), None),
    (RegisterExternalModel(project="main", description="bought", **VENDOR), None),
    (RegisterModelFile(project="main", description="bought", filename="m.bin", **VENDOR), b"bytes"),
]


def raised(people: People, stage: str, name: str = "main") -> Any:
    """The project after an administrator set its stage."""
    return people.ask("admin", SetStage(name=name, stage=stage, reason="the model goes live"))


def test_a_project_has_a_stage_from_the_day_it_is_opened(people: People) -> None:
    """Development unless it is said otherwise; lists show it; a word that is none is refused."""
    for name, stage in (("sand", "development"), ("trial", "test"), ("live", "production")):
        assert people.ask("admin", AddProject(name=name, stage=stage)).stage == stage
    assert people.ask("admin", AddProject(name="plain")).stage == "development"
    shown = {one.name: one.stage for one in people.ask("admin", ListProjects()).projects}
    assert (shown["main"], shown["trial"], shown["live"]) == ("development", "test", "production")
    with pytest.raises(Invalid) as refused:
        people.ask("admin", AddProject(name="odd", stage="staging"))
    assert refused.value.facts["stages"] == ["development", "test", "production"]


def test_a_stage_only_becomes_stricter(people: People) -> None:
    """Upwards with a reason; never down, never twice, never without a reason; each change is in the ledger."""
    assert raised(people, "test").stage == "test"
    assert raised(people, "production").stage == "production"
    for stage in ("development", "test", "production"):
        with pytest.raises(Conflict, match="only becomes stricter"):
            raised(people, stage)
    with pytest.raises(Invalid, match="for a reason"):
        people.ask("admin", SetStage(name="other", stage="test", reason="  "))
    for name in ("nowhere", "platform"):
        with pytest.raises(NotFound):
            raised(people, "production", name)
    entries = people.platform.ledger.search(Search(type="muniment.identity.project.stage_set.v1", outcome="ok"))
    told = [entry.event["data"]["facts"] for entry in reversed(entries)]
    assert [(one["former"], one["stage"]) for one in told] == [("development", "test"), ("test", "production")]


@pytest.mark.parametrize("asked", BY_HAND, ids=lambda asked: type(asked[0]).__name__)
def test_nothing_is_made_by_hand_in_production(people: People, asked: tuple[Any, bytes | None]) -> None:
    """What may be done in test is refused in production with the way that remains, and changes nothing."""
    furnish_catalog(people)
    request, body = asked
    raised(people, "test")
    people.ask("scientist", request, body)
    raised(people, "production")
    before = state(people.platform)
    with pytest.raises(Conflict, match="by hand in a production project") as refused:
        people.ask("scientist", request, body)
    assert "muni model promote" in refused.value.facts["do"]
    assert state(people.platform) == before


def test_what_is_in_production_may_be_measured(people: People) -> None:
    """Monitoring goes on: a model is evaluated there, for that makes no model."""
    furnish_catalog(people)
    raised(people, "production")
    started = people.ask("validator", EvaluateModel(project="main", model="model:scorer", data="data:credit"))
    assert started.run.startswith("run:")
