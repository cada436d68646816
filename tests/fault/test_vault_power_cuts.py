"""The machine dies at every irreversible step of the vault; what was promised before is there after."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore
from muniment.errors import Conflict, NotFound
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Faults
from muniment.testing.fakes import CutAt, PowerCut
from muniment.vault.model import FindingCode
from muniment.vault.ports import ProjectKeys, SealedObjects
from vaulting import VaultRoom, vault_room

OLD, NEW, LARGE = b"kept before", b"kept now", b"large" * 250_000


class _Installation:
    """A vault that is closed and opened again, as by a restart."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url, self.project = folder, url, ""

    def run(self, story: list[str], faults: Faults) -> None:
        """Live one life; ``story`` receives what was acknowledged."""
        store = SqlStore(self._url, REPOSITORIES, faults)
        try:
            self._play(vault_room(self._folder, store, faults), story)
        finally:
            store.close()

    def _play(self, room: VaultRoom, done: list[str]) -> None:
        room.give_key(self.project)
        done.append("key")
        for name, content in (("old", OLD), ("large", LARGE), ("again", OLD)):
            room.keep(content, self.project)
            done.append(name)
        with room.store.write() as session:
            room.vault.rotate(session, self.project)
        done.append("rotated")
        room.keep(NEW, self.project)
        done.append("new")
        unwanted = room.vault.seal_bytes(self.project, b"refused")
        room.vault.discard(unwanted)
        done.append("discarded")

    def reopened(self) -> VaultRoom:
        """The vault after the restart."""
        return vault_room(self._folder, SqlStore(self._url, REPOSITORIES))


def _check(room: VaultRoom, project: str, done: list[str]) -> None:
    everything = room.vault.fsck()
    assert everything.sound, everything.findings
    assert room.vault.fsck(project, deep=True).findings == ()
    assert {finding.code for finding in everything.findings} <= {FindingCode.ORPHAN_BLOB, FindingCode.ABANDONED_DRAFT}
    for name, content in (("old", OLD), ("large", LARGE), ("new", NEW)):
        try:
            assert room.vault.read_bytes(project, Digest.of(content)) == content
        except NotFound:
            assert name not in done
    with room.store.read() as session:
        versions = session.use(ProjectKeys).versions(project)
        used = session.use(SealedObjects).count_by_version(project)
    if "key" in done:
        assert versions
    if "rotated" in done:
        assert versions[0].version == 2
    if versions:
        assert set(used) <= {versions[0].version}, "every object is under the newest key"


def _finish(room: VaultRoom, project: str) -> None:
    """After a restart the vault takes everything as if nothing had happened."""
    try:
        room.give_key(project)
    except Conflict:
        with room.store.write() as session:
            room.vault.rotate(session, project)
    for content in (OLD, LARGE, NEW):
        assert room.vault.read_bytes(project, room.keep(content, project)) == content
    assert room.vault.fsck(project, deep=True).findings == ()


@pytest.mark.slow
def test_a_power_cut_loses_nothing_and_publishes_nothing_half(tmp_path: Path, store_url: str) -> None:
    """Die at point 1, 2, 3 ... of a life of seals, a rotation and a discard: reopened, what was acknowledged is there.

    What was not is wholly there or not at all, a deep check finds nothing but space to free, and work goes on.
    """
    installation = _Installation(tmp_path, store_url)
    installation.reopened().store.close()
    died: list[str] = []
    while True:
        installation.project = f"p{len(died)}"
        faults, done = CutAt(len(died) + 1), []
        try:
            installation.run(done, faults)
        except PowerCut:
            died.append(faults.died_at)
        else:
            break
        gc.collect()
        room = installation.reopened()
        _check(room, installation.project, done)
        _finish(room, installation.project)
        room.blobs.sweep()
        assert not list(room.blobs.abandoned())
        room.store.close()
    assert done[-1] == "discarded"
    assert {
        *("blob.draft", "blob.sync", "blob.publish", "blob.published", "blob.delete"),
        *("keys.sync", "keys.replace", "keys.replaced"),
        *("vault.register", "vault.deduplicate", "vault.rotate", "vault.rewrap"),
        *("store.commit", "store.committed"),
    } <= set(died)
