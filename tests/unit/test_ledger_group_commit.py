"""Group commit: one transaction for many callers, and never an answer without one."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from muniment.errors import Conflict, Unavailable
from muniment.ledger.groupcommit import GroupCommit
from muniment.ledger.model import NewEntry


def _row(name: str) -> NewEntry:
    return NewEntry(name, "{}", "t", "2026", "p", None, "ok", "s")


class _Disk:
    """Commits batches; the first waits until it is let go, so that the others queue up behind it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.entered, self.go = threading.Event(), threading.Event()
        self.error = error

    def commit(self, rows: Sequence[NewEntry]) -> None:
        first = not self.batches
        self.batches.append([row.id for row in rows])
        if first:
            self.entered.set()
            assert self.go.wait(30)
        elif self.error is not None:
            raise self.error


def _crowd(group: GroupCommit, disk: _Disk, size: int) -> list[Exception | None]:
    """One caller who leads and ``size`` who queue behind him; returns what each of these got."""
    outcomes: list[Exception | None] = [None] * size

    def one(number: int) -> None:
        try:
            group.submit(_row(f"follower {number}"))
        except Unavailable as refused:
            outcomes[number] = refused

    leader = threading.Thread(target=group.submit, args=(_row("leader"),))
    leader.start()
    assert disk.entered.wait(30)
    followers = [threading.Thread(target=one, args=(number,)) for number in range(size)]
    for follower in followers:
        follower.start()
    while len(group._queue) < size:
        threading.Event().wait(0.001)
    disk.go.set()
    for thread in (leader, *followers):
        thread.join(30)
        assert not thread.is_alive()
    return outcomes


def test_a_caller_alone_commits_at_once() -> None:
    """Without company there is a batch of one, in the caller's own thread."""
    seen: list[tuple[int, list[str]]] = []
    group = GroupCommit(lambda rows: seen.append((threading.get_ident(), [row.id for row in rows])))
    group.submit(_row("a"))
    group.submit(_row("b"))
    assert seen == [(threading.get_ident(), ["a"]), (threading.get_ident(), ["b"])]


def test_those_who_wait_share_the_next_transaction() -> None:
    """Twenty callers behind a slow commit are twenty entries of one transaction."""
    disk = _Disk()
    assert _crowd(GroupCommit(disk.commit), disk, 20) == [None] * 20
    assert disk.batches[0] == ["leader"]
    assert [len(batch) for batch in disk.batches[1:]] == [20]


def test_a_batch_is_bounded() -> None:
    """More than the largest batch takes several transactions, and everyone is served."""
    disk = _Disk()
    assert _crowd(GroupCommit(disk.commit, largest=6), disk, 20) == [None] * 20
    assert sorted(len(batch) for batch in disk.batches[1:]) == [2, 6, 6, 6]


@pytest.mark.parametrize("error", [Unavailable("MUNI-S501", "full"), Conflict("MUNI-X301", "odd"), OSError("disk")])
def test_an_error_reaches_everyone_in_the_batch(error: Exception) -> None:
    """Whatever goes wrong, each waiter is refused with Unavailable, and the next caller is served again."""
    disk = _Disk(error)
    group = GroupCommit(disk.commit)
    outcomes = _crowd(group, disk, 9)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    disk.error = None
    group.submit(_row("after"))
    assert disk.batches[-1] == ["after"]


def test_a_leader_that_dies_releases_the_others() -> None:
    """When the committing thread itself is torn down, those who waited are refused, not left waiting."""

    class Torn(BaseException):
        pass

    def torn(rows: Sequence[NewEntry]) -> None:
        raise Torn

    group = GroupCommit(torn)
    with pytest.raises(Torn):
        group.submit(_row("a"))
    with pytest.raises(Torn):
        group.submit(_row("b"))
