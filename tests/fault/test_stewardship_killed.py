"""Processes that are killed in the middle of an erasure: nothing has happened, or it is brought to its end; and two
that approve at once.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muniment.errors import Conflict, MunimentError, NotFound
from muniment.kernel.digest import Digest
from muniment.testing.platform import PROJECT, People, Site
from muniment.vault.ports import KeyEnds
from muniment.wire import stewardship as ws
from stewarding import Estate

pytestmark = pytest.mark.slow

KILLED = """
import os, signal, sys
from pathlib import Path
from muniment.bootstrap import Parts, open_platform
from muniment.gate.door import Credential
from muniment.wire import stewardship as ws

home, token, erasure, point = sys.argv[1:]

class Kill:
    armed = False
    def point(self, name):
        if self.armed and name == point:
            os.kill(os.getpid(), signal.SIGKILL)

faults = Kill()
platform = open_platform(Path(home), Parts(faults=faults))
faults.armed = True
ask = lambda action, request: platform.gate.invoke(action, request, Credential(token))
ask("stewardship:ApproveErasure", ws.ApproveErasure(project="main", erasure=erasure))
ask("stewardship:FinishErasure", ws.FinishErasure(project="main"))
"""
BEFORE = ("vault.erase", "vault.rotate", "keys.replaced", "vault.rewrap", "store.commit")
AFTER = ("store.committed", "vault.destroy", "vault.destroyed")


def prepared(place: Site) -> tuple[dict[str, str], str, Digest, Digest]:
    """A data set that is due, with a request to delete it: tokens, request, what goes, what stays."""
    platform = place.open()
    estate = Estate.of(People(platform, place.tokens))
    stays = estate.derive("data:credit", name="other", content=b"of nobody")
    estate.terms(retention=(datetime.now(UTC).date() - timedelta(days=1)).isoformat())
    request = ws.RequestDeletion(project=PROJECT, dataset="data:credit", reason="over")
    asked = estate.ask("steward", request)
    gone = Digest(estate.rights().digest)
    platform.close()
    return estate.people.tokens, asked.id, gone, stays


@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
def test_killed_at_each_step(site: Site, tmp_path: Path, point: str) -> None:
    """Before the decision is durable nothing has happened, and it can be made again; after it the next process ends
    it: the old key is gone, what stays opens, and nothing is left to be done.
    """
    place = site.copy(tmp_path / "site")
    tokens, erasure, gone, stays = prepared(place)
    command = [sys.executable, "-c", KILLED, str(place.home), tokens["steward2"], erasure, point]
    assert subprocess.run(command, check=False).returncode == -9
    platform = place.open()
    people = People(platform, tokens)
    assert platform.vault.read_bytes(PROJECT, stays) == b"of nobody"
    state = people.ask("auditor", ws.ShowErasure(project=PROJECT, erasure=erasure)).state
    if point in BEFORE:
        assert state == "requested"
        assert platform.vault.read_bytes(PROJECT, gone)
        people.ask("steward2", ws.ApproveErasure(project=PROJECT, erasure=erasure))
        people.ask("steward2", ws.FinishErasure(project=PROJECT))
    else:
        assert state == "done"
    with pytest.raises(NotFound):
        platform.vault.read_bytes(PROJECT, gone)
    with platform.store.read() as session:
        ends = session.use(KeyEnds)
        assert ends.pending() == []
        (end,) = ends.of(PROJECT)
    assert end.kms_key not in place.key_file.read_text()
    checked = platform.vault.fsck(deep=True)
    assert checked.sound
    assert platform.vault.read_bytes(PROJECT, stays) == b"of nobody"
    platform.close()


def test_two_approve_at_once(each_site: Site) -> None:
    """Two stewards decide at the same moment: one decision stands, the other is told so, and nothing is lost."""
    tokens, erasure, gone, stays = prepared(each_site)
    platform = each_site.open()
    people = People(platform, tokens)
    people.tokens["steward3"] = tokens["steward2"]
    errors: list[MunimentError] = []
    barrier = threading.Barrier(2)

    def approve(name: str) -> Callable[[], None]:
        def act() -> None:
            barrier.wait()
            try:
                people.ask(name, ws.ApproveErasure(project=PROJECT, erasure=erasure))
            except MunimentError as lost:
                errors.append(lost)

        return act

    threads = [threading.Thread(target=approve(name)) for name in ("steward2", "steward3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (lost,) = errors
    assert isinstance(lost, Conflict)
    assert lost.code == "MUNI-W313"
    people.ask("steward2", ws.FinishErasure(project=PROJECT))
    assert platform.vault.read_bytes(PROJECT, stays) == b"of nobody"
    with pytest.raises(NotFound):
        platform.vault.read_bytes(PROJECT, gone)
    platform.close()
