"""What the verbs of the ledger answer."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from ledgering import LedgerRoom, ledger_room
from muniment.adapters.sql.store import SqlStore
from muniment.errors import IntegrityError, Invalid, NotFound
from muniment.evidence import verify
from muniment.kernel.verb import Call, Download, Effect
from muniment.ledger.service import Ledger
from muniment.ledger.tree import check_inclusion, leaf_hash
from muniment.ledger.verbs import VERBS
from muniment.ledger.witnessing import Witnesses
from muniment.wire import ledger as wire
from witnessing import Reached


class _Call:
    """As much of a call as these verbs use."""

    def __init__(self, room: LedgerRoom) -> None:
        self._room = room
        self._witnesses = Witnesses(room.store, room.ledger, Reached(), room.clock, room.entropy)
        self.notes: dict[str, Any] = {}
        self.now: datetime = room.clock.now()

    def use(self, port: type[Any]) -> Any:
        given = {Ledger: self._room.ledger, Witnesses: self._witnesses}
        return given[port]

    def note(self, **facts: Any) -> None:
        self.notes |= facts


@pytest.fixture
def room(tmp_path: Path, sqlite_store: SqlStore) -> LedgerRoom:
    """A ledger of five entries under a checkpoint and one that waits."""
    room = ledger_room(tmp_path / "ledger", sqlite_store)
    room.history(5)
    room.ledger.record(room.event("late\nRun:1", outcome="denied", project=None))
    return room


def _ask(room: LedgerRoom, request: Any) -> Any:
    (found,) = [verb for verb in VERBS if verb.request is type(request)]
    return found.run(cast("Call", _Call(room)), request)


def test_all_are_reads_of_the_installation() -> None:
    """No verb of the ledger changes it, and none but the checkpoint is for everyone."""
    assert {verb.effect for verb in VERBS} == {Effect.READ}
    assert {verb.on.name for verb in VERBS} == {"Installation"}
    assert {verb.action for verb in VERBS if verb.group == "audit:verify"} == {"ledger:GetCheckpoint"}
    assert {verb.group for verb in VERBS} == {"audit:read", "audit:verify"}


def test_tail_and_search_show_entries(room: LedgerRoom) -> None:
    """The newest first, each with a line that is one line."""
    tail = cast("wire.LedgerEntries", _ask(room, wire.TailEntries(limit=2)))
    assert [entry.index for entry in tail.entries] == [None, 4]
    late = tail.entries[0]
    assert (late.outcome, late.project, late.principal) == ("denied", None, "User:ana")
    assert "\n" not in late.line
    assert late.data["action"] == "data:ReadDataset"
    found = cast("wire.LedgerEntries", _ask(room, wire.SearchEntries(outcome="denied", since="2026-11-23T00:00:00Z")))
    assert [entry.id for entry in found.entries] == [late.id]
    assert _ask(room, wire.SearchEntries(until="2026-11-23T00:00:00Z")).entries == []
    with pytest.raises(Invalid, match="moment"):
        _ask(room, wire.SearchEntries(since="yesterday"))


def test_an_entry_comes_with_its_proof(room: LedgerRoom) -> None:
    """By index or id; what waited is sequenced first, and the proof leads to the checkpoint that comes along."""
    late = room.ledger.tail(1)[0].event["id"]
    for key, index in (("3", 3), (late, 5)):
        answer = cast("wire.EntryProof", _ask(room, wire.GetEntry(entry=key)))
        root = bytes.fromhex(answer.checkpoint.root.removeprefix("sha256:"))
        path = [bytes.fromhex(part) for part in answer.path]
        assert answer.entry.index == index
        assert check_inclusion(leaf_hash(answer.body.encode()), index, answer.checkpoint.size, path, root)
    for key in ("6", "9" * 40, "0" * 26):
        with pytest.raises(NotFound):
            _ask(room, wire.GetEntry(entry=key))
    for key in ("-1", "1; drop", "", "１"):
        with pytest.raises(Invalid, match="index or its id"):
            _ask(room, wire.GetEntry(entry=key))


def test_the_export_is_a_download_that_verifies(room: LedgerRoom, tmp_path: Path) -> None:
    """What is handed out covers what waited, and the verifier agrees."""
    download = cast("Download", _ask(room, wire.ExportLedger()))
    path = tmp_path / download.name
    path.write_bytes(b"".join(download.chunks))
    assert (download.name, download.media_type) == ("ledger-export.tar", "application/x-tar")
    assert verify.verify(path, room.ledger.key, [])["entries"] == 6


def test_a_checkpoint_covers_everything_so_far(room: LedgerRoom, tmp_path: Path) -> None:
    """The checkpoint handed out can be kept, and given to the verifier later."""
    answer = cast("wire.LedgerCheckpoint", _ask(room, wire.GetCheckpoint()))
    assert answer.size == 6
    room.history(3)
    export = room.export(tmp_path / "export.tar")
    assert verify.verify(export, answer.key, [answer.note])["kept"] == 1


def test_verification_reports_what_it_found(room: LedgerRoom) -> None:
    """True while nothing is altered; afterwards the first entry is named, and reading it is refused."""
    report = cast("wire.LedgerReport", _ask(room, wire.VerifyLedger()))
    assert (report.ok, report.entries, report.waiting, report.first) == (True, 5, 1, None)
    assert report.checked
    assert report.not_checked
    room.sql("update ledger_entries set body = '[]' where idx = 2")
    report = cast("wire.LedgerReport", _ask(room, wire.VerifyLedger(deep=False)))
    assert (report.ok, report.first) == (False, 2)
    assert {finding.index for finding in report.findings} == {2}
    with pytest.raises(IntegrityError, match="not an event"):
        _ask(room, wire.TailEntries())
