"""A table of many files (Delta, Iceberg), carried into the sandbox as one archive and never unpacked.

The archive is a plain tar. Its first member, ``muniment-table.json``, says which kind of table it holds and how many
files, so that an archive that was cut off is noticed. All other members are regular files with relative names; a
link, a device, an absolute or climbing name, or a name that stands twice refuses the whole archive. Files are mapped
into memory where they lie.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from muniment.errors import Invalid
from muniment.programs.contract import visible
from muniment.programs.sources import Limits, Source, too_much

__all__ = ["HEADER", "TableFiles", "unreadable"]

HEADER: Final = "muniment-table.json"
KINDS: Final = ("delta", "iceberg")
MOST_FILES: Final = 100_000
_ROWS: Final = 65_536
_MOST_METADATA: Final = 256 * 2**20


class TableFiles:
    """The files of a table by their relative names."""

    def __init__(self, source: Source) -> None:
        self.limits: Limits = source.limits
        self._places: dict[str, tuple[int, int]] = {}
        self._index(source.path)
        self._map: Any = pa.memory_map(str(source.path))
        header = self.document(HEADER)
        self.kind = str(header.get("kind"))
        del self._places[HEADER]
        if self.kind not in KINDS or header.get("files") != len(self._places):
            raise unreadable("the archive is cut off", files=len(self._places), announced=visible(str(header)))
        self.start: str | None = header.get("start") if isinstance(header.get("start"), str) else None
        """The metadata file that the asker named, where he named one."""

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._places[name][1]

    def buffer(self, name: str) -> Any:
        """The bytes of a file, where they lie."""
        place, size = self._places[name]
        self._map.seek(place)
        return self._map.read_buffer(size)

    def small(self, name: str) -> bytes:
        """The bytes of a file of metadata.

        Raises:
            Invalid: there is no such file, or it is larger than metadata may be.
        """
        if name not in self._places:
            raise missing(name)
        if self.size(name) > _MOST_METADATA:
            raise too_much("metadata", _MOST_METADATA, self.size(name))
        content: bytes = self.buffer(name).to_pybytes()
        return content

    def document(self, name: str) -> dict[str, Any]:
        """The JSON object in a file."""
        try:
            document = json.loads(self.small(name))
        except (ValueError, RecursionError):
            raise unreadable("a file of metadata is no JSON", file=visible(name, 200)) from None
        if not isinstance(document, dict):
            raise unreadable("a file of metadata is no JSON", file=visible(name, 200))
        return document

    def parquet(self, name: str, announced: Any = None) -> pq.ParquetFile:
        """A data file, its size and its footer checked before anything is read.

        Raises:
            Invalid: it is missing, of another size than announced, damaged or too large.
        """
        if name not in self._places:
            raise missing(name)
        if announced is not None and announced != self.size(name):
            raise Invalid(
                "MUNI-J112",
                "a file has another size than the table says",
                file=visible(name, 200),
                expected=announced if isinstance(announced, int) else visible(str(announced)),
                found=self.size(name),
                do="copy the table again; while it is being written, read an older version",
            )
        try:
            file = pq.ParquetFile(
                pa.BufferReader(self.buffer(name)), page_checksum_verification=True, arrow_extensions_enabled=False
            )
        except (pa.ArrowException, OSError) as broken:
            raise _damaged(name, broken) from broken
        total = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
        if total < 0 or total > self.limits.max_bytes:
            raise too_much("bytes", self.limits.max_bytes, total)
        return file

    def batches(self, name: str, file: pq.ParquetFile) -> Iterator[pa.Table]:
        """The rows of a data file in pieces, each checked."""
        rows = max(1, min(_ROWS, 4_000_000 // max(1, len(file.schema_arrow))))
        try:
            for batch in file.iter_batches(rows, use_threads=False):
                table = pa.Table.from_batches([batch])
                table.validate(full=True)
                yield table
        except (pa.ArrowException, OSError, UnicodeDecodeError) as broken:
            raise _damaged(name, broken) from broken

    def _index(self, path: Path) -> None:
        total = 0
        size = path.stat().st_size
        try:
            with tarfile.open(path, "r:") as tar:
                for member in tar:
                    name = member.name
                    if not member.isreg() or member.issparse() or not safe(name):
                        raise _hostile(name, "no plain file with a plain relative name")
                    if name in self._places:
                        raise _hostile(name, "the name stands twice")
                    if member.offset_data + member.size > size:
                        raise unreadable("the archive is cut off", file=visible(name, 200))
                    total += member.size
                    self._places[name] = (member.offset_data, member.size)
                    if len(self._places) > MOST_FILES + 1:
                        raise too_much("files", MOST_FILES, len(self._places))
                    if total > self.limits.max_bytes:
                        raise too_much("bytes", self.limits.max_bytes, total)
        except (tarfile.TarError, OSError, UnicodeError, ValueError, OverflowError) as broken:
            raise unreadable("the archive is damaged", detail=visible(str(broken), 80)) from broken
        if HEADER not in self._places:
            raise unreadable("the archive does not say which table it holds")


def safe(name: str) -> bool:
    """Whether a name stays below the folder it is relative to."""
    return (
        bool(name)
        and not name.startswith("/")
        and "\\" not in name
        and name.isprintable()
        and all(part not in ("", ".", "..") for part in name.split("/"))
    )


def inside(path: Any, what: str) -> str:
    """A path of a table's own metadata, percent-decoded, as the name of a file of the table.

    Raises:
        Invalid: it is absolute, climbs, has a scheme, or is no text at all.
    """
    name = unquote(path) if isinstance(path, str) else ""
    if not safe(name) or ":" in name.split("/", 1)[0]:
        raise _hostile(str(path), f"{what} lies outside of the table")
    return name


def missing(name: str) -> Invalid:
    """The refusal of a table one of whose files is not there."""
    return Invalid(
        "MUNI-J111",
        "a file that the table names is not there",
        file=visible(name, 200),
        do="it may have been vacuumed or expired; read another version, or restore the file",
    )


def unreadable(what: str, **facts: Any) -> Invalid:
    """The refusal of a table whose metadata cannot be read."""
    return Invalid("MUNI-J110", f"the table cannot be read: {what}", found=what, **facts, do="copy the table again")


def unsupported(what: str, do: str, **facts: Any) -> Invalid:
    """The refusal of a table that uses what we do not honour: reading it otherwise would give wrong rows."""
    return Invalid("MUNI-J114", f"the table uses what is not read here: {what}", feature=what, **facts, do=do)


def _hostile(name: str, why: str) -> Invalid:
    return Invalid(
        "MUNI-J113", "a file of the table has no place in it", file=visible(name, 200), reason=why, do="do not trust it"
    )


def _damaged(name: str, broken: BaseException) -> Invalid:
    return Invalid(
        "MUNI-J115",
        "a data file of the table is damaged",
        file=visible(name, 200),
        detail=visible(str(broken), 80),
        do="restore the file, or read another version",
    )
