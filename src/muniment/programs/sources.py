"""A file from outside: what it is by its content, and its bytes without one layer of compression, within limits."""

from __future__ import annotations

import bz2
import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa

from muniment.errors import Invalid
from muniment.programs.model_formats import recognise

__all__ = ["Limits", "Source", "too_long", "too_many_rows", "too_much"]

_CHUNK: Final = 1 << 20
_COMPRESSIONS: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)
_TABLE: Final = b"muniment-table.json\0"
_FORMATS: Final = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\xff\xff\xff\xff", "arrow"))
_FOREIGN: Final = (
    (b"PK\x03\x04", "a zip archive, or a spreadsheet other than .xlsx", "unpack it, or save the sheet as .xlsx or CSV"),
    (b"PK\x05\x06", "a zip archive", "unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "export the sheet as CSV"),
    (b"%PDF", "a PDF document", "export the table as CSV"),
    (b"SQLite format 3\x00", "an SQLite database", "ask it: --from sqlite:///FILE --query SQL"),
    (b"\x89HDF", "an HDF5 file", "export the table as Parquet"),
    (b"ORC", "an ORC file", "export the table as Parquet"),
    (b"Obj\x01", "an Avro file", "export the table as Parquet"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file from outside may ask of us; each is named in the refusal it causes."""

    max_bytes: int = 16 * 2**30
    """Bytes after the compression is taken off."""

    max_ratio: int = 200
    """Bytes after : bytes before, once 16 MiB have come out."""

    max_columns: int = 2_000
    max_rows: int = 500_000_000
    max_record_bytes: int = 2**20
    """The longest line (with CSV: record, which may have line ends within quotes)."""


_RATIO_FROM: Final = 16 * 2**20


class Source:
    """One file from outside; every pass over it reads from the start."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        self.size = path.stat().st_size
        self._digest: str | None = None
        if not self.size:
            raise Invalid("MUNI-D101", "the file is empty", bytes=0, do="give a file with a header line and rows")
        with path.open("rb") as file:
            self.compression = _match(file.read(16), _COMPRESSIONS)
        self.head = b""
        for chunk in self.chunks(4096):
            self.head += chunk
            if len(self.head) >= 4096:
                break
        self.head = self.head[:4096]
        if not self.head:
            raise Invalid("MUNI-D101", "the file is empty", bytes=0, do="give a file with a header line and rows")

    def digest(self) -> str:
        """The digest of the bytes as they came."""
        if self._digest is None:
            with self.path.open("rb") as file:
                self._digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        return self._digest

    def format(self) -> str:
        """What the content is: csv, jsonl, parquet, arrow, excel, rows of a database, or a table of many files.

        Raises:
            Invalid: it is none of these; the message says what it is when that is known.
        """
        inner = _match(self.head, _COMPRESSIONS)
        if inner is not None and self.compression is not None:
            raise _foreign(f"compressed twice ({inner} within {self.compression})", "take one layer off")
        if self.head.startswith(b'{"format":"muniment.rows/1"'):
            return "rows"
        if self.compression is None and self.head.startswith(b"PK\x03\x04") and _is_workbook(self.path):
            return "excel"
        if self.compression is None and self.head.startswith(_TABLE) and self.head[257:262] == b"ustar":
            return "table"
        for magic, what, do in _FOREIGN:
            if self.head.startswith(magic):
                raise _foreign(what, do)
        if self.head[257:262] == b"ustar":
            raise _foreign("a tar archive", "unpack it and give one file")
        model = recognise(self.head)
        if model is not None and model.dangerous:
            raise _foreign(model.name, "export the table as CSV or Parquet")
        found = _match(self.head, _FORMATS)
        if found is not None:
            return found
        text = self.head.lstrip(b"\xef\xbb\xbf \t\r\n")
        if text.startswith(b"[") and text[1:].lstrip(b" \t\r\n").startswith((b"{", b"[")):
            raise _foreign("one JSON array", "write one object a line: jq -c '.[]'")
        return "jsonl" if text.startswith(b"{") else "csv"

    def chunks(self, size: int = _CHUNK) -> Iterator[bytes]:
        """The bytes with one layer of compression taken off.

        Raises:
            Invalid: they exceed the limits, or the compressed stream is damaged or cut off.
        """
        with self.path.open("rb") as file:
            if self.compression is None:
                if self.size > self.limits.max_bytes:
                    raise too_much("bytes", self.limits.max_bytes, self.size)
                running = hashlib.sha256()
                while chunk := file.read(size):
                    running.update(chunk)
                    yield chunk
                self._digest = "sha256:" + running.hexdigest()
                return
            yield from self._expanded(file)

    def seekable(self) -> Any:
        """The whole content as an Arrow file, for formats that are read from their end."""
        if self.compression is None:
            return pa.OSFile(str(self.path), "rb")
        buffer = io.BytesIO()
        for chunk in self.chunks():
            buffer.write(chunk)
        return pa.BufferReader(buffer.getvalue())

    def _expanded(self, file: Any) -> Iterator[bytes]:
        total = 0
        assert self.compression is not None
        for piece in _EXPAND[self.compression](file):
            total += len(piece)
            if total > self.limits.max_bytes:
                raise too_much("bytes", self.limits.max_bytes, total)
            if total > _RATIO_FROM and total > self.limits.max_ratio * self.size:
                raise too_much("ratio", self.limits.max_ratio, total // self.size)
            if piece:
                yield piece


class _Decompressor(Protocol):
    eof: bool
    unused_data: bytes


def _members(file: Any, fresh: Any, expand: Any) -> Iterator[bytes]:
    """Members of a stream, one after the other; no call returns more than one chunk."""
    machine = fresh()
    begun = False
    waiting = b""
    while True:
        if machine.eof:
            waiting = machine.unused_data or waiting
            if not waiting and not (waiting := file.read(_CHUNK)):
                return
            machine, begun = fresh(), False
        try:
            piece, waiting, hungry = expand(machine, waiting)
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as broken:
            raise _damaged(str(broken)) from broken
        begun = True
        if piece:
            yield piece
        if not machine.eof and hungry and not piece:
            waiting = file.read(_CHUNK)
            if not waiting:
                if begun:
                    raise _damaged("the stream ends early")
                return


def _gzip(file: Any) -> Iterator[bytes]:
    def expand(machine: Any, waiting: bytes) -> tuple[bytes, bytes, bool]:
        piece = machine.decompress(waiting, _CHUNK)
        rest = machine.unconsumed_tail
        return piece, rest, not rest

    return _members(file, lambda: zlib.decompressobj(31), expand)


def _needy(machine: Any, waiting: bytes) -> tuple[bytes, bytes, bool]:
    piece = machine.decompress(waiting, _CHUNK)
    return piece, b"", machine.eof or machine.needs_input


def _zstd(file: Any) -> Iterator[bytes]:
    try:
        with pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd") as stream:
            while piece := stream.read(_CHUNK):
                yield piece
    except (OSError, pa.ArrowException) as broken:
        raise _damaged(str(broken)) from broken


_EXPAND: Final = {
    "gzip": _gzip,
    "bzip2": lambda file: _members(file, bz2.BZ2Decompressor, _needy),
    "xz": lambda file: _members(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 * 2**20), _needy),
    "zstd": _zstd,
}


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def _match(head: bytes, table: tuple[tuple[bytes, str], ...]) -> str | None:
    return next((name for magic, name in table if head.startswith(magic)), None)


def _foreign(what: str, do: str) -> Invalid:
    return Invalid(
        "MUNI-D154",
        f"this is {what}, not a table we read",
        found=what,
        supported="Excel (.xlsx); CSV, TSV, JSON lines, Parquet, Arrow, also within one gzip, zstd, bzip2 or xz",
        do=do,
    )


def _damaged(detail: str) -> Invalid:
    return Invalid(
        "MUNI-D153",
        "the compressed file is damaged or cut off",
        detail=detail[:80],
        do="compare its checksum with the sender's and transfer it again",
    )


def too_long(line: int, limit: int) -> Invalid:
    """The refusal of a line or record beyond the limit."""
    return Invalid(
        "MUNI-D150",
        f"line {line} is longer than {limit} bytes",
        line=line,
        limit=limit,
        setting="max_record_bytes",
        do="check for a missing line end or an open quote, or raise the limit: --at-most record_bytes=NUMBER",
    )


def too_many_rows(limit: int) -> Invalid:
    """The refusal of a file with more rows than allowed."""
    return Invalid(
        "MUNI-D151",
        "the file has too many rows",
        limit=limit,
        setting="max_rows",
        do="raise the limit: --at-most rows=NUMBER; or send the file in pieces",
    )


def too_much(what: str, limit: int, found: int) -> Invalid:
    """The refusal of a file that expands too far."""
    return Invalid(
        "MUNI-D152",
        f"the file expands beyond the limit of {what}",
        limit=limit,
        found=found,
        setting=f"max_{what}",
        do=f"if the file is honest, raise the limit: --at-most {what}=NUMBER"
        if what in ("bytes", "ratio")
        else "write it with fewer and larger files",
    )
