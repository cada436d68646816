"""Secrets that a project lends to jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.errors import Conflict, IntegrityError
from muniment.vault.deriving import lend
from vaulting import VaultRoom, vault_room


@pytest.fixture
def room(tmp_path: Path, sqlite_store: SqlStore) -> VaultRoom:
    """A vault with keys for two projects."""
    opened = vault_room(tmp_path, sqlite_store)
    opened.give_key("credit")
    opened.give_key("cards")
    return opened


def lent(room: VaultRoom, project: str = "credit", use: str = "rows-1") -> tuple[str, bytes]:
    """Name and secret for a use."""
    with room.store.read() as session:
        name = room.vault.lending.name(session, project, use)
        return name, room.vault.lending.secret(session, project, name)


def test_a_secret_outlives_the_rotation_of_the_keys(room: VaultRoom) -> None:
    """What was fingerprinted years ago can be compared with what is fingerprinted today."""
    before = lent(room)
    with room.store.write() as session:
        room.vault.rotate(session, "credit")
    assert lent(room) == before
    assert len(before[1]) == 32


def test_every_project_and_every_use_has_a_secret_of_its_own(room: VaultRoom) -> None:
    """Neither names nor secrets of two projects or uses are equal."""
    found = [lent(room), lent(room, "cards"), lent(room, use="rows-2")]
    assert len({name for name, _ in found}) == len({secret for _, secret in found}) == 3


def test_a_name_does_not_give_its_secret_away(room: VaultRoom) -> None:
    """The name stands in plans and in the ledger; it says what for, and nothing of the secret, and nor does a repr."""
    name, secret = lent(room)
    assert name.startswith("rows-1-")
    assert name.rpartition("-")[2] not in secret.hex()
    shown = repr(lend(bytes(32), "credit", "rows-1"))
    assert lend(bytes(32), "credit", "rows-1").secret.hex() not in shown
    assert "secret" not in shown


def test_a_secret_of_another_name_is_not_lent(room: VaultRoom) -> None:
    """A plan that was made under other keys, or for another project, is refused and not quietly answered otherwise."""
    name, _ = lent(room, "cards")
    with room.store.read() as session, pytest.raises(IntegrityError) as refused:
        room.vault.lending.secret(session, "credit", name)
    assert (refused.value.code, refused.value.facts["planned"]) == ("MUNI-V518", name)
    with room.store.read() as session, pytest.raises(Conflict):
        room.vault.lending.name(session, "nobody", "rows-1")


def test_the_derivation_is_fixed_for_ever() -> None:
    """Fingerprints are kept: another secret under the same name would make them useless. HKDF-SHA256 by RFC 5869."""
    found = lend(bytes(range(32)), "credit", "rows-1")
    assert found.name == "rows-1-95d7b28da5e9a25b"
    assert found.secret.hex() == "330fa68dab50fa2e4b04b3dfb660874bd3876adfdfbc27bcbec5e37663ddcc8d"
