"""An installation out of an export: the same people, records, objects and history, under new keys.

Nothing is taken that does not verify: every file against the signed manifest, the ledger by the verifier for strangers,
each object against its digest. The ledger goes on where it ended, under a new key: what was signed before stands in the
first new entry with the key that signed it, and checkpoints that others kept remain comparable.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from muniment.adapters.kms.local import LocalKeys
from muniment.adapters.sql.migrate import migrate
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.bootstrap import Platform, Settings, passphrase_of
from muniment.catalog.ports import Entities
from muniment.data.features.ports import Online
from muniment.errors import Conflict, IntegrityError, Invalid
from muniment.evidence import verify
from muniment.evidence.erasures import Listed, read_list
from muniment.evidence.exporting import FOLDER, TITLE, Tables
from muniment.founding.folder import configuration_folder, fresh, keep_settings
from muniment.kernel.identifiers import check_name, format_time
from muniment.kernel.ports import NoFaults, Session, SystemClock, SystemEntropy
from muniment.kernel.resources import PLATFORM
from muniment.ledger.model import columns
from muniment.ledger.note import open_note, sign_checkpoint
from muniment.ledger.ports import CheckpointRepository, EntryRepository, Head
from muniment.ledger.tree import extend, leaf_hash, root_of
from muniment.ledger.verifier import KeyType, parse_key
from muniment.vault.ports import ErasedObjects
from muniment.wire.exporting import RestoreInstallation
from muniment.wire.identity import RestoreAccess

Watch = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

_FORM: Final = re.compile(r"[^\x00-\x1f\\]{1,1000}")
_NAMED: Final = ("identity_accounts", "identity_groups", "identity_projects")
"""Tables whose rows people call by their names, and whose names become parts of paths."""

_CHUNK: Final = 1 << 20
_SMALL: Final = 64 << 20
_BATCH: Final = 200
_ENTRIES_AT_ONCE: Final = 1000
_EVERY: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Restored:
    """An installation that was made from an export."""

    home: Path
    key_file: Path
    origin: str
    tokens: Mapping[str, str]
    """Of two administrators, by name; everybody else gets new ones from them."""

    entries: int
    rows: int
    objects: int
    manifest: str
    """Digest of the export's manifest."""

    former_key: str
    key_from: str
    """``you`` or ``the export``."""

    project: str
    """One of its projects."""

    erasures_until: str
    """Up to this moment it is known what was erased; what was erased later can be read again."""

    left_out: int
    """Objects that the export held and that are not taken in: a list says that they were erased."""


def restore(
    export: Path,
    home: Path,
    *,
    key: str | None = None,
    database: str = "",
    key_file: Path | None = None,
    passphrase: bool = False,
    require: str = "enforced",
    administrators: tuple[str, ...] = (),
    erasures: Path | None = None,
    watch: Watch = lambda what, done, total: None,
) -> Restored:
    """Make an installation from an export.

    Args:
        export: the tar that ``muni export --all`` wrote.
        home: folder of the new installation.
        key: the verifier key of the ledger, from a place that is trusted; None takes the one in the export.
        database: SQLAlchemy URL of an empty database; empty for SQLite in the home folder.
        key_file: where the new keys go; None for a folder of their own below the user's configuration folder.
        passphrase: whether the keys are encrypted under the passphrase in the file that MUNIMENT_PASSPHRASE_FILE names.
        require: ``enforced`` or ``none``, see Settings.
        administrators: who gets tokens; empty for the first two administrators of the export by name.
        erasures: the signed list of erasures, where the export is older than the last of them: what it names is left
            out, and online features that came of it too.
        watch: is told how far it is.

    Raises:
        Conflict: there is an installation already, or the database is not empty, or the export is of another release.
        Invalid: it is no export.
        IntegrityError: something in it is not as it was exported.
    """
    with fresh(home), _readable(), Opened(export, key, watch) as opened:
        name = SystemEntropy().token(8).hex()
        keys = key_file or configuration_folder() / f"restored-{name}" / f"{home.resolve().name or 'home'}.keys"
        settings = Settings(
            origin=opened.origin,
            database=database,
            key_file=str(keys),
            passphrase=passphrase,
            require=require,
        )
        LocalKeys.create(keys, home=home, passphrase=passphrase_of(settings))
        try:
            made = _fill(opened, home, settings, administrators, opened.erasures(erasures), watch)
        except BaseException:
            keys.unlink(missing_ok=True)
            raise
        keep_settings(home, settings)
    return made


