"""What every BlobStore does, tried on the real one."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from muniment.adapters.blob.files import FileBlobs
from muniment.errors import NotFound, Unavailable

NAME, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    """An empty store."""
    return FileBlobs(tmp_path / "objects")


def _put(blobs: FileBlobs, name: str, data: bytes) -> bool:
    draft = blobs.draft()
    assert draft.write(data) == len(data)
    return draft.publish(name)


def test_what_is_published_can_be_opened(blobs: FileBlobs) -> None:
    """The bytes come back under their name, and only that name is listed."""
    assert _put(blobs, NAME, b"sealed")
    with blobs.open(NAME) as file:
        assert file.read() == b"sealed"
    assert blobs.exists(NAME)
    assert not blobs.exists(OTHER)
    assert list(blobs.names()) == [NAME]


def test_the_first_stays_when_a_name_is_taken(blobs: FileBlobs) -> None:
    """Putting twice under one name changes nothing, says so, and leaves no draft."""
    assert _put(blobs, NAME, b"first")
    assert not _put(blobs, NAME, b"second")
    with blobs.open(NAME) as file:
        assert file.read() == b"first"
    assert not list(blobs.abandoned())


def test_a_draft_has_no_name_until_it_is_published(blobs: FileBlobs) -> None:
    """While it is written, nobody sees it, and it is not abandoned either."""
    draft = blobs.draft()
    draft.write(b"half")
    assert not list(blobs.names())
    assert not list(blobs.abandoned())
    assert blobs.sweep() == 0
    assert draft.publish(NAME)


def test_a_discarded_draft_leaves_nothing(blobs: FileBlobs, tmp_path: Path) -> None:
    """Its space is free again, and discarding twice is no error."""
    draft = blobs.draft()
    draft.write(b"half")
    draft.discard()
    draft.discard()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_was_deleted_is_gone(blobs: FileBlobs) -> None:
    """Deleting removes; deleting again changes nothing."""
    _put(blobs, NAME, b"x")
    blobs.delete(NAME)
    blobs.delete(NAME)
    assert not blobs.exists(NAME)
    with pytest.raises(NotFound):
        blobs.open(NAME)


@pytest.mark.parametrize("name", ["", "ab", "../" * 21 + "a", "AB" * 32, "ab" * 31 + "/x", "ab" * 32 + "\n"])
def test_a_name_is_64_hex_digits_and_no_path(blobs: FileBlobs, name: str) -> None:
    """Nothing but the names this port allows reaches the file system."""
    with pytest.raises(NotFound):
        blobs.open(name)
    with pytest.raises(NotFound):
        blobs.delete(name)


def _die_while_writing(root: Path) -> None:
    FileBlobs(root).draft().write(b"half")
    os._exit(9)


def test_the_draft_of_a_dead_process_is_found_and_swept(blobs: FileBlobs, tmp_path: Path) -> None:
    """A writer that died leaves a draft that is known as abandoned, while a living one's is let alone."""
    alive = blobs.draft()
    process = multiprocessing.get_context("spawn").Process(target=_die_while_writing, args=(tmp_path / "objects",))
    process.start()
    process.join()
    assert len(list(blobs.abandoned())) == 1
    assert blobs.sweep() == 1
    assert not list(blobs.abandoned())
    FileBlobs(tmp_path / "objects")
    alive.write(b"still here")
    assert alive.publish(NAME)


def test_files_and_folders_are_the_owners_alone(blobs: FileBlobs, tmp_path: Path) -> None:
    """Sealed bytes are nobody else's to copy, whatever the umask."""
    before = os.umask(0)
    try:
        _put(blobs, NAME, b"x")
        open_draft = blobs.draft()
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "objects").rglob("*")}
    assert modes <= {0o600, 0o700}
    open_draft.discard()


def test_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    """The reason is told as data; nothing is raised that a caller would not expect."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable) as refused:
        FileBlobs(tmp_path / "file" / "objects")
    assert refused.value.code == "MUNI-V511"
