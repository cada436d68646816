"""The platform dies at the first, second, third ... step of a request that counts; reopened, state and ledger agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from asking import furnish_catalog
from muniment.adapters.sql.catalog import ACTIVITY
from muniment.adapters.sql.execution import RUNS
from muniment.adapters.sql.identity import GROUPS
from muniment.bootstrap import Platform
from muniment.execution.ports import ExitStatus, Launch, Sink
from muniment.ledger.model import Search
from muniment.testing.engine import EmptyWorkshop, PlayedEngine, leave
from muniment.testing.fakes import CutAt, FakeClock, PowerCut
from muniment.testing.platform import People, Site
from muniment.wire.data import AddDataset
from muniment.wire.execution import ListRuns, TrainModel
from muniment.wire.identity import AddGroup
from muniment.wire.inventory import ListModels

MOST_POINTS = 60


class Misfortune:
    """Fails nothing until it is given a schedule."""

    def __init__(self) -> None:
        self.cut: CutAt | None = None

    def point(self, name: str) -> None:
        """Pass on to the schedule."""
        if self.cut is not None:
            self.cut.point(name)


def cuts(place: Site, act: Callable[[People], Any], **parts: Any) -> Iterator[tuple[Platform, str]]:
    """Do something again and again, dying one step later each time: the platform after each death, and where it died.

    Ends after the first time that nothing was left to die at.
    """
    for n in range(1, MOST_POINTS):
        misfortune = Misfortune()
        platform = place.open(faults=misfortune, **parts)
        misfortune.cut = CutAt(n)
        try:
            act(People(platform, place.tokens))
        except PowerCut:
            assert misfortune.cut.died_at
        platform.store.close()
        after = place.open(**parts)
        yield after, misfortune.cut.died_at
        after.close()
        if not misfortune.cut.died_at:
            return
    raise AssertionError("it never came to its end")


def done(platform: Platform, action: str) -> list[Any]:
    """The entries of what was done by this action, newest first."""
    found = platform.ledger.search(Search(text=action, limit=1000))
    return [e.event for e in found if e.event["data"]["action"] == action and e.event["data"]["outcome"] == "ok"]


def rows(platform: Platform, *columns: Any) -> list[Any]:
    """What a table holds."""
    with platform.store.engine.connect() as connection:
        return list(connection.execute(select(*columns)))


def check_whole(platform: Platform) -> None:
    """The ledger verifies, and no sealed object is lost or damaged."""
    platform.ledger.checkpoint()
    assert platform.ledger.verify().ok
    assert platform.vault.fsck(deep=True).sound


def test_a_change_and_its_entry_are_one(each_site: Site) -> None:
    """Each group that is there has its entry, and each entry its group, wherever the machine died."""
    names = iter(f"group-{n}" for n in range(MOST_POINTS))
    died = []
    for platform, where in cuts(each_site, lambda people: people.ask("admin", AddGroup(name=next(names)))):
        there = {row.name for row in rows(platform, GROUPS.c.name)}
        assert there == {event["data"]["facts"]["group"] for event in done(platform, "identity:AddGroup")}
        check_whole(platform)
        died.append(where)
    assert {"store.commit", "store.committed"} <= set(died)


@pytest.mark.slow
def test_bytes_a_run_and_their_entry_are_one(each_site: Site) -> None:
    """An upload is a queued run with its entry and its sealed bytes, or nothing at all."""
    contents = iter(range(MOST_POINTS))

    def add(people: People) -> None:
        request = AddDataset(project="main", name="credit", filename="c.csv")
        people.ask("scientist", request, b"a,b\n1,%d\n" % next(contents))

    died = []
    for platform, where in cuts(each_site, add):
        entries = done(platform, "data:AddDataset")
        assert {row.id for row in rows(platform, RUNS.c.id)} == {event["data"]["facts"]["run"] for event in entries}
        check_whole(platform)
        with platform.store.read() as session:
            for event in entries:
                assert platform.vault.has(session, "main", event["data"]["facts"]["file"])
        died.append(where)
    assert {"blob.draft", "store.commit", "store.committed"} <= set(died)


def play(launch: Launch, sink: Sink, cancel: Event) -> ExitStatus:
    """Train a model that says which run made it."""
    sink.log(b"working\n")
    sink.metric(b'{"name":"auc","value":0.7,"step":1}')
    leave(sink, "model/model.json", b'{"algorithm":"xgboost","features":[1]}')
    leave(sink, "model/model.txt", launch.name.encode())
    leave(sink, "output/data/report.json", b'{"of":"%s"}' % launch.name.encode())
    return ExitStatus.OK


@pytest.mark.slow
def test_no_run_is_lost_or_doubled(each_site: Site) -> None:
    """A worker that dies anywhere between lease and record leaves a run that the next one ends once, with one model."""
    clock = FakeClock(datetime.now(UTC))
    parts = {"clock": clock, "engine": PlayedEngine(play), "workshop": EmptyWorkshop()}
    before = each_site.open(**parts)
    people = People(before, each_site.tokens)
    furnish_catalog(people)
    request = TrainModel(project="main", experiment="e", data="data:credit", algorithm="xgboost", target="age")
    request = replace(request, fresh=True)  # else a run that ended answers the next request
    before.close()
    died = []
    for platform, where in cuts(each_site, lambda people: (people.ask("scientist", request), people.work()), **parts):
        people = People(platform, each_site.tokens)
        clock.advance(seconds=60)
        people.work()
        asked = len(done(platform, "execution:TrainModel"))
        runs = people.ask("scientist", ListRuns(project="main", limit=1000)).runs
        assert len(runs) == asked
        assert {run.status for run in runs} == {"ok"}
        recorded = {row.ulid for row in rows(platform, ACTIVITY.c.ulid)}
        assert len(recorded) == asked
        ended = [event["data"]["facts"]["run"] for event in done(platform, "execution:CompleteRun")]
        assert sorted(ended) == sorted(run.run.removeprefix("run:") for run in runs)
        assert people.ask("scientist", ListModels(project="main")).models[0].model.endswith(f"@{asked}")
        check_whole(platform)
        died.append(where)
    assert {"worker.leased", "worker.performed", "blob.draft", "store.commit", "store.committed"} <= set(died)
