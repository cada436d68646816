"""A script that may use data writes their rows down; who may not use the data does not read them there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from muniment.errors import Denied
from muniment.execution.ports import ExitStatus, Launch, Sink
from muniment.kernel.verb import Download
from muniment.testing.engine import EmptyWorkshop, PlayedEngine, leave
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import stewardship as ws
from muniment.wire.execution import RunScript
from muniment.wire.registry import CreateModelVersion, CreateRegisteredModel
from muniment.wire.tracking import GetArtifact
from stewarding import Estate

PATH = "rows.csv"


def copying(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
    """Write what was read to where results go."""
    leave(sink, f"output/data/{PATH}", b"age\n41\n")
    return ExitStatus.OK


@pytest.fixture
def estate(site: Site, tmp_path: Path) -> Iterator[Estate]:
    """Data with stewards, and jobs that copy."""
    place = site.copy(tmp_path / "site")
    clock = FakeClock(datetime.now(UTC))
    platform = place.open(clock=clock, engine=PlayedEngine(copying), workshop=EmptyWorkshop())
    made = Estate.of(People(platform, place.tokens))
    made.people.work()
    yield made
    platform.close()


def copied(estate: Estate, **given: Any) -> str:
    """The run of a script that copied the data."""
    request = RunScript(project=PROJECT, entry="a.py", inputs={"d": "data:credit"}, experiment="e", **given)
    run = estate.ask("scientist", request, b"a source tree").run
    estate.people.work()
    return str(run)


def read(estate: Estate, run: str, person: str) -> bytes:
    """What somebody is given."""
    reply = estate.ask(person, GetArtifact(project=PROJECT, run=run, path=PATH))
    assert isinstance(reply, Download)
    return b"".join(reply.chunks)


def test_what_a_script_left_is_read_under_the_grant_that_its_data_take(estate: Estate) -> None:
    """Who has the grant reads it, a colleague of the same role does not; nor is it fetched as a model of his."""
    estate.person("colleague", "scientist")
    estate.terms(access="grant")
    estate.approve(estate.grant().id)
    run = copied(estate, purpose="scoring")
    assert read(estate, run, "scientist") == b"age\n41\n"
    with pytest.raises(Denied, match="grant"):
        read(estate, run, "colleague")
    estate.ask("colleague", CreateRegisteredModel(project=PROJECT, name="innocent"))
    with pytest.raises(Denied, match="grant"):
        estate.ask("colleague", CreateModelVersion(project=PROJECT, name="innocent", run=run, path="output/data"))


def test_what_is_frozen_is_not_read_in_another_form(estate: Estate) -> None:
    """A hold that forbids the use covers what scripts left of the data; without terms whoever has the role reads."""
    run = copied(estate)
    estate.person("colleague", "scientist")
    assert read(estate, run, "colleague") == b"age\n41\n"
    hold = ws.PlaceHold(project=PROJECT, dataset="data:credit", case="court", reason="order", forbids_use=True)
    estate.ask("steward", hold)
    for person in ("scientist", "colleague"):
        with pytest.raises(Denied, match="forbids its use"):
            read(estate, run, person)
