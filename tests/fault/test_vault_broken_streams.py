"""Sources that fail, disks that fill up, files that cannot be read: refused, and nothing is left behind."""

from __future__ import annotations

import gc
import io
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.errors import Invalid, Unavailable
from muniment.kernel.digest import Digest
from vaulting import VaultRoom, vault_room

pytestmark = pytest.mark.slow

MIB = 1 << 20


class _FailsAfter(io.RawIOBase):
    """A source that dies after some bytes, as an upload does."""

    def __init__(self, good: int, error: BaseException) -> None:
        super().__init__()
        self._left, self._error = good, error

    def read(self, size: int = -1, /) -> bytes:
        if not self._left:
            raise self._error
        step = min(size, self._left)
        self._left -= step
        return bytes(step)


def _assert_nothing_is_left(room: VaultRoom) -> None:
    gc.collect()
    assert not [path for path in (room.home / "objects").rglob("*") if path.is_file()]
    assert room.vault.fsck(deep=True).findings == ()


@pytest.mark.parametrize("good", [0, 1, MIB, 2 * MIB, 2 * MIB + 5])
@pytest.mark.parametrize(
    ("error", "seen"),
    [(ConnectionResetError("gone"), Invalid), (KeyboardInterrupt(), KeyboardInterrupt)],
    ids=["reset", "interrupt"],
)
def test_a_source_that_dies_leaves_no_object(
    tmp_path: Path, sqlite_store: SqlStore, good: int, error: BaseException, seen: type[BaseException]
) -> None:
    """A stream that was cut short never becomes a valid shorter object, whenever it is collected."""
    room = vault_room(tmp_path, sqlite_store)
    room.give_key("credit")
    with pytest.raises(seen):
        room.vault.seal("credit", _FailsAfter(good, error))
    _assert_nothing_is_left(room)


def _without(reason: str) -> NoReturn:
    """Skip with the reason; fail where nothing may be left untried."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _small_tmpfs(folder: Path) -> Iterator[None]:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        _without("mounting a small file system needs root")
    (folder / "home").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder / "home"], check=False, capture_output=True
    )
    if mounted.returncode:
        _without("this machine lets nobody mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder / "home"], check=True)


@contextmanager
def _small_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MIB, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


Disk = Callable[[Path], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("disk", "limit"), [(_small_tmpfs, nullcontext), (lambda _: nullcontext(), _small_files)], ids=["tmpfs", "rlimit"]
)
def test_a_full_disk_is_unavailable_and_leaves_nothing(
    tmp_path: Path, sqlite_store: SqlStore, disk: Disk, limit: Callable[[], AbstractContextManager[None]]
) -> None:
    """The writer is told that the disk is full, what fits is still taken, and what stood before stays readable."""
    with disk(tmp_path):
        room = vault_room(tmp_path, sqlite_store)
        room.give_key("credit")
        with limit(), pytest.raises(Unavailable) as refused:
            room.vault.seal("credit", io.BytesIO(bytes(9 * MIB)))
        assert refused.value.code == "MUNI-V511"
        _assert_nothing_is_left(room)
        kept = room.keep(b"small")
        with limit(), pytest.raises(Unavailable):
            room.vault.seal("credit", io.BytesIO(bytes(9 * MIB)))
        assert room.vault.read_bytes("credit", kept) == b"small"
        assert room.vault.fsck(deep=True).findings == ()


def test_bytes_that_cannot_be_read_are_not_called_forged(tmp_path: Path, sqlite_store: SqlStore) -> None:
    """A store that does not answer is unavailable; integrity is not judged on what was not seen."""
    room = vault_room(tmp_path, sqlite_store)
    room.give_key("credit")
    digest = room.keep(b"content")
    (path,) = room.blob_files()
    path.unlink()
    path.mkdir()
    with pytest.raises(Unavailable) as refused:
        room.vault.read_bytes("credit", digest)
    assert refused.value.code == "MUNI-V512"
    assert digest == Digest.of(b"content")
