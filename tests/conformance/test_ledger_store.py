"""The ledger on SQLite and PostgreSQL: appending, recording, sequencing, finding."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ledgering import LedgerRoom, facts, ledger_room
from muniment.adapters.sql.store import SqlStore
from muniment.errors import Invalid, NotFound
from muniment.kernel.identifiers import format_time
from muniment.ledger.model import Search
from muniment.ledger.ports import EntryRepository
from muniment.ledger.tree import EMPTY_ROOT, check_consistency, check_inclusion, leaf_hash


@pytest.fixture
def room(tmp_path: Path, store: SqlStore) -> LedgerRoom:
    """A fresh ledger, once on each engine."""
    return ledger_room(tmp_path / "ledger", store)


def _subjects(room: LedgerRoom, **what: object) -> list[str]:
    found = room.ledger.search(Search(**what))  # type: ignore[arg-type]
    return [str(entry.event["subject"]) for entry in found]


def test_an_empty_ledger_has_a_checkpoint(room: LedgerRoom) -> None:
    """Before the first event there is none; asked for, it is that of the empty tree."""
    assert room.ledger.latest() is None
    signed = room.ledger.checkpoint()
    assert (signed.size, signed.root.raw) == (0, EMPTY_ROOT)
    assert room.ledger.latest() == signed
    assert room.ledger.checkpoint() == signed
    assert room.ledger.verify().ok


def test_what_is_recorded_comes_under_the_next_checkpoint(room: LedgerRoom) -> None:
    """Appended or recorded, an event has no index before the checkpoint and the next one after."""
    first, second = room.event("a"), room.event("b")
    room.ledger.record(first)
    with room.store.write() as session:
        room.ledger.append(session, second)
    assert room.ledger.entry(first.id).index is None
    assert room.ledger.checkpoint().size == 2
    assert [room.ledger.entry(event.id).index for event in (first, second)] == [0, 1]
    assert room.ledger.entry(1).body == second.body(room.ledger.origin)
    assert room.ledger.entry(1).event["subject"] == "b"


@pytest.mark.parametrize("count", [1, 2, 3, 127, 128, 300])
def test_rows_that_go_in_together_are_all_kept_whole(room: LedgerRoom, count: int) -> None:
    """However many are committed at once, each row is stored with everything that it is searched by."""
    rows = [room.event(f"s{n}", principal=f"User:{n}", number=n).row(room.ledger.origin) for n in range(count)]
    with room.store.write() as session:
        session.use(EntryRepository).add(rows)
    room.ledger.checkpoint()
    with room.store.read() as session:
        kept = session.use(EntryRepository).rows(0, count + 1)
    assert kept == list(enumerate(rows))


def test_an_event_shares_the_fate_of_its_change(room: LedgerRoom) -> None:
    """When the caller's transaction fails, its event never was."""
    event = room.event()
    with pytest.raises(RuntimeError, match="change failed"), room.store.write() as session:
        room.ledger.append(session, event)
        raise RuntimeError("change failed")
    with pytest.raises(NotFound, match="no such entry"):
        room.ledger.entry(event.id)
    assert room.ledger.checkpoint().size == 0


def test_nothing_new_means_the_same_checkpoint(room: LedgerRoom) -> None:
    """Asked twice, the checkpoint is the same to the byte, and no row and no file is added."""
    room.history(3)
    before, files = room.ledger.latest(), room.tile_files()
    assert room.ledger.checkpoint() == before
    assert room.tile_files() == files


def test_late_commits_get_later_indices(room: LedgerRoom) -> None:
    """An entry that commits after a checkpoint comes after it, however early its event was made."""
    early = room.event("early")
    room.history(2)
    room.ledger.record(early)
    room.ledger.checkpoint()
    assert room.ledger.entry(early.id).index == 2
    assert room.ledger.verify().ok


def test_entries_are_found_by_what_they_say(room: LedgerRoom) -> None:
    """Each criterion alone and together, numbered or not yet, the newest first."""
    start = room.clock.now()
    room.ledger.record(room.event("a", principal="User:ana", outcome="ok", project="credit"))
    room.ledger.record(room.event("b", principal="User:ben", outcome="denied", project="credit"))
    room.ledger.checkpoint()
    room.clock.advance(hours=1)
    room.ledger.record(room.event("c", principal="User:ana", outcome="denied", project="fraud"))
    room.ledger.record(room.event("d", principal="User:ben", outcome="ok", project=None))
    for _ in range(2):
        assert _subjects(room) == ["d", "c", "b", "a"]
        assert _subjects(room, principal="User:ana") == ["c", "a"]
        assert _subjects(room, outcome="denied") == ["c", "b"]
        assert _subjects(room, project="credit") == ["b", "a"]
        assert _subjects(room, principal="User:ana", outcome="denied") == ["c"]
        assert _subjects(room, since=start + timedelta(minutes=30)) == ["d", "c"]
        assert _subjects(room, until=start + timedelta(minutes=30)) == ["b", "a"]
        assert _subjects(room, type="muniment.data.dataset.read.v1") == ["d", "c", "b", "a"]
        assert _subjects(room, type="muniment.data.*", limit=3) == ["d", "c", "b"]
        assert _subjects(room, type="muniment.d") == []
        assert _subjects(room, type="muniment_data.*") == []
        assert [str(entry.event["subject"]) for entry in room.ledger.tail(3)] == ["d", "c", "b"]
        room.ledger.checkpoint()


