"""Studies and their steps: one suite, both engines; a step is kept once, whoever is faster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.errors import Conflict, Unavailable
from muniment.execution.model import Run
from muniment.execution.queue import RunQueue
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import new_id
from muniment.testing.fakes import FakeClock, SeededEntropy
from muniment.tuning.ports import Studies, StudyRow, StudyStep

CLOCK, ENTROPY = FakeClock(), SeededEntropy(9)
AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DOCUMENT = {"space": {"eta": {"kind": "log", "low": 0.01, "high": 0.3}}, "seed": 7, "maximise": True}


def a_study(name: str = "s", project: str = "main") -> StudyRow:
    """A study with an id of its own."""
    CLOCK.advance(seconds=1)
    return StudyRow(id=new_id(CLOCK, ENTROPY), project=project, name=name, by="User:ana", at=AT, document=DOCUMENT)


def a_run(store: SqlStore) -> str:
    """The id of a run, queued."""
    CLOCK.advance(seconds=1)
    run = Run(
        id=new_id(CLOCK, ENTROPY),
        project="main",
        kind="train",
        label="xgboost",
        experiment="e",
        name="m",
        requested_by="User:ana",
        created_at="2026-11-23T07:00:00.000000Z",
        plan=Digest.of(b"plan"),
        job={"kind": "train", "params": {}},
        asked={},
        facts={},
    )
    with store.write() as session:
        session.use(RunQueue).add(run)
    return run.id


def test_a_study_comes_back_as_it_was_kept(store: SqlStore) -> None:
    """Document, author and moment survive; a project has one study of a name, another project its own."""
    row = a_study()
    with store.write() as session:
        studies = session.use(Studies)
        studies.add(row)
        studies.add(a_study(project="other"))
        with pytest.raises(Conflict):
            studies.add(a_study())
    with store.read() as session:
        studies = session.use(Studies)
        assert studies.get("main", "s") == row
        assert studies.get("main", "t") is None
        assert [one.project for one in studies.all("main", 10)] == ["main"]


def test_stopping_and_resuming_are_kept(store: SqlStore) -> None:
    """A stop has its moment, a resumption takes it away and counts."""
    row = a_study()
    with store.write() as session:
        session.use(Studies).add(row)
        session.use(Studies).stop(row.id, AT)
    with store.read() as session:
        assert session.use(Studies).get("main", "s") == replace(row, stopped_at=AT)
    with store.write() as session:
        session.use(Studies).resume(row.id)
    with store.read() as session:
        assert session.use(Studies).get("main", "s") == replace(row, resumed=1)


def test_steps_come_in_the_order_they_were_asked_for(store: SqlStore) -> None:
    """Every step is known by what it is for and by its attempt."""
    row = a_study()
    with store.write() as session:
        session.use(Studies).add(row)
    steps = [
        StudyStep(do, number, attempt, a_run(store))
        for do, number, attempt in (("train", 1, 0), ("evaluate", 1, 0), ("train", 1, 1))
    ]
    with store.write() as session:
        for step in steps:
            session.use(Studies).add_step(row.id, step)
    with store.read() as session:
        assert list(session.use(Studies).steps(row.id)) == steps


def test_of_two_who_begin_the_same_step_one_wins(store: SqlStore) -> None:
    """Both look first and find nothing; one is kept, the other is told to look again, and then finds it."""
    row = a_study()
    with store.write() as session:
        session.use(Studies).add(row)
    runs, gate = [a_run(store), a_run(store)], Barrier(2)

    def begin(run: str) -> bool:
        first = True
        while True:
            try:
                if first:
                    gate.wait(timeout=30)
                    first = False
                with store.write() as session:
                    if any(step.do == "train" for step in session.use(Studies).steps(row.id)):
                        return False
                    session.use(Studies).add_step(row.id, StudyStep("train", 0, 0, run))
            except Unavailable as lost:
                if not lost.facts.get("retry"):
                    raise
            else:
                return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(begin, runs)) == [False, True]
    with store.read() as session:
        assert len(session.use(Studies).steps(row.id)) == 1
