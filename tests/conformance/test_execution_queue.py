"""The queue of runs, their logs, and the job environments: one suite, both engines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

from muniment.adapters.sql.store import SqlStore
from muniment.errors import Unavailable
from muniment.execution.environments import Environments, JobEnvironment, Wheel
from muniment.execution.model import Run, RunStatus
from muniment.execution.queue import LogChunk, RunLogs, RunQueue
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import new_id
from muniment.testing.fakes import FakeClock, SeededEntropy

CLOCK, ENTROPY = FakeClock(), SeededEntropy(3)
EARLY, NOW, SOON, LATE = (f"2026-11-23T{hour:02}:00:00.000000Z" for hour in (7, 8, 9, 10))
MOST = 3


def a_run(store: SqlStore, **changes: Any) -> Run:
    """A run, queued."""
    CLOCK.advance(seconds=1)
    run = Run(
        id=new_id(CLOCK, ENTROPY),
        project="main",
        kind="train",
        label="xgboost",
        experiment="e",
        name="m",
        requested_by="User:ana",
        created_at=EARLY,
        plan=Digest.of(b"plan"),
        job={"kind": "train", "params": {"eta": 0.1}},
        asked={"train": "data:credit@1"},
        facts={"a": ["b"]},
    )
    run = replace(run, **changes)
    with store.write() as session:
        session.use(RunQueue).add(run)
    return run


def lease(store: SqlStore, owner: str, now: str = NOW, until: str = SOON) -> Run | None:
    """What a worker is given; like the gate, it tries again when it lost a race."""
    while True:
        try:
            with store.write() as session:
                return session.use(RunQueue).lease(owner, now, until, MOST)
        except Unavailable as lost:
            if not lost.facts.get("retry"):
                raise


def now_at(store: SqlStore, run: Run) -> Run:
    """The run as it is."""
    with store.read() as session:
        found = session.use(RunQueue).get(run.project, run.id)
    assert found is not None
    return found


def finish(store: SqlStore, run: Run, owner: str, **result: Any) -> bool:
    """Whether the owner could end it."""
    with store.write() as session:
        return session.use(RunQueue).finish(run.id, owner, RunStatus.OK, LATE, result)


def test_a_run_comes_back_as_it_was_put(store: SqlStore) -> None:
    """Everything about a run survives the store; another project does not see it."""
    run = a_run(store)
    assert now_at(store, run) == run
    with store.read() as session:
        queue = session.use(RunQueue)
        assert queue.get("other", run.id) is None
        assert queue.status(run.id) is RunStatus.QUEUED
        assert queue.status("0" * 26) is None
        assert queue.of_plan("main", run.plan) == (run,)
        assert queue.of_plan("other", run.plan) == ()


def test_runs_are_found_newest_first_by_what_they_are(store: SqlStore) -> None:
    """A list is bounded, newest first, and narrowed by experiment, kind and status."""
    first, second, third = a_run(store), a_run(store, experiment="f"), a_run(store, kind="split")
    with store.read() as session:
        queue = session.use(RunQueue)

        def found(**by: Any) -> list[str]:
            wanted = {"experiment": None, "kind": None, "status": None, "limit": 10} | by
            return [run.id for run in queue.find("main", **wanted)]

        assert found() == [third.id, second.id, first.id]
        assert found(limit=1) == [third.id]
        assert found(experiment="f") == [second.id]
        assert found(kind="train") == [second.id, first.id]
        assert found(status="running") == []


def test_the_oldest_is_given_first_and_to_one(store: SqlStore) -> None:
    """Runs are leased in the order they were asked for, each to one worker; then nothing waits."""
    first, second = a_run(store), a_run(store)
    given = lease(store, "a")
    assert given is not None
    assert (given.id, given.status, given.owner, given.attempt) == (first.id, RunStatus.RUNNING, "a", 1)
    assert now_at(store, first) == given
    other = lease(store, "b")
    assert other is not None
    assert other.id == second.id
    assert lease(store, "c") is None
    with store.read() as session:
        assert not session.use(RunQueue).waiting(NOW)
        assert session.use(RunQueue).waiting(SOON)


def test_workers_at_once_get_different_runs(store: SqlStore) -> None:
    """Eight workers that ask at the same moment hold eight different runs."""
    runs, start = [a_run(store) for _ in range(8)], Barrier(8)

    def ask(owner: int) -> Run | None:
        start.wait()
        return lease(store, f"worker-{owner}")

    with ThreadPoolExecutor(8) as pool:
        given = [run for run in pool.map(ask, range(8)) if run is not None]
    assert sorted(run.id for run in given) == sorted(run.id for run in runs)
    assert len({run.owner for run in given}) == 8


def test_a_lease_that_ran_out_is_taken_over(store: SqlStore) -> None:
    """After its lease a run goes to the next worker; the former owner can neither renew nor end it."""
    run = a_run(store)
    lease(store, "old")
    assert lease(store, "new", NOW) is None
    taken = lease(store, "new", SOON, LATE)
    assert taken is not None
    assert (taken.owner, taken.attempt) == ("new", 2)
    with store.write() as session:
        assert session.use(RunQueue).renew(run.id, "old", LATE) is None
    assert not finish(store, run, "old")
    assert now_at(store, run).owner == "new"
    assert finish(store, run, "new", a=1)
    assert now_at(store, run).result == {"a": 1}
    assert not finish(store, run, "new", a=2)
    assert now_at(store, run).result == {"a": 1}


def test_a_renewed_lease_is_not_taken(store: SqlStore) -> None:
    """Renewing moves the end of the lease, and answers whether somebody asked to cancel."""
    run = a_run(store)
    lease(store, "a")
    with store.write() as session:
        assert session.use(RunQueue).renew(run.id, "a", LATE) is False
    assert lease(store, "b", SOON) is None
    with store.write() as session:
        assert session.use(RunQueue).withdraw("main", run.id, NOW) is RunStatus.RUNNING
        assert session.use(RunQueue).renew(run.id, "a", LATE) is True


def test_a_run_is_given_up_after_three_workers(store: SqlStore) -> None:
    """When the third worker has vanished too the run ends as lost, with its attempts, and waits no more."""
    run = a_run(store)
    for attempt in range(1, MOST + 1):
        given = lease(store, f"worker-{attempt}", NOW, NOW)
        assert given is not None
        assert given.attempt == attempt
    lost = lease(store, "last", SOON)
    assert lost is not None
    assert (lost.status, lost.attempt) == (RunStatus.LOST, MOST)
    assert (now_at(store, run).status, now_at(store, run).ended_at) == (RunStatus.LOST, SOON)
    assert lease(store, "again", LATE) is None
    assert not finish(store, run, f"worker-{MOST}")


def test_a_queued_run_is_cancelled_at_once(store: SqlStore) -> None:
    """A run that has not begun is cancelled and never leased; cancelling an ended run changes nothing."""
    run = a_run(store)
    with store.write() as session:
        assert session.use(RunQueue).withdraw("main", run.id, NOW) is RunStatus.CANCELLED
    assert (now_at(store, run).status, now_at(store, run).ended_at) == (RunStatus.CANCELLED, NOW)
    assert lease(store, "a") is None
    with store.write() as session:
        assert session.use(RunQueue).withdraw("main", run.id, LATE) is RunStatus.CANCELLED
    assert now_at(store, run).ended_at == NOW


def test_a_cancelled_run_whose_worker_died_is_not_begun_again(store: SqlStore) -> None:
    """The wish to cancel outlives the worker: the next one ends the run instead of starting it."""
    run = a_run(store)
    lease(store, "dead")
    with store.write() as session:
        session.use(RunQueue).withdraw("main", run.id, NOW)
    ended = lease(store, "next", SOON)
    assert ended is not None
    assert (ended.status, ended.attempt) == (RunStatus.CANCELLED, 1)
    assert now_at(store, run).status is RunStatus.CANCELLED


def test_logs_are_read_from_an_offset(store: SqlStore) -> None:
    """Chunks come in order from the one that holds the offset; each attempt has its own; a repeat changes nothing."""
    run = a_run(store)
    chunks = [LogChunk(n * 10, 10, Digest.of(bytes([n]))) for n in range(3)]
    with store.write() as session:
        logs = session.use(RunLogs)
        for chunk in (*chunks, chunks[1]):
            logs.append(run.id, 1, chunk)
        logs.append(run.id, 2, LogChunk(0, 5, Digest.of(b"second")))
    with store.read() as session:
        logs = session.use(RunLogs)
        assert logs.chunks(run.id, 1, 0) == tuple(chunks)
        assert logs.chunks(run.id, 1, 10) == tuple(chunks[1:])
        assert logs.chunks(run.id, 1, 19) == tuple(chunks[1:])
        assert logs.chunks(run.id, 1, 30) == ()
        assert [chunk.size for chunk in logs.chunks(run.id, 2, 0)] == [5]


def test_environments_are_found_by_name_version_and_digest(store: SqlStore) -> None:
    """Versions of a name grow; the newest is taken; a digest finds what has it, whatever its name."""

    def made(name: str, version: int, content: bytes) -> JobEnvironment:
        wheel = Wheel("a-1-py3-none-any.whl", Digest.of(content))
        return JobEnvironment(
            name=name, version=version, python="3.11", wheels=(wheel,), lock=Digest.of(b"lock"), created_at=NOW
        )

    one, two, other = made("tabular", 1, b"1"), made("tabular", 2, b"2"), made("copy", 1, b"1")
    with store.write() as session:
        for each in (one, two, other):
            session.use(Environments).add(each)
    with store.read() as session:
        kept = session.use(Environments)
        assert kept.newest("tabular") == two
        assert kept.newest("tabular", 1) == one
        assert kept.newest("tabular", 3) is None
        assert kept.newest("absent") is None
        assert kept.of_digest(two.digest) == two
        assert kept.of_digest(Digest.of(b"?")) is None
        assert set(kept.all()) == {one, two, other}
        assert one.digest == other.digest
