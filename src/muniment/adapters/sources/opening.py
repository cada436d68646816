"""Any source by its location: a file, a table's folder, a query, an object in a bucket.

What comes out is a file of bytes and what is known of where they come from. The bytes lie in an unnamed temporary file
that is gone when the source is closed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from muniment.adapters.sources import buckets, databases, folders
from muniment.errors import Invalid, Unavailable

__all__ = ["Fetched", "OutsideSources"]

_MEMORY: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A source, ready to be sent."""

    filename: str
    body: BinaryIO
    size: int
    kind: str
    location: str
    query: str | None = None
    version: str | None = None
    """What the source calls the version that came."""

    table: bool = False
    """Whether the version is still to be chosen, where the table's files are parsed: inside the sandbox."""

    details: dict[str, str] = field(default_factory=dict)


class OutsideSources:
    """Opens sources on the machine of whoever asks."""

    @contextmanager
    def open(
        self, location: str, *, query: str | None = None, version: str | None = None, at: datetime | None = None
    ) -> Iterator[Fetched]:
        """Read a source.

        Args:
            location: a path, ``s3://bucket/key``, ``postgresql://…``, ``sqlite:///…`` or ``odbc:…``.
            query: what to ask a database.
            version: version of a table, or version id of an object.
            at: the moment whose version is wanted.

        Raises:
            Invalid: the location or the query cannot be read, or an option does not fit this kind of source.
            NotFound: there is nothing there.
            Unavailable: it does not answer, a library is not installed, or there is no room for what comes.
        """
        with tempfile.SpooledTemporaryFile(max_size=_MEMORY) as out:
            yield self._opened(location, query, version, at, out)  # type: ignore[arg-type]

    def _opened(
        self, location: str, query: str | None, version: str | None, at: datetime | None, out: BinaryIO
    ) -> Fetched:
        try:
            return self._fetch(location, query, version, at, out)
        except OSError as full:
            raise Unavailable(
                "MUNI-J507",
                "the source could not be copied",
                location=databases.shown(location) if databases.is_database(location) else location[:300],
                reason=full.strerror or type(full).__name__,
                do="check that the folder of temporary files (TMPDIR) has room",
            ) from full

    def _fetch(
        self, location: str, query: str | None, version: str | None, at: datetime | None, out: BinaryIO
    ) -> Fetched:
        if databases.is_database(location):
            if version is not None or at is not None:
                raise Invalid(
                    "MUNI-J173", "a database is read as it is now", do="say the version or the time in the query"
                )
            read = databases.read_query(location, query, out)
            return Fetched(
                filename=f"{read.kind}.rows",
                body=_rewound(out),
                size=_size(out),
                kind=read.kind,
                location=read.location,
                query=query,
                version=read.version,
                details=read.details,
            )
        if query is not None:
            raise Invalid("MUNI-J174", "only a database takes a query", location=location[:300])
        if buckets.is_bucket(location):
            return self._bucket(location, version, at, out)
        return self._folder(Path(location).expanduser(), location, out)

    def _bucket(self, location: str, version: str | None, at: datetime | None, out: BinaryIO) -> Fetched:
        if location.endswith("/") or buckets.is_folder(location):
            with tempfile.TemporaryDirectory(prefix="muni-table-") as folder:
                objects = buckets.copy_folder(location, Path(folder))
                fetched = self._folder(Path(folder), location, out)
            return Fetched(
                filename=location.rstrip("/").rpartition("/")[2],
                body=fetched.body,
                size=fetched.size,
                kind=fetched.kind,
                location=location,
                table=True,
                details={"objects": str(objects)},
            )
        found = buckets.copy_object(location, version, at, out)
        return Fetched(
            filename=location.rpartition("/")[2],
            body=_rewound(out),
            size=_size(out),
            kind="s3",
            location=location,
            version=found.version,
            details=found.details,
        )

    def _folder(self, path: Path, location: str, out: BinaryIO) -> Fetched:
        kind = folders.kind_of_table(path)
        if kind is None:
            raise Invalid(
                "MUNI-J175",
                f"{location[:300]!r} holds no table that is read here",
                location=location[:300],
                do="name a file, or the folder of a Delta table (_delta_log) or of an Iceberg table (metadata)",
            )
        folder, start = (path.parent.parent, f"metadata/{path.name}") if path.is_file() else (path, None)
        folders.pack(folders.members_of(folder), kind, out, start)
        return Fetched(
            filename=f"{folder.name}.{kind}",
            body=_rewound(out),
            size=_size(out),
            kind=kind,
            location=location,
            table=True,
        )


def _rewound(out: BinaryIO) -> BinaryIO:
    out.seek(0)
    return out


def _size(out: BinaryIO) -> int:
    place = out.tell()
    size = out.seek(0, 2)
    out.seek(place)
    return size
