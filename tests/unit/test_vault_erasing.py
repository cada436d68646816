"""Destroying objects on purpose: what went is told by name, the rest opens, and no old copy brings anything back."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from muniment.adapters.blob.files import FileBlobs
from muniment.adapters.kms.local import LocalKeys
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.errors import Conflict, IntegrityError, NotFound
from muniment.kernel.digest import Digest
from muniment.kernel.ports import NoFaults, Session, SystemEntropy
from muniment.vault.model import Epoch, KeyEnd
from muniment.vault.ports import ErasedObjects, KeyEnds, SealedObjects
from muniment.vault.service import Vault
from vaulting import VaultRoom, vault_room

DECISION = str(Digest.of(b"a decision"))


@pytest.fixture
def room(tmp_path: Path, store: SqlStore) -> VaultRoom:
    """A vault with a key for the project ``credit``, once on each engine."""
    opened = vault_room(tmp_path, store)
    opened.give_key("credit")
    return opened


def erase(room: VaultRoom, *digests: Digest, vault: Vault | None = None) -> Epoch:
    """Destroy objects in a transaction of its own."""
    with room.store.write() as session:
        return (vault or room.vault).erase(
            session, "credit", digests, decision=DECISION, why="erasure", now=room.clock.now()
        )


def finish(room: VaultRoom) -> list[KeyEnd]:
    """Destroy the keys that are left to be destroyed."""
    with room.store.write() as session:
        return room.vault.destroy_keys(session, room.clock.now())


def test_what_was_destroyed_is_told_by_its_decision_and_the_rest_opens(room: VaultRoom) -> None:
    """Reading it names the decision, survivors read as before, and the old key and the bytes are gone."""
    gone, stays = room.keep(b"of a person"), room.keep(b"of nobody")
    epoch = erase(room, gone)
    assert ([one.digest for one in epoch.erased], epoch.survivors, epoch.version, epoch.ending) == ([gone], 1, 2, (1,))
    assert [end.version for end in finish(room)] == [1]
    with pytest.raises(NotFound) as told:
        room.vault.read_bytes("credit", gone)
    assert told.value.code == "MUNI-V205"
    assert (told.value.facts["decision"], told.value.facts["why"]) == (DECISION, "erasure")
    assert room.vault.read_bytes("credit", stays) == b"of nobody"
    assert len(room.blob_files()) == 1
    assert finish(room) == []
    checked = room.vault.fsck(deep=True)
    assert (checked.sound, checked.objects, checked.erased, checked.findings) == (True, 1, 1, ())


def test_it_does_not_come_back_as_the_same_bytes(room: VaultRoom) -> None:
    """Whoever stores the destroyed content again is refused, and nothing stays of the attempt."""
    gone = room.keep(b"of a person")
    erase(room, gone)
    finish(room)
    with pytest.raises(Conflict) as refused:
        room.keep(b"of a person")
    assert (refused.value.code, refused.value.facts["decision"]) == ("MUNI-V310", DECISION)


def test_a_second_decision_about_the_same_object_changes_nothing(room: VaultRoom) -> None:
    """What is gone already is left out, and keeps the decision that it went by."""
    gone, other = room.keep(b"of a person"), room.keep(b"of him too")
    erase(room, gone)
    epoch = erase(room, gone, other)
    assert [one.digest for one in epoch.erased] == [other]
    assert epoch.ending == (2,)
    assert [end.version for end in finish(room)] == [1, 2]


def test_what_was_never_there_cannot_be_destroyed(room: VaultRoom) -> None:
    """A plan that names a stranger is refused whole."""
    stays = room.keep(b"of nobody")
    with pytest.raises(NotFound) as refused:
        erase(room, stays, Digest.of(b"stranger"))
    assert refused.value.code == "MUNI-V201"
    assert room.vault.read_bytes("credit", stays) == b"of nobody"


class Hold:
    """Guards one object."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest

    def guarded(self, session: Session, project: str, digests: Iterable[Digest], now: datetime) -> Mapping[Digest, str]:
        """That object, where it is asked about."""
        return {self._digest: "held: case 7"} if self._digest in set(digests) else {}


