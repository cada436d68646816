"""What a thief of the home folder has: nothing in clear, no key, and no way to ask what is there."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from muniment.adapters.kms.local import LocalKeys
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.errors import IntegrityError
from muniment.kernel.digest import Digest
from muniment.kernel.ports import NoFaults, SystemEntropy
from muniment.vault.service import Vault
from vaulting import VaultRoom, vault_room

MARKER = b"Mrs Example, income 41205, default no; "


@pytest.fixture
def room(tmp_path: Path, sqlite_template: Path) -> Iterator[VaultRoom]:
    """A vault whose database lies in its home, after a life: sealed, left unregistered, cut off, rotated."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(sqlite_template, home / "muniment.db")
    store = SqlStore(sqlite_url(home / "muniment.db"), REPOSITORIES)
    opened = vault_room(tmp_path, store)
    opened.give_key("credit")
    for times in (1, 1000, 100_000):
        opened.keep(MARKER * times)
    opened.vault.seal_bytes("credit", MARKER * 2)
    with store.write() as session:
        opened.vault.rotate(session, "credit")
    yield opened
    store.close()


def _stored(room: VaultRoom) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in room.home.rglob("*") if path.is_file()}


def test_no_plaintext_lies_anywhere_under_the_home(room: VaultRoom) -> None:
    """Neither in objects, nor in drafts, nor in the database or its log; the same search finds what is in clear."""
    stored = _stored(room)
    assert sum(map(len, stored.values())) > len(MARKER) * 100_000
    assert [path for path, content in stored.items() if MARKER[:12] in content] == []
    (room.home / "plain").write_bytes(b"x" + MARKER)
    assert [path.name for path, content in _stored(room).items() if MARKER[:12] in content] == ["plain"]


def test_no_key_lies_anywhere_under_the_home(room: VaultRoom) -> None:
    """Of the keys in the key file no byte is with the data, neither raw nor as text."""
    secrets = json.loads((room.home.parent / "keys").read_bytes())["keys"].values()
    assert len(secrets) == 2
    for content in _stored(room).values():
        for secret in secrets:
            raw = base64.b64decode(secret)
            assert raw not in content
            assert secret.encode() not in content
            assert raw.hex().encode() not in content


def test_the_objects_show_no_digest(room: VaultRoom) -> None:
    """Who knows a file cannot see by its digest whether it is stored; only the database, which is inside, says so."""
    digest = Digest.of(MARKER)
    for path, content in _stored(room).items():
        if "objects" in path.parts:
            assert digest.hex not in path.name
            assert digest.raw not in content
            assert digest.hex.encode() not in content


def test_the_home_without_the_key_file_opens_nothing(room: VaultRoom, tmp_path: Path) -> None:
    """A copy of the data under another key file is as good as none."""
    thief = LocalKeys.create(tmp_path / "thief", home=room.home)
    vault = Vault(room.store, room.blobs, thief, room.clock, SystemEntropy(), NoFaults())
    with pytest.raises(IntegrityError) as refused:
        vault.read_bytes("credit", Digest.of(MARKER))
    assert refused.value.code == "MUNI-V501"
