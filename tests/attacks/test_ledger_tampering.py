"""Someone who can write to the database or to the files alters history: it is noticed, and named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledgering import ORIGIN, LedgerRoom, PrivateKey, ledger_room
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore
from muniment.errors import IntegrityError
from muniment.ledger.note import sign_checkpoint
from muniment.ledger.tiles import decode_bundle, encode_bundle
from muniment.ledger.tree import leaf_hash

pytestmark = pytest.mark.slow


@pytest.fixture
def room(tmp_path: Path, sqlite_store: SqlStore) -> LedgerRoom:
    """A ledger of 603 entries under four checkpoints, in which everything is right."""
    room = ledger_room(tmp_path / "ledger", sqlite_store)
    room.history(100, 200, 300, 3)
    assert room.ledger.verify().ok
    return room


def _altered(room: LedgerRoom, index: int) -> bytes:
    return room.bodies()[index].replace(b"User:ana", b"User:eva")


@pytest.mark.parametrize("index", [0, 99, 100, 255, 256, 302, 602])
def test_an_altered_entry_is_named(room: LedgerRoom, index: int) -> None:
    """Whichever entry is altered in the database, with its search columns, that one is named."""
    assert (
        room.sql(
            "update ledger_entries set body = replace(body, 'User:ana', 'User:eva'), principal = 'User:eva'"
            " where idx = :index",
            index=index,
        )
        == 1
    )
    report = room.ledger.verify()
    assert (report.ok, report.first) == (False, index)
    assert f"entry {index} is altered in the database" in [finding.what for finding in report.findings]


def test_the_newest_entries_are_checked_even_shallowly(room: LedgerRoom) -> None:
    """A verification that is not deep still compares the newest tile."""
    room.sql("update ledger_entries set body = replace(body, 'User:ana', 'User:eva') where idx = 601")
    assert room.ledger.verify(deep=False).first == 601


def test_several_altered_entries_are_all_named(room: LedgerRoom) -> None:
    """After the first one the audit goes on by the tiles, whose root was signed."""
    room.sql("update ledger_entries set body = replace(body, 'User:ana', 'User:eva') where idx in (7, 301, 600)")
    report = room.ledger.verify()
    assert {7, 301, 600} <= {finding.index for finding in report.findings}
    assert report.first == 7


def test_a_deleted_entry_is_named(room: LedgerRoom) -> None:
    """A gap is found, and named as one."""
    room.sql("delete from ledger_entries where idx = 200")
    report = room.ledger.verify()
    assert report.first == 200
    assert "entry 200 is missing from the database" in [finding.what for finding in report.findings]


def test_swapped_entries_are_named(room: LedgerRoom) -> None:
    """Two entries that changed places are both out of place."""
    room.sql("update ledger_entries set idx = -1 where idx = 10")
    room.sql("update ledger_entries set idx = 10 where idx = 20")
    room.sql("update ledger_entries set idx = 20 where idx = -1")
    assert {finding.index for finding in room.ledger.verify().findings} == {10, 20}


def test_an_entry_that_searches_miss_is_named(room: LedgerRoom) -> None:
    """Changing only the column by which an entry is found hides it from searches: that is found too."""
    room.sql("update ledger_entries set principal = 'User:nobody' where idx = 42")
    report = room.ledger.verify()
    assert [(finding.index, finding.what) for finding in report.findings] == [
        (42, "entry 42 is searched by a wrong principal")
    ]


def test_an_entry_set_back_to_waiting_is_missed(room: LedgerRoom) -> None:
    """Taking an index away does not get an entry numbered anew in silence."""
    room.sql("update ledger_entries set idx = null where idx = 300")
    assert room.ledger.verify().first == 300


def test_an_insertion_is_noticed(room: LedgerRoom) -> None:
    """An entry with an index beyond the signed ones is not taken for one of them."""
    room.sql(
        "insert into ledger_entries (id, idx, body, type, time, principal, outcome, subject)"
        " select 'x', 603, body, type, time, principal, outcome, subject from ledger_entries where idx = 1"
    )
    report = room.ledger.verify()
    assert not report.ok
    assert "604 are numbered" in report.findings[0].what


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("tile/0/000", "the tile with entry"),
        ("tile/0/001", "the tile with entry"),
        ("tile/1/000.p/2", "tile/1/000.p/2 is missing or altered"),
        ("tile/entries/000", "the bundle of entries 0 to 255"),
        ("tile/entries/002.p/91", "the bundle of entries 512 to 602"),
    ],
)
@pytest.mark.parametrize("how", ["flip", "delete"])
def test_an_altered_file_is_told_from_an_altered_entry(room: LedgerRoom, path: str, said: str, how: str) -> None:
    """When the entries still give the signed root, it is the file that was altered, and no entry is accused."""
    file = room.folder / path
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    if how == "flip":
        file.write_bytes(content)
    else:
        file.unlink()
    report = room.ledger.verify()
    assert not report.ok
    assert report.first is None
    assert any(said in finding.what for finding in report.findings), report.findings


def test_entry_and_tile_altered_together_are_noticed(room: LedgerRoom) -> None:
    """Who alters database, tile and bundle alike is caught by the root that was signed; the span is named."""
    body = _altered(room, 150)
    room.sql("update ledger_entries set body = :body, principal = 'User:eva' where idx = 150", body=body.decode())
    tile, bundle = room.folder / "tile/0/000", room.folder / "tile/entries/000"
    content = bytearray(tile.read_bytes())
    content[150 * 32 : 151 * 32] = leaf_hash(body)
    tile.write_bytes(content)
    entries = decode_bundle(bundle.read_bytes())
    entries[150] = body
    bundle.write_bytes(encode_bundle(entries))
    report = room.ledger.verify()
    assert report.first == 100
    assert "among the entries 100 to 299" in report.findings[0].what


def _set_back(room: LedgerRoom, tmp_path: Path) -> SqlStore:
    """A copy of the database as it was three entries ago, behind the same files."""
    room.sql("pragma wal_checkpoint(truncate)")
    old = tmp_path / "old.db"
    shutil.copyfile(tmp_path / "muniment.db", old)
    room.history(3)
    return SqlStore(f"sqlite:///{old}", REPOSITORIES)


def test_a_database_that_was_set_back_signs_nothing(room: LedgerRoom, tmp_path: Path) -> None:
    """After a restore from a backup the checkpoint beside the tiles is newer: nothing is signed until someone looks."""
    store = _set_back(room, tmp_path)
    again = ledger_room(room.folder, store, start_s=60)
    with pytest.raises(IntegrityError, match="set back"):
        again.ledger.checkpoint()
    again.ledger.record(again.event())
    with pytest.raises(IntegrityError, match="set back"):
        again.ledger.checkpoint()
    latest = again.ledger.latest()
    assert latest is not None
    assert latest.size == 603
    assert "set back" in again.ledger.verify().findings[0].what
    store.close()


def test_rewritten_history_is_not_signed(room: LedgerRoom) -> None:
    """A frontier that does not give the last root is refused before anything is signed."""
    room.sql("update ledger_head set frontier = replace(frontier, 'a', 'b')")
    room.record(1)
    with pytest.raises(IntegrityError, match="head"):
        room.ledger.checkpoint()
    assert not room.ledger.verify().ok


def test_an_entry_altered_before_it_is_published_is_not_published(room: LedgerRoom) -> None:
    """Files are written only when the database still gives the signed root."""
    room.record(1)
    room.sql("update ledger_entries set body = replace(body, 'User:ana', 'User:eva') where idx = 602")
    with pytest.raises(IntegrityError, match="do not give the root"):
        room.ledger.checkpoint()
    assert "User:eva" not in (room.folder / "tile/entries/002.p/91").read_text()


def test_a_forged_checkpoint_beside_the_tiles_is_refused(room: LedgerRoom) -> None:
    """A checkpoint by another key, or of another root, is neither believed nor replaced in silence."""
    kept = room.folder / "checkpoint"
    for forged in (
        sign_checkpoint(ORIGIN, 603, b"\7" * 32, PrivateKey(seed=9)).note,
        sign_checkpoint(ORIGIN, 603, b"\7" * 32, PrivateKey()).note,
        "nonsense",
    ):
        kept.write_text(forged)
        with pytest.raises(IntegrityError):
            room.ledger.checkpoint()
        assert not room.ledger.verify().ok


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger_checkpoints set root = (select root from ledger_checkpoints where size = 100) where size = 300",
        "update ledger_checkpoints set note = replace(note, '300', '301') where size = 300",
        "update ledger_checkpoints set note = (select note from ledger_checkpoints where size = 100) where size = 300",
    ],
)
def test_an_altered_checkpoint_is_noticed(room: LedgerRoom, statement: str) -> None:
    """Row, text and signature of every earlier checkpoint belong together."""
    assert room.sql(statement) == 1
    report = room.ledger.verify()
    assert not report.ok
    assert "300 entries" in report.findings[0].what


def test_damaged_tiles_prove_nothing(room: LedgerRoom) -> None:
    """A proof that would not lead to the signed root is not given."""
    tile = room.folder / "tile/0/001"
    content = bytearray(tile.read_bytes())
    content[40] ^= 1
    tile.write_bytes(content)
    with pytest.raises(IntegrityError, match="do not prove"):
        room.ledger.prove_inclusion(256, 603)


@pytest.mark.parametrize("lose", [shutil.rmtree, lambda folder: (folder / "checkpoint").unlink()])
def test_losing_the_second_place_is_told(room: LedgerRoom, lose: Callable[[Path], None]) -> None:
    """Without the checkpoint beside the tiles nobody can tell whether the database was set back: the audit says so."""
    lose(room.folder)
    assert "no checkpoint is kept" in room.ledger.verify().findings[0].what


def _all_set_back(room: LedgerRoom, tmp_path: Path, elsewhere: Path) -> tuple[LedgerRoom, SqlStore]:
    """Database and files as they were three entries ago; the checkpoint elsewhere is the newest."""
    ahead = ledger_room(room.folder, room.store, start_s=30, elsewhere=elsewhere)
    ahead.history(1)
    room.sql("pragma wal_checkpoint(truncate)")
    shutil.copyfile(tmp_path / "muniment.db", tmp_path / "old.db")
    shutil.copytree(room.folder, tmp_path / "old")
    ahead.history(3)
    old = SqlStore(f"sqlite:///{tmp_path / 'old.db'}", REPOSITORIES)
    return ledger_room(tmp_path / "old", old, start_s=60, elsewhere=elsewhere), old


def test_database_and_files_set_back_together_are_told_by_the_checkpoint_elsewhere(
    room: LedgerRoom, tmp_path: Path
) -> None:
    """An older copy of the whole home signs nothing, and the audit says that it was set back."""
    again, store = _all_set_back(room, tmp_path, tmp_path / "keys" / "last.checkpoint")
    assert "set back" in again.ledger.verify().findings[0].what
    with pytest.raises(IntegrityError, match="set back"):
        again.ledger.checkpoint()
    store.close()


def test_what_an_audit_cannot_see_is_said_by_it(room: LedgerRoom, tmp_path: Path) -> None:
    """With every checkpoint here set back too, the older history is a valid one: the report names that limit."""
    elsewhere = tmp_path / "keys" / "last.checkpoint"
    again, store = _all_set_back(room, tmp_path, elsewhere)
    elsewhere.unlink()
    report = again.ledger.verify()
    assert report.ok
    assert any("set back" in limit for limit in report.not_checked)
    assert any("before they were signed" in limit for limit in report.not_checked)
    store.close()


def test_a_forged_checkpoint_elsewhere_is_refused(room: LedgerRoom, tmp_path: Path) -> None:
    """What lies elsewhere is believed no more than what lies beside the tiles."""
    elsewhere = tmp_path / "last.checkpoint"
    for forged in (sign_checkpoint(ORIGIN, 700, b"\7" * 32, PrivateKey(seed=9)).note, "nonsense"):
        elsewhere.write_text(forged)
        again = ledger_room(room.folder, room.store, elsewhere=elsewhere)
        with pytest.raises(IntegrityError):
            again.ledger.checkpoint()
        assert not again.ledger.verify().ok


def test_where_nothing_can_be_kept_elsewhere_the_ledger_goes_on(room: LedgerRoom, tmp_path: Path) -> None:
    """A key folder that is read-only, as in many installations, stops nothing."""
    (tmp_path / "flat").write_text("a file where a folder should be")
    again = ledger_room(room.folder, room.store, start_s=30, elsewhere=tmp_path / "flat" / "last.checkpoint")
    again.history(1)
    assert again.ledger.verify().ok
