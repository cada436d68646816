"""Sources that lie outside of the platform, as the SDK asks for them; an adapter reads them on the asker's machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from muniment.errors import Invalid, NotFound
from muniment.kernel.identifiers import format_time, parse_time
from muniment.wire import data as wd

__all__ = ["Sending", "Source", "Sources", "called", "opened", "readable"]

_SCHEMES: Final = ("odbc:", "sqlite:")


class Source(Protocol):
    """What was read from outside."""

    @property
    def filename(self) -> str: ...  # noqa: D102
    @property
    def body(self) -> BinaryIO: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def location(self) -> str: ...  # noqa: D102
    @property
    def query(self) -> str | None: ...  # noqa: D102
    @property
    def version(self) -> str | None: ...  # noqa: D102
    @property
    def table(self) -> bool: ...  # noqa: D102
    @property
    def details(self) -> Mapping[str, str]: ...  # noqa: D102


class Sources(Protocol):
    """Reads databases, buckets and tables of many files."""

    def open(
        self, location: str, *, query: str | None = None, version: str | None = None, at: datetime | None = None
    ) -> AbstractContextManager[Source]:
        """Read a source; the bytes are gone when it is closed."""


@dataclass(frozen=True, slots=True)
class Sending:
    """Bytes on their way, and what the request says of them."""

    body: BinaryIO
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``AddDataset``: filename, origin, version, at."""


@contextmanager
def opened(
    sources: Sources | None,
    source: str | Path,
    *,
    query: str | None = None,
    version: str | None = None,
    at: str | None = None,
    file: Callable[[Path], AbstractContextManager[BinaryIO]] = lambda path: path.open("rb"),
) -> Iterator[Sending]:
    """A source, ready to be sent.

    Args:
        sources: reads what is no file; None where there is no such adapter.
        source: a path, a table's folder, or the URL of a database or of an object.
        query: what to ask a database.
        version: version of a table, or version id of an object.
        at: the moment whose version is wanted, in ISO 8601.
        file: opens a local file.

    Raises:
        MunimentError: there is no such source, or it cannot be read so.
    """
    moment = None if at is None else parse_time(at)
    if version is not None and moment is not None:
        raise Invalid("MUNI-A124", "a source is read at a version or at a time, not both", do="leave one out")
    text = str(source)
    table = Path(text).expanduser().is_dir() or text.endswith(".metadata.json")
    if not _elsewhere(text) and (sources is None or not table):
        if query is not None or version is not None or moment is not None:
            raise Invalid(
                "MUNI-A125", "a file takes neither a query nor a version", file=text, do="leave the option out"
            )
        path = readable(source)
        with file(path) as body:
            yield Sending(body, {"filename": called(path)})
        return
    if sources is None:
        raise Invalid("MUNI-A126", "this client reads files alone", source=text[:80], do="use muniment.connect()")
    begun = datetime.now(UTC)
    with sources.open(text, query=query, version=version, at=moment) as found:
        origin = wd.Origin(
            kind=found.kind,
            location=found.location,
            query=found.query,
            version=found.version if not found.table else version,
            at=None if moment is None else format_time(moment),
            read_at=format_time(begun),
            details=dict(found.details),
        )
        fields: dict[str, Any] = {"filename": found.filename, "origin": origin}
        if found.table:
            fields |= {"version": version, "at": None if moment is None else format_time(moment)}
        yield Sending(found.body, fields)


def readable(file: str | Path) -> Path:
    """The path of a regular file that exists.

    Raises:
        NotFound: there is no such file.
        Invalid: it is not a regular file.
    """
    path = Path(file).expanduser()
    if not path.exists():
        raise NotFound("MUNI-A202", f"there is no file {str(file)!r}", file=str(file))
    if not path.is_file():
        raise Invalid("MUNI-A104", f"{str(file)!r} is not a regular file", file=str(file))
    return path


def called(path: Path) -> str:
    """The last part of a path as a text that can be sent: bytes that are no UTF-8 become question marks."""
    return path.name.encode("utf-8", "replace").decode()


def _elsewhere(text: str) -> bool:
    return "://" in text or text.lower().startswith(_SCHEMES)
