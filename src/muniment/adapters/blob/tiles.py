"""The ledger's static files in a folder, as any web server can serve them."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from muniment.errors import IntegrityError, Unavailable
from muniment.ledger.model import Checkpoint
from muniment.ledger.tiles import CHECKPOINT


class FileTiles:
    """Tiles, entry bundles and the last checkpoint below one folder; the checkpoint also in a file elsewhere.

    Whoever sets back the folder together with the database has to set back that file too. It is a convenience that may
    fail: where it cannot be written, what stands in the folder counts alone.
    """

    def __init__(self, folder: Path, elsewhere: Path | None = None) -> None:
        self._folder, self._elsewhere = folder, elsewhere

    def get(self, path: str) -> bytes | None:
        """The content of a file; None when there is none."""
        try:
            return (self._folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def put(self, path: str, content: bytes, *, lasting: bool) -> None:
        """Write a file as a whole or not at all."""
        with _unavailable():
            _write(self._folder / path, content, lasting=lasting)

    def drop_partials(self, path: str) -> None:
        """Remove the partial versions of a file."""
        shutil.rmtree(self._folder / f"{path}.p", ignore_errors=True)

    def kept(self) -> str | None:
        """The note of the last checkpoint: of two places the larger, and what is no checkpoint before all."""
        places = [self._folder / CHECKPOINT, *([self._elsewhere] if self._elsewhere else [])]
        notes = []
        for place in places:
            with suppress(FileNotFoundError, NotADirectoryError):
                notes.append(place.read_bytes().decode(errors="replace"))
        return max(notes, key=lambda note: size if (size := _size(note)) >= 0 else sys.maxsize, default=None)

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep the checkpoint in place of a smaller one.

        Raises:
            IntegrityError: another checkpoint of the same size is kept.
        """
        with _unavailable(), self._alone():
            kept = self.kept()
            size = -1 if kept is None else _size(kept)
            if size == checkpoint.size and kept != checkpoint.note:
                raise IntegrityError("MUNI-V590", "two different checkpoints of one size were signed", size=size)
            if size > checkpoint.size:
                return
            _write(self._folder / CHECKPOINT, checkpoint.note.encode(), lasting=True)
            if self._elsewhere is not None:
                with suppress(OSError):
                    _write(self._elsewhere, checkpoint.note.encode(), lasting=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _size(note: str) -> int:
    lines = note.split("\n", 2)
    return int(lines[1]) if len(lines) > 1 and lines[1].isdecimal() else -1


def _write(path: Path, content: bytes, *, lasting: bool) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    for _ in range(3):  # another process may remove the folder of partial tiles between two steps
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                if lasting:
                    os.fsync(file.fileno())
            draft.replace(path)
            break
    else:
        raise FileNotFoundError(str(path))
    if lasting:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as broken:
        raise Unavailable(
            "MUNI-V591",
            "the ledger's files could not be written",
            reason=str(broken)[:300],
            do="check that the disk is not full and that the folder may be written",
        ) from broken
