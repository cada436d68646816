"""What a check of the vault finds, and what it says about it; and how long a key is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.errors import IntegrityError
from muniment.vault.model import Finding, FindingCode
from muniment.vault.ports import ProjectKeys
from vaulting import VaultRoom, vault_room


@pytest.fixture
def room(tmp_path: Path, sqlite_store: SqlStore) -> VaultRoom:
    """A vault with keys for ``credit`` and ``cards``, and an object in each."""
    opened = vault_room(tmp_path, sqlite_store)
    for project in ("credit", "cards"):
        opened.give_key(project)
        opened.keep(b"content", project)
    return opened


def _summary(findings: tuple[Finding, ...]) -> list[tuple[FindingCode, str, bool]]:
    return [(finding.code, finding.object, finding.harm) for finding in findings]


@pytest.mark.parametrize(("project", "objects", "read"), [("credit", 1, 7), (None, 2, 14)])
def test_a_sound_vault_has_no_findings(room: VaultRoom, project: str | None, objects: int, read: int) -> None:
    """The check says how much it looked at: all objects, and all their bytes when deep."""
    for deep in (False, True):
        checked = room.vault.fsck(project, deep=deep)
        assert (checked.objects, checked.bytes_opened) == (objects, read if deep else 0)
        assert checked.sound
        assert checked.findings == ()


def test_a_missing_blob_is_found_without_reading(room: VaultRoom) -> None:
    """Also by the check that opens nothing, and it does harm."""
    digest = room.keep(b"to be lost")
    for path in room.blob_files():
        path.unlink()
    checked = room.vault.fsck("credit")
    assert not checked.sound
    assert (FindingCode.BLOB_MISSING, digest, True) in _summary(checked.findings)


def test_a_changed_blob_is_found_by_a_deep_check_only(room: VaultRoom) -> None:
    """Only reading shows that bytes were altered; the report of the other check does not claim it."""
    for path in room.blob_files():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert room.vault.fsck().sound
    checked = room.vault.fsck(deep=True)
    assert [code for code, _, _ in _summary(checked.findings)] == [FindingCode.DOES_NOT_OPEN] * 2
    assert not checked.sound


def test_what_was_never_registered_is_an_orphan_without_harm(room: VaultRoom) -> None:
    """Bytes that no record names cost space only; a check of one project cannot know them."""
    room.vault.seal_bytes("credit", b"never registered")
    checked = room.vault.fsck()
    assert [(code, harm) for code, _, harm in _summary(checked.findings)] == [(FindingCode.ORPHAN_BLOB, False)]
    assert checked.sound
    assert room.vault.fsck("credit").findings == ()


def test_what_was_discarded_is_gone_unless_it_was_registered(room: VaultRoom) -> None:
    """Discarding leaves nothing, and never takes the bytes of a record."""
    unwanted, wanted = room.vault.seal_bytes("credit", b"refused"), room.vault.seal_bytes("credit", b"taken")
    room.register(wanted)
    room.vault.discard(unwanted)
    room.vault.discard(wanted)
    assert room.vault.fsck(deep=True).findings == ()
    assert room.vault.read_bytes("credit", wanted.digest) == b"taken"


def test_a_forgotten_draft_is_an_abandoned_one(room: VaultRoom) -> None:
    """It is told while nobody writes it, and sweeping frees it."""
    draft = room.blobs.draft()
    draft.write(b"half")
    assert room.vault.fsck().findings == ()
    del draft
    assert [code for code, _, _ in _summary(room.vault.fsck().findings)] == [FindingCode.ABANDONED_DRAFT]
    assert room.blobs.sweep() == 1
    assert room.vault.fsck().findings == ()


def test_a_lost_key_is_one_finding_and_its_objects_are_not_called_orphans(room: VaultRoom) -> None:
    """The other project is checked all the same."""
    with room.store.read() as session:
        key = session.use(ProjectKeys).versions("credit")[0]
    room.keys.destroy(key.kms_key)
    room.clock.advance(minutes=5)
    checked = room.vault.fsck(deep=True)
    assert _summary(checked.findings) == [(FindingCode.KEY_LOST, "credit@1", True)]
    assert checked.objects == 1


def test_a_destroyed_key_opens_nothing_after_five_minutes(room: VaultRoom) -> None:
    """An unwrapped key is remembered for less than five minutes, which is how long a revocation takes."""
    digest = room.keep(b"content")
    with room.store.read() as session:
        key = session.use(ProjectKeys).versions("credit")[0]
    room.keys.destroy(key.kms_key)
    room.clock.advance(minutes=4, seconds=59)
    assert room.vault.read_bytes("credit", digest) == b"content"
    room.clock.advance(seconds=1)
    with pytest.raises(IntegrityError) as refused:
        room.vault.read_bytes("credit", digest)
    assert refused.value.code == "MUNI-V501"
    with pytest.raises(IntegrityError):
        room.vault.seal_bytes("credit", b"x")


def test_a_clock_that_goes_back_does_not_lengthen_a_key(room: VaultRoom) -> None:
    """A key that seems to have been unwrapped in the future is asked for again."""
    digest = room.keep(b"content")
    with room.store.read() as session:
        key = session.use(ProjectKeys).versions("credit")[0]
    room.keys.destroy(key.kms_key)
    room.clock.advance(hours=-1)
    with pytest.raises(IntegrityError):
        room.vault.read_bytes("credit", digest)