@pytest.mark.parametrize(
    "text", ["100%", "a_b", "back\\slash", "/slash", 'say "no"', "tab\there", "'; drop table", "ü"]
)
def test_searched_text_is_data(room: LedgerRoom, text: str) -> None:
    """No character of a search has a meaning of its own: only the entry with that text is found."""
    room.ledger.record(room.event("plain", note="100 ab axb backslash slash say no tabhere u"))
    room.ledger.record(room.event("meant", note=f"before {text} after"))
    assert _subjects(room, text=text) == ["meant"]
    assert _subjects(room, text=text.upper() if text.isascii() else text) == ["meant"]


def test_a_search_is_bounded(room: LedgerRoom) -> None:
    """From one to a thousand entries."""
    for limit in (0, -1, 1001):
        with pytest.raises(Invalid, match="limit"):
            room.ledger.search(Search(limit=limit))


def test_hostile_text_is_kept_and_found(room: LedgerRoom) -> None:
    """NUL, newlines, direction marks: recorded exactly, searched safely, shown on one line."""
    hostile = "a\0b\nc\u202ed\x1b[2J\u2028"
    room.ledger.record(room.event(hostile, principal=hostile, note=hostile))
    room.ledger.checkpoint()
    (entry,) = room.ledger.search(Search(principal=hostile))
    assert facts(entry.body)["note"] == hostile
    assert len(entry.line.splitlines()) == 1
    assert entry.line.isprintable()
    assert room.ledger.search(Search(text="c\u202ed")) == [entry]
    assert room.ledger.verify().ok


def test_proofs_come_from_the_published_tree(room: LedgerRoom) -> None:
    """Entries and earlier checkpoints are proven under the last one; beyond it there is nothing to prove."""
    with pytest.raises(NotFound, match="no checkpoint"):
        room.ledger.prove_inclusion(0, 1)
    room.history(3, 300, 1)
    signed, bodies = room.ledger.checkpoint(), room.bodies()
    for index in (0, 2, 255, 256, 303):
        proof = room.ledger.prove_inclusion(index, 304)
        assert check_inclusion(leaf_hash(bodies[index]), index, 304, proof.path, signed.root.raw)
    proof = room.ledger.prove_consistency(3, 304)
    assert check_consistency(3, proof.old_root, 304, signed.root.raw, proof.path)
    assert room.ledger.prove_inclusion(1, 3).root == proof.old_root
    with pytest.raises(NotFound, match="published"):
        room.ledger.prove_inclusion(0, 305)


def test_files_that_were_lost_are_made_again(room: LedgerRoom, tmp_path: Path) -> None:
    """Another machine's empty folder fills from the database, and becomes equal to the first."""
    room.history(5, 1500, 20)
    wanted = naive = room.tile_files()
    other = ledger_room(tmp_path / "other", room.store)
    assert other.ledger.checkpoint() == room.ledger.latest()
    files = other.tile_files()
    assert {path: files[path] for path in wanted if ".p/" not in path} == {
        path: content for path, content in naive.items() if ".p/" not in path
    }
    assert other.ledger.verify().ok


def test_more_than_a_batch_waits_for_one_call(room: LedgerRoom) -> None:
    """However many are waiting, one call covers all that was committed before it."""
    room.record(2500)
    assert room.ledger.checkpoint().size == 2500
    report = room.ledger.verify()
    assert report.ok, report.findings
    assert room.ledger.verify(deep=False).ok


def test_the_background_sequencer_signs_without_being_asked(room: LedgerRoom) -> None:
    """Started, it sequences; stopped, it has sequenced everything."""
    room.ledger.start(interval=0.01)
    room.ledger.start(interval=0.01)
    room.record(5)
    room.ledger.stop()
    room.ledger.stop()
    latest = room.ledger.latest()
    assert latest is not None
    assert latest.size == 5
    assert room.ledger.ailment is None


def test_entries_are_found_by_what_they_hold_within_a_span_of_time(room: LedgerRoom) -> None:
    """Numbered or waiting, from the first moment on and before the last; text is data, no character is special."""
    room.record(3)
    odd = room.event("odd", note="100%_sure")
    room.ledger.record(odd)
    room.ledger.checkpoint()
    late = room.event("late", note="100%_sure")
    room.ledger.record(late)
    start, end = format_time(odd.time), format_time(late.time)

    def held(text: str, since: str | None, until: str | None) -> set[str]:
        with room.store.read() as session:
            return {str(entry.event["id"]) for entry in session.use(EntryRepository).holding(text, since, until)}

    assert held("100%_sure", None, None) == {odd.id, late.id}
    assert held("100%_sure", start, end) == {odd.id}
    assert held("100%_sure", end, None) == {late.id}
    assert held("100__sure", None, None) == set()
    assert held(odd.id, None, start) == set()
