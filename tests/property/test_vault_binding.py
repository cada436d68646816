"""Bytes, key, record and name belong together: whatever is sealed opens, and whatever was changed does not."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from laws import examples
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.errors import IntegrityError, MunimentError, NotFound
from muniment.kernel.digest import Digest
from vaulting import VaultRoom, vault_room

SEGMENT = 1 << 20
"""Bytes of one stored segment of the format."""

LARGE = bytes(range(256)) * (5 * SEGMENT // 512)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[VaultRoom]:
    """One vault for all examples, with three versions of each key; each example seals its own content."""
    folder = tmp_path_factory.mktemp("vault")
    shutil.copyfile(sqlite_template, folder / "muniment.db")
    store = SqlStore(sqlite_url(folder / "muniment.db"), REPOSITORIES)
    opened = vault_room(folder, store)
    for project in ("credit", "cards"):
        opened.give_key(project)
        for _ in range(2):
            with store.write() as session:
                opened.vault.rotate(session, project)
    yield opened
    store.close()


def _blob(room: VaultRoom, content: bytes, project: str = "credit") -> tuple[Digest, Path]:
    """A fresh object and the file it lies in."""
    before = set(room.blob_files())
    digest = room.keep(content, project)
    (path,) = set(room.blob_files()) - before
    return digest, path


@pytest.fixture(scope="module")
def large(room: VaultRoom) -> tuple[Digest, Path]:
    """An object of three segments and the file it lies in."""
    return _blob(room, LARGE + b"large")


def _check_refused(room: VaultRoom, digest: Digest, project: str = "credit") -> IntegrityError:
    """The object does not open, however it is read, and a deep check finds it."""
    with pytest.raises(IntegrityError) as caught:
        room.vault.read_bytes(project, digest, limit=1 << 30)
    assert digest in {finding.object for finding in room.vault.fsck(project, deep=True).findings if finding.harm}
    return caught.value


@settings(deadline=None)
@given(content=st.binary(max_size=5000))
def test_any_bytes_come_back(room: VaultRoom, content: bytes) -> None:
    """What is read is what was sealed."""
    assert room.vault.read_bytes("credit", room.keep(content)) == content


@pytest.mark.parametrize(
    "size", [0, 1, SEGMENT - 57, SEGMENT - 56, SEGMENT - 55, SEGMENT, 2 * SEGMENT - 72, 5 * SEGMENT]
)
def test_any_size_comes_back(room: VaultRoom, size: int) -> None:
    """Also around the ends of segments (1 MiB with 40 bytes of header in the first and 16 of tag in each)."""
    content = LARGE[: min(size, len(LARGE))].ljust(size, b"x")
    assert room.vault.read_bytes("credit", room.keep(content), limit=1 << 30) == content


class _Dribble(io.RawIOBase):
    """A source that gives as much as it likes, as a socket does."""

    def __init__(self, content: bytes, pieces: list[int]) -> None:
        super().__init__()
        self._content, self._pieces, self._at = content, pieces, 0

    def read(self, size: int = -1, /) -> bytes:
        step = min(size, self._pieces[self._at % len(self._pieces)])
        piece, self._content, self._at = self._content[:step], self._content[step:], self._at + 1
        return piece


@settings(max_examples=examples(25), deadline=None)
@given(
    pieces=st.lists(st.integers(1, 2 * SEGMENT), min_size=1, max_size=5),
    reads=st.lists(st.integers(1, 2 * SEGMENT), min_size=1, max_size=5),
    size=st.integers(0, len(LARGE)),
)
def test_how_bytes_arrive_and_are_read_makes_no_difference(
    room: VaultRoom, pieces: list[int], reads: list[int], size: int
) -> None:
    """Pieces of any size in and out give the same content and the same digest."""
    scale = max(1, size // 200)
    sealed = room.vault.seal("credit", _Dribble(LARGE[:size], [p + scale for p in pieces]))
    assert (sealed.digest, sealed.size) == (Digest.of(LARGE[:size]), size)
    room.register(sealed)
    found, turn = bytearray(), 0
    with room.vault.open("credit", sealed.digest) as reader:
        while piece := reader.read(reads[turn % len(reads)] + scale):
            found, turn = found + piece, turn + 1
    assert bytes(found) == LARGE[:size]


@pytest.mark.slow
def test_no_bit_of_a_stored_object_can_be_changed(room: VaultRoom) -> None:
    """Every bit of header, salt, segments and tags of a small object."""
    digest, path = _blob(room, b"one small object")
    stored = path.read_bytes()
    for position in range(len(stored)):
        for bit in range(8):
            path.write_bytes(stored[:position] + bytes([stored[position] ^ 1 << bit]) + stored[position + 1 :])
            with pytest.raises(IntegrityError):
                room.vault.read_bytes("credit", digest)
    path.write_bytes(stored)
    assert room.vault.read_bytes("credit", digest) == b"one small object"


def _segments(stored: bytes) -> list[bytes]:
    head = len(stored.partition(b"\n")[0]) + 1
    return [stored[:head], *(stored[at : at + SEGMENT] for at in range(head, len(stored), SEGMENT))]


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "two segments swapped": lambda s: [s[0], s[1], s[3], s[2]],
    "first and second swapped": lambda s: [s[0], s[2], s[1], s[3]],
    "a segment repeated": lambda s: [s[0], s[1], s[2], s[2], s[3]],
    "a segment left out": lambda s: [s[0], s[1], s[3]],
    "the last left out": lambda s: s[:3],
    "the last repeated": lambda s: [*s, s[3]],
    "only the header": lambda s: s[:1],
    "nothing": lambda s: [],
    "no header": lambda s: s[1:],
    "header twice": lambda s: [s[0], *s],
    "one byte cut": lambda s: [*s[:3], s[3][:-1]],
    "one byte appended": lambda s: [*s, b"\0"],
    "an object appended": lambda s: [*s, *s],
}


@pytest.mark.parametrize("change", CHANGES)
def test_segments_cannot_be_moved_cut_or_added(room: VaultRoom, change: str) -> None:
    """A large object is whole and in order, or it does not open."""
    content = LARGE + change.encode()
    digest, path = _blob(room, content)
    stored = path.read_bytes()
    parts = _segments(stored)
    assert len(parts) == 4
    path.write_bytes(b"".join(CHANGES[change](parts)))
    assert _check_refused(room, digest).code in ("MUNI-V503", "MUNI-V504")
    path.write_bytes(stored)
    assert room.vault.read_bytes("credit", digest) == content


@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_a_large_object_cannot_be_cut_or_altered_anywhere(
    room: VaultRoom, large: tuple[Digest, Path], data: st.DataObject
) -> None:
    """Any cut, and any change of any byte, of an object of several segments."""
    digest, path = large
    stored = path.read_bytes()
    position = data.draw(st.integers(0, len(stored) - 1))
    if data.draw(st.booleans()):
        changed = stored[:position]
    else:
        mask = data.draw(st.integers(1, 255))
        changed = stored[:position] + bytes([stored[position] ^ mask]) + stored[position + 1 :]
    path.write_bytes(changed)
    try:
        with pytest.raises(IntegrityError):
            room.vault.read_bytes("credit", digest, limit=1 << 30)
    finally:
        path.write_bytes(stored)


def test_two_stored_objects_cannot_be_swapped(room: VaultRoom) -> None:
    """Neither within a project nor across two, although all four are valid objects."""
    for project in ("credit", "cards"):
        (one, here), (other, there) = (
            _blob(room, b"swap one" + project.encode()),
            _blob(room, b"swap two" + project.encode(), project),
        )
        first, second = here.read_bytes(), there.read_bytes()
        here.write_bytes(second)
        there.write_bytes(first)
        _check_refused(room, one)
        _check_refused(room, other, project)
        here.write_bytes(first)
        there.write_bytes(second)


def test_a_stored_object_cannot_be_renamed(room: VaultRoom) -> None:
    """Under another name it is not found, and that is an error of integrity, not an absent object."""
    digest, path = _blob(room, b"renamed")
    moved = path.with_name("0" * 64)
    path.rename(moved)
    assert _check_refused(room, digest).code == "MUNI-V508"
    moved.rename(path)


RECORD = "update vault_sealed_object set {} where project = 'credit' and digest = :digest"

ALTERED = {
    "size": "size = size + 1",
    "size smaller": "size = size - 1",
    "format": "format = 'plain'",
    "nonce": "nonce = zeroblob(16)",
    "wrapped key emptied": "wrapped_key = zeroblob(0)",
    "wrapped key zeroed": "wrapped_key = zeroblob(length(wrapped_key))",
    "kek version": "kek_version = 2",
    "moved to another project": "project = 'cards'",
    "another digest": f"digest = '{Digest.of(b'another')}'",
}


@pytest.mark.parametrize("field", ALTERED)
def test_no_field_of_a_record_can_be_altered(room: VaultRoom, field: str) -> None:
    """Whoever can write to the database cannot make an object pass for another, or for more or less than it is."""
    content = b"record " + field.encode()
    digest, _ = _blob(room, content)
    with room.store.engine.begin() as connection:
        changed = connection.execute(text(RECORD.format(ALTERED[field])), {"digest": digest})
        assert changed.rowcount == 1
    project = "cards" if field == "moved to another project" else "credit"
    where = Digest.of(b"another") if field == "another digest" else digest
    _check_refused(room, where, project)
    with room.store.engine.begin() as connection:
        connection.execute(
            text("delete from vault_sealed_object where project = :p and digest = :d"), {"p": project, "d": where}
        )


def test_no_bit_of_a_wrapped_key_can_be_changed(room: VaultRoom) -> None:
    """Every byte of the data key's wrap, of the KEK's and of the name key's."""
    digest, _ = _blob(room, b"wrapped")
    for table, column, condition in (
        ("vault_sealed_object", "wrapped_key", f"digest = '{digest}'"),
        ("vault_project_key", "wrapped_kek", "project = 'credit'"),
        ("vault_project_key", "wrapped_name_key", "project = 'credit'"),
    ):
        engine = room.store.engine
        with engine.begin() as connection:
            known = connection.scalar(text(f"select {column} from {table} where {condition} order by rowid desc"))
        update = text(f"update {table} set {column} = :new where {column} = :old")
        for position in range(len(known)):
            changed = known[:position] + bytes([known[position] ^ 1]) + known[position + 1 :]
            with engine.begin() as connection:
                assert connection.execute(update, {"new": changed, "old": known}).rowcount == 1
            with pytest.raises(IntegrityError):
                room.vault.read_bytes("credit", digest)
            with engine.begin() as connection:
                connection.execute(update, {"new": known, "old": changed})
    assert room.vault.read_bytes("credit", digest) == b"wrapped"


