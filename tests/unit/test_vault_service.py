"""The vault's verbs for content: seal, register, open."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.errors import Conflict, IntegrityError, Invalid, NotFound, Unavailable
from muniment.kernel.digest import Digest
from vaulting import VaultRoom, vault_room


@pytest.fixture
def room(tmp_path: Path, sqlite_store: SqlStore) -> VaultRoom:
    """A vault with a key for the project ``credit``."""
    opened = vault_room(tmp_path, sqlite_store)
    opened.give_key("credit")
    return opened


def test_what_was_sealed_opens_and_carries_its_digest(room: VaultRoom) -> None:
    """The public name is the SHA-256 of the plaintext, and reading gives the plaintext back."""
    digest = room.keep(b"loan book")
    assert digest == Digest.of(b"loan book")
    assert room.vault.read_bytes("credit", digest) == b"loan book"
    with room.store.read() as session:
        assert room.vault.has(session, "credit", digest)
        assert room.vault.size(session, "credit", digest) == 9


def test_a_project_without_a_key_cannot_store(room: VaultRoom) -> None:
    """There is no way to store plaintext, so no key means no storing; and nothing is left behind."""
    with pytest.raises(Conflict) as refused:
        room.vault.seal_bytes("other", b"x")
    assert refused.value.code == "MUNI-V302"
    assert not room.blob_files()
    assert not list((room.home / "objects" / "drafts").iterdir())


def test_a_project_gets_its_first_key_once(room: VaultRoom) -> None:
    """A second first key would hide what the first sealed."""
    with pytest.raises(Conflict, match="has a key already"):
        room.give_key("credit")


def test_the_same_content_is_stored_once_in_a_project(room: VaultRoom) -> None:
    """The second blob is dropped at registration, and registering twice changes nothing."""
    first, second = room.vault.seal_bytes("credit", b"same"), room.vault.seal_bytes("credit", b"same")
    for sealed in (first, second, first):
        room.register(sealed)
    assert len(room.blob_files()) == 1
    assert room.vault.read_bytes("credit", first.digest) == b"same"


def test_the_same_content_in_two_projects_shows_no_equality(room: VaultRoom) -> None:
    """Neither the stored names nor the stored bytes of equal contents are equal."""
    room.give_key("cards")
    assert room.keep(b"same") == room.keep(b"same", "cards")
    one, other = room.blob_files()
    assert one.name != other.name
    assert one.read_bytes() != other.read_bytes()


def test_an_object_is_invisible_in_another_project(room: VaultRoom) -> None:
    """A digest known from elsewhere opens nothing."""
    room.give_key("cards")
    digest = room.keep(b"secret")
    with pytest.raises(NotFound):
        room.vault.read_bytes("cards", digest)


def test_an_object_cannot_be_registered_in_another_project(room: VaultRoom) -> None:
    """Sealing decides whose the object is."""
    room.give_key("cards")
    sealed = room.vault.seal_bytes("credit", b"x")
    with room.store.write() as session, pytest.raises(Invalid):
        room.vault.register(session, "cards", sealed)


def test_a_limit_is_kept_and_leaves_nothing(room: VaultRoom) -> None:
    """One byte too many is refused; as many as the limit are taken."""
    assert room.vault.seal("credit", io.BytesIO(bytes(100)), limit=100).size == 100
    before = room.blob_files()
    with pytest.raises(Invalid) as refused:
        room.vault.seal("credit", io.BytesIO(bytes(101)), limit=100)
    assert refused.value.code == "MUNI-V101"
    assert room.blob_files() == before
    assert not list(room.blobs.abandoned())


def test_reading_at_once_is_bounded(room: VaultRoom) -> None:
    """Memory is not for the caller to fill by accident."""
    digest = room.keep(bytes(100))
    with pytest.raises(Invalid):
        room.vault.read_bytes("credit", digest, limit=99)


def test_a_reader_who_leaves_early_learns_that_nothing_is_verified(room: VaultRoom) -> None:
    """Only the end of an object says that it is whole, so leaving before it is an error."""
    digest = room.keep(bytes(5_000_000))
    with pytest.raises(IntegrityError) as refused, room.vault.open("credit", digest) as reader:
        reader.read(10)
    assert refused.value.code == "MUNI-V510"


def test_a_reader_who_took_all_bytes_need_not_ask_for_the_end(room: VaultRoom) -> None:
    """Who read exactly the size gets the end checked on leaving."""
    digest = room.keep(b"0123456789")
    with room.vault.open("credit", digest) as reader:
        buffer = bytearray(10)
        assert reader.readinto(buffer) == 10
    assert bytes(buffer) == b"0123456789"


def test_an_error_of_the_reader_is_not_hidden(room: VaultRoom) -> None:
    """Leaving early by an error raises that error."""
    digest = room.keep(bytes(5_000_000))
    with pytest.raises(ZeroDivisionError), room.vault.open("credit", digest):
        raise ZeroDivisionError


def test_a_blob_that_went_away_is_not_registered(room: VaultRoom) -> None:
    """No record may promise bytes that are not there."""
    sealed = room.vault.seal_bytes("credit", b"x")
    for path in room.blob_files():
        path.unlink()
    with room.store.write() as session, pytest.raises(Unavailable):
        room.vault.register(session, "credit", sealed)


def test_rotation_changes_no_stored_byte_and_everything_opens(room: VaultRoom) -> None:
    """Only records are re-wrapped; objects sealed before, between and after the rotation open."""
    old = room.keep(b"old")
    between = room.vault.seal_bytes("credit", b"sealed before, registered after")
    stored = {path: path.read_bytes() for path in room.blob_files()}
    with room.store.write() as session:
        assert room.vault.rotate(session, "credit") == 1
    room.register(between)
    assert {path: path.read_bytes() for path in room.blob_files()} == stored
    new = room.keep(b"new")
    for digest, content in ((old, b"old"), (between.digest, b"sealed before, registered after"), (new, b"new")):
        assert room.vault.read_bytes("credit", digest) == content


def test_a_rotation_that_is_rolled_back_leaves_the_old_key_in_force(room: VaultRoom) -> None:
    """What was unwrapped during a transaction that failed is not mistaken for what stands."""
    old = room.keep(b"old")
    with pytest.raises(ZeroDivisionError), room.store.write() as session:
        room.vault.rotate(session, "credit")
        raise ZeroDivisionError
    again = room.keep(b"again")
    with room.store.write() as session:
        room.vault.rotate(session, "credit")
    assert room.vault.read_bytes("credit", old) + room.vault.read_bytes("credit", again) == b"oldagain"
