"""A Delta or Iceberg table as one archive, to be read inside the sandbox.

Nothing is parsed here: the folder's regular files are packed as they are, below their relative names, in a plain tar
whose bytes depend on names and contents alone. A link, a device or a file that changes meanwhile refuses the table.
"""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from muniment.errors import Invalid, NotFound

__all__ = ["HEADER", "Member", "kind_of_table", "members_of", "pack"]

HEADER: Final = "muniment-table.json"
MOST_FILES: Final = 100_000
_SKIPPED: Final = ("_temporary", "_change_data")
_METADATA: Final = ".metadata.json"


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a table."""

    name: str
    """Relative to the table's folder."""

    path: Path
    size: int


def kind_of_table(path: Path) -> str | None:
    """``delta`` or ``iceberg``, by what lies in a folder or what a metadata file is called; None for neither."""
    if path.name.endswith(_METADATA) and path.is_file() and path.parent.name == "metadata":
        return "iceberg"
    if (path / "_delta_log").is_dir():
        return "delta"
    if (path / "metadata").is_dir() and any((path / "metadata").glob(f"*{_METADATA}")):
        return "iceberg"
    return None


def members_of(folder: Path) -> list[Member]:
    """The files of a table in order of name.

    Raises:
        NotFound: there is no such folder.
        Invalid: a link or a special file is among them, or there are too many.
    """
    if not folder.is_dir():
        raise NotFound("MUNI-J210", f"there is no folder {str(folder)!r}", folder=str(folder))
    found = []
    for name, path, state in _walk(folder, ""):
        if not stat.S_ISREG(state.st_mode):
            raise Invalid(
                "MUNI-J140",
                "a link or a special file lies in the table's folder",
                file=name[:200],
                do="copy the table without links: cp -rL",
            )
        found.append(Member(name, path, state.st_size))
        if len(found) > MOST_FILES:
            raise Invalid(
                "MUNI-J141",
                f"the table has more than {MOST_FILES} files",
                limit=MOST_FILES,
                do="compact the table, or export the version as Parquet",
            )
    return sorted(found, key=lambda member: member.name)


def pack(members: list[Member], kind: str, out: BinaryIO, start: str | None = None) -> None:
    """Write the archive of a table.

    Args:
        members: its files.
        kind: ``delta`` or ``iceberg``.
        out: takes the archive.
        start: the metadata file of an Iceberg table that the asker named.

    Raises:
        Invalid: a file changed while it was read.
    """
    header = {"kind": kind, "files": len(members)} | ({} if start is None else {"start": start})
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        content = json.dumps(header, sort_keys=True).encode()
        tar.addfile(_entry(HEADER, len(content)), io.BytesIO(content))
        for member in members:
            try:
                descriptor = os.open(member.path, os.O_RDONLY | os.O_NOFOLLOW)
                with os.fdopen(descriptor, "rb") as file:
                    tar.addfile(_entry(member.name, member.size), file)
            except OSError as changed:
                raise Invalid(
                    "MUNI-J142",
                    "a file of the table changed while it was read",
                    file=member.name[:200],
                    do="try again when nobody writes the table",
                ) from changed


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o644, 0
    return entry


def _walk(folder: Path, below: str) -> Iterator[tuple[str, Path, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _SKIPPED:
                continue
            name = f"{below}{entry.name}"
            state = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                yield from _walk(Path(entry.path), f"{name}/")
            else:
                yield name, Path(entry.path), state
