"""A tree of files as one archive, and back: what a base root is kept as."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from muniment.errors import IntegrityError

_LEVEL: Final = 1
"""Of compression: half the size for a second of time; more would cost ten."""


def pack_tree(root: Path, sink: BinaryIO) -> None:
    """Write a tree as a compressed tar that depends on paths, contents, links and executable bits alone."""
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=sink, compresslevel=_LEVEL, mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(root.rglob("*"), key=lambda path: os.fsencode(path.relative_to(root))):
            entry = tarfile.TarInfo(path.relative_to(root).as_posix())
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
                archive.addfile(entry)
            elif path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                facts = path.stat()
                entry.size, entry.mode = facts.st_size, 0o755 if facts.st_mode & 0o100 else 0o644
                with path.open("rb") as content:
                    archive.addfile(entry, content)


def unpack_tree(pieces: Iterable[bytes], root: Path) -> None:
    """Write the tree that an archive holds into a folder that does not exist yet.

    Nothing is written outside of it: a name leaves no folder, no link is followed, and there is nothing but folders,
    plain files and links. Links may point anywhere, as they do in a root file system, and are made last.

    Raises:
        IntegrityError: the archive is damaged, or names something else.
    """
    root.mkdir(mode=0o755)
    links: list[tuple[Path, str]] = []
    try:
        with tarfile.open(fileobj=_Joined(pieces), mode="r|gz") as archive:
            for entry in archive:
                name = Path(entry.name)
                if name.is_absolute() or ".." in name.parts or "\0" in entry.name:
                    raise IntegrityError("MUNI-B527", "the archive names a place outside", path=entry.name[:200])
                place = root / name
                if entry.isdir():
                    place.mkdir(mode=0o755, exist_ok=True)
                elif entry.issym():
                    links.append((place, entry.linkname))
                elif entry.isreg() and (content := archive.extractfile(entry)) is not None:
                    with place.open("xb") as file:
                        shutil.copyfileobj(content, file)
                    place.chmod(0o755 if entry.mode & 0o100 else 0o644)
                else:
                    raise IntegrityError("MUNI-B527", "the archive names a place outside", path=entry.name[:200])
        for place, target in links:
            place.symlink_to(target)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, FileExistsError, FileNotFoundError) as broken:
        raise IntegrityError("MUNI-B528", "the archive of a base root is damaged", reason=str(broken)[:200]) from broken


class _Joined(io.RawIOBase):
    """Pieces of bytes as one stream."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
