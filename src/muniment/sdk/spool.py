"""The local file of a tracked run: what was logged is in it before the call returns, whatever the server does.

A folder holds ``head.json`` (how the run is started), ``records.jsonl`` (one JSON array per line; the number of a line,
counted from 1, is its ``seq``) and ``files/`` (copies of artifacts). Lines are appended whole and by one system call,
so a killed process leaves at most one torn line at the end, which was never acknowledged to anybody and is cut off when
the file is opened again. The folder is removed once the server has given its receipt for the end of the run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from muniment.errors import Invalid, Unavailable

__all__ = ["LARGEST", "Spool", "leftovers"]

LARGEST: Final = 2 << 30
"""Bytes of records that wait for a server; more are refused rather than fill the disk."""

_HEAD: Final = "head.json"
_RECORDS: Final = "records.jsonl"


class Spool:
    """One open run's folder; at most one process sends from it."""

    def __init__(self, folder: Path, head: dict[str, Any], descriptor: int) -> None:
        self.folder, self.head = folder, head
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._room = LARGEST

    @classmethod
    def create(cls, folder: Path, head: dict[str, Any]) -> Spool:
        """A new folder for a run."""
        folder.mkdir(mode=0o700, parents=True)
        (folder / "files").mkdir()
        descriptor = _locked(folder)
        fresh = folder / f"{_HEAD}.new"
        fresh.write_bytes(msgspec.json.encode(head))
        fresh.replace(folder / _HEAD)
        return cls(folder, head, descriptor)

    @classmethod
    def open(cls, folder: Path) -> Spool | None:
        """The folder that a dead process left; None when a living one holds it, or it was killed before its head."""
        try:
            head = msgspec.json.decode((folder / _HEAD).read_bytes(), type=dict[str, Any])
            descriptor = _locked(folder)
        except (FileNotFoundError, BlockingIOError, msgspec.DecodeError):
            return None
        spool = cls(folder, head, descriptor)
        spool._cut()
        return spool

    def append(self, lines: bytes) -> None:
        """Append whole lines; they outlive this process, and after ``sync`` also the machine.

        Raises:
            Unavailable: the disk is full, or more waits for the server than may; nothing was appended.
        """
        with self._lock:
            if self._room < len(lines):
                self._room = LARGEST - os.fstat(self._descriptor).st_size
                if self._room < len(lines):
                    raise Unavailable(
                        "MUNI-A513",
                        "too much waits for the server already",
                        waiting=str(self.folder),
                        most_bytes=LARGEST,
                        do="reach the server again, then: muni runs sync",
                    )
            self._room -= len(lines)
            written = os.write(self._descriptor, lines)
            if written != len(lines):
                self._finish(lines[written:], written)

    def read(self, offset: int, most: int) -> bytes:
        """Whole lines from an offset on, about so many bytes of them."""
        content = os.pread(self._descriptor, most, offset)
        end = content.rfind(b"\n") + 1
        while not end and len(content) == most:  # one line that is longer than what was asked for
            most *= 2
            content = os.pread(self._descriptor, most, offset)
            end = content.rfind(b"\n") + 1
        return content[:end]

    def keep(self, source: Path) -> str:
        """Copy a file to be sent; its name in ``files/``."""
        with self._lock:
            name = str(sum(1 for _ in (self.folder / "files").iterdir()) + 1)
            target = self.folder / "files" / name
            with source.open("rb") as content, target.open("xb") as copy:
                shutil.copyfileobj(content, copy)
        return name

    def keep_bytes(self, content: bytes) -> str:
        """Keep bytes to be sent; their name in ``files/``."""
        with self._lock:
            name = str(sum(1 for _ in (self.folder / "files").iterdir()) + 1)
            (self.folder / "files" / name).write_bytes(content)
        return name

    def file(self, name: str) -> Path:
        """Where a kept file lies."""
        return self.folder / "files" / name

    def sync(self) -> None:
        """Have what was appended outlive the machine."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let another process send from the folder."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def remove(self) -> None:
        """Everything is with the server."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _finish(self, rest: bytes, written: int) -> None:
        """Append the rest of lines of which a system call took a part only, or take the part back."""
        try:
            while rest:
                more = os.write(self._descriptor, rest)
                rest, written = rest[more:], written + more
        except OSError as full:
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise Unavailable(
                "MUNI-A514", "the disk takes no more", waiting=str(self.folder), reason=full.strerror or ""
            ) from full

    def _cut(self) -> None:
        """Cut off the torn line that a killed process may have left."""
        size = os.fstat(self._descriptor).st_size
        tail, at = b"", size
        while at and b"\n" not in tail:
            start = max(0, at - (1 << 16))
            tail, at = os.pread(self._descriptor, at - start, start) + tail, start
        whole = at + tail.rfind(b"\n") + 1
        if whole != size:
            os.ftruncate(self._descriptor, whole)


def leftovers(root: Path) -> Iterator[Path]:
    """Folders of runs below a root, the oldest first."""
    if root.is_dir():
        yield from sorted(folder for folder in root.iterdir() if (folder / _HEAD).is_file())


def _locked(folder: Path) -> int:
    """The records, open for appending and locked until they are closed; raises BlockingIOError when they are held."""
    descriptor = os.open(folder / _RECORDS, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def check_folder(path: Path) -> Path:
    """An existing file or folder to be kept; raises Invalid when it is none."""
    if not path.exists():
        raise Invalid("MUNI-A162", f"there is no file {str(path)[:200]!r}", path=str(path)[:400])
    return path
