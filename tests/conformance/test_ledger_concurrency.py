"""Many at once: threads and processes record and sequence, and the tree stays one."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ledgering import LedgerRoom, facts, ledger_room
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore


@pytest.mark.slow
def test_threads_record_and_sequence_together(tmp_path: Path, store: SqlStore) -> None:
    """Twelve threads record while three sequence: every event is in the tree once, and the tree verifies."""
    rooms = [ledger_room(tmp_path / "ledger", store, start_s=number) for number in range(12)]
    ledger = rooms[0].ledger
    broken: list[BaseException] = []
    done = threading.Event()

    def record(room: LedgerRoom, name: int) -> None:
        try:
            for number in range(25):
                ledger.record(room.event(who=name, number=number))
        except BaseException as error:
            broken.append(error)

    def sequence() -> None:
        try:
            while not done.is_set():
                ledger.checkpoint()
        except BaseException as error:
            broken.append(error)

    writers = [threading.Thread(target=record, args=(room, name)) for name, room in enumerate(rooms)]
    sequencers = [threading.Thread(target=sequence) for _ in range(3)]
    for thread in writers + sequencers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in sequencers:
        thread.join()
    assert broken == []
    assert ledger.checkpoint().size == 300
    said = [facts(body) for body in rooms[0].bodies()]
    assert sorted((one["who"], one["number"]) for one in said) == [(w, n) for w in range(12) for n in range(25)]
    report = ledger.verify()
    assert report.ok, report.findings


_PROCESS = """
import sys
from pathlib import Path
from ledgering import ledger_room
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore

url, folder, name = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
store = SqlStore(url, REPOSITORIES)
room = ledger_room(folder, store, start_s=name)
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    room.ledger.record(room.event(who=name, number=number))
    room.ledger.checkpoint()
store.close()
"""


@pytest.mark.slow
def test_two_processes_share_one_tree(tmp_path: Path, store_url: str) -> None:
    """Two processes that each record and sequence make one history that both signed."""
    tests = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {tests!r})\n{_PROCESS}", store_url]
    processes = [
        subprocess.Popen([*command, str(tmp_path / "ledger"), str(name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in (1, 2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        assert [process.wait(120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    store = SqlStore(store_url, REPOSITORIES)
    room = ledger_room(tmp_path / "ledger", store)
    assert room.ledger.checkpoint().size == 80
    said = sorted((one["who"], one["number"]) for one in map(facts, room.bodies()))
    assert said == [(who, number) for who in (1, 2) for number in range(40)]
    report = room.ledger.verify()
    assert report.ok, report.findings
    store.close()
