"""The exit plan: everything an installation holds, as one tar that is read without it and that makes another one.

Rows are JSON lines with a JSON schema beside them, objects are the bytes themselves under their SHA-256, the ledger is
its own export, and ``browse/`` shows models and data by their names, as hard links. ``index/`` names every file with
its digest, and ``manifest.txt``, a note signed by the ledger's key, the digests of the index: what is altered on the
way is noticed. Secrets stay: passwords, tokens and keys are not in it.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Protocol

from muniment.catalog.model import EntityKind
from muniment.catalog.ports import Entities, Names
from muniment.errors import Invalid, Unavailable
from muniment.identity.ports import Projects
from muniment.inventory.model import RecordKind
from muniment.inventory.recording import keep
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Store
from muniment.kernel.resources import INSTALLATION, PLATFORM, PROJECT
from muniment.kernel.verb import Call, Download, Effect, verb
from muniment.ledger.note import sign_note
from muniment.ledger.ports import EntryRepository, Signer
from muniment.ledger.service import Ledger
from muniment.vault.ports import SealedObjects
from muniment.vault.service import Vault
from muniment.wire import exporting as wire

FOLDER: Final = "muniment-export"
TITLE: Final = "muniment installation export v1"
"""First line of the manifest's text."""

_FILE_BYTES: Final = 4 << 20
_BLOCK: Final = 512
_PAGE: Final = 500
_ATTEMPTS: Final = 20
_MOST: Final = 1 << 30
_SHOWN: Final = (EntityKind.DATA, EntityKind.MODEL)

_README: Final = """\
An export of the installation {origin}, with everything it held up to entry {size} of its ledger.
Nothing of Muniment is needed to read it.

manifest.txt     signed by the ledger's key: the SHA-256 of every file of index/
index/           every file of this export: path, bytes, SHA-256 (JSON lines)
browse/          models and data by name and version, their files as they are (Parquet, JSON, the formats of the
                 libraries that made them); hard links into objects/
objects/         PROJECT/SHA-256: every object, in the clear
tables/          every record: runs, lineage, names, models, approvals, people, roles, policies (JSON lines)
schemas/         a JSON schema for the rows of each table
ledger-export/   the whole ledger with its own README and verify.py, which checks it

What is not in it: passwords, tokens and keys. Keep this file as you keep the data themselves: it is not encrypted.

To make an installation of it again: muni import FILE
"""


class Tables(Protocol):
    """The state as plain rows."""

    def names(self) -> tuple[str, ...]:
        """The tables; one that another refers to comes first."""

    def schema(self, table: str) -> dict[str, Any]:
        """The JSON schema of a row."""

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Every row, in a fixed order."""

    def load(self, table: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Put rows into an empty table; how many there were."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """Writes an export from the stores of an installation."""

    store: Store
    vault: Vault
    ledger: Ledger
    signer: Signer

    def stream(self) -> Iterator[bytes]:
        """The tar, in pieces.

        The tables are one view of the state, at a moment when the ledger's checkpoint covers everything in it.

        Raises:
            Unavailable: so much is going on that no such moment came.
            IntegrityError: something that is held does not verify; what was written so far is no export.
        """
        writer = _Writer()
        for _ in range(_ATTEMPTS):
            checkpoint = self.ledger.checkpoint()
            with self.store.read() as session:
                if session.use(EntryRepository).counts() != (checkpoint.size, checkpoint.size - 1, 0):
                    continue
                readme = _README.format(origin=checkpoint.origin, size=checkpoint.size)
                yield from writer.file("README.txt", readme.encode())
                yield from writer.nested(self.ledger.exported(checkpoint))
                yield from _tables(writer, session.use(Tables))
                break
        else:
            raise Unavailable(
                "MUNI-E590", "too much is going on to export", do="stop the server, then export", retry=True
            )
        yield from self._objects(writer)
        yield from writer.index(checkpoint.origin, self.signer)

    def _objects(self, writer: _Writer) -> Iterator[bytes]:
        with self.store.read() as session:
            projects = [
                PLATFORM,
                *(project.name for project in session.use(Projects).all() if project.name != PLATFORM),
            ]
        for project in projects:
            last: Digest | None = None
            while True:
                with self.store.read() as session:
                    page = session.use(SealedObjects).page(project, last, _PAGE)
                if not page:
                    break
                for sealed in page:
                    path = f"objects/{project}/{sealed.digest.hex}"
                    pieces = self.vault.stream(project, sealed.digest)
                    yield from writer.stream(path, sealed.size, sealed.digest, pieces)
                last = page[-1].digest
            yield from self._browse(writer, project)

    def _browse(self, writer: _Writer, project: str) -> Iterator[bytes]:
        """Every version of every name, with its files as links to the objects."""
        for kind in _SHOWN:
            with self.store.read() as session:
                latest = session.use(Names).latest(project, kind, "", _MOST)
                versions = [one for name in latest for one in session.use(Names).versions(project, kind, name.name)]
                known = session.use(Entities).find(project, {one.digest for one in versions})
            for version in sorted(versions, key=str):
                for file in known[version.digest].facts.get("files", []):
                    inside = PurePosixPath(file["path"])
                    if not inside.is_absolute() and ".." not in inside.parts:
                        path = f"browse/{project}/{kind}/{version.name}@{version.version}/{inside}"
                        yield from writer.link(path, f"objects/{project}/{Digest(file['digest']).hex}")


def _tables(writer: _Writer, tables: Tables) -> Iterator[bytes]:
    for name in tables.names():
        schema = json.dumps(tables.schema(name), indent=1, sort_keys=True).encode() + b"\n"
        yield from writer.file(f"schemas/{name}.json", schema)
        for number, content in _gathered(map(_line, tables.rows(name))):
            yield from writer.file(f"tables/{name}/{number:012d}.jsonl", content)


class _Writer:
    """A tar that keeps an index of what was written into it."""

    def __init__(self) -> None:
        self._files: list[bytes] = []
        self._objects: set[str] = set()

    def file(self, path: str, content: bytes) -> Iterator[bytes]:
        """A file from memory."""
        yield from self.stream(path, len(content), Digest.of(content), (content,))

    def stream(self, path: str, size: int, digest: Digest, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """A file of known size and digest, piece by piece."""
        yield _header(path, size)
        yield from pieces
        yield bytes(-size % _BLOCK)
        self._files.append(_line({"path": path, "bytes": size, "sha256": digest.hex}))
        self._objects.add(path)

    def link(self, path: str, target: str) -> Iterator[bytes]:
        """Another name for a file that was written before; nothing when there is none."""
        if target in self._objects:
            member = tarfile.TarInfo(f"{FOLDER}/{path}")
            member.type, member.linkname, member.mode = tarfile.LNKTYPE, f"{FOLDER}/{target}", 0o644
            yield member.tobuf(tarfile.PAX_FORMAT)

    def nested(self, members: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
        """The files of the ledger's own export."""
        for name, content in members:
            yield from self.file(f"ledger-export/{name}", content)

    def index(self, origin: str, signer: Signer) -> Iterator[bytes]:
        """The index, the signed manifest, and the end of the tar."""
        sums: list[str] = []
        for number, content in list(_gathered(iter(self._files))):
            path = f"index/{number:012d}.jsonl"
            sums.append(f"{hashlib.sha256(content).hexdigest()}  {path}\n")
            yield from self.file(path, content)
        note = sign_note(f"{TITLE}\n{origin}\n{''.join(sums)}", origin, signer).encode()
        yield from self.file("manifest.txt", note)
        yield bytes(2 * _BLOCK)


