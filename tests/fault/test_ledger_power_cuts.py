"""The machine dies at every step of recording, sequencing and publishing; what was promised before is there after."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from ledgering import LedgerRoom, facts, ledger_room
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore
from muniment.kernel.ports import Faults, NoFaults
from muniment.ledger.model import Checkpoint
from muniment.testing.fakes import CutAt, PowerCut


def _live(room: LedgerRoom, recorded: list[int], signed: list[Checkpoint]) -> None:
    """One life of a ledger: single events, a full tile and more, checkpoints between; tells what it promised."""
    for count in (1, 2, 255, 3):
        first = len(recorded)
        with room.store.write() as session:
            for number in range(first, first + count - 1):
                room.ledger.append(session, room.event(number=number))
        recorded.extend(range(first, first + count - 1))
        room.ledger.record(room.event(number=first + count - 1))
        recorded.append(first + count - 1)
        signed.append(room.ledger.checkpoint())


def _open(folder: Path, url: str, faults: Faults, start_s: float) -> LedgerRoom:
    return ledger_room(folder, SqlStore(url, REPOSITORIES, faults), faults, start_s)


@pytest.mark.slow
def test_death_at_any_point_loses_nothing_and_signs_nothing_twice(tmp_path: Path, sqlite_template: Path) -> None:
    """For every n: after dying at the n-th point all promised events are there, in a tree that every signature fits."""
    died_at: list[str] = []
    for n in itertools.count(1):
        folder = tmp_path / f"{n}"
        folder.mkdir()
        shutil.copyfile(sqlite_template, folder / "state.db")
        url, faults = f"sqlite:///{folder / 'state.db'}", CutAt(n)
        recorded: list[int] = []
        signed: list[Checkpoint] = []
        room = _open(folder / "ledger", url, faults, 0)
        try:
            _live(room, recorded, signed)
            break
        except PowerCut:
            died_at.append(faults.died_at)
        finally:
            room.store.close()
        _assert_whole(folder, url, recorded, signed)
        shutil.rmtree(folder)
    kinds = set(died_at)
    assert kinds == {"store.commit", "store.committed", "ledger.sign", "tiles.put", "ledger.publish"}
    assert len(died_at) > 40


def _assert_whole(folder: Path, url: str, recorded: list[int], signed: list[Checkpoint]) -> None:
    room = _open(folder / "ledger", url, NoFaults(), 3600)
    try:
        kept = room.files.kept()
        latest = room.ledger.latest()
        assert not signed or (latest is not None and latest.size >= signed[-1].size)
        now = room.ledger.checkpoint()
        room.ledger.record(room.event(number=-1))
        last = room.ledger.checkpoint()
        assert last.size == now.size + 1
        numbers = [facts(body)["number"] for body in room.bodies()]
        assert numbers[-1] == -1
        assert len(set(numbers)) == len(numbers)
        assert set(recorded) <= set(numbers)
        report = room.ledger.verify()
        assert report.ok, report.findings
        for earlier in signed:
            assert room.ledger.prove_inclusion(0, earlier.size).root == earlier.root.raw
        assert kept is None or any(checkpoint.note == kept for checkpoint in _all(room))
    finally:
        room.store.close()


def _all(room: LedgerRoom) -> list[Checkpoint]:
    from muniment.ledger.ports import CheckpointRepository  # noqa: PLC0415

    with room.store.read() as session:
        return list(session.use(CheckpointRepository).each())


def test_a_half_written_file_is_no_file(tmp_path: Path, sqlite_store: SqlStore) -> None:
    """A draft that a dead process left behind is neither served nor in the way."""
    room = ledger_room(tmp_path / "ledger", sqlite_store)
    room.history(3)
    draft = tmp_path / "ledger" / "tile" / "0" / "000.p" / ".4.1"
    draft.write_bytes(b"half")
    room.history(1)
    assert room.files.get("tile/0/000.p/4") == b"".join(
        room.ledger.prove_inclusion(index, 4).leaf for index in range(4)
    )
    assert room.ledger.verify().ok
