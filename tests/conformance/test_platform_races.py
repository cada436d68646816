"""Requests at the same moment, on both engines: one wins, the others are told so, and nothing breaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from muniment.errors import MunimentError
from muniment.execution.ports import ExitStatus
from muniment.ledger.model import Search
from muniment.testing.engine import EmptyWorkshop, PlayedEngine
from muniment.testing.platform import People, Site
from muniment.wire.data import AddDataset, ListDatasets
from muniment.wire.execution import ListRuns
from muniment.wire.identity import AddGroup, AddProject, ListGroups

AT_ONCE = 6


def at_once(ask: Callable[[int], Any]) -> Counter[str]:
    """What so many answers to requests at the same moment were: ``ok`` or a code."""
    start = Barrier(AT_ONCE)

    def one(n: int) -> str:
        start.wait()
        try:
            ask(n)
        except MunimentError as refused:
            return refused.code
        return "ok"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(one, range(AT_ONCE)))


def test_one_name_is_taken_once(each_site: Site) -> None:
    """Of several who take one name at the same moment one gets it; the others are told that it is taken."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    for request, taken in ((AddGroup(name="risk"), "MUNI-I302"), (AddProject(name="retail"), "MUNI-I303")):
        answers = at_once(lambda n, request=request: people.ask("admin", request))
        assert answers["ok"] == 1, answers
        assert set(answers) - {"ok"} <= {taken, "MUNI-S502"}, answers
    assert [group.name for group in people.ask("admin", ListGroups()).groups] == ["risk"]
    recorded = platform.ledger.search(Search(type="muniment.identity.group.added.v1", outcome="ok"))
    assert len(recorded) == 1
    platform.close()


def test_the_same_bytes_at_once_are_kept_once(each_site: Site) -> None:
    """Several who bring one file into a fresh project at the same moment each get a run; the bytes are there once."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    request = AddDataset(project="main", name="credit", filename="c.csv")
    answers = at_once(lambda n: people.ask("scientist", request, b"a,b\n1,2\n" * 1000))
    assert set(answers) <= {"ok", "MUNI-S502"}, answers
    assert answers["ok"] >= 1
    runs = people.ask("scientist", ListRuns(project="main", limit=100)).runs
    assert len(runs) == answers["ok"]
    checked = platform.vault.fsck(deep=True)
    assert (checked.sound, checked.findings) == (True, ())
    platform.close()


def test_reads_at_once_are_each_recorded(each_site: Site) -> None:
    """Readers at the same moment all get their answer, and each has an entry."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    assert at_once(lambda n: people.ask("auditor", ListDatasets(project="main"))) == {"ok": AT_ONCE}
    recorded = platform.ledger.search(Search(principal="User:auditor", type="muniment.data.*"))
    assert len(recorded) == AT_ONCE
    platform.ledger.checkpoint()
    assert platform.ledger.verify().ok
    platform.close()


def test_workers_at_once_do_each_run_once(each_site: Site) -> None:
    """Several workers on one queue: every run is done by one of them, whatever order they come in."""
    engine = PlayedEngine(lambda launch, sink, cancel: ExitStatus.FAILED)
    platform = each_site.open(engine=engine, workshop=EmptyWorkshop())
    people = People(platform, each_site.tokens)
    for n in range(AT_ONCE):
        request = AddDataset(project="main", name="credit", filename="c.csv")
        people.ask("scientist", request, b"a\n%d\n" % n)
    answers = at_once(lambda n: people.work())
    assert answers == {"ok": AT_ONCE}, answers
    names = [launch.name for launch in engine.launched]
    assert len(names) == len(set(names)) == AT_ONCE
    statuses = {run.status for run in people.ask("scientist", ListRuns(project="main")).runs}
    assert statuses == {"failed"}
    platform.close()