def test_what_is_held_stays_by_the_store_itself(room: VaultRoom) -> None:
    """One guarded object among many refuses the whole act, with the reason; no key changes."""
    held, other = room.keep(b"held"), room.keep(b"other")
    vault = Vault(room.store, room.blobs, room.keys, room.clock, SystemEntropy(), NoFaults(), Hold(held))
    with pytest.raises(Conflict) as refused:
        erase(room, held, other, vault=vault)
    assert (refused.value.code, refused.value.facts["because"]) == ("MUNI-V312", ["held: case 7"])
    with room.store.read() as session:
        assert session.use(SealedObjects).count_by_version("credit") == {1: 2}
        assert session.use(KeyEnds).pending() == []
    assert erase(room, other, vault=vault).survivors == 1


def test_a_key_that_still_seals_something_is_not_destroyed(room: VaultRoom) -> None:
    """Were the database set so that a key ends that still seals objects, it would stay, and the finding is loud."""
    room.keep(b"content")
    key = next(name for name in room.keys._keys if name.startswith("kek/credit"))
    with room.store.write() as session:
        session.use(KeyEnds).order(KeyEnd("credit", 1, key, room.clock.now()))
    with pytest.raises(IntegrityError) as told:
        finish(room)
    assert told.value.code == "MUNI-V519"
    assert key in room.keys._keys


def test_what_was_being_stored_meanwhile_is_stored_again(room: VaultRoom, tmp_path: Path) -> None:
    """Bytes sealed under a key that was destroyed before they were registered are refused, not kept unreadable."""
    late = room.vault.seal_bytes("credit", b"late")
    erase(room, room.keep(b"of a person"))
    finish(room)
    with pytest.raises(Conflict) as refused:
        room.register(late)
    assert refused.value.code == "MUNI-V311"
    assert room.vault.read_bytes("credit", room.keep(b"late")) == b"late"


def test_a_copy_from_before_opens_nothing(tmp_path: Path, sqlite_store: SqlStore, sqlite_database: str) -> None:
    """With every key of today, a database and store of before give no object back: not the destroyed, nor others."""
    room = vault_room(tmp_path, sqlite_store)
    room.give_key("credit")
    gone, stays = room.keep(b"of a person"), room.keep(b"of nobody")
    with room.store.read():
        pass
    room.store.close()
    copy = tmp_path / "copy"
    shutil.copytree(room.home, copy)
    shutil.copyfile(tmp_path / "muniment.db", tmp_path / "copy.db")
    erase(room, gone)
    finish(room)
    old = SqlStore(sqlite_url(tmp_path / "copy.db"), REPOSITORIES)
    keys = LocalKeys(tmp_path / "keys", home=copy)
    vault = Vault(old, FileBlobs(copy / "objects", NoFaults()), keys, room.clock, SystemEntropy(), NoFaults())
    for digest in (gone, stays):
        with pytest.raises(IntegrityError) as told:
            vault.read_bytes("credit", digest)
        assert told.value.code == "MUNI-V501"
    old.close()
    assert room.vault.read_bytes("credit", stays) == b"of nobody"


def test_repositories_tell_what_they_were_told(store: SqlStore, room: VaultRoom) -> None:
    """What was destroyed is found by project and digest, and an order that was given twice is one."""
    gone = room.keep(b"x")
    erase(room, gone)
    with store.write() as session:
        (one,) = session.use(ErasedObjects).all("credit")
        assert session.use(ErasedObjects).find("credit", [gone, Digest.of(b"y")]) == {gone: one}
        assert session.use(ErasedObjects).find("other", [gone]) == {}
        assert (one.digest, one.size, one.at, one.decision) == (gone, 1, room.clock.now(), DECISION)
        (end,) = session.use(KeyEnds).pending()
        session.use(KeyEnds).order(end)
        assert session.use(KeyEnds).of("credit") == [end]
