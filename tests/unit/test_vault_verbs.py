"""The vault's verbs, called as the gate calls them once it has decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.kernel.resources import INSTALLATION, PROJECT
from muniment.kernel.verb import Effect, Verb
from muniment.vault.service import VERBS, Vault, check_objects, check_store, list_keys, rotate_key
from muniment.wire import vault as wire
from vaulting import VaultRoom, vault_room


class _Allowed:
    """As much of a call as these verbs look at."""

    def __init__(self, session: Session, vault: Vault, project: str) -> None:
        self.session, self.project, self.notes = session, project, {}
        self._vault = vault

    def use(self, port: type[Any]) -> Any:
        return self._vault if port is Vault else self.session.use(port)

    def note(self, **facts: Any) -> None:
        self.notes.update(facts)


def _invoke(room: VaultRoom, verb: Verb, request: Any) -> tuple[Any, dict[str, Any]]:
    view = room.store.write if verb.effect is Effect.WRITE else room.store.read
    with view() as session:
        call = _Allowed(session, room.vault, getattr(request, "project", ""))
        return verb.run(call, request), call.notes


@pytest.fixture
def room(tmp_path: Path, sqlite_store: SqlStore) -> VaultRoom:
    """A vault with two objects in the project ``credit``."""
    opened = vault_room(tmp_path, sqlite_store)
    opened.give_key("credit")
    opened.keep(b"one")
    opened.keep(b"two")
    return opened


def test_the_verbs_ask_for_the_rights_their_roles_have() -> None:
    """Reading keys, managing them and operating the platform are three duties."""
    assert {(verb.action, verb.on.name, verb.group, verb.effect) for verb in VERBS} == {
        ("vault:ListKeys", PROJECT.name, "key:read", Effect.READ),
        ("vault:RotateKey", PROJECT.name, "key:manage", Effect.WRITE),
        ("vault:CheckObjects", PROJECT.name, "system:operate", Effect.READ),
        ("vault:CheckStore", INSTALLATION.name, "system:operate", Effect.READ),
        ("vault:DestroyKeys", INSTALLATION.name, "internal", Effect.WRITE),
    }


def test_rotating_makes_a_version_and_moves_all_objects(room: VaultRoom) -> None:
    """The list shows both versions, newest first, and no object under the old one; the ledger gets the facts."""
    rotated, notes = _invoke(room, rotate_key, wire.RotateKey(project="credit"))
    assert (rotated.version, rotated.objects) == (2, 2)
    listed, _ = _invoke(room, list_keys, wire.ListKeys(project="credit"))
    assert [(key.version, key.current, key.objects) for key in listed.keys] == [(2, True, 2), (1, False, 0)]
    assert notes == {"version": 2, "key": listed.keys[0].key, "objects": 2}
    assert listed.keys[0].created_at == "2026-11-23T09:00:00.000000Z"


def test_checking_reports_what_it_found_and_notes_it(room: VaultRoom) -> None:
    """A sound project is reported as such, a damaged one with its findings."""
    reply, notes = _invoke(room, check_objects, wire.CheckObjects(project="credit", deep=True))
    assert (reply.sound, reply.objects, reply.bytes_opened, reply.findings) == (True, 2, 6, [])
    assert notes == {"objects": 2, "deep": True, "sound": True, "findings": 0}
    room.blob_files()[0].unlink()
    reply, notes = _invoke(room, check_objects, wire.CheckObjects(project="credit"))
    assert not reply.sound
    assert [finding.code for finding in reply.findings] == ["blob-missing"]
    assert reply.findings[0].object in {Digest.of(b"one"), Digest.of(b"two")}
    assert notes["findings"] == 1


def test_the_whole_store_is_checked_for_what_nothing_refers_to(room: VaultRoom) -> None:
    """Only the check of the installation knows orphans."""
    room.vault.seal_bytes("credit", b"never registered")
    assert _invoke(room, check_objects, wire.CheckObjects(project="credit"))[0].findings == []
    reply, _ = _invoke(room, check_store, wire.CheckStore())
    assert [(finding.code, finding.harm) for finding in reply.findings] == [("orphan-blob", False)]
    assert reply.sound
