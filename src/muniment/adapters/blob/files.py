"""Blobs as files: ``<root>/<first two digits>/<name>``, and drafts under ``<root>/drafts``.

A draft is locked by its writer for as long as that lives, so an unlocked draft is an abandoned one. Publishing makes
the bytes durable first, then links them under their name, which fails when the name is taken, then makes the folder
durable.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from muniment.errors import NotFound, Unavailable
from muniment.kernel.ports import Faults, NoFaults

_HEX: Final = frozenset("0123456789abcdef")


class FileBlobs:
    """The BlobStore on a local file system that has hard links and locks (ext4, xfs, btrfs, tmpfs).

    Opening it removes the drafts that dead writers left.
    """

    def __init__(self, root: Path, faults: Faults | None = None) -> None:
        self._root, self._drafts = root, root / "drafts"
        self._faults = faults or NoFaults()
        try:
            self._drafts.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.sweep()
        except OSError as broken:
            raise _unwritable(broken) from broken

    def draft(self) -> FileDraft:
        """Begin a blob."""
        self._faults.point("blob.draft")
        try:
            return FileDraft(*_locked_file(self._drafts), self._root, self._faults)
        except OSError as broken:
            raise _unwritable(broken) from broken

    def open(self, name: str) -> BinaryIO:
        """The blob's bytes from the beginning."""
        try:
            return _path(self._root, name).open("rb", buffering=0)
        except FileNotFoundError as gone:
            raise NotFound("MUNI-V202", "there is no stored object of this name", name=name) from gone
        except OSError as broken:
            raise Unavailable("MUNI-V512", "the object store cannot be read", reason=broken.strerror or "") from broken

    def exists(self, name: str) -> bool:
        """Whether there is a blob of this name."""
        return _path(self._root, name).is_file()

    def delete(self, name: str) -> None:
        """Remove the blob; nothing happens when there is none."""
        path = _path(self._root, name)
        self._faults.point("blob.delete")
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _make_durable(path.parent)
        except OSError as broken:
            raise _unwritable(broken) from broken

    def names(self) -> Iterator[str]:
        """The names of all blobs."""
        for folder in self._root.iterdir():
            if folder.is_dir() and len(folder.name) == 2:
                yield from (entry.name for entry in folder.iterdir())

    def abandoned(self) -> Iterator[str]:
        """The drafts that no living process is writing."""
        for path in self._drafts.iterdir():
            if (descriptor := _lock_unless_held(path)) is not None:
                os.close(descriptor)
                yield path.name

    def sweep(self) -> int:
        """Remove the abandoned drafts."""
        removed = 0
        for path in self._drafts.iterdir():
            if (descriptor := _lock_unless_held(path)) is not None:
                path.unlink(missing_ok=True)
                os.close(descriptor)
                removed += 1
        return removed


class FileDraft:
    """A file without its final name, locked by this process."""

    def __init__(self, path: Path, descriptor: int, root: Path, faults: Faults) -> None:
        self._path, self._root, self._faults = path, root, faults
        self._descriptor = descriptor

    def __del__(self) -> None:
        """A draft that everybody forgot is an abandoned one: give up its lock."""
        self._close()

    def write(self, data: bytes) -> int:
        """Append all of the data."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as broken:
            raise _unwritable(broken) from broken
        return len(data)

    def publish(self, name: str) -> bool:
        """Make the bytes durable under the name, unless there is a blob already."""
        final = _path(self._root, name)
        try:
            self._faults.point("blob.sync")
            os.fsync(self._descriptor)
            if not final.parent.is_dir():
                final.parent.mkdir(mode=0o700, exist_ok=True)
                _make_durable(self._root)
            self._faults.point("blob.publish")
            try:
                os.link(self._path, final)
            except FileExistsError:
                self.discard()
                return False
            self._faults.point("blob.published")
            _make_durable(final.parent)
        except OSError as broken:
            raise _unwritable(broken) from broken
        self.discard()
        return True

    def discard(self) -> None:
        """Remove the temporary name; the bytes go with it unless they were published."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _path(root: Path, name: str) -> Path:
    if len(name) != 64 or not _HEX.issuperset(name):
        raise NotFound("MUNI-V202", "there is no stored object of this name", name=name[:80])
    return root / name[:2] / name


def _locked_file(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / secrets.token_hex(16)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # swept in the moment between its creation and its lock


def _lock_unless_held(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(broken: OSError) -> Unavailable:
    return Unavailable(
        "MUNI-V511",
        "the object store cannot be written",
        reason=broken.strerror or type(broken).__name__,
        do="free some disk space, or see to the rights of the folder: muni doctor",
    )
