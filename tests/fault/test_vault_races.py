"""Several at once: sealers of the same content, and a rotation among writers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.errors import Unavailable
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.vault.ports import ProjectKeys, SealedObjects
from vaulting import VaultRoom, vault_room


@pytest.fixture
def room(tmp_path: Path, store: SqlStore) -> VaultRoom:
    """A vault with a key for the project ``credit``, on each engine."""
    opened = vault_room(tmp_path, store)
    opened.give_key("credit")
    return opened


def _insist(room: VaultRoom, step: Callable[[Session], object]) -> None:
    """Retry a transaction that lost a race, as the gate does."""
    while True:
        try:
            with room.store.write() as session:
                step(session)
        except Unavailable as lost:
            if not lost.facts.get("retry"):
                raise
        else:
            return


def test_sealers_of_the_same_content_end_with_one_object(room: VaultRoom) -> None:
    """All succeed, one record and one blob remain, and the object opens."""
    content = b"the same file, uploaded by six people" * 1000
    start = threading.Barrier(6)

    def upload(_: int) -> Digest:
        sealed = room.vault.seal_bytes("credit", content)
        start.wait()
        _insist(room, lambda session: room.vault.register(session, "credit", sealed))
        return sealed.digest

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(upload, range(6))) == {Digest.of(content)}
    assert len(room.blob_files()) == 1
    assert room.vault.fsck(deep=True).findings == ()
    assert room.vault.read_bytes("credit", Digest.of(content)) == content


@pytest.mark.slow
def test_a_rotation_among_writers_leaves_nothing_under_an_old_key(room: VaultRoom) -> None:
    """Whatever the order of commits, every object is under the newest key and opens."""

    def write(worker: int) -> None:
        for number in range(15):
            sealed = room.vault.seal_bytes("credit", f"{worker}/{number}".encode())
            _insist(room, lambda session, sealed=sealed: room.vault.register(session, "credit", sealed))

    def rotate(_: int) -> None:
        for _number in range(4):
            _insist(room, lambda session: room.vault.rotate(session, "credit"))

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(write, 0), pool.submit(write, 1), pool.submit(rotate, 2)]:
            done.result()
    with room.store.read() as session:
        newest = session.use(ProjectKeys).versions("credit")[0].version
        assert session.use(SealedObjects).count_by_version("credit") == {newest: 30}
    checked = room.vault.fsck(deep=True)
    assert (newest, checked.objects, checked.findings) == (5, 30, ())