def test_two_records_cannot_be_swapped(room: VaultRoom) -> None:
    """Exchanging all that two records say about bytes and keys, but not their digests, opens neither."""
    one, other = room.keep(b"row 1"), room.keep(b"row 2")
    columns = "size, wrapped_key, kek_version, format, nonce, created_at"
    read = text(f"select {columns} from vault_sealed_object where project = 'credit' and digest = :digest")
    write = text(
        "update vault_sealed_object set "
        + ", ".join(f"{c} = :{c}" for c in columns.split(", "))
        + " where project = 'credit' and digest = :digest"
    )
    with room.store.engine.begin() as connection:
        rows = {d: dict(connection.execute(read, {"digest": d}).mappings().one()) for d in (one, other)}
        connection.execute(write, {**rows[other], "digest": one})
        connection.execute(write, {**rows[one], "digest": other})
    _check_refused(room, one)
    _check_refused(room, other)
    with room.store.engine.begin() as connection:
        for digest, row in rows.items():
            connection.execute(write, {**row, "digest": digest})
    assert room.vault.read_bytes("credit", one) == b"row 1"


def test_a_wrapped_key_cannot_be_taken_from_another_record(room: VaultRoom) -> None:
    """The key of one object says which object it opens, even when the bytes are moved with it."""
    (one, here), (other, there) = _blob(room, b"key 1"), _blob(room, b"key 2")
    with room.store.read() as session:
        assert room.vault.has(session, "credit", other)
    with room.store.engine.begin() as connection:
        known = connection.scalar(text("select wrapped_key from vault_sealed_object where digest = :d"), {"d": one})
        connection.execute(
            text("update vault_sealed_object set wrapped_key = (select wrapped_key from vault_sealed_object"
                 " where digest = :other) where digest = :one"), {"one": one, "other": other},
        )  # fmt: skip
    stored = here.read_bytes()
    here.write_bytes(there.read_bytes())
    _check_refused(room, one)
    here.write_bytes(stored)
    with room.store.engine.begin() as connection:
        connection.execute(
            text("update vault_sealed_object set wrapped_key = :k where digest = :d"), {"k": known, "d": one}
        )


def test_what_is_not_there_is_not_found(room: VaultRoom) -> None:
    """An unknown digest is no error of integrity."""
    with pytest.raises(NotFound) as caught:
        room.vault.read_bytes("credit", Digest.of(b"never stored"))
    assert isinstance(caught.value, MunimentError)
