"""A process that records is killed without warning: what it answered for is in the tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ledgering import facts, ledger_room
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore

_PROCESS = """
import sys, threading
from pathlib import Path
from ledgering import ledger_room
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore

store, life = SqlStore(sys.argv[1], REPOSITORIES), int(sys.argv[3])
main = ledger_room(Path(sys.argv[2]), store, start_s=life * 100)

def client(who):
    room = ledger_room(Path(sys.argv[2]), store, start_s=life * 100 + who)
    for number in range(10**9):
        main.ledger.record(room.event(said=f"{life}/{who}/{number}"))
        sys.stdout.write(f"{life}/{who}/{number}\\n")
        sys.stdout.flush()

for who in range(1, 5):
    threading.Thread(target=client, args=(who,), daemon=True).start()
while True:
    main.ledger.checkpoint()
"""


@pytest.mark.slow
def test_no_answer_without_an_entry_under_kill(tmp_path: Path, store_url: str) -> None:
    """Five lives of four clients and a sequencer, each ended by SIGKILL: every answer given has its entry, once."""
    tests = str(Path(__file__).resolve().parents[1])
    code = f"import sys; sys.path.insert(0, {tests!r})\n{_PROCESS}"
    answered: list[str] = []
    for life in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", code, store_url, str(tmp_path / "ledger"), str(life)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        answered += [process.stdout.readline().strip() for _ in range(50 + 37 * life)]
        process.kill()
        rest, _ = process.communicate()
        answered += [line.strip() for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    store = SqlStore(store_url, REPOSITORIES)
    room = ledger_room(tmp_path / "ledger", store, start_s=10_000)
    room.ledger.checkpoint()
    said = [facts(body)["said"] for body in room.bodies()]
    assert len(set(said)) == len(said)
    assert set(answered) <= set(said)
    report = room.ledger.verify()
    assert report.ok, report.findings
    store.close()