@contextmanager
def _readable() -> Iterator[None]:
    """What is signed may still be nonsense, by whoever signed it: it ends as any other export that is not one."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, SQLAlchemyError) as broken:
        raise _altered(f"it holds what no export holds: {type(broken).__name__}: {broken}") from broken


def _fill(
    opened: Opened,
    home: Path,
    settings: Settings,
    administrators: tuple[str, ...],
    listed: Listed | None,
    watch: Watch,
) -> Restored:
    url, keys = settings.database or sqlite_url(home / "state.db"), Path(settings.key_file)
    migrate(url)
    signer = LocalKeys(keys, home=home, passphrase=passphrase_of(settings)).signer("ledger")
    store = SqlStore(url, REPOSITORIES, NoFaults())
    try:
        with store.write() as session:
            rows = _load_tables(opened, session, watch)
            gone = _leave_out(session, listed)
            size, frontier = _load_entries(opened, session, watch)
            signed = sign_checkpoint(settings.origin, size, root_of(frontier), signer)
            session.use(CheckpointRepository).advance(Head(signed, tuple(frontier)), format_time(SystemClock().now()))
    finally:
        store.close()
    platform = Platform(home, settings)
    try:
        objects, left_out = _seal_objects(opened, platform, gone, watch)
        until = opened.last_moment
        if listed is not None:
            until = max(until, format_time(listed.at))
        stated = RestoreInstallation(
            manifest=opened.manifest,
            entries=size,
            root=str(signed.root),
            former_key=opened.key,
            key_from=opened.key_from,
            erasures_until=until,
            erased=left_out,
        )
        platform.gate.invoke_internal("evidence:RestoreInstallation", stated, "founding")
        access = RestoreAccess(administrators=list(administrators))
        issued = platform.gate.invoke_internal("identity:RestoreAccess", access, "founding")
    finally:
        platform.close()
    tokens = {one.owner: one.token for one in issued.administrators}
    return Restored(
        home=home,
        key_file=keys,
        origin=settings.origin,
        tokens=tokens,
        entries=size,
        rows=rows,
        objects=objects,
        manifest=opened.manifest,
        former_key=opened.key,
        key_from=opened.key_from,
        project=min(opened.projects - {PLATFORM}, default=PLATFORM),
        erasures_until=until,
        left_out=left_out,
    )


def _load_tables(opened: Opened, session: Session, watch: Watch) -> int:
    tables, rows = session.use(Tables), 0
    names = tables.names()
    if set(opened.tables) != set(names) or any(opened.schema(name) != tables.schema(name) for name in names):
        raise Conflict(
            "MUNI-A320",
            "the export is of another release",
            missing=sorted(set(names) - set(opened.tables)),
            unknown=sorted(set(opened.tables) - set(names)),
            do="import it with the release that wrote it, then upgrade: muni upgrade",
        )
    for number, name in enumerate(names):
        watch("records", number, len(names))
        if next(tables.rows(name), None) is not None:
            raise Conflict("MUNI-A321", "the database is not empty", table=name, do="give an empty one")
        rows += tables.load(name, opened.rows(name))
    return rows


def _load_entries(opened: Opened, session: Session, watch: Watch) -> tuple[int, list[bytes]]:
    """The history, entry by entry; under it must stand the root that was signed."""
    entries = session.use(EntryRepository)
    size, frontier, batch = 0, list[bytes](), list[bytes]()

    def keep() -> None:
        nonlocal size, frontier
        rows = [columns(json.loads(body), body.decode()) for body in batch]
        entries.add(rows)
        entries.number(size, [row.id for row in rows])
        size, frontier = extend(size, frontier, map(leaf_hash, batch))
        batch.clear()
        watch("history", size, opened.entries)

    for body in opened.bodies():
        batch.append(body)
        if len(batch) == _ENTRIES_AT_ONCE:
            keep()
    if batch:
        keep()
    if size != opened.entries or root_of(frontier) != opened.root:
        raise _altered("the history does not give the root that was signed")
    return size, frontier


def _leave_out(session: Session, listed: Listed | None) -> set[tuple[str, str]]:
    """Keep what a list says was erased, and take out online what came of it: project and SHA-256 of each object.

    Rows of online tables are of many people, and an old export does not say whose: all that were published from a
    snapshot that was erased go, to be published again from one that stands.
    """
    if listed is None:
        return set()
    known, online = session.use(ErasedObjects), session.use(Online)
    for project in sorted({one.project for one in listed.erased}):
        digests = [one.digest for one in listed.erased if one.project == project]
        before = known.find(project, digests)
        known.add(one for one in listed.erased if one.project == project and one.digest not in before)
        erased = set(digests)
        parents = session.use(Entities).holders(project, digests)
        erased.update(*parents.values())
        for view in online.views(project):
            past = [one.id for one in online.publications(project, view, _EVERY) if one.build in erased]
            online.remove_of(project, view, past)
    return {(one.project, one.digest.hex) for one in listed.erased}


def _seal_objects(opened: Opened, platform: Platform, gone: set[tuple[str, str]], watch: Watch) -> tuple[int, int]:
    """Take objects in, but for what was erased; how many, and how many were left out."""
    with platform.store.write() as session:
        for project in opened.projects | {PLATFORM}:
            platform.vault.create_project_key(session, project)
    every, done = opened.objects(), 0
    found = [one for one in every if one[:2] not in gone]
    for at in range(0, len(found), _BATCH):
        sealed = []
        for project, digest, member in found[at : at + _BATCH]:
            with opened.read(member) as content:
                one = platform.vault.seal(project, content)
            if one.digest.hex != digest:
                raise _altered(f"object {digest} is other bytes")
            sealed.append((project, one))
        with platform.store.write() as session:
            for project, one in sealed:
                platform.vault.register(session, project, one)
        done += len(sealed)
        watch("objects", done, len(found))
    return done, len(every) - len(found)


class Opened:
    """An export, read and verified from end to end before anything is made of it."""

    def __init__(self, path: Path, key: str | None, watch: Watch) -> None:
        try:
            self._tar = tarfile.open(path, mode="r:")  # noqa: SIM115 - closed by __exit__
        except (tarfile.TarError, EOFError) as broken:
            raise Invalid("MUNI-A190", f"{str(path)!r} is no export", file=str(path), reason=str(broken)) from broken
        try:
            self._members = self._listed(path)
            self._check(path, key, watch)
        except BaseException:
            self._tar.close()
            raise

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    @property
    def tables(self) -> list[str]:
        """The tables that it has rows or at least a schema of."""
        return [name[len("schemas/") : -len(".json")] for name in self._members if name.startswith("schemas/")]

    @property
    def projects(self) -> set[str]:
        """The projects that there are."""
        return {str(row["name"]) for row in self.rows("identity_projects")}

    def schema(self, table: str) -> Any:
        """The schema of a table's rows."""
        return json.loads(self.content(f"schemas/{table}.json"))

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """The rows of a table, each with exactly its columns; what is called something bears a possible name."""
        columns = self.schema(table)["properties"].keys()
        for row in self._lines(table):
            if row.keys() != columns:
                raise _altered(f"a row of {table} has other columns than its table")
            if table in _NAMED:
                check_name(row["name"], table)
            yield row

    def _lines(self, table: str) -> Iterator[dict[str, Any]]:
        for name in sorted(name for name in self._members if name.startswith(f"tables/{table}/")):
            for line in self.content(name).splitlines():
                yield json.loads(line)

    def bodies(self) -> Iterator[bytes]:
        """The entries of the ledger, in order."""
        for name in sorted(name for name in self._members if name.startswith("ledger-export/entries/")):
            yield from self.content(name).split(b"\n")[:-1]

    def objects(self) -> list[tuple[str, str, tarfile.TarInfo]]:
        """Project, SHA-256 and file of every object."""
        found = []
        for name, member in self._members.items():
            if name.startswith("objects/"):
                project, _, digest = name[len("objects/") :].rpartition("/")
                found.append((project, digest, member))
        return found

    def erasures(self, path: Path | None) -> Listed | None:
        """A list of erasures that the same installation signed; None where none is given."""
        if path is None:
            return None
        return read_list(path.read_bytes(), self.origin, parse_key(self.key, KeyType.LEDGER).public_key)

    @property
    def last_moment(self) -> str:
        """When the last entry of its history was made."""
        names = sorted(name for name in self._members if name.startswith("ledger-export/entries/"))
        lines = self.content(names[-1]).split(b"\n")[:-1] if names else []
        return str(json.loads(lines[-1])["time"]) if lines else ""

    def content(self, name: str) -> bytes:
        """The whole of a file that is not an object."""
        member = self._members.get(name)
        if member is None or member.size > _SMALL:
            raise _altered(f"{name} is missing or too large")
        with self.read(member) as file:
            return file.read()

    def read(self, member: tarfile.TarInfo) -> IO[bytes]:
        """A file, to be read."""
        file = self._tar.extractfile(member)
        if file is None:
            raise _altered(f"{member.name} is not a file")
        return file

    def _listed(self, path: Path) -> dict[str, tarfile.TarInfo]:
        """The files by name; links are for people, and nothing is made of them."""
        members: dict[str, tarfile.TarInfo] = {}
        try:
            for member in self._tar:
                top, _, name = member.name.partition("/")
                if top != FOLDER or not _FORM.fullmatch(name) or {"", ".", ".."} & set(name.split("/")):
                    raise Invalid("MUNI-A190", f"{str(path)!r} is no export", file=str(path), reason=member.name[:200])
                if member.islnk() and name.startswith("browse/"):
                    continue
                if not member.isreg() or name in members:
                    raise _altered(f"{name} is not a file, or is there twice")
                members[name] = member
        except (tarfile.TarError, EOFError) as broken:
            raise _altered(f"it breaks off: {broken}") from broken
        if "manifest.txt" not in members or "ledger-export/key.txt" not in members:
            raise _altered("it breaks off: the manifest is missing")
        return members

    def _check(self, path: Path, key: str | None, watch: Watch) -> None:
        enclosed = self.content("ledger-export/key.txt").decode().strip()
        self.key, self.key_from = key or enclosed, "you" if key else "the export"
        if self.key != enclosed:
            raise _altered("it is signed with another key than the one that was given")
        ledger_key = parse_key(self.key, KeyType.LEDGER)
        self.origin = ledger_key.name
        note = self.content("manifest.txt")
        self.manifest = "sha256:" + hashlib.sha256(note).hexdigest()
        text = open_note(note.decode(), self.origin, ledger_key.public_key)
        title, origin, *sums = text.splitlines()
        stated = {name: digest for digest, _, name in (line.partition("  ") for line in sums)}
        indexed = {name for name in self._members if name.startswith("index/")}
        if (title, origin, set(stated)) != (TITLE, self.origin, indexed):
            raise _altered("the manifest does not name the index that there is")
        files: dict[str, tuple[int, str]] = {}
        for name, digest in stated.items():
            content = self.content(name)
            if hashlib.sha256(content).hexdigest() != digest:
                raise _altered(f"{name} is not as it was exported")
            for line in map(json.loads, content.splitlines()):
                files[line["path"]] = (line["bytes"], line["sha256"])
        if set(files) != set(self._members) - indexed - {"manifest.txt"}:
            raise _altered("the files are not those that the index names")
        for number, (name, (size, digest)) in enumerate(files.items()):
            watch("verify", number, len(files))
            if (self._members[name].size, self._digest(name)) != (size, digest):
                raise _altered(f"{name} is not as it was exported")
        self._check_history()

    def _digest(self, name: str) -> str:
        found = hashlib.sha256()
        with self.read(self._members[name]) as file:
            while piece := file.read(_CHUNK):
                found.update(piece)
        return found.hexdigest()

    def _check_history(self) -> None:
        """The ledger's own export, by the program that strangers verify it with."""
        prefix = "ledger-export/"
        with tempfile.TemporaryDirectory(prefix="muniment-import-") as folder:
            for name in (name for name in self._members if name.startswith(prefix)):
                target = Path(folder) / name[len(prefix) :]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.content(name))
            try:
                found = verify.verify(Path(folder), self.key, [])
            except Exception as tampered:
                raise _altered(f"its ledger: {tampered}") from tampered
        self.entries = int(found["entries"])
        self.root = base64.b64decode(found["root"])


def _altered(what: str) -> IntegrityError:
    return IntegrityError(
        "MUNI-A590", "the export is not as it was made", reason=what[:300], do="take the export again, or another copy"
    )