def _header(path: str, size: int) -> bytes:
    member = tarfile.TarInfo(f"{FOLDER}/{path}")
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.PAX_FORMAT)


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _gathered(lines: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines in files of a few MiB, each named after the number of its first line; an empty one for none."""
    first, held, size, number = 0, list[bytes](), 0, 0
    for number, line in enumerate(lines, 1):
        held.append(line)
        size += len(line)
        if size >= _FILE_BYTES:
            yield first, b"".join(held)
            first, held, size = number, [], 0
    if held or number == 0:
        yield first, b"".join(held)


@verb(
    "evidence:ExportInstallation",
    on=INSTALLATION,
    request=wire.ExportInstallation,
    reply=Download,
    event="installation.exported",
    group="system:export",
    effect=Effect.READ,
)
def export_installation(call: Call, request: wire.ExportInstallation) -> Download:
    """Take everything out that the installation holds, in the clear and readable without it."""
    return Download(f"{FOLDER}.tar", "application/x-tar", call.use(Exporter).stream())


@verb(
    "evidence:RestoreInstallation",
    on=INSTALLATION,
    request=wire.RestoreInstallation,
    reply=wire.Restored,
    event="installation.restored",
    group="internal",
    internal=True,
)
def restore_installation(call: Call, request: wire.RestoreInstallation) -> wire.Restored:
    """Record that this installation was made from an export, and which key stood behind the history until then."""
    call.note(
        manifest=request.manifest,
        entries=request.entries,
        root=request.root,
        former_key=request.former_key,
        key_from=request.key_from,
        erasures_until=request.erasures_until,
        erased=request.erased,
    )
    return wire.Restored()


@verb(
    "evidence:RecordDrill",
    on=PROJECT,
    request=wire.RecordDrill,
    reply=wire.Drill,
    event="drill.recorded",
    group="system:operate",
)
def record_drill(call: Call, request: wire.RecordDrill) -> wire.Drill:
    """State how an exercise of the exit plan went; it happened outside the platform, so it is only declared."""
    if request.outcome not in ("passed", "failed"):
        raise Invalid("MUNI-E190", "a drill passed or failed", given=request.outcome[:40], choices=["passed", "failed"])
    body = {
        "export": Digest(request.export),
        "outcome": request.outcome,
        "objects": request.objects,
        "rows": request.rows,
        "entries": request.entries,
        "reproduced": request.reproduced[:300],
        "verdict": request.verdict[:80],
        "findings": [finding[:300] for finding in request.findings[:50]],
        "seconds": request.seconds,
    }
    record = keep(call, RecordKind.DRILL, "project", body)
    return wire.Drill(record=str(record.digest), outcome=request.outcome)


VERBS: Final = (export_installation, restore_installation, record_drill)
